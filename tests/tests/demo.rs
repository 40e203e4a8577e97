//! `ebbtide demo` where the real messages cannot be had: made-up ones take their place, it says so, and all else is as it
//! would be.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::kit::Place;
use crate::kit::rows::value;

/// What it printed. It must succeed.
async fn demo(place: &Place, cache: &Path, change: impl FnOnce(&mut Command)) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_victim"));
    command
        .args(["demo", "--rows", "500", "--data-dir"])
        .arg(place.data())
        .env("XDG_CACHE_HOME", cache)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    change(&mut command);
    let mut child = command.spawn().expect("the victim was built with this test");
    // Held, as the process ends with its standard input.
    let _stdin = child.stdin.take();
    let output = child.wait_with_output().await.expect("it is our child");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    said
}

/// The story is told to its end with made-up messages, and the data is there afterwards.
async fn took_made_up_ones(place: &Place, said: &str, why: &str) {
    let told = said.find(why).unwrap_or_else(|| panic!("it does not say why: {said}"));
    let instead = said.find("made-up ones of the same shape are taken instead").expect("it says what it does instead");
    assert!(told < instead, "{said}");
    for line in
        ["rows sent and rows wanted: 500 = 500", "rows in segments and rows sent: 500 = 500", "the flush completed"]
    {
        assert!(said.lines().any(|said| said.starts_with("ok") && said.contains(line)), "{line:?} is missing: {said}");
    }
    assert!(!said.contains("WRONG"), "{said}");
    let server = place.start().await;
    let admin = server.connect("admin").await;
    assert_eq!(value(&admin, "SELECT count(*) FROM chat.messages").await, "500");
    // Always the same ones: this one is the first.
    let first = "SELECT text FROM chat.messages ORDER BY sent_at LIMIT 1";
    assert_eq!(value(&admin, first).await, FIRST);
}

/// What the seed of the made-up messages gives first.
const FIRST: &str = "sounds is 🌊 lunch are could and no";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_network_the_demo_makes_messages_up() {
    let place = Place::new();
    let cache = tempfile::tempdir().expect("a temporary folder");
    // Nobody listens there any more.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let closed = format!("http://{}", listener.local_addr().expect("it listens"));
    drop(listener);
    let said = demo(&place, cache.path(), |command| {
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
            command.env(name, &closed);
        }
        // Whatever index this machine is set up to use.
        command.env("PIP_CONFIG_FILE", "/dev/null").env("PIP_INDEX_URL", format!("{closed}/simple"));
        command.env_remove("PIP_EXTRA_INDEX_URL").env_remove("PIP_FIND_LINKS");
    })
    .await;
    took_made_up_ones(&place, &said, "the real messages cannot be had: pip could not fetch chitchat-dataset==0.9.0")
        .await;
    let left = walk(cache.path());
    assert_eq!(left, Vec::<String>::new(), "nothing half fetched is left for the next time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_python_the_demo_makes_messages_up() {
    let place = Place::new();
    let cache = tempfile::tempdir().expect("a temporary folder");
    let said = demo(&place, cache.path(), |command| {
        command.env("PATH", cache.path());
    })
    .await;
    took_made_up_ones(&place, &said, "the real messages cannot be had: python3 cannot be run").await;
}

/// The files below a folder.
fn walk(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of ours") {
        let path = entry.expect("it can be listed").path();
        match path.is_dir() {
            true => found.extend(walk(&path)),
            false => found.push(path.display().to_string()),
        }
    }
    found
}
