//! Looking up many tokens at once, each with the package that it was shown for.

use super::record::{FromRow, Reader, Rows, binds, record};
use super::registry::Registry;
use super::{Store, StoreError, TokenHolder};
use crate::domain::access::hand_grant::{GrantBilling, HandGrant};
use crate::domain::access::live_grant::LiveGrant;
use crate::domain::access::plan::{PackageGrant, Plan, Plans};
use crate::domain::access::token::{CustomerToken, TokenHash};
use crate::domain::access::versions::Scheme;
use crate::domain::customer::row::Customer;
use crate::domain::id::{AppSlug, Provider};
use crate::domain::time::Timestamp;

/// A token, and the package that it was shown for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PackageQuestion {
    /// The hash of the token.
    pub token: TokenHash,
    /// The package, as names are kept: in lower case.
    pub package: String,
}

/// The customer behind a token, and everything that decides about one package.
#[derive(Clone, Debug)]
pub struct PackageHolder {
    /// The token and the customer.
    pub holder: TokenHolder,
    /// How the versions of the package are read.
    pub scheme: Scheme,
    /// What the app tells customers who are held.
    pub registry: Registry,
    /// Grants of the package by hand, with the time of each, run out or not.
    pub by_hand: Vec<(HandGrant, Timestamp)>,
    /// Those plans of the customer's prices that buy the package, with their packages alone.
    pub plans: Plans,
}

impl PackageHolder {
    /// Returns what gives the customer the package now.
    pub fn live_grants(&self, package: &str, now: Timestamp) -> Vec<LiveGrant> {
        let derived = &self.holder.customer.derived;
        let by_hand = self.by_hand.iter();
        let by_hand = by_hand.filter_map(|(it, at)| LiveGrant::of_hand(it, *at, derived, now));
        let by_plans = derived.entitlements.iter();
        let by_plans = by_plans.flat_map(|it| LiveGrant::of_price(it, &self.plans, derived));
        let mut live: Vec<LiveGrant> = by_hand.chain(by_plans).collect();
        live.retain(|it| it.grant.package == package);
        live
    }

    /// True if it matters when the versions of the package were released.
    pub fn needs_releases(&self, package: &str, now: Timestamp) -> bool {
        let is_dated = |it: &LiveGrant| it.until.is_some();
        self.holder.customer.derived.needs_releases()
            && self.live_grants(package, now).iter().any(is_dated)
    }
}

record! {
    struct Asked<'a> {
        place: i64,
        hash: &'a TokenHash,
        package: &'a str,
    }
}

record! {
    struct Place from "token_hashes" {
        place: i64,
    }
}

record! {
    /// The first columns of each row of the answer; empty but in the row of a grant by hand.
    struct GrantRow from "grants" {
        version_constraint: Option<String>,
        billing: Option<GrantBilling>,
        runs_out_at: Option<Timestamp>,
        granted_at: Option<Timestamp>,
    }
}

record! {
    /// The next columns; empty but in the row of a plan.
    struct PlanRow from "plans" {
        provider: Option<Provider>,
        price_id: Option<String>,
        bought: Option<Vec<PackageGrant>>,
    }
}

record! {
    /// The last columns, in the row of the holder of a token.
    struct HolderRow from "customers" {
        until: Option<Timestamp>,
        versions: Option<Scheme>,
        held_text: Option<String>,
        held_url: Option<String>,
        app: AppSlug,
        kept: Customer,
    }
}

/// One statement: for each token a row of its holder, rows of grants and rows of plans. Outer joins,
/// which also find what is not there, say in which order the tables are read: from the token on, each by
/// its key. With inner joins an engine may begin at the far end while tables are small, and go on so when
/// they are not. Rows that say nothing are left out by a condition on what a join may have left
/// empty, since a plain one would make it an inner join again.
const LOOK_UP: &str = r"
    WITH holders AS MATERIALIZED (
        SELECT
            asked.place, asked.package AS wanted,
            tokens.id, tokens.customer_id AS customer, tokens.name, tokens.scope, tokens.packages,
            tokens.prefix, tokens.created_at, tokens.expires_at, tokens.last_used_at,
            tokens.previous_until,
            tokens.app, presented.until, COALESCE(shown.kept, given.kept) AS kept,
            COALESCE(given.merged_into, given.id) AS shown
        FROM {rows} AS asked
        LEFT JOIN token_hashes AS presented ON presented.hash = asked.hash
        LEFT JOIN tokens ON tokens.id = presented.token_id
        LEFT JOIN customers AS given ON given.id = tokens.customer_id
        LEFT JOIN customers AS shown ON shown.id = given.merged_into
        WHERE given.deleted_at IS NULL AND shown.deleted_at IS NULL
    )
    SELECT
        holders.place,
        CAST(NULL AS TEXT) AS version_constraint, CAST(NULL AS TEXT) AS billing,
        CAST(NULL AS BIGINT) AS runs_out_at, CAST(NULL AS TIMESTAMPTZ) AS granted_at,
        CAST(NULL AS TEXT) AS provider, CAST(NULL AS TEXT) AS price_id,
        CAST(NULL AS JSONB) AS bought,
        holders.until, packages.versions, registries.held_text, registries.held_url,
        holders.app, holders.kept,
        holders.id, holders.customer, holders.name, holders.scope, holders.packages,
        holders.prefix, holders.created_at, holders.expires_at, holders.last_used_at,
        holders.previous_until
    FROM holders
    LEFT JOIN packages ON packages.app = holders.app AND packages.package = holders.wanted
    LEFT JOIN registries ON registries.app = holders.app
    WHERE COALESCE(holders.id, '') <> ''
    UNION ALL
    SELECT
        holders.place,
        grants.version_constraint, grants.billing, grants.expires_at, grants.created_at,
        NULL, NULL, NULL,
        NULL, NULL, NULL, NULL, NULL, NULL,
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM holders
    LEFT JOIN grants
        ON grants.app = holders.app AND grants.customer_id = holders.shown
        AND grants.package = holders.wanted
    WHERE COALESCE(grants.package, '') <> ''
    UNION ALL
    SELECT
        holders.place,
        grants.version_constraint, grants.billing, grants.expires_at, grants.created_at,
        NULL, NULL, NULL,
        NULL, NULL, NULL, NULL, NULL, NULL,
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM holders
    LEFT JOIN customers AS merged
        ON merged.app = holders.app AND merged.merged_into = holders.shown
    LEFT JOIN grants
        ON grants.app = merged.app AND grants.customer_id = merged.id
        AND grants.package = holders.wanted
    WHERE COALESCE(grants.package, '') <> ''
    UNION ALL
    SELECT
        holders.place,
        NULL, NULL, NULL, NULL,
        plans.provider, plans.price_id, plans.packages,
        NULL, NULL, NULL, NULL, NULL, NULL,
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM holders
    LEFT JOIN entitlements ON entitlements.customer_id = holders.shown AND entitlements.plan <> ''
    LEFT JOIN plan_packages
        ON plan_packages.app = holders.app AND plan_packages.provider = entitlements.provider
        AND plan_packages.price_id = entitlements.plan AND plan_packages.package = holders.wanted
    LEFT JOIN plans
        ON plans.app = plan_packages.app AND plans.provider = plan_packages.provider
        AND plans.price_id = plan_packages.price_id
    WHERE COALESCE(plans.price_id, '') <> ''
";

impl Store {
    /// Looks up tokens, each with a package, in one statement. In place of each stands its holder; `None` if nobody
    /// has the token, also when the customer was deleted. A row that cannot be read spoils the answer
    /// to its own question alone.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn access_look_up(
        &self,
        asked: &[PackageQuestion],
    ) -> Result<Vec<Result<Option<Box<PackageHolder>>, StoreError>>, StoreError> {
        let rows = (0_i64..).zip(asked).map(|(place, it)| Asked {
            place,
            hash: &it.token,
            package: &it.package,
        });
        let rows: Rows<Asked<'_>> = rows.collect();
        let answered = self.look_up(LOOK_UP, binds![rows]).await?;
        let mut found: Vec<Result<Option<Box<PackageHolder>>, StoreError>> =
            asked.iter().map(|_| Ok(None)).collect();
        // Nothing is said about the order of rows.
        let (mut by_hand, mut plans) = (Vec::new(), Vec::new());
        for row in &answered {
            let mut reader = Reader::new(row);
            let Place { place } = Place::from_row(&mut reader)?;
            let place = usize::try_from(place).unwrap_or(usize::MAX);
            let Some((found, asked)) = found.get_mut(place).zip(asked.get(place)) else {
                continue;
            };
            match read(&mut reader, &asked.package) {
                Ok(Part::Grant(grant)) => by_hand.push((place, grant)),
                Ok(Part::Plan(plan)) => plans.push((place, plan)),
                Ok(Part::Holder(holder)) if found.is_ok() => *found = Ok(Some(holder)),
                Ok(Part::Holder(_)) => {}
                Err(error) => *found = Err(error),
            }
        }
        for (place, grant) in by_hand {
            if let Ok(Some(found)) = &mut found[place] {
                found.by_hand.push(grant);
            }
        }
        for (place, (key, plan)) in plans {
            if let Ok(Some(found)) = &mut found[place] {
                found.plans.insert(key, plan);
            }
        }
        Ok(found)
    }
}

/// What a row of the answer is.
enum Part {
    Holder(Box<PackageHolder>),
    Grant((HandGrant, Timestamp)),
    Plan(((Provider, String), Plan)),
}

/// Reads a row of the answer about this package.
fn read(row: &mut Reader<'_>, package: &str) -> Result<Part, StoreError> {
    if let Some(grant) = GrantRow::from_row(row)?.grant(package) {
        return Ok(Part::Grant(grant));
    }
    if let Some(plan) = PlanRow::from_row(row)?.plan() {
        return Ok(Part::Plan(plan));
    }
    let (holder, token) = <(HolderRow, CustomerToken)>::from_row(row)?;
    Ok(Part::Holder(Box::new(PackageHolder {
        holder: TokenHolder {
            app: holder.app,
            token: token.until(holder.until),
            customer: holder.kept,
        },
        scheme: holder.versions.unwrap_or_default(),
        registry: Registry {
            held_text: holder.held_text,
            held_url: holder.held_url,
            ..Registry::default()
        },
        by_hand: Vec::new(),
        plans: Plans::new(),
    })))
}

impl GrantRow {
    /// The grant, and when it was given; `None` if the row is another one.
    fn grant(self, package: &str) -> Option<(HandGrant, Timestamp)> {
        let constraint = self.version_constraint?;
        let grant = HandGrant {
            grant: PackageGrant {
                package: package.to_owned(),
                constraint,
            },
            billing: self.billing?,
            expires_at: self.runs_out_at,
        };
        Some((grant, self.granted_at?))
    }
}

impl PlanRow {
    /// The price and its plan; `None` if the row is another one.
    fn plan(self) -> Option<((Provider, String), Plan)> {
        let plan = Plan {
            packages: self.bought?,
            ..Plan::default()
        };
        Some(((self.provider?, self.price_id?), plan))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sqlite_finds_everything_by_keys() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_sqlite(&folder.path().join("t.db"))
            .await
            .unwrap();
        store.migrate().await.unwrap();
        let hash = TokenHash::of("tok_a");
        let rows: Rows<Asked<'_>> = [Asked {
            place: 0,
            hash: &hash,
            package: "a/lib",
        }]
        .into_iter()
        .collect();
        let sql = format!("EXPLAIN QUERY PLAN {LOOK_UP}");
        let plan = store.look_up(&sql, binds![rows]).await.unwrap();
        let steps: Vec<&str> = plan
            .iter()
            .map(|row| row.cells().text(3).unwrap())
            .collect();
        let is_walk = |step: &&&str| {
            step.starts_with("SCAN") && !step.contains("jsonb_each") && !step.contains("holders")
        };
        assert_eq!(steps.iter().find(is_walk), None, "{steps:#?}");
        let merged = "customers_by_merged_into (app=? AND merged_into=?)";
        let by_merged = |step: &&str| step.contains(merged);
        assert!(steps.iter().any(by_merged), "{steps:#?}");
    }
}
