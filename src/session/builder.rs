use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::address::{PrivateKey, SignatureType};
use crate::bridge::SamBridge;
use crate::error::{Error, Phase};
use crate::session::backlog::{BacklogLimits, WhenFull};
use crate::session::datagram::{DatagramSession, DatagramStyle};
use crate::session::datagrams::{Datagrams, Reader};
use crate::session::inbox::Inbox;
use crate::session::mailbox::Mailbox;
use crate::session::options::SessionOptions;
use crate::session::path::DatagramPath;
use crate::session::primary::{PrimarySession, SubsessionSettings};
use crate::session::raw::{RawOptions, RawSession};
use crate::session::stream::StreamSession;
use crate::session::udp::{DatagramSource, Pair, UdpPort, UdpSettings};
use crate::session::voice::BREATH;
use crate::version::Version;
use crate::wire::{
    Command, CommandError, CommandFault, ParseError, ParseErrorKind, needs_quotes, redact,
};

/// Accepts that are armed at once where the router serves several.
const ARMED_ACCEPTS: usize = 8;
const MOST_ARMED_ACCEPTS: usize = 64;

/// Streams that wait for an `accept`. Each is a socket.
const BACKLOG: usize = 64;
const MOST_BACKLOG: usize = 4096;

/// Time for the last bytes of a session's streams to arrive. i2pd sends a first packet that was lost
/// again after 9 s.
const LINGER: Duration = Duration::from_secs(15);

/// Describes a session, and makes it.
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
    pub(super) bridge: SamBridge,
    pub(super) identity: Identity,
    options: SessionOptions,
    nickname: Option<String>,
    pub(super) heartbeat: Option<Duration>,
    armed_accepts: usize,
    pub(super) backlog: BacklogLimits,
    pub(super) linger: Duration,
    udp: UdpSettings,
    path: DatagramPath,
}

#[derive(Clone)]
pub(super) enum Identity {
    Transient(SignatureType),
    Key(PrivateKey),
}

impl SessionBuilder {
    pub(crate) fn new(bridge: SamBridge) -> Self {
        Self {
            bridge,
            identity: Identity::Transient(SignatureType::default()),
            options: SessionOptions::new(),
            nickname: None,
            heartbeat: None,
            armed_accepts: ARMED_ACCEPTS,
            backlog: BacklogLimits {
                size: BACKLOG,
                when_full: WhenFull::default(),
            },
            linger: LINGER,
            udp: UdpSettings::default(),
            path: DatagramPath::default(),
        }
    }

    /// The key whose destination the session has. Default: a new one, forgotten with the session.
    pub fn key(mut self, key: &PrivateKey) -> Self {
        self.identity = Identity::Key(key.clone());
        self
    }

    /// A new key of this type, forgotten with the session. Default: Ed25519.
    pub fn transient(mut self, signature_type: SignatureType) -> Self {
        self.identity = Identity::Transient(signature_type);
        self
    }

    /// The name under which the router's console shows the session's tunnels. Default: none, and
    /// the console shows something of its own.
    ///
    /// The session's id is not this name but random: whoever on the host knows the id can dial and
    /// accept as us.
    ///
    /// Blanks, quotes and backslashes are refused when the session is made, since i2pd has no way
    /// to be told one; so is a name longer than 255 bytes.
    pub fn nickname(mut self, name: impl Into<String>) -> Self {
        self.nickname = Some(name.into());
        self
    }

    /// All options of the session. Default: [`SessionOptions::new`].
    pub fn options(mut self, options: SessionOptions) -> Self {
        self.options = options;
        self
    }

    /// One option by its name in the router's documentation, added to the others.
    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.options = self.options.option(name, value);
        self
    }

    /// Sets how often the session proves that it lives. Default: never. The least is one second.
    ///
    /// A bridge on this machine that stops is noticed at once. One on another machine that is switched
    /// off, or whose network is gone, sends nothing: with a heartbeat the session is lost after at most
    /// two intervals.
    ///
    /// Java I2P's bridge can go on after its router has stopped or was restarted, and answers questions
    /// about a session that nobody can reach. How that is noticed:
    ///
    /// | session | noticed by |
    /// |---|---|
    /// | a [listener](StreamSession::listener) | the end of a pending accept, at once, without a heartbeat |
    /// | a [forwarding](StreamSession::forward) | a heartbeat, which asks for an accept and is refused |
    /// | datagrams | heartbeats, which send the session datagrams of its own: four intervals after one came back for the first time |
    /// | streams that are only dialled | the next dial |
    /// | a primary session | any of its subsessions |
    ///
    /// The session's own datagrams go to its own destination, are 26 bytes long and are received by
    /// nobody. On i2pd, which ends a session with its router, none are sent.
    pub fn heartbeat(mut self, interval: Option<Duration>) -> Self {
        self.heartbeat = interval.map(|interval| interval.max(Duration::from_secs(1)));
        self
    }

    /// How many accepts to keep armed once there is a listener, 1 to 64. Default: 8.
    ///
    /// It is how many peers can dial in the same instant: Java I2P refuses, and emissary loses,
    /// a connection that finds none armed. i2pd needs one, keeps the others waiting, and gets one
    /// whatever is said here; there eight more sockets stand ready for the next ones, with which
    /// 160 to 200 streams come in in a second (23 without). By
    /// [forwarding](crate::StreamSession::forward) it is 500. Each takes a thread with a small stack and a
    /// socket.
    pub fn armed_accepts(mut self, armed: usize) -> Self {
        self.armed_accepts = armed;
        self
    }

    /// How many streams may wait for an `accept` of ours, 1 to 4096. Default: 64.
    ///
    /// Each is a socket that the router has given us, and a peer that has been told it is connected.
    /// A few more may be on their way: one for each [armed accept](SessionBuilder::armed_accepts),
    /// or up to 64 callers if the session [forwards](crate::StreamSession::forward).
    pub fn backlog(mut self, streams: usize) -> Self {
        self.backlog.size = streams;
        self
    }

    /// What becomes of peers that dial while the backlog is full. Default: [`WhenFull::Wait`].
    pub fn when_full(mut self, policy: WhenFull) -> Self {
        self.backlog.when_full = policy;
        self
    }

    /// How long the session stays when the last thing made from it is dropped. Default: 15 s.
    ///
    /// A router drops what a stream has not delivered when its session ends, and delivering takes
    /// seconds in I2P. So what was written just before the last stream was dropped gets this time,
    /// in the background, during which the key stays in use. A session that never had a stream
    /// ends at once; so does any session on [`close`](StreamSession::close).
    ///
    /// **The session dies with the process**, and what it had not delivered with it: a program that
    /// dials, writes and returns from `main` at once delivers nothing on i2pd. Before it exits, it
    /// should [finish the stream](crate::SamStream::finish) or
    /// [the session](StreamSession::finish).
    pub fn linger(mut self, time: Duration) -> Self {
        self.linger = time;
        self
    }

    /// Where datagrams are received: the UDP address to bind, which the bridge is told. Default: a
    /// free port of the address from which the bridge is reached, 127.0.0.1 if it is on this
    /// machine. Of no use to streams.
    pub fn datagram_bind(mut self, address: SocketAddr) -> Self {
        self.udp.bind = Some(address);
        self
    }

    /// The host at which the bridge is told to reach our UDP port: a name or an IP address. Default:
    /// that of the port. Of no use to streams.
    ///
    /// A router in a container, or behind an address translator, may know us by another.
    ///
    /// ```no_run
    /// use i2p_sam::{DatagramSource, DatagramStyle, SamBridge};
    ///
    /// let builder = SamBridge::new("172.17.0.2:7656")?
    ///     .session()
    ///     .datagram_bind("0.0.0.0:4444".parse().unwrap())
    ///     .datagram_host("host.containers.internal")
    ///     .datagram_source(DatagramSource::Host);
    /// let session = builder.datagram(DatagramStyle::Datagram)?;
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn datagram_host(mut self, host: impl Into<String>) -> Self {
        self.udp.host = Some(host.into());
        self
    }

    /// The UDP port the bridge is told to send to, where something in between changes it. Default: the
    /// one that is bound. Of no use to streams.
    pub fn datagram_port(mut self, port: u16) -> Self {
        self.udp.port = Some(port);
        self
    }

    /// Whose packets are believed to be the bridge's. Default: [`DatagramSource::Bridge`]. Of no
    /// use to streams.
    pub fn datagram_source(mut self, source: DatagramSource) -> Self {
        self.udp.source = source;
        self
    }

    /// How datagrams come and go between the bridge and us. Default: [`DatagramPath::Udp`]. Of no use
    /// to streams.
    ///
    /// ```no_run
    /// use i2p_sam::{DatagramPath, DatagramStyle, SamBridge};
    ///
    /// let builder = SamBridge::from_env()?.session().datagram_path(DatagramPath::ControlSocket);
    /// let session = builder.datagram(DatagramStyle::Datagram)?;
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn datagram_path(mut self, path: DatagramPath) -> Self {
        self.path = path;
        self
    }

    /// Makes a session for streams.
    ///
    /// The router builds tunnels first: seconds in a router that has been running, minutes in one
    /// that has just been started. On i2pd it takes no less than 3 s (2.45: 20 s).
    ///
    /// # A key that is used again
    ///
    /// A key belongs to one session at a time. A second session of this program with the same key at
    /// the same bridge is refused with `DUPLICATED_DEST`, whatever the bridge would answer. A second
    /// *program* is refused by Java I2P and emissary; at i2pd it takes the key away from the first.
    ///
    /// i2pd (2.45 to 2.61) confuses a session with the last one of its key if that ended less than 5 s
    /// ago: the new one serves nobody, and i2pd 2.59 aborts when it is dialled. So at i2pd this call
    /// waits until a session of this program with the same key has been gone for 6 s, unless the router
    /// was restarted meanwhile. It recognizes the mistake if another program had the key, such as the
    /// last run of this one, ends such a session before anybody can dial it, and creates another 6 s
    /// later. Java I2P refuses a key for a second or so after its session was closed, and is asked
    /// again. All of this takes place within the deadline of the call, and a [`Cancel`](crate::Cancel)
    /// ends it.
    ///
    /// What no library can mend: on i2pd 2.59 a *client* session that has dialled the last session with
    /// a key reaches the new one only after some ten minutes, though its dials succeed. A new client
    /// session does at once ([`HealingSession::renew`](crate::HealingSession::renew)). On i2pd 2.45 a key
    /// that has been used does not serve again before the router is restarted.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `DUPLICATED_DEST` or `DUPLICATED_ID` if the key is in use
    /// ([`is_retryable`](Error::is_retryable) returns true), `INVALID_KEY`, or `I2P_ERROR`;
    /// [`Error::UnexpectedEof`] from a router that does not answer what it does not like;
    /// [`Error::Command`] when an option cannot be said; [`Error::Timeout`] and
    /// [`Error::Unreachable`] as for any call.
    pub fn stream(self) -> Result<StreamSession, Error> {
        self.first_to_answer(|at| {
            let guard = at.create("STREAM", &[], None)?;
            Ok(StreamSession::new(guard, at.bridge.cancel().clone()))
        })
    }

    /// Makes a session for datagrams that say who sent them.
    ///
    /// # Errors
    ///
    /// Those of [`stream`](SessionBuilder::stream); [`Error::Io`] when the UDP port cannot be bound;
    /// [`Error::Command`] for a [host](SessionBuilder::datagram_host) that cannot be said;
    /// [`Error::Setting`] for port 0, and for another style than `DATAGRAM` on
    /// [`DatagramPath::ControlSocket`]. Java I2P up to 2.8.0 refuses [`DatagramStyle::Datagram2`] and
    /// [`DatagramStyle::Datagram3`], emissary hangs up on the latter, i2pd 2.45 on both.
    ///
    /// ```no_run
    /// use i2p_sam::{DatagramStyle, SamBridge};
    ///
    /// let session = SamBridge::from_env()?.session().datagram(DatagramStyle::Datagram)?;
    /// println!("send to {}", session.destination());
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn datagram(self, style: DatagramStyle) -> Result<DatagramSession, Error> {
        self.first_to_answer(|at| {
            let datagrams = at.datagrams(style.word(), &[], style.reader())?;
            Ok(DatagramSession::new(datagrams, style))
        })
    }

    /// Makes a session for datagrams without a sender.
    ///
    /// # Errors
    ///
    /// Those of [`stream`](SessionBuilder::stream); [`Error::Io`] when the UDP port cannot be bound.
    pub fn raw(self) -> Result<RawSession, Error> {
        self.raw_with(&RawOptions::new())
    }

    /// [`raw`](SessionBuilder::raw), with a protocol of its own.
    ///
    /// # Errors
    ///
    /// Those of [`raw`](SessionBuilder::raw); [`Error::Setting`] for a protocol that is taken.
    pub fn raw_with(self, options: &RawOptions) -> Result<RawSession, Error> {
        let pairs = options.pairs()?;
        self.first_to_answer(|at| {
            let datagrams = at.datagrams("RAW", &pairs, options.reader())?;
            Ok(RawSession::new(datagrams, options))
        })
    }

    /// Makes it at the bridge; of several, at the first that answers. It stays there.
    fn first_to_answer<T>(&self, make: impl Fn(&Self) -> Result<T, Error>) -> Result<T, Error> {
        self.bridge
            .first_to_answer(|bridge| make(&self.clone().at(bridge)))
    }

    pub(crate) fn bridge(&self) -> &SamBridge {
        &self.bridge
    }

    /// The key that was given, or a new one of the type that was asked for.
    pub(crate) fn own_key(&self) -> Result<PrivateKey, Error> {
        match &self.identity {
            Identity::Transient(signature_type) => self.bridge.generate(*signature_type),
            Identity::Key(key) => Ok(key.clone()),
        }
    }

    /// The same session, at this bridge.
    pub(crate) fn at(mut self, bridge: SamBridge) -> Self {
        self.bridge = bridge;
        self
    }

    /// Makes a session beneath which others are added and removed while it runs, for streams and
    /// datagrams of one destination.
    ///
    /// The bridge is asked for `STYLE=PRIMARY`, and where it does not know that (i2pd, Java I2P before
    /// 0.9.47) for `STYLE=MASTER`, over another socket.
    ///
    /// # Errors
    ///
    /// Those of [`stream`](SessionBuilder::stream); [`Error::Setting`] for
    /// [`DatagramPath::ControlSocket`], which no router has for subsessions.
    ///
    /// ```no_run
    /// let primary = i2p_sam::SamBridge::from_env()?.session().primary()?;
    /// let streams = primary.stream()?;
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn primary(self) -> Result<PrimarySession, Error> {
        if self.path != DatagramPath::Udp {
            return Err(Error::setting(
                "datagram_path",
                format_args!("{:?}", self.path),
                "the datagrams of subsessions come and go by UDP",
            ));
        }
        self.first_to_answer(Self::primary_here)
    }

    fn primary_here(&self) -> Result<PrimarySession, Error> {
        let alone = Self {
            // The removal of its last subsession may just be said.
            linger: BREATH,
            ..self.clone()
        };
        let mut only_streams = false;
        let guard = match alone.create("PRIMARY", &[], None) {
            // i2pd closes the socket with its refusal.
            Err(Error::Refused(refusal)) if refusal.means_unknown_style() => {
                only_streams = refusal.is_of_i2pd();
                alone.create("MASTER", &[], None)?
            }
            outcome => outcome?,
        };
        let settings = SubsessionSettings {
            only_streams,
            armed_accepts: self.armed_on(guard.core().version),
            backlog: self.backlog,
            linger: self.linger,
            udp: self.udp.clone(),
        };
        let cancel = self.bridge.cancel().clone();
        Ok(PrimarySession::new(guard, cancel, settings))
    }

    /// A session whose datagrams come and go by the path that was chosen.
    fn datagrams<R: Reader>(
        &self,
        style: &'static str,
        pairs: &[Pair],
        reader: R,
    ) -> Result<Datagrams<R::Origin>, Error> {
        let cancel = self.bridge.cancel().clone();
        if self.path == DatagramPath::Udp {
            let port = UdpPort::open(&self.bridge, &self.udp)?;
            let guard = self.create(style, &[&port.pairs(), pairs].concat(), None)?;
            return Datagrams::start(guard, cancel, port, reader);
        }
        if !matches!(style, "DATAGRAM" | "RAW") {
            return Err(Error::setting(
                "style",
                style,
                "only DATAGRAM and RAW can be sent on the control socket",
            ));
        }
        let mailbox = Arc::new(Mailbox::new());
        let inbox = Inbox::new(reader, &mailbox);
        let guard = self.create(style, pairs, Some(inbox))?;
        Ok(Datagrams::on_control_socket(guard, cancel, mailbox, style))
    }

    pub(super) fn check_limits(&self) -> Result<(), Error> {
        if !(1..=MOST_ARMED_ACCEPTS).contains(&self.armed_accepts) {
            let reason = "1 to 64 accepts can be armed";
            return Err(Error::setting("armed_accepts", self.armed_accepts, reason));
        }
        if !(1..=MOST_BACKLOG).contains(&self.backlog.size) {
            let reason = "1 to 4096 streams can wait for an accept";
            return Err(Error::setting("backlog", self.backlog.size, reason));
        }
        Ok(())
    }

    pub(super) fn command(
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
            Identity::Key(key) => command.pair("DESTINATION", &key.expose_base64())?,
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

    /// i2pd 2.45, which mixes up the streams of dials that come at once when several accepts are
    /// armed, and 2.56 answer 3.1 though 3.3 is asked for.
    pub(super) fn armed_on(&self, version: Version) -> usize {
        match version < Version::V3_2 {
            true => 1,
            false => self.armed_accepts,
        }
    }

    /// Before 3.2 there are no quotes, and a value that needs them cannot be said.
    pub(super) fn check_quotes(&self, version: Version) -> Result<(), Error> {
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

    /// The key that the bridge says the session has. Ours must come back as it was.
    pub(super) fn made_key(&self, text: &str) -> Result<PrivateKey, Error> {
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

/// Shows whose session it will be, and the names of its options.
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
