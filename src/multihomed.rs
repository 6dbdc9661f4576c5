mod home;
mod homes;
mod listener;
mod opening;
mod reception;

use std::fmt;
use std::sync::Arc;

use crate::address::{Destination, PrivateKey, ToI2pAddr};
use crate::builder::SessionBuilder;
use crate::endpoint::dialler;
use crate::error::Error;
use crate::healing::HealingOptions;
use crate::session::{ConnectOptions, known_without_asking};
use crate::stream::SamStream;
use crate::sync::Cancel;
use homes::Homes;

pub use home::Home;
pub use listener::MultihomedListener;

/// A destination of our own that is at several routers at once: the same key on each of the
/// [bridges](crate::SamBridge#several-bridges), and one listener for all. I2P calls it multihoming.
///
/// [`SessionBuilder::multihomed`] makes it. It has a [home](Home) at each bridge, which is a session that
/// is [made again](crate::HealingSession) when it is lost. So it is there as long as one of its homes is:
///
/// - It is made when one home is. A home whose bridge does not answer then is tried again as if it had
///   been lost.
/// - A listener gives the streams of all homes. [`SamStream::bridge`] says over which one came.
/// - A dial goes over the home of the first choice that there is, and when that is lost over the next.
/// - A key that was not given is made once, and is the same at all homes.
///
/// Each router learns the private key: name only routers that are trusted alike. Two bridges of one
/// router are no two homes: Java I2P and emissary refuse the key's second session, and at i2pd it takes the
/// key away from the first. At each i2pd the key
/// [rests](SessionBuilder#a-key-that-is-used-again) before it comes back.
///
/// **Peers do notice when a home dies, for a while.** Each router publishes a lease set of its own for
/// the same destination, and new peers are led to the home whose lease set was published last. When
/// that one dies they dial in vain until the router of a living home has published again.
/// Streams over the living homes go on.
///
/// It ends when all its homes have ended, which each does as a
/// [`HealingSession`](crate::HealingSession); by [`close`](MultihomedSession::close), when the [`Cancel`]
/// handle of its bridge fires, or when the last clone and listener is dropped.
///
/// ```no_run
/// use std::io::Write;
/// use std::thread;
/// use i2p_sam::SamBridge;
///
/// let spare = SamBridge::new("router.lan:7656")?;
/// let bridge = SamBridge::builder().address("127.0.0.1:7656").fallback(&spare).build()?;
/// let session = bridge.session().multihomed()?;
/// println!("dial me at {}", session.destination().b32());
/// for stream in &session.listener()? {
///     let mut stream = stream?;
///     println!("{} calls by {}", stream.peer_addr(), stream.bridge().address());
///     thread::spawn(move || stream.write_all(b"hello\n"));
/// }
/// # Ok::<(), i2p_sam::Error>(())
/// ```
#[derive(Clone)]
pub struct MultihomedSession {
    homes: Arc<Homes>,
    cancel: Cancel,
}

impl MultihomedSession {
    pub(crate) fn start(builder: SessionBuilder, options: &HealingOptions) -> Result<Self, Error> {
        let cancel = builder.bridge().cancel().clone();
        let homes = Homes::start(builder, options)?;
        Ok(Self {
            homes: Arc::new(homes),
            cancel,
        })
    }

    /// Begins to accept what others dial, at all homes. It returns when each bridge at which there is
    /// a home knows that we accept, or has failed to be told; such a home's error comes by `accept`.
    ///
    /// All listeners share what comes in.
    ///
    /// # Errors
    ///
    /// When no home can accept: that of the home which tells most, of those of
    /// [`HealingSession::listener`](crate::HealingSession::listener).
    pub fn listener(&self) -> Result<MultihomedListener, Error> {
        MultihomedListener::new(&self.homes, &self.cancel)
    }

    /// [`connect`](MultihomedSession::connect), with ports and a deadline of its own.
    ///
    /// # Errors
    ///
    /// Those of [`connect`](MultihomedSession::connect).
    pub fn connect_with(
        &self,
        address: impl ToI2pAddr,
        options: &ConnectOptions,
    ) -> Result<SamStream, Error> {
        let peer = address.to_i2p_addr()?;
        self.homes.dial(&peer, options, &self.cancel)
    }

    /// Looks up who an address belongs to, as [`StreamSession::lookup`](crate::StreamSession::lookup) does over the
    /// first home there is, or the next if that is lost or its bridge fails.
    ///
    /// # Errors
    ///
    /// Those of [`StreamSession::lookup`](crate::StreamSession::lookup), but for [`Error::SessionLost`] unless it was
    /// [closed](MultihomedSession::close); [`Error::HealingEnded`].
    pub fn lookup(&self, address: impl ToI2pAddr) -> Result<Destination, Error> {
        let address = address.to_i2p_addr()?;
        match known_without_asking(&address, self.destination()) {
            Some(known) => Ok(known),
            None => self.homes.look_up(&address, &self.cancel),
        }
    }

    /// Our public destination: what others dial.
    pub fn destination(&self) -> &Destination {
        self.private_key().destination()
    }

    /// Our private key, a transient one's too. Save it to have the same destination again; never
    /// show it.
    pub fn private_key(&self) -> &PrivateKey {
        self.homes.key()
    }

    /// What there is at each bridge now, the first choice first.
    ///
    /// ```no_run
    /// # let session = i2p_sam::SamBridge::from_env()?.session().multihomed()?;
    /// for home in session.homes() {
    ///     println!("{}: {}", home.bridge().address(), home.session().is_some());
    /// }
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn homes(&self) -> Vec<Home> {
        self.homes.list()
    }

    /// The same session; calls made through it end when `cancel` fires.
    #[must_use = "the handle applies to what is returned, not to the original"]
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self {
            homes: Arc::clone(&self.homes),
            cancel: cancel.clone(),
        }
    }

    /// Makes the session of each home anew, one home after the other, as
    /// [`HealingSession::renew`](crate::HealingSession::renew) does. A home that has none at the moment
    /// is passed over: it gets a new one anyway.
    ///
    /// It waits for each home as long as it takes. To end the wait, fire the handle that was given
    /// [`with_cancel`](MultihomedSession::with_cancel).
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`]; if all homes have ended, that of the home which tells most, of those of
    /// [`HealingSession::renew`](crate::HealingSession::renew).
    ///
    /// ```no_run
    /// # let session = i2p_sam::SamBridge::from_env()?.session().multihomed()?;
    /// session.renew()?;
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    pub fn renew(&self) -> Result<(), Error> {
        self.homes.renew(&self.cancel)
    }

    /// Ends all homes, and everything made from them, for good and at the same time: each as
    /// [`StreamSession::close`](crate::StreamSession::close) does, at once where it is being made.
    /// Calling it again does nothing.
    pub fn close(&self) {
        self.homes.close();
    }
}

dialler! {
    /// Dials a peer over the first home there is. When that is lost, or its bridge fails, it goes on
    /// over the next; while there is none it waits for one. All of it has the deadline of the dial.
    ///
    /// What the router answers is the answer, and no other home is asked: neither when the peer cannot
    /// be reached, nor when a router that was asked takes too long.
    ///
    /// # Errors
    ///
    /// Those of [`HealingSession::connect`](crate::HealingSession::connect).
    MultihomedSession
}

/// Shows whose session it is and at which bridges there is one; never an id or its key.
impl fmt::Debug for MultihomedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MultihomedSession")
            .field("destination", self.destination())
            .field("homes", &self.homes())
            .finish_non_exhaustive()
    }
}
