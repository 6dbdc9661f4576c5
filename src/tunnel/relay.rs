use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::bridge::is_timeout;
use crate::error::{Error, Phase};
use crate::stream::SamStream;
use crate::sync::{AwakeReader, Backoff, Call, Cancel, Monitor, ReadTimeout, Target, spawn_scoped};
use crate::tunnel::peer_closed::has_hung_up;
use crate::tunnel::{TunnelError, TunnelOptions};

/// Size of the buffer for one direction, in bytes.
const BUFFER: usize = 16 * 1024;

/// Time for which the local side may continue to write after the end of the stream, while its data is
/// discarded. If its socket were closed at once, it would lose the data that it has not read yet.
const CLOSE_DELAY: Duration = Duration::from_secs(5);

/// Bytes per second of a slow stream. Data is taken to have arrived after the time it needs at this rate.
const SLOW: u32 = 32 * 1024;

/// Upper bound of that time: sockets and routers buffer a few megabytes.
const LONGEST_ON_THE_WAY: Duration = Duration::from_secs(120);

/// First interval between checks if the local side has hung up. It doubles up to the longest.
const FIRST_LOOK: Duration = Duration::from_millis(50);
const LONGEST_LOOK: Duration = Duration::from_secs(5);

/// One connection: a local socket and a stream, and two threads that each copy one direction.
///
/// The thread whose direction ends first ends the other thread by shutting down its sockets. The handle of
/// the tunnel shuts both sockets down as well.
pub(super) struct Relay<'a> {
    local: Arc<TcpStream>,
    local_timeout: ReadTimeout,
    stream: SamStream,
    options: &'a TunnelOptions,
    cancel: &'a Cancel,
    traffic: &'a Traffic,
    state: Arc<Monitor<State>>,
}

/// The numbers of bytes that the relays of a tunnel have carried.
#[derive(Default)]
pub(super) struct Traffic {
    sent: AtomicU64,
    received: AtomicU64,
}

struct State {
    /// The local side sends no more data.
    local_done: bool,
    /// The local side accepts no more data either.
    local_gone: bool,
    /// The peer sends no more data.
    stream_done: bool,
    /// Nothing waits any more.
    over: bool,
    /// Start of the wait for the peer's next byte; `None` while a byte is written to the local side.
    silent_since: Option<Instant>,
    /// Time of the last byte in either direction.
    last: Instant,
    /// Time at which all data sent to the peer has arrived, even on a slow stream.
    arrived: Instant,
    failure: Option<TunnelError>,
}

/// The direction of a copy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    ToPeer,
    ToLocal,
}

impl<'a> Relay<'a> {
    /// Creates the relay of a tunnel with these options. The handle ends it.
    pub(super) fn new(
        (local, stream): (TcpStream, SamStream),
        options: &'a TunnelOptions,
        cancel: &'a Cancel,
        traffic: &'a Traffic,
    ) -> Self {
        let now = Instant::now();
        Self {
            local_timeout: ReadTimeout::of(&local),
            local: Arc::new(local),
            stream,
            options,
            cancel,
            traffic,
            state: Monitor::new(State {
                local_done: false,
                local_gone: false,
                stream_done: false,
                over: false,
                silent_since: Some(now),
                last: now,
                arrived: now,
                failure: None,
            }),
        }
    }

    /// Copies until both directions have ended.
    pub(super) fn carry(self) -> Result<(), TunnelError> {
        let relay = &self;
        relay.set_up().map_err(broken)?;
        let registry = relay.cancel.registry();
        let local = registry.register(Target::socket(&relay.local));
        let stream = registry.register(relay.stream.target());
        let (Ok(_local), Ok(_stream)) = (local, stream) else {
            return Ok(());
        };
        thread::scope(|scope| {
            spawn_scoped(scope, "i2p-sam-tunnel", || relay.send())?;
            relay.receive();
            Ok(())
        })
        .map_err(broken)?;
        match relay.state.lock().failure.take() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    fn set_up(&self) -> io::Result<()> {
        self.local.set_nonblocking(false)?;
        self.local.set_nodelay(true)?;
        // A call that times out checks if the whole connection was idle for that long.
        let look = |idle: Duration| (idle / 4).max(Duration::from_millis(1));
        let look = self.options.idle().map(look);
        self.local_timeout.set(&self.local, look)?;
        self.local.set_write_timeout(look)?;
        self.stream.set_read_timeout(look)?;
        self.stream.set_write_timeout(look)
    }

    /// The work of one thread: copies from the local side to the peer.
    fn send(&self) {
        let local = AwakeReader::new(&self.local, &self.local_timeout);
        let outcome = self.copy(local, &self.stream, Way::ToPeer);
        self.state.update(|state| {
            state.local_done = true;
            if let Err(error) = outcome {
                state.local_gone = true;
                state.fail_with(error);
            }
        });
        // I2P has no half-close: the stream stays open for data that the peer may still send.
        self.outwait_peer();
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// The work of the other thread: copies from the peer to the local side.
    fn receive(&self) {
        let outcome = self.copy(&self.stream, &*self.local, Way::ToLocal);
        let lost = self.stream.loss();
        let lost = lost.map(|loss| Error::SessionLost(loss).into());
        self.state.update(|state| {
            if let Some(error) = outcome.err().or(lost) {
                state.fail_with(error);
            }
            state.stream_done = true;
        });
        let _ = self.local.shutdown(Shutdown::Write);
        self.outwait_local();
        let _ = self.local.shutdown(Shutdown::Both);
    }

    /// Copies until the source ends. If the destination accepts no more data, the rest is discarded, so
    /// that the end of the source is noticed.
    fn copy(&self, mut from: impl Read, mut to: impl Write, way: Way) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        let mut taken = true;
        loop {
            if way == Way::ToLocal {
                self.state.lock().silent_since = Some(Instant::now());
            }
            let read = self.patiently(|| from.read(&mut buffer))?;
            if way == Way::ToLocal {
                self.state.lock().silent_since = None;
            }
            let Some(bytes @ [_, ..]) = buffer.get(..read) else {
                return Ok(());
            };
            if taken && let Err(error) = self.write(&mut to, bytes, way) {
                taken = false;
                self.stop_reading_from(way, error);
            }
        }
    }

    fn write(&self, to: &mut impl Write, mut bytes: &[u8], way: Way) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = self.patiently(|| to.write(bytes))?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = bytes.get(written..).unwrap_or_default();
            self.traffic.count(way, written);
            self.state.lock().note(written, way);
        }
        Ok(())
    }

    /// Stops reading from a side that accepts no more data: it sends no more either.
    ///
    /// A reset of the local side is the error of one call only, which may have been this write.
    fn stop_reading_from(&self, way: Way, error: io::Error) {
        let _ = match way {
            Way::ToPeer => self.stream.shutdown(Shutdown::Read),
            Way::ToLocal => self.local.shutdown(Shutdown::Read),
        };
        if way == Way::ToLocal {
            self.state.update(|state| {
                state.local_gone = true;
                state.fail_with(error);
            });
        }
    }

    /// Repeats a call until it transfers data, or the connection has been idle for too long.
    fn patiently(&self, mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
        loop {
            match call() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => self.end_if_idle()?,
                outcome => return outcome,
            }
        }
    }

    fn end_if_idle(&self) -> io::Result<()> {
        let Some(idle) = self.options.idle() else {
            return Ok(());
        };
        if self.state.lock().last.elapsed() < idle {
            return Ok(());
        }
        self.state.update(|state| {
            state.over = true;
            state.failure.get_or_insert(TunnelError::Idle(idle));
        });
        let _ = self.local.shutdown(Shutdown::Both);
        let _ = self.stream.shutdown(Shutdown::Both);
        Err(io::ErrorKind::TimedOut.into())
    }

    /// Waits for the end of the stream, as long as data may still come from it.
    fn outwait_peer(&self) {
        let half_close = self.options.half_close();
        let mut looks = Backoff::new(FIRST_LOOK, LONGEST_LOOK);
        loop {
            let gone = self.state.lock().local_gone || has_hung_up(&self.local);
            let left = {
                let mut state = self.state.lock();
                state.local_gone |= gone;
                state.left_for_peer(half_close)
            };
            let call = self.call().within(Some(left.min(looks.next_delay())));
            let over = |state: &mut State| Ok((state.stream_done || state.over).then_some(()));
            let outcome = call.wait_on(&self.state, over);
            if left.is_zero() || !matches!(outcome, Err(Error::Timeout { .. })) {
                return;
            }
        }
    }

    /// Waits for the end of the local side, which has read the end of the stream.
    fn outwait_local(&self) {
        let over = |state: &mut State| Ok((state.local_done || state.over).then_some(()));
        // The wait ends sooner if the tunnel is closed.
        let _ = self
            .call()
            .within(Some(CLOSE_DELAY))
            .wait_on(&self.state, over);
    }

    fn call(&self) -> Call {
        Call::new(Phase::WaitClosed).or_cancel(self.cancel)
    }
}

impl Traffic {
    /// Returns the number of bytes sent to peers.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Returns the number of bytes received from peers.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    fn count(&self, way: Way, bytes: usize) {
        let counter = match way {
            Way::ToPeer => &self.sent,
            Way::ToLocal => &self.received,
        };
        counter.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl State {
    /// Records that this number of bytes was carried.
    fn note(&mut self, bytes: usize, way: Way) {
        let now = Instant::now();
        self.last = now;
        if way == Way::ToPeer {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            let arrived = self.arrived.max(now) + Duration::from_secs(1) * bytes / SLOW;
            self.arrived = arrived.min(now + LONGEST_ON_THE_WAY);
        }
    }

    /// Returns for how long the stream is kept after the local side has ended its writing.
    fn left_for_peer(&self, half_close: Duration) -> Duration {
        let on_the_way = self.arrived.saturating_duration_since(Instant::now());
        if self.local_gone {
            return on_the_way;
        }
        let silent = self.silent_since.map_or(Duration::ZERO, |at| at.elapsed());
        half_close.saturating_sub(silent).max(on_the_way)
    }

    /// Records the first error. An error after the end of the other side is not a failure.
    fn fail_with(&mut self, error: io::Error) {
        if !(self.stream_done || self.over) {
            self.failure.get_or_insert(broken(error));
        }
    }
}

fn broken(error: io::Error) -> TunnelError {
    TunnelError::Broken(Arc::new(error))
}
