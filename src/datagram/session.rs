use crate::address::ToI2pAddr;
use crate::datagram::encode::OutgoingDatagram;
use crate::datagram::format::Origin;
use crate::datagram::options::{DatagramOptions, DatagramStyle};
use crate::datagram::sender::Sender;
use crate::datagram::socket::{DatagramSocket, datagram_session};
use crate::error::{Error, Phase};
use crate::sync::Cancel;
use crate::wire::{ParseError, ParseErrorKind};

/// Most bytes in a datagram that says who sent it.
const MAX_PAYLOAD: usize = 31_744;

/// A destination of our own that datagrams come to and go from, used as a
/// [`UdpSocket`](std::net::UdpSocket) is.
///
/// Every method takes `&self`, and clones are cheap and the same session: receive in one thread,
/// send in ten others. Between the bridge and us datagrams go by UDP, so they can be lost even
/// there; a thread of the session takes them in, and keeps up to 512 of them, or 4 MiB. In the long
/// run neither sending one nor receiving one allocates, unless it is sent to a text, which is read
/// each time, or comes from one who is not among the last 16 senders.
///
/// # What to expect
///
/// - Like UDP, a datagram arrives once, twice or not at all, and nobody says which.
/// - **On i2pd the first datagram to a peer is lost**: it only makes the router look the peer up.
///   Repeat what was not answered.
/// - 1 to 31744 bytes can be sent. Above some 11 kB delivery becomes unlikely, and **emissary cuts
///   what is above some 8 kB** without a word: 8000 bytes are safe everywhere.
/// - An id that a bridge does not know, a peer it does not find, a name it cannot resolve: the
///   datagram is gone, and no error tells.
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

    /// The kind of its datagrams.
    pub fn style(&self) -> DatagramStyle {
        self.style
    }

    /// Sends a datagram: to a [`Destination`], a [`Sender`], a `.b32.i2p` address or a name, any of
    /// them with an I2CP port. It returns how many bytes were sent, which is all of them.
    ///
    /// What is no full destination is left to the router to look up, and **not every router does**:
    /// Java I2P 2.8.0 and i2pd 2.59 do, i2pd 2.45 and emissary 0.4.0 send nothing and say nothing,
    /// and Java I2P wants a full one for [`DatagramStyle::Datagram2`].
    /// [`SamBridge::lookup`](crate::SamBridge::lookup) finds it.
    ///
    /// # Errors
    ///
    /// [`Error::DatagramSize`] unless it holds 1 to 31744 bytes, [`Error::Address`] when this is no
    /// I2P address, [`Error::Setting`] for a port on a bridge before SAM 3.2,
    /// [`Error::SessionLost`], [`Error::Cancelled`], [`Error::Io`].
    pub fn send_to(&self, payload: &[u8], address: impl ToI2pAddr) -> Result<usize, Error> {
        self.send_to_with(payload, address, &DatagramOptions::new())
    }

    /// [`send_to`](DatagramSession::send_to), with ports and what the router may be told.
    ///
    /// # Errors
    ///
    /// Those of [`send_to`](DatagramSession::send_to); [`Error::Setting`] for a protocol, which
    /// only raw datagrams have, and for two different ports of the peer.
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
        };
        self.socket.send(&datagram, MAX_PAYLOAD)
    }

    /// Waits for a datagram, and says how long it is and who sent it.
    ///
    /// # Errors
    ///
    /// [`Error::BufferTooSmall`], and the datagram is discarded: 31744 bytes always do.
    /// [`Error::Timeout`] after the [read time-out](DatagramSession::set_read_timeout),
    /// [`Error::WouldBlock`], [`Error::SessionLost`], [`Error::Cancelled`].
    pub fn recv_from(&self, buf: &mut [u8]) -> Result<(usize, Sender), Error> {
        let (len, origin) = self.socket.receive(buf)?;
        Ok((len, sender(origin)?))
    }

    /// [`recv_from`](DatagramSession::recv_from), and the datagram stays, even if the buffer is too
    /// small for it.
    ///
    /// # Errors
    ///
    /// Those of [`recv_from`](DatagramSession::recv_from).
    pub fn peek_from(&self, buf: &mut [u8]) -> Result<(usize, Sender), Error> {
        let (len, origin) = self.socket.peek(buf)?;
        Ok((len, sender(origin)?))
    }

    /// The same session; calls made through it end when `cancel` fires.
    #[must_use = "the handle applies to what is returned, not to the original"]
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self::new(self.socket.with_cancel(cancel), self.style)
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
