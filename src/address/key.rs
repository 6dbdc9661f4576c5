//! A service's private key: never printed, and compared without stopping at the first difference.

use std::fmt;
use std::hint::black_box;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::destination::Destination;
use super::encoding::{Cursor, base64_decode_wiped, base64_encode};
use super::key_error::KeyError;
use super::signature::SignatureType;
use super::wiped::Wiped;

/// Bytes of the encryption private key, used or unused.
const ENCRYPTION_KEY_LEN: usize = 256;
/// The length that some tools write instead for [`CRYPTO_X25519`].
const X25519_KEY_LEN: usize = 32;
const CRYPTO_X25519: u16 = 4;

/// The private key of a destination: any program that has it can act as the service.
///
/// It consists of the bytes that routers exchange as `DESTINATION=` at session creation and as
/// `PRIV=`: the [`Destination`], an encryption private key (256 bytes and unused; 32 in some tools'
/// files with crypto type 4), the signing private key, and, if that one is all zeros, an [offline
/// signature](OfflineSignature). An Ed25519 key has 679 bytes, or 908 characters of base64.
///
/// Nothing prints it: there is no `Display`, and `Debug` shows only the `.b32.i2p` address. Only
/// [`expose_bytes`](Self::expose_bytes) and [`expose_base64`](Self::expose_base64) return the
/// bytes. Two keys are compared without stopping at the first difference. A clone costs one
/// reference count.
///
/// # Memory
///
/// With the feature `zeroize`, the memory is overwritten when the last clone of the key is dropped, and so are
/// the buffers of this crate through which a key passes: its base64 text, the command and the reply that
/// contain it, the content of a key file. Without the feature, nothing is overwritten.
///
/// The feature cannot reach other copies: those in the kernel (socket buffers, the page cache, swap), in the
/// router, in registers, in the program's own buffers (the results of [`expose_base64`](Self::expose_base64),
/// a text that was parsed), in memory from which a value was moved, in the message of a router that repeats a
/// key, in the `testing` bridge, and in a core dump. A process that is killed overwrites nothing. If you need
/// more protection, keep the long-term key off the machine and use an offline signature.
///
/// # Examples
///
/// ```
/// use i2p_sam::{PrivateKey, SignatureType};
///
/// # let mut bytes = [7; 679];
/// # bytes[384..391].copy_from_slice(&[5, 0, 4, 0, 7, 0, 0]);
/// # let base64 = PrivateKey::from_bytes(&bytes).unwrap().expose_base64();
/// let key: PrivateKey = base64.parse()?;
/// assert_eq!(key.signature_type(), SignatureType::Ed25519);
/// assert_eq!(format!("{key:?}"), format!("PrivateKey({})", key.destination().b32()));
/// # Ok::<(), i2p_sam::KeyError>(())
/// ```
#[derive(Clone)]
pub struct PrivateKey {
    bytes: Arc<Wiped<Box<[u8]>>>,
    destination: Destination,
    signature_type: SignatureType,
    offline: Option<OfflineSignature>,
}

impl PrivateKey {
    /// Reads the binary form: exactly one key with nothing after it.
    ///
    /// Types and lengths are checked. Only the router finds out whether the private and the public part
    /// belong together, and whether an offline signature is genuine. (With crypto type 4 the encryption
    /// key may have 256 bytes or 32, so one truncation is not detected: a long key cut after
    /// exactly 64 private bytes has the length of the short form.)
    ///
    /// # Errors
    ///
    /// Returns a [`KeyError`] that names the invalid part; it contains no byte of the key.
    ///
    /// # Examples
    ///
    /// ```
    /// use i2p_sam::{KeyError, PrivateKey};
    ///
    /// // A destination alone is not a key.
    /// assert_eq!(PrivateKey::from_bytes(&[0; 387]), Err(KeyError::PublicOnly));
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let (destination, private) =
            Destination::split_from(bytes).map_err(KeyError::Destination)?;
        if private.is_empty() {
            return Err(KeyError::PublicOnly);
        }
        let signature_type = destination
            .signature_type()
            .ok_or(KeyError::UnsupportedSignatureType)?;
        let public_len = destination.as_bytes().len();
        let read =
            |encryption_len| read_private_part(private, public_len, encryption_len, signature_type);
        let mut offline = read(ENCRYPTION_KEY_LEN);
        if offline.is_err() && destination.crypto_type_code() == CRYPTO_X25519 {
            offline = read(X25519_KEY_LEN).or(offline);
        }
        Ok(Self {
            offline: offline?,
            bytes: Arc::new(Wiped::new(bytes.into())),
            destination,
            signature_type,
        })
    }

    /// Reads the base64 text that routers send: 884 characters or more.
    ///
    /// The alphabet is I2P's (`-` and `~` for `+` and `/`), the padding is required, and white
    /// space is not skipped. (A [key file](Self::load) may end in a newline.)
    ///
    /// # Errors
    ///
    /// Returns [`InvalidBase64`](KeyError::InvalidBase64) or
    /// [`Base64Length`](KeyError::Base64Length), and every error of
    /// [`from_bytes`](Self::from_bytes).
    ///
    /// # Examples
    ///
    /// ```
    /// use i2p_sam::{KeyError, PrivateKey};
    ///
    /// let error = PrivateKey::from_base64("AA/A").unwrap_err();
    /// assert_eq!(error, KeyError::InvalidBase64 { offset: 2 });
    /// ```
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        Self::from_bytes(&base64_decode_wiped(text)?)
    }

    /// Returns the public part, which may be given to anyone.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let key = i2p_sam::PrivateKey::load("service.key")?;
    /// println!("reach us at {}", key.destination().b32());
    /// # Ok::<(), i2p_sam::KeyFileError>(())
    /// ```
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// Returns the signature type of the destination.
    ///
    /// With an [offline signature](Self::offline_signature) this is the long-term type.
    ///
    /// # Examples
    ///
    /// ```
    /// use i2p_sam::SignatureType;
    /// # let mut bytes = [7; 679];
    /// # bytes[384..391].copy_from_slice(&[5, 0, 4, 0, 7, 0, 0]);
    /// # let key = i2p_sam::PrivateKey::from_bytes(&bytes).unwrap();
    /// assert_eq!(key.signature_type(), SignatureType::Ed25519);
    /// ```
    pub fn signature_type(&self) -> SignatureType {
        self.signature_type
    }

    /// Returns the data of the transient key if the long-term signing key is kept elsewhere.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let key = i2p_sam::PrivateKey::load("service.key")?;
    /// if key.offline_signature().is_some_and(|offline| offline.is_expired()) {
    ///     eprintln!("the transient key is out of date: sign a new one");
    /// }
    /// # Ok::<(), i2p_sam::KeyFileError>(())
    /// ```
    pub fn offline_signature(&self) -> Option<OfflineSignature> {
        self.offline
    }

    /// Returns the whole private key in binary. **Secret: do not log it; send it to your router
    /// only.**
    ///
    /// # Examples
    ///
    /// ```
    /// # let mut bytes = [7; 679];
    /// # bytes[384..391].copy_from_slice(&[5, 0, 4, 0, 7, 0, 0]);
    /// # let key = i2p_sam::PrivateKey::from_bytes(&bytes).unwrap();
    /// assert_eq!(key.expose_bytes().len(), 679);
    /// ```
    pub fn expose_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the whole private key in base64. **Secret: do not log it; send it to your router
    /// only.**
    ///
    /// # Examples
    ///
    /// ```
    /// # let mut bytes = [7; 679];
    /// # bytes[384..391].copy_from_slice(&[5, 0, 4, 0, 7, 0, 0]);
    /// # let key = i2p_sam::PrivateKey::from_bytes(&bytes).unwrap();
    /// assert_eq!(key.expose_base64().len(), 908);
    /// ```
    pub fn expose_base64(&self) -> String {
        base64_encode(&self.bytes)
    }
}

/// Shows the address of the key and nothing of the key itself.
impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.destination.b32())
    }
}

/// Compares all bytes, wherever the first difference is.
impl PartialEq for PrivateKey {
    fn eq(&self, other: &Self) -> bool {
        if self.bytes.len() != other.bytes.len() {
            return false;
        }
        let pairs = self.bytes.iter().zip(other.bytes.iter());
        pairs.fold(0, |difference, (a, b)| black_box(difference | (a ^ b))) == 0
    }
}

impl Eq for PrivateKey {}

impl FromStr for PrivateKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_base64(text)
    }
}

impl TryFrom<&[u8]> for PrivateKey {
    type Error = KeyError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        Self::from_bytes(bytes)
    }
}

/// The transient key of a private key whose long-term signing key is kept elsewhere.
///
/// The long-term key stays off the machine and signs a transient key for a limited time
/// (specification, "Common structures", *Offline signature*). After that time, routers refuse the
/// session, and the tool that made the first transient key must sign a new one. The signature
/// itself is not verified here.
///
/// # Examples
///
/// ```no_run
/// let key = i2p_sam::PrivateKey::load("service.key")?;
/// if let Some(offline) = key.offline_signature() {
///     println!("signs with {} until {:?}", offline.transient_type(), offline.expires());
/// }
/// # Ok::<(), i2p_sam::KeyFileError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfflineSignature {
    expires: u32,
    transient_type: SignatureType,
}

impl OfflineSignature {
    /// Returns the time at which the transient key expires: in whole seconds, no later than the
    /// year 2106.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let key = i2p_sam::PrivateKey::load("service.key")?;
    /// # let offline = key.offline_signature().unwrap();
    /// let left = offline.expires().duration_since(std::time::SystemTime::now());
    /// println!("valid for {left:?}");
    /// # Ok::<(), i2p_sam::KeyFileError>(())
    /// ```
    pub fn expires(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(self.expires))
    }

    /// Returns true if the transient key has expired, by this machine's clock.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let key = i2p_sam::PrivateKey::load("service.key")?;
    /// # let offline = key.offline_signature().unwrap();
    /// assert!(!offline.is_expired(), "sign a new transient key");
    /// # Ok::<(), i2p_sam::KeyFileError>(())
    /// ```
    pub fn is_expired(&self) -> bool {
        self.expires() <= SystemTime::now()
    }

    /// Returns the signature type of the transient key.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let key = i2p_sam::PrivateKey::load("service.key")?;
    /// # let offline = key.offline_signature().unwrap();
    /// assert_eq!(offline.transient_type(), i2p_sam::SignatureType::Ed25519);
    /// # Ok::<(), i2p_sam::KeyFileError>(())
    /// ```
    pub fn transient_type(&self) -> SignatureType {
        self.transient_type
    }
}

/// Reads the bytes after the destination; all of them must be used.
fn read_private_part(
    private: &[u8],
    public_len: usize,
    encryption_len: usize,
    signature_type: SignatureType,
) -> Result<Option<OfflineSignature>, KeyError> {
    let wrong_length = || KeyError::Length {
        expected: public_len + encryption_len + signature_type.private_key_len(),
        found: public_len + private.len(),
    };
    let mut cursor = Cursor::new(private);
    cursor.take(encryption_len).ok_or_else(wrong_length)?;
    let signing_key = cursor
        .take(signature_type.private_key_len())
        .ok_or_else(wrong_length)?;
    if is_blank(signing_key) {
        return read_offline_part(cursor, signature_type)
            .map(Some)
            .ok_or(KeyError::InvalidOfflineSignature);
    }
    if !cursor.rest().is_empty() {
        return Err(wrong_length());
    }
    Ok(None)
}

fn read_offline_part(
    mut cursor: Cursor<'_>,
    long_term_type: SignatureType,
) -> Option<OfflineSignature> {
    let expires = cursor.u32()?;
    let transient_type = SignatureType::from_code(cursor.u16()?)?;
    let public_key = cursor.take(transient_type.public_key_len())?;
    cursor.take(long_term_type.signature_len())?;
    let private_key = cursor.take(transient_type.private_key_len())?;
    // A file of zeros has the form of an offline signature of type 0 but is none.
    let complete = cursor.rest().is_empty() && !is_blank(public_key) && !is_blank(private_key);
    complete.then_some(OfflineSignature {
        expires,
        transient_type,
    })
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |seen, byte| seen | byte) == 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::super::tests::{destination_bytes, ed25519_key, key_bytes, offline_key, pattern};
    use super::*;

    const P521: [u8; 11] = [5, 0, 8, 0, 3, 0, 0, 1, 2, 3, 4];
    const X25519: [u8; 7] = [5, 0, 4, 0, 7, 0, 4];

    #[test]
    fn ed25519_key_has_679_bytes_908_characters() {
        let key = PrivateKey::from_bytes(&ed25519_key(1)).unwrap();
        assert_eq!(key.expose_bytes().len(), 679);
        assert_eq!(key.expose_base64().len(), 908);
        assert_eq!(key.signature_type(), SignatureType::Ed25519);
        assert_eq!(key.destination().as_bytes(), &key.expose_bytes()[..391]);
        assert_eq!(key.offline_signature(), None);
    }

    #[test]
    fn keys_of_known_types_parse() {
        for (certificate, private_len) in [
            (&[0, 0, 0][..], 20),
            (&[5, 0, 4, 0, 0, 0, 0], 20),
            (&[5, 0, 4, 0, 1, 0, 0], 32),
            (&[5, 0, 4, 0, 2, 0, 0], 48),
            (&P521, 66),
            (&[5, 0, 4, 0, 7, 0, 0], 32),
            (&[5, 0, 4, 0, 11, 0, 0], 32),
        ] {
            let bytes = key_bytes(certificate, 256, private_len, 1);
            assert!(PrivateKey::from_bytes(&bytes).is_ok(), "{certificate:?}");
        }
    }

    #[test]
    fn crypto_type_4_allows_both_key_lengths() {
        for encryption_len in [32, 256] {
            let bytes = key_bytes(&X25519, encryption_len, 32, 1);
            assert!(PrivateKey::from_bytes(&bytes).is_ok(), "{encryption_len}");
        }
    }

    #[test]
    fn other_crypto_types_need_long_key() {
        let bytes = key_bytes(&[5, 0, 4, 0, 7, 0, 0], 32, 32, 1);
        assert_eq!(
            PrivateKey::from_bytes(&bytes),
            Err(KeyError::Length {
                expected: 679,
                found: 455
            })
        );
    }

    #[test]
    fn every_truncated_length_is_refused() {
        for bytes in [
            ed25519_key(1),
            key_bytes(&[0, 0, 0], 256, 20, 1),
            key_bytes(&P521, 256, 66, 1),
            key_bytes(&X25519, 32, 32, 1),
            offline_key(&[5, 0, 4, 0, 7, 0, 0], 256),
            offline_key(&X25519, 32),
        ] {
            for len in 0..bytes.len() {
                assert!(PrivateKey::from_bytes(&bytes[..len]).is_err(), "{len}");
            }
        }
    }

    /// With crypto type 4 the long form, cut after 64 bytes, has the length of the short one.
    #[test]
    fn crypto_type_4_has_one_ambiguous_truncation() {
        for bytes in [key_bytes(&X25519, 256, 32, 1), offline_key(&X25519, 256)] {
            let accepted: Vec<_> = (0..bytes.len())
                .filter(|len| PrivateKey::from_bytes(&bytes[..*len]).is_ok())
                .collect();
            assert_eq!(accepted, [391 + 64]);
        }
    }

    #[test]
    fn truncated_blank_key_is_no_offline_signature() {
        let mut bytes = key_bytes(&X25519, 256, 32, 1);
        bytes[391..391 + 256].fill(0);
        for len in 0..bytes.len() {
            assert!(PrivateKey::from_bytes(&bytes[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn surplus_byte_is_refused() {
        for mut bytes in [
            ed25519_key(1),
            key_bytes(&X25519, 32, 32, 1),
            offline_key(&X25519, 32),
            offline_key(&P521, 256),
        ] {
            bytes.push(1);
            assert!(PrivateKey::from_bytes(&bytes).is_err());
        }
    }

    #[test]
    fn destination_alone_is_public_only() {
        let bytes = destination_bytes(&[5, 0, 4, 0, 7, 0, 0]);
        assert_eq!(PrivateKey::from_bytes(&bytes), Err(KeyError::PublicOnly));
    }

    #[test]
    fn key_of_unknown_type_is_refused() {
        let bytes = key_bytes(&[5, 0, 4, 0, 99, 0, 0], 256, 32, 1);
        assert_eq!(
            PrivateKey::from_bytes(&bytes),
            Err(KeyError::UnsupportedSignatureType)
        );
    }

    #[test]
    fn offline_signature_has_expiry_and_type() {
        let key = PrivateKey::from_bytes(&offline_key(&P521, 256)).unwrap();
        let offline = key.offline_signature().unwrap();
        assert_eq!(offline.transient_type(), SignatureType::Ed25519);
        assert_eq!(
            offline.expires(),
            SystemTime::UNIX_EPOCH + Duration::from_secs(0x7000_0001)
        );
        assert!(!offline.is_expired());
        assert_eq!(key.signature_type(), SignatureType::EcdsaSha512P521);
    }

    #[test]
    fn offline_signature_names_transient_key_type() {
        let signing_key_and_signature = [
            &[0; 32][..],
            &[0x70, 0, 0, 1, 0, 1],
            &pattern(64 + 64 + 32, 3),
        ];
        let bytes = [
            key_bytes(&[5, 0, 4, 0, 7, 0, 0], 256, 0, 2),
            signing_key_and_signature.concat(),
        ];
        let key = PrivateKey::from_bytes(&bytes.concat()).unwrap();
        let offline = key.offline_signature().unwrap();
        assert_eq!(offline.transient_type(), SignatureType::EcdsaSha256P256);
    }

    #[test]
    fn past_offline_signature_is_expired() {
        let mut bytes = offline_key(&[5, 0, 4, 0, 7, 0, 0], 256);
        bytes[679..683].copy_from_slice(&1_000_000_000_u32.to_be_bytes());
        let offline = PrivateKey::from_bytes(&bytes).unwrap().offline_signature();
        assert!(offline.unwrap().is_expired());
    }

    #[test]
    fn transient_key_of_unknown_type_is_refused() {
        let mut bytes = offline_key(&[5, 0, 4, 0, 7, 0, 0], 256);
        bytes[684] = 99;
        assert_eq!(
            PrivateKey::from_bytes(&bytes),
            Err(KeyError::InvalidOfflineSignature)
        );
    }

    #[test]
    fn zeros_of_any_length_are_refused() {
        for len in 0..1200 {
            assert!(PrivateKey::from_bytes(&vec![0; len]).is_err(), "{len}");
        }
    }

    #[test]
    fn base64_round_trips() {
        let key = PrivateKey::from_bytes(&ed25519_key(1)).unwrap();
        assert_eq!(key.expose_base64().parse(), Ok(key));
    }

    #[test]
    fn base64_with_newline_is_refused() {
        let mut text = PrivateKey::from_bytes(&ed25519_key(1))
            .unwrap()
            .expose_base64();
        text.push('\n');
        assert!(text.parse::<PrivateKey>().is_err());
    }

    #[test]
    fn keys_differing_anywhere_are_unequal() {
        let bytes = ed25519_key(1);
        let key = PrivateKey::from_bytes(&bytes).unwrap();
        for at in [0, 383, 400, 678] {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert_ne!(PrivateKey::from_bytes(&other).unwrap(), key, "{at}");
        }
        assert_eq!(PrivateKey::from_bytes(&bytes).unwrap(), key);
    }

    #[test]
    fn debug_shows_only_the_address() {
        let key = PrivateKey::from_bytes(&ed25519_key(1)).unwrap();
        let expected = format!("PrivateKey({})", key.destination().b32());
        assert_eq!(format!("{key:?}"), expected);
        assert_eq!(format!("{key:#?}"), expected);
    }

    #[test]
    fn errors_contain_no_key_bytes() {
        let text = PrivateKey::from_bytes(&ed25519_key(1))
            .unwrap()
            .expose_base64();
        let cut = &text[..text.len() - 8];
        let spoilt = text.replacen(&text[600..604], "+/!?", 1);
        for damaged in [cut, &spoilt] {
            let error = damaged.parse::<PrivateKey>().unwrap_err();
            let shown = format!("{error} {error:?}");
            for window in text.as_bytes().windows(8) {
                assert!(!shown.contains(std::str::from_utf8(window).unwrap()));
            }
        }
    }

    #[test]
    fn arbitrary_bytes_after_destination_never_panic() {
        for len in 0..700 {
            let mut bytes = destination_bytes(&X25519);
            bytes.extend(pattern(len, 9));
            let _ = PrivateKey::from_bytes(&bytes);
        }
    }
}
