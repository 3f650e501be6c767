//! Comparison of e-mail addresses.

/// Folds an address to the form in which addresses are compared; `None` for an empty one.
///
/// The Kelvin sign, whose lower case is the letter k, stays as it is: it makes a different address,
/// which must not be taken for somebody else's.
pub fn fold_email(address: &str) -> Option<String> {
    let parts = address.trim().split('\u{212a}').map(str::to_lowercase);
    let folded = parts.collect::<Vec<_>>().join("\u{212a}");
    (!folded.is_empty()).then_some(folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_compared_in_lower_case_and_look_alikes_stay_apart() {
        let cases = [
            ("Mike@Acme.com", Some("mike@acme.com")),
            (" post@MÜLLER.example ", Some("post@müller.example")),
            ("mi\u{212a}e@acme.com", Some("mi\u{212a}e@acme.com")),
            ("  ", None),
        ];
        for (address, expected) in cases {
            assert_eq!(fold_email(address).as_deref(), expected, "{address:?}");
        }
    }
}
