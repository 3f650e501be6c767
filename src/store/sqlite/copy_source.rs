//! The embedded store as what is copied elsewhere.

use std::path::Path;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteLockingMode};
use sqlx::{Arguments, AssertSqlSafe, Connection, SqlSafeStr, SqliteConnection};

use super::MIGRATIONS;
use super::error::{failed, is_missing_table};
use crate::store::StoreError;
use crate::store::copy::cells::{Cell, ColumnKind, TableShape, read};
use crate::store::schema;

/// The embedded store, held so that nobody else opens it.
pub(in crate::store) struct CopySource {
    connection: SqliteConnection,
}

impl CopySource {
    /// Opens a store of this version. Fails with a lock that somebody else holds if any other
    /// process has the file open: rows that it writes behind the copy would be lost.
    pub(in crate::store) async fn open(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            // With this mode the first read takes a lock that excludes every other connection, and
            // keeps it (<https://www.sqlite.org/pragma.html#pragma_locking_mode>).
            .locking_mode(SqliteLockingMode::Exclusive)
            // A server keeps its connections for as long as it runs: there is nothing to wait for
            // but a command that is about to end.
            .busy_timeout(Duration::from_secs(1));
        let mut connection = SqliteConnection::connect_with(&options)
            .await
            .map_err(failed)?;
        // One state of all tables, and the lock at once.
        sqlx::query("BEGIN IMMEDIATE")
            .execute(&mut connection)
            .await
            .map_err(failed)?;
        schema::check(&mut connection, MIGRATIONS, is_missing_table).await?;
        Ok(Self { connection })
    }

    /// Returns the tables, each after those that it refers to: in the order in which they were made.
    pub(in crate::store) async fn tables(&mut self) -> Result<Vec<String>, StoreError> {
        let sql = r"
            SELECT name FROM sqlite_schema
            WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND name NOT LIKE '\_%' ESCAPE '\'
            ORDER BY rowid
        ";
        let names = sqlx::query_scalar(sql).fetch_all(&mut self.connection);
        names.await.map_err(failed)
    }

    /// Returns the names of a table's columns, and those of its primary key in the key's order.
    pub(in crate::store) async fn columns(
        &mut self,
        table: &str,
    ) -> Result<(Vec<String>, Vec<String>), StoreError> {
        let all = "SELECT name FROM pragma_table_info($1) ORDER BY name";
        let key = "SELECT name FROM pragma_table_info($1) WHERE pk > 0 ORDER BY pk";
        let all = sqlx::query_scalar(all).bind(table);
        let all = all.fetch_all(&mut self.connection).await.map_err(failed)?;
        let key = sqlx::query_scalar(key).bind(table);
        let key = key.fetch_all(&mut self.connection).await.map_err(failed)?;
        Ok((all, key))
    }

    /// Counts the rows of a table.
    pub(in crate::store) async fn count(&mut self, table: &str) -> Result<u64, StoreError> {
        let sql = AssertSqlSafe(format!("SELECT count(*) FROM {table}")).into_sql_str();
        let count: i64 = sqlx::query_scalar(sql)
            .fetch_one(&mut self.connection)
            .await
            .map_err(failed)?;
        Ok(count.unsigned_abs())
    }

    /// Returns the greatest number that was ever given to a row, of tables that number theirs.
    pub(in crate::store) async fn numbered(&mut self) -> Result<Vec<(String, i64)>, StoreError> {
        let all = sqlx::query_as("SELECT name, seq FROM sqlite_sequence");
        all.fetch_all(&mut self.connection).await.map_err(failed)
    }

    /// Reads the documents in a column of a table that may be more than another engine keeps, each
    /// behind the key of its row.
    pub(in crate::store) fn suspects<'a>(
        &'a mut self,
        table: &'a TableShape,
        column: &ColumnKind,
    ) -> BoxStream<'a, Result<Vec<Cell>, StoreError>> {
        let (name, key) = (&column.name, table.key_list());
        let suspect = is_suspect(name);
        let sql = format!("SELECT {key}, {name} FROM {} WHERE {suspect}", table.name);
        let mut columns = table.key.clone();
        columns.push(column.clone());
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch(&mut self.connection);
        let rows = rows.map_err(failed);
        rows.map(move |row| read(&table.name, &columns, &row?))
            .boxed()
    }

    /// Reads the rows of a table in the order of its key, from behind one of them.
    pub(in crate::store) fn rows<'a>(
        &'a mut self,
        table: &'a TableShape,
        after: Option<Vec<Cell>>,
    ) -> Result<BoxStream<'a, Result<Vec<Cell>, StoreError>>, StoreError> {
        let (columns, key) = (table.column_list(), table.key_list());
        let mut arguments = SqliteArguments::default();
        let mut place = String::new();
        if let Some(after) = after {
            let binds: Vec<String> = (1..=after.len()).map(|it| format!("${it}")).collect();
            place = format!("WHERE ({key}) > ({})", binds.join(", "));
            for cell in after {
                bind(&mut arguments, cell)?;
            }
        }
        let sql = format!(
            "SELECT {columns} FROM {} {place} ORDER BY {key}",
            table.name
        );
        let rows = sqlx::query_with(AssertSqlSafe(sql), arguments).fetch(&mut self.connection);
        let rows = rows
            .map_err(failed)
            .map(|row| read(&table.name, &table.columns, &row?));
        Ok(rows.boxed())
    }
}

/// Documents that another engine may refuse: what is no JSON, numbers that are large or small, and
/// letters in halves. A look at each by its characters: most rows go no further.
fn is_suspect(column: &str) -> String {
    format!(
        r"(NOT json_valid({column}) OR length({column}) > 16000
        OR {column} GLOB '*[0-9][eE][-+0-9]*' OR {column} GLOB '*\u[dD][89a-fA-F]*')"
    )
}

/// Binds a cell of a key: keys are texts, whole numbers and bytes.
fn bind(arguments: &mut SqliteArguments, cell: Cell) -> Result<(), StoreError> {
    let bound = match cell {
        Cell::Text(text) => arguments.add(text),
        Cell::Int(number) => arguments.add(number),
        Cell::Bytes(bytes) => arguments.add(bytes),
        Cell::Null | Cell::Bool(_) | Cell::Time(_) | Cell::Json(_) => {
            Err("is no part of a key".into())
        }
    };
    bound.map_err(|source| failed(sqlx::Error::Encode(source)))
}

/// Columns of these names, with the kinds that the other side has for them.
pub(in crate::store) fn picked(names: &[String], kinds: &[ColumnKind]) -> Option<Vec<ColumnKind>> {
    let found = |name: &String| kinds.iter().find(|it| it.name == *name).cloned();
    names.iter().map(found).collect()
}
