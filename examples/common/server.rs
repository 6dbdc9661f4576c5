//! A server that is fit for use: a thread for each connection, within bounds, that stops when told.

#![allow(dead_code, reason = "each example and test uses a part of it")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::iter;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use i2p_sam::{Cancel, ResultCode, SamListener, SamStream};

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// An error with its causes: `Display` of an error does not repeat what its source says.
pub(crate) fn in_full(error: &(dyn Error + 'static)) -> String {
    let causes = iter::successors(Some(error), |&error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}

/// What threads get to notice that their streams were ended, before they are left behind.
const BREATH: Duration = Duration::from_secs(2);

/// What a server may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections at once, and so threads. While so many run none is accepted: who dials waits in
    /// the session's backlog, and behind it at the router.
    pub(crate) connections: usize,
    /// Bytes of stack a thread has. The system gives only what is touched, so it costs addresses
    /// rather than memory; what a handler puts on the stack, and the report of a panic, must fit.
    pub(crate) stack: usize,
    /// How long a connection may take, from its accept to its end, however busy it is.
    pub(crate) time: Duration,
    /// How much longer what runs may run when the server is stopped.
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

/// Serves what a listener accepts, until it is stopped.
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

    /// Runs the handler for each stream that comes in, on a thread of its own. The stream ends when
    /// the handler returns.
    ///
    /// Returns when the server was stopped and what ran has ended, or had to.
    ///
    /// # Errors
    ///
    /// The listener's, when nothing more can come; what runs is let finish then, too.
    pub(crate) fn serve<H: Handler>(
        self: &Arc<Self>,
        listener: SamListener,
        handler: H,
    ) -> Result<(), i2p_sam::Error> {
        let accepting = listener.with_cancel(&self.cancel);
        drop(listener);
        let outcome = self.accept(&accepting, &Arc::new(handler));
        // With the last listener: whoever dials from now on is hung up on.
        drop(accepting);
        self.finish();
        outcome
    }

    /// Accepts nobody any more. What runs is let finish, within the time of grace.
    pub(crate) fn stop(&self) {
        self.cancel.cancel();
        // Under the lock, or who is about to wait would miss it.
        let _state = self.lock();
        self.changed.notify_all();
    }

    /// Stops at Ctrl-C, and when the system asks the process to end. Asked again, it ends at once.
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

    pub(crate) fn counters(&self) -> Counters {
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
                Err(error) if is_final(&error) => return Err(error),
                // The library tries again by itself, and takes its time over it.
                Err(error) => eprintln!("accept: {}", in_full(&error)),
            }
        }
    }

    fn start<H: Handler>(self: &Arc<Self>, stream: SamStream, handler: &Arc<H>) {
        let peer = stream.peer_addr().to_string();
        let slot = Slot::take(self, &stream);
        let handler = Arc::clone(handler);
        let thread = thread::Builder::new().stack_size(self.limits.stack);
        // A stream for which there is no thread is counted and closed with its slot.
        if let Err(error) = thread.spawn(move || slot.run(stream, &*handler)) {
            eprintln!("{peer}: no thread: {error}");
        }
    }

    /// Waits until what runs has ended; ends it, when it does not.
    fn finish(&self) {
        let none = |state: &State| state.running == 0;
        self.wait(Some(self.limits.grace), none);
        self.lock().cut_off();
        self.wait(Some(BREATH), none);
    }

    /// Waits for something, and ends who runs out of time meanwhile.
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
        // Nothing in here panics half way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is done with a stream.
///
/// It may borrow the stream, no more: the server ends it when the handler returns or its time is
/// up. Reads and writes then fail, or read as if the peer had hung up.
pub(crate) trait Handler: Fn(&SamStream) -> Outcome + Send + Sync + 'static {}

impl<H: Fn(&SamStream) -> Outcome + Send + Sync + 'static> Handler for H {}

/// What has happened so far. Each accepted connection that has ended is in one of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) accepted: u64,
    pub(crate) served: u64,
    /// The handler gave an error, or there was no thread for it.
    pub(crate) failed: u64,
    pub(crate) panicked: u64,
    pub(crate) timed_out: u64,
    /// Ran on when the server had to end.
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
    /// By the order they came in, which is that in which their time is up. What was ended has left.
    open: BTreeMap<u64, Open>,
    /// Threads, with those whose stream was ended and that have not noticed.
    running: usize,
    counters: Counters,
}

struct Open {
    stream: SamStream,
    /// `None` is beyond what the clock can hold.
    ends: Option<Instant>,
}

impl State {
    /// Ends the streams whose time is up, and says how long it is until the next one's. Shutting a
    /// socket down does not block.
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
        // It fails only where there is no connection any more to be ended.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

/// The place of one connection among those that may run; free again when it is dropped, however
/// the handler ended.
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
        // The stream is closed before its place is free: bounds are for descriptors, too.
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

/// Whether every later `accept` fails as well.
fn is_final(error: &i2p_sam::Error) -> bool {
    match error {
        i2p_sam::Error::ForwardLost(_) => true,
        i2p_sam::Error::Refused(refusal) => *refusal.code() == ResultCode::AlreadyAccepting,
        error => error.is_session_lost(),
    }
}
