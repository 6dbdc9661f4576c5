use std::sync::Arc;
use std::time::Duration;

use super::{Current, Healer};
use crate::address::I2pAddr;
use crate::cancel::Cancel;
use crate::deadline::Deadline;
use crate::error::{Error, Phase};
use crate::healing::intake::Intake;
use crate::interrupts::{Interrupts, lock};
use crate::stream::SamStream;

/// Time between two attempts to accept that failed while there is a session.
const REST: Duration = Duration::from_secs(1);

/// How its listeners take in what peers dial, over whichever session there is.
impl Healer {
    /// Has the bridge know that a listener accepts, if there is a session.
    pub(in crate::healing) fn listen(&self, cancel: &Cancel) -> Result<(), Error> {
        match self.current() {
            // The thread will see to it.
            None => self.check_ended(),
            Some(current) => match self.arm(&current, cancel) {
                Err(error) if error.is_session_lost() => self.check_ended(),
                outcome => outcome.map(drop),
            },
        }
    }

    /// Takes in one more listener, or handle of one.
    pub(in crate::healing) fn join(&self) {
        lock(&self.state).listeners += 1;
    }

    /// When the last is gone, what comes in is closed.
    pub(in crate::healing) fn leave(&self) {
        let mut state = lock(&self.state);
        state.listeners -= 1;
        let none = state.listeners == 0;
        let current = state.current.as_mut().filter(|_| none);
        let intake = current.and_then(|current| current.intake.take());
        drop(state);
        drop(intake);
    }

    pub(in crate::healing) fn accept(
        self: &Arc<Self>,
        cancel: &Cancel,
        deadline: Deadline,
        nonblocking: bool,
    ) -> Result<(SamStream, I2pAddr), Error> {
        let handles = Interrupts::by_cancel(cancel).or_cancel(&self.stop);
        let mut seen = 0;
        loop {
            let patience = match nonblocking {
                true => Deadline::after(Some(Duration::ZERO)),
                false => deadline,
            };
            let (generation, current) = match self.newer_than(seen, Phase::Accept, patience, cancel)
            {
                Err(Error::Timeout { .. }) if nonblocking => return Err(Error::WouldBlock),
                outcome => outcome?,
            };
            let intake = match self.arm(&current, cancel) {
                Ok(intake) => intake,
                Err(error) if error.is_session_lost() => {
                    seen = generation;
                    continue;
                }
                Err(error) => {
                    return Err(self.after_a_pause(error, handles, deadline, nonblocking));
                }
            };
            match intake.accept(handles.clone(), deadline, nonblocking) {
                Err(error) if error.is_session_lost() => seen = generation,
                Err(Error::ForwardLost(_)) => {
                    self.disarm(&current, &intake);
                    if nonblocking {
                        return Err(Error::WouldBlock);
                    }
                    let until = Deadline::after(Some(REST)).sooner(deadline);
                    self.rest(Phase::Accept, &handles, until)?;
                }
                Err(Error::Cancelled { .. }) if !cancel.is_cancelled() => {
                    // The handle of the bridge fired, and the thread notes what that means.
                    seen = u64::MAX;
                }
                outcome => return outcome,
            }
        }
    }

    /// What could not be armed fails as fast when it is tried again at once: who asks in a loop is
    /// not to spin.
    fn after_a_pause(
        self: &Arc<Self>,
        error: Error,
        handles: Interrupts,
        deadline: Deadline,
        nonblocking: bool,
    ) -> Error {
        let pause = Deadline::after(Some(REST)).sooner(deadline);
        match nonblocking || matches!(error, Error::Cancelled { .. }) {
            true => error,
            false => self
                .rest(Phase::Accept, &handles, pause)
                .err()
                .unwrap_or(error),
        }
    }

    /// Has the session take in what peers dial, unless it does.
    pub(super) fn arm(&self, current: &Current, cancel: &Cancel) -> Result<Arc<Intake>, Error> {
        if let Some(intake) = &current.intake {
            return Ok(Arc::clone(intake));
        }
        let session = current.session.with_cancel(cancel);
        let intake = Arc::new(Intake::open(&session, self.options.forwards())?);
        let mut state = lock(&self.state);
        let wanted = state.listeners > 0;
        if let Some(now) = state.current.as_mut().filter(|now| now.is(current)) {
            if wanted {
                now.intake.get_or_insert(Arc::clone(&intake));
            }
        }
        Ok(intake)
    }

    /// Forgets what takes nothing in any more, though its session may live.
    fn disarm(&self, current: &Current, intake: &Arc<Intake>) {
        let mut state = lock(&self.state);
        let now = state.current.as_mut().filter(|now| now.is(current));
        let its = now.and_then(|now| now.intake.take_if(|its| Arc::ptr_eq(its, intake)));
        drop(state);
        drop(its);
    }
}
