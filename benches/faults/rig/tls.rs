//! Certificates of a run: two authorities, and a server's certificate of the first.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where the files are.
pub(crate) struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// Makes them in a folder that services of another user can reach.
    pub(crate) fn make(folder: &Path) -> Self {
        let made = Self {
            folder: folder.join("tls"),
        };
        std::fs::create_dir(&made.folder).unwrap();
        for authority in ["right", "wrong"] {
            made.openssl(&format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
                 -subj /CN={authority}-authority -keyout {authority}.key -out {authority}.pem"
            ));
        }
        made.openssl(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
             -subj /CN=localhost -keyout server.key -out server.csr",
        );
        let names = "subjectAltName=IP:127.0.0.1,DNS:localhost\n";
        std::fs::write(made.file("names"), names).unwrap();
        made.openssl(
            "x509 -req -in server.csr -CA right.pem -CAkey right.key -CAcreateserial -days 2 \
             -extfile names -out server.pem",
        );
        // PostgreSQL takes a key only from its own user or from root's group.
        std::fs::copy(made.file("server.key"), made.file("postgres.key")).unwrap();
        let _ = Command::new("chown")
            .arg("postgres")
            .arg(made.file("postgres.key"))
            .stderr(Stdio::null())
            .status();
        made
    }

    /// The authority that signed the server's certificate, or the other one.
    pub(crate) fn authority(&self, right: bool) -> PathBuf {
        self.file(if right { "right.pem" } else { "wrong.pem" })
    }

    pub(crate) fn postgres_settings(&self) -> String {
        let (certificate, key) = (self.file("server.pem"), self.file("postgres.key"));
        format!(
            "ssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'\n",
            certificate.display(),
            key.display()
        )
    }

    pub(crate) fn rabbitmq_settings(&self, port: u16) -> String {
        format!(
            "listeners.ssl.1 = 127.0.0.1:{port}\n\
             ssl_options.cacertfile = {}\nssl_options.certfile = {}\nssl_options.keyfile = {}\n\
             ssl_options.verify = verify_none\nssl_options.fail_if_no_peer_cert = false\n",
            self.file("right.pem").display(),
            self.file("server.pem").display(),
            self.file("server.key").display()
        )
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn openssl(&self, arguments: &str) {
        let done = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(&self.folder)
            .output();
        let done = done.expect("openssl is needed: apt-get install -y openssl");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "openssl {arguments}: {said}");
    }
}
