//! Several bridges, of which one suffices: which one is used, when the next is used, and which
//! error is reported if none answers.

use std::net::{TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use i2p_sam::{
    Cancel, DatagramStyle, Error, Phase, ResultCode, SamBridge, SamBridgeBuilder, SessionLoss,
    SignatureType,
};

use crate::support::{
    LONG, ScriptedBridge, Stage, Visit, eventually, field, in_background, key, milestone, outcome,
};

/// A bridge that serves every command.
fn good() -> ScriptedBridge {
    ScriptedBridge::router(answer)
}

fn answer(visit: &mut Visit<'_, '_>, stage: Stage<'_>) {
    let (public, private) = (key(1).destination().to_base64(), key(1).expose_base64());
    match stage {
        Stage::Session => {
            while let Some(line) = visit.line() {
                if let Some(name) = field(&line, "NAME") {
                    visit.say(&format!(
                        "NAMING REPLY RESULT=OK NAME={name} VALUE={public}\n"
                    ));
                }
            }
        }
        Stage::Accept => drop(visit.rest()),
        Stage::Command(line) if line.starts_with("DEST") => {
            visit.say(&format!("DEST REPLY PUB={public} PRIV={private}\n"));
        }
        Stage::Command(line) if line.starts_with("NAMING") => {
            visit.say(&format!("NAMING REPLY RESULT=OK NAME=x VALUE={public}\n"));
        }
        Stage::Command(_) => {
            visit.say("STREAM STATUS RESULT=OK\nhello");
            visit.rest();
        }
    }
}

/// A bridge that never sends anything.
fn silent() -> ScriptedBridge {
    ScriptedBridge::start(|visit| drop(visit.rest()))
}

/// A bridge that greets, and answers every command with this line, or closes the connection if it
/// is empty.
fn answering(reply: &'static str) -> ScriptedBridge {
    ScriptedBridge::start(move |visit| {
        visit.greet();
        if visit.line().is_some() {
            visit.say(reply);
        }
    })
}

/// An address at which nobody listens.
fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

fn first(address: impl ToString) -> SamBridgeBuilder {
    SamBridge::builder().address(address.to_string())
}

/// A bridge at the address, with the other one as its fallback.
fn both(address: impl ToString, other: &ScriptedBridge) -> SamBridge {
    first(address).fallback(&other.bridge()).build().unwrap()
}

#[test]
fn unreachable_first_bridge_is_replaced_for_every_call() {
    let other = good();
    // Each call uses a bridge that does not know the state of the others yet.
    let bridge = || both(closed(), &other);
    bridge().version().unwrap();
    let generated = bridge().generate(SignatureType::Ed25519).unwrap();
    assert_eq!(generated, key(1));
    let found = bridge().lookup("a.i2p").unwrap();
    assert_eq!(found, *key(1).destination());
    let found = bridge().lookup_record("a.i2p").unwrap();
    assert_eq!(found.destination(), key(1).destination());
    let stream = bridge().connect("a.i2p").unwrap();
    assert_eq!(stream.bridge().address(), other.address().to_string());
    bridge().session().stream().unwrap();
    bridge()
        .session()
        .datagram(DatagramStyle::Datagram)
        .unwrap();
    bridge().session().raw().unwrap();
}

#[test]
fn reachable_first_bridge_is_asked_alone() {
    let (one, other) = (good(), good());
    let bridge = both(one.address(), &other);
    for _ in 0..5 {
        bridge.lookup("a.i2p").unwrap();
    }
    assert_eq!((one.connections(), other.connections()), (5, 0));
}

#[test]
fn concurrent_calls_use_one_bridge() {
    let (asked, asks) = milestone();
    let (one, other) = (
        ScriptedBridge::start(move |visit| {
            visit.greet();
            visit.line();
            asked.reached();
            visit.rest();
        }),
        good(),
    );
    let cancel = Cancel::new();
    let bridge = both(one.address(), &other).with_cancel(&cancel);
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let bridge = bridge.clone();
            let waiting = in_background(move || bridge.lookup("a.i2p"));
            outcome(&asks);
            waiting
        })
        .collect();
    cancel.cancel();
    for waiting in &waiting {
        outcome(waiting).unwrap_err();
    }
    assert_eq!((one.connections(), other.connections()), (3, 0));
}

#[test]
fn silent_bridge_costs_one_timeout() {
    let (one, other) = (silent(), good());
    let builder = first(one.address()).hello_timeout(Some(Duration::from_millis(50)));
    let bridge = builder.fallback(&other.bridge()).build().unwrap();
    for _ in 0..5 {
        bridge.version().unwrap();
    }
    assert_eq!((one.connections(), other.connections()), (1, 5));
}

#[test]
fn bridge_refusing_greeting_is_skipped() {
    for greeting in [
        "",
        "HELLO REPLY RESULT=NOVERSION\n",
        "HELLO REPLY RESULT=I2P_ERROR MESSAGE=\"Authorization failed\"\n",
        "HTTP/1.0 400 Bad Request\r\n\r\n",
        "HELLO REPLY RESULT=OK\n",
    ] {
        let one = ScriptedBridge::start(move |visit| {
            visit.line();
            visit.say(greeting);
        });
        let other = good();
        let bridge = both(one.address(), &other);
        bridge.lookup("a.i2p").unwrap();
        bridge.lookup("a.i2p").unwrap();
        let asked = (one.connections(), other.connections());
        assert_eq!(asked, (1, 2), "{greeting:?}");
    }
}

#[test]
fn bridge_closing_after_command_is_skipped() {
    for reply in ["", "NAMING\n", "NAMING REPLY RESULT=OK NAME=x VALUE=x\n"] {
        let (one, other) = (answering(reply), good());
        let bridge = both(one.address(), &other);
        bridge.lookup("a.i2p").unwrap();
        bridge.session().stream().unwrap();
        let asked = (one.connections(), other.connections());
        assert_eq!(asked, (1, 2), "{reply:?}");
    }
}

#[test]
fn unknown_name_causes_no_failover() {
    let one = answering("NAMING REPLY RESULT=KEY_NOT_FOUND NAME=a.i2p\n");
    let other = good();
    let bridge = both(one.address(), &other);
    for _ in 0..2 {
        assert!(bridge.lookup("a.i2p").unwrap_err().is_peer_fault());
    }
    assert_eq!((one.connections(), other.connections()), (2, 0));
}

#[test]
fn refused_session_causes_no_failover() {
    let one = answering("SESSION STATUS RESULT=DUPLICATED_DEST\n");
    let other = good();
    let session = both(one.address(), &other).session().key(&key(2));
    assert!(matches!(session.stream(), Err(Error::Refused(_))));
    assert_eq!(other.connections(), 0);
}

#[test]
fn unreachable_peer_causes_no_failover() {
    let one = ScriptedBridge::router(|visit, stage| match stage {
        Stage::Command(_) => visit.say("STREAM STATUS RESULT=CANT_REACH_PEER\n"),
        stage => answer(visit, stage),
    });
    let other = good();
    let bridge = both(one.address(), &other);
    assert!(bridge.connect("a.i2p").unwrap_err().is_peer_fault());
    assert_eq!(other.connections(), 0);
}

#[test]
fn bridge_closing_during_dial_is_replaced() {
    let one = ScriptedBridge::start(|visit| {
        visit.greet();
        let line = visit.line();
        // Control socket and dial end together, as when a router is killed.
        match line.filter(|line| line.starts_with("SESSION")) {
            Some(line) => visit.make_session(&line),
            None => visit.hang_up(),
        }
        visit.reset();
    });
    let other = good();
    let stream = both(one.address(), &other).connect("a.i2p").unwrap();
    assert_eq!(stream.bridge().address(), other.address().to_string());
}

#[test]
fn late_reply_fails_call_next_call_succeeds() {
    let one = ScriptedBridge::start(|visit| {
        visit.greet();
        visit.rest();
    });
    let other = good();
    let builder = first(one.address()).lookup_timeout(Some(Duration::from_millis(50)));
    let bridge = builder.fallback(&other.bridge()).build().unwrap();
    let error = bridge.lookup("a.i2p").unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert_eq!(other.connections(), 0);
    bridge.lookup("a.i2p").unwrap();
    assert_eq!((one.connections(), other.connections()), (1, 1));
}

/// A bridge that closes every connection until it is repaired.
fn broken() -> (ScriptedBridge, Arc<AtomicBool>) {
    let mended = Arc::new(AtomicBool::new(false));
    let works = Arc::clone(&mended);
    let bridge = ScriptedBridge::start(move |visit| {
        if works.load(Ordering::SeqCst) {
            visit.greet();
            visit.rest();
        }
    });
    (bridge, mended)
}

#[test]
fn recovered_first_bridge_is_preferred_again() {
    let ((one, mended), other) = (broken(), good());
    let builder = first(one.address()).retry_after(Duration::from_millis(100));
    let bridge = builder.fallback(&other.bridge()).build().unwrap();
    bridge.version().unwrap();
    assert_eq!((one.connections(), other.connections()), (1, 1));
    mended.store(true, Ordering::SeqCst);
    eventually("the first is tried again", || {
        bridge.version().unwrap();
        one.connections() == 2
    });
    let asked = other.connections();
    for _ in 0..5 {
        bridge.version().unwrap();
    }
    assert_eq!((one.connections(), other.connections()), (7, asked));
}

#[test]
fn dead_first_bridge_is_not_retried_early() {
    let ((one, mended), other) = (broken(), good());
    let bridge = both(one.address(), &other);
    bridge.version().unwrap();
    mended.store(true, Ordering::SeqCst);
    for _ in 0..20 {
        bridge.version().unwrap();
    }
    assert_eq!((one.connections(), other.connections()), (1, 21));
}

#[test]
fn clones_share_bridge_state() {
    let ((one, _), other) = (broken(), good());
    let bridge = both(one.address(), &other);
    bridge.clone().version().unwrap();
    bridge.with_cancel(&Cancel::new()).version().unwrap();
    assert_eq!(one.connections(), 1);
}

#[test]
fn error_names_every_closed_port() {
    let (one, other) = (closed(), closed());
    let fallback = SamBridge::new(&other).unwrap();
    let bridge = first(&one).fallback(&fallback).build().unwrap();
    for _ in 0..2 {
        let Err(Error::Unreachable { address, .. }) = bridge.version() else {
            panic!("somebody answers");
        };
        assert!(address.contains(&one) && address.contains(&other));
    }
}

#[test]
fn dead_bridges_are_tried_once_per_call() {
    let ((one, _), (other, _)) = (broken(), broken());
    let bridge = both(one.address(), &other);
    for calls in 1..4 {
        let error = bridge.lookup("a.i2p").unwrap_err();
        assert!(matches!(error, Error::UnexpectedEof { .. }), "{error}");
        assert_eq!((one.connections(), other.connections()), (calls, calls));
    }
}

#[test]
fn refused_credentials_outrank_unreachable_bridge() {
    let strict = ScriptedBridge::start(|visit| {
        visit.line();
        visit.say("HELLO REPLY RESULT=I2P_ERROR MESSAGE=\"Authorization failed\"\n");
    });
    let spare = SamBridge::new(&closed()).unwrap();
    let bridge = first(closed()).fallback(&strict.bridge()).fallback(&spare);
    let Err(Error::Refused(refusal)) = bridge.build().unwrap().version() else {
        panic!("another error");
    };
    assert_eq!(refusal.phase(), Phase::Hello);
    assert_eq!(*refusal.code(), ResultCode::I2pError);
}

#[test]
fn session_stays_at_its_bridge() {
    let ((one, mended), other) = (broken(), good());
    let builder = first(one.address()).retry_after(Duration::ZERO);
    let bridge = builder.fallback(&other.bridge()).build().unwrap();
    let session = bridge.session().stream().unwrap();
    mended.store(true, Ordering::SeqCst);
    let before = one.connections();
    let _listener = session.listener().unwrap();
    session.connect("a.i2p").unwrap();
    session.bridge().lookup("a.i2p").unwrap();
    assert_eq!(one.connections(), before);
    assert_eq!(session.bridge().address(), other.address().to_string());
    assert_eq!(session.bridge().routers().len(), 1);
}

#[test]
fn session_after_bridge_loss_uses_next_bridge() {
    let (end, ends) = milestone();
    let ends = std::sync::Mutex::new(ends);
    let one = ScriptedBridge::start(move |visit| {
        if visit.number == 0 {
            visit.greet();
            let line = visit.line().unwrap();
            visit.make_session(&line);
            ends.lock().unwrap().recv().unwrap();
        }
    });
    let other = good();
    let bridge = both(one.address(), &other);
    let session = bridge.session().stream().unwrap();
    end.reached();
    let loss = session.wait_closed(Some(LONG)).unwrap();
    assert_eq!(loss, SessionLoss::Disconnected);
    assert!(session.connect("a.i2p").unwrap_err().is_session_lost());
    assert_eq!(other.connections(), 0);
    let again = bridge
        .session()
        .key(session.private_key())
        .stream()
        .unwrap();
    assert_eq!(again.destination(), session.destination());
    assert_eq!(again.bridge().address(), other.address().to_string());
}

#[test]
fn each_bridge_gets_its_own_credentials() {
    let one = ScriptedBridge::start(|visit| drop(visit.line()));
    let other = good();
    let spare = first(other.address()).credentials("joe", "secret");
    let bridge = first(one.address()).fallback(&spare.build().unwrap());
    bridge.build().unwrap().version().unwrap();
    eventually("both were greeted", || {
        one.received().len() == 1 && other.received().len() == 1
    });
    assert_eq!(field(&one.received()[0], "USER"), None);
    assert_eq!(field(&other.received()[0], "USER"), Some("joe"));
}

#[test]
fn datagrams_go_to_bridge_of_session() {
    let other = good();
    let inbox = UdpSocket::bind("127.0.0.1:0").unwrap();
    inbox.set_read_timeout(Some(LONG)).unwrap();
    let spare = first(other.address()).udp_address(inbox.local_addr().unwrap().to_string());
    let bridge = first(closed()).fallback(&spare.build().unwrap());
    let session = bridge.build().unwrap().session();
    let session = session.datagram(DatagramStyle::Datagram).unwrap();
    session.send_to(b"hello", key(3).destination()).unwrap();
    let mut packet = [0; 2048];
    let (len, _) = inbox.recv_from(&mut packet).unwrap();
    assert!(packet[..len].ends_with(b"\nhello"));
    assert_eq!(session.bridge().address(), other.address().to_string());
}

#[test]
fn lookup_cache_covers_all_bridges() {
    let ((one, mended), other) = (broken(), good());
    let builder = first(one.address()).lookup_cache(8, LONG);
    let bridge = builder
        .retry_after(Duration::ZERO)
        .fallback(&other.bridge());
    let bridge = bridge.build().unwrap();
    bridge.lookup("a.i2p").unwrap();
    mended.store(true, Ordering::SeqCst);
    bridge.lookup("a.i2p").unwrap();
    assert_eq!((one.connections(), other.connections()), (1, 1));
}

#[test]
fn user_commands_refuse_several_bridges() {
    let (one, other) = (good(), good());
    let bridge = both(one.address(), &other);
    assert!(matches!(
        bridge.auth().enable(),
        Err(Error::InvalidConfig(_))
    ));
    let added = bridge.auth().add("joe", "secret");
    assert!(matches!(added, Err(Error::InvalidConfig(_))));
    assert_eq!((one.connections(), other.connections()), (0, 0));
}

#[test]
fn nested_fallbacks_are_flattened() {
    let third = good();
    let second = both(closed(), &third);
    let bridge = first(closed()).fallback(&second).build().unwrap();
    assert_eq!(bridge.routers().len(), 3);
    bridge.version().unwrap();
}

#[test]
fn cancel_at_silent_first_bridge_asks_no_other() {
    let (reached, reaches) = milestone();
    let one = ScriptedBridge::start(move |visit| {
        visit.line();
        reached.reached();
        visit.rest();
    });
    let other = good();
    let cancel = Cancel::new();
    let bridge = both(one.address(), &other).with_cancel(&cancel);
    let waiting = in_background(move || bridge.version());
    outcome(&reaches);
    assert_cancelled_at_once(&cancel, || outcome(&waiting).map(drop));
    assert_eq!(other.connections(), 0);
}

#[test]
fn cancel_at_next_bridge_ends_call() {
    let (reached, reaches) = milestone();
    let other = ScriptedBridge::start(move |visit| {
        visit.greet();
        visit.line();
        reached.reached();
        visit.rest();
    });
    let cancel = Cancel::new();
    let bridge = both(closed(), &other).with_cancel(&cancel);
    let waiting = in_background(move || bridge.session().stream());
    outcome(&reaches);
    assert_cancelled_at_once(&cancel, || outcome(&waiting).map(drop));
}

fn assert_cancelled_at_once(cancel: &Cancel, call: impl FnOnce() -> Result<(), Error>) {
    let start = Instant::now();
    cancel.cancel();
    let error = call().unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[test]
fn cancelled_call_leaves_bridge_state_unchanged() {
    let (reached, reaches) = milestone();
    let one = ScriptedBridge::start(move |visit| {
        if visit.number == 0 {
            reached.reached();
            visit.rest();
        }
        visit.greet();
    });
    let other = good();
    let bridge = both(one.address(), &other);
    let cancel = Cancel::new();
    let cancelled = bridge.with_cancel(&cancel);
    let waiting = in_background(move || cancelled.version());
    outcome(&reaches);
    cancel.cancel();
    outcome(&waiting).unwrap_err();
    bridge.version().unwrap();
    assert_eq!((one.connections(), other.connections()), (2, 0));
}
