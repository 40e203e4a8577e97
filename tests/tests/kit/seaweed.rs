//! SeaweedFS: a real server for S3, in a process of its own.
//!
//! It checks signatures, holds conditions on writes for all who race, and keeps what it acknowledged over a kill -9. A
//! start takes two to three seconds, and 120 MB (twice that once much is written): each test has its own server, which it
//! may hurt as it likes.

use std::path::Path;
use std::{fs, io};

use chrono::Utc;
use ring::{digest, hmac};
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;

use super::cloud::{Cloud, Protocol};
use super::leash::Leashed;
use super::ports::Ports;
use super::{http, python, ready};

/// The region that it believes to be in.
pub(crate) const REGION: &str = "us-east-1";

/// Which of its ports is whose.
const PARTS: [(u16, &str); 4] = [(MASTER, "master"), (VOLUME, "volume"), (FILER, "filer"), (S3, "s3")];
const MASTER: u16 = 1;
const VOLUME: u16 = 2;
const FILER: u16 = 3;
const S3: u16 = 4;

/// How often other ports are tried when somebody takes one of ours first.
const STARTS_MAX: usize = 5;

/// A running SeaweedFS, killed when dropped. What it keeps goes with it.
pub(crate) struct Seaweed {
    process: Leashed,
    cloud: Cloud,
    ports: Ports,
    folder: TempDir,
}

impl Seaweed {
    /// Starts one on free ports; back when it takes objects and gives them.
    pub(crate) async fn start() -> Self {
        let mut last = String::new();
        for _ in 0..STARTS_MAX {
            let (ports, folder) = (Ports::claim(), tempfile::tempdir().expect("a temporary folder"));
            // Keys of its own: no other server would take them for an answer.
            let [account, key] = [(); 2].map(|()| Uuid::now_v7().simple().to_string());
            let cloud = Cloud { protocol: Protocol::S3, address: ports.nth(S3), account, key };
            let process = spawn(&ports, &folder, &cloud);
            let mut server = Self { process, cloud, ports, folder };
            if server.is_ready().await {
                return server;
            }
            last = server.process.tail();
        }
        panic!("SeaweedFS does not start:\n{last}");
    }

    /// Where it is, and who may use it.
    pub(crate) fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// The same, for somebody who may only read.
    pub(crate) fn reader(&self) -> Cloud {
        Cloud { account: reader(&self.cloud), ..self.cloud.clone() }
    }

    /// Makes a bucket.
    pub(crate) async fn create_bucket(&self, name: &str) {
        let (status, answer) = self.ask("PUT", &format!("/{name}"), "", b"").await.expect("it answers");
        assert_eq!(status, 200, "bucket {name}: {}", String::from_utf8_lossy(&answer));
    }

    /// One signed request; its status and answer. The query is sorted and escaped already.
    pub(crate) async fn ask(&self, method: &str, path: &str, query: &str, body: &[u8]) -> io::Result<(u16, Vec<u8>)> {
        ask(&self.cloud, method, path, query, body).await
    }

    /// kill -9, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again after a kill: the same folder, ports and keys; back when it takes objects and gives them.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        self.process = spawn(&self.ports, &self.folder, &self.cloud);
        assert!(self.is_ready().await, "SeaweedFS does not come back:\n{}", self.process.tail());
    }

    /// It stands still, and its connections with it.
    pub(crate) fn stop(&self) {
        self.process.stop();
    }

    /// It goes on.
    pub(crate) fn resume(&self) {
        self.process.resume();
    }

    /// Waits until an object goes in and comes out; false when the process ended.
    ///
    /// That it listens says little: after a start its parts first have to find each other.
    async fn is_ready(&mut self) -> bool {
        const BUCKET: &str = "/ready";
        const OBJECT: &str = "/ready/object";
        let steps = [("PUT", BUCKET), ("PUT", OBJECT), ("GET", OBJECT)];
        ready::wait(async || {
            if self.process.has_ended() {
                return Some(false);
            }
            for (method, path) in steps {
                let body: &[u8] = if (method, path) == ("PUT", OBJECT) { b"yes" } else { b"" };
                let done = match self.ask(method, path, "", body).await {
                    Ok((200, answer)) => method != "GET" || answer == b"yes",
                    // The bucket is there from before.
                    Ok((409, _)) => path == BUCKET,
                    _ => false,
                };
                if !done {
                    return None;
                }
            }
            Some(true)
        })
        .await
        .unwrap_or_else(|| panic!("SeaweedFS does not get ready:\n{}", self.process.tail()))
    }
}

impl Drop for Seaweed {
    fn drop(&mut self) {
        self.kill();
        // It leaves sockets behind, in a folder that it does not let one choose.
        for (n, part) in PARTS {
            let port = self.ports.above(n).port();
            let _ = fs::remove_file(Path::new("/tmp").join(format!("seaweedfs-{part}-grpc-{port}.sock")));
        }
    }
}

/// The access key of the one who may only read.
fn reader(cloud: &Cloud) -> String {
    format!("{}reader", cloud.account)
}

fn spawn(ports: &Ports, folder: &TempDir, cloud: &Cloud) -> Leashed {
    let folder = folder.path();
    let identity = |name: &str, account: &str, actions: &[&str]| json!({ "name": name, "credentials": [{ "accessKey": account, "secretKey": cloud.key }], "actions": actions });
    let identities = json!({ "identities": [
        identity("test", &cloud.account, &["Admin", "Read", "List", "Tagging", "Write"]),
        identity("reader", &reader(cloud), &["Read", "List"]),
    ] });
    let keys = folder.join("keys.json");
    fs::write(&keys, identities.to_string()).expect("a folder of our own");
    let data = folder.join("data");
    fs::create_dir_all(&data).expect("a folder of our own");
    let port = |n| ports.nth(n).port();
    let arguments = [
        "-logtostderr=true".to_owned(),
        "server".to_owned(),
        "-ip=127.0.0.1".to_owned(),
        "-ip.bind=127.0.0.1".to_owned(),
        format!("-dir={}", data.display()),
        format!("-master.port={}", port(MASTER)),
        // One master needs no election, and after a restart no state of the last one: with it, it waits 15 s at times.
        "-master.peers=none".to_owned(),
        "-master.resumeState=false".to_owned(),
        "-master.electionTimeout=300ms".to_owned(),
        "-master.heartbeatInterval=100ms".to_owned(),
        "-master.telemetry=false".to_owned(),
        // Each bucket takes several volumes.
        "-master.volumeSizeLimitMB=64".to_owned(),
        "-volume.max=1000".to_owned(),
        format!("-volume.port={}", port(VOLUME)),
        format!("-filer.port={}", port(FILER)),
        format!("-filer.localSocket={}", folder.join("filer.sock").display()),
        "-s3".to_owned(),
        format!("-s3.port={}", port(S3)),
        format!("-s3.localSocket={}", folder.join("s3.sock").display()),
        format!("-s3.config={}", keys.display()),
        "-s3.port.iceberg=0".to_owned(),
        "-s3.port.lance=0".to_owned(),
    ];
    Leashed::start(&python::program("weed"), arguments, &folder.join("log"))
}

/// One signed request, to wherever `cloud` is; its status and answer. The query is sorted and escaped already.
pub(crate) async fn ask(
    cloud: &Cloud,
    method: &str,
    path: &str,
    query: &str,
    body: &[u8],
) -> io::Result<(u16, Vec<u8>)> {
    let headers = signed(cloud, method, path, query, body);
    let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    http::ask(cloud.address, method, &target, &headers, body).await
}

/// The headers of a request with AWS Signature Version 4.
fn signed(cloud: &Cloud, method: &str, path: &str, query: &str, body: &[u8]) -> [(&'static str, String); 3] {
    let sha256 = |bytes: &[u8]| hex::encode(digest::digest(&digest::SHA256, bytes));
    let (now, host, content) = (Utc::now(), cloud.address, sha256(body));
    let (day, time) = (now.format("%Y%m%d").to_string(), now.format("%Y%m%dT%H%M%SZ").to_string());
    let names = "host;x-amz-content-sha256;x-amz-date";
    let request = format!(
        "{method}\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:{content}\nx-amz-date:{time}\n\n{names}\n{content}"
    );
    let scope = format!("{day}/{REGION}/s3/aws4_request");
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(request.as_bytes()));
    let mut key = format!("AWS4{}", cloud.key).into_bytes();
    for text in [&*day, REGION, "s3", "aws4_request", &to_sign] {
        key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), text.as_bytes()).as_ref().to_vec();
    }
    let (account, signature) = (&cloud.account, hex::encode(key));
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential={account}/{scope}, SignedHeaders={names}, Signature={signature}");
    [("x-amz-content-sha256", content), ("x-amz-date", time), ("authorization", authorization)]
}
