use std::fmt;

use super::Error;
use crate::logging::Full;

/// Writes the name of the variant, the error and its sources: the text that `main` prints if it returns the
/// error, and that `unwrap` and `expect` print.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.variant(), Full(self))
    }
}

impl Error {
    const fn variant(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "Unreachable",
            Self::UdpClosed { .. } => "UdpClosed",
            Self::Timeout { .. } => "Timeout",
            Self::Cancelled { .. } => "Cancelled",
            Self::WouldBlock => "WouldBlock",
            Self::DatagramSize { .. } => "DatagramSize",
            Self::BufferTooSmall { .. } => "BufferTooSmall",
            Self::Refused(_) => "Refused",
            Self::SessionLost(_) => "SessionLost",
            Self::GaveUp(_) => "GaveUp",
            Self::ForwardLost(_) => "ForwardLost",
            Self::UnexpectedEof { .. } => "UnexpectedEof",
            Self::Protocol { .. } => "Protocol",
            Self::WrongDestination { .. } => "WrongDestination",
            Self::Version { .. } => "Version",
            Self::InvalidConfig(_) => "InvalidConfig",
            Self::Conflict(_) => "Conflict",
            Self::Unsupported(_) => "Unsupported",
            Self::Command(_) => "Command",
            Self::Address(_) => "Address",
            Self::Key(_) => "Key",
            Self::KeyFile(_) => "KeyFile",
            Self::Io { .. } => "Io",
        }
    }
}
