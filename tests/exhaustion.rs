//! The library when the system refuses further descriptors or threads. Each test runs this program
//! again as a child process with a low limit. The program holds these few tests only, since what a
//! larger one has allocated decides how many threads still start.

#![cfg(all(target_os = "linux", target_env = "gnu"))]

#[allow(dead_code, reason = "this program uses a part of it")]
#[path = "it/support/mod.rs"]
mod support;

use std::fs::File;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use i2p_sam::{
    ClientTunnel, DatagramStyle, Error, HealingOptions, SamBridge, SessionLoss, TunnelExit,
    TunnelOptions,
};
use support::{LONG, ScriptedBridge, Stage, eventually, key};

/// Set in the process that has the limit.
const LIMITED: &str = "I2P_SAM_TEST_LIMITED";

/// Enough for a test, and few enough to exhaust.
const DESCRIPTORS: &str = "-n 64";

/// Address space in KiB. A thread needs some for its stack.
const MEMORY: &str = "-v 300000";

/// Runs the test of this name again with a limit of `ulimit`; the child process does the work.
fn limited(test: &str, limit: &str, work: impl FnOnce()) {
    if std::env::var_os(LIMITED).is_some() {
        return work();
    }
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!("ulimit {limit} && exec \"$0\" \"$@\""))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(LIMITED, "1")
        // Freed memory stays with the process, so that only stacks are refused.
        .env("MALLOC_ARENA_MAX", "1")
        .env("MALLOC_TRIM_THRESHOLD_", "1000000000")
        .env("MALLOC_MMAP_THRESHOLD_", "65536")
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{shown}{errors}");
    assert!(shown.contains("1 passed"), "{shown}{errors}");
}

fn use_up_descriptors() -> Vec<File> {
    let files = (0..10_000).map_while(|_| File::open("/dev/null").ok());
    let files: Vec<_> = files.collect();
    assert!(files.len() < 10_000, "there is no limit");
    files
}

/// Uses up the address space except for the stacks of this many of the library's small threads.
fn use_up_memory(threads: usize) -> Vec<Vec<u8>> {
    const PIECE: usize = 64 * 1024;
    /// A stack of 128 KiB, its guard, and the stack that `std` adds for signals.
    const THREAD: usize = 160 * 1024;

    // Later allocations are served from this.
    drop(vec![vec![1_u8; 1024]; 20_000]);
    let mut pieces = Vec::with_capacity(10_000);
    let piece = || {
        let mut piece = Vec::new();
        piece.try_reserve_exact(PIECE).ok().map(|()| piece)
    };
    pieces.extend((0..10_000).map_while(|_| piece()));
    assert!(pieces.len() < 10_000, "there is no limit");
    pieces.truncate(pieces.len() - (PIECE + threads * THREAD) / PIECE);
    pieces
}

/// A bridge that leaves room for this many threads before it answers SESSION CREATE. Later lines of
/// the control socket arrive over the channel, and an empty line for its end.
fn bridge_that_leaves(left: usize) -> (ScriptedBridge, mpsc::Receiver<String>) {
    let (sender, lines) = mpsc::channel();
    let sender = Mutex::new(sender);
    let scripted = ScriptedBridge::start(move |visit| {
        visit.greet();
        let Some(line) = visit.line() else { return };
        let sender = sender.lock().unwrap().clone();
        let _memory = use_up_memory(left);
        visit.make_session(&line);
        while let Some(line) = visit.line() {
            sender.send(line).unwrap();
        }
        sender.send(String::new()).unwrap();
    });
    (scripted, lines)
}

/// Checks that a session fails and ends at the bridge if only its first threads can start.
fn show_that_it_ends<T>(left: usize, make: impl FnOnce(&SamBridge) -> Result<T, Error>) {
    let (scripted, lines) = bridge_that_leaves(left);
    let outcome = make(&scripted.bridge()).map(drop);
    assert!(matches!(outcome, Err(Error::Io { .. })), "{outcome:?}");
    while !lines.recv_timeout(LONG).unwrap().is_empty() {}
}

#[test]
fn client_tunnel_without_descriptors_frees_its_port() {
    let name = "client_tunnel_without_descriptors_frees_its_port";
    limited(name, DESCRIPTORS, || {
        let scripted = ScriptedBridge::router(|visit, _| drop(visit.rest()));
        let session = scripted.bridge().session().stream().unwrap();
        let (peer, options) = (key(9).destination().clone(), TunnelOptions::new());
        let tunnel = ClientTunnel::start(session, "127.0.0.1:0", peer, &options).unwrap();
        let _program = TcpStream::connect(tunnel.local_addr()).unwrap();
        eventually("the dial has begun", || scripted.connections() == 2);
        let files = use_up_descriptors();
        tunnel.close();
        assert!(matches!(tunnel.ended(), Some(TunnelExit::Closed)));
        drop(files);
        TcpListener::bind(tunnel.local_addr()).unwrap();
    });
}

#[test]
fn forward_listener_without_descriptors_frees_its_port() {
    let name = "forward_listener_without_descriptors_frees_its_port";
    limited(name, DESCRIPTORS, || {
        let scripted = ScriptedBridge::router(|visit, stage| match stage {
            Stage::Session => visit.until_quit(),
            _ => {
                visit.say("STREAM STATUS RESULT=OK\n");
                visit.rest();
            }
        });
        let session = scripted.bridge().session().stream().unwrap();
        let listener = session.forward().unwrap();
        // The thread that accepts callers has accepted one, and waits for the next.
        let mut caller = TcpStream::connect(listener.tcp_addr().unwrap()).unwrap();
        writeln!(caller, "{}", key(9).destination()).unwrap();
        drop(listener.accept_timeout(LONG).unwrap());
        let files = use_up_descriptors();
        session.close();
        let outcome = listener.accept_timeout(LONG).map(drop);
        let closed = matches!(outcome, Err(Error::SessionLost(SessionLoss::Closed)));
        assert!(closed, "{outcome:?}");
        drop(files);
        let address: SocketAddr = listener.tcp_addr().unwrap();
        eventually("the port is free", || TcpListener::bind(address).is_ok());
    });
}

#[test]
fn session_without_heartbeat_thread_ends() {
    let name = "session_without_heartbeat_thread_ends";
    limited(name, MEMORY, || {
        let minute = Some(Duration::from_secs(60));
        show_that_it_ends(1, |bridge| bridge.session().heartbeat(minute).stream());
    });
}

#[test]
fn session_without_control_thread_ends() {
    limited("session_without_control_thread_ends", MEMORY, || {
        show_that_it_ends(0, |bridge| bridge.session().stream());
    });
}

#[test]
fn datagram_session_without_udp_thread_ends() {
    let name = "datagram_session_without_udp_thread_ends";
    limited(name, MEMORY, || {
        show_that_it_ends(1, |bridge| {
            bridge.session().datagram(DatagramStyle::Datagram)
        });
    });
}

#[test]
fn healing_session_without_supervisor_thread_ends() {
    let name = "healing_session_without_supervisor_thread_ends";
    limited(name, MEMORY, || {
        let options = HealingOptions::new();
        show_that_it_ends(1, |bridge| bridge.session().healing_with(&options));
    });
}
