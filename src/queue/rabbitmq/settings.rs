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
    /// The id of the store behind this queue. Queues that another installation uses are refused; `None`:
    /// whose they are is not asked.
    pub installation: Option<String>,
}
