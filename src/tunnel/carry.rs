use std::fmt;
use std::net::TcpStream;

use crate::stream::SamStream;
use crate::tunnel::relay::{Relay, Traffic};
use crate::tunnel::{TunnelError, TunnelOptions};

/// Carries the bytes of a TCP connection over a stream and back, as a tunnel does, until both directions have
/// ended.
///
/// It is for a program that accepts TCP connections itself and decides to which peer each of them goes, such as
/// a proxy. A copy of each direction by hand loses replies: TCP has a half-close, and I2P has none. This handles
/// the [half-close](crate::ClientTunnel#half-close), a local side that hangs up, and idle connections.
///
/// It uses the calling thread and one with a small stack. Of the options, it uses
/// [`half_close_timeout`](TunnelOptions::half_close_timeout), [`idle_timeout`](TunnelOptions::idle_timeout) and
/// [`with_cancel`](TunnelOptions::with_cancel), which ends it without an error. It sets the time-outs of both
/// sockets.
///
/// # Errors
///
/// [`TunnelError::Broken`] if the local side reset the connection or the session was lost, and
/// [`TunnelError::Idle`].
///
/// ```no_run
/// use std::net::TcpListener;
/// use std::thread;
///
/// use i2p_sam::{SamBridge, TunnelOptions, carry};
///
/// let session = SamBridge::from_env()?.session().stream()?;
/// for local in TcpListener::bind("127.0.0.1:8080")?.incoming() {
///     let (local, session) = (local?, session.clone());
///     thread::spawn(move || match session.connect("stats.i2p") {
///         Ok(stream) => match carry(local, stream, &TunnelOptions::new()) {
///             Ok(carried) => println!("{} bytes received", carried.received),
///             Err(error) => eprintln!("{error}"),
///         },
///         Err(error) => eprintln!("{error}"),
///     });
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn carry(
    local: TcpStream,
    stream: SamStream,
    options: &TunnelOptions,
) -> Result<Carried, TunnelError> {
    let traffic = Traffic::default();
    Relay::new((local, stream), options, options.cancel(), &traffic).carry()?;
    Ok(Carried {
        sent: traffic.sent(),
        received: traffic.received(),
    })
}

/// The numbers of bytes that [`carry`] has carried.
///
/// ```
/// let carried = i2p_sam::Carried::default();
/// assert_eq!(carried.to_string(), "0 bytes sent, 0 received");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Carried {
    /// Bytes sent from the local side into I2P.
    pub sent: u64,
    /// Bytes received from I2P for the local side.
    pub received: u64,
}

/// Writes the numbers as in `700 bytes sent, 8000 received`.
impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes sent, {} received", self.sent, self.received)
    }
}
