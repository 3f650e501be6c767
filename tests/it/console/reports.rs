//! What people have reported of other consoles, for billing, queues and webhooks, tried on this one.

mod lists;
mod looks;
mod sessions;
mod shown;
