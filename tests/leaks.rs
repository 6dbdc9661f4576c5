//! Ended sessions leave nothing behind. This is the only test of its process, so that it can count.

#![cfg(target_os = "linux")]

#[allow(dead_code, reason = "this program uses a part of it")]
#[path = "it/support/mod.rs"]
mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use i2p_sam::testing::{ListenerFeed, StreamPair};
use i2p_sam::{ClientTunnel, DatagramStyle, HealingOptions, SamBridge, SamStream, TunnelOptions};
use support::primary::Router;
use support::restless::{self, Answer, SHORT};
use support::{LONG, ScriptedBridge, Stage, eventually, key};

fn count(what: &str) -> usize {
    fs::read_dir(format!("/proc/self/{what}")).unwrap().count()
}

#[test]
fn ended_sessions_leave_no_thread_or_descriptor() {
    let scripted = ScriptedBridge::router(|visit, stage| match stage {
        // Every third session is lost.
        Stage::Session if visit.number % 3 == 0 => {}
        Stage::Session => visit.until_quit(),
        Stage::Accept if visit.number % 2 == 0 => drop(visit.rest()),
        Stage::Accept => {
            visit.say(&format!("{}\n", key(1).destination()));
            visit.rest();
        }
        Stage::Command(_) => {
            visit.say("STREAM STATUS RESULT=OK\n");
            visit.rest();
        }
    });
    let router = Router::java();
    let (threads, descriptors) = (count("task"), count("fd"));
    for round in 0..30 {
        let builder = scripted.bridge().session().pending_accepts(3);
        let session = builder.linger(Duration::from_millis(1)).stream().unwrap();
        // Some of these fail, as their session is lost.
        let listener = session.listener();
        let accepted = listener
            .as_ref()
            .map(|listener| listener.accept_timeout(LONG));
        let dialled = session.connect(key(2).destination());
        drop((accepted.is_ok(), dialled));
        if round % 2 == 0 {
            session.close();
        }
    }
    for round in 0..20 {
        let primary = router.primary();
        let session = primary.subsession().stream().unwrap();
        let datagrams = primary
            .subsession()
            .datagram(DatagramStyle::Datagram)
            .unwrap();
        let _listener = session.listener().unwrap();
        let _dialled = session.connect(key(2).destination()).unwrap();
        match round % 4 {
            0 => primary.close(),
            1 => session.close(),
            2 => drop((primary, datagrams)),
            _ => {}
        }
    }
    for _ in 0..5 {
        // A subsession whose last bytes have an hour to arrive ends with its primary session.
        let builder = router.builder().linger(Duration::from_secs(3600));
        let primary = builder.primary().unwrap();
        let session = primary.subsession().stream().unwrap();
        drop(session.connect(key(2).destination()).unwrap());
        drop(session);
        primary.close();
    }
    for round in 0..10 {
        several_replicas(round);
    }
    for round in 0..20 {
        // The peers of the scripted bridge reply OK to anything, and send nothing more.
        let builder = scripted.bridge().session();
        let session = builder.linger(Duration::from_millis(1)).stream().unwrap();
        let options = TunnelOptions::new().idle_timeout(Some(Duration::from_millis(50)));
        let client = ClientTunnel::start(session, "127.0.0.1:0", key(2).destination(), &options);
        let client = client.unwrap();
        // A tunnel whose session is lost closes its port, before or after a program has connected.
        let connect = || TcpStream::connect(client.local_addr()).ok();
        let programs: Vec<_> = (0..3).filter_map(|_| connect()).collect();
        if let Some(program) = programs.first() {
            let _ = program.shutdown(Shutdown::Write);
        }
        match round % 3 {
            0 => client.close(),
            1 => assert!(client.shutdown(LONG)),
            _ => {}
        }
    }
    for round in 0..20 {
        streams_for_tests(round);
    }
    eventually("all threads have ended", || count("task") <= threads);
    eventually("all descriptors are closed", || count("fd") <= descriptors);
}

/// Starts a session at two bridges, of which one may be absent, and closes or drops it, with or
/// without a waiting stream; and tries one that cannot be created.
fn several_replicas(round: usize) {
    let (first, second) = (restless::Router::start(), restless::Router::start());
    if round.is_multiple_of(3) {
        first.answer(&[Answer::HangUp]);
    }
    let bridge = SamBridge::builder().address(first.address());
    let bridge = bridge.fallback(&second.scripted.bridge()).build().unwrap();
    let options = HealingOptions::new().initial_backoff(SHORT);
    let builder = bridge.session().key(&key(1)).linger(Duration::ZERO);
    let session = builder.multihomed_with(&options).unwrap();
    let listener = session.listener().unwrap();
    let _caller = second.dial_in();
    if round.is_multiple_of(2) {
        listener.accept_timeout(LONG).unwrap();
    }
    match round % 4 {
        0 => drop(listener),
        1 => session.close(),
        2 => drop(session),
        _ => {}
    }
    for router in [&first, &second] {
        router.answer(&[Answer::HangUp]);
    }
    let builder = bridge.session().key(&key(2));
    builder.multihomed().unwrap_err();
}

/// Makes streams without a bridge, accepts one from a feed, and loses one or none.
fn streams_for_tests(round: usize) {
    let pair = StreamPair::new().unwrap();
    match round % 3 {
        0 => pair.lose_near(),
        1 => pair.lose_far(),
        _ => {}
    }
    let StreamPair { mut near, far } = pair;
    let (feed, listener) = ListenerFeed::new().unwrap();
    feed.push(far);
    // It fails if a session is lost.
    let _ = near.write_all(b"ping");
    let (mut far, _) = listener.accept().unwrap();
    let _ = far.read(&mut [0; 4]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    drop(SamStream::from_tcp(socket, "peer.i2p").unwrap());
}
