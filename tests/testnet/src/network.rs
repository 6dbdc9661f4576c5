use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::address_book::AddressBook;
use crate::deadline::Deadline;
use crate::probe;
use crate::progress::Progress;
use crate::router::{self, Started};

/// Two routers could build a tunnel, but they do not find each other's lease sets.
const ROUTERS: usize = 3;

const START_LIMIT: Duration = Duration::from_secs(30);

/// The part of [`START_LIMIT`] that a first attempt may use: many times the time of a start, and the rest
/// suffices for another attempt.
const FIRST_ATTEMPT_LIMIT: Duration = Duration::from_secs(12);

/// Tasks end at their next suspension, within milliseconds. This limit only prevents a drop from hanging.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// The loopback ports of a SAM bridge. 0 means any free port.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ports {
    /// The TCP port, for connections.
    pub tcp: u16,
    /// The UDP port, for datagrams.
    pub udp: u16,
}

/// A private I2P network with a SAM bridge. When it is dropped, the network stops.
///
/// Any number of networks may run at once, in one process or in several: they share nothing.
pub struct Testnet {
    sam: SocketAddr,
    udp: SocketAddr,
    book: Arc<AddressBook>,
    _engine: Engine,
}

impl Testnet {
    /// Session options with which this network builds tunnels quickly: one hop and one tunnel each way.
    pub const OPTIONS: &'static [(&'static str, &'static str)] = &[
        ("inbound.length", "1"),
        ("outbound.length", "1"),
        ("inbound.quantity", "1"),
        ("outbound.quantity", "1"),
    ];

    /// Starts a network and returns when a stream has gone through it.
    ///
    /// # Errors
    ///
    /// If an attempt fails, or takes longer than 12 seconds, it is abandoned and made once more. If the
    /// second attempt fails too, or 30 seconds have passed since the call, the error names the step that
    /// failed in either attempt.
    pub fn start() -> io::Result<Self> {
        Self::start_with(|_| {})
    }

    /// Starts a network as [`start`](Self::start) does and reports every step to `progress`, on this
    /// thread.
    ///
    /// A second attempt reports its steps from the first on.
    ///
    /// # Errors
    ///
    /// Those of [`start`](Self::start).
    pub fn start_with(progress: impl FnMut(Progress)) -> io::Result<Self> {
        Self::start_at(Ports::default(), progress)
    }

    /// Starts a network as [`start_with`](Self::start_with) does, with the bridge at these loopback ports,
    /// so that it can take the place of another network.
    ///
    /// # Errors
    ///
    /// Those of [`start`](Self::start); also if one of the ports is in use.
    pub fn start_at(ports: Ports, mut progress: impl FnMut(Progress)) -> io::Result<Self> {
        let deadline = Deadline::after(START_LIMIT);
        let first = Self::attempt(ports, deadline.within(FIRST_ATTEMPT_LIMIT), &mut progress);
        first.or_else(|first| {
            Self::attempt(ports, deadline, &mut progress).map_err(|second| {
                let text = format!("{second} (in the attempt before: {first})");
                io::Error::new(second.kind(), text)
            })
        })
    }

    pub(crate) fn attempt(
        ports: Ports,
        deadline: Deadline,
        progress: &mut dyn FnMut(Progress),
    ) -> io::Result<Self> {
        let engine = Engine::new().map_err(at("starting a thread"))?;
        let book = Arc::new(AddressBook::default());
        let (sam, udp) = start_routers(&engine, ports, &book, deadline, progress)?;
        let network = Self {
            sam,
            udp,
            book,
            _engine: engine,
        };
        probe::run(sam, deadline, progress)?;
        progress(Progress::Ready);
        Ok(network)
    }

    /// Returns the TCP address of the SAM bridge.
    #[must_use]
    pub fn sam_address(&self) -> SocketAddr {
        self.sam
    }

    /// Returns the UDP address of the SAM bridge.
    #[must_use]
    pub fn udp_address(&self) -> SocketAddr {
        self.udp
    }

    /// Assigns a host name to a destination in this network, at once and until the network ends.
    ///
    /// The name resolves regardless of upper and lower case. A name that is already registered is assigned
    /// to the new destination.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if `name` is not a host name under `.i2p` or `destination` is not a
    /// public destination in base64.
    pub fn add_host(&self, name: &str, destination: &str) -> io::Result<()> {
        self.book.insert(name, destination)
    }
}

impl fmt::Debug for Testnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Testnet")
            .field("sam_address", &self.sam)
            .field("udp_address", &self.udp)
            .finish_non_exhaustive()
    }
}

/// Starts the routers one after the other and returns the address of the last one's bridge. Each router
/// knows only those before it: if each knew all others, their first connections would cross.
fn start_routers(
    engine: &Engine,
    ports: Ports,
    book: &Arc<AddressBook>,
    deadline: Deadline,
    progress: &mut dyn FnMut(Progress),
) -> io::Result<(SocketAddr, SocketAddr)> {
    let mut infos = Vec::with_capacity(ROUTERS);
    let mut bridge = None;
    for number in 1..=ROUTERS {
        let served = (number == ROUTERS).then_some(ports);
        let started = engine
            .start_router(&infos, book, served, deadline)
            .map_err(at(format_args!("starting router {number} of {ROUTERS}")))?;
        infos.push(started.info);
        bridge = started.bridge;
        progress(Progress::RouterStarted {
            number,
            total: ROUTERS,
        });
    }
    bridge.ok_or_else(|| io::Error::other("the test network: the last router opened no SAM bridge"))
}

/// Adds the failed step to an error.
pub(crate) fn at(step: impl fmt::Display) -> impl FnOnce(io::Error) -> io::Error {
    let step = step.to_string();
    move |error| io::Error::new(error.kind(), format!("the test network: {step}: {error}"))
}

/// The thread on which the routers run. When it is dropped, all their tasks end and all their sockets
/// close.
struct Engine {
    runtime: Option<Runtime>,
}

impl Engine {
    fn new() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            // With two threads, a router can overflow another's queues, and a bulk stream then stalls for
            // nine seconds at a time. Also, when the network ends, one thread panics over channels whose
            // other ends the other thread has just dropped.
            .worker_threads(1)
            .thread_name("i2p-testnet")
            .enable_io()
            .enable_time()
            .build()?;
        Ok(Self {
            runtime: Some(runtime),
        })
    }

    fn start_router(
        &self,
        peers: &[Vec<u8>],
        book: &Arc<AddressBook>,
        served: Option<Ports>,
        deadline: Deadline,
    ) -> io::Result<Started> {
        let left = deadline.left()?;
        let runtime = self.runtime.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        let start = router::start(peers.to_vec(), Arc::clone(book), served);
        runtime
            .block_on(async { tokio::time::timeout(left, start).await })
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "out of time"))?
            .map_err(|error| io::Error::other(error.to_string()))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Unlike `shutdown_background`, this waits, so that the ports are closed on return.
            runtime.shutdown_timeout(STOP_LIMIT);
        }
    }
}
