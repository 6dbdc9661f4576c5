use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::address::{Destination, PrivateKey, SignatureType};

use super::answer::Answer;
use super::client::Client;
use super::dest::{new_key, signature_type};
use super::link::Link;
use super::profile::{AcceptsEnd, DuplicateDestination, Facts, KeyRest, Signatures, Support};
use super::request::Request;
use super::router::Router;
use super::state::{Encrypted, Ended, Ports, Reach, Session, State, Style};

/// The steps in which i2pd looks whether a session is ready.
const CREATION_STEP: Duration = Duration::from_secs(3);

/// The most tunnels of a session.
const MOST_TUNNELS: u32 = 16;

/// The time until an i2pd ends that was asked for a session that it cannot have.
pub(super) const ZOMBIE_TO_ABORT: Duration = Duration::from_secs(10);

/// Carries out a SESSION command. Returns false if the connection is at its end.
pub(super) fn obey(client: &mut Client, request: &Request) -> bool {
    match request.action() {
        "CREATE" => create(client, request),
        _ => client.answer(client.router.facts.sessions.unknown_action, &[]),
    }
}

/// A session that a client requests.
struct Wanted {
    id: String,
    style: Style,
    key: PrivateKey,
    transient: bool,
    ports: Ports,
    udp: Option<SocketAddr>,
    encrypted: Option<Encrypted>,
    reader_key: Option<String>,
}

fn create(client: &mut Client, request: &Request) -> bool {
    let facts = &client.router.facts.sessions;
    if client.session.is_some() {
        if let (true, Some(id)) = (facts.duplicate_id_unlists, request.value("ID"))
            && let Some(session) = client.router.state.lock().listed(id)
        {
            session.listed = false;
        }
        return client.answer(facts.second_on_socket, &[]);
    }
    let wanted = match want(client, request) {
        Ok(wanted) => wanted,
        Err(Refusal::Answer(answer, value)) => {
            return client.answer(answer, &[("value", &value)]);
        }
        Err(Refusal::Crash) => {
            client.router.stop();
            return false;
        }
    };
    let reach = match claim(client, &wanted) {
        Ok(reach) => reach,
        Err(answer) => return client.answer(answer, &[]),
    };
    client.settled = true;
    if reach != Reach::Zombie && !client.router.wait(creation_time(client, &wanted)) {
        return false;
    }
    let key = wanted.key.expose_base64();
    let serial = client.router.state.update(|state| {
        if !state.running {
            return None;
        }
        let serial = state.next_serial();
        state
            .sessions
            .push(session(serial, wanted, &key, &client.link, reach));
        Some(serial)
    });
    client.session = serial;
    serial.is_some()
        && client
            .link
            .send_line(&format!("SESSION STATUS RESULT=OK DESTINATION={key}"))
}

fn session(serial: u64, wanted: Wanted, key: &str, control: &Arc<Link>, reach: Reach) -> Session {
    Session {
        serial,
        id: wanted.id,
        listed: true,
        style: wanted.style,
        destination: wanted.key.destination().clone(),
        key: key.to_owned(),
        control: Arc::clone(control),
        parent: None,
        ports: wanted.ports,
        udp: wanted.udp,
        reach,
        lost: false,
        accepts: VecDeque::new(),
        has_accepted: false,
        forward: None,
        callers: VecDeque::new(),
        phantoms: Vec::new(),
        streams: Vec::new(),
        encrypted: wanted.encrypted,
        reader_key: wanted.reader_key,
        forgotten: false,
        peers: Vec::new(),
    }
}

/// Why a session is not created.
enum Refusal {
    /// The answer, and the value that it names.
    Answer(Answer, String),
    /// The process of the router ends.
    Crash,
}

impl From<Answer> for Refusal {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer, String::new())
    }
}

fn want(client: &Client, request: &Request) -> Result<Wanted, Refusal> {
    let facts = client.router.facts;
    let sessions = &facts.sessions;
    let id = request.filled("ID").ok_or(sessions.no_id);
    let style = request.filled("STYLE").ok_or(sessions.no_style);
    // i2pd looks at the style first, Java at the id.
    let (id, named) = match facts.lines.quotes {
        true => (id?, style?),
        false => {
            let named = style?;
            style_of(named, facts).ok_or(sessions.unknown_style)?;
            (id?, named)
        }
    };
    if id.contains(|char| sessions.bad_id_characters.contains(char)) {
        return Err(sessions.bad_id.into());
    }
    let destination = request
        .filled("DESTINATION")
        .ok_or(sessions.no_destination)?;
    let style = style_of(named, facts).ok_or(sessions.unknown_style)?;
    if let (Style::Primary, Some(_), Some(answer)) =
        (style, request.value("PORT"), sessions.primary_port)
    {
        return Err(answer.into());
    }
    if sessions.needs_hops && (has_no_hops(request) || has_many_tunnels(request)) {
        return Err(Answer::Nothing.into());
    }
    if let Some(kind) = unsupported_encryption(request, sessions.encryption) {
        return Err(Refusal::Answer(sessions.unsupported_encryption, kind));
    }
    let udp = udp_target(client, request);
    let is_datagram = !matches!(style, Style::Stream | Style::Primary);
    if is_datagram && udp.is_none() && !facts.datagrams.control_socket {
        return Err(Answer::Nothing.into());
    }
    let transient = destination == "TRANSIENT";
    let key = match transient {
        true => transient_key(client, request)?,
        false => destination.parse().map_err(|_| sessions.invalid_key)?,
    };
    Ok(Wanted {
        id: id.to_owned(),
        style,
        key,
        transient,
        ports: ports(request),
        udp,
        encrypted: encrypted(request),
        reader_key: request.filled("i2cp.leaseSetPrivKey").map(str::to_owned),
    })
}

/// Reads the options of an encrypted lease set. A peer with a key pair cannot be distinguished from another
/// without cryptography, so none is let in.
fn encrypted(request: &Request) -> Option<Encrypted> {
    (request.value("i2cp.leaseSetType") == Some("5")).then_some(())?;
    match request.filled("i2cp.leaseSetAuthType") {
        None | Some("0") => Some(Encrypted::Open),
        Some(_) => {
            let shared = request.values("i2cp.leaseSetClient.psk.");
            let keys = shared.filter_map(|client| client.split_once(':'));
            Some(Encrypted::Shared(
                keys.map(|(_, key)| key.to_owned()).collect(),
            ))
        }
    }
}

/// Returns the first encryption type that the router does not support.
fn unsupported_encryption(request: &Request, supported: &[&str]) -> Option<String> {
    let mut kinds = request.filled("i2cp.leaseSetEncType")?.split(',');
    let kind = kinds.find(|kind| !supported.is_empty() && !supported.contains(kind))?;
    Some(kind.to_owned())
}

fn has_no_hops(request: &Request) -> bool {
    let none = |key| request.value(key) == Some("0");
    none("inbound.length") && none("outbound.length")
}

fn has_many_tunnels(request: &Request) -> bool {
    let many = |key| {
        let quantity = request
            .filled(key)
            .and_then(|value| value.parse::<u32>().ok());
        quantity.is_some_and(|quantity| quantity > MOST_TUNNELS)
    };
    many("inbound.quantity") || many("outbound.quantity")
}

fn transient_key(client: &Client, request: &Request) -> Result<PrivateKey, Refusal> {
    let facts = &client.router.facts.commands;
    let named = request.filled("SIGNATURE_TYPE");
    let signature_type = match (signature_type(named), &facts.signatures) {
        (_, Signatures::Ed25519) => SignatureType::Ed25519,
        (Some(signature_type), _) => signature_type,
        (None, Signatures::Known { .. }) => {
            let value = named.unwrap_or_default().to_owned();
            return Err(Refusal::Answer(Answer::Line(UNSUPPORTED_SIGNATURE), value));
        }
        (None, Signatures::KnownOrCrash) => return Err(Refusal::Crash),
    };
    let key = new_key(&client.router, signature_type);
    key.ok_or(client.router.facts.sessions.invalid_key.into())
}

const UNSUPPORTED_SIGNATURE: &str =
    r#"SESSION STATUS RESULT=I2P_ERROR MESSAGE="SIGNATURE_TYPE {value} unsupported""#;

pub(super) fn style_of(name: &str, facts: &Facts) -> Option<Style> {
    let supported = |support, style| (support != Support::No).then_some(style);
    match name {
        "STREAM" => Some(Style::Stream),
        "DATAGRAM" => Some(Style::Datagram),
        "RAW" => Some(Style::Raw),
        "DATAGRAM2" => supported(facts.datagrams.datagram2, Style::Datagram2),
        "DATAGRAM3" => supported(facts.datagrams.datagram3, Style::Datagram3),
        name if facts.sessions.primary_styles.contains(&name) => Some(Style::Primary),
        _ => None,
    }
}

pub(super) fn ports(request: &Request) -> Ports {
    let number = |key| {
        request
            .filled(key)
            .and_then(|value| value.parse::<u16>().ok())
    };
    let protocol = |key| {
        request
            .filled(key)
            .and_then(|value| value.parse::<u8>().ok())
    };
    let from = number("FROM_PORT").unwrap_or(0);
    Ports {
        from,
        to: number("TO_PORT").unwrap_or(0),
        protocol: protocol("PROTOCOL"),
        listen: number("LISTEN_PORT").unwrap_or(from),
        listen_protocol: protocol("LISTEN_PROTOCOL"),
        header: request.is_true("HEADER"),
    }
}

/// Returns the address for datagrams: the host is the client's if it names none.
pub(super) fn udp_target(client: &Client, request: &Request) -> Option<SocketAddr> {
    let port = request.filled("PORT")?.parse().ok()?;
    let host: IpAddr = match request.filled("HOST") {
        Some(host) => host.parse().ok()?,
        None if client.router.facts.datagrams.needs_host => return None,
        None => client.link.peer_addr().ok()?.ip(),
    };
    Some(SocketAddr::new(host, port))
}

/// Finds out whether the id and the key are free, and whether peers will reach the session.
fn claim(client: &Client, wanted: &Wanted) -> Result<Reach, Answer> {
    let facts = &client.router.facts.sessions;
    let router = &client.router;
    let destination = wanted.key.destination();
    let mut state = router.state.lock();
    if let Some(session) = state.listed(&wanted.id) {
        session.listed = !facts.duplicate_id_unlists;
        return Err(facts.duplicate_id);
    }
    if state.router_gone {
        return Err(Answer::Line(NO_ROUTER));
    }
    if state.is_online(destination) {
        return match facts.duplicate_destination {
            DuplicateDestination::Refused(answer) => Err(answer),
            DuplicateDestination::Zombie => Ok(Reach::Zombie),
        };
    }
    let last = state
        .ended
        .iter()
        .rfind(|ended| ended.destination == *destination)
        .map(|ended| ended.at);
    let rests = |ended: &Ended, time| ended.at.elapsed() < time;
    let rests_since = |at: Instant, time| at.elapsed() < time;
    match facts.key_rest {
        KeyRest::RefusedOnce(..) if wanted.style == Style::Primary => {}
        KeyRest::RefusedOnce(time, with_streams, without) => {
            let same =
                |ended: &&mut Ended| ended.id == wanted.id || ended.destination == *destination;
            let recent = |ended: &&mut Ended| rests(ended, router.scaled_for_client(time));
            let mut ended = state.ended.iter_mut().filter(same).filter(recent);
            if let Some(ended) = ended.find(|ended| !ended.refused) {
                ended.refused = true;
                let (had_streams, same_key) =
                    (ended.had_streams, ended.destination == *destination);
                match had_streams {
                    true => return Err(with_streams),
                    false if same_key => return Err(without),
                    false => {}
                }
            }
        }
        KeyRest::Zombie(time) if last.is_some_and(|at| rests_since(at, time)) => {
            return Ok(Reach::Zombie);
        }
        KeyRest::Zombie(_) => {}
        KeyRest::UntilQuit(time) => {
            let same = |ended: &&Ended| ended.id == wanted.id || ended.destination == *destination;
            let held = |ended: &Ended| !ended.by_quit && rests(ended, router.scaled(time));
            if state.ended.iter().filter(same).any(held) {
                return Err(facts.duplicate_id);
            }
        }
    }
    Ok(match last {
        Some(_) if facts.key_serves_once => Reach::Outdated,
        _ => Reach::Reached,
    })
}

const NO_ROUTER: &str = r#"SESSION STATUS RESULT=I2P_ERROR MESSAGE="Error creating I2PSocketManager: Cannot connect to the router""#;

fn creation_time(client: &Client, wanted: &Wanted) -> Duration {
    let facts = &client.router.facts.sessions;
    let (shortest, longest) = facts.creation;
    let steps = (longest - shortest).as_secs() / CREATION_STEP.as_secs();
    let step = client.router.state.lock().random.below(steps + 1);
    let time = client.router.scaled(shortest + CREATION_STEP * step as u32);
    match wanted.transient {
        true => time,
        false => time.max(facts.creation_with_key),
    }
}

/// Ends the session of a client that sent QUIT, so that its key is free at once.
pub(super) fn quit(client: &mut Client) {
    if let Some(serial) = client.session.take() {
        end(&client.router, serial, true);
    }
}

/// Ends the session of a connection that has ended.
pub(super) fn end_of_connection(client: &Client) {
    if let Some(serial) = client.session {
        end(&client.router, serial, false);
    }
}

/// Ends a session with its subsessions, its streams, and those of its pending accepts that its router ends.
pub(super) fn end(router: &Router, serial: u64, by_quit: bool) {
    let ended = router.state.update(|state| {
        let (ended, rest) = std::mem::take(&mut state.sessions)
            .into_iter()
            .partition(|session| session.serial == serial || session.parent == Some(serial));
        state.sessions = rest;
        let ended: Vec<Session> = ended;
        for session in &ended {
            if session.forgotten {
                state.leaked_ids.push(session.id.clone());
            }
            if session.parent.is_none() {
                remember(state, session, by_quit);
            }
        }
        ended
    });
    for session in ended {
        end_parts(router, session);
    }
}

fn remember(state: &mut State, session: &Session, by_quit: bool) {
    state.ended.push(Ended {
        id: session.id.clone(),
        destination: session.destination.clone(),
        at: Instant::now(),
        had_streams: session
            .streams
            .iter()
            .any(|stream| stream.strong_count() > 0),
        // Nothing is left of a session that QUIT ended.
        refused: by_quit,
        by_quit,
    });
}

/// Ends the connections of a session that is gone from the table.
pub(super) fn end_parts(router: &Router, session: Session) {
    let facts = &router.facts.sessions;
    for stream in session.streams.iter().filter_map(std::sync::Weak::upgrade) {
        match facts.far_sides_end {
            true => stream.close(),
            false => stream.close_silently(),
        }
    }
    for caller in session.callers {
        caller.link.close();
    }
    let accepts = match (facts.accepts_end, session.parent) {
        (AcceptsEnd::All, _) => session.accepts.len(),
        (AcceptsEnd::First, None) if !session.lost => 1,
        // The loss of the router has ended the first one already.
        (AcceptsEnd::First, _) => 0,
    };
    session
        .accepts
        .iter()
        .take(accepts)
        .for_each(|accept| accept.link.close());
    if let Some(forward) = session.forward {
        forward.link.close();
    }
}

impl Session {
    /// Returns true if the destination has this session, or one that it is part of.
    pub(super) fn is_at(&self, destination: &Destination) -> bool {
        self.destination == *destination
    }
}
