use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::bridge::SamBridge;
use crate::bridge::{is_timeout, refuse_i2p, resolve};
use crate::datagram::encode::RecentLines;
use crate::datagram::format::Format;
use crate::datagram::recv_queue::RecvQueue;
use crate::error::{Error, Phase};
use crate::sync::{BufferPool, Call, Deadline, Monitor, Wake, spawn};
use crate::wire::{CommandError, CommandFault, Pair, needs_quotes};

/// Largest UDP packet, in bytes.
const MAX_PACKET: usize = 65_535;

/// Interval at which the receiving thread checks if the session has ended, in case the system does not
/// deliver the packet that wakes the thread.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Pause after the system failed to receive.
const RECV_PAUSE: Duration = Duration::from_millis(50);

/// Longest wait for the receiving thread to close the port.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(1);

/// Options for datagrams that come and go by UDP.
///
/// A router in a container, or one that reaches us through an address translator, may reach us at another address than the
/// one that we bind, and its packets may come from another port than the one to which we send:
///
/// ```no_run
/// use i2p_sam::{DatagramStyle, DatagramTransport, SamBridge, UdpOptions};
///
/// let udp = UdpOptions::new()
///     .bind("0.0.0.0:4444".parse().unwrap())
///     .advertise("host.containers.internal", 4444)
///     .accept_any_port();
/// let session = SamBridge::new("172.17.0.2:7656")?
///     .session()
///     .datagram_transport(DatagramTransport::Udp(udp))
///     .datagram(DatagramStyle::Datagram)?;
/// # Ok::<(), i2p_sam::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct UdpOptions {
    bind: Option<SocketAddr>,
    /// Sent to the bridge instead of our own address. Port 0 means the port that is bound.
    advertised: Option<(String, u16)>,
    accepted: Option<SocketAddr>,
    any_port: bool,
}

impl UdpOptions {
    /// Creates the default options: a free port of the address from which the bridge is reached, and
    /// only packets of the bridge are accepted.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the UDP address on which datagrams are received. Default: a free port of the address from
    /// which the bridge is reached, which is 127.0.0.1 for a bridge on this machine.
    pub fn bind(mut self, address: SocketAddr) -> Self {
        self.bind = Some(address);
        self
    }

    /// Sets the host, a name or an IP address, and the port to which the bridge sends datagrams.
    /// Port 0 means the port that is bound. Default: the address that is bound.
    ///
    /// Creating the session fails with [`Error::Command`] if the host has a blank or a quote, and with
    /// [`Error::InvalidConfig`] for a name that ends in `.i2p`.
    pub fn advertise(mut self, host: impl Into<String>, port: u16) -> Self {
        self.advertised = Some((host.into(), port));
        self
    }

    /// Sets the address from which packets are accepted as the bridge's; port 0 means each of its
    /// ports. Default: the bridge's UDP address, from which Java I2P, i2pd and emissary send.
    ///
    /// Each program of this host can send to the UDP port on which datagrams are received. Packets from
    /// other addresses are dropped and [counted](crate::DroppedDatagrams::foreign).
    pub fn accept_from(mut self, address: SocketAddr) -> Self {
        self.accepted = Some(address);
        self
    }

    /// Accepts packets from each port of the bridge's host, or of the address set with
    /// [`accept_from`](UdpOptions::accept_from). Each program there can then forge datagrams. Default:
    /// only the bridge's port.
    pub fn accept_any_port(mut self) -> Self {
        self.any_port = true;
        self
    }

    /// Refuses a host that cannot be sent to the bridge, before anything is opened.
    fn check(&self) -> Result<(), Error> {
        let Some((host, _)) = &self.advertised else {
            return Ok(());
        };
        // i2pd has no quotes, and no host has a blank.
        if needs_quotes(host) {
            return Err(CommandError::new("HOST", CommandFault::Quotes).into());
        }
        refuse_i2p("advertise", host)
    }

    /// Returns the address from which packets are accepted; port 0 means each port.
    fn source(&self, bridge: SocketAddr) -> SocketAddr {
        let mut source = canonical(self.accepted.unwrap_or(bridge));
        if self.any_port {
            source.set_port(0);
        }
        source
    }
}

/// The UDP port of a session, and the bridge's.
///
/// It is closed when the session ends, even if the program still holds the session.
pub(crate) struct UdpPort {
    /// `None` once the port is free.
    sockets: Arc<Monitor<Option<Arc<Sockets>>>>,
    local: SocketAddr,
    /// The bridge's UDP address as the program gave it.
    named: Box<str>,
    /// The address to which the bridge sends.
    advertised: (String, u16),
    /// The address from which packets are accepted. Port 0 means each port.
    accepted: SocketAddr,
    /// For packets to send.
    pub(super) buffers: BufferPool,
    pub(super) recent_lines: Mutex<RecentLines>,
}

struct Sockets {
    receiver: UdpSocket,
    /// Connected to the bridge: the system reports a closed port to no other socket.
    sender: UdpSocket,
}

impl UdpPort {
    pub(crate) fn open(bridge: &SamBridge, options: &UdpOptions) -> Result<Self, Error> {
        options.check()?;
        let config = bridge.config();
        let call = Call::new(Phase::Connect)
            .or_cancel(bridge.cancel())
            .within(config.timeouts.connect);
        let bridge = canonical(resolve(&config.udp_address, &call)?);
        let named = config.udp_address.to_string();
        bind(bridge, named.into(), options).map_err(Error::io(Phase::SessionCreate))
    }

    /// Returns the options of SESSION CREATE that describe the port. i2pd forwards only if it has both.
    pub(crate) fn pairs(&self) -> Vec<Pair> {
        let (host, port) = &self.advertised;
        vec![("HOST", host.clone()), ("PORT", port.to_string())]
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Sends a packet to the bridge, or fails if the last one reached a closed port.
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

    /// Starts a thread that receives the packets that the bridge forwards, until the session ends. The
    /// thread does not keep the session alive.
    pub(crate) fn receive(
        self: &Arc<Self>,
        call: Call,
        queue: &Arc<RecvQueue>,
        mut format: Format,
    ) -> io::Result<()> {
        let (port, queue) = (Arc::clone(self), Arc::clone(queue));
        spawn("i2p-sam-udp", move || {
            port.fill(&call, &queue, &mut format);
            let sockets = port.sockets.update(Option::take);
            drop(sockets);
        })
    }

    /// Waits until the port of a session that has ended is free.
    pub(crate) fn await_release(&self) {
        let deadline = Deadline::after(Some(RELEASE_TIMEOUT));
        self.sockets
            .wait_until(deadline, |sockets| sockets.is_none().then_some(()));
    }

    fn sockets(&self) -> Option<Arc<Sockets>> {
        self.sockets.lock().clone()
    }

    /// The work of the receiving thread. The end of the session ends it: its lifetime wakes this port,
    /// which sends a packet to itself.
    fn fill(self: &Arc<Self>, call: &Call, queue: &RecvQueue, format: &mut Format) {
        let (Some(sockets), Ok(_registered)) = (self.sockets(), call.watch_waiter(self)) else {
            return;
        };
        let mut packet = vec![0; MAX_PACKET];
        while call.check().is_ok() {
            match sockets.receiver.recv_from(&mut packet) {
                Ok((len, source)) if self.accepts(source) => {
                    match format.read_packet(packet.get(..len).unwrap_or_default()) {
                        Some((origin, payload)) => queue.push(origin, payload),
                        None => queue.count_malformed(),
                    }
                }
                Ok(_) => queue.count_foreign(),
                Err(error) if is_timeout(&error) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => thread::sleep(RECV_PAUSE),
            }
        }
    }

    fn accepts(&self, source: SocketAddr) -> bool {
        // A socket that is bound to an IPv6 address sees an IPv4 sender as `::ffff:127.0.0.1`.
        let source = canonical(source);
        source.ip() == self.accepted.ip()
            && (self.accepted.port() == 0 || source.port() == self.accepted.port())
    }
}

/// Unblocks the receiving thread by sending a packet to it; `std` offers no other way.
impl Wake for UdpPort {
    fn wake(&self) {
        if let Some(sockets) = self.sockets() {
            // If it does not arrive, the thread checks after `CHECK_INTERVAL`.
            let _ = sockets.receiver.send_to(&[], reachable(self.local));
        }
    }
}

/// Returns the address at which a socket that is bound to this one receives its own packets.
fn reachable(local: SocketAddr) -> SocketAddr {
    let ip = match local {
        _ if !local.ip().is_unspecified() => return local,
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, local.port())
}

/// Returns an IPv4 address in IPv6 form as the IPv4 address.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip if ip == address.ip() => address,
        ip => SocketAddr::new(ip, address.port()),
    }
}

/// Returns true if nothing listens at the address to which a packet was sent. Windows reports a
/// reset.
fn is_closed_port(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
    )
}

fn bind(bridge: SocketAddr, named: Box<str>, options: &UdpOptions) -> io::Result<UdpPort> {
    let bound = options.bind.map(canonical);
    let bound = bound.filter(|bind| !bind.ip().is_unspecified());
    let sender = connected(bridge, bound)?;
    let host = match bound {
        Some(bind) => bind.ip(),
        None => sender.local_addr()?.ip(),
    };
    let receiver = UdpSocket::bind(options.bind.unwrap_or(SocketAddr::new(host, 0)))?;
    receiver.set_read_timeout(Some(CHECK_INTERVAL))?;
    let local = receiver.local_addr()?;
    let (host, port) = options
        .advertised
        .clone()
        .unwrap_or_else(|| (host.to_string(), 0));
    let port = if port == 0 { local.port() } else { port };
    Ok(UdpPort {
        local,
        advertised: (host, port),
        sockets: Monitor::new(Some(Arc::new(Sockets { receiver, sender }))),
        accepted: options.source(bridge),
        buffers: BufferPool::default(),
        recent_lines: Mutex::default(),
        named,
    })
}

/// Returns a socket that sends to the bridge from the address at which we receive, or else from the one
/// that the system chooses, at which the bridge can reach us. It sends no packet.
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
