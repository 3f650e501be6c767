//! What each process of a run is told: where its services are, whom it trusts, how late it is.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::super::fault::{Link, Part};
use super::Stage;
use crate::support::{SECRET_KEY, environment};

impl Stage {
    pub(super) fn data(&self) -> PathBuf {
        let disk = self.disk.as_ref().map(|disk| disk.path.as_path());
        let parent: &Path = disk.unwrap_or(&self.folder);
        parent.join("data")
    }

    fn clock_file(&self, part: Part) -> PathBuf {
        self.folder.join(format!("clock of {}", part.name()))
    }

    pub(super) fn set_clock(&self, part: Part, seconds: i32) {
        // Written aside: a process may be reading it.
        let (file, aside) = (self.clock_file(part), self.folder.join("clock"));
        std::fs::write(&aside, format!("{seconds:+}\n")).unwrap();
        std::fs::rename(aside, file).unwrap();
    }

    pub(super) fn settings(&self, of: Part) -> BTreeMap<OsString, OsString> {
        let mut settings = environment(&self.data());
        settings.insert("TOLLGATE_SECRET_KEY".into(), SECRET_KEY.into());
        // A provider has many addresses.
        settings.insert("TOLLGATE_TRUSTED_PROXIES".into(), "127.0.0.1".into());
        if let Some(cluster) = &self.cluster {
            let port = self.port_to(
                of,
                cluster.port(),
                &[Link::WorkerDatabase, Link::ApiDatabase],
            );
            let mut url = format!("postgres://postgres@127.0.0.1:{port}/faults");
            if let Some(certificates) = &self.certificates {
                let authority = certificates.authority(self.authority_is_right[1]);
                let authority = authority.display();
                url = format!("{url}?sslmode=verify-full&sslrootcert={authority}");
            }
            settings.insert("DATABASE_URL".into(), url.into());
        }
        if let Some(broker) = &self.broker {
            let port = self.port_to(
                of,
                broker.port(),
                &[Link::ReceiverBroker, Link::WorkerBroker],
            );
            let mut url = format!("amqp://guest:guest@127.0.0.1:{port}/%2f");
            if let Some(certificates) = &self.certificates {
                url = format!("amqps://guest:guest@127.0.0.1:{}/%2f", self.tls_port);
                let authority = certificates.authority(self.authority_is_right[0]);
                settings.insert("AMQP_CA_FILE".into(), authority.into());
            }
            settings.insert("AMQP_URL".into(), url.into());
        }
        if self.clocks.contains(&of) {
            settings.extend(faketime(&self.clock_file(of)));
            // Signatures are of the right time, and the fault is not that they are refused.
            settings.insert("TOLLGATE_SIGNATURE_TOLERANCE".into(), "7200".into());
        }
        settings
    }

    /// Through a proxy, if the fault needs one between the two.
    fn port_to(&self, part: Part, direct: u16, links: &[Link]) -> u16 {
        let is_on = |link: Link| match link {
            Link::ReceiverBroker => part == Part::Receiver,
            Link::WorkerBroker | Link::WorkerDatabase => {
                matches!(part, Part::Worker | Part::SecondWorker)
            }
            Link::ApiDatabase => part == Part::Api,
        };
        let mut proxies = self.proxies.iter();
        let between = proxies.find(|(link, _)| links.contains(link) && is_on(*link));
        between.map_or(direct, |(_, proxy)| proxy.port)
    }
}

/// Where faketime's library is; Debian installs it below the folder of the machine's kind.
pub(crate) fn faketime_library() -> Option<PathBuf> {
    let kinds = std::fs::read_dir("/usr/lib").ok()?;
    let libraries = kinds.filter_map(|kind| {
        let path = kind.ok()?.path().join("faketime/libfaketimeMT.so.1");
        path.exists().then_some(path)
    });
    libraries.into_iter().next()
}

/// The settings that make a process read its clock's error from a file.
fn faketime(file: &Path) -> Vec<(OsString, OsString)> {
    let library = faketime_library().unwrap();
    vec![
        ("LD_PRELOAD".into(), library.into()),
        ("FAKETIME_TIMESTAMP_FILE".into(), file.into()),
        ("FAKETIME_CACHE_DURATION".into(), "1".into()),
        // A clock that is set moves the time of day, not the time that has passed.
        ("FAKETIME_DONT_FAKE_MONOTONIC".into(), "1".into()),
        ("DONT_FAKE_MONOTONIC".into(), "1".into()),
    ]
}
