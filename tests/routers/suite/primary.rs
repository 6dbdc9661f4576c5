//! Subsessions of a primary session: several with one destination, added and removed while it runs.

use std::io::ErrorKind;
use std::thread;

use i2p_sam::{DatagramStyle, Error, PrimarySession, SamStream, SessionLoss, StreamSession};

use crate::router::{LONG, Router};
use crate::suite::behaviours;
use crate::suite::data::{greet, rest};
use crate::suite::datagrams::{AGAIN, deliver, deliver_raw};

behaviours! {
    primary_session_dials_and_accepts_streams [Streams];
    subsessions_are_added_and_removed_while_serving [Streams];
    many_threads_add_subsessions_at_once;
    removed_subsession_ends_alone [Streams];
    primary_close_ends_all_subsessions [Streams];
    primary_session_lives_while_stream_lives [Streams];
    subsession_can_forward [Streams];
    conflicting_subsession_is_refused;
    streams_reach_subsession_of_their_port [Streams, Ports];
    datagrams_reach_subsession [DatagramSubsessions];
    raw_datagrams_reach_subsession [DatagramSubsessions];
    one_destination_serves_streams_and_datagrams [Streams, DatagramSubsessions];
    refused_subsession_keeps_session [Streams, StreamSubsessionsOnly];
}

fn primary(router: &Router) -> PrimarySession {
    router.builder().primary().unwrap()
}

/// Returns both ends of a stream to the subsession.
fn dial_in(router: &Router, session: &StreamSession) -> (SamStream, SamStream) {
    let listener = session.listener().unwrap();
    let pair = router.pair();
    let near = pair.client.connect(session.destination()).unwrap();
    let (far, peer) = listener.accept_timeout(LONG).unwrap();
    assert_eq!(peer.destination(), Some(pair.client.destination()));
    (near, far)
}

fn primary_session_dials_and_accepts_streams(router: &Router) {
    let primary = primary(router);
    let session = primary.subsession().stream().unwrap();
    assert_eq!(session.destination(), primary.destination());
    let (near, far) = dial_in(router, &session);
    greet(&near, &far);
    let pair = router.pair();
    let near = session.connect(pair.server.destination()).unwrap();
    let (far, peer) = pair.listener.accept_timeout(LONG).unwrap();
    assert_eq!(peer.destination(), Some(primary.destination()));
    greet(&near, &far);
}

fn subsessions_are_added_and_removed_while_serving(router: &Router) {
    let primary = primary(router);
    let stays = primary.subsession().stream().unwrap();
    let (near, far) = dial_in(router, &stays);
    for port in [80, 81] {
        let builder = primary.subsession().from_port(port).listen_port(port);
        for _ in 0..2 {
            let comes = builder.clone().stream().unwrap();
            greet(&near, &far);
            let pair = router.pair();
            let dialled = comes.connect(pair.server.destination()).unwrap();
            let (accepted, _) = pair.listener.accept_timeout(LONG).unwrap();
            greet(&dialled, &accepted);
            drop((dialled, accepted));
            comes.close();
            greet(&near, &far);
        }
    }
    let (near, far) = dial_in(router, &stays);
    greet(&near, &far);
    assert_eq!(primary.loss(), None);
}

fn many_threads_add_subsessions_at_once(router: &Router) {
    let primary = primary(router);
    let sessions: Vec<_> = thread::scope(|scope| {
        let adding = (1..=8).map(|port| {
            let builder = primary.subsession().from_port(port).listen_port(port);
            scope.spawn(move || builder.stream().unwrap())
        });
        let adding: Vec<_> = adding.collect();
        adding.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(sessions.iter().all(|session| session.loss().is_none()));
    primary.close();
    let closed = Some(SessionLoss::Closed);
    assert!(sessions.iter().all(|session| session.loss() == closed));
}

fn removed_subsession_ends_alone(router: &Router) {
    let primary = primary(router);
    let other = primary.subsession().from_port(7).listen_port(7);
    let other = other.stream().unwrap();
    let session = primary.subsession().stream().unwrap();
    let listener = session.listener().unwrap();
    let waiting = thread::spawn(move || listener.accept().map(drop));
    session.close();
    let ended = waiting.join().unwrap().unwrap_err();
    assert!(matches!(ended, Error::SessionLost(SessionLoss::Closed)));
    assert_eq!(session.loss(), Some(SessionLoss::Closed));
    assert_eq!((primary.loss(), other.loss()), (None, None));
    let pair = router.pair();
    let near = other.connect(pair.server.destination()).unwrap();
    let (far, _) = pair.listener.accept_timeout(LONG).unwrap();
    greet(&near, &far);
}

fn primary_close_ends_all_subsessions(router: &Router) {
    let primary = primary(router);
    let session = primary.subsession().stream().unwrap();
    let (near, far) = dial_in(router, &session);
    greet(&near, &far);
    let listener = session.listener().unwrap();
    let waiting = thread::spawn(move || listener.accept().map(drop));
    primary.close();
    assert!(rest(&far).is_empty());
    assert_eq!(far.loss(), Some(SessionLoss::Closed));
    assert!(rest(&near).is_empty(), "the far side is told");
    let ended = waiting.join().unwrap().unwrap_err();
    assert!(matches!(ended, Error::SessionLost(SessionLoss::Closed)));
    assert!(primary.subsession().stream().unwrap_err().is_session_lost());
}

fn primary_session_lives_while_stream_lives(router: &Router) {
    let primary = primary(router);
    let session = primary.subsession().stream().unwrap();
    let (near, far) = dial_in(router, &session);
    drop((primary, session));
    greet(&near, &far);
}

fn subsession_can_forward(router: &Router) {
    let session = primary(router).subsession().stream().unwrap();
    let listener = session.forward().unwrap();
    let pair = router.pair();
    let near = pair.client.connect(session.destination()).unwrap();
    let (far, peer) = listener.accept_timeout(LONG).unwrap();
    assert_eq!(peer.destination(), Some(pair.client.destination()));
    greet(&near, &far);
    session.close();
    assert!(listener.accept().unwrap_err().is_session_lost());
}

fn conflicting_subsession_is_refused(router: &Router) {
    let primary = primary(router);
    let first = primary.subsession().stream().unwrap();
    assert!(matches!(
        primary.subsession().stream().unwrap_err(),
        Error::Conflict(_)
    ));
    drop(first);
    primary.subsession().stream().unwrap();
}

fn streams_reach_subsession_of_their_port(router: &Router) {
    let primary = primary(router);
    let web = primary.subsession().listen_port(80).stream().unwrap();
    let mail = primary.subsession().listen_port(25).stream().unwrap();
    let (web, mail) = (web.listener().unwrap(), mail.listener().unwrap());
    let pair = router.pair();
    for (listener, port) in [(&mail, 25), (&web, 80)] {
        let address = (primary.destination(), port);
        let near = pair.client.connect(address).unwrap();
        let (far, _) = listener.accept_timeout(LONG).unwrap();
        assert_eq!(far.local_port(), Some(port));
        greet(&near, &far);
    }
}

fn datagrams_reach_subsession(router: &Router) {
    let session = primary(router)
        .subsession()
        .datagram(DatagramStyle::Datagram)
        .unwrap();
    let peer = router.builder().datagram(DatagramStyle::Datagram).unwrap();
    for session in [&session, &peer] {
        session.set_read_timeout(Some(AGAIN)).unwrap();
    }
    let sender = deliver(&peer, &session, b"to a subsession");
    assert_eq!(sender.destination(), Some(peer.destination()));
    let sender = deliver(&session, &peer, b"from a subsession");
    assert_eq!(sender.destination(), Some(session.destination()));
}

fn raw_datagrams_reach_subsession(router: &Router) {
    let session = primary(router).subsession().raw().unwrap();
    let peer = router.builder().raw().unwrap();
    for session in [&session, &peer] {
        session.set_read_timeout(Some(AGAIN)).unwrap();
    }
    deliver_raw(&peer, &session, b"to a subsession");
    deliver_raw(&session, &peer, b"from a subsession");
}

fn one_destination_serves_streams_and_datagrams(router: &Router) {
    let primary = primary(router);
    let streams = primary.subsession().stream().unwrap();
    let datagrams = primary
        .subsession()
        .datagram(DatagramStyle::Datagram)
        .unwrap();
    datagrams.set_read_timeout(Some(AGAIN)).unwrap();
    // emissary has one table of ports for both kinds.
    let elsewhere = primary.subsession().from_port(9).listen_port(9);
    let raw = elsewhere.raw().unwrap();
    let peer = router.builder().datagram(DatagramStyle::Datagram).unwrap();
    deliver(&peer, &datagrams, b"a datagram");
    let (near, far) = dial_in(router, &streams);
    deliver(&peer, &datagrams, b"a datagram beside a stream");
    raw.close();
    greet(&near, &far);
    deliver(&peer, &datagrams, b"a datagram when its neighbour is gone");
    assert_eq!(datagrams.destination(), streams.destination());
}

fn refused_subsession_keeps_session(router: &Router) {
    let primary = primary(router);
    let error = primary
        .subsession()
        .datagram(DatagramStyle::Datagram)
        .unwrap_err();
    assert!(matches!(error, Error::Unsupported(_)), "{error}");
    let error = primary.subsession().raw().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let (near, far) = dial_in(router, &primary.subsession().stream().unwrap());
    greet(&near, &far);
}
