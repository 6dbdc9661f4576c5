use crate::address::{Destination, ToI2pAddr};
use crate::cancel::Cancel;
use crate::deadline::Deadline;
use crate::error::Error;
use crate::interrupts::Interrupts;
use crate::session::guard::Core;

impl Core {
    /// Looks up who an address belongs to, on the session's control socket: i2pd and emissary find a
    /// `.b32.i2p` address for a session only.
    pub(crate) fn lookup(
        &self,
        address: impl ToI2pAddr,
        cancel: &Cancel,
    ) -> Result<Destination, Error> {
        let address = address.to_i2p_addr()?;
        let own = self.key.destination();
        if address.b32().is_some_and(|b32| b32 == own.b32()) {
            return Ok(own.clone());
        }
        let name = address.to_sam();
        let interrupts = Interrupts::by_cancel(cancel).or_session(&self.control);
        self.bridge.lookup_by(&address, |command| {
            let deadline = Deadline::after(self.bridge.config().timeouts.lookup);
            let control = self.control.owner();
            let found = control.look_up(&name, command, deadline, &interrupts)?;
            found.check(address.host())
        })
    }
}
