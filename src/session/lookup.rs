use crate::address::{Destination, I2pAddr};
use crate::error::{Error, Phase};
use crate::session::core::SessionCore;
use crate::sync::{Cancel, Deadline};

impl SessionCore {
    /// Looks up the destination of an address on the session's control socket: i2pd and emissary find a
    /// `.b32.i2p` address only for a session.
    pub(crate) fn lookup(
        &self,
        address: &I2pAddr,
        deadline: Deadline,
        cancel: &Cancel,
    ) -> Result<Destination, Error> {
        if let Some(known) = known_without_asking(address, self.key.destination()) {
            return Ok(known);
        }
        let name = address.to_sam();
        let call = self.call(Phase::Lookup).or_cancel(cancel).until(deadline);
        self.bridge.lookup_by(address, |command| {
            let control = &self.control;
            let found = control.look_up(&name, command, &call)?;
            found.check(address.host())
        })
    }
}

/// Returns our own destination, or the one in the address, if no request is needed.
pub(crate) fn known_without_asking(address: &I2pAddr, own: &Destination) -> Option<Destination> {
    let is_own = address.b32().is_some_and(|b32| b32 == own.b32());
    let known = if is_own {
        Some(own)
    } else {
        address.destination()
    };
    known.cloned()
}
