use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::error::{Error, Phase, SessionLoss};
use crate::interrupts::{Handoff, Interrupts, lock};
use crate::session::control::Control;
use crate::session::guard::SessionGuard;
use crate::session::replies::Answer;
use crate::sync::{Deadline, Registration, Target, Wake};
use crate::wire::Command;

/// What a subsession is to its primary session, whose control socket is its own as well.
pub(crate) struct Beneath {
    primary: Arc<Control>,
    id: String,
    /// What it has of the primary session while it lives.
    hold: Mutex<Option<Hold>>,
    removal: Mutex<Option<Arc<Handoff<Answer>>>>,
}

/// Keeps the primary session, and keeps others from what the subsession listens to.
struct Hold {
    _primary: SessionGuard,
    _claim: Claim,
    /// Ends with the primary session what ends with the subsession, and who waits for that.
    _places: [Registration; 2],
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
        let waiter: Arc<dyn Wake> = Arc::clone(control) as _;
        let places = [
            self.primary.register(control.dependents_as_target())?,
            self.primary
                .register(Target::Waiter(Arc::downgrade(&waiter)))?,
        ];
        *lock(&self.hold) = Some(Hold {
            _primary: primary,
            _claim: claim,
            _places: places,
        });
        Ok(())
    }

    pub(crate) fn primary(&self) -> &Arc<Control> {
        &self.primary
    }

    /// Why the primary session is gone, if it is.
    pub(crate) fn primary_loss(&self) -> Option<SessionLoss> {
        self.primary.loss()
    }

    /// Has the bridge forget the subsession, when `parting` has passed.
    pub(crate) fn remove(&self, parting: Duration) {
        if !parting.is_zero() {
            let deadline = Deadline::after(Some(parting));
            // It ends sooner when there is nothing left to be parted from.
            let _ = self.primary.wait_lost(deadline, &Interrupts::default());
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
        let interrupts = Interrupts::by_session(&self.primary);
        let deadline = Deadline::after(Some(self.primary.removal_patience()));
        // Java I2P may not know it any more, and emissary does not answer: either way it is over.
        let _ = removal.wait(Phase::WaitClosed, deadline, &interrupts);
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
