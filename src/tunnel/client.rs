use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::address::{I2pAddr, ToI2pAddr};
use crate::endpoint::Connect;
use crate::error::{Error, Phase};
use crate::stream::SamStream;
use crate::sync::{AcceptWaker, Backoff, Cancel, Deadline, Monitor, spawn_scoped};
use crate::tunnel::peer_closed::has_hung_up;
use crate::tunnel::runner::TunnelRunner;
use crate::tunnel::{ToTcpAddr, TunnelEnd, TunnelFailure, TunnelOptions, tunnel_handle};

/// First pause between two looks whether the local side has hung up during the dial; it doubles up to
/// the longest.
const FIRST_LOOK: Duration = Duration::from_millis(50);
const LONGEST_LOOK: Duration = Duration::from_secs(2);

/// A local TCP port whose connections are carried to one address in I2P, for programs that know
/// nothing of it.
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
/// **Whoever can connect to the port dials as us.** Bind it to loopback, where that is every user of
/// this machine, and to no more.
///
/// A connection is accepted before its peer is dialled, and closed if the peer is not reached. Errors
/// of single connections are [counted](crate::TunnelCounters) and
/// [told](crate::TunnelOptions::on_failure), and the tunnel goes on. It ends when a dial finds the session
/// gone for good, which [`wait`](ClientTunnel::wait) says; over a
/// [`HealingSession`](crate::HealingSession) a loss is outlived.
///
/// If the local side hangs up before the peer is reached, the dial is cancelled within some 2 s, and
/// what it wrote is not sent. That is noticed if the local side resets the connection, and on Linux if
/// it is on the same machine, as [below](ClientTunnel#what-becomes-of-a-half-close); otherwise the dial
/// goes on. If it ends only its writing, the dial goes on too.
///
/// Nothing is held beyond a buffer of 16 KiB each way: who writes faster than the other side reads is
/// held up.
///
/// # What becomes of a half-close
///
/// This holds for a [`ServerTunnel`](crate::ServerTunnel) as well.
///
/// A TCP program may end its writing (`shutdown(Write)`; `nc -N` does so at the end of its input) and
/// go on reading. I2P has no such thing: a stream is ended whole, and an answer that is under way is
/// lost. So:
///
/// - **When the local side ends its writing** the stream stays open, and what the peer says is
///   delivered, until the peer ends the stream, or has been silent for the
///   [half-close time-out](crate::TunnelOptions::half_close_timeout), 30 s.
/// - **When the local side has hung up wholly**, as `curl` does when it has all, nothing more can be
///   delivered. The stream is ended when what was written has had the time to arrive at 32 kB/s,
///   which for a request is at once and for 4 MiB or more 2 min: i2pd 2.59 loses the end of a stream
///   that is ended with more than some 60 kB under way. A half-close and a hang-up look alike. Which it
///   was is known at once on Linux for a local side on the same machine, from `/proc/net/tcp`; else
///   when something cannot be written to it any more; else the time-out above decides.
/// - **When the stream ends** the local side reads the end behind all that came. It may go on writing
///   for 5 s, which nobody reads, so that it is not reset before it has read all.
///
/// What follows for protocols: **the peer is not told of a half-close.** A service that waits for the
/// end of its input before it answers cannot be used over I2P. One that answers and hangs up can; its
/// client reads the end some time behind the answer, or at once if the answer says where it ends.
#[must_use = "the tunnel is closed when this is dropped"]
pub struct ClientTunnel {
    running: Arc<TunnelRunner>,
    local_addr: SocketAddr,
}

impl ClientTunnel {
    /// Listens on `bind` (port 0 takes a free one), and carries what connects there to `peer`, over
    /// anything that dials: a [`StreamSession`](crate::StreamSession), a
    /// [`HealingSession`](crate::HealingSession).
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `bind` is no host and port, or its host ends in `.i2p`, [`Error::Io`] if
    /// there is no listening there, [`Error::Address`] if `peer` is no I2P address,
    /// [`Error::Cancelled`] if the [handle](crate::TunnelOptions::with_cancel) has fired.
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

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }
}

tunnel_handle!(ClientTunnel);

/// Why there is no stream for a local connection.
enum Dial {
    Failed(Error),
    /// The local side was gone before the peer was reached.
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
        // A connection that gets no thread is dialled for all the same.
        let watcher = spawn_scoped(scope, "i2p-sam-tunnel", watch).ok();
        let outcome = {
            let _end = EndOfDial(&dialled);
            let dialler = dialler.with_cancel(&cancel);
            dialler.connect_to(peer, running.options().connect())
        };
        let hung_up = watcher.is_some_and(|watcher| watcher.join().unwrap_or(false));
        outcome.map_err(|error| match hung_up {
            true => Dial::HungUp,
            false => Dial::Failed(error),
        })
    })
}

/// The work of a thread that the end of the dial ends. Returns true if the local side has hung up.
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

/// Ends the thread above even if the dialler panics.
struct EndOfDial<'a>(&'a Monitor<bool>);

impl Drop for EndOfDial<'_> {
    fn drop(&mut self) {
        self.0.update(|over| *over = true);
    }
}

fn hung_up() -> TunnelFailure {
    let kind = io::ErrorKind::ConnectionAborted;
    let why = "the local side hung up before the peer was reached";
    TunnelFailure::Broken(Arc::new(io::Error::new(kind, why)))
}

fn not_reached(running: &TunnelRunner, error: Error) -> TunnelFailure {
    let lost = error.is_session_lost();
    let error = Arc::new(error);
    if lost {
        running.end(TunnelEnd::Lost(Arc::clone(&error)));
    }
    TunnelFailure::Peer(error)
}
