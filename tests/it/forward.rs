//! Forwarding: the command that is sent, the callers that are accepted, and what ends it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use i2p_sam::{
    BacklogPolicy, Cancel, Error, ForwardOptions, SamBridge, SamListener, SamStream, SessionLoss,
    StreamSession,
};

use crate::support::{
    LONG, ScriptedBridge, Stage, Visit, eventually, field, in_background, key, outcome,
};

/// A bridge whose FORWARD sockets and control socket run the test's scripts.
struct Forwards {
    bridge: ScriptedBridge,
    orders: mpsc::Sender<Order>,
    end_session: mpsc::Sender<()>,
}

type Order = Box<dyn FnOnce(&mut Visit<'_, '_>) + Send>;

impl Forwards {
    fn start() -> Self {
        let (orders, order) = mpsc::channel::<Order>();
        let (end_session, session_ends) = mpsc::channel();
        let (order, session_ends) = (Mutex::new(order), Mutex::new(session_ends));
        let bridge = ScriptedBridge::router(move |visit, stage| match stage {
            Stage::Session => drop(session_ends.lock().unwrap().recv()),
            Stage::Accept => drop(visit.rest()),
            Stage::Command(line) if line.starts_with("STREAM FORWARD") => {
                visit.say("STREAM STATUS RESULT=OK\n");
                let next = order.lock().unwrap().try_recv();
                match next {
                    Ok(next) => next(visit),
                    Err(_) => drop(visit.rest()),
                }
            }
            Stage::Command(_) => {}
        });
        Self {
            bridge,
            orders,
            end_session,
        }
    }

    /// Sets what the next FORWARD socket runs after its reply.
    fn order(&self, order: impl FnOnce(&mut Visit<'_, '_>) + Send + 'static) {
        self.orders.send(Box::new(order)).unwrap();
    }

    fn session(&self) -> StreamSession {
        self.bridge.bridge().session().stream().unwrap()
    }

    /// Returns the only FORWARD command that was sent.
    fn command(&self) -> String {
        let said = self.bridge.received();
        let mut forwards = said.iter().filter(|line| line.starts_with("STREAM F"));
        let command = forwards.next().unwrap().clone();
        assert_eq!(forwards.next(), None);
        command
    }
}

/// Connects as a router does, and sends this.
fn call(listener: &SamListener, text: &[u8]) -> TcpStream {
    let mut socket = TcpStream::connect(listener.tcp_addr().unwrap()).unwrap();
    socket.write_all(text).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    socket
}

fn header(seed: u8) -> Vec<u8> {
    format!("{} FROM_PORT=7 TO_PORT=80\n", key(seed).destination()).into()
}

fn read(mut stream: &SamStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

fn free_listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
}

#[test]
fn forward_command_has_port_and_no_unset_options() {
    let router = Forwards::start();
    let session = router.session();
    let listener = session.forward().unwrap();
    let (id, port) = (session.id(), listener.tcp_addr().unwrap().port());
    assert_eq!(
        router.command(),
        format!("STREAM FORWARD ID={id} PORT={port} SILENT=false\n")
    );
    assert!(listener.tcp_addr().unwrap().ip().is_loopback());
}

#[test]
fn forward_command_has_configured_host_and_port() {
    let router = Forwards::start();
    let session = router.session();
    let options = ForwardOptions::new().host("10.0.0.2").port(4444);
    let _listener = session.forward_with(free_listener(), &options).unwrap();
    let id = session.id();
    assert_eq!(
        router.command(),
        format!("STREAM FORWARD ID={id} PORT=4444 HOST=10.0.0.2 SILENT=false\n")
    );
}

#[test]
fn forwarding_to_external_port_can_be_silent() {
    let router = Forwards::start();
    let session = router.session();
    let silent = ForwardOptions::new().silent(true);
    let forwarding = session.forward_to(8080, &silent).unwrap();
    assert_eq!(field(&router.command(), "SILENT"), Some("true"));
    assert_eq!(field(&router.command(), "PORT"), Some("8080"));
    assert!(forwarding.error().is_none());
    drop(forwarding);
    eventually("the FORWARD socket closes", || {
        router.bridge.open_connections() == 1
    });
}

#[test]
fn invalid_forwarding_is_refused_before_sending() {
    let router = Forwards::start();
    let session = router.session();
    let with = |options| session.forward_with(free_listener(), &options);
    let options = ForwardOptions::new;
    let silent = with(options().silent(true));
    assert!(matches!(silent, Err(Error::InvalidConfig(_))));
    for host in ["a b", "", "a\nQUIT", "a\"b"] {
        let outcome = with(options().host(host));
        assert!(matches!(outcome, Err(Error::Command(_))), "{host:?}");
    }
    let nowhere = session.forward_to(0, &options());
    assert!(matches!(nowhere, Err(Error::InvalidConfig(_))));
    assert_eq!(router.bridge.connections(), 1);
}

#[test]
fn ping_on_forward_socket_gets_pong() {
    let router = Forwards::start();
    let (answer, answered) = mpsc::channel();
    router.order(move |visit| {
        visit.say("PING 1795375816695\n");
        answer.send(visit.line()).unwrap();
        visit.rest();
    });
    let _listener = router.session().forward().unwrap();
    let answer = answered.recv_timeout(LONG).unwrap();
    assert_eq!(answer.as_deref(), Some("PONG 1795375816695\n"));
}

#[test]
fn peer_ports_and_first_bytes_are_separated() {
    let router = Forwards::start();
    let session = router.session();
    let listener = session.forward().unwrap();
    let mut far = call(&listener, &[&header(9)[..], b"hello"].concat());
    let (near, peer) = listener.accept_timeout(LONG).unwrap();
    assert_eq!(near.peer_destination(), Some(key(9).destination()));
    assert_eq!(peer, *near.peer_addr());
    assert_eq!((near.peer_port(), near.local_port()), (Some(7), Some(80)));
    assert_eq!(near.local_addr().destination(), Some(session.destination()));
    assert_eq!(read(&near, 5), b"hello");
    (&near).write_all(b"to you").unwrap();
    let mut answer = [0; 6];
    far.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"to you");
}

#[test]
fn segmented_destination_line_is_read() {
    let router = Forwards::start();
    let listener = router.session().forward().unwrap();
    let line = header(3);
    let (first, second) = line.split_at(200);
    let mut far = call(&listener, first);
    far.write_all(second).unwrap();
    let (_, peer) = listener.accept_timeout(LONG).unwrap();
    assert_eq!(peer.destination(), Some(key(3).destination()));
}

#[test]
fn silent_callers_delay_nobody() {
    let router = Forwards::start();
    let listener = router.session().forward().unwrap();
    let _silent: Vec<_> = (0..10).map(|_| call(&listener, b"")).collect();
    let _far = call(&listener, &header(1));
    let (_, peer) = listener.accept_timeout(LONG).unwrap();
    assert_eq!(peer.destination(), Some(key(1).destination()));
    assert_eq!(listener.stats().dropped_callers, 0);
}

#[test]
fn silent_caller_is_dropped_and_counted() {
    let router = Forwards::start();
    let options = ForwardOptions::new().header_timeout(Some(Duration::from_millis(50)));
    let session = router.session();
    let listener = session.forward_with(free_listener(), &options).unwrap();
    let mut silent = call(&listener, b"");
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
    eventually("it is counted", || listener.stats().dropped_callers == 1);
}

#[test]
fn garbage_is_dropped_and_next_caller_accepted() {
    let router = Forwards::start();
    let session = router.session();
    let listener = session.forward().unwrap();
    let cut = header(1);
    let nonsense: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\n",
        b"\n",
        b"\xff\xfe\n",
        b"STREAM STATUS RESULT=INVALID_ID\n",
        &cut[..300],
    ];
    for text in nonsense {
        call(&listener, text).shutdown(Shutdown::Write).unwrap();
    }
    let all = nonsense.len() as u64;
    eventually("all are counted", || {
        listener.stats().dropped_callers == all
    });
    assert_eq!(session.loss(), None, "a forged status ends nothing");
    let _far = call(&listener, &header(2));
    assert!(listener.accept_timeout(LONG).is_ok());
}

#[test]
fn caller_from_stranger_is_dropped_and_counted() {
    let router = Forwards::start();
    let options = ForwardOptions::new().allow_source([127, 0, 0, 9].into());
    let session = router.session();
    let listener = session.forward_with(free_listener(), &options).unwrap();
    drop(call(&listener, b""));
    eventually("it is counted", || listener.stats().dropped_callers == 1);
}

#[test]
fn too_many_silent_callers_drop_oldest() {
    let router = Forwards::start();
    let listener = router.session().forward().unwrap();
    let mut oldest = call(&listener, b"");
    let _others: Vec<_> = (0..64).map(|_| call(&listener, b"")).collect();
    assert_eq!(oldest.read(&mut [0]).unwrap(), 0);
    eventually("it is counted", || listener.stats().dropped_callers == 1);
    let _far = call(&listener, &header(1));
    assert!(listener.accept_timeout(LONG).is_ok());
}

#[test]
fn streams_beyond_backlog_wait_without_loss() {
    const STREAMS: u8 = 150;
    let router = Forwards::start();
    let listener = router.session().forward().unwrap();
    let _far: Vec<_> = (0..STREAMS)
        .map(|seed| call(&listener, &header(seed)))
        .collect();
    let mut peers: Vec<_> = (0..STREAMS)
        .map(|_| listener.accept_timeout(LONG).unwrap().1.b32())
        .collect();
    peers.sort();
    peers.dedup();
    assert_eq!(peers.len(), usize::from(STREAMS));
    assert_eq!(listener.stats().dropped_callers, 0);
}

#[test]
fn full_backlog_rejects_and_counts_peers() {
    let router = Forwards::start();
    let builder = router.bridge.bridge().session().backlog(2);
    let session = builder
        .backlog_policy(BacklogPolicy::Reject)
        .stream()
        .unwrap();
    let listener = session.forward().unwrap();
    let mut far: Vec<_> = (0..5).map(|seed| call(&listener, &header(seed))).collect();
    eventually("three are turned away", || listener.stats().rejected == 3);
    for _ in 0..2 {
        let (near, _) = listener.accept_timeout(LONG).unwrap();
        (&near).write_all(b"!").unwrap();
    }
    let answered = far.iter_mut().map(|far| far.read(&mut [0]).unwrap_or(0));
    assert_eq!(answered.sum::<usize>(), 2);
    let _far = call(&listener, &header(9));
    assert!(listener.accept_timeout(LONG).is_ok());
    assert_eq!(
        (listener.stats().rejected, listener.stats().dropped_callers),
        (3, 0)
    );
}

#[test]
fn non_blocking_applies_to_every_handle() {
    let router = Forwards::start();
    let listener = router.session().forward().unwrap();
    let clone = listener.try_clone().unwrap();
    listener.set_nonblocking(true).unwrap();
    assert!(matches!(listener.accept(), Err(Error::WouldBlock)));
    assert!(matches!(clone.accept(), Err(Error::WouldBlock)));
    let _far = call(&listener, &header(1));
    eventually("a peer is there", || clone.accept().is_ok());
    clone.set_nonblocking(false).unwrap();
    let nobody = listener.accept_timeout(Duration::from_millis(10));
    assert!(nobody.unwrap_err().is_timeout());
}

#[test]
fn clone_keeps_forwarding_after_drop() {
    let router = Forwards::start();
    let listener = router.session().forward().unwrap();
    let clone = listener.try_clone().unwrap();
    drop(listener);
    let _far = call(&clone, &header(1));
    assert!(clone.accept_timeout(LONG).is_ok());
}

#[test]
fn cancelled_accept_ends_within_100_ms_listener_continues() {
    let router = Forwards::start();
    let listener = router.session().forward().unwrap();
    let cancel = Cancel::new();
    let cancellable = listener.with_cancel(&cancel);
    let waiting = in_background(move || (cancellable.accept().map(drop), Instant::now()));
    let began = Instant::now();
    cancel.cancel();
    let (result, ended) = outcome(&waiting);
    assert!(matches!(result, Err(Error::Cancelled { .. })));
    assert!(ended - began < Duration::from_millis(100));
    let _far = call(&listener, &header(1));
    assert!(listener.accept_timeout(LONG).is_ok());
}

#[test]
fn accept_without_peer_times_out() {
    let router = Forwards::start();
    let listener = router.session().forward().unwrap();
    let nobody = listener.accept_timeout(Duration::from_millis(10));
    assert!(nobody.unwrap_err().is_timeout());
}

#[test]
fn session_loss_ends_accept_and_closes_port() {
    let router = Forwards::start();
    let session = router.session();
    let listener = session.forward().unwrap();
    let address = listener.tcp_addr().unwrap();
    let silent = call(&listener, b"");
    let waiting = in_background(move || {
        let errors = listener.incoming().map(|stream| stream.unwrap_err());
        errors.collect::<Vec<_>>()
    });
    router.end_session.send(()).unwrap();
    let errors = outcome(&waiting);
    let gone = SessionLoss::Disconnected;
    assert!(matches!(&errors[..], [Error::SessionLost(loss)] if *loss == gone));
    assert_eq!((&silent).read(&mut [0]).unwrap_or(0), 0);
    is_closed(address);
}

#[test]
fn session_close_ends_accept_within_100_ms() {
    let router = Forwards::start();
    let session = router.session();
    let listener = session.forward().unwrap();
    let waiting = in_background(move || (listener.accept().map(drop), Instant::now()));
    let began = Instant::now();
    let closing = in_background(move || session.close());
    let (result, ended) = outcome(&waiting);
    assert!(matches!(
        result,
        Err(Error::SessionLost(SessionLoss::Closed))
    ));
    assert!(ended - began < Duration::from_millis(100));
    router.end_session.send(()).unwrap();
    outcome(&closing);
}

#[test]
fn lost_forward_socket_keeps_session_usable() {
    let router = Forwards::start();
    router.order(|visit| visit.hang_up());
    let session = router.session();
    let listener = session.forward().unwrap();
    let errors: Vec<_> = listener.incoming().map(|s| s.unwrap_err()).collect();
    let gone = SessionLoss::Disconnected;
    assert!(matches!(&errors[..], [Error::ForwardLost(loss)] if *loss == gone));
    assert_eq!(session.loss(), None);
    drop(listener);
    let listener = session.forward().unwrap();
    let _far = call(&listener, &header(1));
    assert!(listener.accept_timeout(LONG).is_ok());
}

#[test]
fn wait_for_forwarding_returns_reason_of_its_end() {
    let router = Forwards::start();
    let (end, ended) = mpsc::channel::<()>();
    router.order(move |visit| {
        let _ = ended.recv();
        visit.hang_up();
    });
    let session = router.session();
    let forwarding = session.forward_to(8080, &ForwardOptions::new()).unwrap();
    assert!(forwarding.wait(Some(Duration::from_millis(20))).is_none());
    let waiting = in_background(move || forwarding.wait(None));
    end.send(()).unwrap();
    let gone = SessionLoss::Disconnected;
    let reason = outcome(&waiting);
    assert!(
        matches!(&reason, Some(Error::ForwardLost(loss)) if *loss == gone),
        "{reason:?}"
    );
    assert_eq!(session.loss(), None);
}

#[test]
fn lost_forwarding_restarts_while_clone_is_held() {
    let router = Forwards::start();
    router.order(|visit| visit.hang_up());
    let session = router.session();
    let lost = session.forward().unwrap();
    assert!(matches!(lost.accept(), Err(Error::ForwardLost(_))));
    let listener = session.forward().unwrap();
    drop(lost);
    assert!(matches!(session.forward(), Err(Error::Conflict(_))));
    let _far = call(&listener, &header(1));
    assert!(listener.accept_timeout(LONG).is_ok());
}

#[test]
fn stream_before_forwarding_loss_is_accepted() {
    let router = Forwards::start();
    let session = router.session();
    // No event shows that a caller was read, so some attempts end too early.
    eventually("one is heard first", || {
        let (hang_up, hung_up) = mpsc::channel::<()>();
        router.order(move |_| {
            let _ = hung_up.recv();
        });
        let listener = session.forward().unwrap();
        let _far = call(&listener, &header(1));
        hang_up.send(()).unwrap();
        is_closed(listener.tcp_addr().unwrap());
        let heard = listener.accept().is_ok();
        assert!(matches!(listener.accept(), Err(Error::ForwardLost(_))));
        heard
    });
}

#[test]
fn dropping_last_handle_ends_forwarding_keeps_streams() {
    let router = Forwards::start();
    let session = router.session();
    let first = session.forward().unwrap();
    let (address, second) = (first.tcp_addr().unwrap(), first.with_cancel(&Cancel::new()));
    drop(first);
    let mut far = call(&second, &header(1));
    let (near, _) = second.accept_timeout(LONG).unwrap();
    drop(second);
    eventually("the FORWARD socket closes", || {
        router.bridge.open_connections() == 1
    });
    is_closed(address);
    far.write_all(b"still here").unwrap();
    assert_eq!(read(&near, 10), b"still here");
}

#[test]
fn refused_forward_leaves_session_free_to_accept() {
    let bridge = ScriptedBridge::router(|visit, stage| match stage {
        Stage::Session => visit.until_quit(),
        Stage::Accept => drop(visit.rest()),
        Stage::Command(_) => visit.say("SESSION STATUS RESULT=I2P_ERROR MESSAGE=\"no\"\n"),
    });
    let session = bridge
        .bridge()
        .session()
        .pending_accepts(1)
        .stream()
        .unwrap();
    let Err(Error::Refused(refusal)) = session.forward() else {
        panic!("it was not refused");
    };
    assert_eq!(refusal.explanation(), Some("no"));
    assert!(session.listener().is_ok());
}

#[test]
fn forwarding_session_refuses_accept_and_forward() {
    let router = Forwards::start();
    let session = router.session();
    let listener = session.forward().unwrap();
    assert!(matches!(session.forward(), Err(Error::Conflict(_))));
    assert!(matches!(session.listener(), Err(Error::Conflict(_))));
    drop(listener);
    assert!(matches!(session.listener(), Err(Error::Conflict(_))));
    assert_eq!(router.bridge.connections(), 2);
}

#[test]
fn accepting_session_refuses_to_forward() {
    let router = Forwards::start();
    let session = router.bridge.bridge().session().pending_accepts(1);
    let session = session.stream().unwrap();
    drop(session.listener().unwrap());
    assert!(matches!(session.forward(), Err(Error::Conflict(_))));
    let port = session.forward_to(80, &ForwardOptions::new());
    assert!(matches!(port, Err(Error::Conflict(_))));
    assert_eq!(router.bridge.connections(), 2);
}

fn is_closed(address: SocketAddr) {
    eventually("the port is closed", || {
        TcpStream::connect(address).is_err()
    });
}

/// A bridge that refuses FORWARD this many times, since the previous forwarding has not ended.
fn still_forwarding(times: usize) -> ScriptedBridge {
    let left = Mutex::new(times);
    ScriptedBridge::router(move |visit, stage| match stage {
        Stage::Session => visit.until_quit(),
        Stage::Accept => drop(visit.rest()),
        Stage::Command(_) => {
            let mut left = left.lock().unwrap();
            if *left == 0 {
                drop(left);
                visit.say("STREAM STATUS RESULT=OK\n");
                return drop(visit.rest());
            }
            *left -= 1;
            visit.say(
                "STREAM STATUS RESULT=I2P_ERROR \
                 MESSAGE=\"a forwarding server is already defined\"\n",
            );
        }
    })
}

#[test]
fn forward_awaits_end_of_previous_forwarding() {
    let bridge = still_forwarding(2);
    let session = bridge.bridge().session().stream().unwrap();
    let listener = session.forward().unwrap();
    let _far = call(&listener, &header(1));
    assert!(listener.accept_timeout(LONG).is_ok());
    let lines = bridge.received();
    let asked = lines.iter().filter(|line| line.starts_with("STREAM F"));
    assert_eq!(asked.count(), 3);
}

#[test]
fn unended_previous_forwarding_fails_at_command_deadline() {
    let bridge = still_forwarding(usize::MAX);
    let builder = SamBridge::builder().address(bridge.address().to_string());
    let builder = builder.command_timeout(Some(Duration::from_millis(250)));
    let session = builder.build().unwrap().session().stream().unwrap();
    let Err(Error::Refused(refusal)) = session.forward() else {
        panic!("it was not refused");
    };
    let words = "a forwarding server is already defined";
    assert_eq!(refusal.explanation(), Some(words));
    assert!(bridge.connections() >= 3, "it was asked again");
    assert!(session.listener().is_ok());
}

#[test]
fn cancel_ends_forward_awaiting_previous_end() {
    let bridge = still_forwarding(usize::MAX);
    let cancel = Cancel::new();
    let session = bridge.bridge().session().stream().unwrap();
    let forwarding = session.with_cancel(&cancel);
    let forwarding = in_background(move || forwarding.forward().map(drop));
    eventually("it is asked again", || bridge.connections() >= 3);
    cancel.cancel();
    let error = outcome(&forwarding).unwrap_err();
    // The cancel may arrive during another greeting.
    assert!(matches!(error, Error::Cancelled { .. }), "{error}");
    assert_eq!(session.loss(), None);
}

#[test]
fn ipv4_mapped_loopback_bridge_is_trusted() {
    let router = Forwards::start();
    let port = router.bridge.address().port();
    let bridge = SamBridge::new(&format!("[::ffff:127.0.0.1]:{port}")).unwrap();
    let session = bridge.session().stream().unwrap();
    let listener = session.forward().unwrap();
    let _far = call(&listener, &header(1));
    assert!(listener.accept_timeout(LONG).is_ok());
}

#[test]
fn ipv4_bridge_reaches_dual_stack_listener() {
    let router = Forwards::start();
    let session = router.session();
    let both = TcpListener::bind("[::]:0").unwrap();
    let port = both.local_addr().unwrap().port();
    let listener = session.forward_with(both, &ForwardOptions::new()).unwrap();
    let mut far = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    far.write_all(&header(1)).unwrap();
    assert!(listener.accept_timeout(LONG).is_ok());
    assert_eq!(listener.stats().dropped_callers, 0);
}
