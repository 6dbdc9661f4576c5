//! The parts of links, as browsers, trackers and chats have them.

use super::error::UrlPart;

/// The query parameter in which a link carries the destination of its host name.
const HELPER: &str = "i2paddresshelper";

/// The parts of a link, as RFC 3986 divides it.
pub(super) struct Link<'a> {
    pub(super) has_scheme: bool,
    pub(super) has_user_info: bool,
    pub(super) address: &'a str,
    has_path: bool,
    query: Option<&'a str>,
    has_fragment: bool,
}

impl<'a> Link<'a> {
    pub(super) fn split(text: &'a str) -> Self {
        let (has_scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) if is_scheme(scheme) => (true, rest),
            _ => (false, text),
        };
        let (rest, fragment) = split(rest, '#');
        let (rest, query) = split(rest, '?');
        let (authority, path) = split(rest, '/');
        let (has_user_info, address) = match authority.rsplit_once('@') {
            Some((_, address)) => (true, address),
            None => (false, authority),
        };
        Self {
            has_scheme,
            has_user_info,
            address,
            has_path: path.is_some(),
            query,
            has_fragment: fragment.is_some(),
        }
    }

    /// Returns the first part after the scheme that an address does not have.
    pub(super) fn surplus_part(&self) -> Option<UrlPart> {
        let parts = [
            (self.has_user_info, UrlPart::UserInfo),
            (self.has_path, UrlPart::Path),
            (self.query.is_some(), UrlPart::Query),
            (self.has_fragment, UrlPart::Fragment),
        ];
        let mut present = parts.into_iter().filter(|(is_present, _)| *is_present);
        present.next().map(|(_, part)| part)
    }

    pub(super) fn helper(&self) -> Option<&'a str> {
        let parameters = self.query?.split('&');
        parameters
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(name, _)| name.eq_ignore_ascii_case(HELPER))
            .map(|(_, value)| value)
    }
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    match text.split_once(at) {
        Some((before, behind)) => (before, Some(behind)),
        None => (text, None),
    }
}

fn is_scheme(text: &str) -> bool {
    let of_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(of_scheme)
}

/// Decodes `%3D`, which links have for the `=` at the end of a destination, and `%7E`, which some
/// have for `~`.
pub(super) fn percent_decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        if !code.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::tests::{ed25519, ed25519_key};
    use crate::address::{AddressError, B32, Destination, I2pAddr, PrivateKey, UrlPart};

    fn destination() -> Destination {
        Destination::from_bytes(&ed25519()).unwrap()
    }

    fn other() -> Destination {
        Destination::from_bytes(&[0; 387]).unwrap()
    }

    fn parse(text: &str) -> Result<I2pAddr, AddressError> {
        text.parse()
    }

    fn surplus(part: UrlPart) -> AddressError {
        AddressError::SurplusPart { part }
    }

    fn helper_error(reason: AddressError) -> AddressError {
        AddressError::InvalidHelper {
            reason: Box::new(reason),
        }
    }

    /// Returns addresses of each kind, with a port and without.
    fn addresses() -> Vec<String> {
        let hosts = [
            "a.i2p".to_owned(),
            destination().b32().to_string(),
            destination().b33().unwrap().to_string(),
            destination().to_base64(),
            format!("{}.i2p", destination()),
        ];
        let with_port = |host: &String| [host.clone(), format!("{host}:80")];
        hosts.iter().flat_map(with_port).collect()
    }

    #[test]
    fn link_parses_as_its_address() {
        for address in addresses() {
            let expected = parse(&address);
            assert!(expected.is_ok(), "{address}");
            for link in [
                address.clone(),
                format!("http://{address}"),
                format!("i2p://{address}/"),
                format!("HTTPS://{address}/a/b:c@d?e=f&g#h"),
                format!("svn+ssh://{address}?a=http://b.i2p/"),
                format!("{address}/announce"),
                format!("{address}?a#b"),
                format!("{address}#/a?b@c"),
            ] {
                assert_eq!(I2pAddr::from_url(&link), expected, "{link}");
            }
        }
    }

    #[test]
    fn address_with_surplus_part_is_refused_with_name() {
        for address in addresses() {
            for (text, part) in [
                (format!("http://{address}"), UrlPart::Scheme),
                (format!("i2p://{address}/a"), UrlPart::Scheme),
                (format!("joe@{address}"), UrlPart::UserInfo),
                (format!("joe:secret@{address}/a"), UrlPart::UserInfo),
                (format!("{address}/"), UrlPart::Path),
                (format!("{address}/a?b#c"), UrlPart::Path),
                (format!("{address}?b#c"), UrlPart::Query),
                (format!("{address}#c"), UrlPart::Fragment),
            ] {
                assert_eq!(parse(&text), Err(surplus(part)), "{text}");
            }
        }
    }

    #[test]
    fn surplus_part_of_invalid_address_is_unnamed() {
        for text in ["example.com/a", "a/b", "joe@example.com", "?", "#"] {
            let error = AddressError::NotAnAddress { length: text.len() };
            assert_eq!(parse(text), Err(error), "{text}");
        }
        let standard = "A".repeat(300) + "/" + &"A".repeat(300);
        let error = AddressError::InvalidBase64 { offset: 300 };
        assert_eq!(parse(&standard), Err(error));
    }

    #[test]
    fn link_with_user_info_is_refused() {
        for link in ["http://a.i2p@b.i2p/", "http://joe:secret@b.i2p", "@b.i2p"] {
            let error = surplus(UrlPart::UserInfo);
            assert_eq!(I2pAddr::from_url(link), Err(error), "{link}");
        }
    }

    #[test]
    fn link_without_address_is_refused() {
        let not_an_address = |length| AddressError::NotAnAddress { length };
        // Without a scheme, the text before the first `/` has an empty port.
        let no_port = |offset| AddressError::InvalidPort { offset };
        for (link, error) in [
            ("", not_an_address(0)),
            ("http://", not_an_address(0)),
            ("http:///a.i2p", not_an_address(0)),
            ("http://example.com/a.i2p", not_an_address(11)),
            ("://a.i2p", no_port(1)),
            ("h ttp://a.i2p", no_port(6)),
            ("1http://a.i2p", no_port(6)),
        ] {
            assert_eq!(I2pAddr::from_url(link), Err(error), "{link}");
        }
    }

    #[test]
    fn helper_replaces_name() {
        let full = I2pAddr::from(destination());
        for helper in [
            destination().to_base64(),
            destination().to_base64().replace('=', "%3D"),
            destination().to_base64().replace('~', "%7e"),
            format!("{}.i2p", destination()),
            destination().b32().to_string(),
        ] {
            for link in [
                format!("http://a.i2p/?i2paddresshelper={helper}"),
                format!("a.i2p?x=1&I2PAddressHelper={helper}&y=2#i2paddresshelper=z"),
            ] {
                assert_eq!(I2pAddr::from_url(&link).as_ref(), Ok(&full), "{link}");
            }
            let link = format!("http://a.i2p:80/b?i2paddresshelper={helper}");
            let addr = I2pAddr::from_url(&link).unwrap();
            assert_eq!(addr, full.clone().with_port(80));
        }
    }

    #[test]
    fn helper_adds_destination_to_matching_address() {
        let full = destination();
        for host in [
            full.b32().to_string(),
            full.b33().unwrap().to_string(),
            full.to_base64(),
        ] {
            let link = format!("http://{host}/?i2paddresshelper={full}");
            let addr = I2pAddr::from_url(&link).unwrap();
            assert_eq!(addr.destination(), Some(&full), "{host}");
        }
    }

    #[test]
    fn helper_of_other_address_is_refused() {
        let (own, other) = (destination(), other());
        for (host, helper) in [
            (own.b32().to_string(), other.to_base64()),
            (own.b32().to_string(), other.b32().to_string()),
            (own.to_base64(), other.b32().to_string()),
            (own.to_base64(), other.to_base64()),
            (own.b33().unwrap().to_string(), other.to_base64()),
            (own.b33().unwrap().to_string(), own.b32().to_string()),
        ] {
            let link = format!("http://{host}/?i2paddresshelper={helper}");
            let error = AddressError::HelperMismatch;
            assert_eq!(I2pAddr::from_url(&link), Err(error), "{link}");
        }
    }

    #[test]
    fn helper_without_destination_is_refused() {
        let base64 = destination().to_base64();
        for (helper, reason) in [
            ("", AddressError::NotAnAddress { length: 0 }),
            ("b.i2p", AddressError::NotAnAddress { length: 5 }),
            ("%zz", AddressError::NotAnAddress { length: 3 }),
            ("%+3", AddressError::NotAnAddress { length: 3 }),
            ("%3", AddressError::NotAnAddress { length: 2 }),
            ("%ff", AddressError::NotAnAddress { length: 3 }),
            (
                base64.trim_end_matches('='),
                AddressError::Base64Length { length: 522 },
            ),
        ] {
            let link = format!("http://a.i2p/?i2paddresshelper={helper}");
            assert_eq!(I2pAddr::from_url(&link), Err(helper_error(reason)));
        }
    }

    #[test]
    fn private_key_in_link_is_refused_and_concealed() {
        let key = PrivateKey::from_bytes(&ed25519_key(1)).unwrap();
        let text = key.expose_base64();
        for link in [
            format!("http://{text}.i2p/"),
            format!("http://a.i2p/?i2paddresshelper={text}"),
            format!("{text}/a"),
        ] {
            for error in [
                I2pAddr::from_url(&link).unwrap_err(),
                parse(&link).unwrap_err(),
            ] {
                let shown = format!("{error} {error:?}");
                for window in text.as_bytes().windows(8) {
                    assert!(!shown.contains(std::str::from_utf8(window).unwrap()));
                }
            }
        }
    }

    #[test]
    fn truncated_link_never_panics() {
        let b32 = B32::from_hash([7; 32]);
        let link = format!("http://jö@bücher.i2p:80/ä?i2paddresshelper=%3D{b32}%ü#é");
        for (at, _) in link.char_indices() {
            let (head, tail) = link.split_at(at);
            let _ = (I2pAddr::from_url(head), I2pAddr::from_url(tail));
            let _ = (parse(head), parse(tail));
        }
    }
}
