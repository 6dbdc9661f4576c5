use std::io::{self, Read};
use std::sync::Arc;

use crate::datagram::format::Format;
use crate::datagram::recv_queue::RecvQueue;
use crate::error::SessionLoss;
use crate::session::{Frame, Frames};
use crate::wire::{Line, Message, number};

/// Largest datagram that is read from a control socket. SAM allows no more than 32768 bytes.
const MAX_SIZE: usize = 65_535;

/// Puts the datagrams that arrive on a control socket into the receive queue.
pub(crate) struct ControlFrames {
    format: Format,
    queue: Arc<RecvQueue>,
    payload: Vec<u8>,
}

impl ControlFrames {
    pub(crate) fn new(format: Format, queue: &Arc<RecvQueue>) -> Self {
        Self {
            format,
            queue: Arc::clone(queue),
            payload: Vec::new(),
        }
    }
}

impl Frames for ControlFrames {
    /// Reads all bytes of the payload even if the datagram is dropped, because the next line begins
    /// after them.
    fn take(&mut self, line: &[u8], end: Line, socket: &mut dyn Read) -> Frame {
        if !(line.starts_with(b"DATAGRAM RECEIVED") || line.starts_with(b"RAW RECEIVED")) {
            return Frame::Other;
        }
        if end != Line::Complete {
            return Frame::Lost(SessionLoss::Disconnected);
        }
        // Without a size, the beginning of the next line is unknown.
        let Some((message, size)) = announced(line) else {
            return Frame::Lost(SessionLoss::ProtocolViolation);
        };
        self.payload.resize(size, 0);
        if let Err(error) = socket.read_exact(&mut self.payload) {
            return Frame::Lost(loss(&error));
        }
        match self.format.read_message(&message) {
            Some(origin) => self.queue.push(origin, &self.payload),
            None => self.queue.count_malformed(),
        }
        Frame::Datagram
    }
}

fn announced(line: &[u8]) -> Option<(Message<'_>, usize)> {
    let message = Message::parse(line).ok()?;
    let size = number(message.value("SIZE")?.raw()).ok()?;
    (size <= MAX_SIZE).then_some((message, size))
}

fn loss(error: &io::Error) -> SessionLoss {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => SessionLoss::Disconnected,
        kind => SessionLoss::Io(kind),
    }
}
