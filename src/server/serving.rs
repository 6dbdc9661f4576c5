use std::error::Error as StdError;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::Builder;
use std::time::Duration;

use crate::error::{Error, Phase};
use crate::server::connections::{Connections, Outcome};
use crate::server::{ServerFailure, ServerOptions, ServerStats};
use crate::stream::{SamListener, SamStream};
use crate::sync::{Call, Cancel, Deadline, Monitor};

/// The time that handlers have to return after their streams were shut down.
const CUT_OFF_TIME: Duration = Duration::from_secs(2);

/// Serves the streams of a listener, each on a thread of its own, until it is stopped. The
/// [module](crate::server) has an example.
///
/// A clone is another handle to the same server, for example for the thread that stops it.
///
/// ```
/// # #[cfg(feature = "testing")] {
/// use std::io::{self, Write};
/// use std::thread;
/// use i2p_sam::SamStream;
/// use i2p_sam::server::{Server, ServerOptions};
/// use i2p_sam::testing::TestBridge;
///
/// let router = TestBridge::start()?;
/// let session = router.bridge().session().stream()?;
/// let (server, listener) = (Server::new(&ServerOptions::new()), session.listener()?);
/// let serving = thread::spawn({
///     let server = server.clone();
///     move || server.serve(listener, |mut stream: SamStream| stream.write_all(b"hello\n"))
/// });
///
/// let stream = router.bridge().session().stream()?.connect(session.destination())?;
/// assert_eq!(io::read_to_string(stream)?, "hello\n");
/// server.stop();
/// serving.join().unwrap()?;
/// assert_eq!(server.stats().served, 1);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

struct Shared {
    options: ServerOptions,
    /// Ends everything.
    all: Cancel,
    /// Ends the accepting. It fires with `all`.
    accepting: Cancel,
    connections: Arc<Monitor<Connections>>,
}

impl Server {
    /// Creates a server that does not serve yet.
    ///
    /// ```
    /// use i2p_sam::server::{Server, ServerOptions};
    ///
    /// let server = Server::new(&ServerOptions::new().max_connections(16));
    /// assert!(!server.is_stopped());
    /// ```
    #[must_use]
    pub fn new(options: &ServerOptions) -> Self {
        let all = options.cancel().child();
        let shared = Shared {
            options: options.clone(),
            accepting: all.child(),
            all,
            connections: Monitor::new(Connections::default()),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Calls the handler for each incoming stream, on a thread of its own, and drops the stream when the
    /// handler returns. Returns after the server was stopped and its connections have ended.
    ///
    /// The listener is dropped when the server stops: its session closes streams that arrive
    /// later. Several listeners may be served at once, by one thread each; the limits are those of the server.
    ///
    /// The type of the handler's error must be known: write the type of the closure's result, or pass a
    /// function.
    ///
    /// # Errors
    ///
    /// Returns the listener's error if no more streams can come ([`Error::is_final`]). Open connections had
    /// the [grace](ServerOptions::grace) to finish in this case too.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use std::io::{self, Write};
    /// use i2p_sam::SamStream;
    /// use i2p_sam::server::{Server, ServerOptions};
    ///
    /// fn greet(mut stream: SamStream) -> io::Result<()> {
    ///     stream.write_all(b"hello\n")
    /// }
    ///
    /// let listener = bridge.session().stream()?.listener()?;
    /// let server = Server::new(&ServerOptions::new());
    /// # server.stop();
    /// // It returns when another thread stops the server.
    /// server.serve(listener, greet)?;
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn serve<E>(
        &self,
        listener: SamListener,
        handler: impl Fn(SamStream) -> Result<(), E> + Send + Sync + 'static,
    ) -> Result<(), Error>
    where
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let accepting = listener.with_cancel(&self.shared.accepting);
        drop(listener);
        let handler: Handler = Arc::new(move |stream| handler(stream).map_err(Into::into));
        let outcome = self.shared.accept_all(&accepting, &handler);
        // From now on the session closes new streams.
        drop(accepting);
        self.shared.finish();
        outcome
    }

    /// Accepts no more streams. Open connections may finish within the [grace](ServerOptions::grace), after
    /// which [`serve`](Server::serve) ends them and returns. It does not block.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use std::io;
    /// use std::thread;
    /// use i2p_sam::SamStream;
    /// use i2p_sam::server::{Server, ServerOptions};
    ///
    /// let listener = bridge.session().stream()?.listener()?;
    /// let server = Server::new(&ServerOptions::new());
    /// let serving = thread::spawn({
    ///     let server = server.clone();
    ///     move || server.serve(listener, |_: SamStream| Ok::<(), io::Error>(()))
    /// });
    /// server.stop();
    /// serving.join().unwrap()?;
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stop(&self) {
        self.shared.accepting.cancel();
    }

    /// Accepts no more streams, and ends all connections at once: their reads return 0 and their writes fail.
    /// It does not block; [`serve`](Server::serve) returns when the handlers have returned, or after 2 s.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use std::io;
    /// use std::thread;
    /// use i2p_sam::SamStream;
    /// use i2p_sam::server::{Server, ServerOptions};
    ///
    /// let listener = bridge.session().stream()?.listener()?;
    /// let server = Server::new(&ServerOptions::new());
    /// let serving = thread::spawn({
    ///     let server = server.clone();
    ///     move || server.serve(listener, |_: SamStream| Ok::<(), io::Error>(()))
    /// });
    /// server.close();
    /// serving.join().unwrap()?;
    /// assert!(server.is_stopped());
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        self.shared.all.cancel();
    }

    /// Returns true if the server accepts no more streams, because it was stopped or closed.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.shared.accepting.is_cancelled()
    }

    /// Returns the numbers of connections so far.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        self.shared.connections.lock().stats()
    }
}

/// Shows the numbers of connections.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("stats", &self.stats())
            .field("is_stopped", &self.is_stopped())
            .finish_non_exhaustive()
    }
}

type Handler =
    Arc<dyn Fn(SamStream) -> Result<(), Box<dyn StdError + Send + Sync>> + Send + Sync + 'static>;

impl Shared {
    fn accept_all(
        self: &Arc<Self>,
        listener: &SamListener,
        handler: &Handler,
    ) -> Result<(), Error> {
        loop {
            let accepted = match self.wait_for_room() {
                Ok(next) => listener.accept_until(next),
                Err(error) => Err(error),
            };
            match accepted {
                Ok((stream, _)) => self.start(stream, handler),
                Err(Error::Timeout { .. }) => {}
                Err(Error::Cancelled { .. }) => return Ok(()),
                Err(error) if error.is_final() => return Err(error),
                Err(error) => self.options.report(&ServerFailure::Accept(error)),
            }
        }
    }

    fn start(self: &Arc<Self>, stream: SamStream, handler: &Handler) {
        let peer = stream.peer_addr().clone();
        let slot = Slot::take(self, &stream);
        let handler = Arc::clone(handler);
        let mut thread = Builder::new().name("i2p-sam-server".to_owned());
        if let Some(bytes) = self.options.stack() {
            thread = thread.stack_size(bytes);
        }
        // A stream without a thread is counted and closed with its slot.
        if let Err(source) = thread.spawn(move || slot.run(stream, &handler)) {
            self.options.report(&ServerFailure::Thread { peer, source });
        }
    }

    /// Waits until there is room for another connection, and returns the next deadline of an open one.
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`] if the server was stopped, [`Error::Timeout`] if a connection's time has expired.
    fn wait_for_room(&self) -> Result<Deadline, Error> {
        let next = self.end_overdue();
        let call = Call::new(Phase::Accept).or_cancel(&self.accepting);
        let room = |connections: &mut Connections| {
            let has_room = connections.stats().open < self.options.most();
            Ok(has_room.then_some(next))
        };
        call.until(next).wait_on(&self.connections, room)
    }

    /// Ends the connections whose time has expired, and returns the next deadline.
    fn end_overdue(&self) -> Deadline {
        let (ended, next) = self.connections.lock().end_overdue();
        for stream in ended {
            let peer = stream.peer_addr().clone();
            let after = self.options.time().unwrap_or_default();
            self.options
                .report(&ServerFailure::TimedOut { peer, after });
        }
        next
    }

    /// Waits until the connections have ended, and ends those that exceed their time or the grace.
    fn finish(&self) {
        let grace = Call::new(Phase::Finish)
            .or_cancel(&self.all)
            .within(Some(self.options.grace_time()));
        loop {
            let next = self.end_overdue();
            match grace
                .clone()
                .until(next)
                .wait_on(&self.connections, is_over)
            {
                Err(Error::Timeout { .. }) if !grace.deadline().has_passed() => {}
                _ => break,
            }
        }
        self.connections.lock().cut_off();
        // A handler that does not return keeps its thread, and not the server.
        let _ = Call::new(Phase::Finish)
            .within(Some(CUT_OFF_TIME))
            .wait_on(&self.connections, is_over);
    }
}

fn is_over(connections: &mut Connections) -> Result<Option<()>, Error> {
    Ok((connections.stats().open == 0).then_some(()))
}

/// The place of one connection. Dropping it closes the stream and frees the place, however the handler ended.
struct Slot {
    server: Arc<Shared>,
    number: u64,
    outcome: Outcome,
}

impl Slot {
    fn take(server: &Arc<Shared>, stream: &SamStream) -> Self {
        let deadline = Deadline::after(server.options.time());
        let number = server.connections.lock().add(stream.share(), deadline);
        Self {
            server: Arc::clone(server),
            number,
            // It stays if no thread can be started.
            outcome: Outcome::Failed,
        }
    }

    fn run(mut self, stream: SamStream, handler: &Handler) {
        let peer = stream.peer_addr().clone();
        // The panic was printed by the program's hook.
        let result = catch_unwind(AssertUnwindSafe(|| handler(stream)));
        let failure = match result {
            Ok(Ok(())) => {
                self.outcome = Outcome::Served;
                return;
            }
            Ok(Err(source)) => ServerFailure::Handler { peer, source },
            Err(_) => {
                self.outcome = Outcome::Panicked;
                ServerFailure::Panicked { peer }
            }
        };
        // The error of a stream that the server has ended is no news.
        if self.server.connections.lock().has_stream(self.number) {
            self.server.options.report(&failure);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let stream = self.server.connections.lock().take_stream(self.number);
        let outcome = stream.is_some().then_some(self.outcome);
        // The stream is closed before its place is free.
        drop(stream);
        self.server
            .connections
            .update(|connections| connections.free(outcome));
    }
}
