//! One destination at two routers, of which one is killed.
//!
//! The routers do not know each other: each has a network of its own, and therefore a client of its
//! own.

use std::sync::{Mutex, mpsc};
use std::thread;

use i2p_sam::{
    ConnectOptions, HealingEvent, HealingOptions, HealingSession, SamBridge, SamListener,
    StreamSession,
};

use crate::router::{LONG, Network, Router};
use crate::suite::behaviours;
use crate::suite::data::greet;

behaviours! {
    multihomed_session_is_reachable_at_both_routers [Streams, Restart];
    multihomed_session_survives_one_killed_router [Streams, Restart];
    multihomed_session_dials_over_either_router [Streams, Restart];
}

/// Two routers for the behaviour alone, each with a client, a session with a replica at both, and its
/// events.
struct TwoRouters {
    networks: [Network; 2],
    clients: [StreamSession; 2],
    session: HealingSession,
    events: mpsc::Receiver<(String, HealingEvent)>,
}

impl TwoRouters {
    fn start(router: &Router) -> Self {
        let networks = thread::scope(|scope| {
            let second = scope.spawn(|| router.start_process());
            [router.start_process(), second.join().unwrap()]
        });
        let (sender, events) = mpsc::channel();
        let sender = Mutex::new(sender);
        let options = HealingOptions::new().on_event(move |bridge, event| {
            let told = (bridge.address(), event.clone());
            let _ = sender.lock().unwrap().send(told);
        });
        let [first, second] = networks.each_ref().map(Network::bridge);
        let bridge = SamBridge::builder().address(first.address());
        let bridge = bridge.fallback(&second).build().unwrap();
        let builder = bridge.session().options(networks[0].options());
        // Sessions take up to 20 s, however many are created at the same time.
        let clients = networks.each_ref().map(client);
        let session = builder.multihomed_with(&options).unwrap();
        let two = Self {
            networks,
            clients: clients.map(|client| client.join().unwrap()),
            session,
            events,
        };
        for _ in 0..2 {
            two.await_event(|event| matches!(event, HealingEvent::Restored { .. }));
        }
        two
    }

    /// Waits for such an event, and returns the address of its bridge.
    fn await_event(&self, is_it: impl Fn(&HealingEvent) -> bool) -> String {
        loop {
            let (replica, event) = self.events.recv_timeout(LONG * 2).unwrap();
            if is_it(&event) {
                return replica;
            }
        }
    }

    fn kill_first(&self) {
        self.networks[0].kill();
        let lost = self.await_event(|event| matches!(event, HealingEvent::Lost { .. }));
        assert_eq!(lost, self.networks[0].bridge().address());
    }

    fn restart_first(&mut self) {
        self.networks[0].restart();
        let client = client(&self.networks[0]);
        let back = self.await_event(|event| matches!(event, HealingEvent::Restored { .. }));
        assert_eq!(back, self.networks[0].bridge().address());
        self.clients[0] = client.join().unwrap();
    }

    /// The client at this router dials, and the replica there serves it.
    fn show_that_it_answers(&self, place: usize, listener: &SamListener) {
        let client = &self.clients[place];
        let near = client.connect(self.session.destination()).unwrap();
        let (far, peer) = listener.accept_timeout(LONG).unwrap();
        assert_eq!(peer.destination(), Some(client.destination()));
        let replica = self.networks[place].bridge().address();
        assert_eq!(far.bridge().address(), replica);
        greet(&near, &far);
    }
}

/// Starts to create a session at this router.
fn client(network: &Network) -> thread::JoinHandle<StreamSession> {
    let builder = network.builder();
    thread::spawn(move || builder.stream().unwrap())
}

fn multihomed_session_is_reachable_at_both_routers(router: &Router) {
    let two = TwoRouters::start(router);
    let listener = two.session.listener().unwrap();
    for _ in 0..2 {
        two.show_that_it_answers(0, &listener);
        two.show_that_it_answers(1, &listener);
    }
}

fn multihomed_session_survives_one_killed_router(router: &Router) {
    let mut two = TwoRouters::start(router);
    let listener = two.session.listener().unwrap();
    two.show_that_it_answers(0, &listener);
    two.kill_first();
    two.show_that_it_answers(1, &listener);
    two.restart_first();
    two.show_that_it_answers(0, &listener);
    two.show_that_it_answers(1, &listener);
}

fn multihomed_session_dials_over_either_router(router: &Router) {
    let two = TwoRouters::start(router);
    let listeners = two.clients.each_ref().map(|peer| peer.listener().unwrap());
    let options = ConnectOptions::new().timeout(Some(LONG));
    // The same dial over whichever replica is up: each network knows only its own peer.
    let dial = |place: usize| {
        let peer = two.clients[place].destination();
        let near = two.session.connect_with(peer, &options).unwrap();
        let replica = two.networks[place].bridge().address();
        assert_eq!(near.bridge().address(), replica);
        let (far, caller) = listeners[place].accept_timeout(LONG).unwrap();
        assert_eq!(caller.destination(), Some(two.session.destination()));
        greet(&near, &far);
    };
    dial(0);
    two.networks[0].kill();
    // At once: the loss of the first replica is not reported yet.
    dial(1);
    let lost = two.await_event(|event| matches!(event, HealingEvent::Lost { .. }));
    assert_eq!(lost, two.networks[0].bridge().address());
}
