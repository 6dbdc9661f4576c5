use std::collections::VecDeque;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use crate::address::{Destination, I2pAddr};
use crate::error::{Error, Phase, Refusal};
use crate::session::guard::SessionGuard;
use crate::stream::SamStream;
use crate::sync::{Call, Lifetime, Monitor, Registration, Target, Wake, lock};

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
    /// ([`ListenerStats::turned_away`](crate::ListenerStats::turned_away)).
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
    source: Arc<Lifetime>,
    limits: BacklogLimits,
    state: Arc<Monitor<State>>,
    turned_away: AtomicU64,
    /// Waits on this backlog and others.
    watcher: Mutex<Option<Weak<dyn Wake>>>,
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
    pub(crate) fn new(source: &Arc<Lifetime>, limits: BacklogLimits) -> Arc<Self> {
        Arc::new(Self {
            source: Arc::clone(source),
            limits,
            state: Monitor::new(State::default()),
            turned_away: AtomicU64::new(0),
            watcher: Mutex::default(),
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
        self.source.has_ended()
    }

    /// Wakes the watcher from now on whenever [`is_ready`](Backlog::is_ready) may have become true. For the
    /// end of the source it does so as long as the registration is kept.
    pub(crate) fn watch(&self, watcher: &Arc<dyn Wake>) -> Option<Registration> {
        let watcher = Arc::downgrade(watcher);
        *lock(&self.watcher) = Some(Weak::clone(&watcher));
        self.source.register(Target::Waiter(watcher)).ok()
    }

    /// Returns true if an `accept` does not have to wait.
    pub(crate) fn is_ready(&self) -> bool {
        let state = self.state.lock();
        let fails = state.failure.is_some() || state.refusal.is_some() || self.source.has_ended();
        fails || !state.queue.is_empty()
    }

    /// One listener more.
    pub(crate) fn join(&self) {
        self.state.lock().listeners += 1;
    }

    /// One listener less. What waits for nobody is closed.
    pub(crate) fn leave(&self) {
        let left_over = self.state.update(|state| {
            state.listeners -= 1;
            (state.listeners == 0).then(|| std::mem::take(&mut state.queue))
        });
        drop(left_over);
    }

    /// Waits for the next stream.
    pub(crate) fn accept(&self, call: &Call, nonblocking: bool) -> Result<Arrival, Error> {
        let arrival = call.wait_on(&self.state, |state| {
            if let Some(arrival) = state.queue.pop_front() {
                return Ok(Some(arrival));
            }
            if let Some(error) = state.failure.take() {
                return Err(error);
            }
            match &state.refusal {
                Some(refusal) => Err(refusal.clone().into()),
                None if nonblocking => Err(Error::WouldBlock),
                None => Ok(None),
            }
        })?;
        // There is room for another.
        self.state.wake();
        Ok(arrival)
    }

    /// A stream that came before it was over.
    pub(crate) fn left_over(&self) -> Option<Arrival> {
        self.state.lock().queue.pop_front()
    }

    /// Queues a stream, when there is room for it. A stream for which there is no listener is closed.
    pub(crate) fn put_when_room(&self, arrival: Arrival) {
        let mut arrival = Some(arrival);
        // It fails if it is over.
        let _ = self.call().wait_on(&self.state, |state| {
            let room = self.room(state);
            if room == Some(true) {
                arrival = arrival.take().and_then(|arrival| self.push(state, arrival));
            }
            Ok(room)
        });
        self.state.wake();
        self.wake_watcher();
    }

    /// Queues a stream that was let in when there was room, and may find others before it.
    pub(crate) fn put(&self, arrival: Arrival) {
        let left_over = self.state.update(|state| self.push(state, arrival));
        drop(left_over);
        self.wake_watcher();
    }

    /// Waits until one more stream may come in. Returns false if none will.
    pub(crate) fn wait_for_room(&self) -> bool {
        let room = |state: &mut State| Ok(self.room(state));
        self.call().wait_on(&self.state, room).unwrap_or(false)
    }

    /// Tells the next `accept`.
    pub(crate) fn fail(&self, error: Error) {
        self.state.update(|state| state.failure = Some(error));
        self.wake_watcher();
    }

    /// What failed has been made good before an `accept` asked.
    pub(crate) fn forget_failure(&self) {
        self.state.lock().failure = None;
    }

    /// Tells every `accept` from now on.
    pub(crate) fn refuse(&self, refusal: Refusal) {
        self.state.update(|state| state.refusal = Some(refusal));
        self.wake_watcher();
    }

    /// What every `accept` is told, if nothing more will come.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.state.lock().refusal.clone()
    }

    /// Sleeps, unless it is over.
    pub(crate) fn sleep(&self, time: Duration) {
        let _ = self.call().sleep(time);
    }

    /// Whether one more stream may come in: nothing while the queue is full, and false if there is no
    /// listener.
    fn room(&self, state: &State) -> Option<bool> {
        let full = state.queue.len() >= self.limits.size;
        match state.listeners {
            0 => Some(false),
            _ if full && self.limits.when_full == WhenFull::Wait => None,
            _ => Some(true),
        }
    }

    /// Queues a stream, or returns it to be closed.
    fn push(&self, state: &mut State, arrival: Arrival) -> Option<Arrival> {
        let full = state.queue.len() >= self.limits.size;
        if full && self.limits.when_full == WhenFull::TurnAway {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            return Some(arrival);
        }
        state.queue.push_back(arrival);
        None
    }

    fn wake_watcher(&self) {
        let watcher = lock(&self.watcher).as_ref().and_then(Weak::upgrade);
        if let Some(watcher) = watcher {
            watcher.wake();
        }
    }

    /// A call that ends when nothing more can come.
    fn call(&self) -> Call {
        Call::new(Phase::Accept).or_lifetime(&self.source)
    }
}
