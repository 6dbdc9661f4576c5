use std::fmt;
use std::iter;
use std::sync::Arc;
use std::time::Instant;

use super::config::Config;
use super::connection::Connection;
use super::failover::Failover;
use super::lookup::Lookup;
use super::lookup_cache::LookupCache;
use crate::address::{Destination, Host, I2pAddr, PrivateKey, SignatureType, ToI2pAddr, Wiped};
use crate::error::{Error, Phase};
use crate::sync::{Call, Cancel, Deadline};
use crate::wire::{Command, ParseError, ParseErrorKind, Reply, Version};

/// The SAM bridge of a router: its address, and the deadlines of calls to it.
///
/// It holds no connection. Each call opens a socket of its own, so threads do not wait for each
/// other. Clones are cheap, and are the same bridge.
///
/// # Several bridges
///
/// With [fallbacks](crate::SamBridgeBuilder::fallback), or several addresses in `I2P_SAM_ADDRESS`, a
/// call goes to the first bridge. The call goes to the next bridge if that one cannot be reached, does not
/// agree on a version in time, refuses the credentials, closes the connection or does not reply in SAM.
///
/// - A reply of a bridge is the result of the call, even if it is an error such as `KEY_NOT_FOUND`.
///   The call also ends, without trying another bridge, if a bridge does not reply to a command in time.
/// - A bridge that failed is tried after the others for
///   [60 s](crate::SamBridgeBuilder::retry_after).
/// - If every bridge fails, the call returns the most useful error. [`Error::Unreachable`] names all
///   bridges that could not be reached.
/// - A session stays at the bridge that made it ([`bridge`](crate::StreamSession::bridge)).
///   [`healing`](crate::SessionBuilder::healing) can move to another,
///   [`multihomed`](crate::SessionBuilder::multihomed) uses all of them.
/// - Each router learns the requests and the private keys it receives: name only routers that you
///   trust alike. Each has its own [credentials](crate::SamBridgeBuilder::credentials).
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
    pub(super) config: Arc<Config>,
    pub(super) fallbacks: Arc<[Arc<Config>]>,
    pub(super) failover: Arc<Failover>,
    pub(super) lookups: Arc<LookupCache>,
    pub(super) cancel: Cancel,
}

impl SamBridge {
    /// Returns the bridge's TCP address, `host:port`; of several bridges, the address of the first.
    #[must_use]
    pub fn address(&self) -> String {
        self.config.address.to_string()
    }

    /// Returns the bridge's UDP address, `host:port`, for datagrams; of several bridges, that of the
    /// first.
    #[must_use]
    pub fn udp_address(&self) -> String {
        self.config.udp_address.to_string()
    }

    /// Returns the same bridge; `cancel` ends its calls, and the calls on the sessions created from it.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::{Cancel, Error};
    ///
    /// let stop = Cancel::new();
    /// let stoppable = bridge.with_cancel(&stop);
    /// stop.cancel();
    /// assert!(matches!(stoppable.version(), Err(Error::Cancelled { .. })));
    /// // The original does not end.
    /// assert!(bridge.version().is_ok());
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the handle applies to what is returned, not to the original"]
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self {
            cancel: cancel.clone(),
            ..self.clone()
        }
    }

    /// Returns each of [several bridges](SamBridge#several-bridges) by itself, in the order in which
    /// they are tried; without fallbacks, this bridge alone.
    ///
    /// ```
    /// let spare = i2p_sam::SamBridge::new("router.lan:7656")?;
    /// let bridge = i2p_sam::SamBridge::builder().address("[::1]:7656").fallback(&spare).build()?;
    /// let addresses: Vec<_> = bridge.routers().iter().map(|router| router.address()).collect();
    /// assert_eq!(addresses, ["[::1]:7656", "router.lan:7656"]);
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    #[must_use]
    pub fn routers(&self) -> Vec<Self> {
        let alone = |config: &Arc<Config>| Self {
            config: Arc::clone(config),
            fallbacks: Arc::default(),
            failover: Arc::default(),
            ..self.clone()
        };
        self.configs().map(alone).collect()
    }

    /// Connects to the bridge and returns its version of SAM. It is the cheapest way to check if a bridge
    /// runs.
    ///
    /// Routers of early 2025 and later reply 3.3, i2pd 2.45 replies 3.1. emissary replies 3.2 to every
    /// range of versions.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`] if nothing listens there, [`Error::Refused`] if the bridge supports no
    /// version of the range or refuses the credentials, [`Error::Timeout`] in [`Phase::Connect`] or
    /// [`Phase::Hello`].
    ///
    /// ```no_run
    /// println!("SAM {}", i2p_sam::SamBridge::from_env()?.version()?);
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn version(&self) -> Result<Version, Error> {
        self.try_routers(|router| Ok(router.open()?.version()))
    }

    /// Returns a new key, which the bridge generates. It needs no session, and the router does not
    /// store the key.
    ///
    /// Use [`SignatureType::Ed25519`] (the `Default`) unless there is a reason: emissary generates no
    /// other, and the network is abandoning the older ones.
    ///
    /// # Errors
    ///
    /// As [`version`](SamBridge::version); [`Error::Protocol`] if the public and the private key of
    /// the reply do not belong together.
    ///
    /// ```no_run
    /// use i2p_sam::{SamBridge, SignatureType};
    ///
    /// let key = SamBridge::from_env()?.generate(SignatureType::Ed25519)?;
    /// println!("{}", key.destination().b32());
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn generate(&self, signature_type: SignatureType) -> Result<PrivateKey, Error> {
        let phase = Phase::Command;
        let command = Command::dest_generate(signature_type.code())?;
        let malformed = |error| Error::protocol(phase, error);
        self.try_routers(|router| {
            let mut connection = router.open()?;
            let deadline = Deadline::after(router.config.timeouts.command);
            let reply = connection.request(&command, phase, deadline)?;
            // The text is a copy if the bridge escaped a part of it.
            let text = Wiped::new(reply.require("PRIV").map_err(malformed)?.into_owned());
            let key = PrivateKey::from_base64(&text);
            let public = Destination::from_base64(&reply.require("PUB").map_err(malformed)?);
            let is_asked_for = |key: &PrivateKey| {
                public.as_ref() == Ok(key.destination()) && key.signature_type() == signature_type
            };
            let invalid = ParseError::new(ParseErrorKind::Value, 0);
            key.ok().filter(is_asked_for).ok_or(malformed(invalid))
        })
    }

    /// Sends one command on a connection of its own, after HELLO, and returns the bridge's reply, also if it is
    /// a refusal. It is for commands that this crate does not have. The connection closes then, and ends what the command
    /// began, such as a session.
    ///
    /// If there are fallbacks, the command goes to the first bridge that completes HELLO, and is not repeated at
    /// another one.
    ///
    /// The deadline is that of [`command_timeout`](crate::SamBridgeBuilder::command_timeout). A bridge that replies
    /// nothing, as emissary does to commands that it refuses, exhausts it.
    ///
    /// # Errors
    ///
    /// As [`version`](SamBridge::version); [`Error::UnexpectedEof`] if the bridge closes the connection instead of a
    /// reply.
    ///
    /// ```no_run
    /// use i2p_sam::{SamBridge, wire::Command};
    ///
    /// let command = Command::new("HELP", "");
    /// let reply = SamBridge::from_env()?.request(&command)?;
    /// println!("{:?}", reply.message().explanation());
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn request(&self, command: &Command) -> Result<Reply, Error> {
        // It is not repeated at a fallback: a bridge that closes on a command may have carried it out.
        let mut connection = self.try_routers(Self::open)?;
        let deadline = Deadline::after(self.config.timeouts.command);
        connection.request_any(command, Phase::Command, deadline)
    }

    /// Returns the destination of an address. A port in the address is ignored; for a full destination
    /// nothing is sent.
    ///
    /// Results are cached only if the program requested it
    /// ([`lookup_cache`](crate::SamBridgeBuilder::lookup_cache)).
    ///
    /// Without a session every router finds the names of its address book, and Java I2P finds whatever
    /// is online. emissary finds no `.b32.i2p` address, and i2pd only one whose lease set it has: use
    /// the [`lookup`](crate::StreamSession::lookup) of a session for those.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if it is not found: `KEY_NOT_FOUND`, `LEASESET_NOT_FOUND`, and on i2pd
    /// always `INVALID_KEY`. That may pass for a `.b32.i2p` address, whose owner may come online, but
    /// not for a name: [`is_retryable`](Error::is_retryable) returns which.
    /// [`Error::WrongDestination`] if the address is a `.b32.i2p` address and the destination in the
    /// reply has another: replies are checked, because a bridge may lie.
    /// [`Error::Address`] if it is no I2P address. Otherwise as
    /// [`version`](SamBridge::version), in [`Phase::Lookup`].
    ///
    /// ```no_run
    /// let destination = i2p_sam::SamBridge::from_env()?.lookup("stats.i2p")?;
    /// println!("{}", destination.b32());
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn lookup(&self, address: impl ToI2pAddr) -> Result<Destination, Error> {
        let address = address.to_i2p_addr()?;
        self.lookup_by(&address, |command| self.ask(address.host(), &command))
    }

    /// Returns the destination of an address and the options of its lease set, with the services it
    /// offers. A port in the address is ignored.
    ///
    /// The bridge always gets the request, even for a full destination, and the cache is not read. A router
    /// that does not support options replies without them: i2pd, and Java I2P 2.8.
    ///
    /// # Errors
    ///
    /// Those of [`lookup`](SamBridge::lookup). [`Error::WrongDestination`] also if the address is a
    /// full destination and the reply contains another.
    ///
    /// ```no_run
    /// let bridge = i2p_sam::SamBridge::from_env()?;
    /// let found = bridge.lookup_record("postman.i2p")?;
    /// // Malformed records are skipped.
    /// for record in found.services_of("smtp", "tcp").flatten() {
    ///     println!("{} {}", record.priority(), record.target());
    /// }
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn lookup_record(&self, address: impl ToI2pAddr) -> Result<Lookup, Error> {
        let address = address.to_i2p_addr()?;
        let command = Command::naming_lookup(&address.to_sam())?.pair("OPTIONS", "true")?;
        let outcome = self.ask(address.host(), &command);
        let found = outcome.map_err(|error| error.about(&address))?;
        self.lookups
            .keep(address.host(), found.destination(), Instant::now());
        Ok(found)
    }

    /// Returns the destination in the address, or in the cache, or in the reply to the command.
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

    fn ask(&self, asked: &Host, command: &Command) -> Result<Lookup, Error> {
        self.try_routers(|router| {
            let mut connection = router.open()?;
            let deadline = Deadline::after(router.config.timeouts.lookup);
            let reply = connection.request(command, Phase::Lookup, deadline)?;
            Lookup::from_reply(&reply)?.check(asked)
        })
    }

    /// Calls `ask` with the bridge of one router after the other, until one replies.
    pub(crate) fn try_routers<T>(
        &self,
        ask: impl FnMut(&Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.failover.run(&self.routers(), ask)
    }

    /// Returns the configuration of each bridge. There is at least one.
    pub(super) fn configs(&self) -> impl Iterator<Item = &Arc<Config>> {
        iter::once(&self.config).chain(self.fallbacks.iter())
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

/// Shows the addresses of all bridges; never the credentials.
impl fmt::Debug for SamBridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("SamBridge");
        shown
            .field("address", &self.address())
            .field("udp_address", &self.udp_address());
        if !self.fallbacks.is_empty() {
            let fallbacks: Vec<_> = self.routers().into_iter().skip(1).collect();
            shown.field("fallbacks", &fallbacks);
        }
        shown.finish_non_exhaustive()
    }
}
