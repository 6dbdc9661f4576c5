mod intake;
mod listener;
mod options;
mod supervisor;

use std::fmt;
use std::sync::Arc;

use crate::address::{Destination, PrivateKey, ToI2pAddr};
use crate::bridge::SamBridge;
use crate::endpoint::dialler;
use crate::error::Error;
use crate::session::{ConnectOptions, SessionBuilder, StreamSession, known_without_asking};
use crate::stream::SamStream;
use crate::sync::{Cancel, Wake};
use supervisor::Supervisor;

pub use listener::HealingListener;
pub use options::{HealingEvent, HealingOptions};
pub(crate) use supervisor::{Judge, dial_deadline, dial_over, look_up_over, lookup_deadline};

/// A destination of our own that comes back: when its session is lost it is made again with the
/// same key, and the same listener goes on accepting, without the program's help.
///
/// [`SessionBuilder::healing`] makes it. A session is lost when the router is restarted, when the
/// connection to it breaks, when the machine slept; that is noticed by the end of the control
/// socket, by what the bridge answers, or by the [heartbeat](SessionBuilder::heartbeat), without
/// which a bridge **on another machine** that is switched off is never missed. Then:
///
/// - The streams of the lost session end; [`SamStream::session_error`] says why.
/// - A thread makes the session again: same key (a transient one's too), new id, with growing
///   [pauses](HealingOptions::first_pause). Everything is tried again that may pass, such as a router
///   that is not there yet, or that holds on to the key (`DUPLICATED_DEST`, `DUPLICATED_ID`).
/// - At i2pd the key [rests](SessionBuilder#a-key-that-is-used-again) for 6 s first if the router
///   was not restarted, but lost the connection or was stopped for a while.
/// - `accept` waits meanwhile, and so does a dial, within its deadline.
/// - With [several bridges](crate::SamBridge#several-bridges) it may come back at another.
///
/// [`HealingOptions::on_event`] tells of all this. It ends with an error that no attempt mends (the
/// bridge says the key is none), when the time to [give up](HealingOptions::give_up_after) has come,
/// by [`close`](HealingSession::close), when the [`Cancel`] handle of its bridge fires, or when the
/// last clone and listener is dropped.
///
/// ```no_run
/// use std::io::Write;
/// use std::thread;
/// use i2p_sam::{HealingOptions, SamBridge};
///
/// let told = HealingOptions::new().on_event(|event| eprintln!("{event}"));
/// let session = SamBridge::from_env()?.session().healing_with(&told)?;
/// println!("dial me at {}", session.destination().b32());
/// for stream in &session.listener()? {
///     let mut stream = stream?;
///     thread::spawn(move || stream.write_all(b"hello\n"));
/// }
/// # Ok::<(), i2p_sam::Error>(())
/// ```
#[derive(Clone)]
pub struct HealingSession {
    holder: Arc<Holder>,
    cancel: Cancel,
}

/// What the program's handles share. The thread holds the [`Supervisor`] and not this.
struct Holder {
    supervisor: Arc<Supervisor>,
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.supervisor.cancel().cancel();
    }
}

impl HealingSession {
    pub(crate) fn start(builder: SessionBuilder, options: &HealingOptions) -> Result<Self, Error> {
        let cancel = builder.bridge().cancel().clone();
        let supervisor = Supervisor::start(builder, options.clone())?;
        Ok(Self {
            holder: Arc::new(Holder { supervisor }),
            cancel,
        })
    }

    /// Begins without a session, which is then made as one that was lost is. The watcher is woken
    /// when there is one, and when there will be none any more.
    pub(crate) fn pending(
        builder: SessionBuilder,
        key: &PrivateKey,
        options: &HealingOptions,
        watcher: Arc<dyn Wake>,
        judge: Judge,
    ) -> Result<Self, Error> {
        let cancel = builder.bridge().cancel().clone();
        let supervisor = Supervisor::pending(builder, key, options.clone(), watcher, judge)?;
        Ok(Self {
            holder: Arc::new(Holder { supervisor }),
            cancel,
        })
    }

    /// Where its sessions are.
    pub(crate) fn bridge(&self) -> &SamBridge {
        self.holder.supervisor.bridge()
    }

    /// The session that was made after this one, if there is one; fails when there will be none.
    pub(crate) fn newer_session(&self, seen: u64) -> Result<Option<(u64, StreamSession)>, Error> {
        self.holder.supervisor.newer_session(seen)
    }

    /// A listener that the bridge may not know of yet. Its `accept` sees to that.
    pub(crate) fn unarmed_listener(&self) -> HealingListener {
        HealingListener::unarmed(&self.holder, &self.cancel)
    }

    /// Begins to accept what others dial. It returns when the router knows that we accept, or, when
    /// the session is being made again, at once.
    ///
    /// # Errors
    ///
    /// Those of [`StreamSession::listener`], but for [`Error::SessionLost`] unless it was
    /// [closed](HealingSession::close); [`Error::HealingEnded`].
    pub fn listener(&self) -> Result<HealingListener, Error> {
        HealingListener::new(&self.holder, &self.cancel)
    }

    /// [`connect`](HealingSession::connect), with ports and a deadline of its own.
    ///
    /// # Errors
    ///
    /// Those of [`connect`](HealingSession::connect).
    pub fn connect_with(
        &self,
        address: impl ToI2pAddr,
        options: &ConnectOptions,
    ) -> Result<SamStream, Error> {
        let peer = address.to_i2p_addr()?;
        self.holder.supervisor.dial(&peer, options, &self.cancel)
    }

    /// Looks up who an address belongs to, as [`StreamSession::lookup`] does. While the session is
    /// being made again it waits for it, within the deadline of the lookup.
    ///
    /// # Errors
    ///
    /// Those of [`StreamSession::lookup`], but for [`Error::SessionLost`] unless it was
    /// [closed](HealingSession::close); [`Error::HealingEnded`].
    pub fn lookup(&self, address: impl ToI2pAddr) -> Result<Destination, Error> {
        let address = address.to_i2p_addr()?;
        match known_without_asking(&address, self.destination()) {
            Some(known) => Ok(known),
            None => self.holder.supervisor.look_up(&address, &self.cancel),
        }
    }

    /// Our public destination: what others dial.
    pub fn destination(&self) -> &Destination {
        self.private_key().destination()
    }

    /// Our private key, which a transient session keeps over losses. Save it to have the same
    /// destination again; never show it.
    pub fn private_key(&self) -> &PrivateKey {
        self.holder.supervisor.key()
    }

    /// The session there is now; none while it is being made again. It is a plain one, and not healed
    /// for who holds it. Its own `close` counts as a loss.
    pub fn session(&self) -> Option<StreamSession> {
        let session = self.holder.supervisor.session()?;
        Some(session.with_cancel(&self.cancel))
    }

    /// The same session; calls made through it end when `cancel` fires.
    #[must_use = "the handle applies to what is returned, not to the original"]
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self {
            holder: Arc::clone(&self.holder),
            cancel: cancel.clone(),
        }
    }

    /// Closes the session there is, and waits for a new one with the same key, made as after a loss:
    /// [`HealingEvent::Lost`] has the reason [`Closed`](crate::SessionLoss::Closed), streams of the old
    /// session end, and listeners go on over the new one. If the session is being made again, this
    /// waits for it.
    ///
    /// A client needs it if a peer's server is restarted. On i2pd 2.59 a session that had dialled the
    /// server before then gets streams that succeed and stay silent, on emissary 0.4.0 `CANT_REACH_PEER`,
    /// both for minutes; a renewed session reaches it at once. i2pd 2.45 does not need it. On emissary
    /// do not renew for another reason: peers that the old session had dialled, and that were not
    /// restarted, cannot be reached for a minute or more.
    ///
    /// It waits as long as it takes, which on a router that is away is for ever. To end the wait, fire
    /// the handle that was given [`with_cancel`](HealingSession::with_cancel); the new session is made
    /// all the same.
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
    /// [`Error::Cancelled`], [`Error::HealingEnded`], [`Error::SessionLost`] if it was
    /// [closed](HealingSession::close).
    pub fn renew(&self) -> Result<(), Error> {
        self.holder.supervisor.renew(&self.cancel)
    }

    /// Ends the session, and everything made from it, for good: as [`StreamSession::close`] if there
    /// is one, at once if it is being made again. Calling it again does nothing.
    pub fn close(&self) {
        self.holder.supervisor.close();
    }
}

dialler! {
    /// Dials a peer, as [`StreamSession::connect`] does. While the session is being made again it
    /// waits for it, within the deadline of the dial.
    ///
    /// # Errors
    ///
    /// Those of [`StreamSession::connect`], but for [`Error::SessionLost`] unless it was
    /// [closed](HealingSession::close); [`Error::HealingEnded`].
    HealingSession
}

/// Shows whose session it is and whether there is one; never its id or its key.
impl fmt::Debug for HealingSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealingSession")
            .field("destination", self.destination())
            .field("session", &self.session())
            .finish_non_exhaustive()
    }
}
