use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::address::I2pAddr;
use crate::error::{Error, Phase};
use crate::session::core::{SessionCore, SessionGuard};
use crate::session::datagram::DatagramOptions;
use crate::session::outgoing::Outgoing;
use crate::session::path::Path;
use crate::session::recv_queue::{DroppedDatagrams, RecvQueue};
use crate::session::udp::UdpPort;
use crate::sync::{Call, Cancel};
use crate::wire::Message;

/// How a style says where a datagram came from.
pub(crate) trait Reader: Send + 'static {
    /// What is known of where a datagram came from.
    type Origin: Clone + Send + 'static;

    /// Origin and payload of a packet that the bridge forwarded, if it can be one of this style.
    fn forwarded<'a>(&mut self, packet: &'a [u8]) -> Option<(Self::Origin, &'a [u8])>;

    /// Origin of a datagram that was announced so on the control socket, if it can be one of this
    /// style.
    fn received(&mut self, message: &Message<'_>) -> Option<Self::Origin>;
}

/// What [`DatagramSession`](crate::DatagramSession) and [`RawSession`](crate::RawSession) have in
/// common. `O` is what is known of where a datagram came from.
pub(crate) struct Datagrams<O> {
    pub(crate) guard: SessionGuard,
    pub(crate) cancel: Cancel,
    mailbox: Arc<RecvQueue<O>>,
    path: Path,
}

impl<O> Clone for Datagrams<O> {
    fn clone(&self) -> Self {
        self.with_cancel(&self.cancel)
    }
}

impl<O> Datagrams<O> {
    pub(crate) fn start<R: Reader<Origin = O>>(
        guard: SessionGuard,
        cancel: Cancel,
        port: UdpPort,
        reader: R,
    ) -> Result<Self, Error> {
        let (port, mailbox) = (Arc::new(port), Arc::new(RecvQueue::new()));
        let call = guard.core().call(Phase::Receive);
        port.receive(call, &mailbox, reader)
            .map_err(|source| Error::Io {
                phase: Phase::SessionCreate,
                source,
            })?;
        let datagrams = Self {
            guard,
            cancel,
            mailbox,
            path: Path::udp(&port),
        };
        datagrams.prove_life();
        Ok(datagrams)
    }

    /// Creates those of a session whose control socket fills the queue.
    pub(crate) fn on_control_socket(
        guard: SessionGuard,
        cancel: Cancel,
        mailbox: Arc<RecvQueue<O>>,
        topic: &'static str,
    ) -> Self {
        let datagrams = Self {
            guard,
            cancel,
            mailbox,
            path: Path::ControlSocket(topic),
        };
        datagrams.prove_life();
        datagrams
    }

    /// Lets each heartbeat of the session send a datagram to the session itself.
    fn prove_life(&self) {
        let core = self.guard.core();
        let control = core.control.owner();
        let Some(interval) = control.writer().heartbeat() else {
            return;
        };
        let own = I2pAddr::from(core.key.destination());
        let (session, path) = (Arc::downgrade(core), self.path.clone());
        let own_datagrams = Arc::clone(self.mailbox.self_datagrams());
        control.add_to_heartbeat(Arc::new(move || {
            let core = session.upgrade()?;
            if core.control.lifetime().has_ended() {
                return None;
            }
            // It ends a session whose router is gone.
            if core.is_i2pd() {
                return Some(Ok(()));
            }
            let payload = match own_datagrams.next(interval) {
                Ok(payload) => payload,
                Err(error) => return Some(Err(error)),
            };
            let datagram = Outgoing {
                payload,
                peer: &own,
                options: &DatagramOptions::new(),
                protocol: None,
            };
            // One that could not be sent counts as one that was lost.
            let _ = path.send(&core, &datagram, true, &Call::new(Phase::Send));
            Some(Ok(()))
        }));
    }

    pub(crate) fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self {
            guard: self.guard.clone(),
            cancel: cancel.clone(),
            mailbox: Arc::clone(&self.mailbox),
            path: self.path.clone(),
        }
    }

    pub(crate) fn core(&self) -> &SessionCore {
        self.guard.core()
    }

    pub(crate) fn udp_addr(&self) -> io::Result<SocketAddr> {
        self.path.udp_addr()
    }

    pub(crate) fn dropped(&self) -> DroppedDatagrams {
        self.mailbox.dropped()
    }

    pub(crate) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.mailbox.set_read_timeout(timeout)
    }

    pub(crate) fn read_timeout(&self) -> Option<Duration> {
        self.mailbox.read_timeout()
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) {
        self.mailbox.set_nonblocking(nonblocking);
    }

    /// Ends the session, and waits until bridge and system have let go of key and port.
    pub(crate) fn close(&self) {
        self.core().close();
        self.path.await_release();
    }

    pub(crate) fn send(&self, datagram: &Outgoing<'_>, max: usize) -> Result<usize, Error> {
        let size = datagram.payload.len();
        if !(1..=max).contains(&size) {
            return Err(Error::DatagramSize { size, max });
        }
        let call = self.call(Phase::Send);
        call.check()?;
        let nonblocking = self.mailbox.is_nonblocking();
        self.path.send(self.core(), datagram, nonblocking, &call)?;
        Ok(size)
    }

    fn call(&self, phase: Phase) -> Call {
        self.core().call(phase).or_cancel(&self.cancel)
    }
}

impl<O: Clone + Send + 'static> Datagrams<O> {
    /// The next datagram. One that does not fit is gone.
    pub(crate) fn receive(&self, buf: &mut [u8]) -> Result<(usize, O), Error> {
        self.mailbox.next(buf, true, &self.call(Phase::Receive))
    }

    /// The next datagram, which stays.
    pub(crate) fn peek(&self, buf: &mut [u8]) -> Result<(usize, O), Error> {
        self.mailbox.next(buf, false, &self.call(Phase::Receive))
    }
}

/// The methods that a session for datagrams has whatever its datagrams say, and its `Debug`. The
/// type has a field `datagrams`.
macro_rules! datagram_session {
    ($session:ident) => {
        impl $session {
            /// The UDP address to which the bridge forwards what comes.
            ///
            /// # Errors
            ///
            /// `Unsupported` where it comes [over the control
            /// socket](crate::DatagramPath::ControlSocket).
            pub fn udp_addr(&self) -> std::io::Result<std::net::SocketAddr> {
                self.datagrams.udp_addr()
            }

            /// How long receiving waits; `None`, the default, is for ever. It holds for clones too.
            ///
            /// # Errors
            ///
            /// `InvalidInput` for no time at all, as in `std`.
            pub fn set_read_timeout(
                &self,
                timeout: Option<std::time::Duration>,
            ) -> std::io::Result<()> {
                self.datagrams.set_read_timeout(timeout)
            }

            /// How long receiving waits.
            ///
            /// # Errors
            ///
            /// None; the type is that of `std`.
            pub fn read_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
                Ok(self.datagrams.read_timeout())
            }

            /// Whether receiving fails with [`Error::WouldBlock`](crate::Error::WouldBlock) rather
            /// than wait. Default: it waits. It holds for clones too.
            ///
            /// # Errors
            ///
            /// None; the type is that of `std`.
            pub fn set_nonblocking(&self, nonblocking: bool) -> std::io::Result<()> {
                self.datagrams.set_nonblocking(nonblocking);
                Ok(())
            }

            /// Another handle to the same session: what comes goes to one of them.
            ///
            /// # Errors
            ///
            /// None; the type is that of `std`.
            pub fn try_clone(&self) -> std::io::Result<Self> {
                Ok(self.clone())
            }

            /// What came and was dropped, so far.
            pub fn dropped(&self) -> crate::DroppedDatagrams {
                self.datagrams.dropped()
            }

            /// Ends the session now, and waits up to 2 s for the bridge to hang up. The UDP port is
            /// free then; at i2pd the key rests for 6 s before another session has it:
            /// [a key that is used again](crate::SessionBuilder#a-key-that-is-used-again).
            /// Calling it again does nothing. Without it the session ends in the background when its
            /// last clone is dropped.
            ///
            /// A subsession of a [`PrimarySession`](crate::PrimarySession) ends alone, and the bridge
            /// gets the 2 s to remove it.
            pub fn close(&self) {
                self.datagrams.close();
            }
        }

        $crate::session::common_methods::common_methods!(
            $session,
            datagrams.guard,
            datagrams.cancel
        );
    };
}
pub(crate) use datagram_session;
