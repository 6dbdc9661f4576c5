//! The scripts: scenarios of steps, read from `transcripts/*.sam`.

use std::time::Duration;

use super::Setup;
use super::text::Text;

/// Scenarios, each for a bridge of its own.
pub struct Script {
    /// The reply to the greeting that a scenario does not show.
    pub greeting: String,
    pub scenarios: Vec<Scenario>,
    /// The properties of each bridge, except if its scenario sets others.
    setup: Setup,
}

/// The steps of one bridge.
pub struct Scenario {
    pub title: String,
    pub line: usize,
    pub setup: Setup,
    /// Sockets greet only if the scenario shows it.
    pub without_greeting: bool,
    pub steps: Vec<Step>,
}

/// A step, and where it is written.
pub struct Step {
    pub line: usize,
    pub source: String,
    pub action: Action,
}

/// The action of a step.
pub enum Action {
    Tcp(String, Tcp),
    Udp(String, Udp),
    /// The router's clock advances.
    Pass(Duration),
    /// A host is in the router's address book.
    Host(String, String),
    LoseRouter,
}

/// The part of a TCP connection.
pub enum Tcp {
    Send(Text),
    /// A text, and whether a newline follows.
    Receive(Text, bool),
    Eof,
    Silence,
    Close,
    Shutdown,
    Open,
    /// It is the connection that a forward target accepts.
    From(String),
}

/// The part of a UDP socket.
pub enum Udp {
    Send(Text),
    Receive(Text),
    Silence,
}

impl Script {
    /// Reads a script. The error names the line.
    pub fn parse(source: &str) -> Result<Self, String> {
        let mut script = Self {
            greeting: String::new(),
            scenarios: Vec::new(),
            setup: Setup::default(),
        };
        for (number, line) in (1..).zip(source.lines()) {
            let at = |error: String| format!("{number}: {error}: {line}");
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(reply) = line.strip_prefix("greeting ") {
                script.greeting = reply.to_owned();
                continue;
            }
            if let Some(title) = line.strip_prefix("== ") {
                script
                    .scenarios
                    .push(Scenario::new(title, number, &script.setup));
                continue;
            }
            let Some(scenario) = script.scenarios.last_mut() else {
                match set(&mut script.setup, line).map_err(at)? {
                    true => continue,
                    false => return Err(at("a step before a scenario".into())),
                }
            };
            if !scenario.set(line).map_err(at)? {
                scenario.add_steps(number, line).map_err(at)?;
            }
        }
        Ok(script)
    }
}

impl Scenario {
    fn new(title: &str, line: usize, setup: &Setup) -> Self {
        Self {
            title: title.to_owned(),
            line,
            setup: setup.clone(),
            without_greeting: false,
            steps: Vec::new(),
        }
    }

    /// Reads a line about the whole scenario. Returns false if it is another one.
    fn set(&mut self, line: &str) -> Result<bool, String> {
        if line == "without greeting" {
            self.without_greeting = true;
            return Ok(true);
        }
        set(&mut self.setup, line)
    }

    /// Reads a step, or several with a range of names: `a0..69> text`.
    fn add_steps(&mut self, line: usize, source: &str) -> Result<(), String> {
        let is_part = |char: char| char.is_ascii_alphanumeric() || "_.".contains(char);
        let end = source.find(|char| !is_part(char)).unwrap_or(source.len());
        let (name, rest) = source.split_at(end);
        let names = names(name)?;
        // Each connection of a range receives its reply before the next one sends: the order in which a
        // bridge reads from several at once is by chance.
        let first = self.steps.len().saturating_sub(names.len());
        let follows = self.steps.get(first).is_some_and(|step| {
            names.len() > 1 && step.line + 1 == line && step.source.starts_with(name)
        });
        for (index, name) in names.iter().enumerate() {
            let step = Step {
                line,
                source: source.to_owned(),
                action: parse_action(name, rest, source)?,
            };
            match follows {
                true => self.steps.insert(first + 2 * index + 1, step),
                false => self.steps.push(step),
            }
        }
        Ok(())
    }
}

/// Reads a property of the bridge. Returns false if it is another line.
fn set(setup: &mut Setup, line: &str) -> Result<bool, String> {
    if let Some(speed) = line.strip_prefix("clock ") {
        setup.clock = speed.parse().map_err(|_| "no speed")?;
    } else if let Some(time) = line.strip_prefix("sessions take ") {
        setup.session_delay = seconds(time)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

fn parse_action(name: &str, rest: &str, source: &str) -> Result<Action, String> {
    if source == "router lost" {
        return Ok(Action::LoseRouter);
    }
    if let Some(time) = source.strip_prefix("~ ") {
        return Ok(Action::Pass(seconds(time)?));
    }
    if let Some(host) = source.strip_prefix("host ") {
        let host = host
            .strip_suffix('}')
            .and_then(|host| host.split_once(" {dest "));
        let (host, key) = host.ok_or("no host and destination")?;
        return Ok(Action::Host(host.to_owned(), key.to_owned()));
    }
    if name.is_empty() {
        return Err("an unknown step".into());
    }
    let name = name.to_owned();
    match rest.strip_prefix(" udp") {
        Some(rest) => Ok(Action::Udp(name, parse_udp(rest)?)),
        None => Ok(Action::Tcp(name, parse_tcp(rest)?)),
    }
}

fn parse_tcp(rest: &str) -> Result<Tcp, String> {
    let text = |rest: &str, newline: &str| {
        let text = rest.strip_prefix(' ').unwrap_or(rest);
        Text::parse(&format!("{text}{newline}"))
    };
    if let Some(rest) = rest.strip_prefix(">|") {
        return Ok(Tcp::Send(text(rest, "")?));
    }
    if let Some(rest) = rest.strip_prefix('>') {
        return Ok(Tcp::Send(text(rest, "\\n")?));
    }
    if let Some(rest) = rest.strip_prefix("<|") {
        return Ok(Tcp::Receive(text(rest, "")?, false));
    }
    if let Some(rest) = rest.strip_prefix('<') {
        return Ok(Tcp::Receive(text(rest, "")?, true));
    }
    match rest {
        "# eof" => Ok(Tcp::Eof),
        "# silence" => Ok(Tcp::Silence),
        "# close" => Ok(Tcp::Close),
        "# shutdown" => Ok(Tcp::Shutdown),
        "# open" => Ok(Tcp::Open),
        rest => match rest.strip_prefix("# from ") {
            Some(target) => Ok(Tcp::From(target.to_owned())),
            None => Err("an unknown step".into()),
        },
    }
}

fn parse_udp(rest: &str) -> Result<Udp, String> {
    let text = |rest: &str| Text::parse(rest.strip_prefix(' ').unwrap_or(rest));
    match rest.split_at_checked(1) {
        Some((">", rest)) => Ok(Udp::Send(text(rest)?)),
        Some(("<", rest)) => Ok(Udp::Receive(text(rest)?)),
        _ if rest == "# silence" => Ok(Udp::Silence),
        _ => Err("an unknown step".into()),
    }
}

/// Returns `a0`, `a1` and `a2` for `a0..2`.
fn names(name: &str) -> Result<Vec<String>, String> {
    let Some((first, last)) = name.split_once("..") else {
        return Ok(vec![name.to_owned()]);
    };
    let stem = first.trim_end_matches(|char: char| char.is_ascii_digit());
    let number = |text: &str| text.parse::<usize>().map_err(|_| "no range".to_owned());
    let range = number(&first[stem.len()..])?..=number(last)?;
    Ok(range.map(|number| format!("{stem}{number}")).collect())
}

fn seconds(time: &str) -> Result<Duration, String> {
    let seconds = time.strip_suffix('s').and_then(|time| time.parse().ok());
    Ok(Duration::from_secs_f64(seconds.ok_or("no time")?))
}
