use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::Arc;

use crate::error::SessionLoss;
use crate::session::datagrams::Reader;
use crate::session::recv_queue::RecvQueue;
use crate::wire::{Line, Message, ParseError, port_from_wire};

/// Largest datagram that is taken from a control socket; none is larger than 32768 bytes.
const MAX_SIZE: usize = 65_535;

/// Where the reader of a control socket puts the datagrams that come on it.
pub(crate) struct Inbox {
    store: Box<dyn Store>,
    payload: Vec<u8>,
}

/// What came of a line.
pub(crate) enum Taken {
    /// It was that of a datagram, which has been taken with it.
    Datagram,
    Other,
    Lost(SessionLoss),
}

impl Inbox {
    pub(crate) fn new<R: Reader>(reader: R, mailbox: &Arc<RecvQueue<R::Origin>>) -> Self {
        let mailbox = Arc::clone(mailbox);
        Self {
            store: Box::new(Shelf { reader, mailbox }),
            payload: Vec::new(),
        }
    }

    /// Takes a datagram out of the socket, if the line announces one. Whatever becomes of it, all its
    /// bytes are taken, or the next line would begin in the middle of it.
    pub(crate) fn take(&mut self, line: &[u8], end: Line, mut socket: &TcpStream) -> Taken {
        if !(line.starts_with(b"DATAGRAM RECEIVED") || line.starts_with(b"RAW RECEIVED")) {
            return Taken::Other;
        }
        if end != Line::Complete {
            return Taken::Lost(SessionLoss::BridgeGone);
        }
        let Some((message, size)) = announced(line) else {
            return Taken::Lost(SessionLoss::Garbled);
        };
        self.payload.resize(size, 0);
        match socket.read_exact(&mut self.payload) {
            Ok(()) => {}
            Err(error) => return Taken::Lost(loss(&error)),
        }
        self.store.put(&message, &self.payload);
        Taken::Datagram
    }
}

trait Store: Send {
    fn put(&mut self, message: &Message<'_>, payload: &[u8]);
}

struct Shelf<R: Reader> {
    reader: R,
    mailbox: Arc<RecvQueue<R::Origin>>,
}

impl<R: Reader> Store for Shelf<R> {
    fn put(&mut self, message: &Message<'_>, payload: &[u8]) {
        match self.reader.received(message) {
            Some(origin) => self.mailbox.put(origin, payload),
            None => self.mailbox.count_malformed(),
        }
    }
}

/// The port that a bridge sends, if it sends one.
pub(crate) fn port(message: &Message<'_>, key: &str) -> Result<Option<u16>, ParseError> {
    match message.value(key) {
        None => Ok(None),
        Some(value) => port_from_wire(value.raw()),
    }
}

/// A line without a size that can be says nothing of where the next line begins.
fn announced(line: &[u8]) -> Option<(Message<'_>, usize)> {
    let message = Message::parse(line).ok()?;
    let size = message.value("SIZE")?.raw().parse().ok()?;
    (size <= MAX_SIZE).then_some((message, size))
}

fn loss(error: &io::Error) -> SessionLoss {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => SessionLoss::BridgeGone,
        kind => SessionLoss::Io(kind),
    }
}
