//! How much of us one sender can hold, and for how long.

use std::time::Duration;

/// The largest body of a webhook, in bytes. Providers' events are a few kilobytes; a subscription
/// with every item it may have stays under 200 KB.
pub const WEBHOOK_BODY: usize = 1024 * 1024;

/// The largest body of any other request, in bytes: a thousand releases at once fit.
pub const API_BODY: usize = 1024 * 1024;

/// How much of a body that is too large is read and thrown away, in bytes. Who is cut off while
/// still writing usually sees a reset connection instead of the 413, so a moderate excess is read
/// to its end; what claims to be larger than this is answered at once.
pub(super) const THROWN_AWAY: usize = 8 * 1024 * 1024;

/// The largest head of a request (its line and its headers), in bytes. Far above what providers,
/// browsers and proxies send; hyper's own limit is six times this.
pub(super) const HEAD: usize = 64 * 1024;

/// From the first wait for a request until its head is complete. hyper counts the idle time of a
/// kept-alive connection into it, so this is the idle limit as well.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// From the head until the last byte of the body, however regularly bytes drip in. A megabyte
/// arrives in this time at 70 KB a second.
const BODY_TIME: Duration = Duration::from_secs(15);

/// How long nothing of an answer may leave before its reader is given up. Generous to somebody on a
/// train; nobody who reads at all is slower.
const WRITE_TIME: Duration = Duration::from_secs(30);

/// How long the durable hand-over of a webhook may take before the answer is 503. Paddle stops
/// listening after five seconds
/// (<https://developer.paddle.com/webhooks/respond-to-webhooks>): a later answer is read by nobody.
const HAND_OVER_TIME: Duration = Duration::from_secs(4);

/// Open connections; further ones wait in the system's queue. Stays, with the store's and the
/// broker's, under the usual limit of 1,024 open files, and bounds the memory that bodies under
/// way can take to 900 MiB.
const CONNECTIONS: usize = 900;

/// Open connections of one address: two thirds of all, so that others find a place, and far more
/// than a provider, a registry or a browser holds. A proxy in front is exempt if it is trusted.
const CONNECTIONS_OF_ONE: usize = 600;

/// How long requests under way may take to finish after the order to stop. Less than the ten
/// seconds after which container runtimes kill; a webhook cut off then was not acknowledged and
/// comes again.
const DRAIN_TIME: Duration = Duration::from_secs(8);

/// The limits that tests make smaller.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For the head of a request, and for idling between requests. Default 10 s.
    pub head_time: Duration,
    /// For a whole body. Default 15 s.
    pub body_time: Duration,
    /// For any progress of an answer on its way out. Default 30 s.
    pub write_time: Duration,
    /// For handing one webhook over to the queue. Default 4 s.
    pub hand_over_time: Duration,
    /// Open connections. Default 900.
    pub connections: usize,
    /// Of these, those of one address; more are closed at once. Default 600.
    pub connections_of_one: usize,
    /// For requests under way when the server stops. Default 8 s.
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_time: HEAD_TIME,
            body_time: BODY_TIME,
            write_time: WRITE_TIME,
            hand_over_time: HAND_OVER_TIME,
            connections: CONNECTIONS,
            connections_of_one: CONNECTIONS_OF_ONE,
            drain_time: DRAIN_TIME,
        }
    }
}
