use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::sync::{Call, Monitor};

/// Lets dials to a peer that its session has not reached yet through one behind the other, until the first
/// has reached it.
///
/// If several first dials reach i2pd 2.59 at once, it loses all but one, and repeats them after 9 s; so it
/// does with those that reach it up to 3 ms after its reply to the first, which it sends before the peer has
/// answered. A dial of a peer that was reached before takes the lock once, and does not wait. Lock order: the
/// monitor alone; a turn that ends wakes the waiting dials, and one of them takes the next.
pub(crate) struct FirstDials {
    peers: Option<Arc<Monitor<Peers>>>,
    hasher: RandomState,
}

/// Peers by a hash of their names. A session that confused two would let a dial wait, or go, too soon.
#[derive(Default)]
struct Peers {
    /// When each was reached first.
    reached: HashMap<u64, Instant>,
    dialled: HashSet<u64>,
}

/// The turn of a dial, which ends when this is dropped.
pub(crate) struct Turn {
    taken: Option<(Arc<Monitor<Peers>>, u64)>,
}

/// The longest time for which a dial waits for its turn.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The time from the reply to the first dial to the next dial.
const GAP: Duration = Duration::from_millis(100);

/// The most peers that a session remembers. Then it begins again: a peer's next dial has a turn once more.
const MOST_PEERS: usize = 4096;

impl FirstDials {
    /// `staggered` is false if no dial is to wait for another.
    pub(crate) fn new(staggered: bool) -> Self {
        Self {
            peers: staggered.then(|| Monitor::new(Peers::default())),
            hasher: RandomState::new(),
        }
    }

    /// Waits for the turn of a dial to this peer, for 10 s at most.
    ///
    /// # Errors
    ///
    /// Those of the call.
    pub(crate) fn turn(&self, peer: &str, call: &Call) -> Result<Turn, Error> {
        let none = Turn { taken: None };
        let Some(peers) = &self.peers else {
            return Ok(none);
        };
        let peer = self.hasher.hash_one(peer);
        let wait = call.clone().within(Some(LONGEST_WAIT));
        let reached = wait.wait_on(peers, |peers| match peers.reached.get(&peer) {
            Some(reached) => Ok(Some(Some(*reached))),
            None => Ok(peers.dialled.insert(peer).then_some(None)),
        });
        match reached {
            Ok(None) => Ok(Turn {
                taken: Some((Arc::clone(peers), peer)),
            }),
            Ok(Some(reached)) => {
                let rest = GAP.saturating_sub(reached.elapsed());
                if !rest.is_zero() {
                    call.sleep(rest)?;
                }
                Ok(none)
            }
            // The call itself may have time left.
            Err(Error::Timeout { .. }) => call.left().map(|_| none),
            Err(error) => Err(error),
        }
    }
}

impl Turn {
    /// Notes that the dial has reached its peer, and ends the turn.
    pub(crate) fn reached(self) {
        let Some((peers, peer)) = &self.taken else {
            return;
        };
        let mut peers = peers.lock();
        if peers.reached.len() >= MOST_PEERS {
            peers.reached.clear();
        }
        peers.reached.insert(*peer, Instant::now());
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some((peers, peer)) = &self.taken {
            peers.update(|peers| peers.dialled.remove(peer));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
    use std::thread;

    use super::*;
    use crate::error::Phase;
    use crate::sync::Cancel;

    const LONG: Duration = Duration::from_secs(5);
    const A_WHILE: Duration = Duration::from_millis(50);

    fn call() -> Call {
        Call::new(Phase::StreamConnect)
    }

    /// Waits for a turn on a thread of its own.
    fn waiting(
        dials: &Arc<FirstDials>,
        peer: &'static str,
        call: Call,
    ) -> Receiver<Result<Turn, Error>> {
        let (sender, receiver) = mpsc::channel();
        let dials = Arc::clone(dials);
        thread::spawn(move || sender.send(dials.turn(peer, &call)));
        receiver
    }

    fn waits(turn: &Receiver<Result<Turn, Error>>) -> bool {
        matches!(turn.recv_timeout(A_WHILE), Err(RecvTimeoutError::Timeout))
    }

    #[test]
    fn dial_of_unreached_peer_waits_for_first() {
        let dials = Arc::new(FirstDials::new(true));
        let first = dials.turn("a.i2p", &call()).unwrap();
        let second = waiting(&dials, "a.i2p", call());
        assert!(waits(&second));
        first.reached();
        assert!(second.recv_timeout(LONG).unwrap().is_ok());
    }

    #[test]
    fn failed_dial_leaves_turn_to_one_other() {
        let dials = Arc::new(FirstDials::new(true));
        let first = dials.turn("a.i2p", &call()).unwrap();
        let (sender, turns) = mpsc::channel();
        for _ in 0..2 {
            let (dials, sender) = (Arc::clone(&dials), sender.clone());
            thread::spawn(move || sender.send(dials.turn("a.i2p", &call())));
        }
        drop(first);
        let second = turns.recv_timeout(LONG).unwrap().unwrap();
        assert!(waits(&turns));
        drop(second);
        assert!(turns.recv_timeout(LONG).unwrap().is_ok());
    }

    #[test]
    fn dials_of_reached_peer_go_together() {
        let dials = FirstDials::new(true);
        dials.turn("a.i2p", &call()).unwrap().reached();
        let _second = dials.turn("a.i2p", &call()).unwrap();
        assert!(dials.turn("a.i2p", &call().within(Some(A_WHILE))).is_ok());
    }

    #[test]
    fn dials_of_different_peers_go_together() {
        let dials = FirstDials::new(true);
        let _first = dials.turn("a.i2p", &call()).unwrap();
        assert!(dials.turn("b.i2p", &call().within(Some(A_WHILE))).is_ok());
    }

    #[test]
    fn unstaggered_dials_go_together() {
        let dials = FirstDials::new(false);
        let _first = dials.turn("a.i2p", &call()).unwrap();
        assert!(dials.turn("a.i2p", &call().within(Some(A_WHILE))).is_ok());
    }

    #[test]
    fn waiting_dial_ends_with_its_call() {
        let dials = Arc::new(FirstDials::new(true));
        let _first = dials.turn("a.i2p", &call()).unwrap();
        let cancel = Cancel::new();
        let second = waiting(&dials, "a.i2p", call().or_cancel(&cancel));
        cancel.cancel();
        let outcome = second.recv_timeout(LONG).unwrap();
        assert!(matches!(outcome, Err(Error::Cancelled { .. })));
        let late = dials.turn("a.i2p", &call().within(Some(A_WHILE)));
        assert!(matches!(late, Err(Error::Timeout { .. })));
    }

    #[test]
    fn peers_beyond_limit_are_forgotten() {
        let dials = FirstDials::new(true);
        for number in 0..=MOST_PEERS {
            let name = format!("{number}.i2p");
            dials.turn(&name, &call()).unwrap().reached();
        }
        assert_eq!(dials.peers.unwrap().lock().reached.len(), 1);
    }
}
