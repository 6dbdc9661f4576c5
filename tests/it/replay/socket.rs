//! The client's sockets. A thread reads each TCP connection, so that writing to one never waits for
//! another to be read.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::pause;

/// A connection, and the bytes that it has received and nobody has taken.
pub struct Socket {
    stream: TcpStream,
    chunks: Receiver<Vec<u8>>,
    buffer: Vec<u8>,
    ended: bool,
    /// The time to wait for bytes: after a wait in vain the next are short.
    patience: Duration,
    /// Bytes arrived that the recording does not have, and are reported.
    pub broke_silence: bool,
    /// It is the control socket of a session.
    pub controls: bool,
}

/// The end of what was received.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    Newline,
    Eof,
    /// No more bytes arrived in time.
    Open,
}

impl Socket {
    pub fn new(stream: TcpStream, patience: Duration) -> Self {
        stream.set_nodelay(true).unwrap();
        let mut reader = stream.try_clone().unwrap();
        let (sender, chunks) = mpsc::channel();
        thread::spawn(move || {
            let mut chunk = vec![0; 65536];
            while let Ok(len @ 1..) = reader.read(&mut chunk) {
                if sender.send(chunk[..len].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            stream,
            chunks,
            buffer: Vec::new(),
            ended: false,
            patience,
            broke_silence: false,
            controls: false,
        }
    }

    pub fn connect(address: SocketAddr, patience: Duration) -> Self {
        Self::new(TcpStream::connect(address).unwrap(), patience)
    }

    /// A bridge that has closed the connection shows it at the next step.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    pub fn shutdown(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Returns a line without its newline.
    pub fn line(&mut self) -> (Vec<u8>, End) {
        let mut searched = 0;
        loop {
            if let Some(len) = self.buffer[searched..]
                .iter()
                .position(|byte| *byte == b'\n')
            {
                let rest = self.buffer.split_off(searched + len + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.pop();
                return (line, End::Newline);
            }
            searched = self.buffer.len();
            if !self.wait() {
                return (std::mem::take(&mut self.buffer), self.end());
            }
        }
    }

    /// Returns this many bytes, or fewer at the end.
    pub fn bytes(&mut self, len: usize) -> (Vec<u8>, End) {
        while self.buffer.len() < len {
            if !self.wait() {
                return (std::mem::take(&mut self.buffer), self.end());
            }
        }
        let rest = self.buffer.split_off(len);
        (std::mem::replace(&mut self.buffer, rest), End::Open)
    }

    /// Returns all bytes until none arrive for a while, the first of which are waited for longer.
    pub fn until_silence(&mut self, silence: Duration) -> (Vec<u8>, End) {
        if !self.buffer.is_empty() || self.wait() {
            while self.receive(silence) {}
        }
        (std::mem::take(&mut self.buffer), self.end())
    }

    /// Returns the bytes until the end, and whether it came.
    pub fn until_end(&mut self) -> (Vec<u8>, End) {
        while self.wait() {}
        (std::mem::take(&mut self.buffer), self.end())
    }

    /// Returns what has arrived after this time, and leaves it there.
    pub fn peek(&mut self, silence: Duration) -> (&[u8], End) {
        let deadline = Instant::now() + silence;
        while self.buffer.is_empty()
            && self.receive(deadline.saturating_duration_since(Instant::now()))
        {}
        (&self.buffer, self.end())
    }

    fn end(&self) -> End {
        if self.ended { End::Eof } else { End::Open }
    }

    fn wait(&mut self) -> bool {
        let received = self.receive(self.patience);
        if !received && !self.ended {
            self.patience = self.patience.min(Duration::from_millis(100));
        }
        received
    }

    fn receive(&mut self, time: Duration) -> bool {
        match self.chunks.recv_timeout(time) {
            Ok(chunk) => {
                self.buffer.extend(chunk);
                true
            }
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => {
                self.ended = true;
                false
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// A port that forwarded connections come to.
pub struct Target(TcpListener);

impl Target {
    pub fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    pub fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    /// Returns the next connection, if one comes in time.
    pub fn accept(&self, patience: Duration) -> Option<TcpStream> {
        let deadline = Instant::now() + patience;
        loop {
            if let Ok((stream, _)) = self.0.accept() {
                stream.set_nonblocking(false).unwrap();
                return Some(stream);
            }
            if Instant::now() >= deadline {
                return None;
            }
            pause(Duration::from_millis(2));
        }
    }
}
