use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use super::config::Endpoint;
use super::key_use::note_refusal;
use crate::error::{Error, Limit, Phase};
use crate::sync::{Call, Deadline, run_abandonable};

/// The longest time for which a TCP connect to loopback runs before the call is checked again.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// The name of the threads that run what `std` cannot interrupt.
const HELPER: &str = "i2p-sam-dial";

impl Endpoint {
    /// Returns all its addresses. The system resolves a name, and cannot be interrupted.
    pub(crate) fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::Literal(addr) => Ok(vec![*addr]),
            Self::Name(name, port) => match (&**name, *port).to_socket_addrs() {
                Ok(found) => Ok(found.collect()),
                Err(error) => Err(limit_of_sockets().unwrap_or(error)),
            },
        }
    }

    /// Returns the error for a failed connection: a limit of this machine, or a bridge out of reach.
    fn not_reached(&self, source: io::Error) -> Error {
        match Limit::of(&source) {
            Some(_) => Error::io(Phase::Connect)(source),
            None => Error::Unreachable {
                address: self.to_string().into(),
                source,
            },
        }
    }
}

/// Returns the system's error if no socket can be opened now: glibc's resolver then reports only that
/// the name is unknown.
fn limit_of_sockets() -> Option<io::Error> {
    let probe = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
    probe.err().filter(|error| Limit::of(error).is_some())
}

/// Opens a TCP connection to a bridge.
///
/// `std` can interrupt neither the resolution of a name nor a TCP connect. A connect to loopback, where
/// nearly every bridge is, runs here in short attempts. Any other runs on a thread of its own, which
/// ends by itself when the system returns, later than the call if that was cancelled. So does one to loopback on
/// Windows, which asks a port that refuses three times, in 2 s, before it reports the refusal: no short attempt
/// would learn of it.
pub(crate) fn dial(address: &Endpoint, call: &Call) -> Result<TcpStream, Error> {
    call.check()?;
    match address {
        Endpoint::Literal(addr) if addr.ip().is_loopback() && !cfg!(windows) => {
            dial_loopback(address, addr, call)
        }
        _ => {
            let target = address.clone();
            dial_elsewhere(address, call, move || target.resolve())
        }
    }
}

/// Returns the address of a bridge's UDP port. IPv4 comes first: bridges listen on it by default.
pub(crate) fn resolve(address: &Endpoint, call: &Call) -> Result<SocketAddr, Error> {
    if let Endpoint::Literal(addr) = address {
        return Ok(*addr);
    }
    let target = address.clone();
    let found = run_abandonable(HELPER, call, move || target.resolve())?;
    first_of(address, found)
}

fn first_of(address: &Endpoint, found: io::Result<Vec<SocketAddr>>) -> Result<SocketAddr, Error> {
    let found = found.map_err(|source| address.not_reached(source))?;
    let nothing = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let first = found.iter().find(|addr| addr.is_ipv4());
    let first = first.or(found.first()).copied();
    first.ok_or_else(|| address.not_reached(nothing()))
}

fn dial_loopback(address: &Endpoint, addr: &SocketAddr, call: &Call) -> Result<TcpStream, Error> {
    loop {
        let left = call.left()?;
        let stretch = left.unwrap_or(CHECK_INTERVAL).min(CHECK_INTERVAL);
        match TcpStream::connect_timeout(addr, stretch) {
            Ok(socket) => return Ok(socket),
            Err(error) if is_timeout(&error) => call.check()?,
            Err(error) => {
                note_failure(*addr, &error);
                return Err(address.not_reached(error));
            }
        }
    }
}

fn dial_elsewhere(
    address: &Endpoint,
    call: &Call,
    resolve: impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + 'static,
) -> Result<TcpStream, Error> {
    let deadline = call.deadline();
    let work = move || resolve().and_then(|addrs| dial_any(&addrs, deadline));
    let outcome = run_abandonable(HELPER, call, work)?;
    outcome.map_err(|error| match is_timeout(&error) {
        true => call.expired(),
        false => address.not_reached(error),
    })
}

/// Connects to the first address that accepts; returns the last error if none does.
fn dial_any(addrs: &[SocketAddr], deadline: Deadline) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for addr in addrs {
        // An IPv6 socket reaches `::ffff:127.0.0.1` on Linux, but not on Windows and the BSDs.
        let target = SocketAddr::new(addr.ip().to_canonical(), addr.port());
        let outcome = match deadline.left(Phase::Connect)? {
            Some(left) => TcpStream::connect_timeout(&target, left),
            None => TcpStream::connect(target),
        };
        match outcome {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
        note_failure(*addr, &last);
    }
    Err(last)
}

fn note_failure(bridge: SocketAddr, error: &io::Error) {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        note_refusal(bridge);
    }
}

/// Returns true if a time-out expired. Systems name it differently: `WouldBlock` on Unix, `TimedOut`
/// elsewhere and for connects.
pub(crate) fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Instant;

    use super::*;
    use crate::sync::Cancel;

    const LONG: Duration = Duration::from_secs(30);

    fn name() -> Endpoint {
        Endpoint::Name("bridge.invalid".into(), 7656)
    }

    fn call() -> Call {
        Call::new(Phase::Connect)
    }

    #[test]
    #[cfg(unix)]
    fn descriptor_limit_is_not_unreachable_bridge() {
        let refused = || io::Error::from_raw_os_error(24);
        let outcome = dial_elsewhere(&name(), &call(), move || Err(refused()));
        assert!(matches!(outcome, Err(Error::Io { .. })));
        let outcome = first_of(&name(), Err(refused()));
        assert!(matches!(outcome, Err(Error::Io { .. })));
    }

    #[test]
    fn bridge_is_reached_by_name() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let address = Endpoint::Name("localhost".into(), port);
        assert!(dial(&address, &call().within(Some(LONG))).is_ok());
    }

    #[test]
    fn cancelled_resolution_ends_at_once() {
        let (hold, held) = mpsc::channel::<()>();
        let (began, begun) = mpsc::channel();
        let (sender, outcomes) = mpsc::channel();
        let cancel = Cancel::new();
        let call = call().or_cancel(&cancel);
        thread::spawn(move || {
            let outcome = dial_elsewhere(&name(), &call, move || {
                began.send(()).unwrap();
                let _ = held.recv();
                Ok(Vec::new())
            });
            sender.send(outcome.map(drop)).unwrap();
        });
        begun.recv_timeout(LONG).unwrap();
        let start = Instant::now();
        cancel.cancel();
        let outcome = outcomes.recv_timeout(LONG).unwrap();
        assert!(start.elapsed() < Duration::from_millis(100));
        let phase = Phase::Connect;
        assert!(matches!(outcome, Err(Error::Cancelled { phase: p }) if p == phase));
        drop(hold);
    }

    #[test]
    fn hanging_resolution_ends_at_deadline() {
        let (_hold, held) = mpsc::channel::<()>();
        let call = call().within(Some(Duration::from_millis(20)));
        let outcome = dial_elsewhere(&name(), &call, move || {
            let _ = held.recv();
            Ok(Vec::new())
        });
        assert!(outcome.unwrap_err().is_timeout());
    }

    #[test]
    fn name_without_address_is_unreachable() {
        let none = || Ok(Vec::new());
        let outcome = dial_elsewhere(&name(), &call(), none);
        let Err(Error::Unreachable { address, .. }) = outcome else {
            panic!("reached");
        };
        assert_eq!(&*address, "bridge.invalid:7656");
    }
}
