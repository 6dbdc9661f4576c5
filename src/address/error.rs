//! Errors of addresses, private keys and key files.
//!
//! None of these errors contains a byte of the input: a text that was meant as an address may be a
//! private key, pasted into the wrong field. They give offsets and lengths.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::b32::B32;
use super::encoding::Base64Fault;

/// The reason why a text or some bytes are not an I2P address.
///
/// The message explains what to change. It never repeats the input, which may have been a private
/// key by mistake: it gives only offsets and lengths, in bytes and from 0.
///
/// # Examples
///
/// ```
/// use i2p_sam::{AddressError, I2pAddr};
///
/// let error = "exa mple.i2p".parse::<I2pAddr>().unwrap_err();
/// assert_eq!(error, AddressError::InvalidCharacter { offset: 3 });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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
    #[error("an I2P address has no {part}: {}", part.advice())]
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
    fn advice(self) -> &'static str {
        match self {
            Self::Scheme => {
                "remove everything up to `://`, or read the link with `I2pAddr::from_url`"
            }
            Self::UserInfo => "remove everything up to `@`",
            Self::Path => {
                "remove the first `/` and everything after it, or read the link with `I2pAddr::from_url`"
            }
            Self::Query => {
                "remove the `?` and everything after it, or read the link with `I2pAddr::from_url`"
            }
            Self::Fragment => {
                "remove the `#` and everything after it, or read the link with `I2pAddr::from_url`"
            }
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

/// The reason why some bytes or a text are not a private key.
///
/// The message never contains a byte of the key: it gives only offsets and lengths.
///
/// # Examples
///
/// ```
/// use i2p_sam::{KeyError, PrivateKey};
///
/// let error = PrivateKey::from_base64("A+B=").unwrap_err();
/// assert_eq!(error, KeyError::InvalidBase64 { offset: 1 });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text contains a character that I2P's base64 does not have, or has one at an invalid
    /// place.
    #[error(
        "private key is not I2P base64 at offset {offset}: its characters are \
         `A-Z a-z 0-9 - ~`, with `=` only to pad the end"
    )]
    InvalidBase64 {
        /// The offset of the first invalid character.
        offset: usize,
    },

    /// The base64 text is truncated, or its `=` padding is missing or too long.
    #[error(
        "private key of {length} base64 characters is cut short or wrongly padded: copy it whole, \
         with the `=` at its end"
    )]
    Base64Length {
        /// The number of characters given.
        length: usize,
    },

    /// The destination, with which every private key begins, is damaged.
    #[error("private key does not begin with a destination: {0}")]
    Destination(AddressError),

    /// The destination on the first line of a key file differs from that of the private key on the
    /// second.
    #[error(
        "the first line is the destination of {public}, and the second line the private key of \
         {private}: they do not belong together"
    )]
    DestinationMismatch {
        /// The address of the destination on the first line.
        public: Box<B32>,
        /// The address of the private key on the second line.
        private: Box<B32>,
    },

    /// The input is a destination with nothing after it.
    #[error("this is a destination, the public part: give the private key that belongs to it")]
    PublicOnly,

    /// [`SignatureType`](crate::SignatureType) does not list the signature type of the key.
    #[error(
        "private key has a signature type that this version does not know: \
         generate one with SIGNATURE_TYPE 7 (Ed25519)"
    )]
    UnsupportedSignatureType,

    /// The signing key is blank, as with offline signatures, but no complete one follows.
    #[error(
        "private key has a blank signing key, and no valid offline signature after it: \
         it is cut short or damaged"
    )]
    InvalidOfflineSignature,

    /// The number of bytes does not match the types that the certificate names.
    #[error("private key of {found} bytes but its types need {expected}: copy it whole")]
    Length {
        /// The number of bytes that a key of these types has.
        expected: usize,
        /// The number of bytes given.
        found: usize,
    },
}

/// The reason why a key file was not read or written.
///
/// The message names the file and explains what to do. It never contains a byte of the content.
///
/// # Examples
///
/// ```no_run
/// use i2p_sam::PrivateKey;
///
/// match PrivateKey::load("service.key") {
///     Ok(key) => println!("we are {}", key.destination().b32()),
///     Err(error) if error.is_not_found() => println!("no key yet"),
///     Err(error) => eprintln!("{error}"),
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The operating system refused.
    #[error("cannot {action} key file {}: {reason}", path.display())]
    Io {
        /// The action that failed, as a verb: `open`, `read`, `create`, ….
        action: &'static str,
        /// The key file.
        path: PathBuf,
        /// The error of the operating system.
        reason: io::Error,
    },

    /// The path names a directory, a FIFO, a device or a socket.
    #[error("{} is not a regular file: name the file for the key", .0.display())]
    NotAFile(PathBuf),

    /// The file belongs to a user other than the one that this process runs as (Unix only).
    #[error(
        "key file {} belongs to the user with id {owner}, and this process runs as the user with \
         id {user}: run it as the owner, or change the owner with `chown {user} {}` if the key is \
         your own",
        path.display(),
        shell_quoted(path)
    )]
    Owner {
        /// The key file.
        path: PathBuf,
        /// The id of the user who owns the file.
        owner: u32,
        /// The id of the user this process runs as (the effective user).
        user: u32,
    },

    /// Users other than the owner may read or write the file (Unix only).
    #[error(
        "key file {} is open to other users (mode {mode:03o}): run `chmod 600 {}`, and make a new \
         key if somebody may have read this one",
        path.display(),
        shell_quoted(path)
    )]
    Permissions {
        /// The key file.
        path: PathBuf,
        /// The permission bits of the file.
        mode: u32,
    },

    /// The file has more than 65536 bytes, which no key has.
    #[error("{} has more than 65536 bytes and cannot be a key file: check the path", .0.display())]
    TooLarge(PathBuf),

    /// The file is empty or contains only white space.
    #[error("key file {} is empty: remove it to have a new key made, or restore it", .0.display())]
    Empty(PathBuf),

    /// The content of the file is not a private key.
    #[error("{} contains no usable private key: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The fault in the content.
        reason: KeyError,
    },

    /// The file contains another key, which is never overwritten.
    #[error(
        "key file {} contains a different key, which is not overwritten: \
         choose another path, or move that file away",
        .0.display()
    )]
    DifferentKey(PathBuf),
}

impl KeyFileError {
    /// Returns true if the file, or the folder for it, does not exist.
    pub fn is_not_found(&self) -> bool {
        self.kind() == io::ErrorKind::NotFound
    }

    /// Returns the [`io::ErrorKind`] that this error has as an [`io::Error`]:
    ///
    /// | variant | kind |
    /// |---|---|
    /// | [`Io`](Self::Io) | the kind of the operating system's error |
    /// | [`Owner`](Self::Owner), [`Permissions`](Self::Permissions) | `PermissionDenied` |
    /// | [`NotAFile`](Self::NotAFile) | `InvalidInput` |
    /// | [`DifferentKey`](Self::DifferentKey) | `AlreadyExists` |
    /// | [`TooLarge`](Self::TooLarge), [`Empty`](Self::Empty), [`Invalid`](Self::Invalid) | `InvalidData` |
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// use i2p_sam::PrivateKey;
    ///
    /// let error = PrivateKey::load("no/such/service.key").unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::NotFound);
    /// ```
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Io { reason, .. } => reason.kind(),
            Self::Owner { .. } | Self::Permissions { .. } => io::ErrorKind::PermissionDenied,
            Self::NotAFile(_) => io::ErrorKind::InvalidInput,
            Self::DifferentKey(_) => io::ErrorKind::AlreadyExists,
            Self::TooLarge(_) | Self::Empty(_) | Self::Invalid { .. } => io::ErrorKind::InvalidData,
        }
    }
}

impl From<Base64Fault> for AddressError {
    fn from(fault: Base64Fault) -> Self {
        match fault {
            Base64Fault::Character { offset } => Self::InvalidBase64 { offset },
            Base64Fault::Length { length } => Self::Base64Length { length },
        }
    }
}

impl From<Base64Fault> for KeyError {
    fn from(fault: Base64Fault) -> Self {
        match fault {
            Base64Fault::Character { offset } => Self::InvalidBase64 { offset },
            Base64Fault::Length { length } => Self::Base64Length { length },
        }
    }
}

/// Quotes a path so that a shell reads it as one word and not as an option; users can paste the
/// advice.
fn shell_quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) && !text.starts_with('-') {
        return text;
    }
    let text = if text.starts_with('-') {
        format!("./{text}")
    } else {
        text
    };
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_can_cross_threads() {
        fn check<T: std::error::Error + Send + Sync + 'static>() {}
        check::<AddressError>();
        check::<KeyError>();
        check::<KeyFileError>();
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

    #[test]
    fn permission_advice_is_shell_safe() {
        for (path, pasted) in [
            ("/etc/service.key", "chmod 600 /etc/service.key"),
            ("my key", "chmod 600 'my key'"),
            ("it's", r"chmod 600 'it'\''s'"),
            ("-R", "chmod 600 './-R'"),
            ("a;b", "chmod 600 'a;b'"),
        ] {
            let error = KeyFileError::Permissions {
                path: path.into(),
                mode: 0o644,
            };
            let shown = error.to_string();
            assert!(shown.contains(&format!("`{pasted}`")), "{shown}");
            assert!(shown.contains("644"), "{shown}");
        }
    }

    #[test]
    fn owner_advice_is_shell_safe() {
        let error = KeyFileError::Owner {
            path: "my key".into(),
            owner: 1000,
            user: 0,
        };
        let shown = error.to_string();
        assert!(shown.contains("`chown 0 'my key'`"), "{shown}");
        assert!(shown.contains("1000"), "{shown}");
    }

    #[test]
    fn key_file_error_kind_matches_variant() {
        use io::ErrorKind::{AlreadyExists, InvalidData, InvalidInput, PermissionDenied};

        let path = PathBuf::from("service.key");
        let permissions = KeyFileError::Permissions {
            path: path.clone(),
            mode: 0o644,
        };
        let owner = KeyFileError::Owner {
            path: path.clone(),
            owner: 1000,
            user: 0,
        };
        let invalid = KeyFileError::Invalid {
            path: path.clone(),
            reason: KeyError::PublicOnly,
        };
        for (error, kind) in [
            (permissions, PermissionDenied),
            (owner, PermissionDenied),
            (KeyFileError::NotAFile(path.clone()), InvalidInput),
            (KeyFileError::DifferentKey(path.clone()), AlreadyExists),
            (KeyFileError::TooLarge(path.clone()), InvalidData),
            (KeyFileError::Empty(path), InvalidData),
            (invalid, InvalidData),
        ] {
            assert_eq!(error.kind(), kind, "{error}");
            let shown = error.to_string();
            let error = io::Error::from(crate::Error::from(error));
            assert_eq!(error.kind(), kind, "{shown}");
        }
    }

    #[test]
    fn only_missing_file_is_not_found() {
        let io = |kind: io::ErrorKind| KeyFileError::Io {
            action: "open",
            path: "a".into(),
            reason: kind.into(),
        };
        assert!(io(io::ErrorKind::NotFound).is_not_found());
        assert!(!io(io::ErrorKind::PermissionDenied).is_not_found());
        assert!(!KeyFileError::Empty("a".into()).is_not_found());
    }
}
