//! The connections to the server.
//!
//! Every wait has an end. A connection that did not answer in time, or that broke, is dropped, which
//! closes its socket at once and asks the other side for nothing: over a link that swallows what is
//! sent, an orderly end would wait for the system's time-out, a quarter of an hour.
//! Refused: sqlx's pool. It awaits the answer to a rollback and to a ping without limit before it
//! counts a connection as returned, so that over such a link all its places are lost one by one; it
//! tries a refused connection again until the limit of the caller is used up; and its one error says
//! neither whether the server is away nor whether all connections are in use.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, Executor, PgConnection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::error::{failed, is_of_many_connections};
use crate::store::StoreError;
use crate::store::driver::PoolUse;
use crate::store::error::Trouble;
use crate::store::gate::{Gate, Turn};

/// Longest wait for a free connection. Less than a provider waits for its answer, so that a 503
/// still reaches it.
const FREE_TIME: Duration = Duration::from_secs(4);

/// Longest time to connect and sign in, TLS included.
const CONNECT_TIME: Duration = Duration::from_secs(2);

/// Longest wait for the answer of a connection that has rested.
const PING_TIME: Duration = Duration::from_millis(700);

/// A connection that was used more lately than this is not asked whether it is still there.
const RESTED: Duration = Duration::from_millis(100);

/// How long a connection is kept without use, and how long at most: what the server keeps for a
/// session grows with its age, and a balancer before several servers sees new ones.
const KEPT: (Duration, Duration) = (Duration::from_mins(10), Duration::from_mins(30));

/// Longest time for undoing a transaction that was not committed.
const ROLLBACK_TIME: Duration = Duration::from_secs(2);

/// Longest wait at the end for the transactions under way.
const CLOSE_TIME: Duration = Duration::from_secs(5);

/// A commit is on the disk when it returns, whatever the server's settings say: a 200 may rest
/// on it. Where they ask for more, such as a standby's word, they stay.
const DURABLE: &str = r"
    SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') = 'off'
";

/// The connections of one process.
pub(super) struct Pool {
    name: &'static str,
    options: PgConnectOptions,
    gate: Gate,
    /// Why the last try to connect failed, for those who are refused meanwhile: a wrong password is no server
    /// that is away.
    failure: Mutex<Option<Arc<StoreError>>>,
    shared: Arc<Shared>,
    most: u32,
    opened: AtomicU64,
}

struct Shared {
    /// A permit for each connection that may be in use.
    places: Arc<Semaphore>,
    /// Connections that nobody uses, the one that was used last at the end.
    resting: Mutex<Vec<Resting>>,
}

struct Resting {
    connection: PgConnection,
    made: Instant,
    planned: Instant,
    since: Instant,
}

/// A connection in use. Dropped without [`give_back`](Self::give_back), it is closed at once.
pub(super) struct Lease {
    /// Only taken when it is given back or undone.
    connection: Option<PgConnection>,
    is_new: bool,
    made: Instant,
    /// No plan that the connection keeps is older.
    planned: Instant,
    shared: Arc<Shared>,
    place: Option<OwnedSemaphorePermit>,
}

impl Pool {
    pub(super) fn new(name: &'static str, options: PgConnectOptions, most: u32) -> Self {
        let places = usize::try_from(most).unwrap_or(1);
        Self {
            name,
            options,
            gate: Gate::default(),
            failure: Mutex::default(),
            shared: Arc::new(Shared {
                places: Arc::new(Semaphore::new(places)),
                resting: Mutex::default(),
            }),
            most,
            opened: AtomicU64::default(),
        }
    }

    /// Returns how many connections are used, and how many there are.
    pub(super) fn usage(&self) -> PoolUse {
        let idle = self.shared.resting().len();
        let free = self.shared.places.available_permits();
        let free = u32::try_from(free).unwrap_or(u32::MAX);
        PoolUse {
            name: self.name,
            in_use: self.most.saturating_sub(free),
            idle: u32::try_from(idle).unwrap_or(u32::MAX),
            most: self.most,
            opened: Some(self.opened.load(Ordering::Relaxed)),
        }
    }

    /// Takes a connection that answers.
    pub(super) async fn take(&self) -> Result<Lease, StoreError> {
        self.take_rested(RESTED).await
    }

    /// Takes a connection that may have broken while it rested. Whoever finds it broken calls
    /// [`forget_rested`](Self::forget_rested) and takes another one.
    pub(super) async fn take_unasked(&self) -> Result<Lease, StoreError> {
        self.take_rested(KEPT.0).await
    }

    /// Drops all connections that nobody uses.
    pub(super) fn forget_rested(&self) {
        self.shared.resting().clear();
    }

    /// Takes a connection; one that was used within this time is not asked whether it is still there.
    async fn take_rested(&self, unasked: Duration) -> Result<Lease, StoreError> {
        let turn = self.gate.enter().await.map_err(|closed| {
            let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            match &*failure {
                Some(failure) => StoreError::Shared(Arc::clone(failure)),
                None => failed(sqlx::Error::Io(std::io::Error::other(closed))),
            }
        })?;
        let places = Arc::clone(&self.shared.places);
        let place = match timeout(FREE_TIME, places.acquire_owned()).await {
            Ok(Ok(place)) => place,
            Ok(Err(_closed)) => return Err(failed(sqlx::Error::PoolClosed)),
            Err(_elapsed) => return Err(failed(sqlx::Error::PoolTimedOut)),
        };
        if turn.is_over() {
            return Err(away("the server was found to be away meanwhile"));
        }
        let lease = |connection, is_new, made, planned| Lease {
            connection: Some(connection),
            is_new,
            made,
            planned,
            shared: Arc::clone(&self.shared),
            place: Some(place),
        };
        if let Some(resting) = self.rested(unasked).await {
            turn.reached();
            let Resting { made, planned, .. } = resting;
            return Ok(lease(resting.connection, false, made, planned));
        }
        let connection = self.connect(turn).await?;
        let now = Instant::now();
        Ok(lease(connection, true, now, now))
    }

    /// Returns a connection that has rested and answers. If one does not, those that have rested
    /// longer will not either: all of them are dropped.
    async fn rested(&self, unasked: Duration) -> Option<Resting> {
        let mut resting = self.shared.next()?;
        if resting.since.elapsed() < unasked {
            return Some(resting);
        }
        if let Ok(Ok(())) = timeout(PING_TIME, resting.connection.ping()).await {
            return Some(resting);
        }
        self.forget_rested();
        None
    }

    async fn connect(&self, turn: Turn) -> Result<PgConnection, StoreError> {
        let connected = async {
            let mut connection = PgConnection::connect_with(&self.options).await?;
            connection.execute(DURABLE).await?;
            Ok(connection)
        };
        match timeout(CONNECT_TIME, connected).await {
            Ok(Ok(connection)) => {
                turn.reached();
                self.opened.fetch_add(1, Ordering::Relaxed);
                Ok(connection)
            }
            Ok(Err(error)) => {
                // A server with too many connections is there, and ours may be free in a moment.
                if is_of_many_connections(&error) {
                    return Err(failed(error));
                }
                Err(self.not_reached(turn, failed(error)))
            }
            Err(_elapsed) => Err(self.not_reached(turn, away("connecting took too long"))),
        }
    }

    /// Notes why the server was not reached, before anybody else is refused because of it.
    fn not_reached(&self, turn: Turn, error: StoreError) -> StoreError {
        let error = Arc::new(error);
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        *failure = Some(Arc::clone(&error));
        drop(failure);
        turn.not_reached();
        StoreError::Shared(error)
    }

    /// Ends all connections, after the transactions that are under way.
    pub(super) async fn close(&self) {
        let all = timeout(CLOSE_TIME, self.shared.places.acquire_many(self.most)).await;
        drop(all);
        self.shared.places.close();
        let resting = std::mem::take(&mut *self.shared.resting());
        for resting in resting {
            // Whether the server is told or not, the socket is closed.
            let _ = timeout(PING_TIME, resting.connection.close()).await;
        }
    }
}

impl Shared {
    fn resting(&self) -> std::sync::MutexGuard<'_, Vec<Resting>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the connection that was used last, and drops those that are too old.
    fn next(&self) -> Option<Resting> {
        let mut resting = self.resting();
        resting.retain(|it| it.since.elapsed() < KEPT.0 && it.made.elapsed() < KEPT.1);
        resting.pop()
    }
}

impl Lease {
    /// Returns true if the connection was made for this use.
    pub(super) const fn is_new(&self) -> bool {
        self.is_new
    }

    pub(super) fn connection(&mut self) -> Result<&mut PgConnection, StoreError> {
        let connection = self.connection.as_mut();
        connection.ok_or_else(|| away("the connection was given up"))
    }

    /// Has the server plan its prepared statements anew, if it may have kept a plan for longer than this.
    pub(super) async fn plan_anew(&mut self, kept: Duration) -> Result<(), sqlx::Error> {
        if self.planned.elapsed() > kept
            && let Some(connection) = &mut self.connection
        {
            connection.execute("DISCARD PLANS").await?;
            self.planned = Instant::now();
        }
        Ok(())
    }

    /// Closes the connection at once, without a word to the server.
    pub(super) fn discard(&mut self) {
        self.connection = None;
        self.place = None;
    }

    /// Gives the connection back, which is outside of any transaction.
    pub(super) fn give_back(mut self) {
        self.rest();
    }

    /// Undoes the transaction that the connection is in, and gives it back. In the background: the
    /// caller has no use for the end.
    pub(super) fn undo(mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            if let Some(connection) = &mut self.connection
                && let Ok(Ok(_)) = timeout(ROLLBACK_TIME, connection.execute("ROLLBACK")).await
            {
                self.rest();
            }
        });
    }

    fn rest(&mut self) {
        if self.shared.places.is_closed() {
            return;
        }
        if let Some(connection) = self.connection.take() {
            self.shared.resting().push(Resting {
                connection,
                made: self.made,
                planned: self.planned,
                since: Instant::now(),
            });
        }
        // Only now, so that whoever takes the place finds the connection.
        self.place = None;
    }
}

/// An error of a way that does not work.
pub(super) fn away(what: &'static str) -> StoreError {
    StoreError::Database {
        source: sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, what)).into(),
        trouble: Trouble::Away,
    }
}
