use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A step of the [launch](super::I2pd::launch) of a router.
///
/// ```
/// use i2p_sam::router::LaunchStep;
///
/// let step = LaunchStep::Started { id: 1234 };
/// assert_eq!(step.to_string(), "i2pd runs as process 1234, and its SAM bridge is awaited");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LaunchStep {
    /// A program was found, and is started next.
    Starting {
        /// The program.
        program: PathBuf,
        /// The data folder.
        data_dir: PathBuf,
    },
    /// The process runs. Its SAM bridge is awaited.
    Started {
        /// The id of the process.
        id: u32,
    },
    /// Another program bound one of the ports first. The process was stopped, and is started again with others.
    PortsInUse,
    /// The SAM bridge replied.
    Ready {
        /// The time since the call.
        after: Duration,
    },
}

impl fmt::Display for LaunchStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting { program, data_dir } => {
                let (program, folder) = (program.display(), data_dir.display());
                write!(f, "starting {program} with the data folder {folder}")
            }
            Self::Started { id } => {
                write!(
                    f,
                    "i2pd runs as process {id}, and its SAM bridge is awaited"
                )
            }
            Self::PortsInUse => f.write_str("a port is in use: i2pd is started again with others"),
            Self::Ready { after } => {
                write!(f, "the SAM bridge of i2pd replied after {after:.1?}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_displays_program_and_folder() {
        let step = LaunchStep::Starting {
            program: "/usr/sbin/i2pd".into(),
            data_dir: "router".into(),
        };
        let text = "starting /usr/sbin/i2pd with the data folder router";
        assert_eq!(step.to_string(), text);
    }
}
