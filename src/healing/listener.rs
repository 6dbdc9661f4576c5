use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::address::I2pAddr;
use crate::endpoint::listener;
use crate::error::{Error, Phase};
use crate::healing::reception::Reception;
use crate::healing::replicas::Replicas;
use crate::stream::SamStream;
use crate::sync::{Call, Cancel, Deadline};

/// Accepts the streams that peers dial, over whichever sessions its
/// [`HealingSession`](crate::HealingSession) has, and is used as a
/// [`SamListener`](crate::SamListener) is. While there is none, `accept` waits.
/// [`SamStream::bridge`] returns the bridge of a stream.
///
/// Replicas that have callers are served in turn. As many streams wait for an `accept` at each replica as
/// the session's [backlog](crate::SessionBuilder::backlog) holds, and one more.
///
/// Errors of [`accept`](HealingListener::accept):
///
/// | [`Error`] | go on? |
/// |---|---|
/// | [`HealingEnded`](Error::HealingEnded) | no: all replicas gave up |
/// | [`SessionLost`](Error::SessionLost) | no: it was [closed](crate::HealingSession::close) |
/// | [`Cancelled`](Error::Cancelled) | no: the handle stays fired |
/// | [`Timeout`](Error::Timeout) | yes: `accept_timeout` found nobody |
/// | [`WouldBlock`](Error::WouldBlock) | yes, later |
/// | any other | yes: at one replica an accept could not be armed, and is tried again after a second |
pub struct HealingListener {
    /// The replicas live as long as this.
    replicas: Arc<Replicas>,
    reception: Arc<Reception>,
    cancel: Cancel,
    nonblocking: Arc<AtomicBool>,
}

impl HealingListener {
    pub(super) fn new(replicas: &Arc<Replicas>, cancel: &Cancel) -> Result<Self, Error> {
        Ok(Self {
            reception: replicas.receive(cancel)?,
            replicas: Arc::clone(replicas),
            cancel: cancel.clone(),
            nonblocking: Arc::default(),
        })
    }

    /// Returns our own address, which peers dial.
    pub fn local_addr(&self) -> I2pAddr {
        I2pAddr::from(self.replicas.key().destination())
    }

    /// Returns another handle to the same queue; its `accept` ends when `cancel` fires.
    #[must_use = "the handle applies to what is returned, not to the original"]
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self {
            replicas: Arc::clone(&self.replicas),
            reception: Arc::clone(&self.reception),
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
        self.reception.accept(&call.until(deadline), nonblocking)
    }
}

listener!(HealingListener);

/// Shows our own address.
impl fmt::Debug for HealingListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealingListener")
            .field("local_addr", &format_args!("{}", self.local_addr()))
            .finish_non_exhaustive()
    }
}
