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

/// Two would be the least that can build a tunnel, but they do not find each other's lease sets.
const ROUTERS: usize = 3;

const START_LIMIT: Duration = Duration::from_secs(30);

/// How much of [`START_LIMIT`] a first attempt may use: many times what a start takes, and enough
/// is left for another.
const FIRST_ATTEMPT_LIMIT: Duration = Duration::from_secs(12);

/// Tasks end at their next suspension, within milliseconds; this only keeps a drop from hanging.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// The ports of loopback that a SAM bridge takes. 0 is any that is free.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ports {
    /// For connections.
    pub tcp: u16,
    /// For datagrams.
    pub udp: u16,
}

/// A private I2P network with a SAM bridge. Dropping it stops the network.
///
/// Any number of them may run at once, in one process or in several: they share nothing.
pub struct Testnet {
    sam: SocketAddr,
    udp: SocketAddr,
    book: Arc<AddressBook>,
    _engine: Engine,
}

impl Testnet {
    /// The session options this network builds tunnels for quickly: one hop and one tunnel each way.
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
    /// An attempt that fails, or takes longer than 12 seconds, is given up and made once more. When
    /// that fails too, or 30 seconds have passed since the call, the error names the step that
    /// failed in either attempt.
    pub fn start() -> io::Result<Self> {
        Self::start_with(|_| {})
    }

    /// Does what [`start`](Self::start) does and tells `progress` of every step, on this thread.
    ///
    /// A second attempt reports its steps from the first on.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_with(progress: impl FnMut(Progress)) -> io::Result<Self> {
        Self::start_at(Ports::default(), progress)
    }

    /// Does what [`start_with`](Self::start_with) does, with the bridge at these ports of loopback:
    /// a network that takes the place of another.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start); also when one of the ports is taken.
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

    /// Where the SAM bridge takes connections.
    #[must_use]
    pub fn sam_address(&self) -> SocketAddr {
        self.sam
    }

    /// Where the SAM bridge takes datagrams.
    #[must_use]
    pub fn udp_address(&self) -> SocketAddr {
        self.udp
    }

    /// Lets a host name stand for a destination in this network, at once and until it ends.
    ///
    /// The name resolves in any case of its letters. A name that was registered before now stands
    /// for the new destination.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] when `name` is not a host name under `.i2p` or `destination`
    /// is not a public destination in base64.
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

/// Starts the routers one after the other, each knowing those before it, and returns where the last
/// one's bridge listens. Were each told of all the others, their first connections would cross.
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

/// Says which step an error comes from.
pub(crate) fn at(step: impl fmt::Display) -> impl FnOnce(io::Error) -> io::Error {
    let step = step.to_string();
    move |error| io::Error::new(error.kind(), format!("the test network: {step}: {error}"))
}

/// The thread the routers run on. Dropping it ends every task and closes every socket of theirs.
struct Engine {
    runtime: Option<Runtime>,
}

impl Engine {
    fn new() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            // On two threads the routers outrun one another's queues, and a bulk stream then stands
            // still for nine seconds at a time. And when the network ends, one thread panics over
            // channels whose other ends the other thread has just dropped.
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
            // Unlike shutdown_background this waits, so that the ports are closed on return.
            runtime.shutdown_timeout(STOP_LIMIT);
        }
    }
}
