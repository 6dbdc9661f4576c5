//! Dials that arrive faster than the program accepts: each finds a pending accept, as many as the
//! backlog holds wait, and the others are treated as the session is configured.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use i2p_sam::{BacklogPolicy, Error, SamListener};

use crate::support::ordered::{Ordered, calls};
use crate::support::{LONG, ScriptedBridge, Stage, eventually, key, milestone};

/// The time for which Java I2P lets a dial wait for an accept, after the session has accepted once.
const JAVA_WAITS: Duration = Duration::from_secs(3);

/// The pending accepts at a bridge, and the dials they serve, one each. As on Java I2P, a dial that
/// finds none is refused, at once if the session has never accepted.
#[derive(Default)]
struct PendingAccepts {
    accepts: Mutex<Accepts>,
    changed: Condvar,
}

#[derive(Default)]
struct Accepts {
    waiting: VecDeque<mpsc::Sender<u16>>,
    ever: bool,
}

impl PendingAccepts {
    /// A bridge that counts its accepts here. The source port of a dial is its number plus one.
    fn serve(self: &Arc<Self>) -> ScriptedBridge {
        let pending = Arc::clone(self);
        let caller = key(1).destination().to_base64();
        ScriptedBridge::router(move |visit, stage| match stage {
            Stage::Accept => {
                let Ok(number) = pending.add().recv() else {
                    return;
                };
                // Port 0 means no port.
                let port = number + 1;
                visit.say(&format!("{caller} FROM_PORT={port} TO_PORT=0\n"));
                visit.rest();
            }
            _ => visit.until_quit(),
        })
    }

    fn add(&self) -> mpsc::Receiver<u16> {
        let (call, called) = mpsc::channel();
        let mut accepts = self.accepts.lock().unwrap();
        accepts.ever = true;
        accepts.waiting.push_back(call);
        drop(accepts);
        self.changed.notify_all();
        called
    }

    /// Returns whether an accept served this dial within this time.
    fn dial(&self, number: u16, patience: Duration) -> bool {
        let accepts = self.accepts.lock().unwrap();
        if !accepts.ever {
            return false;
        }
        let none = |accepts: &mut Accepts| accepts.waiting.is_empty();
        let (mut accepts, _) = self
            .changed
            .wait_timeout_while(accepts, patience, none)
            .unwrap();
        let served = accepts.waiting.pop_front();
        served.is_some_and(|accept| accept.send(number).is_ok())
    }

    /// Waits until this many accepts are pending.
    fn wait_for(&self, count: usize) {
        let accepts = self.accepts.lock().unwrap();
        let fewer = |accepts: &mut Accepts| accepts.waiting.len() < count;
        let outcome = self.changed.wait_timeout_while(accepts, LONG, fewer);
        assert!(!outcome.unwrap().1.timed_out(), "they are not pending");
    }
}

/// Returns the source ports of the next streams.
fn callers(listener: &SamListener, count: usize) -> BTreeSet<u16> {
    (0..count)
        .map(|_| {
            listener
                .accept_timeout(LONG)
                .unwrap()
                .0
                .peer_port()
                .unwrap()
        })
        .collect()
}

#[test]
fn two_thousand_consecutive_dials_are_all_served() {
    const DIALS: usize = 2000;
    let pending = Arc::new(PendingAccepts::default());
    let bridge = pending.serve();
    let session = bridge.bridge().session().stream().unwrap();
    let listener = session.listener().unwrap();
    pending.wait_for(1);
    let (next, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= DIALS {
                        return;
                    }
                    if !pending.dial(number as u16, JAVA_WAITS) {
                        refused.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        assert_eq!(callers(&listener, DIALS).len(), DIALS);
    });
    assert_eq!(refused.into_inner(), 0);
}

#[test]
fn bursts_up_to_pending_accepts_never_wait() {
    const PENDING: usize = 8;
    let pending = Arc::new(PendingAccepts::default());
    let bridge = pending.serve();
    let session = bridge.bridge().session().stream().unwrap();
    let listener = session.listener().unwrap();
    for burst in 0..250 {
        pending.wait_for(PENDING);
        for number in 0..PENDING {
            let number = (burst * PENDING + number) as u16;
            assert!(pending.dial(number, Duration::ZERO), "dial {number}");
        }
        assert_eq!(callers(&listener, PENDING).len(), PENDING);
    }
}

#[test]
fn full_backlog_leaves_peers_waiting_at_router() {
    let router = Ordered::start();
    let session = router.builder(2).backlog(3).stream().unwrap();
    let listener = session.listener().unwrap();
    for seed in 0..20 {
        router.order(calls(seed));
    }
    // The control socket, three streams that wait, and one held by each of the two threads.
    eventually("the backlog is full", || router.bridge.connections() == 6);
    let peers: BTreeSet<_> = (0..20)
        .map(|_| listener.accept_timeout(LONG).unwrap().1.to_string())
        .collect();
    assert_eq!(peers.len(), 20);
    assert_eq!(listener.stats().rejected, 0);
}

#[test]
fn full_backlog_rejects_and_counts_peers() {
    let router = Ordered::start();
    let builder = router
        .builder(1)
        .backlog(2)
        .backlog_policy(BacklogPolicy::Reject);
    let listener = builder.stream().unwrap().listener().unwrap();
    let (away, turned) = milestone();
    for seed in 0..5 {
        let away = away.clone();
        router.order(move |visit| {
            calls(seed)(visit);
            away.reached();
        });
    }
    for _ in 0..3 {
        turned.recv_timeout(LONG).expect("one was kept");
    }
    eventually("they are counted", || listener.stats().rejected == 3);
    for seed in 0..2 {
        let (_, peer) = listener.accept_timeout(LONG).unwrap();
        assert_eq!(peer.destination(), Some(key(seed).destination()));
    }
    router.order(calls(9));
    assert!(listener.accept_timeout(LONG).is_ok());
    assert_eq!(listener.stats().rejected, 3);
}

#[test]
fn invalid_backlog_is_refused_before_sending() {
    let router = Ordered::start();
    for size in [0, 4097] {
        let refused = router.builder(1).backlog(size).stream();
        assert!(matches!(refused, Err(Error::InvalidConfig(_))), "{size}");
    }
    assert_eq!(router.bridge.connections(), 0);
}
