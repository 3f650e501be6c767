//! The move from the embedded store to PostgreSQL, with the program as a user runs it.

mod spoiled;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use tollgate::clock::{Clock, SystemClock};
use tollgate::provider::STRIPE;

use crate::support::postgres::{SHARED, empty_database, unused_database};
use crate::support::program::{err, out, tollgate};
use crate::support::serving::{Serving, quiet_port};
use crate::support::spec::{header_name, sign};
use crate::support::{
    PATIENCE, SECRET_KEY, call, client, environment, secret, stripe_customer, stripe_event,
};

fn settings(data_dir: &Path) -> BTreeMap<OsString, OsString> {
    let mut settings = environment(data_dir);
    let listen = format!("127.0.0.1:{}", quiet_port());
    settings.insert("TOLLGATE_LISTEN".into(), listen.into());
    settings.insert("TOLLGATE_SECRET_KEY".into(), SECRET_KEY.into());
    settings
}

/// Posts the event of a customer, and waits for its outcome.
async fn buy(base: &str, n: usize) {
    let id = format!("evt_{n}");
    let customer = stripe_customer(&format!("cus_{n}"), &format!("c{n}@example.com"));
    let event = stripe_event(&id, "customer.created", 1_790_000_000, customer);
    // With line breaks, and with what they and the absence of a value are written as elsewhere.
    let mut body = serde_json::to_vec_pretty(&event).unwrap();
    body.extend_from_slice(b"\r\n\t");
    let signature = sign(STRIPE.name, &secret(STRIPE.name), &body, SystemClock.now());
    let request = client()
        .post(format!("{base}/webhooks/stripe"))
        .header(header_name(STRIPE.name), signature)
        .body(body);
    assert_eq!(request.send().await.unwrap().status().as_u16(), 200);
    let started = Instant::now();
    loop {
        let (status, event) = get(base, &format!("/api/v1/events/{id}")).await;
        if status == 200 && event["outcome"] == "applied" {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{id}: {status} {event}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn get(base: &str, path: &str) -> (u16, Value) {
    call(&client(), base, "GET", path, None).await
}

/// What a server says of its customers, events and acts.
async fn said(base: &str) -> Vec<Value> {
    let mut said = Vec::new();
    for list in [
        "customers",
        "events",
        "plans",
        "audit",
        "packages/acme/tool/releases",
    ] {
        let (status, answer) = get(base, &format!("/api/v1/{list}")).await;
        assert_eq!(status, 200, "{list}: {answer}");
        said.push(answer);
    }
    said
}

async fn copy(from: &Path, to: &SecretString, further: &[&str]) -> Output {
    let from = format!("sqlite://{}", from.display());
    let mut arguments = vec!["copy", "--from", &from, "--to", to.expose_secret()];
    arguments.extend(further);
    tollgate(&arguments, BTreeMap::new()).await
}

async fn on_target(to: &SecretString, sql: &str) {
    let mut connection = PgConnection::connect(to.expose_secret()).await.unwrap();
    let sql = AssertSqlSafe(sql.to_owned());
    connection.execute(sql).await.unwrap();
}

/// Spoils a row of copies of a target, each in another way, and looks whether that is found.
async fn spoil_copies(source: &Path, to: &SecretString) {
    // One row of each kind of damage: another text, another document, one row fewer.
    let spoiled = [
        (
            "customers",
            "UPDATE customers SET email = 'x' WHERE id = (SELECT min(id) FROM customers)",
        ),
        (
            "accounts",
            "UPDATE accounts SET kept = kept || '{\"x\": 1}' WHERE id = 'cus_1'",
        ),
        (
            "event_objects",
            "DELETE FROM event_objects WHERE ctid = (SELECT min(ctid) FROM event_objects)",
        ),
    ];
    let copied = to.expose_secret().rsplit('/').next().unwrap();
    for (table, sql) in spoiled {
        let name = format!("spoiled_{table}_{}", std::process::id());
        let to = crate::support::postgres::SHARED.create(&name, copied).await;
        on_target(&to, sql).await;
        assert_eq!(
            differing(source, &to).await,
            BTreeSet::from([table.to_owned()])
        );
    }
    let name = format!("spoiled_all_{}", std::process::id());
    let to = crate::support::postgres::SHARED.create(&name, copied).await;
    let spoiled = spoiled::spoil_each_table(&to).await;
    assert!(spoiled.len() > 15, "{spoiled:?}");
    assert_eq!(differing(source, &to).await, spoiled);
}

/// The tables in which a comparison finds the two sides to differ.
async fn differing(source: &Path, to: &SecretString) -> BTreeSet<String> {
    let compared = copy(source, to, &["--compare-only"]).await;
    assert_eq!(compared.status.code(), Some(2), "{}", out(&compared));
    let said = out(&compared);
    let differs = said.lines().filter(|line| line.contains("DIFFERS"));
    let names = differs.filter_map(|line| line.split_whitespace().next());
    names.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_store_is_served_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let to = unused_database().await;
    let source = dir.path().join("tollgate.db");
    let server = Serving::start(&settings(dir.path())).await;
    for n in 0..10 {
        buy(&server.base, n).await;
    }
    let (status, found) = get(&server.base, "/api/v1/customers/by-external/cus_3").await;
    assert_eq!(status, 200, "{found}");
    let customer = found["id"].as_str().unwrap().to_owned();
    let post = async |path: String, body: Value| {
        let (status, made) = call(&client(), &server.base, "POST", &path, Some(body)).await;
        assert!((200..300).contains(&status), "{path}: {made}");
        made
    };
    let name = json!({"name": "\\N \\t ä <b>"});
    let path = format!("/api/v1/customers/{customer}");
    let (status, named) = call(&client(), &server.base, "PATCH", &path, Some(name)).await;
    assert_eq!(status, 200, "{named}");
    let grant = json!({"package": "acme/tool", "constraint": "^2.0", "billing": "ignore"});
    post(format!("{path}/packages"), grant).await;
    let token = post(format!("{path}/tokens"), json!({"name": "laptop"})).await;
    let release = json!({"version": "2.1.0", "released_at": "2026-01-01T00:00:00.123456789Z"});
    post("/api/v1/packages/acme/tool/releases".to_owned(), release).await;
    let before = said(&server.base).await;

    let refused = copy(&source, &to, &[]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        err(&refused).contains("another process uses the source"),
        "{}",
        err(&refused)
    );
    assert!(server.terminate().success());

    let done = copy(&source, &to, &[]).await;
    assert!(done.status.success(), "{}\n{}", out(&done), err(&done));
    let told = out(&done);
    assert!(
        told.contains("every table is the same on both sides"),
        "{told}"
    );
    assert!(told.contains("TOLLGATE_SECRET_KEY"), "{told}");
    assert!(!told.contains("wait in the built-in queue"), "{told}");
    let mut target = PgConnection::connect(to.expose_secret()).await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT tablename::text FROM pg_tables
         WHERE schemaname = 'public' AND tablename <> '_sqlx_migrations'",
    )
    .fetch_all(&mut target)
    .await
    .unwrap();
    target.close().await.unwrap();
    for table in &tables {
        let row = told
            .lines()
            .any(|line| line.split_whitespace().next() == Some(table));
        assert!(row, "{table} is missing in:\n{told}");
    }

    let again = copy(&source, &to, &[]).await;
    assert_eq!(again.status.code(), Some(1));
    assert!(
        err(&again).contains("the target is not empty"),
        "{}",
        err(&again)
    );
    let compared = copy(&source, &to, &["--compare-only"]).await;
    assert!(compared.status.success(), "{}", out(&compared));
    spoil_copies(&source, &to).await;

    let mut settings = settings(&dir.path().join("moved"));
    settings.insert("DATABASE_URL".into(), to.expose_secret().into());
    let server = Serving::start(&settings).await;
    assert_eq!(said(&server.base).await, before);
    let question = format!("{}/access?package=acme/tool&version=2.1.0", server.base);
    let asked = client()
        .get(question)
        .bearer_auth(token["token"].as_str().unwrap());
    assert_eq!(asked.send().await.unwrap().status().as_u16(), 200);
    // What is new goes on behind what was copied.
    buy(&server.base, 10).await;
    let (_, events) = get(&server.base, "/api/v1/events").await;
    assert_eq!(events["data"][0]["id"], "evt_10", "{events}");
    assert!(server.terminate().success());
}

/// An embedded store with messages of some megabytes in its queue.
async fn with_messages(dir: &Path, count: i64) -> PathBuf {
    std::fs::create_dir_all(dir).unwrap();
    let made = tollgate(&["migrate"], settings(dir)).await;
    assert!(made.status.success(), "{}", err(&made));
    let path = dir.join("tollgate.db");
    let url = format!("sqlite://{}", path.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    // With a NUL, which PostgreSQL has not.
    let sql = "
        WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < $1)
        INSERT INTO messages (lane, due_at, headers, body)
        SELECT 'work', n, '{\"n\": 1e3}', char(0) || n || hex(zeroblob(500)) FROM numbers";
    sqlx::query(sql)
        .bind(count)
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    path
}

async fn copied_messages(to: &SecretString) -> i64 {
    number(to, "SELECT count(*) FROM messages").await
}

async fn number(to: &SecretString, sql: &'static str) -> i64 {
    let mut connection = PgConnection::connect(to.expose_secret()).await.unwrap();
    let number = sqlx::query_scalar(sql);
    number.fetch_one(&mut connection).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_killed_goes_on_and_is_not_served_before() {
    const COUNT: i64 = 60_000;
    let dir = tempfile::tempdir().unwrap();
    let to = unused_database().await;
    let source = with_messages(&dir.path().join("one"), COUNT).await;
    let other = with_messages(&dir.path().join("other"), 1).await;
    let mut copying = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["copy", "--from", &format!("sqlite://{}", source.display())])
        .args(["--to", to.expose_secret()])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while copied_messages(&to).await == 0 {
        assert!(started.elapsed() < PATIENCE, "nothing was copied");
    }
    copying.kill().unwrap();
    copying.wait().unwrap();
    let copied = copied_messages(&to).await;
    assert!((1..COUNT).contains(&copied), "{copied}");

    let mut served = settings(&dir.path().join("moved"));
    served.insert("DATABASE_URL".into(), to.expose_secret().into());
    let refused = tollgate(&["serve"], served).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        err(&refused).contains("a copy into this database has not ended"),
        "{}",
        err(&refused)
    );
    let refused = copy(&other, &to, &[]).await;
    let expected = format!("part of a copy of sqlite://{}", source.display());
    assert!(err(&refused).contains(&expected), "{}", err(&refused));

    let done = copy(&source, &to, &[]).await;
    assert!(done.status.success(), "{}\n{}", out(&done), err(&done));
    let goes_on = format!("messages: {copied} of {COUNT} rows");
    // The killed one may have been adding a chunk.
    let told = err(&done);
    assert!(
        told.contains("messages: ") && !told.contains("messages: 0 of"),
        "{goes_on}: {told}"
    );
    assert!(out(&done).contains(&format!("{COUNT} messages wait in the built-in queue")));
    assert_eq!(copied_messages(&to).await, COUNT);
}

#[tokio::test]
async fn mistakes_are_named_and_no_password_is_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let source = with_messages(dir.path(), 1).await;
    let from = format!("sqlite://{}", source.display());
    let to = "postgres://me:hunter2@127.0.0.1:1/none";
    let cases = [
        (to, to, "between servers with pg_dump"),
        (
            "sqlite:///nowhere/t.db",
            to,
            "there is no store at /nowhere/t.db",
        ),
        (
            "mysql://me:hunter2@db/x",
            to,
            "neither a sqlite:// nor a postgres:// address",
        ),
        (from.as_str(), from.as_str(), "with `tollgate backup`"),
        (
            from.as_str(),
            "postgres://me:hunter2@/x:y:z",
            "--to: not a URL",
        ),
        (
            from.as_str(),
            to,
            "the database does not answer or cannot be reached",
        ),
    ];
    for (from, to, expected) in cases {
        let refused = tollgate(&["copy", "--from", from, "--to", to], BTreeMap::new()).await;
        let said = err(&refused);
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains(expected), "{expected}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_waits_for_one_that_has_just_ended_and_for_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let source = with_messages(dir.path(), 1).await;
    let to = unused_database().await;
    // As the connection of another copy has it.
    let mut other = PgConnection::connect(to.expose_secret()).await.unwrap();
    let lock = format!("SELECT pg_advisory_lock({})", 0x0074_6f6c_6c63_6f70_i64);
    other.execute(AssertSqlSafe(lock)).await.unwrap();

    let refused = copy(&source, &to, &[]).await;
    assert_eq!(refused.status.code(), Some(1));
    let said = err(&refused);
    assert!(said.contains("another `tollgate copy` writes"), "{said}");

    let ends = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        other.close().await.unwrap();
    };
    let (copied, ()) = tokio::join!(copy(&source, &to, &[]), ends);
    assert!(copied.status.success(), "{}", err(&copied));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_lacks_letters_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let source = with_messages(dir.path(), 1).await;
    let name = format!("latin1_{}", std::process::id());
    let sql = format!(
        "CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    );
    SHARED.run(&sql).await;
    let to = SHARED.url(&name);
    let copied = copy(&source, &to, &[]).await;
    let mut settings = settings(&dir.path().join("there"));
    settings.insert("DATABASE_URL".into(), to.expose_secret().into());
    let migrated = tollgate(&["migrate"], settings).await;
    for refused in [copied, migrated] {
        assert_eq!(refused.status.code(), Some(1));
        let said = err(&refused);
        assert!(
            said.contains("the encoding LATIN1 of the database"),
            "{said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_the_target_does_not_take_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let source = with_messages(dir.path(), 1).await;
    // Of an app that is not there.
    let orphan = "PRAGMA foreign_keys = OFF; INSERT INTO retired_token_hashes VALUES ('x', x'00')";
    on_source(&source, orphan).await;
    let refused = copy(&source, &unused_database().await, &[]).await;
    assert_eq!(refused.status.code(), Some(1));
    let said = err(&refused);
    assert!(
        said.contains("the target does not take the table `retired_token_hashes`"),
        "{said}"
    );
}

#[tokio::test]
async fn a_target_of_another_version_is_named_and_a_comparison_makes_no_tables() {
    let dir = tempfile::tempdir().unwrap();
    let source = with_messages(dir.path(), 1).await;
    let to = empty_database().await;
    let compared = copy(&source, &to, &["--compare-only"]).await;
    assert_eq!(compared.status.code(), Some(1));
    let said = err(&compared);
    assert!(said.contains("schema is not of this version"), "{said}");
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(number(&to, tables).await, 0);

    let done = copy(&source, &to, &[]).await;
    assert!(done.status.success(), "{}", err(&done));
    let newer =
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (1000, 'next', true, '', 0)";
    on_target(&to, newer).await;
    for further in [&[][..], &["--compare-only"]] {
        let refused = copy(&source, &to, further).await;
        assert_eq!(refused.status.code(), Some(1));
        let said = err(&refused);
        assert!(
            said.contains("made by a newer tollgate: schema 1000"),
            "{said}"
        );
    }
}

async fn on_source(source: &Path, sql: &str) {
    let url = format!("sqlite://{}", source.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let sql = AssertSqlSafe(sql.to_owned());
    connection.execute(sql).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_copied_with_every_digit_or_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let source = with_messages(dir.path(), 3).await;
    let to = unused_database().await;
    let headers =
        |document: &str| format!("UPDATE messages SET headers = '{document}' WHERE seq = 2");
    for (document, why) in [
        (r#"{"n": 1e131072}"#, "a number that PostgreSQL"),
        (r#"{"n": [0.5e-20000]}"#, "a number that PostgreSQL"),
        (r#"{"n": "\ud800"}"#, "half of a surrogate pair"),
        ("{not JSON", "is not JSON"),
    ] {
        on_source(&source, &headers(document)).await;
        let refused = copy(&source, &to, &[]).await;
        let said = err(&refused);
        assert_eq!(refused.status.code(), Some(1), "{said}");
        let named = "`headers` of the row 2 of the table `messages`";
        assert!(said.contains(named) && said.contains(why), "{said}");
        assert_eq!(copied_messages(&to).await, 0);
    }
    // Nothing was begun, so that a server may still be started there.
    let mut settings = settings(&dir.path().join("there"));
    settings.insert("DATABASE_URL".into(), to.expose_secret().into());
    assert!(tollgate(&["migrate"], settings).await.status.success());
    let good = r#"{"n": [1e400, -1.5e-16382, 9007199254740993, 0.10], "é": "\ud83d\ude00"}"#;
    on_source(&source, &headers(good)).await;
    let done = copy(&source, &to, &[]).await;
    assert!(done.status.success(), "{}\n{}", out(&done), err(&done));
    let spoiled =
        "UPDATE messages SET headers = jsonb_set(headers, '{n,0}', '1e401') WHERE seq = 2";
    on_target(&to, spoiled).await;
    let compared = copy(&source, &to, &["--compare-only"]).await;
    assert_eq!(compared.status.code(), Some(2), "{}", out(&compared));
}
