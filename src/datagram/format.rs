use std::collections::VecDeque;

use crate::address::{B32, Destination};
use crate::datagram::options::DatagramStyle;
use crate::datagram::sender::Sender;
use crate::wire::{DatagramHeader, Message, RawHeader};

/// The style of raw datagrams.
const RAW: &str = "RAW";

/// The source of a datagram, as its bridge describes it.
#[derive(Clone)]
pub(crate) enum Origin {
    Sender(Sender),
    /// The header of a raw datagram, if the bridge sends one.
    Raw(Option<RawHeader>),
}

/// Reads what a bridge sends with the datagrams of one session.
pub(crate) enum Format {
    Senders(SenderReader),
    Raw { header: bool },
}

impl Format {
    /// Returns the format of datagrams with a sender.
    pub(crate) fn of(style: DatagramStyle) -> Self {
        Self::Senders(SenderReader {
            style,
            proven: Recent::default(),
            claimed: Recent::default(),
        })
    }

    /// Returns the format of raw datagrams, which have a header if the bridge was asked for it.
    pub(crate) fn raw(header: bool) -> Self {
        Self::Raw { header }
    }

    /// Returns the style that SAM has for the datagrams.
    pub(crate) fn style(&self) -> &'static str {
        match self {
            Self::Senders(senders) => senders.style.word(),
            Self::Raw { .. } => RAW,
        }
    }

    /// Returns the origin and the payload of a packet that the bridge forwarded, unless it is
    /// malformed.
    pub(crate) fn read_packet<'a>(&mut self, packet: &'a [u8]) -> Option<(Origin, &'a [u8])> {
        match self {
            Self::Senders(senders) => {
                let (header, payload) = DatagramHeader::split(packet).ok()?;
                Some((Origin::Sender(senders.read(&header)?), payload))
            }
            Self::Raw { header: true } => {
                let (header, payload) = RawHeader::split(packet).ok()?;
                Some((Origin::Raw(Some(header)), payload))
            }
            Self::Raw { header: false } => Some((Origin::Raw(None), packet)),
        }
    }

    /// Returns the origin of a datagram that the bridge announces on the control socket, unless the
    /// message is malformed.
    pub(crate) fn read_message(&mut self, message: &Message<'_>) -> Option<Origin> {
        match self {
            Self::Senders(senders) => {
                let header = DatagramHeader::from_message(message).ok()?;
                Some(Origin::Sender(senders.read(&header)?))
            }
            Self::Raw { .. } => Some(Origin::Raw(RawHeader::from_message(message).ok()?)),
        }
    }
}

/// Reads the senders of datagrams of one style.
pub(crate) struct SenderReader {
    style: DatagramStyle,
    proven: Recent<Destination>,
    claimed: Recent<B32>,
}

impl SenderReader {
    fn read(&mut self, header: &DatagramHeader<'_>) -> Option<Sender> {
        let (name, from_port, to_port) = (header.sender, header.from_port, header.to_port);
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

/// Reads the sender of a `DATAGRAM3`, which routers name by a hash. A full destination is not proven
/// either.
fn claimed(text: &str) -> Option<B32> {
    let whole = || Destination::from_base64(text).ok();
    let hash = B32::from_base64(text).ok();
    hash.or_else(|| Some(B32::from(&whole()?)))
}

/// The last senders. One who sends again is not parsed again, which would allocate.
struct Recent<T>(VecDeque<(Box<str>, T)>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T: Clone> Recent<T> {
    fn read(&mut self, text: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        const MOST: usize = 16;

        if let Some((_, known)) = self.0.iter().find(|(name, _)| **name == *text) {
            return Some(known.clone());
        }
        let sender = read(text)?;
        self.0.truncate(MOST - 1);
        self.0.push_front((text.into(), sender.clone()));
        Some(sender)
    }
}
