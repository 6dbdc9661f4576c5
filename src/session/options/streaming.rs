use std::time::Duration;

use super::{INT_MAX, SessionOptions};

/// The value that switches [`max_concurrent_streams`](SessionOptions::max_concurrent_streams) off.
const ANY_NUMBER: &str = "-1";
/// The value that switches the limits per time off.
const OFF: &str = "0";

/// The typical use of a stream.
///
/// ```
/// use i2p_sam::{SessionOptions, StreamingProfile};
///
/// let chat = SessionOptions::new().streaming_profile(StreamingProfile::Interactive);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamingProfile {
    /// 1: much data, with large windows.
    Bulk,
    /// 2: little data, back and forth.
    Interactive,
}

impl StreamingProfile {
    const fn code(self) -> u8 {
        match self {
            Self::Bulk => 1,
            Self::Interactive => 2,
        }
    }
}

/// The action of a router for a stream without traffic during
/// [`inactivity_timeout`](SessionOptions::inactivity_timeout).
///
/// ```
/// use std::time::Duration;
/// use i2p_sam::{InactivityAction, SessionOptions};
///
/// let options = SessionOptions::new()
///     .inactivity_timeout(Duration::from_secs(300))
///     .inactivity_action(InactivityAction::Disconnect);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InactivityAction {
    /// 0: nothing.
    Nothing,
    /// 1: ends it.
    Disconnect,
    /// 2: sends an acknowledgement once more, to find out whether the peer is there.
    SendAck,
}

impl InactivityAction {
    const fn code(self) -> u8 {
        match self {
            Self::Nothing => 0,
            Self::Disconnect => 1,
            Self::SendAck => 2,
        }
    }
}

/// The action of a router for an incoming stream that exceeds a limit.
///
/// ```
/// use i2p_sam::{LimitAction, SessionOptions};
///
/// let web_server = SessionOptions::new()
///     .max_conns_per_minute(Some(30))
///     .limit_action(LimitAction::Http);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitAction {
    /// Resets it, so that the peer notices at once.
    Reset,
    /// Drops it, and lets the peer wait.
    Drop,
    /// Answers with the router's own HTTP 429.
    Http,
    /// Replies with this text. The router makes a line end of the two characters `\r` or `\n`, a
    /// backslash and a letter; real line ends are refused. i2pd does not know this option and has
    /// no quotes either, so a text with blanks confuses it.
    Text(String),
}

impl LimitAction {
    fn text(&self) -> &str {
        match self {
            Self::Reset => "reset",
            Self::Drop => "drop",
            Self::Http => "http",
            Self::Text(text) => text,
        }
    }
}

/// # Streaming
///
/// For sessions with streams. Times are whole milliseconds.
impl SessionOptions {
    /// Sets `i2p.streaming.connectDelay`: how long a dial waits for the first data, at least 1 ms.
    /// The first packet then carries the data, which saves a round trip through the network.
    ///
    /// A dial then succeeds at once, before the peer has replied. `None`, the default: no wait.
    /// Read by Java I2P only.
    pub fn connect_delay(self, delay: Option<Duration>) -> Self {
        self.time_limit("i2p.streaming.connectDelay", delay)
    }

    /// Sets `i2p.streaming.connectTimeout`: how long the router dials, at least 1 ms; `None` for no
    /// limit.
    ///
    /// Default: 5 minutes. Read by Java I2P only, and without effect on dials through SAM (2.8):
    /// use the time-outs of this crate.
    pub fn connect_timeout(self, time: Option<Duration>) -> Self {
        self.time_limit("i2p.streaming.connectTimeout", time)
    }

    /// Sets `i2p.streaming.readTimeout`: how long the bridge waits for data of the peer, at least 1
    /// ms; `None`, the default, for no limit.
    ///
    /// Read by Java I2P only.
    pub fn read_timeout(self, time: Option<Duration>) -> Self {
        self.time_limit("i2p.streaming.readTimeout", time)
    }

    /// Sets `i2p.streaming.writeTimeout`: how long the bridge waits to pass data on, at least 1 ms;
    /// `None`, the default, for no limit.
    ///
    /// Read by Java I2P only.
    pub fn write_timeout(self, time: Option<Duration>) -> Self {
        self.time_limit("i2p.streaming.writeTimeout", time)
    }

    /// Sets `i2p.streaming.profile`: the typical use of the streams.
    ///
    /// Default: [`Bulk`](StreamingProfile::Bulk). Read by Java I2P and i2pd.
    pub fn streaming_profile(self, profile: StreamingProfile) -> Self {
        self.put("i2p.streaming.profile", Ok(profile.code().to_string()))
    }

    /// Sets `i2p.streaming.maxWindowSize`: the most messages under way on one stream, at least 1.
    ///
    /// Default: 128 on Java I2P. Read by Java I2P and i2pd.
    pub fn max_window_size(self, messages: u16) -> Self {
        let range = 1..=i64::from(u16::MAX);
        self.number("i2p.streaming.maxWindowSize", messages, range)
    }

    /// Sets `i2p.streaming.initialWindowSize`: the messages under way on a new stream, at least 1.
    ///
    /// Default: 6. Read by Java I2P only.
    pub fn initial_window_size(self, messages: u16) -> Self {
        let range = 1..=i64::from(u16::MAX);
        self.number("i2p.streaming.initialWindowSize", messages, range)
    }

    /// Sets `i2p.streaming.initialAckDelay`: how long the router waits for data to carry an
    /// acknowledgement. May be zero.
    ///
    /// Default: 750 ms on Java I2P, 200 ms on i2pd; both read it.
    pub fn initial_ack_delay(self, delay: Duration) -> Self {
        self.millis("i2p.streaming.initialAckDelay", delay, 0..=INT_MAX)
    }

    /// Sets `i2p.streaming.inactivityTimeout`: the time without traffic, at least 1 ms, before the
    /// [`inactivity_action`](Self::inactivity_action).
    ///
    /// Default: 90 seconds. Read by Java I2P only.
    pub fn inactivity_timeout(self, time: Duration) -> Self {
        self.millis("i2p.streaming.inactivityTimeout", time, 1..=INT_MAX)
    }

    /// Sets `i2p.streaming.inactivityAction`: the action for a stream without traffic.
    ///
    /// Default: [`SendAck`](InactivityAction::SendAck). Read by Java I2P only.
    pub fn inactivity_action(self, action: InactivityAction) -> Self {
        let code = action.code().to_string();
        self.put("i2p.streaming.inactivityAction", Ok(code))
    }

    /// Sets `i2p.streaming.maxResends`: how often the router resends a message before it gives the
    /// stream up, at least 1.
    ///
    /// Default: 8. Read by Java I2P only.
    pub fn max_resends(self, times: u16) -> Self {
        let range = 1..=i64::from(u16::MAX);
        self.number("i2p.streaming.maxResends", times, range)
    }

    /// Sets `i2p.streaming.maxMessageSize`: the most bytes in one message, at least 1.
    ///
    /// Default: 1730, which fills two tunnel messages. Read by Java I2P only.
    pub fn max_message_size(self, bytes: u16) -> Self {
        let range = 1..=i64::from(u16::MAX);
        self.number("i2p.streaming.maxMessageSize", bytes, range)
    }

    /// Sets `i2p.streaming.bufferSize`: how many bytes the router accepts on a stream before it has
    /// sent them, 1 to 2147483647.
    ///
    /// Default: 65536. Read by Java I2P only.
    pub fn buffer_size(self, bytes: u32) -> Self {
        self.number("i2p.streaming.bufferSize", bytes, 1..=INT_MAX)
    }

    /// Sets `i2p.streaming.maxConcurrentStreams`: the most streams at once, dialled and accepted
    /// together, 1 to 2147483647; `None` for no limit.
    ///
    /// Default on Java I2P: no limit. Read by Java I2P and i2pd.
    pub fn max_concurrent_streams(self, streams: Option<u32>) -> Self {
        self.limit("i2p.streaming.maxConcurrentStreams", streams, ANY_NUMBER)
    }

    /// Sets `i2p.streaming.maxConnsPerMinute`: how many streams one peer may open in a minute, 1 to
    /// 2147483647; `None`, the default, for no limit.
    ///
    /// The [`limit_action`](Self::limit_action) applies to streams over the limit. Read by Java I2P
    /// only.
    pub fn max_conns_per_minute(self, streams: Option<u32>) -> Self {
        self.limit("i2p.streaming.maxConnsPerMinute", streams, OFF)
    }

    /// Sets `i2p.streaming.maxConnsPerHour`: how many streams one peer may open in an hour, 1 to
    /// 2147483647; `None`, the default, for no limit.
    ///
    /// Read by Java I2P only.
    pub fn max_conns_per_hour(self, streams: Option<u32>) -> Self {
        self.limit("i2p.streaming.maxConnsPerHour", streams, OFF)
    }

    /// Sets `i2p.streaming.maxConnsPerDay`: how many streams one peer may open in a day, 1 to
    /// 2147483647; `None`, the default, for no limit.
    ///
    /// Read by Java I2P only.
    pub fn max_conns_per_day(self, streams: Option<u32>) -> Self {
        self.limit("i2p.streaming.maxConnsPerDay", streams, OFF)
    }

    /// Sets `i2p.streaming.maxTotalConnsPerMinute`: how many streams all peers together may open in
    /// a minute, 1 to 2147483647; `None`, the default, for no limit.
    ///
    /// The [`limit_action`](Self::limit_action) applies to streams over the limit. Read by Java I2P
    /// only.
    pub fn max_total_conns_per_minute(self, streams: Option<u32>) -> Self {
        self.limit("i2p.streaming.maxTotalConnsPerMinute", streams, OFF)
    }

    /// Sets `i2p.streaming.maxTotalConnsPerHour`: how many streams all peers together may open in
    /// an hour, 1 to 2147483647; `None`, the default, for no limit.
    ///
    /// Read by Java I2P only.
    pub fn max_total_conns_per_hour(self, streams: Option<u32>) -> Self {
        self.limit("i2p.streaming.maxTotalConnsPerHour", streams, OFF)
    }

    /// Sets `i2p.streaming.maxTotalConnsPerDay`: how many streams all peers together may open in a
    /// day, 1 to 2147483647; `None`, the default, for no limit.
    ///
    /// Read by Java I2P only.
    pub fn max_total_conns_per_day(self, streams: Option<u32>) -> Self {
        self.limit("i2p.streaming.maxTotalConnsPerDay", streams, OFF)
    }

    /// Sets `i2p.streaming.limitAction`: the action for an incoming stream that exceeds a limit.
    ///
    /// Default: [`Reset`](LimitAction::Reset). Read by Java I2P only.
    ///
    /// ```
    /// use i2p_sam::{LimitAction, SessionOptions};
    ///
    /// let options = SessionOptions::new()
    ///     .max_conns_per_minute(Some(5))
    ///     .limit_action(LimitAction::Text(r"come back later\r\n".to_owned()));
    /// ```
    pub fn limit_action(self, action: LimitAction) -> Self {
        self.text("i2p.streaming.limitAction", action.text())
    }

    /// Sets `i2p.streaming.answerPings`: if true, the router answers the pings of peers.
    ///
    /// Default: true. Read by Java I2P and i2pd.
    pub fn answer_pings(self, answer: bool) -> Self {
        self.flag("i2p.streaming.answerPings", answer)
    }

    /// Sets `i2p.streaming.enforceProtocol`: if true, the session accepts only messages marked as
    /// streaming, and no datagrams.
    ///
    /// Default: true. Read by Java I2P only.
    pub fn enforce_protocol(self, enforce: bool) -> Self {
        self.flag("i2p.streaming.enforceProtocol", enforce)
    }

    /// Sets `i2p.streaming.maxOutboundSpeed`: the most bytes that a stream sends in a second, 1 to
    /// 2147483647.
    ///
    /// Default: no limit. Read by i2pd only.
    pub fn max_outbound_speed(self, bytes_per_second: u32) -> Self {
        let name = "i2p.streaming.maxOutboundSpeed";
        self.number(name, bytes_per_second, 1..=INT_MAX)
    }

    /// Sets `i2p.streaming.maxInboundSpeed`: the most bytes that a stream receives in a second, 1
    /// to 2147483647.
    ///
    /// Default: no limit. Read by i2pd only.
    pub fn max_inbound_speed(self, bytes_per_second: u32) -> Self {
        let name = "i2p.streaming.maxInboundSpeed";
        self.number(name, bytes_per_second, 1..=INT_MAX)
    }

    /// Sets `i2p.streaming.dontSign`: if true, signatures are omitted where the protocol requires
    /// them.
    ///
    /// It saves processor time, and works only with peers that do not check. Default: false. Read
    /// by i2pd only.
    pub fn dont_sign(self, omit: bool) -> Self {
        self.flag("i2p.streaming.dontSign", omit)
    }
}
