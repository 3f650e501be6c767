//! The encoding of a database.

use sqlx::PgConnection;

use super::error::failed;
use crate::store::StoreError;

/// Refuses a database whose encoding lacks letters: the first customer whose name has one could not be
/// kept. `SQL_ASCII`, which `initdb` chooses where the locale is `C`, keeps any bytes.
///
/// # Errors
/// [`StoreError::Encoding`], and when the server does not answer.
pub(super) async fn refuse_narrow(connection: &mut PgConnection) -> Result<(), StoreError> {
    let sql = r"
        SELECT pg_encoding_to_char(encoding)::text FROM pg_database
        WHERE datname = current_database()
    ";
    let encoding: String = sqlx::query_scalar(sql)
        .fetch_one(connection)
        .await
        .map_err(failed)?;
    match encoding.as_str() {
        "UTF8" | "SQL_ASCII" => Ok(()),
        _ => Err(StoreError::Encoding { encoding }),
    }
}
