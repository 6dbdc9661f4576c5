use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a value that no thread waits on.
///
/// No thread leaves such a value half changed, even if it panics, so the value of a poisoned lock is valid.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
