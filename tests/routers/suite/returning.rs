//! Keys that come back to a router that has stayed up: the connection to it was cut, the session was
//! closed, the program was killed, or the router was stopped for a while.
//!
//! i2pd 2.59 answers a CREATE at once if the last session with that key ended a moment ago. The new
//! session serves nobody, and the router crashes when it is dialled. So each behaviour has a router of
//! its own, dials what was created, and looks whether the router is still there.

use std::io::{Read, Write};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use i2p_sam::{
    Destination, HealingEvent, HealingOptions, HealingSession, SamBridge, SamListener, SamStream,
    StreamSession,
};

use crate::ON_PROFILES;
use crate::child::{self, Child};
use crate::healed::{FIRST_PAUSE, LONGEST_PAUSE};
use crate::relay::Relay;
use crate::router::{LONG, Network, Router};
use crate::suite::behaviours;
use crate::suite::data::persist;

behaviours! {
    listener_with_cut_connections_heals [Streams, Restart, KeyAgain];
    key_reused_after_close_serves [Streams, Restart, KeyAgain];
    killed_and_restarted_server_serves [Streams, Restart, KeyAgain];
    #[slow] listener_with_cut_connections_heals_twenty_times [Streams, Restart, KeyAgain, ManyCuts];
    #[slow] key_reused_ten_times_serves [Streams, Restart, KeyAgain];
    #[slow] server_restarted_ten_times_serves [Streams, Restart, KeyAgain];
    #[slow] listener_serves_after_each_router_pause [Streams, Restart, KeyAgain];
}

/// The longest time for which a server that was cut off may be away, from the cut to the answer: the key
/// rests for 6 s, and i2pd takes 3 to 18 s to create the session (2.59: a new pool of tunnels is first
/// managed after a random time of up to 10 s, pools are managed every 5 s, and SAM checks every 3 s if the
/// session is ready).
const AWAY: Duration = Duration::from_secs(30);

/// A session that i2pd made out of the one before answers for up to 5 s, and then nobody.
///
/// On the profiles such a session answers nobody from the start.
const DEAF_AFTER: Duration = Duration::from_millis(if ON_PROFILES { 500 } else { 8000 });

/// The times that a key comes back. Each takes i2pd's rest of 6 s, which no clock makes faster.
const TIMES: usize = if ON_PROFILES { 1 } else { 2 };

/// A dial that finds nobody is not waited for longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Threads that dial while connections are cut.
const DIALLERS: usize = 2;

/// Calls that are answered between one cut and the next.
const CALLS: usize = 20;

/// Client sessions that have not dialled yet. One that has dialled the last session with a key gets
/// silence from the next on i2pd 2.59. They are created at the same time, since each takes seconds.
fn clients(network: &Network, count: usize) -> Vec<StreamSession> {
    thread::scope(|scope| {
        let create = || network.builder().stream().unwrap();
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(create)).collect();
        let sessions = threads.into_iter().map(|thread| thread.join().unwrap());
        sessions.collect()
    })
}

/// Echoes a word on each stream.
fn echo(mut stream: SamStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(LONG))?;
    let mut word = [0; 8];
    stream.read_exact(&mut word)?;
    stream.write_all(&word)?;
    // The dialler has the answer when it hangs up.
    stream.read(&mut word).map(drop)
}

/// Sends a word over a stream of its own, and returns whether it came back.
fn answers(client: &StreamSession, server: &Destination) -> bool {
    let call = || {
        let mut stream = client.connect_timeout(server, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"a word..")?;
        let mut echo = [0; 8];
        stream.read_exact(&mut echo)?;
        Ok::<_, std::io::Error>(&echo == b"a word..")
    };
    call().unwrap_or(false)
}

fn assert_answers_for(time: Duration, client: &StreamSession, server: &Destination) {
    assert_for(time, || answers(client, server));
}

/// Fails if it is not so, again and again, for this time.
fn assert_for(time: Duration, mut is_so: impl FnMut() -> bool) {
    let (_hold, clock) = mpsc::channel::<()>();
    let start = Instant::now();
    while start.elapsed() < time {
        assert!(is_so(), "no answer any more after {:?}", start.elapsed());
        let _ = clock.recv_timeout(Duration::from_millis(200));
    }
}

/// A listener that heals, and what happens to it.
struct Healing {
    session: HealingSession,
    events: mpsc::Receiver<HealingEvent>,
}

impl Healing {
    fn start(network: &Network, address: String) -> Self {
        let (sender, events) = mpsc::channel();
        let sender = Mutex::new(sender);
        let options = HealingOptions::new()
            .initial_backoff(FIRST_PAUSE)
            .max_backoff(LONGEST_PAUSE)
            .on_event(move |_, event| {
                let _ = sender.lock().unwrap().send(event.clone());
            });
        let bridge = SamBridge::new(&address).unwrap();
        let builder = bridge.session().options(network.options());
        let builder = builder.heartbeat(Some(Duration::from_secs(5)));
        let session = builder.healing_with(&options).unwrap();
        let listener = session.listener().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || echo(stream));
            }
        });
        Self { session, events }
    }

    fn wait_for(&self, what: &str, is_it: impl Fn(&HealingEvent) -> bool) {
        // One deadline for all events: a router that has ended causes a failed attempt again and again.
        let end = Instant::now() + LONG;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left);
            let event = event.unwrap_or_else(|_| panic!("it is not {what}"));
            if is_it(&event) {
                return;
            }
            assert!(!matches!(event, HealingEvent::GaveUp { .. }), "{event:?}");
        }
    }

    fn wait_until_lost(&self) {
        self.wait_for("lost", |event| matches!(event, HealingEvent::Lost { .. }));
    }

    fn wait_until_back(&self) {
        self.wait_for("back", |event| {
            matches!(event, HealingEvent::Restored { .. })
        });
    }
}

fn listener_with_cut_connections_heals(router: &Router) {
    cut(router, TIMES);
}

fn listener_with_cut_connections_heals_twenty_times(router: &Router) {
    cut(router, 20);
}

fn cut(router: &Router, times: usize) {
    let network = router.start_process();
    let relay = Relay::start(network.sam_address());
    let (server, clients) = thread::scope(|scope| {
        let server = scope.spawn(|| Healing::start(&network, relay.address().to_string()));
        let clients = clients(&network, times + 1);
        (server.join().unwrap(), clients)
    });
    let destination = server.session.destination();
    let load = Load::default();
    let recoveries = thread::scope(|scope| {
        let _over = SetOnDrop(&load.over);
        for _ in 0..DIALLERS {
            scope.spawn(|| load.dial(&clients, destination));
        }
        let recovery = |number| {
            load.await_calls();
            load.away.store(true, Ordering::Relaxed);
            let start = Instant::now();
            assert!(relay.cut() > 0, "no connection was open");
            server.wait_until_lost();
            server.wait_until_back();
            persist(|| answers(&clients[number], destination).then_some(()));
            load.number.store(number, Ordering::Relaxed);
            load.away.store(false, Ordering::Relaxed);
            start.elapsed()
        };
        let recoveries = (1..=times).map(recovery).collect::<Vec<_>>();
        load.await_calls();
        recoveries
    });
    let seconds = recoveries.iter().map(Duration::as_secs_f32);
    println!(
        "{}: seconds from the cut to the answer: {:.1?}; {} calls of the load were answered",
        router.name(),
        seconds.collect::<Vec<_>>(),
        load.answered.into_inner()
    );
    network.assert_alive();
    assert!(recoveries.iter().all(|time| *time < AWAY));
}

/// Calls one after the other by the client that dialled last. None is made while the session is away:
/// i2pd 2.59 corrupts its heap ("unsorted double linked list corrupted") if dials go on to a session that has
/// ended and is created again, in 10 of 10 trials with plain sockets, whatever the server did.
#[derive(Default)]
struct Load {
    over: AtomicBool,
    away: AtomicBool,
    number: AtomicUsize,
    answered: AtomicUsize,
}

impl Load {
    fn dial(&self, clients: &[StreamSession], server: &Destination) {
        while !self.over.load(Ordering::Relaxed) {
            if self.away.load(Ordering::Relaxed) {
                thread::park_timeout(Duration::from_millis(5));
                continue;
            }
            let client = &clients[self.number.load(Ordering::Relaxed)];
            let answered = answers(client, server);
            self.answered.fetch_add(answered.into(), Ordering::Relaxed);
        }
    }

    /// Waits until some more calls were answered, so that there is a load to be cut.
    fn await_calls(&self) {
        let answered = || self.answered.load(Ordering::Relaxed);
        let enough = answered() + CALLS;
        persist(|| (answered() >= enough).then_some(()));
    }
}

/// Ends those who look at it, also if something fails.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn key_reused_after_close_serves(router: &Router) {
    use_again(router, TIMES);
}

fn key_reused_ten_times_serves(router: &Router) {
    use_again(router, 10);
}

fn use_again(router: &Router, times: usize) {
    let network = router.start_process();
    let (session, clients) = thread::scope(|scope| {
        let session = scope.spawn(|| network.builder().stream().unwrap());
        let clients = clients(&network, times + 1);
        (session.join().unwrap(), clients)
    });
    let builder = network.builder().key(session.private_key());
    let mut session = Some(session);
    let mut created = Vec::new();
    for (number, client) in clients.iter().enumerate() {
        let start = Instant::now();
        let now = session
            .take()
            .unwrap_or_else(|| builder.clone().stream().unwrap());
        created.push(start.elapsed().as_secs_f32());
        let listener = now.listener().unwrap();
        let time = match number == times {
            true => DEAF_AFTER,
            false => Duration::ZERO,
        };
        serve(&listener, client, now.destination(), time);
        drop(listener);
        now.close();
    }
    println!(
        "{}: seconds until each session was there: {created:.1?}",
        router.name()
    );
    network.assert_alive();
}

/// The listener answers the client, and goes on to for this time.
fn serve(listener: &SamListener, client: &StreamSession, server: &Destination, time: Duration) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _over = SetOnDrop(&over);
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                if let Ok((stream, _)) = listener.accept_timeout(Duration::from_millis(100)) {
                    thread::spawn(move || echo(stream));
                }
            }
        });
        persist(|| answers(client, server).then_some(()));
        assert_answers_for(time, client, server);
    });
}

fn killed_and_restarted_server_serves(router: &Router) {
    kill_server(router, TIMES);
}

fn server_restarted_ten_times_serves(router: &Router) {
    kill_server(router, 10);
}

/// The example `http_server` with a key file, killed with SIGKILL.
fn kill_server(router: &Router, times: usize) {
    let network = router.start_process();
    let clients = clients(&network, times + 1);
    let name = format!(
        "i2p-sam-{}-{}.key",
        std::process::id(),
        network.sam_address().port()
    );
    let key_file = std::env::temp_dir().join(name);
    let mut served = Vec::new();
    for client in &clients {
        let start = Instant::now();
        let mut command = child::command("http-server").unwrap();
        command.envs(network.environment()).arg(&key_file);
        // It is killed when it is dropped.
        let server = Child::start(&mut command);
        let address = server.hear("Serving http://");
        let address = address.trim_end_matches('/');
        let page = persist(|| page_of(client, address));
        assert!(page.ends_with("Hello from inside I2P.\n"), "{page}");
        served.push(start.elapsed().as_secs_f32());
        if served.len() == clients.len() {
            assert_for(DEAF_AFTER, || page_of(client, address).is_some());
        }
    }
    let _ = std::fs::remove_file(&key_file);
    println!("{}: seconds until each served: {served:.1?}", router.name());
    network.assert_alive();
}

fn page_of(client: &StreamSession, address: &str) -> Option<String> {
    let mut stream = client.connect_timeout(address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut page = vec![0; 1000];
    let mut len = 0;
    while !page.get(..len)?.ends_with(b"I2P.\n") {
        match stream.read(page.get_mut(len..)?) {
            Ok(read @ 1..) => len += read,
            _ => return None,
        }
    }
    String::from_utf8(page.get(..len)?.to_vec()).ok()
}

fn listener_serves_after_each_router_pause(router: &Router) {
    const TIMES: usize = 3;
    const STOPPED: Duration = Duration::from_secs(40);
    let network = router.start_process();
    let (server, clients) = thread::scope(|scope| {
        let address = network.sam_address().to_string();
        let server = scope.spawn(|| Healing::start(&network, address));
        let clients = clients(&network, TIMES + 1);
        (server.join().unwrap(), clients)
    });
    let destination = server.session.destination();
    let (first, clients) = clients.split_first().unwrap();
    persist(|| answers(first, destination).then_some(()));
    let mut recoveries = Vec::new();
    for client in clients {
        signal(&network, "STOP");
        let stopped = Instant::now();
        server.wait_until_lost();
        let (_hold, clock) = mpsc::channel::<()>();
        let _ = clock.recv_timeout(STOPPED.saturating_sub(stopped.elapsed()));
        signal(&network, "CONT");
        let start = Instant::now();
        server.wait_until_back();
        persist(|| answers(client, destination).then_some(()));
        recoveries.push(start.elapsed().as_secs_f32());
        assert_answers_for(DEAF_AFTER, client, destination);
    }
    println!(
        "{}: seconds from going on to the answer: {recoveries:.1?}",
        router.name()
    );
    network.assert_alive();
}

fn signal(network: &Network, name: &str) {
    let id = network.process_id().to_string();
    let status = Command::new("kill")
        .args([&format!("-{name}"), &id])
        .status();
    assert!(status.unwrap().success());
}
