//! The routers a behaviour is run on: what each can do, and how to get at it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use i2p_sam::{
    ConnectOptions, Error, SamBridge, SamListener, SamStream, SessionBuilder, SessionOptions,
    StreamSession, Version,
};
use i2p_sam_testnet::Testnet;

use crate::suite::{Behaviour, Need};

/// Longer than any single step takes on the slowest router.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// One kind of router, started when the first behaviour asks for it.
pub(crate) struct Router {
    name: &'static str,
    cannot: &'static [(Need, &'static str)],
    network: OnceLock<Network>,
    pair: Mutex<Option<Pair>>,
    ran: AtomicUsize,
    unable: AtomicUsize,
}

enum Network {
    Embedded(Testnet),
}

/// Two sessions that reach each other, kept for all behaviours that need no sessions of their own.
pub(crate) struct Pair {
    pub(crate) server: StreamSession,
    pub(crate) listener: SamListener,
    pub(crate) client: StreamSession,
}

/// The routers that were found.
pub(crate) fn all() -> Vec<Arc<Router>> {
    vec![Arc::new(Router::new("embedded", EMBEDDED_CANNOT))]
}

/// What was looked for and not found.
pub(crate) fn missing() -> Vec<String> {
    Vec::new()
}

const EMBEDDED_CANNOT: &[(Need, &str)] = &[
    (
        Need::SessionlessLookup,
        "emissary finds nothing without a session",
    ),
    (Need::Ports, "emissary 0.4.0 does not carry ports"),
    (
        Need::OwnDial,
        "emissary refuses to dial its own destination",
    ),
    (Need::OtherSignatures, "emissary makes Ed25519 keys only"),
    (
        Need::Refusals,
        "emissary gives no answer to what it does not like",
    ),
];

impl Router {
    fn new(name: &'static str, cannot: &'static [(Need, &'static str)]) -> Self {
        Self {
            name,
            cannot,
            network: OnceLock::new(),
            pair: Mutex::new(None),
            ran: AtomicUsize::new(0),
            unable: AtomicUsize::new(0),
        }
    }

    pub(crate) fn name(&self) -> &str {
        self.name
    }

    /// Why a behaviour cannot be shown on this router.
    pub(crate) fn cannot(&self, behaviour: &Behaviour) -> Option<&'static str> {
        let lacks = |(need, _): &&(Need, _)| behaviour.needs.contains(need);
        self.cannot.iter().find(lacks).map(|(_, reason)| *reason)
    }

    pub(crate) fn count_run(&self) {
        self.ran.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_unable(&self) {
        self.unable.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn tally(&self) -> String {
        format!(
            "{}: {} ran, {} it cannot",
            self.name,
            self.ran.load(Ordering::Relaxed),
            self.unable.load(Ordering::Relaxed)
        )
    }

    fn network(&self) -> &Network {
        self.network
            .get_or_init(|| Network::Embedded(Testnet::start().expect("the network starts")))
    }

    pub(crate) fn bridge(&self) -> SamBridge {
        match self.network() {
            Network::Embedded(network) => {
                SamBridge::new(&network.sam_address().to_string()).unwrap()
            }
        }
    }

    /// Makes a name known to the router's address book.
    pub(crate) fn add_host(&self, name: &str, destination: &i2p_sam::Destination) {
        match self.network() {
            Network::Embedded(network) => {
                network.add_host(name, &destination.to_base64()).unwrap();
            }
        }
    }

    pub(crate) fn options(&self) -> SessionOptions {
        let options = self.raw_options().iter();
        options.fold(SessionOptions::new(), |options, (name, value)| {
            options.option(name, value)
        })
    }

    pub(crate) fn builder(&self) -> SessionBuilder {
        self.bridge().session().options(self.options())
    }

    /// The options by name, for what the library itself would not say.
    pub(crate) fn raw_options(&self) -> &'static [(&'static str, &'static str)] {
        match self.network() {
            Network::Embedded(_) => Testnet::OPTIONS,
        }
    }

    /// The version the bridge agrees to when 3.1 to 3.3 are asked for.
    pub(crate) fn version(&self) -> Version {
        match self.network() {
            Network::Embedded(_) => Version::V3_2,
        }
    }

    /// A session of the behaviour's own.
    pub(crate) fn session(&self) -> StreamSession {
        self.builder().stream().unwrap()
    }

    /// The shared sessions, for one behaviour at a time.
    pub(crate) fn pair(&self) -> Shared<'_> {
        // A behaviour that failed half way leaves sessions nobody can vouch for.
        let poisoned = self.pair.is_poisoned();
        let mut pair = self
            .pair
            .lock()
            .unwrap_or_else(|poison| poison.into_inner());
        if poisoned {
            self.pair.clear_poison();
            *pair = None;
        }
        if pair.is_none() {
            *pair = Some(Pair::new(self));
        }
        Shared(pair)
    }
}

/// The shared sessions, while one behaviour has them.
pub(crate) struct Shared<'a>(MutexGuard<'a, Option<Pair>>);

impl std::ops::Deref for Shared<'_> {
    type Target = Pair;

    fn deref(&self) -> &Pair {
        self.0.as_ref().unwrap()
    }
}

impl Pair {
    /// Two new sessions, between which a first stream has gone.
    pub(crate) fn new(router: &Router) -> Self {
        let server = router.session();
        let listener = server.listener().unwrap();
        let client = router.session();
        let pair = Self {
            server,
            listener,
            client,
        };
        drop(pair.dial());
        pair
    }

    /// A stream from the client's session to the server's, seen from both sides.
    pub(crate) fn dial(&self) -> (SamStream, SamStream) {
        self.dial_with(&ConnectOptions::new())
    }

    pub(crate) fn dial_with(&self, options: &ConnectOptions) -> (SamStream, SamStream) {
        let near = self.client.connect_with(self.server.destination(), options);
        (near.unwrap(), self.accept())
    }

    /// The server's side of a stream that was just dialled.
    pub(crate) fn accept(&self) -> SamStream {
        let (stream, peer) = self.listener.accept_timeout(LONG).unwrap();
        assert_eq!(peer.destination(), Some(self.client.destination()));
        stream
    }
}

/// Makes a session with this key, as soon as the router has let go of it.
pub(crate) fn eventually_stream(builder: &SessionBuilder) -> StreamSession {
    let (_hold, clock) = std::sync::mpsc::channel::<()>();
    for _ in 0..120 {
        match builder.clone().stream() {
            Ok(session) => return session,
            Err(Error::Refused(refusal)) => assert!(
                Error::from(refusal.clone()).is_retryable(),
                "final: {refusal}"
            ),
            Err(error) => panic!("{error}"),
        }
        let _ = clock.recv_timeout(Duration::from_millis(500));
    }
    panic!("the router never lets go of the key");
}
