//! Primary sessions: what is asked on the control socket, whose answer is whose, and what ends with
//! what.

mod support;

use std::io::{ErrorKind, Read};
use std::net::UdpSocket;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use i2p_sam::{
    Cancel, DatagramStyle, Error, Phase, PrimarySession, RawOptions, ResultCode, SamBridge,
    SessionBuilder, SessionLoss, StreamSession, SubsessionOptions,
};
use support::{
    LONG, ScriptedBridge, Stage, Visit, eventually, field, in_background, key, milestone, outcome,
    pause,
};

/// A bridge that makes a primary session, and answers as the test says what is asked on its control
/// socket. Streams echo; accepts wait.
struct Router {
    bridge: ScriptedBridge,
}

impl Router {
    /// One that answers everything, as Java I2P does.
    fn java() -> Self {
        Self::answering(|visit, line| visit.say(&java_ok(line)))
    }

    fn answering(answer: impl Fn(&mut Visit, &str) + Send + Sync + 'static) -> Self {
        let bridge = ScriptedBridge::router(move |visit, stage| match stage {
            Stage::Session => serve(visit, &answer),
            Stage::Accept => drop(visit.rest()),
            Stage::Command(_) => {
                visit.say("STREAM STATUS RESULT=OK\n");
                visit.echo();
            }
        });
        Self { bridge }
    }

    fn builder(&self) -> SessionBuilder {
        let builder = self.bridge.bridge().session().armed_accepts(1);
        builder.linger(Duration::ZERO)
    }

    fn primary(&self) -> PrimarySession {
        self.builder().primary().unwrap()
    }

    /// What was asked on control sockets, so far.
    fn asked(&self) -> Vec<String> {
        let lines = self.bridge.received().into_iter();
        let questions = ["SESSION ADD ", "SESSION REMOVE "];
        let asked = |line: &String| questions.iter().any(|start| line.starts_with(start));
        lines.filter(asked).collect()
    }

    fn await_line(&self, what: &str) {
        eventually(what, || {
            let lines = self.bridge.received();
            lines.iter().any(|line| line.starts_with(what))
        });
    }
}

/// Answers what comes on a control socket, until the client hangs up.
fn serve(visit: &mut Visit, answer: &impl Fn(&mut Visit, &str)) {
    while let Some(line) = visit.line() {
        match line.as_str() {
            "QUIT\n" => return visit.say("QUIT STATUS RESULT=OK MESSAGE=bye\n"),
            line if line.starts_with("PONG") => {}
            line => answer(visit, line),
        }
    }
}

fn java_ok(line: &str) -> String {
    let id = field(line, "ID").unwrap();
    let verb = line.split(' ').nth(1).unwrap();
    format!("SESSION STATUS RESULT=OK ID=\"{id}\" MESSAGE=\"{verb} {id}\"\n")
}

fn i2pd_ok() -> String {
    let key = key(0).expose_base64();
    format!("SESSION STATUS RESULT=OK DESTINATION={key}\n")
}

/// A channel on which a script waits for the test's leave.
fn gate() -> (mpsc::Sender<()>, impl Fn() + Send + Sync) {
    let (open, opened) = mpsc::channel();
    let opened = Mutex::new(opened);
    let pass = move || opened.lock().unwrap().recv_timeout(LONG).unwrap();
    (open, pass)
}

fn port(port: u16) -> SubsessionOptions {
    SubsessionOptions::new().listen_port(port)
}

fn refusal(error: Error) -> (Phase, ResultCode, String) {
    match error {
        Error::Refused(refusal) => {
            let explanation = refusal.explanation().unwrap_or_default().to_owned();
            (refusal.phase(), refusal.code().clone(), explanation)
        }
        error => panic!("{error}"),
    }
}

#[test]
fn a_primary_session_is_asked_for_by_its_style() {
    let router = Router::java();
    let primary = router.builder().key(&key(5)).primary().unwrap();
    assert_eq!(primary.destination(), key(5).destination());
    let lines = router.bridge.received();
    assert!(lines[1].starts_with("SESSION CREATE STYLE=PRIMARY ID="));
    for absent in [" PORT=", " HOST=", " FROM_PORT=", " LISTEN_PORT="] {
        assert!(!lines[1].contains(absent), "{absent}");
    }
    assert_eq!(router.bridge.connections(), 1);
}

/// A bridge that refuses the style in these words and closes, and makes the session by another.
fn knowing_master(words: &'static str) -> ScriptedBridge {
    ScriptedBridge::start(move |visit| {
        visit.greet();
        let Some(line) = visit.line() else { return };
        if field(&line, "STYLE") == Some("PRIMARY") {
            let text = format!("SESSION STATUS RESULT=I2P_ERROR MESSAGE=\"{words}\"\n");
            return visit.say(&text);
        }
        visit.make_session(&line);
        serve(visit, &|visit, line| visit.say(&java_ok(line)));
    })
}

#[test]
fn where_primary_is_unknown_master_is_asked_for_over_another_socket() {
    for words in ["Unknown STYLE", "Unrecognized SESSION STYLE PRIMARY"] {
        let bridge = knowing_master(words);
        let primary = bridge.bridge().session().key(&key(3)).primary().unwrap();
        primary.stream().unwrap();
        let lines = bridge.received();
        let styles: Vec<_> = lines
            .iter()
            .filter_map(|line| field(line, "STYLE"))
            .collect();
        assert_eq!(styles, ["PRIMARY", "MASTER", "STREAM"]);
        let hellos = lines.iter().filter(|line| line.starts_with("HELLO"));
        assert_eq!((hellos.count(), bridge.connections()), (2, 2));
        assert_eq!(primary.destination(), key(3).destination());
    }
}

#[test]
fn another_refusal_of_a_primary_session_is_final() {
    let bridge = ScriptedBridge::start(|visit| {
        visit.greet();
        visit.line();
        visit.say("SESSION STATUS RESULT=DUPLICATED_DEST\n");
    });
    let error = bridge.bridge().session().primary().unwrap_err();
    let (phase, code, _) = refusal(error);
    assert_eq!(
        (phase, code),
        (Phase::SessionCreate, ResultCode::DuplicatedDest)
    );
    assert_eq!(bridge.connections(), 1);
}

#[test]
fn i2pd_is_not_asked_for_what_costs_the_session() {
    let bridge = knowing_master("Unknown STYLE");
    let primary = bridge.bridge().session().primary().unwrap();
    let lines = bridge.received().len();
    let error = primary.datagram(DatagramStyle::Datagram).unwrap_err();
    assert!(matches!(error, Error::Unsupported(_)), "{error}");
    assert_eq!(primary.raw().unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(bridge.received().len(), lines);
    // Java I2P before 0.9.47 can do it.
    let bridge = knowing_master("Unrecognized SESSION STYLE PRIMARY");
    let primary = bridge.bridge().session().primary().unwrap();
    primary.raw().unwrap();
}

#[test]
fn both_forms_of_an_answer_add_a_subsession() {
    for form in [java_ok, |_: &str| i2pd_ok()] {
        let router = Router::answering(move |visit, line| visit.say(&form(line)));
        let primary = router.primary();
        let first = primary.stream().unwrap();
        let second = primary.stream_with(&port(80)).unwrap();
        assert_ne!(first.id(), second.id());
        for session in [&first, &second] {
            assert_eq!(session.destination(), primary.destination());
            assert_eq!(session.closed(), None);
        }
    }
}

#[test]
fn a_subsession_is_asked_for_in_one_line() {
    let router = Router::java();
    let primary = router.primary();
    let options = SubsessionOptions::new().from_port(1).to_port(2);
    let options = options.listen_port(3);
    let plain = primary.stream().unwrap();
    let stream = primary.stream_with(&options).unwrap();
    let datagram = primary.datagram_with(DatagramStyle::Datagram2, &options);
    let datagram = datagram.unwrap();
    let raw = RawOptions::new().protocol(99).header(true);
    let raw = primary.raw_with(&raw, &options.listen_protocol(0)).unwrap();
    let ports = "FROM_PORT=1 TO_PORT=2 LISTEN_PORT=3";
    let udp = |addr: std::io::Result<std::net::SocketAddr>| addr.unwrap().port();
    let expected = [
        format!("SESSION ADD STYLE=STREAM ID={} FROM_PORT=0\n", plain.id()),
        format!("SESSION ADD STYLE=STREAM ID={} {ports}\n", stream.id()),
        format!(
            "SESSION ADD STYLE=DATAGRAM2 ID={} HOST=127.0.0.1 PORT={} {ports}\n",
            datagram.id(),
            udp(datagram.udp_addr())
        ),
        format!(
            "SESSION ADD STYLE=RAW ID={} HOST=127.0.0.1 PORT={} PROTOCOL=99 HEADER=true {ports} \
             LISTEN_PROTOCOL=0\n",
            raw.id(),
            udp(raw.udp_addr())
        ),
    ];
    assert_eq!(router.asked(), expected);
}

#[test]
fn protocols_that_cannot_be_listened_to_are_refused_before_anything_is_sent() {
    let router = Router::java();
    let primary = router.primary();
    let listen = |protocol| SubsessionOptions::new().listen_protocol(protocol);
    let errors = [
        primary.stream_with(&listen(9)).map(drop).unwrap_err(),
        primary
            .datagram_with(DatagramStyle::Datagram, &listen(9))
            .map(drop)
            .unwrap_err(),
        primary
            .raw_with(&RawOptions::new(), &listen(6))
            .map(drop)
            .unwrap_err(),
        primary
            .raw_with(&RawOptions::new().protocol(17), &port(1))
            .map(drop)
            .unwrap_err(),
    ];
    assert!(
        errors
            .iter()
            .all(|error| matches!(error, Error::Setting(_)))
    );
    assert!(router.asked().is_empty());
}

#[test]
fn what_java_and_emissary_refuse_is_told_and_costs_nothing() {
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
        let refused = refusal(primary.stream().unwrap_err());
        let expected = (
            Phase::SessionAdd,
            ResultCode::I2pError,
            explanation.to_owned(),
        );
        assert_eq!(refused, expected);
        assert_eq!(primary.closed(), None);
    }
    primary.stream().unwrap();
}

#[test]
fn both_spellings_of_a_duplicate_id_are_refusals() {
    for word in ["DUPLICATED_ID", "DUPLICATE_ID"] {
        let router = Router::answering(move |visit, _| {
            visit.say(&format!("SESSION STATUS RESULT={word}\n"));
        });
        let error = router.primary().stream().unwrap_err();
        assert_eq!(refusal(error).1, ResultCode::DuplicatedId);
    }
}

#[test]
fn a_ping_between_question_and_answer_is_answered() {
    let router = Router::answering(|visit, line| {
        visit.say("PING 12 \"x\"\n");
        assert_eq!(visit.line().unwrap(), "PONG 12 \"x\"\n");
        visit.say("NOISE\nSESSION NONSENSE RESULT=OK\n");
        visit.say(&java_ok(line));
    });
    router.primary().stream().unwrap();
}

#[test]
fn questions_are_asked_one_at_a_time() {
    let router = Router::answering(|visit, line| {
        let socket = visit.socket();
        socket
            .set_read_timeout(Some(Duration::from_millis(30)))
            .unwrap();
        let error = socket.peek(&mut [0]).unwrap_err();
        assert!(matches!(
            error.kind(),
            ErrorKind::WouldBlock | ErrorKind::TimedOut
        ));
        socket.set_read_timeout(None).unwrap();
        visit.say(&java_ok(line));
    });
    let primary = router.primary();
    let sessions: Vec<StreamSession> = std::thread::scope(|scope| {
        let add = |n| {
            scope.spawn({
                let primary = &primary;
                move || primary.stream_with(&port(n)).unwrap()
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

/// Adds a subsession, and gives up when the bridge has heard of it.
fn give_up(primary: &PrimarySession, heard: &mpsc::Receiver<()>) {
    let cancel = Cancel::new();
    let adding = primary.with_cancel(&cancel);
    let adding = in_background(move || adding.stream_with(&port(1)).map(drop));
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
fn a_subsession_that_is_added_when_nobody_waits_any_more_is_removed_first() {
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
    let next = in_background(move || next.stream_with(&port(2)));
    open.send(()).unwrap();
    let next = outcome(&next).unwrap();
    let asked = router.asked();
    let given_up = field(&asked[0], "ID").unwrap();
    assert_eq!(asked[1], format!("SESSION REMOVE ID={given_up}\n"));
    assert_eq!(field(&asked[2], "ID"), Some(next.id()));
}

/// The first question is given up, and answered when the second has come.
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
    // The answer to it is waited for, for 2 s, before another question is asked.
    let second = primary.stream_with(&port(2)).unwrap();
    assert_eq!(second.closed(), None);
    let error = primary.stream_with(&port(3)).unwrap_err();
    assert_eq!(refusal(error).2, "third");
    router
}

#[test]
fn a_late_refusal_without_a_name_is_not_taken_for_the_next_answer() {
    late(|_| "SESSION STATUS RESULT=I2P_ERROR MESSAGE=\"first\"\n".to_owned());
}

#[test]
fn a_late_answer_with_a_name_is_not_taken_for_the_next_answer() {
    late(|line| {
        let id = field(line, "ID").unwrap();
        format!("SESSION STATUS RESULT=I2P_ERROR ID=\"{id}\" MESSAGE=\"first\"\n")
    });
}

#[test]
fn a_question_that_was_given_up_before_its_turn_is_never_asked() {
    let (heard, hears) = milestone();
    let (open, pass) = gate();
    let router = Router::answering(move |visit, line| {
        heard.reached();
        pass();
        visit.say(&java_ok(line));
    });
    let primary = router.primary();
    let first = primary.clone();
    let first = in_background(move || first.stream_with(&port(1)));
    hears.recv_timeout(LONG).unwrap();
    let cancel = Cancel::new();
    cancel.cancel();
    let error = primary.with_cancel(&cancel).stream().unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }));
    let (cancel, second) = (Cancel::new(), primary.clone());
    let second = second.with_cancel(&cancel);
    let second = in_background(move || second.stream_with(&port(2)));
    pause(Duration::from_millis(50));
    cancel.cancel();
    assert!(outcome(&second).is_err());
    for _ in 0..2 {
        open.send(()).unwrap();
    }
    let first = outcome(&first).unwrap();
    let third = primary.stream_with(&port(3)).unwrap();
    let asked = router.asked();
    let ids: Vec<_> = asked.iter().filter_map(|line| field(line, "ID")).collect();
    assert_eq!(ids, [first.id(), third.id()]);
}

#[test]
fn an_answer_that_does_not_come_in_time_is_missed_in_its_phase() {
    let router = Router::answering(|_, _| {});
    let bridge = SamBridge::builder().address(router.bridge.address().to_string());
    let time = Duration::from_millis(100);
    let bridge = bridge.command_timeout(Some(time)).build().unwrap();
    let primary = bridge.session().primary().unwrap();
    let error = primary.stream().unwrap_err();
    assert!(
        matches!(error, Error::Timeout { phase: Phase::SessionAdd, after } if after == time),
        "{error}"
    );
    assert_eq!(primary.closed(), None);
}

/// What an add comes to, where the bridge says this in place of an answer, and hangs up or not.
fn instead_of_an_answer(text: &'static str, hang_up: bool) -> (Error, Option<SessionLoss>) {
    let router = Router::answering(move |visit, _| {
        visit.say(text);
        if hang_up {
            visit.hang_up();
        }
    });
    let primary = router.primary();
    let error = primary.stream().unwrap_err();
    (error, primary.closed())
}

#[test]
fn a_pong_timeout_in_place_of_an_answer_is_the_loss() {
    let text = "SESSION STATUS RESULT=I2P_ERROR MESSAGE=\"PONG timeout\"\n";
    let (error, loss) = instead_of_an_answer(text, false);
    assert!(error.is_session_lost(), "{error}");
    let Some(SessionLoss::Refused(refusal)) = loss else {
        panic!("{loss:?}");
    };
    assert_eq!(refusal.explanation(), Some("PONG timeout"));
}

#[test]
fn a_bridge_that_hangs_up_in_place_of_an_answer_is_gone() {
    // The last could be half of something else.
    for text in ["", "SESSION STATUS RESULT=OK", "SESSION STATUS RES"] {
        let (error, loss) = instead_of_an_answer(text, true);
        assert!(error.is_session_lost(), "{text}: {error}");
        assert_eq!(loss, Some(SessionLoss::BridgeGone), "{text}");
    }
}

#[test]
fn an_error_that_answers_nothing_ends_all() {
    let router = Router::answering(|visit, line| {
        visit.say(&java_ok(line));
        visit.say("SESSION STATUS RESULT=I2P_ERROR MESSAGE=\"tunnels gone\"\n");
    });
    let primary = router.primary();
    let session = primary.stream().unwrap();
    let loss = session.wait_closed(Some(LONG)).unwrap();
    let SessionLoss::Refused(refusal) = &loss else {
        panic!("{loss:?}");
    };
    assert_eq!(refusal.explanation(), Some("tunnels gone"));
    assert_eq!(primary.closed(), Some(loss));
}

#[test]
fn an_add_is_ended_by_the_end_of_the_primary_session() {
    let (heard, hears) = milestone();
    let router = Router::answering(move |_, _| heard.reached());
    let primary = router.primary();
    let adding = primary.clone();
    let adding = in_background(move || adding.stream().map(drop));
    hears.recv_timeout(LONG).unwrap();
    primary.close();
    let error = outcome(&adding).unwrap_err();
    assert!(matches!(error, Error::SessionLost(SessionLoss::Closed)));
}

#[test]
fn a_dropped_subsession_is_removed() {
    let router = Router::java();
    let primary = router.primary();
    let session = primary.stream().unwrap();
    let removal = format!("SESSION REMOVE ID={}\n", session.id());
    drop(session);
    router.await_line(&removal);
    // What it listened to is free at once.
    primary.stream().unwrap();
    assert_eq!(primary.closed(), None);
}

#[test]
fn a_closed_subsession_is_removed_once() {
    let router = Router::java();
    let primary = router.primary();
    let session = primary.datagram(DatagramStyle::Datagram).unwrap();
    session.close();
    session.clone().close();
    assert_eq!(session.closed(), Some(SessionLoss::Closed));
    drop(session);
    let _next = primary.datagram(DatagramStyle::Datagram).unwrap();
    let asked = router.asked();
    let removals = asked.iter().filter(|line| line.contains("REMOVE"));
    assert_eq!(removals.count(), 1, "{asked:?}");
    assert_eq!(primary.closed(), None);
}

#[test]
fn a_close_waits_until_the_bridge_has_removed_it() {
    let (heard, hears) = milestone();
    let (open, pass) = gate();
    let router = Router::answering(move |visit, line| {
        if line.starts_with("SESSION REMOVE") {
            heard.reached();
            pass();
        }
        visit.say(&java_ok(line));
    });
    let session = router.primary().stream().unwrap();
    let closing = session.clone();
    let closed = in_background(move || closing.close());
    hears.recv_timeout(LONG).unwrap();
    assert!(closed.try_recv().is_err());
    open.send(()).unwrap();
    outcome(&closed);
}

#[test]
fn a_removal_that_is_refused_is_no_loss() {
    // Java I2P forgets subsessions for datagrams when a stream comes in.
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
    let session = primary.raw().unwrap();
    session.close();
    let other = primary.stream().unwrap();
    assert_eq!((primary.closed(), other.closed()), (None, None));
}

#[test]
fn a_router_that_answers_no_removal_does_not_confuse_what_follows() {
    // emissary 0.4.0, which leaves the name out of refusals.
    let router = Router::answering(|visit, line| {
        if line.ends_with("LISTEN_PORT=9\n") {
            visit.say("SESSION STATUS RESULT=I2P_ERROR MESSAGE=\"no\"\n");
        } else if line.starts_with("SESSION ADD") {
            visit.say(&java_ok(line));
        }
    });
    let primary = router.primary();
    primary.stream().unwrap().close();
    let error = primary.stream_with(&port(9)).unwrap_err();
    assert_eq!(refusal(error).2, "no");
    drop(primary.stream_with(&port(10)).unwrap());
    let session = primary.stream_with(&port(11)).unwrap();
    assert_eq!((primary.closed(), session.closed()), (None, None));
}

#[test]
fn what_was_not_delivered_gets_its_time_before_a_removal() {
    let router = Router::java();
    let builder = router.builder().linger(Duration::from_secs(3600));
    let primary = builder.primary().unwrap();
    let session = primary.stream().unwrap();
    drop(session.connect(key(2).destination()).unwrap());
    drop(session);
    let idle = primary.stream_with(&port(7)).unwrap();
    let idle_removed = format!("SESSION REMOVE ID={}\n", idle.id());
    drop(idle);
    router.await_line(&idle_removed);
    primary.close();
    let asked = router.asked();
    let removals: Vec<_> = asked
        .iter()
        .filter(|line| line.contains("REMOVE"))
        .collect();
    assert_eq!(removals, [&idle_removed]);
}

#[test]
fn a_subsession_that_lingered_is_removed() {
    let router = Router::java();
    let builder = router.builder().linger(Duration::from_millis(50));
    let primary = builder.primary().unwrap();
    let session = primary.stream().unwrap();
    let removal = format!("SESSION REMOVE ID={}\n", session.id());
    drop(session.connect(key(2).destination()).unwrap());
    drop(session);
    router.await_line(&removal);
    assert_eq!(primary.closed(), None);
}

#[test]
fn closing_a_subsession_ends_what_is_its_own_and_nothing_else() {
    let router = Router::java();
    let primary = router.primary();
    let (ours, theirs) = (
        primary.stream().unwrap(),
        primary.stream_with(&port(1)).unwrap(),
    );
    let peer = key(2);
    let mut stream = ours.connect(peer.destination()).unwrap();
    let _other = theirs.connect(peer.destination()).unwrap();
    let listeners = [ours.listener().unwrap(), theirs.listener().unwrap()];
    let open = router.bridge.open_connections();
    let [listener, still] = listeners;
    let accepting = in_background(move || listener.accept().map(drop));
    ours.close();
    let error = outcome(&accepting).unwrap_err();
    assert!(matches!(error, Error::SessionLost(SessionLoss::Closed)));
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    assert_eq!(stream.session_error(), Some(SessionLoss::Closed));
    assert!(
        ours.connect(peer.destination())
            .unwrap_err()
            .is_session_lost()
    );
    eventually("its stream and its accept are closed", || {
        router.bridge.open_connections() == open - 2
    });
    assert_eq!((theirs.closed(), primary.closed()), (None, None));
    let error = still.accept_timeout(Duration::from_millis(50)).unwrap_err();
    assert!(error.is_timeout(), "{error}");
}

#[test]
fn closing_a_primary_session_ends_armed_accepts_streams_and_datagrams() {
    // On Java I2P the accepts of a primary session never hear of its end.
    let router = Router::java();
    let builder = router.builder().armed_accepts(4);
    let primary = builder.primary().unwrap();
    let session = primary.stream().unwrap();
    let datagrams = primary.datagram(DatagramStyle::Datagram).unwrap();
    let listener = session.listener().unwrap();
    let mut stream = session.connect(key(2).destination()).unwrap();
    // The control socket, a stream and four accepts.
    eventually("all are armed", || router.bridge.open_connections() == 6);
    let waits = [
        in_background(move || listener.accept().map(drop)),
        in_background(move || datagrams.recv_from(&mut [0; 9]).map(drop)),
    ];
    let closing = session.clone();
    let closed = in_background(move || closing.wait_closed(None));
    primary.close();
    for wait in &waits {
        let error = outcome(wait).unwrap_err();
        assert!(matches!(error, Error::SessionLost(SessionLoss::Closed)));
    }
    assert_eq!(outcome(&closed).unwrap(), SessionLoss::Closed);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    assert_eq!(stream.session_error(), Some(SessionLoss::Closed));
    eventually("all are closed", || router.bridge.open_connections() == 0);
    let asked = router.asked();
    assert!(asked.iter().all(|line| line.starts_with("SESSION ADD")));
}

#[test]
fn the_loss_of_a_primary_session_is_that_of_its_subsessions() {
    let (open, pass) = gate();
    let router = Router::answering(move |visit, line| {
        visit.say(&java_ok(line));
        pass();
        visit.hang_up();
    });
    let primary = router.primary();
    let session = primary.stream().unwrap();
    let waiting = session.clone();
    let lost = in_background(move || waiting.wait_closed(None));
    open.send(()).unwrap();
    assert_eq!(outcome(&lost).unwrap(), SessionLoss::BridgeGone);
    // A close does not change the reason.
    session.close();
    assert_eq!(session.closed(), Some(SessionLoss::BridgeGone));
    let error = session.listener().unwrap_err();
    assert!(matches!(error, Error::SessionLost(SessionLoss::BridgeGone)));
}

#[test]
fn a_primary_session_lives_while_anything_beneath_lives() {
    let router = Router::java();
    let primary = router.primary();
    let session = primary.stream().unwrap();
    let (stream, guard) = (
        session.connect(key(2).destination()).unwrap(),
        session.guard(),
    );
    drop(primary);
    drop(session);
    drop(guard);
    assert_eq!(stream.session_error(), None);
    let quit = |router: &Router| router.bridge.received().contains(&"QUIT\n".to_owned());
    assert!(!quit(&router));
    drop(stream);
    router.await_line("QUIT");
    eventually("all is closed", || router.bridge.open_connections() == 0);
    let asked = router.asked();
    assert!(asked[1].starts_with("SESSION REMOVE"), "{asked:?}");
}

#[test]
fn an_id_that_the_bridge_does_not_know_any_more_costs_the_subsession_alone() {
    let bridge = ScriptedBridge::router(|visit, stage| match stage {
        Stage::Session => serve(visit, &|visit, line| visit.say(&java_ok(line))),
        Stage::Accept => {}
        Stage::Command(_) => visit.say("STREAM STATUS RESULT=INVALID_ID\n"),
    });
    let primary = bridge.bridge().session().primary().unwrap();
    let session = primary.stream().unwrap();
    let error = session.connect(key(2).destination()).unwrap_err();
    assert!(error.is_session_lost(), "{error}");
    assert!(matches!(session.closed(), Some(SessionLoss::Refused(_))));
    assert_eq!(primary.closed(), None);
    primary.stream().unwrap();
}

#[test]
fn two_subsessions_that_listen_to_the_same_are_not_even_asked_for() {
    let router = Router::java();
    let primary = router.primary();
    let first = primary.stream().unwrap();
    let from = SubsessionOptions::new().from_port(80);
    let eighty = primary.stream_with(&from).unwrap();
    for taken in [port(0), port(80), from.listen_port(0)] {
        let error = primary.stream_with(&taken).unwrap_err();
        assert!(matches!(error, Error::Occupied(_)), "{error}");
    }
    // Other styles listen to other protocols.
    let datagram = primary.datagram(DatagramStyle::Datagram).unwrap();
    let newer = primary.datagram(DatagramStyle::Datagram2).unwrap();
    let raw = primary.raw().unwrap();
    let free = SubsessionOptions::new().listen_protocol(99);
    let other = primary.raw_with(&RawOptions::new(), &free).unwrap();
    assert_eq!(primary.raw().unwrap_err().kind(), ErrorKind::AddrInUse);
    assert_eq!(router.asked().len(), 6);
    drop((first, eighty, datagram, newer, raw, other));
}

#[test]
fn datagrams_are_sent_and_received_in_the_name_of_the_subsession() {
    let router = Router::java();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_read_timeout(Some(LONG)).unwrap();
    let bridge = SamBridge::builder().address(router.bridge.address().to_string());
    let bridge = bridge.udp_address(udp.local_addr().unwrap().to_string());
    let primary = bridge.build().unwrap().session().primary().unwrap();
    let session = primary.datagram(DatagramStyle::Datagram).unwrap();
    session.set_read_timeout(Some(LONG)).unwrap();
    let peer = key(3);
    let peer = peer.destination();
    session.send_to(b"out", peer).unwrap();
    let mut packet = [0; 2048];
    let len = udp.recv(&mut packet).unwrap();
    let line = format!("3.3 {} {peer}\nout", session.id());
    assert_eq!(&packet[..len], line.as_bytes());
    let inward = format!("{peer} FROM_PORT=99 TO_PORT=0\nin");
    udp.send_to(inward.as_bytes(), session.udp_addr().unwrap())
        .unwrap();
    let (len, sender) = session.recv_from(&mut packet).unwrap();
    assert_eq!(&packet[..len], b"in");
    assert_eq!(
        (sender.destination(), sender.from_port()),
        (Some(peer), Some(99))
    );
}

#[test]
fn the_day_of_a_primary_session_on_java_is_understood_word_by_word() {
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
    let session = primary.stream().unwrap();
    let eighty = SubsessionOptions::new().from_port(80);
    let _eighty = primary.stream_with(&eighty).unwrap();
    let datagram = primary.datagram(DatagramStyle::Datagram).unwrap();
    let header = RawOptions::new().header(true);
    let refused = primary.raw_with(&header, &port(5)).unwrap_err();
    let id = router.asked()[3].clone();
    let id = field(&id, "ID").unwrap();
    assert!(!refused.to_string().contains(id), "an id is a secret");
    let raw = primary.raw_with(&header, &port(5)).unwrap();
    session.close();
    datagram.close();
    raw.close();
    assert!(left.lock().unwrap().is_empty());
    assert_eq!(primary.closed(), None);
}
