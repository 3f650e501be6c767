//! Flags of a whole app. They are written with their holders; see `domain/customer/kept_flag.rs`.
//!
//! Two kinds depend on plans and releases, which change for everybody at once, and are looked for
//! when the list is read: from the few prices without a plan to those who pay them, and from the
//! frozen customers to those of their packages that have no releases. So is a third, from the failed
//! events to whoever has their accounts by now. Refused: writing them down
//! as well, because one order could then change a million rows.

use super::cell::Nanos;
use super::filter::Filter;
use super::page::{Key, Listed, Window};
use super::record::{Rows, binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::apply::working_set::WorkingSet;
use crate::domain::customer::flag::id::FlagId;
use crate::domain::customer::flag::{Flag, FlagHolder, FlagKind, HeldFlag, KeptFlag, SET_UP_PLACE};
use crate::domain::event::Bodies;
use crate::domain::id::{AppSlug, CustomerId, ObjectKey};
use crate::domain::time::Timestamp;

/// The flags that a list shows. All conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct FlagFilter {
    /// Their kind.
    pub kind: Option<FlagKind>,
    /// Their holder.
    pub customer: Option<CustomerId>,
}

record! {
    pub(super) struct FlagRow from "flags" {
        place: String,
        kind: FlagKind,
        subject: String,
        at: Option<Timestamp>,
        holder: FlagHolder,
        bodies: Option<Bodies>,
    }
}

record! {
    struct NewFlag<'a> {
        place: String,
        kind: FlagKind,
        subject: &'a str,
        at: Option<Nanos>,
        holder: &'a FlagHolder,
        bodies: &'a Option<Bodies>,
        cleared: bool,
    }
}

impl From<FlagRow> for HeldFlag {
    fn from(row: FlagRow) -> Self {
        Self {
            holder: row.holder,
            flag: Flag {
                kind: row.kind,
                subject: row.subject,
                at: row.at,
                bodies: row.bodies,
            },
        }
    }
}

impl Tx {
    /// Brings the flags in step with what changed in a working set, and tells operators of new ones that
    /// are no customer's.
    pub(super) async fn flag_save(
        &mut self,
        app: &AppSlug,
        working_set: &WorkingSet,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut holders = working_set.flag_holders();
        holders.retain(|holder| {
            let loaded = holder.customer().and_then(|id| working_set.loaded.get(id));
            loaded.is_none_or(|it| it.flags != working_set.kept_flags(holder))
        });
        let flags = holders.iter().flat_map(|holder| {
            let kept = working_set.kept_flags(holder).into_iter();
            kept.map(move |KeptFlag { flag, cleared }| {
                let holder = holder.clone();
                (HeldFlag { holder, flag }, cleared)
            })
        });
        let flags: Vec<(HeldFlag, bool)> = flags.collect();
        self.flag_tell(app, flags.iter().map(|(held, _)| held), now)
            .await?;
        let sql = r"
            DELETE FROM flags
            WHERE app = $2 AND holder IN (SELECT key FROM {rows} AS old)
        ";
        self.execute(sql, binds![keys(&holders), app]).await?;
        self.flag_add(app, &flags).await
    }

    /// Raises a flag that no event decides, and tells operators of it.
    pub(crate) async fn flag_raise(
        &mut self,
        app: &AppSlug,
        held: HeldFlag,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.flag_tell(app, std::iter::once(&held), now).await?;
        self.flag_add(app, &[(held, false)]).await
    }

    /// Takes back what was raised of a holder in that way.
    pub(crate) async fn flag_drop(
        &mut self,
        app: &AppSlug,
        holder: &FlagHolder,
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM flags WHERE app = $1 AND holder = $2";
        self.execute(sql, binds![app, holder]).await?;
        Ok(())
    }

    async fn flag_add(
        &mut self,
        app: &AppSlug,
        flags: &[(HeldFlag, bool)],
    ) -> Result<(), StoreError> {
        let rows: Rows<NewFlag<'_>> = flags
            .iter()
            .map(|(held, cleared)| NewFlag {
                place: held.place(),
                kind: held.flag.kind,
                subject: &held.flag.subject,
                at: held.flag.at.map(Nanos),
                holder: &held.holder,
                bodies: &held.flag.bodies,
                cleared: *cleared,
            })
            .collect();
        let sql = r"
            INSERT INTO flags (app, place, kind, subject, at, holder, bodies, cleared)
            SELECT $2, place, kind, subject, at, holder, bodies, cleared
            FROM {rows} AS new
        ";
        self.execute(sql, binds![rows, app]).await?;
        Ok(())
    }

    /// Forgets that events named some objects without showing them, and their flags.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn flag_forget(
        &mut self,
        app: &AppSlug,
        objects: &[ObjectKey],
    ) -> Result<(), StoreError> {
        let sql = r"
            DELETE FROM unfetched
            WHERE app = $2 AND key IN (SELECT key FROM {rows} AS old)
        ";
        self.execute(sql, binds![keys(objects), app]).await?;
        let sql = r"
            DELETE FROM flags
            WHERE app = $2 AND holder IN (SELECT key FROM {rows} AS old)
        ";
        self.execute(sql, binds![keys(objects), app]).await?;
        Ok(())
    }

    /// Lists the open flags of an app, the newest deciding instant first, those of set-up last.
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

    /// Finds an open flag.
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
        filter.and("holder = ?", id.holder());
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
            "SELECT place, kind, subject, at, holder, bodies FROM ({}) AS open",
            open()
        );
        let place = |row: &FlagRow| row.place.clone();
        let list = self.list(&select, filter, Key::Text("place"), window, place);
        Ok(list.await?.map(HeldFlag::from))
    }
}

fn filter_of(app: &AppSlug, wanted: &FlagFilter) -> Filter {
    let mut filter = Filter::new("app = ?", app);
    if let Some(kind) = wanted.kind {
        filter.and("kind = ?", kind);
    }
    if let Some(customer) = &wanted.customer {
        filter.and("holder = ?", customer);
    }
    filter
}

/// All open flags, as a subquery. `CROSS JOIN` lets SQLite, which knows nothing of sizes, begin
/// with the few; PostgreSQL finds its own way. `|| ''` makes an expression of a column, which
/// SQLite asks for before it looks into an index of expressions.
pub(super) fn open() -> String {
    let unmapped = of_set_up(
        FlagKind::UnmappedPrice,
        "price",
        r"(
            SELECT paid.app, paid.customer_id, paid.price
            FROM entitlements AS paid
            WHERE paid.plan = ''
        )",
    );
    let unreleased = unreleased();
    let failed = of_set_up(
        FlagKind::FailedEvents,
        "error_code",
        r"(
            SELECT
                failed.app, COALESCE(holders.merged_into, holders.id) AS customer_id,
                failed.error_code
            FROM events AS failed
            CROSS JOIN accounts AS linked
            CROSS JOIN customers AS holders
            WHERE failed.billing_account IS NOT NULL
                AND failed.outcome = 'failed'
                AND linked.app = failed.app
                AND linked.key = failed.billing_account
                AND holders.id = linked.customer_id
        )",
    );
    format!(
        r"
        SELECT app, place, kind, subject, at, holder, bodies FROM flags WHERE NOT cleared
        UNION ALL {unmapped}
        UNION ALL {unreleased}
        UNION ALL {failed}
        "
    )
}

/// The open flags for packages without releases, as a subquery.
pub(super) fn unreleased() -> String {
    of_set_up(
        FlagKind::ReleasesUnknown,
        "package",
        r"(
            SELECT granted.app, granted.customer_id, granted.package
            FROM (
                SELECT shown.app, shown.id AS customer_id, grants.package
                FROM customers AS shown
                CROSS JOIN customers AS holders
                CROSS JOIN grants
                WHERE shown.frozen
                    AND holders.app = shown.app
                    AND COALESCE(holders.merged_into, holders.id) = shown.id || ''
                    AND grants.app = shown.app
                    AND grants.customer_id = holders.id
                UNION ALL
                SELECT shown.app, shown.id, bought.package
                FROM customers AS shown
                CROSS JOIN entitlements AS paid
                CROSS JOIN plan_packages AS bought
                WHERE shown.frozen
                    AND paid.customer_id = shown.id
                    AND bought.app = paid.app
                    AND bought.provider = paid.provider
                    AND bought.price_id = paid.plan
            ) AS granted
            WHERE NOT EXISTS (
                SELECT 1 FROM releases
                WHERE releases.app = granted.app AND releases.package = granted.package
            )
        )",
    )
}

/// The flags of a kind for every customer that a subquery finds, with the column `about` as
/// their subject, without those that were cleared. A customer may be found more than once.
fn of_set_up(kind: FlagKind, about: &str, found: &str) -> String {
    let kind = kind.as_str();
    let place = format!("'{SET_UP_PLACE}{kind}:' || found.customer_id || ':' || found.{about}");
    format!(
        r"
        SELECT DISTINCT
            found.app AS app, {place} AS place, '{kind}' AS kind, found.{about} AS subject,
            CAST(NULL AS BIGINT) AS at, found.customer_id AS holder, CAST(NULL AS JSONB) AS bodies
        FROM {found} AS found
        WHERE NOT EXISTS (
            SELECT 1 FROM flags
            WHERE flags.app = found.app
                AND flags.holder = found.customer_id
                AND flags.place = {place}
                AND flags.cleared
        )
        "
    )
}
