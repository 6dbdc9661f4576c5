//! A router with a primary session.

use std::sync::{Mutex, mpsc};
use std::time::Duration;

use i2p_sam::{Error, Phase, PrimarySession, ResultCode, SessionBuilder};

use super::{LONG, ScriptedBridge, Stage, Visit, eventually, field, key};

/// A bridge that creates a primary session, and answers the commands on its control socket as the
/// test orders. Streams echo; accepts wait.
pub struct Router {
    pub bridge: ScriptedBridge,
}

impl Router {
    /// A router that answers everything, as Java I2P does.
    pub fn java() -> Self {
        Self::answering(|visit, line| visit.say(&java_ok(line)))
    }

    pub fn answering(answer: impl Fn(&mut Visit<'_, '_>, &str) + Send + Sync + 'static) -> Self {
        let bridge = ScriptedBridge::router(move |visit, stage| match stage {
            Stage::Session => serve(visit, &answer),
            Stage::Accept => drop(visit.rest()),
            Stage::Command(_) => {
                visit.say("STREAM STATUS RESULT=OK\n");
                visit.echo();
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
