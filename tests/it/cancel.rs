//! `Cancel` ends a blocking call at once, wherever it blocks, and never affects a value that was
//! returned. (`accept.rs` tests accepting.)

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use i2p_sam::testing::TestBridge;
use i2p_sam::{
    Cancel, ClientTunnel, Connect, ConnectOptions, Error, I2pAddr, Phase, SamBridge, SamStream,
    SignatureType, StreamSession, TunnelOptions,
};

use crate::support::{
    LONG, ScriptedBridge, Signal, Stage, eventually, in_background, key, milestone, outcome, pause,
};

const AT_ONCE: Duration = Duration::from_millis(100);

/// A call that blocks, and the phase in which it waits after the greeting.
type Call = fn(&SamBridge, &StreamSession) -> Result<(), Error>;

const CALLS: [(Phase, Call); 5] = [
    (Phase::Command, |bridge, _| {
        bridge.generate(SignatureType::Ed25519).map(drop)
    }),
    (Phase::Lookup, |bridge, _| {
        bridge.lookup("peer.i2p").map(drop)
    }),
    (Phase::SessionCreate, |bridge, _| {
        bridge.session().stream().map(drop)
    }),
    (Phase::StreamConnect, |_, session| {
        session.connect("peer.i2p").map(drop)
    }),
    (Phase::Accept, |_, session| session.listener().map(drop)),
];

const VERSION: Call = |bridge, _| bridge.version().map(drop);

/// A bridge that creates one session. On a later connection it sends nothing after this many lines
/// of the client, and then signals the test.
fn silent_behind(lines: usize, there: Signal) -> ScriptedBridge {
    ScriptedBridge::start(move |visit| {
        if visit.number == 0 {
            visit.serve_session();
            return;
        }
        if lines == 1 {
            visit.line();
        } else {
            visit.greet();
            visit.line();
        }
        there.reached();
        visit.rest();
    })
}

/// Cancels the call when it should be blocked, and checks its outcome.
fn assert_cancelled_in(phase: Phase, call: Call, lines: usize) {
    let (there, is_there) = milestone();
    let bridge = silent_behind(lines, there);
    let cancel = Cancel::new();
    let session = bridge.bridge().session().pending_accepts(1).stream();
    let session = session.unwrap().with_cancel(&cancel);
    let cancellable = bridge.bridge().with_cancel(&cancel);
    let waiting = in_background(move || {
        let error = call(&cancellable, &session).unwrap_err();
        (error, Instant::now(), session.loss())
    });
    outcome(&is_there);
    let began = Instant::now();
    cancel.cancel();
    let (error, ended, loss) = outcome(&waiting);
    let cancelled = matches!(&error, Error::Cancelled { phase: p } if *p == phase);
    assert!(cancelled, "{phase:?}: {error}");
    assert!(ended - began < AT_ONCE, "{phase:?}: {:?}", ended - began);
    assert_eq!(loss, None, "{phase:?}");
    eventually("no connection is left", || bridge.open_connections() == 0);
}

#[test]
fn cancel_ends_calls_waiting_for_reply() {
    for (phase, call) in CALLS {
        assert_cancelled_in(phase, call, 2);
    }
}

#[test]
fn cancel_ends_calls_waiting_for_greeting() {
    for call in CALLS.map(|(_, call)| call).into_iter().chain([VERSION]) {
        assert_cancelled_in(Phase::Hello, call, 1);
    }
}

/// A port that does not answer, since its queue of connections is full.
struct FullPort {
    listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl FullPort {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connect = |_| TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
        // Linux has a queue of 128, and no known system has 5000.
        let queued: Vec<_> = (0..5000).map_while(connect).collect();
        assert!(queued.len() < 5000, "the queue is never full");
        Self {
            listener,
            _queued: queued,
        }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }
}

#[test]
fn cancel_ends_calls_waiting_for_connection() {
    let port = FullPort::new();
    let by_name = format!("localhost:{}", port.address().port());
    for address in [port.address().to_string(), by_name] {
        let calls: [fn(&SamBridge) -> Option<Error>; 4] = [
            |bridge| bridge.version().err(),
            |bridge| bridge.generate(SignatureType::Ed25519).err(),
            |bridge| bridge.lookup("peer.i2p").err(),
            |bridge| bridge.session().stream().err(),
        ];
        for call in calls {
            let cancel = Cancel::new();
            let bridge = SamBridge::new(&address).unwrap().with_cancel(&cancel);
            let waiting = in_background(move || (call(&bridge), Instant::now()));
            // The call probably waits by now; if not, it must end all the same.
            pause(Duration::from_millis(75));
            let began = Instant::now();
            cancel.cancel();
            let (error, ended) = outcome(&waiting);
            let phase = Phase::Connect;
            let cancelled = matches!(error, Some(Error::Cancelled { phase: p }) if p == phase);
            assert!(cancelled, "{address}: {error:?}");
            assert!(ended - began < AT_ONCE, "{address}: {:?}", ended - began);
        }
    }
}

#[test]
fn unfinished_connection_ends_at_deadline() {
    let port = FullPort::new();
    let by_name = format!("localhost:{}", port.address().port());
    for address in [port.address().to_string(), by_name] {
        let time = Duration::from_millis(150);
        let bridge = SamBridge::builder()
            .address(&address)
            .connect_timeout(Some(time));
        let began = Instant::now();
        let error = bridge.build().unwrap().version().unwrap_err();
        assert!(error.is_timeout(), "{address}: {error}");
        assert_eq!(error.phase(), Some(Phase::Connect));
        assert!(began.elapsed() < Duration::from_secs(2));
    }
}

#[test]
fn cancel_ends_wait_for_session_end() {
    let bridge = ScriptedBridge::router(|visit, _| visit.until_quit());
    let cancel = Cancel::new();
    let session = bridge.bridge().session().stream().unwrap();
    let cancellable = session.with_cancel(&cancel);
    let waiting = in_background(move || (cancellable.wait_closed(None), Instant::now()));
    let began = Instant::now();
    cancel.cancel();
    let (waited, ended) = outcome(&waiting);
    assert!(matches!(
        waited,
        Err(Error::Cancelled {
            phase: Phase::WaitClosed
        })
    ));
    assert!(ended - began < AT_ONCE);
    assert_eq!(session.loss(), None);
}

#[test]
fn cancel_before_call_sends_nothing() {
    let bridge = ScriptedBridge::router(|visit, _| visit.until_quit());
    let session = bridge.bridge().session().stream().unwrap();
    let cancel = Cancel::new();
    cancel.cancel();
    let cancellable = bridge.bridge().with_cancel(&cancel);
    let session = session.with_cancel(&cancel);
    for call in CALLS.map(|(_, call)| call).into_iter().chain([VERSION]) {
        let error = call(&cancellable, &session).unwrap_err();
        assert!(matches!(error, Error::Cancelled { .. }), "{error}");
    }
    let waited = session.wait_closed(None);
    assert!(matches!(waited, Err(Error::Cancelled { .. })));
    assert_eq!(bridge.connections(), 1);
    assert_eq!(bridge.received().len(), 2);
}

#[test]
fn wait_for_closed_session_succeeds() {
    let bridge = ScriptedBridge::router(|visit, _| visit.until_quit());
    let cancel = Cancel::new();
    let session = bridge.bridge().session().stream().unwrap();
    session.close();
    assert!(session.with_cancel(&cancel).wait_closed(None).is_ok());
}

#[test]
fn cancelled_call_differs_from_interrupted_call() {
    let cancel = Cancel::new();
    cancel.cancel();
    let bridge = ScriptedBridge::start(|_| {}).bridge();
    let error = bridge.with_cancel(&cancel).version().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::Other);
    assert!(!error.is_retryable() && !error.is_timeout() && !error.is_peer_fault());
}

#[test]
fn cancel_ends_only_its_own_calls() {
    let (there, is_there) = milestone();
    let bridge = silent_behind(2, there);
    let all = Cancel::new();
    let (one, other) = (all.child(), all.child());
    let session = bridge.bridge().session().stream().unwrap();
    let wait = |cancel: &Cancel| {
        let session = session.with_cancel(cancel);
        in_background(move || session.connect("peer.i2p").unwrap_err())
    };
    let (first, second, third) = (wait(&one), wait(&other), wait(&Cancel::new()));
    (0..3).for_each(|_| outcome(&is_there));
    one.cancel();
    assert!(matches!(outcome(&first), Error::Cancelled { .. }));
    assert!(second.try_recv().is_err());
    all.cancel();
    assert!(matches!(outcome(&second), Error::Cancelled { .. }));
    assert!(third.try_recv().is_err());
    session.close();
    assert!(outcome(&third).is_session_lost());
}

#[test]
fn session_shares_bridge_cancel_and_survives_it() {
    let (there, is_there) = milestone();
    let scripted = silent_behind(2, there);
    let cancel = Cancel::new();
    let bridge = scripted.bridge().with_cancel(&cancel.child());
    let session = bridge.session().stream().unwrap();
    let dialler = session.clone();
    let waiting = in_background(move || dialler.connect("peer.i2p").unwrap_err());
    outcome(&is_there);
    cancel.cancel();
    assert!(matches!(outcome(&waiting), Error::Cancelled { .. }));
    assert_eq!(session.loss(), None);
}

fn assert_echoes(mut stream: &SamStream) {
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.write_all(b"still here").unwrap();
    let mut bytes = [0; 10];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"still here");
}

const ROUNDS: u32 = 300;

/// Cancels shortly after each order. The delay grows with each round, so that some cancels come
/// before the racing event and some after it.
fn canceller(rounds: mpsc::Receiver<(Cancel, u32)>, step: u32) {
    for (cancel, round) in rounds {
        (0..round * step).for_each(|_| std::hint::spin_loop());
        cancel.cancel();
    }
}

#[test]
fn cancel_racing_dial_success_spares_stream() {
    let (fire, fires) = mpsc::channel();
    in_background(move || canceller(fires, 20));
    let (there, is_there) = milestone();
    let bridge = ScriptedBridge::router(move |visit, stage| match stage {
        Stage::Session => visit.until_quit(),
        _ => {
            there.reached();
            visit.say("STREAM STATUS RESULT=OK\n");
            visit.echo();
        }
    });
    let session = bridge.bridge().session().stream().unwrap();
    let mut streams = Vec::new();
    for round in 0..ROUNDS {
        let cancel = Cancel::new();
        let cancellable = session.with_cancel(&cancel);
        let dialling = in_background(move || cancellable.connect("peer.i2p"));
        outcome(&is_there);
        fire.send((cancel.clone(), round)).unwrap();
        match outcome(&dialling) {
            Ok(stream) => {
                eventually("the handle is fired", || cancel.is_cancelled());
                assert_echoes(&stream);
                streams.push(stream);
            }
            Err(error) => assert!(matches!(error, Error::Cancelled { .. }), "{error}"),
        }
    }
    streams.iter().for_each(assert_echoes);
    assert_eq!(session.loss(), None);
}

#[test]
fn cancel_racing_accept_success_spares_stream() {
    let (fire, fires) = mpsc::channel();
    in_background(move || canceller(fires, 200));
    let (call, calls) = mpsc::channel::<()>();
    let calls = std::sync::Mutex::new(calls);
    let bridge = ScriptedBridge::router(move |visit, stage| match stage {
        Stage::Session => visit.until_quit(),
        _ => {
            let called = calls.lock().unwrap().recv();
            if called.is_ok() {
                visit.say(&format!("{}\n", key(1).destination()));
                visit.echo();
            }
        }
    });
    let session = bridge
        .bridge()
        .session()
        .pending_accepts(1)
        .stream()
        .unwrap();
    let listener = session.listener().unwrap();
    for round in 0..ROUNDS {
        let cancel = Cancel::new();
        let cancellable = listener.with_cancel(&cancel);
        let accepting = in_background(move || cancellable.accept());
        call.send(()).unwrap();
        fire.send((cancel.clone(), round)).unwrap();
        let (stream, _) = match outcome(&accepting) {
            Ok(accepted) => accepted,
            Err(Error::Cancelled { .. }) => listener.accept_timeout(LONG).unwrap(),
            Err(error) => panic!("{error}"),
        };
        eventually("the handle is fired", || cancel.is_cancelled());
        assert_echoes(&stream);
    }
}

#[test]
fn cancel_racing_session_success_leaves_no_socket() {
    let (fire, fires) = mpsc::channel();
    in_background(move || canceller(fires, 60));
    let (there, is_there) = milestone();
    let bridge = ScriptedBridge::start(move |visit| {
        visit.greet();
        let Some(line) = visit.line() else { return };
        there.reached();
        visit.make_session(&line);
        visit.until_quit();
    });
    for round in 0..100 {
        let cancel = Cancel::new();
        let cancellable = bridge.bridge().with_cancel(&cancel);
        let making = in_background(move || cancellable.session().stream());
        outcome(&is_there);
        fire.send((cancel.clone(), round)).unwrap();
        match outcome(&making) {
            Ok(session) => assert_eq!(session.loss(), None),
            Err(error) => assert!(matches!(error, Error::Cancelled { .. }), "{error}"),
        }
    }
    eventually("no connection is left", || bridge.open_connections() == 0);
}

#[test]
fn fired_handle_ends_blocked_read_of_stream() {
    let (near, _far) = SamStream::pair().unwrap();
    let (first, second) = (Cancel::new(), Cancel::new());
    near.shutdown_with(&first);
    near.shutdown_with(&second);
    let mut reader = near.try_clone().unwrap();
    let read = in_background(move || reader.read(&mut [0; 1]));
    second.cancel();
    let error = outcome(&read).unwrap_err();
    assert_eq!(error.to_string(), "reading from a stream was cancelled");
}

#[test]
fn stream_given_fired_handle_ends_at_once() {
    let (mut near, mut far) = SamStream::pair().unwrap();
    let cancel = Cancel::new();
    cancel.cancel();
    near.shutdown_with(&cancel);
    let error = near.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.to_string(), "reading from a stream was cancelled");
    let error = near.write(b"late").unwrap_err();
    assert_eq!(error.to_string(), "writing to a stream was cancelled");
    far.set_read_timeout(Some(LONG)).unwrap();
    assert_eq!(far.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn end_by_peer_is_no_cancellation() {
    let (mut near, far) = SamStream::pair().unwrap();
    let cancel = Cancel::new();
    near.shutdown_with(&cancel);
    drop(far);
    assert_eq!(near.read(&mut [0; 1]).unwrap(), 0);
    drop(near);
    // Nothing is left to end.
    cancel.cancel();
}

/// A bridge that does not reply to dials, and signals each.
fn silent_to_dials(signal: Signal) -> ScriptedBridge {
    ScriptedBridge::router(move |visit, stage| match stage {
        Stage::Session => visit.until_quit(),
        Stage::Accept => drop(visit.rest()),
        Stage::Command(_) => {
            signal.reached();
            drop(visit.rest());
        }
    })
}

#[test]
fn dial_ends_with_handle_of_session_and_of_options() {
    let (dialled, dials) = milestone();
    let bridge = silent_to_dials(dialled);
    let session = bridge.bridge().session().stream().unwrap();
    for fired in 0..2 {
        let handles = [Cancel::new(), Cancel::new()];
        let session = session.with_cancel(&handles[0]);
        let options = ConnectOptions::new().with_cancel(&handles[1]);
        let peer = format!("peer{fired}.i2p");
        let dial = in_background(move || session.connect_with(peer, &options));
        outcome(&dials);
        handles[fired].cancel();
        let error = outcome(&dial).unwrap_err();
        assert!(matches!(error, Error::Cancelled { .. }), "{error}");
    }
}

#[test]
fn dial_of_healing_session_ends_with_handle_of_options() {
    let (dialled, dials) = milestone();
    let bridge = silent_to_dials(dialled);
    let session = bridge.bridge().session().key(&key(7)).healing().unwrap();
    let cancel = Cancel::new();
    let options = ConnectOptions::new().with_cancel(&cancel);
    let dial = in_background(move || session.connect_with("peer.i2p", &options));
    outcome(&dials);
    cancel.cancel();
    let error = outcome(&dial).unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }), "{error}");
}

#[test]
fn pointers_to_diallers_dial() {
    let bridge = TestBridge::start().unwrap();
    let server = bridge.bridge().session().stream().unwrap();
    let listener = server.listener().unwrap();
    let session = bridge.bridge().session().stream().unwrap();
    let boxed: Box<dyn Connect> = Box::new(session.clone());
    let shared: Arc<dyn Connect> = Arc::new(session.clone());
    let borrowed = &session;
    let peer = I2pAddr::from(server.destination());
    let options = ConnectOptions::new();
    for dialler in [&boxed as &dyn Connect, &shared, &borrowed] {
        dialler.connect_to(&peer, &options).unwrap();
        listener.accept_timeout(LONG).unwrap();
    }
    // A tunnel takes any of them.
    let tunnel = ClientTunnel::start(boxed, "127.0.0.1:0", peer, &TunnelOptions::new()).unwrap();
    let _program = TcpStream::connect(tunnel.local_addr()).unwrap();
    listener.accept_timeout(LONG).unwrap();
}
