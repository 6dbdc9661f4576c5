use std::sync::{Arc, Mutex, Weak};

use crate::address::{Destination, I2pAddr, PrivateKey};
use crate::error::{Error, Phase};
use crate::failover::{Failures, another_may_do};
use crate::healing::{
    HealingListener, HealingOptions, HealingSession, dial_deadline, dial_over, look_up_over,
    lookup_deadline,
};
use crate::multihomed::home::Home;
use crate::multihomed::opening::Opening;
use crate::multihomed::reception::Reception;
use crate::session::{ConnectOptions, SessionBuilder, StreamSession};
use crate::stream::SamStream;
use crate::sync::{Call, Cancel, Deadline, Monitor, Wake, lock, spawn_scoped};

/// The homes of one destination, the first choice first.
pub(super) struct Homes {
    key: PrivateKey,
    homes: Vec<HealingSession>,
    /// Woken whenever a home may have come up or ended: a call that waits looks at all of them.
    changed: Arc<Monitor<()>>,
    /// What the listeners share, while there is one.
    reception: Mutex<Weak<Reception>>,
}

impl Homes {
    /// Begins to make all of them, and waits until one is there.
    pub(super) fn start(builder: SessionBuilder, options: &HealingOptions) -> Result<Self, Error> {
        let all = builder.bridge().clone();
        let (key, bridges) = (builder.own_key()?, all.bridges());
        let changed = Monitor::new(());
        // If it fails, the homes are let go of first: they are to tell nobody that they gave up.
        let opening = Opening::of(bridges.len());
        let mut homes = Vec::with_capacity(bridges.len());
        for (place, bridge) in bridges.into_iter().enumerate() {
            let (watcher, judge): (Arc<dyn Wake>, _) = (changed.clone(), opening.judge(place));
            let builder = builder.clone().at(bridge);
            homes.push(HealingSession::pending(
                builder, &key, options, watcher, judge,
            )?);
        }
        opening.outcome(all.cancel())?;
        Ok(Self {
            key,
            homes,
            changed,
            reception: Mutex::default(),
        })
    }

    pub(super) fn key(&self) -> &PrivateKey {
        &self.key
    }

    pub(super) fn list(&self) -> Vec<Home> {
        let homes = self.homes.iter();
        homes
            .map(|home| Home::new(home.bridge(), home.session()))
            .collect()
    }

    /// Has all homes take in what peers dial, unless they do.
    pub(super) fn receive(&self, cancel: &Cancel) -> Result<Arc<Reception>, Error> {
        if let Some(open) = lock(&self.reception).upgrade() {
            return open.check().map(|()| open);
        }
        let armed = self.at_once(|home| home.with_cancel(cancel).listener());
        let listeners = self.that_accept(armed)?;
        let reception = Reception::of(listeners.len());
        {
            let mut open = lock(&self.reception);
            if let Some(other) = open.upgrade() {
                return Ok(other);
            }
            *open = Arc::downgrade(&reception);
        }
        reception.open(listeners)?;
        Ok(reception)
    }

    /// A listener for each home, if one of them can accept.
    fn that_accept(
        &self,
        armed: Vec<Result<HealingListener, Error>>,
    ) -> Result<Vec<HealingListener>, Error> {
        let mut failures = Failures::default();
        let none = armed.iter().all(Result::is_err);
        let listeners = armed.into_iter().zip(&self.homes).map(|(armed, home)| {
            armed.unwrap_or_else(|error| {
                failures.add(error);
                home.unarmed_listener()
            })
        });
        let listeners = listeners.collect();
        match none {
            true => Err(failures.verdict()),
            false => Ok(listeners),
        }
    }

    pub(super) fn dial(
        &self,
        peer: &I2pAddr,
        options: &ConnectOptions,
        cancel: &Cancel,
    ) -> Result<SamStream, Error> {
        let first = self.homes.first();
        let deadline = first.map_or(Deadline::NEVER, |home| {
            dial_deadline(home.bridge(), options)
        });
        self.over_a_home(Phase::StreamConnect, deadline, cancel, |session| {
            dial_over(session, peer, options, deadline)
        })
    }

    pub(super) fn look_up(&self, address: &I2pAddr, cancel: &Cancel) -> Result<Destination, Error> {
        let first = self.homes.first();
        let deadline = first.map_or(Deadline::NEVER, |home| lookup_deadline(home.bridge()));
        self.over_a_home(Phase::Lookup, deadline, cancel, |session| {
            look_up_over(session, address, deadline)
        })
    }

    /// Asks over one home after the other, as long as each is lost meanwhile or its bridge fails.
    fn over_a_home<T>(
        &self,
        phase: Phase,
        deadline: Deadline,
        cancel: &Cancel,
        ask: impl Fn(&StreamSession) -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let call = Call::new(phase).or_cancel(cancel).until(deadline);
        let mut tried = vec![0; self.homes.len()];
        let mut failures = Failures::default();
        loop {
            let next = || match self.next_up(&tried)? {
                // All there are have failed; it is not known that one of them is lost.
                None if failures.any() => Ok(Some(None)),
                next => Ok(next.map(Some)),
            };
            let next = call.wait_on(&self.changed, |()| next())?;
            let Some((place, generation, session)) = next else {
                return Err(failures.verdict());
            };
            match ask(&session.with_cancel(cancel)) {
                Ok(Some(outcome)) => return Ok(outcome),
                // It is lost.
                Ok(None) => {}
                Err(error) if another_may_do(&error) => failures.add(error),
                Err(error) => return Err(error),
            }
            if let Some(tried) = tried.get_mut(place) {
                *tried = generation;
            }
        }
    }

    /// The first home that has a session which was not tried.
    fn next_up(&self, tried: &[u64]) -> Result<Option<(usize, u64, StreamSession)>, Error> {
        let mut ended = Failures::default();
        let mut going_on = false;
        for ((place, home), tried) in self.homes.iter().enumerate().zip(tried) {
            match home.newer_session(*tried) {
                Ok(Some((generation, session))) => return Ok(Some((place, generation, session))),
                Ok(None) => going_on = true,
                Err(error) => ended.add(error),
            }
        }
        match going_on {
            true => Ok(None),
            false => Err(ended.verdict()),
        }
    }

    /// Makes the sessions anew, one after the other so that the others can be reached.
    pub(super) fn renew(&self, cancel: &Cancel) -> Result<(), Error> {
        let mut failures = Failures::default();
        let mut goes_on = false;
        for home in &self.homes {
            let outcome = match home.newer_session(0) {
                Ok(Some(_)) => home.with_cancel(cancel).renew(),
                // It is being made.
                outcome => outcome.map(drop),
            };
            match outcome {
                Ok(()) => goes_on = true,
                Err(error @ Error::Cancelled { .. }) => return Err(error),
                Err(error) => failures.add(error),
            }
        }
        match goes_on {
            true => Ok(()),
            false => Err(failures.verdict()),
        }
    }

    pub(super) fn close(&self) {
        let open = lock(&self.reception).upgrade();
        if let Some(open) = open {
            open.close();
        }
        self.at_once(HealingSession::close);
    }

    /// Does it with all homes at the same time, on threads that end before this returns.
    fn at_once<T: Send>(&self, work: impl Fn(&HealingSession) -> T + Sync) -> Vec<T> {
        let Some((first, others)) = self.homes.split_first() else {
            return Vec::new();
        };
        std::thread::scope(|scope| {
            let work = &work;
            let threads: Vec<_> = others
                .iter()
                .map(|home| spawn_scoped(scope, "i2p-sam-home", move || work(home)))
                .collect();
            let first = work(first);
            // What got no thread is done by this one.
            let rest = threads.into_iter().zip(others).map(|(thread, home)| {
                let done = thread.ok().and_then(|thread| thread.join().ok());
                done.unwrap_or_else(|| work(home))
            });
            std::iter::once(first).chain(rest).collect()
        })
    }
}
