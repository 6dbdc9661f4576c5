//! The end at Ctrl-C.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use i2p_sam::Cancel;

use crate::failure::Failure;

type Action = Box<dyn FnOnce() + Send>;

/// Ends the blocking calls of the library, and whatever else was registered, at Ctrl-C.
#[derive(Clone, Default)]
pub(crate) struct Stop {
    cancel: Cancel,
    actions: Arc<Mutex<Vec<Action>>>,
}

impl Stop {
    /// Starts to wait for Ctrl-C, and for the signals by which a system ends a program.
    pub(crate) fn install() -> Result<Self, Failure> {
        let stop = Self::default();
        let handler = stop.clone();
        let installed = ctrlc::set_handler(move || {
            // The second Ctrl-C ends a program that did not end at the first.
            if handler.is_stopped() {
                std::process::exit(i32::from(Failure::Interrupted.code()));
            }
            handler.fire();
        });
        installed.map_err(|error| Failure::Io {
            action: "Ctrl-C cannot be handled".to_owned(),
            source: std::io::Error::other(error),
        })?;
        Ok(stop)
    }

    pub(crate) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Fails if Ctrl-C was pressed.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self.is_stopped() {
            true => Err(Failure::Interrupted),
            false => Ok(()),
        }
    }

    /// Registers what else ends at Ctrl-C: a socket in a blocking read. If Ctrl-C was pressed already, it ends
    /// now.
    pub(crate) fn also(&self, action: impl FnOnce() + Send + 'static) {
        let mut actions = self.lock();
        if self.is_stopped() {
            drop(actions);
            return action();
        }
        actions.push(Box::new(action));
    }

    fn fire(&self) {
        // Under the lock, so that an action that is registered meanwhile is not lost.
        let actions = {
            let mut actions = self.lock();
            self.cancel.cancel();
            std::mem::take(&mut *actions)
        };
        actions.into_iter().for_each(|action| action());
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Action>> {
        self.actions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
