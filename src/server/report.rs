use std::fmt;
use std::io;
use std::time::Duration;

use crate::address::I2pAddr;
use crate::error::Error;

/// The failure of one connection of a [`Server`](crate::server::Server), or of one accept. The server
/// continues.
///
/// ```
/// use i2p_sam::server::{ServerFailure, ServerOptions};
///
/// let options = ServerOptions::new().on_failure(|failure| match failure {
///     ServerFailure::Handler { peer, source } => eprintln!("{peer}: {source}"),
///     failure => eprintln!("{failure}"),
/// });
/// # drop(options);
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerFailure {
    /// The handler returned an error.
    #[error("the connection of {peer} failed")]
    Handler {
        /// The peer that dialled.
        peer: I2pAddr,
        /// The handler's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The handler panicked. The place of the connection is free again.
    #[error("the handler of {peer} panicked")]
    Panicked {
        /// The peer that dialled.
        peer: I2pAddr,
    },
    /// The connection exceeded its [time](crate::server::ServerOptions::connection_timeout), and its stream
    /// was shut down. The result of its handler is not reported.
    #[error("the connection of {peer} took longer than {after:?}")]
    TimedOut {
        /// The peer that dialled.
        peer: I2pAddr,
        /// The time allowed for a connection.
        after: Duration,
    },
    /// No thread could be started for the connection. Its stream was closed.
    #[error("no thread could be started for {peer}")]
    Thread {
        /// The peer that dialled.
        peer: I2pAddr,
        /// The system's error.
        source: io::Error,
    },
    /// An accept failed. The library tries again after a pause.
    #[error("accepting failed")]
    Accept(#[source] Error),
}

/// The numbers of connections that a [`Server`](crate::server::Server) has served so far. Each accepted
/// connection is open, or counts in one of the fields after it.
///
/// ```
/// use i2p_sam::server::{Server, ServerOptions};
///
/// let stats = Server::new(&ServerOptions::new()).stats();
/// assert_eq!((stats.accepted, stats.open), (0, 0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// Accepted connections.
    pub accepted: u64,
    /// Connections whose handler has not returned.
    pub open: usize,
    /// Connections whose handler returned no error.
    pub served: u64,
    /// Connections whose handler returned an error, or for which no thread could be started.
    pub failed: u64,
    /// Connections whose handler panicked.
    pub panicked: u64,
    /// Connections that exceeded their time.
    pub timed_out: u64,
    /// Connections that were open when the server had to end.
    pub cut_off: u64,
    /// The most connections at once.
    pub most_at_once: usize,
}

/// Writes the counters as in `9 accepted, 1 open, 7 served, 1 failed, 0 panicked, 0 timed out, 0 cut off, 3 at
/// once at most`.
impl fmt::Display for ServerStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (accepted, open, served) = (self.accepted, self.open, self.served);
        let (failed, panicked, timed_out) = (self.failed, self.panicked, self.timed_out);
        let (cut_off, most) = (self.cut_off, self.most_at_once);
        write!(
            f,
            "{accepted} accepted, {open} open, {served} served, {failed} failed, "
        )?;
        write!(f, "{panicked} panicked, {timed_out} timed out, ")?;
        write!(f, "{cut_off} cut off, {most} at once at most")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stats_display_names_each_number() {
        let stats = ServerStats {
            accepted: 1,
            open: 2,
            served: 3,
            failed: 4,
            panicked: 5,
            timed_out: 6,
            cut_off: 7,
            most_at_once: 8,
        };
        let text = "1 accepted, 2 open, 3 served, 4 failed, 5 panicked, 6 timed out, 7 cut off, \
                    8 at once at most";
        assert_eq!(stats.to_string(), text);
    }
}
