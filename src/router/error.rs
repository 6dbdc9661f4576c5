use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use super::program::PLACES;
use crate::error::ConfigError;
use crate::logging::debug_as_sentence;

/// The reason why a router could not be launched. No process is left.
///
/// `Display` does not repeat the [`source`](std::error::Error::source). `Debug` is the name of the variant and
/// the whole chain, so a `main` that returns the error prints it as a sentence.
///
/// ```
/// use i2p_sam::router::{I2pd, LaunchError};
///
/// let outcome = I2pd::builder().program("/no/such/i2pd").launch();
/// assert!(matches!(outcome, Err(LaunchError::Program { .. })));
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// No i2pd is installed in any of the usual places.
    #[error(
        "no i2pd was found on PATH or in {}: install it (Debian, Ubuntu: `apt install i2pd`; \
         macOS: `brew install i2pd`), or set `program`",
        PLACES.join(", ")
    )]
    NotInstalled,
    /// The system did not run the program.
    #[error("{} cannot be run", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The data folder, or a file in it, cannot be created, read or written.
    #[error("the data folder {} cannot be used", path.display())]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Another router uses the data folder. Two routers in one folder would have the same identity.
    #[error(
        "another router uses the data folder {}{}: stop it, or set another `data_dir`",
        path.display(),
        id.map(|id| format!(" (process {id})")).unwrap_or_default()
    )]
    DataDirInUse {
        /// The folder.
        path: PathBuf,
        /// The process id in the folder's `i2pd.pid`, if there is one.
        id: Option<u32>,
    },
    /// The configuration file cannot be read.
    #[error("the configuration file {} cannot be read", path.display())]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A setting cannot be used. Nothing was started.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The process ended before its SAM bridge replied.
    #[error("i2pd ended before its SAM bridge replied ({status}):\n{log}")]
    Exited {
        /// The status with which it ended.
        status: ExitStatus,
        /// The last lines of its output and its log.
        log: Box<str>,
    },
    /// Other programs had bound the ports, in each of several attempts: for ports that are free by choice this
    /// is unlikely, so the [port of the router](super::I2pdBuilder::port) is probably in use.
    #[error("i2pd could not bind its ports:\n{log}")]
    PortsInUse {
        /// The last lines of its output and its log.
        log: Box<str>,
    },
    /// The SAM bridge did not reply in time.
    #[error("the SAM bridge of i2pd did not reply within {after:?}:\n{log}")]
    Timeout {
        /// The time allowed for the launch.
        after: Duration,
        /// The last lines of its output and its log.
        log: Box<str>,
    },
    /// The [handle](super::I2pdBuilder::with_cancel) fired.
    #[error("the launch of i2pd was cancelled")]
    Cancelled,
    /// The system refused something else: a port, the state of the process.
    #[error("i2pd could not be watched")]
    Io(#[source] io::Error),
}

impl LaunchError {
    /// Returns the last lines that the router printed and logged, if it had started.
    #[must_use]
    pub fn log(&self) -> Option<&str> {
        match self {
            Self::Exited { log, .. } | Self::PortsInUse { log } | Self::Timeout { log, .. } => {
                Some(log)
            }
            _ => None,
        }
    }

    /// Returns the [`io::ErrorKind`] of this error.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::NotInstalled => io::ErrorKind::NotFound,
            Self::Program { source, .. }
            | Self::DataDir { source, .. }
            | Self::ConfigFile { source, .. }
            | Self::Io(source) => source.kind(),
            Self::DataDirInUse { .. } | Self::PortsInUse { .. } => io::ErrorKind::AddrInUse,
            Self::Config(_) => io::ErrorKind::InvalidInput,
            Self::Timeout { .. } => io::ErrorKind::TimedOut,
            Self::Exited { .. } | Self::Cancelled => io::ErrorKind::Other,
        }
    }
}

debug_as_sentence!(LaunchError:
    NotInstalled Program DataDir DataDirInUse ConfigFile Config Exited PortsInUse Timeout Cancelled Io);

/// Keeps the error inside, so that `io::Error::downcast` returns it.
impl From<LaunchError> for io::Error {
    fn from(error: LaunchError) -> Self {
        Self::new(error.kind(), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_in_use_names_folder_and_process() {
        let path = PathBuf::from("router");
        let error = LaunchError::DataDirInUse { path, id: Some(7) };
        let text = "another router uses the data folder router (process 7): ";
        assert!(error.to_string().starts_with(text), "{error}");
    }

    #[test]
    fn debug_is_the_variant_and_the_chain() {
        let error = LaunchError::Program {
            program: "i2pd".into(),
            source: io::Error::other("it is a folder"),
        };
        let text = "Program: i2pd cannot be run: it is a folder";
        assert_eq!(format!("{error:?}"), text);
    }

    #[test]
    fn io_error_keeps_the_error_and_its_kind() {
        let log = "a line".into();
        let after = Duration::from_secs(1);
        let error = io::Error::from(LaunchError::Timeout { after, log });
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let inner: LaunchError = error.downcast().unwrap();
        assert_eq!(inner.log(), Some("a line"));
    }
}
