//! Real i2pd routers for the tests: each is a child process of its own, offline, on loopback.
//!
//! `fetch-i2pd`, in the same folder, provides the programs. Without them `find_old` and `find_new` return
//! `None`, and the test decides if that is a reason to be skipped or to fail.
//!
//! This file does not use the library under test, so that a fault there cannot hide here.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "what a router can be told is written down once, used or not"
)]

use std::env;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The variable that names the program of the old router. It takes precedence over every other place.
pub const OLD_VARIABLE: &str = "I2P_SAM_TEST_I2PD_OLD";

/// The variable that names the program of the new router. It takes precedence over every other place.
pub const NEW_VARIABLE: &str = "I2P_SAM_TEST_I2PD_NEW";

/// Longest time until a router replies to HELLO. It takes 50 ms on an idle machine.
const READY_DEADLINE: Duration = Duration::from_secs(20);

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Longest wait of one check if the router is ready.
const POLL_PATIENCE: Duration = Duration::from_secs(1);

/// A router that does not reply to HELLO for this long has stopped.
pub(crate) const SILENCE: Duration = Duration::from_secs(20);

/// Another process can bind a free port after we find it and before i2pd binds it.
const PORT_ATTEMPTS: u32 = 5;

/// Each stream takes two descriptors of the router. i2pd asks the system for this many, and continues
/// without them if it gets no more than it had.
const DESCRIPTORS: u16 = 8192;

const OLD_SERIES: &str = "2.45.";

/// Any network except 2, the real one: routers of different networks refuse each other.
const NETWORK: u8 = 77;

const OLD_OPTIONS: &[(&str, &str)] = &[
    ("inbound.length", "0"),
    ("outbound.length", "0"),
    ("inbound.quantity", "1"),
    ("outbound.quantity", "1"),
    // 2.45 misreads its own floodfill's copy of a second-generation lease set ("Identity length 391 exceeds
    // buffer size"): CONNECT succeeds with OK, and not a byte arrives.
    ("i2cp.leaseSetType", "1"),
    ("i2cp.leaseSetEncType", "0"),
];

const NEW_OPTIONS: &[(&str, &str)] = &[
    ("inbound.length", "0"),
    ("outbound.length", "0"),
    ("inbound.quantity", "1"),
    ("outbound.quantity", "1"),
    ("i2cp.leaseSetEncType", "4"),
];

/// An i2pd program found on this machine. It does not run yet.
#[derive(Clone, Debug)]
pub struct Installation {
    program: PathBuf,
    version: String,
}

impl Installation {
    /// Returns the release, such as `2.56.0`; empty if the program did not print it.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns the path of the executable.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Returns the SESSION CREATE options with which two sessions of one such router reach each other. They
    /// differ between the releases, and no others are known to work on 2.45.
    ///
    /// SESSION CREATE takes 3 to 12 s with them on 2.56 and 20 s on 2.45, for any number of sessions
    /// created at the same time.
    pub fn session_options(&self) -> &'static [(&'static str, &'static str)] {
        if self.version().starts_with(OLD_SERIES) {
            return OLD_OPTIONS;
        }
        NEW_OPTIONS
    }

    /// Starts a router on free loopback ports with a data folder of its own, and waits until its
    /// bridge answers HELLO.
    ///
    /// # Errors
    ///
    /// Fails if the program cannot be run, stops, or does not reply in time; the message ends with the last
    /// output of the router.
    pub fn start(&self) -> io::Result<I2pd> {
        self.start_with_hosts("")
    }

    /// Starts a router whose address book contains these lines, `name=destination`.
    ///
    /// # Errors
    ///
    /// Those of [`start`](Self::start).
    pub fn start_with_hosts(&self, hosts: &str) -> io::Result<I2pd> {
        let mut failure = None;
        for _ in 0..PORT_ATTEMPTS {
            let home = Home::create()?;
            let ports = Ports::free()?;
            fs::write(home.config(), ports.configuration())?;
            fs::write(home.tunnels(), "")?;
            fs::write(home.hosts(), hosts)?;
            match launch(&self.program, &home, ports) {
                Ok(child) => {
                    return Ok(I2pd {
                        installation: self.clone(),
                        child: Mutex::new(child),
                        home,
                        ports,
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => failure = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(failure.unwrap_or_else(|| io::Error::other("no attempt was made")))
    }

    fn at(program: PathBuf) -> Self {
        let version = version_of(&program).unwrap_or_default();
        Self { program, version }
    }

    /// A variable that names a broken program must fail in `start`, not skip tests silently, so its value
    /// is not checked here.
    fn from_variable(name: &str) -> Option<Self> {
        let program = env::var_os(name).filter(|value| !value.is_empty())?;
        Some(Self::at(PathBuf::from(program)))
    }

    fn fetched(which: &str) -> Option<Self> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("target/routers")
            .join(which)
            .join("run");
        program.is_file().then(|| Self::at(program))
    }

    fn on_path() -> Option<Self> {
        let found = Self::at(PathBuf::from("i2pd"));
        found.version.starts_with(OLD_SERIES).then_some(found)
    }
}

/// A running i2pd with a SAM bridge. When it is dropped, it kills the process and removes its data.
#[derive(Debug)]
pub struct I2pd {
    installation: Installation,
    child: Mutex<Child>,
    home: Home,
    ports: Ports,
}

impl I2pd {
    /// Finds i2pd 2.45: the program named by [`OLD_VARIABLE`], else the one fetched into
    /// `target/routers/old`, else `i2pd` on PATH if it is a 2.45.
    pub fn find_old() -> Option<Installation> {
        Installation::from_variable(OLD_VARIABLE)
            .or_else(|| Installation::fetched("old"))
            .or_else(Installation::on_path)
    }

    /// Finds i2pd 2.56 or later: the program named by [`NEW_VARIABLE`], else the one fetched into
    /// `target/routers/new`.
    pub fn find_new() -> Option<Installation> {
        Installation::from_variable(NEW_VARIABLE).or_else(|| Installation::fetched("new"))
    }

    /// Returns the TCP address of the SAM bridge.
    pub fn sam_address(&self) -> SocketAddr {
        loopback(self.ports.sam)
    }

    /// Returns the UDP address of the SAM bridge: one port below the SAM port, i2pd's own default.
    pub fn udp_address(&self) -> SocketAddr {
        loopback(self.ports.udp)
    }

    /// Returns the release, such as `2.45.1`.
    pub fn version(&self) -> &str {
        self.installation.version()
    }

    /// Returns the [options](Installation::session_options) with which two sessions of this router reach each
    /// other.
    pub fn session_options(&self) -> &'static [(&'static str, &'static str)] {
        self.installation.session_options()
    }

    /// Returns the id of its process.
    pub fn id(&self) -> u32 {
        self.child().id()
    }

    /// Returns how the process ended, if it has ended; some commands crash i2pd.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.child().try_wait().ok().flatten()
    }

    /// Returns true if the bridge replies to HELLO. It gets more time than any load needs.
    pub fn answers(&self) -> bool {
        greets(self.sam_address(), SILENCE).unwrap_or(false)
    }

    /// Returns the end of the router's log and output, for the message of a failing test.
    pub fn log_tail(&self) -> String {
        self.home.tail()
    }

    /// Kills the router with SIGKILL and waits until it has ended. Its ports then refuse connections.
    pub fn kill(&self) {
        let mut child = self.child();
        // Both fail only if the process has ended already, which is the goal.
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Kills the router if it still runs, and starts it again with the same ports and data.
    ///
    /// # Errors
    ///
    /// Those of [`Installation::start`]; also if another process has bound one of the ports meanwhile.
    pub fn restart(&self) -> io::Result<()> {
        self.kill();
        self.home.forget_log()?;
        *self.child() = launch(&self.installation.program, &self.home, self.ports)?;
        Ok(())
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for I2pd {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The ports of one router.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    router: u16,
    sam: u16,
    udp: u16,
}

impl Ports {
    pub(crate) fn free() -> io::Result<Self> {
        // 2.45 cannot be configured with a datagram port, and uses the one below SAM's. Newer releases do
        // the same if none is configured.
        for _ in 0..100 {
            let listener = TcpListener::bind(loopback(0))?;
            let sam = listener.local_addr()?.port();
            let udp = sam.saturating_sub(1);
            if UdpSocket::bind(loopback(udp)).is_err() {
                continue;
            }
            // Bound while the other port is bound, so that the two differ.
            let router = TcpListener::bind(loopback(0))?.local_addr()?.port();
            return Ok(Self { router, sam, udp });
        }
        Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "no free pair of ports for a router",
        ))
    }

    /// Returns a configuration with which the router connects only to loopback: no reseed, no clock
    /// servers, no port mapping, no transport except TCP bound to 127.0.0.1.
    ///
    /// The address book stays enabled, without a subscription, because 2.45 stores every peer's destination
    /// in it and crashes at the first stream if there is none.
    fn configuration(self) -> String {
        let Self { router, sam, .. } = self;
        format!(
            "ipv4 = true\nipv6 = false\nhost = 127.0.0.1\nport = {router}\nifname = lo\n\
             notransit = true\nfloodfill = true\nnat = false\nnetid = {NETWORK}\n\
             log = file\nloglevel = warn\n\
             [ntcp2]\nenabled = true\nport = {router}\n\
             [ssu2]\nenabled = false\n\
             [http]\nenabled = false\n\
             [httpproxy]\nenabled = false\n\
             [socksproxy]\nenabled = false\n\
             [bob]\nenabled = false\n\
             [i2cp]\nenabled = false\n\
             [i2pcontrol]\nenabled = false\n\
             [sam]\nenabled = true\naddress = 127.0.0.1\nport = {sam}\nsinglethread = true\n\
             [upnp]\nenabled = false\n\
             [nettime]\nenabled = false\n\
             [reseed]\nverify = false\nthreshold = 0\nurls =\nyggurls =\n\
             [addressbook]\nenabled = true\ndefaulturl =\nsubscriptions =\n\
             [persist]\nprofiles = false\n\
             [limits]\nopenfiles = {DESCRIPTORS}\n"
        )
    }
}

/// Shows `SAM UDP ROUTER`.
impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.sam, self.udp, self.router)
    }
}

/// The folder of one router. It is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Home(PathBuf);

impl Home {
    pub(crate) fn create() -> io::Result<Self> {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        loop {
            let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
            let path = env::temp_dir().join(format!("i2pd-{}-{serial}", process::id()));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self(path)),
                // A process with this id was killed before it could remove its folder.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn config(&self) -> PathBuf {
        self.0.join("i2pd.conf")
    }

    fn tunnels(&self) -> PathBuf {
        self.0.join("tunnels.conf")
    }

    pub(crate) fn hosts(&self) -> PathBuf {
        self.0.join("hosts.txt")
    }

    fn log(&self) -> PathBuf {
        self.0.join("i2pd.log")
    }

    pub(crate) fn output(&self) -> PathBuf {
        self.0.join("output")
    }

    /// Removes the log: a port that was in use once is in the log, and would count as the next start's
    /// failure.
    fn forget_log(&self) -> io::Result<()> {
        for file in [self.log(), self.output()] {
            fs::write(file, "")?;
        }
        Ok(())
    }

    fn text(&self) -> String {
        [self.output(), self.log()]
            .iter()
            .filter_map(|file| fs::read(file).ok())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .collect()
    }

    pub(crate) fn tail(&self) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        let skipped = lines.len().saturating_sub(30);
        lines
            .into_iter()
            .skip(skipped)
            .collect::<Vec<_>>()
            .join("\n")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // A file that stays in the temporary folder cannot be helped.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Reads the version: `i2pd version 2.45.1 (0.9.57)` -> `2.45.1`
fn version_of(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text
        .strip_prefix("i2pd version ")?
        .split_whitespace()
        .next()?;
    Some(version.to_owned())
}

fn launch(program: &Path, home: &Home, ports: Ports) -> io::Result<Child> {
    let mut child = spawn(program, home).map_err(|error| {
        explain(
            error.kind(),
            &format!("{}: {error}", program.display()),
            home,
        )
    })?;
    let outcome = await_bridge(&mut child, home, ports);
    if outcome.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
    outcome.map(|()| child)
}

fn spawn(program: &Path, home: &Home) -> io::Result<Child> {
    let output = File::options()
        .create(true)
        .append(true)
        .open(home.output())?;
    Command::new(program)
        .arg(option("datadir", &home.0))
        .arg(option("conf", &home.config()))
        .arg(option("tunconf", &home.tunnels()))
        .arg(option("logfile", &home.log()))
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
}

fn option(name: &str, value: &Path) -> std::ffi::OsString {
    let mut option = std::ffi::OsString::from(format!("--{name}="));
    option.push(value);
    option
}

/// Waits until the bridge replies: i2pd prints nothing when it is ready.
fn await_bridge(child: &mut Child, home: &Home, ports: Ports) -> io::Result<()> {
    let deadline = Instant::now() + READY_DEADLINE;
    loop {
        if let Some(status) = child.try_wait()? {
            let what = format!("i2pd ended at once: {status}");
            return Err(explain(io::ErrorKind::BrokenPipe, &what, home));
        }
        // i2pd continues to run without the ports that it could not bind.
        if home.text().contains("Address already in use") {
            return Err(explain(io::ErrorKind::AddrInUse, "a port was taken", home));
        }
        if is_ready(child.id(), ports) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let what = format!("no answer to HELLO within {} s", READY_DEADLINE.as_secs());
            return Err(explain(io::ErrorKind::TimedOut, &what, home));
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// Returns true if the bridge replies and our process holds the ports. A router of another test may reply
/// on a port that ours failed to bind.
fn is_ready(pid: u32, ports: Ports) -> bool {
    holds(pid, "tcp", ports.sam)
        && holds(pid, "tcp", ports.router)
        && holds(pid, "udp", ports.udp)
        && greets(loopback(ports.sam), POLL_PATIENCE).unwrap_or(false)
}

/// Returns true if the process has a socket bound to this loopback port.
fn holds(pid: u32, protocol: &str, port: u16) -> bool {
    let Ok(table) = fs::read_to_string(format!("/proc/{pid}/net/{protocol}")) else {
        // Only Linux has such a table; elsewhere the reply to HELLO must suffice.
        return !Path::new("/proc/self/net").exists();
    };
    let Ok(handles) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    let sockets = bound_sockets(&table, port);
    handles
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .any(|target| sockets.iter().any(|socket| target == Path::new(socket)))
}

/// Returns the sockets bound to 127.0.0.1:`port` and not connected, under the names of their handles.
fn bound_sockets(table: &str, port: u16) -> Vec<String> {
    let local = format!("0100007F:{port:04X}");
    table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|columns| columns.get(1) == Some(&local.as_str()))
        .filter(|columns| columns.get(2) == Some(&"00000000:0000"))
        .filter_map(|columns| columns.get(9).map(|inode| format!("socket:[{inode}]")))
        .collect()
}

pub(crate) fn greets(address: SocketAddr, patience: Duration) -> io::Result<bool> {
    let mut bridge = TcpStream::connect_timeout(&address, patience)?;
    bridge.set_read_timeout(Some(patience))?;
    bridge.set_write_timeout(Some(patience))?;
    bridge.write_all(b"HELLO VERSION MIN=3.1 MAX=3.3\n")?;
    let expected = b"HELLO REPLY RESULT=OK ";
    let mut reply = [0; 22];
    bridge.read_exact(&mut reply)?;
    Ok(&reply == expected)
}

fn explain(kind: io::ErrorKind, what: &str, home: &Home) -> io::Error {
    io::Error::new(kind, format!("{what}\n{}", home.tail()))
}
