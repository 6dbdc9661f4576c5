use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::error::{Error, Phase, Refusal, ResultCode};
use crate::lookup::Lookup;
use crate::session::control::Control;
use crate::session::voice::BREATH;
use crate::sync::{Call, Monitor, lock};
use crate::wire::{Command, Message, ParseError, ParseErrorKind};

/// How long a question whose answer nobody wants holds up the next. Routers answer at once, or, as
/// emissary 0.4.0 does with SESSION REMOVE, never.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// Most questions that were given up and are remembered.
const MOST_LATE: usize = 64;

/// How long a bridge may be busy with a lookup, and answer nothing else. Java I2P and i2pd answer one
/// command of a socket after the other.
const LONGEST_LOOKUP: Duration = Duration::from_secs(60);

/// What a bridge answers to a question: a lookup is answered with what was found.
pub(crate) type Answer = Result<Option<Lookup>, Error>;

/// Where the answer to a question is waited for.
///
/// It is given under the lock of [`Replies`], which is taken before it and never after: a question is
/// given up and answered at the same time in one order or the other.
pub(crate) type PendingAnswer = Arc<Monitor<Option<Answer>>>;

/// What is asked on a session's control socket, and who waits for the answer.
///
/// Answers carry no number. Java I2P and emissary name the subsession they speak of, i2pd does not;
/// so one question is asked at a time, and one that was given up is remembered, lest its late answer
/// be taken for the next one's. i2pd and emissary would also pass over a command that comes in one
/// segment with another. A lookup is answered under a topic of its own, with the name.
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
    /// The bridge did not answer a removal in time, as emissary 0.4.0 never does.
    ignores_removals: bool,
    /// The names of lookups that were asked and not answered, wanted or not.
    lookups: VecDeque<(String, Instant)>,
}

struct Question {
    /// The subsession's ID, or the name that is looked up.
    id: String,
    asks: Asks,
    command: Command,
    /// Whether it is worth waiting for.
    wanted: bool,
    answer: PendingAnswer,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    Add,
    Remove,
    Lookup,
}

impl Control {
    /// Asks the bridge to add a subsession, with this command. Questions of other threads may come
    /// first.
    pub(crate) fn add_subsession(
        self: &Arc<Self>,
        id: &str,
        command: Command,
        call: &Call,
    ) -> Result<(), Error> {
        let answer = self.await_answer(Question::new(id, Asks::Add, command), call);
        answer.map(drop)
    }

    /// Asks the bridge who a name belongs to, with this command. Questions of other threads may come
    /// first.
    pub(crate) fn look_up(
        self: &Arc<Self>,
        name: &str,
        command: Command,
        call: &Call,
    ) -> Result<Lookup, Error> {
        let question = Question::new(name, Asks::Lookup, command);
        let found = self.await_answer(question, call)?;
        let missing = ParseError::new(ParseErrorKind::MissingPair, 0);
        found.ok_or_else(|| Error::protocol(call.phase(), missing))
    }

    fn await_answer(self: &Arc<Self>, question: Question, call: &Call) -> Answer {
        let answer = self.ask(question);
        loop {
            let turn = call.clone().within(Some(self.removal_patience()));
            let error = match turn.wait_on(&answer, |answer| Ok(answer.take())) {
                Ok(answer) => return answer,
                Err(Error::Timeout { .. }) => call.left().err(),
                Err(error) => Some(error),
            };
            if let Some(error) = error {
                return self.give_up(&answer).unwrap_or(Err(error));
            }
            // What held it up may not be worth waiting for any longer.
            self.ask_next();
        }
    }

    /// How long to wait for the answer to a removal: hardly, if the bridge left one unanswered before.
    pub(crate) fn removal_patience(&self) -> Duration {
        lock(&self.replies().state).patience(Asks::Remove)
    }

    /// Whether the bridge may be busy with a lookup.
    pub(crate) fn is_looking_up(&self) -> bool {
        let state = lock(&self.replies().state);
        let is_open = |(_, at): &(String, Instant)| at.elapsed() < LONGEST_LOOKUP;
        state.lookups.iter().any(is_open)
    }

    /// Asks the bridge to remove a subsession, after what was asked before. It does not wait.
    pub(crate) fn remove_subsession(self: &Arc<Self>, id: &str, command: Command) -> PendingAnswer {
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
                ResultCode::Ok => Ok(None),
                code => Err(Refusal::new(Phase::SessionAdd, code, message).into()),
            };
            if let Some(undo) = question.undo().filter(|_| answer.is_ok()) {
                state.queue.push_front(undo);
            }
            question.answer.update(|slot| *slot = Some(answer));
        }
        self.ask_next();
        true
    }

    /// Takes in a NAMING REPLY. One that nobody waits for is passed over.
    pub(crate) fn heed_lookup(self: &Arc<Self>, code: ResultCode, message: &Message<'_>) {
        let name = message.value("NAME").map(|name| name.unescape());
        let question = lock(&self.replies().state).settle_lookup(name.as_deref());
        let Some(question) = question else { return };
        let answer = match code {
            ResultCode::Ok => Lookup::from_reply(message).map(Some),
            code => Err(Refusal::new(Phase::Lookup, code, message).into()),
        };
        question.answer.update(|slot| *slot = Some(answer));
        self.ask_next();
    }

    fn ask(self: &Arc<Self>, question: Question) -> PendingAnswer {
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
    fn give_up(&self, answer: &PendingAnswer) -> Option<Answer> {
        let mut state = lock(&self.replies().state);
        let is_it = |question: &Question| Arc::ptr_eq(&question.answer, answer);
        state.queue.retain(|question| !is_it(question));
        let asked = state.asked.as_mut().map(|(question, _)| question);
        if let Some(question) = asked.filter(|question| is_it(question)) {
            question.wanted = false;
        }
        drop(state);
        answer.lock().take()
    }
}

impl State {
    /// How long a question that nobody waits for holds up the next.
    fn patience(&self, asks: Asks) -> Duration {
        match asks {
            Asks::Remove if self.ignores_removals => BREATH,
            _ => PATIENCE,
        }
    }

    /// What is to be sent now.
    fn next(&mut self) -> Option<Command> {
        let removal = self.patience(Asks::Remove);
        let other = self.patience(Asks::Add);
        let late = self.asked.take_if(|(question, at)| {
            let patience = match question.asks {
                Asks::Remove => removal,
                Asks::Add | Asks::Lookup => other,
            };
            !question.wanted && at.elapsed() >= patience
        });
        if let Some((question, _)) = late {
            self.keep_late(question);
        }
        if self.asked.is_some() {
            return None;
        }
        let question = self.queue.pop_front()?;
        let (command, now) = (question.command.clone(), Instant::now());
        if question.asks == Asks::Lookup {
            push_bounded(&mut self.lookups, (question.id.clone(), now));
        }
        self.asked = Some((question, now));
        Some(command)
    }

    /// Remembers a question that nobody waits for. The name of a lookup is remembered already.
    fn keep_late(&mut self, question: Question) {
        match question.asks {
            Asks::Lookup => return,
            Asks::Remove => self.ignores_removals = true,
            Asks::Add => {}
        }
        push_bounded(&mut self.late, question);
    }

    /// The lookup that is answered, if anybody may still wait for it. A heartbeat looks up `ME`,
    /// which is nobody's name.
    fn settle_lookup(&mut self, name: Option<&str>) -> Option<Question> {
        let is_it = |asked: &str| name.is_none_or(|name| name == asked);
        let at = self.lookups.iter().position(|(asked, _)| is_it(asked))?;
        self.lookups.remove(at);
        // The answer to an earlier lookup of the same name is as good.
        let asked = |(question, _): &mut (Question, Instant)| {
            question.asks == Asks::Lookup && is_it(&question.id)
        };
        self.asked.take_if(asked).map(|(question, _)| question)
    }

    /// The question that is answered, where the answer names this subsession, or none.
    fn settle(&mut self, id: Option<&str>) -> Option<Question> {
        let Some(id) = id else {
            // Who names what it answers leaves that out of refusals only (emissary 0.4.0).
            if !self.names && !self.late.is_empty() {
                return self.late.pop_front();
            }
            let of_session = |(question, _): &mut (Question, Instant)| question.is_of_session();
            return self.asked.take_if(of_session).map(|(question, _)| question);
        };
        self.names = true;
        // Answers come in order: what was asked before is not answered any more.
        if let Some(at) = self.late.iter().position(|question| question.id == id) {
            let question = self.late.drain(..=at).next_back();
            if question
                .as_ref()
                .is_some_and(|one| one.asks == Asks::Remove)
            {
                self.ignores_removals = false;
            }
            return question;
        }
        let is_it =
            |(question, _): &mut (Question, Instant)| question.is_of_session() && question.id == id;
        let (question, _) = self.asked.take_if(is_it)?;
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
            answer: Monitor::new(None),
        }
    }

    /// Whether a SESSION STATUS answers it.
    fn is_of_session(&self) -> bool {
        self.asks != Asks::Lookup
    }

    /// A subsession that was added when nobody waited for it any more is to be removed.
    fn undo(&self) -> Option<Self> {
        if self.wanted || self.asks != Asks::Add {
            return None;
        }
        let command = Command::session_remove(&self.id).ok()?;
        Some(Self {
            wanted: false,
            ..Self::new(&self.id, Asks::Remove, command)
        })
    }
}

/// Appends, and forgets the oldest if there are too many.
fn push_bounded<T>(queue: &mut VecDeque<T>, value: T) {
    if queue.len() >= MOST_LATE {
        queue.pop_front();
    }
    queue.push_back(value);
}
