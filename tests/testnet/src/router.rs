use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use emissary_core::router::{ProtocolAddressInfo, Router};
use emissary_core::runtime::Runtime as _;
use emissary_core::{
    BandwidthConfig, Config, ExploratoryConfig, Ntcp2Config, SamConfig, TransitConfig,
};
use rand::Rng as _;

use crate::address_book::AddressBook;
use crate::network::Ports;
use crate::runtime::Loopback;

/// The public network has id 2, and its routers drop peers with another id. So even if one of these routers
/// reached a public router, the two could not communicate.
const NET_ID: u8 = 99;

/// More than any test transfers, so that the routers' traffic shaping does not slow a test down.
const BYTES_A_SECOND: usize = 1_000_000_000;

/// The addresses and the router info of a running router.
pub(crate) struct Started {
    /// Its router info, serialized, for the routers that start after it.
    pub(crate) info: Vec<u8>,
    /// The TCP and UDP addresses of its SAM bridge, if it has one.
    pub(crate) bridge: Option<(SocketAddr, SocketAddr)>,
}

/// Starts a router that knows `peers` and spawns it on the current runtime.
pub(crate) async fn start(
    peers: Vec<Vec<u8>>,
    book: Arc<AddressBook>,
    served: Option<Ports>,
) -> emissary_core::Result<Started> {
    let config = config(peers, served);
    let (router, _events, info) = Router::<Loopback>::new(config, Some(book), None).await?;
    let bridge = bridge_of(router.protocol_address_info());
    Loopback::spawn(router);
    Ok(Started { info, bridge })
}

fn bridge_of(addresses: &ProtocolAddressInfo) -> Option<(SocketAddr, SocketAddr)> {
    Some((addresses.sam_tcp?, addresses.sam_udp?))
}

fn config(peers: Vec<Vec<u8>>, served: Option<Ports>) -> Config {
    Config {
        // With fewer than three floodfills, lease sets are stored and found slowly or never.
        floodfill: true,
        allow_local: true,
        insecure_tunnels: true,
        net_id: Some(NET_ID),
        routers: peers,
        ntcp2: Some(ntcp2()),
        samv3_config: served.map(|ports| SamConfig {
            tcp_port: ports.tcp,
            udp_port: ports.udp,
            host: Ipv4Addr::LOCALHOST.to_string(),
        }),
        exploratory: Some(ExploratoryConfig {
            inbound_len: Some(1),
            inbound_count: Some(1),
            outbound_len: Some(1),
            outbound_count: Some(1),
        }),
        // A router without this section refuses to carry the others' tunnels.
        transit: Some(TransitConfig {
            max_tunnels: Some(5000),
        }),
        bandwidth: Some(BandwidthConfig {
            bandwidth: BYTES_A_SECOND,
            ..BandwidthConfig::default()
        }),
        ..Config::default()
    }
}

fn ntcp2() -> Ntcp2Config {
    let (mut iv, mut key) = ([0; 16], [0; 32]);
    Loopback::rng().fill_bytes(&mut iv);
    Loopback::rng().fill_bytes(&mut key);
    Ntcp2Config {
        ipv4: true,
        ipv4_host: Some(Ipv4Addr::LOCALHOST),
        ipv6: false,
        ipv6_host: None,
        iv,
        key,
        port: 0,
        publish: true,
        ml_kem: None,
        disable_pq: true,
    }
}
