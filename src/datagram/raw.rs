use crate::address::ToI2pAddr;
use crate::datagram::encode::OutgoingDatagram;
use crate::datagram::format::{Format, Origin};
use crate::datagram::options::{DatagramOptions, check_protocol};
use crate::datagram::socket::{DatagramSocket, datagram_session};
use crate::error::Error;
use crate::sync::Cancel;
use crate::wire::{Pair, RawHeader};

/// I2CP's protocol of raw datagrams if none is set.
pub(crate) const RAW_PROTOCOL: u8 = 18;

/// Largest payload of a raw datagram, in bytes.
const MAX_PAYLOAD: usize = 32_768;

/// A destination of our own for datagrams without a sender.
///
/// Losses, first datagrams and names are as for [`DatagramSession`](crate::DatagramSession). 1 to 32768
/// bytes can be sent; i2pd cuts datagrams above some 32.2 kB and emissary above some 7.6 kB, without an
/// error: 7500 bytes are safe everywhere.
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
    /// The session's own protocol, for datagrams that set none.
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
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// let session = bridge.session().raw()?;
    /// let peer = bridge.session().raw()?;
    /// assert_eq!(session.send_to(b"hello", peer.destination())?, 5);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_to(&self, payload: &[u8], address: impl ToI2pAddr) -> Result<usize, Error> {
        self.send_to_with(payload, address, &DatagramOptions::new())
    }

    /// Sends a datagram as [`send_to`](RawSession::send_to) does, with ports, a protocol and options for
    /// the router.
    ///
    /// # Errors
    ///
    /// Those of [`send_to`](RawSession::send_to); [`Error::InvalidConfig`] for a protocol that is taken,
    /// and for two different ports of the peer.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::DatagramOptions;
    ///
    /// let session = bridge.session().raw()?;
    /// let peer = bridge.session().raw()?;
    /// let options = DatagramOptions::new().to_port(53).protocol(99);
    /// session.send_to_with(b"hello", peer.destination(), &options)?;
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
            ports: self.socket.core().ports,
        };
        self.socket.send(&datagram, MAX_PAYLOAD)
    }

    /// Waits for a datagram, and returns its length. Java I2P delivers empty ones too.
    ///
    /// # Errors
    ///
    /// [`Error::BufferTooSmall`], and the datagram is discarded; 32768 bytes always suffice.
    /// [`Error::Timeout`] after the [read time-out](RawSession::set_read_timeout),
    /// [`Error::WouldBlock`], [`Error::SessionLost`], [`Error::Cancelled`].
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// let session = bridge.session().raw()?;
    /// let sender = bridge.session().raw()?;
    /// sender.send_to(b"hello", session.destination())?;
    /// let mut buf = [0; 32_768];
    /// let len = session.recv(&mut buf)?;
    /// assert_eq!(&buf[..len], b"hello");
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv(&self, buf: &mut [u8]) -> Result<usize, Error> {
        Ok(self.socket.receive(buf)?.0)
    }

    /// Waits for a datagram as [`recv`](RawSession::recv) does, and returns its protocol and ports too,
    /// if [`RawOptions::header`] is set.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](RawSession::recv).
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::RawOptions;
    ///
    /// // Only Java I2P sends headers.
    /// let session = bridge.session().raw_with(&RawOptions::new().header(true))?;
    /// let sender = bridge.session().raw()?;
    /// sender.send_to(b"hello", session.destination())?;
    /// let (len, header) = session.recv_with_header(&mut [0; 32_768])?;
    /// assert_eq!(len, 5);
    /// assert_eq!(header.map(|header| header.protocol), Some(18));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv_with_header(&self, buf: &mut [u8]) -> Result<(usize, Option<RawHeader>), Error> {
        let (len, origin) = self.socket.receive(buf)?;
        let header = match origin {
            Origin::Raw(header) => header,
            Origin::Sender(_) => None,
        };
        Ok((len, header))
    }

    /// Waits for a datagram as [`recv`](RawSession::recv) does, and leaves it to be received again, even
    /// if the buffer is too small for it.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](RawSession::recv).
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// let session = bridge.session().raw()?;
    /// session.send_to(b"hello", session.destination())?;
    /// let mut buf = [0; 32_768];
    /// assert_eq!(session.peek(&mut buf)?, session.recv(&mut buf)?);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn peek(&self, buf: &mut [u8]) -> Result<usize, Error> {
        Ok(self.socket.peek(buf)?.0)
    }

    /// Returns the same session; calls made through it end when `cancel` fires.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::{Cancel, Error};
    ///
    /// let session = bridge.session().raw()?;
    /// let stop = Cancel::new();
    /// let stoppable = session.with_cancel(&stop);
    /// stop.cancel();
    /// assert!(matches!(stoppable.recv(&mut [0; 64]), Err(Error::Cancelled { .. })));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the handle applies to what is returned, not to the original"]
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self {
            socket: self.socket.with_cancel(cancel),
            protocol: self.protocol,
        }
    }
}

datagram_session!(RawSession);

/// Options of a [`RawSession`].
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
    /// Creates the default options: protocol 18, and no header.
    ///
    /// ```
    /// use i2p_sam::RawOptions;
    ///
    /// // For a router that is known to be Java I2P.
    /// let with_ports = RawOptions::new().header(true);
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the I2CP protocol of the session's datagrams: 0 to 255, except 6, 17, 19 and 20, which
    /// belong to streams and to datagrams with a sender. Default: none is sent, which is 18.
    pub fn protocol(mut self, protocol: u8) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// Sets whether the bridge sends protocol and ports with each datagram. Default: no.
    ///
    /// Set it only if the router is known to be Java I2P: i2pd and emissary send no header, so that
    /// everything they forward is dropped, unless a peer writes a line that looks like one.
    pub fn header(mut self, header: bool) -> Self {
        self.header = header;
        self
    }

    pub(crate) fn format(&self) -> Format {
        let header = self.header;
        Format::Raw { header }
    }

    pub(crate) fn own_protocol(&self) -> Option<u8> {
        self.protocol
    }

    pub(crate) fn pairs(&self) -> Result<Vec<Pair>, Error> {
        let mut pairs = Vec::new();
        if let Some(protocol) = self.protocol {
            check_protocol(protocol)?;
            pairs.push(("PROTOCOL", protocol.to_string()));
        }
        if self.header {
            pairs.push(("HEADER", "true".to_owned()));
        }
        Ok(pairs)
    }
}
