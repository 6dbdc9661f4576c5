use std::sync::Arc;

use super::cancel::{Fired, Registration, Registry, Target};
use super::primitives::OnceLock;
use crate::error::{Error, SessionLoss};

/// The end of a session or a forwarding: its reason, once it has ended, and the targets that end with it.
///
/// The lifetime of a subsession ends with that of its primary session.
pub(crate) struct Lifetime {
    /// Set before any target is woken, and read without a lock, so that it can be read under any lock.
    loss: OnceLock<SessionLoss>,
    dependents: Arc<Registry>,
    parent: Option<Arc<Self>>,
}

impl Lifetime {
    pub(crate) fn new(parent: Option<&Arc<Self>>) -> Arc<Self> {
        Arc::new(Self {
            loss: OnceLock::new(),
            dependents: Arc::default(),
            parent: parent.map(Arc::clone),
        })
    }

    /// Returns the reason for the end; `None` while the lifetime lasts.
    pub(crate) fn loss(&self) -> Option<SessionLoss> {
        let own = self.loss.get().cloned();
        own.or_else(|| self.parent_loss())
    }

    pub(crate) fn has_ended(&self) -> bool {
        let parent = self.parent.as_ref();
        self.loss.get().is_some() || parent.is_some_and(|parent| parent.has_ended())
    }

    /// Returns the reason for which its parent ended, if there is a parent and it has ended.
    pub(crate) fn parent_loss(&self) -> Option<SessionLoss> {
        self.parent.as_ref()?.loss()
    }

    /// Makes the target end with the lifetime, as long as the registration is kept.
    ///
    /// # Errors
    ///
    /// [`Error::SessionLost`] if the lifetime has ended.
    pub(crate) fn register(&self, target: Target) -> Result<Registration, Error> {
        self.dependents
            .register(target)
            .map_err(|Fired| Error::SessionLost(self.loss().unwrap_or(SessionLoss::Closed)))
    }

    /// Makes all targets registered here end with the parent, as long as the registration is kept.
    ///
    /// # Errors
    ///
    /// [`Error::SessionLost`] if the parent has ended.
    pub(crate) fn join_parent(&self) -> Result<Option<Registration>, Error> {
        let Some(parent) = &self.parent else {
            return Ok(None);
        };
        let all = Target::Child(Arc::downgrade(&self.dependents));
        parent.register(all).map(Some)
    }

    /// Ends the lifetime and the registered targets. The first reason stays, and if the parent has ended,
    /// its reason counts. Returns true if this call ended it.
    pub(crate) fn end(&self, loss: SessionLoss) -> bool {
        let loss = self.parent_loss().unwrap_or(loss);
        if self.loss.set(loss).is_err() {
            return false;
        }
        self.dependents.fire();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::{Monitor, Wake};

    fn waiter() -> (Arc<Monitor<()>>, Target) {
        let monitor = Monitor::new(());
        let waiter: Arc<dyn Wake> = Arc::clone(&monitor) as _;
        (monitor, Target::Waiter(Arc::downgrade(&waiter)))
    }

    #[test]
    fn lifetime_ended_twice_keeps_the_first_reason() {
        let lifetime = Lifetime::new(None);
        assert!(!lifetime.has_ended() && lifetime.loss().is_none());
        assert!(lifetime.end(SessionLoss::Disconnected));
        assert!(!lifetime.end(SessionLoss::Closed));
        assert_eq!(lifetime.loss(), Some(SessionLoss::Disconnected));
    }

    #[test]
    fn lifetime_ended_registers_nothing() {
        let lifetime = Lifetime::new(None);
        lifetime.end(SessionLoss::Disconnected);
        let outcome = lifetime.register(waiter().1).map(drop);
        assert!(matches!(
            outcome,
            Err(Error::SessionLost(SessionLoss::Disconnected))
        ));
    }

    #[test]
    fn lifetime_parent_ended_gives_the_reason_of_the_parent() {
        let parent = Lifetime::new(None);
        let child = Lifetime::new(Some(&parent));
        parent.end(SessionLoss::Disconnected);
        assert!(child.has_ended());
        assert!(child.end(SessionLoss::Closed));
        assert_eq!(child.loss(), Some(SessionLoss::Disconnected));
    }

    #[test]
    fn lifetime_child_ended_leaves_the_parent() {
        let parent = Lifetime::new(None);
        let child = Lifetime::new(Some(&parent));
        child.end(SessionLoss::Closed);
        assert!(!parent.has_ended());
    }

    #[test]
    fn lifetime_joined_ends_its_dependents_with_the_parent() {
        let parent = Lifetime::new(None);
        let child = Lifetime::new(Some(&parent));
        let joined = child.join_parent().unwrap();
        let (_monitor, target) = waiter();
        let registration = child.register(target).unwrap();
        parent.end(SessionLoss::Disconnected);
        assert!(!registration.withdraw());
        drop(joined);
        assert!(child.join_parent().is_err());
    }
}
