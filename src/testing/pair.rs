use std::fmt;
use std::net::TcpStream;

use crate::address::{I2pAddr, ToI2pAddr};
use crate::error::{Error, SessionLoss};
use crate::stream::{ConnectOptions, SamStream};

use super::shared::{Sessions, SharedBridge};

/// Two streams that are connected to each other, and the sessions that they belong to.
///
/// [`SamStream::pair`] is the short form. This one also has ports, and can lose a session: of a stream that a
/// handler takes by value, keep the pair and give it a [clone](SamStream::try_clone).
///
/// ```
/// use std::io;
/// use std::thread;
/// use i2p_sam::SamStream;
/// use i2p_sam::testing::StreamPair;
///
/// /// The handler under test: returns true if it read all that its peer sent.
/// fn receive(stream: SamStream) -> io::Result<bool> {
///     io::copy(&mut &stream, &mut io::sink())?;
///     Ok(stream.loss().is_none())
/// }
///
/// let pair = StreamPair::with_ports(1111, 80)?;
/// assert_eq!(pair.far.local_port(), Some(80));
/// let far = pair.far.try_clone()?;
/// let handler = thread::spawn(move || receive(far));
/// pair.lose_far();
/// assert!(!handler.join().unwrap()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct StreamPair {
    /// The side that dialled.
    pub near: SamStream,
    /// The side that accepted.
    pub far: SamStream,
}

impl StreamPair {
    /// Connects two streams, without ports.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Io`] if the system refuses a port, a descriptor or a thread.
    ///
    /// ```
    /// let pair = i2p_sam::testing::StreamPair::new()?;
    /// assert_eq!((pair.near.peer_port(), pair.far.peer_port()), (None, None));
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn new() -> Result<Self, Error> {
        Self::with_ports(0, 0)
    }

    /// Connects two streams with these I2CP ports: the one that is dialled from, and the one that is
    /// dialled. Port 0 is no port.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Io`] if the system refuses a port, a descriptor or a thread.
    ///
    /// ```
    /// let pair = i2p_sam::testing::StreamPair::with_ports(1111, 80)?;
    /// assert_eq!((pair.near.peer_port(), pair.far.peer_port()), (Some(80), Some(1111)));
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn with_ports(from_port: u16, to_port: u16) -> Result<Self, Error> {
        let bridge = SharedBridge::get()?;
        let (client, server) = (bridge.session()?, bridge.session()?);
        let listener = server.listener()?;
        let options = ConnectOptions::new().from_port(from_port);
        let address = I2pAddr::from(server.destination()).with_port(to_port);
        let near = client.connect_with(&address, &options)?;
        let (far, _) = listener.accept()?;
        let sessions = Sessions::new(bridge, &[&client, &server]);
        Ok(Self {
            near: sessions.keep(near)?,
            far: sessions.keep(far)?,
        })
    }

    /// Ends the session of the near side, as a bridge does that loses it: both streams end, and
    /// [`loss`](SamStream::loss) of this side reports it before a read returns the end.
    ///
    /// ```
    /// use std::io;
    /// use i2p_sam::testing::StreamPair;
    ///
    /// let pair = StreamPair::new()?;
    /// pair.lose_near();
    /// assert_eq!(io::read_to_string(&pair.far)?, "");
    /// assert!(pair.near.loss().is_some() && pair.far.loss().is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lose_near(&self) {
        lose(&self.near);
    }

    /// Ends the session of the far side, like [`lose_near`](Self::lose_near).
    ///
    /// ```
    /// let pair = i2p_sam::testing::StreamPair::new()?;
    /// pair.lose_far();
    /// assert!(pair.far.loss().is_some() && pair.near.loss().is_none());
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn lose_far(&self) {
        lose(&self.far);
    }
}

impl fmt::Debug for StreamPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamPair")
            .field("near", &self.near)
            .field("far", &self.far)
            .finish()
    }
}

/// For tests of programs that use streams: feature `testing`.
impl SamStream {
    /// Returns two streams that are connected to each other, for the test of a handler. Each has the other's
    /// destination as its peer.
    ///
    /// A stream of a pair behaves as one of [Java I2P](super::Profile::Java) does: there is no half-close.
    /// All pairs share one [`TestBridge`](super::TestBridge), which runs while there is one. A pair takes some
    /// milliseconds, and ten descriptors until both its streams are dropped.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Io`] if the system refuses a port, a descriptor or a thread.
    ///
    /// ```
    /// use std::io::{self, BufRead, BufReader, Write};
    /// use i2p_sam::SamStream;
    ///
    /// fn greet(stream: SamStream) -> io::Result<()> {
    ///     let mut name = String::new();
    ///     BufReader::new(&stream).read_line(&mut name)?;
    ///     write!(&stream, "Hello, {name}")
    /// }
    ///
    /// let (near, far) = SamStream::pair()?;
    /// (&near).write_all(b"Alice\n")?;
    /// greet(far)?;
    /// let mut answer = String::new();
    /// BufReader::new(&near).read_line(&mut answer)?;
    /// assert_eq!(answer, "Hello, Alice\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pair() -> Result<(Self, Self), Error> {
        let StreamPair { near, far } = StreamPair::new()?;
        Ok((near, far))
    }

    /// Makes a stream of a TCP connection, for the test of a handler whose other side is in the hands of
    /// the test. It belongs to a session of its own.
    ///
    /// # Errors
    ///
    /// Returns the errors of the address, and [`Error::Io`] if the system refuses a port, a descriptor or a
    /// thread.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use std::net::{TcpListener, TcpStream};
    /// use i2p_sam::SamStream;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let mut test = TcpStream::connect(listener.local_addr()?)?;
    /// let mut stream = SamStream::from_tcp(listener.accept()?.0, "peer.i2p:80")?;
    /// test.write_all(b"GET /")?;
    /// let mut request = [0; 5];
    /// stream.read_exact(&mut request)?;
    /// assert_eq!((&request, stream.peer_port()), (b"GET /", Some(80)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_tcp(socket: TcpStream, peer: impl ToI2pAddr) -> Result<Self, Error> {
        let peer = peer.to_i2p_addr()?;
        let bridge = SharedBridge::get()?;
        let session = bridge.session()?;
        let local = I2pAddr::from(session.destination());
        let sessions = Sessions::new(bridge, &[&session]);
        sessions.stream(&session.guard(), socket, local, peer)
    }
}

/// Breaks off the session on this side, and not at the bridge, so that the loss is known before a reader sees the
/// end.
fn lose(stream: &SamStream) {
    stream.core().control.fail(SessionLoss::Disconnected);
}
