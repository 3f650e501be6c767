//! Services and processes of one run, of its own ports and folders, and what is done to them.

mod settings;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use lapin::options::QueueDeleteOptions;
use lapin::{Connection, ConnectionProperties};
use secrecy::ExposeSecret;
use sqlx::{Connection as _, Executor, PgConnection};
use tokio::task::block_in_place;
use tollgate::store::Store;

use super::disk::SmallDisk;
use super::fault::{Act, Fault, Link, Part, Setup};
use super::ledger::Ledger;
use super::load::Counts;
use super::process::{Process, Watchdog, quiet_port, send};
use super::proxy::Proxy;
use super::tls::Certificates;
use crate::support::client;
use crate::support::postgres::Cluster;
use crate::support::rabbitmq::Broker;

pub(crate) use settings::faketime_library;

/// How long processes may take to be ready, on a busy machine.
const START: Duration = Duration::from_secs(90);

/// Who asked for durability may not do without the disk, as tests may.
const DURABLE: &str = "fsync = on\nfull_page_writes = on\n";

/// Megabytes, with room for an empty store; the first is full after some seconds of webhooks.
const SQLITE_DISK: u32 = 8;
const POSTGRES_DISK: u32 = 192;

/// What is dropped first comes first.
pub(crate) struct Stage {
    processes: Vec<(Part, Process)>,
    proxies: Vec<(Link, Proxy)>,
    /// Holds the ledger locked while it lives.
    holder: Option<PgConnection>,
    broker: Option<Broker>,
    broker_is_down: bool,
    cluster: Option<Cluster>,
    disk: Option<SmallDisk>,
    certificates: Option<Certificates>,
    /// Of the broker with TLS.
    tls_port: u16,
    authority_is_right: [bool; 2],
    clocks: Vec<Part>,
    folder: PathBuf,
    _watchdog: Watchdog,
}

impl Stage {
    /// Starts everything that a fault needs, and waits until it is ready.
    pub(crate) async fn open(fault: &Fault) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("tollgate-faults-")
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir()
            .unwrap()
            .keep();
        let watchdog = Watchdog::over(&folder);
        let mut stage = Self {
            processes: Vec::new(),
            proxies: Vec::new(),
            holder: None,
            broker: None,
            broker_is_down: false,
            cluster: None,
            disk: None,
            certificates: None,
            tls_port: quiet_port(),
            authority_is_right: [true; 2],
            clocks: fault.clocks(),
            folder,
            _watchdog: watchdog,
        };
        match fault.setup {
            Setup::Together => {}
            Setup::TogetherOnSmallDisk => {
                stage.disk = Some(SmallDisk::mount(&stage.folder, SQLITE_DISK));
            }
            Setup::Apart | Setup::ApartOnSmallDisk | Setup::ApartOverTls => {
                block_in_place(|| stage.start_services(fault));
                stage.prepare_database().await;
            }
        }
        for clock in stage.clocks.clone() {
            stage.set_clock(clock, 0);
        }
        let parts = match fault.setup {
            Setup::Together | Setup::TogetherOnSmallDisk => vec![Part::Whole],
            _ => Part::ROLES.to_vec(),
        };
        for part in parts {
            let process = Process::new(part.name(), part.role(), &stage.folder);
            stage.processes.push((part, process));
            stage.start(part);
        }
        stage.wait_until_ready().await;
        stage
    }

    fn start_services(&mut self, fault: &Fault) {
        let (mut postgres, mut rabbitmq) = (DURABLE.to_owned(), String::new());
        if fault.setup == Setup::ApartOverTls {
            let certificates = Certificates::make(&self.folder);
            postgres += &certificates.postgres_settings();
            rabbitmq += &certificates.rabbitmq_settings(self.tls_port);
            self.certificates = Some(certificates);
        }
        let parent = if fault.setup == Setup::ApartOnSmallDisk {
            let disk = SmallDisk::mount(&self.folder, POSTGRES_DISK);
            self.disk.insert(disk).path.clone()
        } else {
            self.folder.clone()
        };
        let cluster = Cluster::start_in(&parent, &postgres);
        let broker = Broker::start_with(&rabbitmq);
        for link in fault.links() {
            let port = match link {
                Link::ReceiverBroker | Link::WorkerBroker => broker.port(),
                Link::WorkerDatabase | Link::ApiDatabase => cluster.port(),
            };
            self.proxies.push((link, Proxy::to(port)));
        }
        self.cluster = Some(cluster);
        self.broker = Some(broker);
    }

    async fn prepare_database(&self) {
        let cluster = self.cluster.as_ref().unwrap();
        let url = cluster.create("faults", "template1").await;
        let store = Store::open_postgres(&url).unwrap();
        store.migrate().await.unwrap();
        store.close().await;
    }

    async fn wait_until_ready(&mut self) {
        let (client, started) = (client(), Instant::now());
        for (part, port) in self.health_ports() {
            let url = format!("http://127.0.0.1:{port}/readyz");
            let ready = async || {
                client
                    .get(&url)
                    .send()
                    .await
                    .is_ok_and(|it| it.status() == 200)
            };
            while !ready().await {
                let log = self.folder.join(format!("{}.log", part.name()));
                assert!(
                    started.elapsed() < START,
                    "the {} is not ready:\n{}",
                    part.name(),
                    std::fs::read_to_string(log).unwrap_or_default()
                );
                self.rest(Duration::from_millis(100)).await;
            }
        }
    }

    /// The processes and where they tell their health.
    pub(crate) fn health_ports(&self) -> Vec<(Part, u16)> {
        let processes = self.processes.iter();
        processes
            .map(|(part, it)| (*part, it.health_port))
            .collect()
    }

    /// Where the admin API is: in the last process, be it the API or the only one.
    pub(crate) fn api(&self) -> u16 {
        self.processes[self.processes.len() - 1].1.port
    }

    /// Where webhooks go.
    pub(crate) fn entrance(&self) -> u16 {
        self.processes[0].1.port
    }

    pub(crate) fn ledger(&self) -> Ledger {
        match &self.cluster {
            Some(cluster) => Ledger::Server(cluster.url("faults").expose_secret().to_owned()),
            None => Ledger::File(self.data().join("tollgate.db")),
        }
    }

    /// How often processes ended by themselves and were started again.
    pub(crate) fn restarts(&self) -> u32 {
        self.processes.iter().map(|(_, it)| it.restarts).sum()
    }

    /// Lets time pass, and starts again what ended by itself, as a service manager would.
    pub(crate) async fn rest(&mut self, time: Duration) {
        let started = Instant::now();
        loop {
            for index in 0..self.processes.len() {
                let settings = self.settings(self.processes[index].0);
                self.processes[index].1.tend(&settings);
            }
            let left = time.saturating_sub(started.elapsed());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(Duration::from_millis(200))).await;
        }
    }

    /// Kills all processes of the program and starts them again: what an operator does when
    /// nothing moves.
    pub(crate) fn restart_roles(&mut self) {
        for (part, _) in self.health_ports() {
            self.kill(part);
            self.start(part);
        }
    }

    pub(crate) async fn perform(&mut self, act: Act, counts: &Counts) {
        match act {
            Act::Kill(part) => block_in_place(|| self.kill(part)),
            Act::Start(part) => block_in_place(|| self.start(part)),
            Act::Pause(part) => self.signal(part, "STOP"),
            Act::Resume(part) => self.signal(part, "CONT"),
            Act::Link(link, traffic) => {
                let mut proxies = self.proxies.iter();
                let (_, proxy) = proxies.find(|(it, _)| *it == link).unwrap();
                proxy.set(traffic);
            }
            Act::MemoryAlarm(true) => self.ctl(&["set_vm_memory_high_watermark", "0"]),
            Act::MemoryAlarm(false) => self.ctl(&["set_vm_memory_high_watermark", "0.9"]),
            Act::DiskAlarm(true) => self.ctl(&["set_disk_free_limit", "1000GB"]),
            Act::DiskAlarm(false) => self.ctl(&["set_disk_free_limit", "50MB"]),
            Act::QueueLimit(true) => {
                let limit = r#"{"max-length": 50, "overflow": "reject-publish"}"#;
                let queues = ["--apply-to", "queues"];
                self.ctl(
                    &[
                        &["set_policy"],
                        &queues[..],
                        &["limit", r"\.work\.2$", limit],
                    ]
                    .concat(),
                );
            }
            Act::QueueLimit(false) => self.ctl(&["clear_policy", "limit"]),
            Act::HoldLedger(true) => self.hold_ledger().await,
            Act::HoldLedger(false) => self.holder = None,
            Act::DeleteQueue => self.delete_queue().await,
            Act::AwaitRefusal => self.await_refusal(counts).await,
            Act::FillDisk => block_in_place(|| self.disk.as_ref().unwrap().fill()),
            Act::FreeDisk => self.disk.as_ref().unwrap().free(),
            Act::GrowDisk => self.disk.as_ref().unwrap().grow(),
            Act::Clock(part, seconds) => self.set_clock(part, seconds),
            Act::BrokerAuthority(right) => {
                self.authority_is_right[0] = right;
                self.restart_roles();
            }
            Act::DatabaseAuthority(right) => {
                self.authority_is_right[1] = right;
                self.restart_roles();
            }
        }
    }

    fn process(&mut self, part: Part) -> Option<&mut Process> {
        let found = self.processes.iter_mut().find(|(it, _)| *it == part);
        found.map(|(_, process)| process)
    }

    fn kill(&mut self, part: Part) {
        match (part, &mut self.cluster, &mut self.broker) {
            (Part::Database, Some(cluster), _) => {
                send("KILL", &cluster.pids());
                cluster.stop();
            }
            (Part::Broker, _, Some(broker)) if !self.broker_is_down => {
                broker.kill();
                self.broker_is_down = true;
            }
            (Part::Broker | Part::Database, _, _) => {}
            _ => self.process(part).unwrap().kill(),
        }
    }

    fn start(&mut self, part: Part) {
        match (part, &mut self.cluster, &mut self.broker) {
            (Part::Database, Some(cluster), _) => cluster.revive(),
            (Part::Broker, _, Some(broker)) if self.broker_is_down => {
                broker.restart();
                self.broker_is_down = false;
            }
            (Part::Broker | Part::Database, _, _) => {}
            _ => {
                let settings = self.settings(part);
                self.process(part).unwrap().start(&settings);
            }
        }
    }

    fn signal(&mut self, part: Part, signal: &str) {
        match (part, &self.cluster) {
            (Part::Database, Some(cluster)) => send(signal, &cluster.pids()),
            _ => self.process(part).unwrap().signal(signal),
        }
    }

    /// Runs `rabbitmqctl`. What is set there ends with the broker, so one that is down needs
    /// nothing.
    fn ctl(&self, arguments: &[&str]) {
        if !self.broker_is_down {
            block_in_place(|| self.broker.as_ref().unwrap().ctl(arguments));
        }
    }

    async fn hold_ledger(&mut self) {
        let url = self.cluster.as_ref().unwrap().url("faults");
        let Ok(mut holder) = PgConnection::connect(url.expose_secret()).await else {
            return;
        };
        let sql = "BEGIN; LOCK TABLE events IN EXCLUSIVE MODE";
        if holder.execute(sql).await.is_ok() {
            self.holder = Some(holder);
        }
    }

    async fn delete_queue(&self) {
        let url = self.broker.as_ref().unwrap().url();
        let Ok(connection) = Connection::connect(&url, ConnectionProperties::default()).await
        else {
            return;
        };
        let channel = connection.create_channel().await.unwrap();
        let options = QueueDeleteOptions::default();
        let deleted = channel
            .queue_delete("tollgate.work.2".into(), options)
            .await;
        deleted.unwrap();
        let _ = connection.close(200, "done".into()).await;
    }

    async fn await_refusal(&mut self, counts: &Counts) {
        let started = Instant::now();
        let before = counts.bad.load(Ordering::SeqCst);
        while counts.bad.load(Ordering::SeqCst) < before + 20 {
            let waited = started.elapsed();
            assert!(waited < Duration::from_mins(3), "no webhook is refused");
            self.rest(Duration::from_millis(200)).await;
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(cluster) = &self.cluster {
            // One that is paused would not end.
            send("CONT", &cluster.pids());
        }
    }
}
