use std::time::Duration;

use crate::testing::answer::Answer;

/// The ways in which routers differ.
pub(in crate::testing) struct Facts {
    pub(in crate::testing) lines: LineFacts,
    pub(in crate::testing) hello: HelloFacts,
    pub(in crate::testing) commands: CommandFacts,
    pub(in crate::testing) sessions: SessionFacts,
    pub(in crate::testing) streams: StreamFacts,
    pub(in crate::testing) datagrams: DatagramFacts,
    pub(in crate::testing) naming: NamingFacts,
}

/// The reading of lines.
pub(in crate::testing) struct LineFacts {
    /// Words may be in lower case, and values quoted; doubled keys and open quotes are errors.
    pub(in crate::testing) quotes: bool,
    /// The longest line, with its line end.
    pub(in crate::testing) longest: usize,
    /// The answer to a longer line.
    pub(in crate::testing) too_long: Answer,
    /// The answer to a line that cannot be parsed; `{value}` is the reason.
    pub(in crate::testing) malformed: Answer,
    /// Commands that arrive in one segment with HELLO are carried out.
    pub(in crate::testing) pipelines: bool,
    /// More than one blank between words makes a line malformed.
    pub(in crate::testing) single_blanks: bool,
}

pub(in crate::testing) struct HelloFacts {
    pub(in crate::testing) versions: Versions,
    /// The answer to a first line of another command.
    pub(in crate::testing) other_command: Answer,
    /// The answer to a first line that is a HELLO of another form.
    pub(in crate::testing) malformed: Answer,
    /// The answer to a second HELLO.
    pub(in crate::testing) second: Answer,
    /// The answer to an end before the end of the line.
    pub(in crate::testing) broken: Answer,
    /// The time for the line as a whole, and the answer when it is over.
    pub(in crate::testing) limit: Option<(Duration, Answer)>,
    /// The bridge can require user names and passwords.
    pub(in crate::testing) users: bool,
}

/// The versions that HELLO agrees on.
pub(in crate::testing) enum Versions {
    /// The highest in the range that the client names.
    Highest,
    /// `MAX` if it is at most this version, otherwise `MIN` if that is.
    MaxElseMin { newest: (u8, u8) },
    /// Always this version, unless the client names another one as both limits.
    Always(&'static str),
}

pub(in crate::testing) struct CommandFacts {
    pub(in crate::testing) missing_action: Answer,
    pub(in crate::testing) unknown: Answer,
    /// The answer to QUIT, STOP and EXIT.
    pub(in crate::testing) quit: Answer,
    pub(in crate::testing) help: Answer,
    pub(in crate::testing) ping: PingReply,
    /// The time without a line after which the bridge sends PING, and after which it gives up.
    pub(in crate::testing) pings: Option<Duration>,
    /// The time until the first valid command, and the answer when it is over.
    pub(in crate::testing) first: Option<(Duration, Answer)>,
    pub(in crate::testing) signatures: Signatures,
    pub(in crate::testing) not_generate: Answer,
    /// DEST GENERATE is answered on the control socket of a session.
    pub(in crate::testing) generates_on_control_socket: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::testing) enum PingReply {
    Pong,
    PongAndClose,
    Close,
    Nothing,
}

/// The signature types that a router makes, and its reaction to others.
pub(in crate::testing) enum Signatures {
    /// All that the crate knows.
    Known { unknown: Answer },
    /// The same, but an unknown number ends the router's process.
    KnownOrCrash,
    /// Ed25519 alone, by its number; DEST GENERATE does not answer other requests.
    Ed25519,
}

pub(in crate::testing) struct SessionFacts {
    /// The time until a session exists: between these two, in steps of three seconds.
    pub(in crate::testing) creation: (Duration, Duration),
    /// A session with a given key takes this long at least, by the real clock: a client distinguishes it
    /// from one that can never serve by the time.
    pub(in crate::testing) creation_with_key: Duration,
    /// The time for which a key is held after its session has ended without QUIT.
    pub(in crate::testing) key_rest: KeyRest,
    /// A second session with a key is not found by peers as long as the router lives.
    pub(in crate::testing) key_serves_once: bool,
    pub(in crate::testing) no_id: Answer,
    pub(in crate::testing) no_style: Answer,
    pub(in crate::testing) no_destination: Answer,
    pub(in crate::testing) unknown_style: Answer,
    pub(in crate::testing) bad_id: Answer,
    /// Characters that make an id bad.
    pub(in crate::testing) bad_id_characters: &'static str,
    pub(in crate::testing) invalid_key: Answer,
    pub(in crate::testing) duplicate_id: Answer,
    /// An id that is requested a second time leaves the table, although its session goes on.
    pub(in crate::testing) duplicate_id_unlists: bool,
    pub(in crate::testing) duplicate_destination: DuplicateDestination,
    pub(in crate::testing) second_on_socket: Answer,
    /// `STYLE` of a primary session.
    pub(in crate::testing) primary_styles: &'static [&'static str],
    pub(in crate::testing) unknown_action: Answer,
    /// A session without hops is not created, and its socket closed after ten seconds.
    pub(in crate::testing) needs_hops: bool,
    /// The encryption types that the router supports; none if it ignores the option.
    pub(in crate::testing) encryption: &'static [&'static str],
    pub(in crate::testing) unsupported_encryption: Answer,
    /// The answer to a primary session with a UDP port.
    pub(in crate::testing) primary_port: Option<Answer>,
    pub(in crate::testing) subsessions: SubsessionFacts,
    /// The pending accepts that end with their session.
    pub(in crate::testing) accepts_end: AcceptsEnd,
    /// The far sides of the streams of a session that ends are closed.
    pub(in crate::testing) far_sides_end: bool,
    /// The bridge goes on when its router has gone.
    pub(in crate::testing) bridge_outlives_router: bool,
    /// STREAM commands on the control socket of a session.
    pub(in crate::testing) stream_on_control_socket: Answer,
}

pub(in crate::testing) enum KeyRest {
    /// The first session within this time is refused: with the first answer if the last one had streams,
    /// otherwise with the second.
    RefusedOnce(Duration, Answer, Answer),
    /// A session is created at once that no peer reaches, for this time by the real clock.
    Zombie(Duration),
    /// Refused as in use for this time, unless QUIT ended the session.
    UntilQuit(Duration),
}

pub(in crate::testing) enum DuplicateDestination {
    Refused(Answer),
    Zombie,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::testing) enum AcceptsEnd {
    /// The first one only, and none of a subsession.
    First,
    All,
}

pub(in crate::testing) struct SubsessionFacts {
    pub(in crate::testing) datagrams: bool,
    /// The success is reported with the id and a text; otherwise with the private key.
    pub(in crate::testing) reply_names_id: bool,
    pub(in crate::testing) not_primary: Answer,
    /// The answer to SESSION ADD without a session.
    pub(in crate::testing) no_session: Answer,
    pub(in crate::testing) unsupported_style: Answer,
    pub(in crate::testing) duplicate_id: Answer,
    pub(in crate::testing) duplicate_port: Answer,
    pub(in crate::testing) port_missing: Answer,
    pub(in crate::testing) bad_port: Answer,
    pub(in crate::testing) bad_protocol: Answer,
    pub(in crate::testing) has_destination: Answer,
    /// The answer to SESSION REMOVE of an unknown id.
    pub(in crate::testing) unknown_id: Answer,
    /// SESSION REMOVE works.
    pub(in crate::testing) removes: bool,
    /// The streams and pending accepts of a removed subsession stay open.
    pub(in crate::testing) streams_survive_removal: bool,
    /// FROM_PORT and TO_PORT of a subsession reach its streams.
    pub(in crate::testing) ports_of_streams: bool,
    /// Subsessions for datagrams leave the table when a stream comes in.
    pub(in crate::testing) forgets_datagrams: bool,
    /// A dial is answered before an accept takes it.
    pub(in crate::testing) dials_wait: bool,
    /// Two subsessions for streams need different ports.
    pub(in crate::testing) streams_collide: bool,
}

pub(in crate::testing) struct StreamFacts {
    pub(in crate::testing) no_id: Answer,
    pub(in crate::testing) unknown_id: Answer,
    pub(in crate::testing) not_stream: Answer,
    pub(in crate::testing) unknown_action: Answer,
    pub(in crate::testing) primary_accept: PrimaryAccept,
    pub(in crate::testing) primary_connect: Answer,
    pub(in crate::testing) no_destination: Answer,
    pub(in crate::testing) unknown_name: Answer,
    /// A malformed destination is noticed before an unknown id.
    pub(in crate::testing) destination_first: bool,
    pub(in crate::testing) malformed_destination: Answer,
    pub(in crate::testing) unknown_b32: Answer,
    /// The time of a dial to a destination of nobody, and the answer.
    pub(in crate::testing) unreachable: (Duration, Answer),
    /// The same for a destination that was dialled by its name, if it differs.
    pub(in crate::testing) unreachable_name: Option<(Duration, Answer)>,
    pub(in crate::testing) own_destination: Option<Answer>,
    pub(in crate::testing) bad_port: Answer,
    pub(in crate::testing) huge_port: Answer,
    pub(in crate::testing) refused: Answer,
    pub(in crate::testing) without_accept: WithoutAccept,
    /// Of several pending accepts, all but the first are closed if another one, or a caller, comes within
    /// this time.
    pub(in crate::testing) accepts_collide: Option<Duration>,
    /// The most pending accepts.
    pub(in crate::testing) most_accepts: usize,
    /// A pending accept whose client has closed takes the next caller all the same.
    pub(in crate::testing) dead_accepts_take_callers: bool,
    /// The ports of a stream are sent to the accepting side.
    pub(in crate::testing) ports: bool,
    pub(in crate::testing) forward: ForwardFacts,
    /// Encrypted lease sets are published and read.
    pub(in crate::testing) encrypted: bool,
    /// Failures are sent after SILENT=true as well.
    pub(in crate::testing) silent_failures: bool,
    /// A stream that ends right after this many bytes without a pause loses the last of them.
    pub(in crate::testing) lost_at_end: Option<usize>,
}

pub(in crate::testing) enum PrimaryAccept {
    /// Answered OK, and refused then.
    AfterOk(&'static str),
    Refused(Answer),
}

/// The fate of a caller while no accept is pending.
#[derive(Clone, Copy)]
pub(in crate::testing) enum WithoutAccept {
    /// It is refused at once before the session's first accept; afterwards it waits for this time, and is
    /// refused then.
    WaitsThenRefused(Duration),
    /// Its dial succeeds; the stream waits for this time, and is closed then.
    SucceedsAndWaits(Duration),
}

pub(in crate::testing) struct ForwardFacts {
    pub(in crate::testing) no_port: Answer,
    pub(in crate::testing) bad_port: Answer,
    /// The answer while the session accepts, or ever has.
    pub(in crate::testing) while_accepting: Answer,
    /// The session can never forward once it has accepted.
    pub(in crate::testing) never_after_accept: bool,
    pub(in crate::testing) second: Answer,
    /// A second FORWARD ends the first.
    pub(in crate::testing) second_ends_first: bool,
    /// The forwarding ends with its socket.
    pub(in crate::testing) ends_with_socket: bool,
    pub(in crate::testing) accept_meanwhile: AcceptWhileForwarding,
}

pub(in crate::testing) enum AcceptWhileForwarding {
    AfterOk(&'static str),
    Refused(Answer),
    /// It is answered OK, and callers go to the forwarding.
    Pends,
}

pub(in crate::testing) struct DatagramFacts {
    pub(in crate::testing) datagram2: Support,
    pub(in crate::testing) datagram3: Support,
    /// Sessions without a UDP port receive on the control socket.
    pub(in crate::testing) control_socket: bool,
    /// `PORT` alone is not enough, `HOST` must be there.
    pub(in crate::testing) needs_host: bool,
    pub(in crate::testing) ports_forwarded: PortsSent,
    /// Ports on the control socket.
    pub(in crate::testing) ports_on_control: PortsSent,
    /// The header of raw datagrams is sent if it is requested.
    pub(in crate::testing) raw_header: bool,
    pub(in crate::testing) raw_fields_on_control: bool,
    pub(in crate::testing) repliable: SizeLimit,
    pub(in crate::testing) raw: SizeLimit,
    pub(in crate::testing) empty_raw: bool,
    /// The first datagram to a peer is lost.
    pub(in crate::testing) first_is_lost: bool,
    /// A bad SEND on the control socket ends the session.
    pub(in crate::testing) bad_send_ends_session: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::testing) enum Support {
    Yes,
    /// The session is created, and nothing is delivered.
    Undelivered,
    No,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::testing) enum PortsSent {
    /// As the sender sent them.
    True,
    /// Always 0.
    Zero,
    None,
}

pub(in crate::testing) enum SizeLimit {
    /// Larger ones are dropped.
    Dropped(usize),
    /// The payload is cut.
    Cut(usize),
}

pub(in crate::testing) struct NamingFacts {
    /// The answer to a name without a destination.
    pub(in crate::testing) unknown: Answer,
    /// The answer to a name that is none.
    pub(in crate::testing) malformed: Answer,
    pub(in crate::testing) no_name: Answer,
    /// The text that stands for an empty `NAME`.
    pub(in crate::testing) empty_name: Option<&'static str>,
    pub(in crate::testing) unknown_action: Answer,
    pub(in crate::testing) me_without_session: Me,
    /// Names are found without a session.
    pub(in crate::testing) names_without_session: bool,
    /// `.b32.i2p` addresses are found without a session.
    pub(in crate::testing) b32_without_session: bool,
    pub(in crate::testing) destinations: Destinations,
    /// Options of lease sets are sent if they are requested.
    pub(in crate::testing) options: bool,
}

/// The reply to the lookup of a whole destination.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::testing) enum Destinations {
    Found,
    FoundIfOnline,
    Malformed,
}

pub(in crate::testing) enum Me {
    Close,
    /// The destination of the router itself.
    Shared,
    Unknown,
}

pub(in crate::testing) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(in crate::testing) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
