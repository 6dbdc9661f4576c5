//! The parts of every blocking call.
//!
//! Each file imports only from those before it in this list, and the directory imports only `error`:
//!
//! - `deadline`: the time that is left for a call.
//! - `monitor`: a value under a lock that other threads wait on. It is the only condition variable.
//! - `cancel`: the public handle, and the registries of targets that end together.
//! - `lifetime`: the end of a session, its reason, and the targets that end with it.
//! - `call`: one blocking call, with its phase, its deadline, and the handles and session that may end it
//!   sooner. Every wait that a program can interrupt is [`Call::wait_on`].
//! - `thread`: starts threads. `accept_waker`: unblocks a TCP listener. `awake_read`: reads that a shutdown
//!   ends on Windows, too.
//! - `backoff`: growing delays. `buffer_pool`: buffers that are reused.
//!
//! # Lock order
//!
//! A thread that holds a lock takes another only in this order:
//!
//! 1. the value of a [`Monitor`]. The closures given to [`Monitor::update`] and [`Call::wait_on`] run
//!    under it. A closure may lock the monitor of something that it owns, never that of its owner: the
//!    replicas lock a supervisor, which locks the queue of its session, the accept pool locks its
//!    queue, a table of requests locks the answer of one.
//! 2. a plain mutex ([`lock`]). Its value is read or changed at once, and no thread waits under it.
//! 3. the state of a registry, which [`Cancel::is_cancelled`] reads. It is the last: a registry takes
//!    its targets out, and ends them when it holds no lock any more.
//!
//! The end of a [`Lifetime`] is read without a lock, so it can be read under any lock.
//!
//! **No lock is held while a target is ended** ([`Cancel::cancel`], [`Lifetime::end`]), because that locks
//! every monitor on which a call waits. A value that may belong to a program or closes a socket, such as an
//! accepted stream, is dropped after the lock is released.
//!
//! # Wake-ups
//!
//! - A thread that changes a value wakes the threads that wait on it: [`Monitor::update`].
//! - A call first registers its monitor with its handles and its lifetime, and then looks at the value.
//!   [`Cancel::cancel`] and [`Lifetime::end`] first note the end, and then lock each registered monitor and
//!   wake the threads that wait on it ([`Wake`]). A call that looked before the end was noted holds the
//!   lock until it waits, so no call misses the end.
//! - Registered sockets are shut down, which ends a `read` or `write` in progress. On Windows it ends only
//!   reads, within 100 ms, and only those of [`AwakeReader`] or with a time-out of [`stretch`].
//! - The reader thread of a control socket ends the lifetime of its session. That wakes calls on the
//!   session, shuts its sockets down, and ends the lifetimes of its subsessions.

mod accept_waker;
mod awake_read;
mod backoff;
mod buffer_pool;
mod call;
mod cancel;
mod deadline;
mod lifetime;
mod lock;
mod monitor;
mod primitives;
mod thread;

#[cfg(test)]
#[cfg(shuttle)]
pub(crate) mod model;

pub(crate) use accept_waker::AcceptWaker;
pub(crate) use awake_read::{AwakeReader, ReadTimeout, stretch};
pub(crate) use backoff::Backoff;
pub(crate) use buffer_pool::BufferPool;
pub(crate) use call::{Call, Registered};
pub use cancel::Cancel;
pub(crate) use cancel::{Registration, Target};
pub(crate) use deadline::Deadline;
pub(crate) use lifetime::Lifetime;
pub(crate) use lock::lock;
pub(crate) use monitor::{Monitor, Wake};
pub(crate) use thread::{run_abandonable, spawn, spawn_for_program, spawn_scoped};
