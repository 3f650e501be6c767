//! Moving a store from the embedded engine to PostgreSQL.
//!
//! Tables are copied one after the other, each after those that it refers to, in the order of their
//! keys and in chunks that are added whole. What was copied is therefore what lies before the last key
//! of the target, and a copy that was cut short goes on behind it. At the end both sides are read once
//! more and compared, table by table: whatever came between the two reads, a spoiled row or a source
//! that was used meanwhile, shows there. Until then the target says of itself that it is not complete,
//! and no server serves it.
//!
//! Reading, writing and adding up go on at the same time: while the target takes a chunk the next one is
//! read, and the two sides are read and summed beside each other.
//!
//! Columns and keys are read from the two schemas, so that a new table needs nothing here.

pub(in crate::store) mod cells;

use std::path::Path;

use futures::future::try_join;
use futures::stream::BoxStream;
use futures::{TryFutureExt, TryStreamExt};
use secrecy::SecretString;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

pub use self::cells::TableDigest;
use self::cells::{Cell, Kind, TableShape};
use super::StoreError;
use super::postgres::copy_target::{CopyTarget, CopyText, kept};
use super::postgres::unfit::why_unfit;
use super::sqlite::copy_source::{CopySource, picked};

/// A chunk is sent when it has this many bytes: few enough to be held in memory with the rows that
/// are read meanwhile, enough for a thousand events a round trip.
const CHUNK_BYTES: usize = 4 << 20;

/// A store was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The source cannot be read.
    #[error("the source cannot be read")]
    Source(#[source] StoreError),
    /// Another process uses the source.
    #[error("another process uses the source: stop it, so that nothing is written behind the copy")]
    SourceInUse,
    /// The target cannot be written.
    #[error("the target failed")]
    Target(#[source] StoreError),
    /// The target cannot keep a document of the source.
    #[error("`{column}` of the row {row} of the table `{table}` {why}: mend it in the source")]
    Unfit {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The key of the row.
        row: String,
        /// What is wrong with it, as the end of a sentence.
        why: &'static str,
    },
    /// The target does not take a table, whose rows may not fit each other.
    #[error("the target does not take the table `{table}`")]
    Table {
        /// The table.
        table: String,
        /// Why it does not.
        #[source]
        source: StoreError,
    },
    /// Another copy writes into the target.
    #[error("another `tollgate copy` writes into the target")]
    TargetInUse,
    /// The target has rows that this copy has not written.
    #[error("the target is not empty: its table `{0}` has rows; give a database that has none")]
    NotEmpty(String),
    /// The target has part of another store.
    #[error(
        "the target has part of a copy of {0}: go on with that one, or give a database that is empty"
    )]
    OtherSource(String),
    /// The schemas differ, though both are of this version.
    #[error("the table `{0}` has other columns in the target")]
    Schema(String),
    /// The program is ending.
    #[error("the comparison was interrupted")]
    Interrupted(#[source] JoinError),
}

/// A row as it is read.
type Row = Vec<Cell>;

/// A table on both sides.
#[derive(Clone, Debug)]
pub struct ComparedTable {
    /// The table.
    pub name: String,
    /// What it amounts to in the source.
    pub source: TableDigest,
    /// What it amounts to in the target.
    pub target: TableDigest,
}

impl ComparedTable {
    /// Returns true if both sides have the same rows.
    pub fn is_same(&self) -> bool {
        self.source == self.target
    }
}

/// The work that is under way.
#[derive(Clone, Copy, Debug)]
pub enum CopyStep<'a> {
    /// A table of the source is looked through for what the target cannot keep.
    Checking {
        /// The table.
        table: &'a str,
    },
    /// Rows of a table were copied, of so many, those of earlier runs included.
    Copied {
        /// The table.
        table: &'a str,
        /// The rows that the target has.
        rows: u64,
        /// The rows that the source has.
        of: u64,
    },
    /// A table is being compared.
    Comparing {
        /// The table.
        table: &'a str,
    },
}

/// A copy of a store, opened on both sides.
pub struct StoreCopy {
    source: CopySource,
    target: CopyTarget,
    tables: Vec<TableShape>,
}

impl StoreCopy {
    /// Opens the embedded store, so that nobody else can use it, and a database, which gets the tables of
    /// this version.
    ///
    /// # Errors
    /// [`CopyError::SourceInUse`], [`CopyError::TargetInUse`], when one of both does not answer, when the
    /// source is not of this version, and when the target is of a newer one.
    pub async fn open(from: &Path, to: &SecretString) -> Result<Self, CopyError> {
        let (source, mut target) = Self::both(from, to).await?;
        target.migrate().await.map_err(CopyError::Target)?;
        Self::of(source, target).await
    }

    /// Opens the embedded store and the copy that was made of it, and changes nothing.
    ///
    /// # Errors
    /// As [`open`](Self::open), and when the target is of an older version too.
    pub async fn open_made(from: &Path, to: &SecretString) -> Result<Self, CopyError> {
        let (source, mut target) = Self::both(from, to).await?;
        target.check_schema().await.map_err(CopyError::Target)?;
        Self::of(source, target).await
    }

    async fn both(from: &Path, to: &SecretString) -> Result<(CopySource, CopyTarget), CopyError> {
        let source = CopySource::open(from).await.map_err(|error| {
            if error.trouble() == Some(super::Trouble::Locked) {
                CopyError::SourceInUse
            } else {
                CopyError::Source(error)
            }
        })?;
        let mut target = CopyTarget::open(to).await.map_err(CopyError::Target)?;
        if !target.lock().await.map_err(CopyError::Target)? {
            return Err(CopyError::TargetInUse);
        }
        Ok((source, target))
    }

    async fn of(mut source: CopySource, mut target: CopyTarget) -> Result<Self, CopyError> {
        let mut tables = Vec::new();
        for name in source.tables().await.map_err(CopyError::Source)? {
            let (all, key) = source.columns(&name).await.map_err(CopyError::Source)?;
            let kinds = target.columns(&name).await.map_err(CopyError::Target)?;
            let shape = picked(&all, &kinds).zip(picked(&key, &kinds));
            match shape {
                Some((columns, key)) if columns.len() == kinds.len() && !key.is_empty() => {
                    tables.push(TableShape { name, columns, key });
                }
                _ => return Err(CopyError::Schema(name)),
            }
        }
        Ok(Self {
            source,
            target,
            tables,
        })
    }

    /// Counts the webhooks and other messages that wait in the source's built-in queue.
    ///
    /// # Errors
    /// When the source cannot be read.
    pub async fn waiting_messages(&mut self) -> Result<u64, CopyError> {
        self.source
            .count("messages")
            .await
            .map_err(CopyError::Source)
    }

    /// Copies what the target does not have yet, and compares both sides. `place` says which store the
    /// source is. Returns the comparison, table by table; the copy is complete, and the target can be
    /// served, if all of them are the same.
    ///
    /// The source is looked through before anything is written: a document that the target cannot keep
    /// would stop the copy in the middle.
    ///
    /// # Errors
    /// See [`CopyError`]. What was copied stays; the next run goes on behind it.
    pub async fn run(
        &mut self,
        place: &str,
        mut tell: impl FnMut(CopyStep<'_>),
    ) -> Result<Vec<ComparedTable>, CopyError> {
        self.check(&mut tell).await?;
        self.begin(place).await?;
        for index in 0..self.tables.len() {
            self.copy_table(index, &mut tell).await?;
        }
        let compared = self.compare(tell).await?;
        if compared.iter().all(ComparedTable::is_same) {
            let numbered = self.source.numbered().await.map_err(CopyError::Source)?;
            self.target
                .finish(&numbered)
                .await
                .map_err(CopyError::Target)?;
        }
        Ok(compared)
    }

    /// Compares both sides and changes nothing.
    ///
    /// # Errors
    /// When one of both cannot be read.
    pub async fn compare(
        &mut self,
        mut tell: impl FnMut(CopyStep<'_>),
    ) -> Result<Vec<ComparedTable>, CopyError> {
        let mut compared = Vec::new();
        for table in &self.tables {
            tell(CopyStep::Comparing { table: &table.name });
            let rows = self.source.rows(table, None).map_err(CopyError::Source)?;
            let source = digest(rows.map_ok(as_kept).map_err(CopyError::Source));
            let target = digest(self.target.rows(table).map_err(CopyError::Target));
            let (source, target) = try_join(source, target).await?;
            compared.push(ComparedTable {
                name: table.name.clone(),
                source,
                target,
            });
        }
        Ok(compared)
    }

    /// Looks for documents that the target cannot keep.
    async fn check(&mut self, tell: &mut impl FnMut(CopyStep<'_>)) -> Result<(), CopyError> {
        for table in &self.tables {
            let documents = table.columns.iter().filter(|it| it.kind == Kind::Json);
            for (index, column) in documents.enumerate() {
                if index == 0 {
                    tell(CopyStep::Checking { table: &table.name });
                }
                let mut suspects = self.source.suspects(table, column);
                while let Some(mut row) = suspects.try_next().await.map_err(CopyError::Source)? {
                    let Some(Cell::Json(document)) = row.pop() else {
                        continue;
                    };
                    if let Some(why) = why_unfit(&document) {
                        let key: Vec<String> = row.iter().map(Cell::to_string).collect();
                        return Err(CopyError::Unfit {
                            table: table.name.clone(),
                            column: column.name.clone(),
                            row: key.join(" "),
                            why,
                        });
                    }
                }
            }
        }
        Ok(())
    }

    /// Makes sure that the target has nothing but what this copy has written.
    async fn begin(&mut self, place: &str) -> Result<(), CopyError> {
        match self.target.unfinished().await.map_err(CopyError::Target)? {
            Some(source) if source == place => Ok(()),
            Some(source) => Err(CopyError::OtherSource(source)),
            None => {
                for table in &self.tables {
                    if self
                        .target
                        .has_rows(&table.name)
                        .await
                        .map_err(CopyError::Target)?
                    {
                        return Err(CopyError::NotEmpty(table.name.clone()));
                    }
                }
                self.target.begin(place).await.map_err(CopyError::Target)
            }
        }
    }

    async fn copy_table(
        &mut self,
        index: usize,
        tell: &mut impl FnMut(CopyStep<'_>),
    ) -> Result<(), CopyError> {
        let Some(table) = self.tables.get(index) else {
            return Ok(());
        };
        let of = self
            .source
            .count(&table.name)
            .await
            .map_err(CopyError::Source)?;
        let (mut rows, last) = self.target.last(table).await.map_err(CopyError::Target)?;
        let mut told = |rows| {
            tell(CopyStep::Copied {
                table: &table.name,
                rows,
                of,
            });
        };
        told(rows);
        let refused = |source| CopyError::Table {
            table: table.name.clone(),
            source,
        };
        let mut read = self.source.rows(table, last).map_err(CopyError::Source)?;
        let mut chunk = next_chunk(&mut read).await?;
        while let Some((text, count)) = chunk {
            let added = self.target.add(table, &text).map_err(refused);
            ((), chunk) = try_join(added, next_chunk(&mut read)).await?;
            rows += count;
            told(rows);
        }
        Ok(())
    }
}

/// A row of the source as the target keeps it.
fn as_kept(row: Row) -> Row {
    row.into_iter().map(kept).collect()
}

/// Reads rows until they make a chunk, and says how many; `None` at the end.
async fn next_chunk(
    rows: &mut BoxStream<'_, Result<Row, StoreError>>,
) -> Result<Option<(CopyText, u64)>, CopyError> {
    let (mut text, mut count) = (CopyText::default(), 0);
    while text.len() < CHUNK_BYTES {
        let Some(row) = rows.try_next().await.map_err(CopyError::Source)? else {
            break;
        };
        text.push(&as_kept(row));
        count += 1;
    }
    Ok((count > 0).then_some((text, count)))
}

/// Adds up the rows of a table. A chunk is added up on another thread while the next one is read.
async fn digest<R>(rows: R) -> Result<TableDigest, CopyError>
where
    R: futures::Stream<Item = Result<Row, CopyError>>,
{
    let mut rows = std::pin::pin!(rows);
    let mut sum = TableDigest::default();
    let mut under_way: Option<JoinHandle<TableDigest>> = None;
    loop {
        let (mut chunk, mut size) = (Vec::new(), 0);
        while size < CHUNK_BYTES {
            let Some(row) = rows.try_next().await? else {
                break;
            };
            size += row.iter().map(Cell::size).sum::<usize>();
            chunk.push(row);
        }
        let next = (!chunk.is_empty()).then(|| spawn_blocking(move || TableDigest::of(&chunk)));
        if let Some(before) = std::mem::replace(&mut under_way, next) {
            sum.merge(before.await.map_err(CopyError::Interrupted)?);
        }
        if under_way.is_none() {
            return Ok(sum);
        }
    }
}
