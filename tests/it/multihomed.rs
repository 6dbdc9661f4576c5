//! One key at several bridges: streams arrive over any of them, one may be lost or absent from the
//! start, and the whole can be closed.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use i2p_sam::{
    BacklogPolicy, Cancel, Error, HealingEvent, HealingOptions, HealingSession, ResultCode,
    SamBridge, SamListener, SamStream, SessionBuilder, SessionLoss,
};

use crate::support::restless::{Answer, Router, SHORT, lose};
use crate::support::{LONG, eventually, field, in_background, key, outcome, refused};

/// An event, and the address of its bridge.
type Told = (String, HealingEvent);

fn two() -> (Router, Router) {
    (Router::start(), Router::start())
}

fn bridge(first: &Router, second: &Router) -> SamBridge {
    let bridge = SamBridge::builder().address(first.address());
    let bridge = bridge.fallback(&second.scripted.bridge());
    bridge.build().unwrap()
}

fn builder(first: &Router, second: &Router) -> SessionBuilder {
    let builder = bridge(first, second).session().key(&key(1));
    builder.pending_accepts(1).linger(Duration::ZERO)
}

fn listening(options: HealingOptions) -> (HealingOptions, mpsc::Receiver<Told>) {
    let (sender, events) = mpsc::channel();
    let sender = Mutex::new(sender);
    let options = options.on_event(move |bridge, event| {
        let told = (bridge.address(), event.clone());
        let _ = sender.lock().unwrap().send(told);
    });
    (options, events)
}

/// Returns a session with a replica at each bridge, and its events from now on.
fn session(first: &Router, second: &Router) -> (HealingSession, mpsc::Receiver<Told>) {
    let (options, events) = listening(HealingOptions::new().initial_backoff(SHORT));
    let session = builder(first, second).multihomed_with(&options).unwrap();
    for _ in 0..2 {
        until_back(&events);
    }
    (session, events)
}

/// Waits until a replica is up, and returns its address and the number of attempts.
fn until_back(events: &mpsc::Receiver<Told>) -> (String, u32) {
    loop {
        match events.recv_timeout(LONG).expect("nothing is told") {
            (replica, HealingEvent::Restored { attempts, .. }) => return (replica, attempts),
            (replica, HealingEvent::GaveUp { error, .. }) => panic!("{replica}: {error}"),
            _ => {}
        }
    }
}

fn until_lost(events: &mpsc::Receiver<Told>) -> String {
    loop {
        if let (replica, HealingEvent::Lost { .. }) =
            events.recv_timeout(LONG).expect("nothing is told")
        {
            return replica;
        }
    }
}

/// Returns the bridges at which there is a session.
fn replicas(session: &HealingSession) -> Vec<bool> {
    let replicas = session.replicas().into_iter();
    replicas
        .map(|replica| replica.session().is_some())
        .collect()
}

/// Returns the replica over which the next stream arrives.
fn next_replica(listener: &SamListener) -> String {
    let (stream, peer) = listener.accept_timeout(LONG).unwrap();
    assert_eq!(peer.destination(), Some(key(9).destination()));
    stream.bridge().address()
}

fn show_that_it_echoes(mut stream: &SamStream) {
    stream.write_all(b"ping").unwrap();
    let mut word = [0; 4];
    stream.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"ping");
}

fn show_that_it_ends(mut caller: &TcpStream) {
    caller.set_read_timeout(Some(LONG)).unwrap();
    assert_eq!(caller.read(&mut [0]).unwrap(), 0);
}

#[test]
fn one_listener_accepts_streams_of_all_replicas() {
    let (first, second) = two();
    let (session, _events) = session(&first, &second);
    let listener = session.listener().unwrap();
    let callers = [first.dial_in(), second.dial_in(), first.dial_in()];
    let mut expected = vec![first.address(), first.address(), second.address()];
    let mut served = Vec::new();
    for stream in listener.incoming().take(callers.len()) {
        served.push(stream.unwrap().bridge().address());
    }
    served.sort();
    expected.sort();
    assert_eq!(served, expected);
}

#[test]
fn all_replicas_share_one_key() {
    let (first, second) = two();
    let (session, _events) = session(&first, &second);
    let own = key(1).expose_base64();
    for router in [&first, &second] {
        assert_eq!(field(&router.create_lines()[0], "DESTINATION"), Some(&*own));
    }
    assert_eq!(session.destination(), key(1).destination());
    let listener = session.listener().unwrap();
    assert_eq!(
        listener.local_addr().destination(),
        Some(key(1).destination())
    );
}

#[test]
fn transient_key_is_shared_by_all_replicas() {
    let (first, second) = two();
    let (options, events) = listening(HealingOptions::new());
    let builder = bridge(&first, &second).session();
    let session = builder.multihomed_with(&options).unwrap();
    for _ in 0..2 {
        until_back(&events);
    }
    let own = session.private_key().expose_base64();
    let mut made = 0;
    for router in [&first, &second] {
        assert_eq!(field(&router.create_lines()[0], "DESTINATION"), Some(&*own));
        let lines = router.scripted.received();
        made += lines.iter().filter(|line| line.starts_with("DEST")).count();
    }
    assert_eq!(made, 1);
}

#[test]
fn lost_replica_heals_while_other_continues() {
    let (first, second) = two();
    let (session, events) = session(&first, &second);
    let listener = session.listener().unwrap();
    first.answer(&[Answer::HangUp, Answer::HangUp, Answer::Make]);
    // The accepts of the lost session.
    first.accepts.recv_timeout(LONG).unwrap();
    lose(&first.control_socket());
    assert_eq!(until_lost(&events), first.address());
    let _caller = second.dial_in();
    assert_eq!(next_replica(&listener), second.address());
    assert_eq!(until_back(&events), (first.address(), 3));
    assert_eq!(replicas(&session), [true, true]);
    let _caller = first.dial_in();
    assert_eq!(next_replica(&listener), first.address());
    let _caller = second.dial_in();
    assert_eq!(next_replica(&listener), second.address());
}

#[test]
fn bridge_absent_at_start_joins_later() {
    let (first, second) = two();
    first.answer(&[Answer::HangUp, Answer::HangUp, Answer::Make]);
    let (options, events) = listening(HealingOptions::new().initial_backoff(SHORT));
    let session = builder(&first, &second).multihomed_with(&options).unwrap();
    let listener = session.listener().unwrap();
    let _caller = second.dial_in();
    assert_eq!(next_replica(&listener), second.address());
    let mut attempts = None;
    while attempts.is_none() {
        let (replica, attempt) = until_back(&events);
        attempts = (replica == first.address()).then_some(attempt);
    }
    assert_eq!(attempts, Some(3));
    let _caller = first.dial_in();
    assert_eq!(next_replica(&listener), first.address());
}

#[test]
fn initial_failure_names_its_replica() {
    let (first, second) = two();
    first.answer(&[Answer::Say("SESSION STATUS RESULT=DUPLICATED_DEST\n")]);
    let (options, events) = listening(HealingOptions::new().initial_backoff(LONG * 10));
    let session = builder(&first, &second).multihomed_with(&options).unwrap();
    loop {
        match events.recv_timeout(LONG).unwrap() {
            (replica, HealingEvent::AttemptFailed { attempt, error, .. }) => {
                assert_eq!((replica, attempt), (first.address(), 1));
                assert!(matches!(&*error, Error::Refused(_)), "{error}");
                break;
            }
            (replica, HealingEvent::Lost { .. }) => panic!("{replica} was never there"),
            _ => {}
        }
    }
    assert_eq!(replicas(&session), [false, true]);
}

#[test]
fn unreachable_bridges_fail_start_and_are_named() {
    let closed = || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let (one, other) = (closed(), closed());
    let fallback = SamBridge::new(&other).unwrap();
    let bridge = SamBridge::builder().address(&*one).fallback(&fallback);
    let (options, events) = listening(HealingOptions::new());
    let builder = bridge.build().unwrap().session().key(&key(1));
    let Error::Unreachable { address, .. } = builder.multihomed_with(&options).unwrap_err() else {
        panic!("another error");
    };
    assert_eq!(*address, *format!("{one}, {other}"));
    // Nothing is retried, and no end is reported.
    drop(options);
    let told: Vec<_> = events.iter().collect();
    let trying = |(_, event): &Told| matches!(event, HealingEvent::Connecting { attempt: 1, .. });
    assert!(told.len() == 2 && told.iter().all(trying), "{told:?}");
}

#[test]
fn more_informative_failure_is_reported() {
    let (first, second) = two();
    first.answer(&[Answer::HangUp]);
    second.answer(&[Answer::Say("SESSION STATUS RESULT=INVALID_KEY\n")]);
    let error = builder(&first, &second).multihomed().unwrap_err();
    assert_eq!(refused(error).0, ResultCode::InvalidKey);
    for router in [&first, &second] {
        assert_eq!(router.create_lines().len(), 1);
        eventually("nothing is left", || {
            router.scripted.open_connections() == 0
        });
    }
}

#[test]
fn permanently_lost_replica_keeps_others() {
    let (first, second) = two();
    let (session, events) = session(&first, &second);
    let listener = session.listener().unwrap();
    let last_words = [Answer::Say("SESSION STATUS RESULT=INVALID_KEY\n")];
    let end = |router: &Router| {
        router.answer(&last_words);
        lose(&router.control_socket());
        loop {
            if let (replica, HealingEvent::GaveUp { .. }) = events.recv_timeout(LONG).unwrap() {
                assert_eq!(replica, router.address());
                return;
            }
        }
    };
    end(&first);
    let _caller = second.dial_in();
    assert_eq!(next_replica(&listener), second.address());
    end(&second);
    let mut incoming = listener.incoming();
    let error = incoming.next().unwrap().unwrap_err();
    assert!(matches!(error, Error::GaveUp(_)), "{error}");
    assert!(incoming.next().is_none());
    let error = session.connect("peer.i2p").unwrap_err();
    assert!(matches!(error, Error::GaveUp(_)), "{error}");
    assert!(session.listener().unwrap_err().is_session_lost());
}

#[test]
fn timed_out_accepts_lose_no_stream() {
    let (first, second) = two();
    let (session, _events) = session(&first, &second);
    let listener = session.listener().unwrap();
    let calling = in_background(move || {
        for _ in 0..50 {
            for router in [&first, &second] {
                // Each dials only after the previous one was accepted.
                router.dial_in();
            }
        }
        (first, second)
    });
    let mut served = 0;
    while served < 100 {
        match listener.accept_timeout(Duration::from_micros(100)) {
            Ok(_) => served += 1,
            Err(error) => assert!(error.is_timeout(), "{error}"),
        }
    }
    outcome(&calling);
}

#[test]
fn non_blocking_accept_finds_waiting_stream_or_nothing() {
    let (first, second) = two();
    let (session, _events) = session(&first, &second);
    let listener = session.listener().unwrap();
    listener.set_nonblocking(true).unwrap();
    let error = listener.accept().unwrap_err();
    assert!(matches!(error, Error::WouldBlock), "{error}");
    let _caller = second.dial_in();
    let mut found = None;
    eventually("the stream is there", || {
        found = listener.accept().ok();
        found.is_some()
    });
    let (stream, _) = found.unwrap();
    assert_eq!(stream.bridge().address(), second.address());
}

#[test]
fn busy_replica_does_not_starve_others() {
    let (first, second) = two();
    let (session, _events) = session(&first, &second);
    let listener = session.listener().unwrap();
    let _crowd: Vec<_> = (0..10).map(|_| first.dial_in()).collect();
    let _caller = second.dial_in();
    // The other replica's stream is on its way meanwhile.
    eventually("an accept is pending again", || {
        second.accepts.try_recv().is_ok()
    });
    let served: Vec<_> = (0..11).map(|_| next_replica(&listener)).collect();
    let place = served
        .iter()
        .position(|replica| *replica == second.address());
    assert!(place.is_some_and(|place| place < 4), "{served:?}");
}

#[test]
fn dial_continues_over_other_replica() {
    let (first, second) = two();
    let (session, events) = session(&first, &second);
    let stream = session.connect(key(2).destination()).unwrap();
    assert_eq!(stream.bridge().address(), first.address());
    first.answer(&[Answer::HangUp]);
    lose(&first.control_socket());
    until_lost(&events);
    let stream = session.connect(key(2).destination()).unwrap();
    assert_eq!(stream.bridge().address(), second.address());
    show_that_it_echoes(&stream);
}

#[test]
fn dial_on_lost_replica_continues_over_other() {
    let (first, second) = two();
    let (session, _events) = session(&first, &second);
    let control = first.control_socket();
    first.answer(&[Answer::HangUp]);
    let dialling = first.hold_dials();
    let dialler = session.clone();
    let dialled = in_background(move || dialler.connect(key(2).destination()));
    dialling.recv_timeout(LONG).unwrap();
    lose(&control);
    let stream = outcome(&dialled).unwrap();
    assert_eq!(stream.bridge().address(), second.address());
    show_that_it_echoes(&stream);
}

#[test]
fn dial_after_protocol_error_continues_over_other() {
    let (first, second) = two();
    let (session, _events) = session(&first, &second);
    first.refuse_dials("nonsense\n");
    let stream = session.connect(key(2).destination()).unwrap();
    assert_eq!(stream.bridge().address(), second.address());
    // Both replicas are up, so there is nothing to wait for.
    second.refuse_dials("nonsense\n");
    let dialled = in_background(move || session.connect(key(2).destination()));
    let error = outcome(&dialled).unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error}");
}

#[test]
fn dial_awaits_replica_until_deadline() {
    let (first, second) = two();
    let (session, events) = session(&first, &second);
    for router in [&first, &second] {
        router.answer(&[Answer::HangUp]);
        lose(&router.control_socket());
        until_lost(&events);
    }
    let peer = key(2);
    let error = session.connect_timeout(peer.destination(), SHORT);
    assert!(error.unwrap_err().is_timeout());
    let dialler = session.clone();
    let dialled = in_background(move || dialler.connect(peer.destination()));
    second.answer(&[Answer::Make]);
    let stream = outcome(&dialled).unwrap();
    assert_eq!(stream.bridge().address(), second.address());
}

#[test]
fn unreachable_peer_is_dialled_over_one_replica() {
    let (first, second) = two();
    let (session, _events) = session(&first, &second);
    first.refuse_dials("STREAM STATUS RESULT=CANT_REACH_PEER\n");
    let error = session.connect(key(2).destination()).unwrap_err();
    assert_eq!(refused(error).0, ResultCode::CantReachPeer);
    let lines = second.scripted.received();
    assert!(!lines.iter().any(|line| line.starts_with("STREAM CONNECT")));
}

#[test]
fn close_during_backoff_and_creation_returns_at_once() {
    let (first, second) = two();
    let (options, events) = listening(HealingOptions::new().initial_backoff(SHORT));
    let builder = builder(&first, &second);
    let session = builder.multihomed_with(&options).unwrap();
    for _ in 0..2 {
        until_back(&events);
    }
    let listener = session.listener().unwrap();
    first.answer(&[Answer::Nothing]);
    lose(&first.control_socket());
    let pending = first.control_socket();
    let accepting = in_background(move || listener.accept().map(drop));
    let (closer, again) = (session.clone(), session.clone());
    outcome(&in_background(move || closer.close()));
    again.close();
    let closed = |error: Error| matches!(error, Error::SessionLost(SessionLoss::Closed));
    assert!(closed(outcome(&accepting).unwrap_err()));
    assert!(closed(session.connect("peer.i2p").unwrap_err()));
    assert!(closed(session.listener().unwrap_err()));
    assert_eq!(replicas(&session), [false, false]);
    show_that_it_ends(&pending);
    assert!(second.was_told_to_quit());
}

#[test]
fn slow_bridge_delays_neither_start_nor_close() {
    let (first, second) = two();
    first.answer(&[Answer::Nothing]);
    let session = builder(&first, &second).multihomed().unwrap();
    let pending = first.control_socket();
    assert_eq!(replicas(&session), [false, true]);
    let listener = session.listener().unwrap();
    let _caller = second.dial_in();
    assert_eq!(next_replica(&listener), second.address());
    outcome(&in_background(move || session.close()));
    show_that_it_ends(&pending);
    let error = listener.accept().unwrap_err();
    assert!(error.is_session_lost(), "{error}");
}

#[test]
fn waiting_stream_is_closed_with_session() {
    let (first, second) = two();
    let (session, _events) = session(&first, &second);
    let listener = session.listener().unwrap();
    let caller = first.dial_in();
    // The stream has been taken in once the next accept is pending.
    first.accepts.recv_timeout(LONG).unwrap();
    session.close();
    show_that_it_ends(&caller);
    let error = listener.accept().unwrap_err();
    let closed = matches!(error, Error::SessionLost(SessionLoss::Closed));
    assert!(closed, "{error}");
}

#[test]
fn dropping_session_closes_all_replicas() {
    let (first, second) = two();
    let (session, _events) = session(&first, &second);
    let listener = session.listener().unwrap();
    drop(session);
    let _caller = first.dial_in();
    assert_eq!(next_replica(&listener), first.address());
    drop(listener);
    for router in [&first, &second] {
        eventually("it is closed", || router.was_told_to_quit());
    }
}

#[test]
fn listeners_share_streams_and_one_suffices() {
    let (first, second) = two();
    let (session, _events) = session(&first, &second);
    let _idle = session.listener().unwrap();
    let busy = session.listener().unwrap();
    for router in [&first, &second, &second, &first, &first, &second] {
        let _caller = router.dial_in();
        assert_eq!(next_replica(&busy), router.address());
    }
}

#[test]
fn streams_without_listener_close_next_listener_serves() {
    let (first, second) = two();
    let (session, _events) = session(&first, &second);
    let listener = session.listener().unwrap();
    let other = session.listener().unwrap();
    drop(listener);
    let _caller = first.dial_in();
    assert_eq!(next_replica(&other), first.address());
    let caller = first.dial_in();
    drop(other);
    show_that_it_ends(&caller);
    let listener = session.listener().unwrap();
    let _caller = second.dial_in();
    assert_eq!(next_replica(&listener), second.address());
}

#[test]
fn cancel_ends_waiting_calls_only() {
    let (first, second) = two();
    let (session, events) = session(&first, &second);
    let cancel = Cancel::new();
    let listener = session.listener().unwrap();
    let waiting = listener.with_cancel(&cancel);
    let accepting = in_background(move || waiting.accept().map(drop));
    first.answer(&[Answer::HangUp]);
    lose(&first.control_socket());
    until_lost(&events);
    let dialling = second.hold_dials();
    let dialler = session.with_cancel(&cancel);
    let dialled = in_background(move || dialler.connect("peer.i2p").map(drop));
    dialling.recv_timeout(LONG).unwrap();
    cancel.cancel();
    for waiting in [accepting, dialled] {
        let error = outcome(&waiting).unwrap_err();
        assert!(matches!(error, Error::Cancelled { .. }), "{error}");
    }
    let error = session.with_cancel(&cancel).listener();
    assert!(error.is_ok_and(|listener| listener.accept().is_err()));
    let _caller = second.dial_in();
    assert_eq!(next_replica(&listener), second.address());
}

#[test]
fn bridge_cancel_ends_start_and_session() {
    let (first, second) = two();
    for router in [&first, &second] {
        router.answer(&[Answer::Nothing]);
    }
    let making = |cancel: &Cancel| {
        let bridge = bridge(&first, &second).with_cancel(cancel);
        let builder = bridge.session().key(&key(1));
        in_background(move || builder.multihomed())
    };
    let cancel = Cancel::new();
    let made = making(&cancel);
    for router in [&first, &second] {
        router.control_socket();
    }
    cancel.cancel();
    let error = outcome(&made).unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }), "{error}");
    for router in [&first, &second] {
        eventually("nothing is left", || {
            router.scripted.open_connections() == 0
        });
        router.answer(&[Answer::Make]);
    }
    let cancel = Cancel::new();
    let session = outcome(&making(&cancel)).unwrap();
    let other = session.with_cancel(&Cancel::new());
    let listener = other.listener().unwrap();
    let accepting = in_background(move || listener.accept().map(drop));
    cancel.cancel();
    assert!(outcome(&accepting).unwrap_err().is_session_lost());
    let error = other.connect("peer.i2p").unwrap_err();
    assert!(error.is_session_lost(), "{error}");
}

#[test]
fn accept_refusing_bridge_is_reported_others_serve() {
    let (first, second) = two();
    let (session, _events) = session(&first, &second);
    first.refuse_accepts("STREAM STATUS RESULT=I2P_ERROR MESSAGE=\"not now\"\n");
    let listener = session.listener().unwrap();
    let _caller = second.dial_in();
    let (mut served, mut told) = (false, false);
    while !(served && told) {
        match listener.accept_timeout(LONG) {
            Ok((stream, _)) => {
                assert_eq!(stream.bridge().address(), second.address());
                served = true;
            }
            Err(error) => {
                assert_eq!(refused(error).1, "not now");
                told = true;
            }
        }
    }
}

#[test]
fn listener_is_refused_if_all_bridges_refuse() {
    let (first, second) = two();
    let (session, _events) = session(&first, &second);
    for router in [&first, &second] {
        router.refuse_accepts("STREAM STATUS RESULT=I2P_ERROR MESSAGE=\"not now\"\n");
    }
    let error = session.listener().unwrap_err();
    assert_eq!(refused(error).1, "not now");
}

#[test]
fn renewal_renews_replicas_in_turn() {
    let (first, second) = two();
    let (session, events) = session(&first, &second);
    let ids = |session: &HealingSession| -> Vec<_> {
        let replicas = session.replicas().into_iter();
        replicas
            .map(|replica| Some(replica.session()?.id().to_owned()))
            .collect()
    };
    let before = ids(&session);
    drop(first.control_socket());
    first.answer(&[Answer::Nothing]);
    let clone = session.clone();
    let renewing = in_background(move || clone.renew());
    let held = first.control_socket();
    assert_eq!(ids(&session), [None, before[1].clone()]);
    first.answer(&[Answer::Make]);
    lose(&held);
    outcome(&renewing).unwrap();
    for _ in 0..2 {
        until_back(&events);
    }
    let after = ids(&session);
    assert!(after.iter().all(Option::is_some));
    assert!(after[0] != before[0] && after[1] != before[1]);
}

#[test]
fn renewal_of_closed_session_fails() {
    let (first, second) = two();
    let (session, _events) = session(&first, &second);
    session.close();
    let outcome = session.renew();
    assert!(matches!(outcome, Err(Error::SessionLost(_))));
}

#[test]
fn single_replica_session_heals() {
    let router = Router::start();
    let (options, events) = listening(HealingOptions::new().initial_backoff(SHORT));
    let session = router.builder().multihomed_with(&options).unwrap();
    until_back(&events);
    let listener = session.listener().unwrap();
    router.show_that_it_accepts(&listener);
    router.accepts.recv_timeout(LONG).unwrap();
    lose(&router.control_socket());
    assert_eq!(until_back(&events), (router.address(), 1));
    router.show_that_it_accepts(&listener);
}

#[test]
fn wait_closed_awaits_end_of_all_replicas() {
    let (first, second) = two();
    let (session, events) = session(&first, &second);
    let invalid = || [Answer::Say("SESSION STATUS RESULT=INVALID_KEY\n")];
    first.answer(&invalid());
    lose(&first.control_socket());
    let gave_up = |events: &mpsc::Receiver<Told>| loop {
        if let (_, HealingEvent::GaveUp { .. }) = events.recv_timeout(LONG).unwrap() {
            return;
        }
    };
    gave_up(&events);
    let error = session.wait_closed(Some(SHORT)).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    second.answer(&invalid());
    lose(&second.control_socket());
    let error = session.wait_closed(Some(LONG)).unwrap().unwrap();
    assert!(matches!(&*error, Error::Refused(_)), "{error}");
    gave_up(&events);
}

#[test]
fn each_replica_keeps_backlog_and_counts_rejected_streams() {
    let (first, second) = two();
    let builder = builder(&first, &second).backlog(1);
    let builder = builder.backlog_policy(BacklogPolicy::Reject);
    let (options, events) = listening(HealingOptions::new());
    let session = builder.multihomed_with(&options).unwrap();
    for _ in 0..2 {
        until_back(&events);
    }
    let listener = session.listener().unwrap();
    assert_eq!(listener.tcp_addr(), None);
    let _callers = [&first, &second].map(|router| [(); 4].map(|()| router.dial_in()));
    eventually("each replica has rejected three streams", || {
        listener.stats().rejected == 6
    });
    let mut served = [next_replica(&listener), next_replica(&listener)];
    served.sort();
    let mut both = [first.address(), second.address()];
    both.sort();
    assert_eq!(served, both);
    session.close();
    assert_eq!(listener.loss(), Some(SessionLoss::Closed));
}
