use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::address::Destination;
use crate::bridge::Connection;
use crate::error::{Error, Phase, Refusal, SessionLoss};
use crate::logging::{Full, event};
use crate::session::{SessionCore, SessionGuard};
use crate::stream::accept_queue::{AcceptQueue, BacklogLimits, Inbound};
use crate::stream::inbound_mode::InboundMode;
use crate::stream::listener::{ListenerStats, Source};
use crate::stream::sam_stream::SamStream;
use crate::stream::standby::{self, StandbySockets};
use crate::sync::{Backoff, Call, Deadline, Monitor, spawn};
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
    core: Arc<SessionCore>,
    mode: Arc<InboundMode>,
    queue: Arc<AcceptQueue>,
    state: Arc<Monitor<State>>,
}

struct State {
    /// A caller is about to send the first accept.
    starting: bool,
    /// Threads that have, or are about to have, a pending accept.
    pending: usize,
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
    pub(crate) fn new(core: &Arc<SessionCore>, wanted: usize, limits: BacklogLimits) -> Arc<Self> {
        Arc::new(Self {
            core: Arc::clone(core),
            mode: Arc::default(),
            queue: AcceptQueue::new(core.lifetime(), limits),
            state: Monitor::new(State {
                starting: false,
                pending: 0,
                wanted,
            }),
        })
    }

    /// Returns the queue in which streams wait for an `accept`.
    pub(crate) fn queue(&self) -> &Arc<AcceptQueue> {
        &self.queue
    }

    /// Returns the mode of the session, which its forwardings share.
    pub(crate) fn mode(&self) -> &Arc<InboundMode> {
        &self.mode
    }

    /// Adds a listener. The first one sends the accepts, and waits until one is pending.
    pub(crate) fn listen(
        self: &Arc<Self>,
        guard: &SessionGuard,
        call: &Call,
    ) -> Result<Listening, Error> {
        // Before any accept is sent: a stream that arrives at once must find a listener.
        self.queue.add_listener();
        let listening = Listening {
            guard: guard.clone(),
            pool: Arc::clone(self),
        };
        self.start(call)?;
        Ok(listening)
    }

    fn start(self: &Arc<Self>, call: &Call) -> Result<(), Error> {
        if !self.claim_first(call)? {
            return Ok(());
        }
        let outcome = self.mode.accept(|| {
            standby::accept(&self.core, call)
                .and_then(|first| first.leave_caller(self.core.lifetime(), Phase::Accept))
                .and_then(|first| self.spawn_acceptor(Some(first)))
        });
        self.state.update(|state| {
            state.starting = false;
            if outcome.is_err() {
                state.pending -= 1;
            }
        });
        outcome?;
        // One accept is pending, which is enough: a failure of the others is no failure of the call.
        let _ = self.spawn_wanted();
        Ok(())
    }

    /// Returns true if the caller must send the first accept. Otherwise one is pending.
    fn claim_first(&self, call: &Call) -> Result<bool, Error> {
        call.wait_on(&self.state, |state| {
            if state.starting {
                return Ok(None);
            }
            if let Some(refusal) = self.queue.refusal() {
                return Err(refusal.into());
            }
            let first = state.pending == 0;
            if first {
                state.starting = true;
                state.pending = 1;
            }
            Ok(Some(first))
        })
    }

    /// Starts threads until there are as many as accepts that should be pending.
    fn spawn_wanted(self: &Arc<Self>) -> Result<(), Error> {
        loop {
            {
                let mut state = self.state.lock();
                if state.pending >= state.wanted {
                    return Ok(());
                }
                state.pending += 1;
            }
            if let Err(error) = self.spawn_acceptor(None) {
                self.state.lock().pending -= 1;
                return Err(error);
            }
        }
    }

    fn spawn_acceptor(self: &Arc<Self>, first: Option<Connection>) -> Result<(), Error> {
        let pool = Arc::clone(self);
        spawn("i2p-sam-accept", move || pool.run_acceptor(first)).map_err(Error::io(Phase::Accept))
    }

    /// The work of one thread: keeps an accept pending, queues the stream that arrives, and repeats.
    ///
    /// It ends with the session, whose lifetime shuts down the pending socket and ends the wait for room
    /// and the sleep. It also ends if the router keeps fewer accepts, or refuses them permanently.
    fn run_acceptor(&self, mut first: Option<Connection>) {
        let mut ready = StandbySockets::default();
        let mut backoff = Backoff::for_accept();
        loop {
            let outcome = self.await_peer(first.take(), &mut ready);
            if self.queue.is_over() {
                break;
            }
            let failure = match outcome {
                Outcome::Arrived(inbound) => {
                    backoff.reset();
                    if self.keeps_one() {
                        ready.want();
                    }
                    self.queue.push_when_room(inbound);
                    continue;
                }
                Outcome::Silence(age) if age >= LONGEST_CLOSED_BY_I2PD => {
                    backoff.reset();
                    continue;
                }
                Outcome::Silence(_) if !self.core.is_i2pd() || self.keep_one() => None,
                Outcome::Silence(_) => return,
                Outcome::Failed(error) => Some(error),
            };
            let pause = backoff.next_delay();
            match &failure {
                Some(error) => event!(
                    Debug,
                    "an accept failed: {}; next in {pause:?}",
                    Full(error)
                ),
                None => event!(
                    Debug,
                    "the bridge closed a pending accept; next in {pause:?}"
                ),
            }
            // If the bridge is gone, the control socket ends too, and its error is the better reason.
            self.queue.sleep(pause);
            if self.queue.is_over() || failure.is_some_and(|error| !self.report(error)) {
                break;
            }
        }
        self.state.lock().pending -= 1;
    }

    /// Waits for a peer on the given pending accept, or on a new one.
    fn await_peer(&self, first: Option<Connection>, ready: &mut StandbySockets) -> Outcome {
        let pending = match first {
            Some(first) => Ok(first),
            None => ready.accept(&self.core),
        };
        if pending.is_ok() {
            self.queue.forget_failure();
        }
        let since = Instant::now();
        match pending.and_then(|connection| self.receive(connection)) {
            Ok(inbound) => Outcome::Arrived(inbound),
            Err(Error::UnexpectedEof {
                phase: Phase::Accept,
            }) => Outcome::Silence(since.elapsed()),
            Err(error) => Outcome::Failed(self.core.explain(error)),
        }
    }

    fn receive(&self, mut connection: Connection) -> Result<Inbound, Error> {
        // No deadline: a peer may dial at any time.
        match connection.read_header(Deadline::NEVER)? {
            StreamHeader::Peer {
                destination,
                from_port,
                to_port,
            } => {
                let (socket, registration) = connection.hand_over(Phase::Accept)?;
                Ok(Inbound {
                    socket,
                    registration,
                    destination,
                    from_port,
                    to_port,
                })
            }
            StreamHeader::Status(status) => {
                let code = status.result().unwrap_or(ResultCode::I2pError);
                let refusal = Refusal::new(Phase::Accept, code, &status);
                Err(self.core.explain(refusal.into()))
            }
        }
    }

    /// Fails the next `accept` with this error. Returns true if another attempt may succeed.
    fn report(&self, error: Error) -> bool {
        match error {
            Error::Refused(refusal) if *refusal.code() == ResultCode::AlreadyAccepting => {
                self.queue.refuse(refusal);
                false
            }
            error => {
                self.queue.fail(error);
                true
            }
        }
    }

    /// Returns true if only one accept should be pending.
    fn keeps_one(&self) -> bool {
        self.state.lock().wanted == 1
    }

    /// Keeps only one accept pending from now on. Returns true if it is that of the calling thread.
    fn keep_one(&self) -> bool {
        let mut state = self.state.lock();
        state.wanted = 1;
        if state.pending > 1 {
            state.pending -= 1;
            return false;
        }
        true
    }
}

/// A listener on the pending accepts of a session. When the last is dropped, waiting streams are
/// closed.
pub(crate) struct Listening {
    guard: SessionGuard,
    pool: Arc<AcceptPool>,
}

impl Source for Listening {
    fn destination(&self) -> &Destination {
        self.guard.core().key.destination()
    }

    fn accept(&self, call: Call, nonblocking: bool) -> Result<SamStream, Error> {
        let call = call.or_lifetime(self.guard.core().lifetime());
        let inbound = self.pool.queue.accept(&call, nonblocking)?;
        Ok(inbound.into_stream(&self.guard))
    }

    fn loss(&self) -> Option<SessionLoss> {
        self.guard.loss()
    }

    fn stats(&self) -> ListenerStats {
        ListenerStats {
            rejected: self.pool.queue.rejected(),
            ..ListenerStats::default()
        }
    }

    fn queue(&self) -> Option<&AcceptQueue> {
        Some(&self.pool.queue)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.pool.queue.remove_listener();
    }
}
