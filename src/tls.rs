//! The cryptography of all TLS in a process.

/// Chooses ring, once for the process: a second installation is refused, and would change nothing.
/// Whoever builds a client calls it, since a client cannot be built before, and not everybody comes from
/// `main`: tests and those who use the library do not.
pub fn use_ring() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
