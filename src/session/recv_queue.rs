use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, SessionLoss};
use crate::session::proof::SelfDatagrams;
use crate::sync::{BufferPool, Call, Monitor};

/// Most datagrams that wait to be received, and most bytes in them. What comes on top is dropped.
const MOST_WAITING: usize = 512;
const MOST_BYTES: usize = 4 << 20;

/// What came for a datagram session and was not received, counted since the session was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DroppedDatagrams {
    /// Datagrams that came while 512 of them, or 4 MiB, waited to be received.
    pub overflow: u64,
    /// Packets that did not come from the bridge ([`DatagramSource`](crate::DatagramSource)).
    pub foreign: u64,
    /// Packets from the bridge in which nobody is named who could have sent them.
    pub malformed: u64,
}

/// The datagrams that have come and wait to be received. `O` is their origin.
pub(crate) struct RecvQueue<O> {
    state: Arc<Monitor<State<O>>>,
    buffers: BufferPool,
    self_datagrams: Arc<SelfDatagrams>,
}

struct State<O> {
    queue: VecDeque<(O, Vec<u8>)>,
    bytes: usize,
    dropped: DroppedDatagrams,
    read_timeout: Option<Duration>,
    nonblocking: bool,
}

impl<O> RecvQueue<O> {
    pub(crate) fn new() -> Self {
        Self {
            state: Monitor::new(State {
                queue: VecDeque::new(),
                bytes: 0,
                dropped: DroppedDatagrams::default(),
                read_timeout: None,
                nonblocking: false,
            }),
            buffers: BufferPool::default(),
            self_datagrams: Arc::new(SelfDatagrams::new()),
        }
    }

    /// Those by which the session proves that it lives. Nobody receives them.
    pub(crate) fn self_datagrams(&self) -> &Arc<SelfDatagrams> {
        &self.self_datagrams
    }

    /// Queues a datagram if there is room. It never waits.
    pub(crate) fn put(&self, origin: O, payload: &[u8]) {
        if self.self_datagrams.takes(payload) {
            return;
        }
        self.state.update(|state| {
            if state.queue.len() >= MOST_WAITING || state.bytes + payload.len() > MOST_BYTES {
                state.dropped.overflow += 1;
                return;
            }
            let mut kept = self.buffers.take();
            kept.extend_from_slice(payload);
            state.bytes += kept.len();
            state.queue.push_back((origin, kept));
        });
    }

    pub(crate) fn count_foreign(&self) {
        self.state.lock().dropped.foreign += 1;
    }

    pub(crate) fn count_malformed(&self) {
        self.state.lock().dropped.malformed += 1;
    }

    pub(crate) fn dropped(&self) -> DroppedDatagrams {
        self.state.lock().dropped
    }

    /// As in `std`, no time at all is refused.
    pub(crate) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            let text = "a time-out cannot be zero";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        self.state.lock().read_timeout = timeout;
        Ok(())
    }

    pub(crate) fn read_timeout(&self) -> Option<Duration> {
        self.state.lock().read_timeout
    }

    pub(crate) fn is_nonblocking(&self) -> bool {
        self.state.lock().nonblocking
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) {
        self.state.lock().nonblocking = nonblocking;
    }
}

impl<O: Clone + Send + 'static> RecvQueue<O> {
    /// Waits for the next datagram, and takes it, even if it does not fit, or leaves it there. Those that
    /// came before the bridge ended the session are returned before the loss.
    pub(crate) fn next(
        &self,
        buf: &mut [u8],
        take: bool,
        call: &Call,
    ) -> Result<(usize, O), Error> {
        let mut look = |state: &mut State<O>| {
            let outcome = state.look(buf)?;
            if let Some((_, payload)) = take.then(|| state.queue.pop_front()).flatten() {
                state.bytes -= payload.len();
                self.buffers.give_back(payload);
            }
            Some(outcome)
        };
        let timed = call.clone().within(self.read_timeout());
        let outcome = timed.wait_on(&self.state, |state| match look(state) {
            None if state.nonblocking => Err(Error::WouldBlock),
            found => found.transpose(),
        });
        match outcome {
            Err(error) if is_loss_by_bridge(&error) => {
                look(&mut self.state.lock()).unwrap_or(Err(error))
            }
            outcome => outcome,
        }
    }
}

impl<O: Clone> State<O> {
    /// Copies the next datagram, if there is one and it fits.
    fn look(&self, buf: &mut [u8]) -> Option<Result<(usize, O), Error>> {
        let (origin, payload) = self.queue.front()?;
        let (needed, given) = (payload.len(), buf.len());
        let Some(room) = buf.get_mut(..needed) else {
            return Some(Err(Error::BufferTooSmall { needed, given }));
        };
        room.copy_from_slice(payload);
        Some(Ok((needed, origin.clone())))
    }
}

/// A program that has ended the session itself wants nothing more.
fn is_loss_by_bridge(error: &Error) -> bool {
    matches!(error, Error::SessionLost(loss) if *loss != SessionLoss::Closed)
}

#[cfg(test)]
#[cfg(shuttle)]
mod model {
    use shuttle::thread;

    use super::*;
    use crate::error::Phase;
    use crate::sync::Lifetime;
    use crate::sync::model::explore;

    #[test]
    fn datagram_before_the_loss_is_received_before_it() {
        explore(|| {
            let (queue, lifetime) = (Arc::new(RecvQueue::new()), Lifetime::new(None));
            let call = Call::new(Phase::Receive).or_lifetime(&lifetime);
            let (pushed, ended) = (queue.clone(), lifetime.clone());
            let reader = thread::spawn(move || {
                pushed.put((), b"one");
                ended.end(SessionLoss::BridgeGone);
            });
            let mut buf = [0; 8];
            assert_eq!(queue.next(&mut buf, true, &call).unwrap(), (3, ()));
            let outcome = queue.next(&mut buf, true, &call);
            assert!(matches!(outcome, Err(Error::SessionLost(_))));
            reader.join().unwrap();
        });
    }

    #[test]
    fn datagram_wakes_every_call_that_peeks() {
        explore(|| {
            let queue = Arc::new(RecvQueue::new());
            let waiters = [(), ()].map(|()| {
                let queue = queue.clone();
                thread::spawn(move || {
                    let call = Call::new(Phase::Receive);
                    let peeked = queue.next(&mut [0; 8], false, &call);
                    assert_eq!(peeked.unwrap(), (3, ()));
                })
            });
            queue.put((), b"one");
            for waiter in waiters {
                waiter.join().unwrap();
            }
        });
    }
}
