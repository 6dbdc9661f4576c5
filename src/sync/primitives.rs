//! The primitives of the room: those of `std`, or, in its models, those of a scheduler that tries many
//! orders of events.

#[cfg(all(test, shuttle))]
pub(super) use shuttle::sync::{Condvar, Mutex, MutexGuard};
#[cfg(not(all(test, shuttle)))]
pub(super) use std::sync::{Condvar, Mutex, MutexGuard};
