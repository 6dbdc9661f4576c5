//! Sessions that are created again after their router was killed.

use std::thread;
use std::time::{Duration, Instant};

use i2p_sam::{HealingOptions, HealingSession};

use crate::child::{self, Child};
use crate::healed::{FIRST_PAUSE, LONGEST_PAUSE};
use crate::router::{LONG, Network, Router};
use crate::suite::behaviours;
use crate::suite::data::{greet, persist};

behaviours! {
    listener_and_dialler_survive_router_restart [Streams, Restart];
    forwarding_listener_survives_router_restart [Streams, Restart];
    #[slow] sessions_under_load_heal_after_each_kill [Streams, Restart];
}

/// The number of kills. The old i2pd needs 20 s for a session.
fn rounds(router: &Router) -> usize {
    match router.name().contains("2.45") {
        true => 5,
        false => 20,
    }
}

fn listener_and_dialler_survive_router_restart(router: &Router) {
    outlive(router, false);
}

fn forwarding_listener_survives_router_restart(router: &Router) {
    outlive(router, true);
}

fn outlive(router: &Router, forward: bool) {
    let network = router.start_process();
    let heal = |forward| heal(&network, forward);
    let (server, client) = thread::scope(|scope| {
        let server = scope.spawn(move || heal(forward));
        let client = heal(false);
        (server.join().unwrap(), client)
    });
    let listener = server.listener().unwrap();
    for round in 0..2 {
        if round > 0 {
            network.kill();
            network.restart();
        }
        let (near, far) = persist(|| {
            let near = client.connect_timeout(server.destination(), LONG).ok()?;
            let (far, _) = listener.accept_timeout(LONG).ok()?;
            Some((near, far))
        });
        greet(&near, &far);
    }
}

pub(super) fn heal(network: &Network, forward: bool) -> HealingSession {
    let options = HealingOptions::new()
        .initial_backoff(FIRST_PAUSE)
        .max_backoff(LONGEST_PAUSE)
        .forward(forward);
    network.builder().healing_with(&options).unwrap()
}

fn sessions_under_load_heal_after_each_kill(router: &Router) {
    let network = router.start_process();
    let mut program = Program::start(&network);
    program.wait_for("ready");
    let mut recoveries = Vec::new();
    for _ in 0..rounds(router) {
        let killed = Instant::now();
        network.kill();
        let tries = program.wait_for_loss();
        network.restart();
        program.wait_until_back(tries);
        program.tell("serve?");
        program.wait_for("serves");
        recoveries.push(killed.elapsed());
        program.wait_for("busy");
    }
    program.tell("end");
    let counts = program.wait_for("counts");
    println!(
        "{}: seconds until it served again: {:.1?}; before, after, calls: {counts:?}",
        router.name(),
        recoveries
            .iter()
            .map(Duration::as_secs_f32)
            .collect::<Vec<_>>()
    );
    let [
        threads,
        descriptors,
        threads_after,
        descriptors_after,
        answered,
        _failed,
    ] = counts[..]
    else {
        panic!("{counts:?}");
    };
    assert!(threads_after <= threads, "{counts:?}");
    assert!(descriptors_after <= descriptors, "{counts:?}");
    let least = 20 * recoveries.len() as u64;
    assert!(answered >= least, "only {answered} calls were answered");
}

/// The healing program, as the test sees it.
struct Program(Child);

impl Program {
    fn start(network: &Network) -> Self {
        let options = network.raw_options().iter();
        let mut command = child::command("healed").unwrap();
        command
            .arg(network.bridge().address())
            .args(options.map(|(name, value)| format!("{name}={value}")));
        Self(Child::start(&mut command))
    }

    fn tell(&mut self, line: &str) {
        self.0.tell(line);
    }

    fn next(&self) -> (String, Vec<u64>) {
        let line = self.0.next();
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        assert!(word != "ended", "{line}");
        let numbers = rest.split(' ').filter_map(|number| number.parse().ok());
        (word.to_owned(), numbers.collect())
    }

    fn wait_for(&self, what: &str) -> Vec<u64> {
        loop {
            let (word, numbers) = self.next();
            if word == what {
                return numbers;
            }
        }
    }

    fn wait_for_loss(&self) -> Promise {
        self.wait_for("lost");
        Promise::default()
    }

    /// Checks that no attempt is made sooner than promised until the session is back.
    fn wait_until_back(&self, mut promise: Promise) {
        loop {
            let (word, numbers) = self.next();
            match (word.as_str(), &numbers[..]) {
                ("trying", [away]) => promise.check(Duration::from_millis(*away)),
                // A session that was created while the router was stopping.
                ("lost", _) => promise = Promise::default(),
                ("back", _) => return,
                _ => {}
            }
        }
    }
}

/// Returns the earliest times of attempts after a loss.
struct Promise {
    pause: Duration,
    least: Duration,
}

impl Default for Promise {
    fn default() -> Self {
        Self {
            pause: FIRST_PAUSE,
            least: Duration::ZERO,
        }
    }
}

impl Promise {
    fn check(&mut self, away: Duration) {
        self.least += self.pause / 2;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        // Reported times are truncated to a millisecond.
        let away = away + Duration::from_millis(1);
        assert!(
            away >= self.least,
            "it tries after {away:?}, and not after {:?}",
            self.least
        );
    }
}
