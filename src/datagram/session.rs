use std::io;
use std::sync::Arc;

use crate::address::{I2pAddr, ToI2pAddr};
use crate::datagram::encode::OutgoingDatagram;
use crate::datagram::format::Origin;
use crate::datagram::options::{DatagramOptions, DatagramStyle};
use crate::datagram::peer::Peer;
use crate::datagram::sender::Sender;
use crate::datagram::socket::{DatagramSocket, datagram_session};
use crate::error::{Error, Phase};
use crate::sync::Cancel;
use crate::wire::{ParseError, ParseErrorKind};

/// Largest payload of a datagram with a sender, in bytes.
const MAX_PAYLOAD: usize = 31_744;

/// A destination of our own that sends and receives datagrams, used as a [`UdpSocket`](std::net::UdpSocket)
/// is.
///
/// Every method takes `&self`, and clones are cheap and the same session: receive in one thread,
/// send in ten others. Between the bridge and us datagrams go by UDP, so they can be lost even
/// there ([`DatagramTransport`](crate::DatagramTransport) has the alternative). A thread of the session
/// receives them, and keeps up to 512 datagrams, or 4 MiB, until the program does. In the long run
/// neither sending nor receiving allocates, except for a datagram to an address given as text, which
/// is parsed each time, and for one whose sender is not among the last 16.
///
/// # What to expect
///
/// - As with UDP, a datagram arrives once, twice or not at all, without a notice.
/// - **On i2pd the first datagram to a peer is lost**: it only makes the router look the peer up.
///   Send a datagram again if no answer comes.
/// - 1 to 31744 bytes can be sent. Above some 11 kB delivery becomes unlikely, and **emissary cuts
///   datagrams above some 8 kB** without an error: 8000 bytes are safe everywhere.
/// - A bridge drops a datagram without an error if it does not know the session's id, does not find
///   the peer, or cannot resolve the name.
///
/// ```no_run
/// use i2p_sam::{DatagramStyle, SamBridge};
///
/// let session = SamBridge::from_env()?.session().datagram(DatagramStyle::Datagram)?;
/// let mut buf = [0; 32_768];
/// loop {
///     let (len, sender) = session.recv_from(&mut buf)?;
///     session.send_to(buf.get(..len).unwrap_or_default(), &sender)?;
/// }
/// # Ok::<(), i2p_sam::Error>(())
/// ```
#[derive(Clone)]
pub struct DatagramSession {
    socket: DatagramSocket,
    style: DatagramStyle,
}

impl DatagramSession {
    pub(crate) fn new(socket: DatagramSocket, style: DatagramStyle) -> Self {
        Self { socket, style }
    }

    /// Returns the style of the session's datagrams.
    pub fn style(&self) -> DatagramStyle {
        self.style
    }

    /// Sends a datagram to a [`Destination`](crate::Destination), a [`Sender`], a `.b32.i2p` address or
    /// a name, each with or without an I2CP port. Returns the number of bytes sent, which is that of
    /// the payload.
    ///
    /// The router looks up an address that is not a full destination, but **not every router does**:
    /// Java I2P 2.8.0 and i2pd 2.59 do, i2pd 2.45 and emissary 0.4.0 send nothing and report no error,
    /// and Java I2P requires a full destination for [`DatagramStyle::Datagram2`].
    /// [`SamBridge::lookup`](crate::SamBridge::lookup) finds it.
    ///
    /// # Errors
    ///
    /// [`Error::DatagramSize`] unless it holds 1 to 31744 bytes, [`Error::Address`] if this is no
    /// I2P address, [`Error::InvalidConfig`] for a port on a bridge before SAM 3.2,
    /// [`Error::SessionLost`], [`Error::Cancelled`], [`Error::Io`].
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::DatagramStyle;
    ///
    /// let session = bridge.session().datagram(DatagramStyle::Datagram)?;
    /// let peer = bridge.session().datagram(DatagramStyle::Datagram)?;
    /// assert_eq!(session.send_to(b"hello", peer.destination())?, 5);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_to(&self, payload: &[u8], address: impl ToI2pAddr) -> Result<usize, Error> {
        self.send_to_with(payload, address, &DatagramOptions::new())
    }

    /// Sends a datagram as [`send_to`](DatagramSession::send_to) does, with ports and options for the
    /// router.
    ///
    /// # Errors
    ///
    /// Those of [`send_to`](DatagramSession::send_to); [`Error::InvalidConfig`] for a protocol, which
    /// only raw datagrams have, and for two different ports of the peer.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::{DatagramOptions, DatagramStyle};
    ///
    /// let session = bridge.session().datagram(DatagramStyle::Datagram)?;
    /// let peer = bridge.session().datagram(DatagramStyle::Datagram)?;
    /// let options = DatagramOptions::new().from_port(4444).to_port(53);
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
        if let Some(protocol) = options.protocol {
            return Err(Error::setting(
                "protocol",
                protocol,
                "only raw datagrams have one",
            ));
        }
        let datagram = OutgoingDatagram {
            payload,
            peer: &address.to_i2p_addr()?,
            options,
            protocol: None,
            ports: self.socket.core().ports,
        };
        self.socket.send(&datagram, MAX_PAYLOAD)
    }

    /// Waits for a datagram, and returns its length and its sender.
    ///
    /// # Errors
    ///
    /// [`Error::BufferTooSmall`], and the datagram is discarded; 31744 bytes always suffice.
    /// [`Error::Timeout`] after the [read time-out](DatagramSession::set_read_timeout),
    /// [`Error::WouldBlock`], [`Error::SessionLost`], [`Error::Cancelled`].
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::DatagramStyle;
    ///
    /// let session = bridge.session().datagram(DatagramStyle::Datagram)?;
    /// let peer = bridge.session().datagram(DatagramStyle::Datagram)?;
    /// peer.send_to(b"hello", session.destination())?;
    /// let mut buf = [0; 31_744];
    /// let (len, sender) = session.recv_from(&mut buf)?;
    /// assert_eq!(&buf[..len], b"hello");
    /// assert_eq!(sender.destination(), Some(peer.destination()));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv_from(&self, buf: &mut [u8]) -> Result<(usize, Sender), Error> {
        let (len, origin) = self.socket.receive(buf)?;
        Ok((len, sender(origin)?))
    }

    /// Waits for a datagram as [`recv_from`](DatagramSession::recv_from) does, and leaves it to be
    /// received again, even if the buffer is too small for it.
    ///
    /// # Errors
    ///
    /// Those of [`recv_from`](DatagramSession::recv_from).
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::DatagramStyle;
    ///
    /// let session = bridge.session().datagram(DatagramStyle::Datagram)?;
    /// session.send_to(b"hello", session.destination())?;
    /// let mut buf = [0; 31_744];
    /// let (len, _) = session.peek_from(&mut buf)?;
    /// assert_eq!(session.recv_from(&mut buf)?.0, len);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn peek_from(&self, buf: &mut [u8]) -> Result<(usize, Sender), Error> {
        let (len, origin) = self.socket.peek(buf)?;
        Ok((len, sender(origin)?))
    }

    /// Connects the session, and all its clones, to one peer: [`send`](DatagramSession::send) sends to it,
    /// and the session receives from it alone. Datagrams of other peers are dropped and
    /// [counted](crate::DroppedDatagrams::other_peers), also those that wait. Call it again for another
    /// peer. The peer gets no notice.
    ///
    /// A name or `.b32.i2p` address is [looked up](DatagramSession::lookup), because datagrams name their
    /// sender by its destination. If the address has a port, datagrams from other ports are dropped too;
    /// i2pd sends no ports, and there each of the peer's ports counts. The sender of a
    /// [`DatagramStyle::Datagram3`] is not proven: anyone can send as the peer.
    ///
    /// [`send_to`](DatagramSession::send_to) can still send to others.
    ///
    /// # Errors
    ///
    /// Those of [`lookup`](DatagramSession::lookup); [`Error::InvalidConfig`] for a port on a bridge before
    /// SAM 3.2.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::DatagramStyle;
    ///
    /// let client = bridge.session().datagram(DatagramStyle::Datagram)?;
    /// let server = bridge.session().datagram(DatagramStyle::Datagram)?;
    /// client.connect(server.destination().b32())?;
    /// client.send(b"question")?;
    ///
    /// let mut buf = [0; 31_744];
    /// let (len, sender) = server.recv_from(&mut buf)?;
    /// server.send_to(&buf[..len], &sender)?;
    /// assert_eq!(client.recv(&mut buf)?, len);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connect(&self, peer: impl ToI2pAddr) -> Result<(), Error> {
        self.socket.connect(&peer.to_i2p_addr()?)
    }

    /// Returns the address of the peer to which the session is connected: its destination, with the port if
    /// one was given.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the session is not [connected](DatagramSession::connect).
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use std::io::ErrorKind;
    /// use i2p_sam::{DatagramStyle, I2pAddr};
    ///
    /// let client = bridge.session().datagram(DatagramStyle::Datagram)?;
    /// let server = bridge.session().datagram(DatagramStyle::Datagram)?;
    /// assert_eq!(client.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
    /// client.connect(server.destination().b32())?;
    /// assert_eq!(client.peer_addr()?, I2pAddr::from(server.destination()));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn peer_addr(&self) -> io::Result<I2pAddr> {
        Ok(self.socket.peer()?.addr().clone())
    }

    /// Sends a datagram to the peer to which the session is [connected](DatagramSession::connect). Returns
    /// the number of bytes sent, which is that of the payload.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] with the kind `NotConnected` if the session is not connected; otherwise those of
    /// [`send_to`](DatagramSession::send_to).
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::DatagramStyle;
    ///
    /// let session = bridge.session().datagram(DatagramStyle::Datagram)?;
    /// assert!(session.send(b"to nobody").is_err());
    /// session.connect(session.destination())?;
    /// assert_eq!(session.send(b"to itself")?, 9);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send(&self, payload: &[u8]) -> Result<usize, Error> {
        let peer = self.peer(Phase::Send)?;
        self.socket.send(&peer.datagram(payload), MAX_PAYLOAD)
    }

    /// Waits for a datagram of the peer to which the session is [connected](DatagramSession::connect), and
    /// returns its length.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] with the kind `NotConnected` if the session is not connected; otherwise those of
    /// [`recv_from`](DatagramSession::recv_from).
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::DatagramStyle;
    ///
    /// let session = bridge.session().datagram(DatagramStyle::Datagram)?;
    /// session.connect(session.destination())?;
    /// session.send(b"to itself")?;
    /// let mut buf = [0; 31_744];
    /// let len = session.recv(&mut buf)?;
    /// assert_eq!(&buf[..len], b"to itself");
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv(&self, buf: &mut [u8]) -> Result<usize, Error> {
        self.peer(Phase::Receive)?;
        Ok(self.socket.receive(buf)?.0)
    }

    /// Waits for a datagram as [`recv`](DatagramSession::recv) does, and leaves it to be received again,
    /// even if the buffer is too small for it.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](DatagramSession::recv).
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::DatagramStyle;
    ///
    /// let session = bridge.session().datagram(DatagramStyle::Datagram)?;
    /// session.connect(session.destination())?;
    /// session.send(b"to itself")?;
    /// let mut buf = [0; 31_744];
    /// assert_eq!(session.peek(&mut buf)?, session.recv(&mut buf)?);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn peek(&self, buf: &mut [u8]) -> Result<usize, Error> {
        self.peer(Phase::Receive)?;
        Ok(self.socket.peek(buf)?.0)
    }

    /// Returns the same session; calls made through it end when `cancel` fires.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::{Cancel, DatagramStyle, Error};
    ///
    /// let session = bridge.session().datagram(DatagramStyle::Datagram)?;
    /// let stop = Cancel::new();
    /// let stoppable = session.with_cancel(&stop);
    /// stop.cancel();
    /// assert!(matches!(stoppable.recv_from(&mut [0; 64]), Err(Error::Cancelled { .. })));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the handle applies to what is returned, not to the original"]
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self::new(self.socket.with_cancel(cancel), self.style)
    }

    fn peer(&self, phase: Phase) -> Result<Arc<Peer>, Error> {
        self.socket.peer().map_err(Error::io(phase))
    }
}

datagram_session!(DatagramSession);

/// The format of the session yields no datagram without a sender.
fn sender(origin: Origin) -> Result<Sender, Error> {
    match origin {
        Origin::Sender(sender) => Ok(sender),
        Origin::Raw(_) => {
            let missing = ParseError::new(ParseErrorKind::MissingPair, 0);
            Err(Error::protocol(Phase::Receive, missing))
        }
    }
}
