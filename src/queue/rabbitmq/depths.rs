//! How much lies in the broker's queues.
//!
//! Asked over a connection of its own, opened for the question: a broker under a memory alarm
//! stops reading from those that publish, which is when somebody wants to know. The question is
//! a declaration that only looks (`passive`), because every broker and every user's rights allow
//! it; the management API is a plug-in with an address and a password of its own.

use lapin::Connection;

use super::connection::{Broker, BrokerError, close, in_time, open_channel};
use crate::domain::retry;
use crate::queue::topology::{self, Names};
use crate::queue::{Depths, Lane};

/// Asks the broker. What workers hold unsettled is not in the counts.
pub(super) async fn ask(broker: &Broker) -> Result<Depths, BrokerError> {
    let connection = broker.connect("statistics").await?;
    let counted = in_time(count(&connection, &broker.names)).await;
    close(&connection).await;
    counted
}

async fn count(connection: &Connection, names: &Names) -> Result<Depths, BrokerError> {
    let channel = open_channel(connection).await?;
    let work = topology::depth(&channel, names.lane(Lane::Work)).await?;
    let mut retry = Vec::new();
    for rest in retry::rests() {
        retry.push((rest, topology::depth(&channel, names.retry(rest)).await?));
    }
    let failed = topology::depth(&channel, names.lane(Lane::Failed)).await?;
    Ok(Depths {
        work,
        retry,
        failed,
    })
}
