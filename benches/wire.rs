//! The time of the parsers and writers of text. `floor` is what no parser can do without; it runs on
//! the same bytes.
//!
//! ```console
//! $ cargo bench --bench wire
//! ```

// It is the library of benches/instructions as well.
#[allow(unreachable_pub)]
mod inputs;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

/// Measures a call on bytes, and reports bytes a second too.
fn on_bytes<T>(bencher: Bencher<'_, '_>, bytes: &[u8], call: impl Fn(&[u8]) -> T + Sync) {
    bencher
        .counter(BytesCount::of_slice(bytes))
        .bench(|| call(black_box(bytes)));
}

/// Declares a module with the floor of a line and the parser of it.
macro_rules! parsers {
    ($($name:ident: $call:expr;)*) => {$(
        mod $name {
            use super::*;

            #[divan::bench]
            fn floor(bencher: Bencher<'_, '_>) {
                on_bytes(bencher, &inputs::$name(), inputs::floor);
            }

            #[divan::bench]
            fn parse(bencher: Bencher<'_, '_>) {
                on_bytes(bencher, &inputs::$name(), $call);
            }
        }
    )*};
}

parsers! {
    hello_reply: |line| inputs::reply_with(line, "VERSION");
    session_status: |line| inputs::reply_with(line, "DESTINATION");
    naming_reply: |line| inputs::reply_with(line, "VALUE");
    stream_status: inputs::reply;
    stream_refusal: inputs::reply;
    peer_line: inputs::stream_header;
    datagram: inputs::datagram_header;
}

mod read_line {
    use super::*;

    fn measure(bencher: Bencher<'_, '_>, line: Vec<u8>) {
        let bytes = inputs::with_payload(line);
        let mut line = Vec::new();
        bencher
            .counter(BytesCount::of_slice(&bytes))
            .bench_local(|| inputs::line(black_box(&bytes), &mut line));
    }

    #[divan::bench]
    fn short(bencher: Bencher<'_, '_>) {
        measure(bencher, inputs::stream_status());
    }

    #[divan::bench]
    fn long(bencher: Bencher<'_, '_>) {
        measure(bencher, inputs::session_status());
    }
}

mod command {
    use super::*;

    #[divan::bench]
    fn hello() -> impl Sized {
        inputs::hello()
    }

    #[divan::bench]
    fn session_create() -> impl Sized {
        inputs::session_create()
    }

    #[divan::bench]
    fn stream_accept() -> impl Sized {
        inputs::stream_accept()
    }

    #[divan::bench]
    fn stream_connect(bencher: Bencher<'_, '_>) {
        let destination = inputs::destination();
        bencher.bench(|| inputs::stream_connect(black_box(&destination)));
    }
}

mod address {
    use super::*;

    #[divan::bench]
    fn destination_from_base64(bencher: Bencher<'_, '_>) {
        let text = inputs::destination();
        bencher.bench(|| inputs::read_destination(black_box(&text)));
    }

    #[divan::bench]
    fn destination_to_base64(bencher: Bencher<'_, '_>) {
        let key = inputs::key();
        bencher.bench(|| inputs::write_destination(black_box(key.destination())));
    }

    #[divan::bench]
    fn private_key_from_base64(bencher: Bencher<'_, '_>) {
        let text = inputs::key().expose_base64();
        bencher.bench(|| inputs::read_key(black_box(&text)));
    }

    #[divan::bench]
    fn b32_of_destination(bencher: Bencher<'_, '_>) {
        let key = inputs::key();
        bencher.bench(|| inputs::b32(black_box(key.destination())));
    }

    #[divan::bench]
    fn b32_from_text(bencher: Bencher<'_, '_>) {
        let text = inputs::key().destination().b32().to_string();
        bencher.bench(|| inputs::read_b32(black_box(&text)));
    }
}
