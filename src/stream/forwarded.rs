use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;

use crate::address::Destination;
use crate::error::{Error, Phase, SessionLoss};
use crate::session::SessionGuard;
use crate::stream::accept_pool::AcceptPool;
use crate::stream::accept_queue::AcceptQueue;
use crate::stream::forward_acceptor::ForwardAcceptor;
use crate::stream::forwarding::{ForwardOptions, Forwarding};
use crate::stream::listener::{ListenerStats, Source};
use crate::stream::sam_stream::SamStream;
use crate::sync::{Call, Cancel};

/// Receives the streams that the router forwards to our TCP port. When it is dropped, the router stops.
pub(crate) struct Forwarded {
    callers: Arc<ForwardAcceptor>,
    forwarding: Forwarding,
    tcp_addr: SocketAddr,
}

impl Forwarded {
    pub(crate) fn start(
        guard: &SessionGuard,
        pool: &AcceptPool,
        cancel: &Cancel,
        listener: TcpListener,
        options: &ForwardOptions,
    ) -> Result<Self, Error> {
        if options.is_silent() {
            return Err(Error::setting(
                "silent",
                true,
                "a listener needs the line that names the peer: use forward_to",
            ));
        }
        listener
            .set_nonblocking(false)
            .map_err(Error::io(Phase::Forward))?;
        let tcp_addr = listener.local_addr().map_err(Error::io(Phase::Forward))?;
        let forwarding = Forwarding::arrange(guard, pool.mode(), cancel, tcp_addr.port(), options)?;
        let limits = pool.queue().limits();
        let callers = ForwardAcceptor::start(&forwarding, limits, listener, options)
            .map_err(Error::io(Phase::Forward))?;
        Ok(Self {
            callers,
            forwarding,
            tcp_addr,
        })
    }
}

impl Source for Forwarded {
    fn destination(&self) -> &Destination {
        self.forwarding.guard().core().key.destination()
    }

    fn accept(&self, call: Call, nonblocking: bool) -> Result<SamStream, Error> {
        let forwarding = &self.forwarding;
        let call = call.or_lifetime(forwarding.control().lifetime());
        let queue = self.callers.queue();
        let outcome = queue.accept(&call, nonblocking);
        let inbound = match outcome.map_err(|error| forwarding.explain(error)) {
            // Streams that arrived before the loss stay usable.
            Err(Error::ForwardLost(loss)) => queue.left_over().ok_or(Error::ForwardLost(loss))?,
            outcome => outcome?,
        };
        Ok(inbound.into_stream(forwarding.guard()))
    }

    fn loss(&self) -> Option<SessionLoss> {
        self.forwarding.loss()
    }

    fn stats(&self) -> ListenerStats {
        ListenerStats {
            rejected: self.callers.queue().rejected(),
            dropped_callers: self.callers.dropped(),
        }
    }

    fn tcp_addr(&self) -> Option<SocketAddr> {
        Some(self.tcp_addr)
    }

    fn queue(&self) -> Option<&AcceptQueue> {
        Some(self.callers.queue())
    }
}

/// Binds a listener that only a router on this machine can reach.
///
/// Without HOST a router connects to the address from which our command came, so that address must be
/// loopback.
pub(crate) fn loopback(ours: IpAddr) -> Result<TcpListener, Error> {
    if !ours.is_loopback() {
        return Err(Error::setting(
            "bridge",
            ours,
            "it is not on loopback: use forward_with, with a listener that the router can reach",
        ));
    }
    TcpListener::bind((ours, 0)).map_err(Error::io(Phase::Forward))
}
