mod accepting;
mod dialling;
mod renewing;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::address::PrivateKey;
use crate::bridge::SamBridge;
use crate::error::{Error, Phase, ResultCode, SessionLoss};
use crate::healing::intake::Intake;
use crate::healing::options::{HealingEvent, HealingOptions};
use crate::session::{SessionBuilder, StreamSession};
use crate::sync::{Backoff, Call, Cancel, Monitor, Wake, spawn_for_program};

pub(crate) use dialling::{dial_deadline, dial_over, look_up_over, lookup_deadline};

/// Gets the outcome of the first attempt, and returns the outcome with which the supervisor goes on.
pub(crate) type Judge = Box<dyn FnOnce(Result<(), Error>) -> Result<(), Error> + Send>;

/// Creates a session again whenever it is lost, on a thread of its own.
///
/// The program's handles keep the thread: when the last is dropped they fire `stop`, which ends it. The
/// thread holds none of them.
pub(super) struct Supervisor {
    builder: SessionBuilder,
    /// Where the sessions are, as the program knows it.
    bridge: SamBridge,
    key: PrivateKey,
    options: HealingOptions,
    /// Looks again when there is a session, and when there will be none any more.
    watcher: Option<Arc<dyn Wake>>,
    /// Ends the healing. It fires with the handle of the bridge.
    stop: Cancel,
    state: Arc<Monitor<State>>,
}

#[derive(Default)]
struct State {
    /// The session there is.
    current: Option<Current>,
    /// How many there have been.
    generation: u64,
    /// How many listeners the program holds.
    listeners: usize,
    /// A thread is about to have the session take in what peers dial.
    arming: bool,
    /// Why that failed, for the next listener that asks.
    failure: Option<Error>,
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

impl Supervisor {
    /// Makes the first session, and begins to look after it.
    pub(super) fn start(
        builder: SessionBuilder,
        options: HealingOptions,
    ) -> Result<Arc<Self>, Error> {
        let (stop, bridge) = (builder.bridge().cancel().child(), builder.bridge().clone());
        let builder = builder.at(bridge.with_cancel(&stop));
        let session = first(&builder, &bridge, &options)?;
        let key = session.private_key().clone();
        let supervisor = Arc::new(Self {
            builder: builder.key(&key),
            bridge,
            key,
            options,
            watcher: None,
            stop,
            state: Monitor::new(State::with(session)),
        });
        supervisor.launch(None)
    }

    /// Begins as if a session of this key had just been lost: the thread makes the first one.
    pub(super) fn pending(
        builder: SessionBuilder,
        key: &PrivateKey,
        options: HealingOptions,
        watcher: Arc<dyn Wake>,
        judge: Judge,
    ) -> Result<Arc<Self>, Error> {
        let (stop, bridge) = (builder.bridge().cancel().child(), builder.bridge().clone());
        let supervisor = Arc::new(Self {
            builder: builder.key(key).at(bridge.with_cancel(&stop)),
            bridge,
            key: key.clone(),
            options,
            watcher: Some(watcher),
            stop,
            state: Monitor::new(State::default()),
        });
        supervisor.launch(Some(judge))
    }

    fn launch(self: Arc<Self>, judge: Option<Judge>) -> Result<Arc<Self>, Error> {
        let thread = Arc::clone(&self);
        spawn_for_program("i2p-sam-healing", move || thread.run(judge)).map_err(|source| {
            Error::Io {
                phase: Phase::SessionCreate,
                source,
            }
        })?;
        Ok(self)
    }

    pub(super) fn bridge(&self) -> &SamBridge {
        &self.bridge
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

    /// The session that was made after this one, if there is one.
    pub(super) fn newer_session(&self, seen: u64) -> Result<Option<(u64, StreamSession)>, Error> {
        let newer = self.state.lock().newer_than(seen)?;
        Ok(newer.map(|(generation, current)| (generation, current.session)))
    }

    fn session_and_birth(&self) -> Option<(StreamSession, Instant)> {
        let current = self.current()?;
        Some((current.session, current.since))
    }

    fn current(&self) -> Option<Current> {
        self.state.lock().current.clone()
    }

    /// Ends it all. The session, if there is one, is closed as any other is.
    pub(super) fn close(&self) {
        let current = {
            let mut state = self.state.lock();
            state.ended.get_or_insert(Ended::Closed);
            state.current.take()
        };
        self.stop.cancel();
        self.announce();
        if let Some(current) = current {
            current.session.close();
        }
    }

    /// Waits for a session that was made after this one.
    fn newer_than(&self, seen: u64, call: &Call) -> Result<(u64, Current), Error> {
        call.wait_on(&self.state, |state| state.newer_than(seen))
    }

    /// The work of the thread.
    fn run(self: &Arc<Self>, mut judge: Option<Judge>) {
        let mut backoff = self.options.backoff();
        while let Some((lost, pause)) = self.await_loss(&mut backoff) {
            if let Err(error) = self.recreate(&mut backoff, lost, pause, judge.take()) {
                self.give_up(error, lost);
                break;
            }
        }
        // Of a bridge's handle that fired nobody else would tell.
        self.end(Ended::Failed(Arc::new(Error::Cancelled {
            phase: Phase::SessionCreate,
        })));
        self.drop_session();
    }

    /// Waits until the session is lost. Returns when that was, and the delay before the first attempt.
    fn await_loss(&self, backoff: &mut Backoff) -> Option<(Instant, Duration)> {
        let Some((session, since)) = self.session_and_birth() else {
            // There has been none, unless it was closed.
            return self
                .drop_session()
                .then(|| (Instant::now(), Duration::ZERO));
        };
        let reason = session.wait_closed(None).ok()?;
        let (lost, lived) = (Instant::now(), since.elapsed());
        drop(session);
        if !self.drop_session() {
            return None;
        }
        backoff.reset_after_life(lived);
        let pause = backoff.next_delay();
        self.emit(&HealingEvent::Lost {
            reason,
            lived,
            pause,
        });
        Some((lost, pause))
    }

    fn recreate(
        self: &Arc<Self>,
        backoff: &mut Backoff,
        lost: Instant,
        mut pause: Duration,
        mut judge: Option<Judge>,
    ) -> Result<(), Error> {
        let mut attempt = 0;
        loop {
            self.pause(pause)?;
            attempt += 1;
            let away = lost.elapsed();
            self.emit(&HealingEvent::Trying { attempt, away });
            let outcome = match judge.take() {
                None => self.make(),
                Some(judge) => judge(self.make()),
            };
            let away = lost.elapsed();
            let error = match outcome {
                Ok(()) => {
                    let attempts = attempt;
                    self.emit(&HealingEvent::Back { attempts, away });
                    return Ok(());
                }
                Err(error) if is_final(&error) || self.options.is_over(away) => return Err(error),
                Err(error) => Arc::new(error),
            };
            pause = backoff.next_delay();
            self.emit(&HealingEvent::Failed {
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
        if self.state.lock().listeners > 0 {
            let intake = Intake::open(&current.session, self.options.forwards())?;
            current.intake = Some(Arc::new(intake));
        }
        let mut state = self.state.lock();
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
        state.failure = None;
        if state.listeners > 0 && !armed {
            // A listener was made meanwhile. If this fails, its `accept` tries again.
            let _ = self.begin_arming(&mut state, Duration::ZERO);
        }
        drop(state);
        self.announce();
        Ok(())
    }

    fn pause(self: &Arc<Self>, time: Duration) -> Result<(), Error> {
        let call = Call::new(Phase::SessionCreate).or_cancel(&self.stop);
        call.sleep(time)
    }

    /// Drops the session. Returns true if another one must be created.
    fn drop_session(&self) -> bool {
        let (current, goes_on) = self.state.update(|state| {
            let goes_on = state.ended.is_none() && !self.stop.is_cancelled();
            (state.current.take(), goes_on)
        });
        drop(current);
        goes_on
    }

    fn give_up(&self, error: Error, lost: Instant) {
        if self.stop.is_cancelled() {
            return;
        }
        let (error, away) = (Arc::new(error), lost.elapsed());
        self.end(Ended::Failed(Arc::clone(&error)));
        self.emit(&HealingEvent::Ended { error, away });
    }

    fn end(&self, ended: Ended) {
        self.state.lock().ended.get_or_insert(ended);
        self.announce();
    }

    /// Has all look again who wait for a session.
    fn announce(&self) {
        self.state.wake();
        if let Some(watcher) = &self.watcher {
            watcher.wake();
        }
    }

    fn emit(&self, event: &HealingEvent) {
        self.options.emit(&self.bridge, event);
    }
}

impl State {
    fn with(session: StreamSession) -> Self {
        Self {
            current: Some(Current::new(session)),
            generation: 1,
            ..Self::default()
        }
    }

    /// The session, if it is another than this one, or who waits for it fails with why there
    /// will be none.
    fn newer_than(&self, seen: u64) -> Result<Option<(u64, Current)>, Error> {
        if let Some(ended) = &self.ended {
            return Err(ended.error());
        }
        let newer = self.current.as_ref().filter(|_| self.generation > seen);
        Ok(newer.map(|current| (self.generation, current.clone())))
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

/// Makes the first session. If the program is patient, it is tried again as any other is.
fn first(
    builder: &SessionBuilder,
    bridge: &SamBridge,
    options: &HealingOptions,
) -> Result<StreamSession, Error> {
    let mut backoff = options.backoff();
    let (began, mut attempt) = (Instant::now(), 0);
    loop {
        attempt += 1;
        let outcome = builder.clone().stream();
        let away = began.elapsed();
        let error = match outcome {
            Err(error) if options.is_patient(away) && !is_final(&error) => Arc::new(error),
            outcome => return outcome,
        };
        let pause = backoff.next_delay();
        let failed = HealingEvent::Failed {
            attempt,
            error,
            pause,
            away,
        };
        options.emit(bridge, &failed);
        let call = Call::new(Phase::SessionCreate).or_cancel(builder.bridge().cancel());
        call.sleep(pause)?;
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
