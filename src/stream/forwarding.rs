use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::bridge::Connection;
use crate::bridge::refuse_i2p;
use crate::error::{Error, Phase, SessionLoss};
use crate::session::control::ControlSocket;
use crate::session::{SessionCore, SessionGuard};
use crate::stream::inbound_mode::InboundMode;
use crate::sync::{Call, Cancel, Deadline, Registration};
use crate::wire::{Command, CommandError, CommandFault, StreamHeader, needs_quotes};

/// The time for a caller to send its header.
const HEADER_TIME: Duration = Duration::from_secs(30);

/// The pause before the next FORWARD to a router that has not ended the last forwarding yet.
const PAUSE: Duration = Duration::from_millis(100);

/// The longest delay between the ends of the FORWARD socket and of the control socket of one bridge.
const LOSS_GRACE: Duration = Duration::from_millis(50);

/// The time for a bridge to reply if a session still forwards, which it knows without the network.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Keeps a router connecting to a TCP port for each stream that peers dial.
///
/// [`StreamSession::forward_to`](crate::StreamSession::forward_to) creates it. While it exists, the
/// router forwards and the session stays alive. When it is dropped, streams that have arrived go on as
/// long as something else keeps the session alive.
///
/// emissary 0.4.0 does not stop before the session is closed. Until then it connects to any program
/// that has the port; on emissary, close the session as well.
///
/// ```
/// # #[cfg(feature = "testing")] {
/// use i2p_sam::ForwardOptions;
/// use i2p_sam::testing::TestBridge;
///
/// let router = TestBridge::start()?;
/// let session = router.bridge().session().stream()?;
/// let forwarding = session.forward_to(8080, &ForwardOptions::new())?;
/// assert!(forwarding.error().is_none());
/// // The router stops forwarding.
/// drop(forwarding);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the router stops forwarding when this is dropped"]
pub struct Forwarding {
    /// The FORWARD socket is kept like a session's control socket: its `PING` must be answered.
    control: Arc<ControlSocket>,
    /// Ends the socket with its session.
    _registration: Option<Registration>,
    guard: SessionGuard,
    mode: Arc<InboundMode>,
    ended: AtomicBool,
}

impl Forwarding {
    pub(crate) fn arrange(
        guard: &SessionGuard,
        mode: &Arc<InboundMode>,
        cancel: &Cancel,
        port: u16,
        options: &ForwardOptions,
    ) -> Result<Self, Error> {
        let core = guard.core();
        let command = options.command(&core.id, port)?;
        mode.forward(|| {
            let (control, registration) = ask(core, &command, cancel)?;
            Ok(Self {
                control,
                _registration: registration,
                guard: guard.clone(),
                mode: Arc::clone(mode),
                ended: AtomicBool::new(false),
            })
        })
    }

    /// Returns the reason why the router no longer forwards, if it does not: [`Error::SessionLost`], or
    /// [`Error::ForwardLost`] if the session is alive and can forward again.
    pub fn error(&self) -> Option<Error> {
        let loss = self.control.lifetime().loss()?;
        Some(self.explain(Error::SessionLost(loss)))
    }

    /// Waits until the router no longer forwards, and returns the reason as [`error`](Forwarding::error) does.
    /// Returns `None` if it still forwards after `timeout` (`None` waits for ever).
    ///
    /// A session may live on without its forwarding, which [`StreamSession::wait_closed`](crate::StreamSession::wait_closed)
    /// does not notice.
    ///
    /// ```no_run
    /// use i2p_sam::ForwardOptions;
    ///
    /// # let session = i2p_sam::SamBridge::from_env()?.session().stream()?;
    /// loop {
    ///     let forwarding = session.forward_to(8080, &ForwardOptions::new().silent(true))?;
    ///     match forwarding.wait(None) {
    ///         Some(error) if error.is_session_lost() => return Err(error),
    ///         reason => eprintln!("forwarding again: {reason:?}"),
    ///     }
    /// }
    /// # #[allow(unreachable_code)]
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn wait(&self, timeout: Option<Duration>) -> Option<Error> {
        let call = Call::new(Phase::WaitClosed).within(timeout);
        let loss = call.wait_ended(self.control.lifetime()).ok()?;
        Some(self.explain(Error::SessionLost(loss)))
    }

    /// Returns the reason why the session is gone, if it is.
    pub fn loss(&self) -> Option<SessionLoss> {
        self.guard.loss()
    }

    pub(crate) fn guard(&self) -> &SessionGuard {
        &self.guard
    }

    pub(crate) fn control(&self) -> &Arc<ControlSocket> {
        &self.control
    }

    /// Distinguishes the loss of the FORWARD socket from that of the session.
    ///
    /// A bridge that ends closes both sockets, and then the loss of the session is the better reason.
    pub(crate) fn explain(&self, error: Error) -> Error {
        let Error::SessionLost(loss) = error else {
            return error;
        };
        let session = self.guard.core().lifetime();
        let call = Call::new(Phase::WaitClosed).within(Some(LOSS_GRACE));
        match call.wait_ended(session) {
            Ok(loss) => Error::SessionLost(loss),
            Err(_) => {
                self.end();
                Error::ForwardLost(loss)
            }
        }
    }

    /// Stops the forwarding. From now on the session can forward again, even while handles to this
    /// remain.
    fn end(&self) {
        self.control.hang_up();
        if !self.ended.swap(true, Ordering::Relaxed) {
            self.mode.forwarded();
        }
    }
}

/// The socket must stay open, and its end has two effects: the router stops forwarding, and the
/// lifetime of the socket wakes the calls that wait for it.
impl Drop for Forwarding {
    fn drop(&mut self) {
        self.end();
    }
}

/// Shows the session's destination and whether it is alive.
impl fmt::Debug for Forwarding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarding")
            .field("destination", self.guard.core().key.destination())
            .field("loss", &self.loss())
            .finish_non_exhaustive()
    }
}

fn ask(
    core: &Arc<SessionCore>,
    command: &Command,
    cancel: &Cancel,
) -> Result<(Arc<ControlSocket>, Option<Registration>), Error> {
    let phase = Phase::Forward;
    let call = core.call(phase).or_cancel(cancel);
    let deadline = Deadline::after(core.bridge.config().timeouts.command);
    let connection = loop {
        match ask_once(core, command, &call, deadline) {
            // Java I2P ends a forwarding some time after its socket was closed.
            Err(Error::Refused(refusal)) if refusal.means_still_forwarding() => {
                call.clone().until(deadline).sleep(PAUSE)?;
                if deadline.has_passed() {
                    return Err(refusal.into());
                }
            }
            outcome => break outcome?,
        }
    };
    let (socket, registration) = connection.hand_over(phase)?;
    let heartbeat = core.control.heartbeat();
    let session = Arc::downgrade(core);
    let beat = Arc::new(move || {
        prove_forwarding(&session.upgrade()?);
        Some(Ok(()))
    });
    let control =
        ControlSocket::start_forwarding(socket, heartbeat, beat).map_err(Error::io(phase))?;
    Ok((control, registration))
}

fn ask_once(
    core: &SessionCore,
    command: &Command,
    call: &Call,
    deadline: Deadline,
) -> Result<Connection, Error> {
    let mut connection = Connection::open(core.bridge.config(), call)?;
    connection
        .request(command, Phase::Forward, deadline)
        .map_err(|error| core.explain(error))?;
    Ok(connection)
}

/// Asks the bridge if a session that forwards is alive, and ends the session if it is not.
///
/// Java I2P leaves the FORWARD socket open if its router is gone, but refuses an ACCEPT with "Session
/// is closed". While the session is alive, it refuses the ACCEPT because of the forwarding, so that
/// this ACCEPT takes no stream. i2pd would let the ACCEPT wait for a stream; it closes the FORWARD
/// socket instead.
fn prove_forwarding(core: &Arc<SessionCore>) {
    if !core.is_i2pd() {
        // An error that means that the session is closed has ended it; no other error proves anything.
        let _ = ask_for_accept(core);
    }
}

fn ask_for_accept(core: &Arc<SessionCore>) -> Result<(), Error> {
    let phase = Phase::Forward;
    let deadline = Deadline::after(Some(ANSWER_TIMEOUT));
    let mut connection = core.connect(deadline)?;
    let command = Command::stream_accept(&core.id)?;
    connection
        .request(&command, phase, deadline)
        .map_err(|error| core.explain(error))?;
    // The refusal follows an OK.
    if let StreamHeader::Peer { .. } = connection.read_header(deadline)? {
        return Err(Error::Conflict("the session accepts"));
    }
    Ok(())
}

/// Options for [`forward_with`](crate::StreamSession::forward_with) and
/// [`forward_to`](crate::StreamSession::forward_to).
///
/// ```
/// // A router in a container reaches this machine by a name of its own.
/// let options = i2p_sam::ForwardOptions::new()
///     .host("host.containers.internal")
///     .allow_source([172, 17, 0, 2].into());
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ForwardOptions {
    host: Option<String>,
    port: Option<u16>,
    silent: bool,
    header_timeout: Option<Duration>,
    allowed_sources: Vec<IpAddr>,
}

impl Default for ForwardOptions {
    fn default() -> Self {
        Self {
            host: None,
            port: None,
            silent: false,
            header_timeout: Some(HEADER_TIME),
            allowed_sources: Vec::new(),
        }
    }
}

impl ForwardOptions {
    /// Creates the default options: the router connects to the address from which the command came, and
    /// sends the caller's destination.
    ///
    /// ```no_run
    /// use i2p_sam::ForwardOptions;
    ///
    /// // The web server runs on another machine of the router's network.
    /// let session = i2p_sam::SamBridge::from_env()?.session().stream()?;
    /// let options = ForwardOptions::new().host("10.0.0.5").silent(true);
    /// let forwarding = session.forward_to(8080, &options)?;
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the host to which the router connects: a name or an IP address. A name that ends in `.i2p`
    /// is refused with [`Error::InvalidConfig`]. Default: none is sent, and the router uses the address from
    /// which our connection to its bridge comes. emissary 0.4.0 connects to 127.0.0.1 whatever host is
    /// sent.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Sets the TCP port to which the router connects, if something in between changes it. Default: the
    /// port of the listener.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Sets whether the router leaves out the line with the caller's destination (`SILENT=true`).
    /// Default: it sends the line.
    ///
    /// Only for [`forward_to`](crate::StreamSession::forward_to), to serve a program that does not know
    /// I2P. The listener of [`forward`](crate::StreamSession::forward) returns the peer, so it needs
    /// the line.
    pub fn silent(mut self, silent: bool) -> Self {
        self.silent = silent;
        self
    }

    /// Sets the time for a caller to send its destination; `None` waits forever. Default: 30 s. Routers
    /// send it at once.
    pub fn header_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.header_timeout = timeout;
        self
    }

    /// Adds an address from which the router may connect; call it again for more. Default: the address
    /// of the bridge, as our own connection to it shows it. Connections from other addresses are
    /// dropped.
    pub fn allow_source(mut self, address: IpAddr) -> Self {
        self.allowed_sources.push(address);
        self
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.silent
    }

    pub(crate) fn caller_timeout(&self) -> Option<Duration> {
        self.header_timeout
    }

    pub(crate) fn allowed_sources(&self) -> &[IpAddr] {
        &self.allowed_sources
    }

    fn command(&self, id: &str, port: u16) -> Result<Command, Error> {
        let host = self.host.as_deref();
        // i2pd has no quotes, and no host contains a blank.
        if host.is_some_and(needs_quotes) {
            return Err(CommandError::new("HOST", CommandFault::Quotes).into());
        }
        if let Some(host) = host {
            refuse_i2p("host", host)?;
        }
        let port = self.port.unwrap_or(port);
        if port == 0 {
            return Err(Error::setting(
                "port",
                0,
                "a router cannot connect to port 0",
            ));
        }
        Ok(Command::stream_forward(id, port, host, self.silent)?)
    }
}
