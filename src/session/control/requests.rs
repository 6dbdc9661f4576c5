use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::bridge::Lookup;
use crate::error::{Error, Phase, Refusal};
use crate::session::control::pending_requests::{Answer, PendingAnswer, Request};
use crate::session::control::socket::ControlSocket;
use crate::sync::Call;
use crate::wire::{Command, Message, ParseError, ParseErrorKind, ResultCode};

impl ControlSocket {
    /// Adds a subsession with this command, after the requests of other threads.
    pub(crate) fn add_subsession(
        self: &Arc<Self>,
        id: &str,
        command: Command,
        call: &Call,
    ) -> Result<(), Error> {
        let answer = self.await_answer(Request::add(id, command), call);
        answer.map(drop)
    }

    /// Looks up a name with this command, after the requests of other threads.
    pub(crate) fn look_up(
        self: &Arc<Self>,
        name: &str,
        command: Command,
        call: &Call,
    ) -> Result<Lookup, Error> {
        let found = self.await_answer(Request::lookup(name, command), call)?;
        let missing = ParseError::new(ParseErrorKind::MissingPair, 0);
        found.ok_or_else(|| Error::protocol(call.phase(), missing))
    }

    /// Removes a subsession, after the requests before. It does not wait.
    pub(crate) fn remove_subsession(self: &Arc<Self>, id: &str, command: Command) -> PendingAnswer {
        self.submit(Request::remove(id, command))
    }

    /// Returns the time to wait for the answer to a removal: very short if the bridge left one
    /// unanswered.
    pub(crate) fn removal_patience(&self) -> Duration {
        self.requests().lock().removal_patience()
    }

    /// Handles a SESSION STATUS. Returns true if it answers a request.
    pub(super) fn handle_status(self: &Arc<Self>, code: ResultCode, message: &Message<'_>) -> bool {
        let id = message.value("ID").map(|id| id.unescape().into_owned());
        let outcome = match code {
            ResultCode::Ok => Ok(()),
            code => Err(Refusal::new(Phase::SessionAdd, code, message).into()),
        };
        let answered = self.requests().lock().answer_status(id.as_deref(), outcome);
        if answered {
            self.send_next();
        }
        answered
    }

    /// Handles a NAMING REPLY. It ignores one that answers no request.
    pub(super) fn handle_lookup_reply(self: &Arc<Self>, code: ResultCode, message: &Message<'_>) {
        let name = message.value("NAME").map(|name| name.unescape());
        let found = || match code {
            ResultCode::Ok => Lookup::from_reply(message),
            code => Err(Refusal::new(Phase::Lookup, code, message).into()),
        };
        self.requests().lock().answer_lookup(name.as_deref(), found);
        self.send_next();
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
                let arrived = self.requests().lock().abandon(&answer);
                return arrived.unwrap_or(Err(error));
            }
            // The request that delayed it may be abandoned by now.
            self.send_next();
        }
    }

    fn submit(self: &Arc<Self>, request: Request) -> PendingAnswer {
        let answer = Arc::clone(request.answer());
        self.requests().lock().push(request);
        self.send_next();
        answer
    }

    /// Sends the next request, unless one waits for its answer.
    fn send_next(self: &Arc<Self>) {
        let Some(command) = self.requests().lock().next(Instant::now()) else {
            return;
        };
        if let Err(loss) = self.send(command) {
            self.fail(loss);
        }
    }
}
