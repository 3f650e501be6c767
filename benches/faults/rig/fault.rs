//! What a fault is: acts at certain seconds, on services set up in a certain way.

use std::time::Duration;

use super::proxy::Traffic;

/// What can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Receiver,
    Worker,
    SecondWorker,
    Api,
    /// All roles in one process.
    Whole,
    Broker,
    Database,
}

impl Part {
    /// The processes of the program when each role has its own.
    pub(crate) const ROLES: [Self; 4] =
        [Self::Receiver, Self::Worker, Self::SecondWorker, Self::Api];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Receiver => "receiver",
            Self::Worker => "worker",
            Self::SecondWorker => "second worker",
            Self::Api => "API",
            Self::Whole => "one process",
            Self::Broker => "RabbitMQ",
            Self::Database => "PostgreSQL",
        }
    }

    /// The value of `--role`.
    pub(crate) const fn role(self) -> Option<&'static str> {
        match self {
            Self::Receiver => Some("receiver"),
            Self::Worker | Self::SecondWorker => Some("worker"),
            Self::Api => Some("api"),
            Self::Whole | Self::Broker | Self::Database => None,
        }
    }
}

/// A way from a role to a service. Both workers go the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    ReceiverBroker,
    WorkerBroker,
    WorkerDatabase,
    ApiDatabase,
}

impl Link {
    pub(crate) const ALL: [Self; 4] = [
        Self::ReceiverBroker,
        Self::WorkerBroker,
        Self::WorkerDatabase,
        Self::ApiDatabase,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ReceiverBroker => "receiver–broker",
            Self::WorkerBroker => "worker–broker",
            Self::WorkerDatabase => "worker–database",
            Self::ApiDatabase => "API–database",
        }
    }
}

/// Something that is done to the services. Each may be done again, and to what is down, so that
/// faults can be combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// `kill -9`.
    Kill(Part),
    /// Starts what was killed, or ended by itself.
    Start(Part),
    /// `SIGSTOP`.
    Pause(Part),
    /// `SIGCONT`.
    Resume(Part),
    /// Says what becomes of the bytes of a link.
    Link(Link, Traffic),
    /// The broker sees too little memory, or enough.
    MemoryAlarm(bool),
    /// The broker sees too little disk, or enough.
    DiskAlarm(bool),
    /// A policy limits the work queue to 50 messages, or is taken away.
    QueueLimit(bool),
    /// Locks the ledger against writers, so that deliveries pile up in the workers; or lets go.
    HoldLedger(bool),
    /// Deletes the work queue.
    DeleteQueue,
    /// Waits until webhooks are refused.
    AwaitRefusal,
    /// Fills the small disk.
    FillDisk,
    /// Takes away what filled it.
    FreeDisk,
    /// Makes the small disk large.
    GrowDisk,
    /// Sets the clock of a process off by so many seconds.
    Clock(Part, i32),
    /// Gives all roles the right or a wrong authority for the broker, and restarts them.
    BrokerAuthority(bool),
    /// The same for the database.
    DatabaseAuthority(bool),
}

/// How the services are set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setup {
    /// Receiver, two workers and API as processes, RabbitMQ, PostgreSQL.
    Apart,
    /// The same, PostgreSQL's files on a small disk.
    ApartOnSmallDisk,
    /// The same, with TLS to RabbitMQ and PostgreSQL.
    ApartOverTls,
    /// All roles in one process, with the embedded store and the built-in queue.
    Together,
    /// The same, the data folder on a disk of 8 MB.
    TogetherOnSmallDisk,
}

/// A row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) name: String,
    pub(crate) setup: Setup,
    /// What is done, and when, counted from the beginning of the fault.
    pub(crate) steps: Vec<(Duration, Act)>,
    /// Why events may be lost.
    pub(crate) may_lose: Option<&'static str>,
}

impl Fault {
    pub(crate) fn new(name: impl Into<String>, setup: Setup) -> Self {
        Self {
            name: name.into(),
            setup,
            steps: Vec::new(),
            may_lose: None,
        }
    }

    /// Adds an act, so many seconds after the beginning.
    pub(crate) fn at(mut self, seconds: f64, act: Act) -> Self {
        self.steps.push((Duration::from_secs_f64(seconds), act));
        self
    }

    pub(crate) fn may_lose(mut self, reason: &'static str) -> Self {
        self.may_lose = Some(reason);
        self
    }

    /// The links that it touches: only these go through a proxy.
    pub(crate) fn links(&self) -> Vec<Link> {
        let touched = |link: &Link| {
            let mut acts = self.steps.iter();
            acts.any(|(_, act)| matches!(act, Act::Link(it, _) if it == link))
        };
        Link::ALL.into_iter().filter(touched).collect()
    }

    /// The processes whose clocks it changes: only these run under faketime.
    pub(crate) fn clocks(&self) -> Vec<Part> {
        let of_clock = |(_, act): &(Duration, Act)| match act {
            Act::Clock(part, _) => Some(*part),
            _ => None,
        };
        self.steps.iter().filter_map(of_clock).collect()
    }

    /// Both at once, the other beginning some seconds later.
    pub(crate) fn with(&self, other: &Self, later: f64) -> Self {
        let later = Duration::from_secs_f64(later);
        let mut both = self.clone();
        both.name = format!("{} + {}", self.name, other.name);
        both.may_lose = self.may_lose.or(other.may_lose);
        let moved = other.steps.iter().map(|(at, act)| (*at + later, *act));
        both.steps.extend(moved);
        both.steps.sort_by_key(|(at, _)| *at);
        both
    }
}
