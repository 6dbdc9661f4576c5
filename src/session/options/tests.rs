use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::address::SignatureType;

/// Base64 of 32 bytes.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh~=";

const SOURCES: [&str; 5] = [
    include_str!("mod.rs"),
    include_str!("tunnel.rs"),
    include_str!("lease_set.rs"),
    include_str!("router.rs"),
    include_str!("streaming.rs"),
];

/// Public functions that do not set an option.
const NO_SETTERS: [&str; 4] = ["new", "bare", "option", "code"];

struct Row {
    setter: &'static str,
    set: SessionOptions,
    pairs: Vec<(&'static str, String)>,
}

/// `setter(arguments) => name = value, …;`
macro_rules! rows {
    ($($setter:ident($($arg:expr),*) => $($name:literal = $value:expr),+;)+) => {
        vec![$(Row {
            setter: stringify!($setter),
            set: SessionOptions::bare().$setter($($arg),*),
            pairs: vec![$(($name, $value.to_string())),+],
        }),+]
    };
}

fn all_setters() -> Vec<Row> {
    let mut rows = tunnel_setters();
    rows.extend(lease_set_setters());
    rows.extend(router_setters());
    rows.extend(streaming_setters());
    rows
}

fn tunnel_setters() -> Vec<Row> {
    rows! {
        tunnel_length(2) => "inbound.length" = 2, "outbound.length" = 2;
        tunnel_quantity(4) => "inbound.quantity" = 4, "outbound.quantity" = 4;
        inbound_length(1) => "inbound.length" = 1;
        outbound_length(1) => "outbound.length" = 1;
        inbound_length_variance(-1) => "inbound.lengthVariance" = -1;
        outbound_length_variance(-1) => "outbound.lengthVariance" = -1;
        inbound_quantity(5) => "inbound.quantity" = 5;
        outbound_quantity(5) => "outbound.quantity" = 5;
        inbound_backup_quantity(1) => "inbound.backupQuantity" = 1;
        outbound_backup_quantity(1) => "outbound.backupQuantity" = 1;
        inbound_allow_zero_hop(false) => "inbound.allowZeroHop" = "false";
        outbound_allow_zero_hop(false) => "outbound.allowZeroHop" = "false";
        inbound_ip_restriction(3) => "inbound.IPRestriction" = 3;
        outbound_ip_restriction(3) => "outbound.IPRestriction" = 3;
        nickname("blog") => "inbound.nickname" = "blog", "outbound.nickname" = "blog";
        inbound_nickname("blog") => "inbound.nickname" = "blog";
        outbound_nickname("blog") => "outbound.nickname" = "blog";
        inbound_random_key(KEY) => "inbound.randomKey" = KEY;
        outbound_random_key(KEY) => "outbound.randomKey" = KEY;
        outbound_priority(-10) => "outbound.priority" = -10;
        explicit_peers([KEY, KEY]) => "explicitPeers" = format!("{KEY},{KEY}");
        latency_min(Duration::from_millis(50)) => "latency.min" = 50;
        latency_max(Duration::from_secs(2)) => "latency.max" = 2000;
    }
}

fn lease_set_setters() -> Vec<Row> {
    use EncryptionType::{EciesX25519, MlKem768X25519};
    rows! {
        lease_set_encryption(&[MlKem768X25519, EciesX25519]) => "i2cp.leaseSetEncType" = "6,4";
        lease_set_type(LeaseSetType::Encrypted) => "i2cp.leaseSetType" = 5;
        lease_set_auth(LeaseSetAuth::Dh) => "i2cp.leaseSetAuthType" = 1;
        lease_set_client_dh("alice", KEY) =>
            "i2cp.leaseSetClient.dh.0" = format!("YWxpY2U=:{KEY}");
        lease_set_client_psk("alice", KEY) =>
            "i2cp.leaseSetClient.psk.0" = format!("YWxpY2U=:{KEY}");
        lease_set_decryption_key(KEY) => "i2cp.leaseSetPrivKey" = KEY;
        lease_set_secret("c2VjcmV0") => "i2cp.leaseSetSecret" = "c2VjcmV0";
        lease_set_blinded_type(SignatureType::RedDsa) => "i2cp.leaseSetBlindedType" = 11;
        dont_publish_lease_set(true) => "i2cp.dontPublishLeaseSet" = "true";
        bundle_reply_info(false) => "shouldBundleReplyInfo" = "false";
        lease_set_private_keys(&[(MlKem768X25519, KEY), (EciesX25519, KEY)]) =>
            "i2cp.leaseSetPrivateKey" = format!("6:{KEY},4:{KEY}");
        lease_set_signing_private_key(SignatureType::Ed25519, KEY) =>
            "i2cp.leaseSetSigningPrivateKey" = format!("7:{KEY}");
        encrypt_lease_set(true) => "i2cp.encryptLeaseSet" = "true";
        lease_set_key(KEY) => "i2cp.leaseSetKey" = KEY;
    }
}

fn router_setters() -> Vec<Row> {
    rows! {
        reduce_on_idle(true) => "i2cp.reduceOnIdle" = "true";
        reduce_idle_time(Duration::from_secs(600)) => "i2cp.reduceIdleTime" = 600_000;
        reduce_quantity(2) => "i2cp.reduceQuantity" = 2;
        close_on_idle(true) => "i2cp.closeOnIdle" = "true";
        close_idle_time(Duration::from_secs(600)) => "i2cp.closeIdleTime" = 600_000;
        gzip(false) => "i2cp.gzip" = "false";
        fast_receive(true) => "i2cp.fastReceive" = "true";
        message_reliability(MessageReliability::BestEffort) =>
            "i2cp.messageReliability" = "BestEffort";
        tags_to_send(20) => "crypto.tagsToSend" = 20;
        low_tag_threshold(15) => "crypto.lowTagThreshold" = 15;
        ratchet_inbound_tags(2400) => "crypto.ratchet.inboundTags" = 2400;
        client_message_timeout(Duration::from_secs(30)) => "clientMessageTimeout" = 30_000;
        i2cp_username("me") => "i2cp.username" = "me";
        i2cp_password("a \"b\"") => "i2cp.password" = "a \"b\"";
        i2cp_tcp_host("::1") => "i2cp.tcp.host" = "::1";
        i2cp_tcp_port(7654) => "i2cp.tcp.port" = 7654;
        i2cp_ssl(true) => "i2cp.SSL" = "true";
        access_list(vec![KEY.to_owned()]) => "i2cp.accessList" = KEY;
        enable_access_list(true) => "i2cp.enableAccessList" = "true";
        enable_black_list(true) => "i2cp.enableBlackList" = "true";
        sam_udp_host("127.0.0.2") => "sam.udp.host" = "127.0.0.2";
        sam_udp_port(7655) => "sam.udp.port" = 7655;
    }
}

fn streaming_setters() -> Vec<Row> {
    let second = Duration::from_secs(1);
    let text = LimitAction::Text("later\\r\\n".to_owned());
    rows! {
        connect_delay(Some(second)) => "i2p.streaming.connectDelay" = 1000;
        connect_timeout(Some(second)) => "i2p.streaming.connectTimeout" = 1000;
        read_timeout(Some(second)) => "i2p.streaming.readTimeout" = 1000;
        write_timeout(Some(second)) => "i2p.streaming.writeTimeout" = 1000;
        streaming_profile(StreamingProfile::Interactive) => "i2p.streaming.profile" = 2;
        max_window_size(256) => "i2p.streaming.maxWindowSize" = 256;
        initial_window_size(12) => "i2p.streaming.initialWindowSize" = 12;
        initial_ack_delay(second) => "i2p.streaming.initialAckDelay" = 1000;
        inactivity_timeout(second) => "i2p.streaming.inactivityTimeout" = 1000;
        inactivity_action(InactivityAction::Disconnect) => "i2p.streaming.inactivityAction" = 1;
        max_resends(4) => "i2p.streaming.maxResends" = 4;
        max_message_size(1024) => "i2p.streaming.maxMessageSize" = 1024;
        buffer_size(131_072) => "i2p.streaming.bufferSize" = 131_072;
        max_concurrent_streams(Some(50)) => "i2p.streaming.maxConcurrentStreams" = 50;
        max_conns_per_minute(Some(1)) => "i2p.streaming.maxConnsPerMinute" = 1;
        max_conns_per_hour(Some(2)) => "i2p.streaming.maxConnsPerHour" = 2;
        max_conns_per_day(Some(3)) => "i2p.streaming.maxConnsPerDay" = 3;
        max_total_conns_per_minute(Some(4)) => "i2p.streaming.maxTotalConnsPerMinute" = 4;
        max_total_conns_per_hour(Some(5)) => "i2p.streaming.maxTotalConnsPerHour" = 5;
        max_total_conns_per_day(Some(6)) => "i2p.streaming.maxTotalConnsPerDay" = 6;
        limit_action(text) => "i2p.streaming.limitAction" = "later\\r\\n";
        answer_pings(false) => "i2p.streaming.answerPings" = "false";
        enforce_protocol(false) => "i2p.streaming.enforceProtocol" = "false";
        max_outbound_speed(100_000) => "i2p.streaming.maxOutboundSpeed" = 100_000;
        max_inbound_speed(100_000) => "i2p.streaming.maxInboundSpeed" = 100_000;
        dont_sign(true) => "i2p.streaming.dontSign" = "true";
    }
}

/// Returns every setter that takes text, called with this text.
fn text_setters(text: &str) -> Vec<SessionOptions> {
    let bare = SessionOptions::bare;
    vec![
        bare().option("x.y", text),
        bare().nickname(text),
        bare().inbound_nickname(text),
        bare().outbound_nickname(text),
        bare().inbound_random_key(text),
        bare().outbound_random_key(text),
        bare().explicit_peers([KEY, text]),
        bare().lease_set_client_dh(text, KEY),
        bare().lease_set_client_dh("alice", text),
        bare().lease_set_client_psk(text, KEY),
        bare().lease_set_client_psk("alice", text),
        bare().lease_set_decryption_key(text),
        bare().lease_set_secret(text),
        bare().lease_set_private_keys(&[(EncryptionType::EciesX25519, text)]),
        bare().lease_set_signing_private_key(SignatureType::Ed25519, text),
        bare().lease_set_key(text),
        bare().i2cp_username(text),
        bare().i2cp_password(text),
        bare().i2cp_tcp_host(text),
        bare().access_list([KEY, text]),
        bare().sam_udp_host(text),
        bare().limit_action(LimitAction::Text(text.to_owned())),
    ]
}

fn pairs(options: &SessionOptions) -> Vec<(&str, &str)> {
    options.pairs().unwrap().collect()
}

fn fault(options: &SessionOptions) -> Option<CommandFault> {
    options.pairs().err().map(|error| error.fault())
}

fn range(min: i64, max: i64) -> Option<CommandFault> {
    Some(CommandFault::Range { min, max })
}

/// The minimum and the maximum are accepted; values beyond them are refused.
fn assert_bounds<T: Copy + std::fmt::Debug>(
    set: impl Fn(SessionOptions, T) -> SessionOptions,
    (min, max): (i64, i64),
    inside: [T; 2],
    beyond: &[T],
) {
    for (value, text) in inside.into_iter().zip([min, max]) {
        let options = set(SessionOptions::bare(), value);
        assert!(
            pairs(&options)
                .iter()
                .all(|(_, value)| *value == text.to_string())
        );
    }
    for value in beyond {
        let options = set(SessionOptions::bare(), *value);
        assert_eq!(fault(&options), range(min, max), "{value:?}");
    }
}

#[test]
fn setter_sets_only_its_option() {
    for row in all_setters() {
        let expected = row
            .pairs
            .iter()
            .map(|(name, value)| (*name, value.as_str()));
        assert_eq!(
            pairs(&row.set),
            expected.collect::<Vec<_>>(),
            "{}",
            row.setter
        );
    }
}

#[test]
fn setter_changes_session_create() {
    let bridge = crate::SamBridge::new("127.0.0.1:1").unwrap();
    let line = |options: SessionOptions| {
        let command = bridge
            .session()
            .options(options)
            .command("STREAM", "id", &[]);
        command.unwrap().as_str().to_owned()
    };
    let bare = line(SessionOptions::bare());
    for row in all_setters() {
        let line = line(row.set);
        assert!(line.starts_with(bare.trim_end()), "{}", row.setter);
        let message = crate::wire::Message::parse(line.as_bytes()).unwrap();
        for (name, value) in &row.pairs {
            let said = message.value(name).unwrap().unescape();
            assert_eq!(&said, value, "{}", row.setter);
        }
        assert_ne!(line, bare, "{}", row.setter);
    }
}

#[test]
fn table_has_every_setter() {
    let public = SOURCES
        .iter()
        .flat_map(|source| source.lines())
        .filter_map(|line| {
            let line = line.strip_prefix("    pub ")?;
            let name = line.trim_start_matches("const ").strip_prefix("fn ")?;
            name.split(['(', '<']).next()
        });
    let public: BTreeSet<_> = public.filter(|name| !NO_SETTERS.contains(name)).collect();
    let table: BTreeSet<_> = all_setters().iter().map(|row| row.setter).collect();
    assert_eq!(public, table);
    assert_eq!(all_setters().len(), table.len(), "a row stands there twice");
}

#[test]
fn single_setters_set_different_options() {
    let single = all_setters().into_iter().filter(|row| row.pairs.len() == 1);
    let names: Vec<_> = single.map(|row| row.pairs[0].0).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
}

#[test]
fn new_is_recommended_and_bare_is_empty() {
    let recommended = [
        ("i2cp.leaseSetEncType", "4,0"),
        ("inbound.quantity", "3"),
        ("outbound.quantity", "3"),
    ];
    assert_eq!(pairs(&SessionOptions::new()), recommended);
    assert_eq!(pairs(&SessionOptions::default()), recommended);
    assert!(pairs(&SessionOptions::bare()).is_empty());
}

#[test]
fn option_set_again_is_replaced_in_place() {
    let options = SessionOptions::new()
        .gzip(true)
        .option("i2cp.gzip", "false")
        .inbound_quantity(1)
        .lease_set_encryption(&[EncryptionType::EciesX25519]);
    let expected = [
        ("i2cp.leaseSetEncType", "4"),
        ("inbound.quantity", "1"),
        ("outbound.quantity", "3"),
        ("i2cp.gzip", "false"),
    ];
    assert_eq!(pairs(&options), expected);
}

#[test]
fn lease_set_client_gets_next_number() {
    let options = SessionOptions::bare()
        .lease_set_client_dh("a", KEY)
        .option("i2cp.leaseSetClient.dh.1", "b:AAAA")
        .lease_set_client_psk("c", KEY)
        .lease_set_client_dh("d", KEY);
    let names: Vec<_> = pairs(&options).iter().map(|(name, _)| *name).collect();
    let expected = [
        "i2cp.leaseSetClient.dh.0",
        "i2cp.leaseSetClient.dh.1",
        "i2cp.leaseSetClient.psk.0",
        "i2cp.leaseSetClient.dh.2",
    ];
    assert_eq!(names, expected);
}

#[test]
fn lease_set_client_name_is_any_text() {
    let options = SessionOptions::bare().lease_set_client_psk("ÿÿ: Ärger", KEY);
    let value = pairs(&options)[0].1;
    assert_eq!(value, format!("w7~Dvzogw4RyZ2Vy:{KEY}"));
}

#[test]
fn first_refusal_is_returned() {
    let options = SessionOptions::new()
        .inbound_length(8)
        .outbound_length(9)
        .inbound_length(3);
    let error = options.pairs().err().unwrap();
    assert_eq!(error.field(), "inbound.length");
}

#[test]
fn text_with_line_end_or_nul_is_refused() {
    for bad in ['\r', '\n', '\0'] {
        for text in [
            format!("{bad}AAA"),
            format!("AA{bad}A"),
            format!("AAAA{bad}"),
        ] {
            let offset = text.find(bad).unwrap();
            for options in text_setters(&text) {
                let expected = Some(CommandFault::Character { offset });
                assert_eq!(fault(&options), expected, "{options:?}");
            }
        }
    }
}

#[test]
fn empty_text_is_refused() {
    for options in text_setters("") {
        assert_eq!(fault(&options), Some(CommandFault::Empty), "{options:?}");
    }
}

#[test]
fn empty_list_is_refused() {
    let bare = SessionOptions::bare;
    for options in [
        bare().lease_set_encryption(&[]),
        bare().lease_set_private_keys(&[]),
        bare().explicit_peers([""; 0]),
        bare().access_list([""; 0]),
    ] {
        assert_eq!(fault(&options), Some(CommandFault::Empty), "{options:?}");
    }
}

#[test]
fn value_over_255_bytes_is_refused() {
    for options in text_setters(&"A".repeat(256)) {
        assert_eq!(
            fault(&options),
            Some(CommandFault::TooLong(255)),
            "{options:?}"
        );
    }
    let longest = "é".repeat(127) + "A";
    let options = SessionOptions::bare()
        .option("x.y", &longest)
        .nickname(&longest);
    assert_eq!(pairs(&options).len(), 3);
}

#[test]
fn name_over_255_bytes_is_refused() {
    let name = "n".repeat(256);
    let shorter = SessionOptions::bare().option(&name[1..], "v");
    assert_eq!(pairs(&shorter), [(&name[1..], "v")]);
    let longer = SessionOptions::bare().option(&name, "v");
    assert_eq!(fault(&longer), Some(CommandFault::TooLong(255)));
}

#[test]
fn name_with_separator_is_refused() {
    for name in ["a b", "a=b", "a\"b", "a\\b", "a\nb", "a\rb", "a\0b", "a\tb"] {
        let options = SessionOptions::bare().option(name, "v");
        let expected = Some(CommandFault::Character { offset: 1 });
        assert_eq!(fault(&options), expected, "{name:?}");
    }
}

#[test]
fn reserved_name_is_refused_in_any_case() {
    for name in RESERVED {
        for name in [name.to_owned(), name.to_ascii_lowercase()] {
            let options = SessionOptions::bare().option(&name, "1");
            assert_eq!(fault(&options), Some(CommandFault::Reserved), "{name}");
        }
    }
    let options = SessionOptions::bare().option("STYLES", "1");
    assert_eq!(pairs(&options), [("STYLES", "1")]);
}

#[test]
fn blank_in_nickname_or_host_is_refused() {
    let bare = SessionOptions::bare;
    for text in ["a b", "a\tb", "a\"b", "a\\b", "a\u{a0}b"] {
        for options in [
            bare().nickname(text),
            bare().inbound_nickname(text),
            bare().outbound_nickname(text),
            bare().i2cp_tcp_host(text),
            bare().sam_udp_host(text),
        ] {
            assert_eq!(fault(&options), Some(CommandFault::Quotes), "{options:?}");
        }
    }
}

#[test]
fn other_values_may_need_quotes() {
    let options = SessionOptions::bare().option("x", "a \"b\\");
    assert_eq!(pairs(&options), [("x", "a \"b\\")]);
}

#[test]
fn standard_base64_is_refused_if_it_differs() {
    for (key, offset) in [
        ("AA+A", 2),
        ("AA/A", 2),
        ("=", 0),
        ("A=A", 1),
        ("A===", 1),
        ("a:b", 1),
    ] {
        let options = SessionOptions::bare().lease_set_key(key);
        let expected = Some(CommandFault::Character { offset });
        assert_eq!(fault(&options), expected, "{key}");
    }
}

#[test]
fn list_takes_five_hashes() {
    let five = SessionOptions::bare().access_list([KEY; 5]);
    assert_eq!(pairs(&five).len(), 1);
    let six = SessionOptions::bare().access_list([KEY; 6]);
    assert_eq!(fault(&six), Some(CommandFault::TooLong(255)));
}

#[test]
fn numbers_of_tunnels_are_bounded() {
    type Options = SessionOptions;
    assert_bounds(Options::inbound_length, (0, 7), [0, 7], &[8]);
    assert_bounds(Options::outbound_length, (0, 7), [0, 7], &[8]);
    assert_bounds(Options::tunnel_length, (0, 7), [0, 7], &[8]);
    assert_bounds(Options::inbound_length_variance, (-7, 7), [-7, 7], &[-8, 8]);
    assert_bounds(
        Options::outbound_length_variance,
        (-7, 7),
        [-7, 7],
        &[-8, 8],
    );
    assert_bounds(Options::inbound_quantity, (1, 16), [1, 16], &[0, 17]);
    assert_bounds(Options::outbound_quantity, (1, 16), [1, 16], &[0, 17]);
    assert_bounds(Options::tunnel_quantity, (1, 16), [1, 16], &[0, 17]);
    assert_bounds(Options::inbound_backup_quantity, (0, 3), [0, 3], &[4]);
    assert_bounds(Options::outbound_backup_quantity, (0, 3), [0, 3], &[4]);
    assert_bounds(Options::inbound_ip_restriction, (0, 4), [0, 4], &[5]);
    assert_bounds(Options::outbound_ip_restriction, (0, 4), [0, 4], &[5]);
    assert_bounds(Options::outbound_priority, (-25, 25), [-25, 25], &[-26, 26]);
}

#[test]
fn numbers_of_the_session_are_bounded() {
    type Options = SessionOptions;
    assert_bounds(Options::reduce_quantity, (1, 5), [1, 5], &[0, 6]);
    assert_bounds(Options::tags_to_send, (1, 128), [1, 128], &[0, 129]);
    assert_bounds(Options::low_tag_threshold, (1, 128), [1, 128], &[0, 129]);
    for set in [
        Options::ratchet_inbound_tags,
        Options::i2cp_tcp_port,
        Options::sam_udp_port,
        Options::max_window_size,
        Options::initial_window_size,
        Options::max_resends,
        Options::max_message_size,
    ] {
        assert_bounds(set, (1, 65535), [1, 65535], &[0]);
    }
    let most = i32::MAX as u32;
    for set in [
        Options::buffer_size,
        Options::max_outbound_speed,
        Options::max_inbound_speed,
    ] {
        assert_bounds(set, (1, INT_MAX), [1, most], &[0, most + 1, u32::MAX]);
    }
}

#[test]
fn limits_are_bounded() {
    type Options = SessionOptions;
    let most = i32::MAX as u32;
    for set in [
        Options::max_concurrent_streams,
        Options::max_conns_per_minute,
        Options::max_conns_per_hour,
        Options::max_conns_per_day,
        Options::max_total_conns_per_minute,
        Options::max_total_conns_per_hour,
        Options::max_total_conns_per_day,
    ] {
        let beyond = [Some(0), Some(most + 1)];
        assert_bounds(set, (1, INT_MAX), [Some(1), Some(most)], &beyond);
    }
}

#[test]
fn times_are_bounded() {
    type Options = SessionOptions;
    type Set = fn(SessionOptions, Duration) -> SessionOptions;
    let bounds: [(Set, i64, i64); 11] = [
        (Options::latency_min, 1, INT_MAX),
        (Options::latency_max, 1, INT_MAX),
        (Options::reduce_idle_time, 300_000, INT_MAX),
        (Options::close_idle_time, 300_000, INT_MAX),
        (Options::client_message_timeout, 8_000, 120_000),
        (Options::initial_ack_delay, 0, INT_MAX),
        (Options::inactivity_timeout, 1, INT_MAX),
        (|o, time| o.connect_delay(Some(time)), 1, INT_MAX),
        (|o, time| o.connect_timeout(Some(time)), 1, INT_MAX),
        (|o, time| o.read_timeout(Some(time)), 1, INT_MAX),
        (|o, time| o.write_timeout(Some(time)), 1, INT_MAX),
    ];
    let millis = |millis: i64| Duration::from_millis(millis.try_into().unwrap());
    for (set, min, max) in bounds {
        let mut beyond = vec![millis(max + 1), Duration::from_secs(u64::MAX)];
        if min > 0 {
            beyond.push(millis(min - 1));
        }
        assert_bounds(set, (min, max), [millis(min), millis(max)], &beyond);
    }
}

#[test]
fn parts_of_a_millisecond_are_refused() {
    for time in [Duration::from_micros(500), Duration::from_nanos(1_000_001)] {
        let options = SessionOptions::bare().initial_ack_delay(time);
        assert_eq!(fault(&options), Some(CommandFault::Fraction), "{time:?}");
    }
}

#[test]
fn unlimited_value_has_router_form() {
    let options = SessionOptions::bare()
        .connect_delay(None)
        .read_timeout(None)
        .max_concurrent_streams(None)
        .max_conns_per_minute(None);
    let expected = [
        ("i2p.streaming.connectDelay", "-1"),
        ("i2p.streaming.readTimeout", "-1"),
        ("i2p.streaming.maxConcurrentStreams", "-1"),
        ("i2p.streaming.maxConnsPerMinute", "0"),
    ];
    assert_eq!(pairs(&options), expected);
}

#[test]
fn enum_values_have_documented_codes() {
    use EncryptionType::*;
    let all = [
        ElGamal,
        EciesX25519,
        MlKem512X25519,
        MlKem768X25519,
        MlKem1024X25519,
    ];
    let bare = SessionOptions::bare;
    let expected = [
        (bare().lease_set_encryption(&all), "0,4,5,6,7"),
        (bare().lease_set_type(LeaseSetType::Old), "1"),
        (bare().lease_set_type(LeaseSetType::Standard), "3"),
        (bare().lease_set_type(LeaseSetType::Meta), "7"),
        (bare().lease_set_auth(LeaseSetAuth::None), "0"),
        (bare().lease_set_auth(LeaseSetAuth::Psk), "2"),
        (bare().message_reliability(MessageReliability::None), "None"),
        (bare().streaming_profile(StreamingProfile::Bulk), "1"),
        (bare().inactivity_action(InactivityAction::Nothing), "0"),
        (bare().inactivity_action(InactivityAction::SendAck), "2"),
        (bare().limit_action(LimitAction::Reset), "reset"),
        (bare().limit_action(LimitAction::Drop), "drop"),
        (bare().limit_action(LimitAction::Http), "http"),
    ];
    for (options, value) in expected {
        assert_eq!(pairs(&options)[0].1, value, "{options:?}");
    }
}

#[test]
fn debug_shows_names_and_no_value() {
    for row in all_setters() {
        let shown = format!("{:?}", row.set);
        for (name, _) in &row.pairs {
            assert!(shown.contains(name), "{shown}");
        }
    }
    let secret = SessionOptions::bare()
        .i2cp_password("hunter2")
        .lease_set_key(KEY);
    let shown = format!("{secret:?}");
    assert!(
        !shown.contains("hunter2") && !shown.contains(KEY),
        "{shown}"
    );
}

#[test]
fn refusal_shows_no_value() {
    for options in text_setters("hunter2\n") {
        let error = options.pairs().err().unwrap();
        let shown = format!("{options:?} {error} {error:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn preset_sets_documented_options() {
    let own = |options: &SessionOptions| {
        let pairs = pairs(options).into_iter();
        let pairs = pairs.filter(|(name, _)| *name != "i2cp.leaseSetEncType");
        let mut pairs: Vec<_> = pairs
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.sort();
        pairs.join(" ")
    };
    for (options, expected) in [
        (
            SessionOptions::local_test(),
            "inbound.length=0 inbound.quantity=1 outbound.length=0 outbound.quantity=1",
        ),
        (
            SessionOptions::interactive(),
            "i2p.streaming.profile=2 inbound.length=2 inbound.quantity=2 outbound.length=2 \
             outbound.quantity=2",
        ),
        (
            SessionOptions::server(),
            "inbound.backupQuantity=1 inbound.quantity=3 outbound.backupQuantity=1 \
             outbound.quantity=3",
        ),
        (
            SessionOptions::busy_server(),
            "inbound.backupQuantity=1 inbound.quantity=6 outbound.backupQuantity=1 \
             outbound.quantity=6",
        ),
    ] {
        assert_eq!(own(&options), expected);
    }
}
