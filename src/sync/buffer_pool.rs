use std::sync::Mutex;

use super::lock::lock;

/// Most bytes that the buffers may have that are kept: those of some 200 datagrams of 1000 bytes.
const MAX_SPARE: usize = 256 << 10;

/// Buffers that are reused, so that in the long run a datagram needs no allocation.
#[derive(Default)]
pub(crate) struct BufferPool {
    spare: Mutex<Spare>,
}

#[derive(Default)]
struct Spare {
    buffers: Vec<Vec<u8>>,
    /// The capacity of all of them.
    bytes: usize,
}

impl BufferPool {
    /// Takes an empty buffer, with the capacity it had before.
    pub(crate) fn take(&self) -> Vec<u8> {
        let mut spare = lock(&self.spare);
        let buffer = spare.buffers.pop().unwrap_or_default();
        spare.bytes -= buffer.capacity();
        buffer
    }

    /// Keeps a buffer for later, unless the pool is full.
    pub(crate) fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut spare = lock(&self.spare);
        let bytes = spare.bytes + buffer.capacity();
        if buffer.capacity() > 0 && bytes <= MAX_SPARE {
            spare.bytes = bytes;
            spare.buffers.push(buffer);
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
        for _ in 0..3 {
            pool.give_back(Vec::with_capacity(MAX_SPARE / 2));
        }
        assert_eq!(lock(&pool.spare).buffers.len(), 2);
        drop([pool.take(), pool.take()]);
        assert_eq!(lock(&pool.spare).bytes, 0);
    }
}
