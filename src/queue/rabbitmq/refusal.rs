//! Hints for a refused login, virtual host or permission.

use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};

/// Returns what to do about a refusal, to stand behind it; nothing for any other error.
pub(super) fn remedy(error: &lapin::Error) -> &'static str {
    let ErrorKind::ProtocolError(refused) = error.kind() else {
        return "";
    };
    match refused.kind() {
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) if is_of_login(refused.get_message()) => {
            " (AMQP_URL needs the name and the password of a user of this broker; `guest` may only come from \
             the broker's own machine)"
        }
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => {
            " (the user needs rights to configure, write and read what begins with TOLLGATE_AMQP_PREFIX: \
             `rabbitmqctl set_permissions` gives them, as in deploy/rabbitmq/setup)"
        }
        AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => {
            " (the path of AMQP_URL names the virtual host: `rabbitmqctl add_vhost` creates it, and \
             `rabbitmqctl set_permissions` lets the user in)"
        }
        _ => "",
    }
}

/// Tells a refused user from a right that is missing, which have one code.
fn is_of_login(said: &lapin::types::ShortString) -> bool {
    said.as_str().contains("Login was refused")
}
