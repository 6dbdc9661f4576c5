use std::sync::{Arc, Condvar, Mutex};

use crate::error::{Error, Phase};
use crate::interrupts::{Interrupts, lock, wait};
use crate::sync::{Deadline, Wake};

/// Rings whenever a home may have come up or ended. Whoever waits then looks at all of them.
#[derive(Default)]
pub(super) struct Bell {
    looking: Mutex<()>,
    changed: Condvar,
}

impl Bell {
    /// Waits until there is something to be seen.
    pub(super) fn wait_for<T>(
        self: &Arc<Self>,
        phase: Phase,
        deadline: Deadline,
        interrupts: &Interrupts,
        look: impl Fn() -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let _watch = interrupts.watch_waiter(self, phase)?;
        let mut looking = lock(&self.looking);
        loop {
            interrupts.check(phase)?;
            if let Some(found) = look()? {
                return Ok(found);
            }
            looking = wait(&self.changed, looking, phase, deadline)?;
        }
    }
}

impl Wake for Bell {
    fn wake(&self) {
        let _looking = lock(&self.looking);
        self.changed.notify_all();
    }
}
