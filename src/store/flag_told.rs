//! Telling operators of the flags that the audit has no entry of: those of no customer, and those for
//! packages without releases, which are looked for and not written down.

use std::collections::BTreeSet;

use super::flag::unreleased;
use super::record::{Rows, binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::announcement::{Announcement, raised};
use crate::domain::customer::flag::{Flag, FlagHolder, FlagKind, HeldFlag};
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;

record! {
    #[derive(PartialEq, Eq, PartialOrd, Ord)]
    struct RaisedRow from "flags" {
        holder: FlagHolder,
        kind: FlagKind,
        subject: String,
    }
}

record! {
    /// A flag that all customers have who depend on a package.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub(crate) struct SetUpFlag from "told_flags" {
        /// The app.
        pub(crate) app: AppSlug,
        /// Its kind.
        pub(crate) kind: FlagKind,
        /// The package.
        pub(crate) subject: String,
    }
}

record! {
    struct SetUpRow<'a> {
        app: &'a AppSlug,
        kind: FlagKind,
        subject: &'a str,
    }
}

fn rows_of(flags: &[SetUpFlag]) -> Rows<SetUpRow<'_>> {
    let rows = flags.iter().map(|it| SetUpRow {
        app: &it.app,
        kind: it.kind,
        subject: &it.subject,
    });
    rows.collect()
}

impl Tx {
    /// Tells of those of some flags that are an object's, are about to be written, and were not open
    /// before. One that goes on with a newer instant, as with each event of an unknown account, is not
    /// another.
    pub(super) async fn flag_tell<'a>(
        &mut self,
        app: &AppSlug,
        flags: impl Iterator<Item = &'a HeldFlag> + Send,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let flags = flags.filter(|it| it.holder.customer().is_none());
        let flags: Vec<&HeldFlag> = flags.collect();
        if flags.is_empty() {
            return Ok(());
        }
        let holders: BTreeSet<&FlagHolder> = flags.iter().map(|it| &it.holder).collect();
        let sql = r"
            SELECT holder, kind, subject
            FROM flags
            WHERE app = $2 AND NOT cleared AND holder IN (SELECT key FROM {rows} AS wanted)
        ";
        let open: Vec<RaisedRow> = self.fetch(sql, binds![keys(holders), app]).await?;
        let is_new = |held: &&&HeldFlag| {
            !open.iter().any(|it| {
                it.holder == held.holder
                    && it.kind == held.flag.kind
                    && it.subject == held.flag.subject
            })
        };
        let new = flags.iter().filter(is_new);
        let told = new.map(|held| raised(app, &held.flag, now));
        let told: Vec<Announcement> = told.collect();
        if told.is_empty() {
            return Ok(());
        }
        self.change_add(told).await
    }

    /// Lists the open flags for packages without releases, once for all customers who have them.
    pub(crate) async fn flag_list_unreleased(&mut self) -> Result<BTreeSet<SetUpFlag>, StoreError> {
        let sql = format!(
            "SELECT DISTINCT app, kind, subject FROM ({}) AS open",
            unreleased()
        );
        let flags: Vec<SetUpFlag> = self.fetch(&sql, binds![]).await?;
        Ok(flags.into_iter().collect())
    }

    /// Lists those of them that operators were told of.
    pub(crate) async fn flag_list_told(&mut self) -> Result<BTreeSet<SetUpFlag>, StoreError> {
        let sql = "SELECT app, kind, subject FROM told_flags";
        let flags: Vec<SetUpFlag> = self.fetch(sql, binds![]).await?;
        Ok(flags.into_iter().collect())
    }

    /// Forgets flags that are no longer open, and tells of new ones.
    pub(crate) async fn flag_tell_unreleased(
        &mut self,
        gone: &[SetUpFlag],
        new: &[SetUpFlag],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = r"
            DELETE FROM told_flags
            WHERE (app, kind, subject) IN (SELECT app, kind, subject FROM {rows} AS gone)
        ";
        self.execute(sql, binds![rows_of(gone)]).await?;
        // An app may have been deleted since.
        let sql = r"
            INSERT INTO told_flags (app, kind, subject)
            SELECT app, kind, subject
            FROM {rows} AS new
            WHERE app IN (SELECT slug FROM apps)
            ON CONFLICT (app, kind, subject) DO NOTHING
            RETURNING app, kind, subject
        ";
        let told: Vec<SetUpFlag> = self.fetch(sql, binds![rows_of(new)]).await?;
        let told = told.iter().map(|it| {
            let flag = Flag {
                kind: it.kind,
                subject: it.subject.clone(),
                at: None,
                bodies: None,
            };
            raised(&it.app, &flag, now)
        });
        self.change_add(told.collect()).await
    }
}
