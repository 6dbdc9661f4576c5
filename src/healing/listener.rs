use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::address::Destination;
use crate::error::{Error, SessionLoss};
use crate::healing::replicas::Replicas;
use crate::stream::SamStream;
use crate::stream::{ListenerStats, Source};
use crate::sync::{Call, Cancel};

/// Time before an `accept` returns an error of the system, because the next `accept` may fail at once.
const ERROR_DELAY: Duration = Duration::from_secs(1);

/// The streams of all replicas. The replicas live as long as this.
pub(super) struct ReplicaStreams {
    replicas: Arc<Replicas>,
    /// The replica that is polled next.
    next: AtomicUsize,
}

impl ReplicaStreams {
    pub(super) fn open(replicas: &Arc<Replicas>, cancel: &Cancel) -> Result<Self, Error> {
        let streams = Self {
            replicas: Arc::clone(replicas),
            next: AtomicUsize::new(0),
        };
        let supervisors = replicas.supervisors().iter();
        supervisors.for_each(|one| one.add_listener());
        replicas.listen(cancel)?;
        Ok(streams)
    }

    /// Returns a stream that waits, of each replica in turn. `seen` are the lost sessions.
    fn poll(&self, seen: &mut [u64]) -> Result<Option<SamStream>, Error> {
        let first = self.next.load(Ordering::Relaxed);
        let replicas = self.replicas.supervisors().iter().zip(seen).enumerate();
        let (mut before, mut after): (Vec<_>, Vec<_>) =
            replicas.partition(|(place, _)| *place < first);
        after.append(&mut before);
        for (place, (supervisor, seen)) in after {
            let outcome = supervisor.poll(seen);
            if !matches!(outcome, Ok(None)) {
                self.next.store(place + 1, Ordering::Relaxed);
                return outcome;
            }
        }
        Ok(None)
    }

    /// Returns true if `poll` has something to do.
    fn is_ready(&self, seen: &[u64]) -> bool {
        let mut replicas = self.replicas.supervisors().iter().zip(seen);
        replicas.any(|(supervisor, seen)| supervisor.is_ready(*seen))
    }
}

impl Source for ReplicaStreams {
    fn destination(&self) -> &Destination {
        self.replicas.key().destination()
    }

    fn accept(&self, call: Call, nonblocking: bool) -> Result<SamStream, Error> {
        let mut seen = vec![0; self.replicas.supervisors().len()];
        loop {
            call.check()?;
            // No lock is held: the stream found may have to be closed.
            match self.poll(&mut seen) {
                Ok(Some(stream)) => return Ok(stream),
                Ok(None) => {}
                // If no thread can be started, the next attempt fails as fast. A caller that accepts in a
                // loop must not spin.
                Err(error @ Error::Io { .. }) if !nonblocking => {
                    return Err(call.sleep(ERROR_DELAY).err().unwrap_or(error));
                }
                Err(error) => return Err(error),
            }
            let ready = self.replicas.wait(&call, || match self.replicas.end() {
                Some(end) => Err(end),
                None if self.is_ready(&seen) => Ok(Some(())),
                None if nonblocking => Err(Error::WouldBlock),
                None => Ok(None),
            });
            ready?;
        }
    }

    fn loss(&self) -> Option<SessionLoss> {
        match self.replicas.end()? {
            Error::SessionLost(loss) => Some(loss),
            _ => None,
        }
    }

    fn stats(&self) -> ListenerStats {
        let replicas = self.replicas.supervisors().iter();
        let stats = replicas.map(|supervisor| supervisor.stats());
        stats.fold(ListenerStats::default(), ListenerStats::plus)
    }
}

impl Drop for ReplicaStreams {
    fn drop(&mut self) {
        let supervisors = self.replicas.supervisors().iter();
        supervisors.for_each(|one| one.remove_listener());
    }
}
