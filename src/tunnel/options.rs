use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::logging::{Full, event};
use crate::stream::ConnectOptions;
use crate::sync::Cancel;
use crate::tunnel::TunnelError;

const MOST_CONNECTIONS: usize = 128;
const SERVICE_TIMEOUT: Duration = Duration::from_secs(10);
const HALF_CLOSE_TIMEOUT: Duration = Duration::from_secs(30);
const IDLE_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// Options of a [`ClientTunnel`](crate::ClientTunnel) or a [`ServerTunnel`](crate::ServerTunnel).
///
/// ```
/// use std::time::Duration;
/// use i2p_sam::TunnelOptions;
///
/// let options = TunnelOptions::new()
///     .max_connections(16)
///     .half_close_timeout(Duration::from_secs(60))
///     .on_failure(|failure| eprintln!("{failure}"));
/// # drop(options);
/// ```
#[derive(Clone)]
#[must_use]
pub struct TunnelOptions {
    max_connections: usize,
    service_timeout: Duration,
    half_close_timeout: Duration,
    idle_timeout: Option<Duration>,
    connect: ConnectOptions,
    cancel: Cancel,
    on_failure: Option<Told>,
}

type Told = Arc<dyn Fn(&TunnelError) + Send + Sync>;

impl TunnelOptions {
    /// Creates the default options: at most 128 connections at once, and no callback for failures.
    ///
    /// ```
    /// use i2p_sam::TunnelOptions;
    ///
    /// let options = TunnelOptions::new()
    ///     .max_connections(16)
    ///     .on_failure(|error| eprintln!("{error}"));
    /// ```
    pub fn new() -> Self {
        Self {
            max_connections: MOST_CONNECTIONS,
            service_timeout: SERVICE_TIMEOUT,
            half_close_timeout: HALF_CLOSE_TIMEOUT,
            idle_timeout: Some(IDLE_TIMEOUT),
            connect: ConnectOptions::new(),
            cancel: Cancel::new(),
            on_failure: None,
        }
    }

    /// Sets the largest number of connections at once, including those that are being dialled; at least 1.
    /// Default: 128.
    ///
    /// Each connection uses two threads, one with the default stack size of `std` and one with 128 KiB, and
    /// two buffers of 16 KiB. At the limit, the tunnel accepts no more connections until one ends: others
    /// wait in the backlog of the system, or in that of the [session](crate::SessionBuilder::backlog).
    pub fn max_connections(mut self, most: usize) -> Self {
        self.max_connections = most.max(1);
        self
    }

    /// Sets the longest time that a [`ServerTunnel`](crate::ServerTunnel) waits for its service to accept a
    /// connection. Default: 10 s.
    pub fn service_timeout(mut self, timeout: Duration) -> Self {
        self.service_timeout = timeout;
        self
    }

    /// Sets for how long the peer may send nothing after the local side has ended its writing, before the
    /// stream is ended. Default: 30 s. See [half-close](crate::ClientTunnel#half-close).
    ///
    /// Every byte from the peer restarts this time. It does not run while the local side reads nothing.
    pub fn half_close_timeout(mut self, timeout: Duration) -> Self {
        self.half_close_timeout = timeout;
        self
    }

    /// Sets for how long a connection may carry no byte in either direction before it is ended, accurate to
    /// a quarter of that time; `None` means for ever. Default: 30 min.
    pub fn idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Sets the options with which a [`ClientTunnel`](crate::ClientTunnel) dials: its port, its deadline.
    /// Default: [`ConnectOptions::new`]. A handle in them has no effect: see
    /// [`with_cancel`](TunnelOptions::with_cancel).
    pub fn connect_options(mut self, options: ConnectOptions) -> Self {
        self.connect = options;
        self
    }

    /// Sets a handle that closes the tunnel and all its connections when it fires. Default: none.
    ///
    /// A server tunnel ignores the handle of its listener: if it has one, set it here too. The dials of a client
    /// tunnel end with the handle of its session as well.
    pub fn with_cancel(mut self, cancel: &Cancel) -> Self {
        self.cancel = cancel.clone();
        self
    }

    /// Sets a function that is called when a connection fails. It is called on the thread of the
    /// connection, or on the thread that accepts. Both have the default stack size of `std`, and continue
    /// when the function returns. If the function panics, the tunnel continues. Default: none.
    pub fn on_failure(mut self, call: impl Fn(&TunnelError) + Send + Sync + 'static) -> Self {
        self.on_failure = Some(Arc::new(call));
        self
    }

    pub(super) fn most(&self) -> usize {
        self.max_connections
    }

    pub(super) fn service_time(&self) -> Duration {
        self.service_timeout
    }

    pub(super) fn half_close(&self) -> Duration {
        self.half_close_timeout
    }

    pub(super) fn idle(&self) -> Option<Duration> {
        self.idle_timeout
    }

    pub(super) fn connect(&self) -> &ConnectOptions {
        &self.connect
    }

    pub(super) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    pub(super) fn report(&self, failure: &TunnelError) {
        event!(Debug, "tunnel: {}", Full(failure));
        if let Some(call) = &self.on_failure {
            // A panic of the program's function does not stop the tunnel.
            let _ = catch_unwind(AssertUnwindSafe(|| call(failure)));
        }
    }
}

impl Default for TunnelOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TunnelOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TunnelOptions")
            .field("max_connections", &self.max_connections)
            .field("service_timeout", &self.service_timeout)
            .field("half_close_timeout", &self.half_close_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("connect_options", &self.connect)
            .field("cancel", &self.cancel)
            .field("on_failure", &self.on_failure.is_some())
            .finish()
    }
}
