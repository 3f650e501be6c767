//! The measured programs: processes of their own, so that none shares a runtime with the load.

use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::rows::customers;
use crate::support::rabbitmq;
use crate::{Side, event};

/// Starts a program and kills it, by its id, at the end of its own standard input, which comes
/// in whatever way this process ends. Ends with it, if it ends by itself.
const GUARD: &str = r#"exec 3<&0; "$0" "$@" </dev/null & program=$!
    { cat <&3 >/dev/null; kill -9 $program; } & wait $program; kill $!"#;

/// 32 bytes in base64.
const KEY: &str = "QkVOQ0gtb25seS1iZW5jaC1vbmx5LTMyLWJ5dGVzLi4=";

/// The time for the broker to see the end of a consumer whose process was killed.
const CLAIM_TIME: Duration = Duration::from_secs(30);

/// The owner's.
pub(crate) const ADMIN_TOKEN: &str = "owner-of-everything-in-benches";

/// What is run for a side.
fn executable(side: Side) -> OsString {
    match side {
        Side::Ours => env!("CARGO_BIN_EXE_tollgate").into(),
        Side::Before => std::env::var_os("BEFORE").unwrap(),
        Side::Bare => std::env::current_exe().unwrap().into(),
    }
}

/// Gives a database the schema of a side's build.
pub(crate) fn migrate(side: Side, database: &SecretString) {
    let migrated = Command::new(executable(side))
        .arg("migrate")
        .env("TOLLGATE_SECRET_KEY", KEY)
        .env("DATABASE_URL", database.expose_secret())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(migrated.success(), "{} migrate: {migrated}", side.prefix());
}

/// Makes a side's queues those of this database: each row has one of its own. Waits until the broker has seen
/// the end of the consumers of the row before. A build that knows no owner of queues does not know the command
/// either.
fn claim_queues(side: Side, folder: &Path, database: &SecretString, broker: &str) {
    if database.expose_secret().starts_with("sqlite:") {
        // The command asks for a store that is there.
        migrate(side, database);
    }
    let began = Instant::now();
    loop {
        let claimed = Command::new(executable(side))
            .arg("claim-queues")
            .env("TOLLGATE_DATA_DIR", folder)
            .env("TOLLGATE_SECRET_KEY", KEY)
            .env("TOLLGATE_AMQP_PREFIX", side.prefix())
            .env("AMQP_URL", broker)
            .env("DATABASE_URL", database.expose_secret())
            .output()
            .unwrap();
        if claimed.status.success() || matches!(side, Side::Before) {
            return;
        }
        let said = String::from_utf8_lossy(&claimed.stderr);
        let may_pass = said.contains("is consumed") && began.elapsed() < CLAIM_TIME;
        assert!(may_pass, "claim-queues: {said}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A running program. Ends when it is dropped.
pub(crate) struct Program {
    guard: Child,
    pub(crate) address: SocketAddr,
    name: String,
    folder: TempDir,
}

impl Program {
    /// `tollgate serve` in some roles, or the bare program of a role: this executable again.
    pub(crate) fn start(side: Side, roles: &[&str], database: &SecretString) -> Self {
        let broker = Some(rabbitmq::shared().url());
        Self::start_with(side, roles, database, broker, customers())
    }

    /// The same, where each event is of a customer of its own.
    pub(crate) fn start_for_new(side: Side, roles: &[&str], database: &SecretString) -> Self {
        let broker = Some(rabbitmq::shared().url());
        Self::start_with(side, roles, database, broker, usize::MAX >> 1)
    }

    /// One without a broker: ours with all roles.
    pub(crate) fn embedded(side: Side, database: &SecretString) -> Self {
        let roles: &[&str] = match side {
            Side::Ours | Side::Before => &[],
            Side::Bare => &["embedded"],
        };
        Self::start_with(side, roles, database, None, customers())
    }

    fn start_with(
        side: Side,
        roles: &[&str],
        database: &SecretString,
        broker: Option<String>,
        customers: usize,
    ) -> Self {
        let command = match side {
            Side::Ours | Side::Before => "serve",
            Side::Bare => "bare",
        };
        let folder = tempfile::tempdir().unwrap();
        if let (Side::Ours | Side::Before, Some(url)) = (side, &broker) {
            claim_queues(side, folder.path(), database, url);
        }
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        let guard = Command::new("sh")
            .args(["-c", GUARD])
            .arg(executable(side))
            .arg(command)
            .args(roles.iter().flat_map(|role| ["--role", role]))
            .env("TOLLGATE_LISTEN", address.to_string())
            .env("TOLLGATE_DATA_DIR", folder.path())
            .env("TOLLGATE_SECRET_KEY", KEY)
            .env("TOLLGATE_AMQP_PREFIX", side.prefix())
            .env_remove("AMQP_URL")
            .envs(broker.map(|url| ("AMQP_URL", url)))
            .env("DATABASE_URL", database.expose_secret())
            .env("STRIPE_WEBHOOK_SECRET", event::SECRET)
            .env("STRIPE_PRICE_MAPPING", event::PRICES)
            .env("ADMIN_TOKEN", ADMIN_TOKEN)
            .env("TOLLGATE_HOOKS_PRIVATE", "on")
            .env("BENCH_CUSTOMERS", customers.to_string())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            guard,
            address,
            name: format!("{} {}", side.prefix(), roles.join(" and ")),
            folder,
        }
    }

    /// Waits until it takes connections.
    pub(crate) async fn until_listening(&mut self) {
        while TcpStream::connect(self.address).await.is_err() {
            self.assert_running();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until it says that it can do its work: a worker consumes then.
    pub(crate) async fn until_ready(&mut self) {
        self.until_listening().await;
        let url = format!("http://{}/readyz", self.address);
        while !(reqwest::get(&url).await).is_ok_and(|answer| answer.status().is_success()) {
            self.assert_running();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends the measurement, with what the program said last, if it has ended.
    pub(crate) fn assert_running(&mut self) {
        let ended = self.guard.try_wait().unwrap().is_some();
        assert!(!ended, "{} ended: {}", self.name, self.last_words());
    }

    /// A figure of its memory in MiB: `VmRSS` now, `VmHWM` at the most.
    pub(crate) fn memory(&self, figure: &str) -> f64 {
        let status = self.proc("status");
        let mut lines = status.lines().filter_map(|line| line.strip_prefix(figure));
        let kib = lines
            .next()
            .unwrap()
            .trim_matches([':', '\t', ' ', 'k', 'B']);
        kib.parse::<f64>().unwrap() / 1024.0
    }

    /// The processor time that all of its threads have taken since it began, in microseconds.
    pub(crate) fn processor_micros(&self) -> f64 {
        let stat = self.proc("stat");
        // Behind the name, which may hold anything, `utime` and `stime` are the twelfth and the thirteenth
        // field, in hundredths of a second. proc_pid_stat(5)
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks = ticks.map(|it| it.parse::<f64>().unwrap()).sum::<f64>();
        ticks * 10_000.0
    }

    /// A file that the system keeps about it.
    fn proc(&self, file: &str) -> String {
        let guard = self.guard.id();
        let children = format!("/proc/{guard}/task/{guard}/children");
        let children = std::fs::read_to_string(children).unwrap();
        // The guard's other child waits for the end of its input.
        let program = children.split_whitespace().next().unwrap();
        std::fs::read_to_string(format!("/proc/{program}/{file}")).unwrap()
    }

    /// The end of its log.
    pub(crate) fn last_words(&self) -> String {
        let log = std::fs::read(self.folder.path().join("log")).unwrap();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// The processor time that everything on this machine has taken since it started, in microseconds.
pub(crate) fn machine_micros() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap();
    let all = stat.lines().next().unwrap().split_whitespace().skip(1);
    let ticks = all.map(|it| it.parse::<f64>().unwrap());
    // In user mode, niced, in the kernel; then idle and waiting for a disk, which are idleness; then
    // interrupts. What follows was of other machines, or is in the first two already. proc_stat(5)
    let busy = ticks
        .take(7)
        .enumerate()
        .filter(|(index, _)| ![3, 4].contains(index));
    busy.map(|(_, ticks)| ticks).sum::<f64>() * 10_000.0
}

/// The binaries of this build's profiles that are there, with their sizes in MiB.
pub(crate) fn sizes() -> Vec<(&'static str, f64)> {
    let target = std::path::Path::new(env!("CARGO_BIN_EXE_tollgate"));
    let target = target.parent().and_then(std::path::Path::parent).unwrap();
    let size = |profile: &'static str| {
        let file = std::fs::metadata(target.join(profile).join("tollgate")).ok()?;
        let kib = u32::try_from(file.len() / 1024).ok()?;
        Some((profile, f64::from(kib) / 1024.0))
    };
    ["dist", "release"].into_iter().filter_map(size).collect()
}
