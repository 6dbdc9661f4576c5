//! The embedded network in a process of its own, so that it can be killed like any other router.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::Child;
use std::sync::{Mutex, MutexGuard, PoisonError};

use i2p_sam_testnet::{Ports, Testnet};

use crate::child;
use crate::router::{KNOWN_NAME, known_key};

/// A network that runs in a process of its own. The process ends when this is dropped.
pub(crate) struct Process {
    child: Mutex<Child>,
    sam: SocketAddr,
    udp: SocketAddr,
}

impl Process {
    pub(crate) fn start() -> io::Result<Self> {
        let (child, sam, udp) = launch(Ports::default())?;
        Ok(Self {
            child: Mutex::new(child),
            sam,
            udp,
        })
    }

    pub(crate) fn sam_address(&self) -> SocketAddr {
        self.sam
    }

    pub(crate) fn udp_address(&self) -> SocketAddr {
        self.udp
    }

    pub(crate) fn id(&self) -> u32 {
        self.child().id()
    }

    /// Kills the process with SIGKILL, and waits until it has ended.
    pub(crate) fn kill(&self) {
        let mut child = self.child();
        // Both fail only if the process has ended already, which is the goal.
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Starts a new network with its bridge at the same address.
    pub(crate) fn restart(&self) -> io::Result<()> {
        self.kill();
        let (tcp, udp) = (self.sam.port(), self.udp.port());
        let (child, ..) = launch(Ports { tcp, udp })?;
        *self.child() = child;
        Ok(())
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The program of the process: it prints the address of its bridge, and ends with its standard input.
pub(crate) fn run(args: &[String]) -> io::Result<()> {
    let [tcp, udp] = args else {
        return Err(io::Error::other("testnet TCP-PORT UDP-PORT"));
    };
    let port = |text: &String| text.parse::<u16>().map_err(io::Error::other);
    let (tcp, udp) = (port(tcp)?, port(udp)?);
    let network = Testnet::start_at(Ports { tcp, udp }, |_| {})?;
    network.add_host(KNOWN_NAME, &known_key().destination().to_base64())?;
    println!("{}\n{}", network.sam_address(), network.udp_address());
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

fn launch(ports: Ports) -> io::Result<(Child, SocketAddr, SocketAddr)> {
    let mut child = child::command("testnet")?
        .args([ports.tcp.to_string(), ports.udp.to_string()])
        .spawn()?;
    let outcome = addresses(&mut child);
    if outcome.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let (sam, udp) = outcome?;
    Ok((child, sam, udp))
}

fn addresses(child: &mut Child) -> io::Result<(SocketAddr, SocketAddr)> {
    let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut lines = BufReader::new(output).lines();
    let mut next = || {
        let line = lines.next().ok_or(io::ErrorKind::UnexpectedEof)??;
        line.parse().map_err(io::Error::other)
    };
    Ok((next()?, next()?))
}
