use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use super::deadline::Deadline;
use super::primitives::{Condvar, Mutex, MutexGuard};

/// A value under a lock. Threads wait on it until it meets their condition.
///
/// A wait that a program can interrupt is [`Call::wait_on`](super::Call::wait_on); the waits here end
/// with the deadline alone.
pub(crate) struct Monitor<T> {
    value: Mutex<T>,
    changed: Condvar,
    /// The number of threads that wait. It changes under the lock. A change for which nobody waits needs no
    /// call of the system.
    waiting: AtomicUsize,
}

impl<T> Monitor<T> {
    pub(crate) fn new(value: T) -> Arc<Self> {
        Arc::new(Self {
            value: Mutex::new(value),
            changed: Condvar::new(),
            waiting: AtomicUsize::new(0),
        })
    }

    /// Locks the value, to read it or to make a change for which no thread waits.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        // No thread leaves the value half changed, even if it panics.
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the value, and wakes the threads that wait on it.
    pub(crate) fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let mut value = self.lock();
        let outcome = change(&mut value);
        self.notify(value);
        outcome
    }

    /// Waits until `look` returns a value. Returns `None` if there is none at the deadline.
    pub(crate) fn wait_until<R>(
        &self,
        deadline: Deadline,
        mut look: impl FnMut(&mut T) -> Option<R>,
    ) -> Option<R> {
        let mut value = self.lock();
        loop {
            if let Some(found) = look(&mut value) {
                return Some(found);
            }
            value = self.wait(value, deadline)?;
        }
    }

    /// Waits until `look` returns a value. Otherwise `look` returns the time of the next look, unless the
    /// value changes before.
    pub(crate) fn wait_until_due<R>(
        &self,
        mut look: impl FnMut(&mut T) -> Result<R, Deadline>,
    ) -> R {
        let mut value = self.lock();
        loop {
            match look(&mut value) {
                Ok(found) => return found,
                Err(due) => value = self.wait(value, due).unwrap_or_else(|| self.lock()),
            }
        }
    }

    /// Waits once, until a change or a spurious wake-up. Returns `None` if the deadline has passed.
    pub(super) fn wait<'a>(
        &self,
        value: MutexGuard<'a, T>,
        deadline: Deadline,
    ) -> Option<MutexGuard<'a, T>> {
        let left = deadline.remaining()?;
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let value = match left {
            None => {
                let woken = self.changed.wait(value);
                woken.unwrap_or_else(PoisonError::into_inner)
            }
            Some(left) => {
                let woken = self.changed.wait_timeout(value, left);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Some(value)
    }

    /// Wakes the threads that wait, and gives the lock up.
    fn notify(&self, value: MutexGuard<'_, T>) {
        let is_awaited = self.waiting.load(Ordering::Relaxed) > 0;
        drop(value);
        if is_awaited {
            self.changed.notify_all();
        }
    }
}

/// A waiter that waits under a lock and looks again when it is woken.
pub(crate) trait Wake: Send + Sync {
    /// Wakes the waiter. This takes the lock under which it waits: otherwise a waiter that is about to wait
    /// would miss it.
    fn wake(&self);
}

impl<T: Send> Wake for Monitor<T> {
    fn wake(&self) {
        self.notify(self.lock());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    #[test]
    fn monitor_value_found_returns_at_once() {
        let monitor = Monitor::new(5);
        let found = monitor.wait_until(Deadline::NEVER, |value| Some(*value));
        assert_eq!(found, Some(5));
    }

    #[test]
    fn monitor_deadline_passed_returns_nothing() {
        let monitor = Monitor::new(());
        let soon = Deadline::after(Some(Duration::from_millis(1)));
        assert_eq!(monitor.wait_until(soon, |()| None::<()>), None);
    }

    #[test]
    fn monitor_update_wakes_every_waiter() {
        let monitor = Monitor::new(false);
        let (sender, receiver) = mpsc::channel();
        for _ in 0..3 {
            let (monitor, sender) = (Arc::clone(&monitor), sender.clone());
            thread::spawn(move || {
                let found = monitor.wait_until(Deadline::NEVER, |set| set.then_some(()));
                sender.send(found).unwrap();
            });
        }
        monitor.update(|set| *set = true);
        for _ in 0..3 {
            assert_eq!(receiver.recv_timeout(LONG).unwrap(), Some(()));
        }
    }

    #[test]
    fn monitor_due_passed_looks_again() {
        let monitor = Monitor::new(0);
        let looks = monitor.wait_until_due(|looks| {
            *looks += 1;
            match *looks {
                3 => Ok(*looks),
                _ => Err(Deadline::after(Some(Duration::from_millis(1)))),
            }
        });
        assert_eq!(looks, 3);
    }

    #[test]
    fn monitor_panic_of_a_holder_leaves_it_usable() {
        let monitor = Monitor::new(1);
        let holder = Arc::clone(&monitor);
        let outcome = thread::spawn(move || {
            let _value = holder.lock();
            panic!("a panic with the lock held");
        })
        .join();
        assert!(outcome.is_err());
        assert_eq!(monitor.update(|value| *value), 1);
    }
}
