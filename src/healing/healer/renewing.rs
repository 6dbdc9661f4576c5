use std::sync::Arc;

use super::Healer;
use crate::error::{Error, Phase};
use crate::interrupts::lock;
use crate::sync::{Cancel, Deadline};

impl Healer {
    /// Closes the session, if there is one, and waits for the next.
    pub(in crate::healing) fn renew(self: &Arc<Self>, cancel: &Cancel) -> Result<(), Error> {
        let (seen, current) = {
            let state = lock(&self.state);
            (state.generation, state.current.clone())
        };
        if let Some(current) = current {
            current.session.close();
        }
        let phase = Phase::SessionCreate;
        self.newer_than(seen, phase, Deadline::NEVER, cancel)
            .map(drop)
    }
}
