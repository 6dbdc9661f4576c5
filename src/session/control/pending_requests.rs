use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::bridge::Lookup;
use crate::error::Error;
use crate::session::control::outbound::COMMAND_GAP;
use crate::sync::Monitor;
use crate::wire::Command;

/// The longest time for which a request without a waiting caller delays the next. Routers reply at once,
/// or, as emissary 0.4.0 does with SESSION REMOVE, never.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// The most abandoned requests that are remembered.
const MAX_ABANDONED: usize = 64;

/// The longest time for which a bridge may be busy with a lookup, and answer nothing else. Java I2P and
/// i2pd answer the commands of one socket in order.
const LONGEST_LOOKUP: Duration = Duration::from_secs(60);

/// The answer to a request. The answer to a lookup contains the result.
pub(crate) type Answer = Result<Option<Lookup>, Error>;

/// The place of one answer, on which its caller waits.
///
/// It is filled under the lock of the [`PendingRequests`], so that a request that is abandoned and answered
/// at the same time is only one of the two. That lock is taken first.
pub(crate) type PendingAnswer = Arc<Monitor<Option<Answer>>>;

/// The requests on a session's control socket, and the places of their answers.
///
/// Answers have no number. Java I2P and emissary name the subsession, i2pd does not. So one request is
/// sent at a time, and an abandoned one is remembered: otherwise its late answer would be taken for the
/// answer to the next. i2pd and emissary would also ignore a command that arrives in the same segment
/// as another. The answer to a lookup has a topic of its own, and contains the name.
///
/// It is a value: it sends nothing, and nothing waits in it.
#[derive(Default)]
pub(super) struct PendingRequests {
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

pub(super) struct Request {
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

impl PendingRequests {
    pub(super) fn push(&mut self, request: Request) {
        self.queue.push_back(request);
    }

    /// Returns the command that must be sent now: that of the first request, unless another one waits for
    /// its answer.
    pub(super) fn next(&mut self, now: Instant) -> Option<Command> {
        let removal_patience = self.removal_patience();
        let late = self.sent.take_if(|(request, at)| {
            let patience = match request.kind {
                Kind::Remove => removal_patience,
                Kind::Add | Kind::Lookup => REQUEST_TIMEOUT,
            };
            !request.awaited && now.saturating_duration_since(*at) >= patience
        });
        if let Some((request, _)) = late {
            self.keep_abandoned(request);
        }
        if self.sent.is_some() {
            return None;
        }
        let request = self.queue.pop_front()?;
        let command = request.command.clone();
        if request.kind == Kind::Lookup {
            push_bounded(&mut self.lookups, (request.id.clone(), now));
        }
        self.sent = Some((request, now));
        Some(command)
    }

    /// Returns the time to wait for the answer to a removal: very short if the bridge left one
    /// unanswered.
    pub(super) fn removal_patience(&self) -> Duration {
        match self.ignores_removals {
            true => COMMAND_GAP,
            false => REQUEST_TIMEOUT,
        }
    }

    /// Returns true if the bridge may be busy with a lookup.
    pub(super) fn is_looking_up(&self, now: Instant) -> bool {
        let is_open =
            |(_, at): &(String, Instant)| now.saturating_duration_since(*at) < LONGEST_LOOKUP;
        self.lookups.iter().any(is_open)
    }

    /// Answers the request about a subsession to which a SESSION STATUS belongs. Returns false if there is
    /// none. A subsession that was added after its caller had stopped waiting is removed next.
    pub(super) fn answer_status(&mut self, id: Option<&str>, outcome: Result<(), Error>) -> bool {
        let Some(request) = self.match_status(id) else {
            return false;
        };
        if let Some(undo) = request.undo().filter(|_| outcome.is_ok()) {
            self.queue.push_front(undo);
        }
        request.fill(outcome.map(|()| None));
        true
    }

    /// Answers the lookup to which a NAMING REPLY belongs, if there is one.
    pub(super) fn answer_lookup(
        &mut self,
        name: Option<&str>,
        found: impl FnOnce() -> Result<Lookup, Error>,
    ) {
        if let Some(request) = self.match_lookup(name) {
            request.fill(found().map(Some));
        }
    }

    /// Stops the wait for this answer, and returns the answer if it has just arrived.
    pub(super) fn abandon(&mut self, answer: &PendingAnswer) -> Option<Answer> {
        let is_it = |request: &Request| Arc::ptr_eq(&request.answer, answer);
        self.queue.retain(|request| !is_it(request));
        let sent = self.sent.as_mut().map(|(request, _)| request);
        if let Some(request) = sent.filter(|request| is_it(request)) {
            request.awaited = false;
        }
        answer.lock().take()
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
    fn match_status(&mut self, id: Option<&str>) -> Option<Request> {
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
    /// Creates a request to add a subsession.
    pub(super) fn add(id: &str, command: Command) -> Self {
        Self::new(id, Kind::Add, command, true)
    }

    /// Creates a request to remove a subsession, which delays the others no longer than
    /// [`PendingRequests::removal_patience`].
    pub(super) fn remove(id: &str, command: Command) -> Self {
        Self::new(id, Kind::Remove, command, false)
    }

    pub(super) fn lookup(name: &str, command: Command) -> Self {
        Self::new(name, Kind::Lookup, command, true)
    }

    fn new(id: &str, kind: Kind, command: Command, awaited: bool) -> Self {
        Self {
            id: id.to_owned(),
            kind,
            command,
            awaited,
            answer: Monitor::new(None),
        }
    }

    pub(super) fn answer(&self) -> &PendingAnswer {
        &self.answer
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
        Some(Self::remove(&self.id, command))
    }

    fn fill(self, answer: Answer) {
        self.answer.update(|slot| *slot = Some(answer));
    }
}

/// Appends a value, and drops the oldest if there are too many.
fn push_bounded<T>(queue: &mut VecDeque<T>, value: T) {
    if queue.len() >= MAX_ABANDONED {
        queue.pop_front();
    }
    queue.push_back(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO: Result<(), Error> = Err(Error::WouldBlock);

    /// Pushes a request, and returns the place of its answer.
    fn push(requests: &mut PendingRequests, request: Request) -> PendingAnswer {
        let answer = Arc::clone(request.answer());
        requests.push(request);
        answer
    }

    fn add(requests: &mut PendingRequests, id: &str) -> PendingAnswer {
        push(requests, Request::add(id, command(&format!("ADD {id}"))))
    }

    fn remove(requests: &mut PendingRequests, id: &str) -> PendingAnswer {
        let command = Command::session_remove(id).unwrap();
        push(requests, Request::remove(id, command))
    }

    fn lookup(requests: &mut PendingRequests, name: &str) -> PendingAnswer {
        let command = Command::naming_lookup(name).unwrap();
        push(requests, Request::lookup(name, command))
    }

    fn command(text: &str) -> Command {
        Command::pong(text).unwrap()
    }

    fn next(requests: &mut PendingRequests, now: Instant) -> Option<String> {
        let line = requests.next(now)?.as_str().trim().to_owned();
        Some(line)
    }

    fn was_accepted(answer: &PendingAnswer) -> bool {
        matches!(answer.lock().take(), Some(Ok(_)))
    }

    #[test]
    fn requests_are_sent_one_at_a_time() {
        let (mut requests, now) = (PendingRequests::default(), Instant::now());
        let first = add(&mut requests, "one");
        let second = add(&mut requests, "two");
        assert_eq!(next(&mut requests, now).unwrap(), "PONG ADD one");
        assert_eq!(next(&mut requests, now), None);
        assert!(requests.answer_status(Some("one"), Ok(())));
        assert!(was_accepted(&first) && second.lock().is_none());
        assert_eq!(next(&mut requests, now).unwrap(), "PONG ADD two");
    }

    #[test]
    fn reply_without_id_answers_sent_request() {
        let (mut requests, now) = (PendingRequests::default(), Instant::now());
        let answer = add(&mut requests, "one");
        assert!(!requests.answer_status(None, Ok(())));
        assert!(requests.next(now).is_some());
        assert!(requests.answer_status(None, NO));
        assert!(matches!(answer.lock().take(), Some(Err(Error::WouldBlock))));
    }

    #[test]
    fn reply_with_id_of_another_answers_nothing() {
        let (mut requests, now) = (PendingRequests::default(), Instant::now());
        let answer = add(&mut requests, "one");
        assert!(requests.next(now).is_some());
        assert!(!requests.answer_status(Some("two"), Ok(())));
        assert!(answer.lock().is_none());
    }

    #[test]
    fn abandoned_request_not_sent_is_forgotten() {
        let (mut requests, now) = (PendingRequests::default(), Instant::now());
        let answer = add(&mut requests, "one");
        assert!(requests.abandon(&answer).is_none());
        assert_eq!(next(&mut requests, now), None);
    }

    #[test]
    fn abandoned_request_answered_before_returns_the_answer() {
        let (mut requests, now) = (PendingRequests::default(), Instant::now());
        let answer = add(&mut requests, "one");
        assert!(requests.next(now).is_some());
        assert!(requests.answer_status(None, Ok(())));
        assert!(matches!(requests.abandon(&answer), Some(Ok(None))));
    }

    #[test]
    fn abandoned_addition_that_succeeds_is_undone_first() {
        let (mut requests, now) = (PendingRequests::default(), Instant::now());
        let late = add(&mut requests, "one");
        let waiting = add(&mut requests, "two");
        assert!(requests.next(now).is_some());
        assert!(requests.abandon(&late).is_none());
        assert_eq!(next(&mut requests, now), None);
        assert!(requests.answer_status(Some("one"), Ok(())));
        assert_eq!(next(&mut requests, now).unwrap(), "SESSION REMOVE ID=one");
        assert!(waiting.lock().is_none());
    }

    #[test]
    fn late_reply_without_id_answers_abandoned_request() {
        let (mut requests, now) = (PendingRequests::default(), Instant::now());
        let late = add(&mut requests, "one");
        let waiting = add(&mut requests, "two");
        assert!(requests.next(now).is_some());
        assert!(requests.abandon(&late).is_none());
        let later = now + REQUEST_TIMEOUT;
        assert_eq!(next(&mut requests, later).unwrap(), "PONG ADD two");
        assert!(requests.answer_status(None, NO));
        assert!(waiting.lock().is_none());
        assert!(requests.answer_status(None, Ok(())));
        assert!(was_accepted(&waiting));
    }

    #[test]
    fn unanswered_removal_shortens_the_wait_for_the_next() {
        let (mut requests, now) = (PendingRequests::default(), Instant::now());
        for id in ["one", "two", "three"] {
            remove(&mut requests, id);
        }
        assert!(requests.next(now).is_some());
        let soon = now + COMMAND_GAP;
        assert!(requests.next(soon).is_none());
        let late = now + REQUEST_TIMEOUT;
        assert!(requests.next(late).is_some());
        assert_eq!(requests.removal_patience(), COMMAND_GAP);
        assert!(requests.next(late + COMMAND_GAP).is_some());
    }

    #[test]
    fn answered_removal_restores_the_wait() {
        let (mut requests, now) = (PendingRequests::default(), Instant::now());
        remove(&mut requests, "one");
        remove(&mut requests, "two");
        assert!(requests.next(now).is_some());
        assert!(requests.next(now + REQUEST_TIMEOUT).is_some());
        assert!(requests.answer_status(Some("one"), Ok(())));
        assert_eq!(requests.removal_patience(), REQUEST_TIMEOUT);
    }

    #[test]
    fn session_status_answers_no_lookup() {
        let (mut requests, now) = (PendingRequests::default(), Instant::now());
        let answer = lookup(&mut requests, "a.i2p");
        assert!(requests.next(now).is_some());
        assert!(!requests.answer_status(None, Ok(())));
        assert!(answer.lock().is_none());
    }

    #[test]
    fn naming_reply_of_another_name_answers_nothing() {
        let (mut requests, now) = (PendingRequests::default(), Instant::now());
        let answer = lookup(&mut requests, "a.i2p");
        assert!(requests.next(now).is_some());
        requests.answer_lookup(Some("ME"), || Err(Error::WouldBlock));
        assert!(answer.lock().is_none());
        requests.answer_lookup(Some("a.i2p"), || Err(Error::WouldBlock));
        assert!(matches!(answer.lock().take(), Some(Err(Error::WouldBlock))));
    }

    #[test]
    fn unanswered_lookup_counts_as_running_for_a_minute() {
        let (mut requests, now) = (PendingRequests::default(), Instant::now());
        let answer = lookup(&mut requests, "a.i2p");
        assert!(!requests.is_looking_up(now));
        assert!(requests.next(now).is_some());
        requests.abandon(&answer);
        assert!(requests.is_looking_up(now));
        assert!(!requests.is_looking_up(now + LONGEST_LOOKUP));
    }
}
