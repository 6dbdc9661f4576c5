//! The control socket of a session: which lines are answered, what ends the session, and what keeps
//! it alive.

use std::any::Any;
use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use i2p_sam::{Cancel, Error, Phase, ResultCode, SessionBuilder, SessionLoss, StreamSession};

use crate::support::{
    LONG, ScriptedBridge, Stage, Visit, eventually, in_background, key, milestone, outcome, pause,
};

/// A script of the test for the control socket.
type Order = Box<dyn FnOnce(&mut Visit<'_, '_>) + Send>;

/// A bridge that creates one session, and runs the test's scripts on its control socket. Dials
/// succeed and echo; accepts wait.
struct Kept {
    bridge: ScriptedBridge,
    session: StreamSession,
    orders: mpsc::Sender<Order>,
}

impl Kept {
    fn start() -> Self {
        Self::with(|session| session)
    }

    /// The session ends when its last handle is dropped, unless `how` changes that.
    fn with(how: impl FnOnce(SessionBuilder) -> SessionBuilder) -> Self {
        let (orders, order) = mpsc::channel::<Order>();
        let order = Mutex::new(order);
        let bridge = ScriptedBridge::router(move |visit, stage| match stage {
            Stage::Session => {
                let order = order.lock().unwrap();
                order.iter().for_each(|order| order(visit));
            }
            Stage::Accept => drop(visit.rest()),
            Stage::Command(_) => {
                visit.say("STREAM STATUS RESULT=OK\n");
                visit.echo();
            }
        });
        let builder = bridge.bridge().session().pending_accepts(1);
        let session = how(builder.linger(Duration::ZERO)).stream().unwrap();
        Self {
            bridge,
            session,
            orders,
        }
    }

    /// Runs this on the control socket next; its outcome arrives over the channel.
    fn order<T: Send + 'static>(
        &self,
        order: impl FnOnce(&mut Visit<'_, '_>) -> T + Send + 'static,
    ) -> mpsc::Receiver<T> {
        order_over(&self.orders, order)
    }

    fn say(&self, text: impl Into<String>) {
        let text = text.into();
        self.order(move |visit| visit.say(&text));
    }

    fn hang_up(&self) {
        self.order(|visit| visit.hang_up());
    }

    fn loss(&self) -> SessionLoss {
        self.session.wait_closed(Some(LONG)).unwrap()
    }

    /// The session answers, so it lives: after its QUIT it would send nothing more.
    fn assert_alive(&self) {
        assert_answers(&self.orders);
    }
}

fn order_over<T: Send + 'static>(
    orders: &mpsc::Sender<Order>,
    order: impl FnOnce(&mut Visit<'_, '_>) -> T + Send + 'static,
) -> mpsc::Receiver<T> {
    let (told, tells) = mpsc::channel();
    let order = move |visit: &mut Visit<'_, '_>| drop(told.send(order(visit)));
    orders.send(Box::new(order)).unwrap();
    tells
}

fn assert_answers(orders: &mpsc::Sender<Order>) {
    let answer = order_over(orders, |visit| {
        visit.say("PING are you there\n");
        visit.line()
    });
    assert_eq!(outcome(&answer).unwrap(), "PONG are you there\n");
}

/// Sends PING repeatedly, and returns the first wrong answer.
fn ping(times: u32, every: Duration) -> impl FnOnce(&mut Visit<'_, '_>) -> Option<String> {
    move |visit| {
        for n in 0..times {
            let text = format!(
                "17953758{n} \"x\"  \u{e9}=\\{}",
                "y".repeat(n as usize % 100)
            );
            visit.say(&format!("PING {text}\n"));
            let answer = visit.line().unwrap_or_default();
            if answer != format!("PONG {text}\n") {
                return Some(answer);
            }
            pause(every);
        }
        None
    }
}

#[test]
fn each_ping_is_answered_with_its_text() {
    let kept = Kept::start();
    let wrong = kept.order(ping(200, Duration::from_millis(10)));
    assert_eq!(outcome(&wrong), None);
    assert_eq!(kept.session.loss(), None);
}

#[test]
fn simultaneous_pings_are_answered_in_order() {
    let kept = Kept::start();
    let answers = kept.order(|visit| {
        visit.say("PING 1\nPING 2\nPING\nPING  3 \nPING 4\n");
        (0..5).filter_map(|_| visit.line()).collect::<String>()
    });
    let wanted = "PONG 1\nPONG 2\nPONG\nPONG  3 \nPONG 4\n";
    assert_eq!(outcome(&answers), wanted);
}

#[test]
fn ping_byte_by_byte_is_answered() {
    let kept = Kept::start();
    let answer = kept.order(|visit| {
        visit.drip(b"PING 1795375816695\n", Duration::from_millis(2));
        visit.line()
    });
    assert_eq!(outcome(&answer).unwrap(), "PONG 1795375816695\n");
}

#[test]
#[ignore = "takes a minute; CI runs it"]
fn session_pinged_for_a_minute_lives() {
    let kept = Kept::start();
    let wrong = kept.order(ping(60, Duration::from_secs(1)));
    let wrong = wrong.recv_timeout(Duration::from_secs(90)).unwrap();
    assert_eq!(wrong, None);
    kept.assert_alive();
    assert_eq!(kept.session.loss(), None);
}

#[test]
fn pong_timeout_is_loss_reason() {
    let kept = Kept::start();
    kept.say("SESSION STATUS RESULT=I2P_ERROR MESSAGE=\"PONG timeout\"\n");
    let SessionLoss::Refused(refusal) = kept.loss() else {
        panic!("{:?}", kept.session.loss());
    };
    assert_eq!(*refusal.code(), ResultCode::I2pError);
    assert_eq!(refusal.explanation(), Some("PONG timeout"));
    assert!(
        kept.session
            .connect("peer.i2p")
            .unwrap_err()
            .is_session_lost()
    );
}

#[test]
fn final_line_without_newline_is_loss_reason() {
    let kept = Kept::start();
    kept.say("SESSION STATUS RESULT=I2P_ERROR MESSAGE=\"shutting down\"");
    kept.hang_up();
    let SessionLoss::Refused(refusal) = kept.loss() else {
        panic!("{:?}", kept.session.loss());
    };
    assert_eq!(refusal.explanation(), Some("shutting down"));
}

#[test]
fn bridge_closing_is_reported_gone() {
    let kept = Kept::start();
    kept.hang_up();
    assert_eq!(kept.loss(), SessionLoss::Disconnected);
    assert_eq!(kept.session.loss(), Some(SessionLoss::Disconnected));
}

#[test]
fn bridge_resetting_is_reported_gone() {
    let bridge = ScriptedBridge::router(|visit, stage| {
        if let Stage::Session = stage {
            visit.say("PING 1\n");
            visit.reset();
        }
    });
    let session = bridge.bridge().session().stream().unwrap();
    let loss = session.wait_closed(Some(LONG)).unwrap();
    assert_eq!(loss, SessionLoss::Disconnected);
}

#[test]
fn megabyte_without_newline_is_garbled() {
    let kept = Kept::start();
    kept.say("x".repeat(1024 * 1024));
    assert_eq!(kept.loss(), SessionLoss::ProtocolViolation);
    let (bridge, orders) = (kept.bridge, kept.orders);
    drop((kept.session, orders));
    eventually("the socket is closed", || bridge.open_connections() == 0);
}

#[test]
fn unknown_lines_are_ignored() {
    let kept = Kept::start();
    kept.order(|visit| {
        visit.write(b"\n  \r\nNEWS\nNEWS STATUS RESULT=I2P_ERROR\nPONG 1\n\xff\xfe\xfd\n");
        visit.say("SESSION STATUS\nSESSION STATUS RESULT=OK DESTINATION=x\n");
        visit.say("STREAM STATUS RESULT=I2P_ERROR\nNAMING REPLY RESULT=KEY_NOT_FOUND\n");
        visit.say(&format!("NEWS {}\n", "x".repeat(60_000)));
        visit.say(&format!("PING {}\n", "y".repeat(60_000)));
    });
    kept.assert_alive();
    assert_eq!(kept.session.loss(), None);
}

/// A bridge that pings as fast as it can, and reads nothing; it reports how many bytes it sent.
fn flood(kept: &Kept) -> mpsc::Receiver<usize> {
    let ping = format!("PING {}\n", "x".repeat(4000)).repeat(16);
    kept.order(move |visit| {
        let mut sent = 0;
        while visit.try_write(ping.as_bytes()) {
            sent += ping.len();
        }
        sent
    })
}

#[test]
fn endless_pings_unread_pongs_bound_memory() {
    let kept = Kept::start();
    let sent = flood(&kept);
    assert_eq!(kept.loss(), SessionLoss::ProtocolViolation);
    drop(kept.session);
    // The capacity of the system's buffers, both ways, and some 64 answers of ours.
    let sent = outcome(&sent);
    assert!(sent < 64 * 1024 * 1024, "{sent} bytes were taken");
}

#[test]
fn endless_pings_unread_pongs_allow_close() {
    let kept = Kept::start();
    let _sent = flood(&kept);
    let session = kept.session.clone();
    let closing = in_background(move || {
        let began = Instant::now();
        session.close();
        began.elapsed()
    });
    let took = outcome(&closing);
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[test]
fn endless_pings_unread_pongs_allow_drop() {
    let kept = Kept::start();
    let _sent = flood(&kept);
    let began = Instant::now();
    drop(kept.session);
    assert!(began.elapsed() < Duration::from_millis(50));
}

/// Reads nothing until the client closes. Writing lines that the client ignores detects that.
fn deaf(visit: &mut Visit<'_, '_>) {
    while visit.try_write(b"NEWS\n") {
        pause(Duration::from_millis(20));
    }
}

#[test]
fn close_disconnects_stalled_bridge() {
    let kept = Kept::start();
    let left = kept.order(deaf);
    let began = Instant::now();
    kept.session.close();
    outcome(&left);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(6), "{took:?}");
}

/// Sends this many PINGs, and reads no answer; counts them.
fn fill(most: usize, count: Arc<AtomicUsize>) -> impl FnOnce(&mut Visit<'_, '_>) {
    let ping = format!("PING {}\n", "x".repeat(8000));
    move |visit| {
        while count.load(Ordering::SeqCst) < most && visit.try_write(ping.as_bytes()) {
            count.fetch_add(1, Ordering::SeqCst);
            pause(Duration::from_micros(100));
        }
    }
}

/// Sends this many lines to a bridge that reads none of them, closes the session, and returns the
/// time until the bridge was disconnected.
fn close_when_full(answers: usize) -> Option<Duration> {
    let kept = Kept::start();
    let filled = kept.order(fill(answers, Arc::default()));
    eventually("it is full", || {
        filled.try_recv().is_ok() || kept.session.loss().is_some()
    });
    let left = kept.order(deaf);
    let began = Instant::now();
    kept.session.close();
    // If the buffers were smaller than last time, the session was lost before.
    let closed = kept.session.loss() == Some(SessionLoss::Closed);
    drop(kept.session);
    outcome(&left);
    closed.then(|| began.elapsed())
}

#[test]
fn close_disconnects_unwritable_bridge() {
    // Roughly the number of answers that fit into the system's buffers and our own queue of 64.
    let kept = Kept::start();
    let fit = Arc::new(AtomicUsize::new(0));
    let _filled = kept.order(fill(usize::MAX, Arc::clone(&fit)));
    assert_eq!(kept.loss(), SessionLoss::ProtocolViolation);
    drop(kept);
    let fit = fit.load(Ordering::SeqCst);
    let running = [5, 15, 25, 35, 45].map(|spare| {
        let answers = fit.saturating_sub(spare);
        in_background(move || close_when_full(answers))
    });
    for took in running.iter().filter_map(outcome) {
        assert!(took < Duration::from_secs(6), "{took:?}");
    }
}

const BEAT: Option<Duration> = Some(Duration::from_secs(1));

#[test]
fn answered_heartbeat_keeps_session() {
    let kept = Kept::with(|session| session.heartbeat(BEAT));
    let beats = kept.order(|visit| {
        let beat = |visit: &mut Visit<'_, '_>| {
            let line = visit.line();
            visit.say(&format!(
                "NAMING REPLY RESULT=OK NAME=ME VALUE={}\n",
                key(0).destination()
            ));
            line
        };
        (0..3).filter_map(|_| beat(visit)).collect::<String>()
    });
    assert_eq!(outcome(&beats), "NAMING LOOKUP NAME=ME\n".repeat(3));
    assert_eq!(kept.session.loss(), None);
}

#[test]
fn unanswered_heartbeat_ends_session() {
    let kept = Kept::with(|session| session.heartbeat(BEAT));
    let began = Instant::now();
    let said = kept.order(|visit| visit.rest());
    assert_eq!(
        kept.loss(),
        SessionLoss::HeartbeatTimeout(Duration::from_secs(1))
    );
    assert!(began.elapsed() < Duration::from_secs(4));
    assert_eq!(outcome(&said), b"NAMING LOOKUP NAME=ME\n");
}

#[test]
fn heartbeat_under_one_second_is_one_second() {
    let kept = Kept::with(|session| session.heartbeat(Some(Duration::ZERO)));
    let _said = kept.order(|visit| visit.rest());
    assert_eq!(
        kept.loss(),
        SessionLoss::HeartbeatTimeout(Duration::from_secs(1))
    );
}

#[test]
fn endless_heartbeat_interval_delays_no_command() {
    let kept = Kept::with(|session| session.heartbeat(Some(Duration::MAX)));
    kept.assert_alive();
    let said = kept.order(|visit| visit.line());
    drop(kept.session);
    assert_eq!(outcome(&said).unwrap(), "QUIT\n");
}

#[test]
fn live_session_has_no_loss() {
    let kept = Kept::start();
    assert_eq!(kept.session.loss(), None);
    let time = Duration::from_millis(20);
    let error = kept.session.wait_closed(Some(time)).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert_eq!(error.phase(), Some(Phase::WaitClosed));
}

#[test]
fn session_end_ends_wait() {
    let kept = Kept::start();
    let session = kept.session.clone();
    let waiting = in_background(move || session.wait_closed(None));
    kept.hang_up();
    assert_eq!(outcome(&waiting).unwrap(), SessionLoss::Disconnected);
}

#[test]
fn cancel_ends_wait_for_end() {
    let kept = Kept::start();
    let cancel = Cancel::new();
    let session = kept.session.with_cancel(&cancel);
    let waiting = in_background(move || session.wait_closed(None));
    cancel.cancel();
    let error = outcome(&waiting).unwrap_err();
    let phase = Phase::WaitClosed;
    assert!(matches!(error, Error::Cancelled { phase: p } if p == phase));
    kept.assert_alive();
}

#[test]
fn repeated_close_sends_quit_once() {
    let kept = Kept::start();
    let said = kept.order(|visit| {
        let first = visit.line();
        visit.say("QUIT STATUS RESULT=OK MESSAGE=bye\n");
        (first, visit.line())
    });
    kept.order(|visit| visit.hang_up());
    kept.session.close();
    kept.session.clone().close();
    assert_eq!(kept.session.loss(), Some(SessionLoss::Closed));
    assert_eq!(outcome(&said), (Some("QUIT\n".to_owned()), None));
    let again = kept.session.connect("peer.i2p").unwrap_err();
    assert!(matches!(again, Error::SessionLost(SessionLoss::Closed)));
}

#[test]
fn close_awaits_end_at_bridge() {
    let kept = Kept::start();
    let (signal, has_let_go) = milestone();
    kept.order(move |visit| {
        visit.line();
        pause(Duration::from_millis(300));
        signal.reached();
        visit.hang_up();
    });
    kept.session.close();
    has_let_go.try_recv().expect("it did not wait");
}

#[test]
fn close_ends_streams_before_quit() {
    let streams = Arc::new(Mutex::new(Vec::<TcpStream>::new()));
    let (told, tells) = mpsc::channel();
    let known = Arc::clone(&streams);
    let bridge = ScriptedBridge::router(move |visit, stage| match stage {
        Stage::Session => {
            let line = visit.line();
            // A stream that has ended by now reads its end at once.
            let ended = |mut stream: &TcpStream| {
                stream.set_nonblocking(true).unwrap();
                matches!(stream.read(&mut [0; 1]), Ok(0))
            };
            let streams = known.lock().unwrap();
            let ended = streams.iter().filter(|stream| ended(stream)).count();
            told.send((line, streams.len(), ended)).unwrap();
        }
        stage => {
            match stage {
                Stage::Accept => visit.say(&format!("{}\n", key(1).destination())),
                _ => visit.say("STREAM STATUS RESULT=OK\n"),
            }
            known.lock().unwrap().push(visit.socket());
        }
    });
    let session = bridge
        .bridge()
        .session()
        .pending_accepts(1)
        .stream()
        .unwrap();
    let listener = session.listener().unwrap();
    let _accepted = listener.accept_timeout(LONG).unwrap();
    drop(listener);
    let _dialled = session.connect("peer.i2p").unwrap();
    eventually("the bridge knows them", || {
        streams.lock().unwrap().len() >= 2
    });
    session.close();
    let (line, all, ended) = outcome(&tells);
    assert_eq!(line.unwrap(), "QUIT\n");
    assert_eq!(ended, all);
}

#[test]
fn close_ends_waiting_calls() {
    let (asked, is_asked) = milestone();
    let bridge = ScriptedBridge::router(move |visit, stage| {
        if let Stage::Session = stage {
            return visit.until_quit();
        }
        asked.reached();
        visit.rest();
    });
    let session = bridge
        .bridge()
        .session()
        .pending_accepts(1)
        .stream()
        .unwrap();
    let listener = session.listener().unwrap();
    outcome(&is_asked);
    let accepting = in_background(move || listener.accept().unwrap_err());
    let dialler = session.clone();
    let dialling = in_background(move || dialler.connect("peer.i2p").unwrap_err());
    outcome(&is_asked);
    session.close();
    for error in [outcome(&accepting), outcome(&dialling)] {
        let closed = matches!(error, Error::SessionLost(SessionLoss::Closed));
        assert!(closed, "{error}");
        assert_eq!(error.kind(), ErrorKind::NotConnected);
    }
    eventually("no connection is left", || bridge.open_connections() == 0);
}

#[test]
fn drop_sends_quit_without_waiting() {
    let kept = Kept::start();
    let said = kept.order(|visit| {
        pause(Duration::from_millis(300));
        visit.line()
    });
    let began = Instant::now();
    drop(kept.session);
    assert!(began.elapsed() < Duration::from_millis(50));
    assert_eq!(outcome(&said).unwrap(), "QUIT\n");
}

#[test]
fn drop_disconnects_bridge_keeping_socket() {
    let kept = Kept::start();
    let left = kept.order(deaf);
    let began = Instant::now();
    drop(kept.session);
    assert!(began.elapsed() < Duration::from_millis(50));
    outcome(&left);
    assert!(began.elapsed() < Duration::from_secs(6));
}

#[test]
fn session_lives_while_derived_values_live() {
    type Maker = fn(&StreamSession) -> Box<dyn Any>;
    let makers: [(&str, Maker); 7] = [
        ("a clone", |session| Box::new(session.clone())),
        ("a guard", |session| Box::new(session.guard())),
        ("a listener", |session| {
            Box::new(session.listener().unwrap())
        }),
        ("a clone of a listener", |session| {
            let listener = session.listener().unwrap();
            Box::new(listener.try_clone().unwrap())
        }),
        ("a stream", |session| {
            Box::new(session.connect("peer.i2p").unwrap())
        }),
        ("a clone of a stream", |session| {
            let stream = session.connect("peer.i2p").unwrap();
            Box::new(stream.try_clone().unwrap())
        }),
        ("the guard of a bare socket", |session| {
            let stream = session.connect("peer.i2p").unwrap();
            Box::new(stream.into_parts().unwrap().1)
        }),
    ];
    for (name, make) in makers {
        let Kept {
            bridge,
            session,
            orders,
        } = Kept::start();
        let made = make(&session);
        drop(session);
        assert_answers(&orders);
        drop(made);
        let last = order_over(&orders, |visit| visit.line());
        let last = outcome(&last);
        assert_eq!(last.as_deref(), Some("QUIT\n"), "{name}");
        drop(orders);
        eventually("no connection is left", || bridge.open_connections() == 0);
    }
}

#[test]
fn session_with_stream_lingers_and_answers() {
    const LINGER: Duration = Duration::from_millis(400);
    let kept = Kept::with(|session| session.linger(LINGER));
    drop(kept.session.connect("peer.i2p").unwrap());
    let began = Instant::now();
    drop(kept.session);
    assert!(began.elapsed() < Duration::from_millis(50));
    assert_answers(&kept.orders);
    let last = order_over(&kept.orders, |visit| visit.line());
    assert_eq!(outcome(&last).unwrap(), "QUIT\n");
    assert!(began.elapsed() >= LINGER);
}

#[test]
fn session_without_stream_does_not_linger() {
    let kept = Kept::with(|session| session.linger(LONG * 10));
    drop(kept.session.listener().unwrap());
    let last = kept.order(|visit| visit.line());
    drop(kept.session);
    assert_eq!(outcome(&last).unwrap(), "QUIT\n");
}

#[test]
fn closed_session_does_not_linger() {
    let kept = Kept::with(|session| session.linger(LONG * 10));
    drop(kept.session.connect("peer.i2p").unwrap());
    let last = kept.order(|visit| (visit.line(), visit.hang_up()));
    kept.session.close();
    assert_eq!(outcome(&last).0.unwrap(), "QUIT\n");
}

#[test]
fn unlimited_linger_keeps_session() {
    let kept = Kept::with(|session| session.linger(Duration::MAX));
    drop(kept.session.connect("peer.i2p").unwrap());
    drop(kept.session);
    assert_answers(&kept.orders);
}

/// A bridge whose accepts wait, and that answers every dial with this.
fn answering_dials(reply: &'static str) -> ScriptedBridge {
    ScriptedBridge::router(move |visit, stage| match stage {
        Stage::Session => visit.until_quit(),
        Stage::Accept => drop(visit.rest()),
        Stage::Command(_) => visit.say(reply),
    })
}

#[test]
fn refusal_for_unknown_session_ends_every_handle() {
    for (reply, code) in [
        ("STREAM STATUS RESULT=INVALID_ID\n", ResultCode::InvalidId),
        (
            "STREAM STATUS RESULT=I2P_ERROR MESSAGE=\"Session is closed\"\n",
            ResultCode::I2pError,
        ),
    ] {
        let bridge = answering_dials(reply);
        let session = bridge
            .bridge()
            .session()
            .pending_accepts(2)
            .stream()
            .unwrap();
        let listener = session.listener().unwrap();
        let accepting: Vec<_> = (0..3)
            .map(|_| {
                let listener = listener.try_clone().unwrap();
                in_background(move || listener.accept().unwrap_err())
            })
            .collect();
        let mut errors = vec![session.connect("peer.i2p").unwrap_err()];
        errors.extend(accepting.iter().map(outcome));
        errors.push(session.connect("peer.i2p").unwrap_err());
        for error in errors {
            let Error::SessionLost(SessionLoss::Refused(refusal)) = error else {
                panic!("{error}");
            };
            assert_eq!(*refusal.code(), code);
        }
        eventually("no connection is left", || bridge.open_connections() == 0);
    }
}

#[test]
fn unreachable_peer_keeps_session() {
    let bridge = answering_dials("STREAM STATUS RESULT=CANT_REACH_PEER MESSAGE=\"x\"\n");
    let session = bridge.bridge().session().stream().unwrap();
    let error = session.connect("peer.i2p").unwrap_err();
    assert!(error.is_peer_fault(), "{error}");
    assert_eq!(session.loss(), None);
}

#[test]
fn session_loss_ends_connect_at_once() {
    let (asked, is_asked) = milestone();
    let (lose, lost) = mpsc::channel::<()>();
    let lost = Mutex::new(lost);
    let bridge = ScriptedBridge::router(move |visit, stage| match stage {
        Stage::Session => drop(lost.lock().unwrap().recv()),
        _ => {
            asked.reached();
            visit.rest();
        }
    });
    let session = bridge.bridge().session().stream().unwrap();
    let dialling = in_background(move || {
        let error = session.connect("peer.i2p").unwrap_err();
        (error, Instant::now())
    });
    outcome(&is_asked);
    let began = Instant::now();
    lose.send(()).unwrap();
    let (error, ended) = outcome(&dialling);
    let gone = matches!(error, Error::SessionLost(SessionLoss::Disconnected));
    assert!(gone, "{error}");
    assert!(ended - began < Duration::from_millis(200));
}

#[test]
fn stream_ended_with_session_reports_loss() {
    let kept = Kept::start();
    let mut stream = kept.session.connect("peer.i2p").unwrap();
    assert_eq!(stream.loss(), None);
    kept.hang_up();
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
    assert_eq!(stream.loss(), Some(SessionLoss::Disconnected));
}
