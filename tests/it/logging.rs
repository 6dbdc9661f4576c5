//! The lines for the facade `log`.

use std::sync::{Mutex, Once};

use i2p_sam::SamBridge;
use i2p_sam::testing::TestBridge;
use log::{LevelFilter, Log, Metadata, Record};

use crate::support::eventually;

/// Begins to collect the lines of all tests, if none has begun. Returns the number of lines so far.
pub(crate) fn collect() -> usize {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        log::set_logger(&Collector).unwrap();
        log::set_max_level(LevelFilter::Trace);
    });
    LINES.lock().unwrap().len()
}

/// Returns the lines after the first `count`.
pub(crate) fn since(count: usize) -> Vec<String> {
    LINES.lock().unwrap()[count..].to_vec()
}

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A line that contains this text makes the logger panic.
static PANICS_AT: Mutex<Option<String>> = Mutex::new(None);

struct Collector;

impl Log for Collector {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        assert_eq!(record.target(), "i2p_sam");
        let line = format!("{} {}", record.level(), record.args());
        LINES.lock().unwrap().push(line.clone());
        let fatal = PANICS_AT.lock().unwrap().clone();
        if fatal.is_some_and(|text| line.contains(&text)) {
            panic!("this is what the test is about");
        }
    }

    fn flush(&self) {}
}

fn has_line(start: &str, part: &str) -> bool {
    let lines = LINES.lock().unwrap();
    let mut lines = lines.iter();
    lines.any(|line| line.starts_with(start) && line.contains(part))
}

#[test]
fn created_and_lost_session_is_logged() {
    collect();
    let bridge = TestBridge::start().unwrap();
    let session = bridge.bridge().session().stream().unwrap();
    let (address, b32) = (bridge.address(), session.destination().b32());
    let created = format!("INFO session of style STREAM created at {address} in ");
    assert!(has_line(&created, &b32.to_string()));
    bridge.stop();
    let lost = format!("WARN a session at {address} is lost: the bridge closed the connection");
    eventually("the loss is logged", || has_line(&lost, ""));
}

#[test]
fn failed_bridge_is_logged_before_fallback() {
    collect();
    let (gone, bridge) = (TestBridge::start().unwrap(), TestBridge::start().unwrap());
    gone.stop();
    let fallback = bridge.bridge();
    let bridges = SamBridge::builder().address(gone.address().to_string());
    let bridges = bridges.fallback(&fallback).build().unwrap();
    bridges.version().unwrap();
    let failed = format!(
        "WARN a bridge failed: no SAM bridge answers at {}",
        gone.address()
    );
    assert!(has_line(&failed, "Connection refused"));
}

#[test]
fn panicking_logger_ends_nothing() {
    collect();
    let bridge = TestBridge::start().unwrap();
    *PANICS_AT.lock().unwrap() = Some(bridge.address().to_string());
    let session = bridge.bridge().session().stream().unwrap();
    assert_eq!(session.loss(), None);
    bridge.stop();
    eventually("the loss is known", || session.loss().is_some());
}
