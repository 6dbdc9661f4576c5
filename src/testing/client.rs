use std::sync::Arc;

use super::answer::Answer;
use super::link::Link;
use super::router::Router;

/// One connection of a client, and what it has become.
pub(super) struct Client {
    pub(super) router: Arc<Router>,
    pub(super) link: Arc<Link>,
    /// The session whose control socket this is.
    pub(super) session: Option<u64>,
    /// The session whose FORWARD socket this is.
    pub(super) forwards: Option<u64>,
    pub(super) greeted: bool,
    /// A command was carried out.
    pub(super) settled: bool,
    /// The text of the PING that the client has not answered.
    pub(super) unanswered: Option<String>,
}

impl Client {
    pub(super) fn new(router: Arc<Router>, link: Arc<Link>) -> Self {
        Self {
            router,
            link,
            session: None,
            forwards: None,
            greeted: false,
            settled: false,
            unanswered: None,
        }
    }

    /// Gives an answer. Returns false if the connection is at its end.
    pub(super) fn answer(&self, answer: Answer, fields: &[(&str, &str)]) -> bool {
        answer.give(&self.link, fields)
    }
}
