use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::error::LaunchError;
use super::i2pd::I2pd;
use super::launch;
use super::settings::Settings;
use super::step::LaunchStep;
use crate::sync::Cancel;

/// The settings of an [`I2pd`].
///
/// ```no_run
/// use i2p_sam::router::I2pd;
///
/// let router = I2pd::builder().data_dir("router").bandwidth(256).launch()?;
/// # Ok::<(), i2p_sam::router::LaunchError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct I2pdBuilder {
    settings: Settings,
}

impl I2pd {
    /// Starts an installed i2pd with every default of the [builder](I2pd::builder), and waits until its SAM
    /// bridge replies.
    ///
    /// # Errors
    ///
    /// Those of [`I2pdBuilder::launch`].
    ///
    /// ```no_run
    /// let router = i2p_sam::router::I2pd::launch()?;
    /// # Ok::<(), i2p_sam::router::LaunchError>(())
    /// ```
    pub fn launch() -> Result<Self, LaunchError> {
        Self::builder().launch()
    }

    /// Returns a builder with the defaults.
    ///
    /// ```
    /// let builder = i2p_sam::router::I2pd::builder().offline(true);
    /// println!("{builder:?}");
    /// ```
    pub fn builder() -> I2pdBuilder {
        I2pdBuilder {
            settings: Settings::default(),
        }
    }
}

impl I2pdBuilder {
    /// Sets the program. Default: the first `i2pd` on PATH, or else in the folders where packages install it,
    /// such as `/usr/sbin`.
    ///
    /// The program must become i2pd itself (`exec` in a script): its process receives the signal to end.
    pub fn program(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.program = Some(path.into());
        self
    }

    /// Sets the data folder, which is created if it does not exist, and remains. Default: a new folder among
    /// the system's temporary files, which is removed with the [`I2pd`].
    ///
    /// It contains the keys of the router, and the other routers that it knows, which shorten the time to the
    /// first session of the next start. The file `i2pd.log` in it is the log, and `i2pd.log.old` that of the
    /// start before. If the folder contains an `i2pd.conf`, i2pd reads it.
    ///
    /// A folder that another router uses is [refused](LaunchError::DataDirInUse).
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.data_dir = Some(path.into());
        self
    }

    /// Sets the configuration file. Default: none but the `i2pd.conf` in the data folder, if it exists.
    ///
    /// The settings of this builder, the data folder, the log, SAM's address, and the services that are off
    /// take precedence over it. A file that sets `daemon`, `service` or SAM's `portudp` is refused.
    pub fn config_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.config_file = Some(path.into());
        self
    }

    /// Sets the port at which other routers reach this one, by TCP and UDP. Default: i2pd chooses one at its
    /// first start, and keeps it in its data folder.
    pub fn port(mut self, port: u16) -> Self {
        self.settings.port = Some(port);
        self
    }

    /// Sets the bandwidth for the traffic of other routers, in kilobytes per second. Default: i2pd's, which is
    /// 32.
    pub fn bandwidth(mut self, kilobytes: u32) -> Self {
        self.settings.bandwidth = Some(kilobytes);
        self
    }

    /// Sets whether the router is a floodfill, which stores the network's database for others and needs
    /// bandwidth and a public address. Default: no.
    pub fn floodfill(mut self, floodfill: bool) -> Self {
        self.settings.floodfill = floodfill;
        self
    }

    /// Sets whether the router carries the traffic of other routers. Default: yes; that traffic also hides the
    /// traffic of the router itself.
    pub fn transit(mut self, transit: bool) -> Self {
        self.settings.transit = transit;
        self
    }

    /// Sets whether the router stays on loopback, for tests: it connects to no other machine, and belongs to
    /// another network than the real one. Default: no.
    ///
    /// Two sessions on such a router reach each other if their tunnels have no hops:
    /// [`SessionOptions::tunnel_length(0)`](crate::SessionOptions::tunnel_length).
    pub fn offline(mut self, offline: bool) -> Self {
        self.settings.offline = offline;
        self
    }

    /// Adds an argument of i2pd, `--name` or `--name=value`, such as `--ipv6` or `--loglevel=info`. It replaces
    /// an argument of the same name that the launcher passes, such as `--http.enabled=false`.
    ///
    /// Every user of the machine can read the arguments of a process: a password belongs in a
    /// [configuration file](Self::config_file).
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.settings.arguments.push(argument.into());
        self
    }

    /// Sets the time until the SAM bridge must reply. Default: 60 s; it takes less than a second on an idle
    /// machine.
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// Sets a handle that ends the launch. It does not affect the router and its [`bridge`](I2pd::bridge) after
    /// that.
    pub fn with_cancel(mut self, cancel: &Cancel) -> Self {
        self.settings.cancel = cancel.clone();
        self
    }

    /// Sets a function that is called with each [`LaunchStep`], on the thread that launches. Default: none.
    pub fn on_progress(mut self, call: impl Fn(&LaunchStep) + Send + Sync + 'static) -> Self {
        self.settings.on_progress = Some(Arc::new(call));
        self
    }

    /// Starts the router, and waits until its SAM bridge replies. If this fails, the process is killed.
    ///
    /// # Errors
    ///
    /// [`LaunchError`]: no program, a data folder or a setting that cannot be used, a process that ends, no
    /// reply in time, or a [handle](Self::with_cancel) that fired.
    ///
    /// ```no_run
    /// use i2p_sam::router::I2pd;
    ///
    /// let router = I2pd::builder()
    ///     .data_dir("router")
    ///     .on_progress(|step| eprintln!("{step}"))
    ///     .launch()?;
    /// let session = router.bridge().session().stream()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn launch(&self) -> Result<I2pd, LaunchError> {
        launch::launch(&self.settings)
    }
}

/// Shows the settings; of the arguments only their number.
impl fmt::Debug for I2pdBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}
