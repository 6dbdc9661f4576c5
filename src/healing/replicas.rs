use std::sync::Arc;

use crate::address::{Destination, I2pAddr, PrivateKey};
use crate::bridge::{Failures, SamBridge, another_may_do};
use crate::builder::SessionBuilder;
use crate::error::{Error, Phase, SessionLoss};
use crate::healing::dialling::{dial_deadline, dial_over, look_up_over, lookup_deadline};
use crate::healing::first_attempts::FirstAttempts;
use crate::healing::options::HealingOptions;
use crate::healing::supervisor::Supervisor;
use crate::stream::SamStream;
use crate::stream::{ConnectOptions, StreamSession};
use crate::sync::{Call, Cancel, Monitor, spawn_scoped};

/// The state of a [`HealingSession`](crate::HealingSession) at one of its bridges, when
/// [`replicas`](crate::HealingSession::replicas) was called.
///
/// ```
/// # #[cfg(feature = "testing")] {
/// use i2p_sam::testing::TestBridge;
///
/// let router = TestBridge::start()?;
/// let session = router.bridge().session().healing()?;
/// for replica in session.replicas() {
///     assert_eq!(replica.bridge().address(), router.address().to_string());
///     assert!(replica.session().is_some());
/// }
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Replica {
    bridge: SamBridge,
    session: Option<StreamSession>,
}

impl Replica {
    /// Returns the bridge of this replica alone.
    ///
    /// If the session was created by [`healing`](crate::SessionBuilder::healing), it has one replica,
    /// and this is the bridge the session was built with, with all its fallbacks.
    pub fn bridge(&self) -> &SamBridge {
        &self.bridge
    }

    /// Returns the current session; `None` while it is created, or if this replica gave up.
    ///
    /// It is a plain session: this handle does not change to the next one after a loss.
    pub fn session(&self) -> Option<&StreamSession> {
        self.session.as_ref()
    }
}

/// The replicas of one destination, in order of preference.
///
/// Each has a supervisor with a thread of its own. The program's handles keep this value, and the
/// threads do not: when the last handle is dropped, it stops them.
pub(super) struct Replicas {
    bridge: SamBridge,
    key: PrivateKey,
    supervisors: Vec<Arc<Supervisor>>,
    /// Woken whenever a session may have been created or a replica may have ended. The threads that wait
    /// then check all replicas.
    changed: Arc<Monitor<FirstAttempts>>,
}

impl Replicas {
    /// Creates the session at the first bridge that replies.
    pub(super) fn start_one(
        builder: SessionBuilder,
        options: &HealingOptions,
    ) -> Result<Self, Error> {
        let (bridge, changed) = (builder.bridge().clone(), FirstAttempts::of(1));
        let supervisor = Supervisor::start(builder, options.clone(), Arc::clone(&changed))?;
        let mut replicas = Self::new(bridge, supervisor.key().clone(), changed);
        replicas.supervisors.push(supervisor);
        Ok(replicas)
    }

    /// Starts to create the session at all bridges, and waits until it is created at one.
    pub(super) fn start_all(
        builder: SessionBuilder,
        options: &HealingOptions,
    ) -> Result<Self, Error> {
        let all = builder.bridge().clone();
        let (key, bridges) = (builder.own_key()?, all.routers());
        let changed = FirstAttempts::of(bridges.len());
        let mut replicas = Self::new(all, key, Arc::clone(&changed));
        for (place, bridge) in bridges.into_iter().enumerate() {
            let builder = builder.clone().key(&replicas.key).at(bridge);
            let (options, changed) = (options.clone(), Arc::clone(&changed));
            let supervisor =
                Supervisor::start_lost(builder, &replicas.key, options, changed, place)?;
            replicas.supervisors.push(supervisor);
        }
        FirstAttempts::await_success(&changed, replicas.bridge.cancel())?;
        Ok(replicas)
    }

    fn new(bridge: SamBridge, key: PrivateKey, changed: Arc<Monitor<FirstAttempts>>) -> Self {
        Self {
            bridge,
            key,
            supervisors: Vec::new(),
            changed,
        }
    }

    pub(super) fn key(&self) -> &PrivateKey {
        &self.key
    }

    pub(super) fn list(&self) -> Vec<Replica> {
        let replica = |supervisor: &Arc<Supervisor>| Replica {
            bridge: supervisor.bridge().clone(),
            session: supervisor.session(),
        };
        self.supervisors.iter().map(replica).collect()
    }

    /// Returns the session of the first replica that has one.
    pub(super) fn session(&self) -> Option<StreamSession> {
        self.supervisors.iter().find_map(|one| one.session())
    }

    pub(super) fn supervisors(&self) -> &[Arc<Supervisor>] {
        &self.supervisors
    }

    /// Waits until each replica that has a session accepts, or has failed to.
    ///
    /// # Errors
    ///
    /// The most informative failure if all have failed.
    pub(super) fn listen(&self, cancel: &Cancel) -> Result<(), Error> {
        let mut failures = Failures::default();
        let outcomes = self.at_once(|supervisor| supervisor.listen(cancel));
        let failed = outcomes.into_iter().filter_map(Result::err);
        match failed.map(|error| failures.add(error)).count() {
            failed if failed == self.supervisors.len() => Err(failures.verdict()),
            _ => Ok(()),
        }
    }

    /// Waits for a change of any replica, until `look` returns a value.
    pub(super) fn wait<T>(
        &self,
        call: &Call,
        mut look: impl FnMut() -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        call.wait_on(&self.changed, |_| look())
    }

    pub(super) fn dial(
        &self,
        peer: &I2pAddr,
        options: &ConnectOptions,
        cancel: &Cancel,
    ) -> Result<SamStream, Error> {
        let deadline = dial_deadline(&self.bridge, options);
        let mut call = Call::new(Phase::StreamConnect).or_cancel(cancel);
        if let Some(cancel) = options.cancel() {
            call = call.or_cancel(cancel);
        }
        self.over_a_session(&call.until(deadline), cancel, |session| {
            dial_over(session, peer, options, deadline)
        })
    }

    pub(super) fn look_up(&self, address: &I2pAddr, cancel: &Cancel) -> Result<Destination, Error> {
        let deadline = lookup_deadline(&self.bridge);
        let call = Call::new(Phase::Lookup).or_cancel(cancel).until(deadline);
        self.over_a_session(&call, cancel, |session| {
            look_up_over(session, address, deadline)
        })
    }

    /// Uses one session after the other, as long as each is lost meanwhile or its bridge fails.
    fn over_a_session<T>(
        &self,
        call: &Call,
        cancel: &Cancel,
        ask: impl Fn(&StreamSession) -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let mut tried = vec![0; self.supervisors.len()];
        let mut failures = Failures::default();
        loop {
            let next = || match self.untried(&tried)? {
                // All sessions have failed; it is not known that one of them is lost.
                None if failures.any() => Ok(Some(None)),
                next => Ok(next.map(Some)),
            };
            let next = self.wait(call, next)?;
            let Some((place, generation, session)) = next else {
                return Err(failures.verdict());
            };
            match ask(&session.with_cancel(cancel)) {
                Ok(Some(outcome)) => return Ok(outcome),
                // The session is lost.
                Ok(None) => {}
                Err(error) if another_may_do(&error) => failures.add(error),
                Err(error) => return Err(error),
            }
            if let Some(tried) = tried.get_mut(place) {
                *tried = generation;
            }
        }
    }

    /// Returns the first session that was not tried; fails if there will be none.
    fn untried(&self, tried: &[u64]) -> Result<Option<(usize, u64, StreamSession)>, Error> {
        for ((place, supervisor), tried) in self.supervisors.iter().enumerate().zip(tried) {
            if let Ok(Some((generation, session))) = supervisor.newer_session(*tried) {
                return Ok(Some((place, generation, session)));
            }
        }
        self.end().map_or(Ok(None), Err)
    }

    /// Returns why there will be no session any more, if all replicas have ended.
    pub(super) fn end(&self) -> Option<Error> {
        let mut ends = Failures::default();
        for supervisor in &self.supervisors {
            match supervisor.end_error()? {
                Error::SessionLost(loss) => return Some(Error::SessionLost(loss)),
                error => ends.add(error),
            }
        }
        Some(ends.verdict())
    }

    /// Waits until all replicas have ended, and returns why unless the session was closed.
    pub(super) fn wait_closed(&self, call: &Call) -> Result<Option<Arc<Error>>, Error> {
        let end = self.wait(call, || Ok(self.end()))?;
        match end {
            Error::SessionLost(SessionLoss::Closed) => Ok(None),
            Error::GaveUp(error) => Ok(Some(error)),
            error => Ok(Some(Arc::new(error))),
        }
    }

    /// Replaces the sessions one after the other, so that peers can reach the others.
    pub(super) fn renew(&self, cancel: &Cancel) -> Result<(), Error> {
        let mut renewed = false;
        for supervisor in &self.supervisors {
            // A session that is being created is new anyway.
            let Ok(Some(_)) = supervisor.newer_session(0) else {
                continue;
            };
            match supervisor.renew(cancel) {
                Ok(()) => renewed = true,
                Err(error @ Error::Cancelled { .. }) => return Err(error),
                // This replica has ended; others may continue.
                Err(_) => {}
            }
        }
        if renewed {
            return Ok(());
        }
        let call = Call::new(Phase::SessionCreate).or_cancel(cancel);
        let none_tried = vec![0; self.supervisors.len()];
        let created = self.wait(&call, || self.untried(&none_tried));
        created.map(drop)
    }

    pub(super) fn close(&self) {
        self.at_once(|supervisor| supervisor.close());
    }

    /// Does the work with all replicas at the same time, on threads that end before this returns.
    fn at_once<T: Send>(&self, work: impl Fn(&Arc<Supervisor>) -> T + Sync) -> Vec<T> {
        let Some((first, others)) = self.supervisors.split_first() else {
            return Vec::new();
        };
        std::thread::scope(|scope| {
            let work = &work;
            let threads: Vec<_> = others
                .iter()
                .map(|one| spawn_scoped(scope, "i2p-sam-replica", move || work(one)))
                .collect();
            let first = work(first);
            // The calling thread does the work of a thread that could not be started.
            let rest = threads.into_iter().zip(others).map(|(thread, one)| {
                let done = thread.ok().and_then(|thread| thread.join().ok());
                done.unwrap_or_else(|| work(one))
            });
            std::iter::once(first).chain(rest).collect()
        })
    }
}

impl Drop for Replicas {
    fn drop(&mut self) {
        // Replicas that are stopped first do not report that they gave up.
        for supervisor in &self.supervisors {
            supervisor.cancel().cancel();
        }
        self.changed.update(FirstAttempts::give_up);
    }
}
