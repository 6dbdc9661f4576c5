use std::sync::Mutex;

use crate::interrupts::lock;

/// Most buffers that are kept for later. None is larger than a datagram with its header.
const MOST_SPARE: usize = 16;

/// Buffers that are used again, so that in the long run a datagram costs no allocation.
#[derive(Default)]
pub(crate) struct Buffers {
    spare: Mutex<Vec<Vec<u8>>>,
}

impl Buffers {
    /// An empty buffer, with the room of what it held before.
    pub(crate) fn take(&self) -> Vec<u8> {
        lock(&self.spare).pop().unwrap_or_default()
    }

    pub(crate) fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut spare = lock(&self.spare);
        if spare.len() < MOST_SPARE {
            spare.push(buffer);
        }
    }
}
