use std::net::TcpStream;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use crate::address::I2pAddr;
use crate::bridge::SamBridge;
use crate::error::{Error, Phase};
use crate::session::{SessionCore, SessionEnd, SessionGuard};
use crate::stream::{SamStream, StreamSession};
use crate::sync::{Lifetime, Target, lock, spawn};

use super::bridge::TestBridge;

/// The bridge that runs, if one does.
static CURRENT: Mutex<Weak<SharedBridge>> = Mutex::new(Weak::new());

/// The bridge of all streams that are made without one. It runs while any of them lives.
pub(super) struct SharedBridge {
    /// Taken when it is dropped.
    running: Option<TestBridge>,
    bridge: SamBridge,
}

impl SharedBridge {
    /// Returns the bridge that runs, or starts one.
    pub(super) fn get() -> Result<Arc<Self>, Error> {
        let mut current = lock(&CURRENT);
        if let Some(bridge) = current.upgrade() {
            return Ok(bridge);
        }
        let running = TestBridge::start().map_err(Error::io(Phase::Connect))?;
        let started = Arc::new(Self {
            bridge: running.bridge(),
            running: Some(running),
        });
        *current = Arc::downgrade(&started);
        Ok(started)
    }

    /// Creates a session that ends at once when nothing needs it any more.
    pub(super) fn session(&self) -> Result<StreamSession, Error> {
        let builder = self.bridge.session().linger(Duration::ZERO);
        builder.pending_accepts(1).stream()
    }
}

impl Drop for SharedBridge {
    fn drop(&mut self) {
        let running = self.running.take();
        // The thread that drops a stream neither waits for the bridge, nor, if it panics, prints a seed that
        // nothing takes. Without a thread for it, the bridge ends here.
        let _ = spawn("i2p-sam-test-stop", move || drop(running));
    }
}

/// Sessions that end together, and their bridge. What one stream of a pair wrote before it was dropped reaches
/// the other, however late that one reads.
pub(super) struct Sessions {
    _guards: Vec<SessionGuard>,
    /// Stops after the sessions have ended, since fields are dropped in their order.
    _bridge: Arc<SharedBridge>,
}

impl Sessions {
    pub(super) fn new(bridge: Arc<SharedBridge>, sessions: &[&StreamSession]) -> Arc<Self> {
        Arc::new(Self {
            _guards: sessions.iter().map(|session| session.guard()).collect(),
            _bridge: bridge,
        })
    }

    /// Makes the stream of one of these sessions keep all of them.
    pub(super) fn keep(self: &Arc<Self>, stream: SamStream) -> Result<SamStream, Error> {
        let (local, peer) = (stream.local_addr().clone(), stream.peer_addr().clone());
        let (socket, guard) = stream.into_parts().map_err(Error::io(Phase::Connect))?;
        self.stream(&guard, socket, local, peer)
    }

    /// Makes a stream of a socket, in one of these sessions. It keeps all of them.
    pub(super) fn stream(
        self: &Arc<Self>,
        session: &SessionGuard,
        socket: TcpStream,
        local: I2pAddr,
        peer: I2pAddr,
    ) -> Result<SamStream, Error> {
        let core = session.core();
        let socket = Arc::new(socket);
        let registration = core.lifetime().register(Target::socket(&socket))?;
        let end = SharedEnd {
            own: Arc::clone(&core.end),
            all: Mutex::new(Some(Arc::clone(self))),
        };
        let guard = SessionGuard::new(SessionCore {
            bridge: core.bridge.clone(),
            control: Arc::clone(&core.control),
            end: Arc::new(end),
            id: core.id.clone(),
            key: core.key.clone(),
            version: core.version,
            ports: core.ports,
            linger: core.linger,
            streams: Arc::default(),
            streamed: AtomicBool::new(false),
        });
        Ok(SamStream::new(
            socket,
            Some(registration),
            guard,
            peer,
            local,
        ))
    }
}

/// The end of a session that waits for others.
struct SharedEnd {
    own: Arc<dyn SessionEnd>,
    /// The sessions that end together, until nothing needs this one.
    all: Mutex<Option<Arc<Sessions>>>,
}

impl SessionEnd for SharedEnd {
    fn lifetime(&self) -> &Arc<Lifetime> {
        self.own.lifetime()
    }

    fn close(self: Arc<Self>, parting: Duration) {
        Arc::clone(&self.own).close(parting);
    }

    fn close_after(self: Arc<Self>, _: Duration) {
        let all = lock(&self.all).take();
        // The last to let go ends them.
        drop(all);
    }
}
