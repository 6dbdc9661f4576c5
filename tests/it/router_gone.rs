//! The router of Java I2P 2.8.1 stops while its bridge continues, as recorded: the bridge answers
//! PING and lookups, closes one pending accept of each session, leaves everything else open, and
//! refuses a new ACCEPT or FORWARD. Sessions that are created afterwards belong to a router that is
//! back.

use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use i2p_sam::testing::TestBridge;
use i2p_sam::{
    DatagramSession, DatagramStyle, DatagramTransport, HealingEvent, HealingOptions, SamListener,
    SessionBuilder, SessionLoss,
};

use crate::support::{LONG, eventually, in_background, outcome, pause};

/// The shortest heartbeat that is possible.
const HEARTBEAT: Duration = Duration::from_secs(1);

struct Java(TestBridge);

impl Java {
    fn start() -> Self {
        // PING comes later than any of these tests lasts.
        Self(TestBridge::builder().speed(10).start().unwrap())
    }

    fn builder(&self) -> SessionBuilder {
        self.0.bridge().session().linger(Duration::ZERO)
    }

    /// Returns the number of accepts that were requested.
    fn accepts(&self) -> usize {
        let commands = self.0.commands().into_iter();
        commands
            .filter(|line| line.starts_with("STREAM ACCEPT"))
            .count()
    }

    /// Stops the router. All its sessions are dead, and hardly anything shows it. A router that is back
    /// creates new ones.
    fn stop_router(&self) -> Instant {
        self.0.lose_router();
        self.0.restore_router();
        Instant::now()
    }
}

/// Returns a healing session that accepts, and its events.
fn healing(java: &Java, options: HealingOptions) -> (mpsc::Receiver<HealingEvent>, SamListener) {
    let (sender, events) = mpsc::channel();
    let sender = Mutex::new(sender);
    let options = options
        .initial_backoff(Duration::from_millis(50))
        .on_event(move |_, event| drop(sender.lock().unwrap().send(event.clone())));
    let builder = java.builder().heartbeat(Some(HEARTBEAT));
    let session = builder.healing_with(&options).unwrap();
    (events, session.listener().unwrap())
}

fn assert_heals(events: &mpsc::Receiver<HealingEvent>, stopped: Instant) -> Duration {
    loop {
        if let HealingEvent::Restored { .. } = events.recv_timeout(LONG).unwrap() {
            println!("back after {:?}", stopped.elapsed());
            return stopped.elapsed();
        }
    }
}

/// An accept that ended silently within its first 3 s could be i2pd's habit.
fn wait_until_accepts_are_old() {
    pause(Duration::from_millis(3100));
}

#[test]
fn listener_with_old_accepts_heals_at_once() {
    let java = Java::start();
    let (events, _listener) = healing(&java, HealingOptions::new());
    eventually("eight accepts are pending", || java.accepts() == 8);
    wait_until_accepts_are_old();
    let took = assert_heals(&events, java.stop_router());
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn listener_with_young_accepts_heals_at_once() {
    let java = Java::start();
    let (events, _listener) = healing(&java, HealingOptions::new());
    eventually("eight accepts are pending", || java.accepts() == 8);
    let took = assert_heals(&events, java.stop_router());
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn pending_accepts_end_with_session() {
    let java = Java::start();
    let session = java.builder().stream().unwrap();
    let listener = session.listener().unwrap();
    eventually("eight accepts are pending", || java.accepts() == 8);
    let accepting = in_background(move || listener.accept().map(drop));
    java.stop_router();
    assert!(outcome(&accepting).unwrap_err().is_session_lost());
    let loss = session.wait_closed(Some(LONG)).unwrap();
    assert!(matches!(loss, SessionLoss::Refused(_)), "{loss}");
    eventually("no socket is left", || java.0.open_connections() == 0);
}

#[test]
fn forwarding_listener_heals_after_heartbeat() {
    let java = Java::start();
    let (events, _listener) = healing(&java, HealingOptions::new().forward(true));
    let took = assert_heals(&events, java.stop_router());
    assert!(took < 3 * HEARTBEAT, "{took:?}");
}

#[test]
fn forwarding_continues_over_heartbeats() {
    let java = Java::start();
    let session = java.builder().heartbeat(Some(HEARTBEAT)).stream().unwrap();
    let _listener = session.forward().unwrap();
    eventually("two heartbeats have come", || java.accepts() >= 2);
    assert_eq!(session.loss(), None);
}

#[test]
fn accepting_subsession_loses_primary_session() {
    let java = Java::start();
    let primary = java.builder().primary().unwrap();
    let _listener = primary.subsession().stream().unwrap().listener().unwrap();
    eventually("eight accepts are pending", || java.accepts() == 8);
    let stopped = java.stop_router();
    primary.wait_closed(Some(LONG)).unwrap();
    assert!(stopped.elapsed() < Duration::from_secs(1));
}

#[test]
fn forwarding_subsession_loses_primary_session() {
    let java = Java::start();
    let builder = java.builder().heartbeat(Some(HEARTBEAT));
    let primary = builder.primary().unwrap();
    let _listener = primary.subsession().stream().unwrap().forward().unwrap();
    let stopped = java.stop_router();
    primary.wait_closed(Some(LONG)).unwrap();
    assert!(stopped.elapsed() < 3 * HEARTBEAT);
}

#[test]
fn datagram_subsession_loses_primary_session() {
    let java = Java::start();
    let builder = java.builder().heartbeat(Some(HEARTBEAT));
    let primary = builder.primary().unwrap();
    let session = primary
        .subsession()
        .datagram(DatagramStyle::Datagram)
        .unwrap();
    assert_learns_of_the_loss(&java, &session);
    assert!(primary.loss().is_some());
}

fn datagrams(java: &Java, transport: DatagramTransport) -> DatagramSession {
    let builder = java.builder().heartbeat(Some(HEARTBEAT));
    let session = builder.datagram_transport(transport);
    session.datagram(DatagramStyle::Datagram).unwrap()
}

/// Waits until the datagram of a heartbeat has come back, and checks that nobody receives it.
fn assert_learns_of_the_loss(java: &Java, session: &DatagramSession) {
    session.set_read_timeout(Some(3 * HEARTBEAT)).unwrap();
    let error = session.recv_from(&mut [0; 1024]).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert_eq!(session.loss(), None);
    let stopped = java.stop_router();
    let loss = session.wait_closed(Some(LONG)).unwrap();
    println!("noticed after {:?}", stopped.elapsed());
    assert_eq!(loss, SessionLoss::HeartbeatTimeout(HEARTBEAT));
    assert!(stopped.elapsed() < 6 * HEARTBEAT);
}

#[test]
fn udp_datagram_session_notices_loss() {
    let java = Java::start();
    assert_learns_of_the_loss(&java, &datagrams(&java, DatagramTransport::default()));
}

#[test]
fn control_socket_datagram_session_notices_loss() {
    let java = Java::start();
    assert_learns_of_the_loss(&java, &datagrams(&java, DatagramTransport::ControlSocket));
}

#[test]
fn datagram_session_without_own_datagrams_lives() {
    let java = Java::start();
    let session = datagrams(&java, DatagramTransport::default());
    // None comes back from the start, as at a router that does not deliver a session's own
    // datagrams.
    java.stop_router();
    let error = session.wait_closed(Some(6 * HEARTBEAT)).unwrap_err();
    assert!(error.is_timeout(), "{error}");
}
