//! The listeners of a healing session share one ACCEPT or FORWARD, and each keeps its own deadline.

use std::io::Write;
use std::net::TcpStream;
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use i2p_sam::{Error, HealingOptions, HealingSession, SamListener};

use crate::support::restless::{SHORT, lose};
use crate::support::{
    LONG, ScriptedBridge, Stage, eventually, field, in_background, key, outcome, pause,
};

/// A bridge that replies to FORWARD as the test orders, and a session over it.
struct Forwards {
    scripted: ScriptedBridge,
    session: HealingSession,
    /// The port of each FORWARD that succeeded, and the bridge's end of its socket.
    forwards: mpsc::Receiver<(u16, TcpStream)>,
    /// Each is the reply to one FORWARD. Without one the FORWARD waits.
    answers: mpsc::Sender<&'static str>,
}

const OK: &str = "STREAM STATUS RESULT=OK\n";
const REFUSED: &str = "STREAM STATUS RESULT=I2P_ERROR MESSAGE=\"not now\"\n";

impl Forwards {
    fn start() -> Self {
        let (forward, forwards) = mpsc::channel();
        let (answers, answer) = mpsc::channel();
        let (forward, answer) = (Mutex::new(forward), Mutex::new(answer));
        let scripted = ScriptedBridge::router(move |visit, stage| match stage {
            Stage::Command(line) => {
                let port: u16 = field(line, "PORT").unwrap().parse().unwrap();
                let Ok(answer) = answer.lock().unwrap().recv() else {
                    return;
                };
                visit.say(answer);
                if answer == OK {
                    let _ = forward.lock().unwrap().send((port, visit.socket()));
                    visit.rest();
                }
            }
            _ => visit.until_quit(),
        });
        let options = HealingOptions::new().initial_backoff(SHORT).forward(true);
        let session = scripted.bridge().session().healing_with(&options).unwrap();
        Self {
            scripted,
            session,
            forwards,
            answers,
        }
    }

    fn listener(&self) -> SamListener {
        self.answers.send(OK).unwrap();
        self.session.listener().unwrap()
    }

    fn next(&self) -> (u16, TcpStream) {
        self.forwards.recv_timeout(LONG).unwrap()
    }

    /// Returns the number of FORWARD commands that have arrived.
    fn asked(&self) -> usize {
        let lines = self.scripted.received();
        let forwards = lines.iter().filter(|line| line.starts_with("STREAM FORW"));
        forwards.count()
    }
}

fn call(port: u16) -> TcpStream {
    let mut caller = TcpStream::connect(("127.0.0.1", port)).unwrap();
    writeln!(caller, "{}", key(9).destination()).unwrap();
    caller
}

#[test]
fn accept_waiting_for_bridge_keeps_own_deadline() {
    let router = Forwards::start();
    let listener = router.listener();
    lose(&router.next().1);
    let time = Duration::from_millis(1200);
    // The first accept may still use the lost forwarding.
    for _ in 0..2 {
        let start = Instant::now();
        let error = listener.accept_timeout(time).unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
        assert!(start.elapsed() < time + Duration::from_millis(500));
    }
    assert_eq!(router.asked(), 2);
}

#[test]
fn non_blocking_accept_does_not_await_bridge() {
    let router = Forwards::start();
    let listener = router.listener();
    lose(&router.next().1);
    listener.set_nonblocking(true).unwrap();
    eventually("the bridge is asked again", || {
        let start = Instant::now();
        let error = listener.accept().unwrap_err();
        assert!(matches!(error, Error::WouldBlock), "{error}");
        assert!(start.elapsed() < Duration::from_millis(500));
        router.asked() == 2
    });
    assert!(matches!(listener.accept(), Err(Error::WouldBlock)));
}

#[test]
fn stream_of_timed_out_accept_goes_to_next() {
    let router = Forwards::start();
    let listener = router.listener();
    lose(&router.next().1);
    eventually("the bridge is asked again", || {
        let outcome = listener.accept_timeout(SHORT);
        assert!(outcome.is_err());
        router.asked() == 2
    });
    router.answers.send(OK).unwrap();
    let _caller = call(router.next().0);
    let (_, peer) = listener.accept_timeout(LONG).unwrap();
    assert_eq!(peer.destination(), Some(key(9).destination()));
    assert_eq!(router.asked(), 2);
}

#[test]
fn concurrent_listeners_share_one_forwarding() {
    let router = Forwards::start();
    let made: Vec<_> = (0..4)
        .map(|_| {
            let session = router.session.clone();
            in_background(move || session.listener())
        })
        .collect();
    eventually("the bridge is asked", || router.asked() == 1);
    // All of them must wait for the reply.
    pause(Duration::from_millis(200));
    router.answers.send(OK).unwrap();
    let listeners: Vec<_> = made.iter().map(|made| outcome(made).unwrap()).collect();
    let (port, _socket) = router.next();
    for listener in &listeners {
        let _caller = call(port);
        listener.accept_timeout(LONG).unwrap();
    }
    assert_eq!(router.asked(), 1);
}

#[test]
fn accepting_clones_share_replacement_forwarding() {
    let router = Forwards::start();
    let listener = router.listener();
    let (_, socket) = router.next();
    let accepted: Vec<_> = (0..4)
        .map(|_| {
            let clone = listener.try_clone().unwrap();
            in_background(move || clone.accept())
        })
        .collect();
    pause(Duration::from_millis(200));
    lose(&socket);
    router.answers.send(OK).unwrap();
    let (port, _socket) = router.next();
    let _callers: Vec<_> = accepted.iter().map(|_| call(port)).collect();
    for accepted in &accepted {
        outcome(accepted).unwrap();
    }
    assert_eq!(router.asked(), 2);
}

#[test]
fn refused_forwarding_fails_one_accept_then_retries() {
    let router = Forwards::start();
    let listener = router.listener();
    lose(&router.next().1);
    router.answers.send(REFUSED).unwrap();
    let error = listener.accept_timeout(LONG).unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error}");
    router.answers.send(OK).unwrap();
    let accepting = in_background(move || listener.accept());
    let _caller = call(router.next().0);
    outcome(&accepting).unwrap();
}

#[test]
fn refused_listener_is_an_error() {
    let router = Forwards::start();
    router.answers.send(REFUSED).unwrap();
    let outcome = router.session.listener();
    assert!(matches!(outcome, Err(Error::Refused(_))));
}
