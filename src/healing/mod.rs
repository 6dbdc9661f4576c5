//! Sessions that are created again after a loss. `replicas.rs` starts them and chooses among them;
//! `supervisor.rs` decides when one is lost, and creates the next.
//!
//! Threads: each replica has one (`supervisor.rs`, ends with [`Replicas`]), and one more while its session
//! starts to accept (`supervisor/accepting.rs`, ends when that is done). Streams wait in the queue of the session
//! over which they came, which wakes the listeners; each `accept` looks at the replicas in turn.

mod dialling;
mod first_attempts;
mod listener;
mod options;
mod replicas;
mod supervisor;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::address::{Destination, PrivateKey, ToI2pAddr};
use crate::builder::SessionBuilder;
use crate::error::{Error, Phase};
use crate::session::known_without_asking;
use crate::stream::SamListener;
use crate::stream::SamStream;
use crate::stream::dialler;
use crate::stream::{ConnectOptions, StreamSession};
use crate::sync::{Call, Cancel};
use listener::ReplicaStreams;
use replicas::Replicas;

pub use options::{HealingEvent, HealingOptions};
pub use replicas::Replica;

/// A session for streams that is created again with the same key when it is lost, while the same listener
/// continues to accept.
///
/// A session is lost when the router is restarted, when the connection to it breaks, or when the machine
/// slept. The library notices a loss by the end of the control socket, by a reply of the bridge, or by the
/// [heartbeat](SessionBuilder::heartbeat). Without a heartbeat, the loss of a bridge **on another machine**
/// that is switched off is never noticed. After a loss:
///
/// - The streams of the lost session end; [`SamStream::loss`] returns the reason.
/// - A thread creates the session again: same key (also a transient one), new id, with growing
///   [pauses](HealingOptions::initial_backoff). It tries again after every error that may pass, such as a
///   router that is not there yet, or that still holds the key (`DUPLICATED_DEST`, `DUPLICATED_ID`).
/// - At i2pd, if the router was not restarted, but lost the connection or was stopped for a while, the key
///   [rests](SessionBuilder#a-key-that-is-used-again) for 6 s first.
/// - `accept` waits meanwhile, and so does a dial, within its deadline.
///
/// [`HealingOptions::on_event`] reports all this.
///
/// # Several bridges
///
/// A session has one [replica](Replica) or more, each of which heals by itself:
///
/// - [`SessionBuilder::healing`] creates one replica, at the first of the
///   [bridges](crate::SamBridge#several-bridges) that replies. After a loss it may move to another bridge.
/// - [`SessionBuilder::multihomed`] creates a replica at each of the bridges, with the same key: the
///   destination is at several routers at once, which I2P calls multihoming. The session can be used while
///   one of them has a session, and a bridge that does not reply at first joins later. A listener
///   accepts the streams of all replicas ([`SamStream::bridge`] returns whose it is); a dial uses the first
///   replica that has a session, and the next if that is lost or its bridge fails.
///
/// Each router of a multihomed session learns the private key: name only routers that you trust alike. Two
/// bridges of one router cannot be two replicas: Java I2P and emissary refuse the key's second session, and
/// at i2pd it takes the key away from the first.
///
/// **Peers do notice when a replica is lost, for a while.** Each router publishes a lease set of its own for
/// the same destination, and new peers reach the replica whose lease set was published last. When that
/// one is lost, their dials fail until the router of another replica has published again. Streams over the
/// other replicas continue.
///
/// # End
///
/// A replica gives up after an error that no attempt can mend (the bridge refuses the key as invalid), or when
/// the time to [give up](HealingOptions::give_up_after) has come. The session ends when all replicas have
/// given up, by [`close`](HealingSession::close), when the [`Cancel`] handle of its bridge fires, or when the
/// last clone and listener is dropped. [`wait_closed`](HealingSession::wait_closed) waits for it.
///
/// ```no_run
/// use std::io::Write;
/// use std::thread;
/// use i2p_sam::{HealingOptions, SamBridge};
///
/// let options = HealingOptions::new().on_event(|_, event| eprintln!("{event}"));
/// let session = SamBridge::from_env()?.session().healing_with(&options)?;
/// println!("dial me at {}", session.destination().b32());
/// for stream in &session.listener()? {
///     let mut stream = stream?;
///     thread::spawn(move || stream.write_all(b"hello\n"));
/// }
/// # Ok::<(), i2p_sam::Error>(())
/// ```
///
/// At two routers:
///
/// ```no_run
/// use i2p_sam::SamBridge;
///
/// let spare = SamBridge::new("router.lan:7656")?;
/// let bridge = SamBridge::builder().address("127.0.0.1:7656").fallback(&spare).build()?;
/// let session = bridge.session().multihomed()?;
/// for stream in &session.listener()? {
///     let stream = stream?;
///     println!("{} dialled by {}", stream.peer_addr(), stream.bridge().address());
/// }
/// # Ok::<(), i2p_sam::Error>(())
/// ```
#[derive(Clone)]
pub struct HealingSession {
    replicas: Arc<Replicas>,
    cancel: Cancel,
}

impl HealingSession {
    /// Creates a session with one replica.
    pub(crate) fn start(builder: SessionBuilder, options: &HealingOptions) -> Result<Self, Error> {
        let cancel = builder.bridge().cancel().clone();
        let replicas = Arc::new(Replicas::start_one(builder, options)?);
        Ok(Self { replicas, cancel })
    }

    /// Creates a session with a replica at each bridge.
    pub(crate) fn start_multihomed(
        builder: SessionBuilder,
        options: &HealingOptions,
    ) -> Result<Self, Error> {
        let cancel = builder.bridge().cancel().clone();
        let replicas = Arc::new(Replicas::start_all(builder, options)?);
        Ok(Self { replicas, cancel })
    }

    /// Begins to accept streams at all replicas. It returns when the bridge of each replica that has a
    /// session has replied; a replica whose session is being created accepts from then on.
    ///
    /// All listeners share the streams. If some replicas cannot accept, `accept` returns their errors.
    ///
    /// # Errors
    ///
    /// If no replica can accept, the most informative of the errors of [`StreamSession::listener`], but
    /// [`Error::SessionLost`] only if the session was [closed](HealingSession::close);
    /// [`Error::GaveUp`].
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// let session = bridge.session().healing()?;
    /// let listener = session.listener()?;
    /// let stream = bridge.session().stream()?.connect(session.destination())?;
    /// let (accepted, caller) = listener.accept()?;
    /// println!("{caller} dialled");
    /// # drop((stream, accepted));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn listener(&self) -> Result<SamListener, Error> {
        let streams = ReplicaStreams::open(&self.replicas, &self.cancel)?;
        Ok(SamListener::new(streams, &self.cancel))
    }

    /// Dials a peer as [`connect`](HealingSession::connect) does, with its own ports and deadline.
    ///
    /// # Errors
    ///
    /// Those of [`connect`](HealingSession::connect).
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use std::time::Duration;
    /// use i2p_sam::ConnectOptions;
    ///
    /// let server = bridge.session().stream()?;
    /// let listener = server.listener()?;
    /// let session = bridge.session().healing()?;
    /// let options = ConnectOptions::new().from_port(1024).timeout(Some(Duration::from_secs(90)));
    /// let stream = session.connect_with(server.destination(), &options)?;
    /// # drop((stream, listener));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connect_with(
        &self,
        address: impl ToI2pAddr,
        options: &ConnectOptions,
    ) -> Result<SamStream, Error> {
        let peer = address.to_i2p_addr()?;
        self.replicas.dial(&peer, options, &self.cancel)
    }

    /// Looks up the destination of an address, as [`StreamSession::lookup`] does, over the first replica
    /// that has a session, and the next if that is lost or its bridge fails. If none has one, this waits for
    /// it, within the deadline of the lookup.
    ///
    /// # Errors
    ///
    /// Those of [`StreamSession::lookup`], but [`Error::SessionLost`] only if the session was
    /// [closed](HealingSession::close); [`Error::GaveUp`].
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// let session = bridge.session().healing()?;
    /// let own = session.destination().b32();
    /// assert_eq!(session.lookup(own)?, *session.destination());
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lookup(&self, address: impl ToI2pAddr) -> Result<Destination, Error> {
        let address = address.to_i2p_addr()?;
        match known_without_asking(&address, self.destination()) {
            Some(known) => Ok(known),
            None => self.replicas.look_up(&address, &self.cancel),
        }
    }

    /// Returns our public destination, which peers dial.
    pub fn destination(&self) -> &Destination {
        self.private_key().destination()
    }

    /// Returns our private key, which a transient session keeps over losses. Save it to have the same
    /// destination again; never show it.
    pub fn private_key(&self) -> &PrivateKey {
        self.replicas.key()
    }

    /// Returns the current session of the first replica that has one; `None` while none has.
    ///
    /// It is a plain session: this handle does not change to the next one after a loss. Its own `close`
    /// counts as a loss.
    pub fn session(&self) -> Option<StreamSession> {
        let session = self.replicas.session()?;
        Some(session.with_cancel(&self.cancel))
    }

    /// Returns the current state of each replica, in order of preference.
    ///
    /// ```no_run
    /// # let session = i2p_sam::SamBridge::from_env()?.session().multihomed()?;
    /// for replica in session.replicas() {
    ///     println!("{}: {}", replica.bridge().address(), replica.session().is_some());
    /// }
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn replicas(&self) -> Vec<Replica> {
        self.replicas.list()
    }

    /// Returns the same session; calls made through it end when `cancel` fires.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::{Cancel, Error};
    ///
    /// let session = bridge.session().healing()?;
    /// let stop = Cancel::new();
    /// stop.cancel();
    /// let outcome = session.with_cancel(&stop).connect("peer.i2p");
    /// assert!(matches!(outcome, Err(Error::Cancelled { .. })));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the handle applies to what is returned, not to the original"]
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self {
            replicas: Arc::clone(&self.replicas),
            cancel: cancel.clone(),
        }
    }

    /// Closes the session of each replica, one after the other, and each time waits for a new one with the
    /// same key, created as after a loss: [`HealingEvent::Lost`] has the reason
    /// [`Closed`](crate::SessionLoss::Closed), streams of the old session end, and listeners continue over the
    /// new one. A replica without a session is passed over: it gets a new one anyway. If none has one, this
    /// waits for the next.
    ///
    /// A client needs it if a peer's server is restarted. On i2pd 2.59 a session that had dialled the
    /// server before then gets streams that succeed and stay silent, on emissary 0.4.0 `CANT_REACH_PEER`,
    /// both for minutes; a renewed session reaches it at once. i2pd 2.45 does not need it. On emissary
    /// do not renew for another reason: peers that the old session had dialled, and that were not
    /// restarted, cannot be reached for a minute or more.
    ///
    /// The wait has no deadline, and a router may be away for ever. To end the wait, fire the handle that was
    /// given [`with_cancel`](HealingSession::with_cancel); the new session is created all the same.
    ///
    /// ```no_run
    /// use std::io::{Read, Write};
    /// use std::time::Duration;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # let session = i2p_sam::SamBridge::from_env()?.session().healing()?;
    /// let mut stream = session.connect("server.i2p")?;
    /// stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    /// stream.write_all(b"hello\n")?;
    /// if stream.read(&mut [0; 64]).is_err() {
    ///     session.renew()?;
    ///     stream = session.connect("server.i2p")?;
    /// }
    /// # drop(stream);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`], [`Error::GaveUp`], [`Error::SessionLost`] if it was
    /// [closed](HealingSession::close).
    pub fn renew(&self) -> Result<(), Error> {
        self.replicas.renew(&self.cancel)
    }

    /// Waits until the session ends, and returns why: `None` if it was [closed](HealingSession::close), or
    /// the error on which it gave up. Losses that are healed do not end it.
    ///
    /// ```no_run
    /// # let session = i2p_sam::SamBridge::from_env()?.session().healing()?;
    /// if let Some(error) = session.wait_closed(None)? {
    ///     eprintln!("the session is not created again: {error}");
    /// }
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] if it has not ended after `timeout` (`None` waits for ever),
    /// [`Error::Cancelled`].
    pub fn wait_closed(&self, timeout: Option<Duration>) -> Result<Option<Arc<Error>>, Error> {
        let call = Call::new(Phase::WaitClosed).or_cancel(&self.cancel);
        self.replicas.wait_closed(&call.within(timeout))
    }

    /// Closes all replicas, and everything made from them, for good and at the same time: each as
    /// [`StreamSession::close`] does, or at once if its session is being created. A second call does
    /// nothing.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// let session = bridge.session().healing()?;
    /// session.close();
    /// // It did not give up.
    /// assert!(session.wait_closed(None)?.is_none());
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        self.replicas.close();
    }
}

dialler! {
    /// Dials a peer, as [`StreamSession::connect`] does, over the first replica that has a session. If that
    /// is lost, or its bridge fails, the dial tries the next; if none has one, it waits. All of it
    /// has the deadline of the dial.
    ///
    /// A router's reply is final, and the dial does not try another replica, neither if the router
    /// cannot reach the peer, nor if it does not reply in time.
    ///
    /// # Errors
    ///
    /// Those of [`StreamSession::connect`], but [`Error::SessionLost`] only if the session was
    /// [closed](HealingSession::close); [`Error::GaveUp`].
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// let session = bridge.session().healing()?;
    /// router.restart()?;
    /// // The dial waits until the session is there again.
    /// let server = bridge.session().stream()?;
    /// let listener = server.listener()?;
    /// let stream = session.connect(server.destination())?;
    /// # drop((stream, listener));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    HealingSession
}

impl SessionBuilder {
    /// Creates a session for streams that is created again whenever it is lost.
    ///
    /// # Errors
    ///
    /// Those of [`stream`](SessionBuilder::stream). The first failure is returned at once, unless
    /// [`retry_initial`](HealingOptions::retry_initial) is set.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let bridge = i2p_sam::SamBridge::from_env()?;
    /// let session = bridge.session().heartbeat(Some(Duration::from_secs(60))).healing()?;
    /// for stream in &session.listener()? {
    ///     println!("{} calls", stream?.peer_addr());
    /// }
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn healing(self) -> Result<HealingSession, Error> {
        self.healing_with(&HealingOptions::new())
    }

    /// Creates a session as [`healing`](SessionBuilder::healing) does, with options.
    ///
    /// # Errors
    ///
    /// Those of [`healing`](SessionBuilder::healing).
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use std::time::Duration;
    /// use i2p_sam::HealingOptions;
    ///
    /// let options = HealingOptions::new()
    ///     .retry_initial(true)
    ///     .give_up_after(Some(Duration::from_secs(3600)))
    ///     .on_event(|_, event| eprintln!("{event}"));
    /// let session = bridge.session().healing_with(&options)?;
    /// # drop(session);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn healing_with(self, options: &HealingOptions) -> Result<HealingSession, Error> {
        HealingSession::start(self, options)
    }

    /// Creates the same session at each of [several bridges](crate::SamBridge#several-bridges), with one listener
    /// for all. Each is created again whenever it is lost: a [`HealingSession`] with several replicas.
    ///
    /// It returns when one of them is created. A transient key is generated first, by the first bridge that
    /// replies.
    ///
    /// # Errors
    ///
    /// If none can be created, the most informative of the errors of [`stream`](SessionBuilder::stream) at
    /// each bridge; [`Error::Unreachable`] names all bridges that could not be reached. Those of
    /// [`SamBridge::generate`](crate::SamBridge::generate).
    ///
    /// ```no_run
    /// // I2P_SAM_ADDRESS may name several.
    /// let bridge = i2p_sam::SamBridge::from_env()?;
    /// let session = bridge.session().multihomed()?;
    /// for stream in &session.listener()? {
    ///     let stream = stream?;
    ///     println!("{} dialled by {}", stream.peer_addr(), stream.bridge().address());
    /// }
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn multihomed(self) -> Result<HealingSession, Error> {
        self.multihomed_with(&HealingOptions::new())
    }

    /// Creates a session as [`multihomed`](SessionBuilder::multihomed) does, with options.
    ///
    /// # Errors
    ///
    /// Those of [`multihomed`](SessionBuilder::multihomed).
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use i2p_sam::{HealingOptions, SamBridge};
    ///
    /// let second = i2p_sam::testing::TestBridge::start()?;
    /// let both = SamBridge::builder()
    ///     .address(router.address().to_string())
    ///     .fallback(&second.bridge())
    ///     .build()?;
    /// let options = HealingOptions::new().on_event(|at, event| eprintln!("{}: {event}", at.address()));
    /// let session = both.session().multihomed_with(&options)?;
    /// assert_eq!(session.replicas().len(), 2);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn multihomed_with(self, options: &HealingOptions) -> Result<HealingSession, Error> {
        HealingSession::start_multihomed(self, options)
    }
}

/// Shows the destination and the state of each replica; never an id or the key.
impl fmt::Debug for HealingSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealingSession")
            .field("destination", self.destination())
            .field("replicas", &self.replicas())
            .finish_non_exhaustive()
    }
}
