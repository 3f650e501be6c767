//! The roles as processes, and who ends everything if this process cannot.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// How long a process that ended by itself stays down, as under a service manager.
const RESTART: Duration = Duration::from_secs(1);

/// One process of the program.
pub(crate) struct Process {
    /// For people, and for the names of its files.
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    /// Where it tells its health: a flood of webhooks must not keep anybody from asking.
    pub(crate) health_port: u16,
    /// How often it ended by itself and was started again.
    pub(crate) restarts: u32,
    arguments: Vec<&'static str>,
    folder: PathBuf,
    child: Option<Child>,
    ended: Option<Instant>,
    wanted: bool,
}

impl Process {
    /// Prepares a process of one role, or of all.
    pub(crate) fn new(name: &'static str, role: Option<&'static str>, folder: &Path) -> Self {
        let mut arguments = vec!["serve"];
        arguments.extend(role.iter().flat_map(|role| ["--role", role]));
        Self {
            name,
            port: quiet_port(),
            health_port: quiet_port(),
            restarts: 0,
            arguments,
            folder: folder.to_owned(),
            child: None,
            ended: None,
            wanted: false,
        }
    }

    /// Starts it, unless it runs.
    pub(crate) fn start(&mut self, settings: &BTreeMap<OsString, OsString>) {
        self.wanted = true;
        if self.child.is_some() {
            return;
        }
        let path = self.folder.join(format!("{}.log", self.name));
        let log = File::options().create(true).append(true).open(path);
        let log = log.unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(&self.arguments)
            .env_clear()
            .envs(settings)
            .env("TOLLGATE_LISTEN", format!("127.0.0.1:{}", self.port))
            // What buys nothing counts nowhere, and every customer would be active.
            .env("STRIPE_PRICE_MAPPING", r#"{"price_basic": ["acme/tool"]}"#)
            .env(
                "TOLLGATE_OPS_LISTEN",
                format!("127.0.0.1:{}", self.health_port),
            )
            // An interrupt at the terminal leaves it to this process, or to the watchdog.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        std::fs::write(self.pid_file(), child.id().to_string()).unwrap();
        self.child = Some(child);
    }

    /// Starts it again if it should run and has ended a moment ago.
    pub(crate) fn tend(&mut self, settings: &BTreeMap<OsString, OsString>) {
        if let Some(child) = &mut self.child
            && child.try_wait().unwrap().is_some()
        {
            self.forget();
            self.ended = Some(Instant::now());
        }
        let rested = self.ended.is_some_and(|at| at.elapsed() >= RESTART);
        if self.wanted && self.child.is_none() && rested {
            self.restarts += 1;
            self.start(settings);
        }
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.wanted = false;
        if let Some(child) = &mut self.child {
            child.kill().unwrap();
            child.wait().unwrap();
            self.forget();
        }
    }

    /// `SIGSTOP`, or `SIGCONT`.
    pub(crate) fn signal(&self, signal: &str) {
        if let Some(child) = &self.child {
            send(signal, &[child.id()]);
        }
    }

    fn forget(&mut self) {
        if let Some(child) = self.child.take() {
            // faketime leaves these when its process is killed.
            for kind in ["faketime_shm", "sem.faketime_sem"] {
                let _ = std::fs::remove_file(format!("/dev/shm/{kind}_{}", child.id()));
            }
        }
        // Its number may be another process's by the time the watchdog looks.
        let _ = std::fs::remove_file(self.pid_file());
    }

    fn pid_file(&self) -> PathBuf {
        self.folder.join(format!("{}.child", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal to processes of ours; those that are gone are passed over.
pub(crate) fn send(signal: &str, pids: &[u32]) {
    for pid in pids {
        let mut kill = Command::new("kill");
        kill.args([format!("-{signal}"), pid.to_string()]);
        let _ = kill.stderr(Stdio::null()).status();
    }
}

/// A shell that waits for the end of its standard input, which comes in whatever way this
/// process ends. Then it kills the processes whose numbers are in the folder's `*.child`,
/// unmounts what its `mounts` names, and removes the folder.
pub(crate) struct Watchdog(Child);

impl Watchdog {
    pub(crate) fn over(folder: &Path) -> Self {
        let script = "cat >/dev/null; cd \"$1\" || exit; \
            for child in *.child; do kill -9 \"$(cat \"$child\")\" 2>/dev/null; done; \
            sleep 0.2; cat mounts 2>/dev/null | while read -r path; do umount -l \"$path\"; done; \
            cd /; rm -rf \"$1\"";
        let shell = Command::new("sh")
            .args(["-c", script, "watchdog"])
            .arg(folder)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(shell.unwrap())
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// A port below those that the kernel hands out to clients, so that nobody takes it while the
/// process is down.
pub(crate) fn quiet_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 22_000 + u16::try_from(std::process::id() % 5_000).unwrap();
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(port < 32_000, "no free port");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
