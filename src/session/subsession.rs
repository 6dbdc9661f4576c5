use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::error::{Error, Phase};
use crate::session::control::ControlSocket;
use crate::session::control::PendingAnswer;
use crate::session::core::SessionGuard;
use crate::sync::{Call, Lifetime, Registration, lock};
use crate::wire::Command;

/// The link of a subsession to its primary session. Both share one control socket.
pub(crate) struct Subsession {
    primary: Arc<ControlSocket>,
    id: String,
    /// Kept while the subsession is alive.
    link: Mutex<Option<ParentLink>>,
    removal: Mutex<Option<PendingAnswer>>,
}

/// Keeps the primary session alive, and reserves the port of the subsession.
struct ParentLink {
    _primary: SessionGuard,
    _ports: PortReservation,
    /// Ends the subsession's dependents with the primary session.
    _joined: Option<Registration>,
}

impl Subsession {
    pub(crate) fn new(primary: &SessionGuard, id: &str) -> Self {
        Self {
            primary: Arc::clone(&primary.core().control),
            id: id.to_owned(),
            link: Mutex::default(),
            removal: Mutex::default(),
        }
    }

    /// Makes the subsession end with its primary session from now on.
    pub(crate) fn attach(
        &self,
        control: &Arc<ControlSocket>,
        primary: SessionGuard,
        ports: PortReservation,
    ) -> Result<(), Error> {
        let joined = control.lifetime().join_parent()?;
        *lock(&self.link) = Some(ParentLink {
            _primary: primary,
            _ports: ports,
            _joined: joined,
        });
        Ok(())
    }

    pub(crate) fn primary(&self) -> &Arc<ControlSocket> {
        &self.primary
    }

    pub(crate) fn primary_lifetime(&self) -> &Arc<Lifetime> {
        self.primary.lifetime()
    }

    /// Removes the subsession from the bridge when `parting` has passed.
    pub(crate) fn remove(&self, parting: Duration) {
        if !parting.is_zero() {
            // It ends sooner if the primary session does.
            let call = Call::new(Phase::WaitClosed).within(Some(parting));
            let _ = call.wait_ended(self.primary.lifetime());
        }
        // An id that the library created contains no character that cannot be sent.
        if let Ok(command) = Command::session_remove(&self.id) {
            *lock(&self.removal) = Some(self.primary.remove_subsession(&self.id, command));
        }
        self.detach();
    }

    /// Waits until the bridge has answered the removal, for at most 2 s.
    pub(crate) fn await_removal(&self) {
        let Some(removal) = lock(&self.removal).take() else {
            return;
        };
        let call = Call::new(Phase::WaitClosed)
            .or_lifetime(self.primary.lifetime())
            .within(Some(self.primary.removal_patience()));
        // Java I2P may have lost the subsession, and emissary does not answer: both end the
        // wait.
        let _ = call.wait_on(&removal, |answer| Ok(answer.take()));
    }

    /// Releases the primary session, which goes on without this subsession, or ends.
    pub(crate) fn detach(&self) {
        let link = lock(&self.link).take();
        drop(link);
    }
}

/// The protocols and ports on which the subsessions of a primary session listen.
///
/// Java I2P refuses two subsessions on the same port; i2pd adds the second, and the first gets nothing
/// more.
#[derive(Default)]
pub(crate) struct Ports {
    taken: Mutex<HashSet<(u8, u16)>>,
}

/// One protocol and port. Dropping it releases them.
pub(crate) struct PortReservation {
    all: Arc<Ports>,
    what: (u8, u16),
}

impl Ports {
    pub(crate) fn take(
        self: &Arc<Self>,
        protocol: u8,
        port: u16,
    ) -> Result<PortReservation, Error> {
        let what = (protocol, port);
        if !lock(&self.taken).insert(what) {
            return Err(Error::Conflict(
                "a subsession of this style listens to this port already: give it another with \
                 `listen_port`",
            ));
        }
        let all = Arc::clone(self);
        Ok(PortReservation { all, what })
    }
}

impl Drop for PortReservation {
    fn drop(&mut self) {
        lock(&self.all.taken).remove(&self.what);
    }
}
