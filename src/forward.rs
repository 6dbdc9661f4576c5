use std::fmt;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::address::I2pAddr;
use crate::endpoint::listener;
use crate::error::{Error, Phase, SessionLoss};
use crate::session::{ForwardAcceptor, ForwardOptions, Forwarding, SessionGuard};
use crate::stream::SamStream;
use crate::sync::{Call, Cancel, Deadline};

/// Accepts the streams that peers dial, where the router connects to a TCP port of ours for each.
///
/// It is used as a [`SamListener`](crate::SamListener) is, and gives the same streams. The router
/// comes to us instead of answering accepts that wait at its bridge: no dial finds none armed, and
/// i2pd passes on many at once. In return there is a TCP port, and:
///
/// **Whoever can connect to that port can claim to be any destination.** SAM has nothing that
/// proves that it is the router who calls. On this machine that is every user and every program:
/// each can connect, say any destination, and be accepted as if it had dialled from there. Do not
/// grant anything by who calls on a machine with users you do not trust; a
/// [`SamListener`](crate::SamListener) cannot be lied to in this way. What is done against it: the
/// port is on loopback unless a listener is given, and who comes from another address than the
/// bridge is dropped.
///
/// A caller that says nothing within 30 s, says something else than who it is, or comes from an
/// address that is not believed is dropped and [counted](ForwardListener::dropped_callers); it keeps
/// nobody waiting. Of more than 64 who say nothing the oldest is dropped, after a second.
///
/// As many streams wait for an `accept` as the session's
/// [backlog](crate::SessionBuilder::backlog) holds, and up to 64 that were on their way; what
/// becomes of others, [`WhenFull`](crate::WhenFull) says.
///
/// A session accepts or forwards, never both: Java I2P and emissary refuse it, and i2pd gives
/// everything to the forwarding.
///
/// What an error of [`accept`](ForwardListener::accept) means:
///
/// | [`Error`] | [`io::ErrorKind`](std::io::ErrorKind) | go on? |
/// |---|---|---|
/// | [`SessionLost`](Error::SessionLost) | `NotConnected` | no: make a new session |
/// | [`ForwardLost`](Error::ForwardLost) | `ConnectionAborted` | no: drop this and forward again |
/// | [`Cancelled`](Error::Cancelled) | `Other` | no: the handle stays fired |
/// | [`Timeout`](Error::Timeout) | `TimedOut` | yes: `accept_timeout` found nobody |
/// | [`WouldBlock`](Error::WouldBlock) | `WouldBlock` | yes, later |
/// | [`Io`](Error::Io) | the system's, `Other` at a limit | yes: it refused a connection or a thread, and is asked again |
///
/// ```no_run
/// use std::io::Write;
/// use std::thread;
///
/// # let session = i2p_sam::SamBridge::from_env()?.session().stream()?;
/// let listener = session.forward()?;
/// for stream in listener.incoming() {
///     let mut stream = stream?;
///     thread::spawn(move || stream.write_all(b"hello\n"));
/// }
/// # Ok::<(), i2p_sam::Error>(())
/// ```
pub struct ForwardListener {
    shared: Arc<Shared>,
    cancel: Cancel,
}

/// What clones share. When the last is dropped the router stops forwarding.
struct Shared {
    callers: Arc<ForwardAcceptor>,
    forwarding: Forwarding,
    tcp_addr: SocketAddr,
    nonblocking: AtomicBool,
}

impl ForwardListener {
    pub(crate) fn start(
        guard: &SessionGuard,
        cancel: &Cancel,
        listener: TcpListener,
        options: &ForwardOptions,
    ) -> Result<Self, Error> {
        if options.is_silent() {
            return Err(Error::setting(
                "silent",
                true,
                "a ForwardListener needs the line that names the peer: use forward_to",
            ));
        }
        let io = |source| Error::Io {
            phase: Phase::Forward,
            source,
        };
        listener.set_nonblocking(false).map_err(io)?;
        let tcp_addr = listener.local_addr().map_err(io)?;
        let forwarding = Forwarding::arrange(guard, cancel, tcp_addr.port(), options)?;
        let (believed, patience) = (options.believed(), options.patience());
        let (core, control) = (guard.core(), forwarding.control());
        let callers =
            ForwardAcceptor::start(core, control, listener, believed, patience).map_err(io)?;
        Ok(Self {
            shared: Arc::new(Shared {
                callers,
                forwarding,
                tcp_addr,
                nonblocking: AtomicBool::new(false),
            }),
            cancel: cancel.clone(),
        })
    }

    /// Our own address: what peers dial.
    pub fn local_addr(&self) -> I2pAddr {
        I2pAddr::from(self.guard().core().key.destination())
    }

    /// Where the TCP listener is to which the router connects.
    pub fn tcp_addr(&self) -> SocketAddr {
        self.shared.tcp_addr
    }

    /// How many callers were dropped so far: silent, talking nonsense, or from elsewhere.
    pub fn dropped_callers(&self) -> u64 {
        self.shared.callers.dropped()
    }

    /// How many streams were closed because the backlog was full; none unless the session was made
    /// with [`WhenFull::TurnAway`](crate::WhenFull::TurnAway).
    pub fn turned_away(&self) -> u64 {
        self.shared.callers.queue().turned_away()
    }

    /// Why the session is gone, if it is.
    pub fn session_error(&self) -> Option<SessionLoss> {
        self.guard().closed()
    }

    /// Another handle to the same queue; its `accept` ends when `cancel` fires.
    #[must_use = "the handle applies to what is returned, not to the original"]
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            cancel: cancel.clone(),
        }
    }

    fn guard(&self) -> &SessionGuard {
        self.shared.forwarding.guard()
    }

    fn nonblocking(&self) -> &AtomicBool {
        &self.shared.nonblocking
    }

    fn accept_until(&self, deadline: Deadline) -> Result<(SamStream, I2pAddr), Error> {
        let nonblocking = self.shared.nonblocking.load(Ordering::Relaxed);
        let call = Call::new(Phase::Accept).or_cancel(&self.cancel);
        self.accept_for(call.until(deadline), nonblocking)
    }

    /// Accepts within another call.
    pub(crate) fn accept_for(
        &self,
        call: Call,
        nonblocking: bool,
    ) -> Result<(SamStream, I2pAddr), Error> {
        let forwarding = &self.shared.forwarding;
        let call = call.or_lifetime(forwarding.control().lifetime());
        let queue = self.shared.callers.queue();
        let outcome = queue.accept(&call, nonblocking);
        let inbound = match outcome.map_err(|error| forwarding.explain(error)) {
            // The streams that came in before live on.
            Err(Error::ForwardLost(loss)) => queue.left_over().ok_or(Error::ForwardLost(loss))?,
            outcome => outcome?,
        };
        let stream = inbound.into_stream(self.guard());
        let peer = stream.peer_addr().clone();
        Ok((stream, peer))
    }
}

listener!(ForwardListener);

/// Shows our own address, the TCP listener's, and whether the session lives.
impl fmt::Debug for ForwardListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardListener")
            .field("local_addr", &format_args!("{}", self.local_addr()))
            .field("tcp_addr", &self.tcp_addr())
            .field("session_error", &self.session_error())
            .finish_non_exhaustive()
    }
}

/// A listener where a router on this machine can reach it and nobody else can.
///
/// Without HOST a router connects to where our command came from, so that must be loopback.
pub(crate) fn loopback(ours: IpAddr) -> Result<TcpListener, Error> {
    if !ours.is_loopback() {
        return Err(Error::setting(
            "bridge",
            ours,
            "it is not on loopback: use forward_with, with a listener that the router can reach",
        ));
    }
    TcpListener::bind((ours, 0)).map_err(|source| Error::Io {
        phase: Phase::Forward,
        source,
    })
}
