//! The data folder of a router: its lock, its log, and the process id in it.

use std::env;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use super::error::LaunchError;

/// More than i2pd logs about one reason to end.
const TAIL_LINES: usize = 20;

/// A log may be large. Its last lines are at its end.
const TAIL_BYTES: u64 = 16 * 1024;

/// The part of a log in which i2pd reports its ports. The log of a chatty router grows meanwhile.
const START_BYTES: u64 = 256 * 1024;

/// i2pd's words for a folder of another i2pd, whose pid file is locked.
const LOCKED: &str = "Could not lock pid file";

/// i2pd's words for a port that another program has bound. It continues to run without the port.
const PORT_TAKEN: &str = "bind: Address already in use";

/// A data folder that no other router uses.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    /// The lock ends with the file, so the file stays open.
    _lock: File,
    /// The folder is removed when this is dropped, if it was made for one router.
    _scratch: Option<Scratch>,
}

impl DataDir {
    /// Opens the folder, and creates it if it does not exist. `None` means a new one in the system's folder for
    /// temporary files, which is removed in the end.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, LaunchError> {
        match path {
            Some(path) => Self::lock(path, None),
            None => {
                let scratch = Scratch::create().map_err(fault(&env::temp_dir()))?;
                let path = scratch.path().to_owned();
                Self::lock(&path, Some(scratch))
            }
        }
    }

    fn lock(path: &Path, scratch: Option<Scratch>) -> Result<Self, LaunchError> {
        private_folder()
            .recursive(true)
            .create(path)
            .map_err(fault(path))?;
        // i2pd starts in the folder of this process, but a path that moves with it is an invitation to errors.
        let path = std::path::absolute(path).map_err(fault(path))?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("i2p-sam.lock"))
            .map_err(fault(&path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path,
                _lock: lock,
                _scratch: scratch,
            }),
            Err(TryLockError::WouldBlock) => Err(in_use(&path)),
            Err(TryLockError::Error(error)) => Err(fault(&path)(error)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn log(&self) -> PathBuf {
        self.path.join("i2pd.log")
    }

    pub(super) fn pid_file(&self) -> PathBuf {
        pid_file(&self.path)
    }

    /// Renames the log of an earlier start, so that its lines are not taken for those of the next one.
    ///
    /// # Errors
    ///
    /// [`LaunchError::DataDir`] if a file cannot be written.
    pub(super) fn rotate_log(&self) -> Result<(), LaunchError> {
        match fs::rename(self.log(), self.path.join("i2pd.log.old")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(fault(&self.path)(error)),
            _ => Ok(()),
        }
    }

    /// Creates the file for the output of the process, which a router that rejects its arguments writes instead
    /// of a log.
    ///
    /// # Errors
    ///
    /// [`LaunchError::DataDir`] if it cannot be written.
    pub(super) fn create_output(&self) -> Result<(File, File), LaunchError> {
        let create = || {
            let file = File::create(self.output())?;
            Ok((file.try_clone()?, file))
        };
        create().map_err(fault(&self.path))
    }

    /// Returns the last lines of the output and of the log.
    pub(super) fn tail(&self) -> Box<str> {
        let text = end_of(&self.output()) + &end_of(&self.log());
        let lines: Vec<&str> = text.lines().collect();
        let skipped = lines.len().saturating_sub(TAIL_LINES);
        let last: Vec<&str> = lines.into_iter().skip(skipped).collect();
        last.join("\n").into()
    }

    /// Returns an error if the output of a router that ended shows that another one uses the folder.
    pub(super) fn refused(&self) -> Option<LaunchError> {
        self.tail().contains(LOCKED).then(|| in_use(&self.path))
    }

    /// Returns true if the router could not bind a port.
    pub(super) fn port_taken(&self) -> bool {
        // i2pd binds its ports in its first second, before it has logged much.
        let mut start = Vec::new();
        let log = File::open(self.log());
        let read = log.and_then(|log| log.take(START_BYTES).read_to_end(&mut start));
        read.is_ok() && String::from_utf8_lossy(&start).contains(PORT_TAKEN)
    }

    fn output(&self) -> PathBuf {
        self.path.join("i2pd.out")
    }
}

/// A new folder, which only its owner can read. It is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn create() -> io::Result<Self> {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        loop {
            let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
            let path = env::temp_dir().join(format!("i2p-sam-i2pd-{}-{serial}", process::id()));
            match private_folder().create(&path) {
                Ok(()) => return Ok(Self(path)),
                // A process with this id was killed before it could remove its folder.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A file that stays in the temporary folder cannot be helped.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The folder contains the keys of the router, and of its destinations.
fn private_folder() -> DirBuilder {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has a mode"))]
    let mut folder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    folder
}

fn pid_file(folder: &Path) -> PathBuf {
    folder.join("i2pd.pid")
}

fn fault(path: &Path) -> impl FnOnce(io::Error) -> LaunchError {
    let path = path.to_owned();
    move |source| LaunchError::DataDir { path, source }
}

fn in_use(path: &Path) -> LaunchError {
    let text = fs::read_to_string(pid_file(path)).unwrap_or_default();
    LaunchError::DataDirInUse {
        path: path.to_owned(),
        id: text.trim().parse().ok(),
    }
}

/// Returns the last part of a file; nothing if it cannot be read.
fn end_of(path: &Path) -> String {
    let read = || {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok::<_, io::Error>(bytes)
    };
    let bytes = read().unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_opened_twice_is_in_use() {
        let scratch = Scratch::create().unwrap();
        let first = DataDir::open(Some(scratch.path())).unwrap();
        fs::write(first.pid_file(), "1234\n").unwrap();
        let again = DataDir::open(Some(scratch.path()));
        let Err(LaunchError::DataDirInUse { id, .. }) = again else {
            panic!("{again:?}");
        };
        assert_eq!(id, Some(1234));
    }

    #[test]
    fn folder_closed_opens_again() {
        let scratch = Scratch::create().unwrap();
        let path = scratch.path().join("deep/er");
        drop(DataDir::open(Some(&path)).unwrap());
        assert!(DataDir::open(Some(&path)).is_ok());
    }

    #[test]
    fn folder_of_its_own_is_removed() {
        let folder = DataDir::open(None).unwrap();
        let path = folder.path().to_owned();
        assert!(path.is_dir());
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn folder_that_is_a_file_is_refused() {
        let scratch = Scratch::create().unwrap();
        let path = scratch.path().join("file");
        fs::write(&path, "").unwrap();
        let outcome = DataDir::open(Some(&path));
        assert!(matches!(outcome, Err(LaunchError::DataDir { .. })));
    }

    #[test]
    fn tail_has_the_last_lines_only() {
        let folder = DataDir::open(None).unwrap();
        let lines: String = (0..10_000).map(|line| format!("line {line}\n")).collect();
        fs::write(folder.log(), lines).unwrap();
        let tail = folder.tail();
        assert_eq!(tail.lines().count(), TAIL_LINES);
        assert!(tail.ends_with("\nline 9999"));
    }

    #[test]
    #[cfg(unix)]
    fn new_folder_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;

        let folder = DataDir::open(None).unwrap();
        let mode = fs::metadata(folder.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
