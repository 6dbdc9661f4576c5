use std::collections::VecDeque;
use std::sync::Arc;

use super::client::Client;
use super::profile::Facts;
use super::request::Request;
use super::sessions::{end_parts, ports, style_of, udp_target};
use super::state::{Session, State, Style};

/// The protocol number of streams.
const STREAMING: u8 = 6;

/// Carries out SESSION ADD and SESSION REMOVE. Returns false if the connection is at its end.
pub(super) fn obey(client: &mut Client, request: &Request) -> bool {
    let facts = &client.router.facts.sessions;
    let is_add = request.action() == "ADD";
    if !is_add && !facts.subsessions.removes {
        return true;
    }
    let Some(id) = request.filled("ID") else {
        return client.answer(facts.no_id, &[]);
    };
    if is_add && client.session.is_none() {
        return client.answer(facts.subsessions.no_session, &[]);
    }
    let parent = {
        let mut state = client.router.state.lock();
        let session = client.session.and_then(|serial| state.session(serial));
        session
            .filter(|session| session.style == Style::Primary)
            .map(|session| session.serial)
    };
    let Some(parent) = parent else {
        return client.answer(facts.subsessions.not_primary, &[]);
    };
    match is_add {
        true => add(client, request, id, parent),
        false => remove(client, id, parent),
    }
}

fn add(client: &Client, request: &Request, id: &str, parent: u64) -> bool {
    let facts = client.router.facts;
    let Some(named) = request.filled("STYLE") else {
        return client.answer(facts.sessions.no_style, &[]);
    };
    let fields = [("id", id), ("style", named)];
    let refuse =
        |answer, value: &str| client.answer(answer, &[fields[0], fields[1], ("value", value)]);
    let subsessions = &facts.sessions.subsessions;
    if is_taken(client, id) {
        return refuse(subsessions.duplicate_id, "");
    }
    if request.value("DESTINATION").is_some() {
        return refuse(subsessions.has_destination, "");
    }
    let style = match style_of(named, facts) {
        Some(Style::Primary) | None => return refuse(subsessions.unsupported_style, ""),
        Some(style) if style != Style::Stream && !subsessions.datagrams => {
            return refuse(subsessions.unsupported_style, "");
        }
        Some(style) => style,
    };
    let udp = udp_target(client, request);
    if style != Style::Stream && udp.is_none() {
        return refuse(subsessions.port_missing, "");
    }
    if let Some(port) = request
        .filled("LISTEN_PORT")
        .filter(|port| port.parse::<u16>().is_err())
    {
        return refuse(subsessions.bad_port, port);
    }
    let ports = ports(request);
    if style == Style::Raw && ports.listen_protocol == Some(STREAMING) {
        return refuse(subsessions.bad_protocol, "6");
    }
    let added = client.router.state.update(|state| {
        let new = Session {
            style,
            ports,
            udp,
            ..blank(state, id, parent).ok_or(String::new())?
        };
        if let Some(taken) = state
            .sessions
            .iter()
            .find(|other| collides(facts, other, &new))
        {
            return Err(format!(
                "{} and port {}",
                protocol(taken),
                taken.ports.listen
            ));
        }
        let key = new.key.clone();
        state.sessions.push(new);
        Ok(key)
    });
    match added {
        Ok(key) => confirm(client, "ADD", id, &key),
        Err(taken) if taken.is_empty() => false,
        Err(taken) => refuse(subsessions.duplicate_port, &taken),
    }
}

fn is_taken(client: &Client, id: &str) -> bool {
    let mut state = client.router.state.lock();
    state.listed(id).is_some() || state.leaked_ids.iter().any(|leaked| leaked == id)
}

/// Returns a subsession with the values of its primary session.
fn blank(state: &mut State, id: &str, parent: u64) -> Option<Session> {
    let serial = state.next_serial();
    let primary = state.session(parent)?;
    Some(Session {
        serial,
        id: id.to_owned(),
        listed: true,
        style: primary.style,
        destination: primary.destination.clone(),
        key: primary.key.clone(),
        control: Arc::clone(&primary.control),
        parent: Some(parent),
        ports: primary.ports,
        udp: None,
        reach: primary.reach,
        lost: false,
        accepts: VecDeque::new(),
        has_accepted: false,
        forward: None,
        callers: VecDeque::new(),
        phantoms: Vec::new(),
        streams: Vec::new(),
        encrypted: primary.encrypted.clone(),
        reader_key: primary.reader_key.clone(),
        forgotten: false,
        peers: Vec::new(),
    })
}

/// Returns true if two subsessions would receive the same.
fn collides(facts: &Facts, one: &Session, other: &Session) -> bool {
    if one.parent != other.parent || one.forgotten {
        return false;
    }
    if !facts.sessions.subsessions.streams_collide {
        // emissary has one subsession of each style for datagrams, and any number for streams.
        return one.style == other.style && one.style != Style::Stream;
    }
    protocol(one) == protocol(other) && one.ports.listen == other.ports.listen
}

pub(super) fn protocol(session: &Session) -> u8 {
    match session.style {
        Style::Stream | Style::Primary => STREAMING,
        Style::Datagram => 17,
        Style::Datagram2 => 19,
        Style::Datagram3 => 20,
        Style::Raw => session.ports.listen_protocol.unwrap_or(18),
    }
}

fn remove(client: &Client, id: &str, parent: u64) -> bool {
    let facts = &client.router.facts.sessions.subsessions;
    let removed = client.router.state.update(|state| {
        let mut sessions = state.sessions.iter();
        let index = sessions.position(|session| {
            session.parent == Some(parent) && !session.forgotten && session.id == id
        })?;
        Some(state.sessions.remove(index))
    });
    match removed {
        Some(session) => {
            let key = session.key.clone();
            if !facts.streams_survive_removal {
                end_parts(&client.router, session);
            }
            confirm(client, "REMOVE", id, &key)
        }
        None => client.answer(facts.unknown_id, &[("id", id)]),
    }
}

fn confirm(client: &Client, verb: &str, id: &str, key: &str) -> bool {
    let line = match client.router.facts.sessions.subsessions.reply_names_id {
        true => format!(r#"SESSION STATUS RESULT=OK ID="{id}" MESSAGE="{verb} {id}""#),
        false => format!("SESSION STATUS RESULT=OK DESTINATION={key}"),
    };
    client.link.send_line(&line)
}
