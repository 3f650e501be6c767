//! The faults.

use rand::prelude::*;
use rand::rngs::StdRng;

use super::fault::{Act, Fault, Link, Part, Setup};
use super::proxy::Traffic;

/// How long what was killed stays down.
const DOWN: f64 = 3.0;

/// What goes with a deleted queue.
const GONE: &str = "what lay in the queue went with it";

/// Every fault, in the order of the table.
pub(crate) fn all() -> Vec<Fault> {
    let mut faults = vec![Fault::new("no fault", Setup::Apart)];
    faults.extend(kills());
    faults.extend(services());
    for link in Link::ALL {
        faults.extend(broken(link));
    }
    faults.extend(disks());
    faults.extend(clocks());
    faults.extend(authorities());
    faults.push(all_at_once());
    faults
}

/// Pairs of faults that can be put upon one setup, drawn by a seed.
pub(crate) fn pairs(seed: u64, count: usize) -> Vec<Fault> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut single = all();
    single.retain(|it| it.setup == Setup::Apart && it.name != "no fault" && it.name != ALL);
    // A clock is set for one process alone, which a partner may have killed.
    single.retain(|it| it.clocks().is_empty());
    let mut pairs = Vec::new();
    for _ in 0..count {
        let two: Vec<&Fault> = single.iter().sample(&mut random, 2);
        let later = f64::from(random.random_range(0..8_u32)) / 2.0;
        pairs.push(two[0].with(two[1], later));
    }
    pairs
}

fn kill(name: &str, parts: &[Part]) -> Fault {
    let mut fault = Fault::new(name, Setup::Apart);
    for part in parts {
        fault = fault.at(0.0, Act::Kill(*part));
    }
    for part in parts {
        fault = fault.at(DOWN, Act::Start(*part));
    }
    fault
}

fn kills() -> Vec<Fault> {
    use Part::{Api, Broker, Database, Receiver, SecondWorker, Worker};
    vec![
        kill("kill receiver", &[Receiver]),
        kill("kill worker", &[Worker]),
        kill("kill both workers", &[Worker, SecondWorker]),
        kill("kill API", &[Api]),
        kill("kill RabbitMQ", &[Broker]),
        kill("kill PostgreSQL", &[Database]),
        kill("kill RabbitMQ and PostgreSQL", &[Database, Broker]),
    ]
}

const ALL: &str = "all at once";

fn all_at_once() -> Fault {
    use Part::{Api, Broker, Database, Receiver, SecondWorker, Worker};
    kill(
        ALL,
        &[Receiver, Worker, SecondWorker, Api, Database, Broker],
    )
}

/// What services and workers do that are there and do not do their work.
fn services() -> Vec<Fault> {
    let queue_limit = Fault::new("queue limit", Setup::Apart)
        .at(0.0, Act::QueueLimit(true))
        // Without a backlog no limit is reached.
        .at(0.0, Act::Pause(Part::Worker))
        .at(0.0, Act::Pause(Part::SecondWorker))
        .at(10.0, Act::Resume(Part::Worker))
        .at(10.0, Act::Resume(Part::SecondWorker))
        .at(12.0, Act::QueueLimit(false));
    let mut deleted = Fault::new("work queue deleted five times", Setup::Apart);
    for round in 0..5 {
        let start = f64::from(round) * 5.0;
        deleted = deleted
            .at(start, Act::HoldLedger(true))
            // By now hundreds of deliveries are buffered in the workers.
            .at(start + 3.0, Act::DeleteQueue)
            .at(start + 3.5, Act::HoldLedger(false));
    }
    vec![
        Fault::new("pause worker 20 s", Setup::Apart)
            .at(0.0, Act::Pause(Part::Worker))
            .at(20.0, Act::Resume(Part::Worker)),
        Fault::new("pause PostgreSQL 10 s", Setup::Apart)
            .at(0.0, Act::Pause(Part::Database))
            .at(10.0, Act::Resume(Part::Database)),
        Fault::new("memory alarm", Setup::Apart)
            .at(0.0, Act::MemoryAlarm(true))
            .at(10.0, Act::MemoryAlarm(false)),
        queue_limit,
        Fault::new("work queue deleted", Setup::Apart)
            .at(0.0, Act::DeleteQueue)
            .may_lose(GONE),
        deleted.may_lose(GONE),
    ]
}

fn broken(link: Link) -> Vec<Fault> {
    let fault = |what: &str| Fault::new(format!("{what} {}", link.name()), Setup::Apart);
    let flows = Act::Link(link, Traffic::Flows);
    vec![
        fault("cut")
            .at(0.0, Act::Link(link, Traffic::Cut))
            .at(8.0, flows),
        fault("stalled")
            .at(0.0, Act::Link(link, Traffic::Stalled))
            .at(15.0, flows),
        // New connections work at once, so it is over when it has begun.
        fault("half-open").at(0.0, Act::Link(link, Traffic::HalfOpen)),
    ]
}

fn disks() -> Vec<Fault> {
    vec![
        Fault::new("disk full, SQLite", Setup::TogetherOnSmallDisk)
            .at(0.0, Act::AwaitRefusal)
            .at(5.0, Act::GrowDisk),
        Fault::new("start on a full disk, SQLite", Setup::TogetherOnSmallDisk)
            .at(0.0, Act::Kill(Part::Whole))
            .at(0.0, Act::FillDisk)
            .at(0.5, Act::Start(Part::Whole))
            .at(8.0, Act::GrowDisk),
        Fault::new("disk full, PostgreSQL", Setup::ApartOnSmallDisk)
            .at(0.0, Act::FillDisk)
            .at(12.0, Act::FreeDisk)
            // It may have ended by itself; a service manager starts it again.
            .at(13.0, Act::Start(Part::Database)),
        Fault::new("disk alarm, RabbitMQ", Setup::Apart)
            .at(0.0, Act::DiskAlarm(true))
            .at(10.0, Act::DiskAlarm(false)),
    ]
}

fn clocks() -> Vec<Fault> {
    let mut faults = Vec::new();
    for part in [Part::Receiver, Part::Worker, Part::Whole] {
        for (off, word) in [(3600, "ahead"), (-3600, "behind")] {
            let name = format!("clock of {} an hour {word}", part.name());
            let setup = match part {
                Part::Whole => Setup::Together,
                _ => Setup::Apart,
            };
            let fault = Fault::new(name, setup)
                .at(0.0, Act::Clock(part, off))
                .at(10.0, Act::Clock(part, 0));
            faults.push(fault);
        }
    }
    faults
}

fn authorities() -> Vec<Fault> {
    let tls = |name: &str| Fault::new(name, Setup::ApartOverTls);
    vec![
        tls("TLS, right authority, both services killed")
            .at(0.0, Act::Kill(Part::Broker))
            .at(0.0, Act::Kill(Part::Database))
            .at(DOWN, Act::Start(Part::Database))
            .at(DOWN, Act::Start(Part::Broker)),
        tls("TLS, wrong authority of RabbitMQ")
            .at(0.0, Act::BrokerAuthority(false))
            .at(10.0, Act::BrokerAuthority(true)),
        tls("TLS, wrong authority of PostgreSQL")
            .at(0.0, Act::DatabaseAuthority(false))
            .at(10.0, Act::DatabaseAuthority(true)),
    ]
}
