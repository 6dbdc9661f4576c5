use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::sync::{Deadline, Monitor, lock};

use super::link::Link;
use super::profile::{Facts, Profile};
use super::state::State;

/// The time in which a client sends its first lines, however busy the machine is.
const LINE_NEEDS: Duration = Duration::from_secs(1);

/// The time that a client needs at most to send its next command.
const CLIENT_NEEDS: Duration = Duration::from_secs(5);

/// The state that all connections of a bridge share.
pub(super) struct Router {
    pub(super) profile: Profile,
    pub(super) facts: &'static Facts,
    /// The clocks of the router are this many times faster than real ones.
    pub(super) speed: u32,
    pub(super) state: Arc<Monitor<State>>,
    /// The process of the router is stopped: its sockets stay open, and nothing moves.
    pub(super) paused: Arc<Monitor<bool>>,
    /// The socket for datagrams, while the router runs.
    pub(super) udp: Mutex<Option<Arc<UdpSocket>>>,
}

impl Router {
    pub(super) fn new(profile: Profile, speed: u32, seed: u64) -> Arc<Self> {
        Arc::new(Self {
            profile,
            facts: profile.facts(),
            speed,
            state: Monitor::new(State::new(seed)),
            paused: Monitor::new(false),
            udp: Mutex::default(),
        })
    }

    /// Returns how long a time of the real router lasts here.
    pub(super) fn scaled(&self, time: Duration) -> Duration {
        time / self.speed
    }

    /// Returns how long the router waits here for a client to act: not shorter than a client needs on a busy
    /// machine.
    pub(super) fn scaled_for_client(&self, time: Duration) -> Duration {
        self.scaled(time).max(CLIENT_NEEDS).min(time)
    }

    /// Returns how long the router waits here for the first lines of a client.
    pub(super) fn scaled_for_line(&self, time: Duration) -> Duration {
        self.scaled(time).max(LINE_NEEDS).min(time)
    }

    /// Waits for a time of the real router. Returns false if the router stops before.
    pub(super) fn rest(&self, time: Duration) -> bool {
        self.wait(self.scaled(time))
    }

    /// Waits for a time by the real clock. Returns false if the router stops before.
    pub(super) fn wait(&self, time: Duration) -> bool {
        let stopped = |state: &mut State| (!state.running).then_some(());
        let deadline = Deadline::after(Some(time));
        time.is_zero() || self.state.wait_until(deadline, stopped).is_none()
    }

    pub(super) fn wait_while_paused(&self) {
        self.paused
            .wait_until(Deadline::NEVER, |paused| (!*paused).then_some(()));
    }

    pub(super) fn send_udp(&self, target: SocketAddr, packet: &[u8]) {
        let socket = lock(&self.udp).clone();
        if let Some(socket) = socket {
            // Datagrams may be lost.
            let _ = socket.send_to(packet, target);
        }
    }

    /// Ends the process of the router.
    pub(super) fn stop(&self) {
        self.state.update(|state| state.running = false);
        self.close_all();
    }

    /// Closes the connections of a router that has stopped. Nothing is remembered but the address book and
    /// the users.
    pub(super) fn close_all(&self) {
        let links = self.state.update(|state| {
            state.router_gone = false;
            state.sessions.clear();
            state.ended.clear();
            state.open_links()
        });
        links.iter().for_each(|link: &Arc<Link>| link.close());
        self.paused.update(|paused| *paused = false);
        drop(lock(&self.udp).take());
    }
}
