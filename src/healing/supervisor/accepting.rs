use std::sync::Arc;
use std::time::Duration;

use super::{Current, Intake, State, Supervisor};
use crate::error::{Error, Phase};
use crate::stream::ListenerStats;
use crate::stream::SamStream;
use crate::stream::{AcceptQueue, StreamSession};
use crate::sync::{Call, Cancel, Wake, spawn_for_program};

/// Time between two attempts to accept that failed while there is a session.
const REST: Duration = Duration::from_secs(1);

const PHASE: Phase = Phase::Accept;

/// Accepting at one replica, over its current session.
///
/// One thread arms the session, by pending accepts or a forwarding, and callers wait for it. A caller does
/// not arm it itself, because a caller has a deadline, and an accept that it abandons would still take the
/// next stream at the bridge.
impl Supervisor {
    /// Waits until the session, if there is one, accepts.
    pub(in crate::healing) fn listen(self: &Arc<Self>, cancel: &Cancel) -> Result<(), Error> {
        let look = |state: &mut State| {
            let armed = self.find_intake(state, 0)?.is_some();
            // If there is no session, the next one accepts when it is created.
            Ok((armed || state.current.is_none()).then_some(()))
        };
        if look(&mut self.state.lock())?.is_some() {
            return Ok(());
        }
        let call = Call::new(PHASE).or_cancel(cancel);
        call.wait_on(&self.state, look)
    }

    /// Counts one more listener.
    pub(in crate::healing) fn add_listener(&self) {
        self.state.lock().listeners += 1;
    }

    /// Counts one listener less. After the last, incoming streams are closed.
    pub(in crate::healing) fn remove_listener(&self) {
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

    /// Returns a waiting stream of a session that was created after the one seen. Notes in `seen` if that
    /// session is lost, and starts to arm the session if it is not armed.
    pub(in crate::healing) fn poll(
        self: &Arc<Self>,
        seen: &mut u64,
    ) -> Result<Option<SamStream>, Error> {
        let found = {
            let mut state = self.state.lock();
            // A replica that gave up is not the end while there are other replicas.
            match state.ended {
                Some(_) => return Ok(None),
                None => self.find_intake(&mut state, *seen)?,
            }
        };
        let Some((generation, intake)) = found else {
            return Ok(None);
        };
        match intake.source.accept(Call::new(PHASE), true) {
            Ok(stream) => return Ok(Some(stream)),
            Err(Error::WouldBlock) => {}
            Err(error) if error.is_session_lost() => *seen = generation,
            Err(Error::ForwardLost(_)) => self.disarm(&intake),
            Err(error) => return Err(error),
        }
        Ok(None)
    }

    /// Returns true if [`poll`](Supervisor::poll) has something to do.
    pub(in crate::healing) fn is_ready(&self, seen: u64) -> bool {
        let state = self.state.lock();
        let Ok(Some((_, current))) = state.newer_than(seen) else {
            return false;
        };
        match current.intake {
            Some(intake) => intake.source.queue().is_some_and(AcceptQueue::is_ready),
            None => state.failure.is_some() || !state.arming,
        }
    }

    pub(in crate::healing) fn stats(&self) -> ListenerStats {
        let current = self.current();
        let intake = current.and_then(|now| now.intake);
        intake.map_or_else(ListenerStats::default, |intake| intake.source.stats())
    }

    /// Returns the intake of a session that was created after this one. If the session has none, a thread
    /// arms it.
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

    /// Begins to receive the streams of a session.
    pub(super) fn arm(&self, session: &StreamSession) -> Result<Intake, Error> {
        let listener = match self.options.forwards() {
            true => session.forward()?,
            false => session.listener()?,
        };
        let source = listener.into_source();
        let listeners: Arc<dyn Wake> = Arc::clone(&self.replicas) as _;
        let registration = source.queue().and_then(|queue| queue.watch(&listeners));
        Ok(Intake {
            source,
            _registration: registration,
        })
    }

    /// Starts a thread that arms the session after this pause, unless there is one.
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

    /// The work of the thread: arms the current session. It ends if that is done, if there is no listener
    /// or no session any more, or if `stop` fires.
    fn arm_after(self: &Arc<Self>, mut pause: Duration) {
        while self.pause(pause).is_ok() {
            let Some(current) = self.unarmed() else {
                return;
            };
            let outcome = self.arm(&current.session);
            pause = match outcome {
                Ok(_) => Duration::ZERO,
                Err(_) => REST,
            };
            self.note_armed(&current, outcome);
        }
        self.state.lock().arming = false;
    }

    /// Returns the session if it is to be armed; otherwise notes that this thread ends.
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
            // The supervisor's thread notices it too.
            Err(error) if error.is_session_lost() => {}
            Err(Error::Cancelled { .. }) => {}
            Err(error) => state.failure = Some(error),
        }
        drop(state);
        drop(left_over);
        self.announce();
    }

    /// Drops an intake that has ended, and arms its session again if the session still lives.
    fn disarm(self: &Arc<Self>, intake: &Arc<Intake>) {
        let mut state = self.state.lock();
        let current = state.current.as_mut();
        let its = current.and_then(|now| now.intake.take_if(|its| Arc::ptr_eq(its, intake)));
        if its.is_some() {
            // If no thread can be started, the next `accept` tries again.
            let _ = self.begin_arming(&mut state, REST);
        }
        drop(state);
        drop(its);
    }
}
