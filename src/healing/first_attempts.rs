use std::sync::Arc;

use crate::bridge::Failures;
use crate::error::{Error, Phase};
use crate::sync::{Call, Cancel, Deadline, Monitor};

const PHASE: Phase = Phase::SessionCreate;

/// The first attempts of all replicas, which decide if the healing session is created.
///
/// The supervisors share it with all threads that wait for a session, and wake it at each change. A replica
/// whose first attempt fails waits here: if another replica succeeds, it tries again; if none does, the
/// healing session is never created.
#[derive(Default)]
pub(super) struct FirstAttempts {
    /// Why the first attempt failed, for each replica whose attempt has failed.
    failures: Vec<Option<Error>>,
    decision: Option<Decision>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Decision {
    GoOn,
    GiveUp,
}

impl FirstAttempts {
    pub(super) fn of(replicas: usize) -> Arc<Monitor<Self>> {
        Monitor::new(Self {
            failures: (0..replicas).map(|_| None).collect(),
            decision: None,
        })
    }

    /// Waits until one replica has a session.
    ///
    /// # Errors
    ///
    /// The most informative failure if all have failed; [`Error::Cancelled`].
    pub(super) fn await_success(shared: &Arc<Monitor<Self>>, cancel: &Cancel) -> Result<(), Error> {
        let call = Call::new(PHASE).or_cancel(cancel);
        call.wait_on(shared, |attempts| {
            if attempts.decision == Some(Decision::GoOn) {
                return Ok(Some(()));
            }
            if !attempts.failures.iter().all(Option::is_some) {
                return Ok(None);
            }
            let mut failures = Failures::default();
            let all = attempts.failures.iter_mut().filter_map(Option::take);
            all.for_each(|error| failures.add(error));
            Err(failures.verdict())
        })
    }

    /// Reports the first attempt of a replica. If it failed, this waits for the decision and returns the
    /// error with which the replica continues.
    pub(super) fn report(
        shared: &Monitor<Self>,
        place: usize,
        outcome: Result<(), Error>,
    ) -> Result<(), Error> {
        let Err(error) = outcome else {
            shared.update(|attempts| attempts.decide(Decision::GoOn));
            return Ok(());
        };
        shared.update(|attempts| {
            if let Some(failure) = attempts.failures.get_mut(place) {
                *failure = Some(error);
            }
        });
        // Without a deadline, the wait always ends with a decision.
        let own = shared.wait_until(Deadline::NEVER, |attempts| match attempts.decision? {
            Decision::GoOn => Some(attempts.failures.get_mut(place).and_then(Option::take)),
            Decision::GiveUp => Some(None),
        });
        Err(own.flatten().unwrap_or(Error::Cancelled { phase: PHASE }))
    }

    /// Ends the wait of replicas for a decision that no other thread will make.
    pub(super) fn give_up(&mut self) {
        self.decide(Decision::GiveUp);
    }

    /// The first decision counts.
    fn decide(&mut self, decision: Decision) {
        self.decision.get_or_insert(decision);
    }
}
