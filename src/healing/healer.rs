use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::address::{I2pAddr, PrivateKey};
use crate::cancel::{Cancel, Wake};
use crate::deadline::Deadline;
use crate::error::{Error, Phase, ResultCode, SessionLoss};
use crate::healing::back_off::BackOff;
use crate::healing::intake::Intake;
use crate::healing::options::{HealingEvent, HealingOptions};
use crate::interrupts::{Interrupts, lock, wait};
use crate::session::{ConnectOptions, SessionBuilder, StreamSession, spawn};
use crate::stream::SamStream;

/// How long a session may stand that a bridge has just failed for: the end of its control socket is
/// noticed by another thread.
const NOTICE: Duration = Duration::from_millis(500);

/// Time between two attempts to accept that failed while there is a session.
const REST: Duration = Duration::from_secs(1);

/// A session that is made again when it is lost, by a thread of its own.
///
/// What the program holds keeps the thread; the thread holds nothing of the program's.
pub(super) struct Healer {
    builder: SessionBuilder,
    key: PrivateKey,
    options: HealingOptions,
    /// Ends the healing. It fires with the handle of the bridge.
    stop: Cancel,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// The session there is.
    current: Option<Current>,
    /// How many there have been.
    generation: u64,
    /// How many listeners the program holds.
    listeners: usize,
    ended: Option<Ended>,
}

#[derive(Clone)]
struct Current {
    session: StreamSession,
    intake: Option<Arc<Intake>>,
    since: Instant,
}

#[derive(Clone)]
enum Ended {
    Closed,
    Failed(Arc<Error>),
}

impl Healer {
    /// Makes the first session, and begins to look after it.
    pub(super) fn start(
        builder: SessionBuilder,
        options: HealingOptions,
    ) -> Result<Arc<Self>, Error> {
        let stop = builder.bridge().cancel().child();
        let bridge = builder.bridge().with_cancel(&stop);
        let builder = builder.at(bridge);
        let session = builder.clone().stream()?;
        let key = session.private_key().clone();
        let healer = Arc::new(Self {
            builder: builder.key(&key),
            key,
            options,
            stop,
            state: Mutex::new(State {
                current: Some(Current::new(session)),
                generation: 1,
                listeners: 0,
                ended: None,
            }),
            changed: Condvar::new(),
        });
        let thread = Arc::clone(&healer);
        spawn("i2p-sam-healer", move || thread.heal()).map_err(|source| Error::Io {
            phase: Phase::SessionCreate,
            source,
        })?;
        Ok(healer)
    }

    pub(super) fn key(&self) -> &PrivateKey {
        &self.key
    }

    pub(super) fn cancel(&self) -> &Cancel {
        &self.stop
    }

    /// The session there is, if there is one.
    pub(super) fn session(&self) -> Option<StreamSession> {
        Some(self.session_and_birth()?.0)
    }

    fn session_and_birth(&self) -> Option<(StreamSession, Instant)> {
        let current = self.current()?;
        Some((current.session, current.since))
    }

    fn current(&self) -> Option<Current> {
        lock(&self.state).current.clone()
    }

    /// Takes in one more listener, and has the bridge know that we accept, if there is a session.
    pub(super) fn listen(self: &Arc<Self>, cancel: &Cancel) -> Result<(), Error> {
        self.join();
        let armed = match self.current() {
            // The thread will see to it.
            None => self.check_ended(),
            Some(current) => match self.arm(&current, cancel) {
                Err(error) if error.is_session_lost() => self.check_ended(),
                outcome => outcome.map(drop),
            },
        };
        if armed.is_err() {
            self.leave();
        }
        armed
    }

    /// Takes in one more handle of a listener.
    pub(super) fn join(&self) {
        lock(&self.state).listeners += 1;
    }

    /// When the last is gone, what comes in is closed.
    pub(super) fn leave(&self) {
        let mut state = lock(&self.state);
        state.listeners -= 1;
        let none = state.listeners == 0;
        let current = state.current.as_mut().filter(|_| none);
        let intake = current.and_then(|current| current.intake.take());
        drop(state);
        drop(intake);
    }

    pub(super) fn accept(
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

    pub(super) fn dial(
        self: &Arc<Self>,
        peer: &I2pAddr,
        options: &ConnectOptions,
        cancel: &Cancel,
    ) -> Result<SamStream, Error> {
        let phase = Phase::StreamConnect;
        let usual = self.builder.bridge().config().timeouts.stream_connect;
        let deadline = Deadline::after(options.given_time().unwrap_or(usual));
        let mut seen = 0;
        loop {
            let (generation, current) = self.newer_than(seen, phase, deadline, cancel)?;
            let options = options.clone().timeout(deadline.left(phase)?);
            let session = current.session.with_cancel(cancel);
            match session.connect_with(peer, &options) {
                Err(error) if is_of_a_loss(&error, &session) => seen = generation,
                outcome => return outcome,
            }
        }
    }

    /// Ends it all. The session, if there is one, is closed as any other is.
    pub(super) fn close(&self) {
        let current = {
            let mut state = lock(&self.state);
            state.ended.get_or_insert(Ended::Closed);
            state.current.take()
        };
        self.stop.cancel();
        self.changed.notify_all();
        if let Some(current) = current {
            current.session.close();
        }
    }

    /// Has the session take in what peers dial, unless it does.
    fn arm(&self, current: &Current, cancel: &Cancel) -> Result<Arc<Intake>, Error> {
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

    /// Waits for a session that was made after this one.
    fn newer_than(
        self: &Arc<Self>,
        seen: u64,
        phase: Phase,
        deadline: Deadline,
        cancel: &Cancel,
    ) -> Result<(u64, Current), Error> {
        let interrupts = Interrupts::by_cancel(cancel);
        let _watch = interrupts.watch_waiter(self, phase)?;
        let mut state = lock(&self.state);
        loop {
            interrupts.check(phase)?;
            if let Some(ended) = &state.ended {
                return Err(ended.error());
            }
            if let Some(current) = state.current.as_ref().filter(|_| state.generation > seen) {
                return Ok((state.generation, current.clone()));
            }
            state = wait(&self.changed, state, phase, deadline)?;
        }
    }

    fn check_ended(&self) -> Result<(), Error> {
        match &lock(&self.state).ended {
            Some(ended) => Err(ended.error()),
            None => Ok(()),
        }
    }

    /// The work of the thread.
    fn heal(self: &Arc<Self>) {
        let mut back_off = self.options.back_off();
        while let Some((session, since)) = self.session_and_birth() {
            let Ok(reason) = session.wait_closed(None) else {
                break;
            };
            let (lost, lived) = (Instant::now(), since.elapsed());
            drop(session);
            if !self.forget() {
                break;
            }
            back_off.after_life_of(lived);
            if let Err(error) = self.make_again(&mut back_off, reason, (lost, lived)) {
                self.give_up(error, lost);
                break;
            }
        }
        // Of a bridge's handle that fired nobody else would tell.
        self.end(Ended::Failed(Arc::new(Error::Cancelled {
            phase: Phase::SessionCreate,
        })));
        self.forget();
    }

    fn make_again(
        self: &Arc<Self>,
        back_off: &mut BackOff,
        reason: SessionLoss,
        (lost, lived): (Instant, Duration),
    ) -> Result<(), Error> {
        let mut pause = back_off.draw();
        let event = HealingEvent::Lost {
            reason,
            lived,
            pause,
        };
        self.options.tell(&event);
        let mut attempt = 0;
        loop {
            self.pause(pause)?;
            attempt += 1;
            let away = lost.elapsed();
            self.options.tell(&HealingEvent::Trying { attempt, away });
            let outcome = self.make();
            let away = lost.elapsed();
            let error = match outcome {
                Ok(()) => {
                    let attempts = attempt;
                    self.options.tell(&HealingEvent::Back { attempts, away });
                    return Ok(());
                }
                Err(error) if is_final(&error) || self.options.is_over(away) => return Err(error),
                Err(error) => Arc::new(error),
            };
            pause = back_off.draw();
            self.options.tell(&HealingEvent::Failed {
                attempt,
                error,
                pause,
                away,
            });
        }
    }

    /// Makes a session, and has it listen if it should.
    fn make(self: &Arc<Self>) -> Result<(), Error> {
        let mut current = Current::new(self.builder.clone().stream()?);
        if lock(&self.state).listeners > 0 {
            let intake = Intake::open(&current.session, self.options.forwards())?;
            current.intake = Some(Arc::new(intake));
        }
        let mut state = lock(&self.state);
        if state.ended.is_some() {
            drop(state);
            current.session.close();
            return Err(Error::Cancelled {
                phase: Phase::SessionCreate,
            });
        }
        if state.listeners == 0 {
            current.intake = None;
        }
        let armed = current.intake.is_some();
        state.current = Some(current.clone());
        state.generation += 1;
        let wanted = state.listeners > 0;
        drop(state);
        self.changed.notify_all();
        if wanted && !armed {
            // A listener was made meanwhile. Should this fail, its `accept` tries again.
            let _ = self.arm(&current, &self.stop);
        }
        Ok(())
    }

    fn pause(self: &Arc<Self>, time: Duration) -> Result<(), Error> {
        let handles = Interrupts::by_cancel(&self.stop);
        let until = Deadline::after(Some(time));
        self.rest(Phase::SessionCreate, &handles, until)
    }

    /// Waits, unless it is interrupted.
    fn rest(
        self: &Arc<Self>,
        phase: Phase,
        handles: &Interrupts,
        until: Deadline,
    ) -> Result<(), Error> {
        let _watch = handles.watch_waiter(self, phase)?;
        let mut state = lock(&self.state);
        loop {
            handles.check(phase)?;
            state = match wait(&self.changed, state, phase, until) {
                Ok(state) => state,
                Err(_) => return Ok(()),
            };
        }
    }

    /// Lets go of the session. Says whether there is to be another.
    fn forget(&self) -> bool {
        let mut state = lock(&self.state);
        let current = state.current.take();
        let goes_on = state.ended.is_none() && !self.stop.is_cancelled();
        drop(state);
        drop(current);
        goes_on
    }

    fn give_up(&self, error: Error, lost: Instant) {
        if self.stop.is_cancelled() {
            return;
        }
        let (error, away) = (Arc::new(error), lost.elapsed());
        self.end(Ended::Failed(Arc::clone(&error)));
        self.options.tell(&HealingEvent::Ended { error, away });
    }

    fn end(&self, ended: Ended) {
        lock(&self.state).ended.get_or_insert(ended);
        self.changed.notify_all();
    }
}

impl Wake for Healer {
    fn wake(&self) {
        let _state = lock(&self.state);
        self.changed.notify_all();
    }
}

impl Current {
    fn new(session: StreamSession) -> Self {
        Self {
            session,
            intake: None,
            since: Instant::now(),
        }
    }

    fn is(&self, other: &Self) -> bool {
        self.session.id() == other.session.id()
    }
}

impl Ended {
    fn error(&self) -> Error {
        match self {
            Self::Closed => Error::SessionLost(SessionLoss::Closed),
            Self::Failed(error) => Error::HealingEnded(Arc::clone(error)),
        }
    }
}

/// What no other attempt would mend. Everything else may pass: a router starts, tunnels fail, a key
/// is in use still, credentials are put right.
fn is_final(error: &Error) -> bool {
    match error {
        Error::Refused(refusal) => *refusal.code() == ResultCode::InvalidKey,
        Error::Setting(_)
        | Error::Command(_)
        | Error::Address(_)
        | Error::Key(_)
        | Error::KeyFile(_)
        | Error::Occupied(_)
        | Error::Unsupported(_)
        | Error::Cancelled { .. } => true,
        _ => false,
    }
}

/// Whether a dial failed because the session is going, though it may not be known to be gone yet:
/// the port of a router that was killed is closed a moment before.
fn is_of_a_loss(error: &Error, session: &StreamSession) -> bool {
    match error {
        Error::SessionLost(_) => true,
        Error::Unreachable { .. }
        | Error::UnexpectedEof { .. }
        | Error::Protocol { .. }
        | Error::Io { .. } => session.wait_closed(Some(NOTICE)).is_ok(),
        _ => false,
    }
}
