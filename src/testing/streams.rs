use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::address::{Destination, Host};
use crate::sync::Deadline;

use super::answer::Answer;
use super::client::Client;
use super::naming::{self, Found};
use super::pairing::{self, Delivery};
use super::profile::{AcceptWhileForwarding, PrimaryAccept};
use super::request::Request;
use super::sessions;
use super::state::{Accept, Caller, Forward, Ports, Style};

/// The reply of a router whose session has ended behind its bridge.
const SESSION_CLOSED: &str = r#"RESULT=I2P_ERROR MESSAGE="Session is closed""#;

/// The time until the bridge has noticed that a FORWARD socket was closed.
const LAST_FORWARDING: Duration = Duration::from_millis(200);

/// Carries out a STREAM command. Returns false if the connection is at its end.
pub(super) fn obey(client: &mut Client, request: &Request) -> bool {
    let facts = client.router.facts;
    let (action, value) = (request.action(), [("value", request.action())]);
    if !matches!(action, "ACCEPT" | "CONNECT" | "FORWARD") {
        return client.answer(facts.streams.unknown_action, &value);
    }
    if client.session.or(client.forwards).is_some() {
        return client.answer(facts.sessions.stream_on_control_socket, &[]);
    }
    let malformed = request.filled("DESTINATION").filter(|name| {
        let found = naming::find(&mut client.router.state.lock(), name);
        facts.streams.destination_first && matches!(found, Found::Malformed)
    });
    if malformed.is_some() {
        return client.answer(facts.streams.malformed_destination, &[]);
    }
    let Some(id) = request.filled("ID") else {
        return client.answer(facts.streams.no_id, &[]);
    };
    let id = id.to_owned();
    let found = {
        let mut state = client.router.state.lock();
        let session = state.listed(&id);
        session.map(|session| {
            let is_subsession = session.parent.is_some();
            (session.serial, session.style, is_subsession, session.lost)
        })
    };
    let fields = [("id", id.as_str())];
    let Some((serial, style, is_subsession, lost)) = found else {
        return client.answer(facts.streams.unknown_id, &fields);
    };
    client.settled = true;
    if lost {
        return router_gone(client, serial, is_subsession, &fields);
    }
    match (style, action) {
        (Style::Stream, "ACCEPT") => accept(client, request, serial),
        (Style::Stream, "CONNECT") => connect(client, request, serial),
        (Style::Stream, _) => forward(client, request, serial),
        (Style::Primary, "ACCEPT") => match facts.streams.primary_accept {
            PrimaryAccept::Refused(answer) => client.answer(answer, &fields),
            PrimaryAccept::AfterOk(line) => {
                client.link.send_line("STREAM STATUS RESULT=OK");
                client.link.send_line(line);
                false
            }
        },
        (Style::Primary, _) => client.answer(facts.streams.primary_connect, &fields),
        _ => client.answer(facts.streams.not_stream, &fields),
    }
}

/// Ends what belongs to a FORWARD socket that has ended.
pub(super) fn end_of_connection(client: &Client) {
    let Some(serial) = client.forwards else {
        return;
    };
    if !client.router.facts.streams.forward.ends_with_socket {
        return;
    }
    client.router.state.update(|state| {
        let Some(session) = state.session(serial) else {
            return;
        };
        let own = |forward: &Forward| Arc::ptr_eq(&forward.link, &client.link);
        if session.forward.as_ref().is_some_and(own) {
            session.forward = None;
        }
    });
}

/// The first STREAM command after the router has gone ends its session.
fn router_gone(client: &Client, serial: u64, is_subsession: bool, fields: &[(&str, &str)]) -> bool {
    if is_subsession {
        return client.answer(client.router.facts.streams.unknown_id, fields);
    }
    client
        .link
        .send_line(&format!("STREAM STATUS {SESSION_CLOSED}"));
    let control = {
        let mut state = client.router.state.lock();
        state
            .session(serial)
            .map(|session| Arc::clone(&session.control))
    };
    sessions::end(&client.router, serial, false);
    if let Some(control) = control {
        control.send_line(&format!("SESSION STATUS {SESSION_CLOSED}"));
        control.close();
    }
    false
}

fn accept(client: &mut Client, request: &Request, serial: u64) -> bool {
    let facts = &client.router.facts.streams;
    let silent = request.is_true("SILENT");
    let forwards = {
        let mut state = client.router.state.lock();
        state
            .session(serial)
            .is_some_and(|session| session.forward.is_some())
    };
    if forwards {
        match facts.forward.accept_meanwhile {
            AcceptWhileForwarding::Refused(answer) => return client.answer(answer, &[]),
            AcceptWhileForwarding::AfterOk(line) => {
                client.link.send_line("STREAM STATUS RESULT=OK");
                client.link.send_line(line);
                return false;
            }
            AcceptWhileForwarding::Pends => {}
        }
    }
    let router = Arc::clone(&client.router);
    let accept = Accept {
        link: Arc::clone(&client.link),
        since: Instant::now(),
        silent,
    };
    let mut phantom = None;
    // Accepts are taken in the order in which they were answered.
    let (caller, colliding) = router.state.update(|state| {
        let Some(session) = state.session(serial) else {
            return (None, vec![Arc::clone(&client.link)]);
        };
        session.has_accepted = true;
        phantom = pairing::phantom(&router, session);
        if phantom.is_some() {
            return (None, Vec::new());
        }
        let colliding = pairing::collide(&router, session);
        match session.callers.pop_front() {
            Some(caller) => (Some(caller), colliding),
            None => {
                session.accepts.push_back(accept);
                (None, colliding)
            }
        }
    });
    colliding.iter().for_each(|link| link.close());
    if !silent {
        client.link.send_line("STREAM STATUS RESULT=OK");
    }
    client.link.set_replied();
    if let Some(header) = phantom {
        client.link.send_line(&header);
        while client.link.read(&mut [0; 1024]).is_ok_and(|read| read > 0) {}
        return false;
    }
    if let Some(caller) = caller {
        pairing::join(&router, serial, &client.link, silent, &caller);
    }
    wait_for_caller(client, serial);
    false
}

/// Waits until the accept is taken, and carries the stream.
fn wait_for_caller(client: &Client, serial: u64) {
    let (router, link) = (&client.router, &client.link);
    let open = link.wait_for_bytes();
    let is_own = |accept: &Accept| Arc::ptr_eq(&accept.link, link);
    if !open && !router.facts.streams.dead_accepts_take_callers {
        router.state.update(|state| {
            if let Some(session) = state.session(serial) {
                session.accepts.retain(|accept| !is_own(accept));
            }
        });
    }
    pairing::wait_for_pairing(router, serial, link, Deadline::NEVER);
    pairing::carry(router, link);
}

fn connect(client: &mut Client, request: &Request, serial: u64) -> bool {
    let facts = &client.router.facts.streams;
    let Some(name) = request.filled("DESTINATION") else {
        return client.answer(facts.no_destination, &[]);
    };
    let silent = request.is_true("SILENT");
    let fails = |answer: Answer, value: &str| match silent && !facts.silent_failures {
        true => false,
        false => client.answer(answer, &[("name", name), ("value", value)]),
    };
    for key in ["FROM_PORT", "TO_PORT"] {
        match request.filled(key).map(|port| (port, port.parse::<u32>())) {
            Some((port, Err(_))) => return fails(facts.bad_port, port),
            Some((port, Ok(65_536..))) => return fails(facts.huge_port, port),
            _ => {}
        }
    }
    let destination = match find(client, name, serial) {
        Ok(destination) => destination,
        Err(answer) => return fails(answer, ""),
    };
    let Some(caller) = caller(client, request, serial) else {
        return false;
    };
    if caller.destination == destination
        && let Some(answer) = facts.own_destination
    {
        return fails(answer, "");
    }
    match pairing::deliver(&client.router, &destination, caller) {
        Delivery::Joined => {
            pairing::carry(&client.router, &client.link);
            false
        }
        Delivery::Refused => fails(facts.refused, ""),
        Delivery::Unreachable => {
            let by_name = matches!(name.parse(), Ok(Host::Name(_)));
            let by_name = facts.unreachable_name.filter(|_| by_name);
            let (time, answer) = by_name.unwrap_or(facts.unreachable);
            client.router.rest(time) && fails(answer, "")
        }
        Delivery::Over => false,
    }
}

/// Returns the destination that a dial names, or the answer to its failure.
fn find(client: &Client, name: &str, serial: u64) -> Result<Destination, Answer> {
    let facts = &client.router.facts.streams;
    let host = name.to_ascii_lowercase().parse::<Host>();
    let mut state = client.router.state.lock();
    if let Ok(Host::B33(b33)) = &host {
        let key = state
            .session(serial)
            .and_then(|session| session.reader_key.clone());
        let found = state.encrypted(b33, key.as_deref());
        return found.filter(|_| facts.encrypted).ok_or(facts.unknown_b32);
    }
    match naming::find(&mut state, name) {
        Found::Destination(destination) => Ok(destination),
        Found::Malformed => Err(facts.malformed_destination),
        Found::Unknown => Err(match host {
            Ok(Host::B32(_)) => facts.unknown_b32,
            _ => facts.unknown_name,
        }),
    }
}

fn caller(client: &Client, request: &Request, serial: u64) -> Option<Caller> {
    let facts = client.router.facts;
    let port = |key| {
        request
            .filled(key)
            .and_then(|port| port.parse::<u16>().ok())
    };
    let mut state = client.router.state.lock();
    let session = state.session(serial)?;
    session.streams.push(Arc::downgrade(&client.link));
    let own = match session.parent.is_none() || facts.sessions.subsessions.ports_of_streams {
        true => session.ports,
        false => Ports::default(),
    };
    Some(Caller {
        link: Arc::clone(&client.link),
        destination: session.destination.clone(),
        from_port: port("FROM_PORT").unwrap_or(own.from),
        to_port: port("TO_PORT").unwrap_or(own.to),
        silent: request.is_true("SILENT"),
        answered: false,
    })
}

/// Waits a moment for the end of a forwarding whose client has just closed its socket.
fn wait_for_last_forwarding(client: &Client, serial: u64) {
    let soon = Deadline::after(Some(LAST_FORWARDING));
    client.router.state.wait_until(soon, |state| {
        let session = state.session(serial);
        let ended = session.is_none_or(|session| session.forward.is_none());
        ended.then_some(())
    });
}

fn forward(client: &mut Client, request: &Request, serial: u64) -> bool {
    let facts = &client.router.facts.streams.forward;
    let Some(port) = request.filled("PORT") else {
        return client.answer(facts.no_port, &[]);
    };
    let Ok(number) = port.parse::<u16>() else {
        return client.answer(facts.bad_port, &[("value", port)]);
    };
    let host = request
        .filled("HOST")
        .and_then(|host| host.parse::<IpAddr>().ok());
    let Some(host) = host.or_else(|| Some(client.link.peer_addr().ok()?.ip())) else {
        return false;
    };
    let new = Forward {
        link: Arc::clone(&client.link),
        target: SocketAddr::new(host, number),
        silent: request.is_true("SILENT"),
        works: true,
    };
    let (target, silent) = (new.target, new.silent);
    if facts.ends_with_socket {
        wait_for_last_forwarding(client, serial);
    }
    let outcome = client.router.state.update(|state| {
        let Some(session) = state.session(serial) else {
            return Ok(Default::default());
        };
        let accepts = facts.never_after_accept && session.has_accepted;
        if accepts || !session.accepts.is_empty() {
            return Err(facts.while_accepting);
        }
        if let Some(first) = &mut session.forward {
            first.works = !facts.second_ends_first;
            return Err(facts.second);
        }
        session.forward = Some(new);
        Ok(std::mem::take(&mut session.callers))
    });
    let callers = match outcome {
        Ok(callers) => callers,
        Err(answer) => return client.answer(answer, &[]),
    };
    for caller in &callers {
        pairing::forward(&client.router, serial, target, silent, caller);
    }
    client.forwards = Some(serial);
    client.link.send_line("STREAM STATUS RESULT=OK")
}
