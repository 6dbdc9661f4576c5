use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::address::PrivateKey;
use crate::bridge::Connection;
use crate::bridge::{SamBridge, is_i2pd};
use crate::error::{Error, Phase, Refusal, SessionLoss};
use crate::session::control::ControlSocket;
use crate::session::default_ports::DefaultPorts;
use crate::session::end::SessionEnd;
use crate::session::streams::Streams;
use crate::sync::{Call, Deadline, Lifetime};
use crate::wire::Version;

/// The time between the end of a session's streams and its own end. On i2pd 2.56, a stream that ended
/// less than a tenth of a second before its session leaves the far side waiting.
const CLOSE_DELAY: Duration = Duration::from_millis(500);

/// The parts of a session that are shared by everything made from it.
pub(crate) struct SessionCore {
    pub(crate) bridge: SamBridge,
    /// The control socket. Subsessions share that of their primary session.
    pub(crate) control: Arc<ControlSocket>,
    pub(crate) end: Arc<dyn SessionEnd>,
    pub(crate) id: String,
    pub(crate) key: PrivateKey,
    pub(crate) version: Version,
    pub(crate) ports: DefaultPorts,
    pub(crate) linger: Duration,
    pub(crate) streams: Arc<Streams>,
    /// Set when the first stream is made from the session.
    pub(crate) streamed: AtomicBool,
}

impl SessionCore {
    /// Replaces a refusal that means that the session is gone by its loss, and records the loss.
    pub(crate) fn explain(&self, error: Error) -> Error {
        match error {
            Error::Refused(refusal) if refusal.means_session_lost() => self.gone(refusal),
            error => error,
        }
    }

    /// Opens a socket to the session's bridge, for a command of the session.
    pub(crate) fn connect(&self, overall: Deadline) -> Result<Connection, Error> {
        let call = self.call(Phase::Connect).until(overall);
        Connection::open(self.bridge.config(), &call)
    }

    /// Creates a call that ends with the session.
    pub(crate) fn call(&self, phase: Phase) -> Call {
        Call::new(phase).or_lifetime(self.lifetime())
    }

    /// Returns the lifetime of the session. That of a subsession ends with its primary session's.
    pub(crate) fn lifetime(&self) -> &Arc<Lifetime> {
        self.end.lifetime()
    }

    /// Returns the reason why the session is gone, if it is.
    pub(crate) fn loss(&self) -> Option<SessionLoss> {
        self.lifetime().loss()
    }

    /// Returns true if the bridge is i2pd's. Returns false if it is not, or cannot be asked.
    pub(crate) fn is_i2pd(&self) -> bool {
        let bridge = self.control.socket().peer_addr();
        if let Some(known) = bridge.ok().and_then(is_i2pd) {
            return known;
        }
        let answer = self
            .connect(Deadline::NEVER)
            .and_then(|mut connection| connection.is_i2pd(Phase::Command, Deadline::NEVER));
        answer.is_ok_and(Option::unwrap_or_default)
    }

    /// Closes the session, and waits until the bridge has confirmed it.
    pub(crate) fn close(&self) {
        let parting = match self.streamed.load(Ordering::Relaxed) {
            true => CLOSE_DELAY,
            false => Duration::ZERO,
        };
        Arc::clone(&self.end).close(parting);
    }

    fn gone(&self, refusal: Refusal) -> Error {
        let loss = SessionLoss::Refused(refusal);
        // No other program knows the id of a subsession. If the bridge has lost it, the bridge has lost
        // the primary session, and Java I2P does not report that.
        if !self.lifetime().has_ended() {
            self.control.fail(loss.clone());
        }
        Error::SessionLost(self.loss().unwrap_or(loss))
    }
}

/// Keeps a session alive. The session lives as long as anything that was made from it.
///
/// Every session, listener and stream has one. A guard on its own, as
/// [`SamStream::into_parts`](crate::SamStream::into_parts) returns it, keeps the session of a bare
/// socket. When the last guard is dropped, the session is closed in the background: at once, or, if it
/// had streams, after [`linger`](crate::SessionBuilder::linger).
///
/// ```
/// # #[cfg(feature = "testing")] {
/// use i2p_sam::testing::TestBridge;
///
/// let router = TestBridge::start()?;
/// let session = router.bridge().session().stream()?;
/// let guard = session.guard();
/// drop(session);
/// assert_eq!(guard.loss(), None);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "the session is closed when its last guard is dropped"]
pub struct SessionGuard {
    keep_alive: Arc<KeepAlive>,
}

impl SessionGuard {
    pub(crate) fn new(core: SessionCore) -> Self {
        let core = Arc::new(core);
        Self {
            keep_alive: Arc::new(KeepAlive { core }),
        }
    }

    pub(crate) fn core(&self) -> &Arc<SessionCore> {
        &self.keep_alive.core
    }

    /// Returns the reason why the session is gone, if it is.
    #[must_use]
    pub fn loss(&self) -> Option<SessionLoss> {
        self.core().loss()
    }
}

/// Shows the session's destination and whether it is alive; never its id.
impl fmt::Debug for SessionGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionGuard")
            .field("destination", self.core().key.destination())
            .field("loss", &self.loss())
            .finish_non_exhaustive()
    }
}

/// The part that the guards share. The session's own threads use the [`SessionCore`] and not this, so
/// they do not keep the session alive.
struct KeepAlive {
    core: Arc<SessionCore>,
}

impl Drop for KeepAlive {
    fn drop(&mut self) {
        let linger = match self.core.streamed.load(Ordering::Relaxed) {
            true => self.core.linger,
            false => Duration::ZERO,
        };
        Arc::clone(&self.core.end).close_after(linger);
    }
}
