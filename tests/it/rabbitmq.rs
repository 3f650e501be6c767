//! What only a broker can do: refuse, lose its connections, run out of memory, die.

mod accounting;
mod changes;
mod installation;
pub(crate) mod outages;
mod peer;
pub(crate) mod rig;
mod roles;
mod standstill;
mod time_out;
pub(crate) mod tls;
pub(crate) mod topology;
mod versions;
mod worker;
