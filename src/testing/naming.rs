use crate::address::{Destination, Host, SignatureType};

use super::client::Client;
use super::keys;
use super::profile::{Destinations, Me};
use super::request::Request;
use super::state::State;

/// The outcome of a lookup.
pub(super) enum Found {
    Destination(Destination),
    Unknown,
    /// The text is no name of this router.
    Malformed,
}

/// Carries out NAMING LOOKUP. Returns false if the connection is at its end.
pub(super) fn obey(client: &mut Client, request: &Request) -> bool {
    let facts = &client.router.facts.naming;
    if request.action() != "LOOKUP" {
        return client.answer(facts.unknown_action, &[]);
    }
    let name = match (request.value("NAME"), facts.empty_name) {
        (None, _) => return client.answer(facts.no_name, &[]),
        (Some(""), Some(name)) => name,
        (Some(name), _) => name,
    };
    client.settled = true;
    if name == "ME" {
        return me(client, request);
    }
    let has_session = client.session.or(client.forwards).is_some();
    let found = {
        let mut state = client.router.state.lock();
        let hidden = match name.parse::<Host>() {
            Ok(Host::B32(_) | Host::B33(_)) => !facts.b32_without_session,
            _ => !facts.names_without_session,
        };
        match () {
            () if !has_session && hidden => Found::Unknown,
            () if state.router_gone => Found::Unknown,
            () => find(&mut state, name),
        }
    };
    let field = [("name", name)];
    match found {
        Found::Destination(destination) if !is_found(client, name, &destination) => {
            client.answer(facts.malformed, &field)
        }
        Found::Destination(destination) => reply(client, request, name, &destination),
        Found::Unknown => client.answer(facts.unknown, &field),
        Found::Malformed => client.answer(facts.malformed, &field),
    }
}

/// Returns false if the name is a whole destination, and the router does not reply to that.
fn is_found(client: &Client, name: &str, destination: &Destination) -> bool {
    let whole = name.parse::<Destination>().is_ok();
    match client.router.facts.naming.destinations {
        Destinations::Found => true,
        Destinations::FoundIfOnline if whole => client.router.state.lock().is_online(destination),
        Destinations::FoundIfOnline => true,
        Destinations::Malformed => !whole,
    }
}

/// Finds the destination that a command names: by itself, by its b32, or by a name of the address book.
pub(super) fn find(state: &mut State, name: &str) -> Found {
    if let Ok(destination) = name.parse::<Destination>() {
        return Found::Destination(destination);
    }
    let lower = name.to_ascii_lowercase();
    if let Some(host) = state.hosts.get(&lower) {
        return Found::Destination(host.destination.clone());
    }
    let found = match lower.parse::<Host>() {
        Ok(Host::B32(b32)) => state.published(&b32),
        Ok(_) if lower.ends_with(".i2p") => None,
        _ => return Found::Malformed,
    };
    found.map_or(Found::Unknown, Found::Destination)
}

fn me(client: &mut Client, request: &Request) -> bool {
    let serial = client.session.or(client.forwards);
    let destination = {
        let mut state = client.router.state.lock();
        let own = serial.and_then(|serial| state.session(serial));
        own.map(|session| session.destination.clone())
    };
    if let Some(destination) = destination {
        return reply(client, request, "ME", &destination);
    }
    match client.router.facts.naming.me_without_session {
        Me::Close => false,
        Me::Unknown => client.answer(client.router.facts.naming.unknown, &[("name", "ME")]),
        Me::Shared => {
            let shared = {
                let mut state = client.router.state.lock();
                let key = keys::generate(&mut state.random, SignatureType::Ed25519);
                let new = key.ok().map(|key| key.destination().clone());
                state.shared = state.shared.take().or(new);
                state.shared.clone()
            };
            shared.is_some_and(|shared| reply(client, request, "ME", &shared))
        }
    }
}

fn reply(client: &Client, request: &Request, name: &str, destination: &Destination) -> bool {
    let mut line = format!("NAMING REPLY RESULT=OK NAME={name} VALUE={destination}");
    if client.router.facts.naming.options && request.is_true("OPTIONS") {
        let state = client.router.state.lock();
        let hosts = state.hosts.values();
        let host = hosts.filter(|host| host.destination == *destination);
        for (key, value) in host.flat_map(|host| &host.options) {
            line.push_str(&format!(r#" OPTION:{key}="{value}""#));
        }
    }
    client.link.send_line(&line)
}
