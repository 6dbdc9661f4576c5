use std::collections::VecDeque;

use crate::address::{B32, Destination};
use crate::datagram::options::DatagramStyle;
use crate::datagram::sender::Sender;
use crate::wire::{DatagramHeader, Message, RawHeader};

/// Most senders that are remembered.
const MAX_RECENT: usize = 16;

/// The source of a datagram, as its bridge describes it.
#[derive(Clone)]
pub(crate) enum Origin {
    Sender(Sender),
    /// The header of a raw datagram, if the bridge sends one.
    Raw(Option<RawHeader>),
}

/// Reads the headers that a bridge sends with the datagrams of one session.
pub(crate) enum Format {
    Senders(SenderReader),
    /// Raw datagrams, with a header if the program requested it.
    Raw {
        header: bool,
    },
}

impl Format {
    /// Returns the format of datagrams with a sender.
    pub(crate) fn of(style: DatagramStyle) -> Self {
        Self::Senders(SenderReader {
            style,
            recent: VecDeque::new(),
        })
    }

    /// Returns the style that SAM has for the datagrams.
    pub(crate) fn style(&self) -> &'static str {
        match self {
            Self::Senders(senders) => senders.style.word(),
            Self::Raw { .. } => "RAW",
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
    /// The last senders, without ports. The text of a sender in the list is not parsed again, which would
    /// allocate.
    recent: VecDeque<(Box<str>, Sender)>,
}

impl SenderReader {
    fn read(&mut self, header: &DatagramHeader<'_>) -> Option<Sender> {
        let name = header.sender;
        let known = self.recent.iter().find(|(known, _)| **known == *name);
        let sender = match known {
            Some((_, sender)) => sender.clone(),
            None => {
                let sender = self.parse(name)?;
                self.recent.truncate(MAX_RECENT - 1);
                self.recent.push_front((name.into(), sender.clone()));
                sender
            }
        };
        Some(sender.with_ports(header.from_port, header.to_port))
    }

    fn parse(&self, name: &str) -> Option<Sender> {
        let (from_port, to_port) = (None, None);
        Some(match self.style {
            DatagramStyle::Datagram3 => Sender::Unauthenticated {
                address: claimed(name)?,
                from_port,
                to_port,
            },
            DatagramStyle::Datagram | DatagramStyle::Datagram2 => Sender::Authenticated {
                destination: Destination::from_base64(name).ok()?,
                from_port,
                to_port,
            },
        })
    }
}

/// Reads the sender of a `DATAGRAM3`, which routers name by a hash. A full destination is not proven
/// either, so it is read as a claim.
fn claimed(text: &str) -> Option<B32> {
    let whole = || Destination::from_base64(text).ok();
    let hash = B32::from_base64(text).ok();
    hash.or_else(|| Some(B32::from(&whole()?)))
}
