use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::bridge::SamBridge;
use crate::error::{Error, SessionLoss};
use crate::sync::Backoff;

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How a session is [made again](crate::HealingSession), where it is not as usual.
///
/// ```
/// use std::sync::mpsc;
/// use std::time::Duration;
/// use i2p_sam::{HealingEvent, HealingOptions};
///
/// let (sender, events) = mpsc::channel();
/// let options = HealingOptions::new()
///     .longest_pause(Duration::from_secs(60))
///     .on_event(move |event: &HealingEvent| drop(sender.send(event.clone())));
/// # drop((options, events));
/// ```
#[derive(Clone)]
#[must_use]
pub struct HealingOptions {
    first_pause: Duration,
    longest_pause: Duration,
    give_up_after: Option<Duration>,
    patient: bool,
    forward: bool,
    on_event: Option<Told>,
}

type Told = Arc<dyn Fn(&SamBridge, &HealingEvent) + Send + Sync>;

impl HealingOptions {
    /// As usual: pauses from half a second to half a minute, for ever, and nobody is told.
    pub fn new() -> Self {
        Self {
            first_pause: FIRST_PAUSE,
            longest_pause: LONGEST_PAUSE,
            give_up_after: None,
            patient: false,
            forward: false,
            on_event: None,
        }
    }

    /// The pause before the first attempt, 10 ms at the least. Default: 500 ms.
    ///
    /// Each further pause is twice as long, up to the [longest](HealingOptions::longest_pause); of
    /// each a random half to whole is waited. So the attempt *n* is made no sooner than
    /// half the sum of the first *n* pauses after the loss: with the defaults no more than 6 in the
    /// first 15 s, and one in 15 s from then on. A session that is lost again before it has lived for
    /// the longest pause counts as one more failed attempt, so the same holds for a router that takes
    /// sessions and drops them.
    pub fn first_pause(mut self, pause: Duration) -> Self {
        self.first_pause = pause;
        self
    }

    /// The longest pause between two attempts, no less than the first. Default: 30 s.
    pub fn longest_pause(mut self, pause: Duration) -> Self {
        self.longest_pause = pause;
        self
    }

    /// How long after a loss to go on trying. Default: for ever.
    ///
    /// Routers hold a key for up to a minute after its session is gone, and build tunnels for
    /// minutes after their start: less than five minutes is soon.
    pub fn give_up_after(mut self, time: Option<Duration>) -> Self {
        self.give_up_after = time;
        self
    }

    /// Whether the first session, too, is tried again while it fails, for as long as
    /// [any other](HealingOptions::give_up_after), and the call waits for it. Default: no, its failure is
    /// told at once.
    ///
    /// It suits a server that starts with the machine, maybe before its router, or that was just
    /// restarted: routers hold its key for up to a minute then (`DUPLICATED_DEST`). A
    /// [`MultihomedSession`](crate::MultihomedSession) waits for none of its homes but the first.
    ///
    /// ```no_run
    /// use i2p_sam::{HealingOptions, SamBridge};
    ///
    /// let patient = HealingOptions::new().patient(true);
    /// let session = SamBridge::from_env()?.session().healing_with(&patient)?;
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn patient(mut self, patient: bool) -> Self {
        self.patient = patient;
        self
    }

    /// Sets what to call with each [`HealingEvent`]. It is called on the thread that heals, which has
    /// the stack that `std` gives and goes on when the call returns, so hand the event over to where
    /// there is time for it. If it panics, the session is healed all the same. Default: nothing.
    pub fn on_event(self, call: impl Fn(&HealingEvent) + Send + Sync + 'static) -> Self {
        self.on_home_event(move |_, event| call(event))
    }

    /// What to call instead of [`on_event`](HealingOptions::on_event), where it matters which bridge
    /// an event is about: that of one of the homes of a [`MultihomedSession`](crate::MultihomedSession).
    /// Each home has a thread, so two may call at once.
    ///
    /// A [`HealingSession`](crate::HealingSession) with several bridges says the one it was made
    /// with, which stands for all.
    ///
    /// ```
    /// use i2p_sam::HealingOptions;
    ///
    /// let options = HealingOptions::new()
    ///     .on_home_event(|bridge, event| eprintln!("{}: {event}", bridge.address()));
    /// # drop(options);
    /// ```
    pub fn on_home_event(
        mut self,
        call: impl Fn(&SamBridge, &HealingEvent) + Send + Sync + 'static,
    ) -> Self {
        self.on_event = Some(Arc::new(call));
        self
    }

    /// Whether the listener takes in what peers dial as a
    /// [`ForwardListener`](crate::ForwardListener) does: over a TCP port of loopback to which the
    /// router connects, rather than by accepts that wait at the bridge. Default: no.
    ///
    /// No dial finds the router between two accepts then. What any user of this machine can do to that
    /// port stands at [`ForwardListener`](crate::ForwardListener).
    pub fn forward(mut self, forward: bool) -> Self {
        self.forward = forward;
        self
    }

    pub(super) fn forwards(&self) -> bool {
        self.forward
    }

    pub(super) fn backoff(&self) -> Backoff {
        Backoff::new(self.first_pause, self.longest_pause).with_jitter()
    }

    pub(super) fn is_over(&self, away: Duration) -> bool {
        self.give_up_after.is_some_and(|most| away >= most)
    }

    /// Whether a first session that has not been made for so long is tried again.
    pub(super) fn is_patient(&self, away: Duration) -> bool {
        self.patient && !self.is_over(away)
    }

    pub(super) fn emit(&self, bridge: &SamBridge, event: &HealingEvent) {
        if let Some(call) = &self.on_event {
            // What the program broke is the program's; the session is healed all the same.
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
            .field("first_pause", &self.first_pause)
            .field("longest_pause", &self.longest_pause)
            .field("give_up_after", &self.give_up_after)
            .field("patient", &self.patient)
            .field("forward", &self.forward)
            .field("on_event", &self.on_event.is_some())
            .finish()
    }
}

/// What becomes of a [`HealingSession`](crate::HealingSession), or of one of the homes of a
/// [`MultihomedSession`](crate::MultihomedSession), whose first session is made as a lost one is: it
/// begins with `Trying`, and there was no loss. A [patient](HealingOptions::patient) program begins
/// with `Failed`, if its first attempt does.
///
/// `away` is the time since the loss, or since it began.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum HealingEvent {
    /// The session is gone. Nobody can dial us until it is back.
    #[non_exhaustive]
    Lost {
        /// Why it is gone.
        reason: SessionLoss,
        /// How long there was a session.
        lived: Duration,
        /// The time until the first attempt to make it again.
        pause: Duration,
    },
    /// An attempt begins.
    #[non_exhaustive]
    Trying {
        /// Counted from 1 after each loss.
        attempt: u32,
        /// The time since the loss.
        away: Duration,
    },
    /// An attempt failed; there will be another.
    #[non_exhaustive]
    Failed {
        /// Which one it was.
        attempt: u32,
        /// Why.
        error: Arc<Error>,
        /// The time until the next.
        pause: Duration,
        /// The time since the loss.
        away: Duration,
    },
    /// There is a session (again), with the same key; and if there is a listener, the bridge knows
    /// that we accept.
    #[non_exhaustive]
    Back {
        /// How many attempts it took.
        attempts: u32,
        /// The time since the loss.
        away: Duration,
    },
    /// It is not tried again: the error is one that another attempt would not mend, or the
    /// [time](HealingOptions::give_up_after) is over. It is the last event. After a
    /// [`close`](crate::HealingSession::close) there is none.
    #[non_exhaustive]
    Ended {
        /// Why.
        error: Arc<Error>,
        /// The time since the loss.
        away: Duration,
    },
}

/// Shows a sentence for a log: what happened, why with all sources of the error, and what comes next.
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
            Self::Trying { attempt, away } => write!(
                f,
                "attempt {attempt} to make the session begins, {away:.1?} without a session"
            ),
            Self::Failed {
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
            Self::Back { attempts, away } => write!(
                f,
                "the session was made at attempt {attempts}, {away:.1?} without a session"
            ),
            Self::Ended { error, away } => write!(
                f,
                "the session is not tried again, {away:.1?} without a session: {}",
                Chain(error)
            ),
        }
    }
}

/// An error and its sources, but for those that the text above shows already.
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
    fn every_event_is_shown_as_a_sentence() {
        let (pause, away) = (Duration::from_millis(500), Duration::from_millis(3240));
        let error = || {
            Arc::new(Error::Unreachable {
                address: "127.0.0.1:7656".into(),
                source: io::Error::other("refused by the system"),
            })
        };
        let reason = SessionLoss::BridgeGone;
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
                HealingEvent::Trying { attempt: 2, away },
                ["attempt 2", "begins", "3.2s"],
            ),
            (
                HealingEvent::Failed {
                    attempt: 2,
                    error: error(),
                    pause,
                    away,
                },
                ["127.0.0.1:7656", "refused by the system", "500.0ms"],
            ),
            (
                HealingEvent::Back { attempts: 3, away },
                ["attempt 3", "was made", "3.2s"],
            ),
            (
                HealingEvent::Ended {
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
    fn a_source_that_the_error_shows_itself_is_not_shown_twice() {
        let io = io::Error::other("why");
        let error = Arc::new(Error::HealingEnded(Arc::new(Error::Io {
            phase: crate::error::Phase::Accept,
            source: io,
        })));
        let away = Duration::ZERO;
        let shown = HealingEvent::Ended { error, away }.to_string();
        assert_eq!(shown.matches("why").count(), 1, "{shown}");
    }
}
