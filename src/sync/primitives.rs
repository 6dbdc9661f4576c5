//! The primitives of `src/sync`: those of `std`, or, in its models, those of a scheduler that tries many
//! orders of events.

#[cfg(all(test, shuttle))]
pub(super) use modelled::OnceLock;
#[cfg(all(test, shuttle))]
pub(super) use shuttle::sync::{Condvar, Mutex, MutexGuard};
#[cfg(not(all(test, shuttle)))]
pub(super) use std::sync::{Condvar, Mutex, MutexGuard, OnceLock};

#[cfg(all(test, shuttle))]
mod modelled {
    use shuttle::sync::atomic::{AtomicBool, Ordering};

    /// The scheduler has no such type. Reading an atomic lets the scheduler run another thread here.
    pub(crate) struct OnceLock<T> {
        value: std::sync::OnceLock<T>,
        point: AtomicBool,
    }

    impl<T> Default for OnceLock<T> {
        fn default() -> Self {
            Self::new()
        }
    }

    impl<T> OnceLock<T> {
        pub(crate) fn new() -> Self {
            Self {
                value: std::sync::OnceLock::new(),
                point: AtomicBool::new(false),
            }
        }

        pub(crate) fn get(&self) -> Option<&T> {
            self.point.load(Ordering::SeqCst);
            self.value.get()
        }

        pub(crate) fn set(&self, value: T) -> Result<(), T> {
            self.point.load(Ordering::SeqCst);
            self.value.set(value)
        }
    }
}
