use std::sync::Arc;

use crate::error::{Error, Phase};
use crate::failover::Failures;
use crate::healing::Judge;
use crate::sync::{Call, Cancel, Deadline, Monitor};

/// The first attempts of all homes: what came of them decides whether there is anything to be
/// healed.
///
/// A home that fails waits for the decision. If another home comes up, it is tried again; when this
/// is dropped and none has, that is the end of all.
pub(super) struct Opening {
    state: Arc<Monitor<State>>,
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
            state: Monitor::new(state),
        }
    }

    /// Returns what gets the outcome of this home's first attempt.
    pub(super) fn judge(&self, place: usize) -> Judge {
        let state = Arc::clone(&self.state);
        Box::new(move |outcome| match outcome {
            Ok(()) => {
                state.update(|state| state.decide(Verdict::GoOn));
                Ok(())
            }
            Err(error) => Err(await_verdict(&state, place, error)),
        })
    }

    /// Waits until one home is there.
    ///
    /// # Errors
    ///
    /// The failure that tells most, when all have failed; [`Error::Cancelled`].
    pub(super) fn outcome(&self, cancel: &Cancel) -> Result<(), Error> {
        let call = Call::new(PHASE).or_cancel(cancel);
        call.wait_on(&self.state, |state| {
            if state.verdict == Some(Verdict::GoOn) {
                return Ok(Some(()));
            }
            if !state.failures.iter().all(Option::is_some) {
                return Ok(None);
            }
            let mut failures = Failures::default();
            let all = state.failures.iter_mut().filter_map(Option::take);
            all.for_each(|error| failures.add(error));
            Err(failures.verdict())
        })
    }
}

/// A home that waits for a decision is not to wait for one that nobody will make.
impl Drop for Opening {
    fn drop(&mut self) {
        self.state.update(|state| state.decide(Verdict::GiveUp));
    }
}

impl State {
    /// The first decision counts.
    fn decide(&mut self, verdict: Verdict) {
        self.verdict.get_or_insert(verdict);
    }
}

/// Notes the failure of a home, and waits for the decision. Returns the error that the home reports.
fn await_verdict(state: &Monitor<State>, place: usize, error: Error) -> Error {
    state.update(|state| {
        if let Some(failure) = state.failures.get_mut(place) {
            *failure = Some(error);
        }
    });
    // Without a deadline it always finds one.
    let own = state.wait_until(Deadline::NEVER, |state| match state.verdict? {
        Verdict::GoOn => Some(state.failures.get_mut(place).and_then(Option::take)),
        Verdict::GiveUp => Some(None),
    });
    own.flatten().unwrap_or(Error::Cancelled { phase: PHASE })
}
