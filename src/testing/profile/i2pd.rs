//! i2pd 2.59.0 and 2.45.1.

use super::facts::*;
use crate::testing::answer::Answer::{Close, Last, Line, Nothing};

pub(super) const FACTS: Facts = Facts {
    lines: LineFacts {
        quotes: false,
        longest: 8192,
        too_long: Close,
        malformed: Close,
        single_blanks: false,
        pipelines: false,
    },
    hello: HelloFacts {
        versions: Versions::MaxElseMin { newest: (3, 3) },
        other_command: Close,
        malformed: Close,
        second: Close,
        broken: Close,
        limit: None,
        users: false,
    },
    commands: CommandFacts {
        missing_action: Close,
        unknown: Close,
        quit: Close,
        help: Close,
        ping: PingReply::PongAndClose,
        pings: None,
        first: None,
        signatures: Signatures::KnownOrCrash,
        generates_on_control_socket: true,
        not_generate: Close,
    },
    sessions: SessionFacts {
        creation: (seconds(3), seconds(18)),
        creation_with_key: millis(2100),
        key_rest: KeyRest::Zombie(seconds(5)),
        key_serves_once: false,
        no_id: Last("SESSION STATUS RESULT=INVALID_ID"),
        no_style: Last(UNKNOWN_STYLE),
        no_destination: Last("SESSION STATUS RESULT=INVALID_KEY"),
        unknown_style: Last(UNKNOWN_STYLE),
        bad_id: Last("SESSION STATUS RESULT=INVALID_ID"),
        bad_id_characters: "<>\"'/",
        invalid_key: Last("SESSION STATUS RESULT=INVALID_KEY"),
        duplicate_id: Last("SESSION STATUS RESULT=DUPLICATED_ID"),
        duplicate_id_unlists: false,
        duplicate_destination: DuplicateDestination::Zombie,
        second_on_socket: Close,
        primary_styles: &["MASTER"],
        unknown_action: Close,
        encryption: &[],
        unsupported_encryption: Nothing,
        primary_port: None,
        needs_hops: false,
        subsessions: SubsessionFacts {
            datagrams: false,
            reply_names_id: false,
            no_session: Line(r#"SESSION STATUS RESULT=I2P_ERROR MESSAGE="Wrong session type""#),
            not_primary: Line(r#"SESSION STATUS RESULT=I2P_ERROR MESSAGE="Wrong session type""#),
            unsupported_style: Line(
                r#"SESSION STATUS RESULT=I2P_ERROR MESSAGE="Unsupported STYLE""#,
            ),
            duplicate_id: Line("SESSION STATUS RESULT=DUPLICATED_ID"),
            duplicate_port: Nothing,
            port_missing: Nothing,
            bad_port: Nothing,
            bad_protocol: Nothing,
            has_destination: Nothing,
            unknown_id: Line("SESSION STATUS RESULT=INVALID_ID"),
            streams_survive_removal: false,
            removes: true,
            ports_of_streams: true,
            forgets_datagrams: false,
            streams_collide: true,
            dials_wait: true,
        },
        accepts_end: AcceptsEnd::All,
        far_sides_end: false,
        bridge_outlives_router: false,
        stream_on_control_socket: Close,
    },
    streams: StreamFacts {
        no_id: Last("STREAM STATUS RESULT=INVALID_ID"),
        unknown_id: Last("STREAM STATUS RESULT=INVALID_ID"),
        not_stream: Last("STREAM STATUS RESULT=INVALID_ID"),
        unknown_action: Close,
        primary_accept: PrimaryAccept::Refused(Last("STREAM STATUS RESULT=INVALID_ID")),
        primary_connect: Last("STREAM STATUS RESULT=INVALID_ID"),
        no_destination: Last("STREAM STATUS RESULT=INVALID_KEY"),
        destination_first: false,
        unknown_name: Last("STREAM STATUS RESULT=INVALID_KEY"),
        malformed_destination: Last("STREAM STATUS RESULT=INVALID_KEY"),
        unknown_b32: Last(LEASE_SET_NOT_FOUND),
        unreachable_name: None,
        unreachable: (millis(500), Last(LEASE_SET_NOT_FOUND)),
        own_destination: Some(Last(
            r#"STREAM STATUS RESULT=CANT_REACH_PEER MESSAGE="Can't connect to myself""#,
        )),
        bad_port: Nothing,
        huge_port: Nothing,
        refused: Close,
        without_accept: WithoutAccept::SucceedsAndWaits(seconds(10)),
        accepts_collide: Some(seconds(3)),
        most_accepts: 50,
        dead_accepts_take_callers: false,
        ports: false,
        forward: ForwardFacts {
            no_port: Last(r#"STREAM STATUS RESULT=I2P_ERROR MESSAGE="PORT is missing""#),
            bad_port: Last(r#"STREAM STATUS RESULT=I2P_ERROR MESSAGE="PORT is invalid""#),
            while_accepting: Last(
                r#"STREAM STATUS RESULT=I2P_ERROR MESSAGE="Socket already in use""#,
            ),
            never_after_accept: false,
            second: Last(r#"STREAM STATUS RESULT=I2P_ERROR MESSAGE="Socket already in use""#),
            second_ends_first: false,
            ends_with_socket: true,
            accept_meanwhile: AcceptWhileForwarding::Pends,
        },
        encrypted: true,
        silent_failures: true,
        lost_at_end: Some(60_000),
    },
    datagrams: DatagramFacts {
        datagram2: Support::Yes,
        datagram3: Support::Yes,
        control_socket: true,
        needs_host: true,
        ports_forwarded: PortsSent::None,
        ports_on_control: PortsSent::Zero,
        raw_header: false,
        raw_fields_on_control: false,
        repliable: SizeLimit::Cut(31_744),
        raw: SizeLimit::Cut(32_230),
        empty_raw: false,
        first_is_lost: true,
        bad_send_ends_session: false,
    },
    naming: NamingFacts {
        unknown: Line("NAMING REPLY RESULT=INVALID_KEY NAME={name}"),
        malformed: Line("NAMING REPLY RESULT=INVALID_KEY NAME={name}"),
        no_name: Line("NAMING REPLY RESULT=INVALID_KEY NAME="),
        empty_name: None,
        unknown_action: Close,
        me_without_session: Me::Shared,
        names_without_session: true,
        b32_without_session: true,
        destinations: Destinations::FoundIfOnline,
        options: false,
    },
};

pub(super) const FACTS_2_45: Facts = Facts {
    hello: HelloFacts {
        versions: Versions::MaxElseMin { newest: (3, 1) },
        ..FACTS.hello
    },
    commands: CommandFacts {
        ping: PingReply::Close,
        ..FACTS.commands
    },
    sessions: SessionFacts {
        creation: (seconds(20), seconds(20)),
        key_serves_once: true,
        ..FACTS.sessions
    },
    streams: StreamFacts {
        encrypted: false,
        lost_at_end: None,
        ..FACTS.streams
    },
    datagrams: DatagramFacts {
        datagram2: Support::No,
        datagram3: Support::No,
        ..FACTS.datagrams
    },
    ..FACTS
};

const UNKNOWN_STYLE: &str = r#"SESSION STATUS RESULT=I2P_ERROR MESSAGE="Unknown STYLE""#;

const LEASE_SET_NOT_FOUND: &str =
    r#"STREAM STATUS RESULT=CANT_REACH_PEER MESSAGE="LeaseSet not found""#;
