//! A bridge that treats sessions as a test orders, for healing sessions.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use i2p_sam::{SamListener, SessionBuilder};

use super::{LONG, ScriptedBridge, Signal, Visit, key, milestone};

/// The reply of a bridge to SESSION CREATE.
#[derive(Clone, Copy)]
pub enum Answer {
    Make,
    /// Creates the session, and closes it at once.
    Drop,
    Say(&'static str),
    HangUp,
    Nothing,
}

/// A pause between attempts that does not delay a test.
pub const SHORT: Duration = Duration::from_millis(20);

/// A bridge that treats sessions as the test orders, and passes their sockets to it.
pub struct Router {
    pub scripted: ScriptedBridge,
    pub sessions: mpsc::Receiver<TcpStream>,
    pub accepts: mpsc::Receiver<TcpStream>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    manners: Arc<Mutex<Manners>>,
}

/// Deviations from what routers do.
#[derive(Clone, Default)]
struct Manners {
    accepts: Option<&'static str>,
    dials: Option<&'static str>,
    held_dials: Option<Signal>,
}

impl Router {
    pub fn start() -> Self {
        let (session, sessions) = mpsc::channel();
        let (accept, accepts) = mpsc::channel();
        let senders = Mutex::new((session, accept));
        let answers: Arc<Mutex<VecDeque<Answer>>> = Arc::default();
        let next = Arc::clone(&answers);
        let manners: Arc<Mutex<Manners>> = Arc::default();
        let now = Arc::clone(&manners);
        let scripted = ScriptedBridge::start(move |visit| {
            visit.greet();
            let Some(line) = visit.line() else { return };
            let manners = now.lock().unwrap().clone();
            if line.starts_with("SESSION CREATE") {
                let answer = {
                    let mut answers = next.lock().unwrap();
                    match answers.len() {
                        0 => Answer::Make,
                        1 => answers[0],
                        _ => answers.pop_front().unwrap(),
                    }
                };
                let sender = senders.lock().unwrap().0.clone();
                serve(visit, answer, &line, &sender);
            } else if line.starts_with("STREAM ACCEPT") {
                if let Some(refusal) = manners.accepts {
                    return visit.say(refusal);
                }
                visit.say("STREAM STATUS RESULT=OK\n");
                let _ = senders.lock().unwrap().1.send(visit.socket());
                visit.rest();
            } else if line.starts_with("DEST GENERATE") {
                let (public, private) = (key(3).destination().to_base64(), key(3).expose_base64());
                visit.say(&format!("DEST REPLY PUB={public} PRIV={private}\n"));
            } else if let Some(refusal) = manners.dials {
                visit.say(refusal);
            } else if let Some(signal) = manners.held_dials {
                signal.reached();
                visit.rest();
            } else {
                visit.say("STREAM STATUS RESULT=OK\n");
                visit.echo();
            }
        });
        Self {
            scripted,
            sessions,
            accepts,
            answers,
            manners,
        }
    }

    /// Sets the answers to later sessions; the last one repeats.
    pub fn answer(&self, answers: &[Answer]) {
        *self.answers.lock().unwrap() = answers.iter().copied().collect();
    }

    /// Sets the refusal of later accepts.
    pub fn refuse_accepts(&self, refusal: &'static str) {
        self.manners.lock().unwrap().accepts = Some(refusal);
    }

    /// Sets the refusal of later dials.
    pub fn refuse_dials(&self, refusal: &'static str) {
        self.manners.lock().unwrap().dials = Some(refusal);
    }

    /// Leaves later dials unanswered, and signals them.
    pub fn hold_dials(&self) -> mpsc::Receiver<()> {
        let (signal, held) = milestone();
        self.manners.lock().unwrap().held_dials = Some(signal);
        held
    }

    pub fn builder(&self) -> SessionBuilder {
        let builder = self.scripted.bridge().session().pending_accepts(1);
        builder.linger(Duration::ZERO)
    }

    pub fn control_socket(&self) -> TcpStream {
        self.sessions.recv_timeout(LONG).unwrap()
    }

    pub fn create_lines(&self) -> Vec<String> {
        let lines = self.scripted.received().into_iter();
        lines
            .filter(|line| line.starts_with("SESSION CREATE"))
            .collect()
    }

    /// Returns whether a session was closed.
    pub fn was_told_to_quit(&self) -> bool {
        let lines = self.scripted.received();
        lines.iter().any(|line| line == "QUIT\n")
    }

    /// Connects a caller when an accept is pending, and returns the caller's end of the stream.
    pub fn dial_in(&self) -> TcpStream {
        let mut caller = self.accepts.recv_timeout(LONG).unwrap();
        writeln!(caller, "{}", key(9).destination()).unwrap();
        caller
    }

    pub fn address(&self) -> String {
        self.scripted.address().to_string()
    }

    /// Connects a caller to the listener, and checks that the stream is its own.
    pub fn show_that_it_accepts(&self, listener: &SamListener) {
        let mut caller = self.dial_in();
        let (mut stream, peer) = listener.accept_timeout(LONG).unwrap();
        assert_eq!(peer.destination(), Some(key(9).destination()));
        caller.write_all(b"ping").unwrap();
        let mut word = [0; 4];
        stream.read_exact(&mut word).unwrap();
        assert_eq!(&word, b"ping");
    }
}

fn serve(visit: &mut Visit<'_, '_>, answer: Answer, line: &str, sender: &mpsc::Sender<TcpStream>) {
    match answer {
        Answer::Make => {
            visit.make_session(line);
            let _ = sender.send(visit.socket());
            visit.until_quit();
            // The test may still hold the socket.
            visit.hang_up();
        }
        Answer::Drop => visit.make_session(line),
        Answer::Say(reply) => visit.say(reply),
        Answer::HangUp => {}
        Answer::Nothing => {
            let _ = sender.send(visit.socket());
            visit.rest();
        }
    }
}

/// Ends a connection from the bridge's side.
pub fn lose(socket: &TcpStream) {
    let _ = socket.shutdown(Shutdown::Both);
}
