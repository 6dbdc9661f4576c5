use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::logging::event;
use crate::server::ServerFailure;
use crate::sync::Cancel;

const MOST_CONNECTIONS: usize = 256;
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(600);
const GRACE: Duration = Duration::from_secs(60);

/// Options of a [`Server`](crate::server::Server).
///
/// ```
/// use std::time::Duration;
/// use i2p_sam::server::ServerOptions;
///
/// let options = ServerOptions::new()
///     .max_connections(1000)
///     .stack_size(128 * 1024)
///     .connection_timeout(Some(Duration::from_secs(60)))
///     .grace(Duration::from_secs(5))
///     .on_failure(|failure| eprintln!("{failure}"));
/// # drop(options);
/// ```
#[derive(Clone)]
#[must_use]
pub struct ServerOptions {
    max_connections: usize,
    stack_size: Option<usize>,
    connection_timeout: Option<Duration>,
    grace: Duration,
    cancel: Cancel,
    on_failure: Option<Report>,
}

type Report = Arc<dyn Fn(&ServerFailure) + Send + Sync>;

impl ServerOptions {
    /// Creates the default options: at most 256 connections of at most 10 minutes, and a grace of 60 s.
    ///
    /// ```
    /// use std::time::Duration;
    /// use i2p_sam::server::ServerOptions;
    ///
    /// // A chat: its connections stay for hours.
    /// let options = ServerOptions::new()
    ///     .connection_timeout(None)
    ///     .grace(Duration::from_secs(5));
    /// ```
    pub fn new() -> Self {
        Self {
            max_connections: MOST_CONNECTIONS,
            stack_size: None,
            connection_timeout: Some(CONNECTION_TIMEOUT),
            grace: GRACE,
            cancel: Cancel::new(),
            on_failure: None,
        }
    }

    /// Sets the largest number of connections at once, and so of threads; at least 1. Default: 256.
    pub fn max_connections(mut self, most: usize) -> Self {
        self.max_connections = most.max(1);
        self
    }

    /// Sets the stack size of each connection's thread, in bytes. Default: that of `std`, 2 MiB.
    ///
    /// The system supplies only the pages that are used, so a large stack costs address space rather than
    /// memory. The handler's data and the report of a panic must fit.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Sets the longest time from a connection's accept to its end, even if it is active; `None` means no
    /// limit. Default: 10 minutes.
    ///
    /// After that time the stream is shut down: reads return 0 and writes fail. The handler keeps its place
    /// until it returns.
    pub fn connection_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.connection_timeout = timeout;
        self
    }

    /// Sets the time that open connections have to finish after the server is stopped. Default: 60 s.
    pub fn grace(mut self, time: Duration) -> Self {
        self.grace = time;
        self
    }

    /// Sets a handle that ends the server and all its connections at once when it fires, as
    /// [`close`](crate::server::Server::close) does. Default: none.
    ///
    /// The server ignores the handle of its listener: if it has one, set it here too.
    pub fn with_cancel(mut self, cancel: &Cancel) -> Self {
        self.cancel = cancel.clone();
        self
    }

    /// Sets a function that is called for each failure of a connection or an accept. It is called on the
    /// thread of the connection, or on the one that serves. If it panics, the server continues. Default:
    /// none.
    pub fn on_failure(mut self, call: impl Fn(&ServerFailure) + Send + Sync + 'static) -> Self {
        self.on_failure = Some(Arc::new(call));
        self
    }

    pub(super) fn most(&self) -> usize {
        self.max_connections
    }

    pub(super) fn stack(&self) -> Option<usize> {
        self.stack_size
    }

    pub(super) fn time(&self) -> Option<Duration> {
        self.connection_timeout
    }

    pub(super) fn grace_time(&self) -> Duration {
        self.grace
    }

    pub(super) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    pub(super) fn report(&self, failure: &ServerFailure) {
        event!(Debug, "server: {failure}");
        if let Some(call) = &self.on_failure {
            // A panic of the program's function does not stop the server.
            let _ = catch_unwind(AssertUnwindSafe(|| call(failure)));
        }
    }
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerOptions")
            .field("max_connections", &self.max_connections)
            .field("stack_size", &self.stack_size)
            .field("connection_timeout", &self.connection_timeout)
            .field("grace", &self.grace)
            .field("cancel", &self.cancel)
            .field("on_failure", &self.on_failure.is_some())
            .finish()
    }
}
