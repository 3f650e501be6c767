//! The id that tells this store from others on the same broker.

use super::record::binds;
use super::{StoreError, Tx};

impl Tx {
    /// Returns the id of the store; `None` if no server with a broker has used it yet.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn installation_id(&mut self) -> Result<Option<String>, StoreError> {
        let sql = "SELECT id FROM installation";
        self.fetch_value("installation", sql, binds![]).await
    }

    /// Gives the store this id, unless it has one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn installation_id_ensure(&mut self, id: &str) -> Result<(), StoreError> {
        let sql = "INSERT INTO installation (only_row, id) VALUES (1, $1) ON CONFLICT DO NOTHING";
        self.execute(sql, binds![id]).await?;
        Ok(())
    }
}
