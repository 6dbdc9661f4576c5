use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use crate::address::I2pAddr;
use crate::bridge::SamBridge;
use crate::cancel::{Cancel, Wake};
use crate::deadline::Deadline;
use crate::dial::{is_timeout, resolve};
use crate::error::{Error, Phase};
use crate::interrupts::{Interrupts, lock, wait};
use crate::session::control::{Control, spawn};
use crate::session::datagram::DatagramOptions;
use crate::session::guard::SessionGuard;
use crate::version::Version;
use crate::wire::{CommandError, CommandFault, MAX_DATAGRAM_HEADER};

/// Most datagrams that wait to be received, and most bytes in them. What comes on top is dropped.
const MOST_WAITING: usize = 512;
const MOST_BYTES: usize = 4 << 20;

/// Largest UDP packet.
const MAX_PACKET: usize = 65_535;

/// How often the receiving thread looks whether the session still is: `std` cannot interrupt it.
const LOOK: Duration = Duration::from_millis(500);

/// Pause after the system would not let it receive.
const PAUSE: Duration = Duration::from_millis(50);

/// One pair of SESSION CREATE that belongs to the style.
pub(crate) type Pair = (&'static str, String);

/// Whose UDP packets are believed to be the bridge's.
///
/// Any program of the host can send to the UDP port on which datagrams are received. What comes
/// from elsewhere is dropped and counted ([`DroppedDatagrams::foreign`]).
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

/// What came to a session's UDP port and was not received, counted since the session was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DroppedDatagrams {
    /// Datagrams that came while 512 of them, or 4 MiB, waited to be received.
    pub overflow: u64,
    /// Packets that did not come from the bridge ([`DatagramSource`]).
    pub foreign: u64,
    /// Packets from the bridge in which nobody is named who could have sent them.
    pub malformed: u64,
}

/// What a builder was told about UDP.
#[derive(Clone, Debug, Default)]
pub(crate) struct UdpSettings {
    pub(crate) bind: Option<SocketAddr>,
    pub(crate) source: DatagramSource,
}

/// The UDP port of a session, and the bridge's.
pub(crate) struct UdpPort {
    socket: UdpSocket,
    bridge: SocketAddr,
    /// Where the bridge reaches us.
    host: IpAddr,
    source: DatagramSource,
}

impl UdpPort {
    pub(crate) fn open(bridge: &SamBridge, settings: &UdpSettings) -> Result<Self, Error> {
        let config = bridge.config();
        let deadline = Deadline::after(config.timeouts.connect);
        let interrupts = Interrupts::by_cancel(bridge.cancel());
        let bridge = resolve(&config.udp_address, deadline, &interrupts)?;
        bind(bridge, settings).map_err(|source| Error::Io {
            phase: Phase::SessionCreate,
            source,
        })
    }

    /// i2pd forwards only when it is told both.
    pub(crate) fn pairs(&self) -> Result<Vec<Pair>, Error> {
        let local = self.local().map_err(|source| Error::Io {
            phase: Phase::SessionCreate,
            source,
        })?;
        Ok(vec![
            ("HOST", self.host.to_string()),
            ("PORT", local.port().to_string()),
        ])
    }

    fn local(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn believes(&self, source: SocketAddr) -> bool {
        match self.source {
            DatagramSource::Bridge => source == self.bridge,
            DatagramSource::Host => source.ip() == self.bridge.ip(),
            DatagramSource::Address(address) => source == address,
        }
    }
}

fn bind(bridge: SocketAddr, settings: &UdpSettings) -> io::Result<UdpPort> {
    let bound = settings.bind.filter(|bind| !bind.ip().is_unspecified());
    let host = match bound {
        Some(bind) => bind.ip(),
        None => near_side(bridge)?,
    };
    let socket = UdpSocket::bind(settings.bind.unwrap_or(SocketAddr::new(host, 0)))?;
    socket.set_read_timeout(Some(LOOK))?;
    Ok(UdpPort {
        socket,
        bridge,
        host,
        source: settings.source,
    })
}

/// The address of this machine from which the bridge is reached. No packet is sent to find out.
fn near_side(bridge: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match bridge {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let probe = UdpSocket::bind((any, 0))?;
    probe.connect(bridge)?;
    Ok(probe.local_addr()?.ip())
}

/// A session that sends and receives by UDP. `O` is what is known of where a datagram came from.
pub(crate) struct Datagrams<O> {
    pub(crate) guard: SessionGuard,
    cancel: Cancel,
    mailbox: Arc<Mailbox<O>>,
}

impl<O> Clone for Datagrams<O> {
    fn clone(&self) -> Self {
        self.with_cancel(&self.cancel)
    }
}

impl<O> Datagrams<O> {
    pub(crate) fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self {
            guard: self.guard.clone(),
            cancel: cancel.clone(),
            mailbox: Arc::clone(&self.mailbox),
        }
    }

    pub(crate) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    pub(crate) fn udp_addr(&self) -> io::Result<SocketAddr> {
        self.mailbox.port.local()
    }

    pub(crate) fn dropped(&self) -> DroppedDatagrams {
        lock(&self.mailbox.state).dropped
    }

    /// As in `std`, no time at all is refused.
    pub(crate) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            let text = "a time-out cannot be zero";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        lock(&self.mailbox.state).read_timeout = timeout;
        Ok(())
    }

    pub(crate) fn read_timeout(&self) -> Option<Duration> {
        lock(&self.mailbox.state).read_timeout
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) {
        lock(&self.mailbox.state).nonblocking = nonblocking;
    }

    fn interrupts(&self) -> Interrupts {
        Interrupts::by_cancel(&self.cancel).or_session(&self.guard.core().control)
    }

    pub(crate) fn send(
        &self,
        payload: &[u8],
        max: usize,
        peer: &I2pAddr,
        options: &DatagramOptions,
    ) -> Result<usize, Error> {
        let phase = Phase::Send;
        let size = payload.len();
        if !(1..=max).contains(&size) {
            return Err(Error::DatagramSize { size, max });
        }
        self.interrupts().check(phase)?;
        let core = self.guard.core();
        let mut packet = header(core.version, &core.id, peer, options)?.into_bytes();
        packet.extend_from_slice(payload);
        let port = &self.mailbox.port;
        port.socket
            .send_to(&packet, port.bridge)
            .map_err(|source| Error::Io { phase, source })?;
        Ok(size)
    }
}

/// The line in front of a datagram that is sent.
fn header(
    version: Version,
    id: &str,
    peer: &I2pAddr,
    options: &DatagramOptions,
) -> Result<String, Error> {
    let pairs = options.pairs(peer.port())?;
    if version < Version::V3_2 && !pairs.is_empty() {
        return Err(Error::Setting(
            "a bridge before SAM 3.2 takes no ports and options with a datagram",
        ));
    }
    let mut line = format!("{version} {id} {}", peer.to_sam());
    for (name, value) in pairs {
        line.push_str(&format!(" {name}={value}"));
    }
    line.push('\n');
    if line.len() > MAX_DATAGRAM_HEADER {
        let fault = CommandFault::TooLong(MAX_DATAGRAM_HEADER);
        return Err(CommandError::new("DESTINATION", fault).into());
    }
    Ok(line)
}

impl<O: Send + 'static> Datagrams<O> {
    pub(crate) fn start(
        guard: SessionGuard,
        cancel: Cancel,
        port: UdpPort,
        read: impl Fn(&[u8]) -> Option<(O, &[u8])> + Send + 'static,
    ) -> Result<Self, Error> {
        let mailbox = Arc::new(Mailbox::new(port));
        // The thread must not keep the session alive, so it holds no guard.
        let (filler, control) = (Arc::clone(&mailbox), Arc::clone(&guard.core().control));
        spawn("i2p-sam-udp", move || filler.fill(&control, read)).map_err(|source| Error::Io {
            phase: Phase::SessionCreate,
            source,
        })?;
        Ok(Self {
            guard,
            cancel,
            mailbox,
        })
    }
}

impl<O: Clone + Send + 'static> Datagrams<O> {
    /// The next datagram. One that does not fit is gone.
    pub(crate) fn receive(&self, buf: &mut [u8]) -> Result<(usize, O), Error> {
        self.next(buf, true)
    }

    /// The next datagram, which stays.
    pub(crate) fn peek(&self, buf: &mut [u8]) -> Result<(usize, O), Error> {
        self.next(buf, false)
    }

    fn next(&self, buf: &mut [u8], take: bool) -> Result<(usize, O), Error> {
        let phase = Phase::Receive;
        let interrupts = self.interrupts();
        let _watch = interrupts.watch_waiter(&self.mailbox, phase)?;
        let mut state = lock(&self.mailbox.state);
        let deadline = Deadline::after(state.read_timeout);
        loop {
            interrupts.check(phase)?;
            if let Some(outcome) = state.next(buf, take) {
                return outcome;
            }
            if state.nonblocking {
                return Err(Error::WouldBlock);
            }
            state = wait(&self.mailbox.changed, state, phase, deadline)?;
        }
    }
}

/// What has come, and waits to be received.
struct Mailbox<O> {
    port: UdpPort,
    state: Mutex<State<O>>,
    changed: Condvar,
}

struct State<O> {
    queue: VecDeque<(O, Box<[u8]>)>,
    bytes: usize,
    dropped: DroppedDatagrams,
    read_timeout: Option<Duration>,
    nonblocking: bool,
}

impl<O: Clone> State<O> {
    fn next(&mut self, buf: &mut [u8], take: bool) -> Option<Result<(usize, O), Error>> {
        let (origin, payload) = self.queue.front()?;
        let (needed, given) = (payload.len(), buf.len());
        let outcome = match buf.get_mut(..needed) {
            Some(room) => {
                room.copy_from_slice(payload);
                Ok((needed, origin.clone()))
            }
            None => Err(Error::BufferTooSmall { needed, given }),
        };
        if take {
            self.queue.pop_front();
            self.bytes -= needed;
        }
        Some(outcome)
    }
}

impl<O> Mailbox<O> {
    fn new(port: UdpPort) -> Self {
        Self {
            port,
            state: Mutex::new(State {
                queue: VecDeque::new(),
                bytes: 0,
                dropped: DroppedDatagrams::default(),
                read_timeout: None,
                nonblocking: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// The work of the receiving thread, until the session ends.
    fn fill(&self, control: &Control, read: impl Fn(&[u8]) -> Option<(O, &[u8])>) {
        let mut packet = vec![0; MAX_PACKET];
        while control.loss().is_none() {
            match self.port.socket.recv_from(&mut packet) {
                Ok((len, source)) => {
                    let packet = packet.get(..len).unwrap_or_default();
                    self.sort(packet, source, &read);
                }
                Err(error) if is_timeout(&error) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }

    fn sort(&self, packet: &[u8], source: SocketAddr, read: impl Fn(&[u8]) -> Option<(O, &[u8])>) {
        if !self.port.believes(source) {
            lock(&self.state).dropped.foreign += 1;
            return;
        }
        let Some((origin, payload)) = read(packet) else {
            lock(&self.state).dropped.malformed += 1;
            return;
        };
        let mut state = lock(&self.state);
        if state.queue.len() >= MOST_WAITING || state.bytes + payload.len() > MOST_BYTES {
            state.dropped.overflow += 1;
            return;
        }
        state.bytes += payload.len();
        state.queue.push_back((origin, payload.into()));
        drop(state);
        // A waiter that peeks would leave the datagram to one that is not woken.
        self.changed.notify_all();
    }
}

impl<O: Send> Wake for Mailbox<O> {
    fn wake(&self) {
        let _state = lock(&self.state);
        self.changed.notify_all();
    }
}
