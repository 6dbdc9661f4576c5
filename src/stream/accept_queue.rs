use std::collections::VecDeque;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use crate::address::{Destination, I2pAddr};
use crate::error::{Error, Phase, Refusal};
use crate::logging::event;
use crate::session::SessionGuard;
use crate::stream::sam_stream::SamStream;
use crate::sync::{Call, Lifetime, Monitor, Registration, Target, Wake, lock};

/// The treatment of peers that dial while the [backlog](crate::SessionBuilder::backlog) is full.
///
/// ```no_run
/// use i2p_sam::{SamBridge, BacklogPolicy};
///
/// let session = SamBridge::from_env()?
///     .session()
///     .backlog(16)
///     .backlog_policy(BacklogPolicy::Reject)
///     .stream()?;
/// # Ok::<(), i2p_sam::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BacklogPolicy {
    /// They wait at the router: until there is room, no further accept is sent, or, if the session
    /// forwards, no further caller is let in. This suits a server that catches up soon.
    ///
    /// The router decides how long they wait. With accepts: Java I2P refuses the dial after some 3 s.
    /// i2pd has already replied OK to it, keeps the stream for 10 s, and then ends it. emissary has
    /// replied OK as well, and loses the stream without a message. With forwarding, they wait as
    /// connections in the system's queue for our TCP port, up to the limit of that queue.
    #[default]
    Wait,
    /// They are accepted and closed at once, so that they notice without waiting, and can try again or
    /// elsewhere: the dial succeeds, and the stream ends. They are counted
    /// ([`ListenerStats::rejected`](crate::ListenerStats::rejected)).
    Reject,
}

/// The number of streams that may wait for an `accept`, and the treatment of others.
#[derive(Clone, Copy)]
pub(crate) struct BacklogLimits {
    pub(crate) size: usize,
    pub(crate) backlog_policy: BacklogPolicy,
}

/// A stream that arrived: its socket, its place in the session, and its peer.
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

/// The streams that have arrived, by an accept or by forwarding, and wait for an `accept`.
pub(crate) struct AcceptQueue {
    /// The lifetime of the session, or of the forwarding. Nothing more arrives when it has ended.
    source: Arc<Lifetime>,
    limits: BacklogLimits,
    state: Arc<Monitor<State>>,
    rejected: AtomicU64,
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
            rejected: AtomicU64::new(0),
            watcher: Mutex::default(),
        })
    }

    pub(crate) fn limits(&self) -> BacklogLimits {
        self.limits
    }

    /// Returns how many streams were closed because there was no room for them.
    pub(crate) fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }

    /// Returns true if nothing more can arrive.
    pub(crate) fn is_over(&self) -> bool {
        self.source.has_ended()
    }

    /// Wakes the watcher from now on whenever [`is_ready`](AcceptQueue::is_ready) may have become true.
    /// It also wakes it at the end of the source, as long as the registration is kept.
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

    /// Removes a listener. The last one closes the streams that wait.
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
        // There is room for another stream.
        self.state.wake();
        Ok(inbound)
    }

    /// Returns a stream that arrived before the source ended.
    pub(crate) fn left_over(&self) -> Option<Inbound> {
        self.state.lock().queue.pop_front()
    }

    /// Queues a stream when there is room for it. Closes the stream if there is no listener.
    pub(crate) fn push_when_room(&self, inbound: Inbound) {
        let mut inbound = Some(inbound);
        // It fails if the source has ended.
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
        if inbound.is_some() {
            event!(Debug, "a stream was closed: no listener has room for it");
        }
    }

    /// Queues a stream that was let in when there was room. Others may have been queued before it.
    pub(crate) fn push(&self, inbound: Inbound) {
        let left_over = self.state.update(|state| self.queue(state, inbound));
        self.wake_watcher();
        if left_over.is_some() {
            event!(Debug, "a stream was closed: the backlog is full");
        }
    }

    /// Waits until one more stream may be let in. Returns false if none may.
    pub(crate) fn wait_for_room(&self) -> bool {
        let room = |state: &mut State| Ok(self.room(state));
        self.call().wait_on(&self.state, room).unwrap_or(false)
    }

    /// Fails the next `accept` with this error.
    pub(crate) fn fail(&self, error: Error) {
        self.state.update(|state| state.failure = Some(error));
        self.wake_watcher();
    }

    /// Removes the error of the next `accept`, because another attempt has succeeded.
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

    /// Sleeps, unless the source has ended.
    pub(crate) fn sleep(&self, time: Duration) {
        let _ = self.call().sleep(time);
    }

    /// Returns true if one more stream may be let in, false if there is no listener, and `None` while
    /// the queue is full.
    fn room(&self, state: &State) -> Option<bool> {
        let full = state.queue.len() >= self.limits.size;
        match state.listeners {
            0 => Some(false),
            _ if full && self.limits.backlog_policy == BacklogPolicy::Wait => None,
            _ => Some(true),
        }
    }

    /// Queues a stream, or returns it to be closed.
    fn queue(&self, state: &mut State, inbound: Inbound) -> Option<Inbound> {
        let full = state.queue.len() >= self.limits.size;
        if full && self.limits.backlog_policy == BacklogPolicy::Reject {
            self.rejected.fetch_add(1, Ordering::Relaxed);
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

    /// Creates a call that ends when nothing more can arrive.
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
            backlog_policy: BacklogPolicy::Wait,
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
    fn waiting_stream_is_queued_after_an_accept() {
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
    fn two_pushing_threads_keep_to_the_size() {
        explore(|| {
            let (queue, lifetime) = queue();
            let pushers = [push_two(&queue), push_two(&queue)];
            queue.accept(&Call::new(Phase::Accept), false).unwrap();
            lifetime.end(SessionLoss::Disconnected);
            for pusher in pushers {
                pusher.join().unwrap();
            }
            while queue.left_over().is_some() {
                assert!(queue.left_over().is_none(), "more streams than places");
            }
        });
    }

    /// Two queues, and a value on which one thread waits for both, as a healing session does.
    fn watched() -> ([(Arc<AcceptQueue>, Arc<Lifetime>); 2], Arc<Monitor<()>>) {
        let queues = [queue(), queue()];
        (queues, Monitor::new(()))
    }

    fn wait_for_either(watcher: &Arc<Monitor<()>>, queues: &[(Arc<AcceptQueue>, Arc<Lifetime>)]) {
        let is_ready = || queues.iter().any(|(queue, _)| queue.is_ready());
        let call = Call::new(Phase::Accept);
        call.wait_on(watcher, |()| Ok(is_ready().then_some(())))
            .unwrap();
    }

    #[test]
    fn streams_of_two_queues_reach_the_watcher() {
        explore(|| {
            let (queues, watcher) = watched();
            let wake = Arc::clone(&watcher) as Arc<dyn Wake>;
            let _watches = queues.each_ref().map(|(queue, _)| queue.watch(&wake));
            let pushers = queues.each_ref().map(|(queue, _)| push_two(queue));
            for _ in 0..4 {
                wait_for_either(&watcher, &queues);
                let call = Call::new(Phase::Accept);
                let taken = queues
                    .iter()
                    .any(|(queue, _)| queue.accept(&call, true).is_ok());
                assert!(taken, "nothing was ready");
            }
            for pusher in pushers {
                pusher.join().unwrap();
            }
        });
    }

    #[test]
    fn failure_and_end_reach_the_watcher() {
        explore(|| {
            let (queues, watcher) = watched();
            let wake = Arc::clone(&watcher) as Arc<dyn Wake>;
            let _watches = queues.each_ref().map(|(queue, _)| queue.watch(&wake));
            let [(failing, _), (_, ending)] = queues.clone();
            let failure = thread::spawn(move || failing.fail(Error::WouldBlock));
            wait_for_either(&watcher, &queues[..1]);
            let end = thread::spawn(move || ending.end(SessionLoss::Disconnected));
            wait_for_either(&watcher, &queues[1..]);
            failure.join().unwrap();
            end.join().unwrap();
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
            lifetime.end(SessionLoss::Disconnected);
            let accepted = acceptors.map(|acceptor| acceptor.join().unwrap());
            assert!(accepted != [true, true]);
        });
    }
}
