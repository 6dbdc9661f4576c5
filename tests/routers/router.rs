//! The routers on which behaviours run: their abilities, and access to them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak, mpsc};
use std::time::Duration;

use i2p_sam::testing::{Profile, TestBridge};
use i2p_sam::{
    ConnectOptions, Error, PrivateKey, SamBridge, SamListener, SamStream, SessionBuilder,
    SessionOptions, StreamSession, Version,
};
use i2p_sam_testnet::Testnet;

use crate::ON_PROFILES;
use crate::command;
use crate::embedded::Process;
use crate::i2pd::{I2pd, Installation};
use crate::suite::{Behaviour, Need};

/// Longer than any single step takes on the slowest router.
pub(crate) const LONG: Duration = match ON_PROFILES {
    true => Duration::from_secs(12),
    false => Duration::from_secs(60),
};

/// The name in every router's address book, and the key whose destination it names. The key is only for
/// these tests.
pub(crate) const KNOWN_NAME: &str = "known.i2p";
const KNOWN_KEY: &str = include_str!("known.key");

/// Longer than a behaviour takes that a profile can show.
const ABLE_WITHIN: Duration = Duration::from_secs(15);

/// Number of attempts to start a router again at the same address.
const RESTARTS: usize = 5;

/// Most routers that are replaced in a run because they stopped replying.
const MOST_REPLACED: usize = 2;

/// Most behaviours of a router that run again in a run because they failed.
const MOST_REPEATED: usize = 3;

/// Held by each behaviour while it runs on a profile, and alone by one that runs again.
static RUNNING: RwLock<()> = RwLock::new(());

/// The processes of routers that ended without a request, with their exit status.
static ENDED: Mutex<BTreeMap<u32, ExitStatus>> = Mutex::new(BTreeMap::new());

/// One kind of router, started when the first behaviour needs it.
pub(crate) struct Router {
    name: String,
    kind: Kind,
    network: Mutex<Option<Arc<Network>>>,
    pair: Mutex<Option<Kept>>,
    ran: AtomicUsize,
    unable: AtomicUsize,
    /// The exit status of each replaced router, if its process had ended.
    replaced: Mutex<Vec<Option<ExitStatus>>>,
    /// The behaviours that failed once, and ran again.
    repeated: Mutex<Vec<&'static str>>,
}

#[derive(Clone)]
enum Kind {
    Embedded,
    I2pd(Installation),
    Command(command::Installation),
    Profile(Profile),
}

/// A running network.
pub(crate) enum Network {
    Embedded(Testnet),
    Process(Process),
    I2pd(I2pd),
    Command(command::Router),
    Profile(TestBridge),
}

/// Returns the routers that were found, and the names of those that were not. A router that the environment
/// names is the only one.
pub(crate) fn all() -> (Vec<Arc<Router>>, Vec<&'static str>) {
    if let Some(installation) = command::Installation::from_env() {
        let name = installation.name().to_owned();
        let router = Router::new(name, Kind::Command(installation));
        return (vec![Arc::new(router)], Vec::new());
    }
    let mut found = Vec::new();
    let mut missing = Vec::new();
    // The slowest come first, so that the others do not wait for them in the end.
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

/// Returns the profiles of the test bridge.
pub(crate) fn profiles() -> Vec<Arc<Router>> {
    let router = |profile| Arc::new(Router::new(format!("{profile:?}"), Kind::Profile(profile)));
    Profile::ALL.into_iter().map(router).collect()
}

/// The behaviours that no profile shows although its router does.
const PROFILES_CANNOT: &[(&str, &str)] = &[(
    "encrypted_service_accepts_private_client_key",
    "the test bridge has no cryptography, and so no key pairs",
)];

fn not_on_profiles(behaviour: &Behaviour) -> Option<&'static (&'static str, &'static str)> {
    let mut all = PROFILES_CANNOT.iter();
    all.find(|(name, _)| *name == behaviour.name)
}

const JAVA_CANNOT: &[(Need, &str)] = &[
    (
        Need::NewDatagrams,
        "Java I2P 2.8.0 has neither DATAGRAM2 nor DATAGRAM3",
    ),
    (
        Need::StreamSubsessionsOnly,
        "Java I2P adds subsessions of other styles, too",
    ),
    (Need::NoUsers, "Java I2P supports AUTH"),
];

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
    // There all sessions without hops share one tunnel, so both lease sets end at the same time, and the
    // router's own floodfill drops the second ("LeaseSet is older") until the tunnel is renewed.
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
    (
        Need::ManyCuts,
        "i2pd 2.59 crashes (SIGSEGV) in some of the runs if peers dial a session that ends",
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
            repeated: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the reason why a behaviour cannot be shown on this router, if there is one.
    pub(crate) fn cannot(&self, behaviour: &Behaviour) -> Option<String> {
        if let (Kind::Profile(_), Some((_, reason))) = (&self.kind, not_on_profiles(behaviour)) {
            return Some((*reason).to_owned());
        }
        let cannot = match &self.kind {
            Kind::Embedded | Kind::Profile(Profile::Emissary) => EMBEDDED_CANNOT,
            Kind::Profile(Profile::I2pd245) => I2PD_OLD_CANNOT,
            Kind::Profile(Profile::I2pd) => I2PD_NEW_CANNOT,
            Kind::Profile(_) => JAVA_CANNOT,
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

    /// Runs a behaviour, and once more if what failed may be the router or the machine.
    ///
    /// i2pd 2.59 sometimes stops: its bridge does not reply to any program any more, not even to HELLO.
    /// Then no behaviour can be shown on it, and a new router takes its place. The check does not use the
    /// library, so that a fault of ours does not count as a fault of the router.
    ///
    /// A living router may lose a packet, or the end of a stream; the router that a behaviour starts for
    /// itself may stop, too; and on profiles 56 behaviours share a few
    /// processors. So some may fail once. The run prints which, and how often a router stopped.
    pub(crate) fn show(&self, behaviour: &'static Behaviour) {
        let network = self.network();
        if let Err(panic) = self.attempt(behaviour) {
            let again = match network.answers() {
                true => self.repeat(behaviour),
                false => self.replace(&network),
            };
            if !again {
                panic::resume_unwind(panic);
            }
            let alone = ON_PROFILES.then(|| RUNNING.write());
            (behaviour.run)(self);
            drop(alone);
        }
        self.ran.fetch_add(1, Ordering::Relaxed);
    }

    fn attempt(&self, behaviour: &Behaviour) -> std::thread::Result<()> {
        let beside_others = ON_PROFILES.then(|| RUNNING.read());
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| (behaviour.run)(self)));
        drop(beside_others);
        outcome
    }

    /// Returns true if a behaviour that failed may run again, and notes it.
    fn repeat(&self, behaviour: &'static Behaviour) -> bool {
        let mut repeated = lock(&self.repeated);
        if repeated.len() >= MOST_REPEATED {
            return false;
        }
        eprintln!("{}::{} failed, and runs again", self.name, behaviour.name);
        repeated.push(behaviour.name);
        true
    }

    /// Runs a behaviour that this router cannot show, on one of its own, and returns true if it fails: if it
    /// panics, or does not end in a time in which all others do.
    pub(crate) fn fails(&self, behaviour: &'static Behaviour) -> bool {
        self.count_unable();
        let own = Self::new(self.name.clone(), self.kind.clone());
        let (sender, outcome) = mpsc::channel();
        std::thread::spawn(move || {
            let run = AssertUnwindSafe(|| (behaviour.run)(&own));
            let _ = sender.send(panic::catch_unwind(run).is_ok());
        });
        !outcome.recv_timeout(ABLE_WITHIN).unwrap_or(false)
    }

    /// Makes the next behaviour start a new router, unless another thread has done so.
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
        // Threads that wait for the router must learn now that it is gone.
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
        let repeated = lock(&self.repeated);
        let repeated = match repeated.len() {
            0 => String::new(),
            _ => format!(", of these ran again: {}", repeated.join(" ")),
        };
        format!(
            "{}: {ran} ran, {unable} it cannot{replaced}{repeated}",
            self.name
        )
    }

    fn network(&self) -> Arc<Network> {
        let mut network = self.network_slot();
        Arc::clone(network.get_or_insert_with(|| Arc::new(self.start())))
    }

    fn network_slot(&self) -> MutexGuard<'_, Option<Arc<Network>>> {
        lock(&self.network)
    }

    /// Starts a network for one behaviour, which may break it.
    pub(crate) fn start(&self) -> Network {
        match &self.kind {
            Kind::Embedded => Network::embedded(),
            Kind::I2pd(installation) => Network::i2pd(installation),
            Kind::Command(installation) => Network::command(installation),
            Kind::Profile(profile) => Network::profile(*profile),
        }
    }

    /// Starts such a network in a process that can be killed.
    pub(crate) fn start_process(&self) -> Network {
        match &self.kind {
            Kind::Embedded => Network::Process(Process::start().expect("the network starts")),
            Kind::I2pd(_) | Kind::Command(_) | Kind::Profile(_) => self.start(),
        }
    }

    pub(crate) fn bridge(&self) -> SamBridge {
        self.network().bridge()
    }

    /// Returns the options by name, for commands that the library itself would not send.
    pub(crate) fn raw_options(&self) -> &'static [(&'static str, &'static str)] {
        self.network().raw_options()
    }

    pub(crate) fn options(&self) -> SessionOptions {
        self.network().options()
    }

    pub(crate) fn builder(&self) -> SessionBuilder {
        self.network().builder()
    }

    /// Returns the version to which the bridge agrees for a range of 3.1 to 3.3, if that is known.
    pub(crate) fn version(&self) -> Option<Version> {
        Some(match &self.kind {
            Kind::Embedded | Kind::Profile(Profile::Emissary) => Version::V3_2,
            Kind::Profile(Profile::I2pd245) => Version::V3_1,
            Kind::Profile(_) => Version::V3_3,
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

    /// Creates a session for one behaviour.
    pub(crate) fn session(&self) -> StreamSession {
        self.builder().stream().unwrap()
    }

    /// Returns the shared sessions, for one behaviour at a time. At a profile each behaviour has its own,
    /// since they cost nothing there.
    pub(crate) fn pair(&self) -> Shared<'_> {
        if let Kind::Profile(_) = self.kind {
            return Shared::Own(Pair::new(&self.network()));
        }
        // A behaviour that failed half way leaves sessions in an unknown state.
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
        Shared::Locked(pair)
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

    fn profile(profile: Profile) -> Self {
        let bridge = TestBridge::builder().profile(profile).start().unwrap();
        bridge.add_host(&KNOWN_NAME.parse().unwrap(), known_key().destination());
        Self::Profile(bridge)
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
            Self::Profile(bridge) => bridge.address(),
        }
    }

    pub(crate) fn udp_address(&self) -> SocketAddr {
        match self {
            Self::Embedded(network) => network.udp_address(),
            Self::Process(network) => network.udp_address(),
            Self::I2pd(router) => router.udp_address(),
            Self::Command(router) => router.udp_address(),
            Self::Profile(bridge) => bridge.udp_address(),
        }
    }

    /// Returns the id of the router's process.
    pub(crate) fn process_id(&self) -> u32 {
        match self {
            Self::Embedded(_) | Self::Profile(_) => std::process::id(),
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
            Self::Profile(_) => &[],
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

    /// Returns the variables that lead an example in another process to this network.
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

    /// Returns true if the bridge still replies to HELLO.
    fn answers(&self) -> bool {
        match self {
            Self::Embedded(_) | Self::Process(_) | Self::Profile(_) => true,
            Self::I2pd(router) => router.answers(),
            Self::Command(router) => router.answers(),
        }
    }

    /// Returns how the router's process ended, if it has ended.
    fn exit_status(&self) -> Option<ExitStatus> {
        match self {
            Self::Embedded(_) | Self::Process(_) | Self::Profile(_) => None,
            Self::I2pd(router) => router.exit_status(),
            Self::Command(router) => router.exit_status(),
        }
    }

    /// Panics if the router has ended, or does not reply.
    pub(crate) fn assert_alive(&self) {
        let status = self.exit_status();
        assert!(status.is_none(), "the router ended: {}", ending(status));
        assert!(self.answers(), "the router answers nobody any more");
    }

    /// Records how the process ended, if the tests have not ended it.
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
            Self::Embedded(_) | Self::Process(_) | Self::Profile(_) => String::new(),
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
            Self::Profile(bridge) => bridge.stop(),
        }
    }

    /// Starts the router again at the same address. A dial to the dead router may occupy its ports for a
    /// moment.
    pub(crate) fn restart(&self) {
        self.note_end();
        let restart = || match self {
            Self::Embedded(_) => panic!("it runs inside this process"),
            Self::Process(network) => network.restart(),
            Self::I2pd(router) => router.restart(),
            Self::Command(router) => router.restart(),
            Self::Profile(bridge) => bridge.restart(),
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

/// Returns how many processes of routers ended without a request, and how they ended.
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

/// Returns the address book of every router.
fn hosts() -> String {
    format!("{KNOWN_NAME}={}\n", known_key().destination())
}

/// Returns the key whose destination has the name [`KNOWN_NAME`].
pub(crate) fn known_key() -> PrivateKey {
    KNOWN_KEY.trim_end().parse().unwrap()
}

/// Two sessions that reach each other, kept for all behaviours that need no sessions of their own.
pub(crate) struct Pair {
    pub(crate) server: StreamSession,
    pub(crate) listener: SamListener,
    pub(crate) client: StreamSession,
}

/// The pair of one network. It cannot be used after another network has replaced that one.
pub(crate) struct Kept {
    network: Weak<Network>,
    pair: Pair,
}

impl Kept {
    fn is_on(&self, network: &Arc<Network>) -> bool {
        self.network.as_ptr() == Arc::as_ptr(network)
    }
}

/// The sessions of a pair, in the hands of one behaviour.
pub(crate) enum Shared<'a> {
    Locked(MutexGuard<'a, Option<Kept>>),
    Own(Pair),
}

impl std::ops::Deref for Shared<'_> {
    type Target = Pair;

    fn deref(&self) -> &Pair {
        match self {
            Self::Locked(kept) => &kept.as_ref().unwrap().pair,
            Self::Own(pair) => pair,
        }
    }
}

impl Pair {
    /// Creates two sessions, and carries a first stream between them.
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

    /// Dials from the client's session to the server's, and returns both sides of the stream.
    pub(crate) fn dial(&self) -> (SamStream, SamStream) {
        self.dial_with(&ConnectOptions::new())
    }

    pub(crate) fn dial_with(&self, options: &ConnectOptions) -> (SamStream, SamStream) {
        let near = self.client.connect_with(self.server.destination(), options);
        (near.unwrap(), self.accept())
    }

    /// Returns the server's side of a stream that was just dialled.
    pub(crate) fn accept(&self) -> SamStream {
        let (stream, peer) = self.listener.accept_timeout(LONG).unwrap();
        assert_eq!(peer.destination(), Some(self.client.destination()));
        stream
    }
}

/// Creates a session with this key, as soon as the router has released it.
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
