//! Commands on the control socket of a primary session, and which reply belongs to which command.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use i2p_sam::{
    Cancel, DatagramStyle, Error, Phase, PrimarySession, RawOptions, ResultCode, SamBridge,
    SessionLoss, StreamSession,
};

use crate::support::primary::{Router, gate, i2pd_ok, java_ok, refusal};
use crate::support::{LONG, Visit, field, in_background, milestone, outcome, pause};

#[test]
fn both_reply_forms_add_subsession() {
    for form in [java_ok, |_: &str| i2pd_ok()] {
        let router = Router::answering(move |visit, line| visit.say(&form(line)));
        let primary = router.primary();
        let first = primary.subsession().stream().unwrap();
        let second = primary.subsession().listen_port(80).stream().unwrap();
        assert_ne!(first.id(), second.id());
        for session in [&first, &second] {
            assert_eq!(session.destination(), primary.destination());
            assert_eq!(session.loss(), None);
        }
    }
}

#[test]
fn subsession_refusals_are_reported_and_harmless() {
    let recorded = [
        (
            "I2P_ERROR ID=\"{}\" MESSAGE=\"Duplicate protocol 6 and port 0\"",
            "Duplicate protocol 6 and port 0",
        ),
        (
            "I2P_ERROR ID=\"{}\" MESSAGE=\"RAW subsession must specify PORT\"",
            "RAW subsession must specify PORT",
        ),
        (
            "I2P_ERROR ID=\"{}\" MESSAGE=\"Bad RAW LISTEN_PPROTOCOL 6\"",
            "Bad RAW LISTEN_PPROTOCOL 6",
        ),
        (
            "I2P_ERROR ID=\"{}\" MESSAGE=\"Unrecognized SESSION STYLE DATAGRAM2\"",
            "Unrecognized SESSION STYLE DATAGRAM2",
        ),
        (
            "I2P_ERROR MESSAGE=\"No SESSION STYLE specified\"",
            "No SESSION STYLE specified",
        ),
        (
            "I2P_ERROR MESSAGE=\"invalid datagram configuration\"",
            "invalid datagram configuration",
        ),
    ];
    let turn = Mutex::new(0);
    let router = Router::answering(move |visit, line| {
        let mut turn = turn.lock().unwrap();
        let text = recorded.get(*turn).map(|(text, _)| text);
        *turn += 1;
        match text {
            Some(text) => {
                let text = text.replace("{}", field(line, "ID").unwrap());
                visit.say(&format!("SESSION STATUS RESULT={text}\n"));
            }
            None => visit.say(&java_ok(line)),
        }
    });
    let primary = router.primary();
    for (_, explanation) in recorded {
        let refused = refusal(primary.subsession().stream().unwrap_err());
        let expected = (
            Phase::SessionAdd,
            ResultCode::I2pError,
            explanation.to_owned(),
        );
        assert_eq!(refused, expected);
        assert_eq!(primary.loss(), None);
    }
    primary.subsession().stream().unwrap();
}

#[test]
fn both_spellings_of_duplicate_id_are_refusals() {
    for word in ["DUPLICATED_ID", "DUPLICATE_ID"] {
        let router = Router::answering(move |visit, _| {
            visit.say(&format!("SESSION STATUS RESULT={word}\n"));
        });
        let error = router.primary().subsession().stream().unwrap_err();
        assert_eq!(refusal(error).1, ResultCode::DuplicatedId);
    }
}

#[test]
fn ping_between_command_and_reply_is_answered() {
    let router = Router::answering(|visit, line| {
        visit.say("PING 12 \"x\"\n");
        assert_eq!(visit.line().unwrap(), "PONG 12 \"x\"\n");
        visit.say("NOISE\nSESSION NONSENSE RESULT=OK\n");
        visit.say(&java_ok(line));
    });
    router.primary().subsession().stream().unwrap();
}

/// Checks that nothing more arrives within this time.
fn assert_silence(visit: &Visit<'_, '_>, time: Duration) {
    let socket = visit.socket();
    socket.set_read_timeout(Some(time)).unwrap();
    let error = socket.peek(&mut [0]).unwrap_err();
    let kinds = [ErrorKind::WouldBlock, ErrorKind::TimedOut];
    assert!(kinds.contains(&error.kind()), "{error}");
    socket.set_read_timeout(None).unwrap();
}

#[test]
fn commands_are_sent_one_at_a_time() {
    let router = Router::answering(|visit, line| {
        assert_silence(visit, Duration::from_millis(30));
        visit.say(&java_ok(line));
    });
    let primary = router.primary();
    let sessions: Vec<StreamSession> = std::thread::scope(|scope| {
        let add = |n| {
            scope.spawn({
                let primary = &primary;
                move || primary.subsession().listen_port(n).stream().unwrap()
            })
        };
        let adding: Vec<_> = (1..=8).map(add).collect();
        adding.into_iter().map(|one| one.join().unwrap()).collect()
    });
    for session in sessions {
        session.close();
    }
    assert_eq!(router.asked().len(), 16);
}

#[test]
fn heartbeat_and_command_use_separate_segments() {
    let (beats, beaten) = milestone();
    let router = Router::answering(move |visit, line| {
        assert_silence(visit, Duration::from_millis(10));
        match line == "NAMING LOOKUP NAME=ME\n" {
            true => beats.reached(),
            false => visit.say(&java_ok(line)),
        }
    });
    let builder = router.builder().heartbeat(Some(Duration::from_secs(1)));
    let primary = builder.primary().unwrap();
    let mut beats = 0;
    while beats < 3 {
        // Each is dropped, and so removed, at once.
        primary.subsession().stream().unwrap();
        beats += beaten.try_iter().count();
    }
    assert_eq!(primary.loss(), None);
}

/// Adds a subsession, and cancels when the bridge has received the command.
fn give_up(primary: &PrimarySession, heard: &mpsc::Receiver<()>) {
    let cancel = Cancel::new();
    let adding = primary.with_cancel(&cancel);
    let adding = in_background(move || adding.subsession().listen_port(1).stream().map(drop));
    heard.recv_timeout(LONG).unwrap();
    cancel.cancel();
    let error = outcome(&adding).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Cancelled {
                phase: Phase::SessionAdd
            }
        ),
        "{error}"
    );
}

#[test]
fn subsession_added_after_timeout_is_removed_first() {
    let (heard, hears) = milestone();
    let (open, pass) = gate();
    let router = Router::answering(move |visit, line| {
        if line.ends_with("LISTEN_PORT=1\n") && line.contains(" ADD ") {
            heard.reached();
            pass();
        }
        visit.say(&java_ok(line));
    });
    let primary = router.primary();
    give_up(&primary, &hears);
    let next = primary.clone();
    let next = in_background(move || next.subsession().listen_port(2).stream());
    open.send(()).unwrap();
    let next = outcome(&next).unwrap();
    let asked = router.asked();
    let given_up = field(&asked[0], "ID").unwrap();
    assert_eq!(asked[1], format!("SESSION REMOVE ID={given_up}\n"));
    assert_eq!(field(&asked[2], "ID"), Some(next.id()));
}

/// The first command is cancelled, and answered after the second one is queued.
fn late(first: impl Fn(&str) -> String + Send + Sync + 'static) -> Router {
    let (heard, hears) = milestone();
    let before = Mutex::new(String::new());
    let router = Router::answering(move |visit, line| {
        let mut before = before.lock().unwrap();
        if line.ends_with("LISTEN_PORT=1\n") {
            *before = line.to_owned();
            return heard.reached();
        }
        if !before.is_empty() {
            visit.say(&first(&before));
            before.clear();
        }
        match line.ends_with("LISTEN_PORT=2\n") {
            true => visit.say(&i2pd_ok()),
            false => visit.say("SESSION STATUS RESULT=I2P_ERROR MESSAGE=\"third\"\n"),
        }
    });
    let primary = router.primary();
    give_up(&primary, &hears);
    // The library waits 2 s for its reply before it sends another command.
    let second = primary.subsession().listen_port(2).stream().unwrap();
    assert_eq!(second.loss(), None);
    let error = primary.subsession().listen_port(3).stream().unwrap_err();
    assert_eq!(refusal(error).2, "third");
    router
}

#[test]
fn late_unnamed_refusal_is_not_next_reply() {
    late(|_| "SESSION STATUS RESULT=I2P_ERROR MESSAGE=\"first\"\n".to_owned());
}

#[test]
fn late_named_reply_is_not_next_reply() {
    late(|line| {
        let id = field(line, "ID").unwrap();
        format!("SESSION STATUS RESULT=I2P_ERROR ID=\"{id}\" MESSAGE=\"first\"\n")
    });
}

#[test]
fn command_abandoned_in_queue_is_never_sent() {
    let (heard, hears) = milestone();
    let (open, pass) = gate();
    let router = Router::answering(move |visit, line| {
        heard.reached();
        pass();
        visit.say(&java_ok(line));
    });
    let primary = router.primary();
    let first = primary.clone();
    let first = in_background(move || first.subsession().listen_port(1).stream());
    hears.recv_timeout(LONG).unwrap();
    let cancel = Cancel::new();
    cancel.cancel();
    let error = primary
        .with_cancel(&cancel)
        .subsession()
        .stream()
        .unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }));
    let (cancel, second) = (Cancel::new(), primary.clone());
    let second = second.with_cancel(&cancel);
    let second = in_background(move || second.subsession().listen_port(2).stream());
    pause(Duration::from_millis(50));
    cancel.cancel();
    assert!(outcome(&second).is_err());
    for _ in 0..2 {
        open.send(()).unwrap();
    }
    let first = outcome(&first).unwrap();
    let third = primary.subsession().listen_port(3).stream().unwrap();
    let asked = router.asked();
    let ids: Vec<_> = asked.iter().filter_map(|line| field(line, "ID")).collect();
    assert_eq!(ids, [first.id(), third.id()]);
}

#[test]
fn late_reply_times_out_in_its_phase() {
    let router = Router::answering(|_, _| {});
    let bridge = SamBridge::builder().address(router.bridge.address().to_string());
    let time = Duration::from_millis(100);
    let bridge = bridge.command_timeout(Some(time)).build().unwrap();
    let primary = bridge.session().primary().unwrap();
    let error = primary.subsession().stream().unwrap_err();
    assert!(
        matches!(error, Error::Timeout { phase: Phase::SessionAdd, after, .. } if after == time),
        "{error}"
    );
    assert_eq!(primary.loss(), None);
}

/// Returns the outcome of an add if the bridge sends this instead of a reply, and optionally
/// closes.
fn instead_of_an_answer(text: &'static str, hang_up: bool) -> (Error, Option<SessionLoss>) {
    let router = Router::answering(move |visit, _| {
        visit.say(text);
        if hang_up {
            visit.hang_up();
        }
    });
    let primary = router.primary();
    let error = primary.subsession().stream().unwrap_err();
    (error, primary.loss())
}

#[test]
fn pong_timeout_instead_of_reply_is_loss() {
    let text = "SESSION STATUS RESULT=I2P_ERROR MESSAGE=\"PONG timeout\"\n";
    let (error, loss) = instead_of_an_answer(text, false);
    assert!(error.is_session_lost(), "{error}");
    let Some(SessionLoss::Refused(refusal)) = loss else {
        panic!("{loss:?}");
    };
    assert_eq!(refusal.explanation(), Some("PONG timeout"));
}

#[test]
fn close_instead_of_reply_is_bridge_gone() {
    // The others could be truncated.
    for text in ["", "SESSION STATUS RESULT=OK", "SESSION STATUS RESULT=O"] {
        let (error, loss) = instead_of_an_answer(text, true);
        assert!(error.is_session_lost(), "{text}: {error}");
        assert_eq!(loss, Some(SessionLoss::Disconnected), "{text}");
    }
}

#[test]
fn refusal_before_close_is_reply() {
    // emissary omits the newline.
    let text = "SESSION STATUS RESULT=DUPLICATE_ID";
    let (error, loss) = instead_of_an_answer(text, true);
    assert_eq!(refusal(error).1, ResultCode::DuplicatedId);
    assert!(loss.is_none_or(|loss| loss == SessionLoss::Disconnected));
}

#[test]
fn unsolicited_error_ends_session() {
    let router = Router::answering(|visit, line| {
        visit.say(&java_ok(line));
        visit.say("SESSION STATUS RESULT=I2P_ERROR MESSAGE=\"tunnels gone\"\n");
    });
    let primary = router.primary();
    let session = primary.subsession().stream().unwrap();
    let loss = session.wait_closed(Some(LONG)).unwrap();
    let SessionLoss::Refused(refusal) = &loss else {
        panic!("{loss:?}");
    };
    assert_eq!(refusal.explanation(), Some("tunnels gone"));
    assert_eq!(primary.loss(), Some(loss));
}

#[test]
fn primary_end_ends_pending_add() {
    let (heard, hears) = milestone();
    let router = Router::answering(move |_, _| heard.reached());
    let primary = router.primary();
    let adding = primary.clone();
    let adding = in_background(move || adding.subsession().stream().map(drop));
    hears.recv_timeout(LONG).unwrap();
    primary.close();
    let error = outcome(&adding).unwrap_err();
    assert!(matches!(error, Error::SessionLost(SessionLoss::Closed)));
}

#[test]
fn refused_removal_keeps_session() {
    // Java I2P forgets datagram subsessions when a stream arrives.
    let router = Router::answering(|visit, line| {
        let id = field(line, "ID").unwrap();
        match line.starts_with("SESSION REMOVE") {
            true => visit.say(&format!(
                "SESSION STATUS RESULT=I2P_ERROR ID=\"{id}\" MESSAGE=\"ID {id} not found\"\n"
            )),
            false => visit.say(&java_ok(line)),
        }
    });
    let primary = router.primary();
    let session = primary.subsession().raw().unwrap();
    session.close();
    let other = primary.subsession().stream().unwrap();
    assert_eq!((primary.loss(), other.loss()), (None, None));
}

#[test]
fn unanswered_removal_does_not_shift_replies() {
    // emissary 0.4.0, which omits the name in refusals.
    let router = Router::answering(|visit, line| {
        if line.ends_with("LISTEN_PORT=9\n") {
            visit.say("SESSION STATUS RESULT=I2P_ERROR MESSAGE=\"no\"\n");
        } else if line.starts_with("SESSION ADD") {
            visit.say(&java_ok(line));
        }
    });
    let primary = router.primary();
    primary.subsession().stream().unwrap().close();
    let error = primary.subsession().listen_port(9).stream().unwrap_err();
    assert_eq!(refusal(error).2, "no");
    drop(primary.subsession().listen_port(10).stream().unwrap());
    let session = primary.subsession().listen_port(11).stream().unwrap();
    assert_eq!((primary.loss(), session.loss()), (None, None));
}

#[test]
fn recorded_java_primary_session_replays() {
    let day: Arc<Mutex<Vec<(&str, &str)>>> = Arc::new(Mutex::new(vec![
        ("ADD STYLE=STREAM", "RESULT=OK ID=\"{}\" MESSAGE=\"ADD {}\""),
        ("ADD STYLE=STREAM", "RESULT=OK ID=\"{}\" MESSAGE=\"ADD {}\""),
        (
            "ADD STYLE=DATAGRAM",
            "RESULT=OK ID=\"{}\" MESSAGE=\"ADD {}\"",
        ),
        (
            "ADD STYLE=RAW",
            "RESULT=I2P_ERROR ID=\"{}\" MESSAGE=\"Duplicate ID {}\"",
        ),
        ("ADD STYLE=RAW", "RESULT=OK ID=\"{}\" MESSAGE=\"ADD {}\""),
        ("REMOVE", "RESULT=OK ID=\"{}\" MESSAGE=\"REMOVE {}\""),
        (
            "REMOVE",
            "RESULT=I2P_ERROR ID=\"{}\" MESSAGE=\"ID {} not found\"",
        ),
        (
            "REMOVE",
            "RESULT=I2P_ERROR ID=\"{}\" MESSAGE=\"ID {} not found\"",
        ),
    ]));
    let left = Arc::clone(&day);
    let router = Router::answering(move |visit, line| {
        let (asked, said) = day.lock().unwrap().remove(0);
        assert!(line.starts_with(&format!("SESSION {asked} ")), "{line}");
        let said = said.replace("{}", field(line, "ID").unwrap());
        visit.say(&format!("SESSION STATUS {said}\n"));
    });
    let primary = router.primary();
    let session = primary.subsession().stream().unwrap();
    let _eighty = primary.subsession().from_port(80).stream().unwrap();
    let datagram = primary
        .subsession()
        .datagram(DatagramStyle::Datagram)
        .unwrap();
    let header = RawOptions::new().header(true);
    let refused = primary
        .subsession()
        .listen_port(5)
        .raw_with(&header)
        .unwrap_err();
    let id = router.asked()[3].clone();
    let id = field(&id, "ID").unwrap();
    assert!(!refused.to_string().contains(id), "an id is a secret");
    let raw = primary
        .subsession()
        .listen_port(5)
        .raw_with(&header)
        .unwrap();
    session.close();
    datagram.close();
    raw.close();
    assert!(left.lock().unwrap().is_empty());
    assert_eq!(primary.loss(), None);
}

#[test]
fn unanswered_removal_delays_first_subsession_only() {
    // emissary 0.4.0.
    let router = Router::answering(|visit, line| {
        if line.starts_with("SESSION ADD") {
            visit.say(&java_ok(line));
        }
    });
    let primary = router.primary();
    let start = Instant::now();
    for n in 1..=20 {
        drop(primary.subsession().listen_port(n).stream().unwrap());
    }
    let session = primary.subsession().stream().unwrap();
    let closing = Instant::now();
    session.close();
    assert!(closing.elapsed() < Duration::from_secs(1), "of the close");
    // 2 s for the first removal, and a tenth of a second for each of the others.
    assert!(start.elapsed() < Duration::from_secs(10), "of all of them");
    let removals = || {
        let asked = router.asked();
        asked.iter().filter(|line| line.contains("REMOVE")).count()
    };
    let _last = primary.subsession().listen_port(21).stream().unwrap();
    assert_eq!(removals(), 21);
    assert_eq!(primary.loss(), None);
}

#[test]
fn late_removal_reply_is_awaited_again() {
    let (heard, hears) = milestone();
    let late = Mutex::new(None);
    let router = Router::answering(move |visit, line| {
        let mut late = late.lock().unwrap();
        if line.starts_with("SESSION REMOVE") && late.is_none() {
            *late = Some(java_ok(line));
            return heard.reached();
        }
        if let Some(late) = late.as_mut() {
            visit.say(&std::mem::take(late));
        }
        if line.starts_with("SESSION REMOVE") {
            pause(Duration::from_millis(500));
        }
        visit.say(&java_ok(line));
    });
    let primary = router.primary();
    drop(primary.subsession().listen_port(1).stream().unwrap());
    hears.recv_timeout(LONG).unwrap();
    let second = primary.subsession().listen_port(2).stream().unwrap();
    let start = Instant::now();
    second.close();
    assert!(start.elapsed() >= Duration::from_millis(500));
    assert_eq!(primary.loss(), None);
}
