//! Services: a destination, a `.b32.i2p` address or a host name.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use super::b32::{AnyB32, B32, B33, is_b32, is_b32_label, without_suffix};
use super::destination::Destination;
use super::error::AddressError;

/// The shortest destination in base64; a shorter text was meant as something else.
const DESTINATION_TEXT_MIN: usize = 516;
const NAME_MAX: usize = 255;
const LABEL_MAX: usize = 63;

/// A service, in one of the forms that I2P has for it.
///
/// `Display` writes the short form: a destination is shown by its `.b32.i2p` address. A destination
/// is equal to its own [`B32`] and has the same hash; each comparison or hash of a destination
/// costs a SHA-256.
///
/// # Examples
///
/// ```
/// use i2p_sam::{Destination, Host};
///
/// assert!(matches!("stats.i2p".parse()?, Host::Name(_)));
///
/// let destination = Destination::from_bytes(&[0; 387])?;
/// assert_eq!(Host::B32(destination.b32()), Host::Destination(destination));
/// # Ok::<(), i2p_sam::AddressError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Host {
    /// The full destination: no lookup is needed.
    Destination(Destination),
    /// The hash of a destination.
    B32(B32),
    /// The key of an encrypted lease set.
    B33(B33),
    /// A name in the router's address book.
    Name(HostName),
}

impl Host {
    /// Returns true if the destination is provably not that of this service. A name proves nothing.
    pub(crate) fn contradicts(&self, destination: &Destination) -> bool {
        match self {
            Self::Destination(own) => own != destination,
            Self::B32(address) => *address != destination.b32(),
            Self::B33(address) => !destination.has_b33(address),
            Self::Name(_) => false,
        }
    }

    fn identity(&self) -> Identity<'_> {
        match self {
            Self::Destination(destination) => Identity::Hash(destination.b32()),
            Self::B32(address) => Identity::Hash(*address),
            Self::B33(address) => Identity::Encrypted(address),
            Self::Name(name) => Identity::Name(name),
        }
    }
}

/// The value that two hosts share if they provably name the same service.
#[derive(PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Identity<'a> {
    Hash(B32),
    Encrypted(&'a B33),
    Name(&'a HostName),
}

impl PartialEq for Host {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Host {}

impl Hash for Host {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl PartialOrd for Host {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Host {
    fn cmp(&self, other: &Self) -> Ordering {
        self.identity().cmp(&other.identity())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Destination(destination) => destination.b32().fmt(f),
            Self::B32(address) => address.fmt(f),
            Self::B33(address) => address.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl FromStr for Host {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_b32(text) {
            return text.parse().map(|address| match address {
                AnyB32::Hash(address) => Self::B32(address),
                AnyB32::Encrypted(address) => Self::B33(address),
            });
        }
        if let Some(label) = without_suffix(text, ".i2p") {
            // No host name is that long, and base64 contains no dot.
            if label.len() >= DESTINATION_TEXT_MIN && !label.contains('.') {
                return label.parse().map(Self::Destination);
            }
            return text.parse().map(Self::Name);
        }
        if text.len() >= DESTINATION_TEXT_MIN {
            return text.parse().map(Self::Destination);
        }
        if is_b32_label(text) {
            return Err(AddressError::MissingB32Suffix);
        }
        Err(AddressError::NotAnAddress { length: text.len() })
    }
}

/// A name in the router's address book, such as `stats.i2p`.
///
/// It ends in `.i2p` and consists of `a-z 0-9 - _` in labels of 1 to 63 bytes, separated by dots,
/// with 255 bytes at most; capital letters become small ones. International names are written in
/// punycode (`xn--…`). No other character is possible, so the name fits into a SAM line unchanged:
/// it has no blank, no quote, no `=` and no line end. A `.b32.i2p` address is not a host name.
///
/// # Examples
///
/// ```
/// use i2p_sam::{AddressError, HostName};
///
/// let name: HostName = "Stats.I2P".parse()?;
/// assert_eq!(name.as_str(), "stats.i2p");
///
/// let error = "stats i2p.i2p".parse::<HostName>().unwrap_err();
/// assert_eq!(error, AddressError::InvalidCharacter { offset: 5 });
/// # Ok::<(), AddressError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostName(Arc<str>);

impl HostName {
    /// Returns the name in lower case.
    ///
    /// # Examples
    ///
    /// ```
    /// # use i2p_sam::HostName;
    /// assert_eq!("stats.i2p".parse::<HostName>()?.as_str(), "stats.i2p");
    /// # Ok::<(), i2p_sam::AddressError>(())
    /// ```
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for HostName {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let length = text.len();
        if without_suffix(text, ".i2p").is_none() {
            return Err(AddressError::NotAnAddress { length });
        }
        if is_b32(text) {
            return Err(AddressError::NotAHostName);
        }
        if length > NAME_MAX {
            return Err(AddressError::NameTooLong { length });
        }
        check_characters(text)?;
        check_labels(text)?;
        Ok(Self(text.to_ascii_lowercase().into()))
    }
}

fn check_characters(name: &str) -> Result<(), AddressError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    match name.char_indices().find(|(_, c)| !allowed(*c)) {
        None => Ok(()),
        Some((offset, c)) if c.is_ascii() => Err(AddressError::InvalidCharacter { offset }),
        Some((offset, _)) => Err(AddressError::NonAscii { offset }),
    }
}

fn check_labels(name: &str) -> Result<(), AddressError> {
    let mut offset = 0;
    for label in name.split('.') {
        let length = label.len();
        if length == 0 {
            return Err(AddressError::EmptyLabel { offset });
        }
        if length > LABEL_MAX {
            return Err(AddressError::LabelTooLong { offset, length });
        }
        offset += length + 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use std::hash::BuildHasher;

    use super::super::tests::ed25519;
    use super::*;
    use crate::address::I2pAddr;

    fn destination() -> Destination {
        Destination::from_bytes(&ed25519()).unwrap()
    }

    fn parse(text: &str) -> Result<I2pAddr, AddressError> {
        text.parse()
    }

    const B33_TEXT: &str = "yme6uy5xfgm6dp2wwyox5trojra6sdavhu5gyceesjad6xatmcs7o6qg.b32.i2p";

    #[test]
    fn every_kind_is_distinguished() {
        let base64 = destination().to_base64();
        let b32 = destination().b32().to_string();
        assert!(matches!(
            parse(&base64).unwrap().host(),
            Host::Destination(_)
        ));
        assert!(matches!(parse(&b32).unwrap().host(), Host::B32(_)));
        assert!(matches!(parse(B33_TEXT).unwrap().host(), Host::B33(_)));
        assert!(matches!(parse("a.i2p").unwrap().host(), Host::Name(_)));
    }

    #[test]
    fn name_becomes_lower_case() {
        assert_eq!(parse("WwW.Stats.I2P").unwrap().to_sam(), "www.stats.i2p");
    }

    #[test]
    fn name_characters_are_restricted() {
        for name in ["a-b.i2p", "a_b.i2p", "3.i2p", "xn--bcher-kva.i2p"] {
            assert_eq!(parse(name).unwrap().to_string(), name);
        }
        for c in (0..128_u8).map(char::from) {
            let name = format!("a{c}b.i2p");
            let allowed = c.is_ascii_alphanumeric() || ".-_".contains(c);
            assert_eq!(name.parse::<HostName>().is_ok(), allowed, "{name:?}");
        }
    }

    #[test]
    fn invalid_character_is_refused_with_offset() {
        let error = AddressError::InvalidCharacter { offset: 3 };
        assert_eq!(parse("two words.i2p"), Err(error));
    }

    #[test]
    fn non_ascii_letters_are_refused_with_hint() {
        let error = parse("bücher.i2p").unwrap_err();
        assert_eq!(error, AddressError::NonAscii { offset: 1 });
        assert!(error.to_string().contains("punycode"));
    }

    #[test]
    fn empty_label_is_refused() {
        for (name, offset) in [(".i2p", 0), ("a..i2p", 2), (".a.i2p", 0), ("a.b..c.i2p", 4)] {
            let error = AddressError::EmptyLabel { offset };
            assert_eq!(parse(name), Err(error), "{name}");
        }
    }

    #[test]
    fn label_beyond_63_bytes_is_refused() {
        assert!(parse(&format!("{}.i2p", "a".repeat(63))).is_ok());
        assert_eq!(
            parse(&format!("b.{}.i2p", "a".repeat(64))),
            Err(AddressError::LabelTooLong {
                offset: 2,
                length: 64
            })
        );
    }

    #[test]
    fn name_beyond_255_bytes_is_refused() {
        let name = |length: usize| "a.".repeat(length)[..length - 5].to_owned() + "b.i2p";
        assert_eq!(name(255).len(), 255);
        assert!(parse(&name(255)).is_ok());
        assert_eq!(
            parse(&(name(255) + ".i2p")),
            Err(AddressError::NameTooLong { length: 259 })
        );
    }

    #[test]
    fn malformed_b32_is_no_name() {
        for (text, error) in [
            ("abc.b32.i2p", AddressError::B32Length { length: 3 }),
            (".b32.i2p", AddressError::B32Length { length: 0 }),
            ("b32.i2p", AddressError::NotAnAddress { length: 7 }),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
        assert_eq!(
            "abc.b32.i2p".parse::<HostName>(),
            Err(AddressError::NotAHostName)
        );
    }

    /// Returns one service in each of the forms that prove it, and other services.
    fn hosts() -> Vec<Vec<Host>> {
        let other = Destination::from_bytes(&[0; 387]).unwrap();
        let same = |destination: Destination| {
            vec![
                Host::B32(destination.b32()),
                Host::Destination(destination.clone()),
                Host::Destination(destination),
            ]
        };
        vec![
            same(destination()),
            same(other),
            vec![Host::B33(destination().b33().unwrap())],
            vec![Host::B33(destination().b33().unwrap().with_secret())],
            vec![Host::Name("a.i2p".parse().unwrap())],
            vec![Host::Name("b.i2p".parse().unwrap())],
        ]
    }

    fn hash_of(host: &Host) -> u64 {
        std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default().hash_one(host)
    }

    #[test]
    fn hosts_naming_one_service_are_equal() {
        let hosts = hosts();
        for (i, own) in hosts.iter().enumerate() {
            for (j, other) in hosts.iter().enumerate() {
                for (a, b) in own.iter().flat_map(|a| other.iter().map(move |b| (a, b))) {
                    assert_eq!(a == b, i == j, "{a:?} {b:?}");
                    assert_eq!(a.cmp(b).is_eq(), i == j, "{a:?} {b:?}");
                    assert_eq!(a.partial_cmp(b), Some(a.cmp(b)), "{a:?} {b:?}");
                    assert_eq!(a.cmp(b), b.cmp(a).reverse(), "{a:?} {b:?}");
                    assert_eq!(hash_of(a) == hash_of(b), i == j, "{a:?} {b:?}");
                }
            }
        }
    }

    #[test]
    fn only_proven_difference_is_contradiction() {
        let other = Destination::from_bytes(&[0; 387]).unwrap();
        for own in &hosts()[0] {
            assert!(!own.contradicts(&destination()), "{own:?}");
            assert!(own.contradicts(&other), "{own:?}");
        }
        for own in hosts()[2..4].iter().flatten() {
            assert!(!own.contradicts(&destination()), "{own:?}");
            assert!(own.contradicts(&other), "{own:?}");
        }
        assert!(!hosts()[4][0].contradicts(&other));
    }
}
