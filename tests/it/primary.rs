//! Primary sessions: how they and their subsessions are created, and what ends with them.

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use i2p_sam::{
    ConnectOptions, DatagramStyle, Error, Phase, RawOptions, ResultCode, SamBridge, SessionLoss,
};

use crate::support::primary::{Router, gate, java_ok, refusal, serve};
use crate::support::{
    LONG, ScriptedBridge, Stage, eventually, field, in_background, key, milestone, outcome,
};

#[test]
fn primary_session_is_created_by_style() {
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

/// A bridge that refuses the style with this reply and closes, and creates the session by another
/// style.
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
fn unknown_primary_style_falls_back_to_master() {
    for words in ["Unknown STYLE", "Unrecognized SESSION STYLE PRIMARY"] {
        let bridge = knowing_master(words);
        let primary = bridge.bridge().session().key(&key(3)).primary().unwrap();
        primary.subsession().stream().unwrap();
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
fn other_primary_refusal_is_final() {
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
fn i2pd_gets_no_subsession_that_ends_session() {
    let bridge = knowing_master("Unknown STYLE");
    let primary = bridge.bridge().session().primary().unwrap();
    let lines = bridge.received().len();
    let error = primary
        .subsession()
        .datagram(DatagramStyle::Datagram)
        .unwrap_err();
    assert!(matches!(error, Error::Unsupported(_)), "{error}");
    assert_eq!(
        primary.subsession().raw().unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    assert_eq!(bridge.received().len(), lines);
    // Java I2P before 0.9.47 can do it.
    let bridge = knowing_master("Unrecognized SESSION STYLE PRIMARY");
    let primary = bridge.bridge().session().primary().unwrap();
    primary.subsession().raw().unwrap();
}

#[test]
fn subsession_is_added_by_one_line() {
    let router = Router::with_every_style();
    let primary = router.primary();
    let builder = primary.subsession().from_port(1).to_port(2);
    let builder = builder.listen_port(3);
    let plain = primary.subsession().stream().unwrap();
    let stream = builder.clone().stream().unwrap();
    let datagram = builder.clone().datagram(DatagramStyle::Datagram2);
    let datagram = datagram.unwrap();
    let raw = RawOptions::new().protocol(99).header(true);
    let raw = builder.listen_protocol(0).raw_with(&raw).unwrap();
    let ports = "FROM_PORT=1 TO_PORT=2 LISTEN_PORT=3";
    let udp = |addr: std::io::Result<SocketAddr>| addr.unwrap().port();
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
fn invalid_listen_protocols_are_refused_before_sending() {
    let router = Router::java();
    let primary = router.primary();
    let listen = |protocol| primary.subsession().listen_protocol(protocol);
    let errors = [
        listen(9).stream().map(drop).unwrap_err(),
        listen(9)
            .datagram(DatagramStyle::Datagram)
            .map(drop)
            .unwrap_err(),
        listen(6).raw().map(drop).unwrap_err(),
        primary
            .subsession()
            .listen_port(1)
            .raw_with(&RawOptions::new().protocol(17))
            .map(drop)
            .unwrap_err(),
    ];
    assert!(
        errors
            .iter()
            .all(|error| matches!(error, Error::InvalidConfig(_)))
    );
    assert!(router.asked().is_empty());
}

#[test]
fn dropped_subsession_is_removed() {
    let router = Router::java();
    let primary = router.primary();
    let session = primary.subsession().stream().unwrap();
    let removal = format!("SESSION REMOVE ID={}\n", session.id());
    drop(session);
    router.await_line(&removal);
    // The protocol and port it listened to are free at once.
    primary.subsession().stream().unwrap();
    assert_eq!(primary.loss(), None);
}

#[test]
fn closed_subsession_is_removed_once() {
    let router = Router::java();
    let primary = router.primary();
    let session = primary
        .subsession()
        .datagram(DatagramStyle::Datagram)
        .unwrap();
    session.close();
    session.clone().close();
    assert_eq!(session.loss(), Some(SessionLoss::Closed));
    drop(session);
    let _next = primary
        .subsession()
        .datagram(DatagramStyle::Datagram)
        .unwrap();
    let asked = router.asked();
    let removals = asked.iter().filter(|line| line.contains("REMOVE"));
    assert_eq!(removals.count(), 1, "{asked:?}");
    assert_eq!(primary.loss(), None);
}

#[test]
fn subsession_closed_twice_keeps_port_until_removed() {
    let router = Router::java();
    let primary = router.primary();
    let session = primary.subsession().stream().unwrap();
    // The removal waits until the far side of this stream knows its end.
    let _stream = session.connect(key(2).destination()).unwrap();
    let closing = session.clone();
    let closed = in_background(move || closing.close());
    session.wait_closed(Some(LONG)).unwrap();
    session.close();
    eventually("the port is free", || primary.subsession().stream().is_ok());
    outcome(&closed);
    let verbs: Vec<_> = router
        .asked()
        .iter()
        .map(|line| line.split(' ').nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(verbs[..3], ["ADD", "REMOVE", "ADD"]);
}

#[test]
fn subsession_close_awaits_removal() {
    let (heard, hears) = milestone();
    let (open, pass) = gate();
    let router = Router::answering(move |visit, line| {
        if line.starts_with("SESSION REMOVE") {
            heard.reached();
            pass();
        }
        visit.say(&java_ok(line));
    });
    let session = router.primary().subsession().stream().unwrap();
    let closing = session.clone();
    let closed = in_background(move || closing.close());
    hears.recv_timeout(LONG).unwrap();
    assert!(closed.try_recv().is_err());
    open.send(()).unwrap();
    outcome(&closed);
}

#[test]
fn undelivered_data_delays_removal() {
    let router = Router::java();
    let builder = router.builder().linger(Duration::from_secs(3600));
    let primary = builder.primary().unwrap();
    let session = primary.subsession().stream().unwrap();
    drop(session.connect(key(2).destination()).unwrap());
    drop(session);
    let idle = primary.subsession().listen_port(7).stream().unwrap();
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
fn lingering_subsession_is_removed() {
    let router = Router::java();
    let builder = router.builder().linger(Duration::from_millis(50));
    let primary = builder.primary().unwrap();
    let session = primary.subsession().stream().unwrap();
    let removal = format!("SESSION REMOVE ID={}\n", session.id());
    drop(session.connect(key(2).destination()).unwrap());
    drop(session);
    router.await_line(&removal);
    assert_eq!(primary.loss(), None);
}

#[test]
fn subsession_close_ends_only_its_own() {
    let router = Router::java();
    let primary = router.primary();
    let (ours, theirs) = (
        primary.subsession().stream().unwrap(),
        primary.subsession().listen_port(1).stream().unwrap(),
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
    assert_eq!(stream.loss(), Some(SessionLoss::Closed));
    assert!(
        ours.connect(peer.destination())
            .unwrap_err()
            .is_session_lost()
    );
    eventually("its stream and its accept are closed", || {
        router.bridge.open_connections() == open - 2
    });
    assert_eq!((theirs.loss(), primary.loss()), (None, None));
    let error = still.accept_timeout(Duration::from_millis(50)).unwrap_err();
    assert!(error.is_timeout(), "{error}");
}

#[test]
fn primary_close_ends_accepts_streams_and_datagrams() {
    // On Java I2P the accepts of a primary session are not ended with it.
    let router = Router::java();
    let builder = router.builder().pending_accepts(4);
    let primary = builder.primary().unwrap();
    let session = primary.subsession().stream().unwrap();
    let datagrams = primary
        .subsession()
        .datagram(DatagramStyle::Datagram)
        .unwrap();
    let listener = session.listener().unwrap();
    let mut stream = session.connect(key(2).destination()).unwrap();
    // The control socket, a stream and four accepts.
    eventually("all are pending", || router.bridge.open_connections() == 6);
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
    assert_eq!(stream.loss(), Some(SessionLoss::Closed));
    eventually("all are closed", || router.bridge.open_connections() == 0);
    let asked = router.asked();
    assert!(asked.iter().all(|line| line.starts_with("SESSION ADD")));
}

#[test]
fn primary_loss_is_loss_of_subsessions() {
    let (open, pass) = gate();
    let router = Router::answering(move |visit, line| {
        visit.say(&java_ok(line));
        pass();
        visit.hang_up();
    });
    let primary = router.primary();
    let session = primary.subsession().stream().unwrap();
    let waiting = session.clone();
    let lost = in_background(move || waiting.wait_closed(None));
    open.send(()).unwrap();
    assert_eq!(outcome(&lost).unwrap(), SessionLoss::Disconnected);
    // A close does not change the reason.
    session.close();
    assert_eq!(session.loss(), Some(SessionLoss::Disconnected));
    let error = session.listener().unwrap_err();
    assert!(matches!(
        error,
        Error::SessionLost(SessionLoss::Disconnected)
    ));
}

#[test]
fn primary_session_lives_while_subsessions_live() {
    let router = Router::java();
    let primary = router.primary();
    let session = primary.subsession().stream().unwrap();
    let (stream, guard) = (
        session.connect(key(2).destination()).unwrap(),
        session.guard(),
    );
    drop(primary);
    drop(session);
    drop(guard);
    assert_eq!(stream.loss(), None);
    let quit = |router: &Router| router.bridge.received().contains(&"QUIT\n".to_owned());
    assert!(!quit(&router));
    drop(stream);
    router.await_line("QUIT");
    eventually("all is closed", || router.bridge.open_connections() == 0);
    let asked = router.asked();
    assert!(asked[1].starts_with("SESSION REMOVE"), "{asked:?}");
}

#[test]
fn unknown_subsession_loses_primary_session() {
    let bridge = ScriptedBridge::router(|visit, stage| match stage {
        Stage::Session => serve(visit, &|visit, line| visit.say(&java_ok(line))),
        Stage::Accept => {}
        Stage::Command(_) => visit.say("STREAM STATUS RESULT=INVALID_ID\n"),
    });
    let primary = bridge.bridge().session().primary().unwrap();
    let session = primary.subsession().stream().unwrap();
    let error = session.connect(key(2).destination()).unwrap_err();
    assert!(error.is_session_lost(), "{error}");
    assert!(matches!(session.loss(), Some(SessionLoss::Refused(_))));
    assert!(matches!(primary.loss(), Some(SessionLoss::Refused(_))));
}

#[test]
fn conflicting_subsession_is_refused_before_sending() {
    let router = Router::with_every_style();
    let primary = router.primary();
    let first = primary.subsession().stream().unwrap();
    let port = |port| primary.subsession().listen_port(port);
    let from = primary.subsession().from_port(80);
    let eighty = from.clone().stream().unwrap();
    for taken in [port(0), port(80), from.listen_port(0)] {
        let error = taken.stream().unwrap_err();
        assert!(matches!(error, Error::Conflict(_)), "{error}");
    }
    // Other styles listen to other protocols.
    let datagram = primary
        .subsession()
        .datagram(DatagramStyle::Datagram)
        .unwrap();
    let newer = primary
        .subsession()
        .datagram(DatagramStyle::Datagram2)
        .unwrap();
    let raw = primary.subsession().raw().unwrap();
    let other = primary.subsession().listen_protocol(99).raw().unwrap();
    assert_eq!(
        primary.subsession().raw().unwrap_err().kind(),
        ErrorKind::AddrInUse
    );
    assert_eq!(router.asked().len(), 6);
    drop((first, eighty, datagram, newer, raw, other));
}

#[test]
fn datagrams_carry_subsession_id() {
    let router = Router::java();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_read_timeout(Some(LONG)).unwrap();
    let bridge = SamBridge::builder().address(router.bridge.address().to_string());
    let bridge = bridge.udp_address(udp.local_addr().unwrap().to_string());
    let primary = bridge.build().unwrap().session().primary().unwrap();
    let session = primary
        .subsession()
        .datagram(DatagramStyle::Datagram)
        .unwrap();
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
fn subsession_dial_sends_its_ports() {
    let router = Router::java();
    let builder = router.primary().subsession().from_port(1111).to_port(2222);
    let session = builder.stream().unwrap();
    let peer = key(3);
    let dialled = session.connect(peer.destination()).unwrap();
    assert_eq!(
        (dialled.local_port(), dialled.peer_port()),
        (Some(1111), Some(2222))
    );
    let own = ConnectOptions::new().from_port(3333);
    let other = session.connect_with((peer.destination(), 4444), &own);
    assert_eq!(other.unwrap().peer_port(), Some(4444));
    let lines = router.bridge.received();
    let dials = lines
        .iter()
        .filter(|line| line.starts_with("STREAM CONNECT"));
    let ports: Vec<_> = dials
        .map(|line| (field(line, "FROM_PORT"), field(line, "TO_PORT")))
        .collect();
    let expected = [(Some("1111"), Some("2222")), (Some("3333"), Some("4444"))];
    assert_eq!(ports, expected);
}

#[test]
fn subsession_port_zero_is_no_port() {
    let router = Router::java();
    let primary = router.primary();
    let builder = || primary.subsession().to_port(0).listen_port(0);
    let plain = builder().from_port(0).stream().unwrap();
    let eighty = builder().from_port(80).stream().unwrap();
    let expected = [
        format!("SESSION ADD STYLE=STREAM ID={} FROM_PORT=0\n", plain.id()),
        format!("SESSION ADD STYLE=STREAM ID={} FROM_PORT=80\n", eighty.id()),
    ];
    assert_eq!(router.asked(), expected);
}

#[test]
fn dial_from_port_zero_is_from_subsession_port() {
    let router = Router::java();
    let session = router.primary().subsession().from_port(1111).stream();
    let none = ConnectOptions::new().from_port(0);
    let peer = key(3);
    let address = (peer.destination(), 0);
    let dialled = session.unwrap().connect_with(address, &none).unwrap();
    assert_eq!(
        (dialled.local_port(), dialled.peer_port()),
        (Some(1111), None)
    );
    let lines = router.bridge.received();
    let dial = lines.iter().find(|line| line.starts_with("STREAM CONNECT"));
    let dial = dial.unwrap();
    let ports = (field(dial, "FROM_PORT"), field(dial, "TO_PORT"));
    assert_eq!(ports, (Some("1111"), None));
}
