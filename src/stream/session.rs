use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use crate::address::{Destination, I2pAddr, ToI2pAddr};
use crate::bridge::Connection;
use crate::error::{Error, Phase};
use crate::session::SessionGuard;
use crate::session::common_methods::common_methods;
use crate::stream::accept_pool::AcceptPool;
use crate::stream::accept_queue::BacklogLimits;
use crate::stream::connect::{ConnectOptions, dialler};
use crate::stream::first_dials::FirstDials;
use crate::stream::forwarded::{self, Forwarded};
use crate::stream::forwarding::{ForwardOptions, Forwarding};
use crate::stream::listener::SamListener;
use crate::stream::sam_stream::SamStream;
use crate::sync::{Call, Cancel, Deadline};
use crate::wire::Command;

/// A destination of our own that accepts and dials streams.
///
/// Every method takes `&self`. Clones are cheap and share one session: accept in one thread, dial in
/// ten others. The session lives until its last clone, listener and stream is dropped, or until
/// [`close`](StreamSession::close).
///
/// ```no_run
/// use std::io::Write;
/// use std::thread;
/// use i2p_sam::SamBridge;
///
/// let session = SamBridge::from_env()?.session().stream()?;
/// println!("dial me at {}", session.destination().b32());
/// for stream in session.listener()?.incoming() {
///     let mut stream = stream?;
///     thread::spawn(move || stream.write_all(b"hello\n"));
/// }
/// # Ok::<(), i2p_sam::Error>(())
/// ```
#[derive(Clone)]
pub struct StreamSession {
    guard: SessionGuard,
    cancel: Cancel,
    pool: Arc<AcceptPool>,
    first_dials: Arc<FirstDials>,
}

/// The settings of a session's builder for its streams.
#[derive(Clone, Copy)]
pub(crate) struct StreamSettings {
    pub(crate) pending_accepts: usize,
    pub(crate) backlog: BacklogLimits,
    pub(crate) stagger_first_dials: bool,
}

impl StreamSession {
    pub(crate) fn new(guard: SessionGuard, cancel: Cancel, settings: StreamSettings) -> Self {
        let (pending, backlog) = (settings.pending_accepts, settings.backlog);
        let pool = AcceptPool::new(guard.core(), pending, backlog);
        Self {
            guard,
            cancel,
            pool,
            first_dials: Arc::new(FirstDials::new(settings.stagger_first_dials)),
        }
    }

    /// Dials a peer like [`connect`](StreamSession::connect), with ports and a deadline of its own.
    ///
    /// # Errors
    ///
    /// Those of [`connect`](StreamSession::connect).
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use i2p_sam::ConnectOptions;
    ///
    /// # let session = i2p_sam::SamBridge::from_env()?.session().stream()?;
    /// let options = ConnectOptions::new().from_port(1024).timeout(Some(Duration::from_secs(90)));
    /// let stream = session.connect_with("stats.i2p:80", &options)?;
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn connect_with(
        &self,
        address: impl ToI2pAddr,
        options: &ConnectOptions,
    ) -> Result<SamStream, Error> {
        let phase = Phase::StreamConnect;
        let core = self.core();
        let peer = core.ports.complete(address.to_i2p_addr()?);
        let from_port = core.ports.own(options.own_port());
        let name = peer.to_sam();
        let command = Command::stream_connect(&core.id, &name, from_port, peer.port())?;
        let config = core.bridge.config();
        let overall = Deadline::after(options.given_time().flatten());
        let mut call = self.call(phase).until(overall);
        if let Some(cancel) = options.cancel() {
            call = call.or_cancel(cancel);
        }
        let turn = self.first_dials.turn(&name, &call);
        let turn = turn.map_err(|error| error.about(&peer))?;
        let mut connection = Connection::open(config, &call)?;
        let deadline = match options.given_time() {
            Some(_) => overall,
            None => Deadline::after(config.timeouts.stream_connect),
        };
        connection
            .request(&command, phase, deadline)
            .map_err(|error| core.explain(error).about(&peer))?;
        turn.reached();
        let (socket, registration) = connection.hand_over(phase)?;
        let local = I2pAddr::from(self.destination());
        let local = match from_port {
            Some(port) => local.with_port(port),
            None => local,
        };
        Ok(SamStream::new(
            socket,
            registration,
            self.guard.clone(),
            peer,
            local,
        ))
    }

    /// Begins to accept the streams that peers dial. It returns when the router has confirmed an
    /// accept, so that the next dial arrives.
    ///
    /// Several listeners of one session share the streams: each stream goes to one of them. After the
    /// last listener is dropped, streams that arrive are closed.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the router refuses the accept, [`Error::SessionLost`],
    /// [`Error::Cancelled`], [`Error::Timeout`] after the bridge's command deadline,
    /// [`Error::Conflict`] if the session forwards or has forwarded.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// let session = bridge.session().stream()?;
    /// let listener = session.listener()?;
    /// assert_eq!(listener.local_addr().b32(), Some(session.destination().b32()));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn listener(&self) -> Result<SamListener, Error> {
        let listening = self.pool.listen(&self.guard, &self.call(Phase::Accept))?;
        Ok(SamListener::new(listening, &self.cancel))
    }

    /// Begins to accept streams over a TCP port on loopback, to which the router connects for each stream.
    ///
    /// The router does not need accepts that are pending at its bridge: no dial is lost because none is
    /// pending, and i2pd passes on many streams at once. The price is a TCP port:
    ///
    /// **Any program that can connect to that port can claim to be any destination.** SAM has nothing
    /// that proves that the router is connecting. On this machine, every user and every program can
    /// connect, send any destination, and be accepted as if it had dialled from there. On a machine
    /// with users you do not trust, grant nothing to a peer because of its destination; a
    /// [`listener`](StreamSession::listener) cannot be deceived in this way. The precautions: the port
    /// is on loopback unless a listener is given, and connections from another address than the
    /// bridge's are dropped.
    ///
    /// A caller that sends nothing within 30 s, sends no destination, or comes from an address that is
    /// not allowed is dropped and [counted](crate::ListenerStats::dropped_callers); it does not delay
    /// others. If more than 64 callers send nothing, the oldest is dropped, after a second. As many
    /// streams wait for an `accept` as the session's [backlog](crate::SessionBuilder::backlog) holds,
    /// and up to 64 more that had connected before it was full; [`BacklogPolicy`](crate::BacklogPolicy) decides
    /// about others.
    ///
    /// When the listener and its clones are dropped, the router stops, and the session can forward
    /// again (on emissary 0.4.0 neither happens before the session is closed). A session accepts or
    /// forwards, never both: Java I2P and emissary refuse it, and i2pd gives everything to the
    /// forwarding. So after this call the session can never accept with
    /// [`listener`](StreamSession::listener), and it cannot forward if it has ever accepted.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] if the session forwards, accepts or has accepted, [`Error::Refused`] if the
    /// router refuses to forward, [`Error::InvalidConfig`] if the bridge is not on loopback, [`Error::Io`] if
    /// no port can be opened, [`Error::SessionLost`], [`Error::Cancelled`], [`Error::Timeout`] after
    /// the bridge's command deadline.
    ///
    /// ```no_run
    /// # let session = i2p_sam::SamBridge::from_env()?.session().stream()?;
    /// let listener = session.forward()?;
    /// let (stream, peer) = listener.accept()?;
    /// println!("{peer} dialled");
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn forward(&self) -> Result<SamListener, Error> {
        let ours = self.core().control.socket().local_addr();
        let ours = ours.map_err(Error::io(Phase::Forward))?;
        let ours = ours.ip().to_canonical();
        self.forward_with(forwarded::loopback(ours)?, &ForwardOptions::new())
    }

    /// Begins to accept streams like [`forward`](StreamSession::forward), over a TCP listener of your
    /// own.
    ///
    /// Use it for a router on another machine. Bind the listener to an address that this router can
    /// reach, and that no other machine can. When the forwarding ends, the listener is closed, and on
    /// Linux its clones (`try_clone`) accept nothing more: bind a new one to forward again.
    ///
    /// # Errors
    ///
    /// Those of [`forward`](StreamSession::forward); [`Error::InvalidConfig`] also for
    /// [`silent`](ForwardOptions::silent), [`Error::Command`] if the host cannot be sent in a command.
    ///
    /// ```no_run
    /// use std::net::TcpListener;
    /// use i2p_sam::ForwardOptions;
    ///
    /// # let session = i2p_sam::SamBridge::from_env()?.session().stream()?;
    /// let tcp = TcpListener::bind("10.0.0.2:0")?;
    /// let listener = session.forward_with(tcp, &ForwardOptions::new().host("10.0.0.2"))?;
    /// println!("the router connects to {:?}", listener.tcp_addr());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn forward_with(
        &self,
        listener: TcpListener,
        options: &ForwardOptions,
    ) -> Result<SamListener, Error> {
        let forwarded = Forwarded::start(&self.guard, &self.pool, &self.cancel, listener, options)?;
        Ok(SamListener::new(forwarded, &self.cancel))
    }

    /// Makes the router connect to a TCP port that something else serves: another program, or a
    /// [`TcpListener`] of your own. The router does so until the [`Forwarding`] is dropped.
    ///
    /// The first line of each connection is the caller's destination, unless
    /// [`silent`](ForwardOptions::silent) is set. [`forward`](StreamSession::forward) describes the
    /// risk of such a port: any user of the machine can connect to it and claim any destination. This
    /// library does not read these connections, so
    /// [`header_timeout`](ForwardOptions::header_timeout) and [`allow_source`](ForwardOptions::allow_source) have no
    /// effect.
    ///
    /// # Errors
    ///
    /// Those of [`forward`](StreamSession::forward); [`Error::InvalidConfig`] for port 0.
    ///
    /// ```no_run
    /// use i2p_sam::ForwardOptions;
    ///
    /// // A web server on this machine becomes an eepsite.
    /// # let session = i2p_sam::SamBridge::from_env()?.session().stream()?;
    /// let forwarding = session.forward_to(8080, &ForwardOptions::new().silent(true))?;
    /// session.wait_closed(None)?;
    /// # drop(forwarding);
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn forward_to(&self, port: u16, options: &ForwardOptions) -> Result<Forwarding, Error> {
        Forwarding::arrange(&self.guard, self.pool.mode(), &self.cancel, port, options)
    }

    /// Returns the same session; calls made through it end when `cancel` fires.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::{Cancel, Error};
    ///
    /// let session = bridge.session().stream()?;
    /// let stop = Cancel::new();
    /// let dialler = session.with_cancel(&stop);
    /// stop.cancel();
    /// assert!(matches!(dialler.connect("peer.i2p"), Err(Error::Cancelled { .. })));
    /// // The session lives.
    /// assert_eq!(session.loss(), None);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the handle applies to what is returned, not to the original"]
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self {
            cancel: cancel.clone(),
            ..self.clone()
        }
    }

    /// Closes the session now, and everything made from it: its streams first, then the session itself,
    /// half a second later if there were any. It waits up to 2 s more for the bridge to close the
    /// control socket. On i2pd the key rests for 6 s before another session gets it: [a key that is
    /// used again](crate::SessionBuilder#a-key-that-is-used-again).
    ///
    /// A subsession of a [`PrimarySession`](crate::PrimarySession) ends alone, and the bridge gets the
    /// 2 s to remove it.
    ///
    /// Bytes that streams have written and the router has not delivered are lost:
    /// [`finish`](StreamSession::finish) waits for them. A second call does nothing. Without a call,
    /// the session ends in the background when the last thing made from it is dropped, after
    /// [`linger`](crate::SessionBuilder::linger), or with the process, whichever comes first.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::SessionLoss;
    ///
    /// let session = bridge.session().stream()?;
    /// session.clone().close();
    /// assert_eq!(session.loss(), Some(SessionLoss::Closed));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        self.core().close();
    }

    /// Waits until the bytes that its streams wrote have had time to arrive, and closes the session.
    /// Call it before a program exits, because the session ends with the process.
    ///
    /// It waits until every stream that was made from the session is dropped. A stream that was dropped
    /// before its peer closed it gets the session's [`linger`](crate::SessionBuilder::linger), 15 s
    /// unless set, counted from its drop. A stream that was read to its end, or
    /// [finished](crate::SamStream::finish), needs no wait. No router reports which bytes were
    /// delivered. All of it takes no longer than `timeout`, and [`close`](StreamSession::close) up to
    /// 2.5 s more.
    ///
    /// Do not keep a stream in the thread that calls this. It does not wait for bare sockets
    /// ([`into_parts`](crate::SamStream::into_parts)). A subsession ends alone.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] in [`Phase::Finish`] if streams were still open at the end of `timeout`; they
    /// are closed with the session. [`Error::SessionLost`] if the session was lost meanwhile, or closed
    /// before. [`Error::Cancelled`], and then the session is not closed.
    ///
    /// ```no_run
    /// use std::io::Write;
    /// use std::time::Duration;
    ///
    /// let session = i2p_sam::SamBridge::from_env()?.session().stream()?;
    /// for peer in ["first.i2p", "second.i2p"] {
    ///     session.connect(peer)?.write_all(b"good bye\n")?;
    /// }
    /// session.finish(Duration::from_secs(30))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn finish(&self, timeout: Duration) -> Result<(), Error> {
        let core = self.core();
        let call = self.call(Phase::Finish).within(Some(timeout));
        let outcome = core.streams.wait(core.linger, &call);
        if !matches!(outcome, Err(Error::Cancelled { .. })) {
            core.close();
        }
        outcome
    }

    /// Looks up an address like [`lookup`](StreamSession::lookup), within the deadline of the calling
    /// method.
    pub(crate) fn lookup_until(
        &self,
        address: &I2pAddr,
        deadline: Deadline,
    ) -> Result<Destination, Error> {
        self.core().lookup(address, deadline, &self.cancel)
    }

    fn call(&self, phase: Phase) -> Call {
        self.core().call(phase).or_cancel(&self.cancel)
    }
}

dialler! {
    /// Dials a peer: a [`Destination`], a `.b32.i2p` address, a host name, or any of them with a
    /// port, as in `"stats.i2p:80"` or `(&destination, 80)`.
    ///
    /// The port is an I2CP port. It distinguishes services of one destination, and is unrelated to TCP.
    /// i2pd does not carry it. Default: that of the [session](crate::SessionBuilder::to_port), if it has one.
    ///
    /// On i2pd, success means only that the peer was found; if the peer cannot be reached, the stream
    /// just ends. Our own destination can be dialled on Java I2P only.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the peer is unknown or cannot be reached, which [may
    /// pass](Error#refusals), [`Error::Timeout`] after 180 s unless the bridge has another deadline,
    /// [`Error::SessionLost`] if the session is gone, [`Error::Address`] if this is no I2P address,
    /// [`Error::Cancelled`].
    ///
    /// ```no_run
    /// # let session = i2p_sam::SamBridge::from_env()?.session().stream()?;
    /// let stream = session.connect("stats.i2p:80")?;
    /// println!("connected to {}", stream.peer_addr());
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    StreamSession
}

common_methods!(StreamSession, guard, cancel);
