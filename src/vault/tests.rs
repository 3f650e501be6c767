//! Tests of the vault.

use std::path::Path;

use secrecy::ExposeSecret;
use uuid::Uuid;

use super::*;

fn default_app() -> AppSlug {
    AppSlug::default_app()
}

#[test]
fn what_is_sealed_opens_again_and_is_not_readable() {
    let (vault, app) = (Vault::new(&[7; 32]), default_app());
    let id = SecretId::from_uuid(Uuid::nil());
    let what = SealedFor::Secret {
        app: &app,
        provider: Provider::named("stripe"),
        id: &id,
    };
    let sealed = vault.seal(what, "whsec_abc").unwrap();
    assert!(!sealed.windows(9).any(|window| window == b"whsec_abc"));
    assert_ne!(
        sealed,
        vault.seal(what, "whsec_abc").unwrap(),
        "the nonce is random"
    );
    assert_eq!(
        vault.open(what, &sealed).unwrap().expose_secret(),
        "whsec_abc"
    );
}

#[test]
fn another_key_place_or_text_does_not_open() {
    let (vault, app) = (Vault::new(&[7; 32]), default_app());
    let id = SecretId::from_uuid(Uuid::nil());
    let what = SealedFor::Secret {
        app: &app,
        provider: Provider::named("stripe"),
        id: &id,
    };
    let sealed = vault.seal(what, "whsec_abc").unwrap();
    let refused = |vault: &Vault, what, sealed: &[u8], why: &str| {
        assert!(matches!(vault.open(what, sealed), Err(NotOpened)), "{why}");
    };
    refused(&Vault::new(&[8; 32]), what, &sealed, "another key");
    let paddle = SealedFor::Secret {
        app: &app,
        provider: Provider::named("paddle"),
        id: &id,
    };
    refused(&vault, paddle, &sealed, "another provider");
    let other_id = SecretId::from_uuid(Uuid::max());
    refused(
        &vault,
        SealedFor::Secret {
            app: &app,
            provider: Provider::named("stripe"),
            id: &other_id,
        },
        &sealed,
        "another id",
    );
    let other_app: AppSlug = "other".parse().unwrap();
    refused(
        &vault,
        SealedFor::Secret {
            app: &other_app,
            provider: Provider::named("stripe"),
            id: &id,
        },
        &sealed,
        "another app",
    );
    let answer = SealedFor::Answer { id: id.as_str() };
    refused(&vault, answer, &sealed, "an answer");
    for index in 0..sealed.len() {
        let mut damaged = sealed.clone();
        damaged[index] ^= 1;
        refused(&vault, what, &damaged, &format!("byte {index} changed"));
        refused(
            &vault,
            what,
            &sealed[..index],
            &format!("cut to {index} bytes"),
        );
    }
}

#[test]
fn the_key_is_made_once_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.key");
    let (app, id) = (default_app(), SecretId::from_uuid(Uuid::nil()));
    let what = SealedFor::Secret {
        app: &app,
        provider: Provider::named("paddle"),
        id: &id,
    };
    let sealed = Vault::load_or_make(&path)
        .unwrap()
        .seal(what, "pdl_x")
        .unwrap();
    let again = Vault::load_or_make(&path).unwrap();
    assert_eq!(again.open(what, &sealed).unwrap().expose_secret(), "pdl_x");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_key_file_with_something_else_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.key");
    for text in ["", "AAAA", "not base64 at all", ", ,"] {
        std::fs::write(&path, text).unwrap();
        let error = Vault::load_or_make(&path).unwrap_err();
        assert!(
            matches!(error, VaultError::Malformed { .. }),
            "{text:?}: {error}"
        );
    }
}

fn secret_of<'a>(app: &'a AppSlug, id: &'a SecretId) -> SealedFor<'a> {
    SealedFor::Secret {
        app,
        provider: Provider::named("stripe"),
        id,
    }
}

#[test]
fn the_first_key_seals_and_all_of_them_open() {
    let (app, id) = (default_app(), SecretId::from_uuid(Uuid::nil()));
    let what = secret_of(&app, &id);
    let (old, new) = (Vault::new(&[7; 32]), Vault::new(&[8; 32]));
    let both = Vault::with_old_keys(&[8; 32], [&[7; 32], &[7; 32], &[8; 32]]);
    let (by_old, by_both) = (
        old.seal(what, "whsec_a").unwrap(),
        both.seal(what, "whsec_b").unwrap(),
    );
    for (sealed, text) in [(&by_old, "whsec_a"), (&by_both, "whsec_b")] {
        assert_eq!(both.open(what, sealed).unwrap().expose_secret(), text);
    }
    assert!(old.open(what, &by_both).is_err());
    assert!(new.open(what, &by_both).is_ok());
    assert_eq!(both.key_id(), new.key_id());
    assert_eq!(both.old_key_ids(), [old.key_id()], "each of them once");
    let other = Vault::new(&[9; 32]).seal(what, "whsec_c").unwrap();
    for (sealed, state) in [
        (&by_both[..], KeyState::Current),
        (&by_old, KeyState::Old),
        (&other, KeyState::Unknown),
        (&by_old[..8], KeyState::Unknown),
    ] {
        assert_eq!(both.state(KeyId::of_sealed(sealed)), state);
    }
}

#[test]
fn a_running_vault_follows_its_key_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.key");
    let (app, id) = (default_app(), SecretId::from_uuid(Uuid::nil()));
    let what = secret_of(&app, &id);
    let running = Vault::load_or_make(&path).unwrap();
    let old = running.key_id();
    let by_old = running.seal(what, "whsec_a").unwrap();

    let new = add_key(&path).unwrap();
    let rotating = Vault::load(&path).unwrap().unwrap();
    assert_eq!(
        (rotating.key_id(), rotating.old_key_ids()),
        (new, vec![old])
    );
    let by_new = rotating.seal(what, "whsec_b").unwrap();
    assert_eq!(
        running.open(what, &by_new).unwrap().expose_secret(),
        "whsec_b",
        "a key that it does not know yet is looked for in the file"
    );
    assert_eq!(
        running.open(what, &by_old).unwrap().expose_secret(),
        "whsec_a"
    );

    remove_old_keys(&path).unwrap();
    let sealed = running.seal(what, "whsec_c").unwrap();
    assert_eq!(KeyId::of_sealed(&sealed), Some(new));
    assert!(running.open(what, &by_old).is_err());
    assert_eq!(running.old_key_ids(), []);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    std::fs::write(&path, "something else").unwrap();
    assert!(running.open(what, &sealed).is_ok(), "it keeps what it has");
}

#[cfg(unix)]
#[test]
fn a_rotation_leaves_the_key_file_to_whoever_had_it() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.key");
    Vault::load_or_make(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    // Only root may give a file away.
    let is_root = std::fs::metadata(&path).unwrap().uid() == 0;
    let owner = if is_root {
        chown(&path, Some(4_321), Some(4_322)).unwrap();
        (4_321, 4_322)
    } else {
        let before = std::fs::metadata(&path).unwrap();
        (before.uid(), before.gid())
    };
    for change in [
        |path: &Path| add_key(path).map(drop),
        |path: &Path| remove_old_keys(path),
    ] {
        change(&path).unwrap();
        let now = std::fs::metadata(&path).unwrap();
        assert_eq!((now.uid(), now.gid()), owner);
        assert_eq!(now.permissions().mode() & 0o777, 0o640);
    }
}

#[test]
fn the_list_knows_a_key_as_soon_as_the_file_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.key");
    let running = Vault::load_or_make(&path).unwrap();
    let new = add_key(&path).unwrap();
    assert_eq!(running.state(Some(new)), KeyState::Current);
    assert_eq!(running.state(None), KeyState::Unknown);
}

#[test]
fn a_key_file_may_hold_keys_in_lines_or_with_commas() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.key");
    let (one, two) = (
        "VEVTVE9OTFktdGVzdC1vbmx5LTMyLWJ5dGVzLWtleSE=",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    );
    for text in [
        format!("{one}\n{two}\n"),
        format!("{one},{two}"),
        format!(" {one} ,\r\n{two},"),
    ] {
        std::fs::write(&path, &text).unwrap();
        let vault = Vault::load(&path).unwrap().unwrap();
        assert_eq!(
            vault.old_key_ids(),
            [Vault::new(&[0; 32]).key_id()],
            "{text:?}"
        );
    }
    std::fs::remove_file(&path).unwrap();
    assert!(Vault::load(&path).unwrap().is_none());
    assert!(!path.exists(), "looking makes nothing");
}
