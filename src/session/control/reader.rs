use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use crate::bridge::{KeyUse, note_loss};
use crate::error::{Phase, Refusal, SessionLoss};
use crate::session::control::frames::{Frame, Frames};
use crate::session::control::socket::{Beat, ControlSocket};
use crate::sync::{AwakeReader, ReadTimeout, spawn};
use crate::wire::{Command, Line, LineSource, Message, ResultCode, read_line};

impl ControlSocket {
    /// Starts the threads for the socket of a session that was just created.
    pub(crate) fn start(
        socket: Arc<TcpStream>,
        heartbeat: Option<Duration>,
        frames: Option<Box<dyn Frames>>,
        key_use: Option<KeyUse>,
    ) -> io::Result<Arc<Self>> {
        Self::of_session(socket, heartbeat, key_use).run(frames)
    }

    /// Starts the threads for a FORWARD socket. Its heartbeat runs only this check.
    pub(crate) fn start_forwarding(
        socket: Arc<TcpStream>,
        heartbeat: Option<Duration>,
        beat: Beat,
    ) -> io::Result<Arc<Self>> {
        Self::of_forwarding(socket, heartbeat, beat).run(None)
    }

    fn run(self, frames: Option<Box<dyn Frames>>) -> io::Result<Arc<Self>> {
        let control = Arc::new(self);
        let reader = Arc::clone(&control);
        spawn("i2p-sam-reader", move || reader.run_reader(frames))?;
        // A session without its heartbeat must not stay, at the bridge either.
        control
            .start_heartbeat()
            .inspect_err(|_| control.quit(Duration::ZERO))?;
        Ok(control)
    }

    /// The work of the thread that reads. It ends when the bridge closes the socket, or
    /// [`hang_up`](ControlSocket::hang_up) shuts it down.
    fn run_reader(self: &Arc<Self>, frames: Option<Box<dyn Frames>>) {
        let loss = self.read_lines(frames);
        let key_use = self.take_key_use();
        // Before a program notices the loss, and starts the router again.
        if key_use.is_some() && !self.lifetime().has_ended() {
            note_loss(self.socket());
        }
        drop(key_use);
        self.fail(loss);
        self.note_reader_gone();
    }

    /// Reads until the session ends, and returns the reason.
    fn read_lines(self: &Arc<Self>, mut frames: Option<Box<dyn Frames>>) -> SessionLoss {
        let timeout = ReadTimeout::of(self.socket());
        let mut socket = AwakeReader::new(self.socket(), &timeout);
        let mut line = Vec::new();
        loop {
            let end = match read_line(&mut socket, &mut line) {
                Ok(Line::End) => return SessionLoss::Disconnected,
                Ok(end) => end,
                Err(error) => return loss(&error),
            };
            self.note_life();
            let frame = frames
                .as_mut()
                .map(|frames| frames.take(&line, end, &mut socket));
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
            return self.send(pong).err();
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
        match self.handle_status(code, &message) || *refusal.code() == ResultCode::Ok {
            true => None,
            false => Some(SessionLoss::Refused(refusal)),
        }
    }
}

impl LineSource for AwakeReader<'_> {
    fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        AwakeReader::peek(self, buf)
    }

    fn take(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.read(buf)
    }
}

/// Returns the loss that an error of a read means.
fn loss(error: &io::Error) -> SessionLoss {
    match error.kind() {
        io::ErrorKind::InvalidData => SessionLoss::ProtocolViolation,
        io::ErrorKind::ConnectionReset => SessionLoss::Disconnected,
        kind => SessionLoss::Io(kind),
    }
}
