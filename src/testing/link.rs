use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};

use crate::sync::{Deadline, Monitor, lock};
use crate::wire::{Line, LineSource, Version, read_line};

use super::random::Random;

/// One TCP connection of the bridge, seen from the bridge.
pub(super) struct Link {
    /// Counted from 0 in the order of their arrival.
    pub(super) number: usize,
    socket: TcpStream,
    /// True while the process of the router is stopped.
    paused: Arc<Monitor<bool>>,
    output: Mutex<Output>,
    version: OnceLock<Version>,
    /// The other side of the stream, when there is one.
    peer: OnceLock<Weak<Link>>,
    closed: AtomicBool,
    /// The end of this connection is not reported to the peer of its stream.
    leaves_silently: AtomicBool,
    /// Its socket is dropped, and not shut down before.
    abandoned: AtomicBool,
    /// The reply to its command was sent, so that the stream may begin.
    replied: Arc<Monitor<bool>>,
    /// Nothing is read from it any more.
    done: Arc<Monitor<bool>>,
}

/// The way in which bytes leave the bridge.
pub(super) struct Output {
    pub(super) pieces: Option<Pieces>,
    /// The number of bytes that leave before the connection is cut.
    pub(super) left: Option<u64>,
    random: Random,
}

/// Bytes that leave in pieces of a random size with pauses of a random length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pieces {
    pub(super) largest: usize,
    pub(super) longest_pause: Duration,
}

impl Link {
    pub(super) fn new(
        socket: TcpStream,
        number: usize,
        paused: &Arc<Monitor<bool>>,
        random: Random,
    ) -> Arc<Self> {
        // A test reads in pieces what a fault sends in pieces; it is only slower if this fails.
        let _ = socket.set_nodelay(true);
        Arc::new(Self {
            number,
            socket,
            paused: Arc::clone(paused),
            output: Mutex::new(Output {
                pieces: None,
                left: None,
                random,
            }),
            version: OnceLock::new(),
            peer: OnceLock::new(),
            closed: AtomicBool::new(false),
            leaves_silently: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            replied: Monitor::new(false),
            done: Monitor::new(false),
        })
    }

    pub(super) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    pub(super) fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr()
    }

    /// Returns the version that HELLO agreed on; 3.1 before.
    pub(super) fn version(&self) -> Version {
        self.version.get().copied().unwrap_or(Version::V3_1)
    }

    pub(super) fn set_version(&self, version: Version) {
        // The second HELLO of a connection is refused.
        let _ = self.version.set(version);
    }

    pub(super) fn set_output(&self, change: impl FnOnce(&mut Output)) {
        change(&mut lock(&self.output));
    }

    /// Sends a line with its line end. Returns false if the connection has ended.
    pub(super) fn send_line(&self, line: &str) -> bool {
        self.send(format!("{line}\n").as_bytes())
    }

    /// Sends bytes. Returns false if the connection has ended.
    pub(super) fn send(&self, bytes: &[u8]) -> bool {
        self.wait_while_paused();
        let mut output = lock(&self.output);
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(output.next_piece(rest.len()));
            rest = later;
            if (&self.socket).write_all(piece).is_err() {
                return false;
            }
            if output.left == Some(0) {
                self.close();
                return false;
            }
        }
        true
    }

    /// Reads bytes of a stream. 0 is the end, also if the connection broke.
    pub(super) fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let read = (&self.socket).read(buf)?;
        self.wait_while_paused();
        Ok(read)
    }

    /// Adds the next line to `line`, without its line end. On an error of kind `WouldBlock` or
    /// `TimedOut` the deadline has passed, and `line` has what came.
    pub(super) fn read_line(
        &self,
        line: &mut Vec<u8>,
        deadline: Option<Instant>,
    ) -> io::Result<Line> {
        let mut part = Vec::new();
        let mut source = Timed {
            socket: &self.socket,
            deadline,
        };
        let outcome = read_line(&mut source, &mut part);
        line.extend_from_slice(&part);
        self.wait_while_paused();
        match outcome {
            Ok(Line::End) if !line.is_empty() => Ok(Line::Unterminated),
            outcome => outcome,
        }
    }

    /// Waits until the client has sent more, or has closed. Returns false if it has closed.
    pub(super) fn wait_for_bytes(&self) -> bool {
        let _ = self.socket.set_read_timeout(None);
        matches!(self.socket.peek(&mut [0]), Ok(1))
    }

    pub(super) fn pair_with(&self, peer: &Arc<Self>) {
        let _ = self.peer.set(Arc::downgrade(peer));
    }

    pub(super) fn is_paired(&self) -> bool {
        self.peer.get().is_some()
    }

    pub(super) fn peer(&self) -> Option<Arc<Self>> {
        self.peer.get().and_then(Weak::upgrade)
    }

    /// Closes the connection. A thread that reads from it, or writes to it, goes on at once.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Returns true if the bridge has closed the connection.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Ends the sending side; what was sent still arrives.
    pub(super) fn close_sending(&self) {
        if self.abandoned.load(Ordering::SeqCst) {
            return;
        }
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Closes the connection, and leaves the far side of its stream open.
    pub(super) fn close_silently(&self) {
        self.leaves_silently.store(true, Ordering::SeqCst);
        self.close();
    }

    pub(super) fn leaves_silently(&self) -> bool {
        self.leaves_silently.load(Ordering::SeqCst)
    }

    /// Leaves the end of the connection to the drop of its socket.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::SeqCst);
    }

    /// Closes the connection at the end of its thread. What was sent still arrives.
    pub(super) fn end(&self) {
        if !self.abandoned.load(Ordering::SeqCst) {
            self.close();
        }
    }

    /// Notes that the reply to its command was sent.
    pub(super) fn set_replied(&self) {
        self.replied.update(|replied| *replied = true);
    }

    /// Waits until the reply to its command was sent.
    pub(super) fn wait_until_replied(&self) {
        self.replied
            .wait_until(Deadline::NEVER, |replied| replied.then_some(()));
    }

    /// Notes that nothing is read from it any more.
    pub(super) fn set_done(&self) {
        self.done.update(|done| *done = true);
    }

    /// Waits until nothing is read from it any more, at most for this time.
    pub(super) fn wait_until_done(&self, time: Duration) {
        self.done
            .wait_until(Deadline::after(Some(time)), |done| done.then_some(()));
    }

    /// A router that has stopped takes nothing in and sends nothing.
    fn wait_while_paused(&self) {
        self.paused
            .wait_until(Deadline::NEVER, |paused| (!*paused).then_some(()));
    }
}

impl Output {
    /// Returns the size of the next piece, after the pause before it.
    fn next_piece(&mut self, len: usize) -> usize {
        let mut size = len;
        if let Some(pieces) = self.pieces {
            size = size.min(1 + self.random.below(pieces.largest as u64) as usize);
            let longest = pieces.longest_pause.as_micros() as u64;
            let pause = Duration::from_micros(self.random.below(longest + 1));
            if !pause.is_zero() {
                std::thread::sleep(pause);
            }
        }
        if let Some(left) = &mut self.left {
            size = size.min(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= size as u64;
        }
        size
    }
}

/// A socket whose reads end at a deadline together.
struct Timed<'a> {
    socket: &'a TcpStream,
    deadline: Option<Instant>,
}

impl Timed<'_> {
    fn limit(&self) -> io::Result<()> {
        let left = match self.deadline {
            None => None,
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Some(left)
            }
        };
        self.socket.set_read_timeout(left)
    }
}

impl LineSource for Timed<'_> {
    fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.limit()?;
        self.socket.peek(buf)
    }

    fn take(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut socket = self.socket;
        socket.read(buf)
    }
}

pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}
