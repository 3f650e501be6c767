//! Flags of a whole app. Written with what they are of; see `domain/look.rs`.
//!
//! Two kinds depend on plans and releases, which change for everybody at once, and are looked for
//! when the list is read: from the few prices without a plan to those who pay them, and from the
//! frozen customers to those of their packages that have no releases. Refused: writing them down
//! as well, because one order could then change a million rows.

use serde_json::json;

use super::driver::{Batch, Kind, Row, binds};
use super::page::{Filter, Key, Listed, Window};
use super::{StoreError, Tx};
use crate::domain::apply::working_set::WorkingSet;
use crate::domain::customer::flag::{Flag, FlagHolder, FlagId, FlagKind, HeldFlag, SET_UP_PLACE};
use crate::domain::id::{AppSlug, CustomerId};

/// Which flags a list shows. All conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct FlagFilter {
    /// What they are about.
    pub kind: Option<FlagKind>,
    /// Whose they are.
    pub customer: Option<CustomerId>,
}

impl Tx {
    /// Brings the flags in step with what changed in a working set.
    pub(super) async fn flag_save(
        &mut self,
        app: &AppSlug,
        working_set: &WorkingSet,
    ) -> Result<(), StoreError> {
        let holders = working_set.flag_holders();
        if holders.is_empty() {
            return Ok(());
        }
        let sql = "DELETE FROM flags WHERE app = $2 AND holder IN (SELECT key FROM {rows} AS old)";
        let keys = Batch::keys(&holders);
        self.execute(sql, binds![keys, app.as_str()]).await?;

        let mut rows = Batch::new(&[
            ("place", Kind::Text),
            ("kind", Kind::Text),
            ("subject", Kind::Text),
            ("at", Kind::Nanos),
            ("holder", Kind::Text),
            ("cleared", Kind::Bool),
        ]);
        for holder in holders {
            let held = holder.to_string();
            for kept in working_set.kept_flags(&holder) {
                let flag = HeldFlag {
                    holder: holder.clone(),
                    flag: kept.flag,
                };
                rows.row([
                    json!(flag.place()),
                    json!(flag.flag.kind.as_str()),
                    json!(flag.flag.subject),
                    json!(flag.flag.at),
                    json!(held),
                    json!(kept.cleared),
                ]);
            }
        }
        let sql = "INSERT INTO flags (app, place, kind, subject, at, holder, cleared) \
                   SELECT $2, place, kind, subject, at, holder, cleared FROM {rows} AS new";
        self.write(sql, rows, app).await
    }

    /// The open flags of an app, the newest deciding instant first, those of set-up last.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn flag_list(
        &mut self,
        app: &AppSlug,
        wanted: &FlagFilter,
        window: &Window,
    ) -> Result<Listed<HeldFlag>, StoreError> {
        self.flags_in(filter_of(app, wanted), window).await
    }

    /// An open flag.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn flag_find(
        &mut self,
        app: &AppSlug,
        id: &FlagId,
    ) -> Result<Option<HeldFlag>, StoreError> {
        let wanted = FlagFilter {
            kind: id.kind(),
            customer: None,
        };
        let mut filter = filter_of(app, &wanted);
        filter.and("holder = ?", id.holder().map(|holder| holder.to_string()));
        filter.and("place = ?", id.place());
        let window = Window::Walk {
            after: None,
            size: 1,
        };
        let found = self.flags_in(filter, &window).await?;
        Ok(found.rows.into_iter().next())
    }

    async fn flags_in(
        &mut self,
        filter: Filter,
        window: &Window,
    ) -> Result<Listed<HeldFlag>, StoreError> {
        let select = format!(
            "SELECT place, kind, subject, at, holder FROM ({}) AS open",
            open()
        );
        self.list(&select, filter, Key::Text("place"), window, flag_of)
            .await
    }
}

fn filter_of(app: &AppSlug, wanted: &FlagFilter) -> Filter {
    let mut filter = Filter::new("app = ?", app.as_str());
    if let Some(kind) = wanted.kind {
        filter.and("kind = ?", kind.as_str());
    }
    if let Some(customer) = &wanted.customer {
        filter.and("holder = ?", customer.as_str());
    }
    filter
}

/// All open flags, as a subquery. `CROSS JOIN` lets SQLite, which knows nothing of sizes, begin
/// with the few; PostgreSQL finds its own way. `|| ''` makes an expression of a column, which
/// SQLite asks for before it looks into an index of expressions.
fn open() -> String {
    let unmapped = of_set_up(
        FlagKind::UnmappedPrice,
        "price",
        "(SELECT paid.app, paid.customer_id, paid.price \
         FROM prices CROSS JOIN entitlements AS paid WHERE paid.app = prices.app \
         AND paid.provider = prices.provider AND paid.price = prices.price \
         AND paid.product = prices.product \
         AND NOT EXISTS (SELECT 1 FROM plans WHERE plans.app = prices.app \
         AND plans.provider = prices.provider \
         AND plans.price_id IN (prices.price, prices.product)))",
    );
    let unreleased = of_set_up(
        FlagKind::ReleasesUnknown,
        "package",
        "(SELECT granted.app, granted.customer_id, granted.package FROM \
         (SELECT shown.app, shown.id AS customer_id, grants.package FROM customers AS shown \
         CROSS JOIN customers AS holders CROSS JOIN grants \
         WHERE shown.frozen AND holders.app = shown.app \
         AND COALESCE(holders.merged_into, holders.id) = shown.id || '' \
         AND grants.app = shown.app AND grants.customer_id = holders.id \
         UNION ALL SELECT shown.app, shown.id, bought.package FROM customers AS shown \
         CROSS JOIN entitlements AS paid CROSS JOIN plan_packages AS bought \
         WHERE shown.frozen AND paid.customer_id = shown.id \
         AND bought.app = paid.app AND bought.provider = paid.provider AND bought.price_id = \
         CASE WHEN EXISTS (SELECT 1 FROM plans WHERE plans.app = paid.app \
         AND plans.provider = paid.provider AND plans.price_id = paid.price) \
         THEN paid.price ELSE paid.product END) AS granted \
         WHERE NOT EXISTS (SELECT 1 FROM releases \
         WHERE releases.app = granted.app AND releases.package = granted.package))",
    );
    format!(
        "SELECT app, place, kind, subject, at, holder FROM flags WHERE NOT cleared \
         UNION ALL {unmapped} UNION ALL {unreleased}"
    )
}

/// The flags of a kind for everybody whom a subquery finds, by what the column `about` says,
/// without those that were cleared. Somebody may be found more than once.
fn of_set_up(kind: FlagKind, about: &str, found: &str) -> String {
    let kind = kind.as_str();
    let place = format!("'{SET_UP_PLACE}{kind}:' || found.customer_id || ':' || found.{about}");
    format!(
        "SELECT DISTINCT found.app, {place}, '{kind}', found.{about}, CAST(NULL AS BIGINT), \
         found.customer_id FROM {found} AS found \
         WHERE NOT EXISTS (SELECT 1 FROM flags WHERE flags.app = found.app \
         AND flags.holder = found.customer_id AND flags.place = {place} AND flags.cleared)"
    )
}

fn flag_of(row: &Row) -> Result<HeldFlag, StoreError> {
    let holder: FlagHolder = row.parsed("holder")?;
    Ok(HeldFlag {
        holder,
        flag: Flag {
            kind: row.parsed("kind")?,
            subject: row.text("subject")?,
            at: row.time_opt("at")?,
        },
    })
}
