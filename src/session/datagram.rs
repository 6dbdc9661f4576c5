use std::collections::VecDeque;
use std::time::Duration;

use crate::address::{B32, Destination, ToI2pAddr};
use crate::error::Error;
use crate::session::datagrams::{Datagrams, Reader, datagram_session};
use crate::session::inbox;
use crate::session::outgoing::{Outgoing, push};
use crate::session::sender::Sender;
use crate::sync::Cancel;
use crate::wire::{DatagramHeader, Message};

/// Most bytes in a datagram that says who sent it.
const MAX_PAYLOAD: usize = 31_744;

/// The kinds of datagrams that say who sent them. Both sides must use the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum DatagramStyle {
    /// Signed by the sender; who has seen one can send it again. Every router has it.
    #[default]
    Datagram,
    /// Signed, and safe against being sent again by others. i2pd 2.59 has it; i2pd 2.45 and Java I2P
    /// 2.8.0 do not; emissary 0.4.0 makes the session and delivers nothing.
    Datagram2,
    /// Not signed, and small: the sender is a claim ([`Sender::Unauthenticated`]). i2pd 2.59 has it;
    /// i2pd 2.45, Java I2P 2.8.0 and emissary 0.4.0 do not.
    Datagram3,
}

impl DatagramStyle {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Datagram => "DATAGRAM",
            Self::Datagram2 => "DATAGRAM2",
            Self::Datagram3 => "DATAGRAM3",
        }
    }

    /// I2CP's number for it.
    pub(crate) fn protocol(self) -> u8 {
        match self {
            Self::Datagram => 17,
            Self::Datagram2 => 19,
            Self::Datagram3 => 20,
        }
    }

    pub(crate) fn reader(self) -> DatagramReader {
        DatagramReader {
            style: self,
            proven: Recent::default(),
            claimed: Recent::default(),
        }
    }
}

/// Reads datagrams of one style.
pub(crate) struct DatagramReader {
    style: DatagramStyle,
    proven: Recent<Destination>,
    claimed: Recent<B32>,
}

impl DatagramReader {
    fn sender(
        &mut self,
        name: &str,
        from_port: Option<u16>,
        to_port: Option<u16>,
    ) -> Option<Sender> {
        Some(match self.style {
            DatagramStyle::Datagram3 => Sender::Unauthenticated {
                address: self.claimed.read(name, claimed)?,
                from_port,
                to_port,
            },
            DatagramStyle::Datagram | DatagramStyle::Datagram2 => Sender::Authenticated {
                destination: self
                    .proven
                    .read(name, |name| Destination::from_base64(name).ok())?,
                from_port,
                to_port,
            },
        })
    }
}

impl Reader for DatagramReader {
    type Origin = Sender;

    fn forwarded<'a>(&mut self, packet: &'a [u8]) -> Option<(Sender, &'a [u8])> {
        let (header, payload) = DatagramHeader::split(packet).ok()?;
        let sender = self.sender(header.sender, header.from_port, header.to_port)?;
        Some((sender, payload))
    }

    fn received(&mut self, message: &Message<'_>) -> Option<Sender> {
        let name = message.value("DESTINATION")?;
        let from_port = inbox::port(message, "FROM_PORT").ok()?;
        let to_port = inbox::port(message, "TO_PORT").ok()?;
        self.sender(name.raw(), from_port, to_port)
    }
}

/// Routers name the sender of a `DATAGRAM3` by a hash. Should one give the whole destination, it
/// is not proven either.
fn claimed(text: &str) -> Option<B32> {
    let whole = || Destination::from_base64(text).ok();
    let hash = B32::from_base64(text).ok();
    hash.or_else(|| Some(B32::from(&whole()?)))
}

/// The last senders, so that one who sends again is not read again.
struct Recent<T>(VecDeque<(Box<str>, T)>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T: Clone> Recent<T> {
    fn read(&mut self, text: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        const MOST: usize = 16;

        if let Some((_, known)) = self.0.iter().find(|(said, _)| **said == *text) {
            return Some(known.clone());
        }
        let sender = read(text)?;
        self.0.truncate(MOST - 1);
        self.0.push_front((text.into(), sender.clone()));
        Some(sender)
    }
}

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
    datagrams: Datagrams<Sender>,
    style: DatagramStyle,
}

impl DatagramSession {
    pub(crate) fn new(datagrams: Datagrams<Sender>, style: DatagramStyle) -> Self {
        Self { datagrams, style }
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
        let datagram = Outgoing {
            payload,
            peer: &address.to_i2p_addr()?,
            options,
            protocol: None,
        };
        self.datagrams.send(&datagram, MAX_PAYLOAD)
    }

    /// Waits for a datagram, and says how long it is and who sent it.
    ///
    /// # Errors
    ///
    /// [`Error::BufferTooSmall`], and the datagram is discarded: 31744 bytes always do.
    /// [`Error::Timeout`] after the [read time-out](DatagramSession::set_read_timeout),
    /// [`Error::WouldBlock`], [`Error::SessionLost`], [`Error::Cancelled`].
    pub fn recv_from(&self, buf: &mut [u8]) -> Result<(usize, Sender), Error> {
        self.datagrams.receive(buf)
    }

    /// [`recv_from`](DatagramSession::recv_from), and the datagram stays, even if the buffer is too
    /// small for it.
    ///
    /// # Errors
    ///
    /// Those of [`recv_from`](DatagramSession::recv_from).
    pub fn peek_from(&self, buf: &mut [u8]) -> Result<(usize, Sender), Error> {
        self.datagrams.peek(buf)
    }

    /// The same session; calls made through it end when `cancel` fires.
    #[must_use = "the handle applies to what is returned, not to the original"]
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self::new(self.datagrams.with_cancel(cancel), self.style)
    }
}

datagram_session!(DatagramSession);

/// How to send a datagram, where it is not as usual. All of it needs SAM 3.2.
///
/// ```
/// let options = i2p_sam::DatagramOptions::new().from_port(4444).to_port(53);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct DatagramOptions {
    from_port: Option<u16>,
    to_port: Option<u16>,
    protocol: Option<u8>,
    send_tags: Option<u8>,
    tag_threshold: Option<u8>,
    expires: Option<Duration>,
    send_lease_set: Option<bool>,
}

impl DatagramOptions {
    /// As usual: nothing is said but who it is for, and the port of the address if it has one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Our I2CP port. Default: none is said, which is 0. i2pd does not tell the peer.
    pub fn from_port(mut self, port: u16) -> Self {
        self.from_port = Some(port);
        self
    }

    /// The peer's I2CP port. Default: that of the address; else none is said, which is 0.
    pub fn to_port(mut self, port: u16) -> Self {
        self.to_port = Some(port);
        self
    }

    /// The I2CP protocol of this one datagram; for a [`RawSession`](crate::RawSession) only.
    /// Default: the session's.
    pub fn protocol(mut self, protocol: u8) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// How many session tags to send along, for destinations with ElGamal keys (Java I2P). Default:
    /// the router's.
    pub fn send_tags(mut self, tags: u8) -> Self {
        self.send_tags = Some(tags);
        self
    }

    /// Below how many session tags to send more, for destinations with ElGamal keys (Java I2P).
    /// Default: the router's.
    pub fn tag_threshold(mut self, tags: u8) -> Self {
        self.tag_threshold = Some(tags);
        self
    }

    /// When the datagram need not be delivered any more, in whole seconds; under one is one (Java
    /// I2P). Default: the router's.
    pub fn expires(mut self, after: Duration) -> Self {
        self.expires = Some(after);
        self
    }

    /// Whether our lease set goes along, so that the peer can answer without looking us up (Java
    /// I2P). Default: the router's, which is yes.
    pub fn send_lease_set(mut self, send: bool) -> Self {
        self.send_lease_set = Some(send);
        self
    }

    /// Writes the options behind the destination, whose address may name a port. `protocol` is that
    /// of a datagram which names none.
    pub(crate) fn write(
        &self,
        port: Option<u16>,
        protocol: Option<u8>,
        line: &mut Vec<u8>,
    ) -> Result<(), Error> {
        if let Some(protocol) = self.protocol.filter(|protocol| !is_free(*protocol)) {
            return Err(protocol_taken(protocol));
        }
        let to_port = match (self.to_port, port) {
            (Some(asked), Some(in_address)) if asked != in_address => {
                return Err(Error::setting(
                    "to_port",
                    asked,
                    "the address has another port",
                ));
            }
            (asked, in_address) => asked.or(in_address),
        };
        let numbers = [
            ("FROM_PORT", self.from_port.map(u64::from)),
            ("TO_PORT", to_port.map(u64::from)),
            ("PROTOCOL", self.protocol.or(protocol).map(u64::from)),
            ("SEND_TAGS", self.send_tags.map(u64::from)),
            ("TAG_THRESHOLD", self.tag_threshold.map(u64::from)),
            ("EXPIRES", self.expires.map(|after| after.as_secs().max(1))),
        ];
        for (name, number) in numbers {
            if let Some(number) = number {
                push(line, format_args!(" {name}={number}"));
            }
        }
        if let Some(send) = self.send_lease_set {
            push(line, format_args!(" SEND_LEASESET={send}"));
        }
        Ok(())
    }
}

pub(crate) fn protocol_taken(protocol: u8) -> Error {
    let reason = "the protocols 6, 17, 19 and 20 are those of streams and datagrams";
    Error::setting("protocol", protocol, reason)
}

/// Streams have 6, datagrams 17, 19 and 20.
pub(crate) fn is_free(protocol: u8) -> bool {
    !matches!(protocol, 6 | 17 | 19 | 20)
}
