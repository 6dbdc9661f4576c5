use std::str::FromStr;

use crate::address::{Destination, parse_number};
use crate::wire::{Message, ParseError, ParseErrorKind};

/// The line that a bridge sends before an accepted stream: the peer, or a status if none will come.
///
/// ```text
/// <destination> FROM_PORT=1111 TO_PORT=2222     a peer; the ports only from SAM 3.2 on, never from i2pd
/// STREAM STATUS RESULT=ALREADY_ACCEPTING …      a late error, although the ACCEPT was answered OK
/// ```
///
/// ```
/// use i2p_sam::wire::StreamHeader;
///
/// let late = StreamHeader::parse(b"STREAM STATUS RESULT=I2P_ERROR")?;
/// assert!(matches!(late, StreamHeader::Status(_)));
/// # Ok::<(), i2p_sam::wire::ParseError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StreamHeader<'a> {
    /// A peer, and its I2CP ports if the bridge sends them. Port 0 means no port and becomes
    /// `None`.
    Peer {
        /// The destination of the peer.
        destination: Destination,
        /// The port from which the peer dialled.
        from_port: Option<u16>,
        /// The port that the peer dialled.
        to_port: Option<u16>,
    },
    /// The bridge's status instead of a peer. No stream follows, whatever its result is.
    Status(Message<'a>),
}

impl<'a> StreamHeader<'a> {
    /// Reads the line, with or without its line end.
    ///
    /// A destination has at least 516 characters, so the word `STREAM` in its place can only begin
    /// a status.
    ///
    /// # Errors
    ///
    /// Returns [`ParseErrorKind::Value`] for a malformed destination or port, and the errors of
    /// [`Message::parse`].
    ///
    /// ```
    /// use i2p_sam::wire::StreamHeader;
    ///
    /// let line = format!("{} FROM_PORT=4444 TO_PORT=80", "A".repeat(516));
    /// let header = StreamHeader::parse(line.as_bytes())?;
    /// assert!(matches!(header, StreamHeader::Peer { from_port: Some(4444), to_port: Some(80), .. }));
    /// # Ok::<(), i2p_sam::wire::ParseError>(())
    /// ```
    pub fn parse(line: &'a [u8]) -> Result<Self, ParseError> {
        let message = Message::parse(line)?;
        if message.topic() == "STREAM" {
            return Ok(Self::Status(message));
        }
        if let Some(malformed) = message.params().find_map(Result::err) {
            return Err(malformed);
        }
        let destination = Destination::from_base64(message.topic())
            .map_err(|_| ParseError::new(ParseErrorKind::Value, 0))?;
        Ok(Self::Peer {
            destination,
            from_port: port(&message, "FROM_PORT")?,
            to_port: port(&message, "TO_PORT")?,
        })
    }
}

fn port(message: &Message<'_>, key: &str) -> Result<Option<u16>, ParseError> {
    let Some(value) = message.value(key) else {
        return Ok(None);
    };
    // Java I2P sends port 0 for a peer that named no port.
    let port: u16 = number(&value.unescape())?;
    Ok((port != 0).then_some(port))
}

/// Reads a decimal number such as a port, of digits only.
pub(crate) fn number<T: FromStr>(text: &str) -> Result<T, ParseError> {
    parse_number(text).ok_or(ParseError::new(ParseErrorKind::Value, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ResultCode;

    /// A destination is 256 bytes of encryption key, 128 of signing key, and the certificate.
    fn destination() -> Destination {
        let mut bytes = vec![7; 384];
        bytes.extend([5, 0, 4, 0, 7, 0, 0]);
        Destination::from_bytes(&bytes).unwrap()
    }

    fn ports(behind: &str) -> Result<(Option<u16>, Option<u16>), ParseErrorKind> {
        let line = format!("{}{behind}\n", destination().to_base64());
        match StreamHeader::parse(line.as_bytes()) {
            Ok(StreamHeader::Peer {
                destination: peer,
                from_port,
                to_port,
            }) => {
                assert_eq!(peer, destination());
                Ok((from_port, to_port))
            }
            Ok(StreamHeader::Status(_)) => panic!("a peer was read as a status"),
            Err(error) => Err(error.kind()),
        }
    }

    #[test]
    fn destination_alone_is_peer_without_ports() {
        assert_eq!(ports(""), Ok((None, None)));
    }

    #[test]
    fn ports_parse_in_any_order() {
        assert_eq!(
            ports(" FROM_PORT=1111 TO_PORT=2222"),
            Ok((Some(1111), Some(2222)))
        );
        assert_eq!(
            ports("  TO_PORT=1 FROM_PORT=65535"),
            Ok((Some(65535), Some(1)))
        );
    }

    #[test]
    fn port_zero_means_no_port() {
        assert_eq!(ports(" FROM_PORT=0 TO_PORT=0"), Ok((None, None)));
        assert_eq!(ports(" FROM_PORT=00 TO_PORT=80"), Ok((None, Some(80))));
    }

    #[test]
    fn invalid_ports_are_refused() {
        for bad in [" FROM_PORT=70000", " TO_PORT=x", " TO_PORT=-1", " TO_PORT="] {
            assert_eq!(ports(bad), Err(ParseErrorKind::Value), "{bad}");
        }
        let open = Err(ParseErrorKind::UnterminatedQuote);
        assert_eq!(ports(" FROM_PORT=\"5"), open);
    }

    #[test]
    fn late_error_is_no_peer() {
        let line = b"STREAM STATUS RESULT=ALREADY_ACCEPTING MESSAGE=\"x\"\n";
        let Ok(StreamHeader::Status(status)) = StreamHeader::parse(line) else {
            panic!("no status");
        };
        assert_eq!(status.result(), Some(ResultCode::AlreadyAccepting));
    }

    #[test]
    fn truncated_destination_is_no_peer() {
        let whole = destination().to_base64();
        for len in 0..whole.len() {
            assert!(StreamHeader::parse(&whole.as_bytes()[..len]).is_err());
        }
    }
}
