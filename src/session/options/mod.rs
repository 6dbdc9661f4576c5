//! Options of a session: settings of the router for tunnels, lease set, and streams.

mod encryption_type;
mod lease_set;
mod presets;
mod router;
#[cfg(feature = "serde")]
mod serialized;
mod streaming;
#[cfg(test)]
mod tests;
mod tunnel;

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::address::is_base64_digit;
use crate::wire::{CommandError, CommandFault, check_name, check_value, needs_quotes};

pub use encryption_type::EncryptionType;
pub use lease_set::{LeaseSetAuth, LeaseSetType};
pub use router::MessageReliability;
pub use streaming::{InactivityAction, LimitAction, StreamingProfile};

/// Routers read numbers as Java's `int`.
const INT_MAX: i64 = i32::MAX as i64;

/// Java I2P's and i2pd's value for no time limit.
const NO_TIME_LIMIT: &str = "-1";

/// The fields that the client sets itself; each has its own method.
const RESERVED: [&str; 18] = [
    "STYLE",
    "ID",
    "DESTINATION",
    "SIGNATURE_TYPE",
    "FROM_PORT",
    "TO_PORT",
    "PROTOCOL",
    "HEADER",
    "LISTEN_PORT",
    "LISTEN_PROTOCOL",
    "PORT",
    "HOST",
    "SILENT",
    "USER",
    "PASSWORD",
    "NAME",
    "MIN",
    "MAX",
];

/// The options that a session requests from its router: tunnels, encryption, limits on streams.
///
/// [`new`](Self::new) sets the few options that this crate recommends, [`bare`](Self::bare) sets
/// none, and the [presets](Self#presets) fit a need. Every method sets one option (if documented, two) and replaces an earlier setting of the
/// same option; [`option`](Self::option) sets any other option by its name.
///
/// Every setting is sent, or refused with a reason. A value that is out of range or cannot be sent
/// is remembered, and session creation fails with the first such [`CommandError`] before anything
/// is sent.
///
/// Routers ignore options that they do not know. The documentation of each method names the routers
/// that read the option: *Java I2P and i2pd*, or one of them.
///
/// Values can be secret keys, so `Debug` shows only the names.
///
/// # Examples
///
/// A server whose tunnels have the name `blog`, and which accepts a peer up to ten times a minute:
///
/// ```
/// use i2p_sam::SessionOptions;
///
/// let options = SessionOptions::new()
///     .nickname("blog")
///     .tunnel_quantity(4)
///     .max_conns_per_minute(Some(10));
/// ```
///
/// A client that no peer dials, and that prefers speed to three hops of distance:
///
/// ```
/// use i2p_sam::SessionOptions;
///
/// let options = SessionOptions::new()
///     .tunnel_length(1)
///     .dont_publish_lease_set(true);
/// ```
#[derive(Clone)]
#[must_use]
pub struct SessionOptions {
    pairs: Vec<(Cow<'static, str>, String)>,
    refused: Option<CommandError>,
}

impl SessionOptions {
    /// Creates the options that this crate recommends.
    ///
    /// | option | value | because |
    /// |---|---|---|
    /// | `i2cp.leaseSetEncType` | `4,0` | SAM's own default is ElGamal alone, slow and dated |
    /// | `inbound.quantity`, `outbound.quantity` | 3 | Java I2P builds 2 by default, i2pd 5 |
    ///
    /// ```
    /// let options = i2p_sam::SessionOptions::new().tunnel_length(2);
    /// ```
    pub fn new() -> Self {
        Self::bare()
            .lease_set_encryption(&[EncryptionType::EciesX25519, EncryptionType::ElGamal])
            .tunnel_quantity(3)
    }

    /// Creates empty options: the router's defaults for everything.
    ///
    /// ```
    /// // The router's own defaults, but for the length.
    /// let options = i2p_sam::SessionOptions::bare().tunnel_length(2);
    /// ```
    pub fn bare() -> Self {
        Self {
            pairs: Vec::new(),
            refused: None,
        }
    }

    /// Sets any option by its name in the documentation of I2CP, of the streaming library or of
    /// i2pd.
    ///
    /// Names and values have 1 to 255 bytes and are case-sensitive. Line ends and NUL are refused,
    /// in names also blanks, `=`, quotes, backslashes and control characters. The names of fields
    /// that the client sends itself are refused too, in any case: `STYLE`, `ID`, `DESTINATION` and
    /// the like.
    ///
    /// A value with blanks, quotes or backslashes is sent in quotes. i2pd does not support quotes:
    /// it reads the part after a blank as separate options.
    ///
    /// ```
    /// use i2p_sam::SessionOptions;
    ///
    /// let options = SessionOptions::new().option("crypto.ratchet.outboundTags", "200");
    /// ```
    pub fn option(mut self, name: &str, value: &str) -> Self {
        let reserved = || RESERVED.iter().any(|word| word.eq_ignore_ascii_case(name));
        let named = match check_name(name) {
            Ok(()) if reserved() => Err(CommandError::new(name, CommandFault::Reserved)),
            checked => checked,
        };
        if let Err(error) = named {
            self.refused.get_or_insert(error);
            return self;
        }
        self.put(name.to_owned(), Ok(value.to_owned()))
    }

    /// Returns the names and values in the order in which they were first set.
    ///
    /// # Errors
    ///
    /// Returns [`CommandError`] for the first setting that was refused.
    pub(crate) fn pairs(&self) -> Result<impl Iterator<Item = (&str, &str)>, CommandError> {
        if let Some(error) = &self.refused {
            return Err(error.clone());
        }
        let pairs = self.pairs.iter();
        Ok(pairs.map(|(name, value)| (name.as_ref(), value.as_str())))
    }

    fn put(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: Result<String, CommandFault>,
    ) -> Self {
        let name = name.into();
        let checked = value
            .map_err(|fault| CommandError::new(&name, fault))
            .and_then(|value| check_value(&name, &value).map(|()| value));
        match checked {
            Ok(value) => self.replace(name, value),
            Err(error) => {
                self.refused.get_or_insert(error);
            }
        }
        self
    }

    fn replace(&mut self, name: Cow<'static, str>, value: String) {
        match self.pairs.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.pairs.push((name, value)),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(known, _)| known == name)
    }

    fn flag(self, name: &'static str, on: bool) -> Self {
        self.put(name, Ok(on.to_string()))
    }

    fn number(self, name: &'static str, value: impl Into<i64>, range: RangeInclusive<i64>) -> Self {
        self.put(name, in_range(value.into(), range))
    }

    /// Sets a number of at least 1, or the value that means no limit.
    fn limit(self, name: &'static str, limit: Option<u32>, unlimited: &str) -> Self {
        match limit {
            Some(limit) => self.number(name, limit, 1..=INT_MAX),
            None => self.put(name, Ok(unlimited.to_owned())),
        }
    }

    fn millis(self, name: &'static str, time: Duration, range: RangeInclusive<i64>) -> Self {
        self.put(name, whole_millis(time, range))
    }

    /// Sets a time of at least 1 ms, or none.
    fn time_limit(self, name: &'static str, time: Option<Duration>) -> Self {
        match time {
            Some(time) => self.millis(name, time, 1..=INT_MAX),
            None => self.put(name, Ok(NO_TIME_LIMIT.to_owned())),
        }
    }

    fn text(self, name: &'static str, text: &str) -> Self {
        self.put(name, Ok(text.to_owned()))
    }

    fn unquoted(self, name: &'static str, text: &str) -> Self {
        self.put(name, without_quotes(text))
    }

    fn base64(self, name: &'static str, text: &str) -> Self {
        self.put(name, base64(text))
    }

    fn base64_list(
        self,
        name: &'static str,
        items: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Self {
        let items = items.into_iter().map(|item| base64(item.as_ref()));
        let list = items.collect::<Result<Vec<_>, _>>();
        self.put(name, list.map(|items| items.join(",")))
    }
}

/// Creates the options of [`SessionOptions::new`].
impl Default for SessionOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// Shows names, never a value.
impl fmt::Debug for SessionOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.pairs.iter().map(|(name, _)| name);
        f.debug_struct("SessionOptions")
            .field("names", &names.collect::<Vec<_>>())
            .field("refused", &self.refused)
            .finish()
    }
}

fn in_range(value: i64, range: RangeInclusive<i64>) -> Result<String, CommandFault> {
    let (min, max) = range.into_inner();
    if value < min || value > max {
        return Err(CommandFault::Range { min, max });
    }
    Ok(value.to_string())
}

/// Refuses parts of a millisecond: rounding them off would drop them silently.
fn whole_millis(time: Duration, range: RangeInclusive<i64>) -> Result<String, CommandFault> {
    if !time.subsec_nanos().is_multiple_of(1_000_000) {
        return Err(CommandFault::Fraction);
    }
    in_range(i64::try_from(time.as_millis()).unwrap_or(i64::MAX), range)
}

/// Refuses text that i2pd, which has no quotes, would split into pieces.
fn without_quotes(text: &str) -> Result<String, CommandFault> {
    // A line end is white space too, but has its own fault.
    if let Some(offset) = text.find(['\r', '\n', '\0']) {
        return Err(CommandFault::Character { offset });
    }
    if needs_quotes(text) {
        return Err(CommandFault::Quotes);
    }
    Ok(text.to_owned())
}

/// Refuses text that is not I2P's base64. Only the router checks whether the length is right.
fn base64(text: &str) -> Result<String, CommandFault> {
    if text.is_empty() {
        return Err(CommandFault::Empty);
    }
    let digits = text.trim_end_matches('=');
    match digits.find(|char| !is_base64_digit(char)) {
        Some(offset) => Err(CommandFault::Character { offset }),
        None if digits.is_empty() || text.len() - digits.len() > 2 => {
            Err(CommandFault::Character {
                offset: digits.len(),
            })
        }
        None => Ok(text.to_owned()),
    }
}
