//! A SAM client in plain text, with the commands needed to check if a bridge works.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::Testnet;
use crate::deadline::Deadline;

/// Longer than any line that the probe receives: a private destination has about 900 characters.
const LONGEST_LINE: u64 = 8192;

/// One connection to the bridge, after its HELLO.
#[derive(Debug)]
pub(crate) struct Talk {
    socket: BufReader<TcpStream>,
    deadline: Deadline,
}

impl Talk {
    pub(crate) fn open(bridge: SocketAddr, deadline: Deadline) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(&bridge, deadline.left()?)?;
        socket.set_nodelay(true)?;
        let mut talk = Self {
            socket: BufReader::new(socket),
            deadline,
        };
        talk.ask("HELLO VERSION MIN=3.0 MAX=3.3")?;
        Ok(talk)
    }

    /// Opens a connection, creates a session of this style and id on it, and keeps the connection.
    pub(crate) fn session(
        bridge: SocketAddr,
        deadline: Deadline,
        style: &str,
        id: &str,
        destination: &str,
    ) -> io::Result<Self> {
        let mut talk = Self::open(bridge, deadline)?;
        let mut command = format!("SESSION CREATE STYLE={style} ID={id} DESTINATION={destination}");
        for (name, value) in Testnet::OPTIONS {
            command.push_str(&format!(" {name}={value}"));
        }
        talk.ask(&command)?;
        Ok(talk)
    }

    /// Sends a line and reads the reply. A reply is a failure unless its RESULT is OK.
    pub(crate) fn ask(&mut self, command: &str) -> io::Result<String> {
        self.say(command)?;
        let reply = self.hear()?;
        if !reply.split(' ').any(|word| word == "RESULT=OK") {
            return Err(io::Error::other(format!("the bridge answered {reply:?}")));
        }
        Ok(reply)
    }

    /// Returns the destination of `name`.
    pub(crate) fn look_up(&mut self, name: &str) -> io::Result<String> {
        let reply = self.ask(&format!("NAMING LOOKUP NAME={name}"))?;
        let value = reply
            .split(' ')
            .find_map(|word| word.strip_prefix("VALUE="));
        value
            .map(str::to_owned)
            .ok_or_else(|| io::Error::other(format!("no VALUE in {reply:?}")))
    }

    pub(crate) fn say(&mut self, line: &str) -> io::Result<()> {
        let left = self.deadline.left()?;
        let socket = self.socket.get_mut();
        socket.set_write_timeout(Some(left))?;
        // The bridge reads one command per segment: a line must not arrive in two.
        socket
            .write_all(format!("{line}\n").as_bytes())
            .map_err(plain)
    }

    /// Returns the next line, or the part of it that came before the bridge hung up.
    pub(crate) fn hear(&mut self) -> io::Result<String> {
        let left = self.deadline.left()?;
        self.socket.get_ref().set_read_timeout(Some(left))?;
        let mut line = String::new();
        let mut limited = (&mut self.socket).take(LONGEST_LINE);
        if limited.read_line(&mut line).map_err(plain)? == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the bridge hung up",
            ));
        }
        Ok(line.trim_end_matches('\n').to_owned())
    }

    /// Ends the session and waits until the bridge has released its id and key.
    pub(crate) fn quit(mut self) -> io::Result<()> {
        self.say("QUIT")?;
        match self.hear() {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
            Err(error) => Err(error),
            Ok(line) => Err(io::Error::other(format!("QUIT was answered {line:?}"))),
        }
    }
}

/// Replaces the error of a socket's time-out, which Unix describes as "Resource temporarily unavailable".
fn plain(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            io::Error::new(io::ErrorKind::TimedOut, "the bridge gave no answer in time")
        }
        _ => error,
    }
}
