use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::address::I2pAddr;
use crate::endpoint::listener;
use crate::error::{Error, Phase, SessionLoss};
use crate::session::SessionGuard;
use crate::stream::SamStream;
use crate::sync::{Call, Cancel, Deadline};

/// Accepts the streams that peers dial, used as a [`TcpListener`](std::net::TcpListener) is.
///
/// It waits on a queue of the session, which keeps accepts armed at the bridge: nothing is lost
/// when an `accept` times out or is cancelled, and any number of threads may accept at once
/// through `&self`.
///
/// What an error of [`accept`](SamListener::accept) means:
///
/// | [`Error`] | [`io::ErrorKind`](std::io::ErrorKind) | go on? |
/// |---|---|---|
/// | [`SessionLost`](Error::SessionLost) | `NotConnected` | no: make a new session |
/// | [`Cancelled`](Error::Cancelled) | `Other` | no: the handle stays fired |
/// | [`Refused`](Error::Refused) with `ALREADY_ACCEPTING` | `Other` | no: the session forwards |
/// | [`Timeout`](Error::Timeout) | `TimedOut` | yes: `accept_timeout` found nobody |
/// | [`WouldBlock`](Error::WouldBlock) | `WouldBlock` | yes, later |
/// | any other | as [`Error`] says | yes: an accept could not be armed and is tried again, with growing pauses up to 5 s |
///
/// ```no_run
/// use std::io::Read;
///
/// # let session = i2p_sam::SamBridge::from_env()?.session().stream()?;
/// let listener = session.listener()?;
/// let (mut stream, peer) = listener.accept()?;
/// println!("{peer} calls");
/// let mut text = String::new();
/// stream.read_to_string(&mut text)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// One stream after the other:
///
/// ```no_run
/// # let session = i2p_sam::SamBridge::from_env()?.session().stream()?;
/// for stream in session.listener()?.incoming() {
///     match stream {
///         Ok(stream) => println!("{} calls", stream.peer_addr()),
///         Err(error) => eprintln!("{error}"),
///     }
/// }
/// # Ok::<(), i2p_sam::Error>(())
/// ```
pub struct SamListener {
    guard: SessionGuard,
    cancel: Cancel,
    nonblocking: Arc<AtomicBool>,
}

impl SamListener {
    /// The session has counted this listener already.
    pub(crate) fn new(guard: SessionGuard, cancel: Cancel) -> Self {
        Self {
            guard,
            cancel,
            nonblocking: Arc::default(),
        }
    }

    /// Our own address: what peers dial.
    pub fn local_addr(&self) -> I2pAddr {
        I2pAddr::from(self.guard.core().key.destination())
    }

    /// How many streams were closed because the backlog was full, of all listeners of the session;
    /// none unless it was made with [`WhenFull::TurnAway`](crate::WhenFull::TurnAway).
    pub fn turned_away(&self) -> u64 {
        self.guard.core().accept_pool.queue().turned_away()
    }

    /// Why the session is gone, if it is.
    pub fn session_error(&self) -> Option<SessionLoss> {
        self.guard.closed()
    }

    /// Another handle to the same queue; its `accept` ends when `cancel` fires.
    #[must_use = "the handle applies to what is returned, not to the original"]
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        self.guard.core().accept_pool.queue().add_listener();
        Self {
            guard: self.guard.clone(),
            cancel: cancel.clone(),
            nonblocking: Arc::clone(&self.nonblocking),
        }
    }

    fn nonblocking(&self) -> &AtomicBool {
        &self.nonblocking
    }

    fn accept_until(&self, deadline: Deadline) -> Result<(SamStream, I2pAddr), Error> {
        let nonblocking = self.nonblocking.load(Ordering::Relaxed);
        let call = Call::new(Phase::Accept).or_cancel(&self.cancel);
        self.accept_for(call.until(deadline), nonblocking)
    }

    /// Accepts within another call.
    pub(crate) fn accept_for(
        &self,
        call: Call,
        nonblocking: bool,
    ) -> Result<(SamStream, I2pAddr), Error> {
        let core = self.guard.core();
        let call = call.or_lifetime(core.control.lifetime());
        let inbound = core.accept_pool.queue().accept(&call, nonblocking)?;
        let stream = inbound.into_stream(&self.guard);
        let peer = stream.peer_addr().clone();
        Ok((stream, peer))
    }
}

listener!(SamListener);

impl Drop for SamListener {
    fn drop(&mut self) {
        self.guard.core().accept_pool.queue().remove_listener();
    }
}

/// Shows our own address and whether the session lives.
impl fmt::Debug for SamListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SamListener")
            .field("local_addr", &format_args!("{}", self.local_addr()))
            .field("session_error", &self.session_error())
            .finish_non_exhaustive()
    }
}
