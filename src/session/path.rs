use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::error::Error;
use crate::session::core::SessionCore;
use crate::session::outgoing::Outgoing;
use crate::session::udp::UdpPort;
use crate::sync::{BufferPool, Call};

/// How datagrams come and go between the bridge and us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DatagramPath {
    /// By UDP, to and from the bridge's UDP port. It is fast, and datagrams can be lost even there.
    #[default]
    Udp,
    /// Over the session's control socket, where UDP does not reach: through a tunnel to a bridge on
    /// another machine, or out of a container.
    ///
    /// - A datagram goes to a full [`Destination`](crate::Destination) only (a
    ///   [`Sender`](crate::Sender) that is proven has one): Java I2P ends the session over any other
    ///   address, so it is refused here with [`Error::Setting`].
    /// - Datagrams are said 5 ms apart at the least, some 200 in a second: i2pd reads no more than
    ///   one out of a segment, and holds what else is in it back until it hears more. Where it is
    ///   too busy to read for 5 ms, it may hold back the last of a burst still.
    /// - It holds 8192 bytes at the most with the line in front of it, of which 7400 are always left
    ///   for the payload; more is refused with [`Error::DatagramSize`]. Java I2P would take it, but
    ///   **i2pd stops reading the socket** over one that is larger, and tells nobody (2.45 and 2.59).
    ///   i2pd 2.59 gives what comes up to 11 kB, 2.45 up to 7.4 kB.
    /// - [`DatagramStyle::Datagram2`](crate::DatagramStyle::Datagram2) and
    ///   [`Datagram3`](crate::DatagramStyle::Datagram3) cannot be sent so, and are refused, as are
    ///   subsessions.
    /// - A bridge that stops reading makes `send_to` wait when 12 datagrams wait before it.
    ControlSocket,
}

/// The way itself, of one session.
#[derive(Clone)]
pub(crate) enum Path {
    Udp {
        port: Arc<UdpPort>,
        buffers: Arc<BufferPool>,
    },
    /// Named by the topic under which a datagram is sent: `DATAGRAM` or `RAW`.
    ControlSocket(&'static str),
}

impl Path {
    pub(crate) fn udp(port: &Arc<UdpPort>) -> Self {
        Self::Udp {
            port: Arc::clone(port),
            buffers: Arc::default(),
        }
    }

    pub(crate) fn udp_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Udp { port, .. } => Ok(port.local()),
            Self::ControlSocket(_) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "its datagrams come over the control socket",
            )),
        }
    }

    pub(crate) fn send(
        &self,
        core: &SessionCore,
        datagram: &Outgoing<'_>,
        nonblocking: bool,
        call: &Call,
    ) -> Result<(), Error> {
        match self {
            Self::Udp { port, buffers } => {
                let mut packet = buffers.take();
                let sent = datagram
                    .write_packet(core, &mut packet)
                    .and_then(|()| port.send(&packet));
                buffers.give_back(packet);
                sent.map_err(|error| call.map_error(error))
            }
            Self::ControlSocket(topic) => {
                let buffers = core.control.writer().buffers();
                let mut said = buffers.take();
                if let Err(error) = datagram.write_command(topic, core, &mut said) {
                    buffers.give_back(said);
                    return Err(error);
                }
                core.control.send_datagram(said, nonblocking, call)
            }
        }
    }

    /// Waits until what belongs to a session that has ended is free.
    pub(crate) fn await_release(&self) {
        if let Self::Udp { port, .. } = self {
            port.await_release();
        }
    }
}
