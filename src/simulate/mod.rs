//! The simulation: a test rig for users and for ourselves.
//!
//! The lives of some customers over some months are drawn from a seed, at both providers and in
//! several payload forms. Their webhooks are signed and posted as providers would post them on a
//! bad day: shuffled, late, twice, or not at all. When the queue is empty, the store is read
//! through the admin API and compared with a model that saw everything happen in order
//! ([`model`]). Every difference is a defect, of the model or of the server.
//!
//! Without a URL a complete server is started in a temporary folder. Its clock is set some weeks
//! before the end of the traffic while it is posted, and then to the end, so that timers run.

mod compare;
mod delivery;
mod draw;
mod error;
mod life;
mod model;
mod person;
mod post;
mod provider;
mod report;
mod run;
mod shop;
mod target;
mod traffic;
mod wire;

pub(crate) use delivery::Weather;
pub(crate) use error::SimulateError;
pub(crate) use life::DAY;
pub(crate) use post::Speed;
pub(crate) use run::{Order, Place, Verdict, print_bodies, run};
