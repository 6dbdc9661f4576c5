//! Errors of addresses.
//!
//! None of these errors contains a byte of the input: a text that was meant as an address may be a
//! private key, pasted into the wrong field. They give offsets and lengths.

use std::fmt;

use super::encoding::Base64Fault;
use crate::logging::debug_as_sentence;

/// The reason why a text or some bytes are not an I2P address.
///
/// The message explains what to change. It never repeats the input, which may have been a private
/// key by mistake: it gives only offsets and lengths, in bytes and from 0. `Debug` is the name of the variant and
/// the message, so a `main` that returns the error prints a sentence.
///
/// # Examples
///
/// ```
/// use i2p_sam::{AddressError, I2pAddr};
///
/// let error = "exa mple.i2p".parse::<I2pAddr>().unwrap_err();
/// assert_eq!(error, AddressError::InvalidCharacter { offset: 3 });
/// ```
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The text is not a base64 destination and does not end in `.i2p`.
    ///
    /// Names of the ordinary Internet, `localhost` and the router's name `ME` cause this error.
    #[error(
        "not an I2P address: {length} bytes of text that do not end in `.i2p`, \
         and a base64 destination has at least 516 characters"
    )]
    NotAnAddress {
        /// The number of bytes in the text, without its port.
        length: usize,
    },

    /// The text contains an address and something else, as a link does.
    #[error("an I2P address has no {part}: remove {}{}", part.extent(), part.alternative())]
    SurplusPart {
        /// The part to remove.
        part: UrlPart,
    },

    /// The `i2paddresshelper` of a link contains neither a destination nor a `.b32.i2p` address.
    #[error("the link's `i2paddresshelper` contains no destination and no `.b32.i2p` address")]
    InvalidHelper {
        /// The fault in the helper; offsets count from its start.
        #[source]
        reason: Box<AddressError>,
    },

    /// The host of a link is a destination or a `.b32.i2p` address, and its `i2paddresshelper`
    /// names another.
    #[error(
        "the link's `i2paddresshelper` is not the destination of its host: do not trust this link"
    )]
    HelperMismatch,

    /// The label of a `.b32.i2p` address without `.b32.i2p`.
    #[error("base32 without its suffix: append `.b32.i2p`")]
    MissingB32Suffix,

    /// The text contains a character that I2P's base64 does not have, or has one at an invalid
    /// place.
    #[error(
        "not I2P base64 at offset {offset}: its characters are `A-Z a-z 0-9 - ~`, with `=` only \
         to pad the end (`-` and `~` stand where other base64 has `+` and `/`)"
    )]
    InvalidBase64 {
        /// The offset of the first invalid character.
        offset: usize,
    },

    /// The base64 text is truncated, or its `=` padding is missing or too long.
    #[error(
        "base64 text of {length} characters is cut short or wrongly padded: copy it whole, \
         with the `=` at its end"
    )]
    Base64Length {
        /// The number of characters in the text.
        length: usize,
    },

    /// There are fewer bytes than a destination needs.
    #[error("destination is cut short: {found} bytes of at least {expected}; copy it whole")]
    Truncated {
        /// The number of bytes needed, as far as the bytes read so far determine it.
        expected: usize,
        /// The number of bytes given.
        found: usize,
    },

    /// Bytes follow the end of the destination; a private key looks like this.
    #[error(
        "{found} bytes where the destination ends after {expected}; if this is a private key, \
         give it to `PrivateKey`, and never publish it as an address"
    )]
    TrailingBytes {
        /// The number of bytes in the destination.
        expected: usize,
        /// The number of bytes given.
        found: usize,
    },

    /// The certificate (from byte 384 on) is neither a well-formed NULL nor a KEY certificate.
    #[error(
        "destination has no valid NULL or KEY certificate at byte 384: it is damaged, \
         or not a destination"
    )]
    InvalidCertificate,

    /// The label before `.b32.i2p` does not have 52 characters, nor 56 or more.
    #[error(
        "`.b32.i2p` address with {length} characters before `.b32.i2p`: \
         there are 52, or at least 56 for an encrypted lease set"
    )]
    B32Length {
        /// The number of characters before `.b32.i2p`.
        length: usize,
    },

    /// The text contains a character that base32 does not have, or non-zero bits after the last
    /// byte.
    #[error("not base32 at offset {offset}: its characters are `a-z 2-7`; look for a typing error")]
    InvalidBase32 {
        /// The offset of the first invalid character.
        offset: usize,
    },

    /// The checksum in the address of an encrypted lease set does not match.
    #[error(
        "checksum of this encrypted lease set's address does not fit: look for a typing error \
         (or it uses a signature type or a flag that this version does not know)"
    )]
    B33Checksum,

    /// A host name contains a character that no host name can have.
    #[error("host name has a character at offset {offset} that is not one of `a-z 0-9 . - _`")]
    InvalidCharacter {
        /// The offset of the character.
        offset: usize,
    },

    /// A host name contains letters outside ASCII.
    #[error(
        "host name has a non-ASCII letter at offset {offset}: \
         write it in its punycode form (`xn--…`)"
    )]
    NonAscii {
        /// The offset of the first such letter.
        offset: usize,
    },

    /// A host name contains two dots in a row, or begins with a dot.
    #[error("host name has an empty label at offset {offset}: remove the surplus dot")]
    EmptyLabel {
        /// The offset of the empty label.
        offset: usize,
    },

    /// A host name has a label of more than 63 bytes.
    #[error("host name has a label of {length} bytes at offset {offset}: the maximum is 63")]
    LabelTooLong {
        /// The offset of the label.
        offset: usize,
        /// The number of bytes in the label.
        length: usize,
    },

    /// A host name has more than 255 bytes.
    #[error("host name has {length} bytes: the maximum is 255")]
    NameTooLong {
        /// The number of bytes in the name.
        length: usize,
    },

    /// A `.b32.i2p` address was given where a host name is needed.
    #[error("a `.b32.i2p` address is not a host name: parse it as `I2pAddr`")]
    NotAHostName,

    /// The text after the colon is not a port.
    #[error("port at offset {offset} is not a number from 0 to 65535")]
    InvalidPort {
        /// The offset of the port.
        offset: usize,
    },

    /// The address names one port, and the caller another.
    #[error(
        "address already names port {in_address}, and port {asked} was given beside it: give one of them"
    )]
    PortConflict {
        /// The port in the address.
        in_address: u16,
        /// The port given beside the address.
        asked: u16,
    },
}

/// A part of a link that an address does not have.
///
/// # Examples
///
/// ```
/// use i2p_sam::{AddressError, I2pAddr, UrlPart};
///
/// let error = "stats.i2p/cgi-bin/dashboard.cgi".parse::<I2pAddr>().unwrap_err();
/// assert_eq!(error, AddressError::SurplusPart { part: UrlPart::Path });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UrlPart {
    /// Everything up to `://`.
    Scheme,
    /// Everything up to `@`: a user name, or a user name and a password.
    UserInfo,
    /// The first `/` and everything after it.
    Path,
    /// The `?` and everything after it.
    Query,
    /// The `#` and everything after it.
    Fragment,
}

impl UrlPart {
    fn extent(self) -> &'static str {
        match self {
            Self::Scheme => "everything up to `://`",
            Self::UserInfo => "everything up to `@`",
            Self::Path => "the first `/` and everything after it",
            Self::Query => "the `?` and everything after it",
            Self::Fragment => "the `#` and everything after it",
        }
    }

    fn alternative(self) -> &'static str {
        match self {
            Self::UserInfo => "",
            _ => ", or read the link with `I2pAddr::from_url`",
        }
    }
}

impl fmt::Display for UrlPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Scheme => "scheme",
            Self::UserInfo => "user info",
            Self::Path => "path",
            Self::Query => "query",
            Self::Fragment => "fragment",
        })
    }
}

debug_as_sentence!(AddressError:
    NotAnAddress SurplusPart InvalidHelper HelperMismatch MissingB32Suffix InvalidBase64 Base64Length Truncated
    TrailingBytes InvalidCertificate B32Length InvalidBase32 B33Checksum InvalidCharacter NonAscii EmptyLabel
    LabelTooLong NameTooLong NotAHostName InvalidPort PortConflict);

impl From<Base64Fault> for AddressError {
    fn from(fault: Base64Fault) -> Self {
        match fault {
            Base64Fault::Character { offset } => Self::InvalidBase64 { offset },
            Base64Fault::Length { length } => Self::Base64Length { length },
        }
    }
}

/// Keeps the error inside, with the kind `InvalidInput`.
impl From<AddressError> for std::io::Error {
    fn from(error: AddressError) -> Self {
        Self::new(std::io::ErrorKind::InvalidInput, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_can_cross_threads() {
        fn check<T: std::error::Error + Send + Sync + 'static>() {}
        check::<AddressError>();
    }

    #[test]
    fn debug_is_variant_and_sentence() {
        let error = AddressError::B32Length { length: 51 };
        assert_eq!(format!("{error:?}"), format!("B32Length: {error}"));
        let reason = Box::new(error.clone());
        let helper = AddressError::InvalidHelper { reason };
        let shown = format!("InvalidHelper: {helper}: {error}");
        assert_eq!(format!("{helper:?}"), shown);
    }

    #[test]
    fn error_names_surplus_part() {
        for (part, name, sign) in [
            (UrlPart::Scheme, "no scheme:", "`://`"),
            (UrlPart::UserInfo, "no user info:", "`@`"),
            (UrlPart::Path, "no path:", "`/`"),
            (UrlPart::Query, "no query:", "`?`"),
            (UrlPart::Fragment, "no fragment:", "`#`"),
        ] {
            let shown = AddressError::SurplusPart { part }.to_string();
            assert!(shown.contains(name) && shown.contains(sign), "{shown}");
            let can_be_read = shown.contains("from_url");
            assert_eq!(can_be_read, part != UrlPart::UserInfo, "{shown}");
        }
    }
}
