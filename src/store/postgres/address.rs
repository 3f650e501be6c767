//! Where the server is.

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;

use super::error::failed;
use crate::store::StoreError;

/// Reads the address of a database. The library keeps the brackets of an IPv6 address, and then looks for a host
/// of that name.
///
/// # Errors
/// When it cannot be read.
pub(super) fn options(url: &SecretString) -> Result<PgConnectOptions, StoreError> {
    let options: PgConnectOptions = url.expose_secret().parse().map_err(failed)?;
    let inside = options.get_host().strip_prefix('[');
    let inside = inside.and_then(|it| it.strip_suffix(']'));
    Ok(match inside.map(str::to_owned) {
        Some(address) => options.host(&address),
        None => options,
    })
}
