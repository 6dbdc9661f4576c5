use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use super::cancel::{Cancel, Fired, Registration, Target};
use super::deadline::Deadline;
use super::lifetime::Lifetime;
use super::monitor::{Monitor, Wake};
use crate::error::{Error, Phase, SessionLoss};

/// One blocking call: its phase, which errors name, its deadline, and the handles and the session whose end
/// ends the call sooner.
#[derive(Clone)]
pub(crate) struct Call {
    phase: Phase,
    deadline: Deadline,
    cancels: [Option<Cancel>; 2],
    lifetime: Option<Arc<Lifetime>>,
}

impl Call {
    /// Creates a call that nothing ends.
    pub(crate) const fn new(phase: Phase) -> Self {
        Self {
            phase,
            deadline: Deadline::NEVER,
            cancels: [None, None],
            lifetime: None,
        }
    }

    /// Returns a call that the handle ends too. A call has at most two handles; of more, the last two
    /// count.
    pub(crate) fn or_cancel(self, cancel: &Cancel) -> Self {
        let [first, second] = self.cancels;
        Self {
            cancels: [second.or(first), Some(cancel.clone())],
            ..self
        }
    }

    /// Returns a call that the end of the lifetime ends too.
    pub(crate) fn or_lifetime(self, lifetime: &Arc<Lifetime>) -> Self {
        Self {
            lifetime: Some(Arc::clone(lifetime)),
            ..self
        }
    }

    /// Returns a call that ends at this deadline, unless its own is sooner.
    pub(crate) fn until(self, deadline: Deadline) -> Self {
        Self {
            deadline: self.deadline.sooner(deadline),
            ..self
        }
    }

    /// Returns a call that ends after this time, unless its own deadline is sooner. `None` changes nothing.
    pub(crate) fn within(self, time: Option<Duration>) -> Self {
        self.until(Deadline::after(time))
    }

    /// Returns the same call in another phase.
    pub(crate) fn in_phase(&self, phase: Phase) -> Self {
        Self {
            phase,
            ..self.clone()
        }
    }

    /// Returns the same call without a deadline.
    pub(crate) fn without_deadline(&self) -> Self {
        Self {
            deadline: Deadline::NEVER,
            ..self.clone()
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    pub(crate) fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Fails if the call has been ended.
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`] if a handle has fired, [`Error::SessionLost`] if the lifetime has ended.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.cancels.iter().flatten().any(Cancel::is_cancelled) {
            return Err(Error::Cancelled { phase: self.phase });
        }
        match self.lifetime.as_ref().and_then(|lifetime| lifetime.loss()) {
            Some(loss) => Err(Error::SessionLost(loss)),
            None => Ok(()),
        }
    }

    /// Returns the time that is left; `None` means for ever. It is never zero.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] if nothing is left.
    pub(crate) fn left(&self) -> Result<Option<Duration>, Error> {
        self.deadline.left(self.phase)
    }

    /// Returns the error for a wait that the system ended at the deadline.
    pub(crate) fn expired(&self) -> Error {
        self.deadline.expired(self.phase)
    }

    /// Returns the system's error in this phase.
    pub(crate) fn io_error(&self, source: io::Error) -> Error {
        let phase = self.phase;
        Error::Io { phase, source }
    }

    /// Replaces an error by the reason for which the call ended, if it has ended: the error of a socket
    /// that was shut down during a call does not show the reason.
    pub(crate) fn map_error(&self, error: Error) -> Error {
        self.check().err().unwrap_or(error)
    }

    /// Waits until `look` returns a value. `look` runs under the lock of the monitor.
    ///
    /// # Errors
    ///
    /// Those of [`check`](Call::check) and of `look`, [`Error::Timeout`].
    pub(crate) fn wait_on<T: Send + 'static, R>(
        &self,
        monitor: &Arc<Monitor<T>>,
        mut look: impl FnMut(&mut T) -> Result<Option<R>, Error>,
    ) -> Result<R, Error> {
        let mut value = monitor.lock();
        self.check()?;
        if let Some(found) = look(&mut value)? {
            return Ok(found);
        }
        drop(value);
        // The waiter registers before it looks again: an end between the two would wake no thread.
        let _registered = self.watch_waiter(monitor)?;
        let mut value = monitor.lock();
        loop {
            self.check()?;
            if let Some(found) = look(&mut value)? {
                return Ok(found);
            }
            value = monitor
                .wait(value, self.deadline)
                .ok_or_else(|| self.expired())?;
        }
    }

    /// Waits until the lifetime has ended. If the call ends at the same time, this returns the loss.
    ///
    /// # Errors
    ///
    /// Those of [`check`](Call::check), [`Error::Timeout`].
    pub(crate) fn wait_ended(&self, lifetime: &Arc<Lifetime>) -> Result<SessionLoss, Error> {
        let gate = Monitor::new(());
        // If the waiter cannot register, the lifetime has ended, and the first look finds that.
        let _place = lifetime.register(Target::waiter(&gate));
        let outcome = self.wait_on(&gate, |()| Ok(lifetime.loss()));
        match lifetime.loss() {
            Some(loss) => Ok(loss),
            None => outcome,
        }
    }

    /// Sleeps for this time, or until the deadline if that is sooner.
    ///
    /// # Errors
    ///
    /// Those of [`check`](Call::check), as soon as it fails.
    pub(crate) fn sleep(&self, time: Duration) -> Result<(), Error> {
        let nap = self.clone().within(Some(time));
        match nap.wait_on(&Monitor::new(()), |()| Ok(None)) {
            Err(Error::Timeout { .. }) => Ok(()),
            outcome => outcome,
        }
    }

    /// Makes the end of the call shut this socket down, as long as the returned value is kept.
    pub(crate) fn watch_socket(&self, socket: &Arc<TcpStream>) -> Result<Registered, Error> {
        self.watch(&|| Target::socket(socket))
    }

    /// Makes the end of the call wake this waiter, as long as the returned value is kept.
    pub(crate) fn watch_waiter<W: Wake + 'static>(
        &self,
        waiter: &Arc<W>,
    ) -> Result<Registered, Error> {
        self.watch(&|| Target::waiter(waiter))
    }

    fn watch(&self, target: &dyn Fn() -> Target) -> Result<Registered, Error> {
        let phase = self.phase;
        let [first, second] = &self.cancels;
        let register = |cancel: &Option<Cancel>| {
            let registration = cancel.as_ref().map(|by| by.registry().register(target()));
            registration
                .transpose()
                .map_err(|Fired| Error::Cancelled { phase })
        };
        let cancels = [register(first)?, register(second)?];
        let lifetime = match &self.lifetime {
            None => None,
            Some(lifetime) => Some(lifetime.register(target())?),
        };
        Ok(Registered { cancels, lifetime })
    }
}

/// The places of one call in the registries of its handles and its lifetime.
pub(crate) struct Registered {
    cancels: [Option<Registration>; 2],
    lifetime: Option<Registration>,
}

impl Registered {
    pub(crate) fn with_lifetime(lifetime: Option<Registration>) -> Self {
        Self {
            cancels: [None, None],
            lifetime,
        }
    }

    /// Leaves the registries of the handles, which cannot reach the socket any more. Returns the place that
    /// ties the socket to its session.
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`] if a handle has fired; the socket is, or is about to be, shut down.
    pub(crate) fn release(self, phase: Phase) -> Result<Option<Registration>, Error> {
        let mut cancels = self.cancels.into_iter().flatten();
        if cancels.any(|cancel| !cancel.withdraw()) {
            return Err(Error::Cancelled { phase });
        }
        Ok(self.lifetime)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(10);
    const PHASE: Phase = Phase::Accept;

    /// Runs the call's wait on a monitor that never changes, and returns the channel of its outcome.
    fn waiting(call: Call) -> mpsc::Receiver<Error> {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let outcome = call.wait_on(&Monitor::new(()), |()| Ok(None::<()>));
            sender.send(outcome.unwrap_err()).unwrap();
        });
        receiver
    }

    #[test]
    fn call_in_another_phase_fails_in_that_phase() {
        let cancel = Cancel::new();
        cancel.cancel();
        let call = Call::new(PHASE).or_cancel(&cancel).in_phase(Phase::Hello);
        let error = call.check().unwrap_err();
        assert_eq!(error.phase(), Some(Phase::Hello));
    }

    #[test]
    fn wait_cancelled_by_either_handle_fails() {
        for fired in [0, 1] {
            let cancels = [Cancel::new(), Cancel::new()];
            let call = Call::new(PHASE).or_cancel(&cancels[0]);
            let outcome = waiting(call.or_cancel(&cancels[1]));
            cancels[fired].cancel();
            let error = outcome.recv_timeout(LONG).unwrap();
            assert!(matches!(error, Error::Cancelled { phase: PHASE }));
        }
    }

    #[test]
    fn wait_lifetime_ended_fails_with_the_loss() {
        let lifetime = Lifetime::new(None);
        let outcome = waiting(Call::new(PHASE).or_lifetime(&lifetime));
        lifetime.end(SessionLoss::Disconnected);
        let error = outcome.recv_timeout(LONG).unwrap();
        assert!(matches!(
            error,
            Error::SessionLost(SessionLoss::Disconnected)
        ));
    }

    #[test]
    fn wait_deadline_passed_fails_with_timeout() {
        let call = Call::new(PHASE).within(Some(Duration::from_millis(1)));
        assert!(waiting(call).recv_timeout(LONG).unwrap().is_timeout());
    }

    #[test]
    fn wait_value_found_after_the_end_still_fails() {
        let cancel = Cancel::new();
        let call = Call::new(PHASE).or_cancel(&cancel);
        cancel.cancel();
        assert!(call.wait_on(&Monitor::new(()), |()| Ok(Some(()))).is_err());
    }

    #[test]
    fn wait_ended_on_its_own_lifetime_returns_the_loss() {
        let lifetime = Lifetime::new(None);
        let call = Call::new(Phase::WaitClosed).or_lifetime(&lifetime);
        let (sender, receiver) = mpsc::channel();
        let awaited = Arc::clone(&lifetime);
        thread::spawn(move || sender.send(call.wait_ended(&awaited)).unwrap());
        lifetime.end(SessionLoss::Disconnected);
        let outcome = receiver.recv_timeout(LONG).unwrap();
        assert_eq!(outcome.unwrap(), SessionLoss::Disconnected);
    }

    #[test]
    fn wait_ended_cancelled_after_the_loss_returns_the_loss() {
        let (lifetime, cancel) = (Lifetime::new(None), Cancel::new());
        lifetime.end(SessionLoss::Disconnected);
        cancel.cancel();
        let call = Call::new(Phase::WaitClosed).or_cancel(&cancel);
        assert!(call.wait_ended(&lifetime).is_ok());
    }

    #[test]
    fn wait_ended_in_time_fails_with_timeout() {
        let call = Call::new(Phase::WaitClosed).within(Some(Duration::from_millis(1)));
        let outcome = call.wait_ended(&Lifetime::new(None));
        assert!(outcome.unwrap_err().is_timeout());
    }

    #[test]
    fn sleep_undisturbed_lasts_its_time() {
        let (start, time) = (Instant::now(), Duration::from_millis(20));
        Call::new(PHASE).sleep(time).unwrap();
        assert!(start.elapsed() >= time);
    }

    #[test]
    fn sleep_cancelled_fails_at_once() {
        let cancel = Cancel::new();
        cancel.cancel();
        let call = Call::new(PHASE).or_cancel(&cancel);
        assert!(matches!(call.sleep(LONG), Err(Error::Cancelled { .. })));
    }

    #[test]
    fn deadlines_the_sooner_counts() {
        let call = Call::new(PHASE)
            .within(Some(Duration::ZERO))
            .within(Some(LONG));
        assert!(call.left().unwrap_err().is_timeout());
        assert_eq!(call.without_deadline().left().unwrap(), None);
    }

    #[test]
    fn handle_fired_before_release_fails_it() {
        let cancel = Cancel::new();
        let call = Call::new(PHASE).or_cancel(&cancel);
        let waiter = Monitor::new(());
        let (first, second) = (call.watch_waiter(&waiter), call.watch_waiter(&waiter));
        assert!(first.unwrap().release(PHASE).is_ok());
        cancel.cancel();
        assert!(second.unwrap().release(PHASE).is_err());
    }
}
