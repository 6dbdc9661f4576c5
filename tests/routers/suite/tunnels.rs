//! Programs without knowledge of I2P, with a tunnel on either side.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use i2p_sam::{ClientTunnel, Connect, SamListener, ServerTunnel, TunnelExit, TunnelOptions, carry};

use crate::ON_PROFILES;
use crate::router::{LONG, Pair, Router};
use crate::suite::behaviours;
use crate::suite::data::{bytes, checksum, persist};
use crate::suite::healing::heal;

behaviours! {
    #[slow] hundred_curl_requests_get_whole_replies [Streams, Bulk];
    #[slow] hundred_half_closed_requests_get_whole_replies [Streams, Bulk];
    curl_requests_get_whole_replies [Streams];
    half_closed_requests_get_whole_replies [Streams];
    upload_before_half_close_arrives_whole [Streams];
    carried_connection_gets_whole_reply_after_half_close [Streams];
    closing_service_is_read_to_end [Streams];
    killed_router_ends_server_tunnel [Streams, Restart];
    tunnels_over_healing_sessions_survive_restart [Streams, Restart];
    server_tunnel_serves_forwarded_streams [Streams];
    first_page_of_unknown_site_comes_without_delay [Streams];
}

const LARGEST: usize = 10 * 1024 * 1024;

/// Shorter than the default, since the largest replies are read until this timeout.
const HALF_CLOSE: Duration = Duration::from_secs(10);

/// A local program, a client tunnel, I2P, a server tunnel, and a local service.
struct Line {
    client: ClientTunnel,
    server: ServerTunnel,
}

impl Line {
    fn over(pair: &Pair) -> Self {
        Self::between(pair.client.clone(), pair.listener.try_clone().unwrap())
    }

    fn between(client: impl Connect + 'static, listener: SamListener) -> Self {
        let options = TunnelOptions::new()
            .half_close_timeout(HALF_CLOSE)
            .on_failure(|failure| eprintln!("{failure}"));
        let service = serve().to_string();
        let server = ServerTunnel::start(listener, &service, &options).unwrap();
        let peer = server.local_addr().clone();
        let client = ClientTunnel::start(client, "127.0.0.1:0", peer, &options).unwrap();
        Self { client, server }
    }

    fn dial(&self) -> TcpStream {
        let socket = TcpStream::connect(self.client.local_addr()).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        socket
    }

    /// Returns the output of a real `curl`.
    fn curl(&self, size: usize) -> Vec<u8> {
        let url = format!("http://{}/{size}", self.client.local_addr());
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail", "--max-time", "60"]);
        let output = curl.args(["--noproxy", "*", &url]).output();
        let output = output.expect("curl is installed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{size} bytes: {said}");
        output.stdout
    }

    /// Returns the reply to a client that half-closes after its request, as `nc -N` does.
    fn half_closed(&self, size: usize) -> Vec<u8> {
        self.try_half_closed(size).unwrap()
    }

    fn try_half_closed(&self, size: usize) -> io::Result<Vec<u8>> {
        let mut socket = self.dial();
        write!(socket, "GET /{size} plain\r\n\r\n")?;
        socket.shutdown(Shutdown::Write)?;
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer)?;
        Ok(answer)
    }

    /// Requests each size once, several at a time.
    fn ask(&self, sizes: &[usize], at_once: usize, ask: fn(&Self, usize) -> Vec<u8>) {
        let start = Instant::now();
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(size) = sizes.get(next.fetch_add(1, Ordering::Relaxed)) {
                let (answer, expected) = (ask(self, *size), body(*size));
                assert_eq!(answer.len(), expected.len());
                assert_eq!(checksum(&answer), checksum(&expected), "{size} bytes");
            }
        };
        thread::scope(|scope| {
            for _ in 0..at_once {
                scope.spawn(work);
            }
        });
        let took = start.elapsed();
        // No connection stays open for long.
        persist(|| (self.client.stats().open + self.server.stats().open == 0).then_some(()));
        let counters = self.client.stats();
        println!("{} requests in {took:?}: {counters:?}", sizes.len());
        assert_eq!(counters.accepted, sizes.len() as u64);
        assert_eq!((counters.refused, counters.broken), (0, 0));
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // The pair's listener is used by other behaviours.
        self.client.close();
        self.server.close();
    }
}

/// Returns this many sizes from 1 byte to the largest, in a geometric sequence.
fn sizes(count: usize, largest: usize) -> Vec<usize> {
    let exponent = |n: usize| n as f64 / (count - 1) as f64;
    let size = |n| (largest as f64).powf(exponent(n)).round() as usize;
    (0..count).map(size).collect()
}

fn body(size: usize) -> Vec<u8> {
    bytes(size, size as u64)
}

/// A service that answers one request and closes. It ends with the tests.
fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let socket = socket.unwrap();
            // A client that closes early is reported by its own side.
            thread::spawn(move || answer(socket));
        }
    });
    address
}

fn answer(mut socket: TcpStream) -> io::Result<()> {
    let mut request = String::new();
    let mut reader = BufReader::new(socket.try_clone()?);
    reader.read_line(&mut request)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let mut words = request.split_whitespace();
    let (verb, path) = (words.next().unwrap(), words.next().unwrap());
    let size = path.trim_start_matches('/').parse().unwrap();
    if verb == "PUT" {
        let mut upload = vec![0; size];
        reader.read_exact(&mut upload)?;
        return socket.write_all(&checksum(&upload));
    }
    if words.next() != Some("plain") {
        write!(
            socket,
            "HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
        )?;
    }
    socket.write_all(&body(size))
}

fn hundred_curl_requests_get_whole_replies(router: &Router) {
    Line::over(&router.pair()).ask(&sizes(100, LARGEST), 4, Line::curl);
}

fn hundred_half_closed_requests_get_whole_replies(router: &Router) {
    Line::over(&router.pair()).ask(&sizes(100, LARGEST), 16, Line::half_closed);
}

fn curl_requests_get_whole_replies(router: &Router) {
    Line::over(&router.pair()).ask(&sizes(12, 400_000), 4, Line::curl);
}

fn half_closed_requests_get_whole_replies(router: &Router) {
    // The end of each reply is known only when it would have arrived over a slow stream.
    let (count, largest) = if ON_PROFILES {
        (4, 100_000)
    } else {
        (12, 400_000)
    };
    Line::over(&router.pair()).ask(&sizes(count, largest), 4, Line::half_closed);
}

fn upload_before_half_close_arrives_whole(router: &Router) {
    let pair = router.pair();
    let line = Line::over(&pair);
    let upload = body(300_000);
    let mut socket = line.dial();
    write!(socket, "PUT /{}\r\n\r\n", upload.len()).unwrap();
    socket.write_all(&upload).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, checksum(&upload));
}

fn carried_connection_gets_whole_reply_after_half_close(router: &Router) {
    let pair = router.pair();
    let line = Line::over(&pair);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut program = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    program.set_read_timeout(Some(LONG)).unwrap();
    let (local, _) = listener.accept().unwrap();
    let stream = pair.client.connect(line.server.local_addr()).unwrap();
    let options = TunnelOptions::new().half_close_timeout(HALF_CLOSE);
    let carrying = thread::spawn(move || carry(local, stream, &options));
    let request = b"GET /150000 plain\r\n\r\n";
    program.write_all(request).unwrap();
    program.shutdown(Shutdown::Write).unwrap();
    let mut reply = Vec::new();
    program.read_to_end(&mut reply).unwrap();
    assert_eq!(checksum(&reply), checksum(&body(150_000)));
    drop(program);
    let carried = carrying.join().unwrap().unwrap();
    assert_eq!(
        (carried.sent, carried.received),
        (request.len() as u64, 150_000)
    );
}

fn closing_service_is_read_to_end(router: &Router) {
    let pair = router.pair();
    let line = Line::over(&pair);
    let mut socket = line.dial();
    // Neither side marks the end of the reply, and this side sends nothing more.
    write!(socket, "GET /150000 plain\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    assert_eq!(checksum(&answer), checksum(&body(150_000)));
}

fn killed_router_ends_server_tunnel(router: &Router) {
    let network = router.start_process();
    let pair = Pair::new(&network);
    let listener = pair.listener.try_clone().unwrap();
    let service = serve().to_string();
    let tunnel = ServerTunnel::start(listener, &service, &TunnelOptions::new()).unwrap();
    assert!(tunnel.ended().is_none());
    network.kill();
    let Some(TunnelExit::Lost(error)) = tunnel.wait(Some(LONG)) else {
        panic!("it did not end, or otherwise");
    };
    assert!(error.is_session_lost(), "{error}");
}

fn tunnels_over_healing_sessions_survive_restart(router: &Router) {
    let network = router.start_process();
    let (server, client) = thread::scope(|scope| {
        let server = scope.spawn(|| heal(&network, false));
        let client = heal(&network, false);
        (server.join().unwrap(), client)
    });
    let line = Line::between(client, server.listener().unwrap());
    for round in 0..2 {
        if round > 0 {
            network.kill();
            network.restart();
        }
        persist(|| {
            let answer = line.try_half_closed(1000).ok()?;
            (answer == body(1000)).then_some(())
        });
    }
    assert!(line.client.ended().is_none() && line.server.ended().is_none());
}

fn server_tunnel_serves_forwarded_streams(router: &Router) {
    let server = router.session();
    let pair = router.pair();
    let line = Line::between(pair.client.clone(), server.forward().unwrap());
    line.ask(&sizes(4, 10_000), 2, Line::curl);
}

/// The requests that a browser sends at once for a page.
const PARTS: usize = 16;

/// Shorter than the 9 s after which i2pd 2.59 repeats a dial that it lost.
const BEFORE_REPEAT: Duration = Duration::from_secs(6);

fn first_page_of_unknown_site_comes_without_delay(router: &Router) {
    let (client, server) = (router.session(), router.session());
    let line = Line::between(client, server.listener().unwrap());
    let start = Instant::now();
    thread::scope(|scope| {
        for size in 1..=PARTS {
            let line = &line;
            scope.spawn(move || {
                let mut socket = line.dial();
                write!(socket, "GET /{size} plain\r\n\r\n").unwrap();
                // A browser does not wait for the end: it knows the length.
                let mut part = vec![0; size];
                socket.read_exact(&mut part).unwrap();
                assert_eq!(part, body(size));
            });
        }
    });
    assert!(start.elapsed() < BEFORE_REPEAT);
}
