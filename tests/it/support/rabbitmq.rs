//! A throwaway RabbitMQ of the tests' own: its ports, its files, its processes.
//!
//! Nothing of it is left behind. Each broker has a watchdog, a shell that waits for the end of
//! its standard input, which comes when this process ends in whatever way; it then kills the
//! broker's processes by their ids and removes the folder.
//!
//! With `TOLLGATE_TEST_RABBITMQ_ROOT` the programs are those of another system's root folder, as
//! `deploy/dev/test --rabbitmq-4` makes it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, MutexGuard};
use tollgate::queue::rabbitmq::RabbitSettings;

const BIN: &str = "/usr/lib/rabbitmq/bin";

/// How long a broker may take to start. It takes five seconds on an idle machine.
const START_TIME: Duration = Duration::from_secs(90);

/// A running broker.
pub(crate) struct Broker {
    port: u16,
    folder: PathBuf,
    epmd: Child,
    server: Child,
    watchdog: Child,
}

/// The broker that tests share. Each has a prefix of its own.
pub(crate) fn shared() -> &'static Broker {
    static SHARED: OnceLock<Broker> = OnceLock::new();
    SHARED.get_or_init(Broker::start)
}

/// The broker that is killed, cut off and starved, by one test at a time.
pub(crate) async fn rough() -> MutexGuard<'static, Broker> {
    static ROUGH: OnceLock<Mutex<Broker>> = OnceLock::new();
    let broker = ROUGH.get_or_init(|| Mutex::new(Broker::start()));
    let broker = broker.lock().await;
    // What an earlier test may have left, had it failed halfway.
    broker.ctl(&["set_vm_memory_high_watermark", "0.9"]);
    broker
}

/// A prefix that no other test uses.
pub(crate) fn prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Three free ports in a row, below those that the kernel hands out to clients: while the broker
/// is down a client that tries to connect could otherwise take its port.
fn three_ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 12_000 + u16::try_from(std::process::id() % 2_500).unwrap() * 3;
    loop {
        let port = start + 3 * NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(port < 32_000, "no three free ports");
        if (port..port + 3).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return port;
        }
    }
}

impl Broker {
    fn start() -> Self {
        Self::start_with("")
    }

    /// Starts a broker of its own, with further settings. Ends when it is dropped.
    pub(crate) fn start_with(further: &str) -> Self {
        let bin = root().map_or_else(|| BIN.into(), |root| root.join(&BIN[1..]));
        assert!(
            bin.join("rabbitmq-server").exists(),
            "these tests need RabbitMQ's programs in {}; no service has to run. Install them with:\n    \
             apt-get install -y --no-install-recommends rabbitmq-server",
            bin.display()
        );
        let port = three_ports();
        let folder = std::env::temp_dir().join(format!("tollgate-rabbitmq-{port}"));
        // Of a process with the same number, long ago.
        let _ = std::fs::remove_dir_all(&folder);
        for part in ["mnesia", "log", "home"] {
            std::fs::create_dir_all(folder.join(part)).unwrap();
        }
        let settings = format!(
            "loopback_users.guest = true\n\
             log.console = false\n\
             log.file.level = warning\n\
             vm_memory_high_watermark.absolute = 2GiB\n\
             disk_free_limit.absolute = 50MB\n\
             {further}"
        );
        std::fs::write(folder.join("rabbitmq.conf"), settings).unwrap();
        std::fs::write(folder.join("enabled_plugins"), "[].").unwrap();
        std::fs::write(folder.join("env.conf"), "").unwrap();
        let watchdog = watchdog(&folder);
        let epmd = epmd(port, &folder);
        let server = server(port, &folder);
        let mut broker = Self {
            port,
            folder,
            epmd,
            server,
            watchdog,
        };
        broker.wait_until_ready();
        broker
    }

    /// The settings of a queue on this broker.
    pub(crate) fn settings(&self, prefix: &str) -> RabbitSettings {
        RabbitSettings {
            url: self.url().into(),
            ca_file: None,
            prefix: prefix.to_owned(),
            installation: None,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("amqp://guest:guest@{}/%2f", self.address())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Runs `rabbitmqctl`; what it printed.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> String {
        let Output {
            status,
            stdout,
            stderr,
        } = command("rabbitmqctl", self.port, &self.folder)
            .arg("--quiet")
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&stderr);
        assert!(status.success(), "rabbitmqctl {arguments:?}: {said}");
        String::from_utf8(stdout).unwrap()
    }

    /// Kills the broker as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
        // Its number may be another process's by the time the watchdog looks.
        std::fs::remove_file(self.folder.join("server.child")).unwrap();
    }

    /// Starts it again with what it had on the disk.
    pub(crate) fn restart(&mut self) {
        self.server = server(self.port, &self.folder);
        self.wait_until_ready();
    }

    fn wait_until_ready(&mut self) {
        let started = Instant::now();
        while !greets(self.port) {
            if let Some(status) = self.server.try_wait().unwrap() {
                panic!("RabbitMQ ended while it started: {status}; {}", self.log());
            }
            assert!(
                started.elapsed() < START_TIME,
                "RabbitMQ did not start; {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("server.out")).unwrap_or_default()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        for child in [&mut self.server, &mut self.epmd] {
            let _ = child.kill();
            let _ = child.wait();
        }
        for name in ["server", "epmd"] {
            let _ = std::fs::remove_file(self.folder.join(format!("{name}.child")));
        }
        // Ends the watchdog's wait; it removes the folder.
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// Whether an AMQP broker answers: a wrong version of the protocol's header is answered with a
/// header, the right one with a method frame, which begins with 1.
fn greets(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let mut first = [0];
    stream.write_all(b"AMQP\0\0\x09\x01").is_ok()
        && stream.read_exact(&mut first).is_ok()
        && first == [1]
}

/// A child in a process group of its own, so that an interrupt at the terminal leaves it to the
/// watchdog.
fn spawn(command: &mut Command, folder: &Path, name: &str) -> Child {
    let out = std::fs::File::create(folder.join(format!("{name}.out"))).unwrap();
    let child = command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(out.try_clone().unwrap())
        .stderr(out)
        .spawn()
        .unwrap();
    std::fs::write(folder.join(format!("{name}.child")), child.id().to_string()).unwrap();
    child
}

fn epmd(port: u16, folder: &Path) -> Child {
    // Started by the broker it would be a daemon that outlives it.
    let port = (port + 1).to_string();
    let arguments = ["-port", &port, "-address", "127.0.0.1"];
    spawn(program("epmd").args(arguments), folder, "epmd")
}

fn server(port: u16, folder: &Path) -> Child {
    let mut command = command("rabbitmq-server", port, folder);
    // Makes the start script become the broker, so that the child is what has to be killed.
    command.env("RUNNING_UNDER_SYSTEMD", "1").arg("-noinput");
    spawn(&mut command, folder, "server")
}

fn watchdog(folder: &Path) -> Child {
    let script = "cat >/dev/null; cd \"$1\" || exit; \
                  for child in *.child; do kill -9 \"$(cat \"$child\")\" 2>/dev/null; done; \
                  cd /; for i in 1 2 3 4 5 6 7 8 9 10; do rm -rf \"$1\" && exit; sleep 0.2; done";
    Command::new("sh")
        .args(["-c", script, "watchdog"])
        .arg(folder)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The other system whose RabbitMQ is tried.
fn root() -> Option<PathBuf> {
    std::env::var_os("TOLLGATE_TEST_RABBITMQ_ROOT").map(PathBuf::from)
}

/// A program of this system, or of the other one. That one's `/usr` is laid over ours for the
/// program alone: libraries and Erlang are found where they expect to be, every other path means
/// what it means here, and nothing stays mounted when the program ends. Each step becomes the next
/// one, so the child's number is the program's.
fn program(path: &str) -> Command {
    let Some(root) = root() else {
        return Command::new(path);
    };
    let mut command = Command::new("unshare");
    // Mounts need root's rights, which a namespace of users gives to everybody.
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        command.arg("--map-root-user");
    }
    let script = "mount --bind \"$1/usr\" /usr && shift && exec \"$@\"";
    command
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(root)
        .arg(path);
    command
}

fn command(name: &str, port: u16, folder: &Path) -> Command {
    let mut command = program(&format!("{BIN}/{name}"));
    let path = |name: &str| folder.join(name).display().to_string();
    let no_second_epmd = "-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false";
    command.envs([
        // The cookie is made here.
        ("HOME", path("home")),
        ("RABBITMQ_NODENAME", format!("t{port}@localhost")),
        ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".to_owned()),
        ("RABBITMQ_NODE_PORT", port.to_string()),
        ("RABBITMQ_DIST_PORT", (port + 2).to_string()),
        ("ERL_EPMD_PORT", (port + 1).to_string()),
        ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
        ("RABBITMQ_MNESIA_BASE", path("mnesia")),
        ("RABBITMQ_LOG_BASE", path("log")),
        ("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", path("enabled_plugins")),
        ("RABBITMQ_CONF_ENV_FILE", path("env.conf")),
        ("RABBITMQ_PID_FILE", path("node.pid")),
        ("RABBITMQ_ALLOW_INPUT", String::new()),
        (
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
            no_second_epmd.to_owned(),
        ),
    ]);
    command
}
