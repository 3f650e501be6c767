//! The state that all requests share, and the settings of HTTP.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::body_budget::BodyBudget;
use super::endpoints::Endpoints;
use super::limits::Limits;
use super::readers::Readers;
use super::scrapers::Scrapers;
use super::sign_ins::SignIns;
use super::throttle::Throttle;
use super::usage::Usage;
use super::wrong_tokens::WrongTokens;
use crate::clock::Clock;
use crate::domain::access::token::TokenHash;
use crate::domain::role::Role;
use crate::metrics::Metrics;
use crate::pipeline::access_checks::AccessChecks;
use crate::pipeline::acknowledged::Acknowledged;
use crate::pipeline::apis::Apis;
use crate::pipeline::figures::Figures;
use crate::pipeline::health::Health;
use crate::pipeline::hooks::Destinations;
use crate::pipeline::registries::Repositories;
use crate::queue::Publisher;
use crate::store::Store;
use crate::vault::Vault;

/// The roles of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Receives webhooks.
    pub receiver: bool,
    /// Processes events. Over HTTP it serves only health checks.
    pub worker: bool,
    /// Serves the admin API and the access check.
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

/// The settings of HTTP.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// The roles, which decide the routes and the checks of `/readyz`.
    pub roles: Roles,
    /// Maximum age of a signature, in either direction. Whole seconds.
    pub signature_tolerance: Duration,
    /// Networks whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Origins whose pages may call the API.
    pub cors_origins: Vec<String>,
    /// The hash of `ADMIN_TOKEN`, if it is set.
    pub root_token: Option<TokenHash>,
    /// Limits of sizes and times.
    pub limits: Limits,
    /// The path below which nginx has the files of the Composer repository, with a slash at its end;
    /// `None`: they are sent from here.
    pub accel_prefix: Option<String>,
    /// Serves the console.
    pub console: bool,
    /// The least role that the console and the API show payloads to.
    pub payloads_for: Role,
}

/// Everything that handlers need.
pub struct Parts {
    /// The store.
    pub store: Store,
    /// The queue for webhooks and replays.
    pub publisher: Arc<dyn Publisher>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The known webhook endpoints.
    pub endpoints: Endpoints,
    /// Encrypts webhook secrets.
    pub vault: Vault,
    /// The settings.
    pub settings: HttpSettings,
    /// Counts webhooks with bad signatures.
    pub bad_signatures: Throttle,
    /// Counts failed sign-ins.
    pub bad_tokens: Throttle,
    /// Links that sign in to the console once.
    pub sign_ins: SignIns,
    /// Counts the uses of tokens and secrets.
    pub usage: Usage,
    /// Notes which webhooks were acknowledged.
    pub acknowledged: Acknowledged,
    /// What is known of the health of this process.
    pub health: Health,
    /// The Composer repositories of apps.
    pub repositories: Repositories,
    /// The providers' APIs that can be asked.
    pub apis: Apis,
    /// Where hooks may go.
    pub hooks: Destinations,
    /// What is counted.
    pub metrics: Metrics,
    /// What is read when somebody asks for figures.
    pub figures: Figures,
}

/// [`Parts`], shared by all requests. Cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Shared>);

struct Shared {
    parts: Parts,
    bodies: BodyBudget,
    api_bodies: BodyBudget,
    wrong_tokens: WrongTokens,
    access: AccessChecks,
    scrapers: Scrapers,
    readers: Readers,
}

impl AppState {
    /// Shares the parts.
    pub fn new(parts: Parts) -> Self {
        let limits = &parts.settings.limits;
        Self(Arc::new(Shared {
            bodies: BodyBudget::of_webhooks(limits),
            api_bodies: BodyBudget::of_api(limits),
            wrong_tokens: WrongTokens::new(limits),
            access: AccessChecks::new(parts.store.clone(), parts.repositories.releases().clone()),
            parts,
            scrapers: Scrapers::default(),
            readers: Readers::default(),
        }))
    }

    /// Returns the places of those who read the API and the console.
    pub(super) fn readers(&self) -> &Readers {
        &self.0.readers
    }

    /// Returns the budget for the bodies of webhooks.
    pub(super) fn bodies(&self) -> &BodyBudget {
        &self.0.bodies
    }

    /// Returns the budget for the bodies of all other requests.
    pub(super) fn api_bodies(&self) -> &BodyBudget {
        &self.0.api_bodies
    }

    /// Returns what slows down those who show wrong tokens.
    pub(super) fn wrong_tokens(&self) -> &WrongTokens {
        &self.0.wrong_tokens
    }

    /// Returns the access check of registries.
    pub(super) fn access(&self) -> &AccessChecks {
        &self.0.access
    }

    /// Returns the tokens with which figures were read.
    pub(super) fn scrapers(&self) -> &Scrapers {
        &self.0.scrapers
    }
}

impl Deref for AppState {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0.parts
    }
}
