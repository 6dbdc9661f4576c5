use std::fmt;
use std::io::Write;
use std::num::NonZeroU16;
use std::time::Duration;

use crate::error::Error;
use crate::session::DefaultPorts;

/// The styles of datagrams with a sender. Both sides must use the same.
///
/// ```
/// use i2p_sam::{DatagramSession, DatagramStyle, Error, SamBridge};
///
/// fn open(bridge: &SamBridge) -> Result<DatagramSession, Error> {
///     match bridge.session().datagram(DatagramStyle::Datagram2) {
///         // This router does not have it, and refuses or closes.
///         Err(Error::Refused(_) | Error::UnexpectedEof { .. }) => {
///             bridge.session().datagram(DatagramStyle::Datagram)
///         }
///         opened => opened,
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum DatagramStyle {
    /// Signed by the sender. Anyone who has received one can send it again. Every router has it.
    #[default]
    Datagram,
    /// Signed, and no one else can send it again. i2pd 2.59 has it; i2pd 2.45 and Java I2P 2.8.0 do
    /// not; emissary 0.4.0 creates the session and delivers nothing.
    Datagram2,
    /// Not signed, and small: the sender is a claim ([`Sender::Unauthenticated`](crate::Sender::Unauthenticated)). i2pd 2.59 has it;
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

    /// Returns I2CP's number for it.
    pub(crate) fn protocol(self) -> u8 {
        match self {
            Self::Datagram => 17,
            Self::Datagram2 => 19,
            Self::Datagram3 => 20,
        }
    }
}

/// Options of one datagram. All of them need SAM 3.2.
///
/// ```
/// let options = i2p_sam::DatagramOptions::new().from_port(4444).to_port(53);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct DatagramOptions {
    from_port: Option<NonZeroU16>,
    to_port: Option<NonZeroU16>,
    pub(super) protocol: Option<u8>,
    send_tags: Option<u8>,
    tag_threshold: Option<u8>,
    expires: Option<Duration>,
    send_lease_set: Option<bool>,
}

impl DatagramOptions {
    /// Creates the default options: only the address is sent, with its port or the
    /// session's.
    ///
    /// ```
    /// use std::time::Duration;
    /// use i2p_sam::DatagramOptions;
    ///
    /// // A position in a game is of no use to the peer after two seconds.
    /// let position = DatagramOptions::new().expires(Duration::from_secs(2));
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets our I2CP port; 0 is no port. Default: that of the
    /// [session](crate::SessionBuilder::from_port), if it has one. i2pd does not send it to the peer.
    pub fn from_port(mut self, port: u16) -> Self {
        self.from_port = NonZeroU16::new(port);
        self
    }

    /// Sets the peer's I2CP port; 0 is no port. Default: that of the address, or else of the
    /// [session](crate::SessionBuilder::to_port), if they have one.
    pub fn to_port(mut self, port: u16) -> Self {
        self.to_port = NonZeroU16::new(port);
        self
    }

    /// Sets the I2CP protocol of this one datagram, for a [`RawSession`](crate::RawSession) only.
    /// Default: the session's.
    pub fn protocol(mut self, protocol: u8) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// Sets how many session tags are sent along, for destinations with ElGamal keys (Java I2P). Default:
    /// the router's.
    pub fn send_tags(mut self, tags: u8) -> Self {
        self.send_tags = Some(tags);
        self
    }

    /// Sets the number of session tags below which more are sent, for destinations with ElGamal keys
    /// (Java I2P). Default: the router's.
    pub fn tag_threshold(mut self, tags: u8) -> Self {
        self.tag_threshold = Some(tags);
        self
    }

    /// Sets the time after which the datagram need not be delivered any more, in whole seconds; less
    /// than one counts as one (Java I2P). Default: the router's.
    pub fn expires(mut self, after: Duration) -> Self {
        self.expires = Some(after);
        self
    }

    /// Sets whether our lease set is sent along, so that the peer can answer without looking us up (Java
    /// I2P). Default: the router's, which is yes.
    pub fn send_lease_set(mut self, send: bool) -> Self {
        self.send_lease_set = Some(send);
        self
    }

    /// Writes the options, which follow the destination. `port` is that of the address; `ports` and
    /// `protocol` are those of the session, for a datagram without.
    pub(crate) fn write(
        &self,
        port: Option<u16>,
        ports: DefaultPorts,
        protocol: Option<u8>,
        line: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.protocol.map_or(Ok(()), check_protocol)?;
        let from_port = ports.own(self.from_port.map(NonZeroU16::get));
        let to_port = match (self.to_port.map(NonZeroU16::get), port) {
            (Some(asked), Some(in_address)) if asked != in_address => {
                return Err(Error::setting(
                    "to_port",
                    asked,
                    "the address has another port",
                ));
            }
            (asked, in_address) => ports.peer(asked.or(in_address)),
        };
        let numbers = [
            ("FROM_PORT", from_port.map(u64::from)),
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

/// Refuses the protocols of streams, 6, and of datagrams with a sender, 17, 19 and 20.
pub(super) fn check_protocol(protocol: u8) -> Result<(), Error> {
    let reason = "the protocols 6, 17, 19 and 20 are those of streams and datagrams";
    match protocol {
        6 | 17 | 19 | 20 => Err(Error::setting("protocol", protocol, reason)),
        _ => Ok(()),
    }
}

/// Writes text. It cannot fail: a program without memory ends.
pub(crate) fn push(text: &mut Vec<u8>, part: fmt::Arguments<'_>) {
    let _ = text.write_fmt(part);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the options as they follow an address with this port.
    fn line(options: &DatagramOptions, port: Option<u16>) -> Result<String, Error> {
        line_of(DefaultPorts::default(), options, port)
    }

    fn line_of(
        ports: DefaultPorts,
        options: &DatagramOptions,
        port: Option<u16>,
    ) -> Result<String, Error> {
        let mut line = Vec::new();
        options.write(port, ports, None, &mut line)?;
        Ok(String::from_utf8(line).unwrap())
    }

    #[test]
    fn datagram_port_zero_is_no_port() {
        let options = DatagramOptions::new().from_port(7).from_port(0).to_port(0);
        assert_eq!(line(&options, None).unwrap(), "");
        assert_eq!(line(&options, Some(80)).unwrap(), " TO_PORT=80");
    }

    #[test]
    fn ports_of_session_are_written_last() {
        let ports = DefaultPorts {
            from: NonZeroU16::new(7),
            to: NonZeroU16::new(8),
        };
        let none = DatagramOptions::new();
        assert_eq!(
            line_of(ports, &none, None).unwrap(),
            " FROM_PORT=7 TO_PORT=8"
        );
        assert_eq!(
            line_of(ports, &none, Some(80)).unwrap(),
            " FROM_PORT=7 TO_PORT=80"
        );
        let own = DatagramOptions::new().from_port(1).to_port(2);
        assert_eq!(
            line_of(ports, &own, None).unwrap(),
            " FROM_PORT=1 TO_PORT=2"
        );
        let zero = DatagramOptions::new().from_port(0).to_port(0);
        assert_eq!(
            line_of(ports, &zero, None).unwrap(),
            " FROM_PORT=7 TO_PORT=8"
        );
    }

    #[test]
    fn port_of_address_is_kept() {
        let options = DatagramOptions::new().to_port(81);
        assert_eq!(line(&options, Some(81)).unwrap(), " TO_PORT=81");
        let refused = line(&options, Some(80));
        assert!(matches!(refused, Err(Error::InvalidConfig(_))));
    }
}
