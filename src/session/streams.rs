use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::sync::{Call, Monitor};

/// The streams of a session that are open, for whoever waits for their end.
pub(crate) struct Streams {
    state: Arc<Monitor<State>>,
}

#[derive(Default)]
struct State {
    open: usize,
    /// When the last stream was closed whose peer had not hung up: what was written to it may be
    /// under way.
    left_at: Option<Instant>,
}

/// The place of one stream among those of its session.
pub(crate) struct OpenStream {
    streams: Arc<Streams>,
    ended_by_peer: AtomicBool,
    ended_by_us: AtomicBool,
}

impl Streams {
    /// One stream more.
    pub(crate) fn open(self: &Arc<Self>) -> OpenStream {
        self.state.lock().open += 1;
        OpenStream {
            streams: Arc::clone(self),
            ended_by_peer: AtomicBool::new(false),
            ended_by_us: AtomicBool::new(false),
        }
    }

    /// Waits until no stream is open, and then, if a peer had not hung up on one, until what was
    /// written last has had this time to arrive. Fails if streams are open at the deadline.
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
    /// Returns the time for which to wait yet, so that what was written last can arrive.
    fn left(&self, linger: Duration) -> Duration {
        let passed = self.left_at.map_or(linger, |at| at.elapsed());
        linger.saturating_sub(passed)
    }
}

impl OpenStream {
    /// A read has come to the end.
    pub(crate) fn has_ended(&self) {
        if !self.ended_by_us.load(Ordering::Relaxed) {
            self.ended_by_peer.store(true, Ordering::Relaxed);
        }
    }

    /// From now on the end that a read comes to is our own.
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
