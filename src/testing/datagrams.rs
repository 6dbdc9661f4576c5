use std::io::Read;
use std::sync::Arc;

use crate::address::{B32, Destination, base64_encode};

use super::client::Client;
use super::naming::{self, Found};
use super::profile::{PortsSent, SizeLimit, Support};
use super::request::Request;
use super::router::Router;
use super::sessions;
use super::state::{Session, State, Style};
use super::subsessions::protocol;

/// The largest packet of UDP.
const MAX_PACKET: usize = 65_536;

/// A datagram on its way.
struct Datagram<'a> {
    sender: u64,
    target: String,
    from_port: u16,
    to_port: u16,
    protocol: Option<u8>,
    payload: &'a [u8],
}

/// Carries out DATAGRAM SEND and RAW SEND on a control socket. Returns false if the connection is at its
/// end.
pub(super) fn obey(client: &mut Client, request: &Request) -> bool {
    let facts = &client.router.facts.datagrams;
    if !facts.control_socket {
        return true;
    }
    let style = {
        let mut state = client.router.state.lock();
        let session = client.session.and_then(|serial| state.session(serial));
        session.map(|session| (session.serial, session.style))
    };
    let (Some((serial, style)), "SEND") = (style, request.action()) else {
        return false;
    };
    let limit = match limit(&client.router, style) {
        SizeLimit::Dropped(limit) => *limit,
        SizeLimit::Cut(_) => MAX_PACKET,
    };
    let size = request.filled("SIZE").and_then(|size| size.parse().ok());
    let Some(size) = size.filter(|size| *size <= limit) else {
        return !end_session(client, serial);
    };
    let mut payload = vec![0; size];
    let mut socket = client.link.socket();
    let _ = socket.set_read_timeout(None);
    if socket.read_exact(&mut payload).is_err() {
        return false;
    }
    let number = |key| {
        request
            .filled(key)
            .and_then(|port| port.parse::<u16>().ok())
    };
    let protocol = request.filled("PROTOCOL");
    let datagram = Datagram {
        sender: serial,
        target: request.value("DESTINATION").unwrap_or_default().to_owned(),
        from_port: number("FROM_PORT").unwrap_or(0),
        to_port: number("TO_PORT").unwrap_or(0),
        // The session's own number is for datagrams by UDP alone.
        protocol: Some(
            protocol
                .and_then(|number| number.parse().ok())
                .unwrap_or(18),
        ),
        payload: &payload,
    };
    send(&client.router, &datagram) || !end_session(client, serial)
}

/// Ends the session of a client that sent a bad datagram, if its router does. Returns true if it does.
fn end_session(client: &mut Client, serial: u64) -> bool {
    let ends = client.router.facts.datagrams.bad_send_ends_session;
    if ends {
        sessions::end(&client.router, serial, false);
        client.session = None;
    }
    ends
}

/// Receives datagrams by UDP until the router stops.
pub(super) fn receive(router: &Arc<Router>, socket: &std::net::UdpSocket) {
    let mut packet = vec![0; MAX_PACKET];
    loop {
        let received = socket.recv_from(&mut packet);
        router.wait_while_paused();
        let is_running = router.state.lock().running;
        if !is_running {
            return;
        }
        if let Ok((len, _)) = received {
            let packet = packet.get(..len).unwrap_or_default();
            let _ = received_packet(router, packet);
        }
    }
}

/// Sends the datagram of a packet: `3.3 ID DESTINATION [PAIRS]`, a line end and the payload.
fn received_packet(router: &Router, packet: &[u8]) -> Option<()> {
    let end = packet.iter().position(|byte| *byte == b'\n')?;
    let (line, payload) = packet.split_at_checked(end)?;
    let line = std::str::from_utf8(line).ok()?;
    let payload = payload.get(1..).unwrap_or_default();
    let mut words = line.split_ascii_whitespace();
    let (version, id, target) = (words.next()?, words.next()?, words.next()?);
    if !version.starts_with("3.") {
        return None;
    }
    let pairs: Vec<(&str, &str)> = words.filter_map(|word| word.split_once('=')).collect();
    let value = |key| {
        let mut pairs = pairs.iter();
        pairs
            .find(|(known, _)| *known == key)
            .map(|(_, value)| *value)
    };
    let serial = {
        let mut state = router.state.lock();
        let taken = state.faults.take(line);
        if !taken.is_empty() {
            return None;
        }
        let session = state.listed(id)?;
        session.serial
    };
    let ports = |key| value(key).and_then(|port: &str| port.parse::<u16>().ok());
    let own = {
        let mut state = router.state.lock();
        state.session(serial)?.ports
    };
    let datagram = Datagram {
        sender: serial,
        target: target.to_owned(),
        from_port: ports("FROM_PORT").unwrap_or(own.from),
        to_port: ports("TO_PORT").unwrap_or(own.to),
        protocol: value("PROTOCOL").and_then(|number| number.parse().ok()),
        payload,
    };
    send(router, &datagram).then_some(())
}

/// Delivers a datagram. Returns false if its sender made a mistake.
fn send(router: &Router, datagram: &Datagram<'_>) -> bool {
    let found = naming::find(&mut router.state.lock(), &datagram.target);
    let Found::Destination(destination) = found else {
        return false;
    };
    let delivery = {
        let mut state = router.state.lock();
        let Some(style) = state.session(datagram.sender).map(|session| session.style) else {
            return false;
        };
        if is_first(router, &mut state, datagram.sender, &destination) {
            return true;
        }
        let Some(payload) = fit(router, style, datagram.payload) else {
            return true;
        };
        delivery(router, &mut state, datagram, style, &destination, payload)
    };
    match delivery {
        Some(Delivery::Udp(target, packet)) => router.send_udp(target, &packet),
        Some(Delivery::Control(link, frame)) => _ = link.send(&frame),
        None => {}
    }
    true
}

enum Delivery {
    Udp(std::net::SocketAddr, Vec<u8>),
    Control(Arc<super::link::Link>, Vec<u8>),
}

/// Returns true if this is the first datagram to a peer whose lease set the router does not know.
fn is_first(router: &Router, state: &mut State, sender: u64, destination: &Destination) -> bool {
    let b32 = destination.b32();
    let Some(session) = state.session(sender) else {
        return false;
    };
    let own = session.destination.b32();
    let is_new = !session.peers.contains(&b32);
    if is_new {
        session.peers.push(b32);
    }
    let mut others = state
        .sessions
        .iter()
        .filter(|other| other.is_at(destination));
    let has_written = others.any(|other| other.peers.contains(&own));
    is_new && !has_written && router.facts.datagrams.first_is_lost
}

fn limit(router: &Router, style: Style) -> &SizeLimit {
    match style {
        Style::Raw => &router.facts.datagrams.raw,
        _ => &router.facts.datagrams.repliable,
    }
}

/// Returns the part of a payload that arrives; none if nothing does.
fn fit<'a>(router: &Router, style: Style, payload: &'a [u8]) -> Option<&'a [u8]> {
    if payload.is_empty() && !(style == Style::Raw && router.facts.datagrams.empty_raw) {
        return None;
    }
    match limit(router, style) {
        SizeLimit::Dropped(limit) => (payload.len() <= *limit).then_some(payload),
        SizeLimit::Cut(limit) => Some(payload.get(..*limit).unwrap_or(payload)),
    }
}

fn delivery(
    router: &Router,
    state: &mut State,
    datagram: &Datagram<'_>,
    style: Style,
    destination: &Destination,
    payload: &[u8],
) -> Option<Delivery> {
    let facts = &router.facts.datagrams;
    let sender = state
        .session(datagram.sender)
        .filter(|sender| !sender.lost)?;
    let own = sender.destination.clone();
    let number = match style {
        Style::Raw => datagram.protocol.or(sender.ports.protocol).unwrap_or(18),
        _ => protocol(sender),
    };
    let to_port = match facts.ports_forwarded {
        PortsSent::True => datagram.to_port,
        _ => 0,
    };
    if style == Style::Datagram2 && facts.datagram2 == Support::Undelivered {
        return None;
    }
    let target = receiver(state, destination, style, to_port)?;
    let sender = match style {
        Style::Datagram3 => hash(&own),
        _ => own.to_string(),
    };
    Some(match target.udp {
        Some(address) => {
            let mut packet = udp_header(router, datagram, target, &sender, number);
            packet.extend_from_slice(payload);
            Delivery::Udp(address, packet)
        }
        None => {
            let mut frame =
                control_header(router, datagram, target, &sender, number, payload.len());
            frame.extend_from_slice(payload);
            Delivery::Control(Arc::clone(&target.control), frame)
        }
    })
}

/// Returns the session of a destination that receives datagrams of this style at this port.
fn receiver<'a>(
    state: &'a State,
    destination: &Destination,
    style: Style,
    port: u16,
) -> Option<&'a Session> {
    let fits =
        |session: &&Session| session.style == style && session.is_at(destination) && !session.lost;
    let sessions = || state.sessions.iter().filter(fits);
    let whole = sessions().find(|session| session.parent.is_none());
    let of_port = |port| sessions().find(move |session| session.ports.listen == port);
    whole.or_else(|| of_port(port)).or_else(|| of_port(0))
}

fn hash(destination: &Destination) -> String {
    let b32: B32 = destination.b32();
    base64_encode(&b32.hash())
}

fn udp_header(
    router: &Router,
    datagram: &Datagram<'_>,
    target: &Session,
    sender: &str,
    protocol: u8,
) -> Vec<u8> {
    let facts = &router.facts.datagrams;
    let ports = ports(facts.ports_forwarded, datagram);
    match target.style {
        Style::Raw if !(target.ports.header && facts.raw_header) => Vec::new(),
        Style::Raw => format!("PROTOCOL={protocol}{ports}\n").into_bytes(),
        _ => format!("{sender}{ports}\n").into_bytes(),
    }
}

fn control_header(
    router: &Router,
    datagram: &Datagram<'_>,
    target: &Session,
    sender: &str,
    protocol: u8,
    size: usize,
) -> Vec<u8> {
    let facts = &router.facts.datagrams;
    let ports = ports(facts.ports_on_control, datagram);
    let line = match target.style {
        Style::Raw if facts.raw_fields_on_control => {
            format!("RAW RECEIVED SIZE={size} PROTOCOL={protocol}{ports}\n")
        }
        Style::Raw => format!("RAW RECEIVED SIZE={size}\n"),
        _ => format!("DATAGRAM RECEIVED DESTINATION={sender} SIZE={size}{ports}\n"),
    };
    line.into_bytes()
}

fn ports(sent: PortsSent, datagram: &Datagram<'_>) -> String {
    let (from, to) = match sent {
        PortsSent::None => return String::new(),
        PortsSent::Zero => (0, 0),
        PortsSent::True => (datagram.from_port, datagram.to_port),
    };
    format!(" FROM_PORT={from} TO_PORT={to}")
}
