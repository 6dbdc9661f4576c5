mod builder;
mod config;
mod key_use;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::address::{Destination, Host, I2pAddr, PrivateKey, SignatureType, ToI2pAddr};
use crate::builder::SessionBuilder;
use crate::connection::{Connection, value};
use crate::error::{Error, Phase};
use crate::failover::Failover;
use crate::lookup::Lookup;
use crate::lookup_cache::LookupCache;
use crate::stream::SamStream;
use crate::sync::{Call, Cancel, Deadline};
use crate::version::Version;
use crate::wire::{Command, ParseError, ParseErrorKind};

pub use builder::SamBridgeBuilder;
pub(crate) use config::Config;
pub(crate) use key_use::{
    KEY_REST, KeyInUse, KeyUse, is_i2pd, note_is_i2pd, note_loss, note_refusal,
};

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
///   agree on a version in time, does not let us in, hangs up, does not speak SAM or answers a
///   lookup with [another destination](Error::WrongDestination).
/// - What a bridge answers is the answer, also `KEY_NOT_FOUND`, and so is its refusal to make a
///   session. No other is asked when a bridge that was asked takes too long to answer: that is the
///   deadline of the call. Until then each bridge has its own deadlines, to be connected to and to
///   agree on a version.
/// - A bridge that failed stands behind the others for
///   [60 s](SamBridgeBuilder::retry_after); then the next call, and no other meanwhile, begins with
///   it again.
/// - When none answers, the error is the one that tells most of what to do;
///   [`Error::Unreachable`] names all that could not be reached.
/// - A session stays at the bridge that made it ([`bridge`](crate::StreamSession::bridge)), and is lost
///   with it. One that is [healed](SessionBuilder::healing) may come back at another, and one that is
///   [multihomed](SessionBuilder::multihomed) is at all of them.
///
/// - [Credentials](SamBridgeBuilder::credentials) belong to one bridge. A fallback has its own, or none,
///   and there are none if `I2P_SAM_ADDRESS` names several bridges: give those with
///   [`fallback`](SamBridgeBuilder::fallback) instead.
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
    /// [`Error::Setting`] if this is no `host:port`, or a name that ends in `.i2p`. Whether anything
    /// answers there is not asked.
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
    /// variable may name [several](SamBridge#several-bridges), separated by commas. Their UDP
    /// addresses are those in `I2P_SAM_UDP_ADDRESS`, as many and in the same order, or else their hosts
    /// with port 7655.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if a variable is set and is not Unicode, is no `host:port` nor several, or
    /// names a host that ends in `.i2p`; if `I2P_SAM_UDP_ADDRESS` names another number of addresses than
    /// `I2P_SAM_ADDRESS`.
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
    #[must_use]
    pub fn address(&self) -> String {
        self.config.address.to_string()
    }

    /// The bridge's UDP address, `host:port`, for datagrams; of several, the one of the first choice.
    #[must_use]
    pub fn udp_address(&self) -> String {
        self.config.udp_address.to_string()
    }

    /// The same bridge; calls made through it, and through the sessions it makes, end when
    /// `cancel` fires.
    #[must_use = "the handle applies to what is returned, not to the original"]
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
    #[must_use]
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
    /// Without a session every router finds the names of its address book, and Java I2P finds whatever
    /// is online. emissary finds no `.b32.i2p` address, and i2pd only one whose lease set it has: ask
    /// for those by the [`lookup`](crate::StreamSession::lookup) of a session.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when it is not found: `KEY_NOT_FOUND`, `LEASESET_NOT_FOUND`, and on i2pd
    /// always `INVALID_KEY`. That may pass for a `.b32.i2p` address, whose owner may come online, and
    /// does not for a name: [`is_retryable`](Error::is_retryable) says which.
    /// [`Error::WrongDestination`] if the address is a `.b32.i2p` address and the destination in the
    /// answer has another: the answer is checked, because a bridge may lie.
    /// [`Error::Address`] when it is no I2P address. Otherwise as
    /// [`version`](SamBridge::version), in [`Phase::Lookup`].
    ///
    /// ```no_run
    /// let destination = i2p_sam::SamBridge::from_env()?.lookup("stats.i2p")?;
    /// println!("{}", destination.b32());
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn lookup(&self, address: impl ToI2pAddr) -> Result<Destination, Error> {
        let address = address.to_i2p_addr()?;
        self.lookup_by(&address, |command| {
            self.first_to_answer(|bridge| bridge.look_up(address.host(), &command))
        })
    }

    /// Returns who an address belongs to: what is in it, or is remembered, or is found by asking.
    pub(crate) fn lookup_by(
        &self,
        address: &I2pAddr,
        ask: impl FnOnce(Command) -> Result<Lookup, Error>,
    ) -> Result<Destination, Error> {
        if let Some(destination) = address.destination() {
            return Ok(destination.clone());
        }
        if let Some(destination) = self.lookups.find(address.host(), Instant::now()) {
            return Ok(destination);
        }
        let command = Command::naming_lookup(&address.to_sam())?;
        let found = ask(command).map_err(|error| error.about(address))?;
        let destination = found.destination();
        self.lookups
            .keep(address.host(), destination, Instant::now());
        Ok(destination.clone())
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
    /// Those of [`lookup`](SamBridge::lookup). [`Error::WrongDestination`] also if the address is a
    /// full destination and the answer holds another.
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
        let found = self
            .first_to_answer(|bridge| bridge.look_up(address.host(), &command))
            .map_err(|error| error.about(&address))?;
        self.lookups
            .keep(address.host(), found.destination(), Instant::now());
        Ok(found)
    }

    fn look_up(&self, asked: &Host, command: &Command) -> Result<Lookup, Error> {
        let mut connection = self.open()?;
        let deadline = Deadline::after(self.config.timeouts.lookup);
        let reply = connection.request(command, Phase::Lookup, deadline)?;
        Lookup::from_reply(&reply)?.check(asked)
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
        let call = Call::new(Phase::Connect).or_cancel(&self.cancel);
        Connection::open(&self.config, &call)
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
