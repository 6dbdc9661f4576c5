use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::bridge::SamBridge;
use crate::error::{Error, SessionLoss};
use crate::logging::event;
use crate::sync::Backoff;

const INITIAL_BACKOFF: Duration = Duration::from_millis(500);
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// Options of a [`HealingSession`](crate::HealingSession).
///
/// ```
/// use std::sync::mpsc;
/// use std::time::Duration;
/// use i2p_sam::{HealingEvent, HealingOptions};
///
/// let (sender, events) = mpsc::channel();
/// let options = HealingOptions::new()
///     .max_backoff(Duration::from_secs(60))
///     .on_event(move |_, event: &HealingEvent| drop(sender.send(event.clone())));
/// # drop((options, events));
/// ```
#[derive(Clone)]
#[must_use]
pub struct HealingOptions {
    initial_backoff: Duration,
    max_backoff: Duration,
    give_up_after: Option<Duration>,
    retry_initial: bool,
    forward: bool,
    on_event: Option<OnEvent>,
}

type OnEvent = Arc<dyn Fn(&SamBridge, &HealingEvent) + Send + Sync>;

impl HealingOptions {
    /// Creates the default options: pauses from 500 ms to 30 s, no limit, no callback.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::HealingOptions;
    ///
    /// // The service starts with the machine, perhaps before its router.
    /// let options = HealingOptions::new().retry_initial(true);
    /// let session = bridge.session().healing_with(&options)?;
    /// # drop(session);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Self {
        Self {
            initial_backoff: INITIAL_BACKOFF,
            max_backoff: MAX_BACKOFF,
            give_up_after: None,
            retry_initial: false,
            forward: false,
            on_event: None,
        }
    }

    /// Sets the pause before the first attempt, at least 10 ms. Default: 500 ms.
    ///
    /// Each further pause is twice as long, up to the [longest](HealingOptions::max_backoff); the time that
    /// is waited is random, between half of it and all of it. So attempt *n* is made no sooner than half the
    /// sum of the first *n* pauses after the loss: with the defaults no more than 6 in the first 15 s, and
    /// one in 15 s from then on. A session that is lost again before it has lived for the longest pause
    /// counts as one more failed attempt, so the same is true of a router that creates sessions and drops
    /// them.
    pub fn initial_backoff(mut self, pause: Duration) -> Self {
        self.initial_backoff = pause;
        self
    }

    /// Sets the longest pause between two attempts, at least the first. Default: 30 s.
    pub fn max_backoff(mut self, pause: Duration) -> Self {
        self.max_backoff = pause;
        self
    }

    /// Sets for how long after a loss attempts are made. Default: without limit.
    ///
    /// Routers hold a key for up to a minute after its session is gone, and build tunnels for
    /// minutes after their start: less than five minutes is soon.
    pub fn give_up_after(mut self, time: Option<Duration>) -> Self {
        self.give_up_after = time;
        self
    }

    /// Sets whether the first session, too, is tried again while it fails, for as long as
    /// [any other](HealingOptions::give_up_after), while the call waits. Default: false, its first failure
    /// is returned at once.
    ///
    /// Set it for a server that starts with the machine, perhaps before its router, or that was just
    /// restarted: routers then hold its key for up to a minute (`DUPLICATED_DEST`). A
    /// [multihomed](crate::SessionBuilder::multihomed) session waits until it has one replica; the others
    /// are tried again in any case.
    ///
    /// ```no_run
    /// use i2p_sam::{HealingOptions, SamBridge};
    ///
    /// let options = HealingOptions::new().retry_initial(true);
    /// let session = SamBridge::from_env()?.session().healing_with(&options)?;
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn retry_initial(mut self, retry: bool) -> Self {
        self.retry_initial = retry;
        self
    }

    /// Sets a function that is called with each [`HealingEvent`] and the bridge of its
    /// [replica](crate::Replica). Default: none.
    ///
    /// It is called on the thread that supervises the replica, which has the stack size that `std` gives
    /// and continues when the call returns, so pass the event on if its handling takes time. Each replica
    /// has its own thread, so there may be two calls at once. If the function panics, the session is
    /// healed all the same.
    ///
    /// ```
    /// use i2p_sam::HealingOptions;
    ///
    /// let options = HealingOptions::new()
    ///     .on_event(|bridge, event| eprintln!("{}: {event}", bridge.address()));
    /// # drop(options);
    /// ```
    pub fn on_event(
        mut self,
        call: impl Fn(&SamBridge, &HealingEvent) + Send + Sync + 'static,
    ) -> Self {
        self.on_event = Some(Arc::new(call));
        self
    }

    /// Sets whether a listener receives streams over a TCP port on loopback to which the router connects,
    /// as that of [`StreamSession::forward`](crate::StreamSession::forward) does, rather than by accepts
    /// that wait at the bridge. Default: false.
    ///
    /// The router then never finds itself between two accepts. Any user of this machine can connect to that
    /// port: see [`StreamSession::forward`](crate::StreamSession::forward).
    pub fn forward(mut self, forward: bool) -> Self {
        self.forward = forward;
        self
    }

    pub(super) fn forwards(&self) -> bool {
        self.forward
    }

    pub(super) fn backoff(&self) -> Backoff {
        Backoff::new(self.initial_backoff, self.max_backoff).with_jitter()
    }

    pub(super) fn is_over(&self, away: Duration) -> bool {
        self.give_up_after.is_some_and(|most| away >= most)
    }

    /// Returns true if a first session that has failed for this long is tried again.
    pub(super) fn retries_initial(&self, away: Duration) -> bool {
        self.retry_initial && !self.is_over(away)
    }

    pub(super) fn emit(&self, bridge: &SamBridge, event: &HealingEvent) {
        event!(Info, "session at {}: {event}", bridge.address());
        if let Some(call) = &self.on_event {
            // A panic of the program's function does not stop the healing.
            let _ = catch_unwind(AssertUnwindSafe(|| call(bridge, event)));
        }
    }
}

impl Default for HealingOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for HealingOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealingOptions")
            .field("initial_backoff", &self.initial_backoff)
            .field("max_backoff", &self.max_backoff)
            .field("give_up_after", &self.give_up_after)
            .field("retry_initial", &self.retry_initial)
            .field("forward", &self.forward)
            .field("on_event", &self.on_event.is_some())
            .finish()
    }
}

/// A change of one replica of a [`HealingSession`](crate::HealingSession).
///
/// The first session of [`healing`](crate::SessionBuilder::healing) has no event, but `AttemptFailed` for
/// each failure with [`retry_initial`](HealingOptions::retry_initial). A replica of a
/// [multihomed](crate::SessionBuilder::multihomed) session begins with `Connecting`, without a loss.
///
/// `away` is the time since the loss, or since the start.
///
/// ```
/// use i2p_sam::{HealingEvent, HealingOptions};
///
/// let options = HealingOptions::new().on_event(|_, event| match event {
///     HealingEvent::Lost { reason, .. } => eprintln!("offline: {reason}"),
///     HealingEvent::Restored { away, .. } => eprintln!("online again after {away:?}"),
///     event => eprintln!("{event}"),
/// });
/// # drop(options);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum HealingEvent {
    /// The session was lost. No peer can dial us over this replica until it is restored.
    #[non_exhaustive]
    Lost {
        /// The reason for the loss.
        reason: SessionLoss,
        /// The time for which the session lived.
        lived: Duration,
        /// The time until the first attempt to create it again.
        pause: Duration,
    },
    /// An attempt begins.
    #[non_exhaustive]
    Connecting {
        /// The number of the attempt, counted from 1 after each loss.
        attempt: u32,
        /// The time since the loss.
        away: Duration,
    },
    /// An attempt failed, and there will be another.
    #[non_exhaustive]
    AttemptFailed {
        /// The number of the attempt, counted from 1 after each loss.
        attempt: u32,
        /// The error of the attempt.
        error: Arc<Error>,
        /// The time until the next attempt.
        pause: Duration,
        /// The time since the loss.
        away: Duration,
    },
    /// There is a session with the same key. If there is a listener, the session accepts.
    #[non_exhaustive]
    Restored {
        /// The number of attempts.
        attempts: u32,
        /// The time since the loss.
        away: Duration,
    },
    /// There will be no other attempt: none can succeed after this error, or the
    /// [time](HealingOptions::give_up_after) is over. It is the last event of the replica. A
    /// [`close`](crate::HealingSession::close) causes no such event.
    #[non_exhaustive]
    GaveUp {
        /// The error of the last attempt.
        error: Arc<Error>,
        /// The time since the loss.
        away: Duration,
    },
}

/// Shows a sentence for a log: the event, the error with all its sources, and the next attempt.
impl fmt::Display for HealingEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost {
                reason,
                lived,
                pause,
            } => write!(
                f,
                "the session was lost after {lived:.1?} ({reason}); the next attempt is in {pause:.1?}"
            ),
            Self::Connecting { attempt, away } => write!(
                f,
                "attempt {attempt} to make the session begins, {away:.1?} without a session"
            ),
            Self::AttemptFailed {
                attempt,
                error,
                pause,
                away,
            } => write!(
                f,
                "attempt {attempt} to make the session failed, {away:.1?} without a session: {}; \
                 the next attempt is in {pause:.1?}",
                Chain(error)
            ),
            Self::Restored { attempts, away } => write!(
                f,
                "the session was made at attempt {attempts}, {away:.1?} without a session"
            ),
            Self::GaveUp { error, away } => write!(
                f,
                "the session is not tried again, {away:.1?} without a session: {}",
                Chain(error)
            ),
        }
    }
}

/// An error and its sources, except those whose text the text before already contains.
struct Chain<'a>(&'a Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.to_string();
        f.write_str(&shown)?;
        let mut next = std::error::Error::source(self.0);
        while let Some(source) = next {
            let text = source.to_string();
            if !shown.contains(&text) {
                write!(f, ": {text}")?;
            }
            shown = text;
            next = source.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn event_display_is_a_sentence() {
        let (pause, away) = (Duration::from_millis(500), Duration::from_millis(3240));
        let error = || {
            Arc::new(Error::Unreachable {
                address: "127.0.0.1:7656".into(),
                source: io::Error::other("refused by the system"),
            })
        };
        let reason = SessionLoss::Disconnected;
        let lived = Duration::from_secs(60);
        for (event, parts) in [
            (
                HealingEvent::Lost {
                    reason,
                    lived,
                    pause,
                },
                ["60.0s", "the bridge closed the connection", "500.0ms"],
            ),
            (
                HealingEvent::Connecting { attempt: 2, away },
                ["attempt 2", "begins", "3.2s"],
            ),
            (
                HealingEvent::AttemptFailed {
                    attempt: 2,
                    error: error(),
                    pause,
                    away,
                },
                ["127.0.0.1:7656", "refused by the system", "500.0ms"],
            ),
            (
                HealingEvent::Restored { attempts: 3, away },
                ["attempt 3", "was made", "3.2s"],
            ),
            (
                HealingEvent::GaveUp {
                    error: error(),
                    away,
                },
                ["not tried again", "refused by the system", "3.2s"],
            ),
        ] {
            let shown = event.to_string();
            for part in parts {
                assert_eq!(shown.matches(part).count(), 1, "{part:?} in {shown:?}");
            }
        }
    }

    #[test]
    fn error_display_shows_source_once() {
        let io = io::Error::other("why");
        let error = Arc::new(Error::GaveUp(Arc::new(Error::Io {
            phase: crate::error::Phase::Accept,
            source: io,
        })));
        let away = Duration::ZERO;
        let shown = HealingEvent::GaveUp { error, away }.to_string();
        assert_eq!(shown.matches("why").count(), 1, "{shown}");
    }
}
