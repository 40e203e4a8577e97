//! The recipes of `docs/storages.md`, run as they stand there but for addresses and keys.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;
use tokio_postgres::Client;

use crate::kit::Place;
use crate::kit::azurite::Azurite;
use crate::kit::cloud::Cloud;
use crate::kit::rows::{refused, rows, run};
use crate::kit::seaweed::Seaweed;

/// The SQL of each heading.
fn recipes() -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/storages.md");
    let text = std::fs::read_to_string(path).expect("the page is there");
    let sections = text.split("\n## ").skip(1).map(|section| section.split_once('\n').expect("a heading ends"));
    sections
        .filter_map(|(heading, body)| {
            let sql = body.split_once("```sql\n")?.1.split_once("```").expect("the block ends").0;
            Some((heading.to_owned(), sql.to_owned()))
        })
        .collect()
}

/// Puts what is there in place of what the page says. What the page does not say any more is a failure.
fn with(sql: &str, replaced: &[(&str, &str)]) -> String {
    replaced.iter().fold(sql.to_owned(), |sql, (from, to)| {
        assert!(sql.contains(from), "the page does not say {from:?}:\n{sql}");
        sql.replace(from, to)
    })
}

async fn follow(admin: &Client, sql: &str) {
    for statement in sql.split_inclusive(';').map(str::trim).filter(|statement| !statement.is_empty()) {
        run(admin, statement).await;
    }
}

async fn works(admin: &Client, storage: &str) {
    let steps = rows(admin, &format!("CHECK STORAGE {storage}")).await;
    assert!(steps.len() == 4 && steps.iter().all(|step| step[4].is_none()), "{storage}: {steps:?}");
}

/// CREDENTIALS as the page writes them.
const S3_KEYS: &str = r#"{"access_key_id": "…", "secret_access_key": "…"}"#;
/// The CONFIG of a server for S3 as the page writes it.
const S3_CONFIG: &str = r#"{"endpoint": "http://127.0.0.1:9000", "region": "us-east-1"}"#;

/// What a recipe says, and what stands there when it is run.
type Replaced<'a> = &'a [(&'a str, &'a str)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recipes_work() {
    let (seaweed, azurite) = (Seaweed::start().await, Azurite::start().await);
    for bucket in ["chat-eu", "lab", "far"] {
        seaweed.create_bucket(bucket).await;
    }
    azurite.create_container("container").await;
    let (place, recipes) = (Place::new(), recipes());
    let server = place.start().await;
    let admin = server.connect("admin").await;
    run(&admin, "CREATE NAMESPACE chat").await;
    let clauses = |cloud: &Cloud| (cloud.config(json!({})), cloud.credentials());
    let ((s3, s3_keys), (azure, azure_keys)) = (clauses(seaweed.cloud()), clauses(azurite.cloud()));
    let s3_clause = format!("CONFIG '{s3}'");
    let archive = place.folder().join("archive").display().to_string();
    let amazon_keys = S3_KEYS.replacen('…', "AKIA…", 1);
    let lab = [(S3_CONFIG, &*s3), (S3_KEYS, &s3_keys)];
    let followed: [(&str, &str, Replaced<'_>); 5] = [
        ("Local disks", "archive", &[("/mnt/archive", &archive)]),
        ("Amazon S3", "europe", &[("REGION 'eu-central-1'", &s3_clause), (&amazon_keys, &s3_keys)]),
        ("MinIO, SeaweedFS, Ceph and others that speak S3", "lab", &lab),
        ("Azure", "north", &[(r#"{"account": "storageaccount"}"#, &azure), (r#"{"access_key": "…"}"#, &azure_keys)]),
        ("Each user in his region", "far", &lab),
    ];
    for (heading, storage, replaced) in followed {
        follow(&admin, &with(&recipes[heading], replaced)).await;
        works(&admin, storage).await;
    }
    assert_eq!(
        rows(&admin, "SELECT storage_mode, storage_id FROM system.users WHERE user_id = 'yuki'").await,
        [[Some("region".to_owned()), Some("far".to_owned())]]
    );

    // No server for it can be had: it is refused for the key, which is none, and nothing else.
    let (_, told) = refused(&admin, &recipes["Google Cloud Storage"]).await;
    assert!(told.contains("service_account") || told.contains("key"), "{told}");

    // The disk is gone.
    drop(server);
    let other = Place::new();
    let server = other.start().await;
    let admin = server.connect("admin").await;
    let attach = with(&recipes["When the disk is gone"], &lab);
    let (_, told) = refused(&admin, &attach.replace(" TAKE OVER", "")).await;
    assert!(told.contains("lab"), "it belongs to the server that is gone: {told}");
    follow(&admin, &attach).await;
    works(&admin, "lab").await;
}
