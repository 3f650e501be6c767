//! What only a broker can do: refuse, lose its connections, run out of memory, die.

pub(crate) mod outages;
pub(crate) mod rig;
mod roles;
mod tls;
pub(crate) mod topology;
mod worker;
