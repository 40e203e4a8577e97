//! Our storages over real servers: SeaweedFS for S3, Azurite for Azure; and what they make of a bad network.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ebbtide_engine::SharedEnv;
use ebbtide_engine::env::SystemEnv;
use ebbtide_store::cold::cloud::{self, Connect, Location, Network, Provider};
use ebbtide_store::cold::conformance::conformance;
use ebbtide_store::cold::{Error, Objects, Owner, Stored, checksum};
use ebbtide_store::secrets::Secret;
use futures::future;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::kit::PATIENCE;
use crate::kit::azurite::Azurite;
use crate::kit::cloud::{Cloud, Protocol};
use crate::kit::proxy::{Fault, Proxy, Request};
use crate::kit::seaweed::Seaweed;

/// The bucket or container of each test.
const BUCKET: &str = "tides";

/// The smallest part that S3 takes.
const PART_BYTES: usize = 5 << 20;

async fn seaweed() -> Seaweed {
    let seaweed = Seaweed::start().await;
    seaweed.create_bucket(BUCKET).await;
    seaweed
}

async fn azurite() -> Azurite {
    let azurite = Azurite::start().await;
    azurite.create_container(BUCKET).await;
    azurite
}

/// More connections than one client keeps open in these tests.
const KEPT_OPEN_MAX: usize = 16;

/// Where a folder of the bucket is, as a statement would say it; the empty one is the whole bucket.
fn location(cloud: &Cloud, folder: &str, config: Value) -> Location {
    let provider = match cloud.protocol {
        Protocol::S3 => Provider::S3,
        Protocol::Azure => Provider::Azure,
    };
    let base_directory = cloud.base_directory(&format!("{BUCKET}/{folder}"));
    let credentials = Secret::new(cloud.credentials());
    Location::parse(provider, &base_directory, Some(&cloud.config(config)), Some(&credentials))
        .expect("a location that can be")
}

/// The objects of a folder.
async fn connect(cloud: &Cloud, folder: &str, config: Value) -> Arc<dyn Objects> {
    let env: SharedEnv = Arc::new(SystemEnv);
    Network.connect(&location(cloud, folder, config), "tides", None, &env).await.expect("a client can be made")
}

/// Bytes that repeat at no power of two, so that a piece in the wrong place shows.
fn pattern(len: usize, seed: u32) -> Bytes {
    let byte = |n: u32| ((n.wrapping_mul(2_654_435_761) ^ seed.wrapping_mul(97)) >> 7) as u8;
    (0..u32::try_from(len).expect("it is small")).map(byte).collect()
}

/// Writes an object as a stream, in pieces that are no parts.
async fn upload(objects: &dyn Objects, path: &str, bytes: &Bytes) -> Result<Stored, Error> {
    let mut upload = objects.begin(path).await?;
    for piece in bytes.chunks(1_000_003) {
        upload.write(bytes.slice_ref(piece)).await?;
    }
    upload.finish().await
}

async fn conforms(cloud: &Cloud) {
    conformance(connect(cloud, "", json!({})).await).await;
    let owner = Owner { database_id: "a database".to_owned(), storage_id: "tides".to_owned() };
    let env: SharedEnv = Arc::new(SystemEnv);
    let place = location(cloud, "a/b", json!({}));
    let owned = cloud::open(&Network, &place, &owner, None, &env).await.expect("nobody owns it");
    conformance(owned).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_conforms() {
    conforms(seaweed().await.cloud()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn azure_conforms() {
    conforms(azurite().await.cloud()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_of_many_parts_is_read_back_by_others() {
    let (seaweed, azurite) = (seaweed().await, azurite().await);
    for cloud in [seaweed.cloud(), azurite.cloud()] {
        let objects = connect(cloud, "parts", json!({ "part_bytes": PART_BYTES, "parts_in_flight_max": 3 })).await;
        for (path, len) in [("three and a bit", 3 * PART_BYTES + 17), ("four", 4 * PART_BYTES)] {
            let bytes = pattern(len, 1);
            let stored = upload(&*objects, path, &bytes).await.expect("nothing is wrong");
            assert_eq!(stored.bytes, len as u64);
            assert_eq!(checksum(&*objects, path).await.expect("it can be read"), Some(stored), "{cloud:?}");
            assert!(cloud.bytes(&format!("{BUCKET}/parts/{path}")) == bytes, "{path} as others read it, {cloud:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_writers_of_one_name_one_wins() {
    const ROUNDS: u32 = 20;
    let (seaweed, azurite) = (seaweed().await, azurite().await);
    for cloud in [seaweed.cloud(), azurite.cloud()] {
        // Two clients, as two servers would have.
        let both = [connect(cloud, "race", json!({})).await, connect(cloud, "race", json!({})).await];
        for round in 0..ROUNDS {
            let path = format!("object-{round}");
            let writers = both.iter().zip([2 * round, 2 * round + 1]).map(|(objects, seed)| {
                let (bytes, path) = (pattern(1_000, seed), &path);
                async move { (objects.put_small(path, bytes.clone()).await, bytes) }
            });
            let (winners, losers): (Vec<_>, Vec<_>) =
                future::join_all(writers).await.into_iter().partition(|(result, _)| result.is_ok());
            assert_eq!(winners.len(), 1, "round {round} of {cloud:?}");
            assert!(losers.iter().all(|(result, _)| matches!(result, Err(Error::AlreadyExists { .. }))), "{losers:?}");
            assert!(cloud.bytes(&format!("{BUCKET}/race/{path}")) == winners[0].1, "it is the winner's, {cloud:?}");
        }
    }
}

type Which = fn(&Request) -> bool;

/// The moments at which a server dies: what it was sent last.
const MOMENTS: [(&str, Which); 4] = [
    ("the upload is asked for", |request| request.method == "POST" && request.target.ends_with("?uploads=")),
    ("its first part is sent", |request| request.target.contains("partNumber=1&")),
    ("its third part is sent", |request| request.target.contains("partNumber=3&")),
    ("it is completed", |request| request.method == "POST" && request.target.contains("uploadId=")),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_the_middle_of_an_upload_tears_nothing() {
    let mut seaweed = seaweed().await;
    let proxy = Proxy::before(seaweed.cloud().address).await;
    let cloud = seaweed.cloud().through(&proxy);
    let bytes = pattern(3 * PART_BYTES + 17, 2);
    let mut acknowledged = Vec::new();
    // With few tries it fails, as a start takes longer; with many it goes through.
    for retries_max in [0, 20] {
        for (moment, which) in MOMENTS {
            let config = json!({
                "part_bytes": PART_BYTES, "retries_max": retries_max, "retry_timeout": "60s", "request_timeout": "10s",
            });
            let objects = connect(&cloud, "killed", config).await;
            let path = format!("{moment}, {retries_max} tries");
            let sent = proxy.sent().iter().filter(|request| which(request)).count();
            let uploading = tokio::spawn({
                let (bytes, path) = (bytes.clone(), path.clone());
                async move { upload(&*objects, &path, &bytes).await }
            });
            proxy.sent_more_than(sent, which).await;
            seaweed.kill();
            seaweed.restart().await;
            let result = timeout(PATIENCE, uploading).await.expect("it ends").expect("it does not panic");

            let key = format!("{BUCKET}/killed/{path}");
            let found = seaweed.cloud().list(&format!("{BUCKET}/killed"));
            match found.get(&key) {
                Some(_) => assert!(seaweed.cloud().bytes(&key) == bytes, "{path} is torn: {found:?}"),
                None => assert!(result.is_err(), "{path} was acknowledged and is not there"),
            }
            acknowledged.extend(result.is_ok().then_some(key));
            for key in &acknowledged {
                assert!(found.contains_key(key), "{key} was acknowledged, and went with a later kill");
            }
        }
    }
    assert!(!acknowledged.is_empty(), "no upload outlived its server");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_network_costs_tries_and_no_object() {
    let (seaweed, azurite) = (seaweed().await, azurite().await);
    for cloud in [seaweed.cloud(), azurite.cloud()] {
        let mut proxy = Proxy::before(cloud.address).await;
        let objects = connect(&cloud.through(&proxy), "network", json!({ "part_bytes": PART_BYTES })).await;
        let (small, large) = (pattern(1_000, 3), pattern(2 * PART_BYTES + 17, 4));
        let whole = |path: &str, bytes: &Bytes| cloud.bytes(&format!("{BUCKET}/network/{path}")) == *bytes;

        proxy.next(3, Fault::SLOW_DOWN, |_| true);
        objects.put_small("busy", small.clone()).await.expect("it is tried again");
        assert!(whole("busy", &small), "{cloud:?}");
        proxy.next(3, Fault::SLOW_DOWN, |request| request.method == "PUT");
        upload(&*objects, "busy-parts", &large).await.expect("parts are tried again");
        assert!(whole("busy-parts", &large), "{cloud:?}");

        // Nobody can know whether it is there: what is told may be either, but must not be wrong.
        proxy.next(1, Fault::LoseAnswer, |request| request.method == "PUT");
        match objects.put_small("lost", small.clone()).await {
            Ok(_) | Err(Error::AlreadyExists { .. }) => assert!(whole("lost", &small), "{cloud:?}"),
            Err(error) => panic!("it was done, and is told as {error}"),
        }
        proxy.next(2, Fault::LoseAnswer, |request| request.method == "PUT");
        if let Ok(stored) = upload(&*objects, "lost-parts", &large).await {
            assert_eq!(stored.bytes, large.len() as u64);
            assert!(whole("lost-parts", &large), "{cloud:?}");
        }

        proxy.next(1, Fault::CutAnswer, |request| request.method == "GET");
        let read = checksum(&*objects, "busy-parts").await.expect("reading goes on where it was cut");
        assert_eq!(read.map(|stored| stored.bytes), Some(large.len() as u64));
        assert_eq!(proxy.planned(), 0, "every fault came");

        proxy.refuse().await;
        let start = Instant::now();
        let mut told = String::new();
        // Connections that were kept open break first; after them there is nobody.
        for _ in 0..KEPT_OPEN_MAX {
            told = objects.put_small("refused", small.clone()).await.expect_err("nobody listens").to_string();
            if told.contains("cannot be reached") {
                break;
            }
        }
        assert!(told.contains("cannot be reached"), "{told}");
        assert!(start.elapsed() < Duration::from_secs(60), "it gave up after {:?}", start.elapsed());
        proxy.accept().await;
        objects.put_small("refused", small.clone()).await.expect("it is reached again");
        assert!(whole("refused", &small), "{cloud:?}");
    }
}
