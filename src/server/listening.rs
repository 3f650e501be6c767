//! The addresses that a server listens on.

use std::io::ErrorKind;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::error::StartError;
use crate::config::Config;

/// The setting of the address of everything.
const LISTEN: &str = "TOLLGATE_LISTEN";

/// The setting of the address of the health checks, the figures and the console.
const OPS_LISTEN: &str = "TOLLGATE_OPS_LISTEN";

/// Listens on the address of everything.
pub(super) async fn main(config: &Config) -> Result<TcpListener, StartError> {
    bind(config.http.listen, LISTEN).await
}

/// Listens on the address of the operators, if there is one.
pub(super) async fn ops(config: &Config) -> Result<Option<TcpListener>, StartError> {
    match config.http.ops_listen {
        None => Ok(None),
        Some(address) => bind(address, OPS_LISTEN).await.map(Some),
    }
}

async fn bind(address: SocketAddr, setting: &'static str) -> Result<TcpListener, StartError> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|source| StartError::Listen {
        address,
        right: right(source.kind(), setting),
        source,
    })
}

/// What would be right.
fn right(kind: ErrorKind, setting: &str) -> String {
    match kind {
        ErrorKind::AddrInUse => {
            format!("stop what listens there already, or set {setting} to another port")
        }
        ErrorKind::AddrNotAvailable => {
            format!(
                "set {setting} to an address of this machine, or 0.0.0.0 or [::] for all of them"
            )
        }
        ErrorKind::PermissionDenied => {
            format!("set {setting} to a port above 1023, with a proxy before it")
        }
        _ => format!("set {setting} to another address"),
    }
}
