use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::bridge::Connection;
use crate::error::{Error, Phase};
use crate::session::SessionCore;
use crate::session::control::ControlSocket;
use crate::stream::accept_queue::{AcceptQueue, BacklogLimits, Inbound};
use crate::stream::forwarding::{ForwardOptions, Forwarding};
use crate::sync::{AcceptWaker, Backoff, Call, Deadline, Monitor, spawn};
use crate::wire::{ParseError, ParseErrorKind, StreamHeader};

/// The most connections whose header has not arrived. One more, and the oldest is dropped: a router
/// sends the header at once, so the oldest is the least likely to be a router's.
const MOST_UNKNOWN: usize = 64;

/// The least time before a connection is dropped to make room: in a burst the delay is that of our
/// reading threads, and not of the router.
const MIN_HEADER_TIME: Duration = Duration::from_secs(1);

/// Accepts the connections to the port to which a router forwards, and queues their streams.
///
/// One thread accepts, and one thread per connection reads its header, so that a silent connection
/// delays no other. They end with the lifetime of the FORWARD socket. It unblocks the first thread
/// ([`AcceptWaker`]), which then shuts down the sockets of the others.
pub(crate) struct ForwardAcceptor {
    core: Arc<SessionCore>,
    forwarding: Arc<ControlSocket>,
    allowed_sources: Vec<IpAddr>,
    header_timeout: Option<Duration>,
    queue: Arc<AcceptQueue>,
    state: Arc<Monitor<State>>,
    dropped: AtomicU64,
}

#[derive(Default)]
struct State {
    /// The connections whose header has not arrived, the oldest first.
    unknown: BTreeMap<u64, (Deadline, Arc<TcpStream>)>,
    came: u64,
}

impl ForwardAcceptor {
    /// Starts to accept connections.
    pub(crate) fn start(
        forwarding: &Forwarding,
        limits: BacklogLimits,
        listener: TcpListener,
        options: &ForwardOptions,
    ) -> io::Result<Arc<Self>> {
        let core = forwarding.guard().core();
        let forwarding = forwarding.control();
        let allowed_sources = match options.allowed_sources() {
            // The FORWARD socket may have ended already, and then it has no address.
            [] => vec![core.control.socket().peer_addr()?.ip().to_canonical()],
            allowed_sources => allowed_sources.iter().map(IpAddr::to_canonical).collect(),
        };
        let acceptor = Arc::new(Self {
            core: Arc::clone(core),
            forwarding: Arc::clone(forwarding),
            allowed_sources,
            header_timeout: options.caller_timeout(),
            queue: AcceptQueue::new(forwarding.lifetime(), limits),
            state: Monitor::new(State::default()),
            dropped: AtomicU64::new(0),
        });
        // The handles count as one listener: the last of them ends the forwarding.
        acceptor.queue.add_listener();
        let waker = AcceptWaker::of(&listener)?;
        let server = Arc::clone(&acceptor);
        spawn("i2p-sam-forward", move || server.serve(&listener, &waker))?;
        Ok(acceptor)
    }

    /// Returns the queue in which streams wait for an `accept`.
    pub(crate) fn queue(&self) -> &Arc<AcceptQueue> {
        &self.queue
    }

    /// Returns how many connections were dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// The work of the thread that accepts, until the router no longer forwards.
    fn serve(self: &Arc<Self>, listener: &TcpListener, waker: &Arc<AcceptWaker>) {
        let call = Call::new(Phase::Accept).or_lifetime(self.forwarding.lifetime());
        let accepts = call.watch_waiter(waker);
        let unknown = call.watch_waiter(&self.state);
        let mut backoff = Backoff::for_accept();
        while accepts.is_ok() && unknown.is_ok() && self.queue.wait_for_room() {
            match listener.accept() {
                // This may be the connection of the waker.
                _ if self.queue.is_over() => break,
                Ok((socket, from)) => {
                    backoff.reset();
                    self.admit(socket, from.ip().to_canonical());
                }
                Err(error) => {
                    self.fail(error);
                    self.queue.sleep(backoff.next_delay());
                }
            }
        }
        let unknown = std::mem::take(&mut self.state.lock().unknown);
        for (_, socket) in unknown.into_values() {
            hang_up(&socket);
        }
    }

    fn admit(self: &Arc<Self>, socket: TcpStream, from: IpAddr) {
        if !self.allowed_sources.contains(&from) {
            self.count_dropped();
            return;
        }
        let socket = Arc::new(socket);
        let number = self.note_unknown(&socket);
        let acceptor = Arc::clone(self);
        let started = spawn("i2p-sam-caller", move || {
            acceptor.read_header(number, socket)
        });
        if let Err(error) = started {
            self.state.lock().unknown.remove(&number);
            self.count_dropped();
            self.fail(error);
        }
    }

    /// Records a connection whose header has not arrived. If there are too many, it replaces the
    /// oldest.
    fn note_unknown(&self, socket: &Arc<TcpStream>) -> u64 {
        self.state.wait_until_due(|state| {
            if state.unknown.len() >= MOST_UNKNOWN && !self.queue.is_over() {
                let fair = state.unknown.first_key_value().map(|(_, (fair, _))| *fair);
                if let Some(fair) = fair.filter(|fair| !fair.has_passed()) {
                    return Err(fair);
                }
                if let Some((_, (_, oldest))) = state.unknown.pop_first() {
                    hang_up(&oldest);
                }
            }
            let number = state.came;
            state.came += 1;
            let fair = Deadline::after(Some(MIN_HEADER_TIME));
            state.unknown.insert(number, (fair, Arc::clone(socket)));
            Ok(number)
        })
    }

    /// The work of one thread: reads the header, and queues the stream. It ends with the header, its
    /// deadline, or the shutdown of its socket.
    fn read_header(&self, number: u64, socket: Arc<TcpStream>) {
        let outcome = self.receive(socket);
        let unknown = self.state.update(|state| state.unknown.remove(&number));
        let still_wanted = unknown.is_some();
        match outcome {
            Ok(inbound) if still_wanted => self.queue.push(inbound),
            _ => self.count_dropped(),
        }
    }

    fn receive(&self, socket: Arc<TcpStream>) -> Result<Inbound, Error> {
        let phase = Phase::Accept;
        let call = self.core.call(phase);
        let mut connection = Connection::of_caller(socket, self.core.version, call)?;
        let (destination, from_port, to_port) =
            match connection.read_header(Deadline::after(self.header_timeout))? {
                StreamHeader::Peer {
                    destination,
                    from_port,
                    to_port,
                } => (destination, from_port, to_port),
                // Any program can send this here; it has a meaning only on a socket of ours.
                StreamHeader::Status(_) => {
                    let unexpected = ParseError::new(ParseErrorKind::Unexpected, 0);
                    return Err(Error::protocol(phase, unexpected));
                }
            };
        let (socket, registration) = connection.hand_over(phase)?;
        Ok(Inbound {
            socket,
            registration,
            destination,
            from_port,
            to_port,
        })
    }

    fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Fails the next `accept` with this error.
    fn fail(&self, source: io::Error) {
        let phase = Phase::Accept;
        self.queue.fail(Error::Io { phase, source });
    }
}

fn hang_up(socket: &TcpStream) {
    // It fails only if the connection is gone.
    let _ = socket.shutdown(Shutdown::Both);
}
