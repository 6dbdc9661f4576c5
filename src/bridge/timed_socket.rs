use std::io::{self, Read, Write};
use std::mem;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use super::dial::is_timeout;
use crate::error::{Error, Phase};
use crate::sync::{Call, stretch};
use crate::wire::{Line, LineSource, MAX_LINE, ParseError, ParseErrorKind, read_line};

/// The system takes this many bytes on a new socket even if the bridge reads none, so that a write of the
/// first ones does not block and needs no time-out.
const ALWAYS_ROOM: usize = 4096;

/// A socket to a bridge whose waits end at the deadlines of calls.
///
/// A time-out is set on the socket only when it changes. A wait may end sooner than its call because of the
/// time-out of an earlier one; then it gets a time-out of its own, and goes on.
pub(super) struct TimedSocket {
    socket: Arc<TcpStream>,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    /// The number of bytes that can be written without a time-out.
    room: usize,
    /// Bytes that were taken together with an earlier line.
    ahead: Vec<u8>,
}

impl TimedSocket {
    /// The socket has no time-outs yet.
    pub(super) fn new(socket: Arc<TcpStream>) -> Self {
        Self {
            socket,
            read_timeout: None,
            write_timeout: None,
            room: ALWAYS_ROOM,
            ahead: Vec::new(),
        }
    }

    pub(super) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Sends a command, or the PONG to a PING.
    ///
    /// # Errors
    ///
    /// Those of the call's deadline and of the socket. A part may have been sent.
    pub(super) fn send(&mut self, bytes: &[u8], call: &Call) -> Result<(), Error> {
        let fits = bytes.len() <= self.room;
        self.room = self.room.saturating_sub(bytes.len());
        let socket = Arc::clone(&self.socket);
        write_limited(&socket, bytes, call, |left, exactly| match fits {
            true => Ok(()),
            false => self.limit_write(left, exactly),
        })
    }

    /// Waits for a line, and takes it without its line end, and no byte after it.
    ///
    /// `shortest` is the length of the shortest line, with its end, after which the bytes belong to the
    /// caller of this connection. So many are taken without a look at them first.
    ///
    /// # Errors
    ///
    /// [`Error::UnexpectedEof`] at the end, and those of the call's deadline and of the socket.
    pub(super) fn read_line(
        &mut self,
        line: &mut Vec<u8>,
        shortest: usize,
        call: &Call,
    ) -> Result<Line, Error> {
        let mut source = Source {
            shortest,
            call,
            timed: self,
        };
        match read_line(&mut source, line) {
            Ok(Line::End) => Err(Error::UnexpectedEof {
                phase: call.phase(),
            }),
            Ok(end) => Ok(end),
            Err(error) => Err(read_error(error, call)),
        }
    }

    /// Returns the socket without time-outs.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] if the bridge sent bytes before it was asked for the last reply, and those of the
    /// socket.
    pub(super) fn into_socket(self, phase: Phase) -> Result<Arc<TcpStream>, Error> {
        if !self.ahead.is_empty() {
            let error = ParseError::new(ParseErrorKind::Unexpected, 0);
            return Err(Error::protocol(phase, error));
        }
        let mut cleared = Ok(());
        if self.read_timeout.is_some() {
            cleared = self.socket.set_read_timeout(None);
        }
        if self.write_timeout.is_some() {
            cleared = cleared.and_then(|()| self.socket.set_write_timeout(None));
        }
        cleared.map_err(|source| Error::Io { phase, source })?;
        Ok(self.socket)
    }

    fn limit_read(&mut self, left: Option<Duration>, exactly: bool) -> io::Result<()> {
        if serves(self.read_timeout, left, exactly) {
            return Ok(());
        }
        self.socket.set_read_timeout(left)?;
        self.read_timeout = left;
        Ok(())
    }

    fn limit_write(&mut self, left: Option<Duration>, exactly: bool) -> io::Result<()> {
        if serves(self.write_timeout, left, exactly) {
            return Ok(());
        }
        self.socket.set_write_timeout(left)?;
        self.write_timeout = left;
        Ok(())
    }
}

/// Returns true if the time-out that is set ends a wait in time.
fn serves(set: Option<Duration>, left: Option<Duration>, exactly: bool) -> bool {
    match (set, left) {
        (None, None) => true,
        (Some(set), Some(left)) => !exactly && set <= left,
        _ => false,
    }
}

/// The reads of one line.
struct Source<'a> {
    timed: &'a mut TimedSocket,
    /// The number of bytes that may be taken unseen.
    shortest: usize,
    call: &'a Call,
}

impl Source<'_> {
    fn wait(&mut self, mut read: impl FnMut(&TcpStream) -> io::Result<usize>) -> io::Result<usize> {
        let mut exactly = false;
        loop {
            let left = stretch(self.call.left()?);
            self.timed.limit_read(left, exactly)?;
            match read(&self.timed.socket) {
                Err(error) if is_timeout(&error) => exactly = true,
                outcome => return outcome,
            }
        }
    }
}

impl LineSource for Source<'_> {
    fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.timed.ahead.is_empty() && self.shortest > 0 {
            let mut unseen = mem::take(&mut self.timed.ahead);
            unseen.resize(self.shortest.min(buf.len()), 0);
            if cfg!(windows) {
                // Windows promises nothing about the bytes of a read that ends by its time-out.
                self.wait(|socket| socket.peek(&mut [0]))?;
            }
            let taken = self.wait(|mut socket| socket.read(&mut unseen))?;
            unseen.truncate(taken);
            self.timed.ahead = unseen;
        } else if self.timed.ahead.is_empty() {
            return self.wait(|socket| socket.peek(buf));
        }
        self.shortest = 0;
        let seen = self.timed.ahead.len().min(buf.len());
        let (view, _) = buf.split_at_mut(seen);
        view.copy_from_slice(self.timed.ahead.get(..seen).unwrap_or_default());
        Ok(seen)
    }

    /// Follows a `peek` that found bytes, so it does not wait.
    fn take(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.timed.ahead.is_empty() {
            return LineSource::take(&mut self.timed.socket(), buf);
        }
        self.peek(buf).inspect(|taken| {
            self.timed.ahead.drain(..*taken);
        })
    }
}

/// Writes all bytes before the deadline. If it fails, a part may have been written.
pub(crate) fn write_all(socket: &TcpStream, bytes: &[u8], call: &Call) -> Result<(), Error> {
    write_limited(socket, bytes, call, |left, _| {
        socket.set_write_timeout(left)
    })
}

/// Writes all bytes. `limit` gets the time that is left before each write, and true if the last one ended by
/// a time-out.
fn write_limited(
    mut socket: &TcpStream,
    mut bytes: &[u8],
    call: &Call,
    mut limit: impl FnMut(Option<Duration>, bool) -> io::Result<()>,
) -> Result<(), Error> {
    let phase = call.phase();
    let mut exactly = false;
    while !bytes.is_empty() {
        let left = call.left()?;
        match limit(left, exactly).and_then(|()| socket.write(bytes)) {
            Ok(0) => return Err(Error::UnexpectedEof { phase }),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_timeout(&error) => exactly = true,
            Err(error) => return Err(socket_error(error, phase)),
        }
    }
    Ok(())
}

fn read_error(error: io::Error, call: &Call) -> Error {
    let phase = call.phase();
    match error.kind() {
        io::ErrorKind::TimedOut => call.expired(),
        io::ErrorKind::InvalidData => {
            let offset = MAX_LINE;
            Error::protocol(phase, ParseError::new(ParseErrorKind::TooLong, offset))
        }
        _ => socket_error(error, phase),
    }
}

/// The system reports a reset if a bridge closes while bytes are in flight.
pub(super) fn socket_error(source: io::Error, phase: Phase) -> Error {
    match source.kind() {
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::NotConnected
        | io::ErrorKind::BrokenPipe => Error::UnexpectedEof { phase },
        _ if source.raw_os_error() == SHUT_DOWN => Error::UnexpectedEof { phase },
        _ => Error::Io { phase, source },
    }
}

/// `WSAESHUTDOWN`, the error of a write after a shutdown on Windows, for which `std` has no kind.
const SHUT_DOWN: Option<i32> = if cfg!(windows) { Some(10058) } else { None };

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    const OK: &str = "STREAM STATUS RESULT=OK\n";
    const LONG: Duration = Duration::from_secs(10);

    /// A socket, and the bridge's end of it.
    fn connected() -> (TimedSocket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (bridge, _) = listener.accept().unwrap();
        (TimedSocket::new(Arc::new(socket)), bridge)
    }

    fn call() -> Call {
        Call::new(Phase::StreamConnect).within(Some(LONG))
    }

    fn next(socket: &mut TimedSocket, shortest: usize) -> String {
        let mut line = Vec::new();
        socket.read_line(&mut line, shortest, &call()).unwrap();
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn bytes_after_expected_reply_stay_in_socket() {
        let (mut socket, mut bridge) = connected();
        bridge.write_all(format!("{OK}payload").as_bytes()).unwrap();
        assert_eq!(next(&mut socket, OK.len()), OK.trim_end());
        let mut stream = &*socket.into_socket(Phase::StreamConnect).unwrap();
        let mut payload = [0; 7];
        stream.read_exact(&mut payload).unwrap();
        assert_eq!(&payload, b"payload");
    }

    #[test]
    fn short_lines_before_reply_cost_no_byte_after_it() {
        let (mut socket, mut bridge) = connected();
        let all = format!("PING\nPING 2\n{OK}payload");
        bridge.write_all(all.as_bytes()).unwrap();
        for expected in ["PING", "PING 2", OK.trim_end()] {
            assert_eq!(next(&mut socket, OK.len()), expected);
        }
        let mut stream = &*socket.into_socket(Phase::StreamConnect).unwrap();
        let mut payload = [0; 7];
        stream.read_exact(&mut payload).unwrap();
        assert_eq!(&payload, b"payload");
    }

    #[test]
    fn bytes_after_short_reply_are_protocol_error() {
        let (mut socket, mut bridge) = connected();
        bridge.write_all(b"STATUS\npayload").unwrap();
        assert_eq!(next(&mut socket, OK.len()), "STATUS");
        let error = socket.into_socket(Phase::StreamConnect).unwrap_err();
        assert!(matches!(error, Error::Protocol { .. }), "{error}");
    }

    #[test]
    fn line_in_single_bytes_is_whole() {
        let (mut socket, mut bridge) = connected();
        bridge.set_nodelay(true).unwrap();
        let sending = thread::spawn(move || {
            for byte in OK.bytes() {
                bridge.write_all(&[byte]).unwrap();
                thread::yield_now();
            }
            bridge
        });
        assert_eq!(next(&mut socket, OK.len()), OK.trim_end());
        sending.join().unwrap();
    }

    #[test]
    fn wait_outlasts_time_out_of_earlier_call() {
        let (mut socket, mut bridge) = connected();
        let short = Call::new(Phase::Hello).within(Some(Duration::from_millis(20)));
        let error = socket.read_line(&mut Vec::new(), 0, &short).unwrap_err();
        assert!(error.is_timeout(), "{error}");
        let (waits, waiting) = mpsc::channel::<()>();
        let sending = thread::spawn(move || {
            // Longer than the earlier time-out.
            let _ = waiting.recv_timeout(Duration::from_millis(100));
            bridge.write_all(OK.as_bytes()).unwrap();
            bridge
        });
        assert_eq!(next(&mut socket, OK.len()), OK.trim_end());
        drop(waits);
        sending.join().unwrap();
    }

    #[test]
    fn time_out_that_was_set_is_cleared() {
        let (mut socket, mut bridge) = connected();
        bridge.write_all(OK.as_bytes()).unwrap();
        next(&mut socket, OK.len());
        assert!(socket.socket().read_timeout().unwrap().is_some());
        let socket = socket.into_socket(Phase::StreamConnect).unwrap();
        assert_eq!(socket.read_timeout().unwrap(), None);
        assert_eq!(socket.write_timeout().unwrap(), None);
    }

    #[test]
    fn small_writes_that_bridge_never_reads_end_at_deadline() {
        let (mut socket, _bridge) = connected();
        let (sender, outcome) = mpsc::channel();
        thread::spawn(move || {
            let short = Call::new(Phase::Command).within(Some(Duration::from_millis(500)));
            let pong = [b'x'; 1024];
            let failed =
                std::iter::repeat_with(|| socket.send(&pong, &short)).find_map(Result::err);
            sender.send(failed)
        });
        let error = outcome.recv_timeout(LONG).unwrap().unwrap();
        assert!(error.is_timeout(), "{error}");
    }

    #[test]
    fn large_write_ends_at_deadline() {
        let (mut socket, _bridge) = connected();
        let short = Call::new(Phase::Command).within(Some(Duration::from_millis(50)));
        let error = socket.send(&vec![b'x'; 64 << 20], &short).unwrap_err();
        assert!(error.is_timeout(), "{error}");
    }
}
