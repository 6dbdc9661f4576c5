use std::time::{Duration, Instant};

use crate::error::{Error, Phase};

/// The time that is left for one call. All waits of the call share it, so that a bridge that sends single
/// bytes cannot extend it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    /// `None` means for ever.
    end: Option<(Instant, Duration)>,
}

impl Deadline {
    pub(crate) const NEVER: Self = Self { end: None };

    /// Creates a deadline after this time. A time that the clock cannot represent means for ever.
    pub(crate) fn after(span: Option<Duration>) -> Self {
        let end = span.and_then(|span| Some((Instant::now().checked_add(span)?, span)));
        Self { end }
    }

    pub(crate) fn at(end: Instant) -> Self {
        let span = end.saturating_duration_since(Instant::now());
        Self {
            end: Some((end, span)),
        }
    }

    /// Returns the sooner of two deadlines.
    pub(crate) fn sooner(self, other: Self) -> Self {
        match (self.end, other.end) {
            (Some((mine, _)), Some((theirs, _))) if theirs < mine => other,
            (None, Some(_)) => other,
            _ => self,
        }
    }

    /// Returns the time that is left; `None` means for ever. It is never zero, because `std` refuses a zero
    /// time-out.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] if no time is left.
    pub(crate) fn left(&self, phase: Phase) -> Result<Option<Duration>, Error> {
        self.remaining().ok_or_else(|| self.expired(phase))
    }

    /// Returns the time that is left. `Some(None)` means for ever, and `None` that no time is left.
    pub(super) fn remaining(&self) -> Option<Option<Duration>> {
        let Some((end, _)) = self.end else {
            return Some(None);
        };
        let left = end.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(Some(left))
    }

    pub(crate) fn has_passed(&self) -> bool {
        self.remaining().is_none()
    }

    /// Returns the error for a wait that the system ended, a moment before or after our own clock would.
    pub(crate) fn expired(&self, phase: Phase) -> Error {
        Error::Timeout {
            phase,
            after: self.end.map_or(Duration::ZERO, |(_, span)| span),
            peer: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_of_no_time() {
        let deadline = Deadline::after(Some(Duration::ZERO));
        assert!(deadline.left(Phase::Hello).unwrap_err().is_timeout());
    }

    #[test]
    fn deadline_at_a_time_ends_there() {
        assert!(Deadline::at(Instant::now()).has_passed());
        let later = Deadline::at(Instant::now() + Duration::from_secs(60));
        assert!(!later.has_passed() && !Deadline::NEVER.has_passed());
        let left = later.left(Phase::Hello).unwrap().unwrap();
        assert!(left > Duration::from_secs(50));
    }

    #[test]
    fn time_beyond_the_clock_is_unlimited() {
        let deadline = Deadline::after(Some(Duration::MAX));
        assert_eq!(deadline.left(Phase::Hello).unwrap(), None);
    }

    #[test]
    fn sooner_deadline_counts() {
        let after = |seconds| Deadline::after(Some(Duration::from_secs(seconds)));
        let of = |deadline: Deadline| deadline.end.map(|(_, span)| span.as_secs());
        assert_eq!(of(after(10).sooner(after(20))), Some(10));
        assert_eq!(of(after(20).sooner(after(10))), Some(10));
        assert_eq!(of(Deadline::NEVER.sooner(after(10))), Some(10));
        assert_eq!(of(after(10).sooner(Deadline::NEVER)), Some(10));
    }

    #[test]
    fn remaining_time_shrinks_and_is_never_zero() {
        let given = Duration::from_secs(60);
        let left = Deadline::after(Some(given))
            .left(Phase::Hello)
            .unwrap()
            .unwrap();
        assert!(!left.is_zero() && left <= given);
    }
}
