use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::address::{B32, Destination, I2pAddr};
use crate::bridge::{SamBridge, is_timeout};
use crate::error::{Error, Phase, SessionLoss};
use crate::session::{OpenStream, SessionCore, SessionGuard};
use crate::sync::{AwakeReader, Call, Cancel, Deadline, ReadTimeout, Registration, Target, lock};

/// The longest time from the end of a stream until the loss of its session is noticed.
const LOSS_GRACE: Duration = Duration::from_millis(50);

/// The number of bytes read at a time from a stream whose data is discarded.
const DISCARDED: usize = 4096;

/// A stream to a peer, used like a [`TcpStream`].
///
/// The first byte read is the peer's first byte: the bridge's lines before it have been removed.
/// Time-outs, non-blocking mode, `peek` and the traits are those of the [`TcpStream`] to the
/// bridge.
///
/// Six things differ from TCP:
///
/// - **There is no half-close.** If either side shuts down writing, both routers end the stream in
///   both directions, and a reply that is under way is lost. Mark the end of a message by other
///   means, such as its length.
/// - **The side that writes last should not close first.** Bytes written just before a stream is
///   dropped are delivered if the process lives on for some seconds, but i2pd 2.59 loses the last
///   part, or the end itself, if more than some 60 kB are still under way. Let the side that reads
///   close when it has everything, and call [`finish`](SamStream::finish) on the other side.
/// - **Small writes are slow.** Java I2P holds the first small write back for about 180 ms in case
///   more comes. Write a request in one piece.
/// - **A peer that dies silently is not reported to a reader.** If the peer's machine loses its
///   power or its network, a read blocks for longer than 400 s. Set a [read
///   time-out](SamStream::set_read_timeout). A writer of 1 kB each second fails after 82 s on i2pd
///   2.59, and after 279 s on i2pd 2.45.
/// - **A writer may not be slowed down.** i2pd stores in its own memory what the peer does not
///   read: a writer sent 100 MB to a peer that did not read, and the router grew from 18 to 334 MB.
///   emissary 0.4.0 blocks the writer after 8.9 MB. Agree on how much may be sent before the peer
///   confirms it.
/// - **A side that accepts and writes first may wait.** On emissary 0.4.0 its bytes arrive after
///   9 s if it writes before the dialler has sent anything. Let the dialler write first.
///
/// The end of the stream and the loss of the session both read as `Ok(0)`;
/// [`loss`](SamStream::loss) distinguishes them.
///
/// ```no_run
/// use std::io::{BufRead, BufReader, Write};
/// use i2p_sam::SamBridge;
///
/// let mut stream = SamBridge::from_env()?.connect("echo.i2p")?;
/// stream.write_all(b"hello\n")?;
/// let mut answer = String::new();
/// BufReader::new(&stream).read_line(&mut answer)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SamStream {
    shared: Arc<Shared>,
}

/// The state that clones of a stream share. The socket is the first field, so that it is closed
/// before the session may end.
struct Shared {
    socket: Arc<TcpStream>,
    read_timeout: ReadTimeout,
    registration: Option<Registration>,
    /// The handles that end the stream.
    cancels: Mutex<Vec<(Cancel, Option<Registration>)>>,
    open: OpenStream,
    guard: SessionGuard,
    peer: I2pAddr,
    local: I2pAddr,
}

impl SamStream {
    pub(crate) fn new(
        socket: Arc<TcpStream>,
        registration: Option<Registration>,
        guard: SessionGuard,
        peer: I2pAddr,
        local: I2pAddr,
    ) -> Self {
        guard.core().streamed.store(true, Ordering::Relaxed);
        Self {
            shared: Arc::new(Shared {
                read_timeout: ReadTimeout::of(&socket),
                socket,
                registration,
                cancels: Mutex::default(),
                open: guard.core().streams.open(),
                guard,
                peer,
                local,
            }),
        }
    }

    /// Returns the socket as a target that a handle can shut down.
    pub(crate) fn target(&self) -> Target {
        Target::socket(&self.shared.socket)
    }

    /// Returns the shared parts of the stream's session.
    pub(crate) fn core(&self) -> &Arc<SessionCore> {
        self.shared.guard.core()
    }

    /// Returns the address of the peer: the dialled address or the caller's, with the port if it is
    /// known.
    pub fn peer_addr(&self) -> &I2pAddr {
        &self.shared.peer
    }

    /// Returns the peer's destination, if it is known: always for an accepted stream, and for one
    /// that was dialled by destination. A router does not send the destination of a dialled name.
    pub fn peer_destination(&self) -> Option<&Destination> {
        self.shared.peer.destination()
    }

    /// Returns the peer's `.b32.i2p` address, if it is known: always for an accepted stream, and
    /// for one that was dialled by destination or `.b32.i2p` address.
    ///
    /// Compare peers by it: [`peer_addr`](Self::peer_addr) includes the port. See
    /// [`I2pAddr`](I2pAddr#equality-and-lists-of-peers) for an allow-list.
    pub fn peer_b32(&self) -> Option<B32> {
        self.shared.peer.b32()
    }

    /// Returns the local address: the session's destination with the port that was dialled, or
    /// dialled from.
    pub fn local_addr(&self) -> &I2pAddr {
        &self.shared.local
    }

    /// Returns the peer's I2CP port. For an accepted stream this is `FROM_PORT`, which i2pd does
    /// not send; for a dialled one it is the dialled port.
    pub fn peer_port(&self) -> Option<u16> {
        self.shared.peer.port()
    }

    /// Returns the local I2CP port. For an accepted stream this is `TO_PORT`, which i2pd does not
    /// send; for a dialled one it is the [`from_port`](crate::ConnectOptions::from_port).
    pub fn local_port(&self) -> Option<u16> {
        self.shared.local.port()
    }

    /// Returns the bridge of the stream's session.
    pub fn bridge(&self) -> &SamBridge {
        &self.core().bridge
    }

    /// Returns the reason why the session is gone, if it is gone: the cause of an end that the peer
    /// did not cause.
    ///
    /// The bridge closes a stream and its session in no fixed order; the reason may be known only
    /// some milliseconds after the stream's end.
    pub fn loss(&self) -> Option<SessionLoss> {
        self.shared.guard.loss()
    }

    /// Returns another handle to the same stream, as [`TcpStream::try_clone`] does: bytes read
    /// through one handle are gone from the other, and time-outs are shared. It needs no
    /// descriptor.
    ///
    /// # Errors
    ///
    /// There are none; the type is that of `std`.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// use std::io::{Read, Write};
    /// use std::thread;
    /// use i2p_sam::SamStream;
    ///
    /// let (near, mut far) = SamStream::pair()?;
    /// let mut writer = near.try_clone()?;
    /// let writing = thread::spawn(move || writer.write_all(b"hello"));
    /// let mut text = [0; 5];
    /// far.read_exact(&mut text)?;
    /// assert_eq!(&text, b"hello");
    /// writing.join().unwrap()?;
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(self.share())
    }

    pub(crate) fn share(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Ends the stream: all pending and future calls on any handle return at once, as in
    /// [`TcpStream::shutdown`].
    ///
    /// **`Shutdown::Write` is no half-close.** Java I2P and i2pd end both directions if either side
    /// stops writing, and a reply that the peer was about to send is lost.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`TcpStream::shutdown`].
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// use std::io::Read;
    /// use std::net::Shutdown;
    /// use i2p_sam::SamStream;
    ///
    /// let (mut near, _far) = SamStream::pair()?;
    /// near.shutdown(Shutdown::Both)?;
    /// assert_eq!(near.read(&mut [0; 1])?, 0);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.shared.open.end();
        self.shared.socket.shutdown(how)
    }

    /// Ends the stream when the handle fires, on all handles to the stream: pending and future reads and writes
    /// then fail with [`Error::Cancelled`]. If it has fired, the stream ends now.
    ///
    /// On Windows a read in progress ends within 100 ms, and a write in progress only when the bridge reads or
    /// the [write time-out](SamStream::set_write_timeout) expires.
    ///
    /// Several handles may be set; the stream ends when the first of them fires. They have no effect on a socket
    /// taken out by [`into_parts`](SamStream::into_parts).
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// use std::io::Read;
    /// use i2p_sam::{Cancel, SamStream};
    ///
    /// let (mut near, _far) = SamStream::pair()?;
    /// let cancel = Cancel::new();
    /// near.shutdown_with(&cancel);
    /// cancel.cancel();
    /// let error = near.read(&mut [0; 1]).unwrap_err();
    /// assert_eq!(error.to_string(), "reading from a stream was cancelled");
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shutdown_with(&self, cancel: &Cancel) {
        let place = cancel.registry().register(self.target()).ok();
        if place.is_none() {
            // It fails only if there is no connection any more.
            let _ = self.shutdown(Shutdown::Both);
        }
        lock(&self.shared.cancels).push((cancel.clone(), place));
    }

    fn reader(&self) -> AwakeReader<'_> {
        AwakeReader::new(&self.shared.socket, &self.shared.read_timeout)
    }

    /// Returns the error of a call that a handle has ended.
    fn cancelled(&self, phase: Phase) -> Option<io::Error> {
        let cancels = lock(&self.shared.cancels);
        let is_cancelled = cancels.iter().any(|(cancel, _)| cancel.is_cancelled());
        is_cancelled.then(|| Error::Cancelled { phase }.into())
    }

    /// Returns what a read has returned, unless a handle has ended the stream.
    fn read_outcome(&self, outcome: io::Result<usize>, wanted: bool) -> io::Result<usize> {
        match outcome {
            Ok(read) if read > 0 || !wanted => Ok(read),
            outcome => {
                if let Some(error) = self.cancelled(Phase::Read) {
                    return Err(error);
                }
                if outcome.is_ok() {
                    self.shared.open.has_ended();
                }
                outcome
            }
        }
    }

    fn write_outcome(&self, outcome: io::Result<usize>) -> io::Result<usize> {
        outcome.map_err(|error| self.cancelled(Phase::Write).unwrap_or(error))
    }

    /// Waits until the peer has closed, and then closes the stream. A program that wrote last ends
    /// this way, since bytes under way are lost when the process ends.
    ///
    /// It is for the side that has read everything it needs: bytes that still arrive are read and
    /// discarded. The peer should close when it has everything, as a server does after its reply,
    /// or a program that has read a message of known length. If the peer waits for this side's end
    /// as well, both wait until `timeout`; end such a stream by dropping it, and wait with
    /// [`StreamSession::finish`](crate::StreamSession::finish). Other handles to the stream end
    /// too.
    ///
    /// # Errors
    ///
    /// Returns `TimedOut` if the peer has not closed in time: the written bytes may have arrived or
    /// not; `NotConnected` if the session is lost; otherwise the errors of a read. The stream is
    /// closed in every case.
    ///
    /// ```no_run
    /// use std::io::Write;
    /// use std::time::Duration;
    ///
    /// let mut stream = i2p_sam::SamBridge::from_env()?.connect("log.i2p")?;
    /// stream.write_all(b"one line, after which the server closes\n")?;
    /// stream.finish(Duration::from_secs(60))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn finish(self, timeout: Duration) -> io::Result<()> {
        let outcome = self.read_to_the_end(Deadline::after(Some(timeout)));
        // It fails only if there is no connection any more.
        let _ = self.shared.socket.shutdown(Shutdown::Both);
        outcome
    }

    fn read_to_the_end(&self, deadline: Deadline) -> io::Result<()> {
        self.set_nonblocking(false)?;
        let mut discarded = [0; DISCARDED];
        loop {
            self.set_read_timeout(deadline.left(Phase::Finish)?)?;
            match (&*self).read(&mut discarded) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if is_timeout(&error) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let call = Call::new(Phase::WaitClosed).within(Some(LOSS_GRACE));
        match call.wait_ended(self.core().lifetime()) {
            Ok(loss) => Err(Error::SessionLost(loss).into()),
            Err(_) => Ok(()),
        }
    }

    /// Returns the bare socket, positioned after the bytes already read, and a guard that keeps its
    /// session alive.
    ///
    /// If the guard is dropped and nothing else keeps the session, the router ends the stream.
    /// Closing the session does not shut this socket down, but the router ends the stream.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`TcpStream::try_clone`], and only if there is another handle to the
    /// stream.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use std::io::Write;
    ///
    /// let server = bridge.session().stream()?;
    /// let listener = server.listener()?;
    /// let stream = bridge.session().stream()?.connect(server.destination())?;
    /// // The guard keeps the session as long as the socket is in use.
    /// let (mut socket, guard) = stream.into_parts()?;
    /// socket.write_all(b"hello")?;
    /// drop(guard);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_parts(self) -> io::Result<(TcpStream, SessionGuard)> {
        self.shared.read_timeout.release(&self.shared.socket)?;
        match Arc::try_unwrap(self.shared) {
            Ok(Shared {
                socket,
                registration,
                guard,
                ..
            }) => {
                drop(registration);
                let socket = Arc::try_unwrap(socket).or_else(|shared| shared.try_clone())?;
                Ok((socket, guard))
            }
            Err(shared) => Ok((shared.socket.try_clone()?, shared.guard.clone())),
        }
    }

    /// Reads bytes and leaves them in the stream, as [`TcpStream::peek`] does.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`TcpStream::peek`].
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// use std::io::Write;
    /// use i2p_sam::SamStream;
    ///
    /// let (near, mut far) = SamStream::pair()?;
    /// far.write_all(b"G")?;
    /// let mut first = [0; 1];
    /// near.peek(&mut first)?;
    /// near.peek(&mut first)?;
    /// assert_eq!(&first, b"G");
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.reader().peek(buf)
    }

    /// Sets the longest time that a read may block; `None`, the default, means no limit. On Unix a
    /// read that exceeds it fails with `WouldBlock`, elsewhere with `TimedOut`.
    ///
    /// Every server needs one: no router reports a silently dead peer to a reader.
    ///
    /// # Errors
    ///
    /// Returns `InvalidInput` for a time of zero, and the errors of
    /// [`TcpStream::set_read_timeout`].
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// use std::io::Read;
    /// use std::time::Duration;
    /// use i2p_sam::SamStream;
    ///
    /// let (mut near, _far) = SamStream::pair()?;
    /// near.set_read_timeout(Some(Duration::from_millis(10)))?;
    /// assert!(near.read(&mut [0; 1]).is_err());
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.shared.read_timeout.set(&self.shared.socket, timeout)
    }

    /// Sets the longest time that a write may block; `None`, the default, means no limit. A write
    /// that exceeds it fails as a read does.
    ///
    /// On i2pd a write does not wait for the reader: the router stores what the peer does not read.
    ///
    /// # Errors
    ///
    /// Returns `InvalidInput` for a time of zero, and the errors of
    /// [`TcpStream::set_write_timeout`].
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// use std::time::Duration;
    /// use i2p_sam::SamStream;
    ///
    /// let (near, _far) = SamStream::pair()?;
    /// near.set_write_timeout(Some(Duration::from_secs(60)))?;
    /// assert_eq!(near.write_timeout()?, Some(Duration::from_secs(60)));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.shared.socket.set_write_timeout(timeout)
    }

    /// Returns the longest time that a read may block.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`TcpStream::read_timeout`].
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// use std::time::Duration;
    /// use i2p_sam::SamStream;
    ///
    /// let (near, _far) = SamStream::pair()?;
    /// assert_eq!(near.read_timeout()?, None);
    /// near.set_read_timeout(Some(Duration::from_secs(30)))?;
    /// assert_eq!(near.read_timeout()?, Some(Duration::from_secs(30)));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        self.shared.read_timeout.value(&self.shared.socket)
    }

    /// Returns the longest time that a write may block.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`TcpStream::write_timeout`].
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// use std::time::Duration;
    /// use i2p_sam::SamStream;
    ///
    /// let (near, _far) = SamStream::pair()?;
    /// assert_eq!(near.write_timeout()?, None);
    /// near.set_write_timeout(Some(Duration::from_secs(30)))?;
    /// assert_eq!(near.write_timeout()?, Some(Duration::from_secs(30)));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        self.shared.socket.write_timeout()
    }

    /// Moves the stream into or out of non-blocking mode, in which reads and writes fail with
    /// `WouldBlock` instead of waiting. By default they wait.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`TcpStream::set_nonblocking`].
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// use std::io::{ErrorKind, Read};
    /// use i2p_sam::SamStream;
    ///
    /// let (mut near, _far) = SamStream::pair()?;
    /// near.set_nonblocking(true)?;
    /// assert_eq!(near.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.shared.socket.set_nonblocking(nonblocking)
    }

    /// Sets `TCP_NODELAY`: if true, the default, small writes go to the bridge at once. It does not
    /// change how the router handles them.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`TcpStream::set_nodelay`].
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.shared.socket.set_nodelay(nodelay)
    }

    /// Returns true if small writes go to the bridge at once.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`TcpStream::nodelay`].
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// # let server = bridge.session().stream()?;
    /// # let listener = server.listener()?;
    /// let stream = bridge.session().stream()?.connect(server.destination())?;
    /// assert!(stream.nodelay()?);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn nodelay(&self) -> io::Result<bool> {
        self.shared.socket.nodelay()
    }

    /// Takes the pending error of the socket, as [`TcpStream::take_error`] does.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`TcpStream::take_error`].
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// use i2p_sam::SamStream;
    ///
    /// let (near, _far) = SamStream::pair()?;
    /// near.set_nonblocking(true)?;
    /// if let Some(error) = near.take_error()? {
    ///     eprintln!("the connection failed: {error}");
    /// }
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.shared.socket.take_error()
    }
}

impl Read for &SamStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let outcome = self.reader().read(buf);
        self.read_outcome(outcome, !buf.is_empty())
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let outcome = self.reader().read_vectored(bufs);
        self.read_outcome(outcome, bufs.iter().any(|buf| !buf.is_empty()))
    }
}

impl Write for &SamStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_outcome((&*self.shared.socket).write(buf))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_outcome((&*self.shared.socket).write_vectored(bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for SamStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }
}

impl Write for SamStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Shows the addresses of both sides.
impl fmt::Debug for SamStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SamStream")
            .field("peer_addr", &format_args!("{}", self.shared.peer))
            .field("local_addr", &format_args!("{}", self.shared.local))
            .finish_non_exhaustive()
    }
}

#[cfg(unix)]
mod unix {
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

    use super::SamStream;

    impl AsFd for SamStream {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.shared.socket.as_fd()
        }
    }

    impl AsRawFd for SamStream {
        fn as_raw_fd(&self) -> RawFd {
            self.shared.socket.as_raw_fd()
        }
    }
}

#[cfg(windows)]
mod windows {
    use std::os::windows::io::{AsRawSocket, AsSocket, BorrowedSocket, RawSocket};

    use super::SamStream;

    /// The read time-out of the socket itself is at most 100 ms; [`SamStream::into_parts`] returns it with the one
    /// that was set.
    impl AsSocket for SamStream {
        fn as_socket(&self) -> BorrowedSocket<'_> {
            self.shared.socket.as_socket()
        }
    }

    impl AsRawSocket for SamStream {
        fn as_raw_socket(&self) -> RawSocket {
            self.shared.socket.as_raw_socket()
        }
    }
}
