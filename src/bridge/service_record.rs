use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::address::{AddressError, Host, I2pAddr, parse_number};
use crate::wire::redact;

/// The place of one of a destination's services: I2P's counterpart of an SRV record.
///
/// The destination publishes it in its lease set, as the option `_smtp._tcp` with the value
///
/// ```text
/// 1 86400 0 0 25 ….b32.i2p [options]      the service is at that address
/// 0 86400 25 [options]                    the service is here: at the destination looked up
/// ```
///
/// with commas between the records if there are several. [`Lookup`](crate::Lookup) reads them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ServiceRecord<'a> {
    service: &'a str,
    protocol: &'a str,
    ttl: Duration,
    priority: u16,
    weight: u16,
    port: u16,
    target: I2pAddr,
    options: &'a str,
}

impl<'a> ServiceRecord<'a> {
    /// Returns the service, such as `smtp`.
    pub fn service(&self) -> &'a str {
        self.service
    }

    /// Returns `tcp` for streams and `udp` for datagrams.
    pub fn protocol(&self) -> &'a str {
        self.protocol
    }

    /// Returns how long the record may be cached, in whole seconds.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Returns the priority: of several records, try the one with the lowest priority first. 0 for
    /// a service at the destination itself.
    pub fn priority(&self) -> u16 {
        self.priority
    }

    /// Returns the weight: of several records with one priority, choose the one with the larger
    /// weight more often. 0 for a service at the destination itself.
    pub fn weight(&self) -> u16 {
        self.weight
    }

    /// Returns the I2CP port; 0 means any port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the service's address with the [`port`](ServiceRecord::port). It can be dialled
    /// unchanged.
    pub fn target(&self) -> &I2pAddr {
        &self.target
    }

    /// Returns the options for the application, as they were sent; usually empty.
    pub fn options(&self) -> &'a str {
        self.options
    }

    /// Reads one record. `own` is the destination that was looked up.
    pub(crate) fn parse(
        (service, protocol): (&'a str, &'a str),
        text: &'a str,
        own: &Host,
    ) -> Result<Self, ServiceRecordError> {
        use ServiceRecordError::{Port, Priority, Target, Ttl, Version, Weight};

        let mut fields = Fields(text);
        let here = match fields.next() {
            "0" => true,
            "1" => false,
            _ => return Err(Version),
        };
        let ttl = Duration::from_secs(fields.number::<u32>().ok_or(Ttl)?.into());
        let (priority, weight) = match here {
            true => (0, 0),
            false => (
                fields.number().ok_or(Priority)?,
                fields.number().ok_or(Weight)?,
            ),
        };
        let port = fields.number().ok_or(Port)?;
        let host = match here {
            true => own.clone(),
            // Not parsed as an address: that could name a second port.
            false => fields.next().parse().map_err(Target)?,
        };
        Ok(Self {
            service,
            protocol,
            ttl,
            priority,
            weight,
            port,
            target: I2pAddr::from(host).with_port(port),
            options: fields.rest(),
        })
    }
}

/// Peers write the records into their lease sets, so any part that could be a key is cut out.
impl fmt::Debug for ServiceRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceRecord")
            .field("service", &redact(self.service))
            .field("protocol", &redact(self.protocol))
            .field("ttl", &self.ttl)
            .field("priority", &self.priority)
            .field("weight", &self.weight)
            .field("target", &redact(&self.target.to_string()))
            .field("options", &redact(self.options))
            .finish()
    }
}

/// The first field of a service record that is missing or malformed. More kinds may be added, so
/// match with a wildcard.
///
/// ```
/// use i2p_sam::{Lookup, ServiceRecordError};
///
/// fn report(lookup: &Lookup) {
///     for record in lookup.services() {
///         match record {
///             Ok(record) => println!("port {}", record.port()),
///             Err(ServiceRecordError::Version) => println!("a record of a later version"),
///             Err(error) => println!("{error}"),
///         }
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceRecordError {
    /// The record begins with neither `0` nor `1`.
    #[error("a service record of an unknown version")]
    Version,
    /// The time to live is not a number of seconds, or is above 4294967295.
    #[error("a service record without a time to live")]
    Ttl,
    /// The priority is not a number up to 65535.
    #[error("a service record without a priority")]
    Priority,
    /// The weight is not a number up to 65535.
    #[error("a service record without a weight")]
    Weight,
    /// The port is not a number up to 65535.
    #[error("a service record without a port")]
    Port,
    /// The target is not an address, or has its own port.
    #[error("a service record without a valid target")]
    Target(#[source] AddressError),
}

/// Returns the service and the protocol in an option's name, if it names a service.
pub(crate) fn service_name(key: &str) -> Option<(&str, &str)> {
    let (service, protocol) = key.strip_prefix('_')?.split_once("._")?;
    (!service.is_empty() && !protocol.is_empty()).then_some((service, protocol))
}

/// Words separated by blanks.
struct Fields<'a>(&'a str);

impl<'a> Fields<'a> {
    /// Returns the next word, or an empty text at the end.
    fn next(&mut self) -> &'a str {
        let text = self.0.trim_start();
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        self.0 = rest;
        word
    }

    /// Returns the next word as a number of digits only.
    fn number<T: FromStr>(&mut self) -> Option<T> {
        parse_number(self.next())
    }

    fn rest(self) -> &'a str {
        self.0.trim()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ServiceRecord<'_>, ServiceRecordError> {
        let own = "own.i2p".parse().unwrap();
        ServiceRecord::parse(("smtp", "tcp"), text, &own)
    }

    #[test]
    fn record_parses_every_field() {
        let target = format!("{}.b32.i2p", "a".repeat(52));
        let text = format!("1 86400 3 7 25 {target}");
        let record = parse(&text).unwrap();
        assert_eq!((record.service(), record.protocol()), ("smtp", "tcp"));
        assert_eq!(record.ttl(), Duration::from_secs(86400));
        assert_eq!((record.priority(), record.weight()), (3, 7));
        assert_eq!(record.port(), 25);
        assert_eq!(record.target(), &format!("{target}:25").parse().unwrap());
        assert_eq!(record.options(), "");
    }

    #[test]
    fn text_after_target_is_application_data() {
        let record = parse("1 1 0 0 25 a.i2p  starttls=1 é ").unwrap();
        assert_eq!(record.options(), "starttls=1 é");
    }

    #[test]
    fn service_of_own_destination_has_no_target() {
        let record = parse("0 60 443 x=y").unwrap();
        assert_eq!(record.target(), &"own.i2p:443".parse().unwrap());
        assert_eq!((record.priority(), record.weight()), (0, 0));
        assert_eq!(record.options(), "x=y");
    }

    #[test]
    fn error_names_first_wrong_field() {
        use ServiceRecordError::{Port, Priority, Ttl, Version, Weight};

        for (text, error) in [
            ("", Version),
            ("   ", Version),
            ("2 1 0 0 25 a.i2p", Version),
            ("01 1 0 0 25 a.i2p", Version),
            ("1", Ttl),
            ("1 -1 0 0 25 a.i2p", Ttl),
            ("1 4294967296 0 0 25 a.i2p", Ttl),
            ("1 1 65536 0 25 a.i2p", Priority),
            ("1 1 0 +1 25 a.i2p", Weight),
            ("1 1 0 0 smtp a.i2p", Port),
            ("1 1 0 0", Port),
            ("0 1", Port),
            ("0 1 65536", Port),
        ] {
            assert_eq!(parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn target_with_port_is_refused() {
        for target in ["", "example.com", "a.i2p:25", "ME", "é.i2p", "..i2p"] {
            let text = format!("1 1 0 0 25 {target}");
            let outcome = parse(&text);
            assert!(
                matches!(outcome, Err(ServiceRecordError::Target(_))),
                "{target}"
            );
        }
    }

    #[test]
    fn service_is_distinguished_from_other_options() {
        assert_eq!(service_name("_smtp._tcp"), Some(("smtp", "tcp")));
        for key in ["smtp", "_smtp", "_._tcp", "_smtp._", "smtp._tcp", "", "_._"] {
            assert_eq!(service_name(key), None, "{key}");
        }
    }

    #[test]
    fn debug_conceals_possible_keys() {
        let secret = "Ab3~".repeat(20);
        let text = format!("1 1 0 0 25 a.i2p {secret}");
        let shown = format!("{:?}", parse(&text).unwrap());
        assert!(!shown.contains("Ab3~Ab3~"), "{shown}");
    }
}
