//! The server of the library.

use std::fs;
use std::io::{self, Read, Write};
use std::sync::mpsc;
use std::thread;

use i2p_sam::SamStream;
use i2p_sam::server::{Server, ServerOptions};

use crate::child::{self, Child};
use crate::router::{LONG, Router};
use crate::suite::behaviours;
use crate::suite::data::{bytes, put, take};

behaviours! {
    stopped_server_finishes_open_streams [Streams];
    #[slow] thousand_open_streams_carry_data [Streams];
}

const STREAMS: usize = 1000;

/// The limit of resident memory for a server with so many streams, in kB.
const MEMORY: u64 = 64 * 1024;

fn stopped_server_finishes_open_streams(router: &Router) {
    const PEERS: usize = 4;
    let pair = router.pair();
    let server = Server::new(&ServerOptions::new().max_connections(PEERS));
    let (sender, ended) = mpsc::channel();
    let (serving, listener) = (server.clone(), pair.listener.try_clone().unwrap());
    thread::spawn(move || sender.send(serving.serve(listener, echo)).unwrap());
    let near: Vec<SamStream> = (0..PEERS)
        .map(|number| {
            let near = pair.client.connect(pair.server.destination()).unwrap();
            let sent = bytes(1000, number as u64);
            put(&near, &sent);
            assert_eq!(take(&near, sent.len()), sent);
            near
        })
        .collect();
    server.stop();
    for (number, near) in near.iter().enumerate() {
        let sent = bytes(1000, 100 + number as u64);
        put(near, &sent);
        assert_eq!(take(near, sent.len()), sent);
    }
    drop(near);
    ended.recv_timeout(LONG).unwrap().unwrap();
    let expected = format!(
        "{PEERS} accepted, 0 open, {PEERS} served, 0 failed, 0 panicked, 0 timed out, 0 cut off, \
         {PEERS} at once at most"
    );
    assert_eq!(server.stats().to_string(), expected);
}

fn echo(mut stream: SamStream) -> io::Result<()> {
    let mut piece = [0; 1000];
    loop {
        match stream.read(&mut piece)? {
            0 => return Ok(()),
            read => stream.write_all(&piece[..read])?,
        }
    }
}

fn thousand_open_streams_carry_data(router: &Router) {
    let network = router.start_process();
    let child = |name| {
        let mut command = child::command(name).unwrap();
        command.envs(network.environment());
        command
    };
    let server = Child::start(&mut child("echo-server"));
    let address = server.hear("Serving ");
    let idle = resident(&server);
    let count = STREAMS.to_string();
    let mut dialler = Child::start(child("dial-many").args([&address, &count]));
    assert_eq!(dialler.hear("open: "), count);
    dialler.tell("again");
    assert_eq!(dialler.hear("echoed: "), count);
    let busy = resident(&server);
    dialler.tell("again");
    assert_eq!(dialler.hear("echoed: "), count);
    dialler.tell("hang up");
    for _ in 0..STREAMS {
        server.hear(": 3000 bytes echoed");
    }
    dialler.finish();
    let counters = server.finish();
    println!(
        "{}: {busy} kB are resident in a server with {STREAMS} streams open, {idle} kB with none",
        router.name()
    );
    assert!(busy < MEMORY, "{busy} kB are resident");
    let expected = format!(
        "{STREAMS} accepted, 0 open, {STREAMS} served, 0 failed, 0 panicked, 0 timed out, \
         0 cut off, {STREAMS} at once at most"
    );
    assert_eq!(counters, expected);
}

/// Returns the resident memory of a child, in kB.
fn resident(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse().unwrap()
}
