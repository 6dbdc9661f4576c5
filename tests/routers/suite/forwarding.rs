//! Forwarding: the router connects to us for each stream.

use std::net::TcpListener;
use std::thread;

use i2p_sam::{Error, ForwardOptions, SessionLoss};

use crate::router::{LONG, Router};
use crate::suite::behaviours;
use crate::suite::data::{greet, rest};

behaviours! {
    forwarded_stream_arrives_with_its_peer [Streams];
    forwarding_accepts_twenty_consecutive_dials [Streams];
    second_forwarding_accepts_streams [Streams, ForwardAgain];
    silent_forwarding_starts_at_first_byte [Streams];
    session_close_ends_forwarding;
}

fn forwarded_stream_arrives_with_its_peer(router: &Router) {
    let server = router.session();
    let listener = server.forward().unwrap();
    let pair = router.pair();
    let near = pair.client.connect(server.destination()).unwrap();
    let (far, peer) = listener.accept_timeout(LONG).unwrap();
    assert_eq!(peer.destination(), Some(pair.client.destination()));
    assert_eq!(far.local_addr().destination(), Some(server.destination()));
    greet(&near, &far);
    drop(near);
    assert!(rest(&far).is_empty());
}

fn forwarding_accepts_twenty_consecutive_dials(router: &Router) {
    let server = router.session();
    let listener = server.forward().unwrap();
    let pair = router.pair();
    for _ in 0..20 {
        let near = pair.client.connect(server.destination()).unwrap();
        let (far, _) = listener.accept_timeout(LONG).unwrap();
        greet(&near, &far);
    }
    assert_eq!(listener.stats().dropped_callers, 0);
}

fn second_forwarding_accepts_streams(router: &Router) {
    let server = router.session();
    let pair = router.pair();
    for _ in 0..2 {
        let listener = server.forward().unwrap();
        let near = pair.client.connect(server.destination()).unwrap();
        let (far, _) = listener.accept_timeout(LONG).unwrap();
        greet(&near, &far);
    }
}

fn silent_forwarding_starts_at_first_byte(router: &Router) {
    use std::io::{Read, Write};

    let server = router.session();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = tcp.local_addr().unwrap().port();
    let silent = ForwardOptions::new().silent(true);
    let _forwarding = server.forward_to(port, &silent).unwrap();
    let pair = router.pair();
    let mut near = pair.client.connect(server.destination()).unwrap();
    near.write_all(b"hello").unwrap();
    let (mut far, _) = tcp.accept().unwrap();
    let mut first = [0; 5];
    far.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"hello");
}

fn session_close_ends_forwarding(router: &Router) {
    let session = router.session();
    let listener = session.forward().unwrap();
    let waiting = thread::spawn(move || listener.accept().map(drop));
    session.close();
    let closed = SessionLoss::Closed;
    let outcome = waiting.join().unwrap();
    assert!(matches!(outcome, Err(Error::SessionLost(loss)) if loss == closed));
}
