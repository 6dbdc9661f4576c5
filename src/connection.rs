use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use crate::bridge::{Config, is_i2pd, note_is_i2pd};
use crate::dial::{dial, is_timeout};
use crate::error::{Error, Phase, Refusal, ResultCode};
use crate::sync::{Call, Deadline, Lifetime, Registered, Registration};
use crate::version::Version;
use crate::wire::{
    Command, Line, LineSource, Message, ParseError, ParseErrorKind, StreamHeader, read_line,
};

/// A name that is in no address book.
const UNKNOWN_NAME: &str = "nobody.invalid.i2p";

/// Time for a bridge to answer a lookup for which it asks nobody.
const UNKNOWN_NAME_TIMEOUT: Duration = Duration::from_secs(5);

/// A socket to a bridge that has been greeted. Every exchange on it has one deadline and ends
/// when the caller is cancelled or the session is lost.
pub(crate) struct Connection {
    socket: Arc<TcpStream>,
    version: Version,
    /// What ends every exchange on it. Each has a phase and a deadline of its own.
    call: Call,
    registered: Registered,
    line: Vec<u8>,
}

impl Connection {
    /// Dials the bridge and agrees on a version. The deadline of the call is for both; what ends the
    /// call ends later exchanges too.
    pub(crate) fn open(config: &Config, call: &Call) -> Result<Self, Error> {
        let connect = call
            .in_phase(Phase::Connect)
            .within(config.timeouts.connect);
        let socket = Arc::new(dial(&config.address, &connect)?);
        // A command is one small write, and its reply is waited for.
        let outcome = socket.set_nodelay(true);
        outcome.map_err(|source| connect.io_error(source))?;
        let registered = connect.watch_socket(&socket)?;
        let mut connection = Self {
            socket,
            version: config.versions.1,
            call: call.without_deadline(),
            registered,
            line: Vec::new(),
        };
        connection.hello(config, call.deadline())?;
        Ok(connection)
    }

    /// A router that connected to us, and is to say who calls.
    pub(crate) fn of_caller(
        socket: Arc<TcpStream>,
        version: Version,
        call: Call,
    ) -> Result<Self, Error> {
        let outcome = socket.set_nodelay(true);
        outcome.map_err(|source| call.io_error(source))?;
        let registered = call.watch_socket(&socket)?;
        Ok(Self {
            socket,
            version,
            call,
            registered,
            line: Vec::new(),
        })
    }

    fn hello(&mut self, config: &Config, overall: Deadline) -> Result<(), Error> {
        let deadline = Deadline::after(config.timeouts.hello).sooner(overall);
        let hello = config.hello()?;
        let reply = self.request(&hello, Phase::Hello, deadline)?;
        let offered: Version = value(&reply, "VERSION", Phase::Hello)?
            .parse()
            .map_err(|error| Error::protocol(Phase::Hello, error))?;
        let (min, max) = config.versions;
        // emissary answers 3.2 whatever it is asked; what it says is what it speaks.
        if config.strict_versions && !(min..=max).contains(&offered) {
            return Err(Error::Version { offered });
        }
        self.version = offered;
        Ok(())
    }

    /// Returns the address of the bridge that the socket is connected to.
    pub(crate) fn bridge_addr(&self, phase: Phase) -> Result<SocketAddr, Error> {
        self.socket.peer_addr().map_err(|source| {
            let call = self.call.in_phase(phase);
            call.map_error(socket_error(source, phase))
        })
    }

    /// The version the bridge agreed to.
    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// Says a command and waits for its reply. A PING in front of it is answered.
    ///
    /// # Errors
    ///
    /// A reply whose result is not `OK` is [`Error::Refused`], also under another topic: Java I2P
    /// answers some malformed STREAM commands with SESSION STATUS.
    pub(crate) fn request(
        &mut self,
        command: &Command,
        phase: Phase,
        deadline: Deadline,
    ) -> Result<Message<'_>, Error> {
        let call = self.call.in_phase(phase).until(deadline);
        self.send(command, &call)?;
        let end = loop {
            let end = self.read_line(&call)?;
            match pong(&self.line) {
                Heard::Ping(Some(pong)) => self.send(&pong, &call)?,
                Heard::Ping(None) => {}
                Heard::Other => break end,
            }
        };
        let message = Message::parse(&self.line).map_err(|error| Error::protocol(phase, error))?;
        check_reply(message, command, end, phase)
    }

    /// Returns true if the bridge is i2pd's, or nothing if the connection is of no use any more.
    ///
    /// No version number decides it: only i2pd answers `INVALID_KEY` to the lookup of an unknown
    /// name. Each bridge is asked once. Routers answer at once.
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
        Ok(is_answered.then_some(is_i2pd))
    }

    /// Waits for the line in front of an accepted stream.
    pub(crate) fn read_header(&mut self, deadline: Deadline) -> Result<StreamHeader<'_>, Error> {
        let phase = Phase::Accept;
        let end = self.read_line(&self.call.in_phase(phase).until(deadline))?;
        let header =
            StreamHeader::parse(&self.line).map_err(|error| Error::protocol(phase, error))?;
        match (&header, end) {
            // `TO_PORT=22` could be the half of `TO_PORT=2222`.
            (StreamHeader::Peer { .. }, Line::Unterminated) => Err(Error::UnexpectedEof { phase }),
            _ => Ok(header),
        }
    }

    /// Takes the connection out of its caller's reach: from now on it ends with the session alone.
    pub(crate) fn leave_caller(
        mut self,
        session: &Arc<Lifetime>,
        phase: Phase,
    ) -> Result<Self, Error> {
        self.registered = Registered::with_lifetime(self.registered.release(phase)?);
        self.call = Call::new(phase).or_lifetime(session);
        Ok(self)
    }

    /// Gives the socket away: without time-outs, out of reach of the caller's cancel handle, and
    /// with its place among the things that end with the session, if it has one.
    pub(crate) fn hand_over(
        self,
        phase: Phase,
    ) -> Result<(Arc<TcpStream>, Option<Registration>), Error> {
        let cleared = self
            .socket
            .set_read_timeout(None)
            .and_then(|()| self.socket.set_write_timeout(None));
        let call = self.call.in_phase(phase);
        cleared.map_err(|source| call.map_error(call.io_error(source)))?;
        Ok((self.socket, self.registered.release(phase)?))
    }

    fn send(&self, command: &Command, call: &Call) -> Result<(), Error> {
        write_all(&self.socket, command.as_bytes(), call).map_err(|error| call.map_error(error))
    }

    fn read_line(&mut self, call: &Call) -> Result<Line, Error> {
        let socket = &self.socket;
        let mut source = TimedSource { socket, call };
        let outcome = match read_line(&mut source, &mut self.line) {
            Ok(Line::End) => Err(Error::UnexpectedEof {
                phase: call.phase(),
            }),
            Ok(end) => Ok(end),
            Err(error) => Err(read_error(error, call)),
        };
        outcome.map_err(|error| call.map_error(error))
    }
}

/// The value that a reply must have.
pub(crate) fn value<'a>(
    message: &Message<'a>,
    key: &str,
    phase: Phase,
) -> Result<std::borrow::Cow<'a, str>, Error> {
    let missing = || Error::protocol(phase, ParseError::new(ParseErrorKind::MissingPair, 0));
    Ok(message.value(key).ok_or_else(missing)?.unescape())
}

/// Writes all of it before the deadline. A part may have been written when it fails.
pub(crate) fn write_all(
    mut socket: &TcpStream,
    mut bytes: &[u8],
    call: &Call,
) -> Result<(), Error> {
    let phase = call.phase();
    while !bytes.is_empty() {
        let left = call.left()?;
        let written = socket
            .set_write_timeout(left)
            .and_then(|()| socket.write(bytes));
        match written {
            Ok(0) => return Err(Error::UnexpectedEof { phase }),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted || is_timeout(&error) => {}
            Err(error) => return Err(socket_error(error, phase)),
        }
    }
    Ok(())
}

/// What came instead of a reply.
enum Heard {
    /// A PING, and what answers it, or nothing where its text cannot be repeated. A PONG that
    /// nobody asked for is passed over the same way.
    Ping(Option<Command>),
    Other,
}

fn pong(line: &[u8]) -> Heard {
    match Message::parse(line) {
        Ok(message) => match (message.topic(), message.text()) {
            ("PING", Some(text)) => Heard::Ping(Command::pong(text).ok()),
            (_, Some(_)) => Heard::Ping(None),
            (_, None) => Heard::Other,
        },
        Err(_) => Heard::Other,
    }
}

/// Tells a reply from a refusal, and both from half a line.
fn check_reply<'a>(
    message: Message<'a>,
    command: &Command,
    end: Line,
    phase: Phase,
) -> Result<Message<'a>, Error> {
    let topic = command.as_str().split(' ').next().unwrap_or_default();
    let unexpected = |kind| Error::protocol(phase, ParseError::new(kind, 0));
    match message.result() {
        // A result nobody knows is the beginning of one that was cut: `RESULT=O`.
        Some(ResultCode::Ok | ResultCode::Other(_)) | None if end != Line::Complete => {
            Err(Error::UnexpectedEof { phase })
        }
        Some(ResultCode::Ok) if message.topic() == topic => Ok(message),
        // `DEST REPLY` has no result when all is well.
        None if topic == "DEST" && message.topic() == topic => Ok(message),
        Some(ResultCode::Ok) => Err(unexpected(ParseErrorKind::Unexpected)),
        None => Err(unexpected(ParseErrorKind::MissingPair)),
        Some(code) => Err(Refusal::concealing(phase, code, &message, command.secrets()).into()),
    }
}

/// A socket of which every read draws on one deadline.
struct TimedSource<'a> {
    socket: &'a TcpStream,
    call: &'a Call,
}

impl LineSource for TimedSource<'_> {
    fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = self.call.left()?;
            self.socket.set_read_timeout(left)?;
            match self.socket.peek(buf) {
                Err(error) if is_timeout(&error) => {}
                outcome => return outcome,
            }
        }
    }

    /// Follows a `peek` that found bytes, so it does not wait.
    fn take(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        LineSource::take(&mut self.socket, buf)
    }
}

fn read_error(error: io::Error, call: &Call) -> Error {
    let phase = call.phase();
    match error.kind() {
        io::ErrorKind::TimedOut => call.expired(),
        io::ErrorKind::InvalidData => {
            let offset = crate::wire::MAX_LINE;
            Error::protocol(phase, ParseError::new(ParseErrorKind::TooLong, offset))
        }
        _ => socket_error(error, phase),
    }
}

/// A bridge that closes while bytes are under way makes the system speak of a reset.
fn socket_error(source: io::Error, phase: Phase) -> Error {
    match source.kind() {
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::NotConnected
        | io::ErrorKind::BrokenPipe => Error::UnexpectedEof { phase },
        _ => Error::Io { phase, source },
    }
}
