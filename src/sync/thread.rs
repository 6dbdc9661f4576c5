use std::io;
use std::thread::{Builder, Scope, ScopedJoinHandle};

use super::call::Call;
use super::monitor::Monitor;
use crate::error::Error;

/// Stack size of a thread that runs only the library's code, which holds a line and little else. With the
/// feature `log` it runs the program's logger as well.
#[cfg(not(feature = "log"))]
const SMALL_STACK: usize = 128 * 1024;
#[cfg(feature = "log")]
const SMALL_STACK: usize = 1024 * 1024;

/// Starts a thread that may run the program's code, such as a callback, or drop a value of the program. It
/// has the default stack size of `std`.
pub(crate) fn spawn_for_program(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    start(Builder::new().name(name.to_owned()), Box::new(work))
}

/// Starts a thread with a small stack that runs only the library's code.
pub(crate) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    start(small(name), Box::new(work))
}

/// Starts a thread with a small stack that ends before its scope does.
pub(crate) fn spawn_scoped<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, T>> {
    small(name).spawn_scoped(scope, work)
}

/// Runs work that `std` cannot interrupt on a thread of its own. If the call ends first, the thread
/// continues until the work is done, and its outcome is dropped.
///
/// # Errors
///
/// Those of [`Call::wait_on`], [`Error::Io`] if no thread can be started.
pub(crate) fn run_abandonable<T: Send + 'static>(
    name: &str,
    call: &Call,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let outcome = Monitor::new(None);
    let done = outcome.clone();
    // Resolvers of the system need more than a small stack.
    spawn_for_program(name, move || {
        let found = work();
        done.update(|outcome| *outcome = Some(found));
    })
    .map_err(|source| call.io_error(source))?;
    call.wait_on(&outcome, |outcome| Ok(outcome.take()))
}

/// A function of a type alone: `std` has some 20 functions for each type of work.
fn start(builder: Builder, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    builder.spawn(work).map(drop)
}

fn small(name: &str) -> Builder {
    Builder::new().name(name.to_owned()).stack_size(SMALL_STACK)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::error::Phase;
    use crate::sync::Cancel;

    #[test]
    fn abandonable_work_done_returns_its_outcome() {
        let outcome = run_abandonable("i2p-sam-test", &Call::new(Phase::Connect), || 7);
        assert_eq!(outcome.unwrap(), 7);
    }

    #[test]
    fn abandonable_work_cancelled_goes_on_alone() {
        let cancel = Cancel::new();
        let call = Call::new(Phase::Connect).or_cancel(&cancel);
        let (hold, held) = mpsc::channel::<()>();
        let (sender, receiver) = mpsc::channel();
        let handle = cancel.clone();
        let outcome = run_abandonable("i2p-sam-test", &call, move || {
            handle.cancel();
            let _ = held.recv();
            sender.send(()).unwrap();
        });
        assert!(matches!(outcome, Err(Error::Cancelled { .. })));
        drop(hold);
        receiver.recv_timeout(Duration::from_secs(10)).unwrap();
    }
}
