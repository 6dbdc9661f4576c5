use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::error::{Error, Phase};
use crate::interrupts::{Interrupts, lock, wait};
use crate::sync::{Deadline, Wake};

/// The streams of a session that are open, for whoever waits for their end.
#[derive(Default)]
pub(crate) struct Streams {
    state: Mutex<State>,
    changed: Condvar,
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
        lock(&self.state).open += 1;
        OpenStream {
            streams: Arc::clone(self),
            ended_by_peer: AtomicBool::new(false),
            ended_by_us: AtomicBool::new(false),
        }
    }

    /// Waits until no stream is open, and then, if a peer had not hung up on one, until what was
    /// written last has had this time to arrive. Fails if streams are open at the deadline.
    pub(crate) fn wait(
        self: &Arc<Self>,
        linger: Duration,
        deadline: Deadline,
        interrupts: &Interrupts,
    ) -> Result<(), Error> {
        let phase = Phase::Finish;
        let _watch = interrupts.watch_waiter(self, phase)?;
        let mut state = lock(&self.state);
        loop {
            interrupts.check(phase)?;
            if state.open > 0 {
                state = wait(&self.changed, state, phase, deadline)?;
                continue;
            }
            let passed = state.left_at.map_or(linger, |at| at.elapsed());
            let left = linger.saturating_sub(passed);
            if left.is_zero() {
                return Ok(());
            }
            let lingered = deadline.sooner(Deadline::after(Some(left)));
            state = match wait(&self.changed, state, phase, lingered) {
                Ok(woken) => woken,
                Err(_) => return Ok(()),
            };
        }
    }
}

impl Wake for Streams {
    fn wake(&self) {
        let _state = lock(&self.state);
        self.changed.notify_all();
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
        let mut state = lock(&self.streams.state);
        state.open -= 1;
        if !self.ended_by_peer.load(Ordering::Relaxed) {
            state.left_at = Some(Instant::now());
        }
        drop(state);
        self.streams.changed.notify_all();
    }
}
