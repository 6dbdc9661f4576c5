use std::env;
use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::bridge::SamBridge;
use crate::bridge::config::{Config, Timeouts};
use crate::dial::BridgeAddr;
use crate::error::{Error, shown};
use crate::failover::{Failover, RETRY_AFTER};
use crate::lookup_cache::LookupCache;
use crate::sync::Cancel;
use crate::version::Version;

/// The environment variable that names the bridge where the program does not.
const ADDRESS_VARIABLE: &str = "I2P_SAM_ADDRESS";

/// The environment variable that names the UDP address of the bridge that the other one names.
const UDP_ADDRESS_VARIABLE: &str = "I2P_SAM_UDP_ADDRESS";
const DEFAULT_ADDRESS: &str = "127.0.0.1:7656";
const DEFAULT_UDP_PORT: u16 = 7655;

/// Describes a [`SamBridge`]. Time-outs follow `std`: `None` waits for ever.
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

impl SamBridgeBuilder {
    pub(super) fn new() -> Self {
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
    /// address in brackets. A name that ends in `.i2p` is refused: the system would ask the network for it. Default: the
    /// environment variable `I2P_SAM_ADDRESS`, which may name several, separated by commas, or, if it
    /// is not set or empty, 127.0.0.1:7656.
    ///
    /// SAM is neither encrypted nor, in most routers, guarded by a password: a bridge on another
    /// machine belongs behind a tunnel.
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
    /// wrong port is reported by the second datagram that is sent
    /// ([`Error::UdpClosed`](crate::Error::UdpClosed)), or by nothing.
    pub fn udp_address(mut self, address: impl Into<String>) -> Self {
        self.udp_address = Some(address.into());
        self
    }

    /// Sets user name and password, for a Java I2P bridge that asks for them. They are sent in the
    /// clear, on every socket. Default: none.
    ///
    /// They are sent to one bridge only: the one of [`address`](Self::address), or the one that
    /// `I2P_SAM_ADDRESS` names; if the variable names several, [`build`](Self::build) refuses. A
    /// [`fallback`](Self::fallback) has its own, or none.
    pub fn credentials(mut self, user: &str, password: &str) -> Self {
        self.credentials = Some((user.into(), password.into()));
        self
    }

    /// The versions of SAM to ask for. Default: 3.1 to 3.3.
    pub fn versions(mut self, min: Version, max: Version) -> Self {
        self.versions = (min, max);
        self
    }

    /// Whether to refuse a bridge that answers with a version outside the range. Default: no,
    /// since emissary answers 3.2 whatever it is asked, and works.
    pub fn strict_versions(mut self, strict: bool) -> Self {
        self.strict_versions = strict;
        self
    }

    /// Time to resolve the bridge's name and to connect to it. Default: 30 s.
    pub fn connect_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeouts.connect = timeout;
        self
    }

    /// Time to agree on a version. Default: 30 s.
    pub fn hello_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeouts.hello = timeout;
        self
    }

    /// Time for a command that the bridge answers by itself, such as making a key. Default: 30 s.
    pub fn command_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeouts.command = timeout;
        self
    }

    /// Time to look up an address. Default: 60 s; what is in no address book is asked of the
    /// network.
    pub fn lookup_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeouts.lookup = timeout;
        self
    }

    /// Time to make a session. Default: 300 s; a router builds its tunnels in seconds, or, when it
    /// has just been started, in minutes.
    pub fn session_create_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeouts.session_create = timeout;
        self
    }

    /// Time to dial a peer. Default: 180 s; the specification asks for no less than 60 s, and
    /// Java I2P itself gives up only after 333 s.
    pub fn stream_connect_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeouts.stream_connect = timeout;
        self
    }

    /// Remembers what [`lookup`](SamBridge::lookup) found: so many names and `.b32.i2p` addresses
    /// at the most, each for so long, for all clones of the bridge and the sessions made from it.
    /// What was looked up longest ago makes room. Failures are not remembered. Default: nothing is
    /// remembered (0 entries), since a name may move to another destination, and how long the old
    /// one may still be used is for the program to say.
    ///
    /// Dialling does not need it: the router resolves what is dialled.
    pub fn lookup_cache(mut self, entries: usize, ttl: Duration) -> Self {
        self.lookup_cache = (entries, ttl);
        self
    }

    /// Adds another bridge, for when those before it do not answer: see
    /// [several bridges](SamBridge#several-bridges). It has its own UDP address, credentials,
    /// versions and deadlines: none of those that are set here are used for it. Its [`Cancel`] handle and what it remembers of lookups are not those
    /// of the whole. Default: none.
    ///
    /// ```
    /// use i2p_sam::SamBridge;
    ///
    /// let spare = SamBridge::builder().address("router.lan:7656").credentials("joe", "correct horse");
    /// let bridge = SamBridge::builder().address("127.0.0.1:7656").fallback(&spare.build()?).build()?;
    /// assert_eq!(bridge.bridges().len(), 2);
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn fallback(mut self, bridge: &SamBridge) -> Self {
        self.fallbacks.push(bridge.clone());
        self
    }

    /// How long a bridge that failed stands behind the others. Default: 60 s. Of no use to a single
    /// bridge.
    pub fn retry_after(mut self, time: Duration) -> Self {
        self.retry_after = time;
        self
    }

    /// Returns the bridge. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if an address is no `host:port` or is a name that ends in `.i2p`, if an
    /// environment variable is needed and is not Unicode, if `I2P_SAM_UDP_ADDRESS` names another number of
    /// addresses than `I2P_SAM_ADDRESS`, if the versions are no range, or if there are credentials or a UDP
    /// address and `I2P_SAM_ADDRESS` names several bridges. [`Error::Command`] if the credentials cannot be
    /// sent.
    pub fn build(self) -> Result<SamBridge, Error> {
        let mut bridges = match &self.address {
            Some(address) => vec![self.config("address", address)?],
            None => {
                let addresses = variable(ADDRESS_VARIABLE, env::var_os(ADDRESS_VARIABLE))?;
                let udp = variable(UDP_ADDRESS_VARIABLE, env::var_os(UDP_ADDRESS_VARIABLE))?;
                let addresses = addresses.as_deref().unwrap_or(DEFAULT_ADDRESS);
                self.configs(addresses, udp.as_deref())?
            }
        };
        for fallback in &self.fallbacks {
            bridges.extend(fallback.bridges().into_iter().map(|one| one.config));
        }
        let (entries, ttl) = self.lookup_cache;
        let first = bridges.first().map(Arc::clone);
        Ok(SamBridge {
            config: first.ok_or_else(|| Error::setting("address", "", "there is none"))?,
            failover: (bridges.len() > 1)
                .then(|| Arc::new(Failover::new(bridges, self.retry_after))),
            lookups: Arc::new(LookupCache::new(entries, ttl)),
            cancel: Cancel::new(),
        })
    }

    /// The bridges of the environment. `udp_addresses` are as many as there are addresses, if any is
    /// given.
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
        let bridges = addresses.split(',').map(str::trim);
        let Some(udp_text) = udp_addresses.filter(|_| self.udp_address.is_none()) else {
            return bridges
                .map(|text| self.config(ADDRESS_VARIABLE, text))
                .collect();
        };
        let udp_addresses: Vec<_> = udp_text.split(',').map(str::trim).collect();
        if udp_addresses.len() != bridges.clone().count() {
            let reason = "it names as many addresses as I2P_SAM_ADDRESS, separated by commas";
            return Err(Error::setting(UDP_ADDRESS_VARIABLE, udp_text, reason));
        }
        let both = bridges.zip(udp_addresses);
        both.map(|(text, udp)| {
            let udp = BridgeAddr::of_setting(UDP_ADDRESS_VARIABLE, udp)?;
            self.config_with(ADDRESS_VARIABLE, text, Some(udp))
        })
        .collect()
    }

    fn config(&self, setting: &'static str, address: &str) -> Result<Arc<Config>, Error> {
        let udp_address = self.udp_address.as_deref();
        let udp_address = udp_address.map(|text| BridgeAddr::of_setting("udp_address", text));
        self.config_with(setting, address, udp_address.transpose()?)
    }

    fn config_with(
        &self,
        setting: &'static str,
        address: &str,
        udp_address: Option<BridgeAddr>,
    ) -> Result<Arc<Config>, Error> {
        let address = BridgeAddr::of_setting(setting, address)?;
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
    fn the_udp_address_is_on_the_host_of_the_tcp_address() {
        let bridge = SamBridge::new("[::1]:17656").unwrap();
        assert_eq!(bridge.udp_address(), "[::1]:7655");
    }

    #[test]
    fn the_environment_may_name_several_bridges() {
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
    fn what_is_no_list_of_bridges_is_refused() {
        for text in ["", ",", "a:1,", ",a:1", "a:1;b:2", "a:1,b"] {
            let outcome = SamBridge::builder().configs(text, None);
            assert!(matches!(outcome, Err(Error::Setting(_))), "{text:?}");
        }
    }

    #[test]
    fn one_udp_address_is_not_that_of_several_bridges() {
        let builder = SamBridge::builder().udp_address("a:1");
        assert!(builder.configs("a:1", Some("b:2")).is_ok());
        assert!(matches!(
            builder.configs("a:1,b:2", None),
            Err(Error::Setting(_))
        ));
    }

    #[test]
    fn the_environment_may_name_the_udp_address_of_each_bridge() {
        let builder = SamBridge::builder();
        let configs = builder.configs("a:1, b:2", Some("c:3 , [::1]:4")).unwrap();
        let addresses: Vec<_> = configs
            .iter()
            .map(|one| one.udp_address.to_string())
            .collect();
        assert_eq!(addresses, ["c:3", "[::1]:4"]);
    }

    #[test]
    fn udp_addresses_of_the_environment_that_cannot_be_are_refused() {
        let builder = SamBridge::builder();
        for udp in ["7655", "a", "a:b", "a:1,b:2", "x.i2p:1", "X.I2P.:1", ","] {
            let outcome = builder.configs("a:1", Some(udp));
            let Err(Error::Setting(error)) = outcome else {
                panic!("{udp}");
            };
            assert_eq!(error.setting(), UDP_ADDRESS_VARIABLE, "{udp}");
        }
    }

    #[test]
    fn credentials_are_not_those_of_several_bridges() {
        let builder = SamBridge::builder().credentials("joe", "hunter2");
        assert!(builder.configs("a:1", None).is_ok());
        assert!(matches!(
            builder.configs("a:1,b:2", None),
            Err(Error::Setting(_))
        ));
    }

    #[test]
    #[cfg(unix)]
    fn an_environment_that_is_not_unicode_is_refused() {
        use std::os::unix::ffi::OsStringExt;

        let text = OsString::from_vec(b"127.0.0.1:\xff1".to_vec());
        let Err(Error::Setting(error)) = variable(ADDRESS_VARIABLE, Some(text)) else {
            panic!("another bridge is used");
        };
        assert_eq!(error.setting(), ADDRESS_VARIABLE);
        assert_eq!(error.value(), "127.0.0.1:\u{fffd}1");
    }

    #[test]
    fn an_environment_without_a_bridge_means_the_default() {
        for value in [None, Some(OsString::new())] {
            assert_eq!(variable(ADDRESS_VARIABLE, value).unwrap(), None);
        }
    }

    #[test]
    fn an_address_is_one_address() {
        let outcome = SamBridge::new("127.0.0.1:1,127.0.0.1:2");
        assert!(matches!(outcome, Err(Error::Setting(_))));
    }

    #[test]
    fn credentials_that_cannot_be_said_are_refused_before_anything_is_sent() {
        for (user, password) in [("a\nb", "c"), ("a", "b\rc"), ("", "x"), ("a", "\0")] {
            let outcome = SamBridge::builder().credentials(user, password).build();
            assert!(matches!(outcome, Err(Error::Command(_))));
        }
    }

    #[test]
    fn versions_in_the_wrong_order_are_refused() {
        let builder = SamBridge::builder().versions(Version::V3_3, Version::V3_1);
        assert!(matches!(builder.build(), Err(Error::Setting(_))));
    }

    #[test]
    fn debug_shows_no_password_in_front_of_a_host() {
        let builder = SamBridge::builder().address("joe:hunter2@router.lan:7656");
        let shown = format!("{builder:?}");
        assert!(
            shown.contains("router.lan") && !shown.contains("hunter2"),
            "{shown}"
        );
    }

    #[test]
    fn debug_shows_no_credentials() {
        let builder = SamBridge::builder().credentials("joe", "hunter2");
        let shown = format!("{builder:?} {:?}", builder.clone().build().unwrap());
        assert!(
            !shown.contains("joe") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
