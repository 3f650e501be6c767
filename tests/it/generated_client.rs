//! A Python client that openapi-python-client generates from the description, at work. Slow, for
//! what it installs: `deploy/dev/test --slow`.

use std::ffi::OsStr;
use std::fs;

use crate::support::python::{beside_python, run};
use crate::support::stores::Engine;
use crate::support::{ADMIN_TOKEN, TestServer};

async fn a_generated_client_does_what_a_shop_does(engine: Engine) {
    let generator = beside_python("openapi-python-client");
    let server = TestServer::start(engine).await;
    let folder = tempfile::tempdir().unwrap();
    let document = server.client.get(format!("{}/openapi.json", server.base));
    let document = document.send().await.unwrap().text().await.unwrap();
    fs::write(folder.path().join("openapi.json"), document).unwrap();
    // What it does by itself afterwards is to format the code, with another program.
    fs::write(folder.path().join("config.yaml"), "post_hooks: []\n").unwrap();
    let script = include_str!("generated_client/shop.py");
    fs::write(folder.path().join("shop.py"), script).unwrap();
    // A warning says that a part of the description was left out.
    let generate = [
        "generate",
        "--path",
        "openapi.json",
        "--config",
        "config.yaml",
        "--meta",
        "none",
        "--output-path",
        "client",
        "--fail-on-warning",
    ];
    run(folder.path(), &generator, &generate.map(OsStr::new));
    let python = beside_python("python");
    let arguments = ["shop.py", &server.base, ADMIN_TOKEN].map(str::to_owned);
    // The server answers on other threads meanwhile.
    let arguments = arguments.each_ref().map(OsStr::new);
    let said = run(folder.path(), &python, &arguments);
    assert_eq!(said, "all done\n");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs openapi-python-client: deploy/dev/test --slow"]
async fn a_generated_client_works_over_sqlite() {
    a_generated_client_does_what_a_shop_does(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs openapi-python-client: deploy/dev/test --slow"]
async fn a_generated_client_works_over_postgresql() {
    a_generated_client_does_what_a_shop_does(Engine::Postgres).await;
}
