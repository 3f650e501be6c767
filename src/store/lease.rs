//! Leases: what one process at a time does, for a while.

use super::record::binds;
use super::{StoreError, Tx};
use crate::domain::time::Timestamp;

impl Tx {
    /// Takes a lease until an instant, or renews it; `false` if another holder has it. One that ends after
    /// `longest` is not heeded.
    pub(crate) async fn lease_take(
        &mut self,
        name: &str,
        holder: &str,
        until: Timestamp,
        (now, longest): (Timestamp, Timestamp),
    ) -> Result<bool, StoreError> {
        let sql = r"
            INSERT INTO leases (name, holder, until)
            VALUES ($1, $2, $3)
            ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
            WHERE leases.holder = excluded.holder OR leases.until <= $4 OR leases.until > $5
        ";
        let binds = binds![name, holder, until, now, longest];
        Ok(self.execute(sql, binds).await? > 0)
    }
}
