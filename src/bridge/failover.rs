use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::error::{Error, Limit, Phase};
use crate::logging::{Full, event};
use crate::sync::lock;

/// The default time for which a bridge that failed is tried after the others.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(60);

/// The times at which bridges failed, by their places in the order of preference.
#[derive(Default)]
pub(crate) struct Failover {
    retry_after: Duration,
    failed: Mutex<Vec<Option<Instant>>>,
}

impl Failover {
    pub(crate) fn new(retry_after: Duration) -> Self {
        Self {
            retry_after,
            failed: Mutex::default(),
        }
    }

    /// Tries one bridge after the other until one answers.
    pub(crate) fn run<B, T>(
        &self,
        bridges: &[B],
        mut ask: impl FnMut(&B) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut failures = Failures::default();
        let mut tried = Vec::new();
        while let Some((place, before)) = self.next(bridges.len(), &tried, Instant::now()) {
            tried.push(place);
            let Some(bridge) = bridges.get(place) else {
                break;
            };
            match ask(bridge) {
                Ok(answer) => {
                    self.mark(place, None);
                    return Ok(answer);
                }
                Err(error) => failures.add(self.fault(place, before, error)?),
            }
        }
        Err(failures.verdict())
    }

    /// Marks the bridge after an error. Returns the error if another bridge may do better.
    ///
    /// # Errors
    ///
    /// The error, if it is the outcome.
    fn fault(&self, place: usize, before: Option<Instant>, error: Error) -> Result<Error, Error> {
        if !is_fault(&error) {
            self.mark(place, before.filter(|_| !is_answer(&error)));
            return Err(error);
        }
        self.mark(place, Some(Instant::now()));
        event!(Warn, "a bridge failed: {}", Full(&error));
        match is_worth_asking_elsewhere(&error) {
            true => Ok(error),
            false => Err(error),
        }
    }

    /// Returns the place of the next bridge to try, and the time at which it failed. Bridges that have
    /// not failed recently come first, in the order of preference. The others follow, and the one that
    /// failed longest ago is the first of them.
    ///
    /// A bridge that has failed counts as failing while it is tried again, so that a dead one costs one
    /// caller its time-outs and not all of them.
    fn next(
        &self,
        bridges: usize,
        tried: &[usize],
        now: Instant,
    ) -> Option<(usize, Option<Instant>)> {
        let mut failed = lock(&self.failed);
        let recently = |since: &Instant| now.saturating_duration_since(*since) < self.retry_after;
        // `None` is less than any time.
        let place = (0..bridges)
            .filter(|place| !tried.contains(place))
            .min_by_key(|place| {
                (
                    failed.get(*place).copied().flatten().filter(recently),
                    *place,
                )
            })?;
        let mark = failed.get_mut(place).and_then(Option::as_mut);
        let before = mark.map(|since| std::mem::replace(since, now));
        Some((place, before))
    }

    fn mark(&self, place: usize, since: Option<Instant>) {
        let mut failed = lock(&self.failed);
        if failed.len() <= place {
            failed.resize(place + 1, None);
        }
        if let Some(mark) = failed.get_mut(place) {
            *mark = since;
        }
    }
}

/// Returns true if the bridge itself failed, rather than the request or the caller.
fn is_fault(error: &Error) -> bool {
    match error {
        Error::Unreachable { .. }
        | Error::UnexpectedEof { .. }
        | Error::Protocol { .. }
        | Error::WrongDestination { .. }
        | Error::Version { .. }
        | Error::SessionLost(_) => true,
        // A limit of this machine is the same at every bridge.
        Error::Io { source, .. } => Limit::of(source).is_none(),
        Error::Timeout { phase, .. } => *phase != Phase::StreamConnect,
        // The bridge refuses us. Any other refusal is a result.
        Error::Refused(refusal) => refusal.phase() == Phase::Hello,
        _ => false,
    }
}

/// Returns true if the bridge sent this error, rather than this library.
fn is_answer(error: &Error) -> bool {
    matches!(error, Error::Refused(_) | Error::Timeout { .. })
}

/// Returns true if the bridge failed, and another one may succeed.
pub(crate) fn another_may_do(error: &Error) -> bool {
    is_fault(error) && is_worth_asking_elsewhere(error)
}

/// Returns false for a time-out after a command was sent: the bridge had the time of the whole call.
fn is_worth_asking_elsewhere(fault: &Error) -> bool {
    match fault {
        Error::Timeout { phase, .. } => matches!(phase, Phase::Connect | Phase::Hello),
        _ => true,
    }
}

/// The most useful of the errors of several bridges.
#[derive(Default)]
pub(crate) struct Failures {
    best: Option<Error>,
}

impl Failures {
    pub(crate) fn any(&self) -> bool {
        self.best.is_some()
    }

    pub(crate) fn add(&mut self, error: Error) {
        self.best = Some(match self.best.take() {
            None => error,
            Some(best) => more_useful(best, error),
        });
    }

    pub(crate) fn verdict(self) -> Error {
        self.best
            .unwrap_or_else(|| Error::setting("bridges", "", "there is none"))
    }
}

/// Returns the more useful of two errors; for two closed ports, one that names both.
fn more_useful(first: Error, second: Error) -> Error {
    match (first, second) {
        (
            Error::Unreachable { address, .. },
            Error::Unreachable {
                address: other,
                source,
            },
        ) => Error::Unreachable {
            address: format!("{address}, {other}").into(),
            source,
        },
        (first, second) if weight(&second) > weight(&first) => second,
        (first, _) => first,
    }
}

/// Returns how useful an error is. A reply that a program can act on is more useful than silence, and
/// silence more than a closed port.
fn weight(error: &Error) -> u8 {
    match error {
        Error::Unreachable { .. } => 0,
        Error::Timeout { .. } => 1,
        Error::UnexpectedEof { .. } | Error::SessionLost(_) => 2,
        Error::Refused(_) => 4,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn three() -> Failover {
        Failover::new(10 * SECOND)
    }

    fn closed(address: &str) -> Error {
        Error::Unreachable {
            address: address.into(),
            source: io::ErrorKind::ConnectionRefused.into(),
        }
    }

    fn order(bridges: &Failover, now: Instant) -> Vec<usize> {
        let mut tried = Vec::new();
        while let Some((place, _)) = bridges.next(3, &tried, now) {
            tried.push(place);
        }
        tried
    }

    #[test]
    fn healthy_bridges_keep_order_of_preference() {
        assert_eq!(order(&three(), Instant::now()), [0, 1, 2]);
    }

    #[test]
    fn last_failed_bridge_is_tried_last() {
        let bridges = three();
        let now = Instant::now();
        bridges.mark(0, Some(now + SECOND));
        bridges.mark(1, Some(now));
        assert_eq!(order(&bridges, now + 2 * SECOND), [2, 1, 0]);
    }

    #[test]
    fn failed_bridge_stays_behind_until_retry_time() {
        let bridges = three();
        let now = Instant::now();
        bridges.mark(0, Some(now));
        assert_eq!(order(&bridges, now + 9 * SECOND), [1, 2, 0]);
    }

    #[test]
    fn failed_bridge_is_retried_by_one_caller() {
        let bridges = three();
        let now = Instant::now();
        bridges.mark(0, Some(now));
        let later = now + 10 * SECOND;
        assert_eq!(bridges.next(3, &[], later), Some((0, Some(now))));
        assert_eq!(bridges.next(3, &[], later), Some((1, None)));
    }

    #[test]
    #[cfg(unix)]
    fn descriptor_limit_is_no_bridge_fault() {
        let io = |code| Error::Io {
            phase: Phase::Connect,
            source: io::Error::from_raw_os_error(code),
        };
        assert!(!is_fault(&io(24)) && !is_fault(&io(23)));
        assert!(is_fault(&io(5)));
    }

    #[test]
    fn error_names_all_closed_ports() {
        let mut failures = Failures::default();
        for address in ["a:1", "b:2", "c:3"] {
            failures.add(closed(address));
        }
        let Error::Unreachable { address, .. } = failures.verdict() else {
            panic!("another error");
        };
        assert_eq!(&*address, "a:1, b:2, c:3");
    }

    #[test]
    fn wrong_reply_is_reported_before_no_reply() {
        let late = |phase| Error::Timeout {
            phase,
            after: SECOND,
            peer: None,
        };
        let hung_up = Error::UnexpectedEof {
            phase: Phase::Hello,
        };
        let mut failures = Failures::default();
        for error in [closed("a:1"), hung_up, late(Phase::Hello), closed("b:2")] {
            failures.add(error);
        }
        let verdict = failures.verdict();
        assert!(matches!(verdict, Error::UnexpectedEof { .. }), "{verdict}");
    }
}
