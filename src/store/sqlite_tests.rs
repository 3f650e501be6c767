//! What the engine does that its callers rely on.

use super::*;
use crate::domain::time::Timestamp;
use crate::store::cell::{Document, Nanos};
use crate::store::record::{Binds, FromRow, Reader, Rows, binds, record};

async fn opened(folder: &tempfile::TempDir) -> SqliteDriver {
    SqliteDriver::open(&folder.path().join("t.db"))
        .await
        .unwrap()
}

#[tokio::test]
async fn what_would_be_refused_again_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let driver = opened(&folder).await;
    let mut session = driver.begin().await.unwrap();
    let table = "CREATE TABLE t (n INTEGER PRIMARY KEY, m TEXT NOT NULL) STRICT";
    session.execute(table, Vec::new()).await.unwrap();
    let insert = "INSERT INTO t (n, m) VALUES ($1, $2)";
    let first: Binds = binds![1_i64, "a"];
    session.execute(insert, first.unwrap()).await.unwrap();
    let cases = [
        ("taken", insert, binds![1_i64, "a"]),
        ("missing", insert, binds![2_i64, None::<&str>]),
        ("of another type", insert, binds!["x", "a"]),
        ("no document", "SELECT $1 ->> 0", binds!["{"]),
    ];
    for (description, sql, binds) in cases {
        let error = session.fetch(sql, binds.unwrap()).await.err().unwrap();
        assert!(!error.is_passing(), "{description}: {error:?}");
    }
}

record! {
    struct Written {
        text: Option<String>,
        number: i64,
        yes: bool,
        at: Timestamp,
        exact: Nanos,
        document: Option<Document>,
        bytes: Vec<u8>,
    }
}

record! {
    struct Found from "cells" {
        text: Option<String>,
        number: i64,
        yes: bool,
        at: Timestamp,
        exact: Timestamp,
        document: Option<Document>,
        bytes: Vec<u8>,
    }
}

#[tokio::test]
async fn every_kind_of_cell_comes_back_from_a_set_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let driver = opened(&folder).await;
    let mut session = driver.begin().await.unwrap();
    let texts = [Some("a\0\"\\\u{1}ä"), Some(""), None];
    let documents = [Some(r#"{"a": [1.0, "\u0000"]}"#), Some("null"), None];
    let cells = texts.into_iter().zip(documents);
    let rows: Rows<Written> = cells
        .clone()
        .map(|(text, document)| Written {
            text: text.map(str::to_owned),
            number: i64::MIN,
            yes: true,
            at: Timestamp::from_nanos(-1),
            exact: Nanos(Timestamp::from_nanos(i64::MAX)),
            document: document.map(|it| Document(it.to_owned())),
            bytes: vec![0, 255],
        })
        .collect();
    let sql = "SELECT * FROM {rows} AS cells";
    let answer = session.fetch(sql, binds![rows].unwrap()).await.unwrap();
    for (row, (text, document)) in answer.iter().zip(cells) {
        let found = Found::from_row(&mut Reader::new(row)).unwrap();
        assert_eq!(found.text.as_deref(), text);
        assert_eq!((found.number, found.yes), (i64::MIN, true));
        assert_eq!((found.at.nanos(), found.exact.nanos()), (-1, i64::MAX));
        let same = |it: &str| it.replace(' ', "");
        let found_document = found.document.as_ref().map(|it| it.0.as_str());
        assert_eq!(found_document.map(same), document.map(same));
        assert_eq!(found.bytes, [0, 255]);
    }
    assert_eq!(answer.len(), 3);
}

#[tokio::test]
async fn a_full_disk_stops_no_transaction_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let driver = opened(&folder).await;
    let mut session = driver.begin().await.unwrap();
    let table = "CREATE TABLE t (n INTEGER PRIMARY KEY, m TEXT NOT NULL) STRICT";
    session.execute(table, vec![]).await.unwrap();
    session.commit().await.unwrap();
    let insert = "INSERT INTO t (n, m) VALUES ($1, $2)";
    let row = |n: i64, m: String| vec![Value::Int(Some(n)), Value::Text(Some(m))];
    for n in 0..3 {
        let mut session = driver.begin().await.unwrap();
        // As if the disk were full: a limit of this connection alone.
        session
            .fetch("PRAGMA max_page_count = 1", vec![])
            .await
            .unwrap();
        let error = session.execute(insert, row(n, "x".repeat(1_000_000))).await;
        let error = error.unwrap_err();
        assert!(error.is_passing(), "{error:?}");
        drop(session);

        let mut session = driver.begin().await.unwrap();
        session
            .execute(insert, row(n, "small".to_owned()))
            .await
            .unwrap();
        session.commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_store_that_is_closed_may_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let driver = opened(&folder).await;
    driver.close().await;
    let error = driver.begin().await.err().unwrap();
    assert!(error.is_passing(), "{error:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn nothing_is_written_to_a_file_that_was_removed_or_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let driver = opened(&folder).await;
    let (file, away) = (folder.path().join("t.db"), folder.path().join("away"));
    let trouble = async || driver.begin().await.err().and_then(|error| error.trouble());
    assert_eq!(trouble().await, None);
    std::fs::rename(&file, &away).unwrap();
    assert_eq!(trouble().await, Some(Trouble::Replaced), "removed");
    std::fs::copy(&away, &file).unwrap();
    assert_eq!(trouble().await, Some(Trouble::Replaced), "a copy of it");
    std::fs::rename(&away, &file).unwrap();
    assert_eq!(trouble().await, None, "put back");
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_of_the_store_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let everybody = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), everybody).unwrap();
    let driver = opened(&folder).await;
    let mut session = driver.begin().await.unwrap();
    let table = "CREATE TABLE t (n INTEGER PRIMARY KEY) STRICT";
    session.execute(table, Vec::new()).await.unwrap();
    session.commit().await.unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.file_name());
        seen += 1;
    }
    assert_eq!(seen, 3, "the file, its log and its index");
}
