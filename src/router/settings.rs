use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::step::LaunchStep;
use crate::sync::Cancel;

const TIMEOUT: Duration = Duration::from_secs(60);

pub(super) type OnProgress = Arc<dyn Fn(&LaunchStep) + Send + Sync>;

/// The settings of one launch.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) program: Option<PathBuf>,
    pub(super) data_dir: Option<PathBuf>,
    pub(super) config_file: Option<PathBuf>,
    pub(super) port: Option<u16>,
    pub(super) bandwidth: Option<u32>,
    pub(super) floodfill: bool,
    pub(super) transit: bool,
    pub(super) offline: bool,
    pub(super) arguments: Vec<OsString>,
    pub(super) timeout: Option<Duration>,
    pub(super) cancel: Cancel,
    pub(super) on_progress: Option<OnProgress>,
}

impl Settings {
    pub(super) fn emit(&self, step: &LaunchStep) {
        if let Some(call) = &self.on_progress {
            call(step);
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            program: None,
            data_dir: None,
            config_file: None,
            port: None,
            bandwidth: None,
            floodfill: false,
            transit: true,
            offline: false,
            arguments: Vec::new(),
            timeout: Some(TIMEOUT),
            cancel: Cancel::new(),
            on_progress: None,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("I2pdBuilder")
            .field("program", &self.program)
            .field("data_dir", &self.data_dir)
            .field("config_file", &self.config_file)
            .field("port", &self.port)
            .field("bandwidth", &self.bandwidth)
            .field("floodfill", &self.floodfill)
            .field("transit", &self.transit)
            .field("offline", &self.offline)
            .field("arguments", &self.arguments.len())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
