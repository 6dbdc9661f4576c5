//! Carries an input and an output over a stream, as netcat does. I2P has no half-close, so the end of the
//! input must not end the stream before the peer has replied.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use i2p_sam::SamStream;

const BUFFER: usize = 16 * 1024;
/// Bytes per second of a slow stream: what was sent is taken to have arrived after the time that it needs at
/// this rate.
const SLOW: u32 = 32 * 1024;
/// Upper bound of that time.
const LONGEST_ON_THE_WAY: Duration = Duration::from_secs(120);

/// The end of a relay whose stream ended in order.
pub(crate) struct Carried {
    /// The input ended, and the peer was silent for too long: this side closed.
    pub(crate) closed_by_us: bool,
    /// It disconnects when the input is no longer read.
    pub(crate) input: Receiver<()>,
}

/// The side that broke.
pub(crate) enum Broken {
    Output(io::Error),
    Stream(io::Error),
}

/// Carries both directions until the stream ends, or the output accepts no more. If the input ends first, the
/// stream stays open until the peer has sent nothing for `silence`; `None` waits until the peer closes.
///
/// `on_wait` is called at the end of the input, with the time for which a silent peer is waited for.
///
/// The thread that reads the input may continue after the return: close the input, or end the process.
pub(crate) fn carry(
    stream: &Arc<SamStream>,
    mut input: impl Read + Send + 'static,
    output: &mut impl Write,
    silence: Option<Duration>,
    on_wait: impl FnOnce(Duration) + Send + 'static,
) -> Result<Carried, Broken> {
    let received = Arc::new(AtomicU64::new(0));
    let closed_by_us = Arc::new(AtomicBool::new(false));
    let (ended, has_ended) = mpsc::channel::<()>();
    let (input_open, input_ended) = mpsc::channel::<()>();
    let sender = Sender {
        stream: Arc::clone(stream),
        received: Arc::clone(&received),
        has_ended,
        arrived: Instant::now(),
    };
    let closed = Arc::clone(&closed_by_us);
    thread::spawn(move || {
        // The stream is dropped before the channel: a wait for the channel may precede a wait for the stream.
        let _input_open = input_open;
        let mut sender = sender;
        let Ok(()) = sender.copy(&mut input) else {
            return;
        };
        let Some(silence) = silence else {
            return;
        };
        on_wait(sender.patience(silence));
        if sender.outlasts(silence) {
            closed.store(true, Ordering::Relaxed);
            let _ = sender.stream.shutdown(Shutdown::Both);
        }
    });
    let outcome = receive(stream, output, &received);
    drop(ended);
    let _ = stream.shutdown(Shutdown::Both);
    outcome.map(|()| Carried {
        closed_by_us: closed_by_us.load(Ordering::Relaxed),
        input: input_ended,
    })
}

fn receive(
    mut stream: &SamStream,
    output: &mut impl Write,
    received: &AtomicU64,
) -> Result<(), Broken> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = match stream.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Broken::Stream(error)),
        };
        let Some(bytes @ [_, ..]) = buffer.get(..read) else {
            return Ok(());
        };
        received.fetch_add(read as u64, Ordering::Relaxed);
        let written = output.write_all(bytes).and_then(|()| output.flush());
        written.map_err(Broken::Output)?;
    }
}

/// The thread that reads the input.
struct Sender {
    stream: Arc<SamStream>,
    received: Arc<AtomicU64>,
    has_ended: Receiver<()>,
    /// The time at which all that was sent has arrived, even on a slow stream.
    arrived: Instant,
}

impl Sender {
    fn copy(&mut self, input: &mut impl Read) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = match input.read(&mut buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // An input that breaks has ended.
                Err(_) => return Ok(()),
            };
            let Some(bytes @ [_, ..]) = buffer.get(..read) else {
                return Ok(());
            };
            (&*self.stream).write_all(bytes)?;
            self.note(read);
        }
    }

    fn note(&mut self, bytes: usize) {
        let now = Instant::now();
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let arrived = self.arrived.max(now) + Duration::from_secs(1) * bytes / SLOW;
        self.arrived = arrived.min(now + LONGEST_ON_THE_WAY);
    }

    /// Returns the time for which the peer may be silent: at least until all that was sent has arrived.
    fn patience(&self, silence: Duration) -> Duration {
        silence.max(self.arrived.saturating_duration_since(Instant::now()))
    }

    /// Returns true if the peer was silent for that time, and false as soon as the stream ends.
    fn outlasts(&self, silence: Duration) -> bool {
        loop {
            let before = self.received.load(Ordering::Relaxed);
            match self.has_ended.recv_timeout(self.patience(silence)) {
                Err(RecvTimeoutError::Timeout) => {}
                _ => return false,
            }
            if self.received.load(Ordering::Relaxed) == before {
                return true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Arc<SamStream>, SamStream) {
        let (near, far) = SamStream::pair().unwrap();
        (Arc::new(near), far)
    }

    #[test]
    fn reply_after_end_of_input_is_received() {
        let (near, mut far) = pair();
        let peer = thread::spawn(move || {
            let mut word = [0; 5];
            far.read_exact(&mut word).unwrap();
            far.write_all(b"reply").unwrap();
        });
        let mut output = Vec::new();
        let carried = carry(&near, &b"hello"[..], &mut output, None, drop)
            .ok()
            .unwrap();
        peer.join().unwrap();
        assert_eq!(output, b"reply");
        assert!(!carried.closed_by_us);
    }

    #[test]
    fn silent_peer_ends_after_end_of_input() {
        let (near, mut far) = pair();
        let mut output = Vec::new();
        let carried = carry(
            &near,
            &b"hello"[..],
            &mut output,
            Some(Duration::ZERO),
            drop,
        );
        assert!(carried.ok().unwrap().closed_by_us);
        let mut text = String::new();
        far.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
    }

    #[test]
    fn closed_output_ends_stream() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (near, mut far) = pair();
        far.write_all(b"x").unwrap();
        let outcome = carry(&near, io::empty(), &mut Closed, None, drop);
        assert!(matches!(outcome, Err(Broken::Output(_))));
        assert_eq!(far.read(&mut [0]).unwrap(), 0);
    }
}
