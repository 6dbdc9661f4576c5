use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::connection::Connection;
use crate::error::{Error, Phase};
use crate::interrupts::{Interrupts, lock, wait};
use crate::session::backlog::{Arrival, Backlog, FIRST_PAUSE, LONGEST_PAUSE};
use crate::session::control::Control;
use crate::session::guard::Core;
use crate::sync::{AcceptWaker, Deadline, Wake, spawn};
use crate::wire::{ParseError, ParseErrorKind, StreamHeader};

/// Most callers that have not said who they are. One more, and the oldest is dropped: a router says
/// it at once, so that whoever has been silent for longest is the least likely to be one.
const MOST_UNKNOWN: usize = 64;

/// But nobody is dropped for it before this time: in a burst the threads that read are late, and not
/// the callers.
const FAIR_TIME: Duration = Duration::from_secs(1);

/// Who connects to the port that a router forwards to, and the streams that came of it.
///
/// One thread lets callers in, and one for each caller reads who calls, so that nobody waits for
/// one who says nothing. They end with the FORWARD socket.
pub(crate) struct Callers {
    core: Arc<Core>,
    forwarding: Arc<Control>,
    believed: Vec<IpAddr>,
    patience: Option<Duration>,
    backlog: Arc<Backlog>,
    state: Mutex<State>,
    changed: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct State {
    /// Those who have not said who they are, the oldest first.
    unknown: BTreeMap<u64, (Deadline, Arc<TcpStream>)>,
    came: u64,
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
            backlog: Backlog::new(forwarding, core.accepting.backlog().limits()),
            state: Mutex::default(),
            changed: Condvar::new(),
            dropped: AtomicU64::new(0),
        });
        // The handles share one place: with the last of them the forwarding ends.
        callers.backlog.join();
        let doorbell = AcceptWaker::of(&listener)?;
        let door = Arc::clone(&callers);
        spawn("i2p-sam-forward", move || door.serve(&listener, &doorbell))?;
        Ok(callers)
    }

    /// Where the streams wait for an `accept`.
    pub(crate) fn backlog(&self) -> &Arc<Backlog> {
        &self.backlog
    }

    /// How many callers were dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Lets callers in until the router does not forward any more.
    fn serve(self: &Arc<Self>, listener: &TcpListener, doorbell: &Arc<AcceptWaker>) {
        let interrupts = Interrupts::by_session(&self.forwarding);
        let bell = interrupts.watch_waiter(doorbell, Phase::Accept);
        let unknown = interrupts.watch_waiter(self, Phase::Accept);
        let mut pause = FIRST_PAUSE;
        while bell.is_ok() && unknown.is_ok() && self.backlog.wait_for_room() {
            match listener.accept() {
                // It may be the doorbell.
                _ if self.backlog.is_over() => break,
                Ok((socket, from)) => {
                    pause = FIRST_PAUSE;
                    self.let_in(socket, from.ip().to_canonical());
                }
                Err(error) => {
                    self.fail(error);
                    self.backlog.pause(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        for (_, socket) in std::mem::take(&mut lock(&self.state).unknown).into_values() {
            hang_up(&socket);
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
        while state.unknown.len() >= MOST_UNKNOWN && !self.backlog.is_over() {
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
        let still_wanted = lock(&self.state).unknown.remove(&number).is_some();
        self.changed.notify_all();
        match outcome {
            Ok(arrival) if still_wanted => self.backlog.put(arrival),
            _ => self.count_dropped(),
        }
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
        self.backlog.fail(Error::Io { phase, source });
    }
}

impl Wake for Callers {
    fn wake(&self) {
        let _state = lock(&self.state);
        self.changed.notify_all();
    }
}

fn hang_up(socket: &TcpStream) {
    // It fails only where there is no connection any more.
    let _ = socket.shutdown(Shutdown::Both);
}
