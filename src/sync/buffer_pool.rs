use std::sync::Mutex;

use super::lock::lock;

/// Most buffers that are kept. None is larger than a datagram with its header.
const MAX_SPARE: usize = 16;

/// Buffers that are reused, so that in the long run a datagram needs no allocation.
#[derive(Default)]
pub(crate) struct BufferPool {
    spare: Mutex<Vec<Vec<u8>>>,
}

impl BufferPool {
    /// Takes an empty buffer, with the capacity it had before.
    pub(crate) fn take(&self) -> Vec<u8> {
        lock(&self.spare).pop().unwrap_or_default()
    }

    /// Keeps a buffer for later, unless the pool is full.
    pub(crate) fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut spare = lock(&self.spare);
        if spare.len() < MAX_SPARE {
            spare.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffer_given_back_is_taken_empty_with_its_capacity() {
        let pool = BufferPool::default();
        pool.give_back(vec![1; 100]);
        let buffer = pool.take();
        assert!(buffer.is_empty() && buffer.capacity() >= 100);
        assert_eq!(pool.take().capacity(), 0);
    }

    #[test]
    fn buffers_beyond_the_limit_are_dropped() {
        let pool = BufferPool::default();
        for _ in 0..=MAX_SPARE {
            pool.give_back(vec![1]);
        }
        assert_eq!(lock(&pool.spare).len(), MAX_SPARE);
    }
}
