//! Signature headers: what is accepted is what a second, plain computation accepts.

use std::time::Duration;

use secrecy::SecretString;
use sha2::{Digest, Sha256};
use tollgate::domain::time::Timestamp;
use tollgate::provider::{Mode, PADDLE, STRIPE, Secret, SignatureError, Spec};

const SECRETS: [&str; 2] = ["whsec_one", "pdl_ntfset_two"];
const NOW: i64 = 1_760_000_000;
const TOLERANCE: i64 = 300;

/// HMAC by its definition, RFC 2104.
fn hmac(key: &str, parts: &[&[u8]]) -> String {
    let pad = |with: u8| {
        let mut block = [with; 64];
        for (byte, key) in block.iter_mut().zip(key.bytes()) {
            *byte ^= key;
        }
        block
    };
    let mut inner = Sha256::new_with_prefix(pad(0x36));
    for part in parts {
        inner.update(part);
    }
    let outer = Sha256::new_with_prefix(pad(0x5c)).chain_update(inner.finalize());
    hex::encode(outer.finalize())
}

/// How one provider writes its header.
struct Form {
    spec: &'static Spec,
    separator: u8,
    time: &'static [u8],
    digest: &'static [u8],
    joint: &'static [u8],
}

/// The first line is the header, the rest the body. `$1` and `$2` in the header stand for the right
/// digests with the two secrets, over the time that the header has.
pub(crate) fn target(data: &[u8]) {
    let end = data.iter().position(|&b| b == b'\n').unwrap_or(data.len());
    let (header, body) = (&data[..end], data.get(end + 1..).unwrap_or_default());
    for form in [
        Form {
            spec: STRIPE,
            separator: b',',
            time: b"t",
            digest: b"v1",
            joint: b".",
        },
        Form {
            spec: PADDLE,
            separator: b';',
            time: b"ts",
            digest: b"h1",
            joint: b":",
        },
    ] {
        check(&form, header, body);
    }
}

/// The parts of a header with this name.
fn values<'a>(form: &Form, header: &'a [u8], name: &[u8]) -> Vec<&'a [u8]> {
    let parts = header
        .split(|&b| b == form.separator)
        .map(<[u8]>::trim_ascii);
    let named = parts.filter_map(|part| part.strip_prefix(name)?.strip_prefix(b"="));
    named.collect()
}

fn check(form: &Form, template: &[u8], body: &[u8]) {
    let time = values(form, template, form.time)
        .first()
        .copied()
        .unwrap_or_default();
    let mut header = Vec::new();
    let mut rest = template;
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after.first()) {
            (b'$', Some(&number @ (b'1' | b'2'))) => {
                let key = SECRETS[usize::from(number - b'1')];
                header.extend(hmac(key, &[time, form.joint, body]).bytes());
                rest = &after[1..];
            }
            _ => header.push(*first),
        }
    }
    let secrets = SECRETS.map(|key| Secret {
        id: None,
        mode: Mode::Any,
        key: SecretString::from(key.to_owned()),
    });
    let now = Timestamp::from_seconds(NOW).unwrap();
    let tolerance = Duration::from_secs(TOLERANCE.unsigned_abs());
    let verify = || {
        let webhook = form
            .spec
            .verify(Some(&header), body, &secrets, now, tolerance)?;
        assert_eq!(webhook.body(), body);
        Ok::<_, SignatureError>(())
    };
    let answer = verify();
    assert_eq!(answer, verify(), "the same twice");
    assert_eq!(answer.is_ok(), accepts(form, &header, body), "{answer:?}");
    // What the head alone shows to be wrong stays wrong, for the same reason.
    if let Err(error) = form.spec.check_header(Some(&header)) {
        assert_eq!(answer, Err(error));
    }
}

/// The plain computation: one time of digits within the tolerance, and a digest that is right.
fn accepts(form: &Form, header: &[u8], body: &[u8]) -> bool {
    let times = values(form, header, form.time);
    let digests = values(form, header, form.digest);
    let digests: Vec<_> = digests
        .into_iter()
        .filter(|digest| !digest.is_empty())
        .collect();
    let [time] = times[..] else { return false };
    let number = std::str::from_utf8(time)
        .ok()
        .filter(|it| !it.starts_with('+'));
    let Some(seconds) = number.and_then(|it| it.parse::<i64>().ok()) else {
        return false;
    };
    let is_right = |digest: &&[u8]| {
        let expected = SECRETS.map(|key| hmac(key, &[time, form.joint, body]));
        expected
            .iter()
            .any(|it| digest.eq_ignore_ascii_case(it.as_bytes()))
    };
    header.len() <= 2_048
        && digests.len() <= 16
        && digests.iter().any(is_right)
        && seconds.abs_diff(NOW) <= TOLERANCE.unsigned_abs()
}
