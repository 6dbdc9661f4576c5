//! Prints the costs of i2p-sam beside those of yosemite and of sockets alone, as Markdown:
//!
//! ```console
//! $ cargo run --release --manifest-path benches/compare/Cargo.toml
//! $ cargo run --release --manifest-path benches/compare/Cargo.toml -- echo memory
//! ```

mod bridge;
mod child;
mod churn;
mod client;
mod datagrams;
mod echo;
mod instructions;
mod memory;
mod runs;
mod table;
mod throughput;
mod tools;
mod usage;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// One part of the output.
type Section = (&'static str, fn() -> Result<(), Failure>);

const SECTIONS: [Section; 6] = [
    ("echo", echo::print),
    ("throughput", throughput::print),
    ("datagrams", datagrams::print),
    ("memory", memory::print),
    ("churn", churn::print),
    ("instructions", instructions::print),
];

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("bridge") => return bridge::serve(),
        Some("child") => return child::run(&arguments[1..]),
        _ => {}
    }
    for name in &arguments {
        if !SECTIONS.iter().any(|(known, _)| known == name) {
            let known: Vec<_> = SECTIONS.iter().map(|(name, _)| *name).collect();
            return Err(format!("no section {name}; there are {}", known.join(", ")).into());
        }
    }
    for (name, print) in SECTIONS {
        if arguments.is_empty() || arguments.iter().any(|wanted| wanted == name) {
            print()?;
        }
    }
    Ok(())
}
