use super::scan::find_any;
use crate::wire::header::number;
use crate::wire::{Message, ParseError, ParseErrorKind};

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
    ///
    /// ```
    /// use i2p_sam::wire::DatagramHeader;
    ///
    /// let packet = format!("{} FROM_PORT=1 TO_PORT=2\nhello", "A".repeat(516));
    /// let (header, payload) = DatagramHeader::split(packet.as_bytes())?;
    /// assert_eq!((header.from_port, payload), (Some(1), &b"hello"[..]));
    /// # Ok::<(), i2p_sam::wire::ParseError>(())
    /// ```
    pub fn split(packet: &'a [u8]) -> Result<(Self, &'a [u8]), ParseError> {
        let (line, payload) = split_line(packet)?;
        let mut words = words(line);
        let sender = words.next();
        let sender = sender.ok_or(ParseError::new(ParseErrorKind::Empty, 0))?;
        let pairs = words.filter_map(|word| word.split_once('='));
        let header = Fields::read(pairs)?.sent_by(sender);
        Ok((header, payload))
    }

    /// Reads the line that announces a datagram on the control socket.
    pub(crate) fn from_message(message: &Message<'a>) -> Result<Self, ParseError> {
        let fields = Fields::of(message)?;
        let missing = ParseError::new(ParseErrorKind::MissingPair, 0);
        let sender = fields.destination.ok_or(missing)?;
        Ok(fields.sent_by(sender))
    }
}

/// The line that a bridge sends before a forwarded raw datagram if the client requested it
/// (`HEADER=true`) and the bridge supports it: Java I2P does, i2pd does not.
///
/// ```
/// use i2p_sam::wire::RawHeader;
///
/// let (header, payload) = RawHeader::split(b"PROTOCOL=18 FROM_PORT=0 TO_PORT=5\nhello")?;
/// assert_eq!((header.protocol, header.from_port, header.to_port), (18, None, Some(5)));
/// assert_eq!(payload, b"hello");
/// # Ok::<(), i2p_sam::wire::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawHeader {
    /// The I2CP protocol.
    pub protocol: u8,
    /// The port from which the peer sent. Port 0 means no port and becomes `None`.
    pub from_port: Option<u16>,
    /// The port to which the peer sent. Port 0 means no port and becomes `None`.
    pub to_port: Option<u16>,
}

impl RawHeader {
    /// Reads the line of a packet, and returns it with the payload after it.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`DatagramHeader::split`], and [`ParseErrorKind::MissingPair`] if one
    /// of the three fields is missing.
    ///
    /// ```
    /// use i2p_sam::wire::RawHeader;
    ///
    /// let (header, payload) = RawHeader::split(b"PROTOCOL=18 FROM_PORT=0 TO_PORT=53\nhello")?;
    /// assert_eq!((header.protocol, header.from_port, header.to_port), (18, None, Some(53)));
    /// assert_eq!(payload, b"hello");
    /// # Ok::<(), i2p_sam::wire::ParseError>(())
    /// ```
    pub fn split(packet: &[u8]) -> Result<(Self, &[u8]), ParseError> {
        let (line, payload) = split_line(packet)?;
        let fields = Fields::read(words(line).filter_map(|word| word.split_once('=')))?;
        let missing = ParseError::new(ParseErrorKind::MissingPair, 0);
        let header = Self {
            protocol: number(fields.protocol.ok_or(missing)?)?,
            from_port: named(fields.from_port.ok_or(missing)?),
            to_port: named(fields.to_port.ok_or(missing)?),
        };
        Ok((header, payload))
    }

    /// Reads the line that announces a raw datagram on the control socket. Without a protocol there
    /// is no header.
    pub(crate) fn from_message(message: &Message<'_>) -> Result<Option<Self>, ParseError> {
        let fields = Fields::of(message)?;
        let header = |protocol| {
            Ok(Self {
                protocol: number(protocol)?,
                from_port: fields.from_port.and_then(named),
                to_port: fields.to_port.and_then(named),
            })
        };
        fields.protocol.map(header).transpose()
    }
}

/// The pairs that a bridge sends with a datagram, by UDP or on the control socket.
#[derive(Default)]
struct Fields<'a> {
    destination: Option<&'a str>,
    from_port: Option<u16>,
    to_port: Option<u16>,
    protocol: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn read(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, ParseError> {
        let mut fields = Self::default();
        for (key, value) in pairs {
            match key {
                "DESTINATION" => fields.destination = Some(value),
                "FROM_PORT" => fields.from_port = Some(number(value)?),
                "TO_PORT" => fields.to_port = Some(number(value)?),
                "PROTOCOL" => fields.protocol = Some(value),
                _ => {}
            }
        }
        Ok(fields)
    }

    fn of(message: &Message<'a>) -> Result<Self, ParseError> {
        let params = message.params().map_while(Result::ok);
        Self::read(params.filter_map(|param| Some((param.key(), param.value()?.raw()))))
    }

    fn sent_by(&self, sender: &'a str) -> DatagramHeader<'a> {
        DatagramHeader {
            sender,
            from_port: self.from_port.and_then(named),
            to_port: self.to_port.and_then(named),
        }
    }
}

/// Returns the port, unless it is 0, which means no port.
fn named(port: u16) -> Option<u16> {
    (port != 0).then_some(port)
}

fn split_line(packet: &[u8]) -> Result<(&str, &[u8]), ParseError> {
    let too_long = ParseError::new(ParseErrorKind::TooLong, MAX_DATAGRAM_HEADER);
    let longest = packet.get(..MAX_DATAGRAM_HEADER).unwrap_or(packet);
    let end = find_any(longest, [b'\n']).ok_or(too_long)?;
    let (line, rest) = packet.split_at_checked(end).ok_or(too_long)?;
    let line = std::str::from_utf8(line)
        .map_err(|error| ParseError::new(ParseErrorKind::Utf8, error.valid_up_to()))?;
    Ok((
        line,
        rest.split_first().map_or(rest, |(_, payload)| payload),
    ))
}

fn words(mut line: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        line = line.trim_start_matches([' ', '\t', '\r']);
        let end = find_any(line.as_bytes(), [b' ', b'\t', b'\r']).unwrap_or(line.len());
        let (word, rest) = line.split_at_checked(end)?;
        line = rest;
        (!word.is_empty()).then_some(word)
    })
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
        let (header, _) = RawHeader::split(b"PROTOCOL=18 FROM_PORT=0 TO_PORT=1\n").unwrap();
        assert_eq!((header.from_port, header.to_port), (None, Some(1)));
        let packet = b"PROTOCOL=256 FROM_PORT=0 TO_PORT=0\n";
        assert!(RawHeader::split(packet).is_err());
    }

    #[test]
    fn control_socket_line_yields_header_of_udp() {
        for (pairs, from_port) in [
            ("", None),
            (" FROM_PORT=0", None),
            (" FROM_PORT=7", Some(7)),
        ] {
            let line = format!("DATAGRAM RECEIVED DESTINATION=abc== SIZE=1{pairs}");
            let message = Message::parse(line.as_bytes()).unwrap();
            let header = DatagramHeader::from_message(&message).unwrap();
            let packet = format!("abc=={pairs}\n");
            let (forwarded, _) = DatagramHeader::split(packet.as_bytes()).unwrap();
            assert_eq!((header, header.from_port), (forwarded, from_port));
        }
    }

    #[test]
    fn signed_number_on_control_socket_is_refused() {
        for pair in ["FROM_PORT=+7", "TO_PORT=+7", "PROTOCOL=+18", "PROTOCOL=256"] {
            let line = format!("RAW RECEIVED SIZE=1 {pair} DESTINATION=abc");
            let message = Message::parse(line.as_bytes()).unwrap();
            assert!(RawHeader::from_message(&message).is_err(), "{pair}");
            let is_port = !pair.starts_with("PROTOCOL");
            let refused = DatagramHeader::from_message(&message).is_err();
            assert_eq!(refused, is_port, "{pair}");
        }
    }

    #[test]
    fn raw_message_without_protocol_has_no_header() {
        let message = Message::parse(b"RAW RECEIVED SIZE=1 FROM_PORT=7").unwrap();
        assert_eq!(RawHeader::from_message(&message), Ok(None));
        let message = Message::parse(b"RAW RECEIVED SIZE=1 PROTOCOL=18 TO_PORT=7").unwrap();
        let header = RawHeader::from_message(&message).unwrap().unwrap();
        assert_eq!(
            (header.protocol, header.from_port, header.to_port),
            (18, None, Some(7))
        );
    }
}
