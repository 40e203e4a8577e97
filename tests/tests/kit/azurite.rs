//! Azurite: a server for Azure's blobs, in a process of its own. It keeps everything in memory.
//!
//! A start takes one to two seconds, and some 110 MB.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::Utc;
use ring::hmac;
use tempfile::TempDir;

use super::cloud::{Cloud, Protocol};
use super::leash::Leashed;
use super::ports::Ports;
use super::{http, python, ready};

/// The account that every Azurite has, and every client for it knows.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// How often other ports are tried when somebody takes one of ours first.
const STARTS_MAX: usize = 5;

/// A running Azurite, killed when dropped.
pub(crate) struct Azurite {
    process: Leashed,
    cloud: Cloud,
    _ports: Ports,
    _folder: TempDir,
}

impl Azurite {
    /// Starts one on a free port; back when it answers.
    pub(crate) async fn start() -> Self {
        let mut last = String::new();
        for _ in 0..STARTS_MAX {
            let (ports, folder) = (Ports::claim(), tempfile::tempdir().expect("a temporary folder"));
            let address = ports.nth(1);
            let cloud = Cloud { protocol: Protocol::Azure, address, account: ACCOUNT.to_owned(), key: KEY.to_owned() };
            let program = python::cache().join("azurite/node_modules/.bin/azurite-blob");
            assert!(program.is_file(), "Azurite is missing ({}): run scripts/setup", program.display());
            let port = address.port().to_string();
            let arguments = [
                "--silent",
                "--skipApiVersionCheck",
                "--disableTelemetry",
                "--inMemoryPersistence",
                "--blobPort",
                &port,
            ];
            let process = Leashed::start(&program, arguments, &folder.path().join("log"));
            let mut server = Self { process, cloud, _ports: ports, _folder: folder };
            if server.is_ready().await {
                return server;
            }
            last = server.process.tail();
        }
        panic!("Azurite does not start:\n{last}");
    }

    /// Where it is, and who may use it.
    pub(crate) fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// Makes a container.
    pub(crate) async fn create_container(&self, name: &str) {
        let (status, answer) = self.ask("PUT", name, &[("restype", "container")]).await.expect("it answers");
        assert_eq!(status, 201, "container {name}: {}", String::from_utf8_lossy(&answer));
    }

    /// It stands still, and its connections with it.
    pub(crate) fn stop(&self) {
        self.process.stop();
    }

    /// It goes on.
    pub(crate) fn resume(&self) {
        self.process.resume();
    }

    /// Waits until it answers; false when the process ended.
    async fn is_ready(&mut self) -> bool {
        ready::wait(async || {
            if self.process.has_ended() {
                return Some(false);
            }
            let listed = self.ask("GET", "", &[("comp", "list")]).await;
            matches!(listed, Ok((200, _))).then_some(true)
        })
        .await
        .unwrap_or_else(|| panic!("Azurite does not get ready:\n{}", self.process.tail()))
    }

    /// One request without a body, signed with the shared key; its status and answer.
    async fn ask(&self, method: &str, path: &str, query: &[(&str, &str)]) -> std::io::Result<(u16, Vec<u8>)> {
        let now = Utc::now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let version = "2021-08-06";
        let mut target = format!("/{ACCOUNT}/{path}");
        let mut to_sign =
            format!("{method}{}x-ms-date:{now}\nx-ms-version:{version}\n/{ACCOUNT}{target}", "\n".repeat(12));
        for (n, (name, value)) in query.iter().enumerate() {
            target += &format!("{}{name}={value}", if n == 0 { '?' } else { '&' });
            to_sign += &format!("\n{name}:{value}");
        }
        let key = BASE64_STANDARD.decode(KEY).expect("the key is base64");
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), to_sign.as_bytes());
        let authorization = format!("SharedKey {ACCOUNT}:{}", BASE64_STANDARD.encode(signature));
        let headers = [("x-ms-date", now), ("x-ms-version", version.to_owned()), ("authorization", authorization)];
        http::ask(self.cloud.address, method, &target, &headers, b"").await
    }
}
