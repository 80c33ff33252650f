//! Ports for servers.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::Result;

/// Ports of this machine on which nothing listens, and nothing does 10,000 above each. Another program may take one
/// before it is used.
pub(super) fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    // All are held until the last is found, so that no two are the same.
    let mut held = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        *port = loop {
            let anywhere = free(0)?;
            let low = 10_000 + anywhere.local_addr()?.port() % 20_000;
            if let (Ok(one), Ok(two)) = (free(low), free(low + 10_000)) {
                held.extend([anywhere, one, two]);
                break low;
            }
            held.push(anywhere);
        };
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_differ() {
        let mut ports = free_ports::<20>().unwrap();
        ports.sort_unstable();
        assert!(ports.windows(2).all(|two| two[0] < two[1]), "{ports:?}");
    }
}
