//! Limits of the system that a program can reach: no fault of a bridge, and temporary.

use std::io;

/// A limit of the system that stopped a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// The process has as many open descriptors as it may have.
    ProcessDescriptors,
    /// All processes together have as many open files as the system allows.
    SystemDescriptors,
    /// The system starts no further thread.
    Threads,
}

impl Limit {
    /// Returns the limit that the system's error reports, if it reports one.
    ///
    /// `std` has no [`io::ErrorKind`] for descriptors. An error that is kept never comes from a
    /// wait, so `WouldBlock` means that the system starts no thread.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        match error.raw_os_error() {
            Some(code) if code == PROCESS_DESCRIPTORS => Some(Self::ProcessDescriptors),
            Some(code) if SYSTEM_DESCRIPTORS == Some(code) => Some(Self::SystemDescriptors),
            _ if error.kind() == io::ErrorKind::WouldBlock => Some(Self::Threads),
            _ => None,
        }
    }

    /// Returns a text that names the limit and the remedy.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Self::ProcessDescriptors => {
                "this process has reached its limit of open descriptors (sockets and files): close \
                 some, or raise the limit (`ulimit -n`, or `LimitNOFILE=` of a systemd unit)"
            }
            Self::SystemDescriptors => {
                "the system has reached its limit of open files: close some, or raise the limit \
                 (`sysctl fs.file-max` on Linux, `kern.maxfiles` on macOS and BSD)"
            }
            Self::Threads => {
                "the system has reached its limit of threads: let some end, or raise the limit \
                 (`ulimit -u`, or `TasksMax=` of a systemd unit)"
            }
        }
    }
}

/// `EMFILE`, the same on every Unix; `WSAEMFILE` on Windows.
const PROCESS_DESCRIPTORS: i32 = if cfg!(windows) { 10024 } else { 24 };

/// `ENFILE`.
const SYSTEM_DESCRIPTORS: Option<i32> = if cfg!(windows) { None } else { Some(23) };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn descriptor_limit_errors_are_recognised() {
        let of = |code| Limit::of(&io::Error::from_raw_os_error(code));
        assert_eq!(of(24), Some(Limit::ProcessDescriptors));
        assert_eq!(of(23), Some(Limit::SystemDescriptors));
        assert_eq!(of(2), None);
    }

    #[test]
    fn failed_thread_start_is_limit() {
        let error = io::Error::from(io::ErrorKind::WouldBlock);
        assert_eq!(Limit::of(&error), Some(Limit::Threads));
    }

    #[test]
    fn other_errors_are_no_limit() {
        for kind in [io::ErrorKind::ConnectionRefused, io::ErrorKind::TimedOut] {
            assert_eq!(Limit::of(&kind.into()), None);
        }
    }
}
