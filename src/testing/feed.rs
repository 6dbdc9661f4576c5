use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use crate::address::{Destination, I2pAddr, SignatureType};
use crate::error::{Error, SessionLoss};
use crate::stream::{ListenerStats, SamListener, SamStream, Source};
use crate::sync::{Call, Cancel, Monitor};

use super::keys;
use super::random::{Random, some_seed};

/// Gives a [`SamListener`] its streams by hand, for the test of a server.
///
/// The listener ends when this is dropped, as with a session that was closed.
///
/// ```
/// use std::io::Read;
/// use i2p_sam::testing::ListenerFeed;
/// use i2p_sam::{SamListener, SamStream};
///
/// /// The server under test: returns what its callers send.
/// fn collect(listener: &SamListener) -> Vec<String> {
///     let streams = listener.incoming().map_while(Result::ok);
///     streams.filter_map(|stream| std::io::read_to_string(&stream).ok()).collect()
/// }
///
/// let (feed, listener) = ListenerFeed::new()?;
/// for text in ["one", "two"] {
///     let (mut near, far) = SamStream::pair()?;
///     std::io::Write::write_all(&mut near, text.as_bytes())?;
///     feed.push(far);
/// }
/// drop(feed);
/// assert_eq!(collect(&listener), ["one", "two"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ListenerFeed {
    fed: Arc<Fed>,
}

/// The source of the listener.
struct Fed {
    destination: Destination,
    state: Arc<Monitor<State>>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Result<SamStream, Error>>,
    loss: Option<SessionLoss>,
    /// The last handle of the listener was dropped.
    abandoned: bool,
}

impl ListenerFeed {
    /// Makes a listener, and its feed. The listener has an address of its own.
    ///
    /// # Errors
    ///
    /// There are none today; the type is that of all that makes a listener.
    ///
    /// ```
    /// use i2p_sam::testing::ListenerFeed;
    ///
    /// let (feed, listener) = ListenerFeed::new()?;
    /// drop(feed);
    /// assert!(listener.incoming().all(|stream| stream.is_err()));
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn new() -> Result<(Self, SamListener), Error> {
        let mut random = Random::new(some_seed());
        let key = keys::generate(&mut random, SignatureType::Ed25519)?;
        let fed = Arc::new(Fed {
            destination: key.destination().clone(),
            state: Monitor::new(State::default()),
        });
        let listener = SamListener::new(Handle(Arc::clone(&fed)), &Cancel::new());
        Ok((Self { fed }, listener))
    }

    /// Gives the listener a stream. Streams are accepted in the order in which they come. The stream is closed
    /// if the listener has ended or was dropped, and when it is dropped.
    ///
    /// ```
    /// use i2p_sam::SamStream;
    /// use i2p_sam::testing::ListenerFeed;
    ///
    /// let (feed, listener) = ListenerFeed::new()?;
    /// let (near, far) = SamStream::pair()?;
    /// feed.push(far);
    /// let (_stream, peer) = listener.accept()?;
    /// assert_eq!(&peer, near.local_addr());
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn push(&self, stream: SamStream) {
        self.add(Ok(stream));
    }

    /// Makes an `accept` fail with this error, after the streams that wait.
    ///
    /// ```
    /// use std::io;
    /// use i2p_sam::testing::ListenerFeed;
    /// use i2p_sam::{Error, Phase};
    ///
    /// let (feed, listener) = ListenerFeed::new()?;
    /// let source = io::Error::other("the test made this error");
    /// feed.fail(Error::Io { phase: Phase::Accept, source });
    /// assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::Other);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn fail(&self, error: Error) {
        self.add(Err(error));
    }

    /// Ends the listener: every `accept` fails with [`Error::SessionLost`], after the streams that wait.
    ///
    /// ```
    /// use i2p_sam::SessionLoss;
    /// use i2p_sam::testing::ListenerFeed;
    ///
    /// let (feed, listener) = ListenerFeed::new()?;
    /// feed.lose(SessionLoss::Disconnected);
    /// assert!(listener.accept().is_err());
    /// assert_eq!(listener.loss(), Some(SessionLoss::Disconnected));
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn lose(&self, loss: SessionLoss) {
        self.fed.state.update(|state| {
            state.loss.get_or_insert(loss);
        });
    }

    /// Returns the address of the listener.
    ///
    /// ```
    /// let (feed, listener) = i2p_sam::testing::ListenerFeed::new()?;
    /// assert_eq!(feed.local_addr(), listener.local_addr());
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn local_addr(&self) -> I2pAddr {
        I2pAddr::from(&self.fed.destination)
    }

    fn add(&self, outcome: Result<SamStream, Error>) {
        let left_over = self.fed.state.update(|state| {
            if state.abandoned || state.loss.is_some() {
                return Some(outcome);
            }
            state.queue.push_back(outcome);
            None
        });
        drop(left_over);
    }
}

impl Drop for ListenerFeed {
    fn drop(&mut self) {
        self.lose(SessionLoss::Closed);
    }
}

impl fmt::Debug for ListenerFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerFeed")
            .field("local_addr", &format_args!("{}", self.local_addr()))
            .finish_non_exhaustive()
    }
}

/// The listener's side.
struct Handle(Arc<Fed>);

impl Source for Handle {
    fn destination(&self) -> &Destination {
        &self.0.destination
    }

    fn accept(&self, call: Call, nonblocking: bool) -> Result<SamStream, Error> {
        call.wait_on(&self.0.state, |state| match state.queue.pop_front() {
            Some(outcome) => outcome.map(Some),
            None => match &state.loss {
                Some(loss) => Err(Error::SessionLost(loss.clone())),
                None if nonblocking => Err(Error::WouldBlock),
                None => Ok(None),
            },
        })
    }

    fn loss(&self) -> Option<SessionLoss> {
        self.0.state.lock().loss.clone()
    }

    fn stats(&self) -> ListenerStats {
        ListenerStats::default()
    }
}

/// Closes the streams that wait, as the last handle of any listener does.
impl Drop for Handle {
    fn drop(&mut self) {
        let left_over = self.0.state.update(|state| {
            state.abandoned = true;
            std::mem::take(&mut state.queue)
        });
        drop(left_over);
    }
}
