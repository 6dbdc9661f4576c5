use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::address::{I2pAddr, ToI2pAddr};
use crate::error::{Error, Phase};
use crate::stream::Connect;
use crate::stream::SamStream;
use crate::sync::{AcceptWaker, Backoff, Cancel, Deadline, Monitor, spawn_scoped};
use crate::tunnel::peer_closed::has_hung_up;
use crate::tunnel::runner::TunnelRunner;
use crate::tunnel::{ToTcpAddr, TunnelError, TunnelExit, TunnelOptions, tunnel_handle};

/// First interval between checks if the local side has hung up during the dial. It doubles up to the
/// longest.
const FIRST_LOOK: Duration = Duration::from_millis(50);
const LONGEST_LOOK: Duration = Duration::from_secs(2);

/// Carries the connections to a local TCP port to one I2P address, for programs that do not support I2P.
///
/// ```no_run
/// use i2p_sam::{ClientTunnel, SamBridge, TunnelOptions};
///
/// let session = SamBridge::from_env()?.session().stream()?;
/// let options = TunnelOptions::new();
/// let tunnel = ClientTunnel::start(session, "127.0.0.1:8080", "stats.i2p:80", &options)?;
/// println!("http://{}/ is http://stats.i2p/", tunnel.local_addr());
/// tunnel.wait(None);
/// # Ok::<(), i2p_sam::Error>(())
/// ```
///
/// **Anyone who can connect to the port dials as us.** Bind it to loopback only, where that means every
/// user of this machine.
///
/// The tunnel accepts a connection before it dials the peer, and closes the connection if it cannot reach
/// the peer. Errors of single connections are [counted](crate::TunnelStats) and
/// [reported](crate::TunnelOptions::on_failure), and the tunnel continues. It ends if a dial finds that the
/// session is gone for good; [`wait`](ClientTunnel::wait) then returns. A tunnel over a
/// [`HealingSession`](crate::HealingSession) survives a loss.
///
/// If the local side hangs up before the peer is reached, the dial is cancelled within about 2 s, and the
/// data from the local side is not sent. The tunnel notices this if the local side resets the connection,
/// and on Linux if the local side is on the same machine, as described [below](ClientTunnel#half-close).
/// Otherwise the dial continues. It also continues if the local side ends only its writing.
///
/// The tunnel buffers at most 16 KiB each way: a side that writes faster than the other side reads has to
/// wait.
///
/// # Half-close
///
/// This section also applies to a [`ServerTunnel`](crate::ServerTunnel).
///
/// A TCP program may end its writing (`shutdown(Write)`; `nc -N` does so at the end of its input) and
/// continue to read. I2P has no half-close: a stream ends in both directions, and a reply in transit is
/// lost. So:
///
/// - **If the local side ends its writing,** the stream stays open, and data from the peer is delivered
///   until the peer ends the stream, or sends nothing for the [half-close
///   time-out](crate::TunnelOptions::half_close_timeout), 30 s.
/// - **If the local side has closed fully**, as `curl` does when it has the whole reply, nothing more can
///   be delivered. The stream ends when the data sent has had time to arrive at 32 kB/s: at once for a
///   request, after 2 min for 4 MiB or more. The reason is that i2pd 2.59 loses the end of a stream that is
///   ended with more than about 60 kB in transit. A half-close and a full close look alike. On Linux, the
///   tunnel reads the difference at once from `/proc/net/tcp` for a local side on the same machine.
///   Otherwise it notices a full close when a write to the local side fails, or the time-out above decides.
/// - **If the stream ends,** the local side reads the end after all data. It may continue to write for 5 s,
///   and the tunnel discards that data, so that the local side is not reset before it has read everything.
///
/// For protocols this means: **the peer does not learn of a half-close.** A service that waits for the end
/// of its input before it replies cannot be used over I2P. A service that replies and hangs up can; its
/// client reads the end some time after the reply, or at once if the reply contains its length.
#[must_use = "the tunnel is closed when this is dropped"]
pub struct ClientTunnel {
    running: Arc<TunnelRunner>,
    local_addr: SocketAddr,
}

impl ClientTunnel {
    /// Listens on `bind` (port 0 chooses a free port), and carries each connection to `peer`. The tunnel
    /// dials over any dialler: a [`StreamSession`](crate::StreamSession) or a
    /// [`HealingSession`](crate::HealingSession).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] if `bind` is not a host and a port, or its host ends in `.i2p`, [`Error::Io`] if
    /// the tunnel cannot listen there, [`Error::Address`] if `peer` is not an I2P address,
    /// [`Error::Cancelled`] if the [handle](crate::TunnelOptions::with_cancel) has fired.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::{ClientTunnel, TunnelOptions};
    ///
    /// let session = bridge.session().healing()?;
    /// let tunnel = ClientTunnel::start(session, "127.0.0.1:0", "stats.i2p:80", &TunnelOptions::new())?;
    /// println!("http://{}/ is http://stats.i2p/", tunnel.local_addr());
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn start(
        dialler: impl Connect + 'static,
        bind: impl ToTcpAddr,
        peer: impl ToI2pAddr,
        options: &TunnelOptions,
    ) -> Result<Self, Error> {
        let (bind, peer) = (bind.to_tcp_addr()?.0, peer.to_i2p_addr()?);
        let running = TunnelRunner::new(options)?;
        let io = |source| Error::Io {
            phase: Phase::Accept,
            source,
        };
        let listener = TcpListener::bind(&*bind.resolve().map_err(io)?).map_err(io)?;
        let local_addr = listener.local_addr().map_err(io)?;
        let waker = AcceptWaker::of(&listener).map_err(io)?;
        let registered = running.accept_call().watch_waiter(&waker)?;
        let accept = move || {
            let (_, _) = (&waker, &registered);
            let (socket, _) = listener.accept().map_err(io)?;
            Ok(socket)
        };
        running.start(accept, move |socket, running| {
            match dial_for(&socket, &dialler, &peer, running) {
                Ok(stream) => Ok((socket, stream)),
                Err(Dial::HungUp) => Err(hung_up()),
                Err(Dial::Failed(error)) => Err(not_reached(running, error)),
            }
        })?;
        Ok(Self {
            running,
            local_addr,
        })
    }

    /// Returns the TCP address on which the tunnel listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }
}

tunnel_handle!(ClientTunnel);

/// The reason why a local connection got no stream.
enum Dial {
    Failed(Error),
    /// The local side hung up before the peer was reached.
    HungUp,
}

/// Dials the peer, and cancels the dial if the local side hangs up before the peer is reached.
fn dial_for(
    local: &TcpStream,
    dialler: &impl Connect,
    peer: &I2pAddr,
    running: &TunnelRunner,
) -> Result<SamStream, Dial> {
    let cancel = running.all().child();
    let dialled = Monitor::new(false);
    thread::scope(|scope| {
        let watch = || cancel_if_hung_up(local, &dialled, &cancel);
        // If no thread can be started, the dial is made without a watcher.
        let watcher = spawn_scoped(scope, "i2p-sam-tunnel", watch).ok();
        let outcome = {
            let _end = EndOfDial(&dialled);
            let options = running.options().connect().clone().with_cancel(&cancel);
            dialler.connect_to(peer, &options)
        };
        let hung_up = watcher.is_some_and(|watcher| watcher.join().unwrap_or(false));
        outcome.map_err(|error| match hung_up {
            true => Dial::HungUp,
            false => Dial::Failed(error),
        })
    })
}

/// The work of the watching thread, which ends with the dial. Returns true if the local side has hung up.
fn cancel_if_hung_up(local: &TcpStream, dialled: &Monitor<bool>, cancel: &Cancel) -> bool {
    let mut looks = Backoff::new(FIRST_LOOK, LONGEST_LOOK);
    loop {
        let deadline = Deadline::after(Some(looks.next_delay()));
        if dialled
            .wait_until(deadline, |over| over.then_some(()))
            .is_some()
        {
            return false;
        }
        if has_hung_up(local) {
            cancel.cancel();
            return true;
        }
    }
}

/// Ends the watching thread, even if the dialler panics.
struct EndOfDial<'a>(&'a Monitor<bool>);

impl Drop for EndOfDial<'_> {
    fn drop(&mut self) {
        self.0.update(|over| *over = true);
    }
}

fn hung_up() -> TunnelError {
    let kind = io::ErrorKind::ConnectionAborted;
    let why = "the local side hung up before the peer was reached";
    TunnelError::Broken(Arc::new(io::Error::new(kind, why)))
}

fn not_reached(running: &TunnelRunner, error: Error) -> TunnelError {
    let lost = error.is_session_lost();
    let error = Arc::new(error);
    if lost {
        running.end(TunnelExit::Lost(Arc::clone(&error)));
    }
    TunnelError::Peer(error)
}
