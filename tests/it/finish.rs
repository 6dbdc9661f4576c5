//! Graceful ends: a stream waits until its peer closes, and a session waits for its streams.

use std::io::{ErrorKind, Read, Write};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use i2p_sam::{Cancel, Error, Phase, SamStream, SessionLoss, StreamSession};

use crate::support::{
    LONG, ScriptedBridge, Stage, Visit, in_background, key, milestone, outcome, pause,
};

/// A bridge that connects every dial to a peer that runs this.
fn peers(peer: impl Fn(&mut Visit<'_, '_>) + Send + Sync + 'static) -> ScriptedBridge {
    ScriptedBridge::router(move |visit, stage| match stage {
        Stage::Session => visit.until_quit(),
        Stage::Accept => drop(visit.rest()),
        Stage::Command(_) => {
            visit.say("STREAM STATUS RESULT=OK\n");
            peer(visit);
        }
    })
}

fn session(bridge: &ScriptedBridge, linger: Duration) -> StreamSession {
    bridge.bridge().session().linger(linger).stream().unwrap()
}

fn dial(session: &StreamSession) -> SamStream {
    session.connect(key(3).destination()).unwrap()
}

/// Peers that wait until their stream ends, and then signal the test.
fn waiting_peers() -> (ScriptedBridge, mpsc::Receiver<()>) {
    let (ended, ends) = milestone();
    let bridge = peers(move |visit| {
        visit.rest();
        ended.reached();
    });
    (bridge, ends)
}

#[test]
fn stream_finishes_after_peer_closes() {
    let (hold, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let bridge = peers(move |visit| {
        assert_eq!(visit.read_exact(5), b"hello");
        visit.say("nobody reads this");
        let _ = held.lock().unwrap().recv_timeout(LONG);
    });
    let mut stream = dial(&session(&bridge, LONG));
    stream.write_all(b"hello").unwrap();
    stream.set_nonblocking(true).unwrap();
    let finishing = in_background(move || stream.finish(LONG));
    pause(Duration::from_millis(100));
    assert!(finishing.try_recv().is_err(), "the peer has not hung up");
    drop(hold);
    outcome(&finishing).unwrap();
}

#[test]
fn stream_finish_times_out_without_peer_close() {
    let (bridge, ends) = waiting_peers();
    let stream = dial(&session(&bridge, LONG));
    let mut other = stream.try_clone().unwrap();
    let error = stream.finish(Duration::from_millis(50)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let error = error.downcast::<Error>().unwrap();
    assert_eq!(error.phase(), Some(Phase::Finish));
    ends.recv_timeout(LONG).unwrap();
    assert_eq!(other.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn stream_finish_times_out_at_endless_sender() {
    let bridge = peers(|visit| while visit.try_write(&[7; 1024]) {});
    let stream = dial(&session(&bridge, LONG));
    let error = stream.finish(Duration::from_millis(100)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[test]
fn stream_lost_with_session_is_unfinished() {
    let controls = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&controls);
    let bridge = ScriptedBridge::router(move |visit, stage| match stage {
        Stage::Session => {
            seen.lock().unwrap().push(visit.socket());
            visit.until_quit();
        }
        Stage::Accept => {}
        Stage::Command(_) => {
            visit.say("STREAM STATUS RESULT=OK\n");
            visit.rest();
        }
    });
    let stream = dial(&session(&bridge, LONG));
    let finishing = in_background(move || stream.finish(LONG));
    let control = controls.lock().unwrap().pop().unwrap();
    control.shutdown(std::net::Shutdown::Both).unwrap();
    let error = outcome(&finishing).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConnected, "{error}");
}

#[test]
fn session_finishes_at_once_after_peers_close() {
    let bridge = peers(|_| {});
    let session = session(&bridge, LONG);
    let mut stream = dial(&session);
    assert!(stream.read_to_end(&mut Vec::new()).is_ok());
    drop(stream);
    dial(&session).finish(LONG).unwrap();
    let start = Instant::now();
    session.finish(LONG).unwrap();
    assert!(start.elapsed() < Duration::from_secs(3));
    assert_eq!(session.loss(), Some(SessionLoss::Closed));
}

#[test]
fn session_finish_lingers_for_open_peer() {
    let (bridge, ends) = waiting_peers();
    let linger = Duration::from_millis(400);
    let session = session(&bridge, linger);
    drop(dial(&session));
    ends.recv_timeout(LONG).unwrap();
    // A stream that was ended locally reads its own end, which is not the peer's.
    let mut stream = dial(&session);
    stream.shutdown(std::net::Shutdown::Both).unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
    let start = Instant::now();
    drop(stream);
    session.finish(LONG).unwrap();
    assert!(start.elapsed() >= linger);
    assert_eq!(session.loss(), Some(SessionLoss::Closed));
    assert!(bridge.received().iter().any(|line| line == "QUIT\n"));
}

#[test]
fn session_finish_awaits_streams_of_other_threads() {
    let (bridge, _ends) = waiting_peers();
    let session = session(&bridge, Duration::ZERO);
    let stream = dial(&session);
    let finishing = session.clone();
    let finishing = in_background(move || finishing.finish(LONG));
    pause(Duration::from_millis(100));
    assert_eq!(session.loss(), None);
    drop(stream);
    outcome(&finishing).unwrap();
    assert_eq!(session.loss(), Some(SessionLoss::Closed));
}

#[test]
fn session_finish_times_out_with_open_stream() {
    let (bridge, ends) = waiting_peers();
    let session = session(&bridge, LONG);
    let _stream = dial(&session);
    let error = session.finish(Duration::from_millis(50)).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert_eq!(error.phase(), Some(Phase::Finish));
    assert_eq!(session.loss(), Some(SessionLoss::Closed));
    ends.recv_timeout(LONG).unwrap();
    assert!(session.finish(LONG).unwrap_err().is_session_lost());
}

#[test]
fn linger_is_bounded_by_finish_timeout() {
    let (bridge, _ends) = waiting_peers();
    let session = session(&bridge, LONG);
    drop(dial(&session));
    let start = Instant::now();
    session.finish(Duration::from_millis(100)).unwrap();
    assert!(start.elapsed() < Duration::from_secs(3));
}

#[test]
fn cancelled_finish_keeps_session() {
    let (bridge, _ends) = waiting_peers();
    let session = session(&bridge, LONG);
    let _stream = dial(&session);
    let cancel = Cancel::new();
    let finishing = session.with_cancel(&cancel);
    let finishing = in_background(move || finishing.finish(LONG));
    cancel.cancel();
    let error = outcome(&finishing).unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }), "{error}");
    assert_eq!(session.loss(), None);
}

#[test]
fn session_without_streams_finishes_at_once() {
    let bridge = peers(|_| {});
    let session = session(&bridge, LONG);
    let start = Instant::now();
    session.finish(LONG).unwrap();
    assert!(start.elapsed() < Duration::from_secs(2));
}
