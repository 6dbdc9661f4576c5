use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::logging::Full;

/// The reason why one connection of a tunnel failed. The tunnel continues.
///
/// ```
/// use i2p_sam::{TunnelError, TunnelOptions};
///
/// let options = TunnelOptions::new().on_failure(|failure| match failure {
///     TunnelError::Service(source) => eprintln!("is the service running? {source}"),
///     failure => eprintln!("{failure}"),
/// });
/// # drop(options);
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TunnelError {
    /// The peer could not be dialled. The local connection was closed.
    #[error("the peer was not reached")]
    Peer(#[source] Arc<Error>),
    /// The local service did not accept the connection. The stream was ended.
    #[error("the local service was not reached")]
    Service(#[source] Arc<io::Error>),
    /// An open connection broke: the local side reset it, or the session was lost. Or the local side hung
    /// up before the peer was reached (`ConnectionAborted`).
    #[error("a connection broke")]
    Broken(#[source] Arc<io::Error>),
    /// The connection carried no byte in either direction for the [idle
    /// time-out](crate::TunnelOptions::idle_timeout).
    #[error("a connection was idle for {0:?}")]
    Idle(Duration),
    /// An accept failed, or no thread could be started. The tunnel tries again after a pause.
    #[error("accepting failed")]
    Accept(#[source] Arc<Error>),
}

/// The reason why a tunnel accepts no more connections.
///
/// ```
/// use i2p_sam::{ServerTunnel, TunnelExit};
///
/// fn run(tunnel: &ServerTunnel) {
///     match tunnel.wait(None) {
///         Some(TunnelExit::Lost(error)) => eprintln!("{error}"),
///         Some(TunnelExit::Closed) => {}
///         _ => unreachable!("it waits without limit"),
///     }
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TunnelExit {
    /// We closed it: by a method, by its handle, or by dropping it.
    Closed,
    /// The session or the forwarding is lost: no stream can be accepted or dialled any more.
    Lost(Arc<Error>),
}

/// Writes `closed`, or `lost` with the whole chain of reasons.
impl fmt::Display for TunnelExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed"),
            Self::Lost(error) => write!(f, "lost: {}", Full(&**error)),
        }
    }
}

/// The numbers of connections and bytes that a tunnel has carried so far.
///
/// ```
/// let stats = i2p_sam::TunnelStats::default();
/// assert_eq!((stats.accepted, stats.open, stats.sent), (0, 0, 0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TunnelStats {
    /// Accepted connections.
    pub accepted: u64,
    /// Accepted connections that are open or being dialled.
    pub open: usize,
    /// Accepted connections for which the other side, the peer or the local service, was not reached.
    pub refused: u64,
    /// Accepted connections that broke, or were idle for too long.
    pub broken: u64,
    /// Bytes sent from the local side into I2P.
    pub sent: u64,
    /// Bytes received from I2P for the local side.
    pub received: u64,
}

/// Writes the counters as in `9 accepted, 1 open, 0 refused, 2 broken, 700 bytes sent, 8000 received`.
impl fmt::Display for TunnelStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (accepted, open, refused) = (self.accepted, self.open, self.refused);
        let (broken, sent, received) = (self.broken, self.sent, self.received);
        write!(
            f,
            "{accepted} accepted, {open} open, {refused} refused, {broken} broken, "
        )?;
        write!(f, "{sent} bytes sent, {received} received")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_display_names_reason() {
        assert_eq!(TunnelExit::Closed.to_string(), "closed");
        let gone = Error::SessionLost(crate::SessionLoss::Disconnected);
        let lost = TunnelExit::Lost(Arc::new(Error::GaveUp(Arc::new(gone))));
        assert_eq!(
            lost.to_string(),
            "lost: the session is gone and will not be made again: \
             the session is gone: the bridge closed the connection"
        );
    }

    #[test]
    fn stats_display_names_each_number() {
        let stats = TunnelStats {
            accepted: 1,
            open: 2,
            refused: 3,
            broken: 4,
            sent: 5,
            received: 6,
        };
        let text = "1 accepted, 2 open, 3 refused, 4 broken, 5 bytes sent, 6 received";
        assert_eq!(stats.to_string(), text);
    }
}
