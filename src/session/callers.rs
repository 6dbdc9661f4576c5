use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::cancel::Wake;
use crate::connection::Connection;
use crate::deadline::Deadline;
use crate::error::{Error, Phase};
use crate::interrupts::{Interrupts, lock, wait};
use crate::session::accepting::Arrival;
use crate::session::control::{Control, spawn};
use crate::session::guard::Core;
use crate::wire::{ParseError, ParseErrorKind, StreamHeader};

/// Most streams that wait for an `accept` before no further caller is let in. The system keeps
/// some more.
const BACKLOG: usize = 64;

/// Most callers that have not said who they are. One more, and the oldest is dropped: a router says
/// it at once, so that whoever has been silent for longest is the least likely to be one.
const MOST_UNKNOWN: usize = 64;

/// But nobody is dropped for it before this time: in a burst the threads that read are late, and not
/// the callers.
const FAIR_TIME: Duration = Duration::from_secs(1);

/// First pause after the system refused a connection; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Who connects to the port that a router forwards to, and the streams that came of it.
///
/// One thread lets callers in, and one for each caller reads who calls, so that nobody waits for
/// one who says nothing. They end with the FORWARD socket.
pub(crate) struct Callers {
    core: Arc<Core>,
    forwarding: Arc<Control>,
    believed: Vec<IpAddr>,
    patience: Option<Duration>,
    state: Mutex<State>,
    changed: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Arrival>,
    /// Those who have not said who they are, the oldest first.
    unknown: BTreeMap<u64, (Deadline, Arc<TcpStream>)>,
    came: u64,
    /// What the next `accept` is told.
    failure: Option<Error>,
}

impl Callers {
    /// Begins to let callers in.
    pub(crate) fn start(
        core: &Arc<Core>,
        forwarding: &Arc<Control>,
        listener: TcpListener,
        believed: &[IpAddr],
        patience: Option<Duration>,
    ) -> io::Result<Arc<Self>> {
        let believed = match believed {
            // The FORWARD socket's own end may have come already, and then it tells no address.
            [] => vec![core.control.socket().peer_addr()?.ip().to_canonical()],
            believed => believed.iter().map(IpAddr::to_canonical).collect(),
        };
        let callers = Arc::new(Self {
            core: Arc::clone(core),
            forwarding: Arc::clone(forwarding),
            believed,
            patience,
            state: Mutex::default(),
            changed: Condvar::new(),
            dropped: AtomicU64::new(0),
        });
        let doorbell = Arc::new(Doorbell(listener.local_addr()?));
        let door = Arc::clone(&callers);
        spawn("i2p-sam-forward", move || door.serve(&listener, &doorbell))?;
        Ok(callers)
    }

    /// The next stream.
    pub(crate) fn accept(
        self: &Arc<Self>,
        interrupts: &Interrupts,
        deadline: Deadline,
    ) -> Result<Arrival, Error> {
        let phase = Phase::Accept;
        let _watch = interrupts.watch_waiter(self, phase)?;
        let mut state = lock(&self.state);
        loop {
            interrupts.check(phase)?;
            if let Some(arrival) = state.queue.pop_front() {
                // There may be room for further callers.
                self.changed.notify_all();
                return Ok(arrival);
            }
            if let Some(error) = state.failure.take() {
                return Err(error);
            }
            state = wait(&self.changed, state, phase, deadline)?;
        }
    }

    /// A stream that came before the router stopped forwarding.
    pub(crate) fn left_over(&self) -> Option<Arrival> {
        lock(&self.state).queue.pop_front()
    }

    /// How many callers were dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Lets callers in until the router does not forward any more.
    fn serve(self: &Arc<Self>, listener: &TcpListener, doorbell: &Arc<Doorbell>) {
        let interrupts = Interrupts::by_session(&self.forwarding);
        let bell = interrupts.watch_waiter(doorbell, Phase::Accept);
        let room = interrupts.watch_waiter(self, Phase::Accept);
        let mut pause = FIRST_PAUSE;
        while bell.is_ok() && room.is_ok() && self.wait_for_room() {
            match listener.accept() {
                // It may be the doorbell.
                Ok(_) if self.is_over() => break,
                Ok((socket, from)) => {
                    pause = FIRST_PAUSE;
                    self.let_in(socket, from.ip().to_canonical());
                }
                Err(error) => {
                    self.fail(error);
                    self.pause(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        for (_, socket) in std::mem::take(&mut lock(&self.state).unknown).into_values() {
            hang_up(&socket);
        }
    }

    fn is_over(&self) -> bool {
        self.forwarding.loss().is_some()
    }

    /// Waits until one more stream may come in. Says whether one will.
    fn wait_for_room(&self) -> bool {
        let mut state = lock(&self.state);
        loop {
            if self.is_over() {
                return false;
            }
            if state.queue.len() < BACKLOG {
                return true;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn let_in(self: &Arc<Self>, socket: TcpStream, from: IpAddr) {
        if !self.believed.contains(&from) {
            self.count_dropped();
            return;
        }
        let socket = Arc::new(socket);
        let number = self.admit(&socket);
        let callers = Arc::clone(self);
        let heard = spawn("i2p-sam-caller", move || callers.hear(number, socket));
        if let Err(error) = heard {
            lock(&self.state).unknown.remove(&number);
            self.count_dropped();
            self.fail(error);
        }
    }

    /// Notes one who has not said who it is, in the place of the oldest where there is no other.
    fn admit(&self, socket: &Arc<TcpStream>) -> u64 {
        let mut state = lock(&self.state);
        while state.unknown.len() >= MOST_UNKNOWN && !self.is_over() {
            let fair = match state.unknown.first_key_value() {
                Some((_, (fair, _))) => *fair,
                None => break,
            };
            if fair.left(Phase::Accept).is_err() {
                if let Some((_, (_, oldest))) = state.unknown.pop_first() {
                    hang_up(&oldest);
                }
                break;
            }
            state = match wait(&self.changed, state, Phase::Accept, fair) {
                Ok(woken) => woken,
                Err(_) => lock(&self.state),
            };
        }
        let number = state.came;
        state.came += 1;
        let fair = Deadline::after(Some(FAIR_TIME));
        state.unknown.insert(number, (fair, Arc::clone(socket)));
        number
    }

    /// The work of one thread: learn who calls, and queue the stream.
    fn hear(&self, number: u64, socket: Arc<TcpStream>) {
        let outcome = self.receive(socket);
        let mut state = lock(&self.state);
        let still_wanted = state.unknown.remove(&number).is_some();
        match outcome {
            Ok(arrival) if still_wanted => state.queue.push_back(arrival),
            _ => self.count_dropped(),
        }
        drop(state);
        self.changed.notify_all();
    }

    fn receive(&self, socket: Arc<TcpStream>) -> Result<Arrival, Error> {
        let phase = Phase::Accept;
        let interrupts = Interrupts::by_session(&self.core.control);
        let mut connection = Connection::of_caller(socket, self.core.version, interrupts)?;
        let (destination, from_port, to_port) =
            match connection.read_header(Deadline::after(self.patience))? {
                StreamHeader::Peer {
                    destination,
                    from_port,
                    to_port,
                } => (destination, from_port, to_port),
                // Anybody can say this here; only on a socket of ours it means what it says.
                StreamHeader::Status(_) => {
                    let unexpected = ParseError::new(ParseErrorKind::Unexpected, 0);
                    return Err(Error::protocol(phase, unexpected));
                }
            };
        let (socket, registration) = connection.hand_over(phase)?;
        Ok(Arrival {
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

    /// Tells the next `accept`.
    fn fail(&self, source: io::Error) {
        let phase = Phase::Accept;
        lock(&self.state).failure = Some(Error::Io { phase, source });
        self.changed.notify_all();
    }

    /// Waits, unless it is over.
    fn pause(&self, pause: Duration) {
        let deadline = Deadline::after(Some(pause));
        let mut state = lock(&self.state);
        while !self.is_over() {
            match wait(&self.changed, state, Phase::Accept, deadline) {
                Ok(woken) => state = woken,
                Err(_) => return,
            }
        }
    }
}

impl Wake for Callers {
    fn wake(&self) {
        let _state = lock(&self.state);
        self.changed.notify_all();
    }
}

/// Ends the wait for a caller by calling: `std` has no other way.
struct Doorbell(SocketAddr);

impl Wake for Doorbell {
    fn wake(&self) {
        /// A door at which even loopback takes this long has callers enough.
        const RING: Duration = Duration::from_millis(50);

        let mut address = self.0;
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        let _ = TcpStream::connect_timeout(&address, RING);
    }
}

fn hang_up(socket: &TcpStream) {
    // It fails only where there is no connection any more.
    let _ = socket.shutdown(Shutdown::Both);
}
