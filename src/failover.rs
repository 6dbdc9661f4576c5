use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::bridge::{Config, SamBridge};
use crate::error::{Error, Limit, Phase};
use crate::sync::lock;

/// How long a bridge that failed stands behind the others, unless the program says otherwise.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(60);

/// The bridges a program may use, the one it likes best first, and which of them have failed.
pub(crate) struct Failover {
    bridges: Vec<Arc<Config>>,
    retry_after: Duration,
    failed: Mutex<Vec<Option<Instant>>>,
}

impl Failover {
    pub(crate) fn new(bridges: Vec<Arc<Config>>, retry_after: Duration) -> Self {
        let failed = Mutex::new(vec![None; bridges.len()]);
        Self {
            bridges,
            retry_after,
            failed,
        }
    }

    pub(crate) fn bridges(&self) -> &[Arc<Config>] {
        &self.bridges
    }

    /// Has one bridge after the other do it, until one answers.
    pub(crate) fn run<T>(
        &self,
        all: &SamBridge,
        mut ask: impl FnMut(SamBridge) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut failures = Failures::default();
        let mut tried = Vec::new();
        while let Some((place, before)) = self.next(&tried, Instant::now()) {
            tried.push(place);
            let Some(config) = self.bridges.get(place) else {
                break;
            };
            let outcome = ask(all.only(config));
            let (error, mark) = match outcome {
                Err(error) if is_fault(&error) => (error, Some(Instant::now())),
                outcome => {
                    let answered = outcome.as_ref().err().is_none_or(is_answer);
                    self.mark(place, if answered { None } else { before });
                    return outcome;
                }
            };
            self.mark(place, mark);
            if !is_worth_asking_elsewhere(&error) {
                return Err(error);
            }
            failures.add(error);
        }
        Err(failures.verdict())
    }

    /// The next to be tried, and when it failed. Those that have not failed of late come first, in
    /// the order of preference, then the others, of which the one that failed longest ago.
    ///
    /// One that has failed counts as failing while it is tried again, so that a dead one costs one
    /// caller its time-outs and not all of them.
    fn next(&self, tried: &[usize], now: Instant) -> Option<(usize, Option<Instant>)> {
        let mut failed = lock(&self.failed);
        let recently = |since: &Instant| now.saturating_duration_since(*since) < self.retry_after;
        // `None` is the least.
        let (place, mark) = failed
            .iter_mut()
            .enumerate()
            .filter(|(place, _)| !tried.contains(place))
            .min_by_key(|(place, since)| (since.filter(recently), *place))?;
        let before = *mark;
        *mark = before.map(|_| now);
        Some((place, before))
    }

    fn mark(&self, place: usize, since: Option<Instant>) {
        if let Some(mark) = lock(&self.failed).get_mut(place) {
            *mark = since;
        }
    }
}

/// Whether the bridge is the reason, and not what it was asked, or who asked.
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
        // It does not let us in. Any other refusal is an answer.
        Error::Refused(refusal) => refusal.phase() == Phase::Hello,
        _ => false,
    }
}

/// Whether a bridge said this, and not we ourselves.
fn is_answer(error: &Error) -> bool {
    matches!(error, Error::Refused(_) | Error::Timeout { .. })
}

/// Whether this failed because of the bridge, so that it may well be done at another.
pub(crate) fn another_may_do(error: &Error) -> bool {
    is_fault(error) && is_worth_asking_elsewhere(error)
}

/// Once a bridge has been asked, its time was that of the whole call.
fn is_worth_asking_elsewhere(fault: &Error) -> bool {
    match fault {
        Error::Timeout { phase, .. } => matches!(phase, Phase::Connect | Phase::Hello),
        _ => true,
    }
}

/// What came of asking each bridge, and what to make of it: the error that tells most.
#[derive(Default)]
pub(crate) struct Failures {
    told: Option<Error>,
}

impl Failures {
    pub(crate) fn any(&self) -> bool {
        self.told.is_some()
    }

    pub(crate) fn add(&mut self, error: Error) {
        self.told = Some(match self.told.take() {
            None => error,
            Some(told) => telling(told, error),
        });
    }

    pub(crate) fn verdict(self) -> Error {
        self.told
            .unwrap_or_else(|| Error::setting("bridges", "", "there is none"))
    }
}

/// The one of two that tells more of what to do; of two closed ports, one that names both.
fn telling(first: Error, second: Error) -> Error {
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

/// A bridge that answers what can be mended tells more than one that does not answer, and that
/// more than one that is not there.
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
        Failover {
            bridges: Vec::new(),
            retry_after: 10 * SECOND,
            failed: Mutex::new(vec![None; 3]),
        }
    }

    fn closed(address: &str) -> Error {
        Error::Unreachable {
            address: address.into(),
            source: io::ErrorKind::ConnectionRefused.into(),
        }
    }

    fn order(bridges: &Failover, now: Instant) -> Vec<usize> {
        let mut tried = Vec::new();
        while let Some((place, _)) = bridges.next(&tried, now) {
            tried.push(place);
        }
        tried
    }

    #[test]
    fn bridges_that_have_not_failed_come_in_the_order_of_preference() {
        assert_eq!(order(&three(), Instant::now()), [0, 1, 2]);
    }

    #[test]
    fn who_failed_stands_behind_the_others_and_who_failed_last_is_last() {
        let bridges = three();
        let now = Instant::now();
        bridges.mark(0, Some(now + SECOND));
        bridges.mark(1, Some(now));
        assert_eq!(order(&bridges, now + 2 * SECOND), [2, 1, 0]);
    }

    #[test]
    fn who_failed_stays_behind_until_the_time_is_over() {
        let bridges = three();
        let now = Instant::now();
        bridges.mark(0, Some(now));
        assert_eq!(order(&bridges, now + 9 * SECOND), [1, 2, 0]);
    }

    #[test]
    fn who_failed_is_back_in_its_place_for_one_caller_when_the_time_is_over() {
        let bridges = three();
        let now = Instant::now();
        bridges.mark(0, Some(now));
        let later = now + 10 * SECOND;
        assert_eq!(bridges.next(&[], later), Some((0, Some(now))));
        assert_eq!(bridges.next(&[], later), Some((1, None)));
    }

    #[test]
    #[cfg(unix)]
    fn a_limit_of_descriptors_is_no_fault_of_a_bridge() {
        let io = |code| Error::Io {
            phase: Phase::Connect,
            source: io::Error::from_raw_os_error(code),
        };
        assert!(!is_fault(&io(24)) && !is_fault(&io(23)));
        assert!(is_fault(&io(5)));
    }

    #[test]
    fn closed_ports_are_all_named() {
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
    fn who_answers_wrongly_is_told_of_rather_than_who_does_not_answer() {
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
