//! The exchange that says which installation owns the queues.

use lapin::options::{ExchangeDeclareOptions, ExchangeDeleteOptions};
use lapin::types::FieldTable;
use lapin::{Channel, ExchangeKind};

use super::names::Names;
use super::topology::{DeclareError, exchange_with, explain, is_missing, text};

/// The argument of an exchange that carries the id of the owner.
const ARGUMENT: &str = "alternate-exchange";

/// The installation that owns the queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    This,
    Other,
}

/// Declares the exchange that carries the id of the store that owns the queues. Nothing is published to
/// it. The id is stored as the name of an alternate exchange, which need not exist: that is the only
/// argument of an exchange that the broker compares on redeclaration. It begins with the prefix because
/// naming an alternate exchange needs write permission on it. Of another owner the broker closes the
/// channel.
pub(super) async fn declare(
    channel: &Channel,
    names: &Names,
    id: &str,
) -> Result<Owner, DeclareError> {
    let options = ExchangeDeclareOptions {
        durable: true,
        // Refuses what a client publishes to it.
        internal: true,
        ..ExchangeDeclareOptions::default()
    };
    let mut arguments = FieldTable::default();
    let owner = names.owner(id);
    arguments.insert(ARGUMENT.into(), text(owner.as_str()));
    let name = names.installation();
    let declared = exchange_with(channel, name, ExchangeKind::Fanout, options, arguments).await;
    match declared {
        Ok(()) => Ok(Owner::This),
        Err(DeclareError::Mismatch(it)) if it.argument == ARGUMENT => Ok(Owner::Other),
        Err(error) => Err(error),
    }
}

/// True if that exchange exists; if not, the broker closes the channel.
pub(super) async fn exists(channel: &Channel, names: &Names) -> Result<bool, DeclareError> {
    let options = ExchangeDeclareOptions {
        passive: true,
        ..ExchangeDeclareOptions::default()
    };
    let name = names.installation();
    let object = format!("exchange `{name}`");
    let looked = channel
        .exchange_declare(name, ExchangeKind::Fanout, options, FieldTable::default())
        .await;
    match looked {
        Ok(()) => Ok(true),
        Err(error) if is_missing(&error) => Ok(false),
        Err(error) => Err(explain(object, error)),
    }
}

/// Removes that exchange, if it is there.
pub(super) async fn remove(channel: &Channel, names: &Names) -> Result<(), DeclareError> {
    let name = names.installation();
    let object = format!("exchange `{name}`");
    channel
        .exchange_delete(name, ExchangeDeleteOptions::default())
        .await
        .map_err(|error| explain(object, error))
}
