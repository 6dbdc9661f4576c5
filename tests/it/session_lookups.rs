//! Lookups on the control socket of a session, between replies and heartbeats.

use std::sync::Mutex;
use std::time::Duration;

use i2p_sam::{
    Cancel, DatagramStyle, DatagramTransport, Error, HealingOptions, Phase, ResultCode, SamBridge,
};

use crate::support::primary::{Router, gate, java_ok, refusal};
use crate::support::{
    LONG, ScriptedBridge, Stage, field, in_background, key, milestone, outcome, pause,
};

/// The reply of a router to a lookup of a name that belongs to this key.
fn found(line: &str, seed: u8) -> String {
    let (name, key) = (field(line, "NAME").unwrap(), key(seed));
    let destination = key.destination();
    format!("NAMING REPLY RESULT=OK NAME={name} VALUE={destination}\n")
}

/// A router that finds a peer on the control socket of a session, and on no other.
fn finding(seed: u8) -> Router {
    Router::answering(move |visit, line| match line.starts_with("NAMING LOOKUP") {
        true => visit.say(&found(line, seed)),
        false => visit.say(&java_ok(line)),
    })
}

#[test]
fn every_session_kind_uses_control_socket() {
    let router = finding(7);
    let (wanted, bridge) = (key(7).destination().clone(), router.bridge.bridge());
    let b32 = wanted.b32().to_string();
    let builder = || bridge.session();
    let stream = builder().stream().unwrap();
    assert_eq!(stream.lookup(&*b32).unwrap(), wanted);
    let raw = builder().raw().unwrap();
    assert_eq!(raw.lookup(&*b32).unwrap(), wanted);
    let on_control_socket = builder().datagram_transport(DatagramTransport::ControlSocket);
    let datagram = on_control_socket.datagram(DatagramStyle::Datagram).unwrap();
    assert_eq!(datagram.lookup(&*b32).unwrap(), wanted);
    let primary = builder().primary().unwrap();
    assert_eq!(primary.lookup(&*b32).unwrap(), wanted);
    let beneath = primary.subsession().stream().unwrap();
    assert_eq!(beneath.lookup((&*b32, 80)).unwrap(), wanted);
    assert_eq!(
        beneath.lookup(primary.destination()).unwrap(),
        *primary.destination()
    );
    assert_eq!(
        router.bridge.connections(),
        4,
        "one socket for each session"
    );
}

/// Returns the outcome of a lookup of this name if the router replies so.
fn answered(name: &str, answer: &str) -> Error {
    let answer = answer.to_owned();
    let router = Router::answering(move |visit, _| visit.say(&answer));
    let session = router.builder().stream().unwrap();
    let error = session.lookup(name).unwrap_err();
    assert_eq!(session.loss(), None);
    error
}

#[test]
fn refused_lookup_keeps_session() {
    for word in ["KEY_NOT_FOUND", "INVALID_KEY"] {
        let reply = format!("NAMING REPLY RESULT={word} NAME=nobody.i2p MESSAGE=\"gone\"\n");
        let error = answered("nobody.i2p", &reply);
        assert!(error.is_peer_fault(), "{error}");
        let (phase, code, explanation) = refusal(error);
        assert_eq!((phase, explanation.as_str()), (Phase::Lookup, "gone"));
        assert!(matches!(
            code,
            ResultCode::KeyNotFound | ResultCode::InvalidKey
        ));
    }
}

#[test]
fn wrong_destination_is_no_b32_reply() {
    let asked = key(1).destination().b32().to_string();
    let reply = found(&format!("NAMING LOOKUP NAME={asked}\n"), 2);
    let error = answered(&asked, &reply);
    assert!(matches!(error, Error::WrongDestination { .. }), "{error}");
    let bridge = ScriptedBridge::router(move |visit, stage| {
        if let Stage::Command(line) = stage {
            visit.say(&found(line, 2));
        }
    });
    for outcome in [
        bridge.bridge().lookup(&*asked).map(drop),
        bridge.bridge().lookup_record(&*asked).map(drop),
    ] {
        assert!(
            matches!(outcome, Err(Error::WrongDestination { .. })),
            "{outcome:?}"
        );
    }
}

#[test]
fn heartbeat_reply_is_not_lookup_reply() {
    let (beats, beaten) = milestone();
    let router = Router::answering(move |visit, line| {
        let me = "NAMING LOOKUP NAME=ME\n";
        if line == me {
            visit.say(&found(line, 0));
            return beats.reached();
        }
        // One more, before the expected reply.
        visit.say(&found(me, 0));
        visit.say(&found(line, 7));
    });
    let builder = router.builder().heartbeat(Some(Duration::from_secs(1)));
    let session = builder.stream().unwrap();
    for _ in 0..2 {
        let found = session.lookup("peer.i2p").unwrap();
        assert_eq!(&found, key(7).destination());
        beaten.recv_timeout(LONG).unwrap();
    }
    assert_eq!(session.loss(), None);
}

#[test]
fn long_lookup_is_no_missed_heartbeat() {
    let router = Router::answering(|visit, line| {
        if !line.ends_with("=ME\n") {
            // As Java I2P and i2pd, which answer nothing else meanwhile.
            pause(Duration::from_millis(3500));
        }
        visit.say(&found(line, 7));
    });
    let builder = router.builder().heartbeat(Some(Duration::from_secs(1)));
    let session = builder.stream().unwrap();
    assert_eq!(&session.lookup("peer.i2p").unwrap(), key(7).destination());
    assert_eq!(session.loss(), None);
}

#[test]
fn two_lookups_of_one_name_succeed() {
    let router = finding(7);
    let session = router.builder().stream().unwrap();
    let second = session.clone();
    let second = in_background(move || second.lookup("peer.i2p"));
    assert_eq!(&session.lookup("peer.i2p").unwrap(), key(7).destination());
    assert_eq!(&outcome(&second).unwrap(), key(7).destination());
}

#[test]
fn late_reply_to_cancelled_lookup_is_discarded() {
    let (heard, hears) = milestone();
    let (open, pass) = gate();
    let router = Router::answering(move |visit, line| {
        if line.ends_with("=first.i2p\n") {
            heard.reached();
            pass();
            return visit.say(&found(line, 1));
        }
        match line.starts_with("NAMING") {
            true => visit.say(&found(line, 2)),
            false => visit.say(&java_ok(line)),
        }
    });
    let primary = router.primary();
    let cancel = Cancel::new();
    let first = primary.with_cancel(&cancel);
    let first = in_background(move || first.lookup("first.i2p"));
    hears.recv_timeout(LONG).unwrap();
    cancel.cancel();
    let error = outcome(&first).unwrap_err();
    let phase = Phase::Lookup;
    assert!(matches!(error, Error::Cancelled { phase: p } if p == phase));
    let other = primary.clone();
    let second = in_background(move || other.lookup("second.i2p"));
    open.send(()).unwrap();
    assert_eq!(&outcome(&second).unwrap(), key(2).destination());
    primary.subsession().listen_port(1).stream().unwrap();
    assert_eq!(primary.loss(), None);
}

#[test]
fn unanswered_lookup_times_out_without_blocking() {
    let router = Router::answering(|visit, line| {
        if line.starts_with("SESSION") {
            visit.say(&java_ok(line));
        }
    });
    let builder = SamBridge::builder().address(router.bridge.address().to_string());
    let time = Duration::from_millis(100);
    let bridge = builder.lookup_timeout(Some(time)).build().unwrap();
    let primary = bridge.session().primary().unwrap();
    let error = primary.lookup("nobody.i2p").unwrap_err();
    let phase = Phase::Lookup;
    assert!(
        matches!(error, Error::Timeout { phase: p, after, .. } if p == phase && after == time),
        "{error}"
    );
    primary.subsession().stream().unwrap();
    assert_eq!(primary.loss(), None);
}

#[test]
fn lookup_ends_with_session() {
    let (heard, hears) = milestone();
    let router = Router::answering(move |_, _| heard.reached());
    let session = router.builder().stream().unwrap();
    let asking = session.clone();
    let asking = in_background(move || asking.lookup("peer.i2p"));
    hears.recv_timeout(LONG).unwrap();
    session.close();
    let error = outcome(&asking).unwrap_err();
    assert!(error.is_session_lost(), "{error}");
}

#[test]
fn session_shares_lookup_cache_of_bridge() {
    let router = finding(7);
    let builder = SamBridge::builder().address(router.bridge.address().to_string());
    let bridge = builder.lookup_cache(8, LONG).build().unwrap();
    let session = bridge.session().stream().unwrap();
    for _ in 0..2 {
        assert_eq!(&session.lookup("peer.i2p").unwrap(), key(7).destination());
    }
    let lines = router.bridge.received();
    let asked = lines.iter().filter(|line| line.starts_with("NAMING"));
    assert_eq!(asked.count(), 1);
}

#[test]
fn healing_session_lookup_continues_after_loss() {
    let first = Mutex::new(true);
    let router =
        Router::answering(
            move |visit, line| match std::mem::take(&mut *first.lock().unwrap()) {
                true => visit.hang_up(),
                false => visit.say(&found(line, 7)),
            },
        );
    let options = HealingOptions::new().initial_backoff(Duration::from_millis(1));
    let session = router.builder().healing_with(&options).unwrap();
    assert_eq!(&session.lookup("peer.i2p").unwrap(), key(7).destination());
    let own = session.destination();
    assert_eq!(&session.lookup(own.b32()).unwrap(), own);
    session.close();
    let error = session.lookup("peer.i2p").unwrap_err();
    assert!(error.is_session_lost(), "{error}");
}

#[test]
fn multihomed_session_lookup_continues_over_next_replica() {
    let lost = Router::answering(|visit, _| visit.hang_up());
    let router = finding(7);
    let builder = SamBridge::builder().address(lost.bridge.address().to_string());
    let bridge = builder.fallback(&router.bridge.bridge()).build().unwrap();
    let builder = bridge.session().key(&key(1));
    let session = builder.multihomed().unwrap();
    assert_eq!(&session.lookup("peer.i2p").unwrap(), key(7).destination());
    assert_eq!(
        &session.lookup(key(1).destination()).unwrap(),
        key(1).destination()
    );
    session.close();
}
