//! The state that all requests share, and the settings of HTTP.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::endpoints::Endpoints;
use super::limits::Limits;
use super::throttle::Throttle;
use super::usage::Usage;
use crate::clock::Clock;
use crate::domain::access::token::TokenHash;
use crate::queue::Publisher;
use crate::store::Store;
use crate::vault::Vault;

/// Which parts of Tollgate this process serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Takes webhooks.
    pub receiver: bool,
    /// Works on events. It serves nothing over HTTP but its health.
    pub worker: bool,
    /// The admin API and the access check.
    pub api: bool,
}

impl Roles {
    /// All of them.
    pub const ALL: Self = Self {
        receiver: true,
        worker: true,
        api: true,
    };
}

/// What the settings say about HTTP.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Which routes there are, and what `/readyz` asks.
    pub roles: Roles,
    /// Greatest age of a signature, either way. Whole seconds.
    pub signature_tolerance: Duration,
    /// Networks whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The hash of `ADMIN_TOKEN`, if it is set.
    pub root_token: Option<TokenHash>,
    /// Sizes and times.
    pub limits: Limits,
}

/// What handlers work with.
pub struct Parts {
    /// The store.
    pub store: Store,
    /// Where webhooks and replays go.
    pub publisher: Arc<dyn Publisher>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Which webhook endpoints there are.
    pub endpoints: Endpoints,
    /// Seals webhook secrets.
    pub vault: Vault,
    /// The settings.
    pub settings: HttpSettings,
    /// Counts webhooks with bad signatures.
    pub bad_signatures: Throttle,
    /// Counts failed sign-ins.
    pub bad_tokens: Throttle,
    /// Notes what is used.
    pub usage: Usage,
}

/// [`Parts`], shared by all requests. Cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Parts>);

impl AppState {
    /// Shares the parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for AppState {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}
