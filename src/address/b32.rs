//! Addresses that end in `.b32.i2p`: hashes (52 characters) and encrypted lease sets (56 or more).

use std::fmt;
use std::str::FromStr;

use super::encoding::{
    Cursor, base32_decode, base32_encode, base32_encode_into, base64_decode, crc32,
};
use super::error::AddressError;
use super::signature::SignatureType;

const SUFFIX: &str = ".b32.i2p";
/// The number of characters in a hash; the address of an encrypted lease set is longer.
const HASH_LABEL_LEN: usize = 52;
const B33_LABEL_MIN: usize = 56;

const FLAG_TWO_BYTE_TYPES: u8 = 1;
const FLAG_SECRET: u8 = 2;
const FLAG_CLIENT_KEY: u8 = 4;
const KNOWN_FLAGS: u8 = FLAG_TWO_BYTE_TYPES | FLAG_SECRET | FLAG_CLIENT_KEY;

/// The short address of a [`Destination`](crate::Destination): base32 of its SHA-256, then `.b32.i2p`.
///
/// It has 52 characters and the suffix. It is printed in lower case and read in either case. The
/// router finds the full destination by this address as long as the service is online.
///
/// # Examples
///
/// ```
/// use i2p_sam::B32;
///
/// let text = "a4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dq.b32.i2p";
/// let address: B32 = text.to_uppercase().parse()?;
/// assert_eq!(address.to_string(), text);
/// assert_eq!(address.hash(), [7; 32]);
/// # Ok::<(), i2p_sam::AddressError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct B32 {
    hash: [u8; 32],
}

impl B32 {
    /// Returns the address of the destination with this SHA-256.
    ///
    /// # Examples
    ///
    /// ```
    /// let address = i2p_sam::B32::from_hash([0; 32]);
    /// assert_eq!(address.to_string(), format!("{}.b32.i2p", "a".repeat(52)));
    /// ```
    pub fn from_hash(hash: [u8; 32]) -> Self {
        Self { hash }
    }

    /// Reads the base64 form of a destination's SHA-256: 44 characters.
    ///
    /// A DATAGRAM3 names its sender in this form.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidBase64`](AddressError::InvalidBase64) or
    /// [`Base64Length`](AddressError::Base64Length).
    ///
    /// # Examples
    ///
    /// ```
    /// use i2p_sam::B32;
    ///
    /// let sender = B32::from_base64("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")?;
    /// assert_eq!(sender, B32::from_hash([0; 32]));
    /// # Ok::<(), i2p_sam::AddressError>(())
    /// ```
    pub fn from_base64(text: &str) -> Result<Self, AddressError> {
        let hash = base64_decode(text)?;
        match hash.try_into() {
            Ok(hash) => Ok(Self { hash }),
            Err(_) => Err(AddressError::Base64Length { length: text.len() }),
        }
    }

    /// Returns the SHA-256 of the destination.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }
}

/// Writes the address without an allocation.
impl fmt::Display for B32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; HASH_LABEL_LEN + SUFFIX.len()];
        let (label, suffix) = text.split_at_mut(HASH_LABEL_LEN);
        base32_encode_into(&self.hash, label);
        suffix.copy_from_slice(SUFFIX.as_bytes());
        f.pad(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for B32 {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let label = label_of(text)?;
        if label.len() != HASH_LABEL_LEN {
            return Err(wrong_length(label));
        }
        let bytes = decode_label(label)?;
        let hash = bytes.try_into().map_err(|_| wrong_length(label))?;
        Ok(Self { hash })
    }
}

/// The address of an encrypted lease set ("b33"): 56 or more characters and `.b32.i2p`.
///
/// It contains the public signing key instead of a hash, because a client needs that key to find
/// and decrypt the lease set. Its flags state what else the client needs (specification, "B32 for
/// Encrypted Leasesets"). The flags and types at the start are mixed with a CRC-32 of the key, so a
/// typing error in the key makes them invalid. To detect such errors, only flags and
/// [`SignatureType`]s that this crate knows are accepted. The two-byte form of the types is read,
/// although no router writes it.
///
/// # Examples
///
/// ```
/// use i2p_sam::{B33, SignatureType};
///
/// let text = "yme6uy5xfgm6dp2wwyox5trojra6sdavhu5gyceesjad6xatmcs7o6qg.b32.i2p";
/// let address: B33 = text.parse()?;
/// assert_eq!(address.signature_type(), SignatureType::Ed25519);
/// assert_eq!(address.blinded_type(), SignatureType::RedDsa);
/// assert!(!address.secret_required());
/// # Ok::<(), i2p_sam::AddressError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct B33 {
    flags: u8,
    signature_type: SignatureType,
    blinded_type: SignatureType,
    public_key: Vec<u8>,
}

impl B33 {
    /// Returns the address of a service with this key, if keys of its type can be blinded.
    pub(super) fn blinding(signature_type: SignatureType, public_key: &[u8]) -> Option<Self> {
        let can_be = matches!(
            signature_type,
            SignatureType::Ed25519 | SignatureType::RedDsa
        );
        can_be.then(|| Self {
            flags: 0,
            signature_type,
            blinded_type: SignatureType::RedDsa,
            public_key: public_key.to_vec(),
        })
    }

    /// Returns the same address with the flag that a [secret](Self::secret_required) is required.
    #[must_use]
    pub fn with_secret(mut self) -> Self {
        self.flags |= FLAG_SECRET;
        self
    }

    /// Returns the same address with the flag that a [client key](Self::client_key_required) is
    /// required.
    #[must_use]
    pub fn with_client_key(mut self) -> Self {
        self.flags |= FLAG_CLIENT_KEY;
        self
    }

    /// Returns true if the client needs a secret as well: session option `i2cp.leaseSetSecret`.
    pub fn secret_required(&self) -> bool {
        self.flags & FLAG_SECRET != 0
    }

    /// Returns true if the service accepts only clients whose keys it knows: session option
    /// `i2cp.leaseSetPrivKey`.
    pub fn client_key_required(&self) -> bool {
        self.flags & FLAG_CLIENT_KEY != 0
    }

    /// Returns the signature type of the service's destination: Ed25519 or RedDSA so far.
    pub fn signature_type(&self) -> SignatureType {
        self.signature_type
    }

    /// Returns the signature type of the blinded key: RedDSA so far.
    pub fn blinded_type(&self) -> SignatureType {
        self.blinded_type
    }

    /// Returns the public signing key of the service, not blinded. Its length is that of its
    /// [type](Self::signature_type).
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// Returns true if both are addresses of the same service. The flags are not compared.
    pub(super) fn is_same_service(&self, other: &Self) -> bool {
        (self.signature_type, &self.public_key) == (other.signature_type, &other.public_key)
    }

    fn to_label(&self) -> String {
        let [blinded_high, blinded_low] = self.blinded_type.code().to_be_bytes();
        let [high, low] = self.signature_type.code().to_be_bytes();
        let mut plain = vec![self.flags];
        if self.flags & FLAG_TWO_BYTE_TYPES != 0 {
            plain.extend([high, low, blinded_high, blinded_low]);
        } else {
            plain.extend([low, blinded_low]);
        }
        plain.extend(&self.public_key);
        mix_with_crc(&mut plain);
        base32_encode(&plain)
    }
}

impl fmt::Display for B33 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&(self.to_label() + SUFFIX))
    }
}

impl FromStr for B33 {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let label = label_of(text)?;
        if label.len() < B33_LABEL_MIN {
            return Err(wrong_length(label));
        }
        let mut bytes = decode_label(label)?;
        mix_with_crc(&mut bytes);
        read_b33(&bytes).ok_or(AddressError::B33Checksum)
    }
}

/// A `.b32.i2p` address of either kind; the length determines which.
pub(super) enum AnyB32 {
    Hash(B32),
    Encrypted(B33),
}

impl FromStr for AnyB32 {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if label_of(text)?.len() >= B33_LABEL_MIN {
            return text.parse().map(Self::Encrypted);
        }
        text.parse().map(Self::Hash)
    }
}

/// Returns true if the text ends like one of these addresses and is therefore no host name.
pub(super) fn is_b32(text: &str) -> bool {
    without_suffix(text, SUFFIX).is_some() || text.eq_ignore_ascii_case("b32.i2p")
}

/// Returns true if the text lacks only the suffix of one of these addresses.
pub(super) fn is_b32_label(text: &str) -> bool {
    text.len() >= HASH_LABEL_LEN && format!("{text}{SUFFIX}").parse::<AnyB32>().is_ok()
}

/// Returns the text before `suffix`, which may be in either case.
pub(super) fn without_suffix<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let at = text.len().checked_sub(suffix.len())?;
    let (label, end) = text.split_at_checked(at)?;
    end.eq_ignore_ascii_case(suffix).then_some(label)
}

fn label_of(text: &str) -> Result<&str, AddressError> {
    without_suffix(text, SUFFIX).ok_or(AddressError::NotAnAddress { length: text.len() })
}

fn decode_label(label: &str) -> Result<Vec<u8>, AddressError> {
    base32_decode(label).map_err(|offset| AddressError::InvalidBase32 { offset })
}

fn wrong_length(label: &str) -> AddressError {
    AddressError::B32Length {
        length: label.len(),
    }
}

/// Mixes the first three bytes with the checksum of the rest. A second call restores them.
fn mix_with_crc(bytes: &mut [u8]) {
    let Some((head, rest)) = bytes.split_at_mut_checked(3) else {
        return;
    };
    for (byte, crc) in head.iter_mut().zip(crc32(rest).to_le_bytes()) {
        *byte ^= crc;
    }
}

fn read_b33(plain: &[u8]) -> Option<B33> {
    let mut cursor = Cursor::new(plain);
    let flags = cursor.u8()?;
    if flags & !KNOWN_FLAGS != 0 {
        return None;
    }
    let mut read_type = || {
        let code = if flags & FLAG_TWO_BYTE_TYPES != 0 {
            cursor.u16()?
        } else {
            u16::from(cursor.u8()?)
        };
        SignatureType::from_code(code)
    };
    let (signature_type, blinded_type) = (read_type()?, read_type()?);
    let public_key = cursor.rest();
    (public_key.len() == signature_type.public_key_len()).then(|| B33 {
        flags,
        signature_type,
        blinded_type,
        public_key: public_key.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::tests::pattern;
    use super::*;

    // Generated with Python: zlib.crc32 and base64.b32encode over the key pattern(32, 7).
    const B33_PLAIN: &str = "yme6uy5xfgm6dp2wwyox5trojra6sdavhu5gyceesjad6xatmcs7o6qg.b32.i2p";
    const B33_SECRET: &str = "yee6uy5xfgm6dp2wwyox5trojra6sdavhu5gyceesjad6xatmcs7o6qg.b32.i2p";
    const B33_CLIENT: &str = "y4c6uy5xfgm6dp2wwyox5trojra6sdavhu5gyceesjad6xatmcs7o6qg.b32.i2p";
    const B33_TWO_BYTE: &str =
        "redwgaalmo3stgpbx5llmhl6zyxeyqpjbqkt2otmbccjeqb7lqjwbjpxpida.b32.i2p";
    const B33_UNKNOWN_FLAG: &str =
        "zme6uy5xfgm6dp2wwyox5trojra6sdavhu5gyceesjad6xatmcs7o6qg.b32.i2p";
    const B33_UNKNOWN_TYPE: &str =
        "ymd6uy5xfgm6dp2wwyox5trojra6sdavhu5gyceesjad6xatmcs7o6qg.b32.i2p";
    const B33_WRONG_KEY_LENGTH: &str =
        "m3elmy5xfgm6dp2wwyox5trojra6sdavhu5gyceesjad6xatmcs7o6qgmfrggzdf.b32.i2p";

    #[test]
    fn hash_round_trips_through_text() {
        let hash = pattern(32, 1).try_into().unwrap();
        let address = B32::from_hash(hash);
        assert_eq!(address.hash(), hash);
        assert_eq!(address.to_string().parse(), Ok(address));
        assert_eq!(address.to_string().to_uppercase().parse(), Ok(address));
    }

    #[test]
    fn hash_with_stray_bits_is_refused() {
        let text = format!("{}b.b32.i2p", "a".repeat(51));
        let error = AddressError::InvalidBase32 { offset: 51 };
        assert_eq!(text.parse::<B32>(), Err(error));
    }

    #[test]
    fn other_lengths_are_refused() {
        for length in (0..52).chain(53..56) {
            let text = format!("{}.b32.i2p", "a".repeat(length));
            let error = AddressError::B32Length { length };
            assert_eq!(text.parse::<B32>(), Err(error.clone()));
            assert_eq!(text.parse::<B33>(), Err(error));
        }
    }

    #[test]
    fn base64_hash_has_44_characters() {
        let hash = [0xff; 32];
        let text = super::super::encoding::base64_encode(&hash);
        assert_eq!(text.len(), 44);
        assert_eq!(B32::from_base64(&text), Ok(B32::from_hash(hash)));
        assert_eq!(
            B32::from_base64("AAAA"),
            Err(AddressError::Base64Length { length: 4 })
        );
    }

    #[test]
    fn b33_has_key_and_types() {
        let address: B33 = B33_PLAIN.parse().unwrap();
        assert_eq!(address.public_key(), pattern(32, 7));
        assert_eq!(address.signature_type(), SignatureType::Ed25519);
        assert_eq!(address.blinded_type(), SignatureType::RedDsa);
        assert!(!address.secret_required());
        assert!(!address.client_key_required());
    }

    #[test]
    fn b33_flags_name_required_secrets() {
        let secret: B33 = B33_SECRET.parse().unwrap();
        assert!(secret.secret_required() && !secret.client_key_required());
        let client: B33 = B33_CLIENT.parse().unwrap();
        assert!(!client.secret_required() && client.client_key_required());
    }

    #[test]
    fn b33_is_derived_from_key() {
        let address = B33::blinding(SignatureType::Ed25519, &pattern(32, 7)).unwrap();
        assert_eq!(address.to_string(), B33_PLAIN);
        assert_eq!(address.clone().with_secret().to_string(), B33_SECRET);
        assert!(address.with_client_key().client_key_required());
        assert_eq!(B33::blinding(SignatureType::DsaSha1, &[0; 128]), None);
    }

    #[test]
    fn two_byte_types_parse() {
        let address: B33 = B33_TWO_BYTE.parse().unwrap();
        assert_eq!(address.signature_type(), SignatureType::RedDsa);
        assert_eq!(address.public_key(), pattern(32, 7));
    }

    #[test]
    fn every_b33_round_trips() {
        for text in [B33_PLAIN, B33_SECRET, B33_CLIENT, B33_TWO_BYTE] {
            assert_eq!(text.parse::<B33>().unwrap().to_string(), text);
            let shouted = text.to_uppercase();
            assert_eq!(shouted.parse::<B33>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn b33_with_unknown_fields_is_refused() {
        for text in [B33_UNKNOWN_FLAG, B33_UNKNOWN_TYPE, B33_WRONG_KEY_LENGTH] {
            assert_eq!(text.parse::<B33>(), Err(AddressError::B33Checksum));
        }
    }

    #[test]
    fn every_single_typo_is_detected() {
        for at in 0..56 {
            for other in "abcdefghijklmnopqrstuvwxyz234567".chars() {
                let typed: String = (B33_PLAIN.chars().enumerate())
                    .map(|(i, c)| if i == at { other } else { c })
                    .collect();
                if let Ok(address) = typed.parse::<B33>() {
                    // The flags and types have no checksum of their own: one bit requires a secret.
                    assert_eq!(address.public_key(), pattern(32, 7), "{typed}");
                }
            }
        }
    }

    #[test]
    fn arbitrary_label_never_panics() {
        for len in 0..200 {
            let text = base32_encode(&pattern(len, len as u32)) + SUFFIX;
            let _ = text.parse::<B32>();
            let _ = text.parse::<B33>();
        }
    }
}
