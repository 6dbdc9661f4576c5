use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Phase};
use crate::session::Control;
use crate::sync::{Cancel, Deadline, Fired, Registration, Target, Wake};

/// What may end one call before its deadline: the user's handle, perhaps another, and the loss of the
/// session it is made on.
#[derive(Clone, Default)]
pub(crate) struct Interrupts {
    cancels: [Option<Cancel>; 2],
    session: Option<Arc<Control>>,
}

impl Interrupts {
    pub(crate) fn by_cancel(cancel: &Cancel) -> Self {
        Self {
            cancels: [Some(cancel.clone()), None],
            session: None,
        }
    }

    /// By another handle as well.
    pub(crate) fn or_cancel(self, other: &Cancel) -> Self {
        let [first, _] = self.cancels;
        Self {
            cancels: [first, Some(other.clone())],
            ..self
        }
    }

    pub(crate) fn by_session(session: &Arc<Control>) -> Self {
        Self {
            cancels: [None, None],
            session: Some(Arc::clone(session)),
        }
    }

    pub(crate) fn or_session(mut self, session: &Arc<Control>) -> Self {
        self.session = Some(Arc::clone(session));
        self
    }

    /// Fails when one of them has struck.
    pub(crate) fn check(&self, phase: Phase) -> Result<(), Error> {
        if self.cancels.iter().flatten().any(Cancel::is_cancelled) {
            return Err(Error::Cancelled { phase });
        }
        match self.session.as_ref().and_then(|session| session.loss()) {
            Some(loss) => Err(Error::SessionLost(loss)),
            None => Ok(()),
        }
    }

    /// Sleeps until the deadline.
    ///
    /// # Errors
    ///
    /// Those of [`check`](Interrupts::check), as soon as one of them strikes.
    pub(crate) fn sleep(&self, phase: Phase, until: Deadline) -> Result<(), Error> {
        // Nobody brings a value.
        match Handoff::<()>::new().wait(phase, until, self) {
            Err(Error::Timeout { .. }) => Ok(()),
            outcome => outcome,
        }
    }

    /// An error as the caller should see it: a socket that was shut down under a call tells
    /// nothing about why.
    pub(crate) fn explain(&self, phase: Phase, error: Error) -> Error {
        self.check(phase).err().unwrap_or(error)
    }

    /// From now on a strike shuts this socket down.
    pub(crate) fn watch_socket(
        &self,
        socket: &Arc<TcpStream>,
        phase: Phase,
    ) -> Result<Watch, Error> {
        self.watch(phase, || Target::socket(socket))
    }

    /// From now on a strike wakes this waiter.
    pub(crate) fn watch_waiter<W: Wake + 'static>(
        &self,
        waiter: &Arc<W>,
        phase: Phase,
    ) -> Result<Watch, Error> {
        self.watch(phase, || {
            let waiter: Arc<dyn Wake> = Arc::clone(waiter) as _;
            Target::Waiter(Arc::downgrade(&waiter))
        })
    }

    fn watch(&self, phase: Phase, target: impl Fn() -> Target) -> Result<Watch, Error> {
        let [first, second] = &self.cancels;
        let register = |cancel: &Option<Cancel>| {
            let registration = cancel.as_ref().map(|by| by.registry().register(target()));
            registration
                .transpose()
                .map_err(|Fired| Error::Cancelled { phase })
        };
        let cancels = [register(first)?, register(second)?];
        let session = match &self.session {
            None => None,
            Some(session) => Some(session.register(target())?),
        };
        Ok(Watch { cancels, session })
    }
}

/// The places of one call in the registries of what may end it.
pub(crate) struct Watch {
    cancels: [Option<Registration>; 2],
    session: Option<Registration>,
}

impl Watch {
    pub(crate) fn of_session(session: Option<Registration>) -> Self {
        Self {
            cancels: [None, None],
            session,
        }
    }

    /// The call is over: the user's handle cannot reach its socket any more. What is left ties
    /// the socket to its session.
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`] when the handle came first; the socket is, or is about to be, shut
    /// down.
    pub(crate) fn release(self, phase: Phase) -> Result<Option<Registration>, Error> {
        let mut cancels = self.cancels.into_iter().flatten();
        if cancels.any(|cancel| !cancel.disarm()) {
            return Err(Error::Cancelled { phase });
        }
        Ok(self.session)
    }
}

/// One value that one thread waits for and another brings.
pub(crate) struct Handoff<T> {
    slot: Mutex<Option<T>>,
    changed: Condvar,
}

impl<T: Send + 'static> Handoff<T> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            slot: Mutex::new(None),
            changed: Condvar::new(),
        })
    }

    pub(crate) fn bring(&self, value: T) {
        *lock(&self.slot) = Some(value);
        self.changed.notify_all();
    }

    pub(crate) fn wait(
        self: &Arc<Self>,
        phase: Phase,
        deadline: Deadline,
        interrupts: &Interrupts,
    ) -> Result<T, Error> {
        let _watch = interrupts.watch_waiter(self, phase)?;
        let mut slot = lock(&self.slot);
        loop {
            interrupts.check(phase)?;
            if let Some(value) = slot.take() {
                return Ok(value);
            }
            slot = wait(&self.changed, slot, phase, deadline)?;
        }
    }
}

impl<T: Send> Wake for Handoff<T> {
    fn wake(&self) {
        let _slot = lock(&self.slot);
        self.changed.notify_all();
    }
}

/// Locks what no thread leaves half changed, even if it panics.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits to be woken, or for the deadline; may return for no reason, as condition variables do.
pub(crate) fn wait<'a, T>(
    changed: &Condvar,
    guard: MutexGuard<'a, T>,
    phase: Phase,
    deadline: Deadline,
) -> Result<MutexGuard<'a, T>, Error> {
    match deadline.left(phase)? {
        None => Ok(changed.wait(guard).unwrap_or_else(PoisonError::into_inner)),
        Some(left) => Ok(changed
            .wait_timeout(guard, left)
            .unwrap_or_else(PoisonError::into_inner)
            .0),
    }
}
