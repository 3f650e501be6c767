//! Summaries of what a customer is entitled to.

use serde_json::json;
use tollgate::domain::billing::fact::Fact;
use tollgate::domain::billing::feature::{Feature, FeatureList, FeaturesFact};
use tollgate::provider::STRIPE;

use super::support::{NEW, facts, load, test};

const TYPE: &str = "entitlements.active_entitlement_summary.updated";

fn list(features: &[(&str, &str)]) -> FeatureList {
    let feature = |(id, lookup_key): &(&str, &str)| Feature {
        id: (*id).to_owned(),
        lookup_key: Some((*lookup_key).to_owned()),
    };
    FeatureList {
        features: features.iter().map(feature).collect(),
        incomplete: false,
    }
}

#[test]
fn a_summary_lists_the_features_of_an_account() {
    let payload = load(&format!("stripe/{TYPE}--removed{NEW}"));
    let expected = Fact::Features(FeaturesFact {
        account: test("cus_TgAda0000000001"),
        list: list(&[]),
        before: Some(list(&[
            ("feat_test_61TgFeature001", "pro-packages"),
            ("feat_test_61TgFeature002", "early-docs"),
        ])),
        request: None,
    });
    assert_eq!(facts(STRIPE.name, &payload), [expected]);
}

#[test]
fn a_feature_may_be_expanded_and_the_list_cut() {
    let mut payload = load(&format!("stripe/{TYPE}--many{NEW}"));
    let id = "feat_test_61TgFeature010";
    let first = &mut payload["data"]["object"]["entitlements"]["data"][0];
    assert_eq!(first["feature"], id);
    first["feature"] = json!({"id": id, "object": "entitlements.feature", "active": true,
        "lookup_key": "module-1", "name": "Module 1"});
    let [Fact::Features(fact)] = &facts(STRIPE.name, &payload)[..] else {
        panic!("no features")
    };
    assert!(fact.list.incomplete);
    assert_eq!(fact.list.features.len(), 10);
    assert!(fact.list.features.iter().any(|it| it.id == id));
}
