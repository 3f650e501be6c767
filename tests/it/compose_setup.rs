//! `deploy/compose/setup`, run again as people do: for another name, with the real secret, after a year.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::docs::root;

/// A folder with the script, which makes everything beside itself.
struct Setup {
    folder: tempfile::TempDir,
}

impl Setup {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let from = root().join("deploy/compose/setup");
        std::fs::copy(from, folder.path().join("setup")).unwrap();
        Self { folder }
    }

    /// Runs the script, and returns what it says on standard error.
    fn run(&self, arguments: &[&str], secret: Option<&str>) -> String {
        let mut command = Command::new("sh");
        command
            .arg(self.folder.path().join("setup"))
            .args(arguments);
        command.env_remove("STRIPE_WEBHOOK_SECRET");
        command.envs(secret.map(|it| ("STRIPE_WEBHOOK_SECRET", it)));
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{arguments:?}: {said}");
        said
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("secrets").join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Makes a certificate for the name that has the given days left, of the authority or of itself.
    fn replace_certificate(&self, days: &str, is_ours: bool) {
        let [certificate, key] = ["tls-certificate", "tls-key"].map(|it| self.path(it));
        let mut command = Command::new("openssl");
        command
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", days,
            ])
            .args([
                "-subj",
                "/CN=shop",
                "-addext",
                "subjectAltName=DNS:shop.example",
            ])
            .args([Path::new("-keyout"), &key, Path::new("-out"), &certificate]);
        if is_ours {
            let [authority, its_key] = ["authority.pem", "authority.key"].map(|it| self.path(it));
            command.args([Path::new("-CA"), &authority, Path::new("-CAkey"), &its_key]);
        }
        let made = command.output().unwrap();
        assert!(made.status.success(), "{made:?}");
    }

    fn names(&self) -> String {
        let output = Command::new("openssl")
            .args(["x509", "-noout", "-ext", "subjectAltName", "-in"])
            .arg(self.path("tls-certificate"))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn another_name_gets_a_certificate_and_everything_else_stays() {
    let setup = Setup::new();
    setup.run(&[], None);
    let kept = [
        "postgres-password",
        "secret-key",
        "database-url",
        "authority.pem",
    ];
    let before = kept.map(|it| setup.read(it));
    let first = setup.read("tls-certificate");
    setup.run(&[], None);
    assert_eq!(
        setup.read("tls-certificate"),
        first,
        "nothing was asked for"
    );

    for (name, named) in [
        ("billing.example.com", "DNS:billing.example.com"),
        ("192.0.2.7", "IP Address:192.0.2.7"),
        ("2001:db8::7", "IP Address:2001:DB8:0:0:0:0:0:7"),
    ] {
        setup.run(&[name], None);
        let names = setup.names();
        assert!(
            names.contains(named) && names.contains("localhost"),
            "{names}"
        );
    }
    assert_eq!(kept.map(|it| setup.read(it)), before);
}

#[test]
fn a_certificate_that_ends_soon_is_made_anew_unless_it_is_of_another_authority() {
    let setup = Setup::new();
    setup.run(&["shop.example"], None);
    for (days, is_ours, stays) in [("90", true, true), ("20", true, false), ("20", false, true)] {
        setup.replace_certificate(days, is_ours);
        let before = setup.read("tls-certificate");
        let said = setup.run(&["shop.example"], None);
        let after = setup.read("tls-certificate");
        assert_eq!(after == before, stays, "{days} days, ours: {is_ours}");
        assert_eq!(said.contains("of another authority"), !is_ours, "{said}");
    }
}

#[test]
fn the_secret_of_an_endpoint_takes_the_place_of_one_that_was_made_up() {
    let setup = Setup::new();
    setup.run(&[], None);
    let made_up = setup.read("stripe-webhook-secret");
    assert!(made_up.starts_with("whsec_"), "{made_up}");
    setup.run(&[], Some("whsec_of_the_endpoint"));
    assert_eq!(setup.read("stripe-webhook-secret"), "whsec_of_the_endpoint");
    setup.run(&[], Some(""));
    assert_eq!(setup.read("stripe-webhook-secret"), "whsec_of_the_endpoint");
}
