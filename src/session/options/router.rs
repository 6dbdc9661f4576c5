use std::time::Duration;

use super::{INT_MAX, SessionOptions};

/// Shortest time after which Java I2P takes a session for idle: 5 minutes.
const IDLE_MIN: i64 = 300_000;

/// Whether a router reports what became of each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MessageReliability {
    /// It reports.
    BestEffort,
    /// It does not.
    None,
}

impl MessageReliability {
    const fn word(self) -> &'static str {
        match self {
            Self::BestEffort => "BestEffort",
            Self::None => "None",
        }
    }
}

/// # The session at its router
///
/// Idleness, compression, who may connect, and how Java's bridge reaches its own router.
impl SessionOptions {
    /// `i2cp.reduceOnIdle`: whether to keep fewer tunnels while the session is idle.
    ///
    /// Default: false. Read by Java I2P only.
    pub fn reduce_on_idle(self, reduce: bool) -> Self {
        self.flag("i2cp.reduceOnIdle", reduce)
    }

    /// `i2cp.reduceIdleTime`: the time without traffic after which
    /// [`reduce_on_idle`](Self::reduce_on_idle) has fewer tunnels. At least 5 minutes, in whole
    /// milliseconds.
    ///
    /// Default: 20 minutes. Read by Java I2P only.
    pub fn reduce_idle_time(self, time: Duration) -> Self {
        self.millis("i2cp.reduceIdleTime", time, IDLE_MIN..=INT_MAX)
    }

    /// `i2cp.reduceQuantity`: how many tunnels [`reduce_on_idle`](Self::reduce_on_idle) leaves in
    /// each direction, 1 to 5.
    ///
    /// Default: 1. Read by Java I2P only.
    pub fn reduce_quantity(self, tunnels: u8) -> Self {
        self.number("i2cp.reduceQuantity", tunnels, 1..=5)
    }

    /// `i2cp.closeOnIdle`: whether the router ends the session when it is idle.
    ///
    /// Default: false. Read by Java I2P only.
    pub fn close_on_idle(self, close: bool) -> Self {
        self.flag("i2cp.closeOnIdle", close)
    }

    /// `i2cp.closeIdleTime`: the time without traffic after which
    /// [`close_on_idle`](Self::close_on_idle) ends the session. At least 5 minutes, in whole
    /// milliseconds.
    ///
    /// Default: 30 minutes. Read by Java I2P only.
    pub fn close_idle_time(self, time: Duration) -> Self {
        self.millis("i2cp.closeIdleTime", time, IDLE_MIN..=INT_MAX)
    }

    /// `i2cp.gzip`: whether to compress what is sent.
    ///
    /// Default: true. With false the gzip format stays, without the effort: for data that is
    /// compressed already. Read by Java I2P only.
    pub fn gzip(self, compress: bool) -> Self {
        self.flag("i2cp.gzip", compress)
    }

    /// `i2cp.fastReceive`: whether the router hands over messages without asking first.
    ///
    /// Default: true. Read by Java I2P only.
    pub fn fast_receive(self, fast: bool) -> Self {
        self.flag("i2cp.fastReceive", fast)
    }

    /// `i2cp.messageReliability`: whether the router reports what became of each message to its
    /// SAM bridge.
    ///
    /// Default: [`None`](MessageReliability::None). Read by Java I2P only.
    pub fn message_reliability(self, reliability: MessageReliability) -> Self {
        self.text("i2cp.messageReliability", reliability.word())
    }

    /// `crypto.tagsToSend`: session tags sent at once to a peer, 1 to 128. For
    /// [`ElGamal`](crate::EncryptionType::ElGamal) only.
    ///
    /// Default: 40. Read by Java I2P and i2pd.
    pub fn tags_to_send(self, tags: u8) -> Self {
        self.number("crypto.tagsToSend", tags, 1..=128)
    }

    /// `crypto.lowTagThreshold`: how few session tags may be left before more are sent, 1 to 128,
    /// sensibly two thirds of [`tags_to_send`](Self::tags_to_send). For
    /// [`ElGamal`](crate::EncryptionType::ElGamal) only.
    ///
    /// Default: 30. Read by Java I2P only.
    pub fn low_tag_threshold(self, tags: u8) -> Self {
        self.number("crypto.lowTagThreshold", tags, 1..=128)
    }

    /// `crypto.ratchet.inboundTags`: tags kept ready for the messages of a peer, at least 1. For
    /// [`EciesX25519`](crate::EncryptionType::EciesX25519).
    ///
    /// Read by i2pd only.
    pub fn ratchet_inbound_tags(self, tags: u16) -> Self {
        self.number("crypto.ratchet.inboundTags", tags, 1..=i64::from(u16::MAX))
    }

    /// `clientMessageTimeout`: the time the router tries to deliver a message. 8 to 120 seconds,
    /// in whole milliseconds.
    ///
    /// Default: 60 seconds. Read by Java I2P only.
    pub fn client_message_timeout(self, time: Duration) -> Self {
        self.millis("clientMessageTimeout", time, 8_000..=120_000)
    }

    /// `i2cp.username`: the user as whom the bridge logs in to its router.
    ///
    /// Not the bridge's own `USER`, which belongs to [`SamBridge`](crate::SamBridge). Default:
    /// none. Read by Java I2P only.
    pub fn i2cp_username(self, name: &str) -> Self {
        self.text("i2cp.username", name)
    }

    /// `i2cp.password`: the password with which the bridge logs in to its router. A secret.
    ///
    /// Not the bridge's own `PASSWORD`, which belongs to [`SamBridge`](crate::SamBridge). Default:
    /// none. Read by Java I2P only.
    pub fn i2cp_password(self, password: &str) -> Self {
        self.text("i2cp.password", password)
    }

    /// `i2cp.tcp.host`: where the bridge finds its router, if it does not run inside it. Without
    /// blanks, quotes and backslashes.
    ///
    /// Read by Java I2P only.
    pub fn i2cp_tcp_host(self, host: &str) -> Self {
        self.unquoted("i2cp.tcp.host", host)
    }

    /// `i2cp.tcp.port`: the TCP port at which the bridge finds its router, 1 to 65535.
    ///
    /// Read by Java I2P only.
    pub fn i2cp_tcp_port(self, port: u16) -> Self {
        self.number("i2cp.tcp.port", port, 1..=i64::from(u16::MAX))
    }

    /// `i2cp.SSL`: whether the bridge talks to its router over TLS.
    ///
    /// Read by Java I2P only.
    pub fn i2cp_ssl(self, tls: bool) -> Self {
        self.flag("i2cp.SSL", tls)
    }

    /// `i2cp.accessList`: the destinations that [`enable_access_list`](Self::enable_access_list)
    /// lets in or [`enable_black_list`](Self::enable_black_list) keeps out, each as base64 of its
    /// hash.
    ///
    /// An option has room for five hashes: more are refused. An empty list is, too. Read by Java
    /// I2P only: **on i2pd everybody may still connect**.
    ///
    /// ```
    /// use i2p_sam::SessionOptions;
    ///
    /// # let hash_of_alice = "A".repeat(43) + "=";
    /// let friends_only = SessionOptions::new()
    ///     .access_list([hash_of_alice])
    ///     .enable_access_list(true);
    /// ```
    pub fn access_list(self, hashes: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.base64_list("i2cp.accessList", hashes)
    }

    /// `i2cp.enableAccessList`: whether only who is on the [`access_list`](Self::access_list) may
    /// connect.
    ///
    /// Default: false. Read by Java I2P only.
    pub fn enable_access_list(self, enable: bool) -> Self {
        self.flag("i2cp.enableAccessList", enable)
    }

    /// `i2cp.enableBlackList`: whether everybody but who is on the
    /// [`access_list`](Self::access_list) may connect.
    ///
    /// Default: false. Read by Java I2P only.
    pub fn enable_black_list(self, enable: bool) -> Self {
        self.flag("i2cp.enableBlackList", enable)
    }

    /// `sam.udp.host`: the address at which the bridge listens for datagrams to send. Without
    /// blanks, quotes and backslashes.
    ///
    /// For datagrams. Default: `127.0.0.1`. Read by Java I2P only.
    pub fn sam_udp_host(self, host: &str) -> Self {
        self.unquoted("sam.udp.host", host)
    }

    /// `sam.udp.port`: the UDP port at which the bridge listens for datagrams to send, 1 to 65535.
    ///
    /// For datagrams. Default: 7655. Read by Java I2P only.
    pub fn sam_udp_port(self, port: u16) -> Self {
        self.number("sam.udp.port", port, 1..=i64::from(u16::MAX))
    }
}
