use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::bridge::Lookup;
use crate::error::{Error, Phase, Refusal};
use crate::session::control::outbound::COMMAND_GAP;
use crate::session::control::socket::ControlSocket;
use crate::sync::{Call, Monitor, lock};
use crate::wire::{Command, Message, ParseError, ParseErrorKind, ResultCode};

/// The longest time for which a request without a waiting caller delays the next. Routers reply at once,
/// or, as emissary 0.4.0 does with SESSION REMOVE, never.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// The most abandoned requests that are remembered.
const MAX_ABANDONED: usize = 64;

/// The longest time for which a bridge may be busy with a lookup, and answer nothing else. Java I2P and
/// i2pd answer the commands of one socket in order.
const LONGEST_LOOKUP: Duration = Duration::from_secs(60);

/// The answer to a request. The answer to a lookup contains the result.
pub(crate) type Answer = Result<Option<Lookup>, Error>;

/// The place of one answer, on which its caller waits.
///
/// It is filled under the lock of [`PendingRequests`], so that a request that is abandoned and answered
/// at the same time is only one of the two. That lock is taken first.
pub(crate) type PendingAnswer = Arc<Monitor<Option<Answer>>>;

/// The requests on a session's control socket, and their callers.
///
/// Answers have no number. Java I2P and emissary name the subsession, i2pd does not. So one request is
/// sent at a time, and an abandoned one is remembered: otherwise its late answer would be taken for the
/// answer to the next. i2pd and emissary would also ignore a command that arrives in the same segment
/// as another. The answer to a lookup has a topic of its own, and contains the name.
#[derive(Default)]
pub(crate) struct PendingRequests {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The requests that were not sent yet.
    queue: VecDeque<Request>,
    /// The request that was sent, and the time at which it was sent.
    sent: Option<(Request, Instant)>,
    /// The requests that were sent before it, and were abandoned.
    abandoned: VecDeque<Request>,
    /// Set when the bridge has named a subsession in an answer.
    names: bool,
    /// Set when the bridge did not answer a removal in time, as emissary 0.4.0 never does.
    ignores_removals: bool,
    /// The names of lookups that were sent and not answered, with or without a waiting caller.
    lookups: VecDeque<(String, Instant)>,
}

struct Request {
    /// The subsession's ID, or the name of the lookup.
    id: String,
    kind: Kind,
    command: Command,
    /// True while a caller waits for the answer.
    awaited: bool,
    answer: PendingAnswer,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Add,
    Remove,
    Lookup,
}

impl ControlSocket {
    /// Adds a subsession with this command, after the requests of other threads.
    pub(crate) fn add_subsession(
        self: &Arc<Self>,
        id: &str,
        command: Command,
        call: &Call,
    ) -> Result<(), Error> {
        let answer = self.await_answer(Request::new(id, Kind::Add, command), call);
        answer.map(drop)
    }

    /// Looks up a name with this command, after the requests of other threads.
    pub(crate) fn look_up(
        self: &Arc<Self>,
        name: &str,
        command: Command,
        call: &Call,
    ) -> Result<Lookup, Error> {
        let request = Request::new(name, Kind::Lookup, command);
        let found = self.await_answer(request, call)?;
        let missing = ParseError::new(ParseErrorKind::MissingPair, 0);
        found.ok_or_else(|| Error::protocol(call.phase(), missing))
    }

    fn await_answer(self: &Arc<Self>, request: Request, call: &Call) -> Answer {
        let answer = self.submit(request);
        loop {
            let turn = call.clone().within(Some(self.removal_patience()));
            let error = match turn.wait_on(&answer, |answer| Ok(answer.take())) {
                Ok(answer) => return answer,
                Err(Error::Timeout { .. }) => call.left().err(),
                Err(error) => Some(error),
            };
            if let Some(error) = error {
                return self.abandon(&answer).unwrap_or(Err(error));
            }
            // The request that delayed it may be abandoned by now.
            self.send_next();
        }
    }

    /// Returns the time to wait for the answer to a removal: very short if the bridge left one
    /// unanswered.
    pub(crate) fn removal_patience(&self) -> Duration {
        lock(&self.requests().state).patience(Kind::Remove)
    }

    /// Returns true if the bridge may be busy with a lookup.
    pub(crate) fn is_looking_up(&self) -> bool {
        let state = lock(&self.requests().state);
        let is_open = |(_, at): &(String, Instant)| at.elapsed() < LONGEST_LOOKUP;
        state.lookups.iter().any(is_open)
    }

    /// Removes a subsession, after the requests before. It does not wait.
    pub(crate) fn remove_subsession(self: &Arc<Self>, id: &str, command: Command) -> PendingAnswer {
        self.submit(Request {
            awaited: false,
            ..Request::new(id, Kind::Remove, command)
        })
    }

    /// Handles a SESSION STATUS. Returns true if it answers a request.
    pub(crate) fn handle_reply(self: &Arc<Self>, code: ResultCode, message: &Message<'_>) -> bool {
        let id = message.value("ID").map(|id| id.unescape().into_owned());
        {
            let mut state = lock(&self.requests().state);
            let Some(request) = state.match_reply(id.as_deref()) else {
                return false;
            };
            let answer = match code {
                ResultCode::Ok => Ok(None),
                code => Err(Refusal::new(Phase::SessionAdd, code, message).into()),
            };
            if let Some(undo) = request.undo().filter(|_| answer.is_ok()) {
                state.queue.push_front(undo);
            }
            request.answer.update(|slot| *slot = Some(answer));
        }
        self.send_next();
        true
    }

    /// Handles a NAMING REPLY. It ignores one that answers no request.
    pub(crate) fn handle_lookup_reply(self: &Arc<Self>, code: ResultCode, message: &Message<'_>) {
        let name = message.value("NAME").map(|name| name.unescape());
        let request = lock(&self.requests().state).match_lookup(name.as_deref());
        let Some(request) = request else { return };
        let answer = match code {
            ResultCode::Ok => Lookup::from_reply(message).map(Some),
            code => Err(Refusal::new(Phase::Lookup, code, message).into()),
        };
        request.answer.update(|slot| *slot = Some(answer));
        self.send_next();
    }

    fn submit(self: &Arc<Self>, request: Request) -> PendingAnswer {
        let answer = Arc::clone(&request.answer);
        lock(&self.requests().state).queue.push_back(request);
        self.send_next();
        answer
    }

    /// Sends the next request, unless one waits for its answer.
    fn send_next(self: &Arc<Self>) {
        let Some(command) = lock(&self.requests().state).next() else {
            return;
        };
        if let Err(loss) = self.writer().send(self, &command) {
            self.fail(loss);
        }
    }

    /// Stops the wait for this answer, and returns the answer if it has just arrived.
    fn abandon(&self, answer: &PendingAnswer) -> Option<Answer> {
        let mut state = lock(&self.requests().state);
        let is_it = |request: &Request| Arc::ptr_eq(&request.answer, answer);
        state.queue.retain(|request| !is_it(request));
        let sent = state.sent.as_mut().map(|(request, _)| request);
        if let Some(request) = sent.filter(|request| is_it(request)) {
            request.awaited = false;
        }
        drop(state);
        answer.lock().take()
    }
}

impl State {
    /// Returns the longest time for which a request without a waiting caller delays the next.
    fn patience(&self, kind: Kind) -> Duration {
        match kind {
            Kind::Remove if self.ignores_removals => COMMAND_GAP,
            _ => REQUEST_TIMEOUT,
        }
    }

    /// Returns the command that must be sent now.
    fn next(&mut self) -> Option<Command> {
        let removal = self.patience(Kind::Remove);
        let other = self.patience(Kind::Add);
        let late = self.sent.take_if(|(request, at)| {
            let patience = match request.kind {
                Kind::Remove => removal,
                Kind::Add | Kind::Lookup => other,
            };
            !request.awaited && at.elapsed() >= patience
        });
        if let Some((request, _)) = late {
            self.keep_abandoned(request);
        }
        if self.sent.is_some() {
            return None;
        }
        let request = self.queue.pop_front()?;
        let (command, now) = (request.command.clone(), Instant::now());
        if request.kind == Kind::Lookup {
            push_bounded(&mut self.lookups, (request.id.clone(), now));
        }
        self.sent = Some((request, now));
        Some(command)
    }

    /// Remembers a request without a waiting caller. The name of a lookup is remembered already.
    fn keep_abandoned(&mut self, request: Request) {
        match request.kind {
            Kind::Lookup => return,
            Kind::Remove => self.ignores_removals = true,
            Kind::Add => {}
        }
        push_bounded(&mut self.abandoned, request);
    }

    /// Returns the lookup to which this answer belongs, if a caller may still wait for it. A heartbeat
    /// looks up `ME`, which is no name.
    fn match_lookup(&mut self, name: Option<&str>) -> Option<Request> {
        let is_it = |sent: &str| name.is_none_or(|name| name == sent);
        let at = self.lookups.iter().position(|(sent, _)| is_it(sent))?;
        self.lookups.remove(at);
        // The answer to an earlier lookup of the same name is as good.
        let sent = |(request, _): &mut (Request, Instant)| {
            request.kind == Kind::Lookup && is_it(&request.id)
        };
        self.sent.take_if(sent).map(|(request, _)| request)
    }

    /// Returns the request to which this answer belongs. The answer names this subsession, or none.
    fn match_reply(&mut self, id: Option<&str>) -> Option<Request> {
        let Some(id) = id else {
            // A bridge that names subsessions leaves the name out of refusals only (emissary 0.4.0).
            if !self.names && !self.abandoned.is_empty() {
                return self.abandoned.pop_front();
            }
            let of_session = |(request, _): &mut (Request, Instant)| request.is_of_session();
            return self.sent.take_if(of_session).map(|(request, _)| request);
        };
        self.names = true;
        // Answers arrive in order: those to earlier requests no longer arrive.
        if let Some(at) = self.abandoned.iter().position(|request| request.id == id) {
            let request = self.abandoned.drain(..=at).next_back();
            if request.as_ref().is_some_and(|one| one.kind == Kind::Remove) {
                self.ignores_removals = false;
            }
            return request;
        }
        let is_it =
            |(request, _): &mut (Request, Instant)| request.is_of_session() && request.id == id;
        let (request, _) = self.sent.take_if(is_it)?;
        self.abandoned.clear();
        Some(request)
    }
}

impl Request {
    fn new(id: &str, kind: Kind, command: Command) -> Self {
        Self {
            id: id.to_owned(),
            kind,
            command,
            awaited: true,
            answer: Monitor::new(None),
        }
    }

    /// Returns true if a SESSION STATUS answers this kind of request.
    fn is_of_session(&self) -> bool {
        self.kind != Kind::Lookup
    }

    /// Returns the removal of a subsession that was added after its caller had stopped waiting.
    fn undo(&self) -> Option<Self> {
        if self.awaited || self.kind != Kind::Add {
            return None;
        }
        let command = Command::session_remove(&self.id).ok()?;
        Some(Self {
            awaited: false,
            ..Self::new(&self.id, Kind::Remove, command)
        })
    }
}

/// Appends a value, and drops the oldest if there are too many.
fn push_bounded<T>(queue: &mut VecDeque<T>, value: T) {
    if queue.len() >= MAX_ABANDONED {
        queue.pop_front();
    }
    queue.push_back(value);
}
