use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::datagram::{
    DatagramSession, DatagramSocket, DatagramStyle, Format, RAW_PROTOCOL, RawOptions, RawSession,
    UdpOptions,
};
use crate::error::{Error, Phase};
use crate::session::accept_pool::AcceptPool;
use crate::session::accept_queue::BacklogLimits;
use crate::session::common_methods::common_methods;
use crate::session::control::ControlSocket;
use crate::session::core::{SessionCore, SessionGuard};
use crate::session::id::unguessable;
use crate::session::inbound_mode::InboundMode;
use crate::session::stream::{DialPorts, StreamSession};
use crate::session::subsession::Ports;
use crate::sync::Cancel;
use crate::wire::{Command, Pair};

/// The I2CP protocol number of streams.
const STREAM_PROTOCOL: u8 = 6;

/// One destination of our own for streams and datagrams at once: a `PRIMARY` session of SAM 3.3.
///
/// Its subsessions carry the streams and datagrams. They are added and removed while it runs, and have
/// the same types as sessions that stand alone: [`StreamSession`], [`DatagramSession`] and
/// [`RawSession`]. They share its tunnels, its key and its control socket.
///
/// Every method takes `&self`. Clones are cheap and share one session. It lives until the last clone
/// and the last thing made from it is dropped, including a stream of a subsession, or until
/// [`close`](PrimarySession::close), which ends them all. A subsession ends alone by its own `close`,
/// or when the last thing made from it is dropped.
///
/// # What to expect
///
/// - **i2pd adds only streams** (2.45 and 2.59), and ends the whole session on a request for any other
///   style; so no such request is sent ([`Error::Unsupported`]).
/// - Two subsessions of one style must [listen to different ports](SubsessionOptions::listen_port).
///   i2pd and emissary 0.4.0 do not distinguish streams by port.
/// - emissary 0.4.0 has one port for all datagrams, so of `DATAGRAM` and `RAW` only the subsession that
///   listens to port 0 receives any. It does not answer removals either, and keeps removed subsessions
///   until the whole session ends.
///
/// ```no_run
/// use i2p_sam::{DatagramStyle, SamBridge};
///
/// let primary = SamBridge::from_env()?.session().nickname("game").primary()?;
/// println!("dial me, and send to me, at {}", primary.destination().b32());
/// let lobby = primary.stream()?.listener()?;
/// let moves = primary.datagram(DatagramStyle::Datagram)?;
/// # Ok::<(), i2p_sam::Error>(())
/// ```
#[derive(Clone)]
pub struct PrimarySession {
    guard: SessionGuard,
    cancel: Cancel,
    shared: Arc<Shared>,
}

struct Shared {
    settings: SubsessionSettings,
    claims: Arc<Ports>,
}

/// The settings of a primary session's builder for its subsessions.
pub(crate) struct SubsessionSettings {
    /// Set for i2pd, which ends the whole session when it refuses anything else (2.45 and 2.59).
    pub(crate) only_streams: bool,
    pub(crate) pending_accepts: usize,
    pub(crate) backlog: BacklogLimits,
    pub(crate) linger: Duration,
    pub(crate) udp: UdpOptions,
}

impl PrimarySession {
    pub(crate) fn new(guard: SessionGuard, cancel: Cancel, settings: SubsessionSettings) -> Self {
        let claims = Arc::default();
        Self {
            guard,
            cancel,
            shared: Arc::new(Shared { settings, claims }),
        }
    }

    /// Adds a subsession for streams, from and to port 0.
    ///
    /// It costs no tunnels: routers answer at once.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] if there is a subsession of the same style that listens to the same port
    /// (one that had streams and was dropped exists until it has
    /// [lingered](crate::SessionBuilder::linger)), [`Error::Refused`] in [`Phase::SessionAdd`] if the
    /// router refuses it, [`Error::SessionLost`], [`Error::Cancelled`], [`Error::Timeout`] after the
    /// bridge's command deadline (also from emissary 0.4.0, which does not answer a request that it
    /// does not know). If the call fails and the router adds the subsession later, the subsession is
    /// removed.
    pub fn stream(&self) -> Result<StreamSession, Error> {
        self.stream_with(&SubsessionOptions::new())
    }

    /// Adds a subsession like [`stream`](PrimarySession::stream), with ports.
    ///
    /// # Errors
    ///
    /// Those of [`stream`](PrimarySession::stream); [`Error::InvalidConfig`] for a protocol to listen to.
    ///
    /// ```no_run
    /// use i2p_sam::SubsessionOptions;
    ///
    /// // Two services of one destination, on Java I2P.
    /// # let primary = i2p_sam::SamBridge::from_env()?.session().primary()?;
    /// let web = primary.stream_with(&SubsessionOptions::new().listen_port(80))?;
    /// let mail = primary.stream_with(&SubsessionOptions::new().listen_port(25))?;
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn stream_with(&self, options: &SubsessionOptions) -> Result<StreamSession, Error> {
        options.refuse_listen_protocol()?;
        let guard = self.add("STREAM", STREAM_PROTOCOL, options, &[])?;
        let session = StreamSession::new(guard, self.cancel.clone());
        Ok(session.with_ports(options.dial_ports()))
    }

    /// Adds a subsession for datagrams with a sender, from and to port 0.
    ///
    /// # Errors
    ///
    /// Those of [`stream`](PrimarySession::stream); [`Error::Io`] if the UDP port cannot be bound;
    /// [`Error::Unsupported`] on i2pd. Java I2P up to 2.8.0 refuses [`DatagramStyle::Datagram2`] and
    /// [`DatagramStyle::Datagram3`].
    pub fn datagram(&self, style: DatagramStyle) -> Result<DatagramSession, Error> {
        self.datagram_with(style, &SubsessionOptions::new())
    }

    /// Adds a subsession like [`datagram`](PrimarySession::datagram), with ports.
    ///
    /// # Errors
    ///
    /// Those of [`datagram`](PrimarySession::datagram); [`Error::InvalidConfig`] for a protocol to listen
    /// to.
    pub fn datagram_with(
        &self,
        style: DatagramStyle,
        options: &SubsessionOptions,
    ) -> Result<DatagramSession, Error> {
        options.refuse_listen_protocol()?;
        let socket = self.datagram_socket(Format::of(style), style.protocol(), options, &[])?;
        Ok(DatagramSession::new(socket, style))
    }

    /// Adds a subsession for datagrams without a sender, of protocol 18, from and to port 0.
    ///
    /// # Errors
    ///
    /// Those of [`datagram`](PrimarySession::datagram).
    pub fn raw(&self) -> Result<RawSession, Error> {
        self.raw_with(&RawOptions::new(), &SubsessionOptions::new())
    }

    /// Adds a subsession like [`raw`](PrimarySession::raw), with protocols and ports.
    ///
    /// # Errors
    ///
    /// Those of [`raw`](PrimarySession::raw); [`Error::InvalidConfig`] for a protocol that is reserved.
    pub fn raw_with(
        &self,
        raw: &RawOptions,
        options: &SubsessionOptions,
    ) -> Result<RawSession, Error> {
        let pairs = raw.pairs()?;
        let sent = raw.own_protocol().unwrap_or(RAW_PROTOCOL);
        let protocol = options.listen_protocol.unwrap_or(sent);
        if protocol == STREAM_PROTOCOL {
            let reason = "this is the protocol of streams";
            return Err(Error::setting("listen_protocol", protocol, reason));
        }
        let socket = self.datagram_socket(raw.format(), protocol, options, &pairs)?;
        Ok(RawSession::new(socket, raw))
    }

    /// Returns the same session; calls made through it, and through the subsessions it adds, end when
    /// `cancel` fires.
    #[must_use = "the handle applies to what is returned, not to the original"]
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self {
            cancel: cancel.clone(),
            ..self.clone()
        }
    }

    /// Closes the session now, and with it all its subsessions and everything made from them: streams
    /// and accepts first, then, half a second later if there ever was a subsession, the session itself.
    /// It waits up to 2 s more for the bridge to close the control socket. On i2pd the key rests for 6
    /// s before another session gets it: [a key that is used
    /// again](crate::SessionBuilder#a-key-that-is-used-again).
    ///
    /// Bytes that streams have written and the router has not delivered are lost. A second call does
    /// nothing.
    pub fn close(&self) {
        self.core().close();
    }

    /// Adds a subsession whose datagrams the bridge forwards to a UDP port of its own. Java I2P and
    /// emissary add no other kind.
    fn datagram_socket(
        &self,
        format: Format,
        protocol: u8,
        options: &SubsessionOptions,
        pairs: &[Pair],
    ) -> Result<DatagramSocket, Error> {
        if self.shared.settings.only_streams {
            return Err(Error::Unsupported(
                "this router adds only streams to a primary session: make another session",
            ));
        }
        let bridge = self.core().bridge.with_cancel(&self.cancel);
        let style = format.style();
        DatagramSocket::by_udp(&bridge, &self.shared.settings.udp, format, |udp| {
            self.add(style, protocol, options, &[udp, pairs].concat())
        })
    }

    fn add(
        &self,
        style: &'static str,
        protocol: u8,
        options: &SubsessionOptions,
        pairs: &[Pair],
    ) -> Result<SessionGuard, Error> {
        let core = self.core();
        let call = core.call(Phase::SessionAdd).or_cancel(&self.cancel);
        call.check()?;
        let claim = self.shared.claims.take(protocol, options.listens_to())?;
        let id = unguessable();
        let mut command = Command::new("SESSION", "ADD")
            .pair("STYLE", style)?
            .pair("ID", &id)?;
        for (name, value) in pairs.iter().chain(&options.pairs()) {
            command = command.pair(name, value)?;
        }
        // The last command on the socket must follow the others after some time: `COMMAND_GAP`.
        core.streamed.store(true, Ordering::Relaxed);
        let call = call.within(core.bridge.config().timeouts.command);
        core.control.add_subsession(&id, command, &call)?;
        let control = ControlSocket::of_subsession(&self.guard, &id, claim)?;
        let settings = &self.shared.settings;
        Ok(SessionGuard::new(SessionCore {
            bridge: core.bridge.clone(),
            accept_pool: AcceptPool::new(
                control.lifetime(),
                settings.pending_accepts,
                settings.backlog,
            ),
            control,
            id,
            key: core.key.clone(),
            version: core.version,
            inbound_mode: InboundMode::default(),
            linger: settings.linger,
            streams: Arc::default(),
            streamed: AtomicBool::new(false),
        }))
    }
}

common_methods!(PrimarySession, guard, cancel);

/// Options of a subsession: its ports and protocols.
///
/// They are numbers of I2P, 0 to 65535, and unrelated to TCP and UDP.
///
/// ```
/// let options = i2p_sam::SubsessionOptions::new().from_port(4444).listen_port(80);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct SubsessionOptions {
    from_port: Option<u16>,
    to_port: Option<u16>,
    listen_port: Option<u16>,
    listen_protocol: Option<u8>,
}

impl SubsessionOptions {
    /// Creates the default options: none is sent, and all ports are 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets our port for streams and datagrams that name none. Default: 0, which is no port.
    ///
    /// Java I2P ignores it for streams that a subsession dials, so every dial sends it again.
    pub fn from_port(mut self, port: u16) -> Self {
        self.from_port = Some(port);
        self
    }

    /// Sets the peer's port for streams and datagrams that name none. Default: 0, which is no port.
    ///
    /// Java I2P ignores it for streams that a subsession dials, so every dial sends it again.
    pub fn to_port(mut self, port: u16) -> Self {
        self.to_port = Some(port);
        self
    }

    /// Sets the port to listen to; a subsession on port 0 receives everything to which no other
    /// subsession of its style listens. Default: [`from_port`](SubsessionOptions::from_port).
    ///
    /// Java I2P supports it. i2pd and emissary 0.4.0 read `from_port` instead, and send to port 0
    /// whatever port is set, so that a subsession on another port receives nothing.
    pub fn listen_port(mut self, port: u16) -> Self {
        self.listen_port = Some(port);
        self
    }

    /// Sets the protocol to listen to, any but 6; for raw datagrams only. Default:
    /// [`RawOptions::protocol`].
    pub fn listen_protocol(mut self, protocol: u8) -> Self {
        self.listen_protocol = Some(protocol);
        self
    }

    fn dial_ports(&self) -> DialPorts {
        DialPorts {
            from: self.from_port,
            to: self.to_port,
        }
    }

    fn listens_to(&self) -> u16 {
        self.listen_port.or(self.from_port).unwrap_or(0)
    }

    fn refuse_listen_protocol(&self) -> Result<(), Error> {
        match self.listen_protocol {
            Some(protocol) => {
                let reason = "only raw datagrams have one";
                Err(Error::setting("listen_protocol", protocol, reason))
            }
            None => Ok(()),
        }
    }

    fn pairs(&self) -> Vec<Pair> {
        // i2pd 2.45 does not reply if it is left out.
        let from_port = self.from_port.unwrap_or(0);
        let pairs = [
            ("FROM_PORT", Some(from_port.to_string())),
            ("TO_PORT", self.to_port.map(|port| port.to_string())),
            ("LISTEN_PORT", self.listen_port.map(|port| port.to_string())),
            (
                "LISTEN_PROTOCOL",
                self.listen_protocol.map(|number| number.to_string()),
            ),
        ];
        let said = |(name, value): (_, Option<String>)| Some((name, value?));
        pairs.into_iter().filter_map(said).collect()
    }
}
