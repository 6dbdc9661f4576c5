//! A router with a primary session.

use std::sync::{Mutex, mpsc};
use std::time::Duration;

use i2p_sam::{Error, Phase, PrimarySession, ResultCode, SessionBuilder};

use super::{LONG, ScriptedBridge, Visit, eventually, field, key};

/// A bridge like Java I2P's, whose streams echo.
pub struct Router {
    pub bridge: ScriptedBridge,
}

/// The commands on a control socket whose replies a test may order.
const ORDERED: [&str; 3] = ["SESSION ADD ", "SESSION REMOVE ", "NAMING LOOKUP "];

impl Router {
    /// A router that answers everything itself but dials.
    pub fn java() -> Self {
        let bridge = ScriptedBridge::java(&["STREAM CONNECT"], |visit, _| echo(visit));
        Self { bridge }
    }

    /// A router that adds subsessions of every style: Java I2P does not know DATAGRAM2.
    pub fn with_every_style() -> Self {
        Self::answering(|visit, line| visit.say(&java_ok(line)))
    }

    /// A router that answers the commands on a control socket as the test orders.
    pub fn answering(answer: impl Fn(&mut Visit<'_, '_>, &str) + Send + Sync + 'static) -> Self {
        let commands = [&ORDERED[..], &["STREAM CONNECT"]].concat();
        let bridge = ScriptedBridge::java(&commands, move |visit, line| {
            match line.starts_with("STREAM CONNECT") {
                true => echo(visit),
                false => answer(visit, line),
            }
        });
        Self { bridge }
    }

    pub fn builder(&self) -> SessionBuilder {
        let builder = self.bridge.bridge().session().pending_accepts(1);
        builder.linger(Duration::ZERO)
    }

    pub fn primary(&self) -> PrimarySession {
        self.builder().primary().unwrap()
    }

    /// Returns the commands on control sockets, so far.
    pub fn asked(&self) -> Vec<String> {
        let lines = self.bridge.received().into_iter();
        let questions = ["SESSION ADD ", "SESSION REMOVE "];
        let asked = |line: &String| questions.iter().any(|start| line.starts_with(start));
        lines.filter(asked).collect()
    }

    pub fn await_line(&self, what: &str) {
        eventually(what, || {
            let lines = self.bridge.received();
            lines.iter().any(|line| line.starts_with(what))
        });
    }
}

fn echo(visit: &mut Visit<'_, '_>) {
    visit.say("STREAM STATUS RESULT=OK\n");
    visit.echo();
}

/// Answers the commands on a control socket, until the client closes.
pub fn serve(visit: &mut Visit<'_, '_>, answer: &impl Fn(&mut Visit<'_, '_>, &str)) {
    while let Some(line) = visit.line() {
        match line.as_str() {
            "QUIT\n" => return visit.say("QUIT STATUS RESULT=OK MESSAGE=bye\n"),
            line if line.starts_with("PONG") => {}
            line => answer(visit, line),
        }
    }
}

pub fn java_ok(line: &str) -> String {
    let id = field(line, "ID").unwrap();
    let verb = line.split(' ').nth(1).unwrap();
    format!("SESSION STATUS RESULT=OK ID=\"{id}\" MESSAGE=\"{verb} {id}\"\n")
}

pub fn i2pd_ok() -> String {
    let key = key(0).expose_base64();
    format!("SESSION STATUS RESULT=OK DESTINATION={key}\n")
}

/// A channel on which a script waits for the test's permission.
pub fn gate() -> (mpsc::Sender<()>, impl Fn() + Send + Sync) {
    let (open, opened) = mpsc::channel();
    let opened = Mutex::new(opened);
    let pass = move || opened.lock().unwrap().recv_timeout(LONG).unwrap();
    (open, pass)
}

pub fn refusal(error: Error) -> (Phase, ResultCode, String) {
    match error {
        Error::Refused(refusal) => {
            let explanation = refusal.explanation().unwrap_or_default().to_owned();
            (refusal.phase(), refusal.code().clone(), explanation)
        }
        error => panic!("{error}"),
    }
}
