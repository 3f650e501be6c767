//! PostgreSQL for tests: one server for the whole test process, a database for each test.
//!
//! The server belongs to a small shell that waits for the end of its standard input. However
//! the test process ends, the pipe closes, and the shell ends the server and removes its folder.

use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::sync::OnceCell;
use tollgate::store::Store;

const INSTALL: &str = "tests need PostgreSQL 15 or newer: \
                       apt-get install -y --no-install-recommends postgresql-15";

/// How long the server may take to start on a busy machine; usually a second.
const PATIENCE: Duration = Duration::from_mins(1);

/// Makes a cluster, runs it, and ends it with its own standard input. `stop` kills the server as
/// a crash would; `start` starts it again. `initdb` and `postgres` refuse to run as root.
const GUARD: &str = r#"
trap '' INT TERM HUP
as=
if [ "$(id -u)" = 0 ]; then
    as='setpriv --reuid=postgres --regid=postgres --init-groups'
    chown postgres "$FOLDER"
fi
start() {
    $as "$BIN/postgres" -D "$FOLDER/data" < /dev/null >> "$FOLDER/log" 2>&1 &
    pid=$!
}
$as "$BIN/initdb" -D "$FOLDER/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync \
    < /dev/null >> "$FOLDER/log" 2>&1
cat "$FOLDER/settings" >> "$FOLDER/data/postgresql.conf"
start
while read -r word; do
    case $word in
        stop) kill -QUIT "$pid"; wait "$pid" ;;
        start) start ;;
    esac
done
kill -QUIT "$pid"
wait "$pid"
# The last of its processes may write for a moment after it.
for i in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$FOLDER" && exit; sleep 0.2; done
"#;

/// A server of its own, for tests that crash it. Ends when it is dropped.
pub(crate) struct Cluster {
    guard: Child,
    orders: Option<ChildStdin>,
    folder: PathBuf,
    port: u16,
}

impl Cluster {
    /// Starts a server and waits until it answers.
    pub(crate) fn start() -> Self {
        Self::start_in(&std::env::temp_dir(), "")
    }

    /// The same with its files below `parent`, which the user `postgres` must be able to reach,
    /// and with further settings.
    pub(crate) fn start_in(parent: &Path, further: &str) -> Self {
        let bin = binaries();
        let folder = folder(parent);
        let port = quiet_port();
        // Nothing here outlives the test, so nothing is forced to the disk. Statistics that come
        // when they come would change which index a small table is read by.
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nport = {port}\n\
             max_connections = 300\nfsync = off\nfull_page_writes = off\n\
             autovacuum = off\n\
             deadlock_timeout = 100ms\nlog_line_prefix = '%d %p '\n{further}"
        );
        std::fs::write(folder.join("settings"), settings).unwrap();
        let mut guard = Command::new("sh")
            .args(["-c", GUARD])
            .env("BIN", bin)
            .env("FOLDER", &folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("guard")).unwrap())
            .spawn()
            .unwrap();
        let orders = guard.stdin.take();
        let cluster = Self {
            guard,
            orders,
            folder,
            port,
        };
        cluster.wait_until_ready();
        cluster
    }

    /// Kills the server as a crash would.
    pub(crate) fn stop(&mut self) {
        self.order("stop\n");
        let started = Instant::now();
        while self.accepts() {
            assert!(started.elapsed() < PATIENCE, "the server did not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts the server again.
    pub(crate) fn start_again(&mut self) {
        self.order("start\n");
        self.wait_until_ready();
    }

    /// Lets a server that was stopped come back as a standby, which takes no writes until it is promoted.
    pub(crate) fn stand_by(&self) {
        std::fs::write(self.folder.join("data/standby.signal"), "").unwrap();
    }

    /// Starts the server again if it has ended by itself, as it does on a full disk.
    pub(crate) fn revive(&mut self) {
        if !self.accepts() {
            // Also reaps the one that ended: until then its lock file counts.
            self.stop();
            self.start_again();
        }
    }

    /// The server and its processes, the server first.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let text = std::fs::read_to_string(self.folder.join("data/postmaster.pid"));
        let first = text.ok().and_then(|it| it.lines().next()?.parse().ok());
        // The file may be left of one that was killed, whose number somebody else has now.
        let is_ours = |pid: &u32| {
            let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline"));
            line.is_ok_and(|it| it.contains(&self.folder.display().to_string()))
        };
        let Some(server) = first.filter(is_ours) else {
            return Vec::new();
        };
        let mut pids = vec![server];
        pids.extend(children(server));
        pids
    }

    fn order(&mut self, word: &str) {
        let orders = self.orders.as_mut().unwrap();
        orders.write_all(word.as_bytes()).unwrap();
        orders.flush().unwrap();
    }

    fn accepts(&self) -> bool {
        std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
    }

    /// The last line of a start-up's log is not enough: the server must let somebody in.
    fn wait_until_ready(&self) {
        let started = Instant::now();
        let bin = binaries();
        let port = self.port.to_string();
        let ready = || {
            let mut ask = Command::new(bin.join("pg_isready"));
            ask.args(["-q", "-h", "127.0.0.1", "-p", &port, "-U", "postgres"]);
            ask.status().is_ok_and(|status| status.success())
        };
        while !ready() {
            let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(
                started.elapsed() < PATIENCE,
                "PostgreSQL did not start:\n{log}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self, database: &str) -> SecretString {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port).into()
    }

    /// A new database, empty or a copy of another.
    pub(crate) async fn create(&self, name: &str, template: &str) -> SecretString {
        let sql = format!("CREATE DATABASE {name} TEMPLATE {template}");
        self.run(&sql).await;
        self.url(name)
    }

    /// The entries of the server's log, of one database; each begins with the number of its
    /// connection.
    pub(crate) fn log(&self, database: &str) -> Vec<String> {
        let log = std::fs::read(self.folder.join("log")).unwrap();
        // The further lines of an entry begin with a tab.
        let log = String::from_utf8_lossy(&log).replace("\n\t", " ");
        let prefix = format!("{database} ");
        let lines = log.lines().filter_map(|line| line.strip_prefix(&prefix));
        lines.map(str::to_owned).collect()
    }

    pub(crate) async fn run(&self, sql: &str) {
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", self.port);
        let mut connection = PgConnection::connect(&url).await.unwrap();
        connection
            .execute(AssertSqlSafe(sql.to_owned()))
            .await
            .unwrap();
        connection.close().await.unwrap();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.guard.wait();
    }
}

/// The server that the tests share. A static is never dropped: its pipe ends with the process.
pub(crate) static SHARED: LazyLock<Cluster> = LazyLock::new(Cluster::start);
static TEMPLATE: OnceCell<()> = OnceCell::const_new();

/// Databases that tests have given back.
static FREE: Mutex<Vec<SecretString>> = Mutex::new(Vec::new());

/// Ends the connections that are left, removes all rows and forgets what was counted.
const EMPTY: &str = "DO $$ BEGIN \
    PERFORM pg_stat_reset(); \
    PERFORM pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
    WHERE datname = current_database() AND pid <> pg_backend_pid(); \
    EXECUTE (SELECT 'TRUNCATE ' || string_agg(format('%I', tablename), ', ') \
    || ' RESTART IDENTITY' FROM pg_tables \
    WHERE schemaname = 'public' AND tablename <> '_sqlx_migrations'); END $$";

pub(crate) fn give_back(url: SecretString) {
    FREE.lock().unwrap().push(url);
}

/// A database of its own with the present schema and no rows; its URL.
pub(crate) async fn database() -> SecretString {
    let free = FREE.lock().unwrap().pop();
    if let Some(url) = free {
        let mut connection = PgConnection::connect(url.expose_secret()).await.unwrap();
        connection.execute(EMPTY).await.unwrap();
        connection.close().await.unwrap();
        return url;
    }
    unused_database().await
}

/// The same, and nobody had it before: emptied tables leave traces in the planner's figures.
pub(crate) async fn unused_database() -> SecretString {
    TEMPLATE
        .get_or_init(|| async {
            let url = SHARED.create("template_of_tests", "template0").await;
            let store = Store::open_postgres(&url).unwrap();
            store.migrate().await.unwrap();
            store.close().await;
        })
        .await;
    SHARED.create(&fresh_name(), "template_of_tests").await
}

/// A database of its own without any schema; its URL.
pub(crate) async fn empty_database() -> SecretString {
    SHARED.create(&fresh_name(), "template0").await
}

fn fresh_name() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Where the server's programs are; Debian keeps them off the path.
fn binaries() -> &'static Path {
    static FOUND: LazyLock<PathBuf> = LazyLock::new(|| {
        let versions = std::fs::read_dir("/usr/lib/postgresql").expect(INSTALL);
        let version = |entry: std::io::Result<std::fs::DirEntry>| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            name.parse::<u32>().ok()
        };
        let newest = versions.filter_map(version).max().unwrap_or_default();
        assert!(newest >= 15, "{INSTALL}");
        PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin"))
    });
    &FOUND
}

/// A folder that the user `postgres` can reach.
fn folder(parent: &Path) -> PathBuf {
    let folder = tempfile::Builder::new()
        .prefix("tollgate-postgres-")
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir_in(parent)
        .unwrap();
    folder.keep()
}

/// The processes that a process has started.
fn children(parent: u32) -> Vec<u32> {
    let is_child = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name, in parentheses, may hold blanks; the state and the parent follow it.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        after_name.split_whitespace().nth(1) == Some(&parent.to_string())
    };
    let entries = std::fs::read_dir("/proc").unwrap();
    let pids = entries.filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(is_child).collect()
}

/// A port below those that the kernel hands out to clients, so that nobody takes it while the
/// server is down.
fn quiet_port() -> u16 {
    static TAKEN: Mutex<u16> = Mutex::new(0);
    let mut taken = TAKEN.lock().unwrap();
    let first = 10_000 + u16::try_from(std::process::id() % 9_000).unwrap();
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    *taken = (first.max(*taken + 1)..20_000).find(free).unwrap();
    *taken
}
