//! What only a broker can do: refuse, lose its connections, run out of memory, die.

mod outages;
mod rig;
mod roles;
mod topology;
mod worker;
