use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::datagram::format::Origin;
use crate::datagram::peer::Peer;
use crate::datagram::proof::SelfDatagrams;
use crate::error::{Error, SessionLoss};
use crate::logging::event;
use crate::sync::{BufferPool, Call, Monitor};

/// Most datagrams that wait to be received, and most bytes in them. Datagrams beyond that are dropped.
const MOST_WAITING: usize = 512;
const MOST_BYTES: usize = 4 << 20;

/// The numbers of datagrams that a session dropped since it was created.
///
/// ```
/// let dropped = i2p_sam::DroppedDatagrams::default();
/// let text = "0 beyond the queue, 0 foreign, 0 malformed, 0 of other peers";
/// assert_eq!(dropped.to_string(), text);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DroppedDatagrams {
    /// Datagrams that came while 512 datagrams, or 4 MiB, waited to be received.
    pub overflow: u64,
    /// Packets that came from another address than the bridge's
    /// ([`UdpOptions::accept_from`](crate::UdpOptions::accept_from)).
    pub foreign: u64,
    /// Datagrams from the bridge whose header is malformed or names no sender.
    pub malformed: u64,
    /// Datagrams from others than the peer to which the session is
    /// [connected](crate::DatagramSession::connect).
    pub other_peers: u64,
}

/// Writes the numbers as in `3 beyond the queue, 0 foreign, 1 malformed, 0 of other peers`.
impl fmt::Display for DroppedDatagrams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (overflow, foreign, malformed) = (self.overflow, self.foreign, self.malformed);
        let other_peers = self.other_peers;
        write!(
            f,
            "{overflow} beyond the queue, {foreign} foreign, {malformed} malformed, {other_peers} of other peers"
        )
    }
}

/// The datagrams of a session that wait to be received.
pub(crate) struct RecvQueue {
    state: Arc<Monitor<State>>,
    buffers: BufferPool,
    self_datagrams: Arc<SelfDatagrams>,
}

struct State {
    queue: VecDeque<(Origin, Vec<u8>)>,
    bytes: usize,
    dropped: DroppedDatagrams,
    /// The only peer whose datagrams are kept, if the session is connected.
    peer: Option<Arc<Peer>>,
    read_timeout: Option<Duration>,
    nonblocking: bool,
}

impl RecvQueue {
    pub(crate) fn new() -> Self {
        Self {
            state: Monitor::new(State {
                queue: VecDeque::new(),
                bytes: 0,
                dropped: DroppedDatagrams::default(),
                peer: None,
                read_timeout: None,
                nonblocking: false,
            }),
            buffers: BufferPool::default(),
            self_datagrams: Arc::new(SelfDatagrams::new()),
        }
    }

    /// Returns the datagrams by which the session proves that it lives. The program never receives them.
    pub(crate) fn self_datagrams(&self) -> &Arc<SelfDatagrams> {
        &self.self_datagrams
    }

    /// Keeps only the datagrams of a peer from now on, also of those that wait.
    pub(crate) fn connect(&self, peer: Peer) {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        state.queue.retain(|(origin, payload)| {
            let is_kept = peer.sent(origin);
            if !is_kept {
                state.bytes -= payload.len();
                state.dropped.other_peers += 1;
            }
            is_kept
        });
        state.peer = Some(Arc::new(peer));
    }

    /// Returns the peer to which the session is connected.
    pub(crate) fn peer(&self) -> Option<Arc<Peer>> {
        self.state.lock().peer.clone()
    }

    /// Adds a datagram if there is room, and if the session receives from its sender. It never blocks.
    pub(crate) fn push(&self, origin: Origin, payload: &[u8]) {
        if self.self_datagrams.takes(payload) {
            return;
        }
        let drop_reason = self.state.update(|state| {
            if state.peer.as_ref().is_some_and(|peer| !peer.sent(&origin)) {
                state.dropped.other_peers += 1;
                return Some("it is not from the peer");
            }
            if state.queue.len() >= MOST_WAITING || state.bytes + payload.len() > MOST_BYTES {
                state.dropped.overflow += 1;
                return Some("the queue is full");
            }
            let mut kept = self.buffers.take();
            kept.extend_from_slice(payload);
            state.bytes += kept.len();
            state.queue.push_back((origin, kept));
            None
        });
        if let Some(reason) = drop_reason {
            event!(Trace, "a datagram was dropped: {reason}");
        }
    }

    pub(crate) fn count_foreign(&self) {
        self.state.lock().dropped.foreign += 1;
        event!(Trace, "a packet was dropped: it is not from the bridge");
    }

    pub(crate) fn count_malformed(&self) {
        self.state.lock().dropped.malformed += 1;
        event!(Trace, "a datagram was dropped: its header is malformed");
    }

    pub(crate) fn dropped(&self) -> DroppedDatagrams {
        self.state.lock().dropped
    }

    /// Sets the read time-out. Zero is refused, as in `std`.
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

    /// Waits for a datagram and copies it. With `take` it is removed, even if it does not fit. If the
    /// bridge ended the session, the error is returned after all datagrams that came before.
    pub(crate) fn next(
        &self,
        buf: &mut [u8],
        take: bool,
        call: &Call,
    ) -> Result<(usize, Origin), Error> {
        let mut look = |state: &mut State| {
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

impl State {
    /// Copies the next datagram if there is one and it fits.
    fn look(&self, buf: &mut [u8]) -> Option<Result<(usize, Origin), Error>> {
        let (origin, payload) = self.queue.front()?;
        let (needed, given) = (payload.len(), buf.len());
        let Some(room) = buf.get_mut(..needed) else {
            return Some(Err(Error::BufferTooSmall { needed, given }));
        };
        room.copy_from_slice(payload);
        Some(Ok((needed, origin.clone())))
    }
}

/// Returns false if the program closed the session, because it then receives no more datagrams.
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

    fn push(queue: &Arc<RecvQueue>, payloads: &'static [&'static [u8]]) -> thread::JoinHandle<()> {
        let queue = queue.clone();
        thread::spawn(move || {
            for payload in payloads {
                queue.push(Origin::Raw(None), payload);
            }
        })
    }

    fn receive(queue: &RecvQueue, call: &Call) -> Result<u8, Error> {
        let mut buf = [0; 8];
        queue.next(&mut buf, true, call).map(|_| buf[0])
    }

    #[test]
    fn each_datagram_reaches_one_of_two_receivers() {
        explore(|| {
            let queue = Arc::new(RecvQueue::new());
            let receivers = [(), ()].map(|()| {
                let queue = queue.clone();
                let call = Call::new(Phase::Receive);
                thread::spawn(move || receive(&queue, &call).unwrap())
            });
            let pusher = push(&queue, &[b"1", b"2"]);
            let mut received = receivers.map(|receiver| receiver.join().unwrap());
            pusher.join().unwrap();
            received.sort_unstable();
            assert_eq!(received, *b"12");
            assert_eq!(queue.state.lock().bytes, 0);
        });
    }

    #[test]
    fn datagrams_before_loss_are_received_first() {
        explore(|| {
            let queue = Arc::new(RecvQueue::new());
            let lifetime = Lifetime::new(None);
            let call = Call::new(Phase::Receive).or_lifetime(&lifetime);
            let receiver = {
                let queue = queue.clone();
                thread::spawn(move || {
                    let received: Vec<_> =
                        (0..2).map_while(|_| receive(&queue, &call).ok()).collect();
                    (received, receive(&queue, &call))
                })
            };
            // As the reader of a session does: all datagrams, and then the loss.
            let pusher = push(&queue, &[b"1", b"2"]);
            pusher.join().unwrap();
            lifetime.end(SessionLoss::Disconnected);
            let (received, end) = receiver.join().unwrap();
            assert_eq!(received, *b"12");
            assert!(matches!(
                end,
                Err(Error::SessionLost(SessionLoss::Disconnected))
            ));
        });
    }

    #[test]
    fn peek_and_receive_leave_no_datagram() {
        explore(|| {
            let queue = Arc::new(RecvQueue::new());
            let peeker = {
                let queue = queue.clone();
                let call = Call::new(Phase::Receive);
                thread::spawn(move || queue.next(&mut [0; 8], false, &call).map(|_| ()))
            };
            queue.push(Origin::Raw(None), b"1");
            peeker.join().unwrap().unwrap();
            let call = Call::new(Phase::Receive);
            assert_eq!(receive(&queue, &call).unwrap(), b'1');
            assert!(queue.state.lock().queue.is_empty());
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_display_names_each_number() {
        let dropped = DroppedDatagrams {
            overflow: 1,
            foreign: 2,
            malformed: 3,
            other_peers: 4,
        };
        let text = "1 beyond the queue, 2 foreign, 3 malformed, 4 of other peers";
        assert_eq!(dropped.to_string(), text);
    }
}
