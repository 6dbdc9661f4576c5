//! What sessions leave behind: nothing. The only test of its process, so that it can count.

#![cfg(target_os = "linux")]

mod support;

use std::fs;
use std::time::Duration;

use i2p_sam::DatagramStyle;
use support::primary::Router;
use support::{LONG, ScriptedBridge, Stage, eventually, key};

fn count(what: &str) -> usize {
    fs::read_dir(format!("/proc/self/{what}")).unwrap().count()
}

#[test]
fn sessions_that_were_closed_dropped_or_lost_leave_no_thread_and_no_descriptor() {
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
        let builder = scripted.bridge().session().armed_accepts(3);
        let session = builder.linger(Duration::from_millis(1)).stream().unwrap();
        // Some of these fail, as the session is lost under them.
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
        let session = primary.stream().unwrap();
        let datagrams = primary.datagram(DatagramStyle::Datagram).unwrap();
        let _listener = session.listener().unwrap();
        let _dialled = session.connect(key(2).destination()).unwrap();
        match round % 4 {
            0 => primary.close(),
            1 => session.close(),
            2 => drop((primary, datagrams)),
            _ => {}
        }
    }
    eventually("all threads have ended", || count("task") <= threads);
    eventually("all descriptors are closed", || count("fd") <= descriptors);
}
