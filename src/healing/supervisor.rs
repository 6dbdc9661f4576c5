mod accepting;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::address::PrivateKey;
use crate::bridge::SamBridge;
use crate::builder::SessionBuilder;
use crate::error::{Error, Phase, SessionLoss};
use crate::healing::first_attempts::FirstAttempts;
use crate::healing::options::{HealingEvent, HealingOptions};
use crate::stream::{Source, StreamSession};
use crate::sync::{Backoff, Call, Cancel, Monitor, Registration, Wake, spawn_for_program};
use crate::wire::ResultCode;

/// Supervises one replica: creates its session again after each loss, on a thread of its own.
///
/// [`Replicas`](super::replicas::Replicas) fires `stop` when it is dropped, which ends the thread. The
/// thread does not keep it.
pub(super) struct Supervisor {
    builder: SessionBuilder,
    /// The bridge as the program knows it, with all its fallbacks.
    bridge: SamBridge,
    key: PrivateKey,
    options: HealingOptions,
    /// Woken when there is a session, and when there will be no more.
    replicas: Arc<Monitor<FirstAttempts>>,
    /// Ends the thread. It fires with the handle of the bridge.
    stop: Cancel,
    state: Arc<Monitor<State>>,
}

#[derive(Default)]
struct State {
    /// The current session.
    current: Option<Current>,
    /// The number of sessions so far.
    generation: u64,
    /// The number of listeners of this replica.
    listeners: usize,
    /// True while a thread is about to open the intake of the session.
    opening: bool,
    /// The error of the last attempt to open an intake, for the next listener that accepts.
    failure: Option<Error>,
    ended: Option<Ended>,
}

/// The source of the streams of a session.
struct Intake {
    source: Arc<dyn Source>,
    /// Wakes the listeners when the source ends.
    _registration: Option<Registration>,
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
    /// Creates the first session, and starts to supervise it.
    pub(super) fn start(
        builder: SessionBuilder,
        options: HealingOptions,
        replicas: Arc<Monitor<FirstAttempts>>,
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
            replicas,
            stop,
            state: Monitor::new(State::with(session)),
        });
        supervisor.launch(None)
    }

    /// Starts as if a session of this key had just been lost: the thread creates the first one.
    pub(super) fn start_lost(
        builder: SessionBuilder,
        key: &PrivateKey,
        options: HealingOptions,
        replicas: Arc<Monitor<FirstAttempts>>,
        place: usize,
    ) -> Result<Arc<Self>, Error> {
        let (stop, bridge) = (builder.bridge().cancel().child(), builder.bridge().clone());
        let supervisor = Arc::new(Self {
            builder: builder.key(key).at(bridge.with_cancel(&stop)),
            bridge,
            key: key.clone(),
            options,
            replicas,
            stop,
            state: Monitor::new(State::default()),
        });
        supervisor.launch(Some(place))
    }

    fn launch(self: Arc<Self>, first: Option<usize>) -> Result<Arc<Self>, Error> {
        let thread = Arc::clone(&self);
        spawn_for_program("i2p-sam-healing", move || thread.run(first))
            .map_err(Error::io(Phase::SessionCreate))?;
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

    /// Returns the current session, if there is one.
    pub(super) fn session(&self) -> Option<StreamSession> {
        Some(self.session_and_birth()?.0)
    }

    /// Returns the session that was created after this one, if there is one; fails if there will be none.
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

    /// Ends the supervision, and closes the session if there is one.
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

    /// Closes the session, if there is one, and waits for the next.
    pub(super) fn renew(&self, cancel: &Cancel) -> Result<(), Error> {
        let (seen, current) = {
            let state = self.state.lock();
            (state.generation, state.current.clone())
        };
        if let Some(current) = current {
            current.session.close();
        }
        let call = Call::new(Phase::SessionCreate).or_cancel(cancel);
        let created = call.wait_on(&self.state, |state| state.newer_than(seen));
        created.map(drop)
    }

    /// Returns the reason why there will be no more sessions, if the replica has ended.
    pub(super) fn end_error(&self) -> Option<Error> {
        self.state.lock().ended.as_ref().map(Ended::error)
    }

    /// The work of the thread.
    fn run(self: &Arc<Self>, mut first: Option<usize>) {
        let mut backoff = self.options.backoff();
        while let Some((lost, pause)) = self.await_loss(&mut backoff) {
            if let Err(error) = self.recreate(&mut backoff, lost, pause, first.take()) {
                self.give_up(error, lost);
                break;
            }
        }
        // If the handle of the bridge has fired, nothing else has set the end.
        self.end(Ended::Failed(Arc::new(Error::Cancelled {
            phase: Phase::SessionCreate,
        })));
        self.drop_session();
    }

    /// Waits until the session is lost. Returns the time of the loss and the pause before the first
    /// attempt; `None` if there is to be no other session.
    fn await_loss(&self, backoff: &mut Backoff) -> Option<(Instant, Duration)> {
        let Some((session, since)) = self.session_and_birth() else {
            // There has been no session yet, unless the session was closed.
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
        mut first: Option<usize>,
    ) -> Result<(), Error> {
        let mut attempt = 0;
        loop {
            self.pause(pause)?;
            attempt += 1;
            let away = lost.elapsed();
            self.emit(&HealingEvent::Connecting { attempt, away });
            let outcome = match first.take() {
                None => self.create(),
                Some(place) => FirstAttempts::report(&self.replicas, place, self.create()),
            };
            let away = lost.elapsed();
            let error = match outcome {
                Ok(()) => {
                    let attempts = attempt;
                    self.emit(&HealingEvent::Restored { attempts, away });
                    return Ok(());
                }
                Err(error) if is_final(&error) || self.options.is_over(away) => return Err(error),
                Err(error) => Arc::new(error),
            };
            pause = backoff.next_delay();
            self.emit(&HealingEvent::AttemptFailed {
                attempt,
                error,
                pause,
                away,
            });
        }
    }

    /// Creates a session, and opens its intake if there are listeners.
    fn create(self: &Arc<Self>) -> Result<(), Error> {
        let mut current = Current::new(self.builder.clone().stream()?);
        if self.state.lock().listeners > 0 {
            let intake = self.open_intake(&current.session)?;
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
        let receives = current.intake.is_some();
        state.current = Some(current.clone());
        state.generation += 1;
        state.failure = None;
        if state.listeners > 0 && !receives {
            // A listener was made meanwhile. If this fails, its `accept` tries again.
            let _ = self.begin_opening(&mut state, Duration::ZERO);
        }
        drop(state);
        self.announce();
        Ok(())
    }

    fn pause(self: &Arc<Self>, time: Duration) -> Result<(), Error> {
        let call = Call::new(Phase::SessionCreate).or_cancel(&self.stop);
        call.sleep(time)
    }

    /// Drops the session. Returns true if there is to be another.
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
        self.emit(&HealingEvent::GaveUp { error, away });
    }

    fn end(&self, ended: Ended) {
        self.state.lock().ended.get_or_insert(ended);
        self.announce();
    }

    /// Wakes all threads that wait for a session.
    fn announce(&self) {
        self.state.wake();
        self.replicas.wake();
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

    /// Returns the session if it was created after this one; fails if there will be none.
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
            Self::Failed(error) => Error::GaveUp(Arc::clone(error)),
        }
    }
}

/// Creates the first session. With `retry_initial`, it is tried again as any other session is.
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
            Err(error) if options.retries_initial(away) && !is_final(&error) => Arc::new(error),
            outcome => return outcome,
        };
        let pause = backoff.next_delay();
        let failed = HealingEvent::AttemptFailed {
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

/// Returns true if no other attempt can succeed. Every other error may pass: a router starts, tunnels fail,
/// a key is still in use, credentials are corrected.
fn is_final(error: &Error) -> bool {
    match error {
        Error::Refused(refusal) => *refusal.code() == ResultCode::InvalidKey,
        Error::InvalidConfig(_)
        | Error::Command(_)
        | Error::Address(_)
        | Error::Key(_)
        | Error::KeyFile(_)
        | Error::Conflict(_)
        | Error::Unsupported(_)
        | Error::Cancelled { .. } => true,
        _ => false,
    }
}
