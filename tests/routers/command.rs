//! Any other router, started by a command from the environment.

use std::env;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::i2pd::{Home, Ports, SILENCE, greets};
use crate::suite::Need;

/// The command that starts the router. If it is set, the suite runs on that router.
const COMMAND: &str = "SAM_ROUTER_COMMAND";

/// The name of the router in the names of the tests.
const NAME: &str = "SAM_ROUTER_NAME";

/// Options of SESSION CREATE with which two of its sessions reach each other: `NAME=VALUE …`.
const OPTIONS: &str = "SAM_ROUTER_OPTIONS";

/// The abilities that it lacks: names of [`Need`], separated by blanks or commas.
const CANNOT: &str = "SAM_ROUTER_CANNOT";

/// Longest time until the bridge of a router replies; Java needs a minute on a slow machine.
const READY: Duration = Duration::from_secs(180);

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A router that a command starts. It does not run yet.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    command: String,
    name: String,
    options: &'static [(&'static str, &'static str)],
    cannot: Vec<Need>,
}

impl Installation {
    /// Reads the variables of the environment.
    ///
    /// # Panics
    ///
    /// If a variable is malformed: running the suite on another router than intended would be worse than
    /// not running it.
    pub(crate) fn from_env() -> Option<Self> {
        let command = variable(COMMAND)?;
        let cannot = variable(CANNOT).unwrap_or_default();
        let names = cannot.split([' ', ',']).filter(|name| !name.is_empty());
        Some(Self {
            command,
            name: variable(NAME).unwrap_or_else(|| "router".to_owned()),
            options: options(variable(OPTIONS).unwrap_or_default()),
            cannot: names.map(need).collect(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn cannot(&self) -> &[Need] {
        &self.cannot
    }

    /// Starts a router whose address book must contain these lines, `name=destination`.
    pub(crate) fn start(&self, hosts: &str) -> io::Result<Router> {
        let home = Home::create()?;
        fs::write(home.hosts(), hosts)?;
        let ports = Ports::free()?;
        let (child, sam, udp) = self.launch(&home, ports)?;
        Ok(Router {
            installation: self.clone(),
            child: Mutex::new(child),
            home,
            ports,
            sam,
            udp,
        })
    }

    fn launch(&self, home: &Home, ports: Ports) -> io::Result<(Child, SocketAddr, SocketAddr)> {
        let errors = File::options()
            .create(true)
            .append(true)
            .open(home.output())?;
        // The process is the router's own, not a shell's: this process is killed and stopped.
        let mut child = Command::new("sh")
            .args(["-c", &format!("exec {}", self.command)])
            .env("SAM_ROUTER_HOME", home.path())
            .env("SAM_ROUTER_PORTS", ports.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()?;
        match await_bridge(&mut child) {
            Ok((sam, udp)) => Ok((child, sam, udp)),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                let text = format!("{}: {error}\n{}", self.command, home.tail());
                Err(io::Error::new(error.kind(), text))
            }
        }
    }
}

/// A running router. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Router {
    installation: Installation,
    child: Mutex<Child>,
    home: Home,
    ports: Ports,
    sam: SocketAddr,
    udp: SocketAddr,
}

impl Router {
    pub(crate) fn sam_address(&self) -> SocketAddr {
        self.sam
    }

    pub(crate) fn udp_address(&self) -> SocketAddr {
        self.udp
    }

    pub(crate) fn session_options(&self) -> &'static [(&'static str, &'static str)] {
        self.installation.options
    }

    pub(crate) fn id(&self) -> u32 {
        self.child().id()
    }

    pub(crate) fn answers(&self) -> bool {
        greets(self.sam, SILENCE).unwrap_or(false)
    }

    /// Returns how the process ended, if it has ended.
    pub(crate) fn exit_status(&self) -> Option<ExitStatus> {
        self.child().try_wait().ok().flatten()
    }

    pub(crate) fn log_tail(&self) -> String {
        self.home.tail()
    }

    pub(crate) fn kill(&self) {
        let mut child = self.child();
        // Both fail only if the process has ended already, which is the goal.
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Starts the router again, with the same folder and ports.
    pub(crate) fn restart(&self) -> io::Result<()> {
        self.kill();
        let (child, sam, udp) = self.installation.launch(&self.home, self.ports)?;
        *self.child() = child;
        if (sam, udp) != (self.sam, self.udp) {
            return Err(io::Error::other("the router has other addresses now"));
        }
        Ok(())
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.kill();
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Parses options and leaks them: they last as long as the run, as those of the known routers do.
fn options(text: String) -> &'static [(&'static str, &'static str)] {
    let text: &'static str = text.leak();
    let options = text.split_whitespace().map(|option| {
        let pair = option.split_once('=');
        pair.unwrap_or_else(|| panic!("{OPTIONS}: {option} is not NAME=VALUE"))
    });
    options.collect::<Vec<_>>().leak()
}

fn need(name: &str) -> Need {
    let known = Need::ALL.iter().find(|need| format!("{need:?}") == name);
    *known.unwrap_or_else(|| panic!("{CANNOT}: {name} is none of {:?}", Need::ALL))
}

/// Reads the address of the bridge, and waits until the bridge replies.
fn await_bridge(child: &mut Child) -> io::Result<(SocketAddr, SocketAddr)> {
    let deadline = Instant::now() + READY;
    let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let (sam, udp) = addresses(&first_line(output)?)?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Err(io::Error::other(format!("it has ended: {status}")));
        }
        if greets(sam, Duration::from_secs(1)).unwrap_or(false) {
            return Ok((sam, udp));
        }
        if Instant::now() >= deadline {
            let text = format!("no answer to HELLO at {sam}");
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// Reads one line. A thread reads the rest, so that the router never waits for a reader.
fn first_line(output: ChildStdout) -> io::Result<String> {
    let (sender, line) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let none = "it prints no line with its addresses";
    line.recv_timeout(READY)
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, none))
}

/// `127.0.0.1:7656 7655`
fn addresses(line: &str) -> io::Result<(SocketAddr, SocketAddr)> {
    let read = || {
        let (sam, udp) = line.trim().split_once(' ')?;
        let sam: SocketAddr = sam.parse().ok()?;
        let ip = match sam.ip().is_unspecified() {
            true => Ipv4Addr::LOCALHOST.into(),
            false => sam.ip(),
        };
        Some((sam, SocketAddr::new(ip, udp.parse().ok()?)))
    };
    read().ok_or_else(|| io::Error::other(format!("{line:?} is not ADDRESS:PORT UDP-PORT")))
}
