//! The ports of a whole session: they go with each dial and each datagram that names none.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use i2p_sam::testing::TestBridge;
use i2p_sam::{
    ClientTunnel, Connect, ConnectOptions, DatagramOptions, DatagramStyle, DatagramTransport,
    Error, I2pAddr, RawOptions, SamBridge, SessionBuilder, TunnelOptions,
};

use crate::support::datagrams::{Router, bridge_3_1, packet, receive};
use crate::support::primary;
use crate::support::{LONG, ScriptedBridge, Stage, field, key};

/// A bridge on which each dial succeeds.
fn reachable() -> ScriptedBridge {
    ScriptedBridge::router(|visit, stage| match stage {
        Stage::Session => visit.until_quit(),
        Stage::Accept => {}
        Stage::Command(_) => {
            visit.say("STREAM STATUS RESULT=OK\n");
            visit.echo();
        }
    })
}

/// Returns a builder of sessions with the ports 7 and 8.
fn with_ports(builder: SessionBuilder) -> SessionBuilder {
    builder.from_port(7).to_port(8)
}

/// Returns FROM_PORT and TO_PORT of each command that begins like this.
fn ports_of<'a>(lines: &'a [String], start: &str) -> Vec<(Option<&'a str>, Option<&'a str>)> {
    let commands = lines.iter().filter(|line| line.starts_with(start));
    let ports = commands.map(|line| (field(line, "FROM_PORT"), field(line, "TO_PORT")));
    ports.collect()
}

#[test]
fn ports_of_stream_session_go_with_dial_alone() {
    let bridge = reachable();
    let session = with_ports(bridge.bridge().session()).stream().unwrap();
    let stream = session.connect(key(9).destination()).unwrap();
    assert_eq!(
        (stream.local_port(), stream.peer_port()),
        (Some(7), Some(8))
    );
    let lines = bridge.received();
    assert_eq!(ports_of(&lines, "STREAM CONNECT"), [(Some("7"), Some("8"))]);
    assert_eq!(ports_of(&lines, "SESSION CREATE"), [(None, None)]);
}

#[test]
fn ports_of_dial_precede_those_of_session() {
    let bridge = reachable();
    let session = with_ports(bridge.bridge().session()).stream().unwrap();
    let peer = key(9);
    let options = ConnectOptions::new().from_port(1);
    let stream = session.connect_with((peer.destination(), 2), &options);
    let stream = stream.unwrap();
    assert_eq!(
        (stream.local_port(), stream.peer_port()),
        (Some(1), Some(2))
    );
    session.connect_with(peer.destination(), &options).unwrap();
    session.connect((peer.destination(), 2)).unwrap();
    let expected = [
        (Some("1"), Some("2")),
        (Some("1"), Some("8")),
        (Some("7"), Some("2")),
    ];
    assert_eq!(ports_of(&bridge.received(), "STREAM CONNECT"), expected);
}

#[test]
fn port_zero_names_none() {
    let bridge = reachable();
    let peer = key(9);
    let zero = ConnectOptions::new().from_port(0);
    let session = with_ports(bridge.bridge().session()).stream().unwrap();
    session.connect_with(peer.destination(), &zero).unwrap();
    let builder = with_ports(bridge.bridge().session());
    let session = builder.from_port(0).to_port(0).stream().unwrap();
    session.connect(peer.destination()).unwrap();
    let expected = [(Some("7"), Some("8")), (None, None)];
    assert_eq!(ports_of(&bridge.received(), "STREAM CONNECT"), expected);
}

#[test]
fn ports_of_session_go_with_dial_through_trait() {
    let bridge = reachable();
    let session = with_ports(bridge.bridge().session()).stream().unwrap();
    let dialler: Box<dyn Connect> = Box::new(session);
    let peer = I2pAddr::from(key(9).destination());
    let stream = dialler.connect_to(&peer, &ConnectOptions::new()).unwrap();
    assert_eq!(
        (stream.local_port(), stream.peer_port()),
        (Some(7), Some(8))
    );
}

#[test]
fn tunnel_dials_with_ports_of_its_session() {
    let bridge = reachable();
    let session = with_ports(bridge.bridge().session()).stream().unwrap();
    let peer = key(9).destination().clone();
    let tunnel = ClientTunnel::start(session, "127.0.0.1:0", peer, &TunnelOptions::new());
    let tunnel = tunnel.unwrap();
    let mut program = TcpStream::connect(tunnel.local_addr()).unwrap();
    program.set_read_timeout(Some(LONG)).unwrap();
    program.write_all(b"hello").unwrap();
    program.read_exact(&mut [0; 5]).unwrap();
    let lines = bridge.received();
    assert_eq!(ports_of(&lines, "STREAM CONNECT"), [(Some("7"), Some("8"))]);
}

#[test]
fn healed_session_dials_with_ports() {
    let router = TestBridge::start().unwrap();
    let server = router.bridge().session().stream().unwrap();
    let listener = server.listener().unwrap();
    let session = with_ports(router.bridge().session()).healing().unwrap();
    let id = |of: &i2p_sam::HealingSession| of.session().map(|session| session.id().to_owned());
    let before = id(&session);
    assert!(router.lose_session(session.destination()));
    let _near = session.connect(server.destination()).unwrap();
    let (far, _) = listener.accept_timeout(LONG).unwrap();
    assert_eq!((far.peer_port(), far.local_port()), (Some(7), Some(8)));
    assert_ne!(id(&session), before);
}

#[test]
fn second_replica_dials_with_ports() {
    let (first, second) = (TestBridge::start().unwrap(), TestBridge::start().unwrap());
    let server = second.bridge().session().stream().unwrap();
    let listener = server.listener().unwrap();
    let both = SamBridge::builder()
        .address(first.address().to_string())
        .fallback(&second.bridge());
    let builder = with_ports(both.build().unwrap().session());
    let session = builder.multihomed().unwrap();
    first.stop();
    let _near = session.connect(server.destination()).unwrap();
    let (far, _) = listener.accept_timeout(LONG).unwrap();
    assert_eq!((far.peer_port(), far.local_port()), (Some(7), Some(8)));
}

#[test]
fn ports_of_session_go_with_each_datagram() {
    let peer = key(9);
    let peer = peer.destination();
    for style in [
        DatagramStyle::Datagram,
        DatagramStyle::Datagram2,
        DatagramStyle::Datagram3,
    ] {
        let router = Router::start();
        let session = with_ports(router.builder()).datagram(style).unwrap();
        session.send_to(b"x", peer).unwrap();
        let line = format!("3.3 {} {peer} FROM_PORT=7 TO_PORT=8\nx", session.id());
        assert_eq!(router.sent(), line.as_bytes());
        let lines = [router.create_line()];
        assert_eq!(ports_of(&lines, "SESSION CREATE"), [(None, None)]);
    }
}

#[test]
fn ports_of_datagram_precede_those_of_session() {
    let router = Router::start();
    let builder = with_ports(router.builder());
    let session = builder.datagram(DatagramStyle::Datagram).unwrap();
    let peer = key(9);
    let peer = peer.destination();
    let own = DatagramOptions::new().from_port(1).to_port(2);
    session.send_to_with(b"x", peer, &own).unwrap();
    let line = format!("3.3 {} {peer} FROM_PORT=1 TO_PORT=2\nx", session.id());
    assert_eq!(router.sent(), line.as_bytes());
    session.send_to(b"x", (peer, 5)).unwrap();
    let line = format!("3.3 {} {peer} FROM_PORT=7 TO_PORT=5\nx", session.id());
    assert_eq!(router.sent(), line.as_bytes());
}

#[test]
fn ports_of_session_go_with_each_raw_datagram() {
    let router = Router::start();
    let options = RawOptions::new().protocol(99);
    let session = with_ports(router.builder()).raw_with(&options).unwrap();
    let peer = key(9);
    let peer = peer.destination();
    session.send_to(b"x", peer).unwrap();
    let line = format!("3.3 {} {peer} FROM_PORT=7 TO_PORT=8\nx", session.id());
    assert_eq!(router.sent(), line.as_bytes());
    let own = DatagramOptions::new().from_port(1).protocol(77);
    session.send_to_with(b"x", peer, &own).unwrap();
    let ports = "FROM_PORT=1 TO_PORT=8 PROTOCOL=77";
    let line = format!("3.3 {} {peer} {ports}\nx", session.id());
    assert_eq!(router.sent(), line.as_bytes());
}

#[test]
fn ports_of_session_go_with_datagrams_on_control_socket() {
    let (sender, lines) = mpsc::channel();
    let sender = Mutex::new(sender);
    let bridge = ScriptedBridge::router(move |visit, _| {
        let mut line = String::new();
        BufReader::new(visit.socket()).read_line(&mut line).unwrap();
        sender.lock().unwrap().send(line).unwrap();
    });
    let peer = key(9);
    let builder = with_ports(bridge.bridge().session());
    let builder = builder.datagram_transport(DatagramTransport::ControlSocket);
    let session = builder.clone().datagram(DatagramStyle::Datagram).unwrap();
    session.send_to(b"x", peer.destination()).unwrap();
    let line = lines.recv_timeout(LONG).unwrap();
    assert!(line.ends_with(" SIZE=1 FROM_PORT=7 TO_PORT=8\n"), "{line}");
    let session = builder.raw().unwrap();
    session.send_to(b"x", peer.destination()).unwrap();
    let line = lines.recv_timeout(LONG).unwrap();
    assert!(line.starts_with("RAW SEND "), "{line}");
    assert!(line.ends_with(" SIZE=1 FROM_PORT=7 TO_PORT=8\n"), "{line}");
}

#[test]
fn datagram_session_connects_to_port_of_session() {
    let router = Router::start();
    let builder = with_ports(router.builder());
    let session = builder.datagram(DatagramStyle::Datagram).unwrap();
    session.set_read_timeout(Some(LONG)).unwrap();
    let peer = key(9);
    let peer = peer.destination();
    session.connect(peer).unwrap();
    let expected = I2pAddr::from(peer).with_port(8);
    assert_eq!(session.peer_addr().unwrap(), expected);
    session.send(b"x").unwrap();
    let line = format!("3.3 {} {peer} FROM_PORT=7 TO_PORT=8\nx", session.id());
    assert_eq!(router.sent(), line.as_bytes());
    router.forward(&session, &packet(" FROM_PORT=9 TO_PORT=7", b"other port"));
    router.forward(&session, &packet(" FROM_PORT=8 TO_PORT=7", b"the port"));
    assert_eq!(receive(&session).0, b"the port");
    session.connect((peer, 80)).unwrap();
    session.send(b"x").unwrap();
    let line = format!("3.3 {} {peer} FROM_PORT=7 TO_PORT=80\nx", session.id());
    assert_eq!(router.sent(), line.as_bytes());
}

#[test]
fn subsession_ports_go_with_each_datagram() {
    let router = Router::start();
    let java = primary::Router::java();
    let bridge = SamBridge::builder()
        .address(java.bridge.address().to_string())
        .udp_address(router.udp.local_addr().unwrap().to_string());
    let primary = bridge.build().unwrap().session().primary().unwrap();
    let builder = primary.subsession().from_port(7).to_port(8);
    let session = builder.datagram(DatagramStyle::Datagram).unwrap();
    let peer = key(9);
    let peer = peer.destination();
    session.send_to(b"x", peer).unwrap();
    let line = format!("3.3 {} {peer} FROM_PORT=7 TO_PORT=8\nx", session.id());
    assert_eq!(router.sent(), line.as_bytes());
}

#[test]
fn datagram_session_with_port_needs_sam_3_2() {
    for port in [
        |builder: SessionBuilder| builder.from_port(7),
        |builder: SessionBuilder| builder.to_port(8),
    ] {
        let scripted = bridge_3_1();
        let builder = port(scripted.bridge().session());
        for refused in [
            builder.clone().datagram(DatagramStyle::Datagram).err(),
            builder.raw().err(),
        ] {
            assert!(matches!(refused, Some(Error::InvalidConfig(_))));
        }
        let lines = scripted.received();
        assert!(ports_of(&lines, "SESSION CREATE").is_empty(), "{lines:?}");
    }
}

#[test]
fn stream_session_with_port_is_created_before_sam_3_2() {
    let scripted = bridge_3_1();
    let session = with_ports(scripted.bridge().session()).stream();
    assert_eq!(session.unwrap().version(), i2p_sam::Version::V3_1);
}

#[test]
fn primary_session_with_port_is_refused_before_sending() {
    let java = primary::Router::java();
    for builder in [java.builder().from_port(7), java.builder().to_port(8)] {
        let error = builder.primary().unwrap_err();
        assert!(matches!(error, Error::InvalidConfig(_)), "{error}");
    }
    assert!(java.bridge.received().is_empty());
}

#[test]
fn datagram_of_heartbeat_has_no_ports_of_session() {
    let router = Router::start();
    let builder = with_ports(router.builder()).heartbeat(Some(Duration::from_secs(1)));
    let session = builder.datagram(DatagramStyle::Datagram).unwrap();
    let packet = router.sent();
    let line = format!("3.3 {} {}\n", session.id(), session.destination());
    assert!(packet.starts_with(line.as_bytes()), "{}", packet.len());
    // The line of the heartbeat does not stand for the program's own.
    session.send_to(b"x", session.destination()).unwrap();
    let mut packets = std::iter::repeat_with(|| router.sent());
    let own = packets.find(|packet| packet.ends_with(b"\nx")).unwrap();
    assert!(own.ends_with(b" FROM_PORT=7 TO_PORT=8\nx"));
}
