use std::fmt;

use super::service_record::{ServiceRecord, ServiceRecordError, service_name};
use crate::address::{Destination, Host};
use crate::error::{Error, Phase};
use crate::wire::{Message, ParseError, ParseErrorKind, redact};

/// The prefix of an option's name in a reply.
const OPTION: &str = "OPTION:";

/// The destination of an address, and the options that its owner published.
///
/// [`SamBridge::lookup_record`](crate::SamBridge::lookup_record) returns it.
///
/// ```
/// # #[cfg(feature = "testing")] {
/// use i2p_sam::testing::TestBridge;
///
/// let router = TestBridge::start()?;
/// let mail = router.bridge().session().stream()?;
/// let options = [("_smtp._tcp", "0 86400 25")];
/// router.add_host_with(&"mail.i2p".parse()?, mail.destination(), &options);
///
/// let lookup = router.bridge().lookup_record("mail.i2p")?;
/// assert_eq!(lookup.destination(), mail.destination());
/// let ports: Vec<_> = lookup.services_of("smtp", "tcp").flatten().map(|record| record.port()).collect();
/// assert_eq!(ports, [25]);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Lookup {
    destination: Destination,
    options: Vec<(Box<str>, Box<str>)>,
}

impl Lookup {
    /// Returns the destination of the address.
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// Returns the options of the lease set, name and value, in the order in which the bridge sent
    /// them. A router that does not support options sends none: i2pd, and Java I2P 2.8.
    pub fn options(&self) -> impl Iterator<Item = (&str, &str)> {
        self.options.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Returns the service records among the options, in the order of the reply. A malformed record
    /// is an error at its place and does not affect the others.
    pub fn services(&self) -> impl Iterator<Item = Result<ServiceRecord<'_>, ServiceRecordError>> {
        let named = |(key, records)| Some((service_name(key)?, records));
        self.options()
            .filter_map(named)
            .flat_map(|(name, records)| self.records(name, records))
    }

    /// Returns the records of one service: `services_of("smtp", "tcp")` returns those of
    /// `_smtp._tcp`.
    ///
    /// Try the record with the lowest [`priority`](ServiceRecord::priority) first.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// let options = [("_smtp._tcp", "0 86400 25"), ("_pop3._tcp", "0 86400 110")];
    /// let mail = bridge.session().stream()?;
    /// router.add_host_with(&"mail.i2p".parse()?, mail.destination(), &options);
    ///
    /// let lookup = bridge.lookup_record("mail.i2p")?;
    /// let record = lookup.services_of("pop3", "tcp").next().unwrap()?;
    /// assert_eq!(record.port(), 110);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn services_of(
        &self,
        service: &str,
        protocol: &str,
    ) -> impl Iterator<Item = Result<ServiceRecord<'_>, ServiceRecordError>> {
        let wanted = format!("_{service}._{protocol}");
        self.options()
            .filter(move |(key, _)| *key == wanted)
            .filter_map(|(key, records)| Some((service_name(key)?, records)))
            .flat_map(|(name, records)| self.records(name, records))
    }

    fn records<'a>(
        &'a self,
        name: (&'a str, &'a str),
        records: &'a str,
    ) -> impl Iterator<Item = Result<ServiceRecord<'a>, ServiceRecordError>> {
        let own = Host::Destination(self.destination.clone());
        records
            .split(',')
            .map(move |record| ServiceRecord::parse(name, record, &own))
    }

    /// Reads a `NAMING REPLY`.
    pub(crate) fn from_reply(reply: &Message<'_>) -> Result<Self, Error> {
        let phase = Phase::Lookup;
        let malformed = |error| Error::protocol(phase, error);
        let value = reply.require("VALUE").map_err(malformed)?;
        let destination = Destination::from_base64(&value)
            .map_err(|_| malformed(ParseError::new(ParseErrorKind::Value, 0)))?;
        let mut options = Vec::new();
        for param in reply.params() {
            let param = param.map_err(malformed)?;
            if let Some(key) = param.key().strip_prefix(OPTION) {
                let value = param.value().map(|value| value.unescape());
                options.push((key.into(), value.unwrap_or_default().into()));
            }
        }
        Ok(Self {
            destination,
            options,
        })
    }

    /// Checks that the destination matches the requested address: a bridge may lie.
    pub(crate) fn check(self, asked: &Host) -> Result<Self, Error> {
        if asked.contradicts(&self.destination) {
            return Err(Error::WrongDestination {
                asked: Box::new(asked.clone()),
                answered: self.destination.b32(),
            });
        }
        Ok(self)
    }
}

/// Peers write the options into their lease sets, so any part that could be a key is cut out.
impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options: Vec<_> = self
            .options()
            .map(|(key, value)| (redact(key), redact(value)))
            .collect();
        f.debug_struct("Lookup")
            .field("destination", &self.destination)
            .field("options", &options)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(options: &str) -> Result<Lookup, Error> {
        let destination = Destination::from_bytes(&[0; 387]).unwrap();
        let line = format!("NAMING REPLY RESULT=OK NAME=a.i2p VALUE={destination} {options}");
        let asked = "a.i2p".parse().unwrap();
        Lookup::from_reply(&Message::parse(line.as_bytes()).unwrap())?.check(&asked)
    }

    fn ports<'a>(
        records: impl Iterator<Item = Result<ServiceRecord<'a>, ServiceRecordError>>,
    ) -> Vec<Option<u16>> {
        records.map(|r| r.ok().map(|r| r.port())).collect()
    }

    #[test]
    fn options_are_kept_as_sent() {
        let lookup =
            lookup(r#"OPTION:b="x \"y\"" OTHER=1 OPTION:a=2 OPTION:b=3 OPTION:c"#).unwrap();
        let options: Vec<_> = lookup.options().collect();
        assert_eq!(
            options,
            [("b", "x \"y\""), ("a", "2"), ("b", "3"), ("c", "")]
        );
    }

    #[test]
    fn several_records_are_separated_by_commas() {
        let lookup = lookup(r#"OPTION:_smtp._tcp="1 9 0 0 25 a.i2p,1 9 1 0 26 b.i2p, 0 9 27""#);
        let lookup = lookup.unwrap();
        assert_eq!(ports(lookup.services()), [Some(25), Some(26), Some(27)]);
    }

    #[test]
    fn malformed_record_keeps_others() {
        let lookup =
            lookup(r#"OPTION:_a._tcp="1 9 0 0 1 a.i2p,,1 9 0 0 2 b.i2p" OPTION:_b._udp=?"#);
        let lookup = lookup.unwrap();
        assert_eq!(
            ports(lookup.services()),
            [Some(1), None, Some(2), None],
            "{lookup:?}"
        );
    }

    #[test]
    fn services_are_distinguished_by_name() {
        let lookup = lookup(r#"OPTION:_a._tcp="0 9 1" OPTION:_a._udp="0 9 2" OPTION:x="0 9 3""#);
        let lookup = lookup.unwrap();
        assert_eq!(ports(lookup.services_of("a", "udp")), [Some(2)]);
        assert_eq!(ports(lookup.services_of("b", "tcp")), []);
        assert_eq!(ports(lookup.services()), [Some(1), Some(2)]);
    }

    #[test]
    fn service_without_target_uses_own_destination() {
        let lookup = lookup(r#"OPTION:_a._tcp="0 9 80""#).unwrap();
        let record = lookup.services().next().unwrap().unwrap();
        assert_eq!(record.target().destination(), Some(lookup.destination()));
        assert_eq!(record.target().port(), Some(80));
    }

    #[test]
    fn option_with_unclosed_quote_is_refused() {
        let outcome = lookup(r#"OPTION:a="x"#);
        assert!(matches!(outcome, Err(Error::Protocol { .. })));
    }
}
