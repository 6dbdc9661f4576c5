use std::sync::{Arc, Condvar, Mutex};

use crate::address::I2pAddr;
use crate::error::{Error, Phase, SessionLoss};
use crate::healing::HealingListener;
use crate::interrupts::{Interrupts, lock, wait};
use crate::stream::SamStream;
use crate::sync::{Cancel, Deadline, Wake, spawn_for_program};

const PHASE: Phase = Phase::Accept;

type Outcome = Result<(SamStream, I2pAddr), Error>;

/// Where the streams of all homes come together, as long as there is a listener.
///
/// Each home has a thread and one place here: the thread accepts when its place is free. So a home
/// with many callers keeps those of another from nothing, and what waits, waits at its own home.
pub(super) struct Reception {
    places: Arc<Places>,
    /// Ends the threads.
    stop: Cancel,
}

struct Places {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    places: Vec<Place>,
    /// Whose turn it is.
    next: usize,
}

enum Place {
    Free,
    /// What came of an accept, for the next one who asks.
    Taken(Outcome),
    /// Nothing will come.
    Closed,
    Over(Arc<Error>),
}

impl Reception {
    pub(super) fn of(homes: usize) -> Arc<Self> {
        let state = State {
            places: (0..homes).map(|_| Place::Free).collect(),
            next: 0,
        };
        Arc::new(Self {
            places: Arc::new(Places {
                state: Mutex::new(state),
                changed: Condvar::new(),
            }),
            stop: Cancel::new(),
        })
    }

    /// Begins to take in what comes.
    pub(super) fn open(&self, listeners: Vec<HealingListener>) -> Result<(), Error> {
        for (place, listener) in listeners.into_iter().enumerate() {
            let (listener, places) = (listener.with_cancel(&self.stop), self.places.clone());
            let work = move || places.fill(place, &listener);
            if let Err(source) = spawn_for_program("i2p-sam-home", work) {
                self.close();
                return Err(Error::Io {
                    phase: PHASE,
                    source,
                });
            }
        }
        Ok(())
    }

    /// The next stream, of each home in turn.
    pub(super) fn accept(&self, cancel: &Cancel, deadline: Deadline, nonblocking: bool) -> Outcome {
        let interrupts = Interrupts::by_cancel(cancel);
        let _watch = interrupts.watch_waiter(&self.places, PHASE)?;
        let mut state = lock(&self.places.state);
        loop {
            interrupts.check(PHASE)?;
            if let Some(outcome) = state.take() {
                // Its thread may go on.
                self.places.changed.notify_all();
                return outcome;
            }
            if let Some(error) = state.end() {
                return Err(error);
            }
            if nonblocking {
                return Err(Error::WouldBlock);
            }
            state = wait(&self.places.changed, state, PHASE, deadline)?;
        }
    }

    /// Fails when nothing will come.
    pub(super) fn check(&self) -> Result<(), Error> {
        lock(&self.places.state).end().map_or(Ok(()), Err)
    }

    /// Nothing comes any more, and what waits is closed.
    pub(super) fn close(&self) {
        self.stop.cancel();
        let left_over: Vec<_> = {
            let mut state = lock(&self.places.state);
            let places = state.places.iter_mut();
            places
                .map(|place| std::mem::replace(place, Place::Closed))
                .collect()
        };
        self.places.changed.notify_all();
        drop(left_over);
    }
}

impl Drop for Reception {
    fn drop(&mut self) {
        self.close();
    }
}

impl Places {
    /// The work of a home's thread.
    fn fill(&self, place: usize, listener: &HealingListener) {
        while self.wait_for_room(place) {
            let next = match listener.accept() {
                Err(Error::SessionLost(SessionLoss::Closed) | Error::Cancelled { .. }) => {
                    Place::Closed
                }
                Err(Error::HealingEnded(error)) => Place::Over(error),
                outcome => Place::Taken(outcome),
            };
            self.put(place, next);
        }
    }

    /// Waits until the place is free. Says whether it will ever be.
    fn wait_for_room(&self, place: usize) -> bool {
        let mut state = lock(&self.state);
        loop {
            match state.places.get(place) {
                Some(Place::Free) => return true,
                Some(Place::Taken(_)) => {}
                _ => return false,
            }
            state = match wait(&self.changed, state, PHASE, Deadline::NEVER) {
                Ok(state) => state,
                Err(_) => return false,
            };
        }
    }

    /// Unless the place was closed meanwhile.
    fn put(&self, place: usize, next: Place) {
        let mut state = lock(&self.state);
        let free = state.places.get_mut(place);
        let left_over = match free.filter(|place| matches!(place, Place::Free)) {
            Some(place) => std::mem::replace(place, next),
            None => next,
        };
        drop(state);
        self.changed.notify_all();
        drop(left_over);
    }
}

impl State {
    /// What waits, beginning with whose turn it is.
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

    /// Why nothing will come, when that is so of all homes.
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

impl Wake for Places {
    fn wake(&self) {
        let _state = lock(&self.state);
        self.changed.notify_all();
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
    fn homes_are_served_in_turn() {
        let mut state = State {
            places: vec![taken("a"), Place::Free, taken("c")],
            next: 0,
        };
        let mut served = Vec::new();
        for _ in 0..4 {
            served.push(word(state.take()));
            // The first home has callers without end.
            state.places[0] = taken("a");
        }
        assert_eq!(served, ["a", "c", "a", "a"]);
    }

    #[test]
    fn it_is_over_when_it_is_over_for_all_and_not_before_what_waits_is_served() {
        let ended = || Place::Over(Arc::new(Error::Occupied("why")));
        let mut state = State {
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
