use crate::address::ToI2pAddr;
use crate::datagram::encode::OutgoingDatagram;
use crate::datagram::format::{Format, Origin};
use crate::datagram::options::{DatagramOptions, is_free, protocol_taken};
use crate::datagram::socket::{DatagramSocket, datagram_session};
use crate::error::Error;
use crate::sync::Cancel;
use crate::wire::{Pair, RawHeader};

/// I2CP's protocol of raw datagrams that say no other.
pub(crate) const RAW_PROTOCOL: u8 = 18;

/// Most bytes in a raw datagram.
const MAX_PAYLOAD: usize = 32_768;

/// A destination of our own for datagrams that do not say who sent them.
///
/// What [`DatagramSession`](crate::DatagramSession) says of loss, of first datagrams and of names
/// holds here as well. 1 to 32768 bytes can be sent; i2pd cuts what is above some 32.2 kB and
/// emissary what is above some 7.6 kB, without a word: 7500 bytes are safe everywhere.
///
/// ```no_run
/// let session = i2p_sam::SamBridge::from_env()?.session().raw()?;
/// let mut buf = [0; 32_768];
/// let len = session.recv(&mut buf)?;
/// println!("{len} bytes from somebody");
/// # Ok::<(), i2p_sam::Error>(())
/// ```
#[derive(Clone)]
pub struct RawSession {
    socket: DatagramSocket,
    /// The protocol of what is sent without one, if the session has one of its own.
    protocol: Option<u8>,
}

impl RawSession {
    pub(crate) fn new(socket: DatagramSocket, options: &RawOptions) -> Self {
        let protocol = options.protocol;
        Self { socket, protocol }
    }

    /// Sends a datagram, as [`DatagramSession::send_to`](crate::DatagramSession::send_to) does.
    ///
    /// # Errors
    ///
    /// [`Error::DatagramSize`] unless it holds 1 to 32768 bytes; otherwise those of
    /// [`DatagramSession::send_to`](crate::DatagramSession::send_to).
    pub fn send_to(&self, payload: &[u8], address: impl ToI2pAddr) -> Result<usize, Error> {
        self.send_to_with(payload, address, &DatagramOptions::new())
    }

    /// [`send_to`](RawSession::send_to), with ports, a protocol and what the router may be told.
    ///
    /// # Errors
    ///
    /// Those of [`send_to`](RawSession::send_to); [`Error::Setting`] for a protocol that is taken,
    /// and for two different ports of the peer.
    pub fn send_to_with(
        &self,
        payload: &[u8],
        address: impl ToI2pAddr,
        options: &DatagramOptions,
    ) -> Result<usize, Error> {
        let datagram = OutgoingDatagram {
            payload,
            peer: &address.to_i2p_addr()?,
            options,
            protocol: self.protocol,
        };
        self.socket.send(&datagram, MAX_PAYLOAD)
    }

    /// Waits for a datagram, and says how long it is. Java I2P delivers empty ones too.
    ///
    /// # Errors
    ///
    /// [`Error::BufferTooSmall`], and the datagram is discarded: 32768 bytes always do.
    /// [`Error::Timeout`] after the [read time-out](RawSession::set_read_timeout),
    /// [`Error::WouldBlock`], [`Error::SessionLost`], [`Error::Cancelled`].
    pub fn recv(&self, buf: &mut [u8]) -> Result<usize, Error> {
        Ok(self.socket.receive(buf)?.0)
    }

    /// [`recv`](RawSession::recv), with protocol and ports, if [`RawOptions::header`] asked for
    /// them.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](RawSession::recv).
    pub fn recv_with_header(&self, buf: &mut [u8]) -> Result<(usize, Option<RawHeader>), Error> {
        let (len, origin) = self.socket.receive(buf)?;
        let header = match origin {
            Origin::Raw(header) => header,
            Origin::Sender(_) => None,
        };
        Ok((len, header))
    }

    /// [`recv`](RawSession::recv), and the datagram stays, even if the buffer is too small for it.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](RawSession::recv).
    pub fn peek(&self, buf: &mut [u8]) -> Result<usize, Error> {
        Ok(self.socket.peek(buf)?.0)
    }

    /// The same session; calls made through it end when `cancel` fires.
    #[must_use = "the handle applies to what is returned, not to the original"]
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self {
            socket: self.socket.with_cancel(cancel),
            protocol: self.protocol,
        }
    }
}

datagram_session!(RawSession);

/// What a [`RawSession`] is for, where it is not as usual.
///
/// ```
/// let options = i2p_sam::RawOptions::new().protocol(99);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct RawOptions {
    protocol: Option<u8>,
    header: bool,
}

impl RawOptions {
    /// As usual: protocol 18, and no header.
    pub fn new() -> Self {
        Self::default()
    }

    /// The I2CP protocol of its datagrams, 0 to 255 but for 6, 17, 19 and 20, which are those of
    /// streams and of datagrams with a sender. Default: none is said, which is 18.
    pub fn protocol(mut self, protocol: u8) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// Whether the bridge is to say protocol and ports of each datagram. Default: no.
    ///
    /// Ask only where the router is known to be Java I2P: i2pd and emissary send no header although
    /// asked, so that all they forward is dropped, unless a peer writes what looks like one.
    pub fn header(mut self, header: bool) -> Self {
        self.header = header;
        self
    }

    pub(crate) fn format(&self) -> Format {
        Format::raw(self.header)
    }

    pub(crate) fn own_protocol(&self) -> Option<u8> {
        self.protocol
    }

    pub(crate) fn pairs(&self) -> Result<Vec<Pair>, Error> {
        let mut pairs = Vec::new();
        if let Some(protocol) = self.protocol {
            if !is_free(protocol) {
                return Err(protocol_taken(protocol));
            }
            pairs.push(("PROTOCOL", protocol.to_string()));
        }
        if self.header {
            pairs.push(("HEADER", "true".to_owned()));
        }
        Ok(pairs)
    }
}
