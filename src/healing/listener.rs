use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::address::I2pAddr;
use crate::cancel::Cancel;
use crate::deadline::Deadline;
use crate::endpoint::{Incoming, accept_for};
use crate::error::Error;
use crate::healing::Holder;
use crate::stream::SamStream;

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
/// | any other | yes: an accept could not be armed, a second ago, and is tried again |
pub struct HealingListener {
    holder: Arc<Holder>,
    cancel: Cancel,
    nonblocking: Arc<AtomicBool>,
}

impl HealingListener {
    pub(super) fn new(holder: &Arc<Holder>, cancel: &Cancel) -> Result<Self, Error> {
        let listener = Self::unarmed(holder, cancel);
        holder.healer.listen(cancel)?;
        Ok(listener)
    }

    /// One whose first `accept` has the bridge know, unless another listener has or the session is
    /// made again first.
    pub(super) fn unarmed(holder: &Arc<Holder>, cancel: &Cancel) -> Self {
        holder.healer.join();
        Self {
            holder: Arc::clone(holder),
            cancel: cancel.clone(),
            nonblocking: Arc::default(),
        }
    }

    /// Waits for a peer, and says who it is.
    ///
    /// # Errors
    ///
    /// As in the table above.
    pub fn accept(&self) -> Result<(SamStream, I2pAddr), Error> {
        self.accept_until(Deadline::NEVER)
    }

    /// Waits for a peer, not longer than `timeout`. A peer that comes later is not lost.
    ///
    /// # Errors
    ///
    /// As in the table above; [`Error::Timeout`] when nobody came.
    pub fn accept_timeout(&self, timeout: Duration) -> Result<(SamStream, I2pAddr), Error> {
        self.accept_until(Deadline::after(Some(timeout)))
    }

    /// The streams that come in, for ever. It ends after it has said why nothing more can come,
    /// which a lost session alone is not.
    pub fn incoming(&self) -> Incoming<'_, Self> {
        Incoming::over(self)
    }

    /// Whether `accept` fails with [`Error::WouldBlock`] rather than wait. Default: it waits. It
    /// holds for clones too.
    ///
    /// # Errors
    ///
    /// None; the type is that of `std`.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
        Ok(())
    }

    /// Our own address: what peers dial.
    pub fn local_addr(&self) -> I2pAddr {
        I2pAddr::from(self.holder.healer.key().destination())
    }

    /// Another handle to the same queue.
    ///
    /// # Errors
    ///
    /// None; the type is that of `std`.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(self.with_cancel(&self.cancel))
    }

    /// Another handle to the same queue; its `accept` ends when `cancel` fires.
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        self.holder.healer.join();
        Self {
            holder: Arc::clone(&self.holder),
            cancel: cancel.clone(),
            nonblocking: Arc::clone(&self.nonblocking),
        }
    }

    fn accept_until(&self, deadline: Deadline) -> Result<(SamStream, I2pAddr), Error> {
        let nonblocking = self.nonblocking.load(Ordering::Relaxed);
        let healer = &self.holder.healer;
        healer.accept(&self.cancel, deadline, nonblocking)
    }
}

accept_for!(HealingListener);

impl Drop for HealingListener {
    fn drop(&mut self) {
        self.holder.healer.leave();
    }
}

impl<'a> IntoIterator for &'a HealingListener {
    type Item = Result<SamStream, Error>;
    type IntoIter = Incoming<'a, HealingListener>;

    fn into_iter(self) -> Incoming<'a, HealingListener> {
        self.incoming()
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
