use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::bridge::SamBridge;
use crate::dial::{is_timeout, refuse_i2p, resolve};
use crate::error::{Error, Phase};
use crate::session::datagrams::Reader;
use crate::session::recv_queue::RecvQueue;
use crate::sync::{Call, Deadline, Monitor, Wake, spawn};
use crate::wire::{CommandError, CommandFault, needs_quotes};

/// Largest UDP packet.
const MAX_PACKET: usize = 65_535;

/// How often the receiving thread looks whether the session still is, should the system not
/// deliver the packet that wakes it.
const LOOK: Duration = Duration::from_secs(5);

/// Pause after the system would not let it receive.
const PAUSE: Duration = Duration::from_millis(50);

/// Longest wait for the receiving thread to let go of the port.
const RELEASE: Duration = Duration::from_secs(1);

/// One pair of SESSION CREATE that belongs to the style.
pub(crate) type Pair = (&'static str, String);

/// Whose UDP packets are believed to be the bridge's.
///
/// Any program of the host can send to the UDP port on which datagrams are received. What comes
/// from elsewhere is dropped and counted ([`foreign`](crate::DroppedDatagrams::foreign)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DatagramSource {
    /// Those that come from the bridge's UDP address, where Java I2P, i2pd and emissary send from.
    #[default]
    Bridge,
    /// Those that come from any port of the bridge's host: every program there can then pretend.
    Host,
    /// Those that come from this address, where the bridge is behind an address translator.
    Address(SocketAddr),
}

/// What a builder was told about UDP.
#[derive(Clone, Debug, Default)]
pub(crate) struct UdpSettings {
    pub(crate) bind: Option<SocketAddr>,
    /// What the bridge is told instead of our own address.
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) source: DatagramSource,
}

impl UdpSettings {
    /// What the bridge cannot be told is refused before anything is opened.
    fn check(&self) -> Result<(), Error> {
        // i2pd has no quotes, and no host has a blank.
        if self.host.as_deref().is_some_and(needs_quotes) {
            return Err(CommandError::new("HOST", CommandFault::Quotes).into());
        }
        if let Some(host) = &self.host {
            refuse_i2p("datagram_host", host)?;
        }
        match self.port {
            Some(0) => Err(Error::setting(
                "datagram_port",
                0,
                "a router cannot send to port 0",
            )),
            _ => Ok(()),
        }
    }
}

/// The UDP port of a session, and the bridge's.
///
/// It is let go of when the session ends, whoever still holds the session.
pub(crate) struct UdpPort {
    /// Nothing once the port is free.
    sockets: Arc<Monitor<Option<Arc<Sockets>>>>,
    local: SocketAddr,
    bridge: SocketAddr,
    /// The bridge's UDP address as the program gave it.
    named: Box<str>,
    /// Where the bridge is told to reach us.
    told: (String, u16),
    source: DatagramSource,
}

struct Sockets {
    receiver: UdpSocket,
    /// Connected to the bridge: the system reports a closed port to no other socket.
    sender: UdpSocket,
}

impl UdpPort {
    pub(crate) fn open(bridge: &SamBridge, settings: &UdpSettings) -> Result<Self, Error> {
        settings.check()?;
        let config = bridge.config();
        let call = Call::new(Phase::Connect)
            .or_cancel(bridge.cancel())
            .within(config.timeouts.connect);
        let bridge = canonical(resolve(&config.udp_address, &call)?);
        let named = config.udp_address.to_string();
        bind(bridge, named.into(), settings).map_err(|source| Error::Io {
            phase: Phase::SessionCreate,
            source,
        })
    }

    /// i2pd forwards only when it is told both.
    pub(crate) fn pairs(&self) -> Vec<Pair> {
        let (host, port) = &self.told;
        vec![("HOST", host.clone()), ("PORT", port.to_string())]
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Sends a packet to the bridge, or fails because the last one met a closed port.
    pub(crate) fn send(&self, packet: &[u8]) -> Result<(), Error> {
        let sockets = self.sockets().ok_or(io::ErrorKind::NotConnected.into());
        match sockets.and_then(|sockets| sockets.sender.send(packet)) {
            Ok(_) => Ok(()),
            Err(source) if is_closed_port(&source) => Err(Error::UdpClosed {
                address: self.named.clone(),
                source,
            }),
            Err(source) => Err(Error::Io {
                phase: Phase::Send,
                source,
            }),
        }
    }

    /// Lets a thread take in what the bridge forwards until the session ends. It holds nothing
    /// that keeps the session alive.
    pub(crate) fn receive<R: Reader>(
        self: &Arc<Self>,
        call: Call,
        mailbox: &Arc<RecvQueue<R::Origin>>,
        mut reader: R,
    ) -> io::Result<()> {
        let (port, mailbox) = (Arc::clone(self), Arc::clone(mailbox));
        spawn("i2p-sam-udp", move || {
            port.fill(&call, &mailbox, &mut reader);
            let sockets = port.sockets.update(Option::take);
            drop(sockets);
        })
    }

    /// Waits until the port of a session that has ended is free.
    pub(crate) fn await_release(&self) {
        let deadline = Deadline::after(Some(RELEASE));
        self.sockets
            .wait_until(deadline, |sockets| sockets.is_none().then_some(()));
    }

    fn sockets(&self) -> Option<Arc<Sockets>> {
        self.sockets.lock().clone()
    }

    /// The work of the receiving thread. The end of the session ends it: its lifetime wakes this port,
    /// which sends a packet to itself.
    fn fill<R: Reader>(
        self: &Arc<Self>,
        call: &Call,
        mailbox: &RecvQueue<R::Origin>,
        reader: &mut R,
    ) {
        let (Some(sockets), Ok(_registered)) = (self.sockets(), call.watch_waiter(self)) else {
            return;
        };
        let mut packet = vec![0; MAX_PACKET];
        while call.check().is_ok() {
            match sockets.receiver.recv_from(&mut packet) {
                Ok((len, source)) if self.believes(source) => {
                    match reader.forwarded(packet.get(..len).unwrap_or_default()) {
                        Some((origin, payload)) => mailbox.put(origin, payload),
                        None => mailbox.count_malformed(),
                    }
                }
                Ok(_) => mailbox.count_foreign(),
                Err(error) if is_timeout(&error) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }

    fn believes(&self, source: SocketAddr) -> bool {
        // A socket that is bound to an IPv6 address sees an IPv4 sender as `::ffff:127.0.0.1`.
        let source = canonical(source);
        match self.source {
            DatagramSource::Bridge => source == self.bridge,
            DatagramSource::Host => source.ip() == self.bridge.ip(),
            DatagramSource::Address(address) => source == canonical(address),
        }
    }
}

/// Ends the wait for a packet with a packet of our own: `std` has no other way.
impl Wake for UdpPort {
    fn wake(&self) {
        if let Some(sockets) = self.sockets() {
            // If it does not arrive, the thread looks after a while.
            let _ = sockets.receiver.send_to(&[], reachable(self.local));
        }
    }
}

/// The address at which a socket that is bound to this one hears itself.
fn reachable(local: SocketAddr) -> SocketAddr {
    let ip = match local {
        _ if !local.ip().is_unspecified() => return local,
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, local.port())
}

/// An IPv4 address in IPv6 form is the IPv4 address.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip if ip == address.ip() => address,
        ip => SocketAddr::new(ip, address.port()),
    }
}

/// What the system reports when nothing listens at the address to which a packet was sent. Windows
/// calls it a reset.
fn is_closed_port(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
    )
}

fn bind(bridge: SocketAddr, named: Box<str>, settings: &UdpSettings) -> io::Result<UdpPort> {
    let bound = settings.bind.map(canonical);
    let bound = bound.filter(|bind| !bind.ip().is_unspecified());
    let sender = connected(bridge, bound)?;
    let host = match bound {
        Some(bind) => bind.ip(),
        None => sender.local_addr()?.ip(),
    };
    let receiver = UdpSocket::bind(settings.bind.unwrap_or(SocketAddr::new(host, 0)))?;
    receiver.set_read_timeout(Some(LOOK))?;
    let local = receiver.local_addr()?;
    let told_host = settings.host.clone().unwrap_or_else(|| host.to_string());
    Ok(UdpPort {
        local,
        told: (told_host, settings.port.unwrap_or(local.port())),
        sockets: Monitor::new(Some(Arc::new(Sockets { receiver, sender }))),
        bridge,
        named,
        source: settings.source,
    })
}

/// A socket that sends to the bridge: from the address at which we receive, or else from the one that
/// the system chooses, at which the bridge can reach us. No packet is sent.
fn connected(bridge: SocketAddr, bound: Option<SocketAddr>) -> io::Result<UdpSocket> {
    let any: IpAddr = match bridge {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let bound = bound.filter(|bound| bound.is_ipv4() == bridge.is_ipv4());
    let mut own = bound.unwrap_or(SocketAddr::new(any, 0));
    own.set_port(0);
    let sender = UdpSocket::bind(own)?;
    sender.connect(bridge)?;
    Ok(sender)
}
