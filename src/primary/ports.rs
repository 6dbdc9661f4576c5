use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use crate::error::Error;
use crate::sync::lock;

/// The protocols and ports on which the subsessions of a primary session listen.
///
/// Java I2P refuses two subsessions on the same port; i2pd adds the second, and the first gets nothing
/// more.
#[derive(Default)]
pub(super) struct Ports {
    taken: Mutex<HashSet<(u8, u16)>>,
}

/// One protocol and port. Dropping it releases them.
pub(super) struct PortReservation {
    all: Arc<Ports>,
    what: (u8, u16),
}

impl Ports {
    pub(super) fn take(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_taken_is_refused_until_released() {
        let ports = Arc::new(Ports::default());
        let taken = ports.take(6, 80).unwrap();
        assert!(matches!(ports.take(6, 80), Err(Error::Conflict(_))));
        drop(taken);
        ports.take(6, 80).unwrap();
    }

    #[test]
    fn port_of_another_protocol_is_free() {
        let ports = Arc::new(Ports::default());
        let _streams = ports.take(6, 80).unwrap();
        ports.take(17, 80).unwrap();
    }
}
