//! The settings of a connection to RabbitMQ.

use std::path::PathBuf;

use secrecy::SecretString;

/// The address of the broker and the names to use there.
#[derive(Clone, Debug)]
pub struct RabbitSettings {
    /// `amqp://…` or `amqps://…`, with user and password.
    pub url: SecretString,
    /// A PEM file with the certificate authority of an `amqps` broker. `None`: the public
    /// authorities.
    pub ca_file: Option<PathBuf>,
    /// The prefix of the names of exchanges and queues.
    pub prefix: String,
    /// The id of the store: queues that belong to another one are refused. `None` skips that check.
    pub installation: Option<String>,
}

impl RabbitSettings {
    /// The same for the store with this id.
    #[must_use]
    pub fn of_installation(self, id: String) -> Self {
        Self {
            installation: Some(id),
            ..self
        }
    }
}
