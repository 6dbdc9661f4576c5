use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::error::{Error, Phase, SessionLoss};
use crate::primary::ports::PortReservation;
use crate::session::control::{ControlSocket, PendingAnswer};
use crate::session::{SessionEnd, SessionGuard};
use crate::sync::{Call, Lifetime, Registration, lock, spawn};
use crate::wire::Command;

/// The end of a subsession: the bridge removes it from its primary session, which goes on, or it ends with
/// the primary session.
pub(super) struct Subsession {
    /// The control socket of the primary session.
    control: Arc<ControlSocket>,
    lifetime: Arc<Lifetime>,
    id: String,
    /// Kept until the removal is sent.
    link: Mutex<Option<Link>>,
    removal: Mutex<Option<PendingAnswer>>,
}

/// Keeps the primary session alive, and reserves the port of the subsession.
struct Link {
    _primary: SessionGuard,
    _ports: PortReservation,
    /// Ends the subsession's dependents with the primary session.
    _joined: Option<Registration>,
}

impl Subsession {
    /// Links a subsession that was just added to its primary session.
    pub(super) fn new(
        primary: &SessionGuard,
        id: &str,
        ports: PortReservation,
    ) -> Result<Self, Error> {
        let core = primary.core();
        let lifetime = Lifetime::new(Some(core.lifetime()));
        let link = Link {
            _primary: primary.clone(),
            _ports: ports,
            _joined: lifetime.join_parent()?,
        };
        Ok(Self {
            control: Arc::clone(&core.control),
            lifetime,
            id: id.to_owned(),
            link: Mutex::new(Some(link)),
            removal: Mutex::default(),
        })
    }

    /// Waits for this time, or until the primary session ends.
    fn wait(&self, time: Duration) {
        let call = Call::new(Phase::WaitClosed).within(Some(time));
        let _ = call.wait_ended(self.control.lifetime());
    }

    /// Ends everything that depends on the subsession, and removes it.
    fn end(&self) {
        if self.lifetime.end(SessionLoss::Closed) {
            self.remove();
        }
    }

    /// Sends the removal, and releases the port and the primary session. If the primary session has ended,
    /// nothing is sent.
    fn remove(&self) {
        // An id that the library created contains no character that cannot be sent.
        let command = Command::session_remove(&self.id).ok();
        let primary = self.control.lifetime();
        if let Some(command) = command.filter(|_| !primary.has_ended()) {
            *lock(&self.removal) = Some(self.control.remove_subsession(&self.id, command));
        }
        // Dropped without the lock: it may close the primary session.
        let link = lock(&self.link).take();
        drop(link);
    }

    /// Waits until the bridge has answered the removal, for at most 2 s.
    fn await_removal(&self) {
        let Some(removal) = lock(&self.removal).take() else {
            return;
        };
        let call = Call::new(Phase::WaitClosed)
            .or_lifetime(self.control.lifetime())
            .within(Some(self.control.removal_patience()));
        // Java I2P may have lost the subsession, and emissary does not answer: both end the
        // wait.
        let _ = call.wait_on(&removal, |answer| Ok(answer.take()));
    }
}

impl SessionEnd for Subsession {
    fn lifetime(&self) -> &Arc<Lifetime> {
        &self.lifetime
    }

    fn close(self: Arc<Self>, parting: Duration) {
        if self.lifetime.end(SessionLoss::Closed) {
            self.wait(parting);
            self.remove();
        }
        self.await_removal();
    }

    /// A thread waits. It ends when the time has passed, or with the primary session.
    fn close_after(self: Arc<Self>, time: Duration) {
        if self.lifetime.has_ended() {
            return;
        }
        let subsession = Arc::clone(&self);
        let linger = move || {
            subsession.wait(time);
            subsession.end();
        };
        if time.is_zero() || spawn("i2p-sam-linger", linger).is_err() {
            self.end();
        }
    }
}
