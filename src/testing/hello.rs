use std::str::FromStr;

use crate::wire::Version;

use super::client::Client;
use super::profile::Versions;
use super::request::Request;

/// Answers the first line of a connection. Returns false if the connection is at its end.
pub(super) fn greet(client: &mut Client, request: Option<&Request>) -> bool {
    let facts = &client.router.facts.hello;
    let Some(request) = request else {
        return client.answer(facts.malformed, &[]);
    };
    if !request.topic.eq_ignore_ascii_case("HELLO") {
        return client.answer(facts.other_command, &[]);
    }
    if !request.is("HELLO", "VERSION") {
        return client.answer(facts.malformed, &[]);
    }
    if let Some(refusal) = refusal(client, request) {
        let reply = format!(r#"HELLO REPLY RESULT=I2P_ERROR MESSAGE="{refusal}""#);
        client.link.send_line(&reply);
        return false;
    }
    let (min, max) = (request.filled("MIN"), request.filled("MAX"));
    match agree(&facts.versions, min, max) {
        Some(version) => {
            client.link.set_version(version);
            client
                .link
                .send_line(&format!("HELLO REPLY RESULT=OK VERSION={version}"))
        }
        None => {
            client.link.send_line("HELLO REPLY RESULT=NOVERSION");
            false
        }
    }
}

/// Returns the reason why a client without the right password is refused.
fn refusal(client: &Client, request: &Request) -> Option<&'static str> {
    let state = client.router.state.lock();
    if !state.users_required {
        return None;
    }
    let (Some(user), Some(password)) = (request.filled("USER"), request.filled("PASSWORD")) else {
        return Some("USER and PASSWORD required");
    };
    match state.users.get(user) {
        Some(known) if known == password => None,
        _ => Some("Authorization failed"),
    }
}

fn agree(versions: &Versions, min: Option<&str>, max: Option<&str>) -> Option<Version> {
    let read = |text: &str| Version::from_str(text).ok();
    let up_to = |newest: (u8, u8), text: Option<&str>| {
        let version = text.and_then(read)?;
        ((version.major(), version.minor()) <= newest).then_some(version)
    };
    match versions {
        Versions::Highest => {
            let min = min.map_or(Some(Version::V3_1), read)?;
            let max = max.map_or(Some(Version::V3_3), read)?;
            let version = max.min(Version::V3_3);
            // A client that names no lower limit accepts any version.
            (version >= min || max < Version::V3_1).then_some(version)
        }
        Versions::MaxElseMin { newest } => match (min, max) {
            (None, None) => read("3.0"),
            _ => up_to(*newest, max).or_else(|| up_to(*newest, min)),
        },
        Versions::Always(version) => {
            let only = if min == max { max } else { None };
            only.filter(|only| matches!(*only, "3.1" | "3.2"))
                .or(Some(version))
                .and_then(read)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::profile::Profile;
    use super::*;

    fn agreed(profile: Profile, min: Option<&str>, max: Option<&str>) -> String {
        let version = agree(&profile.facts().hello.versions, min, max);
        version.map_or_else(|| "none".to_owned(), |version| version.to_string())
    }

    #[test]
    fn java_takes_highest_version_of_range() {
        let java = |min, max| agreed(Profile::Java, min, max);
        assert_eq!(java(Some("3.1"), Some("3.3")), "3.3");
        assert_eq!(java(Some("3.3"), Some("9.9")), "3.3");
        assert_eq!(java(Some("3"), Some("3")), "3.0");
        assert_eq!(java(None, Some("3")), "3.0");
        assert_eq!(java(Some("1.0"), Some("1.0")), "1.0");
        assert_eq!(java(Some("3.4"), Some("3.9")), "none");
        assert_eq!(java(Some("abc"), Some("def")), "none");
        assert_eq!(java(None, None), "3.3");
    }

    #[test]
    fn i2pd_takes_max_or_min() {
        let new = |min, max| agreed(Profile::I2pd, min, max);
        assert_eq!(new(Some("3.1"), Some("3.3")), "3.3");
        assert_eq!(new(Some("3.1"), Some("3.9")), "3.1");
        assert_eq!(new(Some("3.4"), Some("3.9")), "none");
        assert_eq!(new(Some("3.3"), None), "3.3");
        assert_eq!(new(None, None), "3.0");
        assert_eq!(agreed(Profile::I2pd245, Some("3.1"), Some("3.3")), "3.1");
    }

    #[test]
    fn emissary_answers_with_its_version() {
        let emissary = |min, max| agreed(Profile::Emissary, min, max);
        assert_eq!(emissary(Some("3.3"), Some("3.3")), "3.2");
        assert_eq!(emissary(Some("3.1"), Some("3.1")), "3.1");
        assert_eq!(emissary(None, None), "3.2");
    }
}
