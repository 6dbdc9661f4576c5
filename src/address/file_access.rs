//! Whether a key file is accessible to its owner alone, and the owner is this process's user.

use std::fs;
#[cfg(unix)]
use std::io;
use std::path::Path;

use super::error::KeyFileError;

/// Whether the file is this user's alone.
#[cfg(unix)]
pub(super) fn check_access(metadata: &fs::Metadata, path: &Path) -> Result<(), KeyFileError> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    let owner = metadata.uid();
    let user = effective_user().map_err(|reason| KeyFileError::Io {
        action: "check the owner of",
        path: path.to_owned(),
        reason,
    })?;
    if let Some(user) = user.filter(|user| *user != owner) {
        return Err(KeyFileError::Owner {
            path: path.to_owned(),
            owner,
            user,
        });
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(KeyFileError::Permissions {
        path: path.to_owned(),
        mode,
    })
}

#[cfg(not(unix))]
pub(super) fn check_access(_: &fs::Metadata, _: &Path) -> Result<(), KeyFileError> {
    Ok(())
}

/// The user this process runs as, where a socket can be asked for it. std has no `geteuid`, but a
/// socket belongs to the user who made it, needs no name in a file system and takes no access to
/// one.
#[cfg(any(
    target_vendor = "apple",
    target_os = "android",
    target_os = "dragonfly",
    target_os = "freebsd",
    target_os = "linux",
    target_os = "netbsd",
    target_os = "openbsd",
))]
fn effective_user() -> io::Result<Option<u32>> {
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixDatagram;

    let socket = fs::File::from(OwnedFd::from(UnixDatagram::unbound()?));
    Ok(Some(socket.metadata()?.uid()))
}

/// Elsewhere a socket's owner is not known to be that user: illumos reports root.
#[cfg(all(
    unix,
    not(any(
        target_vendor = "apple",
        target_os = "android",
        target_os = "dragonfly",
        target_os = "freebsd",
        target_os = "linux",
        target_os = "netbsd",
        target_os = "openbsd",
    ))
))]
fn effective_user() -> io::Result<Option<u32>> {
    Ok(None)
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn effective_user_is_the_owner_of_a_new_file() {
        let path = std::env::temp_dir().join(format!("i2p-owner-{}", std::process::id()));
        let owner = fs::File::create_new(&path)
            .unwrap()
            .metadata()
            .unwrap()
            .uid();
        fs::remove_file(&path).unwrap();
        assert_eq!(effective_user().unwrap(), Some(owner));
    }
}
