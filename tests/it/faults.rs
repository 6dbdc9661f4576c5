//! A bridge that is silent, slow or endless, or that truncates or corrupts its replies: each call
//! ends in time, with an error that names its phase, and leaves no socket open.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use i2p_sam::testing::TestBridge;
use i2p_sam::wire::{MAX_LINE, ParseErrorKind};
use i2p_sam::{Error, Phase, SamBridge, SignatureType, StreamSession};

use crate::support::{LONG, ScriptedBridge, Visit, eventually, in_background, key, outcome, pause};

const HELLO: &str = "HELLO REPLY RESULT=OK VERSION=3.3\n";

/// The time limit of each call.
const DEADLINE: Duration = Duration::from_millis(300);

/// The tolerance on a busy machine.
const SLACK: Duration = Duration::from_secs(3);

/// A call, its name, and the phase in which it waits after the greeting.
#[derive(Clone, Copy)]
struct Call {
    name: &'static str,
    phase: Phase,
    reply: fn() -> String,
    call: fn(&SamBridge, &StreamSession) -> Result<(), Error>,
}

const CALLS: [Call; 5] = [
    Call {
        name: "generate",
        phase: Phase::Command,
        reply: || {
            let key = key(9);
            let private = key.expose_base64();
            format!("DEST REPLY PUB={} PRIV={private}\n", key.destination())
        },
        call: |bridge, _| bridge.generate(SignatureType::Ed25519).map(drop),
    },
    Call {
        name: "lookup",
        phase: Phase::Lookup,
        reply: || format!("NAMING REPLY RESULT=OK VALUE={}\n", key(9).destination()),
        call: |bridge, _| bridge.lookup("peer.i2p").map(drop),
    },
    Call {
        name: "stream",
        phase: Phase::SessionCreate,
        reply: || {
            let private = key(9).expose_base64();
            format!("SESSION STATUS RESULT=OK DESTINATION={private}\n")
        },
        call: |bridge, _| bridge.session().stream().map(drop),
    },
    Call {
        name: "connect",
        phase: Phase::StreamConnect,
        reply: || "STREAM STATUS RESULT=OK\n".to_owned(),
        call: |_, session| session.connect("peer.i2p").map(drop),
    },
    Call {
        name: "listener",
        phase: Phase::Accept,
        reply: || "STREAM STATUS RESULT=OK\n".to_owned(),
        call: |_, session| session.listener().map(drop),
    },
];

/// Every call has a greeting phase; this call has no other.
const VERSION: Call = Call {
    name: "version",
    phase: Phase::Hello,
    reply: || HELLO.to_owned(),
    call: |bridge, _| bridge.version().map(drop),
};

/// Every call, at every point at which it waits for the bridge.
fn places() -> impl Iterator<Item = Call> {
    let greetings = CALLS.map(|call| Call {
        phase: Phase::Hello,
        reply: VERSION.reply,
        ..call
    });
    greetings.into_iter().chain(CALLS).chain([VERSION])
}

type Fault = dyn Fn(&mut Visit<'_, '_>, &str) + Send + Sync;

/// A bridge that creates one session. On every later connection it serves up to the place, and then
/// runs the fault instead of the reply.
fn faulty(place: Call, fault: Arc<Fault>) -> ScriptedBridge {
    ScriptedBridge::start(move |visit| {
        if visit.number == 0 {
            visit.serve_session();
            return;
        }
        if place.phase != Phase::Hello {
            visit.greet();
        }
        fault(visit, &(place.reply)());
    })
}

fn impatient(bridge: &ScriptedBridge) -> SamBridge {
    let time = Some(DEADLINE);
    SamBridge::builder()
        .address(bridge.address().to_string())
        .hello_timeout(time)
        .command_timeout(time)
        .lookup_timeout(time)
        .session_create_timeout(time)
        .stream_connect_timeout(time)
        .build()
        .unwrap()
}

/// A session without short timeouts.
fn session(bridge: &ScriptedBridge) -> StreamSession {
    let session = impatient(bridge).session().pending_accepts(1);
    // Only the calls under test must be quick.
    session.stream().unwrap()
}

/// Runs the call in each place, all at once, and checks each error.
fn in_every_place(
    fault: impl Fn(&mut Visit<'_, '_>, &str) + Send + Sync + 'static,
    check: impl Fn(&str, Error),
) {
    let fault: Arc<Fault> = Arc::new(fault);
    let running: Vec<_> = places()
        .map(|place| {
            let bridge = faulty(place, Arc::clone(&fault));
            let session = session(&bridge);
            let bad = impatient(&bridge);
            let running = in_background(move || {
                let began = Instant::now();
                let error = (place.call)(&bad, &session).unwrap_err();
                (error, began.elapsed())
            });
            (place, bridge, running)
        })
        .collect();
    for (place, bridge, running) in running {
        let name = format!("{} in {:?}", place.name, place.phase);
        let (error, took) = outcome(&running);
        assert_eq!(error.phase(), Some(place.phase), "{name}: {error}");
        assert!(took < DEADLINE + SLACK, "{name} took {took:?}");
        check(&name, error);
        eventually("no connection is left", || bridge.open_connections() == 0);
    }
}

fn is_timeout(name: &str, error: Error) {
    let Error::Timeout { after, .. } = error else {
        panic!("{name}: {error}");
    };
    assert_eq!(after, DEADLINE, "{name}");
}

#[test]
fn silent_bridge_times_out() {
    in_every_place(|visit, _| drop(visit.rest()), is_timeout);
}

#[test]
fn dripping_bridge_cannot_extend_deadline() {
    let fault = |visit: &mut Visit<'_, '_>, reply: &str| {
        visit.drip(reply.as_bytes(), Duration::from_millis(25));
        visit.rest();
    };
    in_every_place(fault, is_timeout);
}

#[test]
fn endless_pings_cannot_extend_deadline() {
    let fault = |visit: &mut Visit<'_, '_>, _: &str| {
        let ping = |n| format!("PING {n}\n").into_bytes();
        (0..10_000_u32).try_for_each(|n| {
            pause(Duration::from_millis(5));
            visit.try_write(&ping(n)).then_some(())
        });
    };
    in_every_place(fault, is_timeout);
}

#[test]
fn endless_line_fails_at_maximum_length() {
    let (told, tells) = mpsc::channel();
    let fault = move |visit: &mut Visit<'_, '_>, _: &str| {
        const MOST: usize = 64 * 1024 * 1024;
        let portion = [b'x'; MAX_LINE];
        let mut sent = 0;
        // The system's buffers hold some megabytes, which are sent too.
        while sent < MOST && visit.try_write(&portion) {
            sent += portion.len();
        }
        told.send(sent < MOST).unwrap();
    };
    in_every_place(fault, |name, error| {
        assert_protocol(name, error, &[ParseErrorKind::TooLong]);
        assert!(tells.recv_timeout(LONG).unwrap(), "{name}: all was taken");
    });
}

#[test]
fn megabyte_without_newline_is_protocol_error() {
    let fault = |visit: &mut Visit<'_, '_>, _: &str| {
        visit.write(&vec![b'A'; 1024 * 1024]);
        visit.rest();
    };
    in_every_place(fault, |name, error| {
        assert_protocol(name, error, &[ParseErrorKind::TooLong]);
    });
}

fn assert_protocol(name: &str, error: Error, kinds: &[ParseErrorKind]) {
    let Error::Protocol { source, .. } = error else {
        panic!("{name}: {error}");
    };
    assert!(kinds.contains(&source.kind()), "{name}: {source}");
}

#[test]
fn bridge_closing_connection_is_reported() {
    let fault = |visit: &mut Visit<'_, '_>, _: &str| {
        visit.line();
        visit.hang_up();
    };
    in_every_place(fault, is_hang_up);
}

#[test]
fn bridge_resetting_connection_is_reported() {
    in_every_place(|visit, _| visit.reset(), is_hang_up);
}

#[test]
fn reset_within_reply_is_reported() {
    let fault = |visit: &mut Visit<'_, '_>, reply: &str| {
        visit.reset();
        visit.write(&reply.as_bytes()[..10]);
    };
    in_every_place(fault, is_hang_up);
}

fn is_hang_up(name: &str, error: Error) {
    let hung_up = matches!(error, Error::UnexpectedEof { .. });
    assert!(hung_up, "{name}: {error}");
    assert!(error.is_retryable(), "{name}");
}

#[test]
fn non_sam_reply_is_protocol_error() {
    use ParseErrorKind::{Empty, MissingPair, Unexpected, Utf8, Value};

    for junk in [
        &b"\n"[..],
        b"   \r\n",
        b"\xff\xfe\xfd\n",
        b"HELLO REPLY RESULT=OK VERSION=\xc3\x28\n",
        b"STREAM STATUS RESULT=OK \x80\n",
        b"\0\0\0\0\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n",
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
        b"220 mail.example ESMTP\r\n",
        b"HELLO REPLY\n",
        b"RESULT=OK\n",
        b"DATAGRAM RECEIVED RESULT=OK\n",
        b"SESSION STATUS DESTINATION=\"\n",
    ] {
        let fault = move |visit: &mut Visit<'_, '_>, _: &str| {
            visit.line();
            visit.write(junk);
            visit.rest();
        };
        in_every_place(fault, |name, error| {
            let name = format!("{name}, {:?}", String::from_utf8_lossy(junk));
            assert_protocol(&name, error, &[Empty, MissingPair, Unexpected, Utf8, Value]);
        });
    }
}

#[test]
fn truncated_reply_is_never_accepted() {
    let running: Vec<_> = places()
        .map(|place| in_background(move || try_every_part(place)))
        .collect();
    for running in running {
        outcome(&running);
    }
}

fn try_every_part(place: Call) {
    let reply = (place.reply)();
    let cut = Arc::new(AtomicUsize::new(0));
    let length = Arc::clone(&cut);
    let fault = move |visit: &mut Visit<'_, '_>, reply: &str| {
        visit.line();
        visit.write(&reply.as_bytes()[..length.load(Ordering::SeqCst)]);
        visit.hang_up();
    };
    let bridge = faulty(place, Arc::new(fault));
    let session = session(&bridge);
    for len in 0..reply.len() {
        cut.store(len, Ordering::SeqCst);
        let error = (place.call)(&bridge.bridge(), &session).unwrap_err();
        let name = format!("{}, {len} bytes of {:?}", place.name, place.phase);
        assert_eq!(error.phase(), Some(place.phase), "{name}: {error}");
        is_hang_up(&name, error);
    }
    drop(session);
    eventually("no connection is left", || bridge.open_connections() == 0);
}

#[test]
fn slow_session_creation_times_out() {
    let bridge = ScriptedBridge::start(|visit| {
        visit.greet();
        visit.line();
        visit.rest();
    });
    let error = impatient(&bridge).session().stream().unwrap_err();
    assert_eq!(error.phase(), Some(Phase::SessionCreate));
    eventually("no connection is left", || bridge.open_connections() == 0);
}

/// A port of loopback at which nobody listens.
fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

fn assert_unreachable(address: &str, error: &Error) {
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert_eq!(error.phase(), Some(Phase::Connect));
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(error.is_retryable());
    let text = error.to_string();
    for word in [address, "SAM", "Java I2P", "i2pd"] {
        assert!(text.contains(word), "no {word:?} in {text:?}");
    }
}

#[test]
fn closed_port_error_names_remedy() {
    let address = closed_port();
    let bridge = SamBridge::new(&address).unwrap();
    assert_unreachable(&address, &bridge.version().unwrap_err());
    let error = bridge.generate(SignatureType::Ed25519).unwrap_err();
    assert_unreachable(&address, &error);
    assert_unreachable(&address, &bridge.lookup("peer.i2p").unwrap_err());
    assert_unreachable(&address, &bridge.session().stream().unwrap_err());
    assert_unreachable(&address, &bridge.connect("peer.i2p").unwrap_err());
}

#[test]
fn closed_port_error_names_host() {
    let port = closed_port().rsplit_once(':').unwrap().1.to_owned();
    let address = format!("localhost:{port}");
    let bridge = SamBridge::new(&address).unwrap();
    assert_unreachable(&address, &bridge.version().unwrap_err());
}

#[test]
fn session_survives_refused_new_connections() {
    let router = TestBridge::start().unwrap();
    let relay = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = relay.local_addr().unwrap().to_string();
    let making = {
        let bridge = SamBridge::new(&address).unwrap();
        in_background(move || bridge.session().stream().unwrap())
    };
    let (client, _) = relay.accept().unwrap();
    drop(relay);
    let server = TcpStream::connect(router.address()).unwrap();
    for (mut from, mut to) in [
        (client.try_clone().unwrap(), server.try_clone().unwrap()),
        (server, client),
    ] {
        thread::spawn(move || io::copy(&mut from, &mut to));
    }
    let session = outcome(&making);
    assert_unreachable(&address, &session.connect("peer.i2p").unwrap_err());
    assert_unreachable(&address, &session.listener().unwrap_err());
    assert!(session.loss().is_none());
}

#[test]
fn dial_deadline_covers_greeting() {
    // It creates sessions, and is silent on every later socket.
    let scripted = ScriptedBridge::start(|visit| {
        if visit.number == 0 {
            visit.serve_session();
        }
        visit.rest();
    });
    let session = scripted.bridge().session().stream().unwrap();
    let began = Instant::now();
    let error = session.connect_timeout("peer.i2p", DEADLINE).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert_eq!(error.phase(), Some(Phase::Hello));
    assert!(began.elapsed() < DEADLINE + SLACK);
}
