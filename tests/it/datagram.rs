//! Datagrams: what is sent by UDP, which packets are trusted, which are dropped, and what ends a
//! wait.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use i2p_sam::{
    Cancel, DatagramOptions, DatagramSession, DatagramStyle, DatagramTransport, Error, RawOptions,
    SamBridge, SessionBuilder, SessionLoss, UdpOptions, Version,
};

use crate::support::datagrams::{Router, bridge_3_1, packet, receive};
use crate::support::{LONG, eventually, field, in_background, key, outcome};

fn with_udp(builder: SessionBuilder, options: UdpOptions) -> SessionBuilder {
    builder.datagram_transport(DatagramTransport::Udp(options))
}

#[test]
fn session_create_has_host_and_port() {
    for (style, word) in [
        (DatagramStyle::Datagram, "DATAGRAM"),
        (DatagramStyle::Datagram2, "DATAGRAM2"),
        (DatagramStyle::Datagram3, "DATAGRAM3"),
    ] {
        let router = Router::start();
        let session = router.builder().datagram(style).unwrap();
        let line = router.create_line();
        let port = session.udp_addr().unwrap().port().to_string();
        assert_eq!(field(&line, "STYLE"), Some(word));
        assert_eq!(field(&line, "HOST"), Some("127.0.0.1"));
        assert_eq!(field(&line, "PORT"), Some(&*port));
    }
}

#[test]
fn session_create_has_advertised_host_and_port() {
    let router = Router::start();
    let options = UdpOptions::new().advertise("host.containers.internal", 4444);
    let session = with_udp(router.builder(), options).raw().unwrap();
    let line = router.create_line();
    assert_eq!(field(&line, "HOST"), Some("host.containers.internal"));
    assert_eq!(field(&line, "PORT"), Some("4444"));
    assert_ne!(session.udp_addr().unwrap().port(), 4444);
}

#[test]
fn advertised_port_zero_is_bound_port() {
    let router = Router::start();
    let options = UdpOptions::new().advertise("host.containers.internal", 0);
    let session = with_udp(router.builder(), options).raw().unwrap();
    let line = router.create_line();
    let port = session.udp_addr().unwrap().port().to_string();
    assert_eq!(field(&line, "HOST"), Some("host.containers.internal"));
    assert_eq!(field(&line, "PORT"), Some(&*port));
}

#[test]
fn invalid_host_is_refused_before_sending() {
    let router = Router::start();
    let options = UdpOptions::new().advertise("a b", 4444);
    let error = with_udp(router.builder(), options).raw().unwrap_err();
    assert!(matches!(error, Error::Command(_)), "{error}");
    assert!(router.scripted.received().is_empty());
}

#[test]
fn datagram_follows_one_header_line() {
    let router = Router::start();
    let session = router.session();
    let peer = key(3);
    let peer = peer.destination();
    assert_eq!(session.send_to(b"a\nb", peer).unwrap(), 3);
    let line = format!("3.3 {} {peer}\na\nb", session.id());
    assert_eq!(router.sent(), line.as_bytes());
    session.send_to(b"x", "name.i2p:7").unwrap();
    let line = format!("3.3 {} name.i2p TO_PORT=7\nx", session.id());
    assert_eq!(router.sent(), line.as_bytes());
    let options = DatagramOptions::new()
        .from_port(1)
        .to_port(2)
        .send_tags(3)
        .tag_threshold(4)
        .expires(Duration::from_secs(5))
        .send_lease_set(false);
    session.send_to_with(b"x", peer, &options).unwrap();
    let line = format!(
        "3.3 {} {peer} FROM_PORT=1 TO_PORT=2 SEND_TAGS=3 TAG_THRESHOLD=4 EXPIRES=5 \
         SEND_LEASESET=false\nx",
        session.id()
    );
    assert_eq!(router.sent(), line.as_bytes());
}

#[test]
fn line_follows_each_change_of_peer_and_options() {
    let router = Router::start();
    let session = router.session();
    let (one, other) = (key(9).destination().clone(), key(8).destination().clone());
    let none = DatagramOptions::new();
    let from_port = DatagramOptions::new().from_port(7);
    let b32 = i2p_sam::I2pAddr::from(one.b32());
    let sent: [(i2p_sam::I2pAddr, &DatagramOptions, String); 7] = [
        ((&one).into(), &none, format!("{one}")),
        ((&one).into(), &none, format!("{one}")),
        (b32.clone(), &none, one.b32().to_string()),
        ((&one).into(), &from_port, format!("{one} FROM_PORT=7")),
        (
            i2p_sam::I2pAddr::from(&one).with_port(5),
            &none,
            format!("{one} TO_PORT=5"),
        ),
        ((&other).into(), &none, format!("{other}")),
        ((&one).into(), &none, format!("{one}")),
    ];
    for (at, (peer, options, line)) in sent.iter().enumerate() {
        let payload = [at as u8];
        session.send_to_with(&payload, peer, options).unwrap();
        let id = session.id();
        let expected = [format!("3.3 {id} {line}\n").as_bytes(), &payload].concat();
        assert_eq!(router.sent(), expected, "{at}");
    }
    // A refusal in between changes nothing.
    let refused = DatagramOptions::new().to_port(6);
    let peer = i2p_sam::I2pAddr::from(&one).with_port(5);
    assert!(session.send_to_with(b"x", &peer, &refused).is_err());
    session.send_to(b"last", &one).unwrap();
    assert!(router.sent().ends_with(format!("{one}\nlast").as_bytes()));
}

#[test]
fn line_of_each_of_many_peers_is_its_own() {
    let router = Router::start();
    let session = router.session();
    let peers: Vec<_> = (0..40).map(|at| key(at).destination().clone()).collect();
    for (at, peer) in peers.iter().chain(&peers).enumerate() {
        session.send_to(&[at as u8], peer).unwrap();
        let line = format!("3.3 {} {peer}\n", session.id());
        assert_eq!(router.sent(), [line.as_bytes(), &[at as u8]].concat());
    }
}

#[test]
fn raw_datagram_carries_protocol() {
    let router = Router::start();
    let session = router.raw(&RawOptions::new().protocol(99));
    assert_eq!(field(&router.create_line(), "PROTOCOL"), Some("99"));
    assert_eq!(field(&router.create_line(), "HEADER"), None);
    let options = DatagramOptions::new().protocol(77);
    session.send_to_with(b"x", "name.i2p", &options).unwrap();
    let line = format!("3.3 {} name.i2p PROTOCOL=77\nx", session.id());
    assert_eq!(router.sent(), line.as_bytes());
}

#[test]
fn reserved_protocols_are_refused() {
    let router = Router::start();
    let session = router.raw(&RawOptions::new());
    for taken in [6, 17, 19, 20] {
        let options = DatagramOptions::new().protocol(taken);
        let error = session.send_to_with(b"x", "a.i2p", &options).unwrap_err();
        assert!(matches!(error, Error::InvalidConfig(_)), "{error}");
        let outcome = router
            .builder()
            .raw_with(&RawOptions::new().protocol(taken));
        assert!(matches!(outcome, Err(Error::InvalidConfig(_))));
    }
    let options = DatagramOptions::new().protocol(18);
    let outcome = router.session().send_to_with(b"x", "a.i2p", &options);
    assert!(matches!(outcome, Err(Error::InvalidConfig(_))));
}

#[test]
fn invalid_sizes_are_refused_largest_is_sent() {
    let router = Router::start();
    let (session, raw) = (router.session(), router.raw(&RawOptions::new()));
    let bytes = vec![7; 40_000];
    for wrong in [0, 31_745, 40_000] {
        match session.send_to(&bytes[..wrong], "a.i2p") {
            Err(Error::DatagramSize { size, max: 31_744 }) => assert_eq!(size, wrong),
            other => panic!("{other:?}"),
        }
    }
    assert!(raw.send_to(&[], "a.i2p").is_err());
    assert!(raw.send_to(&bytes[..32_769], "a.i2p").is_err());
    assert_eq!(session.send_to(&bytes[..31_744], "a.i2p").unwrap(), 31_744);
    assert!(router.sent().ends_with(&bytes[..31_744]));
    assert_eq!(raw.send_to(&bytes[..32_768], "a.i2p").unwrap(), 32_768);
    assert!(router.sent().ends_with(&bytes[..32_768]));
}

#[test]
fn bridge_before_3_2_gets_no_ports() {
    let scripted = bridge_3_1();
    let session = scripted.bridge().session();
    let session = session.datagram(DatagramStyle::Datagram).unwrap();
    assert_eq!(session.version(), Version::V3_1);
    let outcome = session.send_to(b"x", ("a.i2p", 7));
    assert!(matches!(outcome, Err(Error::InvalidConfig(_))));
    assert!(session.send_to(b"x", "a.i2p").is_ok());
}

#[test]
fn sender_ports_and_payload_are_separated() {
    let router = Router::start();
    let session = router.session();
    router.forward(&session, &packet(" FROM_PORT=7 TO_PORT=8", b"hello\n"));
    let (payload, sender) = receive(&session);
    assert_eq!(payload, b"hello\n");
    assert_eq!(sender.destination(), Some(key(9).destination()));
    assert_eq!((sender.from_port(), sender.to_port()), (Some(7), Some(8)));
    assert_eq!(sender.addr().port(), Some(7));
    // As i2pd forwards it.
    router.forward(&session, &packet("", b"FROM_PORT=1 TO_PORT=2\n"));
    let (payload, sender) = receive(&session);
    assert_eq!(payload, b"FROM_PORT=1 TO_PORT=2\n");
    assert_eq!((sender.from_port(), sender.to_port()), (None, None));
}

#[test]
fn datagram3_sender_is_unauthenticated() {
    let router = Router::start();
    let session = router.builder().datagram(DatagramStyle::Datagram3).unwrap();
    session.set_read_timeout(Some(LONG)).unwrap();
    let hash = "u0NuPdUgTdTYs8tjErvDpbeevW2dAO4r1b4Ccy6Kojc=";
    router.forward(&session, format!("{hash}\nhello").as_bytes());
    let (payload, sender) = receive(&session);
    assert_eq!(payload, b"hello");
    assert!(!sender.is_authenticated());
    let said = i2p_sam::B32::from_base64(hash).unwrap();
    assert_eq!(sender.addr().b32(), Some(said));
    router.forward(&session, &packet("", b"x"));
    assert!(!receive(&session).1.is_authenticated());
}

#[test]
fn packet_from_stranger_is_dropped_and_counted() {
    let router = Router::start();
    let session = router.session();
    let forger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = session.udp_addr().unwrap();
    forger.send_to(&packet("", b"forged"), to).unwrap();
    router.forward(&session, &packet("", b"genuine"));
    assert_eq!(receive(&session).0, b"genuine");
    assert_eq!(session.dropped().foreign, 1);
}

#[test]
fn packet_from_accepted_address_is_received() {
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    for options in [
        UdpOptions::new().accept_any_port(),
        UdpOptions::new().accept_from(address),
        UdpOptions::new().accept_from("127.0.0.1:0".parse().unwrap()),
        UdpOptions::new()
            .accept_from("[::ffff:127.0.0.1]:9".parse().unwrap())
            .accept_any_port(),
    ] {
        let router = Router::start();
        let builder = with_udp(router.builder(), options);
        let session = builder.datagram(DatagramStyle::Datagram).unwrap();
        session.set_read_timeout(Some(LONG)).unwrap();
        let to = session.udp_addr().unwrap();
        other.send_to(&packet("", b"asked for"), to).unwrap();
        assert_eq!(receive(&session).0, b"asked for");
    }
}

#[test]
fn bridge_packet_is_foreign_if_another_address_is_accepted() {
    let router = Router::start();
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let options = UdpOptions::new().accept_from(other.local_addr().unwrap());
    let builder = with_udp(router.builder(), options);
    let session = builder.datagram(DatagramStyle::Datagram).unwrap();
    session.set_read_timeout(Some(LONG)).unwrap();
    router.forward(&session, &packet("", b"from the bridge"));
    let to = session.udp_addr().unwrap();
    other.send_to(&packet("", b"accepted"), to).unwrap();
    assert_eq!(receive(&session).0, b"accepted");
    assert_eq!(session.dropped().foreign, 1);
}

#[test]
fn datagram_without_sender_is_dropped_and_counted() {
    let router = Router::start();
    let session = router.session();
    let hash = b"u0NuPdUgTdTYs8tjErvDpbeevW2dAO4r1b4Ccy6Kojc=\nx".to_vec();
    let cut = packet("", b"x").split_off(40);
    let bad = [
        Vec::new(),
        b"no line at all".to_vec(),
        b"\xff\xfe\nx".to_vec(),
        vec![b'A'; 65_507],
        packet(" FROM_PORT=70000", b"x"),
        hash,
        cut,
    ];
    for packet in &bad {
        router.forward(&session, packet);
    }
    let largest = vec![7; 60_000];
    router.forward(&session, &packet("", &largest));
    assert_eq!(receive(&session).0, largest);
    assert_eq!(session.dropped().malformed, bad.len() as u64);
}

#[test]
fn short_buffer_loses_datagram_peek_keeps_it() {
    let router = Router::start();
    let session = router.session();
    router.forward(&session, &packet("", b"hello"));
    router.forward(&session, &packet("", b"next"));
    let mut buf = [0; 5];
    assert_eq!(session.peek_from(&mut buf).unwrap().0, 5);
    for take in [false, true] {
        let short = &mut buf[..4];
        let error = match take {
            false => session.peek_from(short).unwrap_err(),
            true => session.recv_from(short).unwrap_err(),
        };
        let Error::BufferTooSmall { needed, given } = error else {
            panic!("{error}");
        };
        assert_eq!((needed, given), (5, 4));
    }
    assert_eq!(receive(&session).0, b"next");
}

#[test]
fn datagram_beyond_queue_is_dropped_and_counted() {
    let router = Router::start();
    let session = router.session();
    let total = |session: &DatagramSession| session.dropped().overflow;
    let mut sent = 0_u64;
    eventually("the queue is full", || {
        router.forward(&session, &packet("", &sent.to_be_bytes()));
        sent += 1;
        total(&session) > 0
    });
    assert_eq!(receive(&session).0, 0_u64.to_be_bytes());
}

#[test]
fn raw_datagram_header_exists_only_if_requested() {
    let router = Router::start();
    let headed = b"PROTOCOL=18 FROM_PORT=3 TO_PORT=4\nhello";
    let mut buf = [0; 100];
    let plain = router.raw(&RawOptions::new());
    router
        .udp
        .send_to(headed, plain.udp_addr().unwrap())
        .unwrap();
    let (len, header) = plain.recv_with_header(&mut buf).unwrap();
    assert_eq!((&buf[..len], header), (&headed[..], None));
    router.udp.send_to(b"", plain.udp_addr().unwrap()).unwrap();
    assert_eq!(plain.recv(&mut buf).unwrap(), 0);
    let asked = router.raw(&RawOptions::new().header(true));
    router
        .udp
        .send_to(headed, asked.udp_addr().unwrap())
        .unwrap();
    let (len, header) = asked.recv_with_header(&mut buf).unwrap();
    let header = header.unwrap();
    assert_eq!(&buf[..len], b"hello");
    assert_eq!(
        (header.protocol, header.from_port, header.to_port),
        (18, Some(3), Some(4))
    );
}

#[test]
fn receive_honours_timeout_and_non_blocking() {
    let router = Router::start();
    let session = router.session();
    assert!(session.set_read_timeout(Some(Duration::ZERO)).is_err());
    session
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    assert!(session.recv_from(&mut [0]).unwrap_err().is_timeout());
    let clone = session.try_clone().unwrap();
    clone.set_nonblocking(true).unwrap();
    let error = session.recv_from(&mut [0]).unwrap_err();
    assert!(matches!(error, Error::WouldBlock), "{error}");
}

#[test]
fn cancel_ends_receive_and_spares_session() {
    let router = Router::start();
    let session = router.session();
    let cancel = Cancel::new();
    let waiting = session.with_cancel(&cancel);
    let wait = in_background(move || waiting.recv_from(&mut [0]).map(|_| Instant::now()));
    assert!(wait.recv_timeout(Duration::from_millis(100)).is_err());
    let fired = Instant::now();
    cancel.cancel();
    let error = outcome(&wait).unwrap_err();
    assert!(fired.elapsed() < Duration::from_millis(100));
    assert!(matches!(error, Error::Cancelled { .. }), "{error}");
    let sent = session.with_cancel(&cancel).send_to(b"x", "a.i2p");
    assert!(matches!(sent, Err(Error::Cancelled { .. })));
    router.forward(&session, &packet("", b"still here"));
    assert_eq!(receive(&session).0, b"still here");
}

#[test]
fn session_loss_ends_receive() {
    let mut router = Router::start();
    let session = router.session();
    let waiting = session.clone();
    let wait = in_background(move || waiting.recv_from(&mut [0]).map(|(len, _)| len));
    drop(router.end.take());
    let error = outcome(&wait).unwrap_err();
    assert!(
        matches!(error, Error::SessionLost(SessionLoss::Disconnected)),
        "{error}"
    );
    assert!(
        session
            .send_to(b"x", "a.i2p")
            .unwrap_err()
            .is_session_lost()
    );
}

#[test]
fn close_frees_port_while_session_is_held() {
    let router = Router::start();
    for bind in ["127.0.0.1:0", "0.0.0.0:0"] {
        let options = UdpOptions::new().bind(bind.parse().unwrap());
        let builder = with_udp(router.builder(), options);
        let session = builder.datagram(DatagramStyle::Datagram).unwrap();
        let address = session.udp_addr().unwrap();
        session.set_read_timeout(Some(LONG)).unwrap();
        router.forward(&session, &packet("", b"there"));
        assert_eq!(receive(&session).0, b"there");
        session.close();
        UdpSocket::bind(address).unwrap();
        let error = session.send_to(b"x", "a.i2p").unwrap_err();
        assert!(error.is_session_lost(), "{error}");
    }
}

#[test]
fn dropping_last_handle_frees_port() {
    let router = Router::start();
    let session = router.session();
    let address = session.udp_addr().unwrap();
    let dropped = Instant::now();
    drop(session);
    eventually("the port is free", || UdpSocket::bind(address).is_ok());
    assert!(dropped.elapsed() < Duration::from_secs(2));
}

/// Sends to and receives from a bridge that listens here; returns the number of foreign packets.
fn foreign_packets_at(bind: &str, bridge: &str) -> u64 {
    let router = Router::start();
    let port = router.udp.local_addr().unwrap().port();
    let builder = SamBridge::builder().address(router.scripted.address().to_string());
    let builder = builder.udp_address(bridge.replace("PORT", &port.to_string()));
    let builder = builder.build().unwrap().session();
    let builder = with_udp(builder, UdpOptions::new().bind(bind.parse().unwrap()));
    let session = builder.datagram(DatagramStyle::Datagram).unwrap();
    session.set_read_timeout(Some(LONG)).unwrap();
    assert_eq!(field(&router.create_line(), "HOST"), Some("127.0.0.1"));
    session.send_to(b"out", key(3).destination()).unwrap();
    assert!(router.sent().ends_with(b"out"));
    router.forward(&session, &packet("", b"in"));
    assert_eq!(receive(&session).0, b"in");
    session.dropped().foreign
}

#[test]
fn ipv4_mapped_bridge_address_is_recognised() {
    for (bind, bridge) in [
        ("[::]:0", "127.0.0.1:PORT"),
        ("[::]:0", "[::ffff:127.0.0.1]:PORT"),
        ("[::ffff:127.0.0.1]:0", "127.0.0.1:PORT"),
        ("0.0.0.0:0", "[::ffff:127.0.0.1]:PORT"),
    ] {
        assert_eq!(foreign_packets_at(bind, bridge), 0, "{bind} {bridge}");
    }
}

#[test]
fn closed_udp_port_fails_next_send_with_remedy() {
    let router = Router::start();
    let session = router.session();
    let address = router.udp.local_addr().unwrap();
    drop(router.udp);
    let peer = key(3);
    // The system reports a closed port after a packet was sent to it.
    session.send_to(b"first", peer.destination()).unwrap();
    let error = session.send_to(b"second", peer.destination()).unwrap_err();
    let Error::UdpClosed { address: named, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(**named, *address.to_string());
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    assert_eq!(error.phase(), Some(i2p_sam::Phase::Send));
    let text = error.to_string();
    assert!(text.contains("I2P_SAM_UDP_ADDRESS"), "{text}");
    assert_eq!(session.loss(), None);
}
