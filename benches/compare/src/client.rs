//! The same client three times: with sockets alone, with yosemite and with i2p-sam.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use i2p_sam::{Destination, PrivateKey, SamBridge, SamListener, SamStream, StreamSession};
use yosemite::{Session, SessionOptions, style};

use crate::Failure;

/// The kinds of client, in the order of the columns.
pub const KINDS: [&str; 3] = ["std", "yosemite", "i2p-sam"];

/// A session with a bridge, which dials and accepts.
pub trait Client: Sized {
    type Stream: Read + Write;
    type Peer;

    /// Creates a session at the bridge on this port of this machine.
    fn open(port: u16, name: &str) -> Result<Self, Failure>;

    /// Returns the address of the session in base64.
    fn destination(&self) -> Result<String, Failure>;

    /// Begins to accept, if that is a step of its own.
    fn listen(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn peer(text: &str) -> Result<Self::Peer, Failure>;

    fn connect(&mut self, peer: &Self::Peer) -> Result<Self::Stream, Failure>;

    fn accept(&mut self) -> Result<Self::Stream, Failure>;
}

/// Only sockets: the least that a program could do which trusts each reply.
pub struct Plain {
    port: u16,
    id: String,
    destination: String,
    _control: TcpStream,
}

impl Client for Plain {
    type Stream = PlainStream;
    type Peer = String;

    fn open(port: u16, name: &str) -> Result<Self, Failure> {
        let mut control = PlainStream::greet(port)?;
        let create = format!(
            "SESSION CREATE STYLE=STREAM ID={name} DESTINATION=TRANSIENT SIGNATURE_TYPE=7\n"
        );
        let reply = control.request(&create)?;
        let key = reply
            .trim_end()
            .rsplit_once("DESTINATION=")
            .ok_or("no key")?
            .1;
        Ok(Self {
            port,
            id: name.to_owned(),
            destination: public_part(key)?,
            _control: control.socket,
        })
    }

    fn destination(&self) -> Result<String, Failure> {
        Ok(self.destination.clone())
    }

    fn peer(text: &str) -> Result<String, Failure> {
        Ok(text.to_owned())
    }

    fn connect(&mut self, peer: &String) -> Result<PlainStream, Failure> {
        let mut stream = PlainStream::greet(self.port)?;
        let connect = format!(
            "STREAM CONNECT ID={} DESTINATION={peer} SILENT=false\n",
            self.id
        );
        stream.request(&connect)?;
        Ok(stream)
    }

    fn accept(&mut self) -> Result<PlainStream, Failure> {
        let mut stream = PlainStream::greet(self.port)?;
        let accept = format!("STREAM ACCEPT ID={} SILENT=false\n", self.id);
        stream.request(&accept)?;
        stream.read_line()?;
        Ok(stream)
    }
}

/// A socket, and the bytes that came in the same segment as the last line.
pub struct PlainStream {
    socket: TcpStream,
    rest: Vec<u8>,
}

impl PlainStream {
    fn greet(port: u16) -> Result<Self, Failure> {
        let socket = TcpStream::connect(("127.0.0.1", port))?;
        let mut stream = Self {
            socket,
            rest: Vec::new(),
        };
        stream.request("HELLO VERSION MIN=3.1 MAX=3.3\n")?;
        Ok(stream)
    }

    fn request(&mut self, command: &str) -> Result<String, Failure> {
        self.socket.write_all(command.as_bytes())?;
        let reply = self.read_line()?;
        match reply.contains("RESULT=OK") {
            true => Ok(reply),
            false => Err(reply.into()),
        }
    }

    fn read_line(&mut self) -> Result<String, Failure> {
        let mut window = [0; 2048];
        let mut filled = self.rest.len();
        window[..filled].copy_from_slice(&self.rest);
        loop {
            if let Some(end) = window[..filled].iter().position(|&byte| byte == b'\n') {
                self.rest = window[end + 1..filled].to_vec();
                return Ok(std::str::from_utf8(&window[..end])?.to_owned());
            }
            match self.socket.read(&mut window[filled..])? {
                0 => return Err("the bridge closed, or its line is too long".into()),
                len => filled += len,
            }
        }
    }
}

impl Read for PlainStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            return self.socket.read(buf);
        }
        let len = buf.len().min(self.rest.len());
        buf[..len].copy_from_slice(&self.rest[..len]);
        self.rest.drain(..len);
        Ok(len)
    }
}

impl Write for PlainStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.socket.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Client for Session<style::Stream> {
    type Stream = yosemite::Stream;
    type Peer = String;

    fn open(port: u16, name: &str) -> Result<Self, Failure> {
        let options = SessionOptions {
            nickname: name.to_owned(),
            samv3_tcp_port: port,
            ..SessionOptions::default()
        };
        Ok(Session::new(options)?)
    }

    fn destination(&self) -> Result<String, Failure> {
        public_part(Session::destination(self))
    }

    fn peer(text: &str) -> Result<String, Failure> {
        Ok(text.to_owned())
    }

    fn connect(&mut self, peer: &String) -> Result<yosemite::Stream, Failure> {
        Ok(Session::connect(self, peer)?)
    }

    fn accept(&mut self) -> Result<yosemite::Stream, Failure> {
        Ok(Session::accept(self)?)
    }
}

/// i2p-sam with its defaults.
pub struct Sam {
    session: StreamSession,
    listener: Option<SamListener>,
}

impl Client for Sam {
    type Stream = SamStream;
    type Peer = Destination;

    fn open(port: u16, name: &str) -> Result<Self, Failure> {
        let bridge = SamBridge::new(&format!("127.0.0.1:{port}"))?;
        Ok(Self {
            session: bridge.session().nickname(name).stream()?,
            listener: None,
        })
    }

    fn destination(&self) -> Result<String, Failure> {
        Ok(self.session.destination().to_base64())
    }

    fn listen(&mut self) -> Result<(), Failure> {
        self.listener = Some(self.session.listener()?);
        Ok(())
    }

    fn peer(text: &str) -> Result<Destination, Failure> {
        Ok(text.parse()?)
    }

    fn connect(&mut self, peer: &Destination) -> Result<SamStream, Failure> {
        Ok(self.session.connect(peer)?)
    }

    fn accept(&mut self) -> Result<SamStream, Failure> {
        let listener = self.listener.as_ref().ok_or("not listening")?;
        Ok(listener.accept()?.0)
    }
}

fn public_part(private_key: &str) -> Result<String, Failure> {
    let key = PrivateKey::from_base64(private_key.trim_end())?;
    Ok(key.destination().to_base64())
}
