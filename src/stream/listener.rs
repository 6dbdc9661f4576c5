use std::fmt;
use std::iter::FusedIterator;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::address::{Destination, I2pAddr};
use crate::error::{Error, Phase, SessionLoss};
use crate::stream::accept_queue::AcceptQueue;
use crate::stream::sam_stream::SamStream;
use crate::sync::{Call, Cancel, Deadline};

/// Accepts the streams that peers dial, used as a [`TcpListener`](std::net::TcpListener) is.
///
/// It is the same type for all ways to receive streams, so that a server is written once:
///
/// - [`StreamSession::listener`](crate::StreamSession::listener): accepts that are pending at the bridge.
/// - [`StreamSession::forward`](crate::StreamSession::forward): the router connects to a TCP port of this
///   program.
/// - [`HealingSession::listener`](crate::HealingSession::listener): the streams of all replicas. It goes
///   on after a loss, and `accept` waits while there is no session. Replicas that have callers are served in
///   turn, and [`SamStream::bridge`] returns the bridge of a stream.
///
/// Streams wait in a queue of the session: no stream is lost when an `accept` times out or is cancelled,
/// and any number of threads may accept at once through `&self`. The session's
/// [backlog](crate::SessionBuilder::backlog) sets how many streams wait for an `accept`; a healing session
/// has one backlog for each replica.
///
/// Errors of [`accept`](SamListener::accept):
///
/// | [`Error`] | [`io::ErrorKind`](std::io::ErrorKind) | continue? |
/// |---|---|---|
/// | [`SessionLost`](Error::SessionLost) | `NotConnected` | no: create a new session; a healing session was [closed](crate::HealingSession::close) |
/// | [`GaveUp`](Error::GaveUp) | `NotConnected` | no: all replicas of the healing session gave up |
/// | [`ForwardLost`](Error::ForwardLost) | `ConnectionAborted` | no: drop the listener and forward again; not from a healing session |
/// | [`Cancelled`](Error::Cancelled) | `Other` | no: the handle stays fired |
/// | [`Refused`](Error::Refused) with `ALREADY_ACCEPTING` | `Other` | no: the session forwards |
/// | [`Timeout`](Error::Timeout) | `TimedOut` | yes: no peer dialled within `accept_timeout` |
/// | [`WouldBlock`](Error::WouldBlock) | `WouldBlock` | yes, later |
/// | any other | see [`Error`] | yes: an accept could not be made pending, or the system refused a connection or a thread; it is tried again, with growing pauses up to 5 s |
///
/// ```no_run
/// use std::io::Read;
///
/// # let session = i2p_sam::SamBridge::from_env()?.session().stream()?;
/// let listener = session.listener()?;
/// let (mut stream, peer) = listener.accept()?;
/// println!("{peer} dialled");
/// let mut text = String::new();
/// stream.read_to_string(&mut text)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// An iterator returns one stream after the other:
///
/// ```no_run
/// # let session = i2p_sam::SamBridge::from_env()?.session().stream()?;
/// for stream in session.listener()?.incoming() {
///     match stream {
///         Ok(stream) => println!("{} dialled", stream.peer_addr()),
///         Err(error) => eprintln!("{error}"),
///     }
/// }
/// # Ok::<(), i2p_sam::Error>(())
/// ```
pub struct SamListener {
    source: Arc<dyn Source>,
    cancel: Cancel,
    nonblocking: Arc<AtomicBool>,
}

impl SamListener {
    pub(crate) fn new(source: impl Source + 'static, cancel: &Cancel) -> Self {
        Self {
            source: Arc::new(source),
            cancel: cancel.clone(),
            nonblocking: Arc::default(),
        }
    }

    /// Waits for a stream, and returns it with the address of the peer.
    ///
    /// # Errors
    ///
    /// See the table above.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use std::io::{Read, Write};
    ///
    /// let session = bridge.session().stream()?;
    /// let listener = session.listener()?;
    /// let mut near = bridge.session().stream()?.connect(session.destination())?;
    /// near.write_all(b"hello")?;
    /// let (mut stream, caller) = listener.accept()?;
    /// let mut text = [0; 5];
    /// stream.read_exact(&mut text)?;
    /// println!("{caller} sent {text:?}");
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn accept(&self) -> Result<(SamStream, I2pAddr), Error> {
        self.accept_until(Deadline::NEVER)
    }

    /// Waits for a stream, at most for `timeout`. A later stream is not lost.
    ///
    /// # Errors
    ///
    /// See the table above; [`Error::Timeout`] if no stream came.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use std::time::Duration;
    ///
    /// let listener = bridge.session().stream()?.listener()?;
    /// let error = listener.accept_timeout(Duration::from_millis(10)).unwrap_err();
    /// assert!(error.is_timeout() && !error.is_final());
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn accept_timeout(&self, timeout: Duration) -> Result<(SamStream, I2pAddr), Error> {
        self.accept_until(Deadline::after(Some(timeout)))
    }

    /// Returns an iterator over the incoming streams, which ends after an error that no later `accept`
    /// survives.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming {
            listener: self,
            ended: false,
        }
    }

    /// Sets whether `accept` fails with [`Error::WouldBlock`] rather than wait, for all handles to the same
    /// queue. Default: false.
    ///
    /// # Errors
    ///
    /// None; the type is that of `std`.
    pub fn set_nonblocking(&self, nonblocking: bool) -> std::io::Result<()> {
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
        Ok(())
    }

    /// Returns our own address, which peers dial.
    pub fn local_addr(&self) -> I2pAddr {
        I2pAddr::from(self.source.destination())
    }

    /// Returns the address of the TCP listener to which the router connects, if the router
    /// [forwards](crate::StreamSession::forward).
    pub fn tcp_addr(&self) -> Option<SocketAddr> {
        self.source.tcp_addr()
    }

    /// Returns the numbers of streams and connections that no `accept` has returned.
    pub fn stats(&self) -> ListenerStats {
        self.source.stats()
    }

    /// Returns the reason if the session is lost, or if the healing session was closed.
    pub fn loss(&self) -> Option<SessionLoss> {
        self.source.loss()
    }

    /// Returns another handle to the same queue.
    ///
    /// # Errors
    ///
    /// None; the type is that of `std`.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use std::thread;
    ///
    /// let listener = bridge.session().stream()?.listener()?;
    /// for _ in 0..4 {
    ///     // Each stream goes to one of the threads.
    ///     let listener = listener.try_clone()?;
    ///     thread::spawn(move || {
    ///         for stream in listener.incoming().flatten() {
    ///             println!("{} dialled", stream.peer_addr());
    ///         }
    ///     });
    /// }
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_clone(&self) -> std::io::Result<Self> {
        Ok(self.clone())
    }

    /// Returns another handle to the same queue; its `accept` ends when `cancel` fires.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::Cancel;
    ///
    /// let listener = bridge.session().stream()?.listener()?;
    /// let stop = Cancel::new();
    /// let stoppable = listener.with_cancel(&stop);
    /// stop.cancel();
    /// assert!(stoppable.accept().is_err_and(|error| error.is_final()));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the handle applies to what is returned, not to the original"]
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self {
            source: Arc::clone(&self.source),
            cancel: cancel.clone(),
            nonblocking: Arc::clone(&self.nonblocking),
        }
    }

    pub(crate) fn into_source(self) -> Arc<dyn Source> {
        self.source
    }

    pub(crate) fn accept_until(&self, deadline: Deadline) -> Result<(SamStream, I2pAddr), Error> {
        let nonblocking = self.nonblocking.load(Ordering::Relaxed);
        let call = Call::new(Phase::Accept).or_cancel(&self.cancel);
        let stream = self.source.accept(call.until(deadline), nonblocking)?;
        let peer = stream.peer_addr().clone();
        Ok((stream, peer))
    }
}

impl<'a> IntoIterator for &'a SamListener {
    type Item = Result<SamStream, Error>;
    type IntoIter = Incoming<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.incoming()
    }
}

/// Returns another handle to the same queue, as [`try_clone`](SamListener::try_clone) does.
impl Clone for SamListener {
    fn clone(&self) -> Self {
        self.with_cancel(&self.cancel)
    }
}

/// Shows our own address and whether the session lives.
impl fmt::Debug for SamListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SamListener")
            .field("local_addr", &format_args!("{}", self.local_addr()))
            .field("tcp_addr", &self.tcp_addr())
            .field("loss", &self.loss())
            .finish_non_exhaustive()
    }
}

/// An iterator over the streams that peers dial, of [`SamListener::incoming`].
///
/// An error after which nothing more can come (the session or the forwarding is lost, the handle
/// has fired) is returned once, and is the last item, so a loop that ignores errors does not spin.
///
/// ```
/// # #[cfg(feature = "testing")] {
/// use i2p_sam::testing::TestBridge;
///
/// let router = TestBridge::start()?;
/// let session = router.bridge().session().stream()?;
/// let listener = session.listener()?;
/// let mut incoming = listener.incoming();
/// session.close();
/// assert!(incoming.next().is_some_and(|last| last.is_err()));
/// assert!(incoming.next().is_none());
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "iterators do nothing until they are asked for an item"]
pub struct Incoming<'a> {
    listener: &'a SamListener,
    ended: bool,
}

impl Iterator for Incoming<'_> {
    type Item = Result<SamStream, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let outcome = self.listener.accept().map(|(stream, _)| stream);
        if let Err(error) = &outcome {
            self.ended = error.is_final();
        }
        Some(outcome)
    }
}

impl FusedIterator for Incoming<'_> {}

/// Counts the streams and connections that no `accept` has returned, for all handles of one listener.
///
/// Those of a healing session count since its current sessions were created.
///
/// ```
/// let stats = i2p_sam::ListenerStats::default();
/// assert_eq!(stats.to_string(), "0 rejected, 0 callers dropped");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenerStats {
    /// Streams that were closed because the backlog was full, of all listeners of the session; none unless
    /// it was created with [`BacklogPolicy::Reject`](crate::BacklogPolicy::Reject).
    pub rejected: u64,
    /// Connections to the TCP port of a forwarding that were dropped: they sent nothing within the time, sent
    /// no destination, or came from an address that is not allowed.
    pub dropped_callers: u64,
}

/// Writes the counters as in `0 rejected, 2 callers dropped`.
impl fmt::Display for ListenerStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rejected, dropped) = (self.rejected, self.dropped_callers);
        write!(f, "{rejected} rejected, {dropped} callers dropped")
    }
}

impl ListenerStats {
    /// Adds the numbers of two sessions.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            rejected: self.rejected + other.rejected,
            dropped_callers: self.dropped_callers + other.dropped_callers,
        }
    }
}

/// Gives a listener its streams: the pending accepts of a session, a forwarding, or the replicas of a
/// healing session. The handles of one listener share it; when the last handle is dropped, it receives no
/// more streams.
pub(crate) trait Source: Send + Sync {
    fn destination(&self) -> &Destination;

    /// Waits for a stream. The wait ends with the call, or with the source.
    fn accept(&self, call: Call, nonblocking: bool) -> Result<SamStream, Error>;

    fn loss(&self) -> Option<SessionLoss>;

    fn stats(&self) -> ListenerStats;

    fn tcp_addr(&self) -> Option<SocketAddr> {
        None
    }

    /// Returns the queue in which the streams wait, if there is a single one.
    fn queue(&self) -> Option<&AcceptQueue> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stats_display_names_each_number() {
        let stats = ListenerStats {
            rejected: 1,
            dropped_callers: 2,
        };
        assert_eq!(stats.to_string(), "1 rejected, 2 callers dropped");
    }
}
