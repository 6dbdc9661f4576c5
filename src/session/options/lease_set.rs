use super::{SessionOptions, base64};
use crate::address::{SignatureType, base64_encode};
use crate::wire::{CommandFault, check_value};

/// How messages to a session are encrypted from end to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EncryptionType {
    /// Type 0: ElGamal with AES and session tags. What every peer understands, slow and dated.
    ElGamal,
    /// Type 4: ECIES on X25519 with ratchets. What the network uses.
    EciesX25519,
    /// Type 5: ML-KEM-512 with X25519, against quantum computers. Routers since 0.9.67.
    MlKem512X25519,
    /// Type 6: ML-KEM-768 with X25519, against quantum computers. Routers since 0.9.67.
    MlKem768X25519,
    /// Type 7: ML-KEM-1024 with X25519, against quantum computers. Routers since 0.9.67.
    MlKem1024X25519,
}

impl EncryptionType {
    /// The number by which routers know it.
    pub const fn code(self) -> u8 {
        match self {
            Self::ElGamal => 0,
            Self::EciesX25519 => 4,
            Self::MlKem512X25519 => 5,
            Self::MlKem768X25519 => 6,
            Self::MlKem1024X25519 => 7,
        }
    }
}

/// What kind of lease set a session publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LeaseSetType {
    /// Type 1: the old one, for ElGamal alone.
    Old,
    /// Type 3: the standard one (LS2).
    Standard,
    /// Type 5: encrypted. Only who knows the destination can read it, and with
    /// [`LeaseSetAuth`] only who is let in. Needs a key that can be blinded:
    /// [`SignatureType::Ed25519`] or, better, [`SignatureType::RedDsa`].
    Encrypted,
    /// Type 7: meta, a list of other lease sets.
    Meta,
}

impl LeaseSetType {
    const fn code(self) -> u8 {
        match self {
            Self::Old => 1,
            Self::Standard => 3,
            Self::Encrypted => 5,
            Self::Meta => 7,
        }
    }
}

/// How a client proves that it may read an encrypted lease set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LeaseSetAuth {
    /// 0: not at all.
    None,
    /// 1: with an X25519 key of its own, whose public half the server knows.
    Dh,
    /// 2: with a key that it shares with the server.
    Psk,
}

impl LeaseSetAuth {
    const fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Dh => 1,
            Self::Psk => 2,
        }
    }
}

/// # Lease set and encryption
///
/// The lease set is what peers look up to reach the session: the ends of its inbound tunnels, and
/// the keys to encrypt to.
///
/// ```
/// use i2p_sam::{LeaseSetAuth, LeaseSetType, SessionOptions};
///
/// # let public_key_of_alice = "A".repeat(43) + "=";
/// let for_alice_only = SessionOptions::new()
///     .lease_set_type(LeaseSetType::Encrypted)
///     .lease_set_auth(LeaseSetAuth::Dh)
///     .lease_set_client_dh("alice", &public_key_of_alice);
/// ```
///
/// Who is to dial such a session needs its [`b33`](crate::Destination::b33) address, and Alice
/// her private key as well:
///
/// ```no_run
/// use i2p_sam::{SamBridge, SessionOptions};
///
/// # let private_key_of_alice = "A".repeat(43) + "=";
/// # let address = "yme6uy5xfgm6dp2wwyox5trojra6sdavhu5gyceesjad6xatmcs7o6qg.b32.i2p";
/// let alice = SessionOptions::new().lease_set_decryption_key(&private_key_of_alice);
/// let session = SamBridge::from_env()?.session().options(alice).stream()?;
/// let stream = session.connect(address)?;
/// # Ok::<(), i2p_sam::Error>(())
/// ```
impl SessionOptions {
    /// `i2cp.leaseSetEncType`: how peers may encrypt to the session, the best first.
    ///
    /// [`new`](Self::new) sets X25519, then ElGamal. SAM's own default is ElGamal alone. A router
    /// refuses the session for a type it does not know: those with ML-KEM, before 0.9.67. An empty
    /// list is refused. Read by Java I2P and i2pd.
    ///
    /// ```
    /// use i2p_sam::{EncryptionType, SessionOptions};
    ///
    /// let post_quantum = SessionOptions::new().lease_set_encryption(&[
    ///     EncryptionType::MlKem768X25519,
    ///     EncryptionType::EciesX25519,
    /// ]);
    /// ```
    pub fn lease_set_encryption(self, types: &[EncryptionType]) -> Self {
        let codes = types.iter().map(|kind| kind.code().to_string());
        let list = codes.collect::<Vec<_>>().join(",");
        self.put("i2cp.leaseSetEncType", Ok(list))
    }

    /// `i2cp.leaseSetType`: the kind of lease set.
    ///
    /// Default: [`Old`](LeaseSetType::Old), where the other options ask for nothing newer. Read by
    /// Java I2P and i2pd.
    pub fn lease_set_type(self, kind: LeaseSetType) -> Self {
        self.put("i2cp.leaseSetType", Ok(kind.code().to_string()))
    }

    /// `i2cp.leaseSetAuthType`: how clients prove that they may read an
    /// [`Encrypted`](LeaseSetType::Encrypted) lease set.
    ///
    /// Default: [`None`](LeaseSetAuth::None). Read by Java I2P and i2pd.
    pub fn lease_set_auth(self, auth: LeaseSetAuth) -> Self {
        self.put("i2cp.leaseSetAuthType", Ok(auth.code().to_string()))
    }

    /// `i2cp.leaseSetClient.dh.N`: lets one more client in, by base64 of its X25519 public key,
    /// 32 bytes. For [`LeaseSetAuth::Dh`].
    ///
    /// Each call adds a client; they are numbered 0, 1, … by themselves. The name is for people:
    /// any text, sent as base64 as I2CP has it, so up to 156 bytes fit. Read by Java I2P and i2pd.
    pub fn lease_set_client_dh(self, name: &str, public_key: &str) -> Self {
        self.client("i2cp.leaseSetClient.dh", name, public_key)
    }

    /// `i2cp.leaseSetClient.psk.N`: lets one more client in, by base64 of the 32-byte key shared
    /// with it. For [`LeaseSetAuth::Psk`].
    ///
    /// Each call adds a client, as with [`lease_set_client_dh`](Self::lease_set_client_dh). Read
    /// by Java I2P and i2pd.
    pub fn lease_set_client_psk(self, name: &str, shared_key: &str) -> Self {
        self.client("i2cp.leaseSetClient.psk", name, shared_key)
    }

    /// `i2cp.leaseSetPrivKey`: base64 of the 32-byte key, X25519 private or shared, with which
    /// this session opens the encrypted lease sets of others.
    ///
    /// A secret. Read by Java I2P and i2pd.
    pub fn lease_set_decryption_key(self, base64: &str) -> Self {
        self.base64("i2cp.leaseSetPrivKey", base64)
    }

    /// `i2cp.leaseSetSecret`: base64 of a secret that blinds the address of an encrypted lease
    /// set. Who does not know it cannot look it up.
    ///
    /// Default: none. Read by Java I2P only.
    pub fn lease_set_secret(self, base64: &str) -> Self {
        self.base64("i2cp.leaseSetSecret", base64)
    }

    /// `i2cp.leaseSetBlindedType`: the signature type of the blinded key of an encrypted lease
    /// set.
    ///
    /// Default: by the type of the session's own key; RedDSA for Ed25519 and RedDSA. Read by Java
    /// I2P only.
    pub fn lease_set_blinded_type(self, kind: SignatureType) -> Self {
        self.put("i2cp.leaseSetBlindedType", Ok(kind.code().to_string()))
    }

    /// `i2cp.dontPublishLeaseSet`: whether to keep the lease set out of the network's database.
    ///
    /// Default: false. True for sessions that only dial: nobody can dial them then, while peers
    /// they dial can still answer. Read by Java I2P and i2pd.
    pub fn dont_publish_lease_set(self, hidden: bool) -> Self {
        self.flag("i2cp.dontPublishLeaseSet", hidden)
    }

    /// `shouldBundleReplyInfo`: whether messages carry our lease set now and then, so that peers
    /// need not look it up to answer.
    ///
    /// Default: true. False saves bandwidth where no reply is needed. Read by Java I2P only.
    pub fn bundle_reply_info(self, bundle: bool) -> Self {
        self.flag("shouldBundleReplyInfo", bundle)
    }

    /// `i2cp.leaseSetPrivateKey`: keeps the lease set's encryption keys over restarts, each as its
    /// type and base64 of the private key.
    ///
    /// Default: new keys for each session. As secret as the session's own private key. An ElGamal
    /// key is too long for an option and is refused. Read by Java I2P only.
    pub fn lease_set_private_keys(self, keys: &[(EncryptionType, &str)]) -> Self {
        let typed = keys.iter().map(|(kind, key)| typed_key(kind.code(), key));
        let list = typed.collect::<Result<Vec<_>, _>>();
        self.put("i2cp.leaseSetPrivateKey", list.map(|keys| keys.join(",")))
    }

    /// `i2cp.leaseSetSigningPrivateKey`: keeps the lease set's signing key over restarts, as its
    /// type and base64 of the private key.
    ///
    /// Only lease sets of the [`Old`](LeaseSetType::Old) type have one. As secret as the session's
    /// own private key. Read by Java I2P only.
    pub fn lease_set_signing_private_key(self, kind: SignatureType, base64: &str) -> Self {
        self.put(
            "i2cp.leaseSetSigningPrivateKey",
            typed_key(kind.code(), base64),
        )
    }

    /// `i2cp.encryptLeaseSet`: encrypts the lease set in the old style, with
    /// [`lease_set_key`](Self::lease_set_key).
    ///
    /// Superseded by [`LeaseSetType::Encrypted`]. Default: false. Read by Java I2P only.
    pub fn encrypt_lease_set(self, encrypt: bool) -> Self {
        self.flag("i2cp.encryptLeaseSet", encrypt)
    }

    /// `i2cp.leaseSetKey`: base64 of the 32-byte key for
    /// [`encrypt_lease_set`](Self::encrypt_lease_set). A secret.
    ///
    /// Superseded by [`LeaseSetType::Encrypted`]. Read by Java I2P only.
    pub fn lease_set_key(self, base64: &str) -> Self {
        self.base64("i2cp.leaseSetKey", base64)
    }

    fn client(self, group: &str, name: &str, key: &str) -> Self {
        // Java I2P counts up from 0 and stops at the first gap.
        let option = (0..=self.pairs.len())
            .map(|number| format!("{group}.{number}"))
            .find(|option| !self.has(option))
            .unwrap_or_default();
        let value = client_name(&option, name).and_then(|name| {
            let key = base64(key)?;
            Ok(format!("{name}:{key}"))
        });
        self.put(option, value)
    }
}

/// The name in base64, which holds neither the colon nor the blank that would end it.
fn client_name(option: &str, name: &str) -> Result<String, CommandFault> {
    check_value(option, name).map_err(|error| error.fault())?;
    Ok(base64_encode(name.as_bytes()))
}

fn typed_key(code: impl Into<u16>, key: &str) -> Result<String, CommandFault> {
    Ok(format!("{}:{}", code.into(), base64(key)?))
}
