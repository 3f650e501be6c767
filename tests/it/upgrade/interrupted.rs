//! Migrations that are cut short, done twice at once, or by somebody who may not.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures::future::join_all;
use secrecy::ExposeSecret;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

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

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_killed_is_done_by_the_next() {
    let place = of_the_version_before(Engine::Postgres).await;
    let mut held = PgConnection::connect(&place.url()).await.unwrap();
    // Somebody writes to a table that it refers to: it stops in the middle.
    held.execute("BEGIN; LOCK TABLE apps IN ROW EXCLUSIVE MODE")
        .await
        .unwrap();
    let mut killed = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .arg("migrate")
        .env_clear()
        .envs(settings(&place.url()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let waits = "SELECT COUNT(*) FROM pg_locks WHERE NOT granted AND relation = 'apps'::regclass";
    let started = Instant::now();
    while place.count("", waits).await == 0 {
        assert!(started.elapsed() < PATIENCE, "it waits for nothing");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
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
