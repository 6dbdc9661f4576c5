//! Healing sessions: how a loss is noticed, which attempts follow and how often, what waits
//! meanwhile, and what ends it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use i2p_sam::{
    Cancel, Error, HealingEvent, HealingOptions, HealingSession, SamBridge, SessionLoss,
};

use crate::support::restless::{Answer, Router, SHORT, lose};
use crate::support::{LONG, ScriptedBridge, Stage, eventually, field, in_background, key, outcome};

/// A session, its events, and the bridge's end of its control socket.
fn session(router: &Router) -> (HealingSession, mpsc::Receiver<HealingEvent>, TcpStream) {
    let (options, events) = listening(HealingOptions::new().initial_backoff(SHORT));
    let session = router
        .builder()
        .key(&key(1))
        .healing_with(&options)
        .unwrap();
    (session, events, router.control_socket())
}

fn listening(options: HealingOptions) -> (HealingOptions, mpsc::Receiver<HealingEvent>) {
    let (sender, events) = mpsc::channel();
    let sender = Mutex::new(sender);
    let options = options.on_event(move |_, event| {
        let _ = sender.lock().unwrap().send(event.clone());
    });
    (options, events)
}

fn next(events: &mpsc::Receiver<HealingEvent>) -> HealingEvent {
    events.recv_timeout(LONG).expect("nothing is told")
}

/// Returns the reason of the loss, from the first event.
fn reason(events: &mpsc::Receiver<HealingEvent>) -> SessionLoss {
    match next(events) {
        HealingEvent::Lost { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

/// Returns the number of attempts until the session was back.
fn back(events: &mpsc::Receiver<HealingEvent>) -> u32 {
    loop {
        match next(events) {
            HealingEvent::Restored { attempts, .. } => return attempts,
            HealingEvent::GaveUp { error, .. } => panic!("{error}"),
            _ => {}
        }
    }
}

#[test]
fn listener_accepts_again_after_each_loss() {
    let router = Router::start();
    let (session, events, mut socket) = session(&router);
    let listener = session.listener().unwrap();
    router.show_that_it_accepts(&listener);
    for _ in 0..3 {
        // The accepts that were pending when the session ended.
        while router.accepts.try_recv().is_ok() {}
        lose(&socket);
        assert_eq!(reason(&events), SessionLoss::Disconnected);
        socket = router.control_socket();
        back(&events);
        // The first of these may belong to the lost session.
        eventually("an accept is pending", || {
            session.session().is_some_and(|now| {
                let lines = router.scripted.received();
                let last = lines
                    .iter()
                    .rfind(|line| line.starts_with("STREAM ACCEPT"))
                    .unwrap();
                field(last, "ID") == Some(now.id())
            })
        });
        let mut pending = router.accepts.recv_timeout(LONG).unwrap();
        while let Ok(later) = router.accepts.try_recv() {
            pending = later;
        }
        writeln!(pending, "{}", key(9).destination()).unwrap();
        let (_, peer) = listener.accept_timeout(LONG).unwrap();
        assert_eq!(peer.destination(), Some(key(9).destination()));
    }
}

#[test]
fn healed_session_keeps_key_and_changes_id() {
    let router = Router::start();
    let (session, events, socket) = session(&router);
    let before = session.session().unwrap().id().to_owned();
    lose(&socket);
    back(&events);
    let lines = router.create_lines();
    let own = key(1).expose_base64();
    assert_eq!(field(&lines[1], "DESTINATION"), Some(&*own));
    assert_ne!(field(&lines[1], "ID"), Some(&*before));
    assert_eq!(session.session().unwrap().private_key(), &key(1));
}

#[test]
fn transient_key_survives_healing() {
    let router = Router::start();
    let (options, events) = listening(HealingOptions::new().initial_backoff(SHORT));
    let session = router.builder().healing_with(&options).unwrap();
    lose(&router.control_socket());
    back(&events);
    let lines = router.create_lines();
    assert_eq!(field(&lines[0], "DESTINATION"), Some("TRANSIENT"));
    let own = session.private_key().expose_base64();
    assert_eq!(field(&lines[1], "DESTINATION"), Some(&*own));
}

#[test]
fn loss_is_noticed_from_bridge_message() {
    let router = Router::start();
    let (_session, events, mut socket) = session(&router);
    let line = b"SESSION STATUS RESULT=I2P_ERROR MESSAGE=\"PONG timeout\"\n";
    socket.write_all(line).unwrap();
    let SessionLoss::Refused(refusal) = reason(&events) else {
        panic!("another reason");
    };
    assert_eq!(refusal.explanation(), Some("PONG timeout"));
    assert_eq!(back(&events), 1);
}

#[test]
fn loss_is_noticed_by_heartbeat() {
    let router = Router::start();
    let (options, events) = listening(HealingOptions::new().initial_backoff(SHORT));
    let second = Duration::from_secs(1);
    let builder = router.builder().heartbeat(Some(second));
    let _session = builder.healing_with(&options).unwrap();
    assert_eq!(reason(&events), SessionLoss::HeartbeatTimeout(second));
    assert_eq!(back(&events), 1);
}

#[test]
fn loss_is_noticed_by_dial_which_continues() {
    let told = Arc::new(Mutex::new(false));
    let scripted = ScriptedBridge::router(move |visit, stage| match stage {
        Stage::Command(_) if !std::mem::replace(&mut *told.lock().unwrap(), true) => {
            visit.say("STREAM STATUS RESULT=I2P_ERROR MESSAGE=\"Session is closed\"\n");
        }
        Stage::Command(_) => {
            visit.say("STREAM STATUS RESULT=OK\n");
            visit.echo();
        }
        _ => visit.until_quit(),
    });
    let options = HealingOptions::new().initial_backoff(SHORT);
    let builder = scripted.bridge().session();
    let session = builder.healing_with(&options).unwrap();
    let mut stream = session.connect(key(2).destination()).unwrap();
    stream.write_all(b"ping").unwrap();
    let mut word = [0; 4];
    stream.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"ping");
}

#[test]
fn failure_that_may_pass_is_retried_and_reported() {
    let router = Router::start();
    let (_session, events, socket) = session(&router);
    router.answer(&[Answer::Say("nonsense\n"), Answer::HangUp, Answer::Make]);
    lose(&socket);
    assert_eq!(reason(&events), SessionLoss::Disconnected);
    for expected in 1..=3 {
        match next(&events) {
            HealingEvent::Connecting { attempt, .. } => assert_eq!(attempt, expected),
            other => panic!("{other:?}"),
        }
        match next(&events) {
            HealingEvent::AttemptFailed { attempt, .. } if expected < 3 => {
                assert_eq!(attempt, expected)
            }
            HealingEvent::Restored { attempts, .. } => assert_eq!((attempts, expected), (3, 3)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn key_held_by_bridge_is_awaited_within_attempt() {
    let router = Router::start();
    let (_session, events, socket) = session(&router);
    let duplicate = "SESSION STATUS RESULT=I2P_ERROR MESSAGE=\"duplicate destination\"\n";
    router.answer(&[
        Answer::Say("SESSION STATUS RESULT=DUPLICATED_DEST\n"),
        Answer::Say("SESSION STATUS RESULT=DUPLICATE_ID\n"),
        Answer::Say(duplicate),
        Answer::Make,
    ]);
    lose(&socket);
    assert_eq!(reason(&events), SessionLoss::Disconnected);
    assert!(matches!(
        next(&events),
        HealingEvent::Connecting { attempt: 1, .. }
    ));
    assert!(matches!(
        next(&events),
        HealingEvent::Restored { attempts: 1, .. }
    ));
}

/// Returns the pauses that were reported during failures, and the start of each attempt.
fn attempts(events: &mpsc::Receiver<HealingEvent>, most: usize) -> Vec<(Duration, Duration)> {
    let mut pauses = Vec::new();
    let mut announced = None;
    while pauses.len() < most {
        match next(events) {
            HealingEvent::Lost { pause, .. } | HealingEvent::AttemptFailed { pause, .. } => {
                announced = Some(pause);
            }
            HealingEvent::Connecting { away, .. } => pauses.push((announced.take().unwrap(), away)),
            _ => {}
        }
    }
    pauses
}

#[test]
fn refusing_bridge_is_asked_at_promised_rate() {
    let router = Router::start();
    let options = HealingOptions::new()
        .initial_backoff(SHORT)
        .max_backoff(SHORT * 8);
    let (options, events) = listening(options);
    let _session = router.builder().healing_with(&options).unwrap();
    router.answer(&[Answer::Say("SESSION STATUS RESULT=I2P_ERROR\n")]);
    lose(&router.control_socket());
    let mut full = SHORT;
    let mut least = Duration::ZERO;
    for (pause, away) in attempts(&events, 8) {
        assert!((full / 2..=full).contains(&pause), "{pause:?} of {full:?}");
        least += pause;
        assert!(away >= least, "{away:?} before {least:?}");
        full = (full * 2).min(SHORT * 8);
    }
}

#[test]
fn session_dropping_bridge_is_asked_at_promised_rate() {
    let router = Router::start();
    let options = HealingOptions::new()
        .initial_backoff(SHORT)
        .max_backoff(SHORT * 16);
    let (options, events) = listening(options);
    let _session = router.builder().healing_with(&options).unwrap();
    router.answer(&[Answer::Drop]);
    lose(&router.control_socket());
    let mut full = SHORT;
    for _ in 0..6 {
        let HealingEvent::Lost { pause, .. } = next(&events) else {
            panic!("it was not lost");
        };
        assert!(pause >= full / 2, "{pause:?} of {full:?}");
        assert_eq!(back(&events), 1);
        full = (full * 2).min(SHORT * 16);
    }
}

#[test]
fn close_during_backoff_returns_at_once() {
    let router = Router::start();
    let options = HealingOptions::new().initial_backoff(LONG * 10);
    let (options, events) = listening(options);
    let session = router.builder().healing_with(&options).unwrap();
    let listener = session.listener().unwrap();
    lose(&router.control_socket());
    reason(&events);
    let accepting = in_background(move || listener.accept().map(drop));
    let dialler = session.clone();
    let dialling = in_background(move || dialler.connect("peer.i2p").map(drop));
    let closer = session.clone();
    outcome(&in_background(move || closer.close()));
    for waiting in [accepting, dialling] {
        let error = outcome(&waiting).unwrap_err();
        let closed = matches!(error, Error::SessionLost(SessionLoss::Closed));
        assert!(closed, "{error}");
    }
    // Nobody is left to report its end.
    drop((session, options));
    let told = events.recv_timeout(LONG);
    assert!(
        matches!(told, Err(mpsc::RecvTimeoutError::Disconnected)),
        "{told:?}"
    );
}

#[test]
fn close_during_session_creation_returns_at_once() {
    let router = Router::start();
    let (session, events, socket) = session(&router);
    router.answer(&[Answer::Nothing]);
    lose(&socket);
    reason(&events);
    let pending = router.control_socket();
    let listener = session.listener().unwrap();
    let accepting = in_background(move || listener.accept().map(drop));
    outcome(&in_background(move || session.close()));
    assert!(outcome(&accepting).unwrap_err().is_session_lost());
    // The attempt was abandoned, too.
    let mut rest = Vec::new();
    pending.set_read_timeout(Some(LONG)).unwrap();
    { &pending }.read_to_end(&mut rest).unwrap();
}

#[test]
fn dropping_session_stops_supervisor() {
    let router = Router::start();
    let (session, events, socket) = session(&router);
    router.answer(&[Answer::Nothing]);
    lose(&socket);
    reason(&events);
    let pending = router.control_socket();
    drop(session);
    pending.set_read_timeout(Some(LONG)).unwrap();
    assert_eq!({ &pending }.read(&mut [0]).unwrap(), 0);
}

#[test]
fn dropping_healing_session_closes_session() {
    let router = Router::start();
    let (session, _events, _socket) = session(&router);
    drop(session);
    eventually("it is closed", || router.was_told_to_quit());
}

#[test]
fn cancel_ends_call_awaiting_session() {
    let router = Router::start();
    let (options, events) = listening(HealingOptions::new().initial_backoff(LONG * 10));
    let session = router.builder().healing_with(&options).unwrap();
    let cancel = Cancel::new();
    let listener = session.listener().unwrap().with_cancel(&cancel);
    let dialler = session.with_cancel(&cancel);
    lose(&router.control_socket());
    reason(&events);
    let accepting = in_background(move || listener.accept().map(drop));
    let dialling = in_background(move || dialler.connect("peer.i2p").map(drop));
    cancel.cancel();
    for waiting in [accepting, dialling] {
        let error = outcome(&waiting).unwrap_err();
        assert!(matches!(error, Error::Cancelled { .. }), "{error}");
    }
}

#[test]
fn bridge_cancel_ends_healing() {
    let router = Router::start();
    let cancel = Cancel::new();
    let bridge = router.scripted.bridge().with_cancel(&cancel);
    let session = bridge.session().healing().unwrap();
    let other = session.with_cancel(&Cancel::new());
    let listener = other.listener().unwrap();
    let accepting = in_background(move || listener.accept().map(drop));
    cancel.cancel();
    assert!(outcome(&accepting).unwrap_err().is_session_lost());
    let error = other.connect("peer.i2p").unwrap_err();
    assert!(matches!(error, Error::GaveUp(_)), "{error}");
}

#[test]
fn permanent_failure_ends_healing_and_reports_once() {
    let router = Router::start();
    let (session, events, socket) = session(&router);
    let listener = session.listener().unwrap();
    router.answer(&[Answer::Say("SESSION STATUS RESULT=INVALID_KEY\n")]);
    lose(&socket);
    let mut incoming = listener.incoming();
    let error = incoming.next().unwrap().unwrap_err();
    assert!(matches!(error, Error::GaveUp(_)), "{error}");
    assert!(incoming.next().is_none());
    reason(&events);
    assert!(matches!(next(&events), HealingEvent::Connecting { .. }));
    assert!(matches!(next(&events), HealingEvent::GaveUp { .. }));
    assert!(session.listener().unwrap_err().is_session_lost());
    assert!(session.connect("peer.i2p").unwrap_err().is_session_lost());
    assert_eq!(router.create_lines().len(), 2);
}

#[test]
fn healing_stops_at_configured_limit() {
    let router = Router::start();
    let options = HealingOptions::new()
        .initial_backoff(SHORT)
        .give_up_after(Some(SHORT * 5));
    let (options, events) = listening(options);
    let session = router.builder().healing_with(&options).unwrap();
    router.answer(&[Answer::Say("SESSION STATUS RESULT=I2P_ERROR\n")]);
    lose(&router.control_socket());
    let away = loop {
        if let HealingEvent::GaveUp { away, .. } = next(&events) {
            break away;
        }
    };
    assert!(away >= SHORT * 5, "{away:?}");
    let error = session.connect("peer.i2p").unwrap_err();
    assert!(matches!(error, Error::GaveUp(_)), "{error}");
}

#[test]
fn first_failure_is_returned_at_once() {
    let router = Router::start();
    router.answer(&[Answer::Say("SESSION STATUS RESULT=DUPLICATED_DEST\n")]);
    let error = router.builder().healing().unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error}");
    assert_eq!(router.create_lines().len(), 1);
}

#[test]
fn initial_retry_succeeds_once_key_is_released() {
    let router = Router::start();
    router.answer(&[
        Answer::Say("SESSION STATUS RESULT=DUPLICATED_DEST\n"),
        Answer::HangUp,
        Answer::Make,
    ]);
    let (options, events) = listening(
        HealingOptions::new()
            .initial_backoff(SHORT)
            .retry_initial(true),
    );
    let session = router.builder().key(&key(1)).healing_with(&options);
    assert_eq!(session.unwrap().private_key(), &key(1));
    for expected in 1..=2 {
        match next(&events) {
            HealingEvent::AttemptFailed { attempt, pause, .. } => {
                assert_eq!(attempt, expected);
                assert!(pause >= SHORT / 2);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(router.create_lines().len(), 3);
}

#[test]
fn initial_retry_reports_permanent_failure_and_timeout() {
    let router = Router::start();
    router.answer(&[Answer::Say("SESSION STATUS RESULT=INVALID_KEY\n")]);
    let patient = HealingOptions::new()
        .initial_backoff(SHORT)
        .retry_initial(true);
    let error = router.builder().healing_with(&patient).unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error}");
    assert_eq!(router.create_lines().len(), 1);
    router.answer(&[Answer::HangUp]);
    let patient = patient.give_up_after(Some(SHORT * 4));
    let error = router.builder().healing_with(&patient).unwrap_err();
    assert!(matches!(error, Error::UnexpectedEof { .. }), "{error}");
    assert!(router.create_lines().len() > 2);
}

#[test]
fn cancel_ends_initial_retry_at_once() {
    let router = Router::start();
    router.answer(&[Answer::HangUp]);
    let cancel = Cancel::new();
    let bridge = router.scripted.bridge().with_cancel(&cancel);
    let patient = HealingOptions::new()
        .initial_backoff(LONG * 10)
        .retry_initial(true);
    let (options, events) = listening(patient);
    let waiting = in_background(move || bridge.session().healing_with(&options).map(drop));
    assert!(matches!(next(&events), HealingEvent::AttemptFailed { .. }));
    cancel.cancel();
    let error = outcome(&waiting).unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }), "{error}");
}

#[test]
fn dial_awaits_session() {
    let router = Router::start();
    let (session, events, socket) = session(&router);
    router.answer(&[Answer::HangUp, Answer::HangUp, Answer::Make]);
    lose(&socket);
    reason(&events);
    let mut stream = session.connect(key(2).destination()).unwrap();
    stream.write_all(b"ping").unwrap();
    let mut word = [0; 4];
    stream.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"ping");
}

#[test]
fn dial_awaiting_session_keeps_deadline() {
    let router = Router::start();
    let (options, events) = listening(HealingOptions::new().initial_backoff(LONG * 10));
    let session = router.builder().healing_with(&options).unwrap();
    lose(&router.control_socket());
    reason(&events);
    let error = session.connect_timeout("peer.i2p", SHORT).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    let listener = session.listener().unwrap();
    assert!(listener.accept_timeout(SHORT).unwrap_err().is_timeout());
    listener.set_nonblocking(true).unwrap();
    let error = listener.accept().unwrap_err();
    assert!(matches!(error, Error::WouldBlock), "{error}");
}

#[test]
fn listener_made_during_outage_accepts_after_healing() {
    let router = Router::start();
    let (session, events, socket) = session(&router);
    router.answer(&[Answer::HangUp, Answer::HangUp, Answer::Make]);
    lose(&socket);
    reason(&events);
    let listener = session.listener().unwrap();
    router.show_that_it_accepts(&listener);
}

#[test]
fn stream_of_lost_session_ends_with_loss() {
    let router = Router::start();
    let (session, events, socket) = session(&router);
    let mut stream = session.connect(key(2).destination()).unwrap();
    lose(&socket);
    back(&events);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    assert_eq!(stream.loss(), Some(SessionLoss::Disconnected));
}

#[test]
fn renewal_keeps_key_and_listener_changes_id() {
    let router = Router::start();
    let (session, events, _socket) = session(&router);
    let listener = session.listener().unwrap();
    let before = session.session().unwrap().id().to_owned();
    while router.accepts.try_recv().is_ok() {}
    session.renew().unwrap();
    let now = session.session().unwrap();
    assert_ne!(now.id(), before);
    assert_eq!(now.private_key(), &key(1));
    assert_eq!(reason(&events), SessionLoss::Closed);
    assert_eq!(back(&events), 1);
    assert!(router.was_told_to_quit());
    router.show_that_it_accepts(&listener);
}

#[test]
fn renewal_ends_streams_of_old_session() {
    let router = Router::start();
    let (session, _events, _socket) = session(&router);
    let mut stream = session.connect(key(2).destination()).unwrap();
    session.renew().unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    assert_eq!(stream.loss(), Some(SessionLoss::Closed));
}

#[test]
fn renewal_awaits_session_in_creation() {
    let router = Router::start();
    let (session, events, socket) = session(&router);
    router.answer(&[Answer::Nothing]);
    lose(&socket);
    let held = router.control_socket();
    let clone = session.clone();
    let renewing = in_background(move || clone.renew());
    router.answer(&[Answer::Make]);
    lose(&held);
    outcome(&renewing).unwrap();
    assert_eq!(back(&events), 2);
    assert_eq!(router.create_lines().len(), 3);
}

#[test]
fn cancelled_renewal_still_creates_session() {
    let router = Router::start();
    let (session, events, _socket) = session(&router);
    router.answer(&[Answer::Nothing]);
    let cancel = Cancel::new();
    let clone = session.with_cancel(&cancel);
    let renewing = in_background(move || clone.renew());
    let held = router.control_socket();
    cancel.cancel();
    assert!(matches!(outcome(&renewing), Err(Error::Cancelled { .. })));
    router.answer(&[Answer::Make]);
    lose(&held);
    back(&events);
}

#[test]
fn renewal_of_closed_session_fails() {
    let router = Router::start();
    let (session, _events, _socket) = session(&router);
    session.close();
    let outcome = session.renew();
    assert!(matches!(
        outcome,
        Err(Error::SessionLost(SessionLoss::Closed))
    ));
}

#[test]
fn wait_closed_outlasts_loss_and_ends_by_close() {
    let router = Router::start();
    let (session, events, socket) = session(&router);
    let clone = session.clone();
    let waiting = in_background(move || clone.wait_closed(None));
    lose(&socket);
    back(&events);
    let error = session.wait_closed(Some(SHORT)).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    session.close();
    assert!(outcome(&waiting).unwrap().is_none());
}

#[test]
fn wait_closed_returns_error_on_which_session_gave_up() {
    let router = Router::start();
    let (session, _events, socket) = session(&router);
    router.answer(&[Answer::Say("SESSION STATUS RESULT=INVALID_KEY\n")]);
    let clone = session.clone();
    let waiting = in_background(move || clone.wait_closed(None));
    lose(&socket);
    let error = outcome(&waiting).unwrap().unwrap();
    assert!(matches!(&*error, Error::Refused(_)), "{error}");
}

#[test]
fn cancelled_wait_closed_leaves_session_open() {
    let router = Router::start();
    let (session, _events, _socket) = session(&router);
    let cancel = Cancel::new();
    let clone = session.with_cancel(&cancel);
    let waiting = in_background(move || clone.wait_closed(None));
    cancel.cancel();
    assert!(matches!(outcome(&waiting), Err(Error::Cancelled { .. })));
    assert!(session.session().is_some());
}

#[test]
fn healing_moves_to_another_bridge() {
    let (first, second) = (Router::start(), Router::start());
    let address = first.scripted.address().to_string();
    let bridge = SamBridge::builder().address(&address);
    let bridge = bridge.fallback(&second.scripted.bridge()).build().unwrap();
    let (options, events) = listening(HealingOptions::new().initial_backoff(SHORT));
    let session = bridge.session().healing_with(&options).unwrap();
    first.answer(&[Answer::HangUp]);
    lose(&first.control_socket());
    back(&events);
    let now = session.session().unwrap();
    assert_eq!(
        now.bridge().address(),
        second.scripted.address().to_string()
    );
    let own = session.private_key().expose_base64();
    assert_eq!(field(&second.create_lines()[0], "DESTINATION"), Some(&*own));
}

#[test]
fn panicking_callback_does_not_stop_healing() {
    let router = Router::start();
    let options = HealingOptions::new()
        .initial_backoff(SHORT)
        .on_event(|_, _| panic!("the program's own fault"));
    let session = router.builder().healing_with(&options).unwrap();
    lose(&router.control_socket());
    let _again = router.control_socket();
    eventually("it is back", || session.session().is_some());
}

#[test]
fn callback_has_default_stack_size() {
    let router = Router::start();
    let (sender, called) = mpsc::channel();
    let sender = Mutex::new(sender);
    let options = HealingOptions::new().on_event(move |_, _| {
        std::hint::black_box([0_u8; 512 * 1024]);
        let _ = sender.lock().unwrap().send(());
    });
    let _session = router.builder().healing_with(&options).unwrap();
    lose(&router.control_socket());
    called.recv_timeout(LONG).unwrap();
}

#[test]
fn streams_without_listener_are_closed() {
    let router = Router::start();
    let (session, _events, _socket) = session(&router);
    let listener = session.listener().unwrap();
    let other = listener.try_clone().unwrap();
    drop(listener);
    router.show_that_it_accepts(&other);
    drop(other);
    let mut caller = router.accepts.recv_timeout(LONG).unwrap();
    writeln!(caller, "{}", key(9).destination()).unwrap();
    caller.set_read_timeout(Some(LONG)).unwrap();
    assert_eq!(caller.read(&mut [0]).unwrap(), 0);
}

#[test]
fn forwarding_listener_is_restored_after_loss() {
    let (forward, forwards) = mpsc::channel();
    let (session, sessions) = mpsc::channel();
    let senders = Mutex::new((forward, session));
    let scripted = ScriptedBridge::router(move |visit, stage| match stage {
        Stage::Command(line) => {
            let port: u16 = field(line, "PORT").unwrap().parse().unwrap();
            visit.say("STREAM STATUS RESULT=OK\n");
            let _ = senders.lock().unwrap().0.send(port);
            visit.rest();
        }
        _ => {
            let _ = senders.lock().unwrap().1.send(visit.socket());
            visit.until_quit();
        }
    });
    let options = HealingOptions::new().initial_backoff(SHORT).forward(true);
    let builder = scripted.bridge().session();
    let session = builder.healing_with(&options).unwrap();
    let listener = session.listener().unwrap();
    for _ in 0..2 {
        let port = forwards.recv_timeout(LONG).unwrap();
        let mut caller = TcpStream::connect(("127.0.0.1", port)).unwrap();
        writeln!(caller, "{}", key(9).destination()).unwrap();
        let (_, peer) = listener.accept_timeout(LONG).unwrap();
        assert_eq!(peer.destination(), Some(key(9).destination()));
        lose(&sessions.recv_timeout(LONG).unwrap());
    }
}

#[test]
fn accept_refusing_bridge_is_asked_at_promised_rate() {
    let (session, sessions) = mpsc::channel();
    let sender = Mutex::new(session);
    let refusing = Arc::new(AtomicBool::new(false));
    let refuses = Arc::clone(&refusing);
    let scripted = ScriptedBridge::start(move |visit| {
        visit.greet();
        let Some(line) = visit.line() else { return };
        if line.starts_with("SESSION CREATE") {
            visit.make_session(&line);
            let _ = sender.lock().unwrap().send(visit.socket());
            visit.until_quit();
        } else if refuses.load(Ordering::SeqCst) {
            visit.say("STREAM STATUS RESULT=I2P_ERROR MESSAGE=\"not now\"\n");
        } else {
            visit.say("STREAM STATUS RESULT=OK\n");
            visit.rest();
        }
    });
    let options = HealingOptions::new()
        .initial_backoff(SHORT)
        .max_backoff(SHORT * 8);
    let (options, events) = listening(options);
    let builder = scripted.bridge().session().linger(Duration::ZERO);
    let healing = builder.healing_with(&options).unwrap();
    let _listener = healing.listener().unwrap();
    refusing.store(true, Ordering::SeqCst);
    lose(&sessions.recv_timeout(LONG).unwrap());
    let mut full = SHORT;
    for (pause, _) in attempts(&events, 6) {
        assert!((full / 2..=full).contains(&pause), "{pause:?} of {full:?}");
        full = (full * 2).min(SHORT * 8);
    }
}
