//! The routers' interface to the operating system, over tokio, bound to the loopback interface.

mod metrics;
mod socket;
mod tasks;

use std::future::Future;
use std::io::Write;
use std::pin::Pin;
use std::time::{Duration, Instant, SystemTime};

use emissary_core::runtime::{self, MetricType};
use flate2::Compression;
use flate2::write::{GzDecoder, GzEncoder};
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use rand::{CryptoRng, RngExt};
use tokio::time::Sleep;

/// The runtime of routers that live on one host and cannot leave it.
#[derive(Debug, Clone)]
pub(crate) struct Loopback;

impl runtime::Runtime for Loopback {
    type TcpStream = socket::Stream;
    type UdpSocket = socket::Datagrams;
    type TcpListener = socket::Listener;
    type JoinSet<T: Send + 'static> = tasks::Tasks<T>;
    type MetricsHandle = metrics::Nowhere;
    type Instant = Moment;
    type Timer = Pin<Box<Sleep>>;

    fn spawn<F>(future: F)
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        tokio::spawn(async {
            future.await;
        });
    }

    fn time_since_epoch() -> Duration {
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
    }

    fn now() -> Moment {
        Moment(Instant::now())
    }

    fn rng() -> impl CryptoRng + RngExt {
        // The trait cannot return an error: without entropy, the calling task must panic.
        UnwrapErr(SysRng)
    }

    fn join_set<T: Send + 'static>() -> tasks::Tasks<T> {
        tasks::Tasks::new()
    }

    fn register_metrics(_: Vec<MetricType>, _: Option<u16>) -> metrics::Nowhere {
        metrics::Nowhere
    }

    fn timer(duration: Duration) -> Self::Timer {
        Box::pin(tokio::time::sleep(shortened(duration)))
    }

    async fn delay(duration: Duration) {
        tokio::time::sleep(shortened(duration)).await;
    }

    fn gzip_compress(bytes: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes.as_ref()).ok()?;
        encoder.finish().ok()
    }

    fn gzip_decompress(bytes: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        let mut decoder = GzDecoder::new(Vec::new());
        decoder.write_all(bytes.as_ref()).ok()?;
        decoder.finish().ok()
    }
}

/// A time as the routers measure it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(Instant);

impl runtime::Instant for Moment {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Shortens three waits of the routers, known by their exact length. The routers wait as the Internet
/// requires, but on one host a reply that has not come in a fraction of a second will not come.
fn shortened(duration: Duration) -> Duration {
    match duration.as_millis() {
        // A lost tunnel build, and the wait before the first acknowledgement of a new stream.
        8_000 => Duration::from_millis(500),
        // A lost lease set query.
        1_600 => Duration::from_millis(400),
        // Time for which the id and key of a session that was dropped, not quit, stay in use.
        60_000 => Duration::from_millis(200),
        _ => duration,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_three_known_waits_are_cut_short() {
        for (asked, given) in [
            (8_000, 500),
            (1_600, 400),
            (60_000, 200),
            (7_999, 7_999),
            (1_601, 1_601),
            (540_000, 540_000),
        ] {
            let shortened = shortened(Duration::from_millis(asked));
            assert_eq!(shortened, Duration::from_millis(given));
        }
    }

    #[test]
    fn what_was_compressed_can_be_decompressed() {
        use emissary_core::runtime::Runtime as _;
        let text = b"again and again and again";
        let packed = Loopback::gzip_compress(text).unwrap();
        assert_eq!(Loopback::gzip_decompress(packed).unwrap(), text);
    }
}
