//! A key that is used again: how long it rests, and what happens to a session that i2pd confuses
//! with the previous session of its key.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use i2p_sam::testing::{Profile, TestBridge};
use i2p_sam::{Cancel, Error, ResultCode, SamBridge, StreamSession};

use crate::support::{LONG, ScriptedBridge, in_background, key, outcome, pause, refused};

const SECOND: Duration = Duration::from_secs(1);

/// The time for which the library lets a key rest.
const KEY_REST: Duration = Duration::from_secs(6);

/// Longer than the time for which the library ascribes a reply to an older session.
const NEW_SESSION: Duration = Duration::from_millis(2200);

/// The arrival time of each SESSION CREATE.
type Creates = Arc<Mutex<Vec<Instant>>>;

/// Starts a bridge that replies as i2pd does, to CREATE number n (from 1) after `times[n - 1]`.
fn i2pd(times: &'static [Duration]) -> (ScriptedBridge, Creates) {
    let creates = Creates::default();
    let seen = Arc::clone(&creates);
    let bridge = ScriptedBridge::start(move |visit| {
        visit.unknown_name = "INVALID_KEY";
        visit.greet();
        let Some(line) = visit.line() else { return };
        assert!(line.starts_with("SESSION CREATE "), "{line}");
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push(Instant::now());
            seen.len()
        };
        pause(times[number - 1]);
        visit.make_session(&line);
        visit.until_quit();
    });
    (bridge, creates)
}

fn make(bridge: &SamBridge) -> Result<StreamSession, Error> {
    bridge.session().key(&key(7)).stream()
}

fn gap(creates: &Creates) -> Duration {
    let creates = creates.lock().unwrap();
    creates[1].duration_since(creates[0])
}

#[test]
fn key_used_again_at_i2pd_rests_first() {
    let (scripted, creates) = i2pd(&[NEW_SESSION; 2]);
    let session = make(&scripted.bridge()).unwrap();
    session.close();
    let closed = Instant::now();
    make(&scripted.bridge()).unwrap();
    let rested = creates.lock().unwrap()[1].duration_since(closed);
    assert!(rested > KEY_REST - SECOND / 10, "{rested:?}");
    assert!(rested < KEY_REST + SECOND, "{rested:?}");
}

#[test]
fn key_of_dropped_session_rests_at_i2pd() {
    let (scripted, creates) = i2pd(&[NEW_SESSION; 2]);
    drop(make(&scripted.bridge()).unwrap());
    make(&scripted.bridge()).unwrap();
    assert!(gap(&creates) > NEW_SESSION + KEY_REST - SECOND / 10);
}

#[test]
fn transient_key_used_again_at_i2pd_rests_first() {
    let (scripted, creates) = i2pd(&[Duration::ZERO, NEW_SESSION]);
    let bridge = scripted.bridge();
    let session = bridge.session().stream().unwrap();
    let key = session.private_key().clone();
    session.close();
    bridge.session().key(&key).stream().unwrap();
    assert!(gap(&creates) > KEY_REST - SECOND / 10);
}

#[test]
fn key_rest_ends_at_call_deadline() {
    let (scripted, _) = i2pd(&[NEW_SESSION; 2]);
    make(&scripted.bridge()).unwrap().close();
    let address = scripted.address().to_string();
    let hurried = SamBridge::builder()
        .address(address)
        .session_create_timeout(Some(SECOND));
    let start = Instant::now();
    let error = make(&hurried.build().unwrap()).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!((SECOND..2 * SECOND).contains(&start.elapsed()));
}

#[test]
fn key_rest_ends_on_cancel() {
    let (scripted, _) = i2pd(&[NEW_SESSION; 2]);
    let cancel = Cancel::new();
    let bridge = scripted.bridge();
    make(&bridge).unwrap().close();
    let cancellable = bridge.with_cancel(&cancel);
    let call = in_background(move || make(&cancellable).map(drop));
    pause(SECOND / 5);
    let start = Instant::now();
    cancel.cancel();
    let error = outcome(&call).unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }), "{error}");
    assert!(start.elapsed() < SECOND / 2);
}

#[test]
fn key_used_again_at_another_router_does_not_rest() {
    let scripted = ScriptedBridge::start(|visit| visit.serve_session());
    make(&scripted.bridge()).unwrap().close();
    let start = Instant::now();
    make(&scripted.bridge()).unwrap();
    assert!(start.elapsed() < SECOND / 2);
}

#[test]
fn key_of_restarted_i2pd_does_not_rest() {
    let router = TestBridge::builder()
        .profile(Profile::I2pd)
        .start()
        .unwrap();
    let session = make(&router.bridge()).unwrap();
    router.stop();
    session.wait_closed(Some(LONG)).unwrap();
    let stopped = Instant::now();
    router.restart().unwrap();
    make(&router.bridge()).unwrap();
    assert!(stopped.elapsed() < KEY_REST);
}

#[test]
fn session_confused_with_older_is_replaced() {
    let (scripted, creates) = i2pd(&[Duration::ZERO, NEW_SESSION]);
    let session = make(&scripted.bridge()).unwrap();
    assert!(gap(&creates) > KEY_REST - SECOND / 10);
    assert!(session.loss().is_none());
    assert_eq!(scripted.open_connections(), 1);
}

#[test]
fn key_of_other_program_at_i2pd_is_refused() {
    let (scripted, creates) = i2pd(&[Duration::ZERO; 3]);
    let (code, _) = refused(make(&scripted.bridge()).unwrap_err());
    assert_eq!(code, ResultCode::DuplicatedDest);
    assert_eq!(creates.lock().unwrap().len(), 3);
}

#[test]
fn key_in_use_locally_is_refused_before_sending() {
    let (scripted, creates) = i2pd(&[NEW_SESSION]);
    let _session = make(&scripted.bridge()).unwrap();
    let (code, _) = refused(make(&scripted.bridge()).unwrap_err());
    assert_eq!(code, ResultCode::DuplicatedDest);
    assert_eq!(creates.lock().unwrap().len(), 1);
}

#[test]
fn key_in_use_at_one_bridge_is_free_at_another() {
    let first = ScriptedBridge::start(|visit| visit.serve_session());
    let second = ScriptedBridge::start(|visit| visit.serve_session());
    let _session = make(&first.bridge()).unwrap();
    make(&second.bridge()).unwrap();
}

#[test]
fn key_briefly_held_by_java_is_retried() {
    let scripted = ScriptedBridge::start(|visit| {
        visit.greet();
        let Some(line) = visit.line() else { return };
        match visit.number {
            1 => visit.say("SESSION STATUS RESULT=DUPLICATED_DEST\n"),
            _ => {
                visit.make_session(&line);
                visit.until_quit();
            }
        }
    });
    make(&scripted.bridge()).unwrap().close();
    let start = Instant::now();
    make(&scripted.bridge()).unwrap();
    assert!(start.elapsed() < SECOND);
}

#[test]
fn key_never_used_here_is_refused_at_once() {
    let scripted = ScriptedBridge::answering("SESSION STATUS RESULT=DUPLICATED_DEST\n");
    let start = Instant::now();
    let (code, _) = refused(make(&scripted.bridge()).unwrap_err());
    assert_eq!(code, ResultCode::DuplicatedDest);
    assert!(start.elapsed() < SECOND);
}

#[test]
fn key_held_by_newer_i2pd_is_awaited() {
    let scripted = ScriptedBridge::start(|visit| {
        visit.unknown_name = "INVALID_KEY";
        visit.greet();
        let Some(line) = visit.line() else { return };
        if visit.number < 2 {
            return visit.say("SESSION STATUS RESULT=DUPLICATED_DEST\n");
        }
        pause(NEW_SESSION);
        visit.make_session(&line);
        visit.until_quit();
    });
    make(&scripted.bridge()).unwrap();
}
