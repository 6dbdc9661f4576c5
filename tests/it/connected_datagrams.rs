//! Datagram sessions that are connected to one peer.

use std::io;

use i2p_sam::testing::TestBridge;
use i2p_sam::{DatagramStyle, Error};

use crate::support::datagrams::{Router, bridge_3_1, packet, receive};
use crate::support::{LONG, in_background, key, outcome};

/// Returns a packet of another sender than that of [`packet`].
fn foreign_packet(payload: &[u8]) -> Vec<u8> {
    let line = format!("{}\n", key(8).destination());
    [line.as_bytes(), payload].concat()
}

#[test]
fn send_connected_writes_the_line_that_send_to_writes() {
    let router = Router::start();
    let session = router.session();
    let peer = (key(9).destination().clone(), 53);
    session.send_to(b"hello\n", &peer).unwrap();
    let expected = router.sent();
    session.connect(&peer).unwrap();
    assert_eq!(session.send(b"hello\n").unwrap(), 6);
    assert_eq!(router.sent(), expected);
    assert_eq!(session.send(&[7; 31_744]).unwrap(), 31_744);
    assert!(router.sent().ends_with(&[7; 31_744]));
}

#[test]
fn send_connected_of_invalid_size_is_refused() {
    let router = Router::start();
    let session = router.session();
    session.connect(key(9).destination()).unwrap();
    for size in [0, 31_745] {
        let error = session.send(&vec![0; size]).unwrap_err();
        assert!(matches!(error, Error::DatagramSize { .. }), "{error}");
    }
}

#[test]
fn calls_without_a_peer_fail_as_not_connected() {
    let router = Router::start();
    let session = router.session();
    let mut buf = [0; 64];
    router.forward(&session, &packet("", b"hello"));
    for error in [
        session.send(b"x").unwrap_err().into(),
        session.recv(&mut buf).unwrap_err().into(),
        session.peek(&mut buf).unwrap_err().into(),
        session.peer_addr().unwrap_err(),
    ] {
        let error: io::Error = error;
        assert_eq!(error.kind(), io::ErrorKind::NotConnected, "{error}");
    }
    assert_eq!(receive(&session).0, b"hello");
}

#[test]
fn recv_connected_drops_and_counts_other_peers() {
    let router = Router::start();
    let session = router.session();
    session.connect(key(9).destination()).unwrap();
    router.forward(&session, &foreign_packet(b"from another"));
    router.forward(&session, &packet("", b"from the peer"));
    let mut buf = [0; 64];
    let len = session.peek(&mut buf).unwrap();
    assert_eq!(&buf[..len], b"from the peer");
    assert_eq!(session.recv(&mut buf).unwrap(), len);
    assert_eq!(session.dropped().other_peers, 1);
    assert_eq!(session.dropped().foreign, 0);
}

#[test]
fn connect_drops_waiting_datagrams_of_other_peers() {
    let router = Router::start();
    let session = router.session();
    router.forward(&session, &foreign_packet(b"from another"));
    router.forward(&session, &packet("", b"from the peer"));
    let mut buf = [0; 64];
    let (_, first) = session.peek_from(&mut buf).unwrap();
    assert_eq!(first.destination(), Some(key(8).destination()));
    session.connect(key(9).destination()).unwrap();
    assert_eq!(session.dropped().other_peers, 1);
    assert_eq!(receive(&session).0, b"from the peer");
}

#[test]
fn connect_again_changes_the_peer_of_all_clones() {
    let router = Router::start();
    let session = router.session();
    let clone = session.clone();
    session.connect(key(9).destination()).unwrap();
    clone.connect(key(8).destination()).unwrap();
    let expected = i2p_sam::I2pAddr::from(key(8).destination());
    assert_eq!(session.peer_addr().unwrap(), expected);
    router.forward(&session, &packet("", b"from the first"));
    router.forward(&session, &foreign_packet(b"from the second"));
    let mut buf = [0; 64];
    let len = session.recv(&mut buf).unwrap();
    assert_eq!(&buf[..len], b"from the second");
}

#[test]
fn port_of_peer_counts_if_datagram_has_one() {
    let router = Router::start();
    let session = router.session();
    session.connect((key(9).destination(), 53)).unwrap();
    router.forward(&session, &packet(" FROM_PORT=7 TO_PORT=8", b"other port"));
    // As i2pd forwards it.
    router.forward(&session, &packet("", b"no port"));
    router.forward(&session, &packet(" FROM_PORT=53 TO_PORT=8", b"the port"));
    let mut buf = [0; 64];
    for expected in [&b"no port"[..], b"the port"] {
        let len = session.recv(&mut buf).unwrap();
        assert_eq!(&buf[..len], expected);
    }
    assert_eq!(session.dropped().other_peers, 1);
}

#[test]
fn datagram3_claimed_sender_is_compared_by_hash() {
    let router = Router::start();
    let session = router.builder().datagram(DatagramStyle::Datagram3).unwrap();
    session.set_read_timeout(Some(LONG)).unwrap();
    session.connect(key(9).destination()).unwrap();
    router.forward(&session, &foreign_packet(b"another"));
    router.forward(&session, &packet("", b"the peer"));
    let mut buf = [0; 64];
    let len = session.recv(&mut buf).unwrap();
    assert_eq!(&buf[..len], b"the peer");
}

#[test]
fn connect_to_name_looks_it_up() {
    let router = TestBridge::start().unwrap();
    let sessions = || router.bridge().session().datagram(DatagramStyle::Datagram);
    let (client, server) = (sessions().unwrap(), sessions().unwrap());
    client.connect((server.destination().b32(), 80)).unwrap();
    let peer = client.peer_addr().unwrap();
    assert_eq!(peer.destination(), Some(server.destination()));
    assert_eq!(peer.port(), Some(80));
    let error = client.connect("nobody-has-this-name.i2p").unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error}");
    assert_eq!(client.peer_addr().unwrap(), peer);
}

#[test]
fn connect_with_port_before_3_2_is_refused() {
    let scripted = bridge_3_1();
    let session = scripted.bridge().session();
    let session = session.datagram(DatagramStyle::Datagram).unwrap();
    let refused = session.connect((key(9).destination(), 7));
    assert!(matches!(refused, Err(Error::InvalidConfig(_))));
    session.connect(key(9).destination()).unwrap();
}

#[test]
fn session_loss_ends_recv_connected() {
    let mut router = Router::start();
    let session = router.session();
    session.connect(key(9).destination()).unwrap();
    let receiver = session.clone();
    let received = in_background(move || receiver.recv(&mut [0; 64]));
    drop(router.end.take());
    assert!(outcome(&received).unwrap_err().is_session_lost());
}
