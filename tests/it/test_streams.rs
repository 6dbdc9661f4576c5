//! Streams and listeners for tests of handlers, without a bridge of their own.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use i2p_sam::testing::{ListenerFeed, StreamPair};
use i2p_sam::{Cancel, Error, ListenerStats, SamStream, SessionLoss};

use crate::support::{LONG, in_background, outcome};

fn read(stream: &mut SamStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// A peer's side of a stream, whose reads do not wait for ever, and the listener's.
fn peer() -> (SamStream, SamStream) {
    let (near, far) = SamStream::pair().unwrap();
    near.set_read_timeout(Some(LONG)).unwrap();
    (near, far)
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
fn lost_session_is_noticed_when_call_returns() {
    for _ in 0..20 {
        let pair = StreamPair::new().unwrap();
        pair.lose_near();
        assert_eq!(pair.near.loss(), Some(SessionLoss::Disconnected));
    }
}

#[test]
fn lost_session_of_one_pair_leaves_another() {
    let (lost, mut pair) = (StreamPair::new().unwrap(), StreamPair::new().unwrap());
    lost.lose_near();
    lost.lose_far();
    pair.near.write_all(b"on").unwrap();
    assert_eq!(read(&mut pair.far, 2), b"on");
}

#[test]
fn loss_during_handler_is_seen_by_handler() {
    for _ in 0..20 {
        let pair = StreamPair::new().unwrap();
        let mut stream = pair.far.try_clone().unwrap();
        let handler = in_background(move || (stream.read(&mut [0]).unwrap(), stream.loss()));
        pair.lose_far();
        assert_eq!(outcome(&handler), (0, Some(SessionLoss::Disconnected)));
    }
}

#[test]
fn bytes_written_before_drop_arrive_at_late_reader() {
    const LEN: usize = 16 << 20;
    let (mut near, mut far) = SamStream::pair().unwrap();
    let writer = in_background(move || near.write_all(&vec![7; LEN]));
    let mut total = read(&mut far, LEN / 2).len();
    total += io::copy(&mut far, &mut io::sink()).unwrap() as usize;
    outcome(&writer).unwrap();
    assert_eq!(total, LEN);
}

#[test]
fn pair_without_ports_has_none() {
    let (near, far) = SamStream::pair().unwrap();
    for stream in [near, far] {
        assert_eq!((stream.peer_port(), stream.local_port()), (None, None));
    }
}

#[test]
fn handler_of_lines_replies_to_each() {
    fn number_lines(stream: &SamStream) -> io::Result<()> {
        for (number, line) in BufReader::new(stream).lines().enumerate() {
            let reply = format!("{number}: {}\n", line?);
            { stream }.write_all(reply.as_bytes())?;
        }
        Ok(())
    }

    let (near, far) = SamStream::pair().unwrap();
    let handler = in_background(move || number_lines(&far));
    let mut replies = BufReader::new(&near).lines();
    for (line, reply) in [("one\n", "0: one"), ("two\n", "1: two")] {
        (&near).write_all(line.as_bytes()).unwrap();
        assert_eq!(replies.next().unwrap().unwrap(), reply);
    }
    drop(near);
    outcome(&handler).unwrap();
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
fn end_of_tcp_side_ends_stream_without_loss() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let test = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let socket = listener.accept().unwrap().0;
    let mut stream = SamStream::from_tcp(socket, "peer.i2p").unwrap();
    drop(test);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    assert_eq!(stream.loss(), None);
}

#[test]
fn streams_from_tcp_have_own_addresses() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let [one, two] = [1, 2].map(|_| {
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        SamStream::from_tcp(socket, "peer.i2p").unwrap()
    });
    assert_ne!(one.local_addr(), two.local_addr());
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
fn error_of_feed_comes_after_streams_that_wait() {
    let (feed, listener) = ListenerFeed::new().unwrap();
    feed.push(peer().1);
    feed.fail(Error::WouldBlock);
    feed.push(peer().1);
    let accepted = [1, 2, 3].map(|_| listener.accept().is_ok());
    assert_eq!(accepted, [true, false, true]);
}

#[test]
fn stream_pushed_after_loss_is_closed() {
    let (feed, listener) = ListenerFeed::new().unwrap();
    feed.lose(SessionLoss::Disconnected);
    let (mut near, far) = peer();
    feed.push(far);
    assert_eq!(near.read(&mut [0]).unwrap(), 0);
    assert!(matches!(listener.accept(), Err(Error::SessionLost(_))));
}

#[test]
fn streams_that_wait_are_closed_with_last_handle() {
    let (feed, listener) = ListenerFeed::new().unwrap();
    let (mut near, far) = peer();
    feed.push(far);
    let second = listener.try_clone().unwrap();
    drop(listener);
    near.set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    near.read(&mut [0]).unwrap_err();
    near.set_read_timeout(Some(LONG)).unwrap();
    drop(second);
    assert_eq!(near.read(&mut [0]).unwrap(), 0);
}

#[test]
fn stream_pushed_to_dropped_listener_is_closed() {
    let (feed, listener) = ListenerFeed::new().unwrap();
    drop(listener);
    let (mut near, far) = peer();
    feed.push(far);
    assert_eq!(near.read(&mut [0]).unwrap(), 0);
}

#[test]
fn handles_of_fed_listener_share_streams() {
    let (feed, listener) = ListenerFeed::new().unwrap();
    let second = listener.try_clone().unwrap();
    feed.push(peer().1);
    feed.push(peer().1);
    assert!(listener.accept().is_ok() && second.accept().is_ok());
}

#[test]
fn fed_listener_dropped_feed_ends_as_closed() {
    let (feed, listener) = ListenerFeed::new().unwrap();
    let waiting = in_background(move || listener.accept().map(drop));
    drop(feed);
    let error = outcome(&waiting).unwrap_err();
    assert!(matches!(error, Error::SessionLost(SessionLoss::Closed)));
}

#[test]
fn fed_listener_counts_no_rejected_streams() {
    let (feed, listener) = ListenerFeed::new().unwrap();
    feed.push(peer().1);
    assert_eq!(listener.stats(), ListenerStats::default());
    assert_eq!((listener.tcp_addr(), listener.loss()), (None, None));
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
