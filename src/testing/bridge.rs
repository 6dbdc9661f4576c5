use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::address::{Destination, HostName};
use crate::bridge::SamBridge;
use crate::sync::{lock, spawn, spawn_for_program};

use super::datagrams;
use super::fault::Fault;
use super::link::Link;
use super::profile::Profile;
use super::random::{Random, some_seed};
use super::router::Router;
use super::service;
use super::sessions;
use super::state::{Host, State};

/// The default speed of the clocks.
const SPEED: u32 = 100;

/// A SAM bridge inside the process, on a port of its own on loopback, for tests without a router.
///
/// It speaks SAM 3.3 as one of the [profiles](Profile) does: sessions of every style, primary sessions with
/// subsessions, accepts, dials and forwardings between its own sessions, datagrams by UDP and on the control
/// socket, keys, names, users, `PING`. There is no network behind it, and no cryptography: its keys are
/// well-formed and protect nothing.
///
/// It ends when it is dropped: its connections close as those of a router that is killed.
///
/// ```
/// use std::io::{Read, Write};
/// use i2p_sam::testing::TestBridge;
///
/// let bridge = TestBridge::start()?;
/// let server = bridge.bridge().session().stream()?;
/// let listener = server.listener()?;
/// let client = bridge.bridge().session().stream()?;
///
/// let mut near = client.connect(server.destination())?;
/// let (mut far, peer) = listener.accept()?;
/// assert_eq!(peer.destination(), Some(client.destination()));
/// near.write_all(b"hello")?;
/// let mut text = [0; 5];
/// far.read_exact(&mut text)?;
/// assert_eq!(&text, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TestBridge {
    router: Arc<Router>,
    address: SocketAddr,
    udp_address: SocketAddr,
    bridge: SamBridge,
    seed: u64,
}

impl TestBridge {
    /// Starts a bridge that behaves like [Java I2P](Profile::Java), with clocks that are 100 times faster.
    ///
    /// # Errors
    ///
    /// Returns the errors of the system if no port can be opened or no thread be started.
    ///
    /// ```
    /// use i2p_sam::testing::TestBridge;
    ///
    /// let router = TestBridge::start()?;
    /// assert!(router.bridge().version().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// Returns a builder, for another profile, seed or speed.
    ///
    /// ```
    /// use i2p_sam::testing::{Profile, TestBridge};
    ///
    /// let router = TestBridge::builder().profile(Profile::I2pd).start()?;
    /// assert_eq!(router.profile(), Profile::I2pd);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder() -> TestBridgeBuilder {
        TestBridgeBuilder::default()
    }

    /// Returns the address of the bridge for TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address to which datagrams are sent.
    pub fn udp_address(&self) -> SocketAddr {
        self.udp_address
    }

    /// Returns the router that the bridge behaves like.
    pub fn profile(&self) -> Profile {
        self.router.profile
    }

    /// Returns a [`SamBridge`] for this bridge, with the default time-outs and without a user.
    pub fn bridge(&self) -> SamBridge {
        self.bridge.clone()
    }

    /// Adds a name to the address book of the router. A name that is there already gets another
    /// destination.
    ///
    /// ```
    /// use i2p_sam::testing::TestBridge;
    ///
    /// let router = TestBridge::start()?;
    /// let site = router.bridge().session().stream()?;
    /// router.add_host(&"site.i2p".parse()?, site.destination());
    /// assert_eq!(router.bridge().lookup("site.i2p")?, *site.destination());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add_host(&self, name: &HostName, destination: &Destination) {
        self.add_host_with(name, destination, &[]);
    }

    /// Adds a name whose lease set has options, such as the [service
    /// record](crate::ServiceRecord) `("_smtp._tcp", "0 86400 25")`.
    ///
    /// ```
    /// use i2p_sam::testing::TestBridge;
    ///
    /// let router = TestBridge::start()?;
    /// let mail = router.bridge().session().stream()?;
    /// router.add_host_with(&"mail.i2p".parse()?, mail.destination(), &[("_smtp._tcp", "0 86400 25")]);
    /// assert_eq!(router.bridge().lookup_record("mail.i2p")?.services().count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add_host_with(
        &self,
        name: &HostName,
        destination: &Destination,
        options: &[(&str, &str)],
    ) {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let host = Host {
            destination: destination.clone(),
            options: options.iter().map(own).collect(),
        };
        self.router.state.update(|state| {
            state.hosts.insert(name.as_str().to_owned(), host);
        });
    }

    /// Returns the commands that have arrived, without their line ends, in the order of their arrival. They
    /// contain private keys and passwords.
    pub fn commands(&self) -> Vec<String> {
        self.router.state.lock().commands.clone()
    }

    /// Returns the number of connections so far, open and closed.
    pub fn connections(&self) -> usize {
        self.router.state.lock().connections
    }

    /// Returns the number of open connections.
    pub fn open_connections(&self) -> usize {
        self.router.state.lock().open_links().len()
    }

    /// Commits a fault for the next command that begins with these words, such as `"STREAM CONNECT"`,
    /// `"HELLO"`, or `""` for any. Datagrams by UDP begin with `3.`: any fault loses them.
    ///
    /// ```
    /// use i2p_sam::testing::{Fault, TestBridge};
    ///
    /// let router = TestBridge::start()?;
    /// router.inject("NAMING LOOKUP", Fault::close());
    /// assert!(router.bridge().lookup("site.i2p").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn inject(&self, start: &str, fault: Fault) {
        self.router.state.lock().faults.add(start, fault, true);
    }

    /// Commits a fault for every command that begins with these words.
    ///
    /// ```
    /// use i2p_sam::testing::{Fault, TestBridge};
    ///
    /// let router = TestBridge::start()?;
    /// router.inject_each("HELLO", Fault::close());
    /// assert!(router.bridge().version().is_err());
    /// assert!(router.bridge().version().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn inject_each(&self, start: &str, fault: Fault) {
        self.router.state.lock().faults.add(start, fault, false);
    }

    /// Removes the faults that wait for a command. Connections that are split or will be cut remain so.
    ///
    /// ```
    /// use i2p_sam::testing::{Fault, TestBridge};
    ///
    /// let router = TestBridge::start()?;
    /// router.inject_each("HELLO", Fault::close());
    /// router.clear_faults();
    /// assert!(router.bridge().version().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn clear_faults(&self) {
        self.router.state.lock().faults.clear();
    }

    /// Ends the session of a destination, as a router does that loses it: its control socket closes, and so
    /// do its streams. Returns false if there is none.
    ///
    /// ```
    /// use i2p_sam::testing::TestBridge;
    ///
    /// let router = TestBridge::start()?;
    /// let session = router.bridge().session().stream()?;
    /// assert!(router.lose_session(session.destination()));
    /// session.wait_closed(None)?;
    /// assert!(!router.lose_session(session.destination()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lose_session(&self, destination: &Destination) -> bool {
        let lost = {
            let state = self.router.state.lock();
            let mut sessions = state.sessions.iter();
            let own = sessions
                .find(|session| session.parent.is_none() && session.destination == *destination);
            own.map(|session| (session.serial, Arc::clone(&session.control)))
        };
        let Some((serial, control)) = lost else {
            return false;
        };
        sessions::end(&self.router, serial, true);
        control.close();
        true
    }

    /// Ends the router behind the bridge. Java's bridge goes on, and the client learns of it late, until
    /// [`restore_router`](Self::restore_router) no session can be created; the bridges of the other routers are
    /// part of them and [stop](Self::stop).
    ///
    /// ```
    /// use i2p_sam::testing::TestBridge;
    ///
    /// let router = TestBridge::start()?;
    /// router.lose_router();
    /// assert!(router.bridge().version().is_ok());
    /// assert!(router.bridge().session().stream().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lose_router(&self) {
        if !self.router.facts.sessions.bridge_outlives_router {
            return self.stop();
        }
        let accepts = self.router.state.update(|state| {
            state.router_gone = true;
            let mut ended = Vec::new();
            for session in &mut state.sessions {
                session.lost = true;
                // This was recorded for sessions alone, not for subsessions.
                ended.extend(session.accepts.pop_front().map(|accept| accept.link));
            }
            ended
        });
        accepts.iter().for_each(|link| link.close());
    }

    /// Brings the router back behind the bridge: sessions can be created again. Those of before stay lost.
    ///
    /// ```
    /// use i2p_sam::testing::TestBridge;
    ///
    /// let router = TestBridge::start()?;
    /// router.lose_router();
    /// router.restore_router();
    /// assert!(router.bridge().session().stream().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn restore_router(&self) {
        self.router.state.update(|state| state.router_gone = false);
    }

    /// Ends the process of the router: all connections close, and its port refuses connections.
    ///
    /// ```
    /// use i2p_sam::testing::TestBridge;
    ///
    /// let router = TestBridge::start()?;
    /// let session = router.bridge().session().stream()?;
    /// router.stop();
    /// session.wait_closed(None)?;
    /// assert!(router.bridge().version().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stop(&self) {
        self.router.state.update(|state| state.running = false);
        // A client that loses its connection finds the port closed, as if the process had ended.
        self.close_port();
        self.router.close_all();
    }

    /// Starts the router again at the same address, without its sessions.
    ///
    /// # Errors
    ///
    /// Returns the errors of the system if another program has taken a port meanwhile.
    ///
    /// ```
    /// use i2p_sam::testing::TestBridge;
    ///
    /// let router = TestBridge::start()?;
    /// let session = router.bridge().session().healing()?;
    /// router.stop();
    /// router.restart()?;
    /// let listener = session.listener()?;
    /// # drop(listener);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn restart(&self) -> io::Result<()> {
        self.stop();
        let mut tries = 0;
        let (listener, udp) = loop {
            // A child process that another thread starts has the old sockets until it runs its program.
            match self.bind_again() {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries < REBINDS => {
                    tries += 1;
                    thread::sleep(LOOK);
                }
                outcome => break outcome?,
            }
        };
        self.run(listener, udp)
    }

    /// Stops the process of the router as a suspended computer does: connections stay open, and nothing
    /// moves until [`resume`](Self::resume).
    ///
    /// ```
    /// use std::time::Duration;
    /// use i2p_sam::SamBridge;
    /// use i2p_sam::testing::TestBridge;
    ///
    /// let router = TestBridge::start()?;
    /// let bridge = SamBridge::builder()
    ///     .address(router.address().to_string())
    ///     .hello_timeout(Some(Duration::from_millis(50)))
    ///     .build()?;
    /// router.pause();
    /// assert!(bridge.version().is_err_and(|error| error.is_timeout()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pause(&self) {
        self.router.paused.update(|paused| *paused = true);
    }

    /// Lets a paused router go on.
    ///
    /// ```
    /// use i2p_sam::testing::TestBridge;
    ///
    /// let router = TestBridge::start()?;
    /// router.pause();
    /// router.resume();
    /// assert!(router.bridge().version().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resume(&self) {
        self.router.paused.update(|paused| *paused = false);
    }

    fn close_port(&self) {
        // The threads that hold the ports look at each connection and each packet if the router runs. A child
        // process that another thread starts has the ports as well until it runs its program.
        for _ in 0..REBINDS {
            let refused = TcpStream::connect(self.address).is_err();
            let over = self.router.state.lock().port_threads == 0;
            if refused && over {
                return;
            }
            let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
            let _ = udp.and_then(|udp| udp.send_to(&[], self.udp_address));
            thread::sleep(LOOK);
        }
    }

    fn bind_again(&self) -> io::Result<(TcpListener, UdpSocket)> {
        let listener = TcpListener::bind(self.address)?;
        Ok((listener, UdpSocket::bind(self.udp_address)?))
    }

    fn run(&self, listener: TcpListener, udp: UdpSocket) -> io::Result<()> {
        let udp = Arc::new(udp);
        self.router.state.update(|state| state.running = true);
        *lock(&self.router.udp) = Some(Arc::clone(&udp));
        self.hold_port("i2p-sam-test-datagrams", move |router| {
            datagrams::receive(router, &udp);
        })?;
        self.hold_port("i2p-sam-test-bridge", move |router| {
            accept(router, &listener)
        })
    }

    /// Starts a thread that holds a port until the router stops.
    fn hold_port(
        &self,
        name: &str,
        work: impl FnOnce(&Arc<Router>) + Send + 'static,
    ) -> io::Result<()> {
        let router = Arc::clone(&self.router);
        router.state.lock().port_threads += 1;
        let started = spawn(name, move || {
            work(&router);
            router.state.update(|state| state.port_threads -= 1);
        });
        if started.is_err() {
            self.router.state.lock().port_threads -= 1;
        }
        started
    }
}

impl Drop for TestBridge {
    fn drop(&mut self) {
        self.stop();
        if thread::panicking() {
            // The only print of the crate: a failing test needs the seed to fail again.
            #[allow(clippy::print_stderr)]
            {
                eprintln!("the test bridge ran with .seed({})", self.seed);
            }
        }
    }
}

impl fmt::Debug for TestBridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestBridge")
            .field("address", &self.address)
            .field("profile", &self.profile())
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

/// Starts a [`TestBridge`].
///
/// ```
/// use i2p_sam::testing::{Profile, TestBridge};
///
/// let bridge = TestBridge::builder()
///     .profile(Profile::Emissary)
///     .user("alice", "secret")
///     .speed(1000)
///     .start()?;
/// assert_eq!(bridge.profile(), Profile::Emissary);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct TestBridgeBuilder {
    profile: Profile,
    seed: Option<u64>,
    speed: u32,
    users: BTreeMap<String, String>,
}

impl Default for TestBridgeBuilder {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            seed: None,
            speed: SPEED,
            users: BTreeMap::new(),
        }
    }
}

/// Shows no password.
impl fmt::Debug for TestBridgeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestBridgeBuilder")
            .field("profile", &self.profile)
            .field("seed", &self.seed)
            .field("speed", &self.speed)
            .finish_non_exhaustive()
    }
}

impl TestBridgeBuilder {
    /// Sets the router that the bridge behaves like. Default: [`Profile::Java`].
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Sets the seed of the keys, of the sizes and pauses of [`Fault::split`], and of the times that routers
    /// take by chance. A test that panics prints it. Default: another one for each
    /// bridge.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets how many times faster than a real router's the clocks are: with 100, Java I2P sends `PING` after
    /// 1.8 s instead of 180. 0 counts as 1. Default: 100.
    ///
    /// Two times are not scaled, because the library looks at the clock as well: i2pd holds a key for 5 s,
    /// and takes 2.1 s at least for a session with a given key.
    pub fn speed(mut self, speed: u32) -> Self {
        self.speed = speed.max(1);
        self
    }

    /// Requires a user name and a password, of which this is one pair. Only [Java](Profile::Java) does.
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.users.insert(name.to_owned(), password.to_owned());
        self
    }

    /// Starts the bridge.
    ///
    /// # Errors
    ///
    /// Returns the errors of the system if no port can be opened or no thread be started.
    ///
    /// ```
    /// use i2p_sam::testing::TestBridge;
    ///
    /// let router = TestBridge::builder().speed(1000).start()?;
    /// assert!(router.bridge().version().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn start(self) -> io::Result<TestBridge> {
        let (listener, udp) = bind()?;
        let seed = self.seed.unwrap_or_else(some_seed);
        let router = Router::new(self.profile, self.speed, seed);
        router.state.update(|state: &mut State| {
            state.users_required = router.facts.hello.users && !self.users.is_empty();
            state.users = self.users;
        });
        let (address, udp_address) = (listener.local_addr()?, udp.local_addr()?);
        let bridge = SamBridge::builder()
            .address(address.to_string())
            .udp_address(udp_address.to_string())
            .build();
        let bridge = TestBridge {
            router,
            address,
            udp_address,
            bridge: bridge.map_err(io::Error::other)?,
            seed,
        };
        bridge.run(listener, udp)?;
        Ok(bridge)
    }
}

/// The ports of bridges. The systems give connections ports above these, so that no connection takes the port
/// of a bridge that restarts.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Number of looks if the ports of a bridge are closed, and if they can be opened again, and the time between
/// two of them.
const REBINDS: usize = 500;
const LOOK: Duration = Duration::from_millis(2);

/// Number of ports that are tried.
const TRIED: usize = 64;

/// Opens the two ports of a bridge.
fn bind() -> io::Result<(TcpListener, UdpSocket)> {
    let mut random = Random::new(some_seed());
    let mut next = || PORTS.start + random.below(PORTS.len() as u64) as u16;
    let mut tries = (0..TRIED).map(|_| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, next()))?;
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, listener.local_addr()?.port()))?;
        Ok((listener, udp))
    });
    match tries.find_map(io::Result::ok) {
        Some(sockets) => Ok(sockets),
        None => Ok((
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
            UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?,
        )),
    }
}

/// Serves every connection on a thread of its own, until the router stops.
fn accept(router: &Arc<Router>, listener: &TcpListener) {
    for socket in listener.incoming() {
        let link = router.state.update(|state| {
            if !state.running {
                return None;
            }
            let random = Random::new(state.random.next());
            let socket = socket.ok()?;
            let link = Link::new(socket, state.connections, &router.paused, random);
            state.connections += 1;
            state.links.push(Arc::downgrade(&link));
            Some(link)
        });
        let Some(link) = link else {
            if router.state.lock().running {
                // The system has no descriptor left.
                thread::sleep(Duration::from_millis(10));
                continue;
            }
            return;
        };
        let owner = Arc::clone(router);
        // A connection for which there is no thread closes.
        let _ = spawn_for_program("i2p-sam-test-client", move || service::serve(owner, link));
    }
}
