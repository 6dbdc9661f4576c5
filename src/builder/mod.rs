mod create;

use std::fmt;
use std::num::NonZeroU16;
use std::time::Duration;

use crate::address::{PrivateKey, SignatureType, ToI2pAddr, Wiped};
use crate::bridge::SamBridge;
use crate::datagram::{
    DatagramSession, DatagramSocket, DatagramStyle, DatagramTransport, Format, RawOptions,
    RawSession,
};
use crate::error::{Error, Phase};
use crate::session::{DefaultPorts, SessionOptions};
use crate::stream::{BacklogLimits, BacklogPolicy, SamStream, StreamSession, StreamSettings};
use crate::wire::{
    Command, CommandError, CommandFault, Pair, ParseError, ParseErrorKind, Version, needs_quotes,
    redact,
};

/// The number of accepts that are pending at once if the router serves several.
const PENDING_ACCEPTS: usize = 8;
const MOST_PENDING_ACCEPTS: usize = 64;

/// The number of streams that may wait for an `accept`. Each is a socket.
const BACKLOG: usize = 64;
const MOST_BACKLOG: usize = 4096;

/// The time for the last bytes of a session's streams to arrive. If the first packet was lost, i2pd
/// sends it again after 9 s.
const LINGER: Duration = Duration::from_secs(15);

/// Builds a session from its key, its options and its limits.
///
/// ```no_run
/// use i2p_sam::{PrivateKey, SamBridge, SessionOptions, SignatureType};
///
/// let bridge = SamBridge::from_env()?;
/// let key = PrivateKey::load_or_generate("service.key", || {
///     bridge.generate(SignatureType::Ed25519)
/// })?;
/// let session = bridge
///     .session()
///     .key(&key)
///     .nickname("my-service")
///     .options(SessionOptions::new().tunnel_length(2))
///     .stream()?;
/// # Ok::<(), i2p_sam::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a session is made by `stream`"]
pub struct SessionBuilder {
    bridge: SamBridge,
    identity: Identity,
    options: SessionOptions,
    nickname: Option<String>,
    heartbeat: Option<Duration>,
    ports: DefaultPorts,
    streams: StreamSettings,
    pub(crate) linger: Duration,
    pub(crate) transport: DatagramTransport,
}

#[derive(Clone)]
enum Identity {
    Transient(SignatureType),
    Key(PrivateKey),
}

impl SamBridge {
    /// Returns a builder of a session: a destination of our own that can dial and be dialled.
    ///
    /// ```no_run
    /// let session = i2p_sam::SamBridge::from_env()?.session().nickname("echo").stream()?;
    /// println!("{}", session.destination().b32());
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn session(&self) -> SessionBuilder {
        SessionBuilder::new(self.clone())
    }

    /// Connects to a peer from a new destination, which is created for this one connection and ends
    /// with it.
    ///
    /// No peer can find out that two such connections come from one program. Each connection builds a
    /// new set of tunnels, which takes seconds: to connect more than once, keep a
    /// [`session`](SamBridge::session).
    ///
    /// # Errors
    ///
    /// Those of [`SessionBuilder::stream`] and of [`StreamSession::connect`].
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// let server = bridge.session().stream()?;
    /// let listener = server.listener()?;
    /// let stream = bridge.connect(server.destination())?;
    /// let (accepted, caller) = listener.accept()?;
    /// assert_ne!(caller.b32(), Some(server.destination().b32()));
    /// # drop((stream, accepted));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connect(&self, address: impl ToI2pAddr) -> Result<SamStream, Error> {
        // Checked first: an address that cannot be dialled should not cost the building of tunnels.
        let address = address.to_i2p_addr()?;
        self.try_routers(|router| router.session().stream()?.connect(&address))
    }
}

impl SessionBuilder {
    fn new(bridge: SamBridge) -> Self {
        Self {
            bridge,
            identity: Identity::Transient(SignatureType::default()),
            options: SessionOptions::new(),
            nickname: None,
            heartbeat: None,
            ports: DefaultPorts::default(),
            streams: StreamSettings {
                pending_accepts: PENDING_ACCEPTS,
                backlog: BacklogLimits {
                    size: BACKLOG,
                    backlog_policy: BacklogPolicy::default(),
                },
                stagger_first_dials: true,
            },
            linger: LINGER,
            transport: DatagramTransport::default(),
        }
    }

    /// Sets the key whose destination the session has. Default: a new key, which is dropped with the
    /// session.
    pub fn key(mut self, key: &PrivateKey) -> Self {
        self.identity = Identity::Key(key.clone());
        self
    }

    /// Uses a new key of this type, which is dropped with the session. Default: Ed25519.
    pub fn transient(mut self, signature_type: SignatureType) -> Self {
        self.identity = Identity::Transient(signature_type);
        self
    }

    /// Sets the name under which the router's console shows the session's tunnels. Default: none, and
    /// the console shows a name of its own.
    ///
    /// The session's id is not this name but random: any local process that knows the id can dial and
    /// accept as this session.
    ///
    /// Blanks, quotes and backslashes are refused when the session is created, because i2pd has no
    /// syntax for them. A name longer than 255 bytes is also refused.
    pub fn nickname(mut self, name: impl Into<String>) -> Self {
        self.nickname = Some(name.into());
        self
    }

    /// Sets all options of the session. Default: [`SessionOptions::new`].
    pub fn options(mut self, options: SessionOptions) -> Self {
        self.options = options;
        self
    }

    /// Adds one option, by its name in the router's documentation, to the others.
    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.options = self.options.option(name, value);
        self
    }

    /// Sets our I2CP port for the streams that the session dials, and the datagrams that it sends, if they
    /// name none. Port 0 is no port. Default: none.
    ///
    /// [`ConnectOptions::from_port`](crate::ConnectOptions::from_port) and
    /// [`DatagramOptions::from_port`](crate::DatagramOptions::from_port) precede it; port 0 there names
    /// none. It is no port to listen to: the session receives all streams and datagrams of its destination,
    /// whatever port they are sent to. A [primary session](SessionBuilder::primary) has no ports,
    /// but its [subsessions](crate::SubsessionBuilder::from_port) do.
    ///
    /// It is sent with each dial and each datagram, so that all routers treat it alike, and not with SESSION
    /// CREATE: i2pd ignores it there, and emissary 0.4.0 then passes no datagram to the session. A bridge before
    /// SAM 3.2 accepts no ports with datagrams, and the session is refused with [`Error::InvalidConfig`]. Peers
    /// see the port only if both routers carry it: Java I2P does, i2pd and emissary 0.4.0 do not.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::ConnectOptions;
    ///
    /// let server = bridge.session().stream()?;
    /// let listener = server.listener()?;
    /// let client = bridge.session().from_port(4444).to_port(80).stream()?;
    /// let near = client.connect(server.destination())?;
    /// let (far, peer) = listener.accept()?;
    /// assert_eq!((peer.port(), far.local_port()), (Some(4444), Some(80)));
    ///
    /// let other = ConnectOptions::new().from_port(5555);
    /// let near = client.connect_with((server.destination(), 81), &other)?;
    /// assert_eq!((near.local_port(), near.peer_port()), (Some(5555), Some(81)));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_port(mut self, port: u16) -> Self {
        self.ports.from = NonZeroU16::new(port);
        self
    }

    /// Sets the peer's I2CP port for the streams that the session dials, and the datagrams that it sends, if
    /// they name none. Port 0 is no port. Default: none.
    ///
    /// The port of an address and [`DatagramOptions::to_port`](crate::DatagramOptions::to_port) precede it.
    /// A datagram session that [connects](DatagramSession::connect) to an address without a port connects to
    /// this one. Otherwise it is as [`from_port`](SessionBuilder::from_port).
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::DatagramStyle;
    ///
    /// let server = bridge.session().datagram(DatagramStyle::Datagram)?;
    /// let client = bridge.session().to_port(53).datagram(DatagramStyle::Datagram)?;
    /// client.send_to(b"question", server.destination())?;
    /// let (_, sender) = server.recv_from(&mut [0; 31_744])?;
    /// assert_eq!(sender.to_port(), Some(53));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_port(mut self, port: u16) -> Self {
        self.ports.to = NonZeroU16::new(port);
        self
    }

    /// Sets the interval at which the session proves that it is alive. Default: never. The least is one
    /// second.
    ///
    /// A bridge on this machine that stops is noticed at once. A bridge on another machine that is
    /// switched off, or loses its network, sends nothing: with a heartbeat the session is lost after at
    /// most two intervals.
    ///
    /// Java I2P's bridge can go on after its router has stopped or was restarted, and answers requests
    /// about a session that no peer can reach. This is noticed as follows:
    ///
    /// | session | noticed by |
    /// |---|---|
    /// | a [listener](StreamSession::listener) | the end of a pending accept, at once, without a heartbeat |
    /// | a [forwarding](StreamSession::forward) | a heartbeat, which asks for an accept and is refused |
    /// | datagrams | heartbeats, which send the session datagrams of its own: four intervals after one came back for the first time |
    /// | streams that are only dialled | the next dial |
    /// | a primary session | any of its subsessions |
    ///
    /// The session's own datagrams go to its own destination, are 26 bytes long, and are not passed to
    /// the program. On i2pd none are sent, because it ends a session with its router.
    pub fn heartbeat(mut self, interval: Option<Duration>) -> Self {
        self.heartbeat = interval.map(|interval| interval.max(Duration::from_secs(1)));
        self
    }

    /// Sets the number of accepts to keep pending once there is a listener, 1 to 64. Default: 8.
    ///
    /// This is the number of peers that can dial in the same instant: if no accept is pending, Java I2P
    /// refuses a connection, and emissary loses it. i2pd needs one accept and keeps the other
    /// connections waiting, so it gets one accept whatever the setting. There, eight standby sockets
    /// for the next accepts allow 160 to 200 streams per second (23 without).
    /// [Forwarding](crate::StreamSession::forward) allows 500. Each accept needs a thread with a small
    /// stack and a socket.
    pub fn pending_accepts(mut self, accepts: usize) -> Self {
        self.streams.pending_accepts = accepts;
        self
    }

    /// Sets the number of streams that may wait for an `accept` of ours, 1 to 4096. Default: 64.
    ///
    /// Each is a socket that the router has passed to us, and a peer whose router has reported a
    /// connection. A few more may be on the way: one for each [pending
    /// accept](SessionBuilder::pending_accepts), or up to 64 callers if the session
    /// [forwards](crate::StreamSession::forward).
    pub fn backlog(mut self, streams: usize) -> Self {
        self.streams.backlog.size = streams;
        self
    }

    /// Sets the treatment of peers that dial while the backlog is full. Default: [`BacklogPolicy::Wait`].
    pub fn backlog_policy(mut self, policy: BacklogPolicy) -> Self {
        self.streams.backlog.backlog_policy = policy;
        self
    }

    /// Sets whether dials of a peer that the session has not reached yet wait for each other. Default: true.
    ///
    /// Then one dial goes, and the others follow 0.1 s after the bridge has replied to it. If it fails, the
    /// next goes alone. No dial waits longer than 10 s, or than its own
    /// [`timeout`](crate::ConnectOptions::timeout). i2pd 2.59 loses all but one of several first dials to
    /// a destination, and repeats them after 9 s: without this, the first page of a site takes that long.
    pub fn stagger_first_dials(mut self, stagger: bool) -> Self {
        self.streams.stagger_first_dials = stagger;
        self
    }

    /// Sets the time for which the session stays after the last thing made from it is dropped. Default:
    /// 15 s.
    ///
    /// When a session ends, its router drops the bytes that streams have not delivered, and delivery
    /// takes seconds in I2P. So bytes that were written just before the last stream was dropped get
    /// this time, in the background. The key stays in use during it. A session that never had a stream
    /// ends at once; so does any session on [`close`](StreamSession::close).
    ///
    /// **The session ends with the process**, and its undelivered bytes are lost: on i2pd, a program
    /// that dials, writes and returns from `main` at once delivers nothing. Before it exits, it should
    /// [finish the stream](crate::SamStream::finish) or [the session](StreamSession::finish).
    pub fn linger(mut self, time: Duration) -> Self {
        self.linger = time;
        self
    }

    /// Sets the transport of datagrams between the bridge and us. Default:
    /// [`DatagramTransport::Udp`] with the default options. Ignored by stream sessions.
    ///
    /// ```no_run
    /// use i2p_sam::{DatagramStyle, DatagramTransport, SamBridge};
    ///
    /// let builder = SamBridge::from_env()?
    ///     .session()
    ///     .datagram_transport(DatagramTransport::ControlSocket);
    /// let session = builder.datagram(DatagramStyle::Datagram)?;
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn datagram_transport(mut self, transport: DatagramTransport) -> Self {
        self.transport = transport;
        self
    }

    /// Creates a session for streams.
    ///
    /// The router builds tunnels first. This takes seconds in a router that has been running, and
    /// minutes in one that has just been started. On i2pd it takes 3 to 18 s, by chance: i2pd begins to build
    /// the tunnels within 15 s, and checks every 3 s if they are ready (2.45: every 20 s).
    ///
    /// # A key that is used again
    ///
    /// A key belongs to one session at a time. A second session of this program with the same key at
    /// the same bridge is refused with `DUPLICATED_DEST`, whatever the bridge would reply. A second
    /// *program* is refused by Java I2P and emissary; on i2pd it takes the key away from the first.
    ///
    /// i2pd (2.45 to 2.61) confuses a session with the last one of its key if that ended less than 5 s
    /// ago: the new one serves no peer, and i2pd 2.59 aborts when a peer dials it. So on i2pd this call
    /// waits until a session of this program with the same key has been gone for 6 s, unless the router
    /// was restarted meanwhile. If another program had the key, such as the last run of this one, the
    /// call recognizes the confusion, ends such a session before any peer can dial it, and creates
    /// another one 6 s later. Java I2P refuses a key for a second or so after its session was closed,
    /// and the call tries again. All of this happens within the deadline of the call, and a
    /// [`Cancel`](crate::Cancel) ends it.
    ///
    /// No library can correct two faults. On i2pd 2.59, a *client* session that has dialled the last
    /// session with a key reaches the new one only after some ten minutes, though its dials succeed. A
    /// new client session reaches it at once ([`HealingSession::renew`](crate::HealingSession::renew)).
    /// On i2pd 2.45, a key that has been used does not serve again before the router is restarted.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `DUPLICATED_DEST` or `DUPLICATED_ID` if the key is in use
    /// ([`is_retryable`](Error::is_retryable) returns true), `INVALID_KEY`, or `I2P_ERROR`;
    /// [`Error::UnexpectedEof`] from a router that closes the socket instead of a refusal;
    /// [`Error::Command`] if an option cannot be sent in a command; [`Error::Timeout`] and
    /// [`Error::Unreachable`] as for any call.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// let session = bridge.session().nickname("chat").stream()?;
    /// println!("dial me at {}", session.destination().b32());
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream(self) -> Result<StreamSession, Error> {
        self.try_routers(|at| {
            let guard = at.create("STREAM", &[], None)?;
            let settings = at.streams_on(guard.core().version);
            let cancel = at.bridge.cancel().clone();
            Ok(StreamSession::new(guard, cancel, settings))
        })
    }

    /// Creates a session for datagrams with a sender.
    ///
    /// # Errors
    ///
    /// Those of [`stream`](SessionBuilder::stream); [`Error::Io`] if the UDP port cannot be bound;
    /// [`Error::Command`] or [`Error::InvalidConfig`] for a [host](crate::UdpOptions::advertise) that cannot be
    /// advertised; [`Error::InvalidConfig`] for a style other than `DATAGRAM` on
    /// [`DatagramTransport::ControlSocket`]. Java I2P up to 2.8.0 refuses [`DatagramStyle::Datagram2`]
    /// and [`DatagramStyle::Datagram3`]. emissary closes the socket on the latter, i2pd 2.45 on both.
    ///
    /// ```no_run
    /// use i2p_sam::{DatagramStyle, SamBridge};
    ///
    /// let session = SamBridge::from_env()?.session().datagram(DatagramStyle::Datagram)?;
    /// println!("send to {}", session.destination());
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn datagram(self, style: DatagramStyle) -> Result<DatagramSession, Error> {
        self.try_routers(|at| {
            let socket = at.datagram_socket(Format::of(style), &[])?;
            Ok(DatagramSession::new(socket, style))
        })
    }

    /// Creates a session for datagrams without a sender.
    ///
    /// # Errors
    ///
    /// Those of [`stream`](SessionBuilder::stream); [`Error::Io`] if the UDP port cannot be bound.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// let session = bridge.session().raw()?;
    /// session.send_to(b"nobody learns who sent this", session.destination())?;
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn raw(self) -> Result<RawSession, Error> {
        self.raw_with(&RawOptions::new())
    }

    /// Creates a session like [`raw`](SessionBuilder::raw), with a protocol of its own.
    ///
    /// # Errors
    ///
    /// Those of [`raw`](SessionBuilder::raw); [`Error::InvalidConfig`] for a protocol that is reserved.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::RawOptions;
    ///
    /// let session = bridge.session().raw_with(&RawOptions::new().protocol(99))?;
    /// # drop(session);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn raw_with(self, options: &RawOptions) -> Result<RawSession, Error> {
        let pairs = options.pairs()?;
        self.try_routers(|at| {
            let socket = at.datagram_socket(options.format(), &pairs)?;
            Ok(RawSession::new(socket, options))
        })
    }

    /// Calls `make` for the bridge of one router after the other, until one answers. The session stays
    /// at that bridge.
    pub(crate) fn try_routers<T>(
        &self,
        make: impl Fn(&Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.bridge
            .try_routers(|router| make(&self.clone().at(router.clone())))
    }

    pub(crate) fn bridge(&self) -> &SamBridge {
        &self.bridge
    }

    /// Returns the key that was set, or a new one of the type that was set.
    pub(crate) fn own_key(&self) -> Result<PrivateKey, Error> {
        match &self.identity {
            Identity::Transient(signature_type) => self.bridge.generate(*signature_type),
            Identity::Key(key) => Ok(key.clone()),
        }
    }

    /// Returns the same builder for this bridge.
    pub(crate) fn at(mut self, bridge: SamBridge) -> Self {
        self.bridge = bridge;
        self
    }

    fn datagram_socket(&self, format: Format, pairs: &[Pair]) -> Result<DatagramSocket, Error> {
        let style = format.style();
        match &self.transport {
            DatagramTransport::Udp(options) => {
                DatagramSocket::by_udp(&self.bridge, options, format, |udp| {
                    self.create(style, &[udp, pairs].concat(), None)
                })
            }
            DatagramTransport::ControlSocket => {
                DatagramSocket::by_control_socket(self.bridge.cancel(), format, |frames| {
                    self.create(style, pairs, Some(frames))
                })
            }
        }
    }

    fn check_limits(&self) -> Result<(), Error> {
        if !(1..=MOST_PENDING_ACCEPTS).contains(&self.streams.pending_accepts) {
            let reason = "1 to 64 accepts can be pending";
            return Err(Error::setting(
                "pending_accepts",
                self.streams.pending_accepts,
                reason,
            ));
        }
        if !(1..=MOST_BACKLOG).contains(&self.streams.backlog.size) {
            let reason = "1 to 4096 streams can wait for an accept";
            return Err(Error::setting("backlog", self.streams.backlog.size, reason));
        }
        Ok(())
    }

    pub(crate) fn command(
        &self,
        style: &'static str,
        id: &str,
        pairs: &[Pair],
    ) -> Result<Command, Error> {
        let mut command = Command::new("SESSION", "CREATE")
            .pair("STYLE", style)?
            .pair("ID", id)?;
        command = match &self.identity {
            Identity::Transient(signature_type) => command
                .pair("DESTINATION", "TRANSIENT")?
                .pair("SIGNATURE_TYPE", &signature_type.code().to_string())?,
            Identity::Key(key) => {
                let text = Wiped::new(key.expose_base64());
                command.pair("DESTINATION", &text)?
            }
        };
        for (name, value) in pairs {
            command = command.pair(name, value)?;
        }
        for (name, value) in self.all_options()?.pairs()? {
            command = command.pair(name, value)?;
        }
        Ok(command)
    }

    fn all_options(&self) -> Result<SessionOptions, Error> {
        Ok(match &self.nickname {
            None => self.options.clone(),
            Some(name) => self.options.clone().nickname(name),
        })
    }

    /// Returns the settings for streams at a bridge of this version: one pending accept before 3.2.
    ///
    /// i2pd 2.45 and 2.56 reply 3.1 to a request for 3.3. If several accepts are pending, i2pd 2.45
    /// mixes up the streams of simultaneous dials.
    pub(crate) fn streams_on(&self, version: Version) -> StreamSettings {
        let mut settings = self.streams;
        if version < Version::V3_2 {
            settings.pending_accepts = 1;
        }
        settings
    }

    /// Refuses values that need quotes if the version is before 3.2, which has none.
    fn check_quotes(&self, version: Version) -> Result<(), Error> {
        if version >= Version::V3_2 {
            return Ok(());
        }
        for (name, value) in self.all_options()?.pairs()? {
            if needs_quotes(value) {
                return Err(CommandError::new(name, CommandFault::Quotes).into());
            }
        }
        Ok(())
    }

    /// Refuses ports of datagrams if the version is before 3.2, which has none.
    fn check_ports(&self, style: &str, version: Version) -> Result<(), Error> {
        if style == "STREAM" || version >= Version::V3_2 {
            return Ok(());
        }
        self.refuse_ports("a bridge before SAM 3.2 takes no ports with a datagram")
    }

    /// Fails with this reason if a port is set.
    pub(crate) fn refuse_ports(&self, reason: &'static str) -> Result<(), Error> {
        let DefaultPorts { from, to } = self.ports;
        for (name, port) in [("from_port", from), ("to_port", to)] {
            if let Some(port) = port {
                return Err(Error::setting(name, port, reason));
            }
        }
        Ok(())
    }

    /// Returns the session's key in the bridge's reply. A key of ours must come back unchanged.
    fn made_key(&self, text: &str) -> Result<PrivateKey, Error> {
        let phase = Phase::SessionCreate;
        let malformed = || Error::protocol(phase, ParseError::new(ParseErrorKind::Value, 0));
        let made = PrivateKey::from_base64(text).map_err(|_| malformed())?;
        match &self.identity {
            Identity::Key(key) if key.destination() != made.destination() => Err(malformed()),
            Identity::Key(key) => Ok(key.clone()),
            Identity::Transient(_) => Ok(made),
        }
    }
}

/// Shows the destination that the session will have, and the names of its options.
impl fmt::Debug for SessionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("SessionBuilder");
        shown.field("bridge", &self.bridge);
        match &self.identity {
            Identity::Transient(signature_type) => shown.field("transient", signature_type),
            Identity::Key(key) => shown.field("destination", key.destination()),
        };
        shown
            .field("nickname", &self.nickname.as_deref().map(redact))
            .field("options", &self.options)
            .field("heartbeat", &self.heartbeat)
            .finish_non_exhaustive()
    }
}
