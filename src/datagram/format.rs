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
            last_line: Vec::new(),
            last: None,
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
                let (sender, payload) = senders.read_packet(packet)?;
                Some((Origin::Sender(sender), payload))
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
    /// The line before the last packet's payload, with its line end, and its sender. The same line is not
    /// parsed again.
    last_line: Vec<u8>,
    last: Option<Sender>,
}

impl SenderReader {
    fn read_packet<'a>(&mut self, packet: &'a [u8]) -> Option<(Sender, &'a [u8])> {
        if let Some(sender) = &self.last
            && let Some(payload) = packet.strip_prefix(self.last_line.as_slice())
        {
            return Some((sender.clone(), payload));
        }
        let (header, payload) = DatagramHeader::split(packet).ok()?;
        let sender = self.read(&header)?;
        let line = packet.len() - payload.len();
        self.last_line.clear();
        self.last_line.extend_from_slice(packet.get(..line)?);
        self.last = Some(sender.clone());
        Some((sender, payload))
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads packets of one session, and returns each one's ports and payload.
    fn read(packets: &[String]) -> Vec<Option<([Option<u16>; 2], String)>> {
        let mut format = Format::of(DatagramStyle::Datagram);
        let read = packets.iter().map(|packet| {
            let (origin, payload) = format.read_packet(packet.as_bytes())?;
            let Origin::Sender(sender) = origin else {
                return None;
            };
            let ports = [sender.from_port(), sender.to_port()];
            Some((ports, String::from_utf8(payload.to_vec()).unwrap()))
        });
        read.collect()
    }

    fn sender() -> String {
        Destination::from_bytes(&[0; 387]).unwrap().to_string()
    }

    #[test]
    fn line_that_repeats_yields_its_ports_and_each_payload() {
        let sender = sender();
        let packets = ["one", "", "two\n"].map(|text| format!("{sender} FROM_PORT=7\n{text}"));
        let expected = ["one", "", "two\n"].map(|text| Some(([Some(7), None], text.to_owned())));
        assert_eq!(read(&packets), expected);
    }

    #[test]
    fn line_that_differs_from_the_last_is_read() {
        let sender = sender();
        let packets = [
            format!("{sender}\nFROM_PORT=7\n"),
            format!("{sender} FROM_PORT=7\n"),
            format!("{sender} FROM_PORT=70000\nx"),
            format!("{sender} FROM_PORT=77\nx"),
            format!("{sender}\nx"),
            sender.clone(),
        ];
        let expected = [
            Some(([None, None], "FROM_PORT=7\n".to_owned())),
            Some(([Some(7), None], String::new())),
            None,
            Some(([Some(77), None], "x".to_owned())),
            Some(([None, None], "x".to_owned())),
            None,
        ];
        assert_eq!(read(&packets), expected);
    }
}
