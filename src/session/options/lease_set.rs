use super::encryption_type::EncryptionType;
use super::{SessionOptions, base64};
use crate::address::{SignatureType, base64_encode};
use crate::wire::{CommandFault, check_value};

/// The type of lease set that a session publishes.
///
/// ```
/// use i2p_sam::{LeaseSetType, SessionOptions};
///
/// let hidden_service = SessionOptions::new().lease_set_type(LeaseSetType::Encrypted);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LeaseSetType {
    /// Type 1: the old one, for ElGamal only.
    Old,
    /// Type 3: the standard one (LS2).
    Standard,
    /// Type 5: encrypted. Only clients that know the destination can read it, and with
    /// [`LeaseSetAuth`] only clients with an accepted key. Needs a key that can be blinded:
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

/// The way in which a client proves that it may read an encrypted lease set.
///
/// ```
/// use i2p_sam::{LeaseSetAuth, LeaseSetType, SessionOptions};
///
/// # let shared_key = "A".repeat(43) + "=";
/// let for_alice_only = SessionOptions::new()
///     .lease_set_type(LeaseSetType::Encrypted)
///     .lease_set_auth(LeaseSetAuth::Psk)
///     .lease_set_client_psk("alice", &shared_key);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LeaseSetAuth {
    /// 0: no proof.
    None,
    /// 1: with its own X25519 key, whose public half the server knows.
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
/// Peers look up the lease set to reach the session: it contains the ends of its inbound tunnels,
/// and the keys for encryption.
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
/// To dial such a session, a client needs its [`b33`](crate::Destination::b33) address, and Alice
/// needs her private key as well:
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
    /// Sets `i2cp.leaseSetEncType`: the encryption types that peers may use for the session, the
    /// best first.
    ///
    /// [`new`](Self::new) sets X25519, then ElGamal. SAM's own default is ElGamal only. A router
    /// refuses the session for a type that it does not know: the types with ML-KEM, before 0.9.67.
    /// An empty list is refused. Read by Java I2P and i2pd.
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

    /// Sets `i2cp.leaseSetType`: the type of lease set.
    ///
    /// Default: [`Old`](LeaseSetType::Old), unless the other options require a newer type. Read by
    /// Java I2P and i2pd.
    pub fn lease_set_type(self, kind: LeaseSetType) -> Self {
        self.put("i2cp.leaseSetType", Ok(kind.code().to_string()))
    }

    /// Sets `i2cp.leaseSetAuthType`: the way in which clients prove that they may read an
    /// [`Encrypted`](LeaseSetType::Encrypted) lease set.
    ///
    /// Default: [`None`](LeaseSetAuth::None). Read by Java I2P and i2pd.
    pub fn lease_set_auth(self, auth: LeaseSetAuth) -> Self {
        self.put("i2cp.leaseSetAuthType", Ok(auth.code().to_string()))
    }

    /// Sets `i2cp.leaseSetClient.dh.N`: adds a client by base64 of its X25519 public key, 32 bytes.
    /// For [`LeaseSetAuth::Dh`].
    ///
    /// Each call adds a client; they are numbered 0, 1, … automatically. The name is for people:
    /// any text, sent as base64 as I2CP has it, so up to 156 bytes fit. Read by Java I2P and i2pd.
    pub fn lease_set_client_dh(self, name: &str, public_key: &str) -> Self {
        self.client("i2cp.leaseSetClient.dh", name, public_key)
    }

    /// Sets `i2cp.leaseSetClient.psk.N`: adds a client by base64 of the 32-byte key shared with it.
    /// For [`LeaseSetAuth::Psk`].
    ///
    /// Each call adds a client, as with [`lease_set_client_dh`](Self::lease_set_client_dh). Read
    /// by Java I2P and i2pd.
    pub fn lease_set_client_psk(self, name: &str, shared_key: &str) -> Self {
        self.client("i2cp.leaseSetClient.psk", name, shared_key)
    }

    /// Sets `i2cp.leaseSetPrivKey`: base64 of the 32-byte key, X25519 private or shared, with which
    /// this session opens the encrypted lease sets of others.
    ///
    /// A secret. Read by Java I2P and i2pd.
    pub fn lease_set_decryption_key(self, base64: &str) -> Self {
        self.base64("i2cp.leaseSetPrivKey", base64)
    }

    /// Sets `i2cp.leaseSetSecret`: base64 of a secret that blinds the address of an encrypted lease
    /// set. Clients that do not know it cannot look the lease set up.
    ///
    /// Default: none. Read by Java I2P only.
    pub fn lease_set_secret(self, base64: &str) -> Self {
        self.base64("i2cp.leaseSetSecret", base64)
    }

    /// Sets `i2cp.leaseSetBlindedType`: the signature type of the blinded key of an encrypted lease
    /// set.
    ///
    /// Default: derived from the type of the session's own key; RedDSA for Ed25519 and RedDSA. Read
    /// by Java
    /// I2P only.
    pub fn lease_set_blinded_type(self, kind: SignatureType) -> Self {
        self.put("i2cp.leaseSetBlindedType", Ok(kind.code().to_string()))
    }

    /// Sets `i2cp.dontPublishLeaseSet`: if true, the network's database does not get the lease set.
    ///
    /// Default: false. Use true for sessions that only dial: no peer can dial them then, but peers
    /// that they dial can still reply. Read by Java I2P and i2pd.
    pub fn dont_publish_lease_set(self, hidden: bool) -> Self {
        self.flag("i2cp.dontPublishLeaseSet", hidden)
    }

    /// Sets `shouldBundleReplyInfo`: if true, messages sometimes carry this session's lease set, so
    /// that peers need not look it up to reply.
    ///
    /// Default: true. False saves bandwidth if no reply is needed. Read by Java I2P only.
    pub fn bundle_reply_info(self, bundle: bool) -> Self {
        self.flag("shouldBundleReplyInfo", bundle)
    }

    /// Sets `i2cp.leaseSetPrivateKey`: keeps the lease set's encryption keys over restarts, each as
    /// its type and base64 of the private key.
    ///
    /// Default: new keys for each session. They are as secret as the session's own private key. An
    /// ElGamal key is too long for an option and is refused. Read by Java I2P only.
    pub fn lease_set_private_keys(self, keys: &[(EncryptionType, &str)]) -> Self {
        let typed = keys.iter().map(|(kind, key)| typed_key(kind.code(), key));
        let list = typed.collect::<Result<Vec<_>, _>>();
        self.put("i2cp.leaseSetPrivateKey", list.map(|keys| keys.join(",")))
    }

    /// Sets `i2cp.leaseSetSigningPrivateKey`: keeps the lease set's signing key over restarts, as
    /// its type and base64 of the private key.
    ///
    /// Only lease sets of the [`Old`](LeaseSetType::Old) type have one. It is as secret as the
    /// session's own private key. Read by Java I2P only.
    pub fn lease_set_signing_private_key(self, kind: SignatureType, base64: &str) -> Self {
        self.put(
            "i2cp.leaseSetSigningPrivateKey",
            typed_key(kind.code(), base64),
        )
    }

    /// Sets `i2cp.encryptLeaseSet`: encrypts the lease set in the old style, with
    /// [`lease_set_key`](Self::lease_set_key).
    ///
    /// Superseded by [`LeaseSetType::Encrypted`]. Default: false. Read by Java I2P only.
    pub fn encrypt_lease_set(self, encrypt: bool) -> Self {
        self.flag("i2cp.encryptLeaseSet", encrypt)
    }

    /// Sets `i2cp.leaseSetKey`: base64 of the 32-byte key for
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

/// Returns the name in base64, which contains neither the colon nor the blank that would end it.
fn client_name(option: &str, name: &str) -> Result<String, CommandFault> {
    check_value(option, name).map_err(|error| error.fault())?;
    Ok(base64_encode(name.as_bytes()))
}

fn typed_key(code: impl Into<u16>, key: &str) -> Result<String, CommandFault> {
    Ok(format!("{}:{}", code.into(), base64(key)?))
}
