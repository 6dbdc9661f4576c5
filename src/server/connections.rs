use std::collections::BTreeMap;
use std::net::Shutdown;

use crate::server::ServerStats;
use crate::stream::SamStream;
use crate::sync::Deadline;

/// The connections of a server, and their results.
#[derive(Default)]
pub(super) struct Connections {
    /// The streams that may still be used, in the order of arrival, which is that of their deadlines.
    streams: BTreeMap<u64, Open>,
    stats: ServerStats,
}

struct Open {
    stream: SamStream,
    deadline: Deadline,
}

/// The result of a handler.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Served,
    Failed,
    Panicked,
}

impl Connections {
    pub(super) fn stats(&self) -> ServerStats {
        self.stats
    }

    /// Adds a connection, and returns its number.
    pub(super) fn add(&mut self, stream: SamStream, deadline: Deadline) -> u64 {
        let number = self.stats.accepted;
        self.stats.accepted += 1;
        self.stats.open += 1;
        self.stats.most_at_once = self.stats.most_at_once.max(self.stats.open);
        self.streams.insert(number, Open { stream, deadline });
        number
    }

    /// Takes out the stream of a connection, unless the server has ended it. The caller drops it without a
    /// lock, before it frees the connection's place: the limit is one of sockets too.
    pub(super) fn take_stream(&mut self, number: u64) -> Option<SamStream> {
        self.streams.remove(&number).map(|open| open.stream)
    }

    /// Frees the place of a connection. A connection that the server ended has been counted.
    pub(super) fn free(&mut self, outcome: Option<Outcome>) {
        self.stats.open -= 1;
        match outcome {
            None => {}
            Some(Outcome::Served) => self.stats.served += 1,
            Some(Outcome::Failed) => self.stats.failed += 1,
            Some(Outcome::Panicked) => self.stats.panicked += 1,
        }
    }

    /// Returns true if the server has not ended the stream of a connection.
    pub(super) fn has_stream(&self, number: u64) -> bool {
        self.streams.contains_key(&number)
    }

    /// Shuts down the streams whose time has expired, and returns them with the next deadline. It does not
    /// block.
    pub(super) fn end_overdue(&mut self) -> (Vec<SamStream>, Deadline) {
        let mut ended = Vec::new();
        while let Some(first) = self.streams.first_entry() {
            if !first.get().deadline.has_passed() {
                return (ended, first.get().deadline);
            }
            let stream = first.remove().stream;
            end(&stream);
            ended.push(stream);
            self.stats.timed_out += 1;
        }
        (ended, Deadline::NEVER)
    }

    /// Shuts all streams down.
    pub(super) fn cut_off(&mut self) {
        for open in std::mem::take(&mut self.streams).into_values() {
            end(&open.stream);
            self.stats.cut_off += 1;
        }
    }
}

fn end(stream: &SamStream) {
    // It fails only if there is no connection any more.
    let _ = stream.shutdown(Shutdown::Both);
}
