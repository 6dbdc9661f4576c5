use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::datagram::encode::OutgoingDatagram;
use crate::datagram::udp::{UdpOptions, UdpPort};
use crate::error::Error;
use crate::session::SessionCore;
use crate::sync::{Call, lock};

/// The transport of datagrams between the bridge and us. Default: UDP with the default options.
///
/// ```
/// # #[cfg(feature = "testing")] {
/// use i2p_sam::testing::TestBridge;
/// use i2p_sam::{DatagramStyle, DatagramTransport};
///
/// let router = TestBridge::start()?;
/// let builder = router.bridge().session().datagram_transport(DatagramTransport::ControlSocket);
/// let session = builder.datagram(DatagramStyle::Datagram)?;
/// assert!(session.udp_addr().is_err());
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DatagramTransport {
    /// UDP, to and from the bridge's UDP port. It is fast, and datagrams can be lost even there.
    Udp(UdpOptions),
    /// The session's control socket, for a bridge that UDP does not reach: through a tunnel to a bridge
    /// on another machine, or out of a container.
    ///
    /// - A datagram goes to a full [`Destination`](crate::Destination) only (a
    ///   [`Sender`](crate::Sender) that is proven has one): Java I2P ends the session over any other
    ///   address, so [`Error::InvalidConfig`] refuses it here.
    /// - Datagrams are sent at least 5 ms apart, some 200 in a second: i2pd reads no more than one out
    ///   of a segment, and holds back the rest of it until more arrives. If i2pd is too busy to read for
    ///   5 ms, it may still hold back the last of a burst.
    /// - A datagram and its line have at most 8192 bytes, of which at least 7400 are left for the
    ///   payload; [`Error::DatagramSize`] refuses more. Java I2P would accept it, but **i2pd stops
    ///   reading the socket** after a larger one, without an error (2.45 and 2.59). i2pd 2.59 delivers
    ///   datagrams of up to 11 kB, 2.45 of up to 7.4 kB.
    /// - [`DatagramStyle::Datagram2`](crate::DatagramStyle::Datagram2),
    ///   [`Datagram3`](crate::DatagramStyle::Datagram3) and subsessions are refused, because no router
    ///   sends their datagrams so.
    /// - While the bridge does not read, `send_to` waits if 12 datagrams wait before it.
    ControlSocket,
}

impl Default for DatagramTransport {
    fn default() -> Self {
        Self::Udp(UdpOptions::new())
    }
}

/// The transport of one session.
#[derive(Clone)]
pub(crate) enum Transport {
    Udp(Arc<UdpPort>),
    /// With the topic of the commands that send a datagram: `DATAGRAM` or `RAW`.
    ControlSocket(&'static str),
}

impl Transport {
    pub(crate) fn udp_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Udp(port) => Ok(port.local()),
            Self::ControlSocket(_) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "its datagrams come on the control socket",
            )),
        }
    }

    pub(crate) fn send(
        &self,
        core: &SessionCore,
        datagram: &OutgoingDatagram<'_>,
        is_nonblocking: impl FnOnce() -> bool,
        call: &Call,
    ) -> Result<(), Error> {
        match self {
            Self::Udp(port) => {
                let mut packet = port.buffers.take();
                let written = {
                    let mut recent = lock(&port.recent_lines);
                    datagram.write_packet(core, &mut recent, &mut packet)
                };
                let sent = written.and_then(|()| port.send(&packet));
                port.buffers.give_back(packet);
                sent.map_err(|error| call.map_error(error))
            }
            Self::ControlSocket(topic) => {
                let buffers = core.control.buffers();
                let mut command = buffers.take();
                if let Err(error) = datagram.write_command(topic, core, &mut command) {
                    buffers.give_back(command);
                    return Err(error);
                }
                core.control.send_datagram(command, is_nonblocking(), call)
            }
        }
    }

    /// Waits until the UDP port of a session that has ended is free.
    pub(crate) fn await_release(&self) {
        if let Self::Udp(port) = self {
            port.await_release();
        }
    }
}
