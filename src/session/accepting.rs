use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::address::Destination;
use crate::connection::Connection;
use crate::error::{Error, Phase, Refusal, ResultCode, SessionLoss};
use crate::listener::{ListenerStats, Source};
use crate::session::arming::{Ready, arm};
use crate::session::backlog::{Arrival, Backlog, BacklogLimits};
use crate::session::guard::{Core, SessionGuard};
use crate::stream::SamStream;
use crate::sync::{Backoff, Call, Deadline, Lifetime, Monitor, spawn};
use crate::wire::StreamHeader;

/// i2pd closes an armed accept for another one only if it is younger.
const LONGEST_CLOSED_BY_I2PD: Duration = Duration::from_secs(3);

/// The armed accepts of a session, and the streams that have come in over them.
///
/// Armed sockets belong to the session and not to a caller of `accept`: a caller's impatience
/// must not close one, since on Java I2P a closed one stays in the router's list and takes the
/// next connection with it. They stay armed while no listener exists; what comes in then is
/// closed.
///
/// How many are armed depends on the router. Java I2P refuses a connection, and emissary loses one,
/// that finds none armed. i2pd keeps connections for 10 s; it closes all armed accepts but one or two
/// without a word (2.56), or serves several and mixes up their streams (2.45). So one is armed where
/// 3.1 is spoken, which is how i2pd up to 2.56 answers; elsewhere several, until i2pd closes one that
/// is younger than 3 s: from then on, one.
///
/// Any other armed accept that ends without a word is followed by a new one at once. Java I2P closes
/// one of them so, and leaves the others hanging, if its router stops while the bridge goes on; it
/// answers the new one that the session is closed, and the others end with the session.
pub(crate) struct Accepting {
    backlog: Arc<Backlog>,
    state: Arc<Monitor<State>>,
}

struct State {
    /// A caller is about to arm the first accept.
    arming: bool,
    /// Threads that hold, or are about to hold, an armed accept.
    armed: usize,
    /// How many there should be.
    wanted: usize,
}

/// What came of an armed accept.
enum Outcome {
    Arrived(Arrival),
    /// The bridge closed it without a word, after this time.
    Silence(Duration),
    /// It could not be armed, or was refused.
    Failed(Error),
}

impl Accepting {
    pub(crate) fn new(session: &Arc<Lifetime>, wanted: usize, limits: BacklogLimits) -> Self {
        Self {
            backlog: Backlog::new(session, limits),
            state: Monitor::new(State {
                arming: false,
                armed: 0,
                wanted,
            }),
        }
    }

    /// Where the streams wait for an `accept`.
    pub(crate) fn backlog(&self) -> &Arc<Backlog> {
        &self.backlog
    }

    /// Adds a listener. The first arms the accepts, and waits until one of them is pending.
    pub(crate) fn listen(guard: &SessionGuard, call: &Call) -> Result<Listening, Error> {
        let core = guard.core();
        // Before anything is armed: a stream that comes at once must find a listener.
        core.accepting.backlog.join();
        let listening = Listening(guard.clone());
        Self::arm_first(core, call)?;
        Ok(listening)
    }

    fn arm_first(core: &Arc<Core>, call: &Call) -> Result<(), Error> {
        if !core.accepting.claim_first(call)? {
            return Ok(());
        }
        let outcome = core.intake.accept(|| {
            arm(core, call)
                .and_then(|first| first.leave_caller(core.control.lifetime(), Phase::Accept))
                .and_then(|first| spawn_holder(core, Some(first)))
        });
        core.accepting.state.update(|state| {
            state.arming = false;
            if outcome.is_err() {
                state.armed -= 1;
            }
        });
        outcome?;
        // One is armed; that the others could not be is no reason to fail.
        let _ = arm_wanted(core);
        Ok(())
    }

    /// Returns true if the caller must arm the first accept. If not, there is one.
    fn claim_first(&self, call: &Call) -> Result<bool, Error> {
        call.wait_on(&self.state, |state| {
            if state.arming {
                return Ok(None);
            }
            if let Some(refusal) = self.backlog.refusal() {
                return Err(refusal.into());
            }
            let first = state.armed == 0;
            if first {
                state.arming = true;
                state.armed = 1;
            }
            Ok(Some(first))
        })
    }

    /// Whether one accept is all that is armed.
    fn keeps_one(&self) -> bool {
        self.state.lock().wanted == 1
    }

    /// From now on one accept is armed. Says whether it is the asking thread's.
    fn keep_one(&self) -> bool {
        let mut state = self.state.lock();
        state.wanted = 1;
        if state.armed > 1 {
            state.armed -= 1;
            return false;
        }
        true
    }
}

/// A listener over the pending accepts of a session. Streams that wait when the last is dropped are closed.
pub(crate) struct Listening(SessionGuard);

impl Source for Listening {
    fn destination(&self) -> &Destination {
        self.0.core().key.destination()
    }

    fn accept(&self, call: Call, nonblocking: bool) -> Result<SamStream, Error> {
        let core = self.0.core();
        let call = call.or_lifetime(core.control.lifetime());
        let arrival = core.accepting.backlog.accept(&call, nonblocking)?;
        Ok(arrival.into_stream(&self.0))
    }

    fn loss(&self) -> Option<SessionLoss> {
        self.0.closed()
    }

    fn stats(&self) -> ListenerStats {
        ListenerStats {
            turned_away: self.0.core().accepting.backlog.turned_away(),
            ..ListenerStats::default()
        }
    }

    fn backlog(&self) -> Option<&Backlog> {
        Some(&self.0.core().accepting.backlog)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.core().accepting.backlog.leave();
    }
}

/// Starts as many threads as there should be armed accepts.
fn arm_wanted(core: &Arc<Core>) -> Result<(), Error> {
    loop {
        {
            let mut state = core.accepting.state.lock();
            if state.armed >= state.wanted {
                return Ok(());
            }
            state.armed += 1;
        }
        if let Err(error) = spawn_holder(core, None) {
            core.accepting.state.lock().armed -= 1;
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

/// The work of one thread: holds a pending accept, queues the stream that comes, and arms again.
///
/// The end of the session ends it: its lifetime shuts the pending socket down, and ends the wait for room
/// and the sleep. It also ends if the router keeps fewer accepts, or refuses them for good.
fn hold(core: &Arc<Core>, mut armed: Option<Connection>) {
    let backlog = core.accepting.backlog();
    let mut ready = Ready::default();
    let mut backoff = Backoff::for_accept();
    loop {
        let outcome = await_peer(core, armed.take(), &mut ready);
        if backlog.is_over() {
            break;
        }
        let failure = match outcome {
            Outcome::Arrived(arrival) => {
                backoff.reset();
                if core.accepting.keeps_one() {
                    ready.want();
                }
                backlog.put_when_room(arrival);
                continue;
            }
            Outcome::Silence(age) if age >= LONGEST_CLOSED_BY_I2PD => {
                backoff.reset();
                continue;
            }
            Outcome::Silence(_) if !core.is_i2pd() || core.accepting.keep_one() => None,
            Outcome::Silence(_) => return,
            Outcome::Failed(error) => Some(error),
        };
        // A bridge that goes takes the control socket with it, and that is the better reason.
        backlog.sleep(backoff.next_delay());
        if backlog.is_over() || failure.is_some_and(|error| !tell(backlog, error)) {
            break;
        }
    }
    core.accepting.state.lock().armed -= 1;
}

/// Tells the next `accept`. Says whether it is worth trying again.
fn tell(backlog: &Backlog, error: Error) -> bool {
    match error {
        Error::Refused(refusal) if *refusal.code() == ResultCode::AlreadyAccepting => {
            backlog.refuse(refusal);
            false
        }
        error => {
            backlog.fail(error);
            true
        }
    }
}

/// Arms an accept, unless one is given that is armed, and waits for a peer.
fn await_peer(core: &Arc<Core>, armed: Option<Connection>, ready: &mut Ready) -> Outcome {
    let armed = match armed {
        Some(armed) => Ok(armed),
        None => ready.arm(core),
    };
    if armed.is_ok() {
        core.accepting.backlog.forget_failure();
    }
    let since = Instant::now();
    match armed.and_then(|connection| receive(core, connection)) {
        Ok(arrival) => Outcome::Arrived(arrival),
        Err(Error::UnexpectedEof {
            phase: Phase::Accept,
        }) => Outcome::Silence(since.elapsed()),
        Err(error) => Outcome::Failed(core.explain(error)),
    }
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
