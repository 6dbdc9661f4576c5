use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::sync::{Call, Monitor};

/// The open streams of a session, for callers that wait for their end.
pub(crate) struct Streams {
    state: Arc<Monitor<State>>,
}

#[derive(Default)]
struct State {
    open: usize,
    /// The time at which the last stream was closed before its peer had closed it. Bytes that were
    /// written to it may be on the way.
    left_at: Option<Instant>,
}

/// The place of one stream among those of its session.
pub(crate) struct OpenStream {
    streams: Arc<Streams>,
    ended_by_peer: AtomicBool,
    ended_by_us: AtomicBool,
}

impl Streams {
    /// Adds an open stream.
    pub(crate) fn open(self: &Arc<Self>) -> OpenStream {
        self.state.lock().open += 1;
        OpenStream {
            streams: Arc::clone(self),
            ended_by_peer: AtomicBool::new(false),
            ended_by_us: AtomicBool::new(false),
        }
    }

    /// Waits until no stream is open. Then, if a stream was closed before its peer had closed it, waits
    /// until its last bytes have had the time `linger` to arrive. Fails if streams are open at the
    /// deadline.
    pub(crate) fn wait(&self, linger: Duration, call: &Call) -> Result<(), Error> {
        loop {
            let none_open = |state: &mut State| Ok((state.open == 0).then(|| state.left(linger)));
            let left = call.wait_on(&self.state, none_open)?;
            if left.is_zero() || call.deadline().has_passed() {
                return Ok(());
            }
            let reopened = |state: &mut State| Ok((state.open > 0).then_some(()));
            match call
                .clone()
                .within(Some(left))
                .wait_on(&self.state, reopened)
            {
                Ok(()) | Err(Error::Timeout { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            state: Monitor::new(State::default()),
        }
    }
}

impl State {
    /// Returns the rest of the time in which the last bytes can arrive.
    fn left(&self, linger: Duration) -> Duration {
        let passed = self.left_at.map_or(linger, |at| at.elapsed());
        linger.saturating_sub(passed)
    }
}

impl OpenStream {
    /// Records that a read has reached the end of the stream.
    pub(crate) fn has_ended(&self) {
        if !self.ended_by_us.load(Ordering::Relaxed) {
            self.ended_by_peer.store(true, Ordering::Relaxed);
        }
    }

    /// Records that we end the stream: from now on an end that a read reaches is our own.
    pub(crate) fn end(&self) {
        self.ended_by_us.store(true, Ordering::Relaxed);
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.streams.state.update(|state| {
            state.open -= 1;
            if !self.ended_by_peer.load(Ordering::Relaxed) {
                state.left_at = Some(Instant::now());
            }
        });
    }
}
