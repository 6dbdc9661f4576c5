use std::fmt;
use std::str::FromStr;

use crate::address::parse_number;
use crate::wire::{ParseError, ParseErrorKind};

/// A version of the SAM protocol, such as 3.3.
///
/// ```
/// use i2p_sam::Version;
///
/// assert!(Version::V3_1 < Version::V3_3);
/// assert_eq!("3.2".parse::<Version>()?, Version::V3_2);
/// # Ok::<(), i2p_sam::wire::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    major: u8,
    minor: u8,
}

impl Version {
    /// 3.1: destinations with a chosen signature type.
    pub const V3_1: Self = Self::new(3, 1);
    /// 3.2: ports, quotes, `PING`, credentials, UTF-8.
    pub const V3_2: Self = Self::new(3, 2);
    /// 3.3: primary sessions with subsessions.
    pub const V3_3: Self = Self::new(3, 3);

    const fn new(major: u8, minor: u8) -> Self {
        Self { major, minor }
    }

    /// Returns the number before the dot.
    ///
    /// ```
    /// assert_eq!(i2p_sam::Version::V3_1.major(), 3);
    /// ```
    pub fn major(self) -> u8 {
        self.major
    }

    /// Returns the number after the dot.
    ///
    /// ```
    /// assert_eq!(i2p_sam::Version::V3_1.minor(), 1);
    /// ```
    pub fn minor(self) -> u8 {
        self.minor
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Reads `3.3`; a lone `3` is 3.0, as Java I2P reads it.
impl FromStr for Version {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        Ok(Self::new(
            number(major, 0)?,
            number(minor, major.len() + 1)?,
        ))
    }
}

fn number(text: &str, offset: usize) -> Result<u8, ParseError> {
    parse_number(text).ok_or(ParseError::new(ParseErrorKind::Value, offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displayed_version_parses_back() {
        for version in [Version::V3_1, Version::V3_2, Version::V3_3] {
            assert_eq!(version.to_string().parse(), Ok(version));
        }
    }

    #[test]
    fn lone_number_has_minor_version_zero() {
        assert_eq!("3".parse(), Ok(Version::new(3, 0)));
    }

    #[test]
    fn version_has_major_and_minor() {
        let version: Version = "7.4".parse().unwrap();
        assert_eq!((version.major(), version.minor()), (7, 4));
    }

    #[test]
    fn version_error_names_the_offset() {
        let offset = |text: &str| text.parse::<Version>().unwrap_err().offset();
        assert_eq!((offset("x.1"), offset("33.x"), offset("3.x")), (0, 3, 2));
    }

    #[test]
    fn invalid_version_is_refused() {
        for text in ["", ".", "3.", ".3", "3.3.3", "+3.1", "3.256", "x", "3. 1"] {
            assert!(text.parse::<Version>().is_err(), "{text:?}");
        }
    }
}
