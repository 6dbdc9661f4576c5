use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::error::{Error, Phase, Refusal, ResultCode};
use crate::interrupts::{Handoff, Interrupts, lock};
use crate::session::control::Control;
use crate::wire::{Command, Message};

/// How long a question whose answer nobody wants holds up the next. Routers answer at once, or, as
/// emissary 0.4.0 does with SESSION REMOVE, never.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// Most questions that were given up and are remembered.
const MOST_LATE: usize = 64;

/// What a bridge says to a question.
pub(crate) type Answer = Result<(), Refusal>;

/// What is asked on a session's control socket, and who waits for the answer.
///
/// Answers carry no number. Java I2P and emissary name the subsession they speak of, i2pd does not;
/// so one question is asked at a time, and one that was given up is remembered, lest its late answer
/// be taken for the next one's. i2pd and emissary would also pass over a command that comes in one
/// segment with another.
#[derive(Default)]
pub(crate) struct Replies {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Those whose turn has not come.
    queue: VecDeque<Question>,
    /// The one that was asked, and when.
    asked: Option<(Question, Instant)>,
    /// Those that were asked before it, and were given up.
    late: VecDeque<Question>,
    /// The bridge names what it answers.
    names: bool,
}

struct Question {
    id: String,
    asks: Asks,
    command: Command,
    /// Whether it is worth waiting for.
    wanted: bool,
    answer: Arc<Handoff<Answer>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    Add,
    Remove,
}

impl Control {
    /// Asks the bridge to add a subsession, with this command. Questions of other threads may come
    /// first.
    pub(crate) fn add_subsession(
        self: &Arc<Self>,
        id: &str,
        command: Command,
        deadline: Deadline,
        interrupts: &Interrupts,
    ) -> Result<(), Error> {
        let phase = Phase::SessionAdd;
        let answer = self.ask(Question::new(id, Asks::Add, command));
        loop {
            let turn = deadline.sooner(Deadline::after(Some(PATIENCE)));
            let error = match answer.wait(phase, turn, interrupts) {
                Ok(answer) => return answer.map_err(Error::from),
                Err(Error::Timeout { .. }) => deadline.left(phase).err(),
                Err(error) => Some(error),
            };
            if let Some(error) = error {
                let just_come = self.give_up(&answer);
                return just_come.map_or(Err(error), |answer| answer.map_err(Error::from));
            }
            // What held it up may not be worth waiting for any longer.
            self.ask_next();
        }
    }

    /// Asks the bridge to remove a subsession, after what was asked before. It does not wait.
    pub(crate) fn remove_subsession(
        self: &Arc<Self>,
        id: &str,
        command: Command,
    ) -> Arc<Handoff<Answer>> {
        self.ask(Question {
            wanted: false,
            ..Question::new(id, Asks::Remove, command)
        })
    }

    /// Takes in a SESSION STATUS. Says whether it answers a question.
    pub(crate) fn heed_reply(self: &Arc<Self>, code: ResultCode, message: &Message<'_>) -> bool {
        let id = message.value("ID").map(|id| id.unescape().into_owned());
        {
            let mut state = lock(&self.replies().state);
            let Some(question) = state.settle(id.as_deref()) else {
                return false;
            };
            let answer = match code {
                ResultCode::Ok => Ok(()),
                code => Err(Refusal::new(Phase::SessionAdd, code, message)),
            };
            if let Some(undo) = question.undo().filter(|_| answer.is_ok()) {
                state.queue.push_front(undo);
            }
            question.answer.bring(answer);
        }
        self.ask_next();
        true
    }

    fn ask(self: &Arc<Self>, question: Question) -> Arc<Handoff<Answer>> {
        let answer = Arc::clone(&question.answer);
        lock(&self.replies().state).queue.push_back(question);
        self.ask_next();
        answer
    }

    /// Asks what is next, if nothing is asked.
    fn ask_next(self: &Arc<Self>) {
        let Some(command) = lock(&self.replies().state).next() else {
            return;
        };
        if let Err(loss) = self.voice().say(self, &command) {
            self.lose(loss);
        }
    }

    /// Nobody waits for this answer any more, unless it has just come.
    fn give_up(&self, answer: &Arc<Handoff<Answer>>) -> Option<Answer> {
        let mut state = lock(&self.replies().state);
        let is_it = |question: &Question| Arc::ptr_eq(&question.answer, answer);
        state.queue.retain(|question| !is_it(question));
        let asked = state.asked.as_mut().map(|(question, _)| question);
        if let Some(question) = asked.filter(|question| is_it(question)) {
            question.wanted = false;
        }
        drop(state);
        let no_time = Deadline::after(Some(Duration::ZERO));
        answer
            .wait(Phase::SessionAdd, no_time, &Interrupts::default())
            .ok()
    }
}

impl State {
    /// What is to be said now.
    fn next(&mut self) -> Option<Command> {
        let overdue =
            |(question, at): &mut (Question, Instant)| !question.wanted && at.elapsed() >= PATIENCE;
        if let Some((question, _)) = self.asked.take_if(overdue) {
            if self.late.len() >= MOST_LATE {
                self.late.pop_front();
            }
            self.late.push_back(question);
        }
        if self.asked.is_some() {
            return None;
        }
        let question = self.queue.pop_front()?;
        let command = question.command.clone();
        self.asked = Some((question, Instant::now()));
        Some(command)
    }

    /// The question that is answered, where the answer names this subsession, or none.
    fn settle(&mut self, id: Option<&str>) -> Option<Question> {
        let Some(id) = id else {
            // Who names what it answers leaves that out of refusals only (emissary 0.4.0).
            if !self.names && !self.late.is_empty() {
                return self.late.pop_front();
            }
            return self.asked.take().map(|(question, _)| question);
        };
        self.names = true;
        // Answers come in order: what was asked before is not answered any more.
        if let Some(at) = self.late.iter().position(|question| question.id == id) {
            return self.late.drain(..=at).next_back();
        }
        let (question, _) = self.asked.take_if(|(question, _)| question.id == id)?;
        self.late.clear();
        Some(question)
    }
}

impl Question {
    fn new(id: &str, asks: Asks, command: Command) -> Self {
        Self {
            id: id.to_owned(),
            asks,
            command,
            wanted: true,
            answer: Handoff::new(),
        }
    }

    /// A subsession that was added when nobody waited for it any more is to be removed.
    fn undo(&self) -> Option<Self> {
        if self.wanted || self.asks == Asks::Remove {
            return None;
        }
        let command = Command::session_remove(&self.id).ok()?;
        Some(Self {
            wanted: false,
            ..Self::new(&self.id, Asks::Remove, command)
        })
    }
}
