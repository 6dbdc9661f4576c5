use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;

use crate::address::ToI2pAddr;
use crate::doorbell::Doorbell;
use crate::endpoint::Connect;
use crate::error::{Error, Phase};
use crate::interrupts::Interrupts;
use crate::tunnel::running::Running;
use crate::tunnel::{TunnelEnd, TunnelFailure, TunnelOptions, tunnel_handle};

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
pub struct ClientTunnel {
    running: Arc<Running>,
    local_addr: SocketAddr,
}

impl ClientTunnel {
    /// Listens on `bind` (port 0 takes a free one), and carries what connects there to `peer`, over
    /// anything that dials: a [`StreamSession`](crate::StreamSession), a
    /// [`HealingSession`](crate::HealingSession).
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when there is no listening there, [`Error::Address`] when `peer` is no I2P
    /// address, [`Error::Cancelled`] when the [handle](crate::TunnelOptions::with_cancel) has fired.
    pub fn start(
        dialler: impl Connect + 'static,
        bind: impl ToSocketAddrs,
        peer: impl ToI2pAddr,
        options: &TunnelOptions,
    ) -> Result<Self, Error> {
        let peer = peer.to_i2p_addr()?;
        let running = Running::new(options)?;
        let io = |source| Error::Io {
            phase: Phase::Accept,
            source,
        };
        let listener = TcpListener::bind(bind).map_err(io)?;
        let local_addr = listener.local_addr().map_err(io)?;
        let doorbell = Doorbell::of(&listener).map_err(io)?;
        let bell =
            Interrupts::by_cancel(running.accepting()).watch_waiter(&doorbell, Phase::Accept)?;
        let accept = move || {
            let (_, _) = (&doorbell, &bell);
            let (socket, _) = listener.accept().map_err(io)?;
            Ok(socket)
        };
        let dialler = dialler.with_cancel(running.all());
        running.start(accept, move |socket, running| {
            match dialler.connect_to(&peer, running.options().connect()) {
                Ok(stream) => Ok((socket, stream)),
                Err(error) => Err(not_reached(running, error)),
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

fn not_reached(running: &Running, error: Error) -> TunnelFailure {
    let lost = error.is_session_lost();
    let error = Arc::new(error);
    if lost {
        running.end(TunnelEnd::Lost(Arc::clone(&error)));
    }
    TunnelFailure::Peer(error)
}
