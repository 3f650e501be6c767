//! Migrations that are cut short, done twice at once, or by somebody who may not.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures::future::join_all;
use secrecy::ExposeSecret;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Sqlite, Transaction};

use super::of_the_version_before;
use crate::support::postgres::{SHARED, empty_database};
use crate::support::program::{Settings, err, out, tollgate, with};
use crate::support::stores::{Engine, Place, on_both_stores};
use crate::support::{PATIENCE, SECRET_KEY};

fn settings(url: &str) -> Settings {
    let changed = [("DATABASE_URL", url), ("TOLLGATE_SECRET_KEY", SECRET_KEY)];
    with(std::path::Path::new("/nowhere"), &changed)
}

async fn done(place: &Place) -> i64 {
    let sql = "SELECT COUNT(*) FROM _sqlx_migrations";
    place.count(sql, sql).await
}

async fn some_at_once_wait_for_each_other(engine: Engine) {
    let place = of_the_version_before(engine).await;
    let settings = settings(&place.url());
    let migrate = || tollgate(&["migrate"], settings.clone());
    for output in join_all((0..6).map(|_| migrate())).await {
        assert!(output.status.success(), "{}", err(&output));
        assert!(out(&output).contains("the schema is up to date"));
    }
    assert_eq!(done(&place).await, 2);
}

on_both_stores! { some_at_once_wait_for_each_other }

/// `tollgate migrate`, under way.
fn begun(place: &Place) -> Child {
    Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .arg("migrate")
        .env_clear()
        .envs(settings(&place.url()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Whether it went well, and what it said.
async fn ended(child: Child) -> (bool, String) {
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    let output = output.await.unwrap();
    (output.status.success(), out(&output) + &err(&output))
}

/// Waits until this is so; it is a defect if it never is.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Somebody who writes to a table that the next migration refers to, which stops in the middle.
async fn writer(place: &Place) -> PgConnection {
    let mut held = PgConnection::connect(&place.url()).await.unwrap();
    held.execute("BEGIN; LOCK TABLE apps IN ROW EXCLUSIVE MODE")
        .await
        .unwrap();
    held
}

/// Locks that somebody waits for, in this database: of the table, and of whoever migrates.
const WAITS: &str =
    "SELECT COUNT(*) FROM pg_locks WHERE NOT granted AND relation = 'apps'::regclass";
const WAITS_FOR_ANOTHER: &str = "SELECT COUNT(*) FROM pg_locks \
     JOIN pg_database ON pg_database.oid = pg_locks.database \
     WHERE NOT granted AND locktype = 'advisory' AND datname = current_database()";

#[tokio::test(flavor = "multi_thread")]
async fn the_second_of_two_waits_for_the_first_on_a_server() {
    let place = of_the_version_before(Engine::Postgres).await;
    let mut held = writer(&place).await;
    let first = begun(&place);
    until("the first waits for nothing", async || {
        place.count("", WAITS).await == 1
    })
    .await;
    let second = begun(&place);
    until("the second does not wait for the first", async || {
        place.count("", WAITS_FOR_ANOTHER).await == 1
    })
    .await;
    // It has not begun anything: one alone waits for the table.
    assert_eq!(place.count("", WAITS).await, 1);
    assert_eq!(done(&place).await, 1);
    held.execute("COMMIT").await.unwrap();
    for child in [first, second] {
        let (good, said) = ended(child).await;
        assert!(good && said.contains("the schema is up to date"), "{said}");
    }
    assert_eq!(done(&place).await, 2);
}

/// A migration of a file that has done everything and not committed it.
async fn under_way(place: &Place) -> Transaction<'static, Sqlite> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let one = SqlitePoolOptions::new().max_connections(1);
    let options: SqliteConnectOptions = place.url().parse().unwrap();
    // As every store is.
    let options = options.journal_mode(SqliteJournalMode::Wal);
    let file = one.connect_with(options).await.unwrap();
    let mut first = file.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let migrator = Migrator::new(folder).await.unwrap();
    migrator.run_direct(None, &mut *first, false).await.unwrap();
    first
}

/// Whether a thread of a process sleeps, as SQLite does while it waits for a lock; those of the runtime wait for
/// events.
fn sleeps(child: &Child) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
    threads
        .map(|it| it.unwrap().path().join("wchan"))
        .any(|it| std::fs::read_to_string(it).is_ok_and(|it| it.contains("nanosleep")))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_of_two_waits_for_the_first_on_a_file() {
    // What the first has done counts if it commits, and is done by the second if it was killed.
    for commits in [true, false] {
        let place = of_the_version_before(Engine::Sqlite).await;
        let first = under_way(&place).await;
        let second = begun(&place);
        until("the second does not wait", async || sleeps(&second)).await;
        assert_eq!(done(&place).await, 1, "nothing is to be seen of the first");
        if commits {
            first.commit().await.unwrap();
        } else {
            first.rollback().await.unwrap();
        }
        let (good, said) = ended(second).await;
        assert!(
            good && said.contains("the schema is up to date"),
            "{commits}: {said}"
        );
        assert_eq!(done(&place).await, 2, "{commits}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_of_two_on_a_file_gives_up_by_name_after_a_while() {
    let place = of_the_version_before(Engine::Sqlite).await;
    let first = under_way(&place).await;
    let (good, said) = ended(begun(&place)).await;
    assert!(!good, "{said}");
    assert!(said.contains("somebody else holds a lock"), "{said}");
    first.commit().await.unwrap();
    let (good, said) = ended(begun(&place)).await;
    assert!(good, "{said}");
    assert_eq!(done(&place).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_killed_is_done_by_the_next() {
    let place = of_the_version_before(Engine::Postgres).await;
    let mut held = writer(&place).await;
    let mut killed = begun(&place);
    until("it waits for nothing", async || {
        place.count("", WAITS).await == 1
    })
    .await;
    killed.kill().unwrap();
    killed.wait().unwrap();
    held.execute("COMMIT").await.unwrap();
    let next = tollgate(&["migrate"], settings(&place.url())).await;
    assert!(next.status.success(), "{}", err(&next));
    assert_eq!(done(&place).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_not_is_told_what_he_lacks() {
    let to = empty_database().await;
    let owner = to.expose_secret();
    let role = format!("reader_{}", std::process::id());
    SHARED.run(&format!("CREATE ROLE {role} LOGIN")).await;
    let reader = owner.replace("postgres@", &format!("{role}@"));
    assert_ne!(reader, owner);
    let lacks = "the database's user may not do that";
    let refused = tollgate(&["migrate"], settings(&reader)).await;
    let said = err(&refused);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(
        said.contains(lacks) && said.contains("schema public"),
        "{said}"
    );

    let migrated = tollgate(&["migrate"], settings(owner)).await;
    assert!(migrated.status.success(), "{}", err(&migrated));
    let mut connection = PgConnection::connect(owner).await.unwrap();
    for granted in ["", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO "] {
        if !granted.is_empty() {
            let sql = AssertSqlSafe(format!("{granted}{role}"));
            connection.execute(sql).await.unwrap();
        }
        let checked = tollgate(&["check-config", "--connect"], settings(&reader)).await;
        let said = out(&checked) + &err(&checked);
        assert_eq!(checked.status.code(), Some(1), "{said}");
        assert!(said.contains(lacks), "{said}");
    }
    connection
        .execute(AssertSqlSafe(format!("DROP OWNED BY {role}")))
        .await
        .unwrap();
    SHARED.run(&format!("DROP ROLE {role}")).await;
}
