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
/// One thread opens the intake of the session, pending accepts or a forwarding, and callers wait for it. A caller
/// does not open it itself, because a caller has a deadline, and an accept that it abandons would still take the
/// next stream at the bridge.
impl Supervisor {
    /// Waits until the session, if there is one, accepts.
    pub(in crate::healing) fn listen(self: &Arc<Self>, cancel: &Cancel) -> Result<(), Error> {
        let look = |state: &mut State| {
            let receives = self.find_intake(state, 0)?.is_some();
            // If there is no session, the next one accepts when it is created.
            Ok((receives || state.current.is_none()).then_some(()))
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
    /// session is lost, and starts to open the intake if there is none.
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
            Err(Error::ForwardLost(_)) => self.close_intake(&intake),
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
            None => state.failure.is_some() || !state.opening,
        }
    }

    pub(in crate::healing) fn stats(&self) -> ListenerStats {
        let current = self.current();
        let intake = current.and_then(|now| now.intake);
        intake.map_or_else(ListenerStats::default, |intake| intake.source.stats())
    }

    /// Returns the intake of a session that was created after this one. If the session has none, a thread
    /// opens one.
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
        self.begin_opening(state, Duration::ZERO)?;
        Ok(None)
    }

    /// Begins to receive the streams of a session.
    pub(super) fn open_intake(&self, session: &StreamSession) -> Result<Intake, Error> {
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

    /// Starts a thread that opens the intake after this pause, unless there is one.
    pub(super) fn begin_opening(
        self: &Arc<Self>,
        state: &mut State,
        pause: Duration,
    ) -> Result<(), Error> {
        if state.opening {
            return Ok(());
        }
        let thread = Arc::clone(self);
        let work = move || thread.open_after(pause);
        spawn_for_program("i2p-sam-healing", work).map_err(Error::io(PHASE))?;
        state.opening = true;
        Ok(())
    }

    /// The work of the thread: opens the intake of the current session. It ends if that is done, if there is no listener
    /// or no session any more, or if `stop` fires.
    fn open_after(self: &Arc<Self>, mut pause: Duration) {
        while self.pause(pause).is_ok() {
            let Some(current) = self.without_intake() else {
                return;
            };
            let outcome = self.open_intake(&current.session);
            pause = match outcome {
                Ok(_) => Duration::ZERO,
                Err(_) => REST,
            };
            self.note_opened(&current, outcome);
        }
        self.state.lock().opening = false;
    }

    /// Returns the session if it needs an intake; otherwise notes that this thread ends.
    fn without_intake(&self) -> Option<Current> {
        self.state.update(|state| {
            let wanted = state.listeners > 0 && state.ended.is_none();
            let current = state.current.clone().filter(|_| wanted);
            let current = current.filter(|now| now.intake.is_none());
            state.opening = current.is_some();
            current
        })
    }

    fn note_opened(&self, current: &Current, outcome: Result<Intake, Error>) {
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

    /// Drops an intake that has ended, and opens another one if the session still lives.
    fn close_intake(self: &Arc<Self>, intake: &Arc<Intake>) {
        let mut state = self.state.lock();
        let current = state.current.as_mut();
        let its = current.and_then(|now| now.intake.take_if(|its| Arc::ptr_eq(its, intake)));
        if its.is_some() {
            // If no thread can be started, the next `accept` tries again.
            let _ = self.begin_opening(&mut state, REST);
        }
        drop(state);
        drop(its);
    }
}
