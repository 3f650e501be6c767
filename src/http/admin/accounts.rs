//! A customer's billing accounts, how each was linked, and linking and parting by hand.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::connected_account::ConnectedAccount;
use crate::domain::id::Provider;
use crate::domain::identity::register::Tie;
use crate::domain::time::Timestamp;
use crate::domain::validate::{self, FieldError};
use crate::http::api::customer::ActedView;
use crate::http::api::list::{List, Paging, PagingQuery};
use crate::http::api::{customer_id, order_of, time};
use crate::http::field_errors::{FieldErrors, checked, yes_or_no};
use crate::http::openapi::{self, words};
use crate::http::reason::{ReasonQuery, Reasoned};
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath, ValidQuery};
use crate::pipeline::customers::{self, AccountName, LinkedAccount};
use crate::provider::Spec;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(list, link))
        .routes(routes!(part));
    openapi::resource(
        "accounts",
        "Billing accounts of customers, and how each was linked.",
        routes,
    )
}

/// A billing account of a customer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Account)]
pub(super) struct AccountView {
    #[schema(schema_with = words::provider)]
    provider: Provider,
    /// The provider's id of it.
    #[schema(examples("cus_NffrFeUfNV2Hib"))]
    account: String,
    livemode: bool,
    /// The connected account (Stripe Connect) that it belongs to.
    connected_account: Option<String>,
    #[schema(schema_with = words::linked_by)]
    linked_by: &'static str,
    /// The seller's own id of it.
    seller_id: Option<String>,
    /// The account that had the seller's id or the address before it; null if an admin gave it to the
    /// customer.
    follows: Option<String>,
    /// Its current e-mail address. The customer shows it only if it is nobody else's.
    email: Option<String>,
    /// The first e-mail address that it had, in lower case.
    first_email: Option<String>,
    /// The provider's time of the oldest event about it; null before the first.
    #[schema(format = DateTime)]
    first_seen_at: Option<String>,
    /// The time at which the provider deleted it.
    #[schema(format = DateTime)]
    removed_at: Option<String>,
}

impl From<LinkedAccount> for AccountView {
    fn from(linked: LinkedAccount) -> Self {
        let LinkedAccount { account, tie } = linked;
        let scope = account.key.scope;
        let first_at = account.history.first_at;
        let linked_by = tie.as_str();
        let follows = match tie {
            Tie::SellerId { follows, .. } | Tie::Email { follows, .. } => follows,
            Tie::Admin | Tie::ExternalId | Tie::Own => None,
        };
        Self {
            provider: scope.provider,
            account: account.key.id,
            livemode: scope.livemode,
            connected_account: scope.connected,
            linked_by,
            follows,
            email: account.history.contact().email,
            first_email: account.linking_email,
            first_seen_at: time(Some(first_at).filter(|at| *at != Timestamp::MAX)),
            removed_at: time(account.history.removed_at),
            seller_id: account.history.seller_id.map(|(_, id)| id),
        }
    }
}

/// Lists a customer's billing accounts.
#[utoipa::path(
    get,
    path = "/customers/{id}/accounts",
    params(PagingQuery),
    responses((status = 200, description = "Accounts, the oldest first.", body = List<AccountView>))
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    paging: Paging,
) -> Result<Json<List<AccountView>>, ApiError> {
    let (app, id) = (admin.app_or_default(), customer_id(&id)?);
    let found = customers::accounts(&state.store, &app, &id).await?;
    let position = |it: &LinkedAccount| (it.account.history.first_at, it.account.key.clone());
    paging.cut(found, position, AccountView::from)
}

/// A billing account to link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AccountBody {
    /// May be left out where `account` says it, as in `stripe_cus_NffrFeUfNV2Hib`.
    #[schema(schema_with = words::provider)]
    provider: Option<String>,
    /// The provider's id of it.
    #[schema(min_length = 1, max_length = 255, examples("cus_NffrFeUfNV2Hib"))]
    account: String,
    /// Needed where accounts of live and test mode have this id. One that no webhook has named yet is
    /// live unless this says otherwise.
    livemode: Option<bool>,
    /// The connected account (Stripe Connect) that it belongs to.
    #[schema(examples("acct_1Q2w3e4R5t6Y7u8I"))]
    connected_account: Option<String>,
}

/// The same, and why.
type AccountWithReason = Reasoned<AccountBody>;

fn provider_of(text: Option<&str>) -> Result<Option<Provider>, FieldError> {
    let spec = text.map(str::parse::<&Spec>).transpose();
    let spec = spec.map_err(|error| error.to_string());
    Ok(checked("provider", spec)?.map(|spec| spec.name))
}

/// Links a billing account to a customer.
///
/// It is moved here whatever customer it had. If it was that one's only account, the other customer
/// becomes one with this, with all its tokens, licences and grants; its id then answers
/// `customer_merged`. No webhook has to have named the account yet.
#[utoipa::path(
    post,
    path = "/customers/{id}/accounts",
    request_body = AccountWithReason,
    responses(
        (status = 200, description = "The customer.", body = ActedView),
        (status = 404, description = "`account_not_found`: nothing can be an account of this id."),
        (status = 409, description = "`account_ambiguous`: several accounts have this id; `customer_deleted`: it takes no changes."),
    )
)]
async fn link(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    ValidJson(Reasoned { body, reason }): ValidJson<AccountWithReason>,
) -> Result<Json<ActedView>, ApiError> {
    let (order, id) = (order_of(&admin, &state).because(reason), customer_id(&id)?);
    let mut field_errors = FieldErrors::default();
    let provider = field_errors.note(provider_of(body.provider.as_deref()));
    let account = field_errors.note(checked("account", validate::line(&body.account)));
    let connected = body.connected_account.as_deref();
    let connected = connected.map(str::parse::<ConnectedAccount>).transpose();
    let connected = connected.map_err(|error| error.to_string());
    field_errors.note(checked("connected_account", connected));
    let (provider, account) = field_errors.finish(provider.zip(account))?;
    let name = AccountName {
        provider,
        id: account,
        livemode: body.livemode,
        connected_account: body.connected_account,
    };
    let linked = customers::link_account(&state.store, &order, &id, &name).await?;
    Ok(Json(ActedView::of(&order.app, linked)))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct AccountQuery {
    #[param(schema_with = words::provider)]
    provider: Option<String>,
    /// Needed where the customer has accounts of live and test mode with this id.
    #[param(value_type = Option<bool>)]
    livemode: Option<String>,
    /// The connected account (Stripe Connect) that it belongs to.
    connected_account: Option<String>,
}

/// Parts a billing account from a customer.
///
/// It gets back the customer that it brought along when it was linked by hand, else one of its own.
/// Tokens, licences and grants stay with the customer that they were given to. Nothing but an act of
/// an admin links the account to this customer again.
#[utoipa::path(
    delete,
    path = "/customers/{id}/accounts/{account}",
    params(ReasonQuery, AccountQuery),
    responses(
        (status = 200, description = "The customer that it was parted from.", body = ActedView),
        (status = 404, description = "`account_not_found`: the customer has no such account."),
        (status = 409, description = "`account_ambiguous`: several of its accounts have this id; `customer_deleted`: it takes no changes."),
    )
)]
async fn part(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((id, account)): ValidPath<(String, String)>,
    ValidQuery(query): ValidQuery<AccountQuery>,
) -> Result<Json<ActedView>, ApiError> {
    let (order, id) = (order_of(&admin, &state), customer_id(&id)?);
    let provider = provider_of(query.provider.as_deref());
    let livemode = yes_or_no("livemode", query.livemode.as_deref());
    let (provider, livemode) = match (provider, livemode) {
        (Ok(provider), Ok(livemode)) => (provider, livemode),
        (provider, livemode) => {
            let errors = provider.err().into_iter().chain(livemode.err());
            return Err(ApiError::invalid_query(errors.collect()));
        }
    };
    let name = AccountName {
        provider,
        id: account,
        livemode,
        connected_account: query.connected_account,
    };
    let parted = customers::part_account(&state.store, &order, &id, &name).await?;
    Ok(Json(ActedView::of(&order.app, parted)))
}
