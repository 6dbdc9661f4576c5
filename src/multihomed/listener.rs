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
use crate::multihomed::homes::Homes;
use crate::multihomed::reception::Reception;
use crate::stream::SamStream;

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
    /// which the loss of homes is not, nor the end of all but one.
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
        I2pAddr::from(self.homes.key().destination())
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
        Self {
            homes: Arc::clone(&self.homes),
            reception: Arc::clone(&self.reception),
            cancel: cancel.clone(),
            nonblocking: Arc::clone(&self.nonblocking),
        }
    }

    fn accept_until(&self, deadline: Deadline) -> Result<(SamStream, I2pAddr), Error> {
        let nonblocking = self.nonblocking.load(Ordering::Relaxed);
        self.reception.accept(&self.cancel, deadline, nonblocking)
    }
}

accept_for!(MultihomedListener);

impl<'a> IntoIterator for &'a MultihomedListener {
    type Item = Result<SamStream, Error>;
    type IntoIter = Incoming<'a, MultihomedListener>;

    fn into_iter(self) -> Incoming<'a, MultihomedListener> {
        self.incoming()
    }
}

/// Shows our own address.
impl fmt::Debug for MultihomedListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MultihomedListener")
            .field("local_addr", &format_args!("{}", self.local_addr()))
            .finish_non_exhaustive()
    }
}
