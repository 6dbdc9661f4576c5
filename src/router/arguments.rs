//! The command line of i2pd. It takes precedence over the configuration file, so a launched router needs no
//! file of its own.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::data_dir::DataDir;
use super::error::LaunchError;
use super::ports::Ports;
use super::program;
use super::settings::Settings;
use crate::error::ConfigError;

/// Options that decide where the router is, so that it is found.
const OURS: &[&str] = &[
    "datadir",
    "conf",
    "log",
    "logfile",
    "pidfile",
    "daemon",
    "service",
    "sam.enabled",
    "sam.address",
    "sam.port",
    "sam.portudp",
];

/// Any network except 2, the real one: routers of different networks refuse each other.
const OFFLINE_NETWORK: &str = "77";

/// A server that nobody can reach: i2pd accepts no empty address on its command line.
const NOWHERE: &str = "http://127.0.0.1:1/";

/// The most bytes of a configuration file: the one of the packages has 10 kB.
const LONGEST_CONFIG: u64 = 1024 * 1024;

/// The options of i2pd, each name once, in the form `--name` or `--name=value`.
#[derive(Debug)]
struct Arguments(Vec<(OsString, OsString)>);

/// Returns the command line of a router.
///
/// # Errors
///
/// [`ConfigError`] if an argument that the program chose is not `--name` or `--name=value`, or is one that
/// decides where the router is.
pub(super) fn arguments(
    settings: &Settings,
    program: &Path,
    folder: &DataDir,
    ports: Ports,
) -> Result<Vec<OsString>, ConfigError> {
    let mut arguments = Arguments(Vec::new());
    arguments.place(settings, program, folder);
    arguments.services(ports);
    if settings.offline {
        arguments.offline(ports);
    }
    arguments.network(settings);
    for argument in &settings.arguments {
        arguments.put(name(argument)?, argument.clone());
    }
    let all = arguments.0.into_iter();
    Ok(all.map(|(_, argument)| argument).collect())
}

/// Checks that a configuration file contains none of the options that a command line cannot take back.
///
/// # Errors
///
/// [`LaunchError::Config`], [`LaunchError::ConfigFile`] if it cannot be read.
pub(super) fn check_config_file(path: &Path) -> Result<(), LaunchError> {
    let bytes = read_config(path).map_err(|source| LaunchError::ConfigFile {
        path: path.to_owned(),
        source,
    })?;
    let text = String::from_utf8_lossy(&bytes);
    let mut section = "";
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').trim();
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let reason = match (section, key.trim()) {
            ("", "daemon" | "service") if value.trim() != "false" => {
                "the router must stay a child of this process: remove the line"
            }
            // 2.45 does not know the option, so the command line cannot contain it.
            ("sam", "portudp") | ("", "sam.portudp") => {
                "the UDP port is the one below the TCP port: remove the line"
            }
            _ => continue,
        };
        return Err(ConfigError::new("config_file", line, reason).into());
    }
    Ok(())
}

/// Reads a configuration file. A FIFO or a device could block, or never end.
fn read_config(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        let text = "it is no regular file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    file.take(LONGEST_CONFIG + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > LONGEST_CONFIG {
        true => Err(io::ErrorKind::FileTooLarge.into()),
        false => Ok(bytes),
    }
}

impl Arguments {
    fn place(&mut self, settings: &Settings, program: &Path, folder: &DataDir) {
        self.set("datadir", folder.path());
        self.set("pidfile", folder.pid_file());
        self.set("log", "file");
        self.set("logfile", folder.log());
        if let Some(file) = &settings.config_file {
            self.set("conf", file);
        }
        if let Some(certificates) = program::certificates(program, folder.path()) {
            self.set("certsdir", certificates);
        }
    }

    /// Opens SAM on loopback, and nothing else.
    fn services(&mut self, ports: Ports) {
        self.set("sam.enabled", "true");
        self.set("sam.address", "127.0.0.1");
        self.set("sam.port", ports.sam.to_string());
        for service in [
            "http",
            "httpproxy",
            "socksproxy",
            "bob",
            "i2cp",
            "i2pcontrol",
        ] {
            self.set(&format!("{service}.enabled"), "false");
        }
    }

    /// Keeps the router on loopback.
    fn offline(&mut self, ports: Ports) {
        let port = ports.router.to_string();
        self.set("netid", OFFLINE_NETWORK);
        self.set("host", "127.0.0.1");
        self.set("address4", "127.0.0.1");
        self.set("port", &port);
        self.set("ntcp2.enabled", "true");
        self.set("ntcp2.port", &port);
        self.set("ssu2.enabled", "false");
        self.set("upnp.enabled", "false");
        self.set("nettime.enabled", "false");
        self.set("reseed.threshold", "0");
        self.set("reseed.urls", NOWHERE);
        self.set("reseed.yggurls", NOWHERE);
        self.set("addressbook.defaulturl", NOWHERE);
        self.set("addressbook.subscriptions", NOWHERE);
        self.set("persist.profiles", "false");
        self.flag("notransit");
        // A router that knows no other stores the lease sets itself.
        self.flag("floodfill");
    }

    fn network(&mut self, settings: &Settings) {
        if let Some(port) = settings.port {
            self.set("port", port.to_string());
        }
        if let Some(kilobytes) = settings.bandwidth {
            self.set("bandwidth", kilobytes.to_string());
        }
        if settings.floodfill {
            self.flag("floodfill");
        }
        if !settings.transit {
            self.flag("notransit");
        }
    }

    fn set(&mut self, name: &str, value: impl AsRef<OsStr>) {
        let mut argument = OsString::from(format!("--{name}="));
        argument.push(value);
        self.put(name.into(), argument);
    }

    fn flag(&mut self, name: &str) {
        self.put(name.into(), format!("--{name}").into());
    }

    /// i2pd refuses a name that occurs twice, so the last one counts.
    fn put(&mut self, name: OsString, argument: OsString) {
        self.0.retain(|(known, _)| *known != name);
        self.0.push((name, argument));
    }
}

/// Returns the name of an argument that the program chose.
fn name(argument: &OsStr) -> Result<OsString, ConfigError> {
    let text = argument.to_string_lossy();
    // The value may be a password.
    let option = text.split('=').next().unwrap_or_default();
    let refuse = |reason| Err(ConfigError::new("arg", option, reason));
    let Some(name) = option.strip_prefix("--").filter(|name| !name.is_empty()) else {
        return refuse("an argument of i2pd is `--name` or `--name=value`");
    };
    match OURS.contains(&name) {
        true => refuse("the launcher sets it"),
        false => Ok(name.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(settings: &Settings) -> Vec<String> {
        let folder = DataDir::open(None).unwrap();
        let ports = Ports {
            sam: 4001,
            router: 4002,
        };
        let arguments = arguments(settings, Path::new("/i2pd"), &folder, ports).unwrap();
        let texts = arguments.into_iter().map(|text| text.into_string());
        texts.collect::<Result<_, _>>().unwrap()
    }

    fn check(config: &str) -> Result<(), LaunchError> {
        let folder = DataDir::open(None).unwrap();
        let path = folder.path().join("i2pd.conf");
        fs::write(&path, config).unwrap();
        check_config_file(&path)
    }

    #[test]
    fn router_without_settings_has_sam_alone() {
        let line = line(&Settings::default());
        for argument in [
            "--sam.enabled=true",
            "--sam.port=4001",
            "--http.enabled=false",
            "--httpproxy.enabled=false",
            "--socksproxy.enabled=false",
        ] {
            assert!(line.iter().any(|given| given == argument), "{line:?}");
        }
        let of_network = ["--port", "--netid", "--floodfill", "--bandwidth", "--conf"];
        let has = |name| line.iter().any(|given: &String| given.starts_with(name));
        assert!(!of_network.into_iter().any(has), "{line:?}");
    }

    #[test]
    fn settings_of_the_network_are_passed() {
        let line = line(&Settings {
            port: Some(9000),
            bandwidth: Some(512),
            floodfill: true,
            transit: false,
            config_file: Some("my.conf".into()),
            ..Settings::default()
        });
        for argument in [
            "--port=9000",
            "--bandwidth=512",
            "--floodfill",
            "--notransit",
            "--conf=my.conf",
        ] {
            assert!(line.iter().any(|given| given == argument), "{line:?}");
        }
    }

    #[test]
    fn argument_replaces_the_one_of_the_same_name() {
        let line = line(&Settings {
            arguments: vec!["--http.enabled=true".into(), "--ipv6".into()],
            ..Settings::default()
        });
        assert!(line.contains(&"--http.enabled=true".to_owned()), "{line:?}");
        assert!(line.contains(&"--ipv6".to_owned()), "{line:?}");
        assert!(!line.contains(&"--http.enabled=false".to_owned()));
    }

    #[test]
    fn offline_router_names_no_option_twice() {
        let line = line(&Settings {
            offline: true,
            floodfill: true,
            port: Some(9000),
            ..Settings::default()
        });
        let mut names: Vec<_> = line.iter().map(|text| text.split('=').next()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{line:?}");
    }

    #[test]
    fn argument_that_moves_the_router_is_refused() {
        for text in [
            "--datadir=x",
            "--sam.port=7656",
            "--daemon",
            "-h",
            "--",
            "x",
        ] {
            assert!(name(text.as_ref()).is_err(), "{text}");
        }
    }

    #[test]
    fn config_file_that_starts_a_daemon_is_refused() {
        assert!(check("# daemon = true\ndaemon = false\n[http]\nport = 1\n").is_ok());
        let error = check("ipv4 = true\ndaemon = true\n").unwrap_err();
        assert!(error.to_string().contains("`daemon = true`"), "{error}");
    }

    #[test]
    fn config_file_that_is_a_folder_is_refused() {
        let folder = DataDir::open(None).unwrap();
        let outcome = check_config_file(folder.path());
        assert!(matches!(outcome, Err(LaunchError::ConfigFile { .. })));
    }

    #[test]
    fn config_file_that_is_too_long_is_refused() {
        let outcome = check(&"#".repeat(LONGEST_CONFIG as usize + 1));
        assert!(matches!(outcome, Err(LaunchError::ConfigFile { .. })));
    }

    #[test]
    fn config_file_with_another_udp_port_is_refused() {
        assert!(check("[upnp]\nportudp = 1\n").is_ok());
        assert!(check("[http]\nport = 1\n[sam]\nportudp = 7655\n").is_err());
    }
}
