use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::config::Config;
use super::dial::dial;
use super::key_use::{is_i2pd, note_is_i2pd};
use super::timed_socket::{TimedSocket, socket_error};
use crate::address::Wiped;
use crate::error::{Error, Phase, Refusal};
use crate::logging::event;
use crate::sync::{Call, Deadline, Lifetime, Registered, Registration};
use crate::wire::{
    Command, Line, Message, ParseError, ParseErrorKind, Reply, ResultCode, StreamHeader, Version,
};

/// A name that is in no address book.
const UNKNOWN_NAME: &str = "nobody.invalid.i2p";

/// The time for the reply to a lookup that needs no network.
const UNKNOWN_NAME_TIMEOUT: Duration = Duration::from_secs(5);

/// A socket to a bridge on which a version was agreed. Every exchange on it has one deadline, and ends
/// if the caller is cancelled or the session is lost.
pub(crate) struct Connection {
    socket: TimedSocket,
    version: Version,
    /// Ends every exchange on it. Each has a phase and a deadline of its own.
    call: Call,
    registered: Registered,
    /// A reply may contain a private key.
    line: Wiped<Vec<u8>>,
}

impl Connection {
    /// Connects to the bridge and agrees on a version, within the deadline of the call. The handles and
    /// the lifetime of the call also end later exchanges.
    pub(crate) fn open(config: &Config, call: &Call) -> Result<Self, Error> {
        let connect = call
            .in_phase(Phase::Connect)
            .within(config.timeouts.connect);
        let socket = Arc::new(dial(&config.address, &connect)?);
        // A command is one small write that waits for a reply.
        let outcome = socket.set_nodelay(true);
        outcome.map_err(|source| connect.io_error(source))?;
        let registered = connect.watch_socket(&socket)?;
        let mut connection = Self {
            socket: TimedSocket::new(socket),
            version: config.versions.1,
            call: call.without_deadline(),
            registered,
            line: Wiped::default(),
        };
        connection.hello(config, call.deadline())?;
        Ok(connection)
    }

    /// Creates a connection from a socket on which a router connected to us; the line with the peer
    /// comes next.
    pub(crate) fn of_caller(
        socket: Arc<TcpStream>,
        version: Version,
        call: Call,
    ) -> Result<Self, Error> {
        let outcome = socket.set_nodelay(true);
        outcome.map_err(|source| call.io_error(source))?;
        let registered = call.watch_socket(&socket)?;
        Ok(Self {
            socket: TimedSocket::new(socket),
            version,
            call,
            registered,
            line: Wiped::default(),
        })
    }

    fn hello(&mut self, config: &Config, overall: Deadline) -> Result<(), Error> {
        let deadline = Deadline::after(config.timeouts.hello).sooner(overall);
        let hello = config.hello()?;
        let reply = self.request(&hello, Phase::Hello, deadline)?;
        let offered = reply.require("VERSION").and_then(|text| text.parse());
        let offered: Version = offered.map_err(|error| Error::protocol(Phase::Hello, error))?;
        let (min, max) = config.versions;
        // emissary replies 3.2 to every range, and uses the version of its reply.
        if !(min..=max).contains(&offered) {
            event!(
                Debug,
                "the bridge uses SAM {offered}, which was not offered"
            );
        }
        if config.strict_versions && !(min..=max).contains(&offered) {
            return Err(Error::Version { offered });
        }
        self.version = offered;
        Ok(())
    }

    /// Returns the address of the bridge that the socket is connected to.
    pub(crate) fn bridge_addr(&self, phase: Phase) -> Result<SocketAddr, Error> {
        self.socket.socket().peer_addr().map_err(|source| {
            let call = self.call.in_phase(phase);
            call.map_error(socket_error(source, phase))
        })
    }

    /// Returns the version that the bridge agreed to.
    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// Sends a command and waits for its reply.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the result of the reply is not `OK`, even if its topic is another: Java I2P
    /// replies to some malformed STREAM commands with SESSION STATUS.
    pub(crate) fn request(
        &mut self,
        command: &Command,
        phase: Phase,
        deadline: Deadline,
    ) -> Result<Message<'_>, Error> {
        let end = self.exchange(command, phase, deadline)?;
        let message = Message::parse(&self.line).map_err(|error| Error::protocol(phase, error))?;
        check_reply(message, command, end, phase)
    }

    /// Sends a command and returns its reply, also if it is a refusal.
    ///
    /// # Errors
    ///
    /// [`Error::UnexpectedEof`] if there is none, or if it was cut.
    pub(crate) fn request_any(
        &mut self,
        command: &Command,
        phase: Phase,
        deadline: Deadline,
    ) -> Result<Reply, Error> {
        let end = self.exchange(command, phase, deadline)?;
        let reply =
            Reply::new(self.line.to_vec()).map_err(|error| Error::protocol(phase, error))?;
        // Java I2P omits the line end of a last refusal.
        let is_refusal = |result| !matches!(result, ResultCode::Ok | ResultCode::Other(_));
        match end == Line::Complete || reply.message().result().is_some_and(is_refusal) {
            true => Ok(reply),
            false => Err(Error::UnexpectedEof { phase }),
        }
    }

    /// Sends a command and reads the line of its reply. Replies to any PING that arrives first.
    fn exchange(
        &mut self,
        command: &Command,
        phase: Phase,
        deadline: Deadline,
    ) -> Result<Line, Error> {
        let call = self.call.in_phase(phase).until(deadline);
        self.send(command, &call)?;
        loop {
            let end = self.read_line(shortest_reply(command), &call)?;
            let Some(pong) = keep_alive(&self.line) else {
                return Ok(end);
            };
            if let Some(pong) = pong {
                self.send(&pong, &call)?;
            }
        }
    }

    /// Returns true if the bridge is i2pd's, or `None` if the connection can no longer be used.
    ///
    /// No version number decides this: only i2pd replies `INVALID_KEY` to the lookup of an unknown
    /// name. Each bridge gets this lookup once. Routers reply at once.
    pub(crate) fn is_i2pd(
        &mut self,
        phase: Phase,
        deadline: Deadline,
    ) -> Result<Option<bool>, Error> {
        let bridge = self.bridge_addr(phase)?;
        if let Some(known) = is_i2pd(bridge) {
            return Ok(Some(known));
        }
        let command = Command::naming_lookup(UNKNOWN_NAME)?;
        let deadline = Deadline::after(Some(UNKNOWN_NAME_TIMEOUT)).sooner(deadline);
        let (is_i2pd, is_answered) = match self.request(&command, phase, deadline) {
            Ok(_) => (false, true),
            Err(Error::Refused(refusal)) => (*refusal.code() == ResultCode::InvalidKey, true),
            Err(error @ (Error::Cancelled { .. } | Error::SessionLost(_))) => return Err(error),
            Err(_) => (false, false),
        };
        note_is_i2pd(bridge, is_i2pd);
        let named = if is_i2pd { "i2pd" } else { "another router" };
        event!(Debug, "the bridge at {bridge} replies as {named} does");
        Ok(is_answered.then_some(is_i2pd))
    }

    /// Waits for the line before an accepted stream.
    pub(crate) fn read_header(&mut self, deadline: Deadline) -> Result<StreamHeader<'_>, Error> {
        let phase = Phase::Accept;
        let call = self.call.in_phase(phase).until(deadline);
        let end = self.read_line(0, &call)?;
        let header =
            StreamHeader::parse(&self.line).map_err(|error| Error::protocol(phase, error))?;
        match (&header, end) {
            // `TO_PORT=22` could be half of `TO_PORT=2222`.
            (StreamHeader::Peer { .. }, Line::Unterminated) => Err(Error::UnexpectedEof { phase }),
            _ => Ok(header),
        }
    }

    /// Detaches the connection from its caller: only the end of the session ends it now.
    pub(crate) fn leave_caller(
        mut self,
        session: &Arc<Lifetime>,
        phase: Phase,
    ) -> Result<Self, Error> {
        self.registered = Registered::with_lifetime(self.registered.release(phase)?);
        self.call = Call::new(phase).or_lifetime(session);
        Ok(self)
    }

    /// Returns the socket, without time-outs and detached from the caller's cancel handle, and its
    /// registration with the session's lifetime, if it has one.
    pub(crate) fn hand_over(
        self,
        phase: Phase,
    ) -> Result<(Arc<TcpStream>, Option<Registration>), Error> {
        let call = self.call.in_phase(phase);
        let socket = self.socket.into_socket(phase);
        let socket = socket.map_err(|error| call.map_error(error))?;
        Ok((socket, self.registered.release(phase)?))
    }

    fn send(&mut self, command: &Command, call: &Call) -> Result<(), Error> {
        let outcome = self.socket.send(command.as_bytes(), call);
        outcome.map_err(|error| call.map_error(error))
    }

    fn read_line(&mut self, shortest: usize, call: &Call) -> Result<Line, Error> {
        let outcome = self.socket.read_line(&mut self.line, shortest, call);
        outcome.map_err(|error| call.map_error(error))
    }
}

/// Returns the length of the shortest reply with which a bridge agrees to a command.
///
/// Any other line that is shorter ends the use of the connection, or is a PING; and the bytes that were taken
/// with a PING are the beginning of the reply.
fn shortest_reply(command: &Command) -> usize {
    match command.as_str().split(' ').next() {
        Some("HELLO") => "HELLO REPLY RESULT=OK VERSION=3.3\n".len(),
        Some("STREAM") => "STREAM STATUS RESULT=OK\n".len(),
        _ => 0,
    }
}

/// Returns the PONG to a PING, or `None` in it if its text cannot be sent back. An unexpected PONG is
/// skipped the same way. Returns `None` for any other line, without parsing it.
fn keep_alive(line: &[u8]) -> Option<Option<Command>> {
    let mut words = line.trim_ascii_start().split(u8::is_ascii_whitespace);
    if !matches!(words.next()?, b"PING" | b"PONG") {
        return None;
    }
    let message = Message::parse(line).ok()?;
    let text = message.text()?;
    Some(match message.topic() {
        "PING" => Command::pong(text).ok(),
        _ => None,
    })
}

/// Returns the reply unless it is a refusal, or a line that was cut.
fn check_reply<'a>(
    message: Message<'a>,
    command: &Command,
    end: Line,
    phase: Phase,
) -> Result<Message<'a>, Error> {
    let topic = command.as_str().split(' ').next().unwrap_or_default();
    let unexpected = |kind| Error::protocol(phase, ParseError::new(kind, 0));
    match message.result() {
        // An unknown result may be the beginning of one that was cut: `RESULT=O`.
        Some(ResultCode::Ok | ResultCode::Other(_)) | None if end != Line::Complete => {
            Err(Error::UnexpectedEof { phase })
        }
        Some(ResultCode::Ok) if message.topic() == topic => Ok(message),
        // `DEST REPLY` has no result if it succeeds.
        None if topic == "DEST" && message.topic() == topic => Ok(message),
        Some(ResultCode::Ok) => Err(unexpected(ParseErrorKind::Unexpected)),
        None => Err(unexpected(ParseErrorKind::MissingPair)),
        Some(code) => Err(Refusal::concealing(phase, code, &message, command.secrets()).into()),
    }
}
