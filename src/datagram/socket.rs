use std::io;
use std::sync::Arc;

use crate::address::I2pAddr;
use crate::bridge::SamBridge;
use crate::datagram::control_frames::ControlFrames;
use crate::datagram::encode::OutgoingDatagram;
use crate::datagram::format::{Format, Origin};
use crate::datagram::options::DatagramOptions;
use crate::datagram::peer::{Peer, not_connected};
use crate::datagram::recv_queue::RecvQueue;
use crate::datagram::transport::Transport;
use crate::datagram::udp::{UdpOptions, UdpPort};
use crate::error::{Error, Phase};
use crate::session::{DefaultPorts, Frames, SessionCore, SessionGuard};
use crate::sync::{Call, Cancel, Deadline};
use crate::wire::Pair;

/// The common part of [`DatagramSession`](crate::DatagramSession) and
/// [`RawSession`](crate::RawSession).
#[derive(Clone)]
pub(crate) struct DatagramSocket {
    pub(crate) guard: SessionGuard,
    pub(crate) cancel: Cancel,
    pub(super) queue: Arc<RecvQueue>,
    pub(super) transport: Transport,
}

impl DatagramSocket {
    /// Opens a UDP port, creates a session to which the bridge forwards datagrams there, and starts
    /// to receive them.
    ///
    /// `create` is passed the pairs that describe the port to the bridge.
    pub(crate) fn by_udp(
        bridge: &SamBridge,
        options: &UdpOptions,
        format: Format,
        create: impl FnOnce(&[Pair]) -> Result<SessionGuard, Error>,
    ) -> Result<Self, Error> {
        let port = Arc::new(UdpPort::open(bridge, options)?);
        let guard = create(&port.pairs())?;
        let queue = Arc::new(RecvQueue::new());
        port.receive(guard.core().call(Phase::Receive), &queue, format)
            .map_err(Error::io(Phase::SessionCreate))?;
        Ok(Self::start(
            guard,
            bridge.cancel(),
            queue,
            Transport::Udp(port),
        ))
    }

    /// Creates a session whose datagrams the reader of the control socket puts into the queue.
    pub(crate) fn by_control_socket(
        cancel: &Cancel,
        format: Format,
        create: impl FnOnce(Box<dyn Frames>) -> Result<SessionGuard, Error>,
    ) -> Result<Self, Error> {
        let style = format.style();
        if !matches!(style, "DATAGRAM" | "RAW") {
            return Err(Error::setting(
                "style",
                style,
                "only DATAGRAM and RAW can be sent on the control socket",
            ));
        }
        let queue = Arc::new(RecvQueue::new());
        let guard = create(Box::new(ControlFrames::new(format, &queue)))?;
        Ok(Self::start(
            guard,
            cancel,
            queue,
            Transport::ControlSocket(style),
        ))
    }

    fn start(
        guard: SessionGuard,
        cancel: &Cancel,
        queue: Arc<RecvQueue>,
        transport: Transport,
    ) -> Self {
        let socket = Self {
            guard,
            cancel: cancel.clone(),
            queue,
            transport,
        };
        socket.prove_life();
        socket
    }

    /// Lets each heartbeat of the session send a datagram to the session itself.
    fn prove_life(&self) {
        let core = self.guard.core();
        let control = &core.control;
        let Some(interval) = control.heartbeat() else {
            return;
        };
        let own = I2pAddr::from(core.key.destination());
        let (session, transport) = (Arc::downgrade(core), self.transport.clone());
        let own_datagrams = Arc::clone(self.queue.self_datagrams());
        control.add_to_heartbeat(Arc::new(move || {
            let core = session.upgrade()?;
            if core.lifetime().has_ended() {
                return None;
            }
            // i2pd ends a session whose router is gone.
            if core.is_i2pd() {
                return Some(Ok(()));
            }
            let payload = match own_datagrams.next(interval) {
                Ok(payload) => payload,
                Err(error) => return Some(Err(error)),
            };
            let datagram = OutgoingDatagram {
                payload,
                peer: &own,
                options: &DatagramOptions::new(),
                protocol: None,
                // The session listens to its own port, not to that of its peers.
                ports: DefaultPorts::default(),
            };
            // A datagram that could not be sent counts as lost.
            let _ = transport.send(&core, &datagram, || true, &Call::new(Phase::Send));
            Some(Ok(()))
        }));
    }

    pub(crate) fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self {
            cancel: cancel.clone(),
            ..self.clone()
        }
    }

    pub(crate) fn core(&self) -> &SessionCore {
        self.guard.core()
    }

    /// Ends the session, and waits until its key and its UDP port are free.
    pub(crate) fn close(&self) {
        self.core().close();
        self.transport.await_release();
    }

    pub(crate) fn send(&self, datagram: &OutgoingDatagram<'_>, max: usize) -> Result<usize, Error> {
        let size = datagram.payload.len();
        if !(1..=max).contains(&size) {
            return Err(Error::DatagramSize { size, max });
        }
        let call = self.call(Phase::Send);
        call.check()?;
        let is_nonblocking = || self.queue.is_nonblocking();
        self.transport
            .send(self.core(), datagram, is_nonblocking, &call)?;
        Ok(size)
    }

    /// Waits for the next datagram and removes it, even if it does not fit.
    pub(crate) fn receive(&self, buf: &mut [u8]) -> Result<(usize, Origin), Error> {
        self.queue.next(buf, true, &self.call(Phase::Receive))
    }

    /// Waits for the next datagram, which stays in the queue.
    pub(crate) fn peek(&self, buf: &mut [u8]) -> Result<(usize, Origin), Error> {
        self.queue.next(buf, false, &self.call(Phase::Receive))
    }

    /// Sends to a peer from now on, and receives from no other.
    pub(crate) fn connect(&self, address: &I2pAddr) -> Result<(), Error> {
        let core = self.core();
        let deadline = Deadline::after(core.bridge.config().timeouts.lookup);
        let destination = core.lookup(address, deadline, &self.cancel)?;
        let b32 = destination.b32();
        let peer = I2pAddr::from(&destination);
        let peer = match core.ports.peer(address.port()) {
            None => peer,
            Some(port) => peer.with_port(port),
        };
        self.queue.connect(Peer::new(peer, b32, core)?);
        Ok(())
    }

    /// Returns the peer to which the session is connected.
    pub(crate) fn peer(&self) -> io::Result<Arc<Peer>> {
        self.queue.peer().ok_or_else(not_connected)
    }

    fn call(&self, phase: Phase) -> Call {
        self.core().call(phase).or_cancel(&self.cancel)
    }
}

/// Implements the common methods of sessions for datagrams, and `Debug`. The type has a field
/// `socket`.
macro_rules! datagram_session {
    ($session:ident) => {
        impl $session {
            /// Returns the UDP address to which the bridge forwards datagrams.
            ///
            /// # Errors
            ///
            /// `Unsupported` if datagrams come [on the control
            /// socket](crate::DatagramTransport::ControlSocket).
            ///
            /// ```
            /// # #[cfg(feature = "testing")] {
            /// # let router = i2p_sam::testing::TestBridge::start()?;
            /// # let bridge = router.bridge();
            /// let session = bridge.session().raw()?;
            /// assert!(session.udp_addr()?.ip().is_loopback());
            /// # }
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn udp_addr(&self) -> std::io::Result<std::net::SocketAddr> {
                self.socket.transport.udp_addr()
            }

            /// Sets how long receiving waits; `None`, the default, means for ever. It applies to clones too.
            ///
            /// # Errors
            ///
            /// `InvalidInput` for zero, as in `std`.
            ///
            /// ```
            /// # #[cfg(feature = "testing")] {
            /// # let router = i2p_sam::testing::TestBridge::start()?;
            /// # let bridge = router.bridge();
            /// use std::time::Duration;
            ///
            /// let session = bridge.session().raw()?;
            /// session.set_read_timeout(Some(Duration::from_millis(10)))?;
            /// assert!(session.recv(&mut [0; 64]).is_err_and(|error| error.is_timeout()));
            /// # }
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn set_read_timeout(
                &self,
                timeout: Option<std::time::Duration>,
            ) -> std::io::Result<()> {
                self.socket.queue.set_read_timeout(timeout)
            }

            /// Returns how long receiving waits.
            ///
            /// # Errors
            ///
            /// None; the type is that of `std`.
            ///
            /// ```
            /// # #[cfg(feature = "testing")] {
            /// # let router = i2p_sam::testing::TestBridge::start()?;
            /// # let bridge = router.bridge();
            /// use std::time::Duration;
            ///
            /// let session = bridge.session().raw()?;
            /// assert_eq!(session.read_timeout()?, None);
            /// session.set_read_timeout(Some(Duration::from_secs(5)))?;
            /// assert_eq!(session.read_timeout()?, Some(Duration::from_secs(5)));
            /// # }
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn read_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
                Ok(self.socket.queue.read_timeout())
            }

            /// Sets whether receiving fails with [`Error::WouldBlock`](crate::Error::WouldBlock)
            /// instead of waiting. Default: it waits. It applies to clones too.
            ///
            /// # Errors
            ///
            /// None; the type is that of `std`.
            pub fn set_nonblocking(&self, nonblocking: bool) -> std::io::Result<()> {
                self.socket.queue.set_nonblocking(nonblocking);
                Ok(())
            }

            /// Returns another handle to the same session. Each datagram goes to one of them.
            ///
            /// # Errors
            ///
            /// None; the type is that of `std`.
            ///
            /// ```
            /// # #[cfg(feature = "testing")] {
            /// # let router = i2p_sam::testing::TestBridge::start()?;
            /// # let bridge = router.bridge();
            /// use std::thread;
            ///
            /// let session = bridge.session().raw()?;
            /// let receiver = session.try_clone()?;
            /// let receiving = thread::spawn(move || receiver.recv(&mut [0; 64]));
            /// session.close();
            /// assert!(receiving.join().unwrap().is_err());
            /// # }
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn try_clone(&self) -> std::io::Result<Self> {
                Ok(self.clone())
            }

            /// Returns the numbers of datagrams dropped so far.
            pub fn dropped(&self) -> crate::DroppedDatagrams {
                self.socket.queue.dropped()
            }

            /// Ends the session now, and waits up to 2 s for the bridge to hang up. The UDP port is
            /// free then; at i2pd the key rests for 6 s before another session has it:
            /// [a key that is used again](crate::SessionBuilder#a-key-that-is-used-again).
            /// Calling it again does nothing. Without it the session ends in the background when its
            /// last clone is dropped.
            ///
            /// A subsession of a [`PrimarySession`](crate::PrimarySession) ends alone, and the bridge
            /// gets the 2 s to remove it.
            ///
            /// ```
            /// # #[cfg(feature = "testing")] {
            /// # let router = i2p_sam::testing::TestBridge::start()?;
            /// # let bridge = router.bridge();
            /// let session = bridge.session().raw()?;
            /// session.close();
            /// assert!(session.recv(&mut [0; 64]).is_err_and(|error| error.is_session_lost()));
            /// # }
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn close(&self) {
                self.socket.close();
            }
        }

        $crate::session::common_methods::common_methods!($session, socket.guard, socket.cancel);
    };
}
pub(crate) use datagram_session;
