use std::sync::Arc;

use super::client::Client;
use super::exchange::Exchange;
use super::fault::{Fault, Kind};
use super::link::Link;
use super::patience::Patience;
use super::profile::PingReply;
use super::request::{Malformed, Request};
use super::router::Router;
use super::{datagrams, dest, hello, naming, sessions, streams, subsessions, users};

/// Serves a connection until it ends.
pub(super) fn serve(router: Arc<Router>, link: Arc<Link>) {
    let mut client = Client::new(router, link);
    let patience = Patience::new();
    while let Some(line) = patience.next_line(&mut client) {
        if !obey(&mut client, &line) {
            break;
        }
    }
    // The last reply arrives before the connection closes.
    client.link.close_sending();
    sessions::end_of_connection(&client);
    streams::end_of_connection(&client);
    client.link.end();
}

/// Commits the faults that wait for this command, and carries it out. Returns false if the connection is at
/// its end.
fn obey(client: &mut Client, line: &str) -> bool {
    let faults = client.router.state.update(|state| {
        state.commands.push(line.to_owned());
        state.faults.take(line)
    });
    for fault in &faults {
        if let Some(goes_on) = commit(client, fault, line) {
            return goes_on;
        }
    }
    carry_out(client, line)
}

/// Commits a fault. Returns `None` if the router is to carry out the command.
fn commit(client: &mut Client, fault: &Fault, line: &str) -> Option<bool> {
    let link = Arc::clone(&client.link);
    match &fault.0 {
        Kind::Delay(time) => {
            client.router.wait(*time);
            None
        }
        Kind::Split(pieces) => {
            link.set_output(|output| output.pieces = Some(*pieces));
            None
        }
        Kind::CutAfter(bytes) => {
            link.set_output(|output| output.left = Some(*bytes));
            None
        }
        Kind::Reply(bytes) => Some(link.send(bytes)),
        Kind::ReplyAndClose(bytes) => {
            link.send(bytes);
            Some(false)
        }
        Kind::Close => Some(false),
        Kind::Silence => {
            while link.read(&mut [0; 1024]).is_ok_and(|read| read > 0) {}
            Some(false)
        }
        Kind::Script(script) => {
            let router = Arc::clone(&client.router);
            let mut proceed = |line: &str| carry_out(client, line);
            let mut exchange = Exchange::new(line, &link, &router, &mut proceed);
            script(&mut exchange);
            Some(exchange.goes_on())
        }
    }
}

/// Carries out a command as the router does. Returns false if the connection is at its end.
fn carry_out(client: &mut Client, line: &str) -> bool {
    let lines = &client.router.facts.lines;
    let request = match Request::read(line, lines) {
        Ok(request) => request,
        Err(Malformed { topic, reason }) => {
            return client.answer(lines.malformed, &[("topic", &topic), ("value", &reason)]);
        }
    };
    if !client.greeted {
        client.greeted = true;
        return hello::greet(client, request.as_ref());
    }
    match request {
        Some(request) => dispatch(client, &request),
        None => true,
    }
}

fn dispatch(client: &mut Client, request: &Request) -> bool {
    let facts = client.router.facts;
    let commands = &facts.commands;
    let topic = ("topic", request.topic.as_str());
    match (request.topic.as_str(), request.action.as_deref()) {
        ("PING", _) => pong(client, &request.text),
        ("PONG", _) => {
            if client.unanswered.as_ref() == Some(&request.text) {
                client.unanswered = None;
            }
            true
        }
        ("QUIT" | "STOP" | "EXIT", _) => {
            sessions::quit(client);
            client.answer(commands.quit, &[topic])
        }
        ("HELP", _) => client.answer(commands.help, &[topic]),
        ("HELLO", _) => client.answer(facts.hello.second, &[topic]),
        (_, None) => client.answer(commands.missing_action, &[topic]),
        ("SESSION", Some("ADD" | "REMOVE")) => subsessions::obey(client, request),
        ("SESSION", _) => sessions::obey(client, request),
        ("STREAM", _) => streams::obey(client, request),
        ("DATAGRAM" | "RAW", _) => datagrams::obey(client, request),
        ("NAMING", _) => naming::obey(client, request),
        ("DEST", _) => dest::obey(client, request),
        ("AUTH", _) if facts.hello.users => users::obey(client, request),
        _ => client.answer(commands.unknown, &[topic]),
    }
}

fn pong(client: &mut Client, text: &str) -> bool {
    let reply = match text {
        "" => "PONG".to_owned(),
        text => format!("PONG {text}"),
    };
    client.settled = true;
    match client.router.facts.commands.ping {
        PingReply::Pong => client.link.send_line(&reply),
        PingReply::PongAndClose if !text.is_empty() => {
            client.link.send_line(&reply);
            false
        }
        PingReply::PongAndClose | PingReply::Close => false,
        PingReply::Nothing => true,
    }
}
