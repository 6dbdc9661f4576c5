use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::address::Destination;
use crate::sync::{Deadline, spawn};
use crate::wire::Version;

use super::link::{Link, is_timeout};
use super::profile::WithoutAccept;
use super::router::Router;
use super::sessions::ZOMBIE_TO_ABORT;
use super::state::{Accept, Caller, Forward, Phantom, Reach, Session, State, Style};

/// The outcome of a dial.
pub(super) enum Delivery {
    /// The connection is a stream now.
    Joined,
    /// The destination is there and accepts nothing.
    Refused,
    /// Nobody has the destination.
    Unreachable,
    /// The router ended the connection, or itself.
    Over,
}

/// Brings a caller to the session of a destination.
pub(super) fn deliver(router: &Arc<Router>, destination: &Destination, caller: Caller) -> Delivery {
    let (target, colliding) = router.state.update(|state| {
        let target = target(router, state, destination, caller);
        let colliding = match &target {
            Target::Accept(serial, ..) => state
                .session(*serial)
                .map(|session| collide(router, session)),
            _ => None,
        };
        (target, colliding.unwrap_or_default())
    });
    colliding.iter().for_each(|link| link.close());
    match target {
        Target::Accept(serial, accept, caller) => {
            join(router, serial, &accept.link, accept.silent, &caller);
            Delivery::Joined
        }
        Target::Forward(serial, target, silent, caller) => {
            forward(router, serial, target, silent, &caller)
        }
        Target::Waits(waiting) => wait(router, &waiting),
        Target::Lost(link) => {
            succeed(&link, false);
            link.wait_for_bytes();
            while link.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {}
            Delivery::Over
        }
        Target::Abort(link) => {
            succeed(&link, false);
            if router.rest(ZOMBIE_TO_ABORT) {
                router.stop();
            }
            Delivery::Over
        }
        Target::Closed(link) => {
            succeed(&link, false);
            Delivery::Over
        }
        Target::Refused => Delivery::Refused,
        Target::Unreachable => Delivery::Unreachable,
    }
}

/// The place to which a caller goes.
enum Target {
    Accept(u64, Accept, Caller),
    Forward(u64, std::net::SocketAddr, bool, Caller),
    /// It waits in the session.
    Waits(Waiting),
    /// It is answered OK, and nobody reads from it.
    Lost(Arc<Link>),
    /// It is answered OK, and the router ends.
    Abort(Arc<Link>),
    /// It is answered OK and closed.
    Closed(Arc<Link>),
    Refused,
    Unreachable,
}

fn target(router: &Router, state: &mut State, destination: &Destination, caller: Caller) -> Target {
    let port = match router.facts.streams.ports {
        true => caller.to_port,
        false => 0,
    };
    let serial = match receiver(router, state, destination, port) {
        Ok(serial) => serial,
        Err(Receiver::Nobody) => return Target::Unreachable,
        Err(Receiver::NotForStreams) => return Target::Refused,
        Err(Receiver::OtherPorts) => return Target::Closed(caller.link),
    };
    if router.facts.sessions.subsessions.forgets_datagrams {
        forget_datagrams(state, destination);
    }
    let Some(session) = state.session(serial) else {
        return Target::Unreachable;
    };
    match session.reach {
        Reach::Reached => {}
        Reach::Zombie => return Target::Abort(caller.link),
        Reach::Outdated => return Target::Lost(caller.link),
    }
    if let Some(Forward {
        target,
        silent,
        works,
        ..
    }) = &session.forward
    {
        return match works {
            true => Target::Forward(serial, *target, *silent, caller),
            false => Target::Refused,
        };
    }
    match session.accepts.pop_front() {
        Some(accept) => Target::Accept(serial, accept, caller),
        None => without_accept(router, session, caller),
    }
}

/// Why no session receives a stream.
enum Receiver {
    /// Nobody has the destination.
    Nobody,
    NotForStreams,
    /// The sessions for streams listen on other ports.
    OtherPorts,
}

/// Returns the session for streams that receives a port: the one that listens on it, or the one for all
/// ports that no other listens on. Of a router without ports, the first one that accepts.
fn receiver(
    router: &Router,
    state: &State,
    destination: &Destination,
    port: u16,
) -> Result<u64, Receiver> {
    let sessions = || {
        state
            .sessions
            .iter()
            .filter(|session| session.is_at(destination) && !session.lost)
    };
    let streams = || sessions().filter(|session| session.style == Style::Stream);
    let of_port = |port| streams().find(move |session| session.ports.listen == port);
    let accepts = |session: &&Session| !session.accepts.is_empty() || session.forward.is_some();
    let whole = streams().find(|session| session.parent.is_none());
    let found = match router.facts.streams.ports {
        true => whole.or_else(|| of_port(port)).or_else(|| of_port(0)),
        false => whole
            .or_else(|| streams().find(accepts))
            .or_else(|| streams().next()),
    };
    match (found, sessions().next(), streams().next()) {
        (Some(session), ..) => Ok(session.serial),
        (None, None, _) => Err(Receiver::Nobody),
        (None, Some(_), None) => Err(Receiver::NotForStreams),
        (None, Some(_), Some(_)) => Err(Receiver::OtherPorts),
    }
}

fn forget_datagrams(state: &mut State, destination: &Destination) {
    for session in &mut state.sessions {
        let is_datagram = !matches!(session.style, Style::Stream | Style::Primary);
        if is_datagram && session.parent.is_some() && session.is_at(destination) {
            session.forgotten = true;
        }
    }
}

/// Lets a caller wait in its session.
fn without_accept(router: &Router, session: &mut Session, caller: Caller) -> Target {
    let waits_answered = session.parent.is_some() && router.facts.sessions.subsessions.dials_wait;
    let (answered, time) = match router.facts.streams.without_accept {
        WithoutAccept::WaitsThenRefused(_) if waits_answered => (true, None),
        WithoutAccept::WaitsThenRefused(_) if !session.has_accepted => (false, Some(FIRST_ACCEPT)),
        WithoutAccept::WaitsThenRefused(time) => (false, Some(router.scaled_for_client(time))),
        WithoutAccept::SucceedsAndWaits(time) => (true, Some(router.scaled_for_client(time))),
    };
    let link = Arc::clone(&caller.link);
    let silent = caller.silent;
    session.callers.push_back(Caller { answered, ..caller });
    Target::Waits(Waiting {
        serial: session.serial,
        link,
        answers: answered && !silent,
        time,
    })
}

/// A caller that waits in its session.
struct Waiting {
    serial: u64,
    link: Arc<Link>,
    /// Its dial is answered now.
    answers: bool,
    time: Option<Duration>,
}

/// Waits until an accept takes the caller.
fn wait(router: &Router, waiting: &Waiting) -> Delivery {
    let (serial, link) = (waiting.serial, &waiting.link);
    if waiting.answers {
        succeed(link, false);
    }
    link.set_replied();
    wait_for_pairing(router, serial, link, Deadline::after(waiting.time));
    let late = router.state.update(|state| {
        let session = state.session(serial)?;
        let mut callers = session.callers.iter();
        let index = callers.position(|caller| Arc::ptr_eq(&caller.link, link))?;
        let late = session.callers.remove(index)?;
        if !late.answered && session.has_accepted {
            // Its repeated packet takes the next accept.
            session.phantoms.push(Phantom {
                header: header(router, link, &late),
                since: Instant::now(),
            });
        }
        Some(late.answered)
    });
    match late {
        Some(true) => Delivery::Over,
        Some(false) => Delivery::Refused,
        None => {
            wait_for_pairing(router, serial, link, Deadline::NEVER);
            Delivery::Joined
        }
    }
}

/// Waits until a connection is part of a stream, is closed, or has no session any more.
pub(super) fn wait_for_pairing(router: &Router, serial: u64, link: &Link, deadline: Deadline) {
    router.state.wait_until(deadline, |state| {
        let is_over = link.is_closed() || state.session(serial).is_none();
        (link.is_paired() || is_over).then_some(())
    });
}

/// Makes a pending accept and a caller one stream.
pub(super) fn join(
    router: &Router,
    serial: u64,
    accept: &Arc<Link>,
    silent: bool,
    caller: &Caller,
) {
    accept.wait_until_replied();
    // Before the peer's line: a client that has read it may end its session, and the stream with it.
    let has_session = router.state.update(|state| {
        let session = state.session(serial);
        session.map(|session| session.streams.push(Arc::downgrade(accept)))
    });
    if !silent {
        accept.send_line(&header(router, accept, caller));
    }
    match caller.answered {
        true => caller.link.wait_until_replied(),
        false => succeed(&caller.link, caller.silent),
    }
    router.state.update(|_| {
        accept.pair_with(&caller.link);
        caller.link.pair_with(accept);
    });
    // The session ended before the two were a stream, so that the end of one is not yet that of the other.
    if has_session.is_none() {
        accept.close();
    }
    if accept.is_closed() && !accept.leaves_silently() {
        caller.link.close();
    }
}

/// Takes the pending accepts that end because another one, or a caller, comes.
pub(super) fn collide(router: &Router, session: &mut Session) -> Vec<Arc<Link>> {
    let facts = &router.facts.streams;
    let mut ended = Vec::new();
    while session.accepts.len() >= facts.most_accepts {
        ended.extend(session.accepts.pop_back().map(|accept| accept.link));
    }
    let Some(within) = facts.accepts_collide.map(|time| router.scaled(time)) else {
        return ended;
    };
    let mut index = 0;
    session.accepts.retain(|accept| {
        index += 1;
        let stays = index == 1 || accept.since.elapsed() >= within;
        if !stays {
            ended.push(Arc::clone(&accept.link));
        }
        stays
    });
    ended
}

/// Returns the line of a caller that was refused a moment ago.
pub(super) fn phantom(router: &Router, session: &mut Session) -> Option<String> {
    let recent = |phantom: &Phantom| phantom.since.elapsed() < router.scaled_for_client(PHANTOM);
    session.phantoms.retain(recent);
    (!session.phantoms.is_empty()).then(|| session.phantoms.remove(0).header)
}

/// The time in which the repeated packet of a refused caller can take an accept.
const PHANTOM: Duration = Duration::from_secs(3);

fn succeed(link: &Link, silent: bool) {
    if !silent {
        link.send_line("STREAM STATUS RESULT=OK");
    }
}

/// Returns the line before an accepted stream.
fn header(router: &Router, accept: &Link, caller: &Caller) -> String {
    let Caller {
        destination,
        from_port,
        to_port,
        ..
    } = caller;
    match router.facts.streams.ports && accept.version() >= Version::V3_2 {
        true => format!("{destination} FROM_PORT={from_port} TO_PORT={to_port}"),
        false => destination.to_string(),
    }
}

/// Connects to the target of a forwarding, and makes the connection and the caller one stream.
pub(super) fn forward(
    router: &Arc<Router>,
    serial: u64,
    target: std::net::SocketAddr,
    silent: bool,
    caller: &Caller,
) -> Delivery {
    let Ok(socket) = TcpStream::connect_timeout(&target, FORWARD_LIMIT) else {
        succeed(&caller.link, caller.silent);
        return Delivery::Over;
    };
    let link = {
        let mut state = router.state.lock();
        let random = state.random.clone();
        let link = Link::new(socket, state.connections, &router.paused, random);
        state.links.push(Arc::downgrade(&link));
        link
    };
    link.set_version(Version::V3_3);
    link.set_replied();
    join(router, serial, &link, silent, caller);
    let owner = Arc::clone(router);
    match spawn("i2p-sam-test-forwarded", move || {
        carry(&owner, &link);
        link.close();
    }) {
        Ok(()) => Delivery::Joined,
        Err(_) => Delivery::Over,
    }
}

/// The time until a dial is refused by a session that has never accepted: a little more than the dial itself
/// takes, so that an accept which a client sends at the same time is there.
const FIRST_ACCEPT: Duration = Duration::from_millis(250);

/// The longest time to connect to the target of a forwarding, which is on this host.
const FORWARD_LIMIT: Duration = Duration::from_secs(5);

/// The time for which a side of an ended stream may send on before its connection is closed.
const ENDING: Duration = Duration::from_millis(300);

/// Copies what one side of a stream sends to the other, until either ends. There is no half-close: the end of
/// one direction is the end of both.
pub(super) fn carry(router: &Router, link: &Arc<Link>) {
    let Some(peer) = link.peer() else {
        return;
    };
    copy(router, link, &peer);
    link.set_done();
    if link.leaves_silently() {
        return;
    }
    peer.close_sending();
    link.close_sending();
    peer.wait_until_done(ENDING);
    peer.close();
    link.close();
}

/// The pause after which a stream counts as idle.
const IDLE: Duration = Duration::from_millis(20);

fn copy(router: &Router, link: &Link, peer: &Link) {
    let lost_at_end = router.facts.streams.lost_at_end.unwrap_or(usize::MAX);
    let mut buf = [0; 16 * 1024];
    // The bytes since the last pause, and the last of them, which are still under way.
    let (mut burst, mut under_way) = (0, Vec::new());
    loop {
        let patience = (!under_way.is_empty()).then_some(IDLE);
        let _ = link.socket().set_read_timeout(patience);
        match link.read(&mut buf) {
            Ok(read @ 1..) => {
                peer.send(&std::mem::take(&mut under_way));
                burst += read;
                let bytes = buf.get(..read).unwrap_or_default();
                match burst > lost_at_end {
                    true => under_way = bytes.to_vec(),
                    false => _ = peer.send(bytes),
                }
            }
            Err(error) if is_timeout(&error) && patience.is_some() => {
                peer.send(&std::mem::take(&mut under_way));
                burst = 0;
            }
            _ => return,
        }
    }
}
