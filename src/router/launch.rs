//! The launch: the process is started, and watched until its SAM bridge replies.

use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use super::arguments;
use super::data_dir::DataDir;
use super::error::LaunchError;
use super::i2pd::I2pd;
use super::ports::Ports;
use super::process::Process;
use super::program;
use super::settings::Settings;
use super::step::LaunchStep;
use crate::bridge::SamBridge;
use crate::error::{Error, Phase};
use crate::sync::Call;

/// Another program can bind a port after we found it free and before i2pd binds it.
const ATTEMPTS: u32 = 5;

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Longest wait of one check if the bridge replies.
const POLL_PATIENCE: Duration = Duration::from_secs(2);

/// Launches a router.
///
/// # Errors
///
/// [`LaunchError`]; no process is left.
pub(super) fn launch(settings: &Settings) -> Result<I2pd, LaunchError> {
    let start = Instant::now();
    let launch = Launch {
        settings,
        program: settings.program.clone().or_else(program::find),
        folder: DataDir::open(settings.data_dir.as_deref())?,
        call: Call::new(Phase::Connect)
            .or_cancel(&settings.cancel)
            .within(settings.timeout),
    };
    launch.check_config()?;
    let (process, bridge) = launch.repeat()?;
    settings.emit(&LaunchStep::Ready {
        after: start.elapsed(),
    });
    Ok(I2pd::new(process, bridge, launch.folder))
}

/// One launch: all its attempts have one deadline.
struct Launch<'a> {
    settings: &'a Settings,
    program: Option<PathBuf>,
    folder: DataDir,
    call: Call,
}

impl Launch<'_> {
    fn check_config(&self) -> Result<(), LaunchError> {
        let file = self.folder.path().join("i2pd.conf");
        match &self.settings.config_file {
            Some(file) => arguments::check_config_file(file),
            None if file.exists() => arguments::check_config_file(&file),
            None => Ok(()),
        }
    }

    /// Starts the router until it could bind its ports.
    fn repeat(&self) -> Result<(Process, SamBridge), LaunchError> {
        for _ in 0..ATTEMPTS {
            let ports = Ports::free().map_err(LaunchError::Io)?;
            let mut process = self.start(ports)?;
            let bridge = ports.bridge().map_err(|error| self.explain(error))?;
            // The process is killed with its handle if the wait fails.
            if self.wait(&mut process, &bridge)? {
                return Ok((process, bridge));
            }
            drop(process);
            self.settings.emit(&LaunchStep::PortsInUse);
        }
        Err(LaunchError::PortsInUse {
            log: self.folder.tail(),
        })
    }

    fn start(&self, ports: Ports) -> Result<Process, LaunchError> {
        let program = self.program.as_ref().ok_or(LaunchError::NotInstalled)?;
        let arguments = arguments::arguments(self.settings, program, &self.folder, ports)?;
        self.call.check().map_err(|error| self.explain(error))?;
        self.folder.rotate_log()?;
        let (output, errors) = self.folder.create_output()?;
        self.settings.emit(&LaunchStep::Starting {
            program: program.clone(),
            data_dir: self.folder.path().to_owned(),
        });
        let mut command = Command::new(program);
        command.args(arguments).stdout(output).stderr(errors);
        let process = Process::start(&mut command).map_err(|source| LaunchError::Program {
            program: program.clone(),
            source,
        })?;
        self.settings
            .emit(&LaunchStep::Started { id: process.id() });
        Ok(process)
    }

    /// Waits until the bridge replies. Returns false if the router could not bind a port.
    fn wait(&self, process: &mut Process, bridge: &SamBridge) -> Result<bool, LaunchError> {
        loop {
            // Before the status: a program at the port of a router that has ended could reply.
            let replies = self.replies(bridge)?;
            if let Some(status) = process.exit_status().map_err(LaunchError::Io)? {
                return Err(self.ended(status));
            }
            if self.folder.port_taken() {
                return Ok(false);
            }
            if replies {
                return Ok(true);
            }
            let pause = self.call.sleep(POLL_INTERVAL);
            pause.map_err(|error| self.explain(error))?;
        }
    }

    /// Returns true if the bridge replies to HELLO now.
    fn replies(&self, bridge: &SamBridge) -> Result<bool, LaunchError> {
        let left = self.call.left().map_err(|error| self.explain(error))?;
        let patience = left.map_or(POLL_PATIENCE, |left| left.min(POLL_PATIENCE));
        let check = SamBridge::builder()
            .address(bridge.address())
            .connect_timeout(Some(patience))
            .hello_timeout(Some(patience))
            .build()
            .map_err(|error| self.explain(error))?;
        match check.with_cancel(&self.settings.cancel).version() {
            Err(error @ Error::Cancelled { .. }) => Err(self.explain(error)),
            outcome => Ok(outcome.is_ok()),
        }
    }

    fn ended(&self, status: ExitStatus) -> LaunchError {
        let log = self.folder.tail();
        let in_use = self.folder.refused();
        in_use.unwrap_or(LaunchError::Exited { status, log })
    }

    fn explain(&self, error: Error) -> LaunchError {
        match error {
            Error::Timeout { after, .. } => LaunchError::Timeout {
                after: self.settings.timeout.unwrap_or(after),
                log: self.folder.tail(),
            },
            Error::Cancelled { .. } => LaunchError::Cancelled,
            error => LaunchError::Io(error.into()),
        }
    }
}
