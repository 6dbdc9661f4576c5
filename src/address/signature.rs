//! The signature types of I2P that a SAM client uses.

use std::fmt;
use std::str::FromStr;

use super::encoding::parse_number;

/// The signature type of a destination.
///
/// Routers receive the number ([`code`](Self::code)); people see the name (`Display`). This crate
/// sends only the types listed here, because the i2pd 2.59 process crashes if a client requests a
/// type that it does not know.
///
/// # Examples
///
/// ```
/// use i2p_sam::SignatureType;
///
/// assert_eq!(SignatureType::default(), SignatureType::Ed25519);
/// assert_eq!(SignatureType::Ed25519.code(), 7);
/// assert_eq!(SignatureType::Ed25519.to_string(), "EdDSA_SHA512_Ed25519");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum SignatureType {
    /// Type 0: DSA with SHA-1. Historic and weak: only for existing keys.
    DsaSha1,
    /// Type 1: ECDSA on the curve P-256 with SHA-256.
    EcdsaSha256P256,
    /// Type 2: ECDSA on the curve P-384 with SHA-384.
    EcdsaSha384P384,
    /// Type 3: ECDSA on the curve P-521 with SHA-512.
    EcdsaSha512P521,
    /// Type 7: Ed25519. The default of this crate, and the type that the network uses.
    #[default]
    Ed25519,
    /// Type 11: RedDSA, an Ed25519 whose keys can be blinded, for encrypted lease sets.
    RedDsa,
}

impl SignatureType {
    const ALL: [Self; 6] = [
        Self::DsaSha1,
        Self::EcdsaSha256P256,
        Self::EcdsaSha384P384,
        Self::EcdsaSha512P521,
        Self::Ed25519,
        Self::RedDsa,
    ];

    /// Returns the number that certificates and `SIGNATURE_TYPE=` contain.
    ///
    /// ```
    /// assert_eq!(i2p_sam::SignatureType::Ed25519.code(), 7);
    /// ```
    pub const fn code(self) -> u16 {
        match self {
            Self::DsaSha1 => 0,
            Self::EcdsaSha256P256 => 1,
            Self::EcdsaSha384P384 => 2,
            Self::EcdsaSha512P521 => 3,
            Self::Ed25519 => 7,
            Self::RedDsa => 11,
        }
    }

    /// Returns the type with this number, or `None` if this crate does not know it.
    ///
    /// # Examples
    ///
    /// ```
    /// use i2p_sam::SignatureType;
    ///
    /// assert_eq!(SignatureType::from_code(7), Some(SignatureType::Ed25519));
    /// assert_eq!(SignatureType::from_code(99), None);
    /// ```
    pub const fn from_code(code: u16) -> Option<Self> {
        match code {
            0 => Some(Self::DsaSha1),
            1 => Some(Self::EcdsaSha256P256),
            2 => Some(Self::EcdsaSha384P384),
            3 => Some(Self::EcdsaSha512P521),
            7 => Some(Self::Ed25519),
            11 => Some(Self::RedDsa),
            _ => None,
        }
    }

    /// Returns the number of bytes in the public signing key: 32 to 132.
    ///
    /// ```
    /// assert_eq!(i2p_sam::SignatureType::Ed25519.public_key_len(), 32);
    /// ```
    pub const fn public_key_len(self) -> usize {
        match self {
            Self::DsaSha1 => 128,
            Self::EcdsaSha256P256 => 64,
            Self::EcdsaSha384P384 => 96,
            Self::EcdsaSha512P521 => 132,
            Self::Ed25519 | Self::RedDsa => 32,
        }
    }

    /// Returns the number of bytes in the private signing key: 20 to 66.
    ///
    /// ```
    /// assert_eq!(i2p_sam::SignatureType::Ed25519.private_key_len(), 32);
    /// ```
    pub const fn private_key_len(self) -> usize {
        match self {
            Self::DsaSha1 => 20,
            Self::EcdsaSha256P256 | Self::Ed25519 | Self::RedDsa => 32,
            Self::EcdsaSha384P384 => 48,
            Self::EcdsaSha512P521 => 66,
        }
    }

    /// Returns the number of bytes in a signature: 40 to 132.
    ///
    /// ```
    /// assert_eq!(i2p_sam::SignatureType::Ed25519.signature_len(), 64);
    /// ```
    pub const fn signature_len(self) -> usize {
        match self {
            Self::DsaSha1 => 40,
            Self::EcdsaSha256P256 | Self::Ed25519 | Self::RedDsa => 64,
            Self::EcdsaSha384P384 => 96,
            Self::EcdsaSha512P521 => 132,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::DsaSha1 => "DSA_SHA1",
            Self::EcdsaSha256P256 => "ECDSA_SHA256_P256",
            Self::EcdsaSha384P384 => "ECDSA_SHA384_P384",
            Self::EcdsaSha512P521 => "ECDSA_SHA512_P521",
            Self::Ed25519 => "EdDSA_SHA512_Ed25519",
            Self::RedDsa => "RedDSA_SHA512_Ed25519",
        }
    }
}

/// Writes the name that the specification gives the type, which routers print too.
impl fmt::Display for SignatureType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Reads the name, in either case, or the number.
///
/// ```
/// use i2p_sam::SignatureType;
///
/// assert_eq!("EdDSA_SHA512_Ed25519".parse(), Ok(SignatureType::Ed25519));
/// assert_eq!("7".parse(), Ok(SignatureType::Ed25519));
/// assert!("Ed25519ph".parse::<SignatureType>().is_err());
/// ```
impl FromStr for SignatureType {
    type Err = SignatureTypeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = |kind: &Self| text.eq_ignore_ascii_case(kind.name());
        let by_number = parse_number(text).and_then(Self::from_code);
        let by_name = || Self::ALL.into_iter().find(named);
        by_number.or_else(by_name).ok_or(SignatureTypeError(()))
    }
}

/// A text that is neither the name nor the number of a [`SignatureType`].
///
/// ```
/// let error = "99".parse::<i2p_sam::SignatureType>().unwrap_err();
/// assert!(error.to_string().contains("7 EdDSA_SHA512_Ed25519"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no such signature type: use 7 EdDSA_SHA512_Ed25519, 11 RedDSA_SHA512_Ed25519, \
     1 ECDSA_SHA256_P256, 2 ECDSA_SHA384_P384, 3 ECDSA_SHA512_P521 or 0 DSA_SHA1"
)]
pub struct SignatureTypeError(());

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [SignatureType; 6] = SignatureType::ALL;

    #[test]
    fn list_has_every_known_type() {
        let known = (0..=u16::MAX).filter_map(SignatureType::from_code);
        assert_eq!(known.collect::<Vec<_>>(), ALL);
    }

    #[test]
    fn every_type_is_read_from_name_and_number() {
        for kind in ALL {
            let name = kind.to_string();
            let number = kind.code().to_string();
            for text in [&name, &name.to_lowercase(), &number] {
                assert_eq!(text.parse(), Ok(kind), "{text}");
            }
        }
    }

    #[test]
    fn other_texts_are_no_type() {
        for text in ["", "4", "+7", " 7", "65543", "EdDSA", "ECDSA_SHA256_P256 "] {
            assert!(text.parse::<SignatureType>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn every_type_round_trips_through_code() {
        for kind in ALL {
            assert_eq!(SignatureType::from_code(kind.code()), Some(kind));
        }
    }

    #[test]
    fn type_displays_specification_name() {
        let names = [
            "DSA_SHA1",
            "ECDSA_SHA256_P256",
            "ECDSA_SHA384_P384",
            "ECDSA_SHA512_P521",
            "EdDSA_SHA512_Ed25519",
            "RedDSA_SHA512_Ed25519",
        ];
        assert_eq!(ALL.map(|kind| kind.to_string()), names);
    }

    #[test]
    fn other_codes_are_refused() {
        let known = (0..=u16::MAX)
            .filter(|code| SignatureType::from_code(*code).is_some())
            .count();
        assert_eq!(known, ALL.len());
    }

    #[test]
    fn lengths_match_specification() {
        let lengths = ALL.map(|t| (t.public_key_len(), t.private_key_len(), t.signature_len()));
        assert_eq!(
            lengths,
            [
                (128, 20, 40),
                (64, 32, 64),
                (96, 48, 96),
                (132, 66, 132),
                (32, 32, 64),
                (32, 32, 64)
            ]
        );
    }
}
