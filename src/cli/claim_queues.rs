//! `tollgate claim-queues`: takes over the queues of an installation that is gone.

use std::process::ExitCode;

use super::error::CliError;
use crate::clock::SystemClock;
use crate::config::Loaded;
use crate::output;
use crate::queue::rabbitmq::{Claimed, RabbitQueue};
use crate::server::{StartError, find_store, installation_id, rabbit_settings};

pub(super) async fn run(loaded: &Loaded) -> Result<ExitCode, CliError> {
    let Some(settings) = rabbit_settings(&loaded.config) else {
        return Err(CliError::Usage {
            what: "AMQP_URL is not set, and the built-in queue is part of the store".to_owned(),
            right: "run this with the settings of the servers".to_owned(),
        });
    };
    let store = find_store(&loaded.config).await?;
    let id = installation_id(&store, &SystemClock).await;
    store.close().await;
    let settings = settings.of_installation(id?);
    let claimed = RabbitQueue::claim(&settings).await;
    output::line(&match claimed.map_err(StartError::from)? {
        Claimed::Before => "the queues are those of this store".to_owned(),
        Claimed::TakenOver { messages } => {
            format!("the queues are those of this store now (messages that wait: {messages})")
        }
    });
    Ok(ExitCode::SUCCESS)
}
