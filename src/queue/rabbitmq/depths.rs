//! Counts the messages in the broker's queues.
//!
//! Asked over a connection of its own, opened for the question: a broker under a memory alarm
//! stops reading from connections that publish, and that is just when somebody wants to know. The
//! question is a passive declaration, because every broker and every user's rights allow it; the
//! management API is a plug-in with an address and a password of its own.

use lapin::types::ShortString;
use lapin::{Channel, Connection};

use super::connection::{Broker, close, in_time, open_channel};
use super::error::BrokerError;
use crate::domain::retry;
use crate::queue::names::Names;
use crate::queue::{Depths, Lane, topology};

/// Asks the broker. The counts leave out what workers have in hand.
pub(super) async fn ask(broker: &Broker) -> Result<Depths, BrokerError> {
    let connection = broker.connect("statistics").await?;
    let counted = in_time(count(&connection, &broker.names)).await;
    close(&connection).await;
    counted
}

async fn count(connection: &Connection, names: &Names) -> Result<Depths, BrokerError> {
    let channel = open_channel(connection).await?;
    let work = depth(&channel, names.lane(Lane::Work)).await?;
    let mut retry = Vec::new();
    for delay in retry::delays() {
        retry.push((delay, depth(&channel, names.retry(delay)).await?));
    }
    let failed = depth(&channel, names.lane(Lane::Failed)).await?;
    // Dropped open, it would be closed while the connection closes too: an error to the client
    // library.
    let closed = channel.close(200, "done".into()).await;
    closed.map_err(BrokerError::amqp("closing the channel"))?;
    Ok(Depths {
        work,
        retry,
        failed,
    })
}

/// Counts the messages that are ready in a queue.
pub(super) async fn depth(channel: &Channel, queue: ShortString) -> Result<u64, BrokerError> {
    let counts = topology::inspect(channel, queue).await?;
    counts.map(|it| it.ready).ok_or(BrokerError::Missing)
}
