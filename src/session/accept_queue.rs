use std::collections::VecDeque;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use crate::address::{Destination, I2pAddr};
use crate::error::{Error, Phase, Refusal};
use crate::session::core::SessionGuard;
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

/// A stream that came in: its socket, its place in the session, and its peer.
pub(crate) struct Inbound {
    pub(crate) socket: Arc<TcpStream>,
    pub(crate) registration: Option<Registration>,
    pub(crate) destination: Destination,
    pub(crate) from_port: Option<u16>,
    pub(crate) to_port: Option<u16>,
}

impl Inbound {
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

/// The streams that have come in, by an accept or by forwarding, and wait for an `accept`.
pub(crate) struct AcceptQueue {
    /// That of the session, or of the forwarding. Nothing more comes when it has ended.
    source: Arc<Lifetime>,
    limits: BacklogLimits,
    state: Arc<Monitor<State>>,
    turned_away: AtomicU64,
    /// Waits on this queue and others.
    watcher: Mutex<Option<Weak<dyn Wake>>>,
}

#[derive(Default)]
struct State {
    listeners: usize,
    queue: VecDeque<Inbound>,
    /// The error of the next `accept`.
    failure: Option<Error>,
    /// The error of every `accept` from now on.
    refusal: Option<Refusal>,
}

impl AcceptQueue {
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

    /// Returns how many streams were closed because there was no room for them.
    pub(crate) fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    /// Returns true if nothing more can come.
    pub(crate) fn is_over(&self) -> bool {
        self.source.has_ended()
    }

    /// Wakes the watcher from now on whenever [`is_ready`](AcceptQueue::is_ready) may have become true. For the
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

    /// Adds a listener.
    pub(crate) fn add_listener(&self) {
        self.state.lock().listeners += 1;
    }

    /// Removes a listener. With the last, the streams that wait are closed.
    pub(crate) fn remove_listener(&self) {
        let left_over = self.state.update(|state| {
            state.listeners -= 1;
            (state.listeners == 0).then(|| std::mem::take(&mut state.queue))
        });
        drop(left_over);
    }

    /// Waits for the next stream.
    pub(crate) fn accept(&self, call: &Call, nonblocking: bool) -> Result<Inbound, Error> {
        let inbound = call.wait_on(&self.state, |state| {
            if let Some(inbound) = state.queue.pop_front() {
                return Ok(Some(inbound));
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
        Ok(inbound)
    }

    /// Returns a stream that came before it was over.
    pub(crate) fn left_over(&self) -> Option<Inbound> {
        self.state.lock().queue.pop_front()
    }

    /// Queues a stream, when there is room for it. A stream for which there is no listener is closed.
    pub(crate) fn push_when_room(&self, inbound: Inbound) {
        let mut inbound = Some(inbound);
        // It fails if it is over.
        let _ = self.call().wait_on(&self.state, |state| {
            let room = self.room(state);
            if room == Some(true) {
                inbound = inbound
                    .take()
                    .and_then(|inbound| self.queue(state, inbound));
            }
            Ok(room)
        });
        self.state.wake();
        self.wake_watcher();
    }

    /// Queues a stream that was let in when there was room, and may find others before it.
    pub(crate) fn push(&self, inbound: Inbound) {
        let left_over = self.state.update(|state| self.queue(state, inbound));
        drop(left_over);
        self.wake_watcher();
    }

    /// Waits until one more stream may come in. Returns false if none will.
    pub(crate) fn wait_for_room(&self) -> bool {
        let room = |state: &mut State| Ok(self.room(state));
        self.call().wait_on(&self.state, room).unwrap_or(false)
    }

    /// Fails the next `accept` with this error.
    pub(crate) fn fail(&self, error: Error) {
        self.state.update(|state| state.failure = Some(error));
        self.wake_watcher();
    }

    /// Drops the error of the next `accept`: another attempt has succeeded.
    pub(crate) fn forget_failure(&self) {
        self.state.lock().failure = None;
    }

    /// Fails every `accept` from now on.
    pub(crate) fn refuse(&self, refusal: Refusal) {
        self.state.update(|state| state.refusal = Some(refusal));
        self.wake_watcher();
    }

    /// Returns the refusal with which every `accept` fails, if there is one.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.state.lock().refusal.clone()
    }

    /// Sleeps, unless it is over.
    pub(crate) fn sleep(&self, time: Duration) {
        let _ = self.call().sleep(time);
    }

    /// Returns true if one more stream may come in, false if there is no listener, and nothing while the
    /// queue is full.
    fn room(&self, state: &State) -> Option<bool> {
        let full = state.queue.len() >= self.limits.size;
        match state.listeners {
            0 => Some(false),
            _ if full && self.limits.when_full == WhenFull::Wait => None,
            _ => Some(true),
        }
    }

    /// Queues a stream, or returns it to be closed.
    fn queue(&self, state: &mut State, inbound: Inbound) -> Option<Inbound> {
        let full = state.queue.len() >= self.limits.size;
        if full && self.limits.when_full == WhenFull::TurnAway {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            return Some(inbound);
        }
        state.queue.push_back(inbound);
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

#[cfg(test)]
#[cfg(shuttle)]
mod model {
    use std::net::TcpListener;
    use std::sync::OnceLock;

    use shuttle::thread;

    use super::*;
    use crate::error::SessionLoss;
    use crate::sync::model::explore;

    fn inbound() -> Inbound {
        static SOCKET: OnceLock<Arc<TcpStream>> = OnceLock::new();
        let connect = || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            Arc::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap())
        };
        Inbound {
            socket: SOCKET.get_or_init(connect).clone(),
            registration: None,
            destination: Destination::from_bytes(&[0; 387]).unwrap(),
            from_port: None,
            to_port: None,
        }
    }

    /// A queue of one place with one listener.
    fn queue() -> (Arc<AcceptQueue>, Arc<Lifetime>) {
        let lifetime = Lifetime::new(None);
        let limits = BacklogLimits {
            size: 1,
            when_full: WhenFull::Wait,
        };
        let queue = AcceptQueue::new(&lifetime, limits);
        queue.add_listener();
        (queue, lifetime)
    }

    fn push_two(queue: &Arc<AcceptQueue>) -> thread::JoinHandle<()> {
        let queue = queue.clone();
        thread::spawn(move || {
            queue.push_when_room(inbound());
            queue.push_when_room(inbound());
        })
    }

    #[test]
    fn stream_that_waits_for_room_comes_after_an_accept() {
        explore(|| {
            let (queue, _lifetime) = queue();
            let pusher = push_two(&queue);
            for _ in 0..2 {
                assert!(queue.accept(&Call::new(Phase::Accept), false).is_ok());
            }
            pusher.join().unwrap();
        });
    }

    #[test]
    fn last_listener_removed_during_push_leaves_no_stream() {
        explore(|| {
            let (queue, _lifetime) = queue();
            let pusher = push_two(&queue);
            queue.remove_listener();
            pusher.join().unwrap();
            assert!(queue.left_over().is_none());
        });
    }

    #[test]
    fn two_threads_that_push_do_not_exceed_the_size() {
        explore(|| {
            let (queue, lifetime) = queue();
            let pushers = [push_two(&queue), push_two(&queue)];
            queue.accept(&Call::new(Phase::Accept), false).unwrap();
            lifetime.end(SessionLoss::BridgeGone);
            for pusher in pushers {
                pusher.join().unwrap();
            }
            while queue.left_over().is_some() {
                assert!(queue.left_over().is_none(), "more streams than places");
            }
        });
    }

    #[test]
    fn end_ends_every_accept() {
        explore(|| {
            let (queue, lifetime) = queue();
            let call = Call::new(Phase::Accept).or_lifetime(&lifetime);
            let acceptors = [call.clone(), call].map(|call| {
                let queue = queue.clone();
                thread::spawn(move || queue.accept(&call, false).is_ok())
            });
            queue.push(inbound());
            lifetime.end(SessionLoss::BridgeGone);
            let accepted = acceptors.map(|acceptor| acceptor.join().unwrap());
            assert!(accepted != [true, true]);
        });
    }
}
