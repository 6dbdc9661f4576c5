//! A bridge that creates sessions, and whose UDP port belongs to the test.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::{Arc, Mutex, mpsc};

use i2p_sam::{
    DatagramSession, DatagramStyle, RawOptions, RawSession, SamBridge, Sender, SessionBuilder,
};

use super::{LONG, ScriptedBridge, key};

/// A bridge with a UDP port that belongs to the test.
pub struct Router {
    pub scripted: ScriptedBridge,
    pub udp: UdpSocket,
    /// Ends the sessions when it is dropped.
    pub end: Option<mpsc::Sender<()>>,
}

impl Router {
    pub fn start() -> Self {
        let (end, ended) = mpsc::channel::<()>();
        let ended = Arc::new(Mutex::new(ended));
        let scripted = ScriptedBridge::router(move |visit, _| {
            let _ = ended.lock().unwrap().recv_timeout(LONG);
            visit.hang_up();
        });
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.set_read_timeout(Some(LONG)).unwrap();
        let end = Some(end);
        Self { scripted, udp, end }
    }

    pub fn bridge(&self) -> SamBridge {
        let builder = SamBridge::builder().address(self.scripted.address().to_string());
        let udp = self.udp.local_addr().unwrap().to_string();
        builder.udp_address(udp).build().unwrap()
    }

    pub fn builder(&self) -> SessionBuilder {
        self.bridge().session()
    }

    pub fn session(&self) -> DatagramSession {
        let session = self.builder().datagram(DatagramStyle::Datagram).unwrap();
        session.set_read_timeout(Some(LONG)).unwrap();
        session
    }

    pub fn raw(&self, options: &RawOptions) -> RawSession {
        let session = self.builder().raw_with(options).unwrap();
        session.set_read_timeout(Some(LONG)).unwrap();
        session
    }

    /// Forwards a packet to a session.
    pub fn forward(&self, session: &DatagramSession, packet: &[u8]) {
        let port = session.udp_addr().unwrap().port();
        let sent = self.udp.send_to(packet, (Ipv4Addr::LOCALHOST, port));
        assert_eq!(sent.unwrap(), packet.len());
    }

    /// Returns the next packet that a session sent.
    pub fn sent(&self) -> Vec<u8> {
        let mut packet = vec![0; 65_536];
        let len = self.udp.recv(&mut packet).unwrap();
        packet.truncate(len);
        packet
    }

    pub fn create_line(&self) -> String {
        let lines = self.scripted.received().into_iter();
        let mut lines = lines.filter(|line| line.starts_with("SESSION CREATE"));
        lines.next().unwrap()
    }
}

/// Starts a bridge that agrees to SAM 3.1 and creates one session.
pub fn bridge_3_1() -> ScriptedBridge {
    ScriptedBridge::start(|visit| {
        visit.line();
        visit.say("HELLO REPLY RESULT=OK VERSION=3.1\n");
        let Some(line) = visit.line() else { return };
        visit.make_session(&line);
        visit.until_quit();
    })
}

/// Returns a packet as a bridge forwards it: a sender, the rest of its line, and the payload.
pub fn packet(behind: &str, payload: &[u8]) -> Vec<u8> {
    let line = format!("{}{behind}\n", key(9).destination());
    [line.as_bytes(), payload].concat()
}

/// Returns the next datagram, whole.
pub fn receive(session: &DatagramSession) -> (Vec<u8>, Sender) {
    let mut buf = vec![0; 65_536];
    let (len, sender) = session.recv_from(&mut buf).unwrap();
    buf.truncate(len);
    (buf, sender)
}
