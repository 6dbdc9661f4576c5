use std::fmt;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::address::{I2pAddr, ToI2pAddr};
use crate::error::{Error, Phase};
use crate::stream::{ConnectOptions, SamStream, StreamSession};
use crate::sync::{Target, lock};

use super::bridge::TestBridge;

/// Two streams that are connected to each other, and the sessions that they belong to.
///
/// [`SamStream::pair`] is the short form. This one also has ports, and can lose a session.
///
/// ```
/// use std::io::Read;
/// use i2p_sam::testing::StreamPair;
///
/// let mut pair = StreamPair::with_ports(1111, 80)?;
/// assert_eq!(pair.far.local_port(), Some(80));
/// pair.lose_near();
/// let mut rest = Vec::new();
/// pair.far.read_to_end(&mut rest)?;
/// assert!(pair.near.loss().is_some() && pair.far.loss().is_none());
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
    pub fn new() -> Result<Self, Error> {
        Self::with_ports(0, 0)
    }

    /// Connects two streams with these I2CP ports: the one that is dialled from, and the one that is
    /// dialled. Port 0 is no port.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Io`] if the system refuses a port, a descriptor or a thread.
    pub fn with_ports(from_port: u16, to_port: u16) -> Result<Self, Error> {
        let (client, server) = (session()?, session()?);
        let listener = server.listener()?;
        let options = ConnectOptions::new().from_port(from_port);
        let address = I2pAddr::from(server.destination()).with_port(to_port);
        let near = client.connect_with(&address, &options)?;
        let (far, _) = listener.accept()?;
        Ok(Self { near, far })
    }

    /// Ends the session of the near side, as a bridge does that loses it: both streams end, and
    /// [`loss`](SamStream::loss) of this side reports it when this returns.
    pub fn lose_near(&self) {
        lose(&self.near);
    }

    /// Ends the session of the far side.
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
    /// All pairs of a process share one [`TestBridge`], which starts with the first. A stream of a pair
    /// behaves as one of [Java I2P](super::Profile::Java) does: there is no half-close.
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
        let session = session()?;
        let local = I2pAddr::from(session.destination());
        let guard = session.guard();
        let socket = Arc::new(socket);
        let lifetime = guard.core().lifetime();
        let registration = lifetime.register(Target::socket(&socket)).ok();
        Ok(Self::new(socket, registration, guard, peer, local))
    }
}

/// The time in which the last bytes of a dropped stream arrive.
const LINGER: Duration = Duration::from_secs(1);

/// Returns the bridge of all pairs. It lives as long as the process, so that it outlives every stream.
fn bridge() -> Result<Arc<TestBridge>, Error> {
    static BRIDGE: Mutex<Option<Arc<TestBridge>>> = Mutex::new(None);
    let mut bridge = lock(&BRIDGE);
    if let Some(running) = &*bridge {
        return Ok(Arc::clone(running));
    }
    let phase = Phase::Connect;
    let started = TestBridge::start().map_err(|source| Error::Io { phase, source })?;
    let started = Arc::new(started);
    *bridge = Some(Arc::clone(&started));
    Ok(started)
}

fn session() -> Result<StreamSession, Error> {
    let builder = bridge()?.bridge().session().pending_accepts(1);
    builder.linger(LINGER).stream()
}

fn lose(stream: &SamStream) {
    let Some(own) = stream.local_addr().destination() else {
        return;
    };
    if !bridge().is_ok_and(|bridge| bridge.lose_session(own)) {
        return;
    }
    // A program learns of the loss some time after the end of its streams; a test need not wait for it.
    for _ in 0..LOOKS {
        if stream.loss().is_some() {
            return;
        }
        thread::sleep(LOOK);
    }
}

/// The time between two looks if a loss was reported, and the most of them.
const LOOK: Duration = Duration::from_millis(1);
const LOOKS: u32 = 5000;
