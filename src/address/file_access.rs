//! Checks that only the owner can access a key file, and that the owner is this process's user.

use std::fs;
#[cfg(unix)]
use std::io;
use std::path::Path;

use super::key_error::KeyFileError;

/// Checks that the file belongs to this user and that no other user can access it.
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

/// Returns the effective user of this process. std has no `geteuid`, but a new socket belongs to
/// the effective user, and needs no writable file system.
///
/// `None` on systems where the owner of a socket is not known to be the effective user.
#[cfg(unix)]
fn effective_user() -> io::Result<Option<u32>> {
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixDatagram;

    let socket_is_ours = cfg!(any(
        target_vendor = "apple",
        target_os = "android",
        target_os = "dragonfly",
        target_os = "freebsd",
        target_os = "linux",
        target_os = "netbsd",
        target_os = "openbsd",
    ));
    if !socket_is_ours {
        return Ok(None);
    }
    let socket = fs::File::from(OwnedFd::from(UnixDatagram::unbound()?));
    Ok(Some(socket.metadata()?.uid()))
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
