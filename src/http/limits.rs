//! Limits on the resources that one sender can use, and for how long. `docs/limits.md` lists them all,
//! with those of other places.

use std::time::Duration;

/// The largest body of a webhook, in bytes. Providers' events have a few kilobytes; a subscription
/// with the maximum number of items stays under 200 KB.
pub const WEBHOOK_BODY: usize = 1024 * 1024;

/// The size up to which the body of a webhook counts as small, in bytes. Larger ones need a permit.
pub(super) const SMALL_BODY: usize = 64 * 1024;

/// The memory for the bodies of all webhooks under way, in bytes. Whoever knows the form of a
/// signature can make the receiver read a body before it learns that nobody signed it, on every
/// connection at once, so the connections alone are no bound. It is 30,000 usual events.
const WEBHOOK_BYTES: usize = 64 * 1024 * 1024;

/// The number of larger bodies under way. At their most they take half of the memory, so the other
/// half is always there for small ones.
const LARGE_BODIES: usize = 32;

/// The time for which a larger body waits for its permit. Honest ones are read in milliseconds, so
/// that a burst of them passes; the sender stays within its own patience of five seconds.
const LARGE_BODY_WAIT: Duration = Duration::from_secs(1);

/// The time in which the rest of a request is read and discarded that was refused by its head, so
/// that an honest sender sees the answer and no reset connection.
pub(super) const LINGER_TIME: Duration = Duration::from_secs(2);

/// The largest body of any other request, in bytes: a thousand releases at once fit. It is read
/// only for a caller whose token is valid.
pub const API_BODY: usize = 1024 * 1024;

/// The memory for the bodies of all other requests under way, in bytes: a body is read for any valid
/// token, and a parsed one takes several times its size.
const API_BYTES: usize = 32 * 1024 * 1024;

/// The number of bytes of an oversized body that are read and discarded. A sender that is cut off
/// while still writing usually sees a reset connection instead of the 413, so a moderate excess is
/// read to its end; a body announced as larger than this is refused at once.
pub(super) const MAX_DISCARDED: usize = 8 * 1024 * 1024;

/// The largest head of a request (its line and its headers), in bytes. Far above what providers,
/// browsers and proxies send; hyper's own limit is six times this. Beyond it, or beyond the hundred
/// headers that hyper reads, the answer is hyper's: 431 without a body, and the connection is closed.
/// What is smaller than that and still too large gets a proper answer, by the next two.
pub(super) const HEAD: usize = 64 * 1024;

/// The largest sum of a request's headers, in bytes: what common servers allow.
pub(super) const HEADERS: usize = 32 * 1024;

/// The longest path and query of a request, in bytes: what common servers allow.
pub(super) const URI: usize = 8 * 1024;

/// The time from the first wait for a request until its head is complete. hyper includes the idle
/// time of a kept-alive connection, so this is the idle limit as well.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// The time from the head until the last byte of the body, even if bytes keep coming. A megabyte
/// arrives in this time at 70 KB a second.
const BODY_TIME: Duration = Duration::from_secs(15);

/// The time without any progress of an answer after which its reader is disconnected. Generous even
/// for a bad mobile connection.
const WRITE_TIME: Duration = Duration::from_secs(30);

/// The time limit for handing a webhook over to the queue, after which the answer is 503. Paddle
/// stops waiting after five seconds (<https://developer.paddle.com/webhooks/respond-to-webhooks>),
/// so a later answer would not be read.
const HAND_OVER_TIME: Duration = Duration::from_secs(4);

/// The number of open connections; further ones wait in the system's queue. Together with the
/// store's and the broker's it stays under the usual limit of 1,024 open files.
const CONNECTIONS: usize = 900;

/// The number of open connections of one address: two thirds of all, so that some remain for
/// others, and far more than a provider, a registry or a browser uses. A trusted proxy is exempt.
const CONNECTIONS_OF_ONE: usize = 600;

/// The time for which the refusal of a wrong customer token waits, once an address has shown many.
const WRONG_TOKEN_WAIT: Duration = Duration::from_secs(1);

/// The number of such refusals that wait at once. Each occupies a connection, so they may have less
/// than a third of those; beyond it they are answered at once.
const WRONG_TOKENS_WAITING: usize = 256;

/// The time for running requests to finish after the signal to stop. Less than the ten seconds
/// after which container runtimes kill; a webhook that is cut off then was not acknowledged and
/// comes again.
const DRAIN_TIME: Duration = Duration::from_secs(8);

/// The limits, which tests can make smaller.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The time for the head of a request, and for idling between requests. Default 10 s.
    pub head_time: Duration,
    /// The time for a whole body. Default 15 s.
    pub body_time: Duration,
    /// The time without progress of an answer. Default 30 s.
    pub write_time: Duration,
    /// The time for handing a webhook over to the queue. Default 4 s.
    pub hand_over_time: Duration,
    /// The number of open connections. Default 900.
    pub connections: usize,
    /// The number of open connections of one address; more are closed at once. Default 600.
    pub connections_of_one: usize,
    /// The time for running requests when the server stops. Default 8 s.
    pub drain_time: Duration,
    /// The memory for the bodies of all webhooks under way, in bytes. Default 64 MiB.
    pub webhook_bytes: usize,
    /// The memory for the bodies of all other requests under way, in bytes. Default 32 MiB.
    pub api_bytes: usize,
    /// The time for which refusals of wrong customer tokens wait, once there were many. Default 1 s.
    pub wrong_token_wait: Duration,
    /// The number of refusals that wait at once. Default 256.
    pub wrong_tokens_waiting: usize,
    /// The number of webhooks under way with a body over 64 KiB. Default 32.
    pub large_bodies: usize,
    /// The time for which a body over 64 KiB waits for its turn. Default 1 s.
    pub large_body_wait: Duration,
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
            webhook_bytes: WEBHOOK_BYTES,
            api_bytes: API_BYTES,
            wrong_token_wait: WRONG_TOKEN_WAIT,
            wrong_tokens_waiting: WRONG_TOKENS_WAITING,
            large_bodies: LARGE_BODIES,
            large_body_wait: LARGE_BODY_WAIT,
        }
    }
}
