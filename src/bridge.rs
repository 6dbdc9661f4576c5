use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::address::{Destination, I2pAddr, PrivateKey, SignatureType, ToI2pAddr};
use crate::cancel::Cancel;
use crate::connection::{Connection, value};
use crate::deadline::Deadline;
use crate::dial::BridgeAddr;
use crate::error::{Error, Phase};
use crate::failover::{Failover, RETRY_AFTER};
use crate::interrupts::Interrupts;
use crate::lookup::Lookup;
use crate::lookup_cache::LookupCache;
use crate::session::SessionBuilder;
use crate::stream::SamStream;
use crate::version::Version;
use crate::wire::{Command, ParseError, ParseErrorKind, redact};

/// The environment variable that names the bridge where the program does not.
const ADDRESS_VARIABLE: &str = "I2P_SAM_ADDRESS";
const DEFAULT_ADDRESS: &str = "127.0.0.1:7656";
const DEFAULT_UDP_PORT: u16 = 7655;

/// A router's SAM bridge: where it is, and how long to wait for it.
///
/// Nothing is connected until something is asked. Every question opens a socket of its own, so
/// that threads do not wait for each other. Clones are cheap and the same bridge.
///
/// # Several bridges
///
/// With [fallbacks](SamBridgeBuilder::fallback), or several addresses in `I2P_SAM_ADDRESS`, it is
/// the bridges of several routers, of which one is enough:
///
/// - Asking for a version, a key or an address, dialling once ([`connect`](SamBridge::connect)) and
///   making a session go to the first bridge; to the next when that cannot be reached, does not
///   agree on a version in time, does not let us in, hangs up or does not speak SAM.
/// - What a bridge answers is the answer, also `KEY_NOT_FOUND`, and so is its refusal to make a
///   session. No other is asked when a bridge that was asked takes too long to answer: that is the
///   deadline of the call. Until then each bridge has its own deadlines, to be connected to and to
///   agree on a version.
/// - A bridge that failed stands behind the others for
///   [60 s](SamBridgeBuilder::retry_after); then the next call, and no other meanwhile, begins with
///   it again.
/// - When none answers, the error is the one that tells most of what to do;
///   [`Error::Unreachable`] names all that could not be reached.
/// - A session stays at the bridge that made it ([`bridge`](crate::StreamSession::bridge)), and is lost with it.
///
/// **Each router that is asked learns what is asked**, and a session's private key with it: name
/// only routers that are trusted alike.
///
/// ```no_run
/// use std::io::{Read, Write};
/// use i2p_sam::SamBridge;
///
/// let bridge = SamBridge::from_env()?;
/// let mut stream = bridge.connect("stats.i2p:80")?;
/// stream.write_all(b"GET / HTTP/1.0\r\nHost: stats.i2p\r\n\r\n")?;
/// let mut page = Vec::new();
/// stream.read_to_end(&mut page)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SamBridge {
    config: Arc<Config>,
    /// All of them, where there are several.
    failover: Option<Arc<Failover>>,
    lookups: Arc<LookupCache>,
    cancel: Cancel,
}

impl SamBridge {
    /// The bridge at `host:port`, with every default of [`builder`](SamBridge::builder).
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] when this is no `host:port`. Whether anything answers there is not asked.
    ///
    /// ```
    /// let bridge = i2p_sam::SamBridge::new("[::1]:7656")?;
    /// assert_eq!(bridge.address(), "[::1]:7656");
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn new(address: &str) -> Result<Self, Error> {
        Self::builder().address(address).build()
    }

    /// The bridge that the environment variable `I2P_SAM_ADDRESS` names, or 127.0.0.1:7656. The
    /// variable may name [several](SamBridge#several-bridges), separated by commas.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] when the variable is set and is no `host:port`, nor several.
    ///
    /// ```
    /// let bridge = i2p_sam::SamBridge::from_env()?;
    /// println!("{bridge:?}");
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn from_env() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// Begins to describe a bridge.
    pub fn builder() -> SamBridgeBuilder {
        SamBridgeBuilder::new()
    }

    /// The bridge's TCP address, `host:port`; of several, the one of the first choice.
    pub fn address(&self) -> String {
        self.config.address.to_string()
    }

    /// The bridge's UDP address, `host:port`, for datagrams; of several, the one of the first choice.
    pub fn udp_address(&self) -> String {
        self.config.udp_address.to_string()
    }

    /// The same bridge; calls made through it, and through the sessions it makes, end when
    /// `cancel` fires.
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self {
            cancel: cancel.clone(),
            ..self.clone()
        }
    }

    /// Each of [several bridges](SamBridge#several-bridges) by itself, the first choice first.
    ///
    /// ```
    /// let spare = i2p_sam::SamBridge::new("router.lan:7656")?;
    /// let bridge = i2p_sam::SamBridge::builder().address("[::1]:7656").fallback(&spare).build()?;
    /// let addresses: Vec<_> = bridge.bridges().iter().map(|one| one.address()).collect();
    /// assert_eq!(addresses, ["[::1]:7656", "router.lan:7656"]);
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn bridges(&self) -> Vec<Self> {
        match &self.failover {
            None => vec![self.clone()],
            Some(several) => several
                .bridges()
                .iter()
                .map(|config| self.only(config))
                .collect(),
        }
    }

    /// Asks the bridge for the version it speaks; a cheap way to find out whether one is there.
    ///
    /// Routers of early 2025 and later speak 3.3, i2pd 2.45 speaks 3.1. emissary says 3.2 whatever
    /// it is asked.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`] when nobody answers, [`Error::Refused`] when the bridge speaks no
    /// version of the range or wants other credentials, [`Error::Timeout`] in
    /// [`Phase::Connect`] or [`Phase::Hello`].
    ///
    /// ```no_run
    /// println!("SAM {}", i2p_sam::SamBridge::from_env()?.version()?);
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn version(&self) -> Result<Version, Error> {
        self.first_to_answer(|bridge| Ok(bridge.open()?.version()))
    }

    /// Lets the bridge make a key. No session is needed; nothing is stored.
    ///
    /// Take [`SignatureType::Ed25519`] (the `Default`) unless there is a reason: emissary makes no
    /// other, and the network is leaving the older ones behind.
    ///
    /// # Errors
    ///
    /// As [`version`](SamBridge::version); [`Error::Protocol`] when the bridge's two halves do not
    /// belong together.
    ///
    /// ```no_run
    /// use i2p_sam::{SamBridge, SignatureType};
    ///
    /// let key = SamBridge::from_env()?.generate(SignatureType::Ed25519)?;
    /// println!("{}", key.destination().b32());
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn generate(&self, signature_type: SignatureType) -> Result<PrivateKey, Error> {
        self.first_to_answer(|bridge| bridge.generate_here(signature_type))
    }

    fn generate_here(&self, signature_type: SignatureType) -> Result<PrivateKey, Error> {
        let phase = Phase::Command;
        let command = Command::dest_generate(signature_type.code())?;
        let mut connection = self.open()?;
        let deadline = Deadline::after(self.config.timeouts.command);
        let reply = connection.request(&command, phase, deadline)?;
        let malformed = || Error::protocol(phase, ParseError::new(ParseErrorKind::Value, 0));
        let key =
            PrivateKey::from_base64(&value(&reply, "PRIV", phase)?).map_err(|_| malformed())?;
        let public = Destination::from_base64(&value(&reply, "PUB", phase)?);
        if public.as_ref() != Ok(key.destination()) || key.signature_type() != signature_type {
            return Err(malformed());
        }
        Ok(key)
    }

    /// Looks up who an address belongs to. A port in it is ignored; a full destination is its own
    /// answer, and the bridge is not asked.
    ///
    /// The answer may be one that is [remembered](SamBridgeBuilder::lookup_cache), if the program
    /// has asked for that.
    ///
    /// Without a session Java I2P and i2pd find names of the address book and whatever is online;
    /// emissary finds only names.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when it is not found: `KEY_NOT_FOUND`, `LEASESET_NOT_FOUND`, and on i2pd
    /// always `INVALID_KEY`. [`Error::Address`] when it is no I2P address. Otherwise as
    /// [`version`](SamBridge::version), in [`Phase::Lookup`].
    ///
    /// ```no_run
    /// let destination = i2p_sam::SamBridge::from_env()?.lookup("stats.i2p")?;
    /// println!("{}", destination.b32());
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn lookup(&self, address: impl ToI2pAddr) -> Result<Destination, Error> {
        let address = address.to_i2p_addr()?;
        if let Some(destination) = address.destination() {
            return Ok(destination.clone());
        }
        if let Some(destination) = self.lookups.find(address.host(), Instant::now()) {
            return Ok(destination);
        }
        let command = Command::naming_lookup(&address.to_sam())?;
        let lookup = self.resolve(&address, &command)?;
        Ok(lookup.destination().clone())
    }

    /// Looks up who an address belongs to and the options of its lease set, with the services it
    /// offers. A port in the address is ignored.
    ///
    /// The bridge is always asked, also for a full destination and whatever is
    /// [remembered](SamBridgeBuilder::lookup_cache). A router that does not know options answers
    /// without: i2pd, and Java I2P 2.8.
    ///
    /// # Errors
    ///
    /// Those of [`lookup`](SamBridge::lookup).
    ///
    /// ```no_run
    /// let bridge = i2p_sam::SamBridge::from_env()?;
    /// let found = bridge.lookup_with_options("postman.i2p")?;
    /// // Malformed records are passed over.
    /// for record in found.services_of("smtp", "tcp").flatten() {
    ///     println!("{} {}", record.priority(), record.target());
    /// }
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn lookup_with_options(&self, address: impl ToI2pAddr) -> Result<Lookup, Error> {
        let address = address.to_i2p_addr()?;
        let command = Command::naming_lookup(&address.to_sam())?.pair("OPTIONS", "true")?;
        self.resolve(&address, &command)
    }

    /// Asks the bridge, and remembers what it answers if that is wanted.
    fn resolve(&self, address: &I2pAddr, command: &Command) -> Result<Lookup, Error> {
        let lookup = self.first_to_answer(|bridge| bridge.look_up(command))?;
        let destination = lookup.destination();
        self.lookups
            .keep(address.host(), destination, Instant::now());
        Ok(lookup)
    }

    fn look_up(&self, command: &Command) -> Result<Lookup, Error> {
        let mut connection = self.open()?;
        let deadline = Deadline::after(self.config.timeouts.lookup);
        let reply = connection.request(command, Phase::Lookup, deadline)?;
        Lookup::from_reply(&reply)
    }

    /// Begins a session: a destination of our own, to be dialled and to dial from.
    ///
    /// ```no_run
    /// let session = i2p_sam::SamBridge::from_env()?.session().nickname("echo").stream()?;
    /// println!("{}", session.destination().b32());
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn session(&self) -> SessionBuilder {
        SessionBuilder::new(self.clone())
    }

    /// Dials a peer from a new destination that is made for this one connection and ends with it.
    ///
    /// Nobody can tell two such connections to come from the same program. The price is a new set
    /// of tunnels each time, which takes seconds: to dial more than once, keep a
    /// [`session`](SamBridge::session).
    ///
    /// # Errors
    ///
    /// Those of [`SessionBuilder::stream`] and of
    /// [`StreamSession::connect`](crate::StreamSession::connect).
    pub fn connect(&self, address: impl ToI2pAddr) -> Result<SamStream, Error> {
        // An address that cannot be dialled should not cost the building of tunnels.
        let address = address.to_i2p_addr()?;
        self.first_to_answer(|bridge| bridge.session().stream()?.connect(&address))
    }

    /// Has the bridge do it; of several, one after the other until one answers, each by itself.
    pub(crate) fn first_to_answer<T>(
        &self,
        mut ask: impl FnMut(Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match &self.failover {
            None => ask(self.clone()),
            Some(several) => several.run(self, ask),
        }
    }

    /// One of several, by itself.
    pub(crate) fn only(&self, config: &Arc<Config>) -> Self {
        Self {
            config: Arc::clone(config),
            failover: None,
            ..self.clone()
        }
    }

    pub(crate) fn is_several(&self) -> bool {
        self.failover.is_some()
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    pub(crate) fn open(&self) -> Result<Connection, Error> {
        let interrupts = Interrupts::by_cancel(&self.cancel);
        Connection::open(&self.config, interrupts, Deadline::NEVER)
    }
}

/// Shows where the bridge is, or where all are; never the credentials.
impl fmt::Debug for SamBridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("SamBridge");
        shown
            .field("address", &self.address())
            .field("udp_address", &self.udp_address());
        if let Some((_, fallbacks)) = self.bridges().split_first().filter(|_| self.is_several()) {
            shown.field("fallbacks", &fallbacks);
        }
        shown.finish_non_exhaustive()
    }
}

/// What a bridge needs to be spoken to.
pub(crate) struct Config {
    pub(crate) address: BridgeAddr,
    pub(crate) udp_address: BridgeAddr,
    credentials: Option<(Box<str>, Box<str>)>,
    pub(crate) versions: (Version, Version),
    pub(crate) strict_versions: bool,
    pub(crate) timeouts: Timeouts,
}

impl Config {
    /// The greeting, with the credentials: every socket needs them, a stream's too.
    pub(crate) fn hello(&self) -> Result<Command, Error> {
        let (min, max) = self.versions;
        let credentials = self.credentials.as_ref().map(|(u, p)| (&**u, &**p));
        Ok(Command::hello(min, max, credentials)?)
    }

    /// An error of the greeting, without the password that the bridge was told in it.
    pub(crate) fn conceal(&self, error: Error) -> Error {
        match (error, &self.credentials) {
            (Error::Refused(refusal), Some((_, password))) => refusal.without(password).into(),
            (error, _) => error,
        }
    }
}

/// A deadline for each phase; `None` waits for ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) connect: Option<Duration>,
    pub(crate) hello: Option<Duration>,
    pub(crate) command: Option<Duration>,
    pub(crate) lookup: Option<Duration>,
    pub(crate) session_create: Option<Duration>,
    pub(crate) stream_connect: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        Self {
            connect: seconds(30),
            hello: seconds(30),
            command: seconds(30),
            lookup: seconds(60),
            session_create: seconds(300),
            stream_connect: seconds(180),
        }
    }
}

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

    /// The bridge's TCP address: `host:port`, where the host is a name, an IPv4 address or an IPv6
    /// address in brackets. Default: the environment variable `I2P_SAM_ADDRESS`, which may name
    /// several, separated by commas, or 127.0.0.1:7656.
    ///
    /// SAM is neither encrypted nor, in most routers, guarded by a password: a bridge on another
    /// machine belongs behind a tunnel.
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// The bridge's UDP address, for datagrams. Default: the host of the TCP address, port 7655.
    pub fn udp_address(mut self, address: impl Into<String>) -> Self {
        self.udp_address = Some(address.into());
        self
    }

    /// User name and password, for a Java I2P bridge that asks for them. They are sent in the
    /// clear, on every socket. Default: none.
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

    /// Another bridge, for when those before it do not answer: see
    /// [several bridges](SamBridge#several-bridges). It may have its own UDP address, credentials,
    /// versions and deadlines. Its [`Cancel`] handle and what it remembers of lookups are not those
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

    /// The bridge. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] when an address is no `host:port`, when the versions are no range, or when
    /// there is a UDP address but `I2P_SAM_ADDRESS` names several bridges; [`Error::Command`] when
    /// the credentials cannot be sent.
    pub fn build(self) -> Result<SamBridge, Error> {
        let mut bridges = match &self.address {
            Some(address) => vec![self.config(address)?],
            None => self.configs(&default_addresses())?,
        };
        for fallback in &self.fallbacks {
            bridges.extend(fallback.bridges().into_iter().map(|one| one.config));
        }
        let (entries, ttl) = self.lookup_cache;
        let first = bridges.first().map(Arc::clone);
        Ok(SamBridge {
            config: first.ok_or(Error::Setting("there is no bridge"))?,
            failover: (bridges.len() > 1)
                .then(|| Arc::new(Failover::new(bridges, self.retry_after))),
            lookups: Arc::new(LookupCache::new(entries, ttl)),
            cancel: Cancel::new(),
        })
    }

    fn configs(&self, addresses: &str) -> Result<Vec<Arc<Config>>, Error> {
        if self.udp_address.is_some() && addresses.contains(',') {
            return Err(Error::Setting(
                "a UDP address belongs to one bridge, and I2P_SAM_ADDRESS names several",
            ));
        }
        let addresses = addresses.split(',');
        addresses.map(|text| self.config(text.trim())).collect()
    }

    fn config(&self, address: &str) -> Result<Arc<Config>, Error> {
        let address: BridgeAddr = address.parse()?;
        let udp_address = match &self.udp_address {
            Some(text) => text.parse()?,
            None => address.with_port(DEFAULT_UDP_PORT),
        };
        if self.versions.0 > self.versions.1 {
            return Err(Error::Setting("the smallest version is above the largest"));
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
            .field("address", &self.address.as_deref().map(redact))
            .field("udp_address", &self.udp_address.as_deref().map(redact))
            .field("versions", &self.versions)
            .field("strict_versions", &self.strict_versions)
            .field("timeouts", &self.timeouts)
            .field("lookup_cache", &self.lookup_cache)
            .field("fallbacks", &self.fallbacks)
            .field("retry_after", &self.retry_after)
            .finish_non_exhaustive()
    }
}

fn default_addresses() -> String {
    std::env::var(ADDRESS_VARIABLE)
        .ok()
        .filter(|address| !address.is_empty())
        .unwrap_or_else(|| DEFAULT_ADDRESS.to_owned())
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
            .configs("127.0.0.1:1, router.lan:2")
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
            let outcome = SamBridge::builder().configs(text);
            assert!(matches!(outcome, Err(Error::Setting(_))), "{text:?}");
        }
    }

    #[test]
    fn one_udp_address_is_not_that_of_several_bridges() {
        let builder = SamBridge::builder().udp_address("a:1");
        assert!(builder.configs("a:1").is_ok());
        assert!(matches!(builder.configs("a:1,b:2"), Err(Error::Setting(_))));
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
    fn debug_shows_no_credentials() {
        let builder = SamBridge::builder().credentials("joe", "hunter2");
        let shown = format!("{builder:?} {:?}", builder.clone().build().unwrap());
        assert!(
            !shown.contains("joe") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
