use std::sync::Arc;
use std::time::Duration;

use super::{Current, State, Supervisor};
use crate::address::I2pAddr;
use crate::error::{Error, Phase};
use crate::healing::intake::Intake;
use crate::stream::SamStream;
use crate::sync::{Call, Cancel, Deadline, Wake, spawn_for_program};

/// Time between two attempts to accept that failed while there is a session.
const REST: Duration = Duration::from_secs(1);

const PHASE: Phase = Phase::Accept;

/// How its listeners take in what peers dial, over whichever session there is.
///
/// One thread has the session accept, or forward, and callers wait for it: a caller has a deadline,
/// and an accept that it gave up would take the next stream at the bridge with it.
impl Supervisor {
    /// Has the bridge know that a listener accepts, if there is a session.
    pub(in crate::healing) fn listen(self: &Arc<Self>, cancel: &Cancel) -> Result<(), Error> {
        let call = Call::new(PHASE).or_cancel(cancel);
        call.wait_on(&self.state, |state| {
            let armed = self.find_intake(state, 0)?.is_some();
            // If there is no session, the next will accept when it is made.
            Ok((armed || state.current.is_none()).then_some(()))
        })
    }

    /// Takes in one more listener, or handle of one.
    pub(in crate::healing) fn join(&self) {
        self.state.lock().listeners += 1;
    }

    /// When the last is gone, what comes in is closed.
    pub(in crate::healing) fn leave(&self) {
        let mut state = self.state.lock();
        state.listeners -= 1;
        if state.listeners > 0 {
            return;
        }
        let failure = state.failure.take();
        let intake = state.current.as_mut().and_then(|now| now.intake.take());
        drop(state);
        drop((intake, failure));
    }

    pub(in crate::healing) fn accept(
        self: &Arc<Self>,
        cancel: &Cancel,
        deadline: Deadline,
        nonblocking: bool,
    ) -> Result<(SamStream, I2pAddr), Error> {
        let armed = Call::new(PHASE).or_cancel(cancel).until(deadline);
        let call = armed.clone().or_cancel(&self.stop);
        let mut seen = 0;
        loop {
            let (generation, intake) = match self.intake(seen, &armed, nonblocking) {
                // A thread that cannot be started fails as fast when it is tried again at once: a
                // program that asks in a loop must not spin.
                Err(error @ Error::Io { .. }) if !nonblocking => {
                    return Err(call.sleep(REST).err().unwrap_or(error));
                }
                outcome => outcome?,
            };
            match intake.accept(call.clone(), nonblocking) {
                Err(error) if error.is_session_lost() => seen = generation,
                Err(Error::ForwardLost(_)) => self.disarm(&intake),
                Err(Error::Cancelled { .. }) if !cancel.is_cancelled() => {
                    // The handle of the bridge fired, and the thread notes what that means.
                    seen = u64::MAX;
                }
                outcome => return outcome,
            }
        }
    }

    /// Waits until a session that was made after this one takes in what peers dial.
    fn intake(
        self: &Arc<Self>,
        seen: u64,
        call: &Call,
        nonblocking: bool,
    ) -> Result<(u64, Arc<Intake>), Error> {
        call.wait_on(&self.state, |state| {
            match self.find_intake(state, seen)? {
                None if nonblocking => Err(Error::WouldBlock),
                found => Ok(found),
            }
        })
    }

    /// What takes in what peers dial, of a session that was made after this one. If the session has
    /// none, a thread arms it.
    fn find_intake(
        self: &Arc<Self>,
        state: &mut State,
        seen: u64,
    ) -> Result<Option<(u64, Arc<Intake>)>, Error> {
        let Some((generation, current)) = state.newer_than(seen)? else {
            return Ok(None);
        };
        if let Some(intake) = current.intake {
            return Ok(Some((generation, intake)));
        }
        if let Some(failure) = state.failure.take() {
            return Err(failure);
        }
        self.begin_arming(state, Duration::ZERO)?;
        Ok(None)
    }

    /// Has a thread arm the session after this pause, unless one is about to.
    pub(super) fn begin_arming(
        self: &Arc<Self>,
        state: &mut State,
        pause: Duration,
    ) -> Result<(), Error> {
        if state.arming {
            return Ok(());
        }
        let thread = Arc::clone(self);
        let work = move || thread.arm_after(pause);
        spawn_for_program("i2p-sam-healing", work).map_err(|source| Error::Io {
            phase: PHASE,
            source,
        })?;
        state.arming = true;
        Ok(())
    }

    /// The work of the thread: it arms whichever session there is. It ends when that is done, when there
    /// is no listener or no session any more, or when `stop` fires.
    fn arm_after(self: &Arc<Self>, mut pause: Duration) {
        while self.pause(pause).is_ok() {
            let Some(current) = self.unarmed() else {
                return;
            };
            let outcome = Intake::open(&current.session, self.options.forwards());
            pause = match outcome {
                Ok(_) => Duration::ZERO,
                Err(_) => REST,
            };
            self.note_armed(&current, outcome);
        }
        self.state.lock().arming = false;
    }

    /// The session, if it is to be armed; otherwise nothing is armed any more.
    fn unarmed(&self) -> Option<Current> {
        self.state.update(|state| {
            let wanted = state.listeners > 0 && state.ended.is_none();
            let current = state.current.clone().filter(|_| wanted);
            let current = current.filter(|now| now.intake.is_none());
            state.arming = current.is_some();
            current
        })
    }

    fn note_armed(&self, current: &Current, outcome: Result<Intake, Error>) {
        let mut left_over = None;
        let mut state = self.state.lock();
        match outcome {
            Ok(intake) => {
                let wanted = state.listeners > 0;
                state.failure = None;
                match state.current.as_mut().filter(|now| now.is(current)) {
                    Some(now) if wanted => now.intake = Some(Arc::new(intake)),
                    _ => left_over = Some(intake),
                }
            }
            // The thread that heals notices it too.
            Err(error) if error.is_session_lost() => {}
            Err(Error::Cancelled { .. }) => {}
            Err(error) => state.failure = Some(error),
        }
        drop(state);
        drop(left_over);
        self.state.wake();
    }

    /// Forgets what takes nothing in any more, though its session may live, and arms that again.
    fn disarm(self: &Arc<Self>, intake: &Arc<Intake>) {
        let mut state = self.state.lock();
        let current = state.current.as_mut();
        let its = current.and_then(|now| now.intake.take_if(|its| Arc::ptr_eq(its, intake)));
        if its.is_some() {
            // Without a thread the next `accept` tries it.
            let _ = self.begin_arming(&mut state, REST);
        }
        drop(state);
        drop(its);
    }
}
