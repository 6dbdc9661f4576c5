use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

/// No pause is shorter, whatever was asked for.
const SHORTEST: Duration = Duration::from_millis(10);

/// The pauses between attempts: each at the most twice as long as the one before, up to the
/// longest, and random within its upper half, so that programs which lost the same router do not
/// come back in step.
#[derive(Clone, Debug)]
pub(super) struct BackOff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl BackOff {
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        let first = first.max(SHORTEST);
        Self {
            first,
            longest: longest.max(first),
            next: first,
        }
    }

    /// The pause before the next attempt.
    pub(super) fn draw(&mut self) -> Duration {
        let full = self.next;
        self.next = full.saturating_mul(2).min(self.longest);
        full / 2 + (full / 2).mul_f64(chance())
    }

    /// After a session that lived for so long. One that did not outlive the longest pause counts as
    /// another failed attempt: a router that takes it and drops it at once is not to be flooded.
    pub(super) fn after_life_of(&mut self, lived: Duration) {
        if lived >= self.longest {
            self.next = self.first;
        }
    }
}

/// Anything from 0 to 1. The keys of the standard library's hashes come from the system.
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

    #[test]
    fn pauses_double_up_to_the_longest_and_lie_in_their_upper_half() {
        for _ in 0..100 {
            let mut back_off = BackOff::new(ms(100), ms(1000));
            for full in [100, 200, 400, 800, 1000, 1000, 1000] {
                let pause = back_off.draw();
                assert!((ms(full) / 2..=ms(full)).contains(&pause), "{pause:?}");
            }
        }
    }

    #[test]
    fn no_two_programs_pause_alike() {
        let drawn = || BackOff::new(ms(100_000), ms(100_000)).draw();
        assert_ne!((drawn(), drawn(), drawn()), (drawn(), drawn(), drawn()));
    }

    #[test]
    fn only_a_session_that_lived_makes_pauses_short_again() {
        let mut back_off = BackOff::new(ms(100), ms(1000));
        for _ in 0..5 {
            back_off.draw();
        }
        back_off.after_life_of(ms(999));
        assert!(back_off.draw() >= ms(500));
        back_off.after_life_of(ms(1000));
        assert!(back_off.draw() <= ms(100));
    }

    #[test]
    fn no_time_at_all_is_no_pause_to_make() {
        let mut back_off = BackOff::new(Duration::ZERO, Duration::ZERO);
        assert!((0..10).all(|_| back_off.draw() >= SHORTEST / 2));
        BackOff::new(Duration::MAX, Duration::MAX).draw();
    }
}
