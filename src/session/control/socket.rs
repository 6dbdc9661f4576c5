use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::bridge::{KeyUse, note_loss};
use crate::error::{Error, Phase, Refusal, SessionLoss};
use crate::session::control::frames::{Frame, Frames};
use crate::session::control::outbound::ControlWriter;
use crate::session::control::requests::PendingRequests;
use crate::session::core::SessionGuard;
use crate::session::subsession::{PortReservation, Subsession};
use crate::sync::{Deadline, Lifetime, Monitor, lock, spawn};
use crate::wire::{Command, Line, Message, ResultCode, read_line};

/// The longest wait for a bridge to close the socket after QUIT. Java I2P and emissary do so at once.
const QUIT_TIMEOUT: Duration = Duration::from_secs(2);

/// A session's control socket. The session lives exactly as long as this socket.
///
/// A FORWARD socket is one as well: it must stay open and be read, its PING must be answered, and
/// everything that depends on it ends with it.
///
/// One thread is its only reader. It answers PING, passes replies to the requests that wait for them,
/// and ends the lifetime of the session. All commands go through [`ControlWriter`], so that the reader
/// never waits for a bridge that does not read.
///
/// A subsession has one as well, without a reader: the socket and its commands belong to the primary
/// session, and the removal of the subsession ends it ([`Subsession`]).
pub(crate) struct ControlSocket {
    socket: Arc<TcpStream>,
    lifetime: Arc<Lifetime>,
    reader_gone: Arc<Monitor<bool>>,
    writer: ControlWriter,
    requests: PendingRequests,
    subsession: Option<Subsession>,
    of_forwarding: bool,
    /// Ends with the control socket. A FORWARD socket and a subsession have none.
    key_use: Mutex<Option<KeyUse>>,
    /// The checks that a heartbeat runs besides the lookup that every bridge answers.
    beats: Mutex<Vec<Beat>>,
}

/// Proves that its owner is alive, or fails with the reason why not. Returns `None` if its owner is
/// gone.
pub(crate) type Beat = Arc<dyn Fn() -> Option<Result<(), Error>> + Send + Sync>;

impl ControlSocket {
    /// Starts the threads for the socket of a session that was just created.
    pub(crate) fn start(
        socket: Arc<TcpStream>,
        heartbeat: Option<Duration>,
        frames: Option<Box<dyn Frames>>,
        key_use: Option<KeyUse>,
    ) -> io::Result<Arc<Self>> {
        let control = Self::new(socket, heartbeat, None);
        *lock(&control.key_use) = key_use;
        Arc::new(control).run(frames)
    }

    fn run(self: Arc<Self>, frames: Option<Box<dyn Frames>>) -> io::Result<Arc<Self>> {
        let reader = Arc::clone(&self);
        spawn("i2p-sam-reader", move || reader.run_reader(frames))?;
        if self.writer.heartbeat().is_some() {
            // A session without its heartbeat must not stay, at the bridge either.
            self.writer
                .start_heartbeat(&self)
                .inspect_err(|_| self.close(Duration::ZERO))?;
        }
        Ok(self)
    }

    /// Starts the reader of a FORWARD socket. Its heartbeat runs only this check.
    pub(crate) fn start_forwarding(
        socket: Arc<TcpStream>,
        heartbeat: Option<Duration>,
        beat: Beat,
    ) -> io::Result<Arc<Self>> {
        let mut control = Self::new(socket, heartbeat, None);
        control.of_forwarding = true;
        control.add_to_heartbeat(beat);
        Arc::new(control).run(None)
    }

    /// Creates the control socket of a subsession that was just added.
    pub(crate) fn of_subsession(
        primary: &SessionGuard,
        id: &str,
        ports: PortReservation,
    ) -> Result<Arc<Self>, Error> {
        let socket = Arc::clone(&primary.core().control.socket);
        let subsession = Subsession::new(primary, id);
        let control = Arc::new(Self::new(socket, None, Some(subsession)));
        if let Some(subsession) = &control.subsession {
            subsession.attach(&control, primary.clone(), ports)?;
        }
        Ok(control)
    }

    fn new(
        socket: Arc<TcpStream>,
        heartbeat: Option<Duration>,
        subsession: Option<Subsession>,
    ) -> Self {
        Self {
            socket,
            lifetime: Lifetime::new(subsession.as_ref().map(Subsession::primary_lifetime)),
            reader_gone: Monitor::new(false),
            writer: ControlWriter::new(heartbeat),
            requests: PendingRequests::default(),
            subsession,
            of_forwarding: false,
            key_use: Mutex::default(),
            beats: Mutex::default(),
        }
    }

    /// Adds a check to each heartbeat.
    pub(crate) fn add_to_heartbeat(&self, beat: Beat) {
        lock(&self.beats).push(beat);
    }

    /// Runs the checks of a heartbeat, and removes those whose owner is gone.
    pub(crate) fn run_beats(&self) -> Result<(), Error> {
        // Without the lock: a check may take as long as the bridge takes to reply.
        let beats = lock(&self.beats).clone();
        for beat in beats {
            match beat() {
                Some(outcome) => outcome?,
                None => lock(&self.beats).retain(|other| !Arc::ptr_eq(other, &beat)),
            }
        }
        Ok(())
    }

    /// Returns true if this is a FORWARD socket, on which a bridge answers no command.
    pub(crate) fn is_of_forwarding(&self) -> bool {
        self.of_forwarding
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    pub(crate) fn writer(&self) -> &ControlWriter {
        &self.writer
    }

    pub(crate) fn requests(&self) -> &PendingRequests {
        &self.requests
    }

    /// Returns the lifetime of the session. That of a subsession ends with its primary session's.
    pub(crate) fn lifetime(&self) -> &Arc<Lifetime> {
        &self.lifetime
    }

    /// Returns the reason why the session is gone, if it is.
    pub(crate) fn loss(&self) -> Option<SessionLoss> {
        self.lifetime.loss()
    }

    /// Returns the owner of the socket: for a subsession, the control socket of its primary session.
    pub(crate) fn owner(self: &Arc<Self>) -> &Arc<Self> {
        match &self.subsession {
            Some(subsession) => subsession.primary(),
            None => self,
        }
    }

    /// Records that the session is gone, and ends everything that depends on it. Only the first reason
    /// is kept. Returns true if this was the first.
    pub(crate) fn fail(&self, loss: SessionLoss) -> bool {
        let by_us = loss == SessionLoss::Closed;
        let first = self.lifetime.parent_loss().is_none();
        if self.lifetime.is_noted() {
            return false;
        }
        // First, because a thread that is woken may create a session with the key.
        if let Some(key_use) = &*lock(&self.key_use) {
            key_use.end();
        }
        if !self.lifetime.end(loss) {
            return false;
        }
        self.writer.stop(by_us && first);
        if !(by_us && first) {
            self.hang_up();
        }
        first
    }

    /// Closes the streams of the session at once, and the session itself when `parting` has passed.
    /// Only a subsession waits for that.
    ///
    /// i2pd does not end a stream at the far side if its session ends right after it.
    pub(crate) fn close(self: &Arc<Self>, parting: Duration) {
        if !self.fail(SessionLoss::Closed) {
            return;
        }
        if let Some(subsession) = &self.subsession {
            return subsession.remove(parting);
        }
        // QUIT makes Java I2P and emissary release the id and the key at once.
        if self
            .writer
            .send_last(self, Command::quit(), parting)
            .is_err()
        {
            self.hang_up();
        }
    }

    /// Closes the session after this time, in which the last bytes of its streams can arrive.
    pub(crate) fn close_after(self: &Arc<Self>, time: Duration) {
        if self.lifetime.has_ended() {
            return;
        }
        if time.is_zero() || self.writer.close_after(self, time).is_err() {
            self.close(Duration::ZERO);
        }
    }

    /// Waits until the bridge has closed the socket too, for at most 2 s after `parting`.
    pub(crate) fn wait_hung_up(&self, parting: Duration) {
        if let Some(subsession) = &self.subsession {
            return subsession.await_removal();
        }
        let deadline = Deadline::after(Some(QUIT_TIMEOUT + parting));
        self.reader_gone
            .wait_until(deadline, |gone| gone.then_some(()));
    }

    pub(crate) fn hang_up(&self) {
        if let Some(subsession) = &self.subsession {
            return subsession.detach();
        }
        // It fails only if the connection is gone.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// The work of the thread that reads. It ends when the bridge closes the socket, or
    /// [`hang_up`](ControlSocket::hang_up) shuts it down.
    fn run_reader(self: &Arc<Self>, frames: Option<Box<dyn Frames>>) {
        let loss = self.read_lines(frames);
        let key_use = lock(&self.key_use).take();
        // Before a program notices the loss, and starts the router again.
        if key_use.is_some() && !self.lifetime.has_ended() {
            note_loss(&self.socket);
        }
        drop(key_use);
        self.fail(loss);
        self.reader_gone.update(|gone| *gone = true);
    }

    /// Reads until the session ends, and returns the reason.
    fn read_lines(self: &Arc<Self>, mut frames: Option<Box<dyn Frames>>) -> SessionLoss {
        let mut line = Vec::new();
        loop {
            let end = match read_line(&mut &*self.socket, &mut line) {
                Ok(Line::End) => return SessionLoss::Disconnected,
                Ok(end) => end,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return SessionLoss::ProtocolViolation;
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return SessionLoss::Disconnected;
                }
                Err(error) => return SessionLoss::Io(error.kind()),
            };
            self.writer.note_life();
            let frame = frames
                .as_mut()
                .map(|frames| frames.take(&line, end, &self.socket));
            match frame {
                Some(Frame::Datagram) => continue,
                Some(Frame::Lost(loss)) => return loss,
                Some(Frame::Other) | None => {}
            }
            if let Some(loss) = self.handle_line(&line, end) {
                return loss;
            }
            if end == Line::Unterminated {
                return SessionLoss::Disconnected;
            }
        }
    }

    /// Handles a line of the bridge: PING, a reply, or the end of the session. It ignores any other
    /// line: a bridge may be newer than this library.
    fn handle_line(self: &Arc<Self>, line: &[u8], end: Line) -> Option<SessionLoss> {
        let message = Message::parse(line).ok()?;
        if message.topic() == "PING" {
            // No router sends a PING with a text that cannot be sent back.
            let pong = Command::pong(message.text()?).ok()?;
            return self.writer.send(self, &pong).err();
        }
        let is_lookup = message.is("NAMING", "REPLY");
        if !is_lookup && !message.is("SESSION", "STATUS") {
            return None;
        }
        let code = message.result()?;
        // An unknown result may be the beginning of one that was cut: `RESULT=O`.
        if matches!(code, ResultCode::Ok | ResultCode::Other(_)) && end != Line::Complete {
            return None;
        }
        if is_lookup {
            self.handle_lookup_reply(code, &message);
            return None;
        }
        let refusal = Refusal::new(Phase::WaitClosed, code.clone(), &message);
        // The bridge may send it instead of a reply.
        if refusal.speaks_of_the_end() {
            return Some(SessionLoss::Refused(refusal));
        }
        match self.handle_reply(code, &message) || *refusal.code() == ResultCode::Ok {
            true => None,
            false => Some(SessionLoss::Refused(refusal)),
        }
    }
}
