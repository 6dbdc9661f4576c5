use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

/// Lower bound of all delays, even if a shorter one is requested.
const SHORTEST: Duration = Duration::from_millis(10);

/// Growing delays: each is twice as long as the one before, up to the longest.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
    jitter: bool,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        let first = first.max(SHORTEST);
        Self {
            first,
            longest: longest.max(first),
            next: first,
            jitter: false,
        }
    }

    /// Creates the delays after an `accept` that failed: from 50 ms to 5 s.
    pub(crate) fn for_accept() -> Self {
        Self::new(Duration::from_millis(50), Duration::from_secs(5))
    }

    /// Makes each delay random within its upper half, so that programs that lost the same router do not all
    /// come back at the same time.
    pub(crate) fn with_jitter(self) -> Self {
        Self {
            jitter: true,
            ..self
        }
    }

    /// Returns the delay before the next attempt.
    pub(crate) fn next_delay(&mut self) -> Duration {
        let full = self.next;
        self.next = full.saturating_mul(2).min(self.longest);
        match self.jitter {
            true => full / 2 + (full / 2).mul_f64(chance()),
            false => full,
        }
    }

    /// Begins again with the first delay, after an attempt that succeeded.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }

    /// Begins again with the first delay if a session lived for longer than the longest delay. A shorter
    /// life counts as another failed attempt: a router that creates a session and drops it at once must not
    /// be flooded.
    pub(crate) fn reset_after_life(&mut self, lived: Duration) {
        if lived >= self.longest {
            self.reset();
        }
    }
}

/// Returns a random number from 0 to 1. The keys of the standard library's hashes come from the system.
fn chance() -> f64 {
    let bits = RandomState::new().hash_one(0_u8) >> 32;
    bits as f64 / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn random(first: Duration, longest: Duration) -> Backoff {
        Backoff::new(first, longest).with_jitter()
    }

    #[test]
    fn delays_double_up_to_the_longest() {
        let mut backoff = Backoff::new(ms(100), ms(1000));
        for delay in [100, 200, 400, 800, 1000, 1000] {
            assert_eq!(backoff.next_delay(), ms(delay));
        }
        backoff.reset();
        assert_eq!(backoff.next_delay(), ms(100));
    }

    #[test]
    fn random_delays_lie_in_their_upper_half() {
        for _ in 0..100 {
            let mut backoff = random(ms(100), ms(1000));
            for full in [100, 200, 400, 800, 1000, 1000, 1000] {
                let delay = backoff.next_delay();
                assert!((ms(full) / 2..=ms(full)).contains(&delay), "{delay:?}");
            }
        }
    }

    #[test]
    fn random_delays_of_two_programs_differ() {
        let drawn = || random(ms(100_000), ms(100_000)).next_delay();
        assert_ne!((drawn(), drawn(), drawn()), (drawn(), drawn(), drawn()));
    }

    #[test]
    fn delays_after_a_short_life_stay_long() {
        let mut backoff = random(ms(100), ms(1000));
        for _ in 0..5 {
            backoff.next_delay();
        }
        backoff.reset_after_life(ms(999));
        assert!(backoff.next_delay() >= ms(500));
        backoff.reset_after_life(ms(1000));
        assert!(backoff.next_delay() <= ms(100));
    }

    #[test]
    fn delays_of_zero_are_lengthened() {
        let mut backoff = random(Duration::ZERO, Duration::ZERO);
        assert!((0..10).all(|_| backoff.next_delay() >= SHORTEST / 2));
        random(Duration::MAX, Duration::MAX).next_delay();
    }
}
