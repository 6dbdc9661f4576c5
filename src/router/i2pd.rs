use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Mutex;
use std::time::Duration;

use super::data_dir::DataDir;
use super::process::Process;
use crate::bridge::SamBridge;
use crate::error::{Error, Phase};
use crate::sync::{Call, lock};

/// Longer than i2pd needs to end its tunnels and to write its files.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A running i2pd that belongs to this program. It stops when this is dropped: see
/// [the end of the router](super#the-end-of-the-router).
///
/// ```no_run
/// use i2p_sam::router::I2pd;
///
/// let router = I2pd::launch()?;
/// println!("SAM {}", router.bridge().version()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the router stops when this is dropped"]
pub struct I2pd {
    /// It is dropped before the folder is removed.
    process: Mutex<Process>,
    bridge: SamBridge,
    folder: DataDir,
    id: u32,
}

impl I2pd {
    pub(super) fn new(process: Process, bridge: SamBridge, folder: DataDir) -> Self {
        Self {
            id: process.id(),
            process: Mutex::new(process),
            bridge,
            folder,
        }
    }

    /// Returns the SAM bridge of the router, with the default deadlines. It does not keep the router running.
    ///
    /// For other deadlines, pass its [`address`](SamBridge::address) and
    /// [`udp_address`](SamBridge::udp_address) to a [`SamBridge::builder`].
    #[must_use]
    pub fn bridge(&self) -> SamBridge {
        self.bridge.clone()
    }

    /// Returns the id of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Returns the data folder.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the path of the log.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.folder.log()
    }

    /// Returns the last lines that the router printed and logged.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.folder.tail().into()
    }

    /// Returns true if the process runs. i2pd may end by itself: some of its releases crash on some commands.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(lock(&self.process).exit_status(), Ok(None))
    }

    /// Waits until the process has ended, and returns its status; `None` if it still runs after `timeout`
    /// (`None` waits for ever).
    ///
    /// # Errors
    ///
    /// The error of the system if the process has ended without a status, because the program ignores SIGCHLD.
    ///
    /// ```no_run
    /// let router = i2p_sam::router::I2pd::launch()?;
    /// router.stop();
    /// println!("{:?}", router.wait(None)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait(&self, timeout: Option<Duration>) -> io::Result<Option<ExitStatus>> {
        let call = Call::new(Phase::WaitClosed).within(timeout);
        loop {
            // No lock is held during the pause, so that another thread can stop the router.
            let status = lock(&self.process).exit_status()?;
            let is_over = matches!(call.left(), Err(Error::Timeout { .. }));
            if status.is_some() || is_over {
                return Ok(status);
            }
            call.sleep(POLL_INTERVAL)?;
        }
    }

    /// Ends the process, and waits until it has ended: up to 10 s, after which it is killed. A second call
    /// does nothing.
    ///
    /// All sessions of the router are lost. Close them first, so that their peers receive the end of the
    /// streams.
    ///
    /// ```no_run
    /// let router = i2p_sam::router::I2pd::launch()?;
    /// let session = router.bridge().session().stream()?;
    /// // … and at the end of the program:
    /// session.close();
    /// router.stop();
    /// assert!(!router.is_running());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stop(&self) {
        if !self.is_running() {
            return;
        }
        lock(&self.process).ask_to_end();
        if matches!(self.wait(Some(STOP_PATIENCE)), Ok(None)) {
            lock(&self.process).kill();
        }
    }
}

/// Stops the router, as [`stop`](I2pd::stop) does.
impl Drop for I2pd {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Shows the process, the bridge and the data folder.
impl fmt::Debug for I2pd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("I2pd")
            .field("id", &self.id)
            .field("running", &self.is_running())
            .field("bridge", &self.bridge)
            .field("data_dir", &self.folder.path())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
