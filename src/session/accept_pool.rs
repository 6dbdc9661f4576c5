use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::address::Destination;
use crate::bridge::Connection;
use crate::error::{Error, Phase, Refusal, SessionLoss};
use crate::listener::{ListenerStats, Source};
use crate::session::accept_queue::{AcceptQueue, BacklogLimits, Inbound};
use crate::session::arming::{StandbySockets, arm};
use crate::session::core::{SessionCore, SessionGuard};
use crate::stream::SamStream;
use crate::sync::{Backoff, Call, Deadline, Lifetime, Monitor, spawn};
use crate::wire::{ResultCode, StreamHeader};

/// The age from which i2pd does not close a pending accept to make room for another one.
const LONGEST_CLOSED_BY_I2PD: Duration = Duration::from_secs(3);

/// The threads with a pending STREAM ACCEPT of a session, and the queue of the streams that arrive.
///
/// Pending accepts belong to the session and not to a caller of `accept`. If that caller gives up, the
/// accept stays: on Java I2P a closed one stays in the router's list and takes the next connection with
/// it. Accepts stay pending while no listener exists; streams that arrive then are closed.
///
/// The number of pending accepts depends on the router. If no accept is pending, Java I2P refuses a
/// connection, and emissary loses it. i2pd keeps connections for 10 s. It closes all pending accepts
/// but one or two without a reply (2.56), or serves several and mixes up their streams (2.45). So one
/// accept is pending if the bridge agreed to 3.1, which is the reply of i2pd up to 2.56. Otherwise
/// several are pending, until i2pd closes one that is younger than 3 s: from then on, one.
///
/// Any other pending accept that ends without a reply is replaced by a new one at once. If the router
/// stops while the bridge goes on, Java I2P closes one of them in this way and leaves the others
/// hanging. It replies to the new one that the session is closed, and the others end with the session.
pub(crate) struct AcceptPool {
    queue: Arc<AcceptQueue>,
    state: Arc<Monitor<State>>,
}

struct State {
    /// A caller is about to send the first accept.
    arming: bool,
    /// Threads that have, or are about to have, a pending accept.
    armed: usize,
    /// The number of accepts that should be pending.
    wanted: usize,
}

/// The outcome of a pending accept.
enum Outcome {
    Arrived(Inbound),
    /// The bridge closed it without a reply, after this time.
    Silence(Duration),
    /// The ACCEPT could not be sent, or was refused.
    Failed(Error),
}

impl AcceptPool {
    pub(crate) fn new(session: &Arc<Lifetime>, wanted: usize, limits: BacklogLimits) -> Self {
        Self {
            queue: AcceptQueue::new(session, limits),
            state: Monitor::new(State {
                arming: false,
                armed: 0,
                wanted,
            }),
        }
    }

    /// Returns the queue in which streams wait for an `accept`.
    pub(crate) fn queue(&self) -> &Arc<AcceptQueue> {
        &self.queue
    }

    /// Adds a listener. The first one sends the accepts, and waits until one is pending.
    pub(crate) fn listen(guard: &SessionGuard, call: &Call) -> Result<Listening, Error> {
        let core = guard.core();
        // Before any accept is sent: a stream that arrives at once must find a listener.
        core.accept_pool.queue.add_listener();
        let listening = Listening(guard.clone());
        Self::arm_first(core, call)?;
        Ok(listening)
    }

    fn arm_first(core: &Arc<SessionCore>, call: &Call) -> Result<(), Error> {
        if !core.accept_pool.claim_first(call)? {
            return Ok(());
        }
        let outcome = core.inbound_mode.accept(|| {
            arm(core, call)
                .and_then(|first| first.leave_caller(core.lifetime(), Phase::Accept))
                .and_then(|first| spawn_acceptor(core, Some(first)))
        });
        core.accept_pool.state.update(|state| {
            state.arming = false;
            if outcome.is_err() {
                state.armed -= 1;
            }
        });
        outcome?;
        // One accept is pending, which is enough: a failure of the others is no failure of the call.
        let _ = arm_wanted(core);
        Ok(())
    }

    /// Returns true if the caller must send the first accept. Otherwise one is pending.
    fn claim_first(&self, call: &Call) -> Result<bool, Error> {
        call.wait_on(&self.state, |state| {
            if state.arming {
                return Ok(None);
            }
            if let Some(refusal) = self.queue.refusal() {
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

    /// Returns true if only one accept should be pending.
    fn keeps_one(&self) -> bool {
        self.state.lock().wanted == 1
    }

    /// Keeps only one accept pending from now on. Returns true if it is that of the calling thread.
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

/// A listener on the pending accepts of a session. When the last is dropped, waiting streams are
/// closed.
pub(crate) struct Listening(SessionGuard);

impl Source for Listening {
    fn destination(&self) -> &Destination {
        self.0.core().key.destination()
    }

    fn accept(&self, call: Call, nonblocking: bool) -> Result<SamStream, Error> {
        let core = self.0.core();
        let call = call.or_lifetime(core.lifetime());
        let inbound = core.accept_pool.queue.accept(&call, nonblocking)?;
        Ok(inbound.into_stream(&self.0))
    }

    fn loss(&self) -> Option<SessionLoss> {
        self.0.loss()
    }

    fn stats(&self) -> ListenerStats {
        ListenerStats {
            rejected: self.0.core().accept_pool.queue.rejected(),
            ..ListenerStats::default()
        }
    }

    fn queue(&self) -> Option<&AcceptQueue> {
        Some(&self.0.core().accept_pool.queue)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.core().accept_pool.queue.remove_listener();
    }
}

/// Starts threads until there are as many as accepts that should be pending.
fn arm_wanted(core: &Arc<SessionCore>) -> Result<(), Error> {
    loop {
        {
            let mut state = core.accept_pool.state.lock();
            if state.armed >= state.wanted {
                return Ok(());
            }
            state.armed += 1;
        }
        if let Err(error) = spawn_acceptor(core, None) {
            core.accept_pool.state.lock().armed -= 1;
            return Err(error);
        }
    }
}

fn spawn_acceptor(core: &Arc<SessionCore>, first: Option<Connection>) -> Result<(), Error> {
    let core = Arc::clone(core);
    spawn("i2p-sam-accept", move || run_acceptor(&core, first)).map_err(|source| Error::Io {
        phase: Phase::Accept,
        source,
    })
}

/// The work of one thread: keeps an accept pending, queues the stream that arrives, and repeats.
///
/// It ends with the session, whose lifetime shuts down the pending socket and ends the wait for room
/// and the sleep. It also ends if the router keeps fewer accepts, or refuses them permanently.
fn run_acceptor(core: &Arc<SessionCore>, mut armed: Option<Connection>) {
    let queue = core.accept_pool.queue();
    let mut ready = StandbySockets::default();
    let mut backoff = Backoff::for_accept();
    loop {
        let outcome = await_peer(core, armed.take(), &mut ready);
        if queue.is_over() {
            break;
        }
        let failure = match outcome {
            Outcome::Arrived(inbound) => {
                backoff.reset();
                if core.accept_pool.keeps_one() {
                    ready.want();
                }
                queue.push_when_room(inbound);
                continue;
            }
            Outcome::Silence(age) if age >= LONGEST_CLOSED_BY_I2PD => {
                backoff.reset();
                continue;
            }
            Outcome::Silence(_) if !core.is_i2pd() || core.accept_pool.keep_one() => None,
            Outcome::Silence(_) => return,
            Outcome::Failed(error) => Some(error),
        };
        // If the bridge is gone, the control socket ends too, and its error is the better reason.
        queue.sleep(backoff.next_delay());
        if queue.is_over() || failure.is_some_and(|error| !report(queue, error)) {
            break;
        }
    }
    core.accept_pool.state.lock().armed -= 1;
}

/// Fails the next `accept` with this error. Returns true if another attempt may succeed.
fn report(queue: &AcceptQueue, error: Error) -> bool {
    match error {
        Error::Refused(refusal) if *refusal.code() == ResultCode::AlreadyAccepting => {
            queue.refuse(refusal);
            false
        }
        error => {
            queue.fail(error);
            true
        }
    }
}

/// Waits for a peer on the given pending accept, or on a new one.
fn await_peer(
    core: &Arc<SessionCore>,
    armed: Option<Connection>,
    ready: &mut StandbySockets,
) -> Outcome {
    let armed = match armed {
        Some(armed) => Ok(armed),
        None => ready.arm(core),
    };
    if armed.is_ok() {
        core.accept_pool.queue.forget_failure();
    }
    let since = Instant::now();
    match armed.and_then(|connection| receive(core, connection)) {
        Ok(inbound) => Outcome::Arrived(inbound),
        Err(Error::UnexpectedEof {
            phase: Phase::Accept,
        }) => Outcome::Silence(since.elapsed()),
        Err(error) => Outcome::Failed(core.explain(error)),
    }
}

fn receive(core: &Arc<SessionCore>, mut connection: Connection) -> Result<Inbound, Error> {
    // No deadline: a peer may dial at any time.
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
    Ok(Inbound {
        socket,
        registration,
        destination,
        from_port,
        to_port,
    })
}
