use std::io;

use crate::address::{B32, I2pAddr};
use crate::datagram::encode::OutgoingDatagram;
use crate::datagram::format::Origin;
use crate::datagram::options::DatagramOptions;
use crate::datagram::sender::Sender;
use crate::error::Error;
use crate::session::{DefaultPorts, SessionCore};

/// The peer to which a session is connected.
pub(crate) struct Peer {
    /// A full destination, with the port if one was given.
    addr: I2pAddr,
    b32: B32,
    options: DatagramOptions,
    ports: DefaultPorts,
}

impl Peer {
    /// Creates a peer from an address that has a full destination.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] for a port on a bridge before SAM 3.2.
    pub(super) fn new(addr: I2pAddr, b32: B32, core: &SessionCore) -> Result<Self, Error> {
        let peer = Self {
            addr,
            b32,
            options: DatagramOptions::new(),
            ports: core.ports,
        };
        peer.datagram(&[]).check_packet(core)?;
        Ok(peer)
    }

    pub(super) fn addr(&self) -> &I2pAddr {
        &self.addr
    }

    /// Returns a datagram to the peer.
    pub(super) fn datagram<'a>(&'a self, payload: &'a [u8]) -> OutgoingDatagram<'a> {
        OutgoingDatagram {
            payload,
            peer: &self.addr,
            options: &self.options,
            protocol: None,
            ports: self.ports,
        }
    }

    /// Returns true if the peer sent the datagram. A port counts if both the address and the datagram have
    /// one: i2pd sends none.
    pub(super) fn sent(&self, origin: &Origin) -> bool {
        let Origin::Sender(sender) = origin else {
            return false;
        };
        let is_peer = match sender {
            Sender::Authenticated { destination, .. } => {
                self.addr.destination() == Some(destination)
            }
            Sender::Unauthenticated { address, .. } => *address == self.b32,
        };
        let is_port = match (self.addr.port(), sender.from_port()) {
            (Some(expected), Some(port)) => expected == port,
            _ => true,
        };
        is_peer && is_port
    }
}

/// Returns the error of a session that is not connected to a peer.
pub(super) fn not_connected() -> io::Error {
    let text = "the session is not connected to a peer";
    io::Error::new(io::ErrorKind::NotConnected, text)
}
