//! The services that tests lean on, and the proxy before them, do what tests assume of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::kit::azurite::Azurite;
use crate::kit::cloud::Cloud;
use crate::kit::http;
use crate::kit::proxy::{Fault, Proxy, Request};
use crate::kit::python;
use crate::kit::seaweed::{self, Seaweed};

const BODY: &[u8] = b"what comes in goes out";

fn any(_: &Request) -> bool {
    true
}

fn method(wanted: &'static str) -> impl Fn(&Request) -> bool + Send + 'static {
    move |request| request.method == wanted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_keeps_what_it_acknowledged_over_a_kill_and_checks_signatures() {
    let mut seaweed = Seaweed::start().await;
    seaweed.create_bucket("tides").await;
    for n in 0..20 {
        let (status, _) = seaweed.ask("PUT", &format!("/tides/object-{n}"), "", BODY).await.expect("it answers");
        assert_eq!(status, 200);
    }
    seaweed.kill();
    assert!(seaweed.ask("GET", "/tides/object-1", "", b"").await.is_err(), "nobody answers");
    seaweed.restart().await;
    for n in 0..20 {
        let (status, body) = seaweed.ask("GET", &format!("/tides/object-{n}"), "", b"").await.expect("it answers");
        assert_eq!((status, &*body), (200, BODY));
    }

    let (status, _) = http::ask(seaweed.cloud().address, "GET", "/tides/object-1", &[], b"").await.expect("it answers");
    assert_eq!(status, 403, "without a signature");
    let other = Cloud { key: "another".to_owned(), ..seaweed.cloud().clone() };
    let (status, _) = seaweed::ask(&other, "GET", "/tides/object-1", "", b"").await.expect("it answers");
    assert_eq!(status, 403, "signed with another key");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_stand_still_and_go_on() {
    let (seaweed, azurite) = (Seaweed::start().await, Azurite::start().await);
    // Without a signature it is refused, which is an answer too.
    let answers = async |cloud: &Cloud| http::ask(cloud.address, "GET", "/tides", &[], b"").await;
    seaweed.stop();
    azurite.stop();
    for cloud in [seaweed.cloud(), azurite.cloud()] {
        let late = answers(cloud).await.expect_err("nobody answers");
        assert_eq!(late.kind(), std::io::ErrorKind::TimedOut, "{cloud:?}");
    }
    seaweed.resume();
    azurite.resume();
    for cloud in [seaweed.cloud(), azurite.cloud()] {
        answers(cloud).await.expect("it answers");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_is_not_ours_sees_keys_bytes_and_rows() {
    let (seaweed, azurite) = (Seaweed::start().await, Azurite::start().await);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("sample.parquet");
    python::read("write_sample.py", [&file]);
    let bytes = std::fs::read(&file).expect("it was written");
    let expected = python::read("read_parquet.py", ["pyarrow".as_ref(), file.as_os_str()]);

    seaweed.create_bucket("tides").await;
    azurite.create_container("tides").await;
    for key in ["a/sample.parquet", "a/b/again.parquet", "other"] {
        seaweed.cloud().put(&format!("tides/{key}"), &file);
        azurite.cloud().put(&format!("tides/{key}"), &file);
    }
    for cloud in [seaweed.cloud(), azurite.cloud()] {
        let keys = ["tides/a/b/again.parquet", "tides/a/sample.parquet"];
        let sizes: BTreeMap<_, _> = keys.iter().map(|key| ((*key).to_owned(), bytes.len() as u64)).collect();
        assert_eq!(cloud.list("tides/a"), sizes, "{cloud:?}");
        assert_eq!(cloud.list("tides").len(), 3, "{cloud:?}");
        assert_eq!(cloud.list("tides/none"), BTreeMap::new(), "{cloud:?}");
        assert_eq!(cloud.bytes(keys[1]), bytes, "{cloud:?}");
        assert_eq!(cloud.rows([keys[1]]), expected, "{cloud:?}");
        let twice = cloud.rows(keys);
        assert_eq!(twice["rows"].as_array().map(Vec::len), Some(4), "{cloud:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_passes_what_is_signed_and_spoils_what_it_is_told_to() {
    let seaweed = Seaweed::start().await;
    seaweed.create_bucket("tides").await;
    let mut proxy = Proxy::before(seaweed.cloud().address).await;
    let cloud = seaweed.cloud().through(&proxy);
    let put = async |name: &str| seaweed::ask(&cloud, "PUT", &format!("/tides/{name}"), "", BODY).await;
    let get = async |name: &str| seaweed::ask(&cloud, "GET", &format!("/tides/{name}"), "", b"").await;
    let is_there = async |name: &str| {
        let (status, _) = seaweed.ask("GET", &format!("/tides/{name}"), "", b"").await.expect("it answers");
        status == 200
    };

    assert_eq!(put("passed").await.expect("it answers").0, 200);
    let (status, body) = get("passed").await.expect("it answers");
    assert_eq!((status, &*body), (200, BODY));

    proxy.next(2, Fault::SLOW_DOWN, any);
    for _ in 0..2 {
        let (status, body) = put("slow").await.expect("it answers");
        assert_eq!(status, 503);
        assert!(String::from_utf8_lossy(&body).contains("<Code>SlowDown</Code>"));
    }
    assert!(!is_there("slow").await, "it did not get there");
    assert_eq!(put("slow").await.expect("it answers").0, 200);

    proxy.next(1, Fault::LoseAnswer, method("PUT"));
    assert_eq!(get("passed").await.expect("it answers").0, 200);
    put("lost").await.expect_err("the answer is lost");
    assert!(is_there("lost").await, "it was done");

    proxy.next(1, Fault::CutAnswer, method("GET"));
    get("passed").await.expect_err("the answer is cut");
    assert_eq!(get("passed").await.expect("it answers").0, 200);

    let (pause, start) = (Duration::from_millis(300), Instant::now());
    proxy.next(1, Fault::Delay(pause), any);
    assert_eq!(get("passed").await.expect("it answers").0, 200);
    assert!(start.elapsed() >= pause);
    assert_eq!(proxy.planned(), 0, "every fault came");

    proxy.refuse().await;
    let refused = get("passed").await.expect_err("nobody listens");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    proxy.accept().await;
    assert_eq!(get("passed").await.expect("it answers").0, 200);
}

/// With a client that keeps its connections, asks for leave to send (Expect: 100-continue), and tries again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_is_not_ours_gets_through_a_proxy_with_faults() {
    let (seaweed, azurite) = (Seaweed::start().await, Azurite::start().await);
    seaweed.create_bucket("tides").await;
    azurite.create_container("tides").await;
    // Twelve MiB go in several pieces.
    let bytes: Vec<u8> = (0..12u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 7) as u8).collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("object");
    std::fs::write(&file, &bytes).expect("a folder of our own");
    for cloud in [seaweed.cloud(), azurite.cloud()] {
        let proxy = Proxy::before(cloud.address).await;
        let proxied = cloud.through(&proxy);
        proxied.put("tides/object", &file);
        proxy.next(2, Fault::SLOW_DOWN, any);
        proxy.next(1, Fault::CutAnswer, method("GET"));
        assert!(proxied.bytes("tides/object") == bytes, "{cloud:?}");
        assert_eq!(proxy.planned(), 0, "every fault came");
        let size = bytes.len() as u64;
        assert_eq!(json!(proxied.list("tides")), json!({ "tides/object": size }), "{cloud:?}");
    }
}
