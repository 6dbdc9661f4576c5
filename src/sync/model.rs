//! Models of `src/sync`: a scheduler tries many orders of events, and fails if a thread is never woken.
//!
//! They need another `cfg` than the tests: `.ci/models` runs them.

use std::sync::Arc;

use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::thread;

use super::cancel::Registry;
use super::*;
use crate::error::{Error, Phase, SessionLoss};

const ORDERS: usize = 3_000;

/// Runs the model in random orders, and in orders with few changes of thread.
pub(crate) fn explore(model: fn()) {
    shuttle::check_random(model, ORDERS);
    shuttle::check_pct(model, ORDERS, 3);
}

fn call() -> Call {
    Call::new(Phase::Accept)
}

/// Waits for a change that never comes.
fn wait_for_nothing(call: &Call) -> Error {
    let outcome = call.wait_on(&Monitor::new(()), |()| Ok(None::<()>));
    outcome.unwrap_err()
}

/// Counts its wake-ups.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn monitor_update_reaches_every_waiter() {
    explore(|| {
        let monitor = Monitor::new(0);
        let waiters = [1, 2].map(|wanted| {
            let monitor = monitor.clone();
            thread::spawn(move || {
                monitor.wait_until(Deadline::NEVER, |value| (*value >= wanted).then_some(()))
            })
        });
        monitor.update(|value| *value += 1);
        monitor.update(|value| *value += 1);
        for waiter in waiters {
            assert!(waiter.join().unwrap().is_some());
        }
    });
}

#[test]
fn call_value_changed_while_it_registers_is_found() {
    explore(|| {
        let (monitor, cancel) = (Monitor::new(false), Cancel::new());
        let changed = monitor.clone();
        let changer = thread::spawn(move || changed.update(|value| *value = true));
        let call = call().or_cancel(&cancel);
        call.wait_on(&monitor, |value| Ok(value.then_some(())))
            .unwrap();
        changer.join().unwrap();
    });
}

#[test]
fn call_cancelled_while_it_registers_or_waits_ends() {
    explore(|| {
        let cancels = [Cancel::new(), Cancel::new()];
        let call = call().or_cancel(&cancels[0]).or_cancel(&cancels[1]);
        let waiters = [call.clone(), call].map(|call| {
            thread::spawn(move || {
                let error = wait_for_nothing(&call);
                assert!(matches!(error, Error::Cancelled { .. }));
            })
        });
        cancels[1].cancel();
        for waiter in waiters {
            waiter.join().unwrap();
        }
    });
}

#[test]
fn call_sleep_cancelled_ends() {
    explore(|| {
        let cancel = Cancel::new();
        // The clock of the model does not move, so only the handle can end the wait.
        let call = call().or_cancel(&cancel);
        let sleeper = thread::spawn(move || call.sleep(std::time::Duration::MAX));
        cancel.cancel();
        assert!(sleeper.join().unwrap().is_err());
    });
}

#[test]
fn lifetime_ended_while_a_call_registers_or_waits_ends_it() {
    explore(|| {
        let lifetime = Lifetime::new(None);
        let call = call().or_lifetime(&lifetime);
        let waiter = thread::spawn(move || {
            let error = wait_for_nothing(&call);
            assert!(matches!(
                error,
                Error::SessionLost(SessionLoss::Disconnected)
            ));
        });
        lifetime.end(SessionLoss::Disconnected);
        waiter.join().unwrap();
    });
}

#[test]
fn lifetime_ended_by_two_threads_has_one_reason() {
    explore(|| {
        let lifetime = Lifetime::new(None);
        let awaited = lifetime.clone();
        let waiter = thread::spawn(move || call().wait_ended(&awaited).unwrap());
        let other = lifetime.clone();
        let ender = thread::spawn(move || other.end(SessionLoss::Disconnected));
        let first = lifetime.end(SessionLoss::Closed);
        assert_ne!(ender.join().unwrap(), first);
        let expected = match first {
            true => SessionLoss::Closed,
            false => SessionLoss::Disconnected,
        };
        assert_eq!(waiter.join().unwrap(), expected);
    });
}

#[test]
fn parent_ended_while_child_joins_ends_the_wait() {
    explore(|| {
        let parent = Lifetime::new(None);
        let child = Lifetime::new(Some(&parent));
        let waiter = thread::spawn(move || {
            let joined = child.join_parent();
            let error = wait_for_nothing(&call().or_lifetime(&child));
            assert!(matches!(
                error,
                Error::SessionLost(SessionLoss::Disconnected)
            ));
            drop(joined);
        });
        parent.end(SessionLoss::Disconnected);
        waiter.join().unwrap();
    });
}

#[test]
fn child_handle_made_while_the_parent_fires_fires_too() {
    explore(|| {
        let parent = Cancel::new();
        let above = parent.clone();
        let waiter = thread::spawn(move || {
            let child = above.child().child();
            wait_for_nothing(&call().or_cancel(&child));
            assert!(child.is_cancelled());
        });
        parent.cancel();
        waiter.join().unwrap();
    });
}

#[test]
fn registration_withdrawn_is_never_hit() {
    explore(|| {
        let registry = Arc::new(Registry::default());
        let counter = Arc::new(Counter::default());
        let registration = registry.register(Target::waiter(&counter)).unwrap();
        let fired = registry.clone();
        let firer = thread::spawn(move || fired.fire());
        let untouched = registration.withdraw();
        firer.join().unwrap();
        let hits = counter.0.load(Ordering::SeqCst);
        assert_eq!(hits, usize::from(!untouched));
    });
}

#[test]
fn nested_monitors_do_not_deadlock_with_an_end() {
    explore(|| {
        let lifetime = Lifetime::new(None);
        let (queue, pool) = (Monitor::new(0), Monitor::new(()));
        let (inner, call) = (queue.clone(), call().or_lifetime(&lifetime));
        // The pool reads its queue under its own lock.
        let waiter = thread::spawn(move || {
            let look = |(): &mut ()| Ok((*inner.lock() > 1).then_some(()));
            assert!(call.wait_on(&pool, look).is_err());
        });
        queue.update(|value| *value += 1);
        lifetime.end(SessionLoss::Closed);
        waiter.join().unwrap();
    });
}
