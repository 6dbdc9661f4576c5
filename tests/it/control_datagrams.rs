//! Datagrams on the control socket: between replies and PINGs, from a bridge that lies, and to a
//! bridge that does not read.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use i2p_sam::{
    Cancel, DatagramOptions, DatagramSession, DatagramStyle, DatagramTransport, Error, RawOptions,
    RawSession, SessionBuilder, SessionLoss,
};

use crate::support::{LONG, ScriptedBridge, eventually, field, in_background, key, outcome};

/// A bridge for which the test plays the far end of the control socket.
struct Router {
    scripted: ScriptedBridge,
    sockets: mpsc::Receiver<TcpStream>,
}

impl Router {
    fn start() -> Self {
        let (sender, sockets) = mpsc::channel();
        let sender = Arc::new(Mutex::new(sender));
        let scripted = ScriptedBridge::router(move |visit, _| {
            let (end, ended) = mpsc::channel::<()>();
            let socket = visit.socket();
            socket.set_read_timeout(Some(LONG)).unwrap();
            let _ = sender.lock().unwrap().send(socket);
            let _ = ended.recv_timeout(LONG);
            drop(end);
        });
        Self { scripted, sockets }
    }

    fn builder(&self) -> SessionBuilder {
        let builder = self.scripted.bridge().session();
        builder.datagram_transport(DatagramTransport::ControlSocket)
    }

    fn session(&self) -> (DatagramSession, TcpStream) {
        let session = self.builder().datagram(DatagramStyle::Datagram).unwrap();
        session.set_read_timeout(Some(LONG)).unwrap();
        (session, self.sockets.recv_timeout(LONG).unwrap())
    }

    fn raw(&self) -> (RawSession, TcpStream) {
        let session = self.builder().raw().unwrap();
        session.set_read_timeout(Some(LONG)).unwrap();
        (session, self.sockets.recv_timeout(LONG).unwrap())
    }
}

fn say(mut socket: &TcpStream, bytes: &[u8]) {
    socket.write_all(bytes).unwrap();
}

/// Returns a datagram behind the header that a bridge sends.
fn received(behind: &str, payload: &[u8]) -> Vec<u8> {
    let (sender, size) = (key(9), payload.len());
    let sender = sender.destination();
    let line = format!("DATAGRAM RECEIVED DESTINATION={sender} SIZE={size}{behind}\n");
    [line.as_bytes(), payload].concat()
}

fn next(session: &DatagramSession) -> Vec<u8> {
    let mut buf = vec![0; 65_536];
    let (len, _) = session.recv_from(&mut buf).unwrap();
    buf.truncate(len);
    buf
}

fn read(mut socket: &TcpStream, len: usize) -> String {
    let mut bytes = vec![0; len];
    socket.read_exact(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Returns the loss of the session after the bridge has sent this.
fn loss_after(bytes: &[u8], hang_up: bool) -> SessionLoss {
    let router = Router::start();
    let (session, socket) = router.session();
    // The session may end before the last byte of a flood.
    let _ = (&socket).write_all(bytes);
    if hang_up {
        socket.shutdown(Shutdown::Write).unwrap();
    }
    let loss = session.wait_closed(Some(LONG)).unwrap();
    let error = session.recv_from(&mut [0; 8]).unwrap_err();
    assert!(error.is_session_lost(), "{error}");
    loss
}

#[test]
fn session_create_has_neither_host_nor_port() {
    let router = Router::start();
    let (session, _socket) = router.session();
    let line = &router.scripted.received()[1];
    assert_eq!(field(line, "STYLE"), Some("DATAGRAM"));
    assert_eq!((field(line, "HOST"), field(line, "PORT")), (None, None));
    let error = session.udp_addr().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
}

#[test]
fn sender_ports_and_payload_are_separated() {
    let router = Router::start();
    let (session, socket) = router.session();
    let payload = b"to the control socket\nPING second line\n";
    say(&socket, &received(" FROM_PORT=7 TO_PORT=8", payload));
    let mut buf = [0; 100];
    let (len, sender) = session.recv_from(&mut buf).unwrap();
    assert_eq!(&buf[..len], payload);
    assert_eq!(sender.destination(), Some(key(9).destination()));
    assert_eq!((sender.from_port(), sender.to_port()), (Some(7), Some(8)));
}

#[test]
fn send_connected_sends_destination_and_size_of_each() {
    let router = Router::start();
    let (session, socket) = router.session();
    session.connect((key(9).destination(), 53)).unwrap();
    for payload in ["one", "three"] {
        session.send(payload.as_bytes()).unwrap();
        let (peer, size) = (key(9), payload.len());
        let peer = peer.destination();
        let sent = format!("DATAGRAM SEND DESTINATION={peer} SIZE={size} TO_PORT=53\n{payload}");
        assert_eq!(read(&socket, sent.len()), sent);
    }
}

#[test]
fn segmented_datagrams_pings_and_replies_are_separated() {
    let router = Router::start();
    let (session, socket) = router.session();
    let script = [
        received("", b"one\n"),
        b"PING 1\n".to_vec(),
        received("", b""),
        b"SESSION STATUS RESULT=OK\nX Y\n".to_vec(),
        received("", b"three"),
        b"PING 2\n".to_vec(),
    ]
    .concat();
    socket.set_nodelay(true).unwrap();
    for piece in script.chunks(7) {
        say(&socket, piece);
    }
    assert_eq!(next(&session), b"one\n");
    assert_eq!(next(&session), b"");
    assert_eq!(next(&session), b"three");
    assert_eq!(read(&socket, 14), "PONG 1\nPONG 2\n");
    say(&socket, &script);
    assert_eq!(next(&session), b"one\n");
    assert_eq!(session.dropped(), Default::default());
}

#[test]
fn raw_datagram_header_is_read_if_sent() {
    let router = Router::start();
    let (session, socket) = router.raw();
    say(
        &socket,
        b"RAW RECEIVED SIZE=3 PROTOCOL=18 FROM_PORT=9 TO_PORT=10\nabcRAW RECEIVED SIZE=2\nde",
    );
    let mut buf = [0; 8];
    let (len, header) = session.recv_with_header(&mut buf).unwrap();
    let header = header.unwrap();
    assert_eq!(&buf[..len], b"abc");
    let ports = (header.from_port, header.to_port);
    assert_eq!((header.protocol, ports), (18, (Some(9), Some(10))));
    let (len, header) = session.recv_with_header(&mut buf).unwrap();
    assert_eq!((&buf[..len], header), (&b"de"[..], None));
}

#[test]
fn datagram_follows_one_command_line() {
    let router = Router::start();
    let (session, socket) = router.session();
    let peer = key(3);
    let peer = peer.destination();
    assert_eq!(session.send_to(b"a\nb", peer).unwrap(), 3);
    let options = DatagramOptions::new().from_port(3).to_port(4);
    session.send_to_with(b"hello", peer, &options).unwrap();
    let line = format!(
        "DATAGRAM SEND DESTINATION={peer} SIZE=3\na\nb\
         DATAGRAM SEND DESTINATION={peer} SIZE=5 FROM_PORT=3 TO_PORT=4\nhello"
    );
    assert_eq!(read(&socket, line.len()), line);
    let (raw, socket) = router.raw();
    let options = DatagramOptions::new().protocol(77);
    raw.send_to_with(b"abc", peer, &options).unwrap();
    let line = format!("RAW SEND DESTINATION={peer} SIZE=3 PROTOCOL=77\nabc");
    assert_eq!(read(&socket, line.len()), line);
}

#[test]
fn oversized_datagram_is_refused_largest_is_sent() {
    let router = Router::start();
    let (session, socket) = router.session();
    let peer = key(3);
    let peer = peer.destination();
    let bytes = vec![b'x'; 31_745];
    let error = session.send_to(&bytes[..31_744], peer).unwrap_err();
    let Error::DatagramSize { size: 31_744, max } = error else {
        panic!("{error}");
    };
    assert!(session.send_to(&[], peer).is_err());
    // Its size has one digit less.
    assert!(session.send_to(&bytes[..max + 2], peer).is_err());
    assert_eq!(session.send_to(&bytes[..=max], peer).unwrap(), max + 1);
    assert!(read(&socket, 8192).ends_with(&"x".repeat(max + 1)));
}

#[test]
fn reply_goes_to_sender() {
    let router = Router::start();
    let (session, socket) = router.session();
    say(&socket, &received(" FROM_PORT=7 TO_PORT=8", b"hello"));
    let mut buf = [0; 8];
    let (len, sender) = session.recv_from(&mut buf).unwrap();
    session.send_to(&buf[..len], &sender).unwrap();
    let (peer, own) = (key(9), "SIZE=5 TO_PORT=7\nhello");
    let line = format!("DATAGRAM SEND DESTINATION={} {own}", peer.destination());
    assert_eq!(read(&socket, line.len()), line);
}

#[test]
fn invalid_destination_is_refused_before_sending() {
    let router = Router::start();
    let (session, socket) = router.session();
    let b32 = key(3).destination().b32().to_string();
    for address in ["name.i2p", b32.as_str()] {
        let error = session.send_to(b"x", address).unwrap_err();
        assert!(matches!(error, Error::InvalidConfig(_)), "{error}");
    }
    say(&socket, b"PING 1\n");
    assert_eq!(read(&socket, 7), "PONG 1\n");
    assert_eq!(session.loss(), None);
}

#[test]
fn unsupported_styles_are_refused_before_sending() {
    let router = Router::start();
    for style in [DatagramStyle::Datagram2, DatagramStyle::Datagram3] {
        let outcome = router.builder().datagram(style);
        assert!(matches!(outcome, Err(Error::InvalidConfig(_))));
    }
    let outcome = router.builder().primary();
    assert!(matches!(outcome, Err(Error::InvalidConfig(_))));
    assert_eq!(router.scripted.connections(), 0);
}

#[test]
fn invalid_size_ends_session() {
    let destination = key(9).destination().to_base64();
    let begin = format!("DATAGRAM RECEIVED DESTINATION={destination}");
    for behind in [
        "",
        " SIZE=",
        " SIZE=-1",
        " SIZE=+1",
        " SIZE=65536",
        " SIZE=x",
        " SIZE",
    ] {
        let line = format!("{begin}{behind}\nx");
        let loss = loss_after(line.as_bytes(), false);
        assert_eq!(loss, SessionLoss::ProtocolViolation, "{behind}");
    }
}

#[test]
fn two_mebibyte_header_ends_session() {
    let mut line = b"DATAGRAM RECEIVED DESTINATION=".to_vec();
    line.resize(2 << 20, b'A');
    assert_eq!(loss_after(&line, false), SessionLoss::ProtocolViolation);
}

#[test]
fn non_utf8_header_ends_session() {
    let loss = loss_after(b"RAW RECEIVED SIZE=1 \xff\xfe\nx", false);
    assert_eq!(loss, SessionLoss::ProtocolViolation);
}

#[test]
fn eof_within_datagram_ends_session() {
    let whole = received("", b"hello");
    for cut in [whole.len() - 1, whole.len() - 6, 20] {
        let loss = loss_after(&whole[..cut], true);
        assert_eq!(loss, SessionLoss::Disconnected, "cut at {cut}");
    }
}

#[test]
fn datagrams_before_loss_are_received_first() {
    let router = Router::start();
    let (session, socket) = router.session();
    say(&socket, &received("", b"last words"));
    socket.shutdown(Shutdown::Write).unwrap();
    session.wait_closed(Some(LONG)).unwrap();
    assert_eq!(next(&session), b"last words");
    let error = session.recv_from(&mut [0; 8]).unwrap_err();
    assert!(error.is_session_lost(), "{error}");
}

#[test]
fn datagram_without_sender_is_dropped_and_counted() {
    let router = Router::start();
    let (session, socket) = router.session();
    let bad = [
        &b"DATAGRAM RECEIVED SIZE=7\nPING 1\n"[..],
        b"DATAGRAM RECEIVED DESTINATION=AAAA SIZE=7\nPING 2\n",
        b"RAW RECEIVED SIZE=7\nPING 3\n",
        &received(" FROM_PORT=70000", b"PING 4\n"),
    ];
    say(&socket, &bad.concat());
    say(&socket, &received("", b"genuine"));
    assert_eq!(next(&session), b"genuine");
    assert_eq!(session.dropped().malformed, bad.len() as u64);
    say(&socket, b"PING 5\n");
    assert_eq!(read(&socket, 7), "PONG 5\n");
}

#[test]
fn raw_datagram_with_signed_number_is_dropped_and_counted() {
    let router = Router::start();
    let (session, socket) = router.raw();
    let bad = [
        &b"RAW RECEIVED PROTOCOL=+18 FROM_PORT=0 TO_PORT=0 SIZE=1\nx"[..],
        b"RAW RECEIVED PROTOCOL=18 FROM_PORT=+7 TO_PORT=0 SIZE=1\nx",
    ];
    say(&socket, &bad.concat());
    say(&socket, b"RAW RECEIVED SIZE=7\ngenuine");
    let mut buf = [0; 8];
    let (len, _) = session.recv_with_header(&mut buf).unwrap();
    assert_eq!(buf.get(..len), Some(&b"genuine"[..]));
    assert_eq!(session.dropped().malformed, bad.len() as u64);
}

#[test]
fn datagram_beyond_queue_is_dropped_and_counted() {
    let router = Router::start();
    let (session, socket) = router.session();
    let mut sent = 0_u64;
    eventually("the queue is full", || {
        say(&socket, &received("", &sent.to_be_bytes()));
        sent += 1;
        session.dropped().overflow > 0
    });
    say(&socket, b"PING 1\n");
    assert_eq!(read(&socket, 7), "PONG 1\n");
    assert_eq!(next(&session), 0_u64.to_be_bytes());
}

/// Sends to a bridge that does not read, until a datagram does not fit.
fn fill(session: &DatagramSession) {
    let peer = key(3);
    let payload = vec![7; 7_400];
    session.set_nonblocking(true).unwrap();
    eventually("there is no room", || {
        match session.send_to(&payload, peer.destination()) {
            Ok(_) => false,
            Err(Error::WouldBlock) => true,
            Err(error) => panic!("{error}"),
        }
    });
}

#[test]
fn cancel_ends_send_to_stalled_bridge() {
    let router = Router::start();
    let (session, _socket) = router.session();
    // Data in flight may leave room once more.
    fill(&session);
    fill(&session);
    session.set_nonblocking(false).unwrap();
    let cancel = Cancel::new();
    let sender = session.with_cancel(&cancel);
    let waiting = in_background(move || {
        let peer = key(3);
        let error = (0..).find_map(|_| sender.send_to(&[7; 7_400], peer.destination()).err());
        error.unwrap()
    });
    assert!(waiting.recv_timeout(Duration::from_millis(200)).is_err());
    cancel.cancel();
    assert!(matches!(outcome(&waiting), Error::Cancelled { .. }));
    let last = session.clone();
    let waiting = in_background(move || {
        let peer = key(3);
        let error = (0..).find_map(|_| last.send_to(&[7; 7_400], peer.destination()).err());
        error.unwrap()
    });
    session.close();
    assert!(outcome(&waiting).is_session_lost());
}

#[test]
fn sent_datagrams_precede_quit() {
    let router = Router::start();
    let (session, socket) = router.session();
    let peer = key(3);
    for _ in 0..5 {
        session
            .send_to(b"last words\n", peer.destination())
            .unwrap();
    }
    drop(session);
    let lines = BufReader::new(&socket).lines().map(Result::unwrap);
    let lines: Vec<_> = lines.take(11).collect();
    assert_eq!(lines.iter().filter(|line| *line == "last words").count(), 5);
    assert_eq!(lines.last().map(String::as_str), Some("QUIT"));
}

#[test]
fn raw_session_sends_protocol_and_header_options() {
    let router = Router::start();
    let options = RawOptions::new().protocol(99).header(true);
    let session = router.builder().raw_with(&options).unwrap();
    let line = &router.scripted.received()[1];
    assert_eq!(field(line, "PROTOCOL"), Some("99"));
    assert_eq!(session.loss(), None);
}
