//! Finding an installed i2pd and its certificates.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The folders in which packages install i2pd, beside those of PATH: `/usr/sbin` is not on the PATH of a user
/// of Debian.
pub(super) const PLACES: &[&str] = if cfg!(windows) {
    &[r"C:\Program Files\i2pd", r"C:\i2pd"]
} else {
    &[
        "/usr/sbin",
        "/usr/bin",
        "/usr/local/sbin",
        "/usr/local/bin",
        "/opt/homebrew/bin",
        "/opt/local/bin",
    ]
};

/// The folders in which packages install the certificates of the reseed servers.
const CERTIFICATES: &[&str] = &[
    "/usr/share/i2pd/certificates",
    "/usr/local/share/i2pd/certificates",
    "/var/lib/i2pd/certificates",
    "/opt/homebrew/share/i2pd/certificates",
    "/opt/local/share/i2pd/certificates",
];

/// Returns the first i2pd on PATH or in one of the usual places.
pub(super) fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let places = PLACES.iter().map(PathBuf::from);
    find_in(env::split_paths(&path).chain(places))
}

fn find_in(folders: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    let name = format!("i2pd{}", env::consts::EXE_SUFFIX);
    // An empty entry of PATH means the current folder, whose files nobody installed.
    folders
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(&name))
        .find(|path| is_executable(path))
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file())
}

/// Returns the folder of certificates for a router whose data folder has none. i2pd itself looks nowhere else,
/// and rejects every list of routers if it has no certificate.
pub(super) fn certificates(program: &Path, data_dir: &Path) -> Option<PathBuf> {
    if data_dir.join("certificates").is_dir() {
        return None;
    }
    let beside = program.parent().map(|folder| folder.join("certificates"));
    let places = CERTIFICATES.iter().map(PathBuf::from);
    beside.into_iter().chain(places).find(|path| path.is_dir())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::router::data_dir::Scratch;

    fn file(folder: &Path, mode: u32) -> PathBuf {
        let path = folder.join("i2pd");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn search_takes_the_first_executable() {
        let (first, second) = (Scratch::create().unwrap(), Scratch::create().unwrap());
        file(first.path(), 0o644);
        let program = file(second.path(), 0o755);
        let folders = [first.path().to_owned(), second.path().to_owned()];
        assert_eq!(find_in(folders.into_iter()), Some(program));
    }

    #[test]
    fn search_skips_relative_folders() {
        let folders = [PathBuf::new(), PathBuf::from(".")];
        assert_eq!(find_in(folders.into_iter()), None);
    }

    #[test]
    fn certificates_beside_the_program_are_found() {
        let (installed, data) = (Scratch::create().unwrap(), Scratch::create().unwrap());
        let folder = installed.path().join("certificates");
        fs::create_dir(&folder).unwrap();
        let program = installed.path().join("i2pd");
        assert_eq!(certificates(&program, data.path()), Some(folder));
        fs::create_dir(data.path().join("certificates")).unwrap();
        assert_eq!(certificates(&program, data.path()), None);
    }
}
