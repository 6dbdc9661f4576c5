use std::io::Read;

use crate::error::SessionLoss;
use crate::wire::Line;

/// Reads the datagrams that a bridge sends on a control socket.
///
/// The reader of the control socket passes each line to it first.
pub(crate) trait Frames: Send {
    /// Reads the payload that follows the line, if the line announces a datagram.
    fn take(&mut self, line: &[u8], end: Line, socket: &mut dyn Read) -> Frame;
}

/// The outcome of [`Frames::take`].
pub(crate) enum Frame {
    /// The line announced a datagram, and its payload was read.
    Datagram,
    /// The line announces no datagram.
    Other,
    Lost(SessionLoss),
}
