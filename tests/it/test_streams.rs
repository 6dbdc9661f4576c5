//! Streams and listeners for tests of handlers, without a bridge of their own.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use i2p_sam::testing::{ListenerFeed, StreamPair};
use i2p_sam::{Cancel, Error, SamStream, SessionLoss};

use crate::support::{LONG, in_background, outcome};

fn read(stream: &mut SamStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn pair_carries_bytes_both_ways() {
    let (mut near, mut far) = SamStream::pair().unwrap();
    near.write_all(b"ping").unwrap();
    assert_eq!(read(&mut far, 4), b"ping");
    far.write_all(b"pong").unwrap();
    assert_eq!(read(&mut near, 4), b"pong");
}

#[test]
fn sides_of_pair_are_peers_of_each_other() {
    let pair = StreamPair::with_ports(1111, 80).unwrap();
    let own = |stream: &SamStream| stream.local_addr().destination().cloned();
    assert_eq!(pair.near.peer_destination(), own(&pair.far).as_ref());
    assert_eq!(pair.far.peer_destination(), own(&pair.near).as_ref());
    assert_eq!(
        (pair.far.peer_port(), pair.far.local_port()),
        (Some(1111), Some(80))
    );
    assert_eq!(
        (pair.near.peer_port(), pair.near.local_port()),
        (Some(80), Some(1111))
    );
}

#[test]
fn end_of_one_side_is_read_on_the_other() {
    let (mut near, mut far) = SamStream::pair().unwrap();
    near.write_all(b"last words").unwrap();
    drop(near);
    let mut rest = Vec::new();
    far.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"last words");
    assert_eq!(far.loss(), None);
}

#[test]
fn lost_session_ends_both_sides_and_is_reported_by_its_own() {
    let mut pair = StreamPair::new().unwrap();
    pair.lose_far();
    assert_eq!(pair.near.read(&mut [0]).unwrap(), 0);
    assert_eq!(pair.far.read(&mut [0]).unwrap(), 0);
    assert_eq!(pair.far.loss(), Some(SessionLoss::Disconnected));
    assert_eq!(pair.near.loss(), None);
}

#[test]
fn time_out_of_pair_is_kept() {
    let (mut near, _far) = SamStream::pair().unwrap();
    near.set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    let error = near.read(&mut [0]).unwrap_err();
    assert!(matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut
    ));
}

#[test]
fn stream_from_tcp_has_given_peer_and_bytes() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut test = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let socket = listener.accept().unwrap().0;
    let mut stream = SamStream::from_tcp(socket, "peer.i2p:7").unwrap();
    assert_eq!(stream.peer_addr().to_string(), "peer.i2p:7");
    test.write_all(b"abc").unwrap();
    assert_eq!(read(&mut stream, 3), b"abc");
    drop(stream);
    assert_eq!(test.read(&mut [0]).unwrap(), 0);
}

#[test]
fn malformed_peer_of_tcp_stream_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let error = SamStream::from_tcp(socket, "no address").unwrap_err();
    assert!(matches!(error, Error::Address(_)), "{error}");
}

#[test]
fn fed_listener_accepts_in_order() {
    let (feed, listener) = ListenerFeed::new().unwrap();
    let (_one, first) = SamStream::pair().unwrap();
    let (_two, second) = SamStream::pair().unwrap();
    let peers = [&first, &second].map(|stream| stream.peer_addr().clone());
    feed.push(first);
    feed.push(second);
    for peer in peers {
        assert_eq!(listener.accept().unwrap().1, peer);
    }
    assert_eq!(listener.local_addr(), feed.local_addr());
}

#[test]
fn error_of_feed_is_returned_once() {
    let (feed, listener) = ListenerFeed::new().unwrap();
    feed.fail(Error::WouldBlock);
    assert!(matches!(listener.accept(), Err(Error::WouldBlock)));
    let error = listener.accept_timeout(Duration::from_millis(10));
    assert!(error.unwrap_err().is_timeout());
}

#[test]
fn feed_wakes_waiting_accept() {
    let (feed, listener) = ListenerFeed::new().unwrap();
    let waiting = in_background(move || listener.accept_timeout(LONG).map(drop));
    let (_near, far) = SamStream::pair().unwrap();
    feed.push(far);
    outcome(&waiting).unwrap();
}

#[test]
fn lost_feed_ends_accept_after_streams_that_wait() {
    let (feed, listener) = ListenerFeed::new().unwrap();
    let (_near, far) = SamStream::pair().unwrap();
    feed.push(far);
    feed.lose(SessionLoss::Disconnected);
    drop(feed);
    assert_eq!(listener.incoming().filter(Result::is_ok).count(), 1);
    assert_eq!(listener.loss(), Some(SessionLoss::Disconnected));
    let error = listener.accept().unwrap_err();
    assert!(matches!(
        error,
        Error::SessionLost(SessionLoss::Disconnected)
    ));
}

#[test]
fn cancel_ends_accept_of_fed_listener() {
    let (_feed, listener) = ListenerFeed::new().unwrap();
    let cancel = Cancel::new();
    let listener = listener.with_cancel(&cancel);
    let waiting = in_background(move || listener.accept().map(drop));
    cancel.cancel();
    assert!(matches!(outcome(&waiting), Err(Error::Cancelled { .. })));
}

#[test]
fn nonblocking_fed_listener_would_block() {
    let (_feed, listener) = ListenerFeed::new().unwrap();
    listener.set_nonblocking(true).unwrap();
    assert!(matches!(listener.accept(), Err(Error::WouldBlock)));
}
