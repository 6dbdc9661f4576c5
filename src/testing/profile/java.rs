//! Java I2P 2.8.0 and 2.8.1.

use super::facts::*;
use crate::testing::answer::Answer::{Close, Last, Line, Nothing, Unfinished};
use std::time::Duration;

pub(super) const FACTS: Facts = Facts {
    lines: LineFacts {
        quotes: true,
        longest: 8192,
        too_long: Last(r#"SESSION STATUS RESULT=I2P_ERROR MESSAGE="Line too long - max 8192""#),
        malformed: Last(r#"{topic} RESULT=I2P_ERROR MESSAGE="{value}""#),
        single_blanks: false,
        pipelines: true,
    },
    hello: HelloFacts {
        versions: Versions::Highest,
        other_command: Last(MUST_START),
        malformed: Last(MUST_START),
        second: Line(
            r#"HELLO STATUS RESULT=I2P_ERROR MESSAGE="unsupported command, enter HELP for help""#,
        ),
        broken: Last(r#"HELLO REPLY RESULT=I2P_ERROR MESSAGE="Error reading from socket""#),
        limit: Some((
            seconds(60),
            Last(r#"HELLO REPLY RESULT=I2P_ERROR MESSAGE="Timeout waiting for HELLO VERSION""#),
        )),
        users: true,
    },
    commands: CommandFacts {
        missing_action: Line(
            r#"{topic} STATUS RESULT=I2P_ERROR MESSAGE="missing subcommand, enter HELP for help""#,
        ),
        unknown: Line(
            r#"{topic} STATUS RESULT=I2P_ERROR MESSAGE="unsupported command, enter HELP for help""#,
        ),
        quit: Last("{topic} STATUS RESULT=OK MESSAGE=bye"),
        help: Line("HELP STATUS RESULT=OK MESSAGE=https://geti2p.net/en/docs/api/samv3"),
        ping: PingReply::Pong,
        pings: Some(seconds(180)),
        first: Some((
            seconds(60),
            Last(r#"SESSION STATUS RESULT=I2P_ERROR MESSAGE="command timeout, bye""#),
        )),
        signatures: Signatures::Known {
            unknown: Last(
                r#"DEST REPLY RESULT=I2P_ERROR MESSAGE="SIGNATURE_TYPE {value} unsupported""#,
            ),
        },
        generates_on_control_socket: true,
        not_generate: Unfinished(r#"DEST REPLY RESULT=I2P_ERROR MESSAGE="DEST GENERATE required""#),
    },
    sessions: SessionFacts {
        creation: (millis(60), millis(60)),
        creation_with_key: Duration::ZERO,
        key_rest: KeyRest::RefusedOnce(
            seconds(20),
            Line("SESSION STATUS RESULT=DUPLICATED_ID"),
            Line(DUPLICATE),
        ),
        key_serves_once: false,
        no_id: Line(r#"SESSION STATUS RESULT=I2P_ERROR MESSAGE="ID not specified""#),
        no_style: Line(r#"SESSION STATUS RESULT=I2P_ERROR MESSAGE="No SESSION STYLE specified""#),
        no_destination: Line(
            r#"SESSION STATUS RESULT=I2P_ERROR MESSAGE="DESTINATION not specified""#,
        ),
        unknown_style: Line(
            r#"SESSION STATUS RESULT=I2P_ERROR MESSAGE="Unrecognized SESSION STYLE""#,
        ),
        bad_id: Nothing,
        bad_id_characters: "",
        invalid_key: Line("SESSION STATUS RESULT=INVALID_KEY"),
        duplicate_id: Line("SESSION STATUS RESULT=DUPLICATED_ID"),
        duplicate_id_unlists: true,
        duplicate_destination: DuplicateDestination::Refused(Line(
            "SESSION STATUS RESULT=DUPLICATED_DEST",
        )),
        second_on_socket: Line(
            r#"SESSION STATUS RESULT=I2P_ERROR MESSAGE="Session already exists""#,
        ),
        primary_styles: &["PRIMARY", "MASTER"],
        unknown_action: Line(r#"SESSION STATUS RESULT=I2P_ERROR MESSAGE="Unrecognized opcode""#),
        encryption: &["0", "4"],
        unsupported_encryption: Line(
            r#"SESSION STATUS RESULT=I2P_ERROR MESSAGE="Error creating I2PSocketManager: [SAM TCP Client(CLOSED)]: Cannot connect to the router on 127.0.0.1:7654 and build tunnels - Disconnected from router while waiting for tunnels: Unsupported crypto type: {value}""#,
        ),
        primary_port: Some(Line(
            r#"SESSION STATUS RESULT=I2P_ERROR MESSAGE="PRIMARY session options may not contain PORT""#,
        )),
        needs_hops: false,
        subsessions: SubsessionFacts {
            datagrams: true,
            reply_names_id: true,
            no_session: Line(r#"SESSION STATUS RESULT=I2P_ERROR MESSAGE="Not a PRIMARY session""#),
            not_primary: Line(r#"SESSION STATUS RESULT=I2P_ERROR MESSAGE="Not a PRIMARY session""#),
            unsupported_style: Line(
                r#"SESSION STATUS RESULT=I2P_ERROR ID="{id}" MESSAGE="Unrecognized SESSION STYLE {style}""#,
            ),
            duplicate_id: Line(
                r#"SESSION STATUS RESULT=I2P_ERROR ID="{id}" MESSAGE="Duplicate ID {id}""#,
            ),
            duplicate_port: Line(
                r#"SESSION STATUS RESULT=I2P_ERROR ID="{id}" MESSAGE="Duplicate protocol {value}""#,
            ),
            port_missing: Line(
                r#"SESSION STATUS RESULT=I2P_ERROR ID="{id}" MESSAGE="{style} subsession must specify PORT""#,
            ),
            bad_port: Line(
                r#"SESSION STATUS RESULT=I2P_ERROR ID="{id}" MESSAGE="Bad LISTEN_PORT {value}""#,
            ),
            bad_protocol: Line(
                r#"SESSION STATUS RESULT=I2P_ERROR ID="{id}" MESSAGE="Bad RAW LISTEN_PPROTOCOL {value}""#,
            ),
            has_destination: Line(
                r#"SESSION STATUS RESULT=I2P_ERROR ID="{id}" MESSAGE="SESSION ADD may not contain DESTINATION""#,
            ),
            unknown_id: Line(
                r#"SESSION STATUS RESULT=I2P_ERROR ID="{id}" MESSAGE="ID {id} not found""#,
            ),
            streams_survive_removal: true,
            removes: true,
            ports_of_streams: false,
            forgets_datagrams: true,
            streams_collide: true,
            dials_wait: true,
        },
        accepts_end: AcceptsEnd::First,
        far_sides_end: true,
        bridge_outlives_router: true,
        stream_on_control_socket: Last(
            r#"STREAM STATUS RESULT=I2P_ERROR MESSAGE="v3 control socket cannot be used for STREAM""#,
        ),
    },
    streams: StreamFacts {
        no_id: Last(r#"STREAM STATUS RESULT=I2P_ERROR MESSAGE="ID not specified""#),
        unknown_id: Last(
            r#"STREAM STATUS RESULT=INVALID_ID MESSAGE="STREAM SESSION ID {id} does not exist""#,
        ),
        not_stream: Last(
            r#"STREAM STATUS RESULT=I2P_ERROR MESSAGE="specified ID {id} is not a STREAM session""#,
        ),
        unknown_action: Last(
            r#"STREAM STATUS RESULT=I2P_ERROR MESSAGE="Unrecognized STREAM message opcode: {value}""#,
        ),
        primary_accept: PrimaryAccept::AfterOk(
            r#"STREAM STATUS RESULT=ALREADY_ACCEPTING MESSAGE="primary session""#,
        ),
        primary_connect: Last(r#"STREAM STATUS RESULT=I2P_ERROR MESSAGE="primary session""#),
        no_destination: Last(
            r#"STREAM STATUS RESULT=I2P_ERROR MESSAGE="No parameters specified in STREAM CONNECT message""#,
        ),
        destination_first: false,
        unknown_name: Last(
            r#"STREAM STATUS RESULT=INVALID_KEY MESSAGE="Host name not found: {name}""#,
        ),
        malformed_destination: Last(
            r#"STREAM STATUS RESULT=INVALID_KEY MESSAGE="Host name not found: {name}""#,
        ),
        unknown_b32: Last(
            r#"STREAM STATUS RESULT=INVALID_KEY MESSAGE="Lease set not found: {name}""#,
        ),
        unreachable_name: None,
        unreachable: (
            seconds(333),
            Last(r#"STREAM STATUS RESULT=CANT_REACH_PEER MESSAGE="Connection failed""#),
        ),
        own_destination: None,
        bad_port: Last(r#"STREAM STATUS RESULT=I2P_ERROR MESSAGE="Bad port {value}""#),
        huge_port: Last(r#"SESSION STATUS RESULT=I2P_ERROR MESSAGE="bad port""#),
        refused: Last(r#"STREAM STATUS RESULT=CANT_REACH_PEER MESSAGE="Connection reset""#),
        without_accept: WithoutAccept::WaitsThenRefused(seconds(3)),
        accepts_collide: None,
        most_accepts: usize::MAX,
        dead_accepts_take_callers: true,
        ports: true,
        forward: ForwardFacts {
            no_port: Last(
                r#"STREAM STATUS RESULT=I2P_ERROR MESSAGE="Forwarding failed : receiver port not specified""#,
            ),
            bad_port: Last(
                r#"SESSION STATUS RESULT=I2P_ERROR MESSAGE="For input string: {value}""#,
            ),
            while_accepting: Last(
                r#"STREAM STATUS RESULT=I2P_ERROR MESSAGE="Forwarding failed : an accepting server is already defined for this destination""#,
            ),
            never_after_accept: true,
            second: Last(
                r#"STREAM STATUS RESULT=I2P_ERROR MESSAGE="Forwarding failed : a forwarding server is already defined for this destination""#,
            ),
            second_ends_first: true,
            ends_with_socket: true,
            accept_meanwhile: AcceptWhileForwarding::AfterOk(
                r#"STREAM STATUS RESULT=ALREADY_ACCEPTING MESSAGE="a forwarding server is already defined for this destination""#,
            ),
        },
        encrypted: true,
        silent_failures: false,
        lost_at_end: None,
    },
    datagrams: DatagramFacts {
        datagram2: Support::No,
        datagram3: Support::No,
        control_socket: true,
        needs_host: false,
        ports_forwarded: PortsSent::True,
        ports_on_control: PortsSent::True,
        raw_header: true,
        raw_fields_on_control: true,
        repliable: SizeLimit::Dropped(31_744),
        raw: SizeLimit::Dropped(32_768),
        empty_raw: true,
        first_is_lost: false,
        bad_send_ends_session: true,
    },
    naming: NamingFacts {
        unknown: Line("NAMING REPLY RESULT=KEY_NOT_FOUND NAME={name}"),
        malformed: Line("NAMING REPLY RESULT=KEY_NOT_FOUND NAME={name}"),
        no_name: Line(r#"NAMING REPLY RESULT=KEY_NOT_FOUND NAME="" MESSAGE="Must specify NAME""#),
        empty_name: Some("true"),
        unknown_action: Close,
        me_without_session: Me::Close,
        names_without_session: true,
        b32_without_session: true,
        destinations: Destinations::Found,
        options: true,
    },
};

const MUST_START: &str = r#"HELLO REPLY RESULT=I2P_ERROR MESSAGE="Must start with HELLO VERSION""#;

const DUPLICATE: &str = r#"SESSION STATUS RESULT=I2P_ERROR MESSAGE="Error creating I2PSocketManager: [SAM TCP Client(CLOSED)]: Cannot connect to the router on 127.0.0.1:7654 and build tunnels - Disconnected from router while waiting for tunnels: duplicate destination""#;
