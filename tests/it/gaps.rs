//! Dials without a pause at a bridge that refuses a dial without a pending accept: Java I2P does so
//! until a session has accepted once, and emissary loses dials in the same way.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use i2p_sam::{Connect, ConnectOptions, I2pAddr, StreamSession};

use crate::support::{ScriptedBridge, Visit, eventually, key};

/// The accepts that wait, with what ends each when it is dropped.
type Pending = Arc<Mutex<VecDeque<(TcpStream, mpsc::Sender<()>)>>>;

/// A bridge with one session that dials itself.
struct Strict {
    scripted: ScriptedBridge,
    pending: Pending,
    refused: Arc<AtomicUsize>,
}

impl Strict {
    fn start() -> Self {
        let pending = Pending::default();
        let refused = Arc::new(AtomicUsize::new(0));
        let (queue, count) = (Arc::clone(&pending), Arc::clone(&refused));
        let scripted = ScriptedBridge::start(move |visit| {
            visit.greet();
            let Some(line) = visit.line() else { return };
            if line.starts_with("SESSION CREATE") {
                visit.make_session(&line);
                visit.until_quit();
            } else if line.starts_with("STREAM ACCEPT") {
                // The accept must not be used before its reply is sent.
                let mut queue = queue.lock().unwrap();
                visit.say("STREAM STATUS RESULT=OK\n");
                let (carried, end) = mpsc::channel();
                queue.push_back((visit.socket(), carried));
                drop(queue);
                let _ = end.recv();
            } else {
                let first = queue.lock().unwrap().pop_front();
                match first {
                    Some((accepting, _carried)) => carry(visit, accepting),
                    None => {
                        count.fetch_add(1, Ordering::SeqCst);
                        visit.say("STREAM STATUS RESULT=CANT_REACH_PEER\n");
                    }
                }
            }
        });
        Self {
            scripted,
            pending,
            refused,
        }
    }
}

/// Sends the caller's destination, and carries one message in each direction.
fn carry(visit: &mut Visit<'_, '_>, mut accepting: TcpStream) {
    writeln!(accepting, "{}", key(9).destination()).unwrap();
    visit.say("STREAM STATUS RESULT=OK\n");
    let word = visit.read_exact(8);
    accepting.write_all(&word).unwrap();
    let mut answer = [0; 8];
    accepting.read_exact(&mut answer).unwrap();
    visit.write(&answer);
}

fn serve(session: &StreamSession) {
    let listener = session.listener().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            thread::spawn(move || {
                let mut word = [0; 8];
                stream.read_exact(&mut word).unwrap();
                stream.write_all(&word).unwrap();
            });
        }
    });
}

fn dial(session: &StreamSession, peer: &I2pAddr, word: u64) {
    let Ok(mut stream) = session.connect_to(peer, &ConnectOptions::new()) else {
        return;
    };
    stream.write_all(&word.to_be_bytes()).unwrap();
    let mut answer = [0; 8];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(u64::from_be_bytes(answer), word);
}

const DIALS: u64 = 2000;

/// Dials from this many threads without a pause, and returns how many were refused.
fn refused(pending: Option<usize>, diallers: u64) -> usize {
    let strict = Strict::start();
    let mut builder = strict.scripted.bridge().session();
    if let Some(pending) = pending {
        builder = builder.pending_accepts(pending);
    }
    let session = builder.stream().unwrap();
    serve(&session);
    let wanted = pending.unwrap_or(8);
    eventually("all are pending", || {
        strict.pending.lock().unwrap().len() == wanted
    });
    let peer = I2pAddr::from(session.destination());
    thread::scope(|scope| {
        for dialler in 0..diallers {
            let (session, peer) = (&session, &peer);
            scope.spawn(move || {
                for number in 0..DIALS / diallers {
                    dial(session, peer, dialler * DIALS + number);
                }
            });
        }
    });
    strict.refused.load(Ordering::SeqCst)
}

#[test]
fn consecutive_dials_always_find_pending_accept() {
    assert_eq!(refused(None, 1), 0);
}

#[test]
fn concurrent_dials_always_find_pending_accept() {
    assert_eq!(refused(Some(32), 4), 0);
}

#[test]
fn strict_bridge_refuses_dial_without_accept() {
    assert!(refused(Some(1), 8) > 0);
}
