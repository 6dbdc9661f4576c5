use std::io;
use std::time::{Duration, Instant};

/// The moment by which something must have happened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    pub(crate) fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// What is left, never zero: socket timeouts refuse a zero.
    pub(crate) fn left(self) -> io::Result<Duration> {
        let left = self.0.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "out of time"));
        }
        Ok(left)
    }

    /// This moment, or the one `time` from now if that is sooner.
    pub(crate) fn within(self, time: Duration) -> Self {
        Self(self.0.min(Instant::now() + time))
    }
}
