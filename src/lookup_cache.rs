use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::address::{Destination, Host};
use crate::sync::lock;

/// The destinations of recent lookups: a limited number of addresses, each for a limited time. The
/// caller supplies the clock.
pub(crate) struct LookupCache {
    entries: usize,
    ttl: Duration,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    found: HashMap<Host, (Destination, Instant)>,
    /// The oldest entry comes first.
    order: VecDeque<Host>,
}

impl LookupCache {
    pub(crate) fn new(entries: usize, ttl: Duration) -> Self {
        Self {
            entries,
            ttl,
            known: Mutex::default(),
        }
    }

    pub(crate) fn find(&self, host: &Host, now: Instant) -> Option<Destination> {
        if self.is_off() {
            return None;
        }
        let known = self.lock();
        let (destination, since) = known.found.get(host)?;
        self.is_fresh(*since, now).then(|| destination.clone())
    }

    /// Stores the destination of a name or a hash. Destinations of encrypted lease sets are not
    /// stored: a lookup may carry a secret or not.
    pub(crate) fn keep(&self, host: &Host, destination: &Destination, now: Instant) {
        if self.is_off() || !matches!(host, Host::Name(_) | Host::B32(_)) {
            return;
        }
        let mut known = self.lock();
        let entry = (destination.clone(), now);
        if known.found.insert(host.clone(), entry).is_some() {
            known.order.retain(|other| other != host);
        }
        known.order.push_back(host.clone());
        while known.order.len() > self.entries {
            known.forget_oldest();
        }
    }

    fn is_off(&self) -> bool {
        self.entries == 0 || self.ttl.is_zero()
    }

    fn is_fresh(&self, since: Instant, now: Instant) -> bool {
        now.saturating_duration_since(since) < self.ttl
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        lock(&self.known)
    }
}

impl Known {
    fn forget_oldest(&mut self) {
        if let Some(host) = self.order.pop_front() {
            self.found.remove(&host);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(60);

    fn host(text: &str) -> Host {
        text.parse().unwrap()
    }

    fn destination() -> Destination {
        Destination::from_bytes(&[0; 387]).unwrap()
    }

    #[test]
    fn entry_is_known_until_expiry() {
        let cache = LookupCache::new(8, TTL);
        let start = Instant::now();
        cache.keep(&host("a.i2p"), &destination(), start);
        let last = start + TTL - Duration::from_nanos(1);
        assert_eq!(cache.find(&host("a.i2p"), last), Some(destination()));
        assert_eq!(cache.find(&host("a.i2p"), start + TTL), None);
        assert_eq!(cache.find(&host("b.i2p"), start), None);
    }

    #[test]
    fn full_cache_evicts_oldest() {
        let cache = LookupCache::new(2, TTL);
        let now = Instant::now();
        for name in ["a.i2p", "b.i2p", "a.i2p", "c.i2p"] {
            cache.keep(&host(name), &destination(), now);
        }
        let known = |name| cache.find(&host(name), now).is_some();
        assert_eq!(
            (known("a.i2p"), known("b.i2p"), known("c.i2p")),
            (true, false, true)
        );
        assert_eq!(cache.lock().found.len(), 2);
    }

    #[test]
    fn zero_capacity_or_lifetime_keeps_nothing() {
        for cache in [
            LookupCache::new(0, TTL),
            LookupCache::new(8, Duration::ZERO),
        ] {
            cache.keep(&host("a.i2p"), &destination(), Instant::now());
            assert!(cache.lock().found.is_empty());
        }
    }

    #[test]
    fn lifetime_beyond_clock_never_expires() {
        let cache = LookupCache::new(usize::MAX, Duration::MAX);
        let now = Instant::now();
        cache.keep(&host("a.i2p"), &destination(), now);
        let later = now + Duration::from_secs(1_000_000_000);
        assert!(cache.find(&host("a.i2p"), later).is_some());
    }

    #[test]
    fn only_names_and_hashes_are_cached() {
        let cache = LookupCache::new(8, TTL);
        let b33 = "yme6uy5xfgm6dp2wwyox5trojra6sdavhu5gyceesjad6xatmcs7o6qg.b32.i2p";
        let b32 = destination().b32().to_string();
        for text in [b33, &b32, &destination().to_base64()] {
            cache.keep(&host(text), &destination(), Instant::now());
        }
        assert_eq!(cache.lock().found.len(), 1);
        assert!(cache.find(&host(&b32), Instant::now()).is_some());
    }
}
