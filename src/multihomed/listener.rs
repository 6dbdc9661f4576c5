use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::address::I2pAddr;
use crate::endpoint::listener;
use crate::error::Error;
use crate::multihomed::homes::Homes;
use crate::multihomed::reception::Reception;
use crate::stream::SamStream;
use crate::sync::{Cancel, Deadline};

/// Accepts the streams that peers dial, over whichever home of its
/// [`MultihomedSession`](crate::MultihomedSession) they come, and used as a
/// [`SamListener`](crate::SamListener) is. [`SamStream::bridge`] says which home it was.
///
/// Homes that have callers are served in turn. As many streams wait for an `accept` at each home as the
/// session's [backlog](crate::SessionBuilder::backlog) holds, and one more.
///
/// What an error of [`accept`](MultihomedListener::accept) means:
///
/// | [`Error`] | go on? |
/// |---|---|
/// | [`HealingEnded`](Error::HealingEnded) | no: all homes are gone for good |
/// | [`SessionLost`](Error::SessionLost) | no: it was [closed](crate::MultihomedSession::close) |
/// | [`Cancelled`](Error::Cancelled) | no: the handle stays fired |
/// | [`Timeout`](Error::Timeout) | yes: `accept_timeout` found nobody |
/// | [`WouldBlock`](Error::WouldBlock) | yes, later |
/// | any other | yes: at one home an accept could not be armed, and is tried again after a second |
pub struct MultihomedListener {
    /// The homes live as long as this.
    homes: Arc<Homes>,
    reception: Arc<Reception>,
    cancel: Cancel,
    nonblocking: Arc<AtomicBool>,
}

impl MultihomedListener {
    pub(super) fn new(homes: &Arc<Homes>, cancel: &Cancel) -> Result<Self, Error> {
        Ok(Self {
            reception: homes.receive(cancel)?,
            homes: Arc::clone(homes),
            cancel: cancel.clone(),
            nonblocking: Arc::default(),
        })
    }

    /// Our own address: what peers dial.
    pub fn local_addr(&self) -> I2pAddr {
        I2pAddr::from(self.homes.key().destination())
    }

    /// Another handle to the same queue; its `accept` ends when `cancel` fires.
    #[must_use = "the handle applies to what is returned, not to the original"]
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self {
            homes: Arc::clone(&self.homes),
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
        self.reception.accept(&self.cancel, deadline, nonblocking)
    }
}

listener!(MultihomedListener);

/// Shows our own address.
impl fmt::Debug for MultihomedListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MultihomedListener")
            .field("local_addr", &format_args!("{}", self.local_addr()))
            .finish_non_exhaustive()
    }
}
