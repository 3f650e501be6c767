//! How a host and a port are written together.

/// Writes them as in an address: an IPv6 address stands in brackets.
pub(crate) fn host_and_port(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}
