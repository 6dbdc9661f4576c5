//! The public identity of a service: keys and a certificate, checked.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::b32::{B32, B33};
use super::encoding::{Cursor, base64_decode_wiped, base64_encode, base64_shown};
use super::error::AddressError;
use super::signature::SignatureType;

/// The encryption key (256 bytes) and the signing key (128), which precede the certificate.
const KEYS_LEN: usize = 384;
/// The shortest destination: the keys, and a certificate without payload.
const MIN_LEN: usize = KEYS_LEN + 3;
/// The part of a signing key that fits before the certificate; the rest is in its payload.
const SIGNING_KEY_ROOM: usize = 128;

const CERTIFICATE_NULL: u8 = 0;
const CERTIFICATE_KEY: u8 = 5;

/// A service's public identity, which is also its full address.
///
/// It has 387 bytes or more: an encryption key (256 bytes, unused today), a signing key (128), and
/// a certificate that names their types. An Ed25519 destination, the usual kind, has 391 bytes, or
/// 524 characters of base64. It contains no secret. `Display` and `FromStr` use the base64 text;
/// `Debug` shows the short [`b32`](Self::b32). A clone costs one reference count.
///
/// These rules are checked: the certificate is NULL (and empty) or KEY (specification, "Common
/// structures", *Destination* and *Key certificates*), nothing follows it, and a known signature
/// type has exactly the excess key bytes it needs. A peer may use a signature type that this crate
/// does not know: it is accepted, and [`signature_type`](Self::signature_type) returns `None`.
///
/// # Examples
///
/// ```
/// use i2p_sam::{Destination, SignatureType};
///
/// let mut bytes = [7; 391];
/// bytes[384..].copy_from_slice(&[5, 0, 4, 0, 7, 0, 0]); // KEY certificate, Ed25519
/// let destination = Destination::from_bytes(&bytes)?;
///
/// assert_eq!(destination.signature_type(), Some(SignatureType::Ed25519));
/// assert_eq!(destination.to_base64().parse::<Destination>()?, destination);
/// assert!(destination.to_base64().ends_with("BQAEAAcAAA=="));
/// # Ok::<(), i2p_sam::AddressError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Destination {
    bytes: Arc<[u8]>,
    signature_type: u16,
    crypto_type: u16,
}

impl Destination {
    /// Reads the binary form: exactly one destination with nothing after it.
    ///
    /// # Errors
    ///
    /// Returns [`Truncated`](AddressError::Truncated),
    /// [`InvalidCertificate`](AddressError::InvalidCertificate), or
    /// [`TrailingBytes`](AddressError::TrailingBytes), which a private key causes.
    ///
    /// # Examples
    ///
    /// ```
    /// use i2p_sam::{AddressError, Destination};
    ///
    /// // All zeros: a NULL certificate and therefore a DSA key, the oldest kind.
    /// assert!(Destination::from_bytes(&[0; 387]).is_ok());
    ///
    /// let error = Destination::from_bytes(&[0; 388]).unwrap_err();
    /// assert_eq!(error, AddressError::TrailingBytes { expected: 387, found: 388 });
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AddressError> {
        let (destination, rest) = Self::split_from(bytes)?;
        if !rest.is_empty() {
            return Err(AddressError::TrailingBytes {
                expected: destination.bytes.len(),
                found: bytes.len(),
            });
        }
        Ok(destination)
    }

    /// Reads the base64 text (516 characters or more) that routers and address books use.
    ///
    /// The alphabet is I2P's (`-` and `~` for `+` and `/`), the padding is required, and white
    /// space is not skipped: one destination has exactly one text.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidBase64`](AddressError::InvalidBase64) or
    /// [`Base64Length`](AddressError::Base64Length), and every error of
    /// [`from_bytes`](Self::from_bytes).
    ///
    /// # Examples
    ///
    /// ```
    /// use i2p_sam::{AddressError, Destination};
    ///
    /// let destination = Destination::from_base64(&"A".repeat(516))?;
    /// assert_eq!(destination.as_bytes(), [0; 387]);
    ///
    /// let error = Destination::from_base64("AA+A").unwrap_err();
    /// assert_eq!(error, AddressError::InvalidBase64 { offset: 2 });
    /// # Ok::<(), AddressError>(())
    /// ```
    pub fn from_base64(text: &str) -> Result<Self, AddressError> {
        Self::from_bytes(&base64_decode_wiped(text)?)
    }

    /// Returns the base64 text that routers use: 516 characters or more.
    pub fn to_base64(&self) -> String {
        base64_encode(&self.bytes)
    }

    /// Returns a value that displays the base64 text without an allocation.
    pub(super) fn shown(&self) -> impl fmt::Display {
        base64_shown(&self.bytes)
    }

    /// Returns the binary form: 387 bytes or more.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the SHA-256 of the binary form, by which the network finds the destination.
    ///
    /// Each call computes it.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.bytes).into()
    }

    /// Returns the short address: base32 of the [`hash`](Self::hash) and `.b32.i2p`, 60 characters.
    ///
    /// Use it to show, log and compare destinations: everything that names this destination has the
    /// same `B32`, which is also a small key for a map. A program that knows only this address can
    /// dial the destination as long as it is online.
    ///
    /// # Examples
    ///
    /// ```
    /// # let destination = i2p_sam::Destination::from_bytes(&[0; 387]).unwrap();
    /// let address = destination.b32().to_string();
    /// assert_eq!(address.len(), 60);
    /// assert!(address.ends_with(".b32.i2p"));
    /// ```
    pub fn b32(&self) -> B32 {
        B32::from_hash(self.hash())
    }

    /// Returns the address of the *encrypted* lease set, or `None` if the key cannot be blinded.
    /// Ed25519 and RedDSA keys can.
    ///
    /// A session publishes an encrypted lease set if
    /// [`LeaseSetType::Encrypted`](crate::LeaseSetType::Encrypted) is set; its [`b32`](Self::b32)
    /// finds nothing then. If clients need a secret or a key of their own as well, add
    /// [`B33::with_secret`] and [`B33::with_client_key`].
    ///
    /// # Examples
    ///
    /// ```
    /// use i2p_sam::{Destination, I2pAddr};
    ///
    /// # let mut bytes = [7; 391];
    /// # bytes[384..].copy_from_slice(&[5, 0, 4, 0, 7, 0, 0]);
    /// # let destination = Destination::from_bytes(&bytes)?;
    /// let address = destination.b33().expect("an Ed25519 key").to_string();
    /// assert_eq!(address.len(), 56 + ".b32.i2p".len());
    /// assert!(address.parse::<I2pAddr>().is_ok());
    /// # Ok::<(), i2p_sam::AddressError>(())
    /// ```
    pub fn b33(&self) -> Option<B33> {
        let signature_type = self.signature_type()?;
        // Both have 32 bytes, right-aligned before the certificate.
        let start = KEYS_LEN.checked_sub(signature_type.public_key_len())?;
        B33::blinding(signature_type, self.bytes.get(start..KEYS_LEN)?)
    }

    /// Returns true if this is an address of the destination. The flags are not compared.
    pub(crate) fn has_b33(&self, address: &B33) -> bool {
        self.b33().is_some_and(|own| own.is_same_service(address))
    }

    /// Returns the signature type, or `None` if this crate does not know it.
    ///
    /// # Examples
    ///
    /// ```
    /// use i2p_sam::SignatureType;
    /// # let destination = i2p_sam::Destination::from_bytes(&[0; 387]).unwrap();
    ///
    /// assert_eq!(destination.signature_type(), Some(SignatureType::DsaSha1));
    /// ```
    pub fn signature_type(&self) -> Option<SignatureType> {
        SignatureType::from_code(self.signature_type)
    }

    /// Returns the number of the signature type, known or unknown; 0 for a NULL certificate.
    pub fn signature_type_code(&self) -> u16 {
        self.signature_type
    }

    /// Returns the number of the encryption key's type: 0 (ElGamal) or, rarely, 4 (X25519).
    ///
    /// The key itself is unused today, and the number does not determine how traffic is encrypted:
    /// `i2cp.leaseSetEncType` does.
    pub fn crypto_type_code(&self) -> u16 {
        self.crypto_type
    }

    /// Reads the destination at the start of `bytes`, and returns the bytes after it.
    pub(super) fn split_from(bytes: &[u8]) -> Result<(Self, &[u8]), AddressError> {
        let truncated = |expected| AddressError::Truncated {
            expected,
            found: bytes.len(),
        };
        let mut cursor = Cursor::new(bytes);
        let (kind, payload_len) = certificate_header(&mut cursor).ok_or(truncated(MIN_LEN))?;
        // Check the certificate before its length: bytes that are no certificate have no valid
        // length.
        let well_formed = match kind {
            CERTIFICATE_NULL => payload_len == 0,
            CERTIFICATE_KEY => payload_len >= 4,
            _ => false,
        };
        if !well_formed {
            return Err(AddressError::InvalidCertificate);
        }
        let len = MIN_LEN + payload_len;
        let payload = cursor.take(payload_len).ok_or(truncated(len))?;
        let (signature_type, crypto_type) = key_types(payload)?;
        let bytes = bytes.get(..len).ok_or(truncated(len))?;
        let destination = Self {
            bytes: bytes.into(),
            signature_type,
            crypto_type,
        };
        Ok((destination, cursor.rest()))
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Destination({})", self.b32())
    }
}

/// Writes the base64 text; for the short form see [`b32`](Destination::b32).
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_base64())
    }
}

impl FromStr for Destination {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_base64(text)
    }
}

impl TryFrom<&[u8]> for Destination {
    type Error = AddressError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        Self::from_bytes(bytes)
    }
}

impl From<&Destination> for B32 {
    fn from(destination: &Destination) -> Self {
        destination.b32()
    }
}

/// Skips the keys and reads the certificate's type and the length of its payload.
fn certificate_header(cursor: &mut Cursor<'_>) -> Option<(u8, usize)> {
    cursor.take(KEYS_LEN)?;
    Some((cursor.u8()?, usize::from(cursor.u16()?)))
}

/// Reads the signature and crypto type from a certificate's payload; an empty payload means the old
/// defaults.
fn key_types(payload: &[u8]) -> Result<(u16, u16), AddressError> {
    if payload.is_empty() {
        return Ok((SignatureType::DsaSha1.code(), 0));
    }
    let mut cursor = Cursor::new(payload);
    let (Some(signature_type), Some(crypto_type)) = (cursor.u16(), cursor.u16()) else {
        return Err(AddressError::InvalidCertificate);
    };
    if let Some(known) = SignatureType::from_code(signature_type) {
        // More bytes than the key needs would give one service many addresses.
        let excess = known.public_key_len().saturating_sub(SIGNING_KEY_ROOM);
        if cursor.rest().len() != excess {
            return Err(AddressError::InvalidCertificate);
        }
    }
    Ok((signature_type, crypto_type))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::super::tests::{destination_bytes, ed25519, pattern};
    use super::*;

    #[test]
    fn ed25519_destination_has_391_bytes_524_characters() {
        let destination = Destination::from_bytes(&ed25519()).unwrap();
        assert_eq!(destination.as_bytes().len(), 391);
        assert_eq!(destination.to_base64().len(), 524);
        assert!(destination.to_base64().ends_with("BQAEAAcAAA=="));
        assert_eq!(destination.signature_type(), Some(SignatureType::Ed25519));
        assert_eq!(destination.crypto_type_code(), 0);
    }

    #[test]
    fn null_certificate_means_dsa() {
        let destination = Destination::from_bytes(&destination_bytes(&[0, 0, 0])).unwrap();
        assert_eq!(destination.as_bytes().len(), 387);
        assert_eq!(destination.to_base64().len(), 516);
        assert_eq!(destination.signature_type(), Some(SignatureType::DsaSha1));
    }

    #[test]
    fn p521_destination_has_four_excess_bytes() {
        let bytes = destination_bytes(&[5, 0, 8, 0, 3, 0, 0, 1, 2, 3, 4]);
        let destination = Destination::from_bytes(&bytes).unwrap();
        assert_eq!(
            destination.signature_type(),
            Some(SignatureType::EcdsaSha512P521)
        );
    }

    #[test]
    fn b32_and_hash_match_another_implementation() {
        // Generated with Python: hashlib.sha256, base64.b32encode.
        for (certificate, hash, b32) in [
            (
                &[5, 0, 4, 0, 7, 0, 0][..],
                "97a519171a7485c943189d2e69788139bee9b29802b5fb815a5b6f5237c2fe8e",
                "s6srsfy2osc4sqyytuxgs6ebhg7otmuyak27xak2lnxven6c72ha.b32.i2p",
            ),
            (
                &[0, 0, 0],
                "1556017cfc497e52270024e5fc3559bc2e4158e5ab5df62aa6db44834dafd28f",
                "cvlac7h4jf7fejyaets7ynkzxqxecwhfvno7mkvg3ncigtnp2khq.b32.i2p",
            ),
        ] {
            let destination = Destination::from_bytes(&destination_bytes(certificate)).unwrap();
            let hex: String = destination.hash().map(|b| format!("{b:02x}")).concat();
            assert_eq!(hex, hash);
            assert_eq!(destination.b32().to_string(), b32);
        }
    }

    #[test]
    fn b33_matches_destination_by_key_and_type() {
        let destination = |seed, signature_type| {
            let certificate = [5, 0, 4, 0, signature_type, 0, 0];
            let bytes = [&pattern(384, seed), &certificate[..]].concat();
            Destination::from_bytes(&bytes).unwrap()
        };
        let own = destination(1, 7);
        let address = own.b33().unwrap();
        assert!(own.has_b33(&address));
        assert!(own.has_b33(&address.clone().with_secret().with_client_key()));
        assert!(!destination(1, 11).has_b33(&address), "RedDSA");
        assert!(!destination(2, 7).has_b33(&address), "another key");
        assert!(
            !destination(1, 0).has_b33(&address),
            "a key that cannot be blinded"
        );
    }

    #[test]
    fn base64_matches_another_implementation() {
        // Generated with Python: base64.b64encode(…, altchars=b"-~").
        let text = Destination::from_bytes(&ed25519()).unwrap().to_base64();
        assert!(text.starts_with("PF6BtAxexo4Eo0Bsl9Y8-9xTrog3GhJRIbWVYUPA7i1V-2OMd~7gtvX5J1-v"));
        assert!(text.ends_with("wJc-D-la~~Vea1iAPnupB7LXD3ZHBQAEAAcAAA=="));
    }

    #[test]
    fn every_truncated_length_is_refused() {
        for bytes in [
            ed25519(),
            destination_bytes(&[0, 0, 0]),
            destination_bytes(&[5, 0, 8, 0, 3, 0, 0, 1, 2, 3, 4]),
        ] {
            for len in 0..bytes.len() {
                let error = Destination::from_bytes(&bytes[..len]).unwrap_err();
                assert!(matches!(error, AddressError::Truncated { found, .. } if found == len));
            }
        }
    }

    #[test]
    fn every_truncated_text_is_refused() {
        let text = Destination::from_bytes(&ed25519()).unwrap().to_base64();
        for len in 0..text.len() {
            assert!(Destination::from_base64(&text[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn byte_after_certificate_is_refused() {
        let mut bytes = ed25519();
        bytes.push(0);
        assert_eq!(
            Destination::from_bytes(&bytes),
            Err(AddressError::TrailingBytes {
                expected: 391,
                found: 392
            })
        );
    }

    #[test]
    fn other_certificates_are_refused() {
        for certificate in [
            &[1, 0, 0][..],            // HASHCASH
            &[2, 0, 0],                // HIDDEN
            &[3, 0, 0],                // SIGNED
            &[4, 0, 0],                // MULTIPLE
            &[6, 0, 4, 0, 7, 0, 0],    // unassigned
            &[0, 0, 4, 0, 7, 0, 0],    // NULL with a payload
            &[5, 0, 0],                // KEY without types
            &[5, 0, 3, 0, 7, 0],       // KEY with half a type
            &[5, 0, 5, 0, 7, 0, 0, 9], // Ed25519 with an excess byte
            &[5, 0, 4, 0, 3, 0, 0],    // P521 without its excess bytes
            &[5, 0, 7, 0, 3, 0, 0, 1, 2, 3],
            &[5, 0, 9, 0, 3, 0, 0, 1, 2, 3, 4, 5],
        ] {
            assert_eq!(
                Destination::from_bytes(&destination_bytes(certificate)),
                Err(AddressError::InvalidCertificate),
                "{certificate:?}"
            );
        }
    }

    #[test]
    fn unknown_signature_type_is_accepted() {
        let bytes = destination_bytes(&[5, 0, 6, 0, 99, 0, 4, 1, 2]);
        let destination = Destination::from_bytes(&bytes).unwrap();
        assert_eq!(destination.signature_type(), None);
        assert_eq!(destination.signature_type_code(), 99);
        assert_eq!(destination.crypto_type_code(), 4);
    }

    #[test]
    fn unknown_signature_type_keeps_exact_length() {
        let mut bytes = destination_bytes(&[5, 0, 6, 0, 99, 0, 4, 1, 2]);
        bytes.push(3);
        assert!(Destination::from_bytes(&bytes).is_err());
        bytes.truncate(bytes.len() - 2);
        assert!(Destination::from_bytes(&bytes).is_err());
    }

    #[test]
    fn display_and_from_str_use_base64() {
        let destination = Destination::from_bytes(&ed25519()).unwrap();
        assert_eq!(destination.to_string(), destination.to_base64());
        assert_eq!(destination.to_string().parse(), Ok(destination));
    }

    #[test]
    fn debug_is_short() {
        let destination = Destination::from_bytes(&ed25519()).unwrap();
        assert_eq!(
            format!("{destination:?}"),
            format!("Destination({})", destination.b32())
        );
    }

    #[test]
    fn clone_shares_its_bytes() {
        let destination = Destination::from_bytes(&ed25519()).unwrap();
        assert!(std::ptr::eq(
            destination.as_bytes(),
            destination.clone().as_bytes()
        ));
    }

    #[test]
    fn arbitrary_bytes_never_panic() {
        for len in 0..1000 {
            let bytes = pattern(len, len as u32);
            let _ = Destination::from_bytes(&bytes);
        }
    }
}
