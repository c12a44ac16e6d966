//! The name by which a request calls its server.

use std::net::{IpAddr, Ipv6Addr};

/// Whether the header `host`, a name with or without a port, is one that no name server gives to somebody else: an
/// address, `localhost` and what is below it, or `own`, which the server was told to listen on.
pub(super) fn is_local(host: &str, own: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => return address.parse::<Ipv6Addr>().is_ok(),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok()
        || name == own.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_stay_on_this_machine_are_local() {
        for host in [
            "localhost",
            "LocalHost:5001",
            "localhost.:5001",
            "models.localhost:80",
            "127.0.0.1",
            "127.0.0.1:5001",
            "10.0.0.7:5001",
            "[::1]:5001",
            "[::1]",
            "Box:5001",
        ] {
            assert!(is_local(host, "box"), "{host}");
        }
        for host in [
            "",
            ":5001",
            "evil.example",
            "evil.example:5001",
            "localhost.evil.example",
            "127.0.0.1.evil.example:5001",
            "notlocalhost",
            "[evil.example]:5001",
            "[::1",
            "user@localhost",
        ] {
            assert!(!is_local(host, "box"), "{host}");
        }
    }
}
