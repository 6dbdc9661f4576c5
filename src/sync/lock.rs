use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a value that nobody waits on.
///
/// No thread leaves such a value half changed, even if it panics, so a poisoned lock is taken.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
