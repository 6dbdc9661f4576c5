use std::sync::Arc;

use super::Supervisor;
use crate::error::{Error, Phase};
use crate::sync::{Call, Cancel};

impl Supervisor {
    /// Closes the session, if there is one, and waits for the next.
    pub(in crate::healing) fn renew(self: &Arc<Self>, cancel: &Cancel) -> Result<(), Error> {
        let (seen, current) = {
            let state = self.state.lock();
            (state.generation, state.current.clone())
        };
        if let Some(current) = current {
            current.session.close();
        }
        let call = Call::new(Phase::SessionCreate).or_cancel(cancel);
        self.newer_than(seen, &call).map(drop)
    }
}
