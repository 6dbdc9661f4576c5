mod ports;
mod subsession;

use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::builder::SessionBuilder;
use crate::datagram::{
    DatagramSession, DatagramSocket, DatagramStyle, DatagramTransport, Format, RAW_PROTOCOL,
    RawOptions, RawSession, UdpOptions,
};
use crate::error::{Error, Phase};
use crate::primary::ports::Ports;
use crate::primary::subsession::Subsession;
use crate::session::common_methods::common_methods;
use crate::session::control::COMMAND_GAP;
use crate::session::core::SessionCore;
use crate::session::id::unguessable;
use crate::session::{DefaultPorts, SessionGuard};
use crate::stream::{StreamSession, StreamSettings};
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
/// - Two subsessions of one style must [listen to different ports](SubsessionBuilder::listen_port).
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
/// let lobby = primary.subsession().stream()?.listener()?;
/// let moves = primary.subsession().datagram(DatagramStyle::Datagram)?;
/// # Ok::<(), i2p_sam::Error>(())
/// ```
#[derive(Clone)]
pub struct PrimarySession {
    guard: SessionGuard,
    cancel: Cancel,
    shared: Arc<Shared>,
}

/// The settings of the primary session's builder for its subsessions, and the ports on which they listen.
struct Shared {
    /// Set for i2pd, which ends the whole session when it refuses anything else (2.45 and 2.59).
    only_streams: bool,
    streams: StreamSettings,
    linger: Duration,
    udp: UdpOptions,
    ports: Arc<Ports>,
}

impl SessionBuilder {
    /// Creates a session to which subsessions are added, and from which they are removed, while it
    /// runs: for streams and datagrams of one destination.
    ///
    /// It requests `STYLE=PRIMARY`. If the bridge does not know that style (i2pd, Java I2P before
    /// 0.9.47), it requests `STYLE=MASTER` on another socket.
    ///
    /// # Errors
    ///
    /// Those of [`stream`](SessionBuilder::stream); [`Error::InvalidConfig`] for
    /// [`DatagramTransport::ControlSocket`], which no router supports for subsessions, and for a
    /// [port](SessionBuilder::from_port), which belongs to a subsession.
    ///
    /// ```no_run
    /// let primary = i2p_sam::SamBridge::from_env()?.session().primary()?;
    /// let streams = primary.subsession().stream()?;
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn primary(self) -> Result<PrimarySession, Error> {
        let DatagramTransport::Udp(udp) = &self.transport else {
            return Err(Error::setting(
                "datagram_transport",
                format_args!("{:?}", self.transport),
                "the datagrams of subsessions come and go by UDP",
            ));
        };
        self.refuse_ports("a primary session has none: set it on its subsessions")?;
        self.try_routers(|at| PrimarySession::create(at, udp))
    }
}

impl PrimarySession {
    fn create(builder: &SessionBuilder, udp: &UdpOptions) -> Result<Self, Error> {
        // The removal of its last subsession may just have been sent.
        let alone = builder.clone().linger(COMMAND_GAP);
        let mut only_streams = false;
        let guard = match alone.create("PRIMARY", &[], None) {
            // i2pd closes the socket with its refusal.
            Err(Error::Refused(refusal)) if refusal.means_unknown_style() => {
                only_streams = refusal.is_of_i2pd();
                alone.create("MASTER", &[], None)?
            }
            outcome => outcome?,
        };
        let shared = Shared {
            only_streams,
            streams: builder.streams_on(guard.core().version),
            linger: builder.linger,
            udp: udp.clone(),
            ports: Arc::default(),
        };
        Ok(Self {
            guard,
            cancel: builder.bridge().cancel().clone(),
            shared: Arc::new(shared),
        })
    }

    /// Returns a builder of a subsession. A subsession costs no tunnels: routers add it at once.
    ///
    /// ```no_run
    /// // Two services of one destination, on Java I2P.
    /// # let primary = i2p_sam::SamBridge::from_env()?.session().primary()?;
    /// let web = primary.subsession().listen_port(80).stream()?;
    /// let mail = primary.subsession().listen_port(25).stream()?;
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn subsession(&self) -> SubsessionBuilder {
        SubsessionBuilder {
            primary: self.clone(),
            ports: DefaultPorts::default(),
            listen_port: None,
            listen_protocol: None,
        }
    }

    /// Returns the same session; calls made through it, and through the subsessions it adds, end when
    /// `cancel` fires.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::{Cancel, Error};
    ///
    /// let stop = Cancel::new();
    /// let primary = bridge.session().primary()?.with_cancel(&stop);
    /// stop.cancel();
    /// assert!(matches!(primary.subsession().stream(), Err(Error::Cancelled { .. })));
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

    /// Closes the session now, and with it all its subsessions and everything made from them: streams
    /// and accepts first, then, half a second later if there ever was a subsession, the session itself.
    /// It waits up to 2 s more for the bridge to close the control socket. On i2pd the key rests for 6
    /// s before another session gets it: [a key that is used
    /// again](crate::SessionBuilder#a-key-that-is-used-again).
    ///
    /// Bytes that streams have written and the router has not delivered are lost. A second call does
    /// nothing.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// let primary = bridge.session().primary()?;
    /// let streams = primary.subsession().stream()?;
    /// primary.close();
    /// assert!(streams.loss().is_some());
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        self.core().close();
    }
}

common_methods!(PrimarySession, guard, cancel);

/// Builds a subsession from its ports and protocol.
///
/// The ports are numbers of I2P, 1 to 65535, and unrelated to TCP and UDP. Port 0 is no port: it is the
/// same as not to set one.
///
/// The builder keeps the primary session alive.
///
/// ```no_run
/// # let primary = i2p_sam::SamBridge::from_env()?.session().primary()?;
/// let session = primary.subsession().from_port(4444).listen_port(80).stream()?;
/// # Ok::<(), i2p_sam::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a subsession is added by `stream`, `datagram` or `raw`"]
pub struct SubsessionBuilder {
    primary: PrimarySession,
    ports: DefaultPorts,
    listen_port: Option<NonZeroU16>,
    listen_protocol: Option<u8>,
}

impl SubsessionBuilder {
    /// Sets our port for streams and datagrams that name none. Default: none.
    ///
    /// Java I2P ignores it for streams that a subsession dials, so every dial and every datagram sends it
    /// again.
    pub fn from_port(mut self, port: u16) -> Self {
        self.ports.from = NonZeroU16::new(port);
        self
    }

    /// Sets the peer's port for streams and datagrams that name none. Default: none.
    ///
    /// Java I2P ignores it for streams that a subsession dials, so every dial and every datagram sends it
    /// again.
    pub fn to_port(mut self, port: u16) -> Self {
        self.ports.to = NonZeroU16::new(port);
        self
    }

    /// Sets the port to listen to. Default: [`from_port`](SubsessionBuilder::from_port). A subsession with
    /// neither receives everything to which no other subsession of its style listens.
    ///
    /// Java I2P supports it. i2pd and emissary 0.4.0 read `from_port` instead, and send to port 0
    /// whatever port is set, so that a subsession on another port receives nothing.
    pub fn listen_port(mut self, port: u16) -> Self {
        self.listen_port = NonZeroU16::new(port);
        self
    }

    /// Sets the protocol to listen to, any but 6; for raw datagrams only. Default:
    /// [`RawOptions::protocol`].
    pub fn listen_protocol(mut self, protocol: u8) -> Self {
        self.listen_protocol = Some(protocol);
        self
    }

    /// Adds a subsession for streams.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] if there is a subsession of the same style that listens to the same port
    /// (one that had streams and was dropped exists until it has
    /// [lingered](crate::SessionBuilder::linger)), [`Error::InvalidConfig`] for a protocol to listen to,
    /// [`Error::Refused`] in [`Phase::SessionAdd`] if the router refuses it, [`Error::SessionLost`],
    /// [`Error::Cancelled`], [`Error::Timeout`] after the bridge's command deadline (also from emissary
    /// 0.4.0, which does not answer a request that it does not know). If the call fails and the router
    /// adds the subsession later, the subsession is removed.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// let primary = bridge.session().primary()?;
    /// let web = primary.subsession().listen_port(80).stream()?;
    /// assert_eq!(web.destination(), primary.destination());
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream(self) -> Result<StreamSession, Error> {
        self.refuse_listen_protocol()?;
        let guard = self.add("STREAM", STREAM_PROTOCOL, &[])?;
        let PrimarySession { cancel, shared, .. } = &self.primary;
        Ok(StreamSession::new(guard, cancel.clone(), shared.streams))
    }

    /// Adds a subsession for datagrams with a sender.
    ///
    /// # Errors
    ///
    /// Those of [`stream`](SubsessionBuilder::stream); [`Error::Io`] if the UDP port cannot be bound;
    /// [`Error::Unsupported`] on i2pd. Java I2P up to 2.8.0 refuses [`DatagramStyle::Datagram2`] and
    /// [`DatagramStyle::Datagram3`].
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::{DatagramStyle, Error};
    ///
    /// let primary = bridge.session().primary()?;
    /// match primary.subsession().datagram(DatagramStyle::Datagram) {
    ///     Ok(session) => println!("send to {}", session.destination().b32()),
    ///     Err(Error::Unsupported(reason)) => println!("i2pd: {reason}"),
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn datagram(self, style: DatagramStyle) -> Result<DatagramSession, Error> {
        self.refuse_listen_protocol()?;
        let socket = self.datagram_socket(Format::of(style), style.protocol(), &[])?;
        Ok(DatagramSession::new(socket, style))
    }

    /// Adds a subsession for datagrams without a sender, of protocol 18.
    ///
    /// # Errors
    ///
    /// Those of [`datagram`](SubsessionBuilder::datagram), except that a protocol to listen to is allowed.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// let primary = bridge.session().primary()?;
    /// let session = primary.subsession().raw()?;
    /// # drop(session);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn raw(self) -> Result<RawSession, Error> {
        self.raw_with(&RawOptions::new())
    }

    /// Adds a subsession like [`raw`](SubsessionBuilder::raw), with a protocol of its own.
    ///
    /// # Errors
    ///
    /// Those of [`raw`](SubsessionBuilder::raw); [`Error::InvalidConfig`] for a protocol that is reserved.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::RawOptions;
    ///
    /// let primary = bridge.session().primary()?;
    /// let session = primary.subsession().raw_with(&RawOptions::new().protocol(99))?;
    /// # drop(session);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn raw_with(self, options: &RawOptions) -> Result<RawSession, Error> {
        let pairs = options.pairs()?;
        let sent = options.own_protocol().unwrap_or(RAW_PROTOCOL);
        let protocol = self.listen_protocol.unwrap_or(sent);
        if protocol == STREAM_PROTOCOL {
            let reason = "this is the protocol of streams";
            return Err(Error::setting("listen_protocol", protocol, reason));
        }
        let socket = self.datagram_socket(options.format(), protocol, &pairs)?;
        Ok(RawSession::new(socket, options))
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

    /// Adds a subsession whose datagrams the bridge forwards to a UDP port of its own. Java I2P and
    /// emissary add no other kind.
    fn datagram_socket(
        &self,
        format: Format,
        protocol: u8,
        pairs: &[Pair],
    ) -> Result<DatagramSocket, Error> {
        let PrimarySession { cancel, shared, .. } = &self.primary;
        if shared.only_streams {
            return Err(Error::Unsupported(
                "this router adds only streams to a primary session: make another session",
            ));
        }
        let bridge = self.primary.bridge().with_cancel(cancel);
        let style = format.style();
        DatagramSocket::by_udp(&bridge, &shared.udp, format, |udp| {
            self.add(style, protocol, &[udp, pairs].concat())
        })
    }

    /// Adds a subsession that listens to this protocol, at the bridge too.
    fn add(
        &self,
        style: &'static str,
        protocol: u8,
        pairs: &[Pair],
    ) -> Result<SessionGuard, Error> {
        let PrimarySession {
            guard,
            cancel,
            shared,
        } = &self.primary;
        let core = guard.core();
        let call = core.call(Phase::SessionAdd).or_cancel(cancel);
        call.check()?;
        let listens_to = self.listen_port.or(self.ports.from);
        let ports = shared.ports.take(protocol, number(listens_to))?;
        let id = unguessable();
        let command = self.command(style, &id, pairs)?;
        // The last command on the socket must follow the others after some time: `COMMAND_GAP`.
        core.streamed.store(true, Ordering::Relaxed);
        let call = call.within(core.bridge.config().timeouts.command);
        core.control.add_subsession(&id, command, &call)?;
        let end = Subsession::new(guard, &id, ports)?;
        Ok(SessionGuard::new(SessionCore {
            bridge: core.bridge.clone(),
            control: Arc::clone(&core.control),
            end: Arc::new(end),
            id,
            key: core.key.clone(),
            version: core.version,
            ports: self.ports,
            linger: shared.linger,
            streams: Arc::default(),
            streamed: AtomicBool::new(false),
        }))
    }

    fn command(&self, style: &'static str, id: &str, pairs: &[Pair]) -> Result<Command, Error> {
        let mut command = Command::new("SESSION", "ADD")
            .pair("STYLE", style)?
            .pair("ID", id)?;
        for (name, value) in pairs {
            command = command.pair(name, value)?;
        }
        // i2pd 2.45 does not reply if it is left out.
        command = command.pair("FROM_PORT", &number(self.ports.from).to_string())?;
        let others = [
            ("TO_PORT", self.ports.to.map(NonZeroU16::get)),
            ("LISTEN_PORT", self.listen_port.map(NonZeroU16::get)),
            ("LISTEN_PROTOCOL", self.listen_protocol.map(u16::from)),
        ];
        for (name, value) in others {
            if let Some(value) = value {
                command = command.pair(name, &value.to_string())?;
            }
        }
        Ok(command)
    }
}

/// Returns the number that means this port to a bridge.
fn number(port: Option<NonZeroU16>) -> u16 {
    port.map_or(0, NonZeroU16::get)
}
