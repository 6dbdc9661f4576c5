//! The routers a behaviour is run on: what each can do, and how to get at it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc};
use std::time::Duration;

use i2p_sam::{
    ConnectOptions, Error, PrivateKey, SamBridge, SamListener, SamStream, SessionBuilder,
    SessionOptions, StreamSession, Version,
};
use i2p_sam_testnet::Testnet;

use crate::command;
use crate::embedded::Process;
use crate::i2pd::{I2pd, Installation};
use crate::suite::{Behaviour, Need};

/// Longer than any single step takes on the slowest router.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// The name every router's address book holds, and the key whose destination it names. The key is
/// for these tests alone.
pub(crate) const KNOWN_NAME: &str = "known.i2p";
const KNOWN_KEY: &str = include_str!("known.key");

/// How often to start a router again where it was.
const RESTARTS: usize = 5;

/// How many routers that stop answering are replaced by new ones in a run.
const MOST_REPLACED: usize = 2;

/// The processes of routers that ended by themselves.
static ENDED: Mutex<BTreeMap<u32, ExitStatus>> = Mutex::new(BTreeMap::new());

/// One kind of router, started when the first behaviour asks for it.
pub(crate) struct Router {
    name: String,
    kind: Kind,
    network: Mutex<Option<Arc<Network>>>,
    pair: Mutex<Option<Kept>>,
    ran: AtomicUsize,
    unable: AtomicUsize,
    /// How the process of each router that was replaced had ended, if it had.
    replaced: Mutex<Vec<Option<ExitStatus>>>,
}

enum Kind {
    Embedded,
    I2pd(Installation),
    Command(command::Installation),
}

/// A network that runs.
pub(crate) enum Network {
    Embedded(Testnet),
    Process(Process),
    I2pd(I2pd),
    Command(command::Router),
}

/// What was looked for: the routers that were found, and the names of those that were not. One that
/// the environment names is the only one.
pub(crate) fn all() -> (Vec<Arc<Router>>, Vec<&'static str>) {
    if let Some(installation) = command::Installation::from_env() {
        let name = installation.name().to_owned();
        let router = Router::new(name, Kind::Command(installation));
        return (vec![Arc::new(router)], Vec::new());
    }
    let mut found = Vec::new();
    let mut missing = Vec::new();
    // The slowest first, so that they are not what the others wait for in the end.
    for (name, installation) in [
        ("i2pd old", I2pd::find_old()),
        ("i2pd new", I2pd::find_new()),
    ] {
        match installation {
            Some(installation) => {
                let name = format!("i2pd {}", installation.version());
                found.push(Arc::new(Router::new(name, Kind::I2pd(installation))));
            }
            None => missing.push(name),
        }
    }
    found.push(Arc::new(Router::new("embedded".to_owned(), Kind::Embedded)));
    (found, missing)
}

const EMBEDDED_CANNOT: &[(Need, &str)] = &[
    (
        Need::SessionlessLookup,
        "emissary finds nothing without a session",
    ),
    (Need::Bulk, "emissary 0.4.0 carries a megabyte a second"),
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
    (
        Need::ForwardAgain,
        "emissary 0.4.0 forwards until the session ends",
    ),
    (
        Need::NewDatagrams,
        "emissary 0.4.0 delivers no DATAGRAM2 and has no DATAGRAM3",
    ),
    (
        Need::LargeDatagrams,
        "emissary cuts datagrams at some 8 kB without a word",
    ),
    (
        Need::ControlSocketDatagrams,
        "emissary 0.4.0 makes no session for datagrams without a UDP port",
    ),
    (
        Need::EncryptedLeaseSets,
        "emissary 0.4.0 publishes no encrypted lease sets",
    ),
    (
        Need::StreamSubsessionsOnly,
        "emissary adds subsessions of other styles, too",
    ),
];

const I2PD_OLD_CANNOT: &[(Need, &str)] = &[
    (Need::Ports, "i2pd does not tell ports"),
    (Need::OwnDial, "i2pd: Can't connect to myself"),
    (
        Need::NewDatagrams,
        "i2pd 2.45 has neither DATAGRAM2 nor DATAGRAM3",
    ),
    (
        Need::EncryptedLeaseSets,
        "i2pd 2.45 does not find the encrypted lease sets it has published itself",
    ),
    (
        Need::DatagramSubsessions,
        "i2pd adds no subsessions but for streams",
    ),
    // All sessions without hops share one tunnel there, so both lease sets end at the same time, and its
    // own floodfill drops the second ("LeaseSet is older") until the tunnel is renewed.
    (
        Need::KeyAgain,
        "i2pd 2.45 without hops keeps the first lease set of a key for ten minutes",
    ),
];

const I2PD_NEW_CANNOT: &[(Need, &str)] = &[
    (
        Need::BulkBeforeEnd,
        "i2pd 2.59 loses the end of a stream that is ended with more than 60 kB under way",
    ),
    (Need::Ports, "i2pd does not tell ports"),
    (Need::OwnDial, "i2pd: Can't connect to myself"),
    (
        Need::DatagramSubsessions,
        "i2pd adds no subsessions but for streams",
    ),
];

impl Router {
    fn new(name: String, kind: Kind) -> Self {
        Self {
            name,
            kind,
            network: Mutex::new(None),
            pair: Mutex::new(None),
            ran: AtomicUsize::new(0),
            unable: AtomicUsize::new(0),
            replaced: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Why a behaviour cannot be shown on this router.
    pub(crate) fn cannot(&self, behaviour: &Behaviour) -> Option<String> {
        let cannot = match &self.kind {
            Kind::Embedded => EMBEDDED_CANNOT,
            Kind::I2pd(i2pd) if i2pd.version().starts_with("2.45.") => I2PD_OLD_CANNOT,
            Kind::I2pd(_) => I2PD_NEW_CANNOT,
            Kind::Command(router) => {
                let need = behaviour.needs.iter().find(|n| router.cannot().contains(n));
                return need.map(|need| format!("it cannot: {need:?}"));
            }
        };
        let lacks = |(need, _): &&(Need, _)| behaviour.needs.contains(need);
        cannot
            .iter()
            .find(lacks)
            .map(|(_, reason)| (*reason).to_owned())
    }

    /// Runs a behaviour; once more, on a new router, if the router had stopped answering.
    ///
    /// i2pd 2.59 sometimes stops: its bridge answers nobody any more, not even HELLO. Nothing can
    /// be shown on it then. It is asked without the library, so that no fault of ours passes for
    /// one of the router's; and the run says how often it happened.
    pub(crate) fn show(&self, behaviour: &Behaviour) {
        let network = self.network();
        let run = AssertUnwindSafe(|| (behaviour.run)(self));
        if let Err(panic) = panic::catch_unwind(run) {
            if network.answers() || !self.replace(&network) {
                panic::resume_unwind(panic);
            }
            (behaviour.run)(self);
        }
        self.ran.fetch_add(1, Ordering::Relaxed);
    }

    /// Has the next behaviour find a new router, unless another has seen to it.
    fn replace(&self, silent: &Arc<Network>) -> bool {
        let mut network = self.network_slot();
        if !network.as_ref().is_some_and(|now| Arc::ptr_eq(now, silent)) {
            return true;
        }
        let status = silent.exit_status();
        {
            let mut replaced = lock(&self.replaced);
            if replaced.len() >= MOST_REPLACED {
                return false;
            }
            replaced.push(status);
        }
        eprintln!(
            "{} answers nobody any more ({}); a new one takes its place",
            self.name,
            ending(status)
        );
        eprintln!("{}", silent.last_words());
        // Whoever waits for it is to learn now that it is gone.
        silent.kill();
        *network = None;
        true
    }

    pub(crate) fn count_unable(&self) {
        self.unable.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn tally(&self) -> String {
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        let (ran, unable) = (count(&self.ran), count(&self.unable));
        let replaced: Vec<_> = lock(&self.replaced).iter().copied().map(ending).collect();
        let replaced = match replaced.len() {
            0 => String::new(),
            times => format!(", {times} replaced: {}", replaced.join("; ")),
        };
        format!("{}: {ran} ran, {unable} it cannot{replaced}", self.name)
    }

    fn network(&self) -> Arc<Network> {
        let mut network = self.network_slot();
        Arc::clone(network.get_or_insert_with(|| Arc::new(self.start())))
    }

    fn network_slot(&self) -> MutexGuard<'_, Option<Arc<Network>>> {
        lock(&self.network)
    }

    /// A network of the behaviour's own, to be broken.
    pub(crate) fn start(&self) -> Network {
        match &self.kind {
            Kind::Embedded => Network::embedded(),
            Kind::I2pd(installation) => Network::i2pd(installation),
            Kind::Command(installation) => Network::command(installation),
        }
    }

    /// The same, in a process that can be killed.
    pub(crate) fn start_process(&self) -> Network {
        match &self.kind {
            Kind::Embedded => Network::Process(Process::start().expect("the network starts")),
            Kind::I2pd(_) | Kind::Command(_) => self.start(),
        }
    }

    pub(crate) fn bridge(&self) -> SamBridge {
        self.network().bridge()
    }

    /// The options by name, for what the library itself would not say.
    pub(crate) fn raw_options(&self) -> &'static [(&'static str, &'static str)] {
        self.network().raw_options()
    }

    pub(crate) fn options(&self) -> SessionOptions {
        self.network().options()
    }

    pub(crate) fn builder(&self) -> SessionBuilder {
        self.network().builder()
    }

    /// The version the bridge agrees to when 3.1 to 3.3 are asked for, if that is known.
    pub(crate) fn version(&self) -> Option<Version> {
        Some(match &self.kind {
            Kind::Embedded => Version::V3_2,
            Kind::I2pd(i2pd)
                if ["2.45.", "2.56."]
                    .iter()
                    .any(|old| i2pd.version().starts_with(old)) =>
            {
                Version::V3_1
            }
            Kind::I2pd(_) => Version::V3_3,
            Kind::Command(_) => return None,
        })
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
        let network = self.network();
        if poisoned || !pair.as_ref().is_some_and(|kept| kept.is_on(&network)) {
            self.pair.clear_poison();
            *pair = None;
            *pair = Some(Kept {
                network: Arc::downgrade(&network),
                pair: Pair::new(&network),
            });
        }
        Shared(pair)
    }
}

impl Network {
    fn embedded() -> Self {
        let network = Testnet::start().expect("the network starts");
        let known = known_key().destination().to_base64();
        network.add_host(KNOWN_NAME, &known).unwrap();
        Self::Embedded(network)
    }

    fn i2pd(installation: &Installation) -> Self {
        let router = installation.start_with_hosts(&hosts());
        Self::I2pd(router.unwrap_or_else(|error| panic!("i2pd does not start: {error}")))
    }

    fn command(installation: &command::Installation) -> Self {
        let router = installation.start(&hosts());
        Self::Command(router.unwrap_or_else(|error| panic!("it does not start: {error}")))
    }

    pub(crate) fn bridge(&self) -> SamBridge {
        let builder = SamBridge::builder().address(self.sam_address().to_string());
        let builder = builder.udp_address(self.udp_address().to_string());
        builder.build().unwrap()
    }

    pub(crate) fn sam_address(&self) -> SocketAddr {
        match self {
            Self::Embedded(network) => network.sam_address(),
            Self::Process(network) => network.sam_address(),
            Self::I2pd(router) => router.sam_address(),
            Self::Command(router) => router.sam_address(),
        }
    }

    pub(crate) fn udp_address(&self) -> SocketAddr {
        match self {
            Self::Embedded(network) => network.udp_address(),
            Self::Process(network) => network.udp_address(),
            Self::I2pd(router) => router.udp_address(),
            Self::Command(router) => router.udp_address(),
        }
    }

    /// The process the router runs in.
    pub(crate) fn process_id(&self) -> u32 {
        match self {
            Self::Embedded(_) => std::process::id(),
            Self::Process(network) => network.id(),
            Self::I2pd(router) => router.id(),
            Self::Command(router) => router.id(),
        }
    }

    pub(crate) fn raw_options(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Embedded(_) | Self::Process(_) => Testnet::OPTIONS,
            Self::I2pd(router) => router.session_options(),
            Self::Command(router) => router.session_options(),
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

    /// What tells an example in another process of this network.
    pub(crate) fn environment(&self) -> [(&'static str, String); 2] {
        let pairs = self.raw_options().iter();
        let options: Vec<_> = pairs
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        [
            ("I2P_SAM_ADDRESS", self.bridge().address().to_string()),
            ("I2P_SAM_OPTIONS", options.join(" ")),
        ]
    }

    /// Whether the bridge still greets who comes.
    fn answers(&self) -> bool {
        match self {
            Self::Embedded(_) | Self::Process(_) => true,
            Self::I2pd(router) => router.answers(),
            Self::Command(router) => router.answers(),
        }
    }

    /// How the router's process ended, if it has.
    fn exit_status(&self) -> Option<ExitStatus> {
        match self {
            Self::Embedded(_) | Self::Process(_) => None,
            Self::I2pd(router) => router.exit_status(),
            Self::Command(router) => router.exit_status(),
        }
    }

    /// Fails if the router has ended, or is silent.
    pub(crate) fn assert_alive(&self) {
        let status = self.exit_status();
        assert!(status.is_none(), "the router ended: {}", ending(status));
        assert!(self.answers(), "the router answers nobody any more");
    }

    /// Remembers how the process ended, if nobody here has ended it.
    fn note_end(&self) {
        let Some(status) = self.exit_status() else {
            return;
        };
        if !status.to_string().contains("SIGKILL") {
            lock(&ENDED).insert(self.process_id(), status);
        }
    }

    fn last_words(&self) -> String {
        match self {
            Self::Embedded(_) | Self::Process(_) => String::new(),
            Self::I2pd(router) => router.log_tail(),
            Self::Command(router) => router.log_tail(),
        }
    }

    /// Ends the router as a crash would.
    pub(crate) fn kill(&self) {
        self.note_end();
        match self {
            Self::Embedded(_) => panic!("it runs inside this process"),
            Self::Process(network) => network.kill(),
            Self::I2pd(router) => router.kill(),
            Self::Command(router) => router.kill(),
        }
    }

    /// Starts the router again where it was. What dials into the void may have its ports for a moment.
    pub(crate) fn restart(&self) {
        self.note_end();
        let restart = || match self {
            Self::Embedded(_) => panic!("it runs inside this process"),
            Self::Process(network) => network.restart(),
            Self::I2pd(router) => router.restart(),
            Self::Command(router) => router.restart(),
        };
        let outcome = (0..RESTARTS).find_map(|_| restart().ok());
        assert!(outcome.is_some(), "the router does not start again");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.note_end();
    }
}

/// How many processes of routers ended that nobody here had ended, and how.
pub(crate) fn ended() -> Option<String> {
    let ended = lock(&ENDED);
    let how: Vec<_> = ended.values().map(ExitStatus::to_string).collect();
    (!how.is_empty()).then(|| format!("{}: {}", how.len(), how.join("; ")))
}

fn ending(status: Option<ExitStatus>) -> String {
    status.map_or_else(|| "its process went on".to_owned(), |how| how.to_string())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The address book of every router.
fn hosts() -> String {
    format!("{KNOWN_NAME}={}\n", known_key().destination())
}

/// The key whose destination [`KNOWN_NAME`] stands for.
pub(crate) fn known_key() -> PrivateKey {
    KNOWN_KEY.trim_end().parse().unwrap()
}

/// Two sessions that reach each other, kept for all behaviours that need no sessions of their own.
pub(crate) struct Pair {
    pub(crate) server: StreamSession,
    pub(crate) listener: SamListener,
    pub(crate) client: StreamSession,
}

/// The pair of one network, of no use when another has taken its place.
struct Kept {
    network: Weak<Network>,
    pair: Pair,
}

impl Kept {
    fn is_on(&self, network: &Arc<Network>) -> bool {
        self.network.as_ptr() == Arc::as_ptr(network)
    }
}

/// The shared sessions, while one behaviour has them.
pub(crate) struct Shared<'a>(MutexGuard<'a, Option<Kept>>);

impl std::ops::Deref for Shared<'_> {
    type Target = Pair;

    fn deref(&self) -> &Pair {
        &self.0.as_ref().unwrap().pair
    }
}

impl Pair {
    /// Two new sessions, between which a first stream has gone.
    pub(crate) fn new(network: &Network) -> Self {
        let (server, client) = std::thread::scope(|scope| {
            let server = scope.spawn(|| network.builder().stream().unwrap());
            let client = network.builder().stream().unwrap();
            (server.join().unwrap(), client)
        });
        let pair = Self {
            listener: server.listener().unwrap(),
            server,
            client,
        };
        let (near, far) = pair.dial();
        crate::suite::data::greet(&near, &far);
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
    let (_hold, clock) = mpsc::channel::<()>();
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
