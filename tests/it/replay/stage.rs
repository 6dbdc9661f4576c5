//! The run of a scenario: the client's part is played, the bridge's part is compared.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use super::script::{Action, Scenario, Tcp, Udp};
use super::socket::{End, Socket, Target};
use super::text::{PortOf, Text, Values, readable};
use super::{Bridge, Difference};
use crate::support::pause;

/// The greeting that a scenario does not show.
const GREETING: &[u8] = b"HELLO VERSION MIN=3.1 MAX=3.3\n";

/// Nothing arrives within this time.
const SILENCE: Duration = Duration::from_millis(80);

/// A bridge notices a closed control socket within this time.
const NOTICES_CLOSE: Duration = Duration::from_secs(1);

/// Longer than a UDP packet.
const MAX_DATAGRAM: usize = 70_000;

/// A scenario that runs.
pub struct Stage<'a> {
    bridge: &'a dyn Bridge,
    scenario: &'a Scenario,
    greeting: &'a str,
    patience: Duration,
    values: Values,
    sockets: BTreeMap<&'a str, Socket>,
    targets: BTreeMap<String, Target>,
    udp: BTreeMap<String, UdpSocket>,
    differences: Vec<Difference>,
}

impl<'a> Stage<'a> {
    pub fn new(
        bridge: &'a dyn Bridge,
        scenario: &'a Scenario,
        greeting: &'a str,
        patience: Duration,
    ) -> Self {
        Self {
            bridge,
            scenario,
            greeting,
            patience,
            values: Values::default(),
            sockets: BTreeMap::new(),
            targets: BTreeMap::new(),
            udp: BTreeMap::new(),
            differences: Vec::new(),
        }
    }

    /// Returns the differences to the recording, in its order.
    pub fn run(mut self) -> Vec<Difference> {
        for step in &self.scenario.steps {
            let found = match &step.action {
                Action::Tcp(name, part) => self.tcp(name, part),
                Action::Udp(name, part) => self.datagram(name, part),
                Action::Pass(time) => {
                    pause(*time / self.scenario.setup.clock);
                    None
                }
                Action::Host(host, key) => {
                    let destination = self.values.destination(key);
                    self.bridge.add_host(host, &destination);
                    None
                }
                Action::LoseRouter => {
                    self.bridge.lose_router();
                    None
                }
            };
            if let Some(found) = found {
                self.differences.push(Difference {
                    line: step.line,
                    expected: step.source.clone(),
                    found,
                });
            }
        }
        self.add_unread();
        self.differences
    }

    /// Returns what was found instead of what the recording shows.
    fn tcp(&mut self, name: &'a str, part: &'a Tcp) -> Option<String> {
        match part {
            Tcp::Open => self.open(name, false),
            Tcp::Send(text) => {
                let greets = !self.scenario.without_greeting && !text.is_hello();
                let found = self.open(name, greets);
                let bytes = self.expand(text);
                let socket = self.sockets.get_mut(name)?;
                socket.controls |= text.is_session_command();
                socket.send(&bytes);
                found
            }
            Tcp::From(target) => match self.targets.get(target)?.accept(self.patience) {
                Some(stream) => {
                    self.sockets
                        .insert(name, Socket::new(stream, self.patience));
                    None
                }
                None => Some("no connection".into()),
            },
            Tcp::Close => {
                if self.targets.remove(name).is_none() {
                    self.close(name);
                }
                None
            }
            part => {
                let Some(socket) = self.sockets.get_mut(name) else {
                    return Some("no connection".into());
                };
                match part {
                    Tcp::Shutdown => socket.shutdown(),
                    Tcp::Receive(text, newline) => {
                        return receive(socket, text, *newline, &mut self.values);
                    }
                    Tcp::Silence => {
                        // `~` has let the time pass.
                        let runs = self.scenario.setup.clock > 1;
                        let (bytes, end) = socket.peek(if runs { Duration::ZERO } else { SILENCE });
                        let found = match (bytes, end) {
                            ([], End::Open) => None,
                            (bytes, end) => Some(describe(bytes, end)),
                        };
                        socket.broke_silence |= found.is_some();
                        return found;
                    }
                    _ => {
                        let (bytes, end) = socket.until_end();
                        self.sockets.remove(name);
                        return match (&bytes[..], end) {
                            ([], End::Eof) => None,
                            (bytes, end) => Some(describe(bytes, end)),
                        };
                    }
                }
                None
            }
        }
    }

    /// Opens a connection if there is none of this name, and compares the reply to the greeting.
    fn open(&mut self, name: &'a str, greets: bool) -> Option<String> {
        if self.sockets.contains_key(name) {
            return None;
        }
        let mut socket = Socket::connect(self.bridge.tcp(), self.patience);
        let mut found = None;
        if greets {
            socket.send(GREETING);
            let (line, end) = socket.line();
            if line != self.greeting.as_bytes() || end != End::Newline {
                found = Some(format!("at the greeting {}", describe(&line, end)));
            }
        }
        self.sockets.insert(name, socket);
        found
    }

    /// Closes a connection. If it is a control socket, waits until the bridge has noticed it, so that the
    /// next connection of the recording finds its session ended.
    fn close(&mut self, name: &str) {
        let open = self.bridge.open_connections();
        if !self
            .sockets
            .remove(name)
            .is_some_and(|socket| socket.controls)
        {
            return;
        }
        let start = Instant::now();
        while self.bridge.open_connections() >= open && start.elapsed() < NOTICES_CLOSE {
            pause(Duration::from_millis(1));
        }
    }

    fn datagram(&mut self, name: &str, part: &Udp) -> Option<String> {
        if let Udp::Send(text) = part {
            let bytes = self.expand(text);
            let socket = udp_socket(&mut self.udp, name);
            socket.send_to(&bytes, self.bridge.udp()).unwrap();
            return None;
        }
        let socket = udp_socket(&mut self.udp, name);
        let silent = matches!(part, Udp::Silence);
        let time = if silent { SILENCE } else { self.patience };
        socket.set_read_timeout(Some(time)).unwrap();
        let mut bytes = vec![0; MAX_DATAGRAM];
        match (socket.recv_from(&mut bytes), part) {
            (Err(_), Udp::Silence) => None,
            (Err(_), _) => Some("no datagram".into()),
            (Ok((_, from)), _) if from != self.bridge.udp() => {
                Some(format!("a datagram from {from}"))
            }
            (Ok((len, _)), Udp::Receive(text)) if text.matches(&bytes[..len], &mut self.values) => {
                None
            }
            (Ok((len, _)), _) => Some(format!("a datagram {}", readable(&bytes[..len]))),
        }
    }

    fn expand(&mut self, text: &Text) -> Vec<u8> {
        let (targets, udp) = (&mut self.targets, &mut self.udp);
        text.expand(&mut self.values, &mut |of, name| match of {
            PortOf::Udp => udp_socket(udp, name).local_addr().unwrap().port(),
            PortOf::Tcp => targets
                .entry(name.to_owned())
                .or_insert_with(Target::new)
                .port(),
            PortOf::Nobody => Target::new().port(),
        })
    }

    /// Adds what arrived on a connection and is not in the recording.
    fn add_unread(&mut self) {
        let last = self.scenario.steps.last();
        let line = last.map_or(self.scenario.line, |step| step.line);
        for (name, socket) in &mut self.sockets {
            if socket.broke_silence {
                continue;
            }
            let (bytes, _) = socket.peek(Duration::ZERO);
            if !bytes.is_empty() {
                self.differences.push(Difference {
                    line,
                    expected: format!("{name}# nothing more"),
                    found: readable(bytes),
                });
            }
        }
    }
}

fn receive(socket: &mut Socket, text: &Text, newline: bool, values: &mut Values) -> Option<String> {
    let (bytes, end) = match (newline, text.len(values)) {
        (true, _) => socket.line(),
        (false, Some(len)) => socket.bytes(len),
        (false, None) => socket.until_silence(SILENCE),
    };
    let ends = !newline || end == End::Newline;
    let matches = ends && text.matches(&bytes, values);
    (!matches).then(|| describe(&bytes, end))
}

fn describe(bytes: &[u8], end: End) -> String {
    let end = match end {
        End::Newline => "",
        End::Eof if bytes.is_empty() => "eof",
        End::Eof if bytes.ends_with(b"\n") => ", eof",
        End::Eof => " without a newline, eof",
        End::Open if bytes.is_empty() => "silence",
        End::Open if bytes.ends_with(b"\n") => "",
        End::Open => " without a newline",
    };
    format!("{}{end}", readable(bytes))
}

fn udp_socket<'a>(sockets: &'a mut BTreeMap<String, UdpSocket>, name: &str) -> &'a UdpSocket {
    sockets
        .entry(name.to_owned())
        .or_insert_with(|| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
}
