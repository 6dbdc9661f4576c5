use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::session::ConnectOptions;
use crate::sync::Cancel;
use crate::tunnel::TunnelFailure;

const MOST_CONNECTIONS: usize = 128;
const SERVICE_TIMEOUT: Duration = Duration::from_secs(10);
const HALF_CLOSE_TIMEOUT: Duration = Duration::from_secs(30);
const IDLE_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// How a [`ClientTunnel`](crate::ClientTunnel) or a [`ServerTunnel`](crate::ServerTunnel) carries,
/// where it is not as usual.
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

type Told = Arc<dyn Fn(&TunnelFailure) + Send + Sync>;

impl TunnelOptions {
    /// As usual: 128 connections at once, and nobody is told of failures.
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

    /// Most connections at once, those that are being dialled included; 1 at the least. Default: 128.
    ///
    /// Each takes two threads, one with the stack that `std` gives and one with 128 KiB, and two
    /// buffers of 16 KiB. When there are as many, no
    /// more are accepted until one ends: others wait in the backlog of the system, or in that of the
    /// [session](crate::SessionBuilder::backlog).
    pub fn max_connections(mut self, most: usize) -> Self {
        self.max_connections = most.max(1);
        self
    }

    /// The longest a [`ServerTunnel`](crate::ServerTunnel) waits for its service to take a
    /// connection. Default: 10 s.
    pub fn service_timeout(mut self, timeout: Duration) -> Self {
        self.service_timeout = timeout;
        self
    }

    /// How long the peer may be silent when the local side has ended its writing, before the stream is
    /// ended. Default: 30 s. What it is for stands at
    /// [`ClientTunnel`](crate::ClientTunnel#what-becomes-of-a-half-close).
    ///
    /// Every byte from the peer begins it anew, and it does not run while the local side takes none.
    pub fn half_close_timeout(mut self, timeout: Duration) -> Self {
        self.half_close_timeout = timeout;
        self
    }

    /// How long a connection may go without a byte in either direction before it is ended, give or
    /// take a quarter; `None` is for ever. Default: 30 min.
    pub fn idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// How a [`ClientTunnel`](crate::ClientTunnel) dials: its port, its deadline. Default: as usual.
    pub fn connect_options(mut self, options: ConnectOptions) -> Self {
        self.connect = options;
        self
    }

    /// A handle that closes the tunnel when it fires, and everything it carries. Default: none.
    ///
    /// It is the tunnel's only one: a handle that the session or the listener has is not asked. Give it
    /// here as well.
    pub fn with_cancel(mut self, cancel: &Cancel) -> Self {
        self.cancel = cancel.clone();
        self
    }

    /// Sets what to call when a connection fails. It is called on the connection's own thread, or on
    /// the one that accepts, which have the stack that `std` gives and go on when the call returns. If
    /// it panics, the tunnel goes on all the same. Default: nothing.
    pub fn on_failure(mut self, call: impl Fn(&TunnelFailure) + Send + Sync + 'static) -> Self {
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

    pub(super) fn tell(&self, failure: &TunnelFailure) {
        if let Some(call) = &self.on_failure {
            // What the program broke is the program's; the tunnel carries on.
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
