//! From the greeting to the first byte of a stream: wherever the bridge's bytes are cut, and
//! whatever a bridge sends instead of the expected reply.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;

use i2p_sam::{
    Error, Phase, ResultCode, SamBridge, SamStream, SessionGuard, SignatureType, StreamSession,
    Version,
};

use crate::support::{LONG, ScriptedBridge, Signal, Stage, Visit, key, milestone, outcome, pause};

const HELLO: &str = "HELLO REPLY RESULT=OK VERSION=3.3\n";
const OK: &str = "STREAM STATUS RESULT=OK\n";

/// Long enough for a waiting client to read what has arrived, short enough for 700 times.
const BEAT: Duration = Duration::from_millis(1);

/// The first bytes of a peer: 64 bytes that resemble the bridge's own lines and identify the run of
/// a test.
fn payload(run: usize) -> Vec<u8> {
    let mut payload = format!("\nSTREAM STATUS RESULT=I2P_ERROR\nPING 1\n{run:08}").into_bytes();
    payload.resize(64, b'\n');
    payload
}

fn run_of(payload: &[u8]) -> usize {
    let run: usize = String::from_utf8_lossy(&payload[39..47]).parse().unwrap();
    assert_eq!(payload, self::payload(run));
    run
}

fn destination_line() -> String {
    format!("{} FROM_PORT=1 TO_PORT=65535\n", key(9).destination())
}

fn first_bytes(mut stream: &SamStream) -> Vec<u8> {
    stream.set_read_timeout(Some(LONG)).unwrap();
    let mut bytes = vec![0; 64];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// A bridge whose first connection is a session's control socket; the script handles all other
/// connections from their first byte.
fn bridge_with(script: impl Fn(&mut Visit<'_, '_>) + Send + Sync + 'static) -> ScriptedBridge {
    ScriptedBridge::start(move |visit| {
        if visit.number > 0 {
            return script(visit);
        }
        visit.greet();
        if let Some(line) = visit.line() {
            visit.make_session(&line);
            visit.until_quit();
        }
    })
}

fn session(bridge: &ScriptedBridge) -> StreamSession {
    bridge
        .bridge()
        .session()
        .pending_accepts(1)
        .stream()
        .unwrap()
}

/// Writes `bytes` in two portions. What follows the greeting arrives either before the client has
/// sent its command, or after it.
fn deliver_cut(visit: &mut Visit<'_, '_>, bytes: &[u8], cut: usize) {
    visit.line();
    let (first, second) = bytes.split_at(cut);
    visit.write(first);
    if cut < HELLO.len() {
        pause(BEAT);
    } else {
        visit.line();
    }
    visit.write(second);
    visit.rest();
}

/// Greets, and writes `bytes` in two portions after the client has sent its command.
fn deliver_cut_when_asked(visit: &mut Visit<'_, '_>, bytes: &[u8], cut: usize) {
    visit.greet();
    visit.line();
    let (first, second) = bytes.split_at(cut);
    visit.write(first);
    pause(BEAT);
    visit.write(second);
    visit.rest();
}

fn accept_all(session: &StreamSession, runs: usize) {
    let listener = session.listener().unwrap();
    for run in 1..=runs {
        let (stream, peer) = listener.accept_timeout(LONG).unwrap();
        assert_eq!(peer.destination(), Some(key(9).destination()));
        assert_eq!(
            (stream.peer_port(), stream.local_port()),
            (Some(1), Some(65535))
        );
        assert_eq!(run_of(&first_bytes(&stream)), run);
    }
}

fn connect_all(session: &StreamSession, runs: usize) {
    for run in 1..=runs {
        let stream = session.connect("peer.i2p:80").unwrap();
        assert_eq!(run_of(&first_bytes(&stream)), run);
    }
}

#[test]
fn accepted_stream_starts_exact_at_any_cut() {
    let words = format!("{HELLO}{OK}{}", destination_line());
    let len = words.len() + 64;
    let bridge = bridge_with(move |visit| {
        let bytes = [words.as_bytes(), &payload(visit.number)].concat();
        deliver_cut(visit, &bytes, (visit.number - 1).min(bytes.len()));
    });
    accept_all(&session(&bridge), len + 1);
}

#[test]
fn accepted_stream_starts_exact_at_any_reply_cut() {
    let words = format!("{OK}{}", destination_line());
    let len = words.len() + 64;
    let bridge = bridge_with(move |visit| {
        let bytes = [words.as_bytes(), &payload(visit.number)].concat();
        deliver_cut_when_asked(visit, &bytes, (visit.number - 1).min(bytes.len()));
    });
    accept_all(&session(&bridge), len + 1);
}

#[test]
fn dialled_stream_starts_exact_at_any_cut() {
    let words = format!("{HELLO}{OK}");
    let len = words.len() + 64;
    let bridge = bridge_with(move |visit| {
        let bytes = [words.as_bytes(), &payload(visit.number)].concat();
        deliver_cut(visit, &bytes, visit.number - 1);
    });
    connect_all(&session(&bridge), len + 1);
}

#[test]
fn dialled_stream_starts_exact_at_any_reply_cut() {
    let len = OK.len() + 64;
    let bridge = bridge_with(move |visit| {
        let bytes = [OK.as_bytes(), &payload(visit.number)].concat();
        deliver_cut_when_asked(visit, &bytes, visit.number - 1);
    });
    connect_all(&session(&bridge), len + 1);
}

#[test]
fn accepted_stream_byte_by_byte_is_complete() {
    let bridge = bridge_with(move |visit| {
        visit.line();
        visit.drip(HELLO.as_bytes(), BEAT);
        visit.line();
        let words = format!("{OK}{}", destination_line());
        visit.drip(&[words.as_bytes(), &payload(visit.number)].concat(), BEAT);
        visit.rest();
    });
    accept_all(&session(&bridge), 1);
}

#[test]
fn dialled_stream_byte_by_byte_is_complete() {
    let bridge = bridge_with(move |visit| {
        visit.line();
        visit.drip(HELLO.as_bytes(), BEAT);
        visit.line();
        visit.drip(&[OK.as_bytes(), &payload(visit.number)].concat(), BEAT);
        visit.rest();
    });
    connect_all(&session(&bridge), 1);
}

/// A bridge that sends a payload after the reply that makes a stream, and echoes; it signals a
/// QUIT.
fn echoing(quit: Signal) -> ScriptedBridge {
    ScriptedBridge::router(move |visit, stage| {
        let words = match stage {
            Stage::Session => {
                visit.until_quit();
                return quit.reached();
            }
            Stage::Accept => destination_line(),
            Stage::Command(_) => OK.to_owned(),
        };
        visit.write(&[words.as_bytes(), &payload(1)].concat());
        visit.echo();
    })
}

fn dialled_parts(bridge: &SamBridge) -> (TcpStream, SessionGuard) {
    let session = bridge.session().linger(Duration::ZERO).stream().unwrap();
    let stream = session.connect("peer.i2p").unwrap();
    stream.into_parts().unwrap()
}

fn accepted_parts(bridge: &SamBridge) -> (TcpStream, SessionGuard) {
    let session = bridge.session().linger(Duration::ZERO).pending_accepts(1);
    let listener = session.stream().unwrap().listener().unwrap();
    let (stream, _) = listener.accept_timeout(LONG).unwrap();
    stream.into_parts().unwrap()
}

#[test]
fn tcp_socket_keeps_bytes_and_lives_with_guard() {
    for parts in [dialled_parts, accepted_parts] {
        let (quit, has_quit) = milestone();
        let bridge = echoing(quit);
        let (mut socket, guard) = parts(&bridge.bridge());
        socket.set_read_timeout(Some(LONG)).unwrap();
        let mut bytes = [0; 64];
        socket.read_exact(&mut bytes).unwrap();
        assert_eq!(run_of(&bytes), 1);
        socket.write_all(b"still here").unwrap();
        socket.read_exact(&mut bytes[..10]).unwrap();
        assert_eq!(&bytes[..10], b"still here");
        assert!(guard.loss().is_none());
        assert_eq!(has_quit.try_recv(), Err(mpsc::TryRecvError::Empty));
        drop(guard);
        outcome(&has_quit);
    }
}

#[test]
fn bytes_read_before_conversion_are_not_repeated() {
    let (quit, _has_quit) = milestone();
    let bridge = echoing(quit);
    let mut stream = bridge.bridge().connect("peer.i2p").unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let mut bytes = [0; 64];
    stream.read_exact(&mut bytes[..10]).unwrap();
    let other = stream.try_clone().unwrap();
    let (mut socket, _guard) = stream.into_parts().unwrap();
    drop(other);
    socket.read_exact(&mut bytes[10..]).unwrap();
    assert_eq!(run_of(&bytes), 1);
}

#[test]
fn stream_has_no_timeouts_by_default() {
    let (quit, _has_quit) = milestone();
    let bridge = echoing(quit);
    let (dialled, _guard) = dialled_parts(&bridge.bridge());
    let (accepted, _guard) = accepted_parts(&bridge.bridge());
    for socket in [dialled, accepted] {
        assert_eq!(socket.read_timeout().unwrap(), None);
        assert_eq!(socket.write_timeout().unwrap(), None);
    }
}

/// A bridge that answers HELLO with this.
fn greeting(reply: &'static str) -> ScriptedBridge {
    ScriptedBridge::start(move |visit| {
        visit.line();
        visit.say(reply);
        visit.rest();
    })
}

#[test]
fn version_is_that_of_bridge() {
    for (reply, version) in [
        ("HELLO REPLY RESULT=OK VERSION=3.1\n", Version::V3_1),
        ("HELLO REPLY RESULT=OK VERSION=3.2\n", Version::V3_2),
        ("HELLO REPLY VERSION=3.3 RESULT=OK\r\n", Version::V3_3),
    ] {
        assert_eq!(greeting(reply).bridge().version().unwrap(), version);
    }
}

#[test]
fn malformed_greeting_is_protocol_error() {
    for reply in [
        "HELLO REPLY RESULT=OK\n",
        "HELLO REPLY RESULT=OK VERSION=three\n",
        "HELLO REPLY RESULT=OK VERSION=3.999\n",
        "HELLO REPLY VERSION=3.3\n",
        "SESSION STATUS RESULT=OK VERSION=3.3\n",
        "HTTP/1.1 400 Bad Request\r\n",
        "\n",
    ] {
        let error = greeting(reply).bridge().version().unwrap_err();
        let phase = error.phase();
        assert!(matches!(error, Error::Protocol { .. }), "{reply}: {error}");
        assert_eq!(phase, Some(Phase::Hello), "{reply}");
    }
}

#[test]
fn missing_common_version_is_refused() {
    let bridge = greeting("HELLO REPLY RESULT=NOVERSION\n");
    let Err(Error::Refused(refusal)) = bridge.bridge().version() else {
        panic!("not refused");
    };
    assert_eq!(*refusal.code(), ResultCode::NoVersion);
    assert_eq!(refusal.phase(), Phase::Hello);
}

#[test]
fn wrong_credentials_are_permission_denied() {
    for reply in [
        "HELLO REPLY RESULT=I2P_ERROR MESSAGE=\"Authorization failed\"\n",
        "HELLO REPLY RESULT=I2P_ERROR MESSAGE=\"USER and PASSWORD required\"\n",
    ] {
        let error = greeting(reply).bridge().version().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert!(!error.is_retryable());
        assert_eq!(error.phase(), Some(Phase::Hello));
    }
}

#[test]
fn version_outside_range_is_refused_if_configured() {
    let scripted = greeting("HELLO REPLY RESULT=OK VERSION=3.2\n");
    let version = |strict| {
        let bridge = SamBridge::builder()
            .address(scripted.address().to_string())
            .versions(Version::V3_3, Version::V3_3)
            .strict_versions(strict);
        bridge.build().unwrap().version()
    };
    assert_eq!(version(false).unwrap(), Version::V3_2);
    let error = version(true).unwrap_err();
    assert!(
        matches!(error, Error::Version { offered } if offered == Version::V3_2),
        "{error}"
    );
    let hello = "HELLO VERSION MIN=3.3 MAX=3.3\n";
    assert_eq!(scripted.received(), [hello, hello]);
}

#[test]
fn every_socket_sends_credentials() {
    let scripted = answering(|_, reply| reply);
    let bridge = SamBridge::builder()
        .address(scripted.address().to_string())
        .credentials("joe", "correct \"horse\"")
        .build()
        .unwrap();
    bridge.version().unwrap();
    bridge.generate(SignatureType::Ed25519).unwrap();
    bridge.lookup("peer.i2p").unwrap();
    let session = bridge.session().pending_accepts(1).stream().unwrap();
    session.bridge().lookup("peer.i2p").unwrap();
    session.connect("peer.i2p").unwrap();
    session.listener().unwrap();
    let received = scripted.received();
    let hellos = received.iter().filter(|line| line.starts_with("HELLO"));
    let wanted = "HELLO VERSION MIN=3.1 MAX=3.3 USER=joe PASSWORD=\"correct \\\"horse\\\"\"\n";
    assert!(hellos.clone().all(|hello| hello == wanted), "{received:?}");
    assert_eq!(hellos.count(), 7);
}

/// The reply of a router to a command.
fn reply_to(line: &str) -> String {
    let key = key(9);
    let (public, private) = (key.destination(), key.expose_base64());
    match line.split_whitespace().next() {
        Some("DEST") => format!("DEST REPLY PUB={public} PRIV={private}\n"),
        Some("NAMING") => format!("NAMING REPLY RESULT=OK NAME=peer.i2p VALUE={public}\n"),
        Some("SESSION") => format!("SESSION STATUS RESULT=OK DESTINATION={private}\n"),
        Some("STREAM") => OK.to_owned(),
        _ => panic!("what is {line:?}?"),
    }
}

/// A bridge that greets, and passes its correct reply to each command through `answer`.
fn answering(
    answer: impl Fn(&mut Visit<'_, '_>, String) -> String + Send + Sync + 'static,
) -> ScriptedBridge {
    ScriptedBridge::start(move |visit| {
        visit.greet();
        let Some(line) = visit.line() else { return };
        let reply = answer(visit, reply_to(&line));
        visit.say(&reply);
        match reply.ends_with('\n') {
            true => visit.until_quit(),
            false => visit.hang_up(),
        }
    })
}

/// Every call that waits for a reply of its own, and the phase of that wait.
const CALLS: [(Phase, Call); 5] = [
    (Phase::Command, |bridge| {
        bridge.generate(SignatureType::Ed25519).map(drop)
    }),
    (Phase::Lookup, |bridge| bridge.lookup("peer.i2p").map(drop)),
    (Phase::SessionCreate, |bridge| {
        bridge.session().stream().map(drop)
    }),
    (Phase::StreamConnect, |bridge| {
        bridge.connect("peer.i2p").map(drop)
    }),
    (Phase::Accept, |bridge| {
        let session = bridge.session().pending_accepts(1).stream()?;
        session.listener().map(drop)
    }),
];

type Call = fn(&SamBridge) -> Result<(), Error>;

/// Runs every call against a bridge that corrupts the reply to this call, and no other.
fn spoilt(
    spoil: impl Fn(&mut Visit<'_, '_>, String) -> String + Clone + Send + Sync + 'static,
) -> impl Iterator<Item = (Phase, Result<(), Error>)> {
    CALLS.into_iter().map(move |(phase, call)| {
        let spoil = spoil.clone();
        let makes_session = matches!(phase, Phase::StreamConnect | Phase::Accept);
        let bridge = answering(move |visit, reply| match visit.number {
            0 if makes_session => reply,
            _ => spoil(visit, reply),
        });
        (phase, call(&bridge.bridge()))
    })
}

#[test]
fn ping_before_reply_is_answered() {
    let (heard, pongs) = mpsc::channel();
    let outcomes = spoilt(move |visit, reply| {
        visit.say("PING 1795375816695 a  \"b\n");
        heard.send(visit.line()).unwrap();
        reply
    });
    for (phase, outcome) in outcomes {
        outcome.unwrap_or_else(|error| panic!("{phase:?}: {error}"));
        let pong = pongs.recv_timeout(LONG).unwrap();
        assert_eq!(pong.unwrap(), "PONG 1795375816695 a  \"b\n", "{phase:?}");
    }
}

#[test]
fn pings_in_segment_of_reply_are_answered() {
    let (heard, pongs) = mpsc::channel();
    let outcomes = spoilt(move |visit, reply| {
        visit.say(&format!("PING 1\nPING\nPONG 7\n{reply}"));
        heard.send((visit.line(), visit.line())).unwrap();
        String::from("\n")
    });
    for (phase, outcome) in outcomes {
        outcome.unwrap_or_else(|error| panic!("{phase:?}: {error}"));
        let (first, second) = pongs.recv_timeout(LONG).unwrap();
        assert_eq!(first.unwrap(), "PONG 1\n", "{phase:?}");
        assert_eq!(second.unwrap(), "PONG\n", "{phase:?}");
    }
}

#[test]
fn refusal_under_other_topic_is_refusal() {
    let refusal = "SESSION STATUS RESULT=I2P_ERROR MESSAGE=\"bad port\"\n";
    for (phase, outcome) in spoilt(move |_, _| refusal.to_owned()) {
        let Err(Error::Refused(refusal)) = outcome else {
            panic!("{phase:?}: {outcome:?}");
        };
        assert_eq!(refusal.phase(), phase);
        assert_eq!(*refusal.code(), ResultCode::I2pError);
        assert_eq!(refusal.explanation(), Some("bad port"));
    }
}

#[test]
fn ok_under_other_topic_is_protocol_error() {
    for (phase, outcome) in spoilt(move |_, _| "HELLO REPLY RESULT=OK VERSION=3.3\n".into()) {
        let error = outcome.unwrap_err();
        assert!(matches!(error, Error::Protocol { .. }), "{error}");
        assert_eq!(error.phase(), Some(phase));
    }
}

#[test]
fn refusal_without_newline_is_refusal() {
    for (phase, outcome) in spoilt(move |_, _| "X STATUS RESULT=I2P_ERROR MESSAGE=\"no\"".into()) {
        let Err(Error::Refused(refusal)) = outcome else {
            panic!("{phase:?}: {outcome:?}");
        };
        assert_eq!(refusal.phase(), phase);
        assert_eq!(refusal.explanation(), Some("no"));
    }
}

#[test]
fn ok_without_newline_is_rejected() {
    for (phase, outcome) in spoilt(|_, reply| reply.trim_end().to_owned()) {
        let error = outcome.unwrap_err();
        assert!(matches!(error, Error::UnexpectedEof { .. }), "{error}");
        assert_eq!(error.phase(), Some(phase));
    }
}

#[test]
fn emissary_spelling_of_duplicate_is_known() {
    // emissary spells the word differently, omits the newline, and closes the connection.
    let bridge = answering(|_, _| "SESSION STATUS RESULT=DUPLICATE_ID".to_owned());
    let error = bridge.bridge().session().stream().unwrap_err();
    let Error::Refused(refusal) = &error else {
        panic!("{error}");
    };
    assert_eq!(*refusal.code(), ResultCode::DuplicatedId);
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.is_retryable());
}

#[test]
fn session_with_foreign_key_is_refused() {
    let bridge = answering(|_, reply| reply);
    let session = bridge.bridge().session().key(&key(8)).stream();
    let error = session.unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error}");
    assert_eq!(error.phase(), Some(Phase::SessionCreate));
}

fn generated(reply: String, signature_type: SignatureType) -> Result<(), Error> {
    let bridge = answering(move |_, _| reply.clone());
    let outcome = bridge.bridge().generate(signature_type);
    outcome.map(|made| assert_eq!(made, key(9)))
}

#[test]
fn generated_key_of_other_destination_is_refused() {
    let (public, private) = (key(9).destination().to_base64(), key(9).expose_base64());
    let other = key(8).destination().to_base64();
    let good = format!("DEST REPLY PUB={public} PRIV={private}\n");
    generated(good, SignatureType::Ed25519).unwrap();
    for reply in [
        format!("DEST REPLY PUB={other} PRIV={private}\n"),
        format!("DEST REPLY PUB={private} PRIV={private}\n"),
        format!("DEST REPLY PUB={public} PRIV={public}\n"),
        format!("DEST REPLY PRIV={private}\n"),
        format!("DEST REPLY PUB={public}\n"),
    ] {
        let error = generated(reply, SignatureType::Ed25519).unwrap_err();
        assert!(matches!(error, Error::Protocol { .. }), "{error}");
        assert_eq!(error.phase(), Some(Phase::Command));
    }
}

#[test]
fn generated_key_of_other_type_is_refused() {
    let error = generated(reply_to("DEST"), SignatureType::RedDsa).unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error}");
}

#[test]
fn lookup_of_destination_sends_nothing() {
    let bridge = answering(|_, reply| reply);
    let destination = key(5).destination().clone();
    let looked_up = bridge.bridge().lookup((&destination, 80)).unwrap();
    assert_eq!(looked_up, destination);
    assert_eq!(bridge.connections(), 0);
}

#[test]
fn lookup_of_own_address_sends_nothing() {
    let bridge = answering(|_, reply| reply);
    let session = bridge.bridge().session().stream().unwrap();
    let own = session.lookup(session.destination().b32()).unwrap();
    assert_eq!(own, *session.destination());
    assert_eq!(bridge.connections(), 1);
}

#[test]
fn unquoted_java_echo_keeps_result_and_value() {
    let value = key(5).destination().to_base64();
    let lookup = |reply: String| {
        let bridge = answering(move |_, _| reply.clone());
        bridge.bridge().lookup("peer.i2p")
    };
    for name in ["a b", "a =b", "a = b", "say\"hi", "a \\ b"] {
        let found = lookup(format!(
            "NAMING REPLY RESULT=OK NAME={name} VALUE={value}\n"
        ));
        assert_eq!(found.unwrap(), *key(5).destination(), "{name}");
        let reply = format!("NAMING REPLY RESULT=KEY_NOT_FOUND NAME={name} MESSAGE=\"none\"\n");
        let Err(Error::Refused(refusal)) = lookup(reply) else {
            panic!("{name} was found");
        };
        assert_eq!(*refusal.code(), ResultCode::KeyNotFound, "{name}");
        assert_eq!(refusal.explanation(), Some("none"), "{name}");
    }
}

#[test]
fn found_name_without_value_is_protocol_error() {
    for reply in [
        "NAMING REPLY RESULT=OK NAME=peer.i2p\n",
        "NAMING REPLY RESULT=OK NAME=peer.i2p VALUE=\n",
        "NAMING REPLY RESULT=OK NAME=peer.i2p VALUE=peer.i2p\n",
    ] {
        let bridge = answering(move |_, _| reply.to_owned());
        let error = bridge.bridge().lookup("peer.i2p").unwrap_err();
        assert!(matches!(error, Error::Protocol { .. }), "{error}");
        assert_eq!(error.phase(), Some(Phase::Lookup));
    }
}
