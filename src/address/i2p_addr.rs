//! Addresses that can be dialled: a service, with or without a port.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use super::b32::{B32, B33};
use super::destination::Destination;
use super::encoding::parse_number;
use super::error::{AddressError, UrlPart};
use super::host::{Host, HostName};
use super::link::{Link, percent_decoded};

/// An I2P service with an optional port: the counterpart of `SocketAddr`.
///
/// `FromStr` reads these forms, each with or without a final `:port`:
///
/// * a base64 [`Destination`] (516 characters or more), also followed by `.i2p`, as in BitTorrent
///   trackers and peer lists,
/// * a `.b32.i2p` address, [`B32`] or [`B33`], whose checksum is verified,
/// * a [`HostName`] that ends in `.i2p`.
///
/// A link (`http://stats.i2p/page`) is no address; [`from_url`](Self::from_url) reads the address
/// from it.
///
/// I2P ports go from 1 to 65535 and have nothing to do with local TCP ports. 0 means "no port": an
/// address with port 0 is the address without a port.
///
/// `Display` is short and suits logs: it shows a destination by its `.b32.i2p` address. The
/// displayed text can be parsed again; the result is equal to the address. [`to_sam`](Self::to_sam)
/// returns the form for routers.
///
/// # Equality, and lists of peers
///
/// Two addresses are equal, and have the same hash, if they name the same service at the same port
/// and no router is needed to know that: a destination is equal to its own `.b32.i2p` address.
/// Facts that only a router knows do not count: a [`HostName`] is equal to no destination, and
/// neither is a [`B33`].
///
/// The address of an [accepted peer](crate::SamStream::peer_addr) has the port from which the peer
/// dialled, as a `SocketAddr` has, so an allow-list of addresses would depend on it. Compare peers
/// by [`b32`](Self::b32), as programs compare an `IpAddr`:
///
/// ```
/// use std::collections::HashSet;
/// use i2p_sam::{B32, I2pAddr};
///
/// fn allow_list(lines: &[&str]) -> Result<HashSet<B32>, Box<dyn std::error::Error>> {
///     let service = |line: &&str| line.parse::<I2pAddr>()?.b32().ok_or_else(|| "look it up".into());
///     lines.iter().map(service).collect()
/// }
///
/// let allowed = allow_list(&["gem7z2yovuoqqbg3sd5qzb5dhaiit6osezfdo3cbuonanzjsuzaq.b32.i2p"])?;
/// let may_enter = |peer: &I2pAddr| peer.b32().is_some_and(|b32| allowed.contains(&b32));
///
/// // An accepted peer: a whole destination, and a port.
/// let destination = i2p_sam::Destination::from_bytes(&[0; 387])?;
/// assert!(may_enter(&I2pAddr::from(destination).with_port(1024)));
///
/// let stranger = i2p_sam::B32::from_hash([7; 32]);
/// assert!(!may_enter(&stranger.into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Examples
///
/// ```
/// use i2p_sam::I2pAddr;
///
/// let addr: I2pAddr = "Stats.i2p:80".parse()?;
/// assert_eq!(addr.port(), Some(80));
/// assert_eq!(addr.to_string(), "stats.i2p:80");
/// assert_eq!(addr.to_sam(), "stats.i2p");
///
/// // Clearnet names, and the router's name for the session itself, are no addresses.
/// assert!("example.com".parse::<I2pAddr>().is_err());
/// assert!("ME".parse::<I2pAddr>().is_err());
/// # Ok::<(), i2p_sam::AddressError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct I2pAddr {
    host: Host,
    port: Option<NonZeroU16>,
}

impl I2pAddr {
    /// Reads the address from a link: `[scheme://]host[:port][/path][?query][#fragment]`.
    ///
    /// The host and the port have the form that [`FromStr`](std::str::FromStr) reads. `FromStr`
    /// refuses everything else, since a program that dials and has no use for a path should not
    /// drop one silently. This function drops the scheme (any scheme), the path, the query and the
    /// fragment. No scheme implies a port: `http://stats.i2p/` has none, and
    /// [`with_port`](Self::with_port) sets one.
    ///
    /// If the query has an `i2paddresshelper`, the address is its value, a base64 destination or a
    /// `.b32.i2p` address, with the link's port. **Only the author of the link vouches for it:** a
    /// host name is not checked against the helper and does not become part of the address. To find
    /// the destination of a name, [look it up](crate::SamBridge::lookup). A host that is a
    /// destination or a `.b32.i2p` address is checked against the helper.
    ///
    /// # Errors
    ///
    /// * every error of `FromStr`; offsets count from the start of the host,
    /// * [`SurplusPart`](AddressError::SurplusPart) for a user name or a password (the part that
    ///   ends in `@`), which no router accepts and which often serves to deceive,
    /// * [`InvalidHelper`](AddressError::InvalidHelper) if the `i2paddresshelper` contains neither
    ///   a destination nor a `.b32.i2p` address,
    /// * [`HelperMismatch`](AddressError::HelperMismatch) if the host differs from the one that the
    ///   `i2paddresshelper` names.
    ///
    /// # Examples
    ///
    /// ```
    /// use i2p_sam::{AddressError, I2pAddr, UrlPart};
    ///
    /// let addr = I2pAddr::from_url("http://stats.i2p:8080/cgi-bin/dashboard.cgi?sort=up")?;
    /// assert_eq!(addr.to_string(), "stats.i2p:8080");
    ///
    /// let b32 = "a4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dq.b32.i2p";
    /// let addr = I2pAddr::from_url(&format!("http://new.i2p/?i2paddresshelper={b32}"))?;
    /// assert_eq!(addr.to_string(), b32);
    ///
    /// // A link that contains an address is not itself an address.
    /// let error = "http://stats.i2p/".parse::<I2pAddr>().unwrap_err();
    /// assert_eq!(error, AddressError::SurplusPart { part: UrlPart::Scheme });
    /// # Ok::<(), AddressError>(())
    /// ```
    pub fn from_url(url: &str) -> Result<Self, AddressError> {
        let link = Link::split(url);
        if link.has_user_info {
            let part = UrlPart::UserInfo;
            return Err(AddressError::SurplusPart { part });
        }
        let addr = Self::parse_whole(link.address)?;
        let Some(helper) = link.helper() else {
            return Ok(addr);
        };
        let helper = read_helper(helper).map_err(|reason| AddressError::InvalidHelper {
            reason: Box::new(reason),
        })?;
        if !agree(addr.host(), &helper) {
            return Err(AddressError::HelperMismatch);
        }
        Ok(Self {
            host: helper,
            ..addr
        })
    }

    /// Returns the service without the port.
    ///
    /// # Examples
    ///
    /// ```
    /// use i2p_sam::{Host, I2pAddr};
    ///
    /// let addr: I2pAddr = "stats.i2p".parse()?;
    /// assert!(matches!(addr.host(), Host::Name(name) if name.as_str() == "stats.i2p"));
    /// # Ok::<(), i2p_sam::AddressError>(())
    /// ```
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Returns the port, 1 to 65535, or `None` if there is none. `None` is the default; port 0 is
    /// `None` too.
    ///
    /// # Examples
    ///
    /// ```
    /// # use i2p_sam::I2pAddr;
    /// assert_eq!("stats.i2p:80".parse::<I2pAddr>()?.port(), Some(80));
    /// assert_eq!("stats.i2p".parse::<I2pAddr>()?.port(), None);
    /// assert_eq!("stats.i2p:0".parse::<I2pAddr>()?.port(), None);
    /// # Ok::<(), i2p_sam::AddressError>(())
    /// ```
    pub fn port(&self) -> Option<u16> {
        self.port.map(NonZeroU16::get)
    }

    /// Returns the same service at this port, replacing any other port. Port 0 means no port.
    ///
    /// # Examples
    ///
    /// ```
    /// # use i2p_sam::I2pAddr;
    /// let addr = "stats.i2p:80".parse::<I2pAddr>()?.with_port(443);
    /// assert_eq!(addr.to_string(), "stats.i2p:443");
    /// assert_eq!(addr.clone().with_port(0), addr.without_port());
    /// # Ok::<(), i2p_sam::AddressError>(())
    /// ```
    #[must_use]
    pub fn with_port(self, port: u16) -> Self {
        Self {
            port: NonZeroU16::new(port),
            ..self
        }
    }

    /// Returns the same service without a port.
    ///
    /// # Examples
    ///
    /// ```
    /// # use i2p_sam::I2pAddr;
    /// let addr = "stats.i2p:80".parse::<I2pAddr>()?.without_port();
    /// assert_eq!(addr.to_string(), "stats.i2p");
    /// # Ok::<(), i2p_sam::AddressError>(())
    /// ```
    #[must_use]
    pub fn without_port(self) -> Self {
        Self { port: None, ..self }
    }

    /// Returns the full destination, if this address contains one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use i2p_sam::I2pAddr;
    /// // A name needs a lookup first.
    /// assert!("stats.i2p".parse::<I2pAddr>()?.destination().is_none());
    /// # Ok::<(), i2p_sam::AddressError>(())
    /// ```
    pub fn destination(&self) -> Option<&Destination> {
        match &self.host {
            Host::Destination(destination) => Some(destination),
            _ => None,
        }
    }

    /// Returns the `.b32.i2p` address of 60 characters, which identifies the service regardless of
    /// the port. `None` for a [`HostName`] or a [`B33`]: [look it up](crate::SamBridge::lookup)
    /// first.
    ///
    /// Use it to compare peers, and as the key of a map of peers.
    ///
    /// # Examples
    ///
    /// ```
    /// use i2p_sam::{Destination, I2pAddr};
    ///
    /// let destination = Destination::from_bytes(&[0; 387])?;
    /// assert_eq!(I2pAddr::from(&destination).b32(), Some(destination.b32()));
    /// # Ok::<(), i2p_sam::AddressError>(())
    /// ```
    pub fn b32(&self) -> Option<B32> {
        match &self.host {
            Host::Destination(destination) => Some(destination.b32()),
            Host::B32(address) => Some(*address),
            Host::B33(_) | Host::Name(_) => None,
        }
    }

    /// Returns the form for routers, as `DESTINATION=` or `NAME=` carries it: the full service, no
    /// port.
    ///
    /// It never needs quotes, which i2pd does not understand.
    ///
    /// # Examples
    ///
    /// ```
    /// use i2p_sam::{Destination, I2pAddr};
    ///
    /// let destination = Destination::from_bytes(&[0; 387])?;
    /// assert_eq!(I2pAddr::from(&destination).to_sam(), destination.to_base64());
    /// # Ok::<(), i2p_sam::AddressError>(())
    /// ```
    pub fn to_sam(&self) -> Cow<'_, str> {
        match &self.host {
            Host::Name(name) => Cow::Borrowed(name.as_str()),
            _ => Cow::Owned(self.sam().to_string()),
        }
    }

    /// Reads a text that is an address and nothing more.
    fn parse_whole(text: &str) -> Result<Self, AddressError> {
        let Some((host, port)) = text.rsplit_once(':') else {
            return text.parse().map(|host| Self { host, port: None });
        };
        let offset = host.len() + 1;
        let port = parse_number(port).ok_or(AddressError::InvalidPort { offset })?;
        let host: Host = host.parse()?;
        Ok(Self::from(host).with_port(port))
    }

    /// Returns a value that displays the same text, without an allocation unless it is a [`B33`].
    pub(crate) fn sam(&self) -> impl fmt::Display {
        SamText(&self.host)
    }
}

struct SamText<'a>(&'a Host);

impl fmt::Display for SamText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Host::Destination(destination) => destination.shown().fmt(f),
            Host::B32(address) => address.fmt(f),
            Host::B33(address) => address.fmt(f),
            Host::Name(name) => name.fmt(f),
        }
    }
}

/// Writes the short form, with `:port` if there is a port.
impl fmt::Display for I2pAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => f.pad(&format!("{}:{port}", self.host)),
            None => self.host.fmt(f),
        }
    }
}

impl FromStr for I2pAddr {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse_whole(text).map_err(|error| match surplus_part(text) {
            Some(part) => AddressError::SurplusPart { part },
            None => error,
        })
    }
}

impl From<Host> for I2pAddr {
    fn from(host: Host) -> Self {
        Self { host, port: None }
    }
}

impl From<&Destination> for I2pAddr {
    fn from(destination: &Destination) -> Self {
        destination.clone().into()
    }
}

/// A value that can be dialled: a text, an address, a destination, or any of them with a port.
///
/// It is modelled on [`ToSocketAddrs`](std::net::ToSocketAddrs) but does no lookup. A
/// [`PrivateKey`](crate::PrivateKey) does not implement it, so it cannot be dialled by mistake;
/// dial its [`destination`](crate::PrivateKey::destination).
///
/// # Examples
///
/// ```
/// use i2p_sam::{AddressError, ToI2pAddr};
///
/// fn dial(to: impl ToI2pAddr) -> Result<String, AddressError> {
///     Ok(to.to_i2p_addr()?.to_string())
/// }
///
/// assert_eq!(dial("stats.i2p:80")?, "stats.i2p:80");
/// assert_eq!(dial(("stats.i2p", 80))?, "stats.i2p:80");
/// assert_eq!(
///     dial(("stats.i2p:443", 80)),
///     Err(AddressError::PortConflict { in_address: 443, asked: 80 })
/// );
/// # Ok::<(), AddressError>(())
/// ```
pub trait ToI2pAddr {
    /// Converts the value into an address.
    ///
    /// # Errors
    ///
    /// Returns [`AddressError`] if a text is not an address, or if it names one port and the pair
    /// another.
    ///
    /// # Examples
    ///
    /// ```
    /// use i2p_sam::ToI2pAddr;
    ///
    /// assert_eq!("stats.i2p".to_i2p_addr()?.port(), None);
    /// # Ok::<(), i2p_sam::AddressError>(())
    /// ```
    fn to_i2p_addr(&self) -> Result<I2pAddr, AddressError>;
}

impl ToI2pAddr for str {
    fn to_i2p_addr(&self) -> Result<I2pAddr, AddressError> {
        self.parse()
    }
}

impl ToI2pAddr for String {
    fn to_i2p_addr(&self) -> Result<I2pAddr, AddressError> {
        self.parse()
    }
}

impl ToI2pAddr for I2pAddr {
    fn to_i2p_addr(&self) -> Result<I2pAddr, AddressError> {
        Ok(self.clone())
    }
}

impl ToI2pAddr for Host {
    fn to_i2p_addr(&self) -> Result<I2pAddr, AddressError> {
        Ok(self.clone().into())
    }
}

/// The value of each variant of [`Host`] converts into an address, and can be dialled.
macro_rules! forms_of_host {
    ($($variant:ident: $form:ty),*) => {$(
        impl From<$form> for I2pAddr {
            fn from(form: $form) -> Self {
                Host::$variant(form).into()
            }
        }

        impl ToI2pAddr for $form {
            fn to_i2p_addr(&self) -> Result<I2pAddr, AddressError> {
                Ok(Host::$variant(self.clone()).into())
            }
        }
    )*};
}
forms_of_host!(Destination: Destination, B32: B32, B33: B33, Name: HostName);

impl<T: ToI2pAddr + ?Sized> ToI2pAddr for &T {
    fn to_i2p_addr(&self) -> Result<I2pAddr, AddressError> {
        (**self).to_i2p_addr()
    }
}

/// Sets the port. An address that names another port is refused, not overruled. 0 is no port, and leaves
/// the address as it is.
impl<T: ToI2pAddr> ToI2pAddr for (T, u16) {
    fn to_i2p_addr(&self) -> Result<I2pAddr, AddressError> {
        let (address, asked) = self;
        let address = address.to_i2p_addr()?;
        match address.port() {
            _ if *asked == 0 => Ok(address),
            Some(in_address) if in_address != *asked => Err(AddressError::PortConflict {
                in_address,
                asked: *asked,
            }),
            _ => Ok(address.with_port(*asked)),
        }
    }
}

/// Returns the part to remove from a text to make it an address, if the rest is one.
fn surplus_part(text: &str) -> Option<UrlPart> {
    let link = Link::split(text);
    if link.has_scheme {
        return Some(UrlPart::Scheme);
    }
    I2pAddr::parse_whole(link.address).ok()?;
    link.surplus_part()
}

/// Reads the value of a helper. A name is refused, since it would need a lookup as well.
fn read_helper(text: &str) -> Result<Host, AddressError> {
    let length = text.len();
    let text = percent_decoded(text).ok_or(AddressError::NotAnAddress { length })?;
    match text.parse()? {
        Host::Name(_) => Err(AddressError::NotAnAddress { length }),
        host => Ok(host),
    }
}

/// Returns true if the host of a link may be the host that its helper names.
fn agree(host: &Host, helper: &Host) -> bool {
    match (host, helper) {
        (Host::Name(_), _) => true,
        (host, Host::Destination(destination)) => !host.contradicts(destination),
        (Host::Destination(destination), helper) => !helper.contradicts(destination),
        (host, helper) => host == helper,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use std::collections::HashMap;

    use super::super::tests::{ed25519, ed25519_key};
    use super::*;
    use crate::address::PrivateKey;

    fn destination() -> Destination {
        Destination::from_bytes(&ed25519()).unwrap()
    }

    fn parse(text: &str) -> Result<I2pAddr, AddressError> {
        text.parse()
    }

    const B33_TEXT: &str = "yme6uy5xfgm6dp2wwyox5trojra6sdavhu5gyceesjad6xatmcs7o6qg.b32.i2p";

    #[test]
    fn every_kind_may_have_a_port() {
        for host in [
            destination().to_base64().as_str(),
            &destination().b32().to_string(),
            B33_TEXT,
            "a.i2p",
        ] {
            assert_eq!(parse(host).unwrap().port(), None);
            for port in [1, 80, 65535] {
                let addr = parse(&format!("{host}:{port}")).unwrap();
                assert_eq!(addr.port(), Some(port));
                assert_eq!(addr.to_sam(), host);
                assert_eq!(addr.sam().to_string(), host);
            }
        }
    }

    #[test]
    fn port_must_be_a_plain_number() {
        for port in [
            "",
            "65536",
            "+80",
            "-1",
            " 80",
            "80 ",
            "8_0",
            "0x50",
            "http",
            "٣",
            "99999999999",
        ] {
            let error = AddressError::InvalidPort { offset: 6 };
            assert_eq!(parse(&format!("a.i2p:{port}")), Err(error), "{port:?}");
        }
    }

    #[test]
    fn two_ports_are_refused() {
        let error = AddressError::NotAnAddress { length: 8 };
        assert_eq!(parse("a.i2p:80:81"), Err(error));
    }

    #[test]
    fn invalid_address_is_refused() {
        for text in [
            "",
            "ME",
            "me",
            "i2p",
            "localhost",
            "127.0.0.1",
            "example.com",
            "a.i2p.",
            "a.i2p ",
            "a.i2p\n",
            "a.onion",
            "=",
            "\"a.i2p\"",
        ] {
            let error = AddressError::NotAnAddress { length: text.len() };
            assert_eq!(parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn base32_without_suffix_is_refused_with_hint() {
        for address in [destination().b32().to_string(), B33_TEXT.to_owned()] {
            let label = address.strip_suffix(".b32.i2p").unwrap();
            for text in [label, &label.to_uppercase(), &format!("{label}:80")] {
                let error = parse(text).unwrap_err();
                assert_eq!(error, AddressError::MissingB32Suffix, "{text}");
                assert!(error.to_string().contains("append `.b32.i2p`"));
            }
            // Not every word of this length is a label.
            let text = label.replace('a', "1");
            let error = AddressError::NotAnAddress { length: text.len() };
            assert_eq!(parse(&text), Err(error));
        }
    }

    #[test]
    fn destination_with_i2p_suffix_parses() {
        let text = destination().to_base64();
        for suffix in [".i2p", ".I2P"] {
            let addr = parse(&format!("{text}{suffix}")).unwrap();
            assert_eq!(addr.destination(), Some(&destination()));
            assert_eq!(addr.to_sam(), text);
            let addr = parse(&format!("{text}{suffix}:80")).unwrap();
            assert_eq!(addr.port(), Some(80));
        }
        assert!(parse(&format!("a.{text}.i2p")).is_err());
        let name = format!("{}.i2p", "a".repeat(515));
        assert_eq!(parse(&name), Err(AddressError::NameTooLong { length: 519 }));
    }

    #[test]
    fn private_key_is_refused_and_concealed() {
        let key = PrivateKey::from_bytes(&ed25519_key(1)).unwrap();
        let text = key.expose_base64();
        for pasted in [
            text.clone(),
            format!("{text}:80"),
            format!("{text} x"),
            text + ".i2p",
        ] {
            let error = parse(&pasted).unwrap_err();
            let shown = format!("{error} {error:?}");
            for window in pasted.as_bytes()[..900].windows(8) {
                assert!(!shown.contains(std::str::from_utf8(window).unwrap()));
            }
        }
    }

    #[test]
    fn display_is_short_and_parses_back() {
        let full = I2pAddr::from(destination()).with_port(7);
        let shown = full.to_string();
        assert_eq!(shown, format!("{}:7", destination().b32()));
        assert_eq!(parse(&shown).unwrap(), full);
        for text in [B33_TEXT, "a.i2p", "a.i2p:65535"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn debug_of_destination_is_short() {
        let shown = format!("{:?}", I2pAddr::from(&destination()));
        assert!(
            shown.contains(&destination().b32().to_string()) && shown.len() < 150,
            "{shown}"
        );
    }

    #[test]
    fn port_can_be_set_and_removed() {
        let addr = parse("a.i2p").unwrap().with_port(1).with_port(2);
        assert_eq!(addr.port(), Some(2));
        assert_eq!(addr.without_port().port(), None);
    }

    #[test]
    fn port_zero_means_no_port() {
        let without = parse("a.i2p").unwrap();
        assert_eq!(parse("a.i2p:0").unwrap(), without);
        assert_eq!(parse("a.i2p:80").unwrap().with_port(0), without);
        assert_eq!(("a.i2p", 0).to_i2p_addr().unwrap(), without);
        assert_eq!(("a.i2p:0", 80).to_i2p_addr(), parse("a.i2p:80"));
        assert_eq!(("a.i2p:80", 0).to_i2p_addr(), parse("a.i2p:80"));
        assert_eq!(without.to_string(), "a.i2p");
    }

    #[test]
    fn map_finds_peer_by_b32() {
        let map = HashMap::from([(I2pAddr::from(destination().b32()), 1)]);
        assert_eq!(map.get(&destination().into()), Some(&1));
        assert_eq!(map.get(&I2pAddr::from(destination()).with_port(7)), None);
    }

    #[test]
    fn b32_comes_from_destination_or_hash() {
        let b32 = destination().b32();
        for addr in [I2pAddr::from(destination()), b32.into()] {
            assert_eq!(addr.b32(), Some(b32));
            assert_eq!(addr.with_port(80).b32(), Some(b32));
        }
        for text in ["a.i2p", B33_TEXT] {
            assert_eq!(parse(text).unwrap().b32(), None);
        }
    }

    #[test]
    fn every_address_type_can_be_dialled() {
        fn text(address: impl ToI2pAddr) -> String {
            address.to_i2p_addr().unwrap().to_string()
        }
        let b32 = destination().b32().to_string();
        assert_eq!(text("a.i2p"), "a.i2p");
        assert_eq!(text(String::from("a.i2p")), "a.i2p");
        assert_eq!(text(parse("a.i2p:1").unwrap()), "a.i2p:1");
        assert_eq!(text(destination()), b32);
        assert_eq!(text((&destination(), 9)), format!("{b32}:9"));
        assert_eq!(text(B32::from(&destination())), b32);
        assert_eq!(text(B33_TEXT.parse::<B33>().unwrap()), B33_TEXT);
        assert_eq!(text(("a.i2p".parse::<HostName>().unwrap(), 9)), "a.i2p:9");
    }

    #[test]
    fn separate_port_must_not_contradict_address() {
        assert_eq!(("a.i2p:9", 9).to_i2p_addr(), parse("a.i2p:9"));
        assert_eq!(
            ("a.i2p:9", 8).to_i2p_addr(),
            Err(AddressError::PortConflict {
                in_address: 9,
                asked: 8
            })
        );
    }

    #[test]
    fn truncated_address_never_panics() {
        for text in [
            format!("{}:80", destination()),
            "bücher.i2p:80".into(),
            "é.b32.i2p".into(),
        ] {
            for (at, _) in text.char_indices() {
                let (head, tail) = text.split_at(at);
                let _ = parse(head);
                let _ = parse(tail);
            }
        }
    }
}
