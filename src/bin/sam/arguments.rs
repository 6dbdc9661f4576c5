//! The arguments of the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use i2p_sam::I2pAddr;
use i2p_sam::testing::Profile;

use crate::help;

/// I2P at the command line, through the SAM bridge of a router.
#[derive(Parser)]
#[command(name = "sam", version, after_help = help::MAIN, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Args)]
pub(crate) struct Global {
    /// Address of the bridge, HOST:PORT; several, separated by commas, are tried in turn. Default:
    /// I2P_SAM_ADDRESS, or 127.0.0.1:7656
    #[arg(long, global = true, value_name = "ADDR", value_delimiter = ',', help_heading = ROUTER)]
    pub(crate) bridge: Vec<String>,
    /// User of the bridge, if it requires one. Default: I2P_SAM_USER
    #[arg(long, global = true, value_name = "NAME", help_heading = ROUTER)]
    pub(crate) user: Option<String>,
    /// File whose first line is the user's password. Default: the password in I2P_SAM_PASSWORD
    #[arg(long, global = true, value_name = "FILE", help_heading = ROUTER)]
    pub(crate) password_file: Option<PathBuf>,
    /// Longest time for a session, a lookup or a dial, in seconds
    #[arg(long, global = true, value_name = "SECONDS", value_parser = time_limit, help_heading = ROUTER)]
    pub(crate) timeout: Option<Duration>,
    /// Routers in each tunnel: fewer are faster and less anonymous
    #[arg(long, global = true, value_name = "HOPS", value_parser = clap::value_parser!(u8).range(..=7), help_heading = ROUTER)]
    pub(crate) tunnel_length: Option<u8>,
    /// Tunnels in each direction
    #[arg(long, global = true, value_name = "COUNT", value_parser = clap::value_parser!(u8).range(1..=16), help_heading = ROUTER)]
    pub(crate) tunnel_quantity: Option<u8>,
    /// Another option of the session, such as i2cp.leaseSetEncType=4. May be repeated. I2P_SAM_OPTIONS
    /// adds several, separated by blanks
    #[arg(long = "option", global = true, value_name = "NAME=VALUE", value_parser = option, help_heading = ROUTER)]
    pub(crate) options: Vec<(String, String)>,
    /// Print nothing but results and errors
    #[arg(short, long, global = true, help_heading = OUTPUT)]
    pub(crate) quiet: bool,
    /// Print results as JSON (doctor, keygen, lookup, ping)
    #[arg(long, global = true, help_heading = OUTPUT)]
    pub(crate) json: bool,
}

const ROUTER: &str = "Router and session";
const OUTPUT: &str = "Output";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Check the bridge and its router, step by step, with a remedy for each fault
    #[command(after_help = help::DOCTOR)]
    Doctor,
    /// Create a key file, and print its address
    #[command(after_help = help::KEYGEN)]
    Keygen {
        /// File to create; an existing file is never changed
        #[arg(required_unless_present = "stdout")]
        file: Option<PathBuf>,
        /// Print the private key itself, in base64, on standard output; the address goes to standard error
        #[arg(long, conflicts_with_all = ["file", "json"])]
        stdout: bool,
    },
    /// Print the .b32.i2p address of a name
    #[command(after_help = help::LOOKUP)]
    Lookup {
        /// Name, .b32.i2p address or link
        #[arg(value_name = "NAME", value_parser = I2pAddr::from_url)]
        address: I2pAddr,
        /// Print the full destination in base64 instead of its address
        #[arg(long)]
        full: bool,
    },
    /// Fetch http://….i2p and write the body to standard output
    #[command(after_help = help::GET)]
    Get(Get),
    /// Wait for one stream, and connect it to standard input and output
    #[command(after_help = help::LISTEN)]
    Listen {
        /// Key file that decides the address; created if it does not exist. Default: a new address each time
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// Close if the peer sends nothing for this time after the end of the input, in seconds. Default:
        /// wait until the peer closes
        #[arg(long, short = 'Q', value_name = "SECONDS", value_parser = seconds)]
        quit_after: Option<Duration>,
    },
    /// Dial a destination, and connect the stream to standard input and output
    #[command(after_help = help::CONNECT)]
    Connect {
        /// Name, .b32.i2p address or full destination, and a port if the service needs one
        #[arg(value_name = "DEST[:PORT]")]
        destination: I2pAddr,
        /// Close if the peer sends nothing for this time after the end of the input, in seconds
        #[arg(long, short = 'Q', value_name = "SECONDS", value_parser = seconds, default_value = "10")]
        quit_after: Duration,
    },
    /// Dial a destination several times, and print how long each dial takes
    #[command(after_help = help::PING)]
    Ping(Ping),
    /// Carry a TCP program over I2P
    #[command(after_help = help::TUNNEL)]
    Tunnel {
        #[command(subcommand)]
        command: Tunnel,
    },
    /// Run a local HTTP and SOCKS5 proxy for .i2p addresses, and for nothing else
    #[command(after_help = help::PROXY)]
    Proxy(Proxy),
    /// Run a SAM bridge without a router, for tests: its sessions reach each other
    #[command(after_help = help::BRIDGE)]
    Bridge(Bridge),
    /// Print the completions of a shell
    #[command(after_help = help::COMPLETIONS)]
    Completions {
        /// Shell
        shell: Shell,
    },
    /// Print the manual page, in troff
    #[command(after_help = help::MAN)]
    Man {
        /// Command whose page is printed. Default: the page of sam
        command: Option<String>,
    },
}

#[derive(Args)]
pub(crate) struct Get {
    /// Address of the page
    pub(crate) url: String,
    /// Write the reply's head to standard error
    #[arg(short = 'i', long)]
    pub(crate) head: bool,
}

#[derive(Args)]
pub(crate) struct Ping {
    /// Name, .b32.i2p address or full destination
    #[arg(value_name = "DEST")]
    pub(crate) destination: I2pAddr,
    /// Number of dials
    #[arg(short, long, default_value = "4", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) count: u32,
    /// Pause between two dials, in seconds
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds, default_value = "1")]
    pub(crate) interval: Duration,
}

#[derive(Subcommand)]
pub(crate) enum Tunnel {
    /// Lead a local TCP port to a destination
    Client {
        /// Local address on which programs connect, such as 127.0.0.1:8080; port 0 is any free port
        #[arg(value_name = "LISTEN", value_parser = tcp_address)]
        listen: String,
        /// Name, .b32.i2p address or full destination
        #[arg(value_name = "DEST[:PORT]")]
        destination: I2pAddr,
    },
    /// Make a TCP service reachable over I2P
    Server {
        /// Address of the service, such as 127.0.0.1:80
        #[arg(value_name = "TARGET", value_parser = tcp_address)]
        target: String,
        /// Key file that decides the address; created if it does not exist. Default: a new address each time
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
}

#[derive(Args)]
pub(crate) struct Proxy {
    /// Address of the HTTP proxy. Default: 127.0.0.1:4444 if --socks is not given
    #[arg(long, value_name = "IP:PORT", value_parser = socket_address)]
    pub(crate) http: Option<SocketAddr>,
    /// Address of the SOCKS5 proxy. Default: 127.0.0.1:4447 if --http is not given
    #[arg(long, value_name = "IP:PORT", value_parser = socket_address)]
    pub(crate) socks: Option<SocketAddr>,
}

#[derive(Args)]
pub(crate) struct Bridge {
    /// Router that the bridge behaves like
    #[arg(long, value_enum, default_value = "java")]
    pub(crate) profile: ProfileName,
    /// Address of the bridge. Default: any free port of 127.0.0.1
    #[arg(long, value_name = "IP:PORT", value_parser = socket_address)]
    pub(crate) address: Option<SocketAddr>,
    /// Speed of the clocks, as a multiple of a router's
    #[arg(long, default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) speed: u32,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum ProfileName {
    Java,
    I2pd,
    #[value(name = "i2pd-2-45")]
    I2pd245,
    Emissary,
}

impl ProfileName {
    pub(crate) fn profile(self) -> Profile {
        match self {
            Self::Java => Profile::Java,
            Self::I2pd => Profile::I2pd,
            Self::I2pd245 => Profile::I2pd245,
            Self::Emissary => Profile::Emissary,
        }
    }
}

/// Parses a number of seconds, which may have a fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.parse().ok();
    number
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        // A deadline that far away is none; a later one may not be representable.
        .filter(|time| *time <= Duration::from_secs(1_000_000_000))
        .ok_or_else(|| "write a number of seconds, such as 30 or 0.5".to_owned())
}

/// Parses a time in which something must happen.
fn time_limit(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        Duration::ZERO => Err("write more than 0, such as 30".to_owned()),
        time => Ok(time),
    }
}

/// Parses an address that may have a host name. It is checked here because the session, which is created first, takes
/// a while.
fn tcp_address(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
            Ok(text.to_owned())
        }
        _ => Err("write HOST:PORT, such as 127.0.0.1:8080".to_owned()),
    }
}

fn socket_address(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse();
    address.map_err(|_| "write IP:PORT, such as 127.0.0.1:4444".to_owned())
}

/// Parses an option of a session.
pub(crate) fn option(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn seconds_with_fraction_are_parsed() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
    }

    #[test]
    fn seconds_without_meaning_are_refused() {
        for text in ["", "-1", "NaN", "inf", "1e30", "ten"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn time_limit_of_zero_is_refused() {
        assert!(time_limit("0").is_err());
        assert_eq!(time_limit("1"), Ok(Duration::from_secs(1)));
    }

    #[test]
    fn tcp_address_without_host_or_port_is_refused() {
        for text in ["8080", ":8080", "localhost", "localhost:http", ""] {
            assert!(tcp_address(text).is_err(), "{text}");
        }
        for text in ["localhost:80", "[::1]:0"] {
            assert_eq!(tcp_address(text), Ok(text.to_owned()));
        }
    }

    #[test]
    fn option_without_name_is_refused() {
        assert!(option("=4").is_err());
        assert!(option("name").is_err());
        assert_eq!(option("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
    }
}
