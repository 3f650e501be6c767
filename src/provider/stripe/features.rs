//! Features that a customer is entitled to.
//! <https://docs.stripe.com/api/entitlements/active-entitlement>
//!
//! The summary has no id: there is one for each customer.

use std::collections::BTreeSet;

use super::super::event::Event;
use super::super::fields::Fields;
use super::super::reading::ReadError;
use crate::domain::billing::fact::Fact;
use crate::domain::billing::feature::{Feature, FeatureList, FeaturesFact};

/// `entitlements.active_entitlement_summary.updated`.
pub(super) fn changed(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let before = event.object_before();
    let before = before.as_ref();
    let before = before.map(|object| Fields::new(object, "data.object"));
    Ok(vec![Fact::Features(FeaturesFact {
        account: event.need_account()?,
        list: read(&event.object)?,
        // It only orders events of one second.
        before: before.and_then(|object| read(&object).ok()),
        request: event.request.clone(),
    })])
}

fn read(object: &Fields<'_>) -> Result<FeatureList, ReadError> {
    let members = object.list("entitlements.data")?;
    let members = members.ok_or_else(|| object.missing("entitlements.data"))?;
    let features: Result<BTreeSet<Feature>, ReadError> = members.iter().map(feature).collect();
    Ok(FeatureList {
        features: features?,
        incomplete: object.flag("entitlements.has_more")? || object.is_cut("entitlements.data"),
    })
}

fn feature(entitlement: &Fields<'_>) -> Result<Feature, ReadError> {
    Ok(Feature {
        id: entitlement.need_id(&["feature"])?.to_owned(),
        lookup_key: entitlement.word("lookup_key")?.map(str::to_owned),
    })
}
