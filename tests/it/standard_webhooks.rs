//! Deliveries to a hook, verified by the reference library of Standard Webhooks for Python. Slow, for what
//! it installs: `deploy/dev/test --slow`.

use std::ffi::OsStr;

use crate::support::python::{beside_python, run};
use crate::support::stores::Engine;
use crate::support::{ADMIN_TOKEN, TestServer};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs standardwebhooks for Python: deploy/dev/test --slow"]
async fn the_reference_library_accepts_what_is_delivered() {
    let server = TestServer::start_with(Engine::Sqlite, |environment| {
        environment.insert("TOLLGATE_HOOKS_PRIVATE".into(), "on".into());
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("receiver.py");
    std::fs::write(&script, include_str!("standard_webhooks/receiver.py")).unwrap();
    let arguments = ["receiver.py", &server.base, ADMIN_TOKEN].map(str::to_owned);
    let arguments = arguments.each_ref().map(OsStr::new);
    // The server answers on other threads meanwhile.
    let said = run(folder.path(), &beside_python("python"), &arguments);
    assert_eq!(said, "all done\n");
    server.stop().await;
}
