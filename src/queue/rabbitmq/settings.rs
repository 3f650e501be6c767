//! The settings of a connection to RabbitMQ.

use std::path::PathBuf;

use secrecy::SecretString;

/// Where the broker is.
#[derive(Clone, Debug)]
pub struct RabbitSettings {
    /// `amqp://…` or `amqps://…`, with user and password.
    pub url: SecretString,
    /// A PEM file with the authority of an `amqps` broker; without it the public ones.
    pub ca_file: Option<PathBuf>,
    /// What the names of exchanges and queues begin with.
    pub prefix: String,
}
