//! Open flags in groups, one for each kind and subject: what one act mends, and for how many. Counted in
//! the database, so that ten thousand of one subject hide none of another.

use super::flag::{FlagRow, open};
use super::record::{FromRow, Reader, binds, record};
use super::{FlagFilter, StoreError, Tx};
use crate::domain::customer::flag::{FlagKind, HeldFlag};
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;

/// All open flags of one kind about one subject.
#[derive(Clone, Debug)]
pub struct FlagGroup {
    /// How many there are.
    pub count: u64,
    /// The newest deciding instant.
    pub newest: Option<Timestamp>,
    /// Some of them, in the order of their list; never none.
    pub first: Vec<HeldFlag>,
}

record! {
    /// How many subjects have open flags of a kind.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct FlagKindCount from "flags" {
        /// The kind.
        pub kind: FlagKind,
        /// The subjects.
        pub count: u64,
    }
}

record! {
    struct Counted from "flags" {
        count: u64,
        newest: Option<Timestamp>,
    }
}

struct GroupRow {
    held: HeldFlag,
    counted: Counted,
}

impl FromRow for GroupRow {
    fn from_row(row: &mut Reader<'_>) -> Result<Self, StoreError> {
        let (held, counted) = <(FlagRow, Counted)>::from_row(row)?;
        let held = held.into();
        Ok(Self { held, counted })
    }
}

impl Tx {
    /// Lists the groups that concern most, and of each so many flags.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn flag_groups(
        &mut self,
        app: &AppSlug,
        wanted: &FlagFilter,
        each: u32,
        most: u32,
    ) -> Result<Vec<FlagGroup>, StoreError> {
        let sql = format!(
            r"
            SELECT place, kind, subject, at, holder, bodies, count, newest
            FROM (
                SELECT
                    place, kind, subject, at, holder, bodies,
                    COUNT(*) OVER (PARTITION BY kind, subject) AS count,
                    MAX(at) OVER (PARTITION BY kind, subject) AS newest,
                    ROW_NUMBER() OVER (PARTITION BY kind, subject ORDER BY place) AS nth
                FROM ({}) AS open
                WHERE app = $1
                    AND ($2 IS NULL OR kind = $2)
                    AND ($3 IS NULL OR holder = $3)
            ) AS numbered
            WHERE nth <= $4
            ORDER BY count DESC, kind, subject, nth
            LIMIT $5
            ",
            open()
        );
        // Each group has at least one row.
        let rows = i64::from(most) * i64::from(each);
        let binds = binds![app, wanted.kind, &wanted.customer, i64::from(each), rows];
        let rows: Vec<GroupRow> = self.fetch(&sql, binds).await?;
        let mut groups: Vec<FlagGroup> = Vec::new();
        for GroupRow { held, counted } in rows {
            let about = |it: &HeldFlag| (it.flag.kind, it.flag.subject.clone());
            match groups.last_mut() {
                Some(group) if group.first.last().map(about) == Some(about(&held)) => {
                    group.first.push(held);
                }
                _ => groups.push(FlagGroup {
                    count: counted.count,
                    newest: counted.newest,
                    first: vec![held],
                }),
            }
        }
        groups.truncate(most as usize);
        Ok(groups)
    }

    /// Counts the groups of each kind, of one customer or of all.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn flag_kinds(
        &mut self,
        app: &AppSlug,
        wanted: &FlagFilter,
    ) -> Result<Vec<FlagKindCount>, StoreError> {
        let sql = format!(
            r"
            SELECT kind, COUNT(*) AS count
            FROM (
                SELECT DISTINCT kind, subject
                FROM ({}) AS open
                WHERE app = $1 AND ($2 IS NULL OR holder = $2)
            ) AS about
            GROUP BY kind
            ORDER BY kind
            ",
            open()
        );
        self.fetch(&sql, binds![app, &wanted.customer]).await
    }
}
