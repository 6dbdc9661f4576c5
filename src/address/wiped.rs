//! Buffers that may hold a private key. With the feature `zeroize` they are overwritten when they are dropped.
//!
//! A buffer that grows moves its bytes, and leaves a copy behind: [`append`] and [`Wiped::make_room`] overwrite
//! that copy. Everything else reserves its room in advance.

use std::mem;
use std::ops::{Deref, DerefMut};

/// A buffer that is overwritten when it is dropped.
#[derive(Clone, Default)]
pub(crate) struct Wiped<T: Wipe>(T);

impl<T: Wipe> Wiped<T> {
    pub(crate) fn new(buffer: T) -> Self {
        Self(buffer)
    }
}

impl Wiped<String> {
    /// Makes room for so many bytes.
    pub(crate) fn make_room(&mut self, more: usize) {
        if is_in_place(self.capacity(), self.len(), more) {
            return;
        }
        let mut grown = String::with_capacity(2 * (self.len() + more));
        grown.push_str(self);
        mem::replace(&mut self.0, grown).wipe();
    }
}

impl<T: Wipe> Deref for Wiped<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Wipe> DerefMut for Wiped<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Wipe> Drop for Wiped<T> {
    fn drop(&mut self) {
        self.0.wipe();
    }
}

/// Adds bytes to a buffer that its owner overwrites in the end.
pub(crate) fn append(buffer: &mut Vec<u8>, bytes: &[u8]) {
    if !is_in_place(buffer.capacity(), buffer.len(), bytes.len()) {
        let mut grown = Vec::with_capacity(2 * (buffer.len() + bytes.len()));
        grown.extend_from_slice(buffer);
        mem::replace(buffer, grown).wipe();
    }
    buffer.extend_from_slice(bytes);
}

/// Memory that can be overwritten.
pub(crate) trait Wipe {
    fn wipe(&mut self);
}

#[cfg(feature = "zeroize")]
impl<T: zeroize::Zeroize> Wipe for T {
    fn wipe(&mut self) {
        self.zeroize();
    }
}

#[cfg(not(feature = "zeroize"))]
impl<T> Wipe for T {
    fn wipe(&mut self) {}
}

/// Returns true if the standard library may let a buffer grow: it stays where it is, or need not be
/// overwritten.
fn is_in_place(capacity: usize, len: usize, more: usize) -> bool {
    !cfg!(feature = "zeroize") || capacity - len >= more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_that_grow_keep_their_content() {
        let mut bytes = Vec::new();
        let mut text = Wiped::new(String::new());
        for word in ["one", " and", " two", &" and more".repeat(100)] {
            append(&mut bytes, word.as_bytes());
            text.make_room(word.len());
            text.push_str(word);
        }
        assert_eq!(bytes, text.as_bytes());
        assert!(text.starts_with("one and two and more and"));
    }

    #[test]
    #[cfg(feature = "zeroize")]
    fn room_once_made_is_kept() {
        let mut text = Wiped::new(String::new());
        text.make_room(100);
        let place = text.as_ptr();
        text.push_str(&"x".repeat(100));
        assert_eq!(text.as_ptr(), place);
    }

    #[test]
    #[cfg(feature = "zeroize")]
    fn wiped_buffer_is_empty() {
        let mut text = String::from("secret");
        text.wipe();
        assert!(text.is_empty());
    }
}
