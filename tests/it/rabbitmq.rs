//! What only a broker can do: refuse, lose its connections, run out of memory, die.

mod accounting;
pub(crate) mod outages;
mod peer;
pub(crate) mod rig;
mod roles;
mod standstill;
pub(crate) mod tls;
pub(crate) mod topology;
mod versions;
mod worker;
