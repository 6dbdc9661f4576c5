use std::sync::{Arc, Condvar, Mutex};

use crate::error::{Error, Phase};
use crate::failover::Failures;
use crate::healing::Judge;
use crate::interrupts::{Interrupts, lock, wait};
use crate::sync::{Cancel, Deadline, Wake};

/// The first attempts of all homes: what came of them decides whether there is anything to be
/// healed.
///
/// A home that fails waits for the decision. If another home comes up, it is tried again; when this
/// is dropped and none has, that is the end of all.
pub(super) struct Opening {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Why the first attempt failed, for each home that has failed.
    failures: Vec<Option<Error>>,
    verdict: Option<Verdict>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    GoOn,
    GiveUp,
}

const PHASE: Phase = Phase::SessionCreate;

impl Opening {
    pub(super) fn of(homes: usize) -> Self {
        let state = State {
            failures: (0..homes).map(|_| None).collect(),
            verdict: None,
        };
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                changed: Condvar::new(),
            }),
        }
    }

    /// Who is to be told of this home's first attempt.
    pub(super) fn judge(&self, place: usize) -> Judge {
        let shared = Arc::clone(&self.shared);
        Box::new(move |outcome| match outcome {
            Ok(()) => {
                shared.decide(Verdict::GoOn);
                Ok(())
            }
            Err(error) => Err(shared.judge(place, error)),
        })
    }

    /// Waits until one home is there.
    ///
    /// # Errors
    ///
    /// The failure that tells most, when all have failed; [`Error::Cancelled`].
    pub(super) fn outcome(&self, cancel: &Cancel) -> Result<(), Error> {
        let interrupts = Interrupts::by_cancel(cancel);
        let _watch = interrupts.watch_waiter(&self.shared, PHASE)?;
        let mut state = lock(&self.shared.state);
        loop {
            interrupts.check(PHASE)?;
            if state.verdict == Some(Verdict::GoOn) {
                return Ok(());
            }
            if state.failures.iter().all(Option::is_some) {
                let mut failures = Failures::default();
                let told = state.failures.iter_mut().filter_map(Option::take);
                told.for_each(|error| failures.add(error));
                return Err(failures.verdict());
            }
            state = wait(&self.shared.changed, state, PHASE, Deadline::NEVER)?;
        }
    }
}

/// A home that waits for a decision is not to wait for one that nobody will make.
impl Drop for Opening {
    fn drop(&mut self) {
        self.shared.decide(Verdict::GiveUp);
    }
}

impl Shared {
    /// The first decision is the one.
    fn decide(&self, verdict: Verdict) {
        lock(&self.state).verdict.get_or_insert(verdict);
        self.changed.notify_all();
    }

    /// What the home is to take its failure for.
    fn judge(&self, place: usize, error: Error) -> Error {
        let mut state = lock(&self.state);
        if let Some(failure) = state.failures.get_mut(place) {
            *failure = Some(error);
        }
        self.changed.notify_all();
        loop {
            state = match state.verdict {
                None => match wait(&self.changed, state, PHASE, Deadline::NEVER) {
                    Ok(state) => state,
                    Err(error) => return error,
                },
                Some(Verdict::GoOn) => {
                    let own = state.failures.get_mut(place).and_then(Option::take);
                    return own.unwrap_or(Error::Cancelled { phase: PHASE });
                }
                Some(Verdict::GiveUp) => return Error::Cancelled { phase: PHASE },
            }
        }
    }
}

impl Wake for Shared {
    fn wake(&self) {
        let _state = lock(&self.state);
        self.changed.notify_all();
    }
}
