//! Ports that a server keeps over its restarts.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Below the ports that systems give to whoever asks for any (32768 and up on Linux), even with [`DISTANCE`] added: so
/// nobody is given one of ours between a kill and a restart.
const FIRST: u16 = 11_000;
const BLOCKS: u16 = 1_000;
const PORTS: u16 = 10;

/// SeaweedFS wants a second port for each, so far above the first.
const DISTANCE: u16 = 10_000;

/// Some ports in a row on 127.0.0.1, with those [`DISTANCE`] above them.
pub(crate) struct Ports {
    first: u16,
    /// The claim: as long as its first port is listened at, no other test takes the block, of this process or another.
    _claim: TcpListener,
}

impl Ports {
    /// Takes some that are free.
    pub(crate) fn claim() -> Self {
        // Tests that run at the same time begin to look at different places.
        let start = u16::try_from(std::process::id() % u32::from(BLOCKS)).expect("it is smaller than BLOCKS");
        (start..BLOCKS)
            .chain(0..start)
            .find_map(|block| {
                let first = FIRST + block * PORTS;
                let claim = TcpListener::bind(address(first)).ok()?;
                let mut others = (first + 1..first + PORTS).flat_map(|port| [port, port + DISTANCE]);
                others.all(|port| TcpListener::bind(address(port)).is_ok()).then_some(Self { first, _claim: claim })
            })
            .expect("there are free ports")
    }

    /// The n-th of them, from 1.
    pub(crate) fn nth(&self, n: u16) -> SocketAddr {
        assert!((1..PORTS).contains(&n), "a block has no port {n} to give away");
        address(self.first + n)
    }

    /// The port that far above the n-th.
    pub(crate) fn above(&self, n: u16) -> SocketAddr {
        address(self.nth(n).port() + DISTANCE)
    }
}

fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
