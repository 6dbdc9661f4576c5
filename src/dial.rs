use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::str::FromStr;
use std::time::Duration;

use crate::bridge::note_refusal;
use crate::error::{Error, Limit, Phase};
use crate::sync::{Call, Deadline, run_abandonable};

/// Longest stretch a TCP connect to loopback runs before it is looked whether it still should.
const SLICE: Duration = Duration::from_millis(50);

/// Name of the threads that run what `std` cannot interrupt.
const HELPER: &str = "i2p-sam-dial";

/// Where a bridge, or a service of one's own, listens: an IP address or a host name, and a port.
///
/// A name never ends in `.i2p`: it is resolved by the system, which asks the name servers of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BridgeAddr {
    Literal(SocketAddr),
    Name(Box<str>, u16),
}

impl BridgeAddr {
    /// Reads the value of a setting, which its error names.
    pub(crate) fn of_setting(setting: &'static str, text: &str) -> Result<Self, Error> {
        const FORM: &str = "its form is host:port, such as 127.0.0.1:7656 or [::1]:7656";

        if let Ok(addr) = text.parse() {
            return Ok(Self::Literal(addr));
        }
        let malformed = || Error::setting(setting, text, FORM);
        let (name, port) = text.rsplit_once(':').ok_or_else(malformed)?;
        let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if name.is_empty() || name.len() > 253 || !name.bytes().all(is_name_byte) {
            return Err(malformed());
        }
        if !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(malformed());
        }
        refuse_i2p(setting, text)?;
        Ok(Self::Name(
            name.into(),
            port.parse().map_err(|_| malformed())?,
        ))
    }

    /// The same host, another port.
    pub(crate) fn with_port(&self, port: u16) -> Self {
        match self {
            Self::Literal(addr) => Self::Literal(SocketAddr::new(addr.ip(), port)),
            Self::Name(name, _) => Self::Name(name.clone(), port),
        }
    }

    /// All its addresses. A name is resolved by the system, which cannot be interrupted.
    pub(crate) fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::Literal(addr) => Ok(vec![*addr]),
            Self::Name(name, port) => match (&**name, *port).to_socket_addrs() {
                Ok(found) => Ok(found.collect()),
                Err(error) => Err(limit_of_sockets().unwrap_or(error)),
            },
        }
    }

    /// The system's error as what it is: a limit of this machine, or a bridge that does not answer.
    fn not_reached(&self, source: io::Error) -> Error {
        match Limit::of(&source) {
            Some(_) => Error::Io {
                phase: Phase::Connect,
                source,
            },
            None => Error::Unreachable {
                address: self.to_string().into(),
                source,
            },
        }
    }
}

impl FromStr for BridgeAddr {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::of_setting("address", text)
    }
}

impl fmt::Display for BridgeAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(addr) => addr.fmt(f),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

/// The system's error if no socket can be opened now: a resolver that can open none reports that the
/// name is unknown (glibc).
fn limit_of_sockets() -> Option<io::Error> {
    let probe = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
    probe.err().filter(|error| Limit::of(error).is_some())
}

/// Refuses a host whose name ends in `.i2p`, in any case and with dots or a port behind it: name
/// servers must not learn of it. A host that is called `i2p` alone is one of the local network.
pub(crate) fn refuse_i2p(setting: &'static str, host: &str) -> Result<(), Error> {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if name.ends_with(".i2p") {
        let reason = "a name that ends in .i2p is never given to the system's resolver";
        return Err(Error::setting(setting, host, reason));
    }
    Ok(())
}

/// Opens a TCP connection to a bridge.
///
/// `std` can interrupt neither the resolution of a name nor a TCP connect. Loopback, where nearly
/// every bridge is, is dialled here in short stretches; anything else on a thread of its own, which
/// ends by itself when the system has answered, after the call if that is cancelled.
pub(crate) fn dial(address: &BridgeAddr, call: &Call) -> Result<TcpStream, Error> {
    call.check()?;
    match address {
        BridgeAddr::Literal(addr) if addr.ip().is_loopback() => dial_loopback(address, addr, call),
        _ => {
            let target = address.clone();
            dial_elsewhere(address, call, move || target.resolve())
        }
    }
}

/// Where a bridge's UDP port is. Bridges listen on IPv4 unless told otherwise.
pub(crate) fn resolve(address: &BridgeAddr, call: &Call) -> Result<SocketAddr, Error> {
    if let BridgeAddr::Literal(addr) = address {
        return Ok(*addr);
    }
    let target = address.clone();
    let found = run_abandonable(HELPER, call, move || target.resolve())?;
    first_of(address, found)
}

fn first_of(address: &BridgeAddr, found: io::Result<Vec<SocketAddr>>) -> Result<SocketAddr, Error> {
    let found = found.map_err(|source| address.not_reached(source))?;
    let nothing = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let first = found.iter().find(|addr| addr.is_ipv4());
    let first = first.or(found.first()).copied();
    first.ok_or_else(|| address.not_reached(nothing()))
}

fn dial_loopback(address: &BridgeAddr, addr: &SocketAddr, call: &Call) -> Result<TcpStream, Error> {
    loop {
        let left = call.left()?;
        let stretch = left.unwrap_or(SLICE).min(SLICE);
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
    address: &BridgeAddr,
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

/// The first address that answers; the last error if none does.
fn dial_any(addrs: &[SocketAddr], deadline: Deadline) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for addr in addrs {
        let outcome = match deadline.left(Phase::Connect)? {
            Some(left) => TcpStream::connect_timeout(addr, left),
            None => TcpStream::connect(addr),
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

/// What a system calls an expired time-out differs: `WouldBlock` on Unix, `TimedOut` elsewhere
/// and for connects.
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

    fn name() -> BridgeAddr {
        "bridge.invalid:7656".parse().unwrap()
    }

    fn call() -> Call {
        Call::new(Phase::Connect)
    }

    #[test]
    fn addresses_and_names_are_read_with_their_ports() {
        for text in [
            "127.0.0.1:7656",
            "[::1]:1",
            "localhost:7656",
            "my-host.lan:0",
            "i2p:7656",
            "my-i2p:7656",
            "stats.i2p.example:80",
        ] {
            assert_eq!(text.parse::<BridgeAddr>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_has_no_port_or_is_no_name_is_refused() {
        for text in [
            "",
            "localhost",
            ":1",
            "h:",
            "h:70000",
            "h:+1",
            "a b:1",
            "a\n:1",
            "::1",
        ] {
            let outcome = text.parse::<BridgeAddr>();
            assert!(matches!(outcome, Err(Error::Setting(_))), "{text:?}");
        }
    }

    #[test]
    fn names_of_i2p_are_refused_before_they_are_resolved() {
        for host in [
            "stats.i2p",
            "stats.i2p.",
            "stats.i2p..",
            "Stats.I2P",
            "a.b32.i2p",
            ".i2p",
        ] {
            let Err(Error::Setting(error)) = format!("{host}:80").parse::<BridgeAddr>() else {
                panic!("{host} is no bridge");
            };
            assert!(error.value().contains(host) && error.to_string().contains("resolver"));
            assert!(refuse_i2p("host", host).is_err());
            assert!(refuse_i2p("host", &format!("{host}:80")).is_err());
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_limit_of_descriptors_is_no_bridge_that_does_not_answer() {
        let refused = || io::Error::from_raw_os_error(24);
        let outcome = dial_elsewhere(&name(), &call(), move || Err(refused()));
        assert!(matches!(outcome, Err(Error::Io { .. })));
        let outcome = first_of(&name(), Err(refused()));
        assert!(matches!(outcome, Err(Error::Io { .. })));
    }

    #[test]
    fn a_bridge_is_found_by_name() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let address = format!("localhost:{port}").parse().unwrap();
        assert!(dial(&address, &call().within(Some(LONG))).is_ok());
    }

    #[test]
    fn a_cancelled_name_resolution_ends_at_once() {
        let (hold, held) = mpsc::channel::<()>();
        let (began, begun) = mpsc::channel();
        let (told, tells) = mpsc::channel();
        let cancel = Cancel::new();
        let call = call().or_cancel(&cancel);
        thread::spawn(move || {
            let outcome = dial_elsewhere(&name(), &call, move || {
                began.send(()).unwrap();
                let _ = held.recv();
                Ok(Vec::new())
            });
            told.send(outcome.map(drop)).unwrap();
        });
        begun.recv_timeout(LONG).unwrap();
        let start = Instant::now();
        cancel.cancel();
        let outcome = tells.recv_timeout(LONG).unwrap();
        assert!(start.elapsed() < Duration::from_millis(100));
        let phase = Phase::Connect;
        assert!(matches!(outcome, Err(Error::Cancelled { phase: p }) if p == phase));
        drop(hold);
    }

    #[test]
    fn a_name_resolution_that_hangs_ends_with_the_deadline() {
        let (_hold, held) = mpsc::channel::<()>();
        let call = call().within(Some(Duration::from_millis(20)));
        let outcome = dial_elsewhere(&name(), &call, move || {
            let _ = held.recv();
            Ok(Vec::new())
        });
        assert!(outcome.unwrap_err().is_timeout());
    }

    #[test]
    fn a_name_without_an_address_is_an_unreachable_bridge() {
        let none = || Ok(Vec::new());
        let outcome = dial_elsewhere(&name(), &call(), none);
        let Err(Error::Unreachable { address, .. }) = outcome else {
            panic!("reached");
        };
        assert_eq!(&*address, "bridge.invalid:7656");
    }
}
