use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::connection::Connection;
use crate::error::{Error, Phase};
use crate::session::backlog::{Arrival, Backlog};
use crate::session::control::Control;
use crate::session::guard::Core;
use crate::sync::{AcceptWaker, Backoff, Call, Deadline, Monitor, spawn};
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
/// one who says nothing. They end with the lifetime of the FORWARD socket, which unblocks the first
/// ([`AcceptWaker`]); that one then shuts down the sockets of the others.
pub(crate) struct Callers {
    core: Arc<Core>,
    forwarding: Arc<Control>,
    believed: Vec<IpAddr>,
    patience: Option<Duration>,
    backlog: Arc<Backlog>,
    state: Arc<Monitor<State>>,
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
            backlog: Backlog::new(forwarding.lifetime(), core.accepting.backlog().limits()),
            state: Monitor::new(State::default()),
            dropped: AtomicU64::new(0),
        });
        // The handles share one place: with the last of them the forwarding ends.
        callers.backlog.join();
        let waker = AcceptWaker::of(&listener)?;
        let server = Arc::clone(&callers);
        spawn("i2p-sam-forward", move || server.serve(&listener, &waker))?;
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
    fn serve(self: &Arc<Self>, listener: &TcpListener, waker: &Arc<AcceptWaker>) {
        let call = Call::new(Phase::Accept).or_lifetime(self.forwarding.lifetime());
        let accepts = call.watch_waiter(waker);
        let unknown = call.watch_waiter(&self.state);
        let mut backoff = Backoff::for_accept();
        while accepts.is_ok() && unknown.is_ok() && self.backlog.wait_for_room() {
            match listener.accept() {
                // It may be the waker.
                _ if self.backlog.is_over() => break,
                Ok((socket, from)) => {
                    backoff.reset();
                    self.let_in(socket, from.ip().to_canonical());
                }
                Err(error) => {
                    self.fail(error);
                    self.backlog.sleep(backoff.next_delay());
                }
            }
        }
        let unknown = std::mem::take(&mut self.state.lock().unknown);
        for (_, socket) in unknown.into_values() {
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
            self.state.lock().unknown.remove(&number);
            self.count_dropped();
            self.fail(error);
        }
    }

    /// Notes one who has not said who it is, in the place of the oldest where there is no other.
    fn admit(&self, socket: &Arc<TcpStream>) -> u64 {
        self.state.wait_until_due(|state| {
            if state.unknown.len() >= MOST_UNKNOWN && !self.backlog.is_over() {
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
            let fair = Deadline::after(Some(FAIR_TIME));
            state.unknown.insert(number, (fair, Arc::clone(socket)));
            Ok(number)
        })
    }

    /// The work of one thread: reads who calls, and queues the stream. It ends with the header, its
    /// deadline, or the shutdown of its socket.
    fn hear(&self, number: u64, socket: Arc<TcpStream>) {
        let outcome = self.receive(socket);
        let unknown = self.state.update(|state| state.unknown.remove(&number));
        let still_wanted = unknown.is_some();
        match outcome {
            Ok(arrival) if still_wanted => self.backlog.put(arrival),
            _ => self.count_dropped(),
        }
    }

    fn receive(&self, socket: Arc<TcpStream>) -> Result<Arrival, Error> {
        let phase = Phase::Accept;
        let call = self.core.call(phase);
        let mut connection = Connection::of_caller(socket, self.core.version, call)?;
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

fn hang_up(socket: &TcpStream) {
    // It fails only where there is no connection any more.
    let _ = socket.shutdown(Shutdown::Both);
}
