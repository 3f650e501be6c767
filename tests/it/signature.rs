//! Signatures: the vectors of both providers, and the rules beside them.

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use secrecy::SecretString;
use serde::Deserialize;
use tollgate::domain::id::{Provider, SecretId};
use tollgate::domain::time::Timestamp;
use tollgate::provider::{self, Mode, PADDLE, STRIPE, Secret, SignatureError, VerifiedWebhook};

use crate::support::fixtures::recorded;
use crate::support::spec::{sign, verify};

const NOW: i64 = 1_760_000_000;
const TOLERANCE: Duration = Duration::from_mins(5);

#[derive(Deserialize)]
struct Vector {
    id: String,
    provider: Provider,
    secrets: Vec<String>,
    payload: String,
    payload_encoding: String,
    header: String,
    tolerance: u64,
    now: i64,
    expect: String,
    why: String,
}

/// The code that each refused vector is refused with.
const REFUSALS: &[(&str, &str)] = &[
    ("stripe-06-wrong-secret", "signature_mismatch"),
    ("stripe-07-altered-body", "signature_mismatch"),
    ("stripe-09-trailing-newline", "signature_mismatch"),
    ("stripe-11-stale", "signature_too_old"),
    ("stripe-13-future-large", "signature_in_future"),
    ("stripe-14-v0-only", "signature_malformed"),
    ("stripe-16-malformed-garbage", "signature_malformed"),
    ("stripe-17-empty-header", "signature_malformed"),
    ("stripe-18-no-timestamp", "signature_malformed"),
    ("paddle-05-wrong-secret", "signature_mismatch"),
    ("paddle-06-altered-body", "signature_mismatch"),
    ("paddle-09-stale", "signature_too_old"),
    ("paddle-11-future-large", "signature_in_future"),
    ("paddle-12-malformed-garbage", "signature_malformed"),
    ("paddle-13-empty-header", "signature_malformed"),
    ("paddle-14-no-h1", "signature_malformed"),
    ("paddle-28-signed-by-paddle-late", "signature_too_old"),
];

fn check_vectors(path: &Path) {
    let text = std::fs::read_to_string(path).unwrap();
    let vectors: Vec<Vector> = serde_json::from_str(&text).unwrap();
    assert!(!vectors.is_empty());
    for vector in vectors {
        let body = match vector.payload_encoding.as_str() {
            "base64" => STANDARD.decode(&vector.payload).unwrap(),
            _ => vector.payload.clone().into_bytes(),
        };
        let secrets: Vec<Secret> = vector.secrets.iter().map(|key| secret(key)).collect();
        let answer = verify(
            vector.provider,
            Some(vector.header.as_bytes()),
            &body,
            &secrets,
            seconds(vector.now),
            Duration::from_secs(vector.tolerance),
        );
        let expected = match vector.expect.as_str() {
            "valid" => "valid",
            _ => REFUSALS.iter().find(|(id, _)| *id == vector.id).unwrap().1,
        };
        let got = answer.map_or_else(SignatureError::code, |_| "valid");
        assert_eq!(got, expected, "{}: {}", vector.id, vector.why);
    }
}

#[test]
fn the_vectors_are_judged_by_our_rule() {
    check_vectors(Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/fixtures/signatures.json"
    )));
}

#[test]
fn deliveries_that_paddle_itself_signed_are_accepted() {
    let Some(folder) = recorded("deliveries_that_paddle_itself_signed_are_accepted") else {
        return;
    };
    check_vectors(&folder.join("signatures.json"));
}

#[test]
fn what_we_sign_is_verified() {
    for provider in provider::names() {
        let header = sign(provider, &key("whsec_a"), b"{}", seconds(NOW));
        let webhook = check(provider, header.as_bytes(), "whsec_a").unwrap();
        assert_eq!(webhook.provider(), provider);
        assert_eq!(webhook.body(), b"{}");
    }
}

/// What, whose header, the header, the answer. `{now}` is the time that was signed, `{s}` and
/// `{p}` are the right digests, `{o}` is another, `{17}` repeats one 17 times, `{3k}` is long.
const RULES: &str = "
    as sent                       | stripe | t={now},v1={s}          | ok
    blanks after the comma        | stripe | t={now}, v1={s}         | ok
    upper-case hex                | stripe | t={now},v1={S}          | ok
    a part without `=`            | stripe | x,t={now},v1={s}        | ok
    an unknown scheme beside      | stripe | t={now},v9={o},v1={s}   | ok
    the second digest             | stripe | t={now},v1={o},v1={s}   | ok
    the first digest              | stripe | t={now},v1={s},v1={o}   | ok
    a short digest first          | stripe | t={now},v1=ab,v1={s}    | ok
    the digest before the time    | paddle | h1={p};ts={now}         | ok
    no live scheme                | paddle | ts={now};h2={p}         | signature_malformed
    the other provider's form     | paddle | t={now},v1={p}          | signature_malformed
    the same time twice           | stripe | t={now},t={now},v1={s}  | signature_malformed
    two times                     | stripe | t=1,t={now},v1={s}      | signature_malformed
    no time                       | stripe | v1={s}                  | signature_malformed
    an empty time                 | stripe | t=,v1={s}               | signature_malformed
    a plus before the time        | stripe | t=+{now},v1={s}         | signature_malformed
    a negative time               | stripe | t=-{now},v1={s}         | signature_malformed
    letters after the time        | stripe | t={now}abc,v1={s}       | signature_malformed
    a time of 20 digits           | stripe | t={now}0000000000,v1={s} | signature_malformed
    no digest                     | stripe | t={now}                 | signature_malformed
    an empty digest               | stripe | t={now},v1=             | signature_malformed
    17 digests                    | stripe | t={now}{17}             | signature_malformed
    a header of 3 KB              | stripe | t={now},v1={s},x={3k}   | signature_malformed
    a digest that is no hex       | stripe | t={now},v1=nonsense     | signature_mismatch
    a digest with more after it   | stripe | t={now},v1={s}00        | signature_mismatch
    another time than was signed  | stripe | t=1759999999,v1={s}     | signature_mismatch
    forged and old                | stripe | t=1,v1={o}              | signature_mismatch
";

#[test]
fn the_header_rules_hold_where_the_official_libraries_differ() {
    let other = "0".repeat(64);
    let right = digest(STRIPE.name);
    let mut rows = 0;
    for row in RULES.lines().filter(|row| !row.trim().is_empty()) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [what, provider, header, expected] = cells[..] else {
            panic!("{row}")
        };
        let header = header
            .replace("{now}", &NOW.to_string())
            .replace("{s}", &right)
            .replace("{S}", &right.to_uppercase())
            .replace("{p}", &digest(PADDLE.name))
            .replace("{17}", &format!(",v1={right}").repeat(17))
            .replace("{3k}", &"y".repeat(3000))
            .replace("{o}", &other);
        let got = check(provider.parse().unwrap(), header.as_bytes(), "whsec_a");
        let got = got.map_or_else(SignatureError::code, |_| "ok");
        assert_eq!(got, expected, "{what}: {header}");
        rows += 1;
    }
    assert_eq!(rows, 27);
}

#[test]
fn a_missing_header_and_a_non_text_header_are_distinguished() {
    let secrets = [secret("whsec_a")];
    let absent = verify(STRIPE.name, None, b"{}", &secrets, seconds(NOW), TOLERANCE);
    assert_eq!(absent.unwrap_err().code(), "signature_missing");
    let no_text = check(STRIPE.name, b"t=\xff,v1=\xff", "whsec_a");
    assert_eq!(no_text.unwrap_err().code(), "signature_malformed");
}

#[test]
fn age_is_counted_in_whole_seconds_up_to_the_tolerance() {
    let almost = Duration::from_nanos(999_999_999);
    let cases = [
        ("exactly the tolerance", seconds(NOW + 300), "ok"),
        ("a fraction more", seconds(NOW + 300).plus(almost), "ok"),
        ("a second more", seconds(NOW + 301), "signature_too_old"),
        ("exactly the tolerance ahead", seconds(NOW - 300), "ok"),
        (
            "a second more ahead",
            seconds(NOW - 301),
            "signature_in_future",
        ),
        (
            "the end of time",
            Timestamp::from_nanos(i64::MAX),
            "signature_too_old",
        ),
        (
            "the beginning of time",
            Timestamp::from_nanos(i64::MIN),
            "signature_in_future",
        ),
    ];
    for (what, now, expected) in cases {
        for provider in provider::names() {
            let header = sign(provider, &key("whsec_a"), b"{}", seconds(NOW));
            let secrets = [secret("whsec_a")];
            let got = verify(
                provider,
                Some(header.as_bytes()),
                b"{}",
                &secrets,
                now,
                TOLERANCE,
            );
            let got = got.map_or_else(SignatureError::code, |_| "ok");
            assert_eq!(got, expected, "{provider}: {what}");
        }
    }
}

#[test]
fn a_time_beyond_all_clocks_is_in_the_future() {
    let time = i64::MAX;
    let body = b"{}";
    let mut mac = <hmac::Hmac<sha2::Sha256> as hmac::KeyInit>::new_from_slice(b"whsec_a").unwrap();
    hmac::Mac::update(&mut mac, format!("{time}.{{}}").as_bytes());
    let digest = hex::encode(hmac::Mac::finalize(mac).into_bytes());
    let header = format!("t={time},v1={digest}");
    let secrets = [secret("whsec_a")];
    let got = verify(
        STRIPE.name,
        Some(header.as_bytes()),
        body,
        &secrets,
        seconds(NOW),
        TOLERANCE,
    );
    assert_eq!(got.unwrap_err(), SignatureError::InFuture);
}

#[test]
fn the_matching_secret_names_its_mode() {
    let id: SecretId = "whs_00000000000000000000000000000007".parse().unwrap();
    let secrets = [
        Secret {
            id: None,
            mode: Mode::Live,
            key: key("whsec_a"),
        },
        Secret {
            id: Some(id.clone()),
            mode: Mode::Test,
            key: key("whsec_b"),
        },
    ];
    let header = sign(STRIPE.name, &key("whsec_b"), b"{}", seconds(NOW));
    let header = Some(header.as_bytes());
    let webhook = verify(
        STRIPE.name,
        header,
        b"{}".to_vec(),
        &secrets,
        seconds(NOW),
        TOLERANCE,
    )
    .unwrap();
    assert_eq!(webhook.mode(), Mode::Test);
    assert_eq!(webhook.secret(), Some(&id));
    assert_eq!(webhook.into_body(), b"{}");
}

#[test]
fn a_blank_secret_matches_nothing() {
    let mut mac = <hmac::Hmac<sha2::Sha256> as hmac::KeyInit>::new_from_slice(b"").unwrap();
    hmac::Mac::update(&mut mac, format!("{NOW}.{{}}").as_bytes());
    let header = format!(
        "t={NOW},v1={}",
        hex::encode(hmac::Mac::finalize(mac).into_bytes())
    );
    for blank in ["", " ", "\t\n"] {
        let got = check(STRIPE.name, header.as_bytes(), blank);
        assert_eq!(got.unwrap_err(), SignatureError::Mismatch, "{blank:?}");
        let signed = sign(STRIPE.name, &key(blank), b"{}", seconds(NOW));
        assert!(
            signed.ends_with("v1="),
            "signing with {blank:?} gave a digest"
        );
    }
    let got = verify(
        STRIPE.name,
        Some(header.as_bytes()),
        b"{}",
        &[],
        seconds(NOW),
        TOLERANCE,
    );
    assert_eq!(
        got.unwrap_err(),
        SignatureError::Mismatch,
        "no secret at all"
    );
}

#[test]
fn modes_are_read_as_they_are_written() {
    for mode in [Mode::Any, Mode::Live, Mode::Test] {
        assert_eq!(mode.to_string().parse(), Ok(mode));
    }
    assert!("Live".parse::<Mode>().is_err());
}

#[test]
fn a_secret_is_not_shown_by_debug() {
    let shown = format!("{:?}", secret("whsec_very_secret"));
    assert!(!shown.contains("very"), "{shown}");
}

proptest! {
    #[test]
    fn any_changed_byte_is_refused(
        body in proptest::collection::vec(any::<u8>(), 1..200),
        place in any::<proptest::sample::Index>(),
        flip in 1..=255_u8,
    ) {
        for provider in provider::names() {
            let header = sign(provider, &key("whsec_a"), &body, seconds(NOW));
            let secrets = [secret("whsec_a")];
            let judge = |body: &[u8]| {
                verify(provider, Some(header.as_bytes()), body, &secrets, seconds(NOW), TOLERANCE)
                    .map(VerifiedWebhook::into_body)
                    .map(<[u8]>::to_vec)
            };
            prop_assert_eq!(judge(&body), Ok(body.clone()));
            let mut changed = body.clone();
            changed[place.index(body.len())] ^= flip;
            prop_assert_eq!(judge(&changed), Err(SignatureError::Mismatch));
        }
    }

    #[test]
    fn no_header_makes_it_panic(header in proptest::collection::vec(any::<u8>(), 0..300)) {
        for provider in provider::names() {
            prop_assert!(check(provider, &header, "whsec_a").is_err());
        }
    }
}

fn check(
    provider: Provider,
    header: &[u8],
    with: &str,
) -> Result<VerifiedWebhook<&'static [u8]>, SignatureError> {
    verify(
        provider,
        Some(header),
        b"{}",
        &[secret(with)],
        seconds(NOW),
        TOLERANCE,
    )
}

/// The hex digest of `{}` signed now with `whsec_a`.
fn digest(provider: Provider) -> String {
    let header = sign(provider, &key("whsec_a"), b"{}", seconds(NOW));
    header.rsplit('=').next().unwrap().to_owned()
}

fn secret(text: &str) -> Secret {
    Secret {
        id: None,
        mode: Mode::Any,
        key: key(text),
    }
}

fn key(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}

fn seconds(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds).unwrap()
}
