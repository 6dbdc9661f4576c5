//! A SAM bridge that costs as little as possible. It has no network: it connects the sessions of
//! its own clients. It runs in a process of its own, so that its costs are nobody else's.

use std::collections::{HashMap, VecDeque};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use i2p_sam::{PrivateKey, wire};

use crate::Failure;

/// The time for which a dialler waits until the peer accepts.
const ACCEPT_WAIT: Duration = Duration::from_secs(30);

/// The length of the payload of the datagrams that the bridge sends on request.
pub const PAYLOAD: usize = 1000;

/// A bridge that runs in another process, which ends with this value.
pub struct Bridge {
    process: Child,
    pub tcp: u16,
    pub udp: u16,
}

impl Bridge {
    pub fn start() -> Result<Self, Failure> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("bridge")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let stdout = process.stdout.take().ok_or("no output of the bridge")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let ports: Vec<u16> = line.split_whitespace().flat_map(str::parse).collect();
        let [tcp, udp] = ports[..] else {
            return Err("the bridge did not start".into());
        };
        Ok(Self { process, tcp, udp })
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[derive(Default)]
struct Router {
    state: Mutex<State>,
    accepted: Condvar,
}

#[derive(Default)]
struct State {
    /// Session ID => its destination.
    sessions: HashMap<String, Arc<str>>,
    /// Destination => sockets with a pending STREAM ACCEPT.
    accepts: HashMap<Arc<str>, VecDeque<TcpStream>>,
    made: u32,
}

/// Serves until the standard input ends, which it does when the starter is gone.
pub fn serve() -> Result<(), Failure> {
    crate::usage::allow_many_files()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let udp = UdpSocket::bind("127.0.0.1:0")?;
    println!(
        "{} {}",
        listener.local_addr()?.port(),
        udp.local_addr()?.port()
    );
    let router = Arc::new(Router::default());
    thread::spawn(move || datagrams(&udp));
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let router = Arc::clone(&router);
            let serve = move || drop(connection(&router, socket));
            let _ = thread::Builder::new().stack_size(128 * 1024).spawn(serve);
        }
    });
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

fn connection(router: &Router, socket: TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut buffer = Vec::new();
    let mut session = None;
    while let Some(line) = read_line(&socket, &mut buffer)? {
        // The rules for replies: they permit what the other clients write.
        let Ok(command) = wire::Message::parse(line.as_bytes()) else {
            break;
        };
        let value = |key| {
            command
                .value(key)
                .map(|value| value.unescape().into_owned())
        };
        match (command.topic(), command.action().unwrap_or_default()) {
            ("HELLO", _) => (&socket).write_all(b"HELLO REPLY RESULT=OK VERSION=3.3\n")?,
            ("SESSION", "CREATE") => {
                let id = value("ID").unwrap_or_default();
                let key = router.create(&id);
                session = Some(id);
                let reply = format!("SESSION STATUS RESULT=OK DESTINATION={key}\n");
                (&socket).write_all(reply.as_bytes())?;
            }
            ("NAMING", _) => {
                let name = value("NAME").unwrap_or_default();
                let reply = naming(&name);
                (&socket).write_all(reply.as_bytes())?;
            }
            ("STREAM", "ACCEPT") => {
                (&socket).write_all(b"STREAM STATUS RESULT=OK\n")?;
                router.accept(&value("ID").unwrap_or_default(), socket);
                return Ok(());
            }
            ("STREAM", "CONNECT") => {
                let from = value("ID").unwrap_or_default();
                let to = value("DESTINATION").unwrap_or_default();
                return router.connect(&from, &to, socket, &buffer);
            }
            ("PING", _) => (&socket).write_all(b"PONG\n")?,
            _ => break,
        }
    }
    if let Some(id) = session {
        let mut state = router.lock();
        if let Some(destination) = state.sessions.remove(&id) {
            state.accepts.remove(&destination);
        }
    }
    Ok(())
}

impl Router {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn create(&self, id: &str) -> String {
        let mut state = self.lock();
        state.made += 1;
        let key = private_key(state.made);
        let destination = key.destination().to_base64();
        state.sessions.insert(id.to_owned(), destination.into());
        key.expose_base64()
    }

    fn accept(&self, id: &str, socket: TcpStream) {
        let mut state = self.lock();
        let Some(destination) = state.sessions.get(id).cloned() else {
            return;
        };
        state
            .accepts
            .entry(destination)
            .or_default()
            .push_back(socket);
        drop(state);
        self.accepted.notify_all();
    }

    fn connect(&self, from: &str, to: &str, near: TcpStream, early: &[u8]) -> io::Result<()> {
        let taken = |state: &mut State| state.accepts.get_mut(to).and_then(VecDeque::pop_front);
        let mut far = None;
        let state = self.lock();
        let waited = self
            .accepted
            .wait_timeout_while(state, ACCEPT_WAIT, |state| {
                far = taken(state);
                far.is_none()
            });
        let sender = waited
            .ok()
            .and_then(|(state, _)| state.sessions.get(from).cloned());
        let (Some(sender), Some(far)) = (sender, far) else {
            return (&near).write_all(b"STREAM STATUS RESULT=CANT_REACH_PEER\n");
        };
        (&near).write_all(b"STREAM STATUS RESULT=OK\n")?;
        (&far).write_all(format!("{sender} FROM_PORT=0 TO_PORT=0\n").as_bytes())?;
        (&far).write_all(early)?;
        let (near, far) = (Arc::new(near), Arc::new(far));
        let (back, forth) = (Arc::clone(&near), Arc::clone(&far));
        let copy_back = move || copy(&forth, &back);
        let _ = thread::Builder::new()
            .stack_size(128 * 1024)
            .spawn(copy_back);
        copy(&near, &far);
        Ok(())
    }
}

/// Copies until either side ends, and then ends both directions, as routers do.
fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    // Grows only for a stream that fills it: a thousand idle streams cost little.
    let mut buffer = vec![0; 4096];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..len]).is_err() {
            break;
        }
        if len == buffer.len() && len < 128 * 1024 {
            buffer.resize(2 * len, 0);
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// Reads one line. `buffer` keeps the bytes after it.
fn read_line(mut socket: &TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<String>> {
    let mut window = [0; 2048];
    loop {
        if let Some(end) = buffer.iter().position(|&byte| byte == b'\n') {
            let line = buffer.drain(..=end).take(end).collect();
            return Ok(String::from_utf8(line).ok());
        }
        match socket.read(&mut window)? {
            0 => return Ok(None),
            len => buffer.extend_from_slice(&window[..len]),
        }
    }
}

fn naming(name: &str) -> String {
    // i2p-sam asks for a name that does not exist, to distinguish i2pd from others.
    if name.ends_with(".invalid.i2p") {
        return format!("NAMING REPLY RESULT=KEY_NOT_FOUND NAME={name}\n");
    }
    let known = private_key(0).destination().to_base64();
    format!("NAMING REPLY RESULT=OK NAME={name} VALUE={known}\n")
}

/// Returns a well-formed Ed25519 key, a different one for each number. Its parts do not belong
/// together, so no router could use it.
pub fn private_key(number: u32) -> PrivateKey {
    let mut bytes: Vec<u8> = (0..384_u32).map(|at| (at * 37 + 11) as u8).collect();
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    bytes.extend([5, 0, 4, 0, 7, 0, 0]);
    bytes.extend((0..256 + 32_u32).map(|at| (at * 53 + 7) as u8));
    PrivateKey::from_bytes(&bytes).expect("a well-formed key")
}

/// Returns a datagram as a bridge sends it to its client.
fn datagram(sender: u32) -> Vec<u8> {
    let sender = private_key(sender).destination().to_base64();
    let mut packet = format!("{sender} FROM_PORT=1 TO_PORT=2\n").into_bytes();
    packet.resize(packet.len() + PAYLOAD, 7);
    packet
}

/// Drops each datagram, except a request for a number of them, which it sends: from one sender, or from two
/// in turn.
fn datagrams(udp: &UdpSocket) {
    let mut buffer = vec![0; 65_536];
    let packets = [datagram(0), datagram(1)];
    while let Ok((len, _)) = udp.recv_from(&mut buffer) {
        let request = String::from_utf8_lossy(&buffer[..len]);
        let words: Vec<&str> = request.split(' ').collect();
        let [verb @ ("SEND" | "TURN"), count, to] = words[..] else {
            continue;
        };
        let (Ok(count), Ok(to)) = (count.parse::<usize>(), to.parse::<SocketAddr>()) else {
            continue;
        };
        let senders = if verb == "TURN" { 2 } else { 1 };
        for packet in packets[..senders].iter().cycle().take(count) {
            let _ = udp.send_to(packet, to);
        }
    }
}
