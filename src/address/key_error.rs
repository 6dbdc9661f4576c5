//! Errors of private keys and key files.
//!
//! None of these errors contains a byte of the input, which may be a private key. They give offsets
//! and lengths.

use std::io;
use std::path::{Path, PathBuf};

use super::b32::B32;
use super::encoding::Base64Fault;
use super::error::AddressError;
use crate::logging::debug_as_sentence;

/// The reason why some bytes or a text are not a private key.
///
/// The message never contains a byte of the key: it gives only offsets and lengths. `Debug` is the name of the
/// variant and the message, so a `main` that returns the error prints a sentence.
///
/// # Examples
///
/// ```
/// use i2p_sam::{KeyError, PrivateKey};
///
/// let error = PrivateKey::from_base64("A+B=").unwrap_err();
/// assert_eq!(error, KeyError::InvalidBase64 { offset: 1 });
/// ```
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
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
/// The message names the file and explains what to do. It never contains a byte of the content. `Debug` is the name
/// of the variant and the message, so a `main` that returns the error prints a sentence.
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
#[derive(thiserror::Error)]
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

debug_as_sentence!(KeyError:
    InvalidBase64 Base64Length Destination DestinationMismatch PublicOnly UnsupportedSignatureType
    InvalidOfflineSignature Length);

debug_as_sentence!(KeyFileError: Io NotAFile Owner Permissions TooLarge Empty Invalid DifferentKey);

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
        check::<KeyError>();
        check::<KeyFileError>();
    }

    #[test]
    fn debug_is_variant_and_sentence() {
        let error = KeyError::Base64Length { length: 5 };
        assert_eq!(format!("{error:?}"), format!("Base64Length: {error}"));
        let file = KeyFileError::Io {
            action: "open",
            path: "service.key".into(),
            reason: io::Error::other("no such file"),
        };
        let shown = "Io: cannot open key file service.key: no such file";
        assert_eq!(format!("{file:?}"), shown);
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
