//! The same tests on both stores.

use secrecy::{ExposeSecret, SecretString};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use tempfile::TempDir;
use tollgate::domain::time::Timestamp;
use tollgate::store::Store;

use super::postgres;

/// Which store a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// Makes two tests of each named function: one on each store. A function that is not named is
/// dead code, which the compiler tells.
macro_rules! on_both_stores {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(crate::support::stores::Engine::Sqlite).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(crate::support::stores::Engine::Postgres).await;
            })+
        }
    };
}
pub(crate) use on_both_stores;

/// Where a test's rows are.
pub(crate) enum Place {
    /// A file in this folder.
    Folder(TempDir),
    /// A database of the shared server.
    Server(SecretString),
}

impl Place {
    pub(crate) async fn new(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => Self::Folder(tempfile::tempdir().unwrap()),
            Engine::Postgres => Self::Server(postgres::database().await),
        }
    }

    /// `DATABASE_URL`.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Folder(folder) => format!("sqlite://{}/t.db", folder.path().display()),
            Self::Server(url) => url.expose_secret().to_owned(),
        }
    }

    /// A store of its own over these rows, as another process would have it.
    pub(crate) async fn open(&self) -> Store {
        match self {
            Self::Folder(folder) => {
                let store = Store::open_sqlite(&folder.path().join("t.db"))
                    .await
                    .unwrap();
                store.migrate().await.unwrap();
                store
            }
            Self::Server(url) => Store::open_postgres(url).unwrap(),
        }
    }

    /// A store for another worker on these rows: of another process, but with the embedded store,
    /// which one process serves, the same.
    pub(crate) async fn of_another_worker(&self, store: &Store) -> Store {
        match self {
            Self::Folder(_) => store.clone(),
            Self::Server(_) => self.open().await,
        }
    }

    /// For the next test that wants an empty store: to make and remove a database takes longer
    /// than to empty one. To be called when nobody uses it any more.
    pub(crate) fn give_back(self) {
        match self {
            Self::Folder(_) => {}
            Self::Server(url) => postgres::give_back(url),
        }
    }

    /// Counts rows behind the store's back.
    pub(crate) async fn count(&self, sqlite: &str, postgres: &str) -> i64 {
        let url = self.url();
        match self {
            Self::Folder(_) => {
                let mut connection = SqliteConnection::connect(&url).await.unwrap();
                let sql = AssertSqlSafe(sqlite.to_owned());
                let counted = sqlx::query_scalar(sql).fetch_one(&mut connection);
                counted.await.unwrap()
            }
            Self::Server(_) => {
                let mut connection = PgConnection::connect(&url).await.unwrap();
                let sql = AssertSqlSafe(postgres.to_owned());
                let counted = sqlx::query_scalar(sql).fetch_one(&mut connection);
                counted.await.unwrap()
            }
        }
    }

    /// The texts that a query of one column finds, behind the store's back.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        let (url, sql) = (self.url(), AssertSqlSafe(sql.to_owned()));
        match self {
            Self::Folder(_) => {
                let mut connection = SqliteConnection::connect(&url).await.unwrap();
                let rows = sqlx::query_scalar(sql).fetch_all(&mut connection).await;
                rows.unwrap()
            }
            Self::Server(_) => {
                let mut connection = PgConnection::connect(&url).await.unwrap();
                let rows = sqlx::query_scalar(sql).fetch_all(&mut connection).await;
                rows.unwrap()
            }
        }
    }

    /// Every column, with its table and a dot before it.
    pub(crate) async fn columns(&self) -> Vec<String> {
        let columns = match self {
            Self::Folder(_) => {
                "SELECT tables.name || '.' || columns.name \
                 FROM sqlite_schema AS tables \
                 JOIN pragma_table_info(tables.name) AS columns \
                 WHERE tables.type = 'table'"
            }
            Self::Server(_) => {
                "SELECT table_name || '.' || column_name \
                 FROM information_schema.columns WHERE table_schema = 'public'"
            }
        };
        self.texts(columns).await
    }

    /// Everything that stands in any column of any table, with its place.
    pub(crate) async fn contents(&self) -> Vec<(String, Vec<u8>)> {
        let mut contents = Vec::new();
        match self {
            Self::Folder(_) => {
                let mut connection = SqliteConnection::connect(&self.url()).await.unwrap();
                for place in self.columns().await {
                    let (table, column) = place.split_once('.').unwrap();
                    let sql = format!(
                        "SELECT CAST(\"{column}\" AS BLOB) FROM \"{table}\" \
                         WHERE \"{column}\" IS NOT NULL"
                    );
                    let cells = sqlx::query_scalar(AssertSqlSafe(sql));
                    let cells: Vec<Vec<u8>> = cells.fetch_all(&mut connection).await.unwrap();
                    contents.extend(cells.into_iter().map(|cell| (place.clone(), cell)));
                }
            }
            Self::Server(_) => {
                let mut connection = PgConnection::connect(&self.url()).await.unwrap();
                for place in self.columns().await {
                    let (table, column) = place.split_once('.').unwrap();
                    let sql = format!(
                        "SELECT CASE WHEN pg_typeof(\"{column}\")::text = 'bytea' \
                         THEN decode(substr(\"{column}\"::text, 3), 'hex') \
                         ELSE convert_to(\"{column}\"::text, 'UTF8') END \
                         FROM \"{table}\" WHERE \"{column}\" IS NOT NULL"
                    );
                    let cells = sqlx::query_scalar(AssertSqlSafe(sql));
                    let cells: Vec<Vec<u8>> = cells.fetch_all(&mut connection).await.unwrap();
                    contents.extend(cells.into_iter().map(|cell| (place.clone(), cell)));
                }
            }
        }
        contents
    }

    /// The bytes of the files of an embedded store; none of a server's, which are its own.
    pub(crate) fn file_bytes(&self) -> Vec<u8> {
        let Self::Folder(folder) = self else {
            return Vec::new();
        };
        let files = std::fs::read_dir(folder.path()).unwrap();
        let bytes = files.map(|file| std::fs::read(file.unwrap().path()).unwrap());
        bytes.flatten().collect()
    }

    /// Runs a statement behind the store's back.
    pub(crate) async fn run(&self, sqlite: &str, postgres: &str) {
        let sql = match self {
            Self::Folder(_) => sqlite,
            Self::Server(_) => postgres,
        };
        self.try_run(sql).await.unwrap();
    }

    /// The same for a statement that both engines understand; what they say against it.
    pub(crate) async fn try_run(&self, sql: &str) -> Result<(), String> {
        let (url, sql) = (self.url(), AssertSqlSafe(sql.to_owned()));
        let done = match self {
            Self::Folder(_) => {
                let mut connection = SqliteConnection::connect(&url).await.unwrap();
                connection.execute(sql).await.map(|_| ())
            }
            Self::Server(_) => {
                let mut connection = PgConnection::connect(&url).await.unwrap();
                connection.execute(sql).await.map(|_| ())
            }
        };
        done.map_err(|error| error.to_string())
    }
}

/// A store with the app `default` and nothing else.
pub(crate) struct TestStore {
    pub(crate) store: Store,
    pub(crate) place: Place,
}

impl TestStore {
    pub(crate) async fn new(engine: Engine, now: Timestamp) -> Self {
        Self::over(Place::new(engine).await, now).await
    }

    pub(crate) async fn over(place: Place, now: Timestamp) -> Self {
        let store = place.open().await;
        let mut tx = store.begin().await.unwrap();
        tx.app_ensure_default(now).await.unwrap();
        tx.commit().await.unwrap();
        Self { store, place }
    }
}
