//! A bridge that takes orders, one for each pending accept.

use std::sync::{Mutex, mpsc};

use i2p_sam::{SessionBuilder, StreamSession};

use super::{ScriptedBridge, Stage, Visit, key};

/// A bridge whose pending accepts follow the test, one order for each accept.
pub struct Ordered {
    pub bridge: ScriptedBridge,
    orders: mpsc::Sender<Order>,
}

pub type Order = Box<dyn FnOnce(&mut Visit<'_, '_>) + Send>;

impl Ordered {
    pub fn start() -> Self {
        let (orders, order) = mpsc::channel::<Order>();
        let order = Mutex::new(order);
        let bridge = ScriptedBridge::router(move |visit, stage| match stage {
            Stage::Session => visit.until_quit(),
            Stage::Accept => {
                let next = order.lock().unwrap().recv();
                if let Ok(next) = next {
                    next(visit);
                }
            }
            Stage::Command(_) => {}
        });
        Self { bridge, orders }
    }

    pub fn order(&self, order: impl FnOnce(&mut Visit<'_, '_>) + Send + 'static) {
        self.orders.send(Box::new(order)).unwrap();
    }

    pub fn builder(&self, pending: usize) -> SessionBuilder {
        self.bridge.bridge().session().pending_accepts(pending)
    }

    pub fn session(&self, pending: usize) -> StreamSession {
        self.builder(pending).stream().unwrap()
    }
}

/// A peer that sends hello.
pub fn calls(seed: u8) -> impl FnOnce(&mut Visit<'_, '_>) + Send + 'static {
    move |visit| {
        let line = format!("{} FROM_PORT=7 TO_PORT=80\nhello", key(seed).destination());
        visit.say(&line);
        visit.rest();
    }
}
