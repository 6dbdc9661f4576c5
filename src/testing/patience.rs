use std::time::Instant;

use crate::wire::{Line, Version};

use super::answer::Answer;
use super::client::Client;
use super::link::is_timeout;
use super::state::State;

/// The time for which a router waits for the lines of a client, and its reaction when it is over.
pub(super) struct Patience {
    connected: Instant,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self {
            connected: Instant::now(),
        }
    }

    /// Returns the next line. While the client sends none, it receives PING, or loses its connection.
    pub(super) fn next_line(&self, client: &mut Client) -> Option<String> {
        let mut line = Vec::new();
        let mut waited = false;
        loop {
            let (deadline, expired) = self.limit(client);
            match client.link.read_line(&mut line, deadline) {
                Ok(Line::Complete) => break,
                Ok(Line::Unterminated | Line::End) => {
                    if !client.greeted && !line.is_empty() {
                        client.answer(client.router.facts.hello.broken, &[]);
                    }
                    return None;
                }
                // A line that does not end has the time of two.
                Err(error)
                    if is_timeout(&error) && client.greeted && !line.is_empty() && !waited =>
                {
                    waited = true;
                }
                Err(error) if is_timeout(&error) => {
                    let first = client.router.facts.commands.first;
                    let in_line = first.filter(|_| client.greeted && !line.is_empty());
                    let expired = in_line.map_or(expired, |(_, answer)| Expiry::End(answer));
                    if !expire(client, expired) {
                        return None;
                    }
                }
                Err(_) => return None,
            }
        }
        if line.len() >= client.router.facts.lines.longest {
            let answer = match client.greeted {
                true => client.router.facts.lines.too_long,
                false => client.router.facts.hello.broken,
            };
            client.answer(answer, &[]);
            return None;
        }
        drop_pipelined(client);
        let line = String::from_utf8_lossy(&line);
        Some(line.trim_end_matches('\r').to_owned())
    }

    /// Returns the end of the wait for a line, and what happens then.
    fn limit(&self, client: &Client) -> (Option<Instant>, Expiry) {
        let facts = client.router.facts;
        let router = &client.router;
        let first = |time| self.connected.checked_add(router.scaled_for_line(time));
        if !client.greeted {
            let limit = facts.hello.limit;
            return match limit {
                Some((time, answer)) => (first(time), Expiry::End(answer)),
                None => (None, Expiry::Ping),
            };
        }
        if let (Some((time, answer)), false) = (facts.commands.first, client.settled) {
            // Java sends PING instead to those who know it.
            let pings = facts.commands.pings.is_some() && client.link.version() >= Version::V3_2;
            if !pings {
                return (first(time), Expiry::End(answer));
            }
        }
        match facts.commands.pings {
            Some(time) if client.link.version() >= Version::V3_2 => (
                Instant::now().checked_add(router.scaled(time)),
                Expiry::Ping,
            ),
            _ => (None, Expiry::Ping),
        }
    }
}

/// A router that reads HELLO alone loses what came with it.
fn drop_pipelined(client: &Client) {
    if client.greeted || client.router.facts.lines.pipelines {
        return;
    }
    let socket = client.link.socket();
    if socket.set_nonblocking(true).is_ok() {
        let _ = client.link.read(&mut [0; 8192]);
        let _ = socket.set_nonblocking(false);
    }
}

/// Returns false if the connection is at its end.
fn expire(client: &mut Client, expiry: Expiry) -> bool {
    match expiry {
        Expiry::End(answer) => {
            client.answer(answer, &[]);
            false
        }
        Expiry::Ping if client.unanswered.is_some() => {
            client.answer(Answer::Last(PONG_TIMEOUT), &[]);
            false
        }
        Expiry::Ping => {
            let number = client.router.state.update(State::next_serial);
            client.unanswered = Some(number.to_string());
            client.link.send_line(&format!("PING {number}"))
        }
    }
}

/// The reply of Java I2P to a client that does not answer its PING.
const PONG_TIMEOUT: &str = r#"SESSION STATUS RESULT=I2P_ERROR MESSAGE="PONG timeout""#;

#[derive(Clone, Copy)]
enum Expiry {
    Ping,
    End(Answer),
}
