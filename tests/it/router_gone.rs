//! The router of Java I2P 2.8.1 stops while its bridge continues, as recorded: the bridge answers
//! PING and lookups, closes one pending accept of each session, leaves everything else open, and
//! refuses a new ACCEPT or FORWARD. Sessions that are created afterwards belong to a router that is
//! back.

use std::collections::HashMap;
use std::io::Write;
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use i2p_sam::{
    DatagramSession, DatagramStyle, DatagramTransport, HealingEvent, HealingOptions, SamBridge,
    SamListener, SessionBuilder, SessionLoss,
};

use crate::support::{
    LONG, ScriptedBridge, Visit, eventually, field, in_background, key, outcome, pause,
};

/// The shortest heartbeat that is possible.
const HEARTBEAT: Duration = Duration::from_secs(1);

const CLOSED: &str = "RESULT=I2P_ERROR MESSAGE=\"Session is closed\"";

#[derive(Default)]
struct Session {
    control: Option<TcpStream>,
    accepts: Vec<TcpStream>,
    forwards: bool,
    is_subsession: bool,
    is_dead: bool,
    udp: Option<String>,
}

type Sessions = Arc<Mutex<HashMap<String, Session>>>;

struct Java {
    scripted: ScriptedBridge,
    sessions: Sessions,
    udp: String,
}

impl Java {
    fn start() -> Self {
        let sessions = Sessions::default();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let udp_address = udp.local_addr().unwrap().to_string();
        let of_udp = Arc::clone(&sessions);
        thread::spawn(move || echo_datagrams(&udp, &of_udp));
        let of_visits = Arc::clone(&sessions);
        let scripted = ScriptedBridge::start(move |visit| serve(visit, &of_visits));
        Self {
            scripted,
            sessions,
            udp: udp_address,
        }
    }

    fn builder(&self) -> SessionBuilder {
        let bridge = SamBridge::builder()
            .address(self.scripted.address().to_string())
            .udp_address(self.udp.clone());
        bridge.build().unwrap().session().linger(Duration::ZERO)
    }

    fn pending_accepts(&self) -> usize {
        let sessions = self.sessions.lock().unwrap();
        sessions.values().map(|one| one.accepts.len()).sum()
    }

    /// Stops the router. All its sessions are dead, and hardly anything shows it.
    fn stop_router(&self) -> Instant {
        for session in self.sessions.lock().unwrap().values_mut() {
            session.is_dead = true;
            if let Some(accept) = session.accepts.first() {
                accept.shutdown(Shutdown::Both).unwrap();
            }
        }
        Instant::now()
    }
}

fn serve(visit: &mut Visit, sessions: &Sessions) {
    visit.greet();
    let Some(line) = visit.line() else { return };
    let id = field(&line, "ID").unwrap_or_default().to_owned();
    if line.starts_with("SESSION CREATE") {
        let session = Session {
            control: Some(visit.socket()),
            udp: field(&line, "PORT").map(|port| format!("127.0.0.1:{port}")),
            ..Session::default()
        };
        sessions.lock().unwrap().insert(id.clone(), session);
        visit.make_session(&line);
        return serve_control(visit, sessions, &id);
    }
    let answer = {
        let mut sessions = sessions.lock().unwrap();
        let session = sessions.get_mut(&id).unwrap();
        stream_command(session, &line, visit)
    };
    visit.say(&answer);
    if answer == "STREAM STATUS RESULT=OK\n" {
        visit.rest();
    }
}

/// The reply of the bridge to ACCEPT, FORWARD or CONNECT.
fn stream_command(session: &mut Session, line: &str, visit: &Visit) -> String {
    match (session.is_dead, session.is_subsession) {
        (true, true) => "STREAM STATUS RESULT=INVALID_ID MESSAGE=\"does not exist\"\n".to_owned(),
        (true, false) => {
            if let Some(mut control) = session.control.take() {
                let _ = writeln!(control, "SESSION STATUS {CLOSED}");
                let _ = control.shutdown(Shutdown::Both);
            }
            format!("STREAM STATUS {CLOSED}\n")
        }
        (false, _) if line.starts_with("STREAM FORWARD") => {
            session.forwards = true;
            "STREAM STATUS RESULT=OK\n".to_owned()
        }
        (false, _) if session.forwards => {
            "STREAM STATUS RESULT=OK\nSTREAM STATUS RESULT=ALREADY_ACCEPTING\n".to_owned()
        }
        (false, _) => {
            session.accepts.push(visit.socket());
            "STREAM STATUS RESULT=OK\n".to_owned()
        }
    }
}

fn serve_control(visit: &mut Visit, sessions: &Sessions, id: &str) {
    let own = key(visit.number as u8).destination().to_base64();
    while let Some(line) = visit.line() {
        if line.starts_with("NAMING LOOKUP NAME=ME") {
            visit.say(&format!("NAMING REPLY RESULT=OK NAME=ME VALUE={own}\n"));
        } else if line.starts_with("SESSION ADD") {
            let id = field(&line, "ID").unwrap();
            let session = Session {
                is_subsession: true,
                udp: field(&line, "PORT").map(|port| format!("127.0.0.1:{port}")),
                ..Session::default()
            };
            sessions.lock().unwrap().insert(id.to_owned(), session);
            visit.say(&format!(
                "SESSION STATUS RESULT=OK ID=\"{id}\" MESSAGE=\"ADD {id}\"\n"
            ));
        } else if let Some(size) = field(&line, "SIZE") {
            let payload = visit.read_exact(size.parse().unwrap());
            if !sessions.lock().unwrap()[id].is_dead {
                let size = payload.len();
                visit.say(&format!(
                    "DATAGRAM RECEIVED DESTINATION={own} SIZE={size}\n"
                ));
                visit.write(&payload);
            }
        } else if line == "QUIT\n" {
            return visit.say("QUIT STATUS RESULT=OK MESSAGE=bye\n");
        }
    }
}

/// Every datagram in these tests goes back to the session that sends it.
fn echo_datagrams(udp: &UdpSocket, sessions: &Sessions) {
    let mut packet = [0; 2048];
    while let Ok((len, _)) = udp.recv_from(&mut packet) {
        let text = String::from_utf8_lossy(&packet[..len]).into_owned();
        let (line, payload) = text.split_once('\n').unwrap();
        let mut words = line.split(' ').skip(1);
        let (id, own) = (words.next().unwrap(), words.next().unwrap());
        let sessions = sessions.lock().unwrap();
        let Some(session) = sessions.get(id).filter(|session| !session.is_dead) else {
            continue;
        };
        let to = session.udp.clone().unwrap();
        udp.send_to(format!("{own}\n{payload}").as_bytes(), to)
            .unwrap();
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
    eventually("eight accepts are pending", || java.pending_accepts() == 8);
    wait_until_accepts_are_old();
    let took = assert_heals(&events, java.stop_router());
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn listener_with_young_accepts_heals_at_once() {
    let java = Java::start();
    let (events, _listener) = healing(&java, HealingOptions::new());
    eventually("eight accepts are pending", || java.pending_accepts() == 8);
    let took = assert_heals(&events, java.stop_router());
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn pending_accepts_end_with_session() {
    let java = Java::start();
    let session = java.builder().stream().unwrap();
    let listener = session.listener().unwrap();
    eventually("eight accepts are pending", || java.pending_accepts() == 8);
    let accepting = in_background(move || listener.accept().map(drop));
    java.stop_router();
    assert!(outcome(&accepting).unwrap_err().is_session_lost());
    let loss = session.wait_closed(Some(LONG)).unwrap();
    assert!(matches!(loss, SessionLoss::Refused(_)), "{loss}");
    eventually("no socket is left", || {
        java.scripted.open_connections() == 0
    });
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
    let accepts = || {
        let lines = java.scripted.received().into_iter();
        lines
            .filter(|line| line.starts_with("STREAM ACCEPT"))
            .count()
    };
    eventually("two heartbeats have come", || accepts() >= 2);
    assert_eq!(session.loss(), None);
}

#[test]
fn accepting_subsession_loses_primary_session() {
    let java = Java::start();
    let primary = java.builder().primary().unwrap();
    let _listener = primary.subsession().stream().unwrap().listener().unwrap();
    eventually("eight accepts are pending", || java.pending_accepts() == 8);
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
