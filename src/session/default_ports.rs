use std::num::NonZeroU16;

use crate::address::I2pAddr;

/// The I2CP ports of the streams and datagrams of a session that name none.
///
/// They go with each dial and each datagram, because routers differ in what they do with those of a session.
/// SESSION CREATE: i2pd (2.45 and 2.59) ignores them, and emissary 0.4.0 then passes the session no datagram.
/// SESSION ADD: Java I2P ignores them for streams that are dialled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DefaultPorts {
    pub(crate) from: Option<NonZeroU16>,
    pub(crate) to: Option<NonZeroU16>,
}

impl DefaultPorts {
    /// Returns our port if the caller names none.
    pub(crate) fn own(self, named: Option<u16>) -> Option<u16> {
        named.or(self.from.map(NonZeroU16::get))
    }

    /// Returns the peer's port if the caller names none.
    pub(crate) fn peer(self, named: Option<u16>) -> Option<u16> {
        named.or(self.to.map(NonZeroU16::get))
    }

    /// Returns the peer's address, with the port of this session's peers if it names none.
    pub(crate) fn complete(self, addr: I2pAddr) -> I2pAddr {
        match (addr.port(), self.to) {
            (None, Some(port)) => addr.with_port(port.get()),
            _ => addr,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> I2pAddr {
        text.parse().unwrap()
    }

    #[test]
    fn named_ports_precede_those_of_session() {
        let ports = DefaultPorts {
            from: NonZeroU16::new(7),
            to: NonZeroU16::new(8),
        };
        assert_eq!((ports.own(None), ports.peer(None)), (Some(7), Some(8)));
        assert_eq!(
            (ports.own(Some(1)), ports.peer(Some(2))),
            (Some(1), Some(2))
        );
        assert_eq!(ports.complete(addr("a.i2p")), addr("a.i2p:8"));
        assert_eq!(ports.complete(addr("a.i2p:80")), addr("a.i2p:80"));
    }

    #[test]
    fn session_without_ports_adds_none() {
        let none = DefaultPorts::default();
        assert_eq!((none.own(None), none.peer(None)), (None, None));
        assert_eq!(none.complete(addr("a.i2p")), addr("a.i2p"));
    }
}
