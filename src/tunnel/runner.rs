use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Phase};
use crate::stream::SamStream;
use crate::sync::{Backoff, Call, Cancel, Deadline, Monitor, spawn_for_program};
use crate::tunnel::relay::{Relay, Traffic};
use crate::tunnel::{TunnelError, TunnelExit, TunnelOptions, TunnelStats};

/// Longest wait for threads whose sockets have been shut down.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A running tunnel of either kind: one thread that accepts, and the threads of each connection.
///
/// The threads hold this value. When the program drops its handle, the handle fires `all` or `accepting`,
/// which unblocks the thread that accepts and shuts down the sockets of the connections.
pub(super) struct TunnelRunner {
    options: TunnelOptions,
    /// Ends everything.
    all: Cancel,
    /// Ends the accepting. It fires with `all`.
    accepting: Cancel,
    state: Arc<Monitor<State>>,
    traffic: Traffic,
}

struct State {
    accepts: bool,
    end: Option<TunnelExit>,
    open: usize,
    accepted: u64,
    refused: u64,
    broken: u64,
}

/// The two ends of a connection.
pub(super) type Ends = (TcpStream, SamStream);

impl TunnelRunner {
    /// Creates a tunnel that does not run yet.
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`] if the handle has fired.
    pub(super) fn new(options: &TunnelOptions) -> Result<Arc<Self>, Error> {
        let all = options.cancel().child();
        Call::new(Phase::Accept).or_cancel(&all).check()?;
        Ok(Arc::new(Self {
            options: options.clone(),
            accepting: all.child(),
            all,
            state: Monitor::new(State {
                accepts: true,
                end: None,
                open: 0,
                accepted: 0,
                refused: 0,
                broken: 0,
            }),
            traffic: Traffic::default(),
        }))
    }

    pub(super) fn options(&self) -> &TunnelOptions {
        &self.options
    }

    /// Returns the handle that ends everything.
    pub(super) fn all(&self) -> &Cancel {
        &self.all
    }

    /// Returns the handle that ends the accepting.
    pub(super) fn accepting(&self) -> &Cancel {
        &self.accepting
    }

    /// Starts to accept, on a thread of its own. `open` opens the other end of an accepted connection.
    pub(super) fn start<T: Send + 'static>(
        self: &Arc<Self>,
        accept: impl Fn() -> Result<T, Error> + Send + 'static,
        open: impl Fn(T, &Self) -> Result<Ends, TunnelError> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let running = Arc::clone(self);
        let open = Arc::new(open);
        let work = move || {
            let end = running.accept_all(&accept, &open);
            // The listener is dropped before the end of the accepting is reported.
            drop(accept);
            running.end(end);
            running.state.update(|state| state.accepts = false);
        };
        spawn_for_program("i2p-sam-tunnel", work).map_err(Error::io(Phase::Accept))
    }

    fn accept_all<T: Send + 'static>(
        self: &Arc<Self>,
        accept: &impl Fn() -> Result<T, Error>,
        open: &Arc<impl Fn(T, &Self) -> Result<Ends, TunnelError> + Send + Sync + 'static>,
    ) -> TunnelExit {
        let mut backoff = Backoff::for_accept();
        while self.wait_for_room() {
            let outcome = accept().and_then(|accepted| match self.accepting.is_cancelled() {
                true => Ok(()),
                false => self.take_in(accepted, open),
            });
            match outcome {
                Ok(()) => backoff.reset(),
                Err(_) if self.accepting.is_cancelled() => break,
                Err(error) if error.is_final() => return TunnelExit::Lost(Arc::new(error)),
                Err(error) => {
                    self.options.report(&TunnelError::Accept(Arc::new(error)));
                    // The pause ends sooner if nothing more is accepted.
                    let _ = self.accept_call().sleep(backoff.next_delay());
                }
            }
        }
        TunnelExit::Closed
    }

    /// Carries a connection on threads of its own.
    fn take_in<T: Send + 'static>(
        self: &Arc<Self>,
        accepted: T,
        open: &Arc<impl Fn(T, &Self) -> Result<Ends, TunnelError> + Send + Sync + 'static>,
    ) -> Result<(), Error> {
        let place = Place::take(self);
        let open = Arc::clone(open);
        let carry = move || {
            let running = &place.0;
            let relay = |ends| Relay::new(ends, &running.options, &running.all, &running.traffic);
            let outcome = open(accepted, running).and_then(|ends| relay(ends).carry());
            if let Err(failure) = outcome {
                running.count(&failure);
            }
        };
        spawn_for_program("i2p-sam-tunnel", carry).map_err(Error::io(Phase::Accept))
    }

    /// Counts and reports a failed connection. A connection that we ended ourselves is not a failure.
    fn count(&self, failure: &TunnelError) {
        if self.all.is_cancelled() {
            return;
        }
        {
            let mut state = self.state.lock();
            match failure {
                TunnelError::Peer(_) | TunnelError::Service(_) => state.refused += 1,
                _ => state.broken += 1,
            }
        }
        self.options.report(failure);
    }

    pub(super) fn stats(&self) -> TunnelStats {
        let state = self.state.lock();
        TunnelStats {
            accepted: state.accepted,
            open: state.open,
            refused: state.refused,
            broken: state.broken,
            sent: self.traffic.sent(),
            received: self.traffic.received(),
        }
    }

    /// Accepts no more connections, for this reason; an earlier reason stays.
    pub(super) fn end(&self, end: TunnelExit) {
        self.state.lock().end.get_or_insert(end);
        self.accepting.cancel();
    }

    /// Returns the reason why the tunnel accepts no more connections; `None` while it accepts.
    pub(super) fn ended(&self) -> Option<TunnelExit> {
        let state = self.state.lock();
        state.end.clone().filter(|_| !state.accepts)
    }

    /// Waits until the tunnel accepts no more connections.
    pub(super) fn wait_end(&self, timeout: Option<Duration>) -> Option<TunnelExit> {
        self.wait_until(Deadline::after(timeout), |state| !state.accepts);
        self.ended()
    }

    /// Accepts no more connections, and ends the open ones.
    pub(super) fn close(&self) {
        self.end(TunnelExit::Closed);
        self.all.cancel();
        self.wait_until(Deadline::after(Some(CLOSE_TIMEOUT)), State::is_over);
    }

    /// Accepts no more connections, and ends those still open after a time. Returns true if none was.
    pub(super) fn shut_down(&self, time: Duration) -> bool {
        self.end(TunnelExit::Closed);
        let finished = self.wait_until(Deadline::after(Some(time)), State::is_over);
        self.close();
        finished
    }

    fn wait_until(&self, deadline: Deadline, holds: impl Fn(&State) -> bool) -> bool {
        let holds = |state: &mut State| holds(state).then_some(());
        self.state.wait_until(deadline, holds).is_some()
    }

    /// Waits until there is room for another connection. Returns false if nothing more is accepted.
    fn wait_for_room(&self) -> bool {
        let most = self.options.most();
        let room = |state: &mut State| Ok((state.open < most).then_some(()));
        self.accept_call().wait_on(&self.state, room).is_ok()
    }

    /// Returns a call that ends when nothing more is accepted.
    pub(super) fn accept_call(&self) -> Call {
        Call::new(Phase::Accept).or_cancel(&self.accepting)
    }
}

impl State {
    fn is_over(&self) -> bool {
        !self.accepts && self.open == 0
    }
}

/// One of the places for open connections.
struct Place(Arc<TunnelRunner>);

impl Place {
    fn take(running: &Arc<TunnelRunner>) -> Self {
        let mut state = running.state.lock();
        state.open += 1;
        state.accepted += 1;
        drop(state);
        Self(Arc::clone(running))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.state.update(|state| state.open -= 1);
    }
}
