//! Tunnels: how a half-close is carried, what ends a connection, and what ends a tunnel.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use i2p_sam::{
    Cancel, ClientTunnel, Error, SamStream, ServerTunnel, SessionLoss, StreamSession, TunnelError,
    TunnelExit, TunnelOptions, carry,
};

use crate::support::{
    LONG, ScriptedBridge, Stage, Visit, eventually, in_background, key, milestone, outcome, pause,
};

/// Long enough to see that something does not happen.
const A_WHILE: Duration = Duration::from_millis(300);

/// A bridge whose peers follow the test: each dial, and each pending accept, takes one order.
struct Peers {
    bridge: ScriptedBridge,
    orders: mpsc::Sender<Order>,
    end_session: mpsc::Sender<()>,
}

type Order = Box<dyn FnOnce(&mut Visit<'_, '_>) + Send>;

impl Peers {
    fn start() -> Self {
        let (orders, order) = mpsc::channel::<Order>();
        let (end_session, session_ends) = mpsc::channel();
        let (order, session_ends) = (Mutex::new(order), Mutex::new(session_ends));
        let bridge = ScriptedBridge::router(move |visit, stage| {
            let greeting = match stage {
                Stage::Session => {
                    let _ = session_ends.lock().unwrap().recv();
                    return;
                }
                Stage::Accept => format!("{}\n", key(9).destination()),
                Stage::Command(_) => "STREAM STATUS RESULT=OK\n".to_owned(),
            };
            let next = order.lock().unwrap().recv();
            if let Ok(next) = next {
                visit.say(&greeting);
                next(visit);
            }
        });
        Self {
            bridge,
            orders,
            end_session,
        }
    }

    /// Sets what the next peer does that is dialled, or dials.
    fn order(&self, order: impl FnOnce(&mut Visit<'_, '_>) + Send + 'static) {
        self.orders.send(Box::new(order)).unwrap();
    }

    fn session(&self) -> StreamSession {
        let builder = self.bridge.bridge().session().pending_accepts(1);
        builder.stream().unwrap()
    }

    fn client(&self, options: &TunnelOptions) -> ClientTunnel {
        let peer = key(9).destination().clone();
        ClientTunnel::start(self.session(), "127.0.0.1:0", peer, options).unwrap()
    }

    fn server(&self, service: SocketAddr, options: &TunnelOptions) -> ServerTunnel {
        let listener = self.session().listener().unwrap();
        ServerTunnel::start(listener, service, options).unwrap()
    }

    fn dials(&self) -> usize {
        let said = self.bridge.received();
        let dials = said.iter().filter(|line| line.starts_with("STREAM CON"));
        dials.count()
    }
}

/// Connects a program to a client tunnel.
fn program(tunnel: &ClientTunnel) -> TcpStream {
    patient(TcpStream::connect(tunnel.local_addr()).unwrap())
}

fn service() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn patient(socket: TcpStream) -> TcpStream {
    socket.set_read_timeout(Some(LONG)).unwrap();
    socket
}

fn take(socket: &mut TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    socket.read_exact(&mut bytes).unwrap();
    bytes
}

fn rest(socket: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Returns whether the other side neither sends anything nor ends, for a time.
fn stays_open(mut socket: &TcpStream, time: Duration) -> bool {
    socket.set_read_timeout(Some(time)).unwrap();
    let outcome = socket.read(&mut [0]);
    socket.set_read_timeout(Some(LONG)).unwrap();
    // The kinds of a time-out on Unix and on Windows.
    let timed_out = [ErrorKind::WouldBlock, ErrorKind::TimedOut];
    matches!(outcome, Err(error) if timed_out.contains(&error.kind()))
}

/// Bytes in which a missing, doubled or misplaced part shows.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n ^ (n >> 8) ^ (n >> 16)) as u8).collect()
}

/// The default options; failures arrive over the channel.
fn told() -> (TunnelOptions, mpsc::Receiver<TunnelError>) {
    let (sender, failures) = mpsc::channel();
    let sender = Mutex::new(sender);
    let tell = move |failure: &TunnelError| {
        let _ = sender.lock().unwrap().send(failure.clone());
    };
    (TunnelOptions::new().on_failure(tell), failures)
}

#[test]
fn half_closed_client_gets_whole_reply() {
    let peers = Peers::start();
    let answer = bytes(1_000_000);
    let said = answer.clone();
    peers.order(move |visit| {
        assert_eq!(visit.read_exact(8), b"question");
        assert!(stays_open(&visit.socket(), A_WHILE));
        visit.write(&said);
    });
    let tunnel = peers.client(&TunnelOptions::new());
    let mut program = program(&tunnel);
    program.write_all(b"question").unwrap();
    program.shutdown(Shutdown::Write).unwrap();
    assert!(rest(&mut program) == answer);
    eventually("it is over", || tunnel.stats().open == 0);
    let counters = tunnel.stats();
    assert_eq!((counters.sent, counters.received), (8, 1_000_000));
    assert_eq!((counters.accepted, counters.broken), (1, 0));
}

#[test]
fn carried_connection_gets_whole_reply_after_half_close() {
    let (listener, address) = service();
    let mut program = patient(TcpStream::connect(address).unwrap());
    let (near, mut far) = SamStream::pair().unwrap();
    let (local, _) = listener.accept().unwrap();
    let carrying = in_background(move || carry(local, near, &TunnelOptions::new()));
    program.write_all(b"question").unwrap();
    program.shutdown(Shutdown::Write).unwrap();
    far.read_exact(&mut [0; 8]).unwrap();
    far.write_all(&bytes(100_000)).unwrap();
    drop(far);
    assert_eq!(rest(&mut program), bytes(100_000));
    drop(program);
    let carried = outcome(&carrying).unwrap();
    assert_eq!((carried.sent, carried.received), (8, 100_000));
}

#[test]
fn carried_connection_ends_with_its_handle() {
    let (listener, address) = service();
    let mut program = patient(TcpStream::connect(address).unwrap());
    let (near, _far) = SamStream::pair().unwrap();
    let (local, _) = listener.accept().unwrap();
    let cancel = Cancel::new();
    let options = TunnelOptions::new().with_cancel(&cancel);
    let carrying = in_background(move || carry(local, near, &options));
    cancel.cancel();
    outcome(&carrying).unwrap();
    assert!(rest(&mut program).is_empty());
}

#[test]
fn idle_carried_connection_fails() {
    let (listener, address) = service();
    let _program = TcpStream::connect(address).unwrap();
    let (near, _far) = SamStream::pair().unwrap();
    let (local, _) = listener.accept().unwrap();
    let options = TunnelOptions::new().idle_timeout(Some(Duration::from_millis(50)));
    let carrying = in_background(move || carry(local, near, &options));
    let error = outcome(&carrying).unwrap_err();
    assert!(matches!(error, TunnelError::Idle(_)), "{error}");
}

#[test]
fn stream_end_follows_all_data() {
    let peers = Peers::start();
    peers.order(|visit| visit.say("bye"));
    let tunnel = peers.client(&TunnelOptions::new());
    assert_eq!(rest(&mut program(&tunnel)), b"bye");
}

#[test]
fn write_after_stream_end_keeps_received_data() {
    let peers = Peers::start();
    let (ended, ends) = milestone();
    peers.order(move |visit| {
        visit.write(&bytes(100_000));
        visit.hang_up();
        ended.reached();
    });
    let tunnel = peers.client(&TunnelOptions::new());
    let mut program = program(&tunnel);
    outcome(&ends);
    for _ in 0..10 {
        program.write_all(&bytes(1000)).unwrap();
        pause(Duration::from_millis(10));
    }
    assert!(rest(&mut program) == bytes(100_000));
}

#[test]
fn half_closed_connection_times_out_at_silent_peer() {
    let peers = Peers::start();
    let (answer, answered) = mpsc::channel();
    peers.order(move |visit| answer.send(visit.rest()).unwrap());
    let options = TunnelOptions::new().half_close_timeout(A_WHILE);
    let tunnel = peers.client(&options);
    let mut program = program(&tunnel);
    let start = Instant::now();
    program.write_all(b"question").unwrap();
    program.shutdown(Shutdown::Write).unwrap();
    assert_eq!(outcome(&answered), b"question");
    assert!(start.elapsed() >= A_WHILE);
    assert_eq!(rest(&mut program), b"");
}

#[test]
fn peer_data_restarts_half_close_timeout() {
    let peers = Peers::start();
    peers.order(|visit| visit.drip(&bytes(20), A_WHILE / 5));
    let options = TunnelOptions::new().half_close_timeout(A_WHILE);
    let tunnel = peers.client(&options);
    let mut program = program(&tunnel);
    program.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut program), bytes(20));
}

#[test]
fn slow_reader_avoids_half_close_timeout() {
    let peers = Peers::start();
    let answer = bytes(16_000_000);
    let said = answer.clone();
    peers.order(move |visit| visit.write(&said));
    let options = TunnelOptions::new().half_close_timeout(A_WHILE);
    let tunnel = peers.client(&options);
    let mut program = program(&tunnel);
    program.shutdown(Shutdown::Write).unwrap();
    pause(A_WHILE * 3);
    assert!(rest(&mut program) == answer);
}

#[cfg(target_os = "linux")]
#[test]
fn fully_closed_program_ends_stream_at_once() {
    let peers = Peers::start();
    let (reached, reaches) = milestone();
    let (ended, ends) = milestone();
    peers.order(move |visit| {
        reached.reached();
        visit.rest();
        ended.reached();
    });
    let options = TunnelOptions::new().half_close_timeout(Duration::MAX);
    let tunnel = peers.client(&options);
    let program = program(&tunnel);
    outcome(&reaches);
    drop(program);
    outcome(&ends);
    eventually("it is over", || tunnel.stats().open == 0);
    assert_eq!(tunnel.stats().broken, 0);
}

#[test]
fn unwritable_program_ends_stream() {
    let peers = Peers::start();
    let (ended, ends) = milestone();
    peers.order(move |visit| {
        // With a full window the system would deliver the end a minute later.
        while visit.try_write(&bytes(1000)) {
            pause(Duration::from_millis(1));
        }
        ended.reached();
    });
    let tunnel = peers.client(&TunnelOptions::new());
    let mut program = program(&tunnel);
    take(&mut program, 1);
    // Its unread data resets the connection.
    drop(program);
    outcome(&ends);
    eventually("it is over", || tunnel.stats().open == 0);
    assert_eq!(tunnel.stats().broken, 1);
}

#[test]
fn data_before_service_close_is_delivered() {
    let peers = Peers::start();
    let (ended, ends) = mpsc::channel();
    peers.order(move |visit| {
        assert!(visit.read_exact(65_536) == bytes(65_536));
        let open = stays_open(&visit.socket(), Duration::from_secs(1));
        ended.send((open, visit.rest())).unwrap();
    });
    let (listener, address) = service();
    let _tunnel = peers.server(address, &TunnelOptions::new());
    let (mut socket, _) = listener.accept().unwrap();
    socket.write_all(&bytes(65_536)).unwrap();
    drop(socket);
    assert_eq!(outcome(&ends), (true, Vec::new()));
}

#[test]
fn peer_closing_first_is_not_awaited() {
    let peers = Peers::start();
    peers.order(|visit| drop(visit.read_exact(4_000_000)));
    let (listener, address) = service();
    let tunnel = peers.server(address, &TunnelOptions::new());
    let (mut socket, _) = listener.accept().unwrap();
    socket.write_all(&bytes(4_000_000)).unwrap();
    drop(socket);
    eventually("it is over", || tunnel.stats().open == 0);
    assert_eq!(tunnel.stats().sent, 4_000_000);
}

#[test]
fn server_tunnel_carries_both_directions() {
    let peers = Peers::start();
    let (got, gets) = mpsc::channel();
    peers.order(move |visit| {
        visit.say("question");
        got.send(visit.read_exact(6)).unwrap();
    });
    let (listener, address) = service();
    let tunnel = peers.server(address, &TunnelOptions::new());
    let mut socket = patient(listener.accept().unwrap().0);
    assert_eq!(take(&mut socket, 8), b"question");
    socket.write_all(b"answer").unwrap();
    assert_eq!(outcome(&gets), b"answer");
    assert_eq!(rest(&mut socket), b"");
    drop(socket);
    eventually("it is over", || tunnel.stats().open == 0);
    let counters = tunnel.stats();
    assert_eq!((counters.sent, counters.received), (6, 8));
}

#[test]
fn refusing_service_ends_stream_keeps_tunnel() {
    let peers = Peers::start();
    let (ended, ends) = mpsc::channel();
    peers.order(move |visit| ended.send(visit.rest()).unwrap());
    let (listener, address) = service();
    drop(listener);
    let (options, failures) = told();
    let tunnel = peers.server(address, &options);
    assert_eq!(outcome(&ends), b"");
    let TunnelError::Service(error) = outcome(&failures) else {
        panic!("it failed otherwise");
    };
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(tunnel.stats().refused, 1);
    assert!(tunnel.ended().is_none());
}

#[test]
fn unreachable_peer_ends_connection_keeps_tunnel() {
    let bridge = ScriptedBridge::router(|visit, stage| match stage {
        Stage::Command(_) => visit.say("STREAM STATUS RESULT=CANT_REACH_PEER\n"),
        _ => visit.until_quit(),
    });
    let session = bridge.bridge().session().stream().unwrap();
    let (options, failures) = told();
    let tunnel = ClientTunnel::start(session, "127.0.0.1:0", "peer.i2p", &options).unwrap();
    assert_eq!(rest(&mut program(&tunnel)), b"");
    let TunnelError::Peer(error) = outcome(&failures) else {
        panic!("it failed otherwise");
    };
    assert!(error.is_peer_fault());
    assert_eq!(tunnel.stats().refused, 1);
    assert!(tunnel.ended().is_none());
}

#[test]
fn idle_connection_ends_on_both_sides() {
    let peers = Peers::start();
    let (ended, ends) = mpsc::channel();
    peers.order(move |visit| ended.send(visit.rest()).unwrap());
    let (options, failures) = told();
    let tunnel = peers.client(&options.idle_timeout(Some(A_WHILE)));
    let start = Instant::now();
    let mut program = program(&tunnel);
    assert_eq!(rest(&mut program), b"");
    assert!(start.elapsed() >= A_WHILE);
    assert_eq!(outcome(&ends), b"");
    assert!(matches!(outcome(&failures), TunnelError::Idle(A_WHILE)));
    assert_eq!(tunnel.stats().broken, 1);
}

#[test]
fn one_active_direction_prevents_idle_timeout() {
    let peers = Peers::start();
    peers.order(|visit| visit.drip(&bytes(20), A_WHILE / 5));
    let options = TunnelOptions::new().idle_timeout(Some(A_WHILE));
    let tunnel = peers.client(&options);
    assert_eq!(rest(&mut program(&tunnel)), bytes(20));
}

#[test]
fn connection_limit_delays_further_accepts() {
    let peers = Peers::start();
    peers.order(|visit| drop(visit.rest()));
    peers.order(|visit| visit.say("second"));
    let tunnel = peers.client(&TunnelOptions::new().max_connections(1));
    let first = program(&tunnel);
    let mut second = program(&tunnel);
    eventually("the first is dialled", || peers.dials() == 1);
    assert!(stays_open(&second, A_WHILE));
    assert_eq!((tunnel.stats().accepted, peers.dials()), (1, 1));
    first.shutdown(Shutdown::Both).unwrap();
    drop(first);
    assert_eq!(rest(&mut second), b"second");
}

#[test]
fn full_server_tunnel_leaves_peers_in_backlog() {
    let peers = Peers::start();
    peers.order(|visit| drop(visit.rest()));
    peers.order(|visit| visit.say("second"));
    let (listener, address) = service();
    let tunnel = peers.server(address, &TunnelOptions::new().max_connections(1));
    let first = listener.accept().unwrap().0;
    listener.set_nonblocking(true).unwrap();
    pause(A_WHILE);
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(tunnel.stats().accepted, 1);
    listener.set_nonblocking(false).unwrap();
    drop(first);
    let mut second = patient(listener.accept().unwrap().0);
    assert_eq!(rest(&mut second), b"second");
}

#[test]
fn full_tunnel_can_be_closed() {
    let peers = Peers::start();
    peers.order(|visit| drop(visit.rest()));
    let tunnel = peers.client(&TunnelOptions::new().max_connections(1));
    let _first = program(&tunnel);
    eventually("it is dialled", || peers.dials() == 1);
    close_at_once(&tunnel);
}

fn close_at_once(tunnel: &ClientTunnel) {
    let start = Instant::now();
    tunnel.close();
    assert!(start.elapsed() < Duration::from_secs(1));
    assert!(matches!(tunnel.ended(), Some(TunnelExit::Closed)));
    assert_eq!(tunnel.stats().open, 0);
    let refused = TcpStream::connect(tunnel.local_addr()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn close_ends_reading_connection() {
    let peers = Peers::start();
    let (ended, ends) = mpsc::channel();
    peers.order(move |visit| ended.send(visit.rest()).unwrap());
    let tunnel = peers.client(&TunnelOptions::new());
    let mut program = program(&tunnel);
    program.write_all(b"hello").unwrap();
    eventually("it went", || tunnel.stats().sent == 5);
    close_at_once(&tunnel);
    assert_eq!(outcome(&ends), b"hello");
    assert_eq!(rest(&mut program), b"");
    assert_eq!(tunnel.stats().broken, 0);
}

#[test]
fn close_ends_stalled_writer() {
    let peers = Peers::start();
    let (hold, held) = mpsc::channel::<()>();
    peers.order(move |visit| {
        let mut socket = visit.socket();
        let flood = in_background(move || while socket.write_all(&bytes(65_536)).is_ok() {});
        let _ = held.recv();
        outcome(&flood);
    });
    let tunnel = peers.client(&TunnelOptions::new());
    let program = program(&tunnel);
    let mut writer = program.try_clone().unwrap();
    let flood = in_background(move || while writer.write_all(&bytes(65_536)).is_ok() {});
    let mut before = tunnel.stats();
    eventually("both directions are held up", || {
        pause(A_WHILE);
        let now = tunnel.stats();
        let still = now == before && now.sent > 0 && now.received > 0;
        before = now;
        still
    });
    close_at_once(&tunnel);
    outcome(&flood);
    drop(hold);
}

#[test]
fn close_ends_dial() {
    let bridge = ScriptedBridge::router(|visit, _| drop(visit.rest()));
    let session = bridge.bridge().session().stream().unwrap();
    let options = TunnelOptions::new();
    let tunnel = ClientTunnel::start(session, "127.0.0.1:0", "peer.i2p", &options).unwrap();
    let mut program = program(&tunnel);
    eventually("it is dialled", || bridge.connections() == 2);
    close_at_once(&tunnel);
    assert_eq!(rest(&mut program), b"");
    assert_eq!(tunnel.stats().refused, 0);
}

/// A tunnel with one place. Its first dial never ends, and its next succeeds at once.
fn held_dial() -> (ScriptedBridge, ClientTunnel, mpsc::Receiver<TunnelError>) {
    let first = AtomicBool::new(true);
    let bridge = ScriptedBridge::router(move |visit, stage| {
        if matches!(stage, Stage::Command(_)) && !first.swap(false, Ordering::SeqCst) {
            visit.say("STREAM STATUS RESULT=OK\n");
            return visit.echo();
        }
        visit.rest();
    });
    let session = bridge.bridge().session().stream().unwrap();
    let (options, failures) = told();
    let (options, peer) = (options.max_connections(1), key(9).destination().clone());
    let tunnel = ClientTunnel::start(session, "127.0.0.1:0", peer, &options).unwrap();
    (bridge, tunnel, failures)
}

/// Checks that the tunnel's only place is free.
#[cfg(target_os = "linux")]
fn show_that_it_echoes(tunnel: &ClientTunnel) {
    let mut next = program(tunnel);
    next.write_all(b"next").unwrap();
    assert_eq!(take(&mut next, 4), b"next");
}

#[cfg(target_os = "linux")]
#[test]
fn program_closing_during_dial_frees_place() {
    let (bridge, tunnel, failures) = held_dial();
    let mut first = program(&tunnel);
    first.write_all(b"GET / HTTP/1.1").unwrap();
    eventually("the dial has begun", || bridge.connections() == 2);
    drop(first);
    show_that_it_echoes(&tunnel);
    let failure = failures.recv_timeout(LONG).unwrap();
    let TunnelError::Broken(error) = failure else {
        panic!("{failure:?}");
    };
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
}

#[test]
fn half_close_during_dial_keeps_place() {
    let (bridge, tunnel, _failures) = held_dial();
    let first = program(&tunnel);
    eventually("the dial has begun", || bridge.connections() == 2);
    first.shutdown(Shutdown::Write).unwrap();
    pause(A_WHILE);
    assert!(stays_open(&first, A_WHILE));
    assert_eq!(tunnel.stats().open, 1);
}

#[test]
fn close_ends_half_closed_connection() {
    let peers = Peers::start();
    peers.order(|visit| drop(visit.rest()));
    let tunnel = peers.client(&TunnelOptions::new());
    let program = program(&tunnel);
    program.shutdown(Shutdown::Write).unwrap();
    eventually("it is dialled", || peers.dials() == 1);
    close_at_once(&tunnel);
}

#[test]
fn cancel_closes_tunnel() {
    let peers = Peers::start();
    let (ended, ends) = mpsc::channel();
    peers.order(move |visit| ended.send(visit.rest()).unwrap());
    let (listener, address) = service();
    let cancel = Cancel::new();
    let tunnel = peers.server(address, &TunnelOptions::new().with_cancel(&cancel));
    let mut socket = patient(listener.accept().unwrap().0);
    cancel.cancel();
    assert!(matches!(tunnel.wait(Some(LONG)), Some(TunnelExit::Closed)));
    assert_eq!(rest(&mut socket), b"");
    assert_eq!(outcome(&ends), b"");
    eventually("it is over", || tunnel.stats().open == 0);
}

/// Connects until the system accepts no more connections for the tunnel.
fn fill(tunnel: &ClientTunnel) -> Vec<TcpStream> {
    let time = Duration::from_millis(50);
    let connect = || TcpStream::connect_timeout(&tunnel.local_addr(), time).ok();
    let mut programs: Vec<_> = std::iter::from_fn(connect).collect();
    // The tunnel may have accepted one from the queue meanwhile.
    programs.extend(std::iter::from_fn(connect));
    programs
}

#[test]
fn cancel_does_not_await_busy_tunnels() {
    let peers = Peers::start();
    // A process has no descriptors for more tunnels at once.
    let fire = || {
        let cancel = Cancel::new();
        let options = TunnelOptions::new().max_connections(1).with_cancel(&cancel);
        let tunnels: Vec<_> = (0..5).map(|_| peers.client(&options)).collect();
        let _programs: Vec<_> = tunnels.iter().map(fill).collect();
        let start = Instant::now();
        cancel.cancel();
        start.elapsed()
    };
    // Waiting for a connection to each would take 250 ms; a busy machine may be slow once.
    let took = [fire(), fire(), fire()];
    assert!(
        took.iter().min().unwrap() < &Duration::from_millis(100),
        "{took:?}"
    );
}

#[test]
fn cancel_before_start_prevents_tunnel() {
    let peers = Peers::start();
    let cancel = Cancel::new();
    cancel.cancel();
    let options = TunnelOptions::new().with_cancel(&cancel);
    let tunnel = ClientTunnel::start(peers.session(), "127.0.0.1:0", "peer.i2p", &options);
    assert!(matches!(tunnel, Err(Error::Cancelled { .. })));
}

#[test]
fn shutdown_lets_connections_finish() {
    let peers = Peers::start();
    let (go_on, goes_on) = mpsc::channel::<()>();
    peers.order(move |visit| {
        visit.say("begun ");
        goes_on.recv().unwrap();
        visit.say("finished");
    });
    let tunnel = peers.client(&TunnelOptions::new());
    let mut program = program(&tunnel);
    assert_eq!(take(&mut program, 6), b"begun ");
    let tunnel = Arc::new(tunnel);
    let closing = Arc::clone(&tunnel);
    let finished = in_background(move || closing.shutdown(LONG));
    eventually("nobody is let in", || tunnel.ended().is_some());
    assert!(TcpStream::connect(tunnel.local_addr()).is_err());
    go_on.send(()).unwrap();
    assert_eq!(rest(&mut program), b"finished");
    drop(program);
    assert!(outcome(&finished));
}

#[test]
fn shutdown_ends_unfinished_connections_at_timeout() {
    let peers = Peers::start();
    peers.order(|visit| drop(visit.rest()));
    let tunnel = peers.client(&TunnelOptions::new());
    let mut program = program(&tunnel);
    eventually("it is dialled", || peers.dials() == 1);
    assert!(!tunnel.shutdown(A_WHILE));
    assert_eq!(rest(&mut program), b"");
    assert_eq!(tunnel.stats().open, 0);
}

#[test]
fn session_loss_ends_server_tunnel_and_connections() {
    let peers = Peers::start();
    peers.order(|visit| drop(visit.rest()));
    let (listener, address) = service();
    let (options, failures) = told();
    let tunnel = peers.server(address, &options);
    let mut socket = patient(listener.accept().unwrap().0);
    assert!(tunnel.wait(Some(Duration::from_millis(1))).is_none());
    peers.end_session.send(()).unwrap();
    let Some(TunnelExit::Lost(error)) = tunnel.wait(Some(LONG)) else {
        panic!("it did not end, or otherwise");
    };
    assert!(matches!(
        *error,
        Error::SessionLost(SessionLoss::Disconnected)
    ));
    assert_eq!(rest(&mut socket), b"");
    drop(socket);
    assert!(matches!(outcome(&failures), TunnelError::Broken(_)));
}

#[test]
fn session_loss_at_dial_ends_client_tunnel() {
    let peers = Peers::start();
    let session = peers.session();
    let tunnel = ClientTunnel::start(
        session.clone(),
        "127.0.0.1:0",
        "peer.i2p",
        &TunnelOptions::new(),
    );
    let tunnel = tunnel.unwrap();
    peers.end_session.send(()).unwrap();
    session.wait_closed(Some(LONG)).unwrap();
    assert_eq!(rest(&mut program(&tunnel)), b"");
    let Some(TunnelExit::Lost(error)) = tunnel.wait(Some(LONG)) else {
        panic!("it did not end, or otherwise");
    };
    assert!(error.is_session_lost());
}

#[test]
fn dropped_tunnel_keeps_connections_accepts_none() {
    let peers = Peers::start();
    peers.order(|visit| visit.echo());
    let tunnel = peers.client(&TunnelOptions::new());
    let (address, mut program) = (tunnel.local_addr(), program(&tunnel));
    program.write_all(b"before").unwrap();
    assert_eq!(take(&mut program, 6), b"before");
    let start = Instant::now();
    drop(tunnel);
    assert!(start.elapsed() < Duration::from_secs(1));
    eventually("nobody is let in", || TcpStream::connect(address).is_err());
    program.write_all(b"behind").unwrap();
    assert_eq!(take(&mut program, 6), b"behind");
}

#[test]
fn panicking_callback_ends_nothing() {
    let peers = Peers::start();
    peers.order(|visit| drop(visit.rest()));
    peers.order(|visit| visit.say("second"));
    let options = TunnelOptions::new().idle_timeout(Some(A_WHILE));
    let options = options.on_failure(|failure| panic!("told of {failure}, as the test wants"));
    let tunnel = peers.client(&options);
    assert_eq!(rest(&mut program(&tunnel)), b"");
    assert_eq!(rest(&mut program(&tunnel)), b"second");
}

#[test]
fn callback_has_default_stack_size() {
    let (sender, called) = mpsc::channel();
    let sender = Mutex::new(sender);
    let options = TunnelOptions::new().on_failure(move |_| {
        std::hint::black_box([0_u8; 512 * 1024]);
        sender.lock().unwrap().send(()).unwrap();
    });
    let peers = Peers::start();
    let (closed, address) = service();
    drop(closed);
    let _tunnel = peers.server(address, &options);
    peers.order(|visit| drop(visit.rest()));
    called.recv_timeout(LONG).unwrap();
}

#[test]
fn invalid_options_are_refused_at_start() {
    let peers = Peers::start();
    let session = peers.session();
    let listener = session.listener().unwrap();
    for service in ["", "localhost", "localhost:http", "a b:80"] {
        let tunnel = ServerTunnel::start(
            listener.try_clone().unwrap(),
            service,
            &TunnelOptions::new(),
        );
        assert!(
            matches!(tunnel, Err(Error::InvalidConfig(_))),
            "{service:?}"
        );
    }
    let (_taken, address) = service();
    let options = TunnelOptions::new();
    let tunnel = ServerTunnel::start(listener, "stats.i2p:80", &options);
    assert!(matches!(tunnel, Err(Error::InvalidConfig(_))));
    let tunnel = ClientTunnel::start(session.clone(), "stats.i2p:80", "peer.i2p", &options);
    assert!(matches!(tunnel, Err(Error::InvalidConfig(_))));
    let tunnel = ClientTunnel::start(session.clone(), address, "peer.i2p", &options);
    assert!(matches!(tunnel, Err(Error::Io { .. })));
    let tunnel = ClientTunnel::start(session, "127.0.0.1:0", "example.com", &options);
    assert!(matches!(tunnel, Err(Error::Address(_))));
}
