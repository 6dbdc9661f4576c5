use std::collections::VecDeque;
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::address::{Destination, I2pAddr};
use crate::cancel::{Registration, Wake};
use crate::connection::Connection;
use crate::deadline::Deadline;
use crate::error::{Error, Phase, Refusal, ResultCode};
use crate::interrupts::{Interrupts, lock, wait};
use crate::session::control::spawn;
use crate::session::guard::{Core, SessionGuard};
use crate::stream::SamStream;
use crate::wire::{Command, StreamHeader};

/// Most streams that wait for an `accept`. While they do, no further accept is armed.
const BACKLOG: usize = 64;

/// First pause after an armed accept came to nothing; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The armed accepts of a session, and the streams that have come in over them.
///
/// Armed sockets belong to the session and not to a caller of `accept`: a caller's impatience
/// must not close one, since on Java I2P a closed one stays in the router's list and takes the
/// next connection with it. They stay armed while no listener exists; what comes in then is
/// closed.
///
/// How many are armed depends on the router, which does not say what it is. Java I2P refuses a
/// connection, and emissary loses one, that finds none armed. i2pd keeps connections for 10 s; it
/// ends all armed accepts but one or two without a word (2.56), or serves several and mixes up
/// their streams (2.45). So one is armed where 3.1 is spoken, which is how i2pd up to 2.56 answers;
/// elsewhere several, until one ends in silence while the session lives: from then on, one.
pub(crate) struct Accepting {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    listeners: usize,
    /// A caller is about to arm the first accept.
    arming: bool,
    /// Threads that hold, or are about to hold, an armed accept.
    armed: usize,
    /// How many there should be.
    wanted: usize,
    queue: VecDeque<Arrival>,
    /// What the next `accept` is told.
    failure: Option<Error>,
    /// What every `accept` from now on is told.
    refusal: Option<Refusal>,
}

/// A stream that came in: its socket, in its place in the session, and who calls.
pub(crate) struct Arrival {
    pub(crate) socket: Arc<TcpStream>,
    pub(crate) registration: Option<Registration>,
    pub(crate) destination: Destination,
    pub(crate) from_port: Option<u16>,
    pub(crate) to_port: Option<u16>,
}

impl Arrival {
    pub(crate) fn into_stream(self, guard: &SessionGuard) -> SamStream {
        let local = I2pAddr::from(guard.core().key.destination());
        let peer = with_port(I2pAddr::from(self.destination), self.from_port);
        let local = with_port(local, self.to_port);
        SamStream::new(self.socket, self.registration, guard.clone(), peer, local)
    }
}

fn with_port(addr: I2pAddr, port: Option<u16>) -> I2pAddr {
    match port {
        Some(port) => addr.with_port(port),
        None => addr,
    }
}

/// What came of an armed accept.
enum Outcome {
    Arrived(Arrival),
    /// The bridge closed it without a word, and the session lives: i2pd, which keeps one.
    Silence,
    /// It could not be armed, or was refused.
    Failed(Error),
}

impl Accepting {
    pub(crate) fn new(wanted: usize) -> Self {
        let state = State {
            wanted,
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// Takes in one more listener. The first arms the accepts, and waits until one of them is.
    pub(crate) fn listen(core: &Arc<Core>, interrupts: &Interrupts) -> Result<(), Error> {
        if !core.accepting.claim_first(core, interrupts)? {
            return Ok(());
        }
        let outcome = arm(core, interrupts.clone())
            .and_then(|first| first.leave_caller(&core.control, Phase::Accept))
            .and_then(|first| spawn_holder(core, Some(first)));
        {
            let mut state = lock(&core.accepting.state);
            state.arming = false;
            match outcome {
                Ok(()) => state.listeners += 1,
                Err(_) => state.armed -= 1,
            }
        }
        core.accepting.changed.notify_all();
        outcome?;
        // One is armed; that the others could not be is no reason to fail.
        let _ = arm_wanted(core);
        Ok(())
    }

    /// Whether the caller is to arm the first accept. If not, it has been taken in.
    fn claim_first(&self, core: &Arc<Core>, interrupts: &Interrupts) -> Result<bool, Error> {
        let phase = Phase::Accept;
        let _watch = interrupts.watch_waiter(core, phase)?;
        let mut state = lock(&self.state);
        while state.arming {
            interrupts.check(phase)?;
            state = wait(&self.changed, state, phase, Deadline::NEVER)?;
        }
        interrupts.check(phase)?;
        if let Some(refusal) = &state.refusal {
            return Err(refusal.clone().into());
        }
        if state.armed > 0 {
            state.listeners += 1;
            return Ok(false);
        }
        state.arming = true;
        state.armed = 1;
        Ok(true)
    }

    /// Takes in a listener beside one that is there.
    pub(crate) fn share(&self) {
        lock(&self.state).listeners += 1;
    }

    /// One listener less. What waits for nobody is closed.
    pub(crate) fn leave(&self) {
        let left_over = {
            let mut state = lock(&self.state);
            state.listeners -= 1;
            match state.listeners {
                0 => std::mem::take(&mut state.queue),
                _ => VecDeque::new(),
            }
        };
        drop(left_over);
        self.changed.notify_all();
    }

    /// The next stream.
    pub(crate) fn accept(
        core: &Arc<Core>,
        interrupts: &Interrupts,
        deadline: Deadline,
        nonblocking: bool,
    ) -> Result<Arrival, Error> {
        let phase = Phase::Accept;
        let _watch = interrupts.watch_waiter(core, phase)?;
        let mut state = lock(&core.accepting.state);
        loop {
            interrupts.check(phase)?;
            if let Some(arrival) = state.queue.pop_front() {
                // Whoever holds a stream for which there was no room may go on.
                core.accepting.changed.notify_all();
                return Ok(arrival);
            }
            if let Some(error) = state.failure.take() {
                return Err(error);
            }
            if let Some(refusal) = &state.refusal {
                return Err(refusal.clone().into());
            }
            if nonblocking {
                return Err(Error::WouldBlock);
            }
            state = wait(&core.accepting.changed, state, phase, deadline)?;
        }
    }
}

impl Wake for Core {
    fn wake(&self) {
        let _state = lock(&self.accepting.state);
        self.accepting.changed.notify_all();
    }
}

/// Starts as many threads as there should be armed accepts.
fn arm_wanted(core: &Arc<Core>) -> Result<(), Error> {
    loop {
        {
            let mut state = lock(&core.accepting.state);
            if state.armed >= state.wanted {
                return Ok(());
            }
            state.armed += 1;
        }
        if let Err(error) = spawn_holder(core, None) {
            lock(&core.accepting.state).armed -= 1;
            return Err(error);
        }
    }
}

fn spawn_holder(core: &Arc<Core>, first: Option<Connection>) -> Result<(), Error> {
    let core = Arc::clone(core);
    spawn("i2p-sam-accept", move || hold(&core, first)).map_err(|source| Error::Io {
        phase: Phase::Accept,
        source,
    })
}

/// The work of one thread: hold an armed accept, hand over what comes, arm again.
fn hold(core: &Arc<Core>, mut armed: Option<Connection>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let outcome = await_peer(core, armed.take());
        if core.control.loss().is_some() {
            break;
        }
        let failure = match outcome {
            Outcome::Arrived(arrival) => {
                pause = FIRST_PAUSE;
                core.accepting.hand_over(core, arrival);
                continue;
            }
            Outcome::Silence if core.accepting.keep_one() => None,
            Outcome::Silence => return,
            Outcome::Failed(error) => Some(error),
        };
        // A bridge that goes takes the control socket with it, and that is the better reason.
        core.accepting.pause(core, pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
        if core.control.loss().is_some() || failure.is_some_and(|error| !core.accepting.fail(error))
        {
            break;
        }
    }
    lock(&core.accepting.state).armed -= 1;
}

/// Arms an accept, unless one is given that is armed, and waits for a peer.
fn await_peer(core: &Arc<Core>, armed: Option<Connection>) -> Outcome {
    let armed = match armed {
        Some(armed) => Ok(armed),
        None => arm(core, Interrupts::by_session(&core.control)),
    };
    if armed.is_ok() {
        lock(&core.accepting.state).failure = None;
    }
    match armed.and_then(|connection| receive(core, connection)) {
        Ok(arrival) => Outcome::Arrived(arrival),
        Err(Error::UnexpectedEof {
            phase: Phase::Accept,
        }) => Outcome::Silence,
        Err(error) => Outcome::Failed(core.explain(error)),
    }
}

fn arm(core: &Arc<Core>, interrupts: Interrupts) -> Result<Connection, Error> {
    let config = core.bridge.config();
    let command = Command::stream_accept(&core.id)?;
    let mut connection = Connection::open(config, interrupts, Deadline::NEVER)?;
    let deadline = Deadline::after(config.timeouts.command);
    connection
        .request(&command, Phase::Accept, deadline)
        .map_err(|error| core.explain(error))?;
    Ok(connection)
}

fn receive(core: &Arc<Core>, mut connection: Connection) -> Result<Arrival, Error> {
    // Peers come when they come.
    let (destination, from_port, to_port) = match connection.read_header(Deadline::NEVER)? {
        StreamHeader::Peer {
            destination,
            from_port,
            to_port,
        } => (destination, from_port, to_port),
        StreamHeader::Status(status) => {
            let code = status.result().unwrap_or(ResultCode::I2pError);
            let refusal = Refusal::new(Phase::Accept, code, &status);
            return Err(core.explain(refusal.into()));
        }
    };
    let (socket, registration) = connection.hand_over(Phase::Accept)?;
    Ok(Arrival {
        socket,
        registration,
        destination,
        from_port,
        to_port,
    })
}

impl Accepting {
    /// Queues a stream, when there is room for it. A stream nobody listens for is closed.
    fn hand_over(&self, core: &Arc<Core>, arrival: Arrival) {
        let interrupts = Interrupts::by_session(&core.control);
        let Ok(_watch) = interrupts.watch_waiter(core, Phase::Accept) else {
            return;
        };
        let mut state = lock(&self.state);
        while state.listeners > 0 && core.control.loss().is_none() {
            if state.queue.len() < BACKLOG {
                state.queue.push_back(arrival);
                drop(state);
                self.changed.notify_all();
                return;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// From now on one accept is armed. Says whether it is the asking thread's.
    fn keep_one(&self) -> bool {
        let mut state = lock(&self.state);
        state.wanted = 1;
        if state.armed > 1 {
            state.armed -= 1;
            return false;
        }
        true
    }

    /// Tells the next `accept`. Says whether it is worth trying again.
    fn fail(&self, error: Error) -> bool {
        let mut state = lock(&self.state);
        let again = match error {
            Error::Refused(refusal) if *refusal.code() == ResultCode::AlreadyAccepting => {
                state.refusal = Some(refusal);
                false
            }
            error => {
                state.failure = Some(error);
                true
            }
        };
        drop(state);
        self.changed.notify_all();
        again
    }

    /// Waits, unless the session ends.
    fn pause(&self, core: &Arc<Core>, pause: Duration) {
        let interrupts = Interrupts::by_session(&core.control);
        let Ok(_watch) = interrupts.watch_waiter(core, Phase::Accept) else {
            return;
        };
        let deadline = Deadline::after(Some(pause));
        let mut state = lock(&self.state);
        while core.control.loss().is_none() {
            match wait(&self.changed, state, Phase::Accept, deadline) {
                Ok(woken) => state = woken,
                Err(_) => return,
            }
        }
    }
}
