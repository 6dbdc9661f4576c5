//! Reads that end when another thread shuts the socket down, on every system.

use std::io::{self, IoSliceMut, Read};
use std::net::TcpStream;
use std::time::Duration;

#[cfg(windows)]
pub(crate) use windows::ReadTimeout;

/// The longest part of a wait for which Windows is not asked again if the socket was shut down; `None` on
/// systems where a shutdown ends the calls in progress.
///
/// On Windows a shutdown ends only later reads. A read in progress waits until the other side sends or
/// closes, which a bridge that has stopped never does.
const STRETCH: Option<Duration> = if cfg!(windows) {
    Some(Duration::from_millis(100))
} else {
    None
};

/// Returns the time for which one read may wait.
pub(crate) fn stretch(left: Option<Duration>) -> Option<Duration> {
    match (left, STRETCH) {
        (Some(left), Some(stretch)) => Some(left.min(stretch)),
        (left, stretch) => left.or(stretch),
    }
}

/// The read time-out of a socket that another thread may shut down.
#[cfg(not(windows))]
pub(crate) struct ReadTimeout;

#[cfg(not(windows))]
impl ReadTimeout {
    /// The socket has no time-out yet.
    pub(crate) fn of(_: &TcpStream) -> Self {
        Self
    }

    pub(crate) fn set(&self, socket: &TcpStream, timeout: Option<Duration>) -> io::Result<()> {
        socket.set_read_timeout(timeout)
    }

    pub(crate) fn value(&self, socket: &TcpStream) -> io::Result<Option<Duration>> {
        socket.read_timeout()
    }

    /// Sets the time-out on the socket itself, for one who reads it without this.
    pub(crate) fn release(&self, _: &TcpStream) -> io::Result<()> {
        Ok(())
    }

    /// Waits until a read does not block, if a shutdown could not end the read itself.
    pub(crate) fn await_bytes(&self, _: &TcpStream) -> io::Result<()> {
        Ok(())
    }
}

/// A socket whose reads end when another thread shuts it down.
pub(crate) struct AwakeReader<'a> {
    socket: &'a TcpStream,
    timeout: &'a ReadTimeout,
}

impl<'a> AwakeReader<'a> {
    pub(crate) fn new(socket: &'a TcpStream, timeout: &'a ReadTimeout) -> Self {
        Self { socket, timeout }
    }

    pub(crate) fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.await_bytes(!buf.is_empty())?;
        self.socket.peek(buf)
    }

    fn await_bytes(&self, wanted: bool) -> io::Result<()> {
        match wanted {
            true => self.timeout.await_bytes(self.socket),
            false => Ok(()),
        }
    }
}

impl Read for AwakeReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.await_bytes(!buf.is_empty())?;
        let mut socket = self.socket;
        socket.read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.await_bytes(bufs.iter().any(|buf| !buf.is_empty()))?;
        let mut socket = self.socket;
        socket.read_vectored(bufs)
    }
}

#[cfg(windows)]
mod windows {
    use std::io;
    use std::net::TcpStream;
    use std::sync::Mutex;
    use std::time::Duration;

    use super::stretch;
    use crate::sync::{Deadline, lock};

    /// The time-out of the socket is shorter than this one.
    pub(crate) struct ReadTimeout(Mutex<Option<Duration>>);

    impl ReadTimeout {
        pub(crate) fn of(socket: &TcpStream) -> Self {
            // If it fails, a read waits for the other side.
            let _ = socket.set_read_timeout(stretch(None));
            Self(Mutex::new(None))
        }

        pub(crate) fn set(&self, socket: &TcpStream, timeout: Option<Duration>) -> io::Result<()> {
            // It fails for a time of zero.
            let short = match timeout {
                Some(Duration::ZERO) => timeout,
                _ => stretch(timeout),
            };
            socket.set_read_timeout(short)?;
            *lock(&self.0) = timeout;
            Ok(())
        }

        pub(crate) fn value(&self, _: &TcpStream) -> io::Result<Option<Duration>> {
            Ok(*lock(&self.0))
        }

        pub(crate) fn release(&self, socket: &TcpStream) -> io::Result<()> {
            socket.set_read_timeout(*lock(&self.0))
        }

        /// Looks without taking, because Windows promises nothing about the bytes of a read that ends by its
        /// time-out.
        pub(crate) fn await_bytes(&self, socket: &TcpStream) -> io::Result<()> {
            let deadline = Deadline::after(*lock(&self.0));
            loop {
                match socket.peek(&mut [0]) {
                    // In non-blocking mode it is `WouldBlock`.
                    Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                        if deadline.has_passed() {
                            return Err(error);
                        }
                    }
                    outcome => return outcome.map(drop),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Shutdown, TcpListener};
    use std::sync::{Arc, mpsc};
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    fn ends() -> (Arc<TcpStream>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Arc::new(near), listener.accept().unwrap().0)
    }

    fn is_timeout(error: &io::Error) -> bool {
        matches!(
            error.kind(),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
        )
    }

    #[test]
    fn shutdown_by_other_thread_ends_read() {
        let (near, _far) = ends();
        let timeout = ReadTimeout::of(&near);
        let (begins, begun) = mpsc::channel();
        let (sender, outcome) = mpsc::channel();
        let socket = Arc::clone(&near);
        thread::spawn(move || {
            begins.send(()).unwrap();
            sender.send(AwakeReader::new(&socket, &timeout).read(&mut [0]))
        });
        begun.recv_timeout(LONG).unwrap();
        // It blocks before the shutdown: this time only makes that likely.
        assert!(outcome.recv_timeout(Duration::from_millis(50)).is_err());
        near.shutdown(Shutdown::Both).unwrap();
        assert_eq!(outcome.recv_timeout(LONG).unwrap().unwrap(), 0);
    }

    #[test]
    fn read_waits_for_time_out_that_was_set() {
        let (near, _far) = ends();
        let timeout = ReadTimeout::of(&near);
        for time in [Duration::from_millis(20), Duration::from_millis(240)] {
            timeout.set(&near, Some(time)).unwrap();
            assert_eq!(timeout.value(&near).unwrap(), Some(time));
            let start = std::time::Instant::now();
            let error = AwakeReader::new(&near, &timeout)
                .read(&mut [0])
                .unwrap_err();
            assert!(is_timeout(&error), "{error}");
            assert!(start.elapsed() >= time, "{:?}", start.elapsed());
        }
    }

    #[test]
    fn zero_time_out_is_refused() {
        let (near, _far) = ends();
        let timeout = ReadTimeout::of(&near);
        let error = timeout.set(&near, Some(Duration::ZERO)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(timeout.value(&near).unwrap(), None);
    }

    #[test]
    fn nonblocking_read_without_bytes_does_not_wait() {
        let (near, _far) = ends();
        let timeout = ReadTimeout::of(&near);
        near.set_nonblocking(true).unwrap();
        let error = AwakeReader::new(&near, &timeout)
            .read(&mut [0])
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn released_socket_has_time_out_that_was_set() {
        let (near, _far) = ends();
        let timeout = ReadTimeout::of(&near);
        for time in [None, Some(Duration::from_secs(3))] {
            timeout.set(&near, time).unwrap();
            timeout.release(&near).unwrap();
            assert_eq!(near.read_timeout().unwrap(), time);
        }
    }
}
