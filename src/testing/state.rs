use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Instant;

use crate::address::{B32, B33, Destination};

use super::fault::Faults;
use super::link::Link;
use super::random::Random;

/// The memory of the router, under one lock. Every wait of the bridge that is not for a socket is a wait for
/// a change of it.
pub(super) struct State {
    /// False from [`stop`](super::TestBridge::stop) until the next start.
    pub(super) running: bool,
    /// The threads that hold the ports of the router.
    pub(super) port_threads: usize,
    /// The router behind the bridge has gone, and the bridge goes on.
    pub(super) router_gone: bool,
    pub(super) sessions: Vec<Session>,
    /// Keys whose sessions have ended.
    pub(super) ended: Vec<Ended>,
    /// The ids of subsessions that the router had forgotten when their primary sessions ended.
    pub(super) leaked_ids: Vec<String>,
    /// The destination of the router itself.
    pub(super) shared: Option<Destination>,
    pub(super) hosts: BTreeMap<String, Host>,
    pub(super) users: BTreeMap<String, String>,
    pub(super) users_required: bool,
    pub(super) faults: Faults,
    pub(super) commands: Vec<String>,
    pub(super) links: Vec<Weak<Link>>,
    pub(super) connections: usize,
    pub(super) serials: u64,
    pub(super) random: Random,
}

/// A destination in the address book, and the options of its lease set.
pub(super) struct Host {
    pub(super) destination: Destination,
    pub(super) options: Vec<(String, String)>,
}

/// A session that has ended.
pub(super) struct Ended {
    pub(super) id: String,
    pub(super) destination: Destination,
    pub(super) at: Instant,
    pub(super) by_quit: bool,
    pub(super) had_streams: bool,
    /// A session with its key or id was refused.
    pub(super) refused: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Stream,
    Datagram,
    Datagram2,
    Datagram3,
    Raw,
    Primary,
}

/// A session or a subsession.
pub(super) struct Session {
    pub(super) serial: u64,
    pub(super) id: String,
    /// The id leads to the session.
    pub(super) listed: bool,
    pub(super) style: Style,
    pub(super) destination: Destination,
    /// The private key, in base64.
    pub(super) key: String,
    pub(super) control: Arc<Link>,
    /// The primary session of a subsession.
    pub(super) parent: Option<u64>,
    pub(super) ports: Ports,
    /// The address to which datagrams are sent.
    pub(super) udp: Option<SocketAddr>,
    /// No peer ever reaches the session.
    pub(super) reach: Reach,
    /// Its router has gone behind the bridge, which does not notice.
    pub(super) lost: bool,
    pub(super) accepts: VecDeque<Accept>,
    pub(super) has_accepted: bool,
    pub(super) forward: Option<Forward>,
    pub(super) callers: VecDeque<Caller>,
    pub(super) phantoms: Vec<Phantom>,
    pub(super) streams: Vec<Weak<Link>>,
    /// Its lease set is encrypted: peers find it by its b33 address alone.
    pub(super) encrypted: Option<Encrypted>,
    /// The key with which it reads encrypted lease sets.
    pub(super) reader_key: Option<String>,
    /// SESSION REMOVE does not find the session any more.
    pub(super) forgotten: bool,
    /// The peers to which a datagram was sent.
    pub(super) peers: Vec<B32>,
}

/// The peers that read an encrypted lease set.
#[derive(Clone, Debug)]
pub(super) enum Encrypted {
    /// All.
    Open,
    /// Those with one of these shared keys.
    Shared(Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Reached,
    /// The first caller brings the router down.
    Zombie,
    /// Peers find an older lease set.
    Outdated,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ports {
    pub(super) from: u16,
    pub(super) to: u16,
    pub(super) protocol: Option<u8>,
    pub(super) listen: u16,
    pub(super) listen_protocol: Option<u8>,
    pub(super) header: bool,
}

/// A pending accept.
pub(super) struct Accept {
    pub(super) link: Arc<Link>,
    pub(super) since: Instant,
    pub(super) silent: bool,
}

pub(super) struct Forward {
    pub(super) link: Arc<Link>,
    pub(super) target: SocketAddr,
    pub(super) silent: bool,
    /// It receives the callers of the session.
    pub(super) works: bool,
}

/// A dial that was refused, and whose repeated packet takes the next accept.
pub(super) struct Phantom {
    /// The line before its stream, of which nothing follows.
    pub(super) header: String,
    pub(super) since: Instant,
}

/// A dial that waits for an accept.
pub(super) struct Caller {
    pub(super) link: Arc<Link>,
    pub(super) destination: Destination,
    pub(super) from_port: u16,
    pub(super) to_port: u16,
    pub(super) silent: bool,
    /// Its dial was answered.
    pub(super) answered: bool,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            running: false,
            port_threads: 0,
            router_gone: false,
            sessions: Vec::new(),
            ended: Vec::new(),
            leaked_ids: Vec::new(),
            shared: None,
            hosts: BTreeMap::new(),
            users: BTreeMap::new(),
            users_required: false,
            faults: Faults::default(),
            commands: Vec::new(),
            links: Vec::new(),
            connections: 0,
            serials: 0,
            random: Random::new(seed),
        }
    }

    pub(super) fn next_serial(&mut self) -> u64 {
        self.serials += 1;
        self.serials
    }

    /// Returns the session to which an id leads.
    pub(super) fn listed(&mut self, id: &str) -> Option<&mut Session> {
        let mut sessions = self.sessions.iter_mut();
        sessions.find(|session| session.listed && session.id == id)
    }

    pub(super) fn session(&mut self, serial: u64) -> Option<&mut Session> {
        let mut sessions = self.sessions.iter_mut();
        sessions.find(|session| session.serial == serial)
    }

    /// Returns the destination with this b32 that has a session, or is in the address book.
    pub(super) fn published(&self, b32: &B32) -> Option<Destination> {
        let sessions = self.sessions.iter().map(|session| &session.destination);
        let hosts = self.hosts.values().map(|host| &host.destination);
        let mut all = sessions.chain(hosts);
        all.find(|destination| destination.b32() == *b32).cloned()
    }

    /// Returns the destination of an encrypted lease set that a peer with this key can read.
    pub(super) fn encrypted(&self, b33: &B33, key: Option<&str>) -> Option<Destination> {
        let mut sessions = self.sessions.iter();
        let found = sessions.find(|session| {
            let opens = match &session.encrypted {
                Some(Encrypted::Open) => true,
                Some(Encrypted::Shared(keys)) => {
                    key.is_some_and(|key| keys.iter().any(|known| known == key))
                }
                None => false,
            };
            opens && session.destination.has_b33(b33)
        });
        found.map(|session| session.destination.clone())
    }

    pub(super) fn is_online(&self, destination: &Destination) -> bool {
        let mut sessions = self.sessions.iter();
        sessions.any(|session| session.destination == *destination)
    }

    pub(super) fn open_links(&mut self) -> Vec<Arc<Link>> {
        self.links.retain(|link| link.strong_count() > 0);
        self.links.iter().filter_map(Weak::upgrade).collect()
    }
}
