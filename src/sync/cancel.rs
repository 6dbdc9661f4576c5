use std::fmt;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, PoisonError, Weak};

use super::monitor::Wake;
use super::primitives::{Mutex, MutexGuard, OnceLock};

/// Ends blocking calls from another thread.
///
/// Create a handle, pass it to a bridge, a session or a listener (`with_cancel`), and fire it with
/// [`cancel`](Cancel::cancel). Every call in progress that was made through them then ends with
/// [`Error::Cancelled`](crate::Error::Cancelled), and every later call fails at once. The handle stays
/// fired for ever: create a new one to continue. Clones are the same handle.
///
/// It ends `accept`, `incoming`, `recv_from`, `connect`, `lookup`, `generate`, the creation of a session,
/// and `wait_closed`. It does not affect sessions that exist, which [`close`](crate::StreamSession::close)
/// ends, nor streams that were returned to the program, unless it was passed to
/// [`SamStream::shutdown_with`](crate::SamStream::shutdown_with).
///
/// Pass it to the bridge, so that it ends the creation of the session too, the longest wait of all.
/// A session inherits the handle of its bridge, and a listener the handle of its session. So one handle
/// passed to the bridge stops a whole program.
///
/// ```
/// use std::thread;
/// use i2p_sam::{Cancel, Error, SamBridge};
///
/// let cancel = Cancel::new();
/// let bridge = SamBridge::new("127.0.0.1:7656")?.with_cancel(&cancel);
/// let waiting = thread::spawn(move || bridge.lookup("stats.i2p"));
/// cancel.cancel();
/// assert!(waiting.join().unwrap().is_err());
/// # Ok::<(), i2p_sam::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Cancel {
    registry: Arc<Registry>,
}

impl Cancel {
    /// Creates a handle that has not fired.
    ///
    /// ```
    /// use i2p_sam::{Cancel, SamBridge};
    ///
    /// let stop = Cancel::new();
    /// let bridge = SamBridge::from_env()?.with_cancel(&stop);
    /// assert!(!stop.is_cancelled());
    /// # drop(bridge);
    /// # Ok::<(), i2p_sam::Error>(())
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a handle that fires with this one and can be fired alone. It also fires if the handles
    /// between it and the one that fires have been dropped.
    ///
    /// ```
    /// let all = i2p_sam::Cancel::new();
    /// let one = all.child();
    /// one.cancel();
    /// assert!(!all.is_cancelled());
    /// let other = all.child();
    /// all.cancel();
    /// assert!(other.is_cancelled());
    /// ```
    #[must_use]
    pub fn child(&self) -> Self {
        let child = Self::new();
        let target = Target::Child(Arc::downgrade(&child.registry));
        match self.registry.register(target) {
            // The child is new, so its parent was not set before.
            Ok(registration) => drop(child.registry.parent.set(registration)),
            Err(Fired) => child.cancel(),
        }
        child
    }

    /// Fires the handle, which ends all waiting calls, for good. A second call does nothing. It does not
    /// block.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use std::thread;
    /// use i2p_sam::{Cancel, Error};
    ///
    /// let stop = Cancel::new();
    /// let listener = bridge.session().stream()?.listener()?.with_cancel(&stop);
    /// let accepting = thread::spawn(move || listener.accept().map(drop));
    /// stop.cancel();
    /// assert!(matches!(accepting.join().unwrap(), Err(Error::Cancelled { .. })));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cancel(&self) {
        self.registry.fire();
    }

    /// Returns true if [`cancel`](Cancel::cancel) was called on this handle or a parent of it.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.registry.is_fired()
    }

    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel")
            .field("cancelled", &self.is_cancelled())
            .finish()
    }
}

/// A target that ends when a registry fires.
pub(crate) enum Target {
    Socket(Weak<TcpStream>),
    Waiter(Weak<dyn Wake>),
    Child(Weak<Registry>),
}

impl Target {
    pub(crate) fn socket(socket: &Arc<TcpStream>) -> Self {
        Self::Socket(Arc::downgrade(socket))
    }

    pub(crate) fn waiter<W: Wake + 'static>(waiter: &Arc<W>) -> Self {
        let waiter: Arc<dyn Wake> = Arc::clone(waiter) as _;
        Self::Waiter(Arc::downgrade(&waiter))
    }

    /// Ends the target, and returns the targets that end with it.
    fn end(self) -> Vec<Target> {
        match self {
            Self::Socket(socket) => {
                if let Some(socket) = socket.upgrade() {
                    // This fails only if the connection has ended already.
                    let _ = socket.shutdown(Shutdown::Both);
                }
            }
            Self::Waiter(waiter) => {
                if let Some(waiter) = waiter.upgrade() {
                    waiter.wake();
                }
            }
            Self::Child(child) => {
                if let Some(child) = child.upgrade() {
                    return child.set_fired();
                }
            }
        }
        Vec::new()
    }
}

/// The sockets and waiters that end together: with a [`Cancel`] handle, or with a session.
#[derive(Default)]
pub(crate) struct Registry {
    state: Mutex<State>,
    /// Set under the lock, and read without it by those who only look.
    fired: OnceLock<()>,
    /// The child's place in its parent's registry. The place keeps the parent.
    parent: std::sync::OnceLock<Registration>,
}

#[derive(Default)]
struct State {
    /// A target at the index of its registration, or `None` at an index that is free.
    targets: Vec<Option<Target>>,
    free: Vec<usize>,
}

impl State {
    fn insert(&mut self, target: Target) -> usize {
        if let Some(index) = self.free.pop()
            && let Some(place) = self.targets.get_mut(index)
        {
            *place = Some(target);
            return index;
        }
        self.targets.push(Some(target));
        self.targets.len() - 1
    }

    fn remove(&mut self, index: usize) -> Option<Target> {
        let target = self.targets.get_mut(index)?.take()?;
        self.free.push(index);
        Some(target)
    }
}

/// The error of a registry that has fired. A call that wanted to wait must fail.
#[derive(Debug)]
pub(crate) struct Fired;

impl Registry {
    pub(crate) fn register(self: &Arc<Self>, target: Target) -> Result<Registration, Fired> {
        let mut state = self.lock();
        if self.is_fired() {
            return Err(Fired);
        }
        let index = state.insert(target);
        Ok(Registration {
            registry: Some(Arc::clone(self)),
            index,
        })
    }

    /// Ends all registered targets, and refuses later ones. Only the first call counts.
    ///
    /// It does not recurse: a chain of children may be longer than the stack is deep.
    pub(crate) fn fire(&self) {
        let mut targets = self.set_fired();
        while let Some(target) = targets.pop() {
            targets.extend(target.end());
        }
    }

    /// Refuses targets from now on. Returns the registered ones.
    fn set_fired(&self) -> Vec<Target> {
        let mut state = self.lock();
        // Set before, if this is a second call.
        let _ = self.fired.set(());
        let targets = std::mem::take(&mut state.targets);
        targets.into_iter().flatten().collect()
    }

    pub(crate) fn is_fired(&self) -> bool {
        self.fired.get().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code under this lock panics half way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops in a loop each parent that only this child kept. A recursive drop could overflow the stack,
/// because a chain of children may be longer than the stack is deep.
impl Drop for Registry {
    fn drop(&mut self) {
        let mut place = self.parent.take();
        while let Some(parent) = place.and_then(Registration::into_registry) {
            place = Arc::into_inner(parent).and_then(|mut parent| parent.parent.take());
        }
    }
}

/// A place in a [`Registry`]. When it is dropped, it leaves the registry.
pub(crate) struct Registration {
    registry: Option<Arc<Registry>>,
    index: usize,
}

impl Registration {
    /// Leaves the registry. Returns true if the target has not been ended, and will not be.
    pub(crate) fn withdraw(mut self) -> bool {
        self.leave()
    }

    /// Leaves the registry, and returns it.
    fn into_registry(mut self) -> Option<Arc<Registry>> {
        let registry = self.registry.take()?;
        registry.lock().remove(self.index);
        Some(registry)
    }

    fn leave(&mut self) -> bool {
        match self.registry.take() {
            Some(registry) => registry.lock().remove(self.index).is_some(),
            None => false,
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    fn socket_pair() -> (Arc<TcpStream>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Arc::new(near), listener.accept().unwrap().0)
    }

    #[test]
    fn blocked_read_cancelled_ends() {
        let (near, _far) = socket_pair();
        let cancel = Cancel::new();
        let registration = cancel.registry().register(Target::socket(&near)).unwrap();
        let (sender, receiver) = mpsc::channel();
        let reader = Arc::clone(&near);
        std::thread::spawn(move || sender.send((&*reader).read(&mut [0; 1])).unwrap());
        cancel.cancel();
        let outcome = receiver.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(outcome.unwrap(), 0);
        assert!(!registration.withdraw());
    }

    #[test]
    fn target_that_left_is_not_ended() {
        let (near, far) = socket_pair();
        let cancel = Cancel::new();
        let registration = cancel.registry().register(Target::socket(&near)).unwrap();
        assert!(registration.withdraw());
        cancel.cancel();
        far.set_nonblocking(true).unwrap();
        let error = (&far).read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    }

    #[test]
    fn targets_of_one_handle_are_all_ended() {
        let pairs = [socket_pair(), socket_pair(), socket_pair()];
        let cancel = Cancel::new();
        let register = |(near, _): &(Arc<TcpStream>, TcpStream)| {
            cancel.registry().register(Target::socket(near)).unwrap()
        };
        let _registrations = pairs.each_ref().map(register);
        cancel.cancel();
        for (_, far) in &pairs {
            far.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            assert_eq!((&*far).read(&mut [0; 1]).unwrap(), 0);
        }
    }

    #[test]
    fn debug_shows_if_the_handle_has_fired() {
        let cancel = Cancel::new();
        assert_eq!(format!("{cancel:?}"), "Cancel { cancelled: false }");
        cancel.cancel();
        assert_eq!(format!("{cancel:?}"), "Cancel { cancelled: true }");
    }

    #[test]
    fn wait_after_cancel_fails() {
        let (near, _far) = socket_pair();
        let cancel = Cancel::new();
        cancel.cancel();
        assert!(cancel.registry().register(Target::socket(&near)).is_err());
    }

    #[test]
    fn child_fires_with_parent_only() {
        let parent = Cancel::new();
        let child = parent.child();
        let grandchild = child.child();
        child.cancel();
        assert!(grandchild.is_cancelled() && !parent.is_cancelled());
        parent.cancel();
        assert!(parent.child().is_cancelled());
    }

    fn registered(cancel: &Cancel) -> usize {
        cancel.registry().lock().targets.iter().flatten().count()
    }

    #[test]
    fn child_dropped_leaves_no_entry() {
        let parent = Cancel::new();
        let child = parent.child();
        assert_eq!(registered(&parent), 1);
        drop(child);
        assert_eq!(registered(&parent), 0);
    }

    #[test]
    fn registration_dropped_leaves_no_entry() {
        let (near, _far) = socket_pair();
        let cancel = Cancel::new();
        let registration = cancel.registry().register(Target::socket(&near)).unwrap();
        assert_eq!(registered(&cancel), 1);
        drop(registration);
        assert_eq!(registered(&cancel), 0);
    }

    #[test]
    fn registration_withdrawn_leaves_no_entry() {
        let (near, _far) = socket_pair();
        let cancel = Cancel::new();
        let registration = cancel.registry().register(Target::socket(&near)).unwrap();
        assert!(registration.withdraw());
        assert_eq!(registered(&cancel), 0);
    }

    #[test]
    fn fired_handle_keeps_no_entry() {
        let (near, _far) = socket_pair();
        let cancel = Cancel::new();
        let _registration = cancel.registry().register(Target::socket(&near)).unwrap();
        cancel.cancel();
        assert_eq!(registered(&cancel), 0);
    }

    #[test]
    fn grandchild_fires_without_its_parent() {
        let parent = Cancel::new();
        let grandchild = parent.child().child();
        parent.cancel();
        assert!(grandchild.is_cancelled());
    }

    /// Longer than any stack is deep.
    const CHAIN: usize = 200_000;

    fn chain() -> Vec<Cancel> {
        let mut chain = vec![Cancel::new()];
        for above in 1..CHAIN {
            let child = chain[above - 1].child();
            chain.push(child);
        }
        chain
    }

    #[test]
    fn long_chain_of_children_fires() {
        let chain = chain();
        chain[0].cancel();
        assert!(chain.iter().all(Cancel::is_cancelled));
    }

    #[test]
    fn long_chain_held_by_its_end_fires() {
        let mut chain = chain();
        let first = chain.swap_remove(0);
        let last = chain.swap_remove(0);
        drop(chain);
        first.cancel();
        assert!(last.is_cancelled());
        drop(first);
        drop(last);
    }
}
