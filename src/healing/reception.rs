use std::sync::Arc;

use crate::error::{Error, Phase, SessionLoss};
use crate::healing::supervisor::Supervisor;
use crate::listener::ListenerStats;
use crate::stream::SamStream;
use crate::sync::{Call, Cancel, Deadline, Monitor, Wake, spawn_for_program};

const PHASE: Phase = Phase::Accept;

type Outcome = Result<SamStream, Error>;

/// Collects the streams of all replicas, as long as there is a listener.
///
/// Each replica has a thread and one place here: the thread accepts if its place is free. So a replica
/// with many callers does not block another, and streams that wait, wait in the backlog of their own
/// session.
pub(super) struct Reception {
    supervisors: Vec<Arc<Supervisor>>,
    places: Arc<Monitor<Places>>,
    /// Ends the threads, when the last listener is dropped or the session is closed.
    stop: Cancel,
}

struct Places {
    places: Vec<Place>,
    /// Whose turn it is.
    next: usize,
}

enum Place {
    Free,
    /// The outcome of an accept, for the next caller.
    Taken(Outcome),
    /// Nothing will come.
    Closed,
    Over(Arc<Error>),
}

impl Reception {
    /// Creates one that counts as a listener of each replica.
    pub(super) fn of(supervisors: &[Arc<Supervisor>]) -> Arc<Self> {
        supervisors.iter().for_each(|one| one.add_listener());
        let places = Places {
            places: supervisors.iter().map(|_| Place::Free).collect(),
            next: 0,
        };
        Arc::new(Self {
            supervisors: supervisors.to_vec(),
            places: Monitor::new(places),
            stop: Cancel::new(),
        })
    }

    /// Starts the threads that accept.
    pub(super) fn open(&self) -> Result<(), Error> {
        for (place, supervisor) in self.supervisors.iter().enumerate() {
            let (supervisor, places) = (Arc::clone(supervisor), Arc::clone(&self.places));
            let stop = self.stop.clone();
            let work = move || fill(&places, place, || supervisor.accept(&stop));
            if let Err(source) = spawn_for_program("i2p-sam-replica", work) {
                self.close();
                return Err(Error::Io {
                    phase: PHASE,
                    source,
                });
            }
        }
        Ok(())
    }

    /// Returns the next stream, of each replica in turn.
    pub(super) fn accept(&self, call: &Call, nonblocking: bool) -> Outcome {
        let outcome = call.wait_on(&self.places, |places| match places.take() {
            Some(outcome) => Ok(Some(outcome)),
            None => match places.end() {
                Some(error) => Err(error),
                None if nonblocking => Err(Error::WouldBlock),
                None => Ok(None),
            },
        })?;
        // The thread whose place is free now may go on.
        self.places.wake();
        outcome
    }

    pub(super) fn stats(&self) -> ListenerStats {
        let stats = self.supervisors.iter().map(|one| one.stats());
        stats.fold(ListenerStats::default(), std::ops::Add::add)
    }

    /// Stops accepting, and closes the streams that wait.
    pub(super) fn close(&self) {
        self.stop.cancel();
        let left_over: Vec<_> = self.places.update(|places| {
            let places = places.places.iter_mut();
            places
                .map(|place| std::mem::replace(place, Place::Closed))
                .collect()
        });
        drop(left_over);
    }
}

impl Drop for Reception {
    fn drop(&mut self) {
        self.close();
        self.supervisors
            .iter()
            .for_each(|one| one.remove_listener());
    }
}

/// The work of a replica's thread. `stop` ends it, which ends the `accept` and closes the places.
fn fill(places: &Monitor<Places>, place: usize, accept: impl Fn() -> Outcome) {
    while wait_for_room(places, place) {
        let next = match accept() {
            Err(Error::SessionLost(SessionLoss::Closed) | Error::Cancelled { .. }) => Place::Closed,
            Err(Error::HealingEnded(error)) => Place::Over(error),
            outcome => Place::Taken(outcome),
        };
        let left_over = places.update(|places| places.put(place, next));
        drop(left_over);
    }
}

/// Waits until the place is free. Returns false if it will never be.
fn wait_for_room(places: &Monitor<Places>, place: usize) -> bool {
    let free = |places: &mut Places| match places.places.get(place) {
        Some(Place::Free) => Some(true),
        Some(Place::Taken(_)) => None,
        _ => Some(false),
    };
    places.wait_until(Deadline::NEVER, free).unwrap_or(false)
}

impl Places {
    /// Puts it there unless the place was closed meanwhile, and returns what is left over.
    fn put(&mut self, place: usize, next: Place) -> Place {
        let free = self.places.get_mut(place);
        match free.filter(|place| matches!(place, Place::Free)) {
            Some(place) => std::mem::replace(place, next),
            None => next,
        }
    }

    /// Takes an outcome that waits, beginning with the replica whose turn it is.
    fn take(&mut self) -> Option<Outcome> {
        let all = self.places.len();
        for place in (self.next..all).chain(0..self.next) {
            if let Some(taken) = self.places.get_mut(place).and_then(Place::vacate) {
                self.next = (place + 1) % all;
                return Some(taken);
            }
        }
        None
    }

    /// Returns why nothing will come, if that is true of all replicas.
    fn end(&self) -> Option<Error> {
        let mut end = Error::SessionLost(SessionLoss::Closed);
        for place in &self.places {
            match place {
                Place::Free | Place::Taken(_) => return None,
                Place::Closed => {}
                Place::Over(error) => end = Error::HealingEnded(Arc::clone(error)),
            }
        }
        Some(end)
    }
}

impl Place {
    fn vacate(&mut self) -> Option<Outcome> {
        match std::mem::replace(self, Self::Free) {
            Self::Taken(outcome) => Some(outcome),
            other => {
                *self = other;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(word: &'static str) -> Place {
        Place::Taken(Err(Error::Occupied(word)))
    }

    fn word(outcome: Option<Outcome>) -> &'static str {
        match outcome {
            Some(Err(Error::Occupied(word))) => word,
            _ => "nothing",
        }
    }

    #[test]
    fn replicas_are_served_in_turn() {
        let mut state = Places {
            places: vec![taken("a"), Place::Free, taken("c")],
            next: 0,
        };
        let mut served = Vec::new();
        for _ in 0..4 {
            served.push(word(state.take()));
            // The first replica always has callers.
            state.places[0] = taken("a");
        }
        assert_eq!(served, ["a", "c", "a", "a"]);
    }

    #[test]
    fn it_is_over_when_it_is_over_for_all_and_not_before_what_waits_is_served() {
        let ended = || Place::Over(Arc::new(Error::Occupied("why")));
        let mut state = Places {
            places: vec![ended(), taken("b")],
            next: 0,
        };
        assert!(state.end().is_none());
        assert_eq!(word(state.take()), "b");
        assert!(state.end().is_none());
        state.places[1] = Place::Closed;
        assert!(matches!(state.end(), Some(Error::HealingEnded(_))));
    }
}
