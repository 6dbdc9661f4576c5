//! Accepting: pending accepts, accepted streams, and what ends an accept.

use std::io::{Read, Write};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use i2p_sam::{Cancel, Error, ForwardOptions, ResultCode, SamListener, SessionLoss};

use crate::support::ordered::{Ordered, calls};
use crate::support::{
    LONG, ScriptedBridge, Stage, Visit, eventually, in_background, key, outcome, pause,
};

fn read(mut stream: &i2p_sam::SamStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn peer_ports_and_first_byte_are_separated() {
    let router = Ordered::start();
    let session = router.session(1);
    let listener = session.listener().unwrap();
    router.order(calls(9));
    let (stream, peer) = listener.accept_timeout(LONG).unwrap();
    assert_eq!(stream.peer_destination(), Some(key(9).destination()));
    assert_eq!(peer, *stream.peer_addr());
    assert_eq!(
        (stream.peer_port(), stream.local_port()),
        (Some(7), Some(80))
    );
    assert_eq!(
        stream.local_addr().destination(),
        Some(session.destination())
    );
    assert_eq!(read(&stream, 5), b"hello");
}

#[test]
fn timed_out_accepts_leave_same_pending_sockets() {
    let router = Ordered::start();
    let listener = router.session(3).listener().unwrap();
    eventually("three are pending", || {
        router.bridge.open_connections() == 4
    });
    for _ in 0..1000 {
        let error = listener
            .accept_timeout(Duration::from_millis(1))
            .unwrap_err();
        assert!(error.is_timeout(), "{error}");
    }
    assert_eq!(router.bridge.connections(), 4);
    router.order(calls(1));
    assert!(listener.accept_timeout(LONG).is_ok());
}

#[test]
fn accepted_stream_gets_replacement_pending_accept() {
    let router = Ordered::start();
    let listener = router.session(2).listener().unwrap();
    for seed in 0..20 {
        router.order(calls(seed));
        let (_, peer) = listener.accept_timeout(LONG).unwrap();
        assert_eq!(peer.destination(), Some(key(seed).destination()));
    }
}

#[test]
fn silent_end_of_young_accept_at_i2pd_leaves_one_pending() {
    let router = Ordered::start();
    router.bridge.answer_as_i2pd();
    let session = router.session(4);
    let listener = session.listener().unwrap();
    eventually("four are pending", || router.bridge.open_connections() == 5);
    for _ in 0..3 {
        router.order(|_| {});
    }
    eventually("one is left", || router.bridge.open_connections() == 2);
    router.order(calls(1));
    assert!(listener.accept_timeout(LONG).is_ok());
    router.order(calls(2));
    assert!(listener.accept_timeout(LONG).is_ok());
    // Four accepts, and one for each of the two streams.
    eventually("one is pending", || accepts_so_far(&router) == 6);
}

#[test]
fn silent_end_of_young_accept_elsewhere_is_replaced() {
    let router = Ordered::start();
    let _listener = router.session(4).listener().unwrap();
    eventually("four are pending", || router.bridge.open_connections() == 5);
    for _ in 0..3 {
        router.order(|_| {});
    }
    eventually("four are pending again", || accepts_so_far(&router) == 7);
    eventually("all of them stay", || router.bridge.open_connections() == 5);
}

#[test]
fn silent_end_of_old_accept_at_i2pd_is_replaced() {
    let router = Ordered::start();
    router.bridge.answer_as_i2pd();
    let _listener = router.session(4).listener().unwrap();
    eventually("four are pending", || router.bridge.open_connections() == 5);
    pause(Duration::from_millis(3100));
    router.order(|_| {});
    eventually("four are pending again", || accepts_so_far(&router) == 5);
    eventually("all of them stay", || router.bridge.open_connections() == 5);
}

#[test]
fn stream_is_accepted_while_bridge_withholds_greeting() {
    let router = ScriptedBridge::start(|visit| {
        // The session and two accepts; the later connections are standby sockets.
        if visit.number > 2 {
            visit.line();
            return drop(visit.rest());
        }
        visit.line();
        visit.say("HELLO REPLY RESULT=OK VERSION=3.1\n");
        let Some(line) = visit.line() else { return };
        if line.starts_with("SESSION CREATE") {
            visit.make_session(&line);
            return visit.until_quit();
        }
        visit.say("STREAM STATUS RESULT=OK\n");
        calls(visit.number as u8)(visit);
    });
    let session = router.bridge().session().stream().unwrap();
    let listener = session.listener().unwrap();
    listener.accept_timeout(LONG).unwrap();
    let start = Instant::now();
    listener.accept_timeout(LONG).unwrap();
    assert!(start.elapsed() < Duration::from_secs(5));
}

/// Returns the number of ACCEPTs that were sent.
fn accepts_so_far(router: &Ordered) -> usize {
    let lines = router.bridge.received().into_iter();
    lines
        .filter(|line| line.starts_with("STREAM ACCEPT"))
        .count()
}

#[test]
fn single_pending_accept_prepares_next_after_first_peer() {
    let router = Ordered::start();
    let builder = router.builder(1).linger(Duration::ZERO);
    let listener = builder.stream().unwrap().listener().unwrap();
    assert_eq!(router.bridge.connections(), 2);
    for seed in 0..8 {
        router.order(calls(seed));
        assert!(listener.accept_timeout(LONG).is_ok());
    }
    // The control socket, eight streams, one pending accept and eight standby sockets.
    eventually("eight stand ready", || {
        router.bridge.connections() == 1 + 8 + 1 + 8
    });
    assert_eq!(accepts_so_far(&router), 9);
    drop(listener);
    // The bridge still waits for an order for the pending accept.
    eventually("they end with the session", || {
        router.bridge.open_connections() == 1
    });
}

#[test]
fn closed_standby_socket_is_skipped() {
    let (orders, order) = mpsc::channel::<u8>();
    let order = Mutex::new(order);
    let bridge = ScriptedBridge::start(move |visit| {
        visit.greet();
        // The first two standby sockets; the session and two accepts came before.
        if (3..5).contains(&visit.number) {
            visit.say("SESSION STATUS RESULT=I2P_ERROR MESSAGE=\"command timeout, bye\"\n");
            return;
        }
        let Some(line) = visit.line() else { return };
        if line.starts_with("SESSION CREATE") {
            visit.make_session(&line);
            visit.until_quit();
            return;
        }
        visit.say("STREAM STATUS RESULT=OK\n");
        if let Ok(seed) = order.lock().unwrap().recv() {
            visit.say(&format!("{}\n", key(seed).destination()));
            visit.rest();
        }
    });
    let builder = bridge.bridge().session().pending_accepts(1);
    let listener = builder.stream().unwrap().listener().unwrap();
    for seed in 1..5 {
        orders.send(seed).unwrap();
        let (_, peer) = listener.accept_timeout(LONG).unwrap();
        assert_eq!(peer.destination(), Some(key(seed).destination()));
    }
}

#[test]
fn late_refusal_is_reported_and_accepting_continues() {
    let router = Ordered::start();
    let listener = router.session(1).listener().unwrap();
    router.order(|visit| visit.say("STREAM STATUS RESULT=I2P_ERROR MESSAGE=\"no tunnels\"\n"));
    let error = listener.accept_timeout(LONG).unwrap_err();
    let Error::Refused(refusal) = error else {
        panic!("{error}");
    };
    assert_eq!(refusal.explanation(), Some("no tunnels"));
    router.order(calls(3));
    assert!(listener.accept_timeout(LONG).is_ok());
}

#[test]
fn forwarding_session_sends_no_further_accept() {
    let router = Ordered::start();
    let listener = router.session(1).listener().unwrap();
    router.order(|visit| visit.say("STREAM STATUS RESULT=ALREADY_ACCEPTING\n"));
    for _ in 0..3 {
        let error = listener.accept_timeout(LONG).unwrap_err();
        assert!(
            matches!(&error, Error::Refused(r) if *r.code() == ResultCode::AlreadyAccepting),
            "{error}"
        );
    }
    assert_eq!(listener.incoming().count(), 1);
    assert_eq!(router.bridge.connections(), 2);
}

#[test]
fn invalid_destination_is_dropped_and_accepting_continues() {
    let router = Ordered::start();
    let listener = router.session(1).listener().unwrap();
    router.order(|visit| visit.say("not-a-destination\n"));
    let error = listener.accept_timeout(LONG).unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error}");
    router.order(calls(3));
    assert!(listener.accept_timeout(LONG).is_ok());
}

#[test]
fn truncated_destination_line_yields_no_peer() {
    let router = Ordered::start();
    let listener = router.session(1).listener().unwrap();
    router.order(|visit| visit.say(&format!("{} TO_PORT=22", key(1).destination())));
    router.order(calls(2));
    let (_, peer) = listener.accept_timeout(LONG).unwrap();
    assert_eq!(peer.destination(), Some(key(2).destination()));
}

#[test]
fn streams_without_listener_are_closed_accepts_stay() {
    let router = Ordered::start();
    let session = router.session(1);
    drop(session.listener().unwrap());
    let (told, tells) = mpsc::channel();
    router.order(move |visit| {
        calls(1)(visit);
        told.send(()).unwrap();
    });
    tells.recv_timeout(LONG).expect("the stream was kept");
    eventually("pending again", || accepts_so_far(&router) == 2);
    let listener = session.listener().unwrap();
    router.order(calls(2));
    let (_, peer) = listener.accept_timeout(LONG).unwrap();
    assert_eq!(peer.destination(), Some(key(2).destination()));
}

#[test]
fn streams_beyond_backlog_wait_without_loss() {
    const STREAMS: u8 = 100;
    let router = Ordered::start();
    let listener = router.session(4).listener().unwrap();
    for seed in 0..STREAMS {
        router.order(calls(seed));
    }
    // 64 wait in the queue, and each of the four threads holds one that does not fit.
    eventually("the backlog is full", || router.bridge.connections() == 69);
    let mut peers: Vec<_> = (0..STREAMS)
        .map(|_| listener.accept_timeout(LONG).unwrap().1.b32())
        .collect();
    peers.sort();
    peers.dedup();
    assert_eq!(peers.len(), usize::from(STREAMS));
}

#[test]
fn non_blocking_accept_without_peer_would_block() {
    let router = Ordered::start();
    let listener = router.session(1).listener().unwrap();
    listener.set_nonblocking(true).unwrap();
    assert!(matches!(listener.accept(), Err(Error::WouldBlock)));
    router.order(calls(1));
    eventually("a peer is there", || listener.accept().is_ok());
}

#[test]
fn session_loss_ends_accepts_incoming_reports_once() {
    let (hang_up, hung_up) = mpsc::channel::<()>();
    let hung_up = Mutex::new(hung_up);
    let bridge = ScriptedBridge::router(move |visit, stage| match stage {
        Stage::Session => {
            let _ = hung_up.lock().unwrap().recv();
        }
        // Some routers leave pending accepts open after their session has ended.
        _ => drop(visit.rest()),
    });
    let session = bridge.bridge().session().stream().unwrap();
    let listener = Arc::new(session.listener().unwrap());
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let listener = Arc::clone(&listener);
            in_background(move || {
                listener
                    .incoming()
                    .map(|s| s.unwrap_err())
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    hang_up.send(()).unwrap();
    for accepting in &waiting {
        let errors = outcome(accepting);
        assert_eq!(errors.len(), 1);
        let lost = SessionLoss::Disconnected;
        assert!(matches!(&errors[0], Error::SessionLost(loss) if *loss == lost));
    }
    assert!(session.listener().unwrap_err().is_session_lost());
    eventually("no socket is left", || bridge.open_connections() == 0);
}

#[test]
fn cancelled_accept_ends_within_100_ms_listener_continues() {
    let router = Ordered::start();
    let listener = Arc::new(router.session(1).listener().unwrap());
    let cancel = Cancel::new();
    let cancellable = listener.with_cancel(&cancel);
    let waiting = in_background(move || (cancellable.accept().map(drop), Instant::now()));
    let began = Instant::now();
    cancel.cancel();
    let (result, ended) = outcome(&waiting);
    assert!(matches!(result, Err(Error::Cancelled { .. })));
    assert!(ended - began < Duration::from_millis(100));
    router.order(calls(1));
    assert!(listener.accept_timeout(LONG).is_ok());
}

#[test]
fn cancel_before_accept_ends_accept_and_incoming() {
    let router = Ordered::start();
    let session = router.session(1);
    let cancel = Cancel::new();
    let listener: SamListener = session.listener().unwrap().with_cancel(&cancel);
    router.order(calls(1));
    cancel.cancel();
    assert!(matches!(listener.accept(), Err(Error::Cancelled { .. })));
    assert_eq!(listener.incoming().count(), 1);
    let refused = session.with_cancel(&cancel).listener();
    assert!(matches!(refused, Err(Error::Cancelled { .. })));
}

#[test]
fn accepted_stream_survives_cancel() {
    let router = Ordered::start();
    let cancel = Cancel::new();
    let listener = router.session(1).listener().unwrap().with_cancel(&cancel);
    router.order(|visit| {
        calls(1)(visit);
    });
    let (stream, _) = listener.accept_timeout(LONG).unwrap();
    cancel.cancel();
    assert_eq!(read(&stream, 5), b"hello");
    (&stream).write_all(b"still here").unwrap();
}

#[test]
fn refused_first_accept_fails_listener_retry_succeeds() {
    let first = Mutex::new(true);
    let bridge = ScriptedBridge::start(move |visit| {
        visit.greet();
        let Some(line) = visit.line() else { return };
        if line.starts_with("SESSION CREATE") {
            visit.make_session(&line);
            visit.until_quit();
        } else if std::mem::take(&mut *first.lock().unwrap()) {
            visit.say("STREAM STATUS RESULT=I2P_ERROR\n");
        } else {
            visit.say("STREAM STATUS RESULT=OK\n");
            calls(1)(visit);
        }
    });
    let session = bridge
        .bridge()
        .session()
        .pending_accepts(1)
        .stream()
        .unwrap();
    assert!(matches!(session.listener(), Err(Error::Refused(_))));
    let listener = session.listener().unwrap();
    assert!(listener.accept_timeout(LONG).is_ok());
}

#[test]
fn stream_with_first_accept_reaches_listener() {
    let bridge = ScriptedBridge::router(|visit, stage| match stage {
        Stage::Accept => calls(1)(visit),
        _ => visit.until_quit(),
    });
    for _ in 0..50 {
        let session = bridge
            .bridge()
            .session()
            .pending_accepts(1)
            .stream()
            .unwrap();
        let listener = session.listener().unwrap();
        assert_eq!(read(&listener.accept_timeout(LONG).unwrap().0, 5), b"hello");
    }
}

/// A bridge that runs `accept` for each ACCEPT, and accepts any FORWARD.
fn takes_forwards(accept: impl Fn(&mut Visit<'_, '_>) + Send + Sync + 'static) -> ScriptedBridge {
    ScriptedBridge::start(move |visit| {
        visit.greet();
        let Some(line) = visit.line() else { return };
        if line.starts_with("SESSION CREATE") {
            visit.make_session(&line);
            visit.until_quit();
        } else if line.starts_with("STREAM ACCEPT") {
            accept(visit);
        } else {
            visit.say("STREAM STATUS RESULT=OK\n");
            visit.rest();
        }
    })
}

#[test]
fn session_with_refused_accept_can_forward() {
    let refusals: [fn(&mut Visit<'_, '_>); 2] = [
        |visit| visit.say("STREAM STATUS RESULT=I2P_ERROR\n"),
        |_hangs_up| {},
    ];
    for refusal in refusals {
        let bridge = takes_forwards(refusal);
        let session = bridge.bridge().session().stream().unwrap();
        assert!(session.listener().is_err());
        assert!(session.forward_to(80, &ForwardOptions::new()).is_ok());
    }
}

#[test]
fn session_cancelled_before_accept_can_forward() {
    let bridge = takes_forwards(|visit| drop(visit.rest()));
    let session = bridge.bridge().session().stream().unwrap();
    let cancel = Cancel::new();
    cancel.cancel();
    let cancelled = session.with_cancel(&cancel).listener();
    assert!(matches!(cancelled, Err(Error::Cancelled { .. })));
    assert!(session.forward_to(80, &ForwardOptions::new()).is_ok());
}

/// Java I2P keeps an ACCEPT whose socket was closed, and then refuses any FORWARD.
#[test]
fn session_with_abandoned_accept_refuses_to_forward() {
    let scripted = takes_forwards(|visit| drop(visit.rest()));
    let bridge = i2p_sam::SamBridge::builder()
        .address(scripted.address().to_string())
        .command_timeout(Some(Duration::from_millis(50)))
        .build()
        .unwrap();
    let session = bridge.session().stream().unwrap();
    assert!(session.listener().unwrap_err().is_timeout());
    let forward = session.forward_to(80, &ForwardOptions::new());
    assert!(matches!(forward, Err(Error::Conflict(_))));
}
