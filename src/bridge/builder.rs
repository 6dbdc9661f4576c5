use std::env;
use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::config::{Config, Endpoint, Timeouts};
use super::failover::{Failover, RETRY_AFTER};
use super::lookup_cache::LookupCache;
use super::sam_bridge::SamBridge;
use crate::error::{Error, shown};
use crate::sync::Cancel;
use crate::wire::Version;

/// The environment variable with the address of the bridge, used if the program sets none.
const ADDRESS_VARIABLE: &str = "I2P_SAM_ADDRESS";

/// The environment variable with the UDP address of the bridge in `I2P_SAM_ADDRESS`.
const UDP_ADDRESS_VARIABLE: &str = "I2P_SAM_UDP_ADDRESS";
const DEFAULT_ADDRESS: &str = "127.0.0.1:7656";
const DEFAULT_UDP_PORT: u16 = 7655;

/// The settings of a [`SamBridge`]. A time-out of `None` waits for ever.
///
/// ```
/// use std::time::Duration;
/// use i2p_sam::SamBridge;
///
/// let bridge = SamBridge::builder()
///     .address("router.lan:7656")
///     .credentials("joe", "correct horse")
///     .stream_connect_timeout(Some(Duration::from_secs(90)))
///     .build()?;
/// assert_eq!(bridge.udp_address(), "router.lan:7655");
/// # Ok::<(), i2p_sam::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct SamBridgeBuilder {
    address: Option<String>,
    udp_address: Option<String>,
    credentials: Option<(Box<str>, Box<str>)>,
    versions: (Version, Version),
    strict_versions: bool,
    timeouts: Timeouts,
    lookup_cache: (usize, Duration),
    fallbacks: Vec<SamBridge>,
    retry_after: Duration,
}

impl SamBridge {
    /// Creates the bridge at `host:port`, with every default of [`builder`](SamBridge::builder).
    /// Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] if `address` is no `host:port`, or its host ends in `.i2p`.
    ///
    /// ```
    /// let bridge = i2p_sam::SamBridge::new("[::1]:7656")?;
    /// assert_eq!(bridge.address(), "[::1]:7656");
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn new(address: &str) -> Result<Self, Error> {
        Self::builder().address(address).build()
    }

    /// Creates the bridge that the environment variable `I2P_SAM_ADDRESS` names, or the one at
    /// 127.0.0.1:7656. Nothing is connected yet.
    ///
    /// The variable may name [several](SamBridge#several-bridges), separated by commas.
    /// `I2P_SAM_UDP_ADDRESS` names their UDP addresses, as many and in the same order; without it, the
    /// UDP port is 7655 on the same host.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] if a variable is set and is not Unicode, is no list of `host:port`, or
    /// names a host that ends in `.i2p`; if `I2P_SAM_UDP_ADDRESS` names another number of addresses
    /// than `I2P_SAM_ADDRESS`.
    ///
    /// ```
    /// let bridge = i2p_sam::SamBridge::from_env()?;
    /// println!("{bridge:?}");
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn from_env() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// Returns a builder with the defaults.
    ///
    /// ```
    /// use std::time::Duration;
    /// use i2p_sam::SamBridge;
    ///
    /// let bridge = SamBridge::builder()
    ///     .address("127.0.0.1:7656")
    ///     .stream_connect_timeout(Some(Duration::from_secs(90)))
    ///     .build()?;
    /// # drop(bridge);
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn builder() -> SamBridgeBuilder {
        SamBridgeBuilder::new()
    }
}

impl SamBridgeBuilder {
    fn new() -> Self {
        Self {
            address: None,
            udp_address: None,
            credentials: None,
            versions: (Version::V3_1, Version::V3_3),
            strict_versions: false,
            timeouts: Timeouts::default(),
            lookup_cache: (0, Duration::ZERO),
            fallbacks: Vec::new(),
            retry_after: RETRY_AFTER,
        }
    }

    /// Sets the bridge's TCP address: `host:port`, where the host is a name, an IPv4 address or an IPv6
    /// address in brackets. A name that ends in `.i2p` is refused: the system's resolver would send it to
    /// name servers. Default: the environment variable `I2P_SAM_ADDRESS`, which may name several,
    /// separated by commas, or, if it is not set or empty, 127.0.0.1:7656.
    ///
    /// SAM is not encrypted, and most routers require no password: use an encrypted tunnel to a bridge
    /// on another machine.
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// Sets the bridge's UDP address, `host:port`, for datagrams. Default: if the
    /// [address](SamBridgeBuilder::address) is not set either, the environment variable
    /// `I2P_SAM_UDP_ADDRESS`, which names as many as `I2P_SAM_ADDRESS` does, separated by commas; else
    /// the host of the TCP address and port 7655.
    ///
    /// Java I2P and emissary listen at 7655. i2pd listens at its TCP port minus one, which is 7655 too
    /// unless `port` or `portudp` is set under `[sam]`; a bridge may also have no UDP port at all. A
    /// wrong port fails the second datagram that is sent
    /// ([`Error::UdpClosed`]), or loses all datagrams without an error.
    pub fn udp_address(mut self, address: impl Into<String>) -> Self {
        self.udp_address = Some(address.into());
        self
    }

    /// Sets user name and password, for a Java I2P bridge that requires them. They are sent in the
    /// clear, on every socket. Default: none.
    ///
    /// They are sent to one bridge only: the one of [`address`](Self::address), or the one that
    /// `I2P_SAM_ADDRESS` names; if the variable names several, [`build`](Self::build) refuses. A
    /// [`fallback`](Self::fallback) has its own, or none.
    pub fn credentials(mut self, user: &str, password: &str) -> Self {
        self.credentials = Some((user.into(), password.into()));
        self
    }

    /// Sets the versions of SAM to request. Default: 3.1 to 3.3.
    pub fn versions(mut self, min: Version, max: Version) -> Self {
        self.versions = (min, max);
        self
    }

    /// Sets whether to refuse a bridge that replies with a version outside the range
    /// ([`Error::Version`]). Default: no, since emissary replies 3.2 to every range, and works.
    pub fn strict_versions(mut self, strict: bool) -> Self {
        self.strict_versions = strict;
        self
    }

    /// Sets the time to resolve the bridge's name and to connect to it. Default: 30 s.
    pub fn connect_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeouts.connect = timeout;
        self
    }

    /// Sets the time to agree on a version. Default: 30 s.
    pub fn hello_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeouts.hello = timeout;
        self
    }

    /// Sets the time for a command that needs no network, such as generating a key. Default: 30 s.
    pub fn command_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeouts.command = timeout;
        self
    }

    /// Sets the time to look up an address. Default: 60 s; the router searches the network for an
    /// address that is in no address book.
    pub fn lookup_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeouts.lookup = timeout;
        self
    }

    /// Sets the time to create a session. Default: 300 s; a router builds its tunnels in seconds, or in
    /// minutes if it has just started.
    pub fn session_create_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeouts.session_create = timeout;
        self
    }

    /// Sets the time to connect to a peer. Default: 180 s; the specification requires at least 60 s, and
    /// Java I2P itself gives up only after 333 s.
    pub fn stream_connect_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeouts.stream_connect = timeout;
        self
    }

    /// Sets how many results of [`lookup`](SamBridge::lookup) are cached, and for how long each. All
    /// clones of the bridge, and the sessions made from it, share the cache. A full cache drops the
    /// oldest result. Failures are not cached. Default: 0 entries, since a name may move to another
    /// destination, and only the program can decide how long the old one may be used.
    ///
    /// Connecting does not need it: the router resolves the address.
    pub fn lookup_cache(mut self, entries: usize, ttl: Duration) -> Self {
        self.lookup_cache = (entries, ttl);
        self
    }

    /// Adds a bridge that is tried if those before it fail: see
    /// [several bridges](SamBridge#several-bridges). It keeps its own UDP address, credentials,
    /// versions and deadlines; its [`Cancel`] handle and its lookup cache are not used. Default: none.
    ///
    /// ```
    /// use i2p_sam::SamBridge;
    ///
    /// let spare = SamBridge::builder().address("router.lan:7656").credentials("joe", "correct horse");
    /// let bridge = SamBridge::builder().address("127.0.0.1:7656").fallback(&spare.build()?).build()?;
    /// assert_eq!(bridge.routers().len(), 2);
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn fallback(mut self, bridge: &SamBridge) -> Self {
        self.fallbacks.push(bridge.clone());
        self
    }

    /// Sets for how long a bridge that failed is tried after the others. Default: 60 s. A single bridge
    /// ignores it.
    pub fn retry_after(mut self, time: Duration) -> Self {
        self.retry_after = time;
        self
    }

    /// Returns the bridge. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] if an address is no `host:port` or is a name that ends in `.i2p`, if an
    /// environment variable is needed and is not Unicode, if `I2P_SAM_UDP_ADDRESS` names another number of
    /// addresses than `I2P_SAM_ADDRESS`, if the versions are no range, or if there are credentials or a UDP
    /// address and `I2P_SAM_ADDRESS` names several bridges. [`Error::Command`] if the credentials cannot be
    /// sent.
    ///
    /// ```
    /// use i2p_sam::{Error, SamBridge};
    ///
    /// let outcome = SamBridge::builder().address("no port").build();
    /// assert!(matches!(outcome, Err(Error::InvalidConfig(_))));
    /// ```
    pub fn build(self) -> Result<SamBridge, Error> {
        let mut configs = match &self.address {
            Some(address) => vec![self.config("address", address, None)?],
            None => {
                let addresses = variable(ADDRESS_VARIABLE, env::var_os(ADDRESS_VARIABLE))?;
                let udp = variable(UDP_ADDRESS_VARIABLE, env::var_os(UDP_ADDRESS_VARIABLE))?;
                let addresses = addresses.as_deref().unwrap_or(DEFAULT_ADDRESS);
                self.configs(addresses, udp.as_deref())?
            }
        };
        for fallback in &self.fallbacks {
            configs.extend(fallback.configs().cloned());
        }
        let (entries, ttl) = self.lookup_cache;
        let mut configs = configs.into_iter();
        let first = configs.next();
        Ok(SamBridge {
            config: first.ok_or_else(|| Error::setting("address", "", "there is none"))?,
            fallbacks: configs.collect(),
            failover: Arc::new(Failover::new(self.retry_after)),
            lookups: Arc::new(LookupCache::new(entries, ttl)),
            cancel: Cancel::new(),
        })
    }

    /// Returns the bridges that the environment names. If it names UDP addresses, it names as many as
    /// addresses.
    fn configs(
        &self,
        addresses: &str,
        udp_addresses: Option<&str>,
    ) -> Result<Vec<Arc<Config>>, Error> {
        let of_one = match (&self.credentials, &self.udp_address) {
            (Some(_), _) => Some("credentials belong to one bridge, and this names several"),
            (None, Some(_)) => Some("a UDP address belongs to one bridge, and this names several"),
            (None, None) => None,
        };
        if let Some(reason) = of_one.filter(|_| addresses.contains(',')) {
            return Err(Error::setting(ADDRESS_VARIABLE, addresses, reason));
        }
        let addresses: Vec<_> = addresses.split(',').map(str::trim).collect();
        let udp_text = udp_addresses.filter(|_| self.udp_address.is_none());
        let udp_addresses = match udp_text {
            Some(text) => text.split(',').map(|udp| Some(udp.trim())).collect(),
            None => vec![None; addresses.len()],
        };
        if udp_addresses.len() != addresses.len() {
            let reason = "it names as many addresses as I2P_SAM_ADDRESS, separated by commas";
            let text = udp_text.unwrap_or_default();
            return Err(Error::setting(UDP_ADDRESS_VARIABLE, text, reason));
        }
        let both = addresses.iter().zip(udp_addresses);
        both.map(|(address, udp)| self.config(ADDRESS_VARIABLE, address, udp))
            .collect()
    }

    /// Returns a bridge at `address`, the value of `setting`. `udp_address` is the one of the
    /// environment.
    fn config(
        &self,
        setting: &'static str,
        address: &str,
        udp_address: Option<&str>,
    ) -> Result<Arc<Config>, Error> {
        let udp_address = match (&self.udp_address, udp_address) {
            (Some(text), _) => Some(Endpoint::of_setting("udp_address", text)?),
            (None, Some(text)) => Some(Endpoint::of_setting(UDP_ADDRESS_VARIABLE, text)?),
            (None, None) => None,
        };
        let address = Endpoint::of_setting(setting, address)?;
        let udp_address = udp_address.unwrap_or_else(|| address.with_port(DEFAULT_UDP_PORT));
        if self.versions.0 > self.versions.1 {
            let (min, max) = self.versions;
            let reason = "the smallest version is above the largest";
            return Err(Error::setting(
                "versions",
                format_args!("{min} to {max}"),
                reason,
            ));
        }
        let config = Config {
            address,
            udp_address,
            credentials: self.credentials.clone(),
            versions: self.versions,
            strict_versions: self.strict_versions,
            timeouts: self.timeouts,
        };
        config.hello()?;
        Ok(Arc::new(config))
    }
}

/// Shows the addresses; never the credentials.
impl fmt::Debug for SamBridgeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SamBridgeBuilder")
            .field("address", &self.address.as_deref().map(shown))
            .field("udp_address", &self.udp_address.as_deref().map(shown))
            .field("versions", &self.versions)
            .field("strict_versions", &self.strict_versions)
            .field("timeouts", &self.timeouts)
            .field("lookup_cache", &self.lookup_cache)
            .field("fallbacks", &self.fallbacks)
            .field("retry_after", &self.retry_after)
            .finish_non_exhaustive()
    }
}

/// Returns the value of an environment variable. An empty one counts as not set.
fn variable(name: &'static str, value: Option<OsString>) -> Result<Option<String>, Error> {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let text = value.into_string();
    text.map(Some)
        .map_err(|value| Error::setting(name, value.to_string_lossy(), "it is not Unicode"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn udp_address_has_host_of_tcp_address() {
        let bridge = SamBridge::new("[::1]:17656").unwrap();
        assert_eq!(bridge.udp_address(), "[::1]:7655");
    }

    #[test]
    fn environment_names_several_bridges() {
        let configs = SamBridge::builder()
            .configs("127.0.0.1:1, router.lan:2", None)
            .unwrap();
        let addresses: Vec<_> = configs
            .iter()
            .map(|one| one.udp_address.to_string())
            .collect();
        assert_eq!(addresses, ["127.0.0.1:7655", "router.lan:7655"]);
    }

    #[test]
    fn malformed_list_of_bridges_is_refused() {
        for text in ["", ",", "a:1,", ",a:1", "a:1;b:2", "a:1,b"] {
            let outcome = SamBridge::builder().configs(text, None);
            assert!(matches!(outcome, Err(Error::InvalidConfig(_))), "{text:?}");
        }
    }

    #[test]
    fn one_udp_address_for_several_bridges_is_refused() {
        let builder = SamBridge::builder().udp_address("a:1");
        assert!(builder.configs("a:1", Some("b:2")).is_ok());
        assert!(matches!(
            builder.configs("a:1,b:2", None),
            Err(Error::InvalidConfig(_))
        ));
    }

    #[test]
    fn environment_names_udp_address_of_each_bridge() {
        let builder = SamBridge::builder();
        let configs = builder.configs("a:1, b:2", Some("c:3 , [::1]:4")).unwrap();
        let addresses: Vec<_> = configs
            .iter()
            .map(|one| one.udp_address.to_string())
            .collect();
        assert_eq!(addresses, ["c:3", "[::1]:4"]);
    }

    #[test]
    fn malformed_udp_addresses_are_refused() {
        let builder = SamBridge::builder();
        for udp in ["7655", "a", "a:b", "a:1,b:2", "x.i2p:1", "X.I2P.:1", ","] {
            let outcome = builder.configs("a:1", Some(udp));
            let Err(Error::InvalidConfig(error)) = outcome else {
                panic!("{udp}");
            };
            assert_eq!(error.setting(), UDP_ADDRESS_VARIABLE, "{udp}");
        }
    }

    #[test]
    fn credentials_for_several_bridges_are_refused() {
        let builder = SamBridge::builder().credentials("joe", "hunter2");
        assert!(builder.configs("a:1", None).is_ok());
        assert!(matches!(
            builder.configs("a:1,b:2", None),
            Err(Error::InvalidConfig(_))
        ));
    }

    #[test]
    #[cfg(unix)]
    fn non_unicode_environment_is_refused() {
        use std::os::unix::ffi::OsStringExt;

        let text = OsString::from_vec(b"127.0.0.1:\xff1".to_vec());
        let Err(Error::InvalidConfig(error)) = variable(ADDRESS_VARIABLE, Some(text)) else {
            panic!("another bridge is used");
        };
        assert_eq!(error.setting(), ADDRESS_VARIABLE);
        assert_eq!(error.value(), "127.0.0.1:\u{fffd}1");
    }

    #[test]
    fn empty_environment_means_default() {
        for value in [None, Some(OsString::new())] {
            assert_eq!(variable(ADDRESS_VARIABLE, value).unwrap(), None);
        }
    }

    #[test]
    fn list_is_no_address() {
        let outcome = SamBridge::new("127.0.0.1:1,127.0.0.1:2");
        assert!(matches!(outcome, Err(Error::InvalidConfig(_))));
    }

    #[test]
    fn invalid_credentials_are_refused_before_sending() {
        for (user, password) in [("a\nb", "c"), ("a", "b\rc"), ("", "x"), ("a", "\0")] {
            let outcome = SamBridge::builder().credentials(user, password).build();
            assert!(matches!(outcome, Err(Error::Command(_))));
        }
    }

    #[test]
    fn reversed_versions_are_refused() {
        let builder = SamBridge::builder().versions(Version::V3_3, Version::V3_1);
        assert!(matches!(builder.build(), Err(Error::InvalidConfig(_))));
    }

    #[test]
    fn debug_hides_password_before_host() {
        let builder = SamBridge::builder().address("joe:hunter2@router.lan:7656");
        let shown = format!("{builder:?}");
        assert!(
            shown.contains("router.lan") && !shown.contains("hunter2"),
            "{shown}"
        );
    }

    #[test]
    fn debug_hides_credentials() {
        let builder = SamBridge::builder().credentials("joe", "hunter2");
        let shown = format!("{builder:?} {:?}", builder.clone().build().unwrap());
        assert!(
            !shown.contains("joe") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
