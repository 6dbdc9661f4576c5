use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::error::{Error, Phase};
use crate::session::control::Control;
use crate::session::guard::SessionGuard;
use crate::session::replies::PendingAnswer;
use crate::sync::{Call, Lifetime, Registration, lock};
use crate::wire::Command;

/// What a subsession is to its primary session, whose control socket is its own as well.
pub(crate) struct Beneath {
    primary: Arc<Control>,
    id: String,
    /// What it has of the primary session while it lives.
    hold: Mutex<Option<Hold>>,
    removal: Mutex<Option<PendingAnswer>>,
}

/// Keeps the primary session, and keeps others from what the subsession listens to.
struct Hold {
    _primary: SessionGuard,
    _claim: Claim,
    /// Ends the subsession's dependents with the primary session.
    _joined: Option<Registration>,
}

impl Beneath {
    pub(crate) fn new(primary: &SessionGuard, id: &str) -> Self {
        Self {
            primary: Arc::clone(&primary.core().control),
            id: id.to_owned(),
            hold: Mutex::default(),
            removal: Mutex::default(),
        }
    }

    /// Takes its place in the primary session.
    pub(crate) fn take_place(
        &self,
        control: &Arc<Control>,
        primary: SessionGuard,
        claim: Claim,
    ) -> Result<(), Error> {
        let joined = control.lifetime().join_parent()?;
        *lock(&self.hold) = Some(Hold {
            _primary: primary,
            _claim: claim,
            _joined: joined,
        });
        Ok(())
    }

    pub(crate) fn primary(&self) -> &Arc<Control> {
        &self.primary
    }

    pub(crate) fn primary_lifetime(&self) -> &Arc<Lifetime> {
        self.primary.lifetime()
    }

    /// Has the bridge forget the subsession, when `parting` has passed.
    pub(crate) fn remove(&self, parting: Duration) {
        if !parting.is_zero() {
            // It ends sooner if the primary session does.
            let call = Call::new(Phase::WaitClosed).within(Some(parting));
            let _ = call.wait_ended(self.primary.lifetime());
        }
        // What the library made up can be said.
        if let Ok(command) = Command::session_remove(&self.id) {
            *lock(&self.removal) = Some(self.primary.remove_subsession(&self.id, command));
        }
        self.let_go();
    }

    /// Waits until the bridge has forgotten it, for a moment only.
    pub(crate) fn await_removal(&self) {
        let Some(removal) = lock(&self.removal).take() else {
            return;
        };
        let call = Call::new(Phase::WaitClosed)
            .or_lifetime(self.primary.lifetime())
            .within(Some(self.primary.removal_patience()));
        // Java I2P may not know it any more, and emissary does not answer: either way it is over.
        let _ = call.wait_on(&removal, |answer| Ok(answer.take()));
    }

    /// The primary session may go on without it, or end.
    pub(crate) fn let_go(&self) {
        let hold = lock(&self.hold).take();
        drop(hold);
    }
}

/// What the subsessions of a primary session listen to: protocols and ports.
///
/// Java I2P refuses two that listen to the same; i2pd adds the second, and the first is served no
/// more.
#[derive(Default)]
pub(crate) struct Claims {
    taken: Mutex<HashSet<(u8, u16)>>,
}

/// One protocol and port, given back when it is dropped.
pub(crate) struct Claim {
    claims: Arc<Claims>,
    what: (u8, u16),
}

impl Claims {
    pub(crate) fn take(self: &Arc<Self>, protocol: u8, port: u16) -> Result<Claim, Error> {
        let what = (protocol, port);
        if !lock(&self.taken).insert(what) {
            return Err(Error::Occupied(
                "a subsession of this style listens to this port already: give it another with \
                 `listen_port`",
            ));
        }
        let claims = Arc::clone(self);
        Ok(Claim { claims, what })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.claims.taken).remove(&self.what);
    }
}
