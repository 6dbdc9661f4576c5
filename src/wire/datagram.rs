use crate::wire::header::{number, port_from_wire};
use crate::wire::{ParseError, ParseErrorKind};

/// The length of the longest line before a datagram's payload, which is Java I2P's limit for one.
pub(crate) const MAX_DATAGRAM_HEADER: usize = 2048;

/// The line that a bridge sends before a forwarded datagram, parsed in place: the sender, and the
/// I2CP ports if the router sends them.
///
/// ```text
/// <destination or hash> FROM_PORT=1 TO_PORT=2     Java I2P, emissary
/// <destination or hash>                           i2pd, which sends no ports even at SAM 3.3
/// ```
///
/// Everything after the line end is the payload and is never parsed: a peer may begin it with
/// `FROM_PORT=`.
///
/// ```
/// use i2p_sam::wire::DatagramHeader;
///
/// let (header, payload) = DatagramHeader::split(b"abc~ FROM_PORT=7\nFROM_PORT=8\n")?;
/// assert_eq!((header.sender, header.from_port, header.to_port), ("abc~", Some(7), None));
/// assert_eq!(payload, b"FROM_PORT=8\n");
/// # Ok::<(), i2p_sam::wire::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatagramHeader<'a> {
    /// The sender as the bridge sent it: the base64 of a destination or, before a `DATAGRAM3`, of a
    /// hash. It is not checked.
    pub sender: &'a str,
    /// The port from which the peer sent. Port 0 means no port and becomes `None`.
    pub from_port: Option<u16>,
    /// The port to which the peer sent. Port 0 means no port and becomes `None`.
    pub to_port: Option<u16>,
}

impl<'a> DatagramHeader<'a> {
    /// Reads the line of a packet, and returns it with the payload after it.
    ///
    /// # Errors
    ///
    /// Returns [`ParseErrorKind::TooLong`] if no line ends within the first 2048 bytes,
    /// [`ParseErrorKind::Utf8`], [`ParseErrorKind::Empty`] if no sender is named, and
    /// [`ParseErrorKind::Value`] for an invalid port.
    pub fn split(packet: &'a [u8]) -> Result<(Self, &'a [u8]), ParseError> {
        let (line, payload) = split_line(packet)?;
        let mut words = words(line);
        let sender = words
            .next()
            .ok_or(ParseError::new(ParseErrorKind::Empty, 0))?;
        let mut header = Self {
            sender,
            from_port: None,
            to_port: None,
        };
        for word in words {
            match word.split_once('=') {
                Some(("FROM_PORT", port)) => header.from_port = port_from_wire(port)?,
                Some(("TO_PORT", port)) => header.to_port = port_from_wire(port)?,
                _ => {}
            }
        }
        Ok((header, payload))
    }
}

/// The line that a bridge sends before a forwarded raw datagram if the client requested it
/// (`HEADER=true`) and the bridge supports it: Java I2P does, i2pd does not.
///
/// ```
/// use i2p_sam::wire::RawHeader;
///
/// let (header, payload) = RawHeader::split(b"PROTOCOL=18 FROM_PORT=0 TO_PORT=5\nhello")?;
/// assert_eq!((header.protocol, header.to_port), (18, 5));
/// assert_eq!(payload, b"hello");
/// # Ok::<(), i2p_sam::wire::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawHeader {
    /// The I2CP protocol.
    pub protocol: u8,
    /// The port from which the peer sent; 0 means no port.
    pub from_port: u16,
    /// The port to which the peer sent; 0 means no port.
    pub to_port: u16,
}

impl RawHeader {
    /// Reads the line of a packet, and returns it with the payload after it.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`DatagramHeader::split`], and [`ParseErrorKind::MissingPair`] if one
    /// of the three fields is missing.
    pub fn split(packet: &[u8]) -> Result<(Self, &[u8]), ParseError> {
        let (line, payload) = split_line(packet)?;
        let (mut protocol, mut from_port, mut to_port) = (None, None, None);
        for word in words(line) {
            match word.split_once('=') {
                Some(("PROTOCOL", text)) => protocol = Some(number(text)?),
                Some(("FROM_PORT", port)) => from_port = Some(number(port)?),
                Some(("TO_PORT", port)) => to_port = Some(number(port)?),
                _ => {}
            }
        }
        let missing = ParseError::new(ParseErrorKind::MissingPair, 0);
        let header = Self {
            protocol: protocol.ok_or(missing)?,
            from_port: from_port.ok_or(missing)?,
            to_port: to_port.ok_or(missing)?,
        };
        Ok((header, payload))
    }
}

fn split_line(packet: &[u8]) -> Result<(&str, &[u8]), ParseError> {
    let too_long = ParseError::new(ParseErrorKind::TooLong, MAX_DATAGRAM_HEADER);
    let end = packet
        .iter()
        .take(MAX_DATAGRAM_HEADER)
        .position(|byte| *byte == b'\n')
        .ok_or(too_long)?;
    let (line, rest) = packet.split_at_checked(end).ok_or(too_long)?;
    let line = std::str::from_utf8(line)
        .map_err(|error| ParseError::new(ParseErrorKind::Utf8, error.valid_up_to()))?;
    Ok((
        line,
        rest.split_first().map_or(rest, |(_, payload)| payload),
    ))
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split([' ', '\t', '\r'])
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(packet: &[u8]) -> Option<ParseErrorKind> {
        let outcome = DatagramHeader::split(packet);
        outcome.err().map(|error| error.kind())
    }

    #[test]
    fn payload_after_destination_yields_no_ports() {
        let (header, payload) = DatagramHeader::split(b"abc\n FROM_PORT=1 TO_PORT=2\n").unwrap();
        assert_eq!((header.from_port, header.to_port), (None, None));
        assert_eq!(payload, b" FROM_PORT=1 TO_PORT=2\n");
    }

    #[test]
    fn ports_parse_in_any_order_ignoring_unknown_pairs() {
        let packet = b"abc== X TO_PORT=2 Y=3 FROM_PORT=65535\n";
        let (header, payload) = DatagramHeader::split(packet).unwrap();
        assert_eq!(header.sender, "abc==");
        assert_eq!((header.from_port, header.to_port), (Some(65535), Some(2)));
        assert!(payload.is_empty());
    }

    #[test]
    fn port_zero_means_no_port() {
        let (header, _) = DatagramHeader::split(b"abc FROM_PORT=0 TO_PORT=0\nx").unwrap();
        assert_eq!((header.from_port, header.to_port), (None, None));
    }

    #[test]
    fn malformed_header_is_refused() {
        assert_eq!(kind(b""), Some(ParseErrorKind::TooLong));
        assert_eq!(kind(b"abc"), Some(ParseErrorKind::TooLong));
        assert_eq!(kind(b"\nabc"), Some(ParseErrorKind::Empty));
        assert_eq!(kind(b"ab\xff\nx"), Some(ParseErrorKind::Utf8));
        for port in ["", "-1", "+1", "70000", "x"] {
            let packet = format!("abc FROM_PORT={port}\n");
            assert_eq!(kind(packet.as_bytes()), Some(ParseErrorKind::Value));
        }
    }

    #[test]
    fn header_line_may_have_2048_bytes() {
        let longest = [vec![b'a'; MAX_DATAGRAM_HEADER - 1], b"\n".to_vec()].concat();
        assert_eq!(kind(&longest), None);
        let longer = [b"a".to_vec(), longest].concat();
        assert_eq!(kind(&longer), Some(ParseErrorKind::TooLong));
    }

    #[test]
    fn raw_header_needs_all_three_fields() {
        for cut in ["PROTOCOL=18\n", "PROTOCOL=18 FROM_PORT=1\n", "hello\n"] {
            let error = RawHeader::split(cut.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ParseErrorKind::MissingPair, "{cut}");
        }
        let packet = b"PROTOCOL=256 FROM_PORT=0 TO_PORT=0\n";
        assert!(RawHeader::split(packet).is_err());
    }
}
