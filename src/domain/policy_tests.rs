//! Policies, as tables of cases.

use super::*;

#[test]
fn all_errors_in_new_fields_are_named_at_once() {
    let fields = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap();
    let before = Policy {
        on_end: OnEnd::Expire,
        ..Policy::default()
    };
    let after = before.with(&fields(r#"{"suspend_after":"36h","on_pause":"keep"}"#));
    let wanted = Policy {
        suspend_after: "36h".parse().unwrap(),
        on_pause: OnPause::Keep,
        ..before.clone()
    };
    assert_eq!(after, Ok(wanted));
    let wrong = fields(
        r#"{"on_end":"explode","grace":"3d","end_after":"two weeks","on_same_email":"yes",
            "on_pause":null,"on_dispute_lost":"keep"}"#,
    );
    let errors = before.with(&wrong).unwrap_err();
    let mut named: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
    named.sort_unstable();
    let wanted = ["end_after", "grace", "on_end", "on_pause", "on_same_email"];
    assert_eq!(named, wanted, "{errors:?}");
}

#[test]
fn a_policy_fills_in_defaults_and_refuses_unknown_fields() {
    let read = |text: &str| serde_json::from_str::<Policy>(text);
    assert_eq!(read("{}").unwrap(), Policy::default());
    let grace = read(r#"{"suspend_after":"7d"}"#).unwrap();
    assert_eq!(grace.suspend_after, Span::days(7));
    assert!(read(r#"{"suspend_afterr":"7d"}"#).is_err());
    assert!(read(r#"{"on_end":"explode"}"#).is_err());
}
