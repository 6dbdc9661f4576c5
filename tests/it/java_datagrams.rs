//! The datagrams of Java I2P 2.8.0, recorded from it and repeated by a scripted bridge, with keys
//! restored where the recording had shortened them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use i2p_sam::{
    Cancel, DatagramOptions, DatagramSession, DatagramStyle, DatagramTransport, PrivateKey,
    RawOptions, RawSession, ResultCode, SamBridge, SessionBuilder, SessionLoss,
};

use crate::support::{LONG, ScriptedBridge, key, refused};

/// Java's bridge, as recorded.
struct Java {
    scripted: ScriptedBridge,
    udp: UdpSocket,
    sockets: mpsc::Receiver<TcpStream>,
}

impl Java {
    fn start() -> Self {
        let (sender, sockets) = mpsc::channel();
        let sender = Mutex::new(sender);
        let scripted = ScriptedBridge::router(move |visit, _| {
            let socket = visit.socket();
            socket.set_read_timeout(Some(LONG)).unwrap();
            let _ = sender.lock().unwrap().send(socket);
            let (_end, ended) = mpsc::channel::<()>();
            let _ = ended.recv_timeout(LONG);
        });
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.set_read_timeout(Some(LONG)).unwrap();
        Self {
            scripted,
            udp,
            sockets,
        }
    }

    fn builder(&self, key: &PrivateKey) -> SessionBuilder {
        let builder = SamBridge::builder().address(self.scripted.address().to_string());
        let udp = self.udp.local_addr().unwrap().to_string();
        let bridge = builder.udp_address(udp).build().unwrap();
        bridge.session().key(key)
    }

    /// Returns the command that created the session, up to the options.
    fn create_line(&self, key: &PrivateKey) -> String {
        let lines = self.scripted.received().into_iter();
        let mut lines = lines.filter(|line| line.contains(&*key.expose_base64()));
        let line = lines.next().unwrap();
        let ends = [" i2cp.", " inbound.", "\n"];
        let end = ends.iter().filter_map(|end| line.find(end)).min().unwrap();
        line[..end].to_owned()
    }

    fn socket(&self) -> TcpStream {
        self.sockets.recv_timeout(LONG).unwrap()
    }

    fn sent(&self) -> String {
        let mut packet = [0; 4096];
        let len = self.udp.recv(&mut packet).unwrap();
        String::from_utf8(packet[..len].to_vec()).unwrap()
    }

    fn forward(&self, port: u16, packet: &str) {
        let sent = self
            .udp
            .send_to(packet.as_bytes(), (Ipv4Addr::LOCALHOST, port));
        sent.unwrap();
    }
}

fn text(session: &DatagramSession) -> (String, Option<u16>, Option<u16>) {
    let mut buf = [0; 100];
    session.set_read_timeout(Some(LONG)).unwrap();
    let (len, sender) = session.recv_from(&mut buf).unwrap();
    assert_eq!(sender.destination(), Some(key(2).destination()));
    let text = String::from_utf8(buf[..len].to_vec()).unwrap();
    (text, sender.from_port(), sender.to_port())
}

/// The protocol and the ports in a header.
type Header = (u8, Option<u16>, Option<u16>);

fn raw_text(session: &RawSession) -> (String, Option<Header>) {
    let mut buf = [0; 100];
    session.set_read_timeout(Some(LONG)).unwrap();
    let (len, header) = session.recv_with_header(&mut buf).unwrap();
    let text = String::from_utf8(buf[..len].to_vec()).unwrap();
    let header = header.map(|header| (header.protocol, header.from_port, header.to_port));
    (text, header)
}

fn read(mut socket: &TcpStream, len: usize) -> String {
    let mut bytes = vec![0; len];
    socket.read_exact(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn forwarded_session_matches_recording() {
    let (java, own) = (Java::start(), key(1));
    let session = java
        .builder(&own)
        .datagram(DatagramStyle::Datagram)
        .unwrap();
    let line = format!(
        "SESSION CREATE STYLE=DATAGRAM ID={} DESTINATION={} HOST=127.0.0.1 PORT={}",
        session.id(),
        own.expose_base64(),
        session.udp_addr().unwrap().port()
    );
    assert_eq!(java.create_line(&own), line);
}

#[test]
fn sent_udp_packet_matches_recording() {
    let (java, peer) = (Java::start(), key(1));
    let session = java
        .builder(&key(2))
        .datagram(DatagramStyle::Datagram)
        .unwrap();
    let (id, peer) = (session.id().to_owned(), peer.destination());
    session.send_to(b"hello over udp", peer).unwrap();
    assert_eq!(java.sent(), format!("3.3 {id} {peer}\nhello over udp"));
    let options = DatagramOptions::new()
        .from_port(12)
        .to_port(34)
        .send_tags(40)
        .expires(Duration::from_secs(60))
        .send_lease_set(true);
    session
        .send_to_with(b"hello with ports", peer, &options)
        .unwrap();
    let line = format!(
        "3.3 {id} {peer} FROM_PORT=12 TO_PORT=34 SEND_TAGS=40 EXPIRES=60 SEND_LEASESET=true\n\
         hello with ports"
    );
    assert_eq!(java.sent(), line);
    let b32 = "isnd3rsozhqmmbzdn56seph7xvemzfkrvj5j7aqffcbhxjl2nuia.b32.i2p";
    session.send_to(b"to b32", b32).unwrap();
    assert_eq!(java.sent(), format!("3.3 {id} {b32}\nto b32"));
    // Java does not reply to an empty one, and delivers nothing.
    assert!(session.send_to(b"", peer).is_err());
}

#[test]
fn forwarded_datagram_is_read_with_ports() {
    let java = Java::start();
    let session = java
        .builder(&key(1))
        .datagram(DatagramStyle::Datagram)
        .unwrap();
    let (port, sender) = (session.udp_addr().unwrap().port(), key(2));
    let sender = sender.destination();
    for (said, ports) in [
        ("FROM_PORT=0 TO_PORT=0\nhello over udp", (None, None)),
        (
            "FROM_PORT=12 TO_PORT=34\nhello over udp",
            (Some(12), Some(34)),
        ),
    ] {
        java.forward(port, &format!("{sender} {said}"));
        let expected = ("hello over udp".to_owned(), ports.0, ports.1);
        assert_eq!(text(&session), expected);
    }
}

#[test]
fn control_socket_datagrams_match_recording() {
    let (java, own) = (Java::start(), key(1));
    let builder = java.builder(&own);
    let session = builder
        .datagram_transport(DatagramTransport::ControlSocket)
        .datagram(DatagramStyle::Datagram)
        .unwrap();
    let mut socket = java.socket();
    let (id, own_key) = (session.id(), own.expose_base64());
    let made = format!(
        "SESSION CREATE STYLE=DATAGRAM ID={id} DESTINATION={}",
        &*own_key
    );
    assert_eq!(java.create_line(&own), made);
    let (sender, peer) = (key(2), key(3));
    let received = format!(
        "DATAGRAM RECEIVED DESTINATION={} SIZE=33 FROM_PORT=7 TO_PORT=8\n\
         to the control socket\nsecond line",
        sender.destination()
    );
    socket.write_all(received.as_bytes()).unwrap();
    let expected = "to the control socket\nsecond line".to_owned();
    assert_eq!(text(&session), (expected, Some(7), Some(8)));
    let options = DatagramOptions::new().from_port(3).to_port(4);
    let peer = peer.destination();
    session.send_to_with(b"hello", peer, &options).unwrap();
    let said = format!("DATAGRAM SEND DESTINATION={peer} SIZE=5 FROM_PORT=3 TO_PORT=4\nhello");
    assert_eq!(read(&socket, said.len()), said);
    let zero = received
        .replace("=7 ", "=0 ")
        .replace("TO_PORT=8", "TO_PORT=0");
    socket.write_all(zero.as_bytes()).unwrap();
    let (_, from_port, to_port) = text(&session);
    assert_eq!((from_port, to_port), (None, None), "port 0 is no port");
    socket.write_all(b"PING x\n").unwrap();
    assert_eq!(read(&socket, 7), "PONG x\n");
}

#[test]
fn rejected_datagram_ends_session() {
    // Java sent this reply to `DATAGRAM SEND … SIZE=31745` and to an unknown name.
    let java = Java::start();
    let builder = java.builder(&key(1));
    let builder = builder.datagram_transport(DatagramTransport::ControlSocket);
    let session = builder.datagram(DatagramStyle::Datagram).unwrap();
    drop(java.socket().shutdown(std::net::Shutdown::Both));
    let loss = session.wait_closed(Some(LONG)).unwrap();
    assert_eq!(loss, SessionLoss::Disconnected);
    let error = session.send_to(b"x", key(3).destination()).unwrap_err();
    assert!(error.is_session_lost(), "{error}");
}

#[test]
fn raw_sessions_match_recording() {
    let (java, own) = (Java::start(), key(1));
    let options = RawOptions::new().header(true);
    let session = java.builder(&own).raw_with(&options).unwrap();
    let line = format!(
        "SESSION CREATE STYLE=RAW ID={} DESTINATION={} HOST=127.0.0.1 PORT={} HEADER=true",
        session.id(),
        own.expose_base64(),
        session.udp_addr().unwrap().port()
    );
    assert_eq!(java.create_line(&own), line);
}

#[test]
fn raw_datagrams_match_recording() {
    let (java, peer) = (Java::start(), key(3));
    let builder = java.builder(&key(1));
    let session = builder.raw_with(&RawOptions::new().header(true)).unwrap();
    let (id, peer) = (session.id().to_owned(), peer.destination());
    let port = session.udp_addr().unwrap().port();
    session.send_to(b"raw hello", peer).unwrap();
    assert_eq!(java.sent(), format!("3.3 {id} {peer}\nraw hello"));
    java.forward(port, "PROTOCOL=18 FROM_PORT=0 TO_PORT=0\nraw hello");
    let hello = || "raw hello".to_owned();
    assert_eq!(raw_text(&session), (hello(), Some((18, None, None))));
    let options = DatagramOptions::new().protocol(77).from_port(1).to_port(2);
    session.send_to_with(b"raw hello", peer, &options).unwrap();
    let said = format!("3.3 {id} {peer} FROM_PORT=1 TO_PORT=2 PROTOCOL=77\nraw hello");
    assert_eq!(java.sent(), said);
    java.forward(port, "PROTOCOL=77 FROM_PORT=1 TO_PORT=2\nraw hello");
    assert_eq!(raw_text(&session), (hello(), Some((77, Some(1), Some(2)))));
    // The defaults of the session that sent it.
    java.forward(
        port,
        "PROTOCOL=99 FROM_PORT=21 TO_PORT=22\nsession defaults",
    );
    let defaults = "session defaults".to_owned();
    assert_eq!(
        raw_text(&session),
        (defaults, Some((99, Some(21), Some(22))))
    );
}

#[test]
fn headerless_raw_datagram_is_payload_only() {
    let java = Java::start();
    let session = java.builder(&key(1)).raw().unwrap();
    let port = session.udp_addr().unwrap().port();
    java.forward(port, "no header");
    assert_eq!(raw_text(&session), ("no header".to_owned(), None));
    java.forward(port, "");
    assert_eq!(raw_text(&session), (String::new(), None));
}

#[test]
fn control_socket_raw_datagrams_match_recording() {
    let (java, own, peer) = (Java::start(), key(1), key(3));
    let builder = java.builder(&own);
    let builder = builder.datagram_transport(DatagramTransport::ControlSocket);
    let session = builder.raw_with(&RawOptions::new().protocol(99)).unwrap();
    let mut socket = java.socket();
    let (id, own_key) = (session.id(), own.expose_base64());
    let made = format!(
        "SESSION CREATE STYLE=RAW ID={id} DESTINATION={} PROTOCOL=99",
        &*own_key
    );
    assert_eq!(java.create_line(&own), made);
    let received =
        b"RAW RECEIVED SIZE=21 PROTOCOL=18 FROM_PORT=9 TO_PORT=10\nto the control socket";
    socket.write_all(received).unwrap();
    let expected = "to the control socket".to_owned();
    assert_eq!(
        raw_text(&session),
        (expected, Some((18, Some(9), Some(10))))
    );
    // Without a protocol Java sends it as 18, whatever protocol the session has.
    session.send_to(b"abc", peer.destination()).unwrap();
    let start = format!("RAW SEND DESTINATION={} SIZE=3", peer.destination());
    let said = format!("{start} PROTOCOL=99\nabc");
    assert_eq!(read(&socket, said.len()), said);
    let options = DatagramOptions::new().protocol(77);
    let session = session.with_cancel(&Cancel::new());
    session
        .send_to_with(b"abc", peer.destination(), &options)
        .unwrap();
    let said = format!("{start} PROTOCOL=77\nabc");
    assert_eq!(read(&socket, said.len()), said);
}

#[test]
fn unsupported_styles_are_refused_with_explanation() {
    let scripted = ScriptedBridge::answering(
        "SESSION STATUS RESULT=I2P_ERROR MESSAGE=\"Unrecognized SESSION STYLE\"\n",
    );
    for style in [DatagramStyle::Datagram2, DatagramStyle::Datagram3] {
        let error = scripted.bridge().session().datagram(style).unwrap_err();
        let (code, explanation) = refused(error);
        assert_eq!(code, ResultCode::I2pError);
        assert_eq!(explanation, "Unrecognized SESSION STYLE");
    }
}
