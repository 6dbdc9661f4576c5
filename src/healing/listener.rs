use std::sync::Arc;

use crate::address::Destination;
use crate::error::{Error, SessionLoss};
use crate::healing::reception::Reception;
use crate::healing::replicas::Replicas;
use crate::listener::{ListenerStats, Source};
use crate::stream::SamStream;
use crate::sync::{Call, Cancel};

/// The streams of all replicas.
pub(super) struct ReplicaStreams {
    /// The replicas live as long as this.
    replicas: Arc<Replicas>,
    reception: Arc<Reception>,
}

impl ReplicaStreams {
    pub(super) fn open(replicas: &Arc<Replicas>, cancel: &Cancel) -> Result<Self, Error> {
        Ok(Self {
            reception: replicas.receive(cancel)?,
            replicas: Arc::clone(replicas),
        })
    }
}

impl Source for ReplicaStreams {
    fn destination(&self) -> &Destination {
        self.replicas.key().destination()
    }

    fn accept(&self, call: Call, nonblocking: bool) -> Result<SamStream, Error> {
        self.reception.accept(&call, nonblocking)
    }

    fn loss(&self) -> Option<SessionLoss> {
        match self.replicas.end()? {
            Error::SessionLost(loss) => Some(loss),
            _ => None,
        }
    }

    fn stats(&self) -> ListenerStats {
        self.reception.stats()
    }
}
