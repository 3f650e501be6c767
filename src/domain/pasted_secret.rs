//! Secrets that people paste, and the mistakes that they make with them.
//!
//! A text that cannot be what is asked for is refused where it comes in: with a wrong secret every
//! webhook is refused, days later and without a word on why. Only what is certain is refused. The
//! texts of the refusals never repeat the secret.

use super::id::Provider;

/// A use of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretUse {
    /// Signs webhooks.
    Webhooks,
    /// Opens the provider's API.
    Api,
    /// Something else, which nobody asks for here.
    Other,
}

/// A kind of text that is known by how it begins.
struct Known {
    prefix: &'static str,
    provider: &'static str,
    used_for: SecretUse,
    name: &'static str,
}

const fn known(
    prefix: &'static str,
    provider: &'static str,
    used_for: SecretUse,
    name: &'static str,
) -> Known {
    Known {
        prefix,
        provider,
        used_for,
        name,
    }
}

/// Stripe's: <https://docs.stripe.com/keys>, <https://docs.stripe.com/webhooks>. Paddle's:
/// <https://developer.paddle.com/api-reference/about/api-keys>,
/// <https://developer.paddle.com/webhooks/signature-verification>.
const KNOWN: [Known; 12] = [
    known(
        "whsec_",
        STRIPE,
        SecretUse::Webhooks,
        "a webhook secret of Stripe (whsec_…)",
    ),
    known(
        "sk_",
        STRIPE,
        SecretUse::Api,
        "a secret API key of Stripe (sk_…)",
    ),
    known(
        "rk_",
        STRIPE,
        SecretUse::Api,
        "a restricted API key of Stripe (rk_…)",
    ),
    known(
        "pk_",
        STRIPE,
        SecretUse::Other,
        "a publishable key of Stripe (pk_…)",
    ),
    known(
        "we_",
        STRIPE,
        SecretUse::Other,
        "the id of a webhook endpoint (we_…)",
    ),
    known(
        "pdl_ntfset_",
        PADDLE,
        SecretUse::Webhooks,
        "a webhook secret of Paddle (pdl_ntfset_…)",
    ),
    known(
        "pdl_live_apikey_",
        PADDLE,
        SecretUse::Api,
        "an API key of Paddle (pdl_live_apikey_…)",
    ),
    known(
        "pdl_sdbx_apikey_",
        PADDLE,
        SecretUse::Api,
        "an API key of Paddle (pdl_sdbx_apikey_…)",
    ),
    known(
        "ntfset_",
        PADDLE,
        SecretUse::Other,
        "the id of a notification destination (ntfset_…)",
    ),
    known(
        "apikey_",
        PADDLE,
        SecretUse::Other,
        "the id of an API key (apikey_…)",
    ),
    known(
        "live_",
        PADDLE,
        SecretUse::Other,
        "a client-side token of Paddle (live_…)",
    ),
    known(
        "test_",
        PADDLE,
        SecretUse::Other,
        "a client-side token of Paddle (test_…)",
    ),
];

const STRIPE: &str = "stripe";
const PADDLE: &str = "paddle";

/// Words of examples that somebody meant to replace. None of them can come about by chance in a
/// random text of that length.
const PLACEHOLDERS: [&str; 12] = [
    "replace_this",
    "replace-this",
    "replace_me",
    "replaceme",
    "change_me",
    "changeme",
    "change-me",
    "change-this",
    "your_",
    "your-",
    "placeholder",
    "xxxxxx",
];

const QUOTES: [char; 8] = ['"', '\'', '`', '“', '”', '„', '‘', '’'];

/// Checks a text that is to be the secret of a provider for a use.
///
/// # Errors
/// The mistake, as the end of a sentence that does not repeat the text.
pub fn check(provider: Provider, wanted: SecretUse, text: &str) -> Result<(), String> {
    check_form(text)?;
    let found = KNOWN.iter().find(|it| text.starts_with(it.prefix));
    if text == found.map_or("", |it| it.prefix) {
        // `whsec_$UNSET` of a shell is `whsec_`, with which anybody can sign.
        return Err("is only the beginning of a secret: copy the whole text".to_owned());
    }
    let Some(found) = found else {
        return Ok(());
    };
    let is_known = KNOWN.iter().any(|it| it.provider == provider.as_str());
    let is_own = found.provider == provider.as_str();
    let is_right = is_own && found.used_for == wanted;
    // A beginning such as `test_` says something of its own provider alone.
    let says_nothing = !is_own && found.used_for == SecretUse::Other;
    if is_right || says_nothing || !is_known {
        return Ok(());
    }
    let right = KNOWN.iter().filter(|it| it.provider == provider.as_str());
    let mut right = right.filter(|it| it.used_for == wanted);
    let right = right.next().map_or("what is asked for", |it| it.name);
    Err(format!("is {}, not {right}", found.name))
}

/// Checks that a text was pasted as a whole and without anything around it.
///
/// # Errors
/// The mistake, as the end of a sentence that does not repeat the text.
pub fn check_form(text: &str) -> Result<(), String> {
    let lower = text.to_ascii_lowercase();
    let wrong = if text.contains(char::is_whitespace) {
        "has white space inside or around it"
    } else if text.starts_with(QUOTES) || text.ends_with(QUOTES) {
        "has quotation marks around it: leave them out"
    } else if text.contains('…') || text.contains("...") {
        "is cut short by an ellipsis: copy the whole text"
    } else if PLACEHOLDERS.iter().any(|it| lower.contains(it)) || text.contains(['<', '>']) {
        "is the placeholder of an example: put your own in its place"
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        "has characters that no such secret has"
    } else {
        return Ok(());
    };
    Err(wrong.to_owned())
}

/// Says how the provider's webhook secrets begin if this text does not begin so; it may be right
/// all the same, if somebody else signs.
pub fn unusual_webhook_secret(provider: Provider, text: &str) -> Option<&'static str> {
    let mut usual = KNOWN.iter().filter(|it| it.provider == provider.as_str());
    let usual = usual.find(|it| it.used_for == SecretUse::Webhooks)?;
    (!text.starts_with(usual.prefix)).then_some(usual.prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_right_is_refused_in_words() {
        let webhooks = SecretUse::Webhooks;
        for (provider, used_for, text, said) in [
            (STRIPE, webhooks, "whsec_…", "cut short by an ellipsis"),
            (STRIPE, webhooks, "whsec_abc...", "cut short by an ellipsis"),
            (STRIPE, webhooks, "\"whsec_abcdef\"", "quotation marks"),
            (STRIPE, webhooks, "'whsec_abcdef", "quotation marks"),
            (STRIPE, webhooks, "whsec_abcdef”", "quotation marks"),
            (STRIPE, webhooks, "whsec_a bcdef", "white space"),
            (STRIPE, webhooks, " whsec_abcdef", "white space"),
            (STRIPE, webhooks, "whsec_abc\u{a0}def", "white space"),
            (STRIPE, webhooks, "whsec_äbc", "characters"),
            (STRIPE, webhooks, "whsec_", "only the beginning"),
            (PADDLE, webhooks, "pdl_ntfset_", "only the beginning"),
            (STRIPE, SecretUse::Api, "rk_", "only the beginning"),
            (STRIPE, webhooks, "", "only the beginning"),
            (
                STRIPE,
                webhooks,
                "whsec_replace_this_with_it",
                "placeholder",
            ),
            (STRIPE, webhooks, "whsec_Replace_Me", "placeholder"),
            (STRIPE, webhooks, "whsec_YOUR_SECRET", "placeholder"),
            (STRIPE, webhooks, "<your secret>", "white space"),
            (STRIPE, webhooks, "<secret>", "placeholder"),
            (STRIPE, webhooks, "whsec_xxxxxxxxxxxx", "placeholder"),
            (
                STRIPE,
                webhooks,
                "sk_live_51abc",
                "a secret API key of Stripe (sk_…), not a webhook",
            ),
            (
                STRIPE,
                webhooks,
                "sk_test_51abc",
                "(sk_…), not a webhook secret of Stripe (whsec_…)",
            ),
            (
                STRIPE,
                webhooks,
                "rk_live_51abc",
                "a restricted API key of Stripe",
            ),
            (
                STRIPE,
                webhooks,
                "pk_live_51abc",
                "a publishable key of Stripe",
            ),
            (STRIPE, webhooks, "we_1abc", "the id of a webhook endpoint"),
            (
                STRIPE,
                webhooks,
                "pdl_ntfset_01_a",
                "a webhook secret of Paddle (pdl_ntfset_…), not",
            ),
            (
                PADDLE,
                webhooks,
                "whsec_abc",
                "a webhook secret of Stripe (whsec_…), not a webhook",
            ),
            (
                PADDLE,
                webhooks,
                "ntfset_01",
                "the id of a notification destination",
            ),
            (
                PADDLE,
                webhooks,
                "pdl_live_apikey_01",
                "an API key of Paddle",
            ),
            (PADDLE, webhooks, "sk_live_1", "a secret API key of Stripe"),
            (
                STRIPE,
                SecretUse::Api,
                "whsec_abc",
                "not a secret API key of Stripe (sk_…)",
            ),
            (
                STRIPE,
                SecretUse::Api,
                "pk_live_abc",
                "a publishable key of Stripe",
            ),
            (
                PADDLE,
                SecretUse::Api,
                "pdl_ntfset_01_a",
                "not an API key of Paddle",
            ),
            (PADDLE, SecretUse::Api, "live_abc", "a client-side token"),
        ] {
            let told = check(Provider::named(provider), used_for, text).unwrap_err();
            assert!(told.contains(said), "{text}: {told}");
        }
    }

    #[test]
    fn what_may_be_right_is_taken() {
        for (provider, used_for, text) in [
            (
                STRIPE,
                SecretUse::Webhooks,
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            ),
            (STRIPE, SecretUse::Webhooks, "signed-by-a-relay-of-ours"),
            (
                PADDLE,
                SecretUse::Webhooks,
                "pdl_ntfset_01gkpjp8bkm3tm53kdgkx6sms7_6h3qd3uFSi+/=",
            ),
            (STRIPE, SecretUse::Api, "rk_live_51abc"),
            (PADDLE, SecretUse::Api, "0a1b2c3d4e5f"),
            (PADDLE, SecretUse::Api, "pdl_sdbx_apikey_01gt"),
        ] {
            assert_eq!(
                check(Provider::named(provider), used_for, text),
                Ok(()),
                "{text}"
            );
        }
    }

    #[test]
    fn an_unusual_beginning_is_told() {
        let of = |provider, text| unusual_webhook_secret(Provider::named(provider), text);
        assert_eq!(of(STRIPE, "whsec_a"), None);
        assert_eq!(of(STRIPE, "other"), Some("whsec_"));
        assert_eq!(of(PADDLE, "other"), Some("pdl_ntfset_"));
    }
}
