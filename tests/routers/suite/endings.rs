//! How streams and sessions end.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use i2p_sam::{Cancel, Error, SessionLoss};

use crate::child::{self, Child};
use crate::passer_by;
use crate::router::{LONG, Pair, Router};
use crate::suite::behaviours;
use crate::suite::data::{bytes, greet, put, rest, take};

behaviours! {
    dialler_close_ends_peer_read [Streams];
    acceptor_close_ends_peer_read [Streams];
    data_written_before_close_arrives [Streams];
    bulk_written_before_close_arrives [Streams, BulkBeforeEnd];
    bulk_arrives_if_reader_closes_first [Streams];
    last_data_of_ended_session_arrives [Streams];
    shutdown_ends_read_of_clone [Streams];
    fired_handle_ends_stream_on_both_sides [Streams];
    stream_end_keeps_session [Streams];
    exit_after_stream_finish_delivers_all [Streams];
    exit_after_session_finish_delivers_all [Streams];
    stream_outlives_dropped_session [Streams];
    listener_outlives_dropped_session [Streams];
    session_close_ends_streams_on_both_sides [Streams];
    session_close_ends_waiting_calls;
    closed_session_reports_its_end;
    session_can_be_closed_twice;
    killed_router_ends_blocked_calls_within_1_s [Streams, Restart];
    same_key_serves_after_router_restart [Streams, Restart];
}

fn dialler_close_ends_peer_read(router: &Router) {
    let (near, far) = router.pair().dial();
    greet(&near, &far);
    drop(near);
    assert!(rest(&far).is_empty());
}

fn acceptor_close_ends_peer_read(router: &Router) {
    let (near, far) = router.pair().dial();
    greet(&near, &far);
    drop(far);
    assert!(rest(&near).is_empty());
}

fn data_written_before_close_arrives(router: &Router) {
    write_and_hang_up(router, 20_000);
}

fn bulk_written_before_close_arrives(router: &Router) {
    write_and_hang_up(router, 200_000);
}

fn write_and_hang_up(router: &Router, len: usize) {
    let (near, far) = router.pair().dial();
    greet(&near, &far);
    let last = bytes(len, 3);
    put(&far, &last);
    drop(far);
    assert_eq!(rest(&near), last);
}

fn bulk_arrives_if_reader_closes_first(router: &Router) {
    let (near, far) = router.pair().dial();
    let last = bytes(500_000, 6);
    thread::scope(|scope| {
        scope.spawn(|| {
            put(&far, &last);
            assert!(rest(&far).is_empty());
        });
        assert_eq!(take(&near, last.len()), last);
        drop(near);
    });
}

fn last_data_of_ended_session_arrives(router: &Router) {
    let session = router.session();
    let pair = router.pair();
    let last = bytes(20_000, 4);
    put(&session.connect(pair.server.destination()).unwrap(), &last);
    drop(session);
    // Stream and session are gone by now.
    let (far, _) = pair.listener.accept_timeout(LONG).unwrap();
    assert_eq!(rest(&far), last);
}

fn exit_after_stream_finish_delivers_all(router: &Router) {
    let pair = router.pair();
    let child = passer_by(router, &pair, "stream");
    let (far, _) = pair.listener.accept_timeout(LONG).unwrap();
    assert_eq!(take(&far, passer_by::BYTES), bytes(passer_by::BYTES, 7));
    // The child waits for this.
    drop(far);
    child.finish();
}

fn exit_after_session_finish_delivers_all(router: &Router) {
    let pair = router.pair();
    let child = passer_by(router, &pair, "session");
    let (far, _) = pair.listener.accept_timeout(LONG).unwrap();
    assert_eq!(rest(&far), bytes(passer_by::BYTES, 7));
    child.finish();
}

/// Starts a program that writes to the server of the pair, and ends in this way.
fn passer_by(router: &Router, pair: &Pair, end: &str) -> Child {
    let mut command = child::command("passer-by").unwrap();
    let address = pair.server.destination().to_base64();
    let options = router.raw_options();
    let options = options
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    command.args([address.as_str(), end]).args(options);
    command.env("I2P_SAM_ADDRESS", router.bridge().address());
    Child::start(&mut command)
}

fn shutdown_ends_read_of_clone(router: &Router) {
    let (near, _far) = router.pair().dial();
    let reader = near.try_clone().unwrap();
    let reading = thread::spawn(move || rest(&reader));
    near.shutdown(Shutdown::Both).unwrap();
    assert!(reading.join().unwrap().is_empty());
}

fn fired_handle_ends_stream_on_both_sides(router: &Router) {
    let (near, far) = router.pair().dial();
    greet(&near, &far);
    let cancel = Cancel::new();
    near.shutdown_with(&cancel);
    let (sender, receiver) = mpsc::channel();
    let mut reader = near.try_clone().unwrap();
    thread::spawn(move || sender.send(reader.read(&mut [0; 1])).unwrap());
    cancel.cancel();
    let error = receiver.recv_timeout(LONG).unwrap().unwrap_err();
    let error = error.downcast::<Error>().unwrap();
    assert!(matches!(error, Error::Cancelled { .. }), "{error}");
    drop(near);
    assert!(rest(&far).is_empty());
}

fn stream_end_keeps_session(router: &Router) {
    let pair = router.pair();
    let (near, far) = pair.dial();
    greet(&near, &far);
    drop(far);
    assert!(rest(&near).is_empty());
    assert_eq!(near.loss(), None);
    assert_eq!(pair.client.loss(), None);
}

fn stream_outlives_dropped_session(router: &Router) {
    let session = router.session();
    let pair = router.pair();
    let near = session.connect(pair.server.destination()).unwrap();
    drop(session);
    let (far, _) = pair.listener.accept_timeout(LONG).unwrap();
    greet(&near, &far);
}

fn listener_outlives_dropped_session(router: &Router) {
    let listener = router.session().listener().unwrap();
    let pair = router.pair();
    let near = pair.client.connect(listener.local_addr()).unwrap();
    let (far, _) = listener.accept_timeout(LONG).unwrap();
    greet(&near, &far);
}

fn session_close_ends_streams_on_both_sides(router: &Router) {
    let network = router.start();
    let pair = Pair::new(&network);
    let (near, far) = pair.dial();
    greet(&near, &far);
    pair.server.close();
    assert!(rest(&far).is_empty());
    assert_eq!(far.loss(), Some(SessionLoss::Closed));
    assert!(rest(&near).is_empty(), "the far side is told");
    assert_eq!(near.loss(), None);
}

fn session_close_ends_waiting_calls(router: &Router) {
    let session = router.session();
    let listener = session.listener().unwrap();
    let waiting = session.clone();
    let accepting = thread::spawn(move || listener.accept().map(drop));
    let closing = thread::spawn(move || waiting.wait_closed(Some(LONG)));
    session.close();
    let closed = SessionLoss::Closed;
    let outcome = accepting.join().unwrap();
    assert!(matches!(outcome, Err(Error::SessionLost(loss)) if loss == closed));
    assert_eq!(closing.join().unwrap().unwrap(), closed);
}

fn closed_session_reports_its_end(router: &Router) {
    let session = router.session();
    session.close();
    assert_eq!(session.loss(), Some(SessionLoss::Closed));
    let nobody = router
        .bridge()
        .generate(i2p_sam::SignatureType::Ed25519)
        .unwrap();
    let error = session.connect(nobody.destination()).unwrap_err();
    assert!(error.is_session_lost(), "{error}");
    assert!(session.listener().unwrap_err().is_session_lost());
}

fn session_can_be_closed_twice(router: &Router) {
    let session = router.session();
    session.close();
    session.clone().close();
    assert_eq!(session.loss(), Some(SessionLoss::Closed));
}

/// The calls that may block when a router is killed.
fn killed_router_ends_blocked_calls_within_1_s(router: &Router) {
    let network = router.start_process();
    let pair = Pair::new(&network);
    let (near, far) = pair.dial();
    let (told, tells) = mpsc::channel();
    let tell = |what: &'static str, loss: Option<SessionLoss>| {
        told.send((what, loss, Instant::now())).unwrap();
    };
    let tell = &tell;
    let builder = network.builder();
    let (making, made) = mpsc::channel();
    let (killed, told) = thread::scope(|scope| {
        for _ in 0..3 {
            let listener = &pair.listener;
            scope.spawn(move || {
                let error = listener.accept().map(drop).unwrap_err();
                tell("accept", loss(error));
            });
        }
        scope.spawn(|| {
            let loss = pair.server.wait_closed(Some(LONG));
            tell("wait_closed", loss.ok());
        });
        scope.spawn(|| {
            let _ = (&near).read(&mut [0; 1]);
            let loss = pair.client.wait_closed(Some(LONG));
            tell("read", loss.ok());
        });
        scope.spawn(|| {
            // A write blocks if nobody reads on the other side.
            let piece = [0; 64 * 1024];
            while (&far).write_all(&piece).is_ok() {}
            tell("write", pair.server.wait_closed(Some(LONG)).ok());
        });
        scope.spawn(move || {
            // It takes some seconds, and the router is killed before that.
            let outcome = builder.stream().map(drop);
            making.send((outcome, Instant::now())).unwrap();
        });
        let killed = Instant::now();
        network.kill();
        let told: Vec<_> = (0..6).map(|_| tells.recv_timeout(LONG).unwrap()).collect();
        (killed, told)
    });
    for (what, loss, at) in told {
        assert!(
            matches!(loss, Some(SessionLoss::Disconnected | SessionLoss::Io(_))),
            "{what}: {loss:?}"
        );
        assert!(
            at < killed + Duration::from_secs(1),
            "{what}: {:?}",
            at - killed
        );
    }
    let (outcome, at) = made.recv_timeout(LONG).unwrap();
    assert!(outcome.is_err());
    assert!(
        at < killed + Duration::from_secs(1),
        "session: {:?}",
        at - killed
    );
    assert!(near.loss().is_some());
    let again = pair.client.connect(pair.server.destination());
    assert!(again.unwrap_err().is_session_lost());
}

fn loss(error: Error) -> Option<SessionLoss> {
    match error {
        Error::SessionLost(loss) => Some(loss),
        error => panic!("{error}"),
    }
}

fn same_key_serves_after_router_restart(router: &Router) {
    let network = router.start_process();
    let before = network.builder().stream().unwrap();
    let builder = network.builder().key(before.private_key());
    network.kill();
    let gone = before.wait_closed(Some(LONG)).unwrap();
    assert!(
        matches!(gone, SessionLoss::Disconnected | SessionLoss::Io(_)),
        "{gone:?}"
    );
    let refused = builder.clone().stream().unwrap_err();
    assert!(matches!(refused, Error::Unreachable { .. }), "{refused}");
    network.restart();
    let (server, client) = thread::scope(|scope| {
        let client = scope.spawn(|| network.builder().stream().unwrap());
        (builder.stream().unwrap(), client.join().unwrap())
    });
    assert_eq!(server.destination(), before.destination());
    let listener = server.listener().unwrap();
    let near = client.connect(server.destination()).unwrap();
    let (far, peer) = listener.accept_timeout(LONG).unwrap();
    assert_eq!(peer.destination(), Some(client.destination()));
    greet(&near, &far);
}
