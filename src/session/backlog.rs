use std::collections::VecDeque;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::address::{Destination, I2pAddr};
use crate::error::{Error, Phase, Refusal};
use crate::interrupts::{Interrupts, lock, wait};
use crate::session::control::Control;
use crate::session::guard::SessionGuard;
use crate::stream::SamStream;
use crate::sync::{Deadline, Registration, Wake};

/// First pause after something could not be had; it doubles up to the longest.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(50);
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What becomes of peers that dial while the
/// [backlog](crate::SessionBuilder::backlog) is full.
///
/// ```no_run
/// use i2p_sam::{SamBridge, WhenFull};
///
/// let session = SamBridge::from_env()?
///     .session()
///     .backlog(16)
///     .when_full(WhenFull::TurnAway)
///     .stream()?;
/// # Ok::<(), i2p_sam::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// They wait at the router: no further accept is armed, or, where the router forwards, no
    /// further caller let in, until there is room. It suits a server that catches up soon.
    ///
    /// How long they wait is the router's choice. With accepts: Java I2P refuses the dial after
    /// some 3 s; i2pd has said OK to it already, keeps the stream for 10 s, and then ends it;
    /// emissary has said OK as well, and loses the stream without a word. With forwarding they wait
    /// as connections of the system to our TCP port, as many as it keeps.
    #[default]
    Wait,
    /// They are accepted and closed at once, so that they learn it without waiting, and can try
    /// again or elsewhere: the dial succeeds, and the stream ends. They are counted
    /// ([`SamListener::turned_away`](crate::SamListener::turned_away),
    /// [`ForwardListener::turned_away`](crate::ForwardListener::turned_away)).
    TurnAway,
}

/// How many streams may wait for an `accept`, and what becomes of others.
#[derive(Clone, Copy)]
pub(crate) struct BacklogLimits {
    pub(crate) size: usize,
    pub(crate) when_full: WhenFull,
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

/// The streams that have come in and wait for an `accept`, whichever way they came.
pub(crate) struct Backlog {
    /// The socket of the session, or of the forwarding, with which nothing more can come.
    source: Arc<Control>,
    limits: BacklogLimits,
    state: Mutex<State>,
    changed: Condvar,
    turned_away: AtomicU64,
}

#[derive(Default)]
struct State {
    listeners: usize,
    queue: VecDeque<Arrival>,
    /// What the next `accept` is told.
    failure: Option<Error>,
    /// What every `accept` from now on is told.
    refusal: Option<Refusal>,
}

impl Backlog {
    pub(crate) fn new(source: &Arc<Control>, limits: BacklogLimits) -> Arc<Self> {
        Arc::new(Self {
            source: Arc::clone(source),
            limits,
            state: Mutex::default(),
            changed: Condvar::new(),
            turned_away: AtomicU64::new(0),
        })
    }

    pub(crate) fn limits(&self) -> BacklogLimits {
        self.limits
    }

    /// How many streams were closed because there was no room for them.
    pub(crate) fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    /// Whether nothing more can come.
    pub(crate) fn is_over(&self) -> bool {
        self.source.loss().is_some()
    }

    /// One listener more.
    pub(crate) fn join(&self) {
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
        self: &Arc<Self>,
        interrupts: &Interrupts,
        deadline: Deadline,
        nonblocking: bool,
    ) -> Result<Arrival, Error> {
        let phase = Phase::Accept;
        let _watch = interrupts.watch_waiter(self, phase)?;
        let mut state = lock(&self.state);
        loop {
            interrupts.check(phase)?;
            if let Some(arrival) = state.queue.pop_front() {
                // Whoever waits for room may go on.
                self.changed.notify_all();
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
            state = wait(&self.changed, state, phase, deadline)?;
        }
    }

    /// A stream that came before it was over.
    pub(crate) fn left_over(&self) -> Option<Arrival> {
        lock(&self.state).queue.pop_front()
    }

    /// Queues a stream, when there is room for it. A stream nobody listens for is closed.
    pub(crate) fn put_when_room(self: &Arc<Self>, arrival: Arrival) {
        if let Some(state) = self.await_room() {
            self.push(state, arrival);
        }
    }

    /// Queues a stream that was let in when there was room, and finds others before it.
    pub(crate) fn put(&self, arrival: Arrival) {
        self.push(lock(&self.state), arrival);
    }

    /// Waits until one more stream may come in. Says whether one will.
    pub(crate) fn wait_for_room(self: &Arc<Self>) -> bool {
        self.await_room().is_some()
    }

    /// Tells the next `accept`.
    pub(crate) fn fail(&self, error: Error) {
        lock(&self.state).failure = Some(error);
        self.changed.notify_all();
    }

    /// What failed has been made good before an `accept` asked.
    pub(crate) fn forget_failure(&self) {
        lock(&self.state).failure = None;
    }

    /// Tells every `accept` from now on.
    pub(crate) fn refuse(&self, refusal: Refusal) {
        lock(&self.state).refusal = Some(refusal);
        self.changed.notify_all();
    }

    /// What every `accept` is told, if nothing more will come.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        lock(&self.state).refusal.clone()
    }

    /// Waits, unless it is over.
    pub(crate) fn pause(self: &Arc<Self>, pause: Duration) {
        let interrupts = Interrupts::by_session(&self.source);
        let Ok(_watch) = interrupts.watch_waiter(self, Phase::Accept) else {
            return;
        };
        let deadline = Deadline::after(Some(pause));
        let mut state = lock(&self.state);
        while !self.is_over() {
            match wait(&self.changed, state, Phase::Accept, deadline) {
                Ok(woken) => state = woken,
                Err(_) => return,
            }
        }
    }

    /// Nothing when it is over, or nobody listens.
    fn await_room(self: &Arc<Self>) -> Option<MutexGuard<'_, State>> {
        let interrupts = Interrupts::by_session(&self.source);
        let _watch = interrupts.watch_waiter(self, Phase::Accept).ok()?;
        let mut state = lock(&self.state);
        while state.listeners > 0 && !self.is_over() {
            if state.queue.len() < self.limits.size || self.limits.when_full == WhenFull::TurnAway {
                return Some(state);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    fn push(&self, mut state: MutexGuard<'_, State>, arrival: Arrival) {
        let full = state.queue.len() >= self.limits.size;
        if full && self.limits.when_full == WhenFull::TurnAway {
            drop(state);
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.queue.push_back(arrival);
        drop(state);
        self.changed.notify_all();
    }
}

impl Wake for Backlog {
    fn wake(&self) {
        let _state = lock(&self.state);
        self.changed.notify_all();
    }
}
