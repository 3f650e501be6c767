//! The mark of a database that a copy has not filled yet.

use sqlx::PgConnection;

use super::error::failed;
use crate::store::StoreError;

/// The table that stands in the database while a copy has not ended.
pub(super) const UNFINISHED: &str = "unfinished_copy";

/// Returns true if a copy into this database has not ended.
pub(super) async fn is_unfinished(connection: &mut PgConnection) -> Result<bool, StoreError> {
    let found = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(UNFINISHED);
    found.fetch_one(connection).await.map_err(failed)
}
