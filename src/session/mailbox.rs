use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::error::{Error, Phase, SessionLoss};
use crate::interrupts::{Interrupts, lock, wait};
use crate::session::proof::SelfDatagrams;
use crate::sync::{BufferPool, Deadline, Wake};

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

/// What has come, and waits to be received. `O` is what is known of where it came from.
pub(crate) struct Mailbox<O> {
    state: Mutex<State<O>>,
    changed: Condvar,
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

impl<O> Mailbox<O> {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                bytes: 0,
                dropped: DroppedDatagrams::default(),
                read_timeout: None,
                nonblocking: false,
            }),
            changed: Condvar::new(),
            buffers: BufferPool::default(),
            self_datagrams: Arc::new(SelfDatagrams::new()),
        }
    }

    /// Those by which the session proves that it lives. Nobody receives them.
    pub(crate) fn self_datagrams(&self) -> &Arc<SelfDatagrams> {
        &self.self_datagrams
    }

    /// Takes in one datagram, if there is room. It never waits.
    pub(crate) fn put(&self, origin: O, payload: &[u8]) {
        if self.self_datagrams.takes(payload) {
            return;
        }
        let mut state = lock(&self.state);
        if state.queue.len() >= MOST_WAITING || state.bytes + payload.len() > MOST_BYTES {
            state.dropped.overflow += 1;
            return;
        }
        let mut kept = self.buffers.take();
        kept.extend_from_slice(payload);
        state.bytes += kept.len();
        state.queue.push_back((origin, kept));
        drop(state);
        // A waiter that peeks would leave the datagram to one that is not woken.
        self.changed.notify_all();
    }

    pub(crate) fn count_foreign(&self) {
        lock(&self.state).dropped.foreign += 1;
    }

    pub(crate) fn count_malformed(&self) {
        lock(&self.state).dropped.malformed += 1;
    }

    pub(crate) fn dropped(&self) -> DroppedDatagrams {
        lock(&self.state).dropped
    }

    /// As in `std`, no time at all is refused.
    pub(crate) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            let text = "a time-out cannot be zero";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        lock(&self.state).read_timeout = timeout;
        Ok(())
    }

    pub(crate) fn read_timeout(&self) -> Option<Duration> {
        lock(&self.state).read_timeout
    }

    pub(crate) fn is_nonblocking(&self) -> bool {
        lock(&self.state).nonblocking
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) {
        lock(&self.state).nonblocking = nonblocking;
    }
}

impl<O: Clone + Send + 'static> Mailbox<O> {
    /// The next datagram: taken, and gone if it does not fit, or looked at, and left there. Those
    /// that came before the bridge ended the session are given out before its end is told.
    pub(crate) fn next(
        self: &Arc<Self>,
        buf: &mut [u8],
        take: bool,
        interrupts: &Interrupts,
    ) -> Result<(usize, O), Error> {
        let phase = Phase::Receive;
        // It fails where the session is gone, which is told below.
        let _watch = interrupts.watch_waiter(self, phase);
        let mut state = lock(&self.state);
        let deadline = Deadline::after(state.read_timeout);
        loop {
            let ended = match interrupts.check(phase) {
                Err(error) if !is_loss_by_bridge(&error) => return Err(error),
                ended => ended,
            };
            if let Some(outcome) = state.look(buf) {
                if let Some((_, payload)) = take.then(|| state.queue.pop_front()).flatten() {
                    state.bytes -= payload.len();
                    self.buffers.give_back(payload);
                }
                return outcome;
            }
            ended?;
            if state.nonblocking {
                return Err(Error::WouldBlock);
            }
            state = wait(&self.changed, state, phase, deadline)?;
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

impl<O: Send> Wake for Mailbox<O> {
    fn wake(&self) {
        let _state = lock(&self.state);
        self.changed.notify_all();
    }
}

/// After its own end of the session a program wants nothing more.
fn is_loss_by_bridge(error: &Error) -> bool {
    matches!(error, Error::SessionLost(loss) if *loss != SessionLoss::Closed)
}
