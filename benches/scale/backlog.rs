//! A server that drains a backlog of renewals, spread over all customers of a database.

use std::ffi::OsString;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, PgConnection};
use tollgate::queue::rabbitmq::RabbitQueue;
use tollgate::queue::{Message, Publisher};

use crate::support::serving::{Serving, quiet_port};
use crate::support::{rabbitmq, seconds_from_now, stripe_event, stripe_subscription};
use crate::{drained, event, settings};

/// Events of one draining: some ten seconds' work.
const EVENTS: u32 = 20_000;
const TYPE: &str = "customer.subscription.updated";
/// How long a draining may take.
const PATIENCE: Duration = Duration::from_mins(3);

/// Events a second of one process. `name`: of its queues.
pub(crate) async fn drain(name: &str, url: &SecretString, customers: u32) -> f64 {
    let broker = rabbitmq::shared();
    let queue = RabbitQueue::start(&broker.settings(name)).await.unwrap();
    let published = stream::iter(0..EVENTS)
        .map(|_| queue.publish(renewal(customers)))
        .buffer_unordered(200);
    published.try_collect::<()>().await.unwrap();
    let mut database = PgConnection::connect(url.expose_secret()).await.unwrap();
    let before = drained::newest(&mut database).await;

    let folder = tempfile::tempdir().unwrap();
    let mut environment = settings(folder.path(), url);
    for (setting, value) in [
        ("AMQP_URL", broker.url()),
        ("TOLLGATE_AMQP_PREFIX", name.to_owned()),
        ("TOLLGATE_LISTEN", format!("127.0.0.1:{}", quiet_port())),
        ("TOLLGATE_LOG", "error".to_owned()),
    ] {
        environment.insert(setting.into(), OsString::from(value));
    }
    let worker = Serving::spawn(&environment);
    let started = Instant::now();
    while drained::newest(&mut database).await < before + i64::from(EVENTS) {
        assert!(started.elapsed() < PATIENCE, "{}", worker.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    worker.kill();
    drained::rate_behind(&mut database, before).await
}

/// The next renewal: each of another customer, until all had one, and each until a later day.
fn renewal(customers: u32) -> Message {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    // A step that shares no divisor with the number of customers visits all of them.
    let customer = 1 + u64::from(number) * 7_919 % u64::from(customers);
    let customer = format!("f{customer:031x}");
    let mut object = stripe_subscription(
        &format!("sub_{customer}"),
        &format!("cus_{customer}"),
        "active",
    );
    let end = seconds_from_now(40 * 86_400 + i64::from(number));
    object["items"]["data"][0]["current_period_end"] = end.into();
    // As long as the provider's own events are, about 3 KB.
    object["description"] = "x".repeat(2_000).into();
    let id = format!("evt_renewal_{number}");
    let body = stripe_event(&id, TYPE, seconds_from_now(0), object).to_string();
    event::message_with(id, TYPE, body)
}
