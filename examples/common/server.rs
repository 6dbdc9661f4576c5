//! A server for real use: a thread for each connection, within limits, with an orderly end.

#![allow(dead_code, reason = "each example and test uses a part of it")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::iter;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use i2p_sam::{Cancel, SamListener, SamStream};

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Returns an error with its causes: an error's `Display` does not repeat the text of its source.
pub(crate) fn in_full(error: &(dyn Error + 'static)) -> String {
    let causes = iter::successors(Some(error), |&error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}

/// The time that threads get to notice the end of their streams before the server returns without
/// them.
const BREATH: Duration = Duration::from_secs(2);

/// The limits of a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The most connections at once, and therefore threads. While that many run, none is accepted:
    /// further callers wait in the session's backlog, and after that at the router.
    pub(crate) connections: usize,
    /// The bytes of stack for each thread. The system supplies only the pages that are used, so
    /// this costs address space rather than memory. A handler's data and the report of a panic must
    /// fit.
    pub(crate) stack: usize,
    /// The longest time from a connection's accept to its end, even if it is active.
    pub(crate) time: Duration,
    /// The time that running connections get after the server is stopped.
    pub(crate) grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            stack: 128 * 1024,
            time: Duration::from_secs(600),
            grace: Duration::from_secs(60),
        }
    }
}

/// Serves the streams of a listener until it is stopped.
pub(crate) struct Server {
    limits: Limits,
    cancel: Cancel,
    state: Mutex<State>,
    changed: Condvar,
}

impl Server {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            cancel: Cancel::new(),
            state: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    /// Runs the handler for each incoming stream, on its own thread. The stream ends when the
    /// handler returns.
    ///
    /// Returns after the server was stopped and its connections have ended or were ended.
    ///
    /// # Errors
    ///
    /// Returns the listener's error if no more streams can come; running connections may finish in
    /// that case too.
    pub(crate) fn serve<H: Handler>(
        self: &Arc<Self>,
        listener: SamListener,
        handler: H,
    ) -> Result<(), i2p_sam::Error> {
        let accepting = listener.with_cancel(&self.cancel);
        drop(listener);
        let outcome = self.accept(&accepting, &Arc::new(handler));
        // Drops the last listener: from now on the session closes new streams.
        drop(accepting);
        self.finish();
        outcome
    }

    /// Stops accepting. Running connections may finish within the grace time.
    pub(crate) fn stop(&self) {
        self.cancel.cancel();
        // Holds the lock, so that a thread about to wait does not miss the notification.
        let _state = self.lock();
        self.changed.notify_all();
    }

    /// Stops at Ctrl-C, and when the system asks the process to end. A second signal ends it at
    /// once.
    pub(crate) fn stop_on_ctrl_c(self: &Arc<Self>) -> Outcome {
        let server = Arc::clone(self);
        ctrlc::set_handler(move || {
            if server.cancel.is_cancelled() {
                std::process::exit(130);
            }
            let running = server.lock().running;
            eprintln!("Stopping; {running} are running. Ctrl-C again ends it at once.");
            server.stop();
        })?;
        Ok(())
    }

    pub(crate) fn stats(&self) -> Counters {
        self.lock().counters
    }

    fn accept<H: Handler>(
        self: &Arc<Self>,
        listener: &SamListener,
        handler: &Arc<H>,
    ) -> Result<(), i2p_sam::Error> {
        loop {
            self.wait(None, |state| {
                state.running < self.limits.connections || self.cancel.is_cancelled()
            });
            let left = self.lock().end_overdue();
            match listener.accept_timeout(left) {
                Ok((stream, _)) => self.start(stream, handler),
                Err(i2p_sam::Error::Timeout { .. }) => {}
                Err(i2p_sam::Error::Cancelled { .. }) => return Ok(()),
                Err(error) if error.is_final() => return Err(error),
                // The library retries by itself, with pauses.
                Err(error) => eprintln!("accept: {}", in_full(&error)),
            }
        }
    }

    fn start<H: Handler>(self: &Arc<Self>, stream: SamStream, handler: &Arc<H>) {
        let peer = stream.peer_addr().to_string();
        let slot = Slot::take(self, &stream);
        let handler = Arc::clone(handler);
        let thread = thread::Builder::new().stack_size(self.limits.stack);
        // A stream without a thread is counted and closed with its slot.
        if let Err(error) = thread.spawn(move || slot.run(stream, &*handler)) {
            eprintln!("{peer}: no thread: {error}");
        }
    }

    /// Waits until the running connections have ended, and ends those that exceed their time.
    fn finish(&self) {
        let none = |state: &State| state.running == 0;
        self.wait(Some(self.limits.grace), none);
        self.lock().cut_off();
        self.wait(Some(BREATH), none);
    }

    /// Waits for a condition, and meanwhile ends the connections whose time has expired.
    fn wait(&self, patience: Option<Duration>, done: impl Fn(&State) -> bool) {
        let until = patience.and_then(|patience| Instant::now().checked_add(patience));
        let mut state = self.lock();
        while !done(&state) {
            let left = until.map_or(Duration::MAX, left_until);
            if left.is_zero() {
                return;
            }
            let next = state.end_overdue().min(left);
            state = self
                .changed
                .wait_timeout(state, next)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics in the middle of a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The function that serves a stream.
///
/// It only borrows the stream: the server ends the stream when the handler returns or its time
/// expires. Reads and writes then fail, or read as if the peer had closed.
pub(crate) trait Handler: Fn(&SamStream) -> Outcome + Send + Sync + 'static {}

impl<H: Fn(&SamStream) -> Outcome + Send + Sync + 'static> Handler for H {}

/// The results so far. Each accepted connection that has ended counts in one of the other fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) accepted: u64,
    pub(crate) served: u64,
    /// The handler returned an error, or there was no thread for it.
    pub(crate) failed: u64,
    pub(crate) panicked: u64,
    pub(crate) timed_out: u64,
    /// The handler was still running when the server had to end.
    pub(crate) cut_off: u64,
    pub(crate) most_at_once: usize,
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} accepted: {} served, {} failed, {} panicked, {} timed out, {} cut off; \
             {} at once at most",
            self.accepted,
            self.served,
            self.failed,
            self.panicked,
            self.timed_out,
            self.cut_off,
            self.most_at_once
        )
    }
}

#[derive(Default)]
struct State {
    /// In order of arrival, which is the order in which their time expires. Ended streams are
    /// removed.
    open: BTreeMap<u64, Open>,
    /// The number of threads, including those that have not yet noticed the end of their streams.
    running: usize,
    counters: Counters,
}

struct Open {
    stream: SamStream,
    /// `None` if the time is beyond the clock's range.
    ends: Option<Instant>,
}

impl State {
    /// Ends the streams whose time has expired, and returns the time until the next one expires.
    /// Shutting down a socket does not block.
    fn end_overdue(&mut self) -> Duration {
        while let Some(first) = self.open.first_entry() {
            let Some(ends) = first.get().ends else {
                break;
            };
            let left = left_until(ends);
            if !left.is_zero() {
                return left;
            }
            first.remove().end();
            self.counters.timed_out += 1;
        }
        Duration::MAX
    }

    fn cut_off(&mut self) {
        for open in std::mem::take(&mut self.open).into_values() {
            open.end();
            self.counters.cut_off += 1;
        }
    }
}

impl Open {
    fn end(&self) {
        // It fails only if there is no connection left to end.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

/// The place of one connection among the running ones; dropping it frees the place, however the
/// handler ended.
struct Slot {
    server: Arc<Server>,
    number: u64,
    served: bool,
}

impl Slot {
    fn take(server: &Arc<Server>, stream: &SamStream) -> Self {
        let ends = Instant::now().checked_add(server.limits.time);
        let mut state = server.lock();
        let number = state.counters.accepted;
        state.counters.accepted += 1;
        state.running += 1;
        state.counters.most_at_once = state.counters.most_at_once.max(state.running);
        // It cannot fail: it is another handle to the same descriptor.
        if let Ok(stream) = stream.try_clone() {
            state.open.insert(number, Open { stream, ends });
        }
        Self {
            server: Arc::clone(server),
            number,
            served: false,
        }
    }

    fn run(mut self, stream: SamStream, handler: &impl Handler) {
        match handler(&stream) {
            Ok(()) => self.served = true,
            Err(error) => eprintln!("{}: {}", stream.peer_addr(), in_full(&*error)),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // The stream is closed before its place is free: the limits cover descriptors too.
        let open = self.server.lock().open.remove(&self.number);
        let in_time = open.is_some();
        drop(open);
        let mut state = self.server.lock();
        state.running -= 1;
        let counters = &mut state.counters;
        match (in_time, self.served) {
            // It was counted when its stream was ended.
            (false, _) => {}
            (true, true) => counters.served += 1,
            (true, false) if thread::panicking() => counters.panicked += 1,
            (true, false) => counters.failed += 1,
        }
        self.server.changed.notify_all();
    }
}

fn left_until(end: Instant) -> Duration {
    end.saturating_duration_since(Instant::now())
}
