use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use crate::address::I2pAddr;
use crate::bridge::{Endpoint, dial};
use crate::error::{Error, Phase};
use crate::stream::SamListener;
use crate::sync::Call;
use crate::tunnel::runner::TunnelRunner;
use crate::tunnel::{ToTcpAddr, TunnelError, TunnelOptions, tunnel_handle};

/// Carries the streams that peers dial to a local TCP service that does not support I2P.
///
/// ```no_run
/// use i2p_sam::{SamBridge, ServerTunnel, TunnelOptions};
///
/// // A web server on this machine becomes an eepsite.
/// let session = SamBridge::from_env()?.session().stream()?;
/// println!("http://{}/", session.destination().b32());
/// let listener = session.listener()?;
/// let tunnel = ServerTunnel::start(listener, "127.0.0.1:8080", &TunnelOptions::new())?;
/// tunnel.wait(None);
/// # Ok::<(), i2p_sam::Error>(())
/// ```
///
/// **The service does not see which peer dials**: every connection comes from this machine's own address. A
/// service that trusts loopback therefore trusts all of I2P.
///
/// The tunnel accepts a stream before it dials the service, and ends the stream if it cannot reach the
/// service. Errors of single connections are [counted](crate::TunnelStats) and
/// [reported](crate::TunnelOptions::on_failure), and the tunnel continues. It ends if the listener can
/// return no more streams; [`wait`](ServerTunnel::wait) then returns the reason. The listener of a
/// [`HealingSession`](crate::HealingSession) continues after a loss.
///
/// For a half-close on either side, see [`ClientTunnel`](crate::ClientTunnel#half-close). If a service
/// replies and hangs up, its stream stays open until the client has the whole reply and hangs up, or until
/// all data has had time to arrive.
#[must_use = "the tunnel is closed when this is dropped"]
pub struct ServerTunnel {
    running: Arc<TunnelRunner>,
    local_addr: I2pAddr,
}

impl ServerTunnel {
    /// Carries the streams of a listener to the TCP service at `service`. A name is resolved again for each
    /// connection.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] if `service` is not a host and a port, or its host ends in `.i2p`, [`Error::Io`]
    /// if no thread can be started, [`Error::Cancelled`] if the [handle](crate::TunnelOptions::with_cancel)
    /// has fired.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::{ServerTunnel, TunnelOptions};
    ///
    /// let session = bridge.session().healing()?;
    /// let listener = session.listener()?;
    /// let tunnel = ServerTunnel::start(listener, "127.0.0.1:8080", &TunnelOptions::new())?;
    /// println!("http://{}/", session.destination().b32());
    /// # drop(tunnel);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn start(
        listener: SamListener,
        service: impl ToTcpAddr,
        options: &TunnelOptions,
    ) -> Result<Self, Error> {
        let service = service.to_tcp_addr()?.0;
        let running = TunnelRunner::new(options)?;
        let local_addr = listener.local_addr();
        let listener = listener.with_cancel(running.accepting());
        let accept = move || listener.accept().map(|(stream, _)| stream);
        running.start(accept, move |stream, running| {
            let local =
                reach(&service, running).map_err(|error| TunnelError::Service(Arc::new(error)))?;
            Ok((local, stream))
        })?;
        Ok(Self {
            running,
            local_addr,
        })
    }

    /// Returns our own I2P address, which peers dial.
    pub fn local_addr(&self) -> &I2pAddr {
        &self.local_addr
    }
}

tunnel_handle!(ServerTunnel);

fn reach(service: &Endpoint, running: &TunnelRunner) -> io::Result<TcpStream> {
    let call = Call::new(Phase::Connect)
        .or_cancel(running.all())
        .within(Some(running.options().service_time()));
    match dial(service, &call) {
        // It is not a bridge that does not reply.
        Err(Error::Unreachable { source, .. } | Error::Io { source, .. }) => Err(source),
        outcome => Ok(outcome?),
    }
}
