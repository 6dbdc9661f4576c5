use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::address::I2pAddr;
use crate::endpoint::listener;
use crate::error::Error;
use crate::healing::Holder;
use crate::stream::SamStream;
use crate::sync::{Cancel, Deadline};

/// Accepts the streams that peers dial, over whichever session its
/// [`HealingSession`](crate::HealingSession) has, and used as a
/// [`SamListener`](crate::SamListener) is. While there is none, `accept` waits.
///
/// What an error of [`accept`](HealingListener::accept) means:
///
/// | [`Error`] | go on? |
/// |---|---|
/// | [`HealingEnded`](Error::HealingEnded) | no: the session is gone for good |
/// | [`SessionLost`](Error::SessionLost) | no: it was [closed](crate::HealingSession::close) |
/// | [`Cancelled`](Error::Cancelled) | no: the handle stays fired |
/// | [`Timeout`](Error::Timeout) | yes: `accept_timeout` found nobody |
/// | [`WouldBlock`](Error::WouldBlock) | yes, later |
/// | any other | yes: an accept could not be armed, and is tried again after a second |
pub struct HealingListener {
    holder: Arc<Holder>,
    cancel: Cancel,
    nonblocking: Arc<AtomicBool>,
}

impl HealingListener {
    pub(super) fn new(holder: &Arc<Holder>, cancel: &Cancel) -> Result<Self, Error> {
        let listener = Self::unarmed(holder, cancel);
        holder.supervisor.listen(cancel)?;
        Ok(listener)
    }

    /// One whose first `accept` has the bridge know, unless another listener has or the session is
    /// made again first.
    pub(super) fn unarmed(holder: &Arc<Holder>, cancel: &Cancel) -> Self {
        holder.supervisor.join();
        Self {
            holder: Arc::clone(holder),
            cancel: cancel.clone(),
            nonblocking: Arc::default(),
        }
    }

    /// Our own address: what peers dial.
    pub fn local_addr(&self) -> I2pAddr {
        I2pAddr::from(self.holder.supervisor.key().destination())
    }

    /// Another handle to the same queue; its `accept` ends when `cancel` fires.
    #[must_use = "the handle applies to what is returned, not to the original"]
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        self.holder.supervisor.join();
        Self {
            holder: Arc::clone(&self.holder),
            cancel: cancel.clone(),
            nonblocking: Arc::clone(&self.nonblocking),
        }
    }

    fn nonblocking(&self) -> &AtomicBool {
        &self.nonblocking
    }

    fn accept_until(&self, deadline: Deadline) -> Result<(SamStream, I2pAddr), Error> {
        let nonblocking = self.nonblocking.load(Ordering::Relaxed);
        let supervisor = &self.holder.supervisor;
        supervisor.accept(&self.cancel, deadline, nonblocking)
    }
}

listener!(HealingListener);

impl Drop for HealingListener {
    fn drop(&mut self) {
        self.holder.supervisor.leave();
    }
}

/// Shows our own address.
impl fmt::Debug for HealingListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealingListener")
            .field("local_addr", &format_args!("{}", self.local_addr()))
            .finish_non_exhaustive()
    }
}
