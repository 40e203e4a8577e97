//! A service that keeps objects, as its clients are told of it, and what a reader that is not ours finds there.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::proxy::Proxy;
use super::python;
use super::seaweed::REGION;

/// What the objects are asked for with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    S3,
    Azure,
}

/// Where a service is, and who may use it.
#[derive(Clone, Debug)]
pub(crate) struct Cloud {
    pub(crate) protocol: Protocol,
    pub(crate) address: SocketAddr,
    /// The access key of S3, the account of Azure.
    pub(crate) account: String,
    /// The secret.
    pub(crate) key: String,
}

impl Cloud {
    /// The same service, asked through a proxy before it.
    pub(crate) fn through(&self, proxy: &Proxy) -> Self {
        Self { address: proxy.address(), ..self.clone() }
    }

    /// Where clients send their requests.
    pub(crate) fn endpoint(&self) -> String {
        match self.protocol {
            Protocol::S3 => format!("http://{}", self.address),
            Protocol::Azure => format!("http://{}/{}", self.address, self.account),
        }
    }

    /// The BASE_DIRECTORY of a storage in this bucket or container.
    pub(crate) fn base_directory(&self, path: &str) -> String {
        match self.protocol {
            Protocol::S3 => format!("s3://{path}"),
            Protocol::Azure => format!("az://{path}"),
        }
    }

    /// The CONFIG of a storage here, with what else is to be in it.
    pub(crate) fn config(&self, more: Value) -> String {
        let mut config = match self.protocol {
            Protocol::S3 => json!({ "endpoint": self.endpoint(), "region": REGION }),
            Protocol::Azure => json!({ "endpoint": self.endpoint(), "account": self.account }),
        };
        if let (Value::Object(config), Value::Object(more)) = (&mut config, more) {
            config.extend(more);
        }
        config.to_string()
    }

    /// The CREDENTIALS of a storage here.
    pub(crate) fn credentials(&self) -> String {
        let credentials = match self.protocol {
            Protocol::S3 => json!({ "access_key_id": self.account, "secret_access_key": self.key }),
            Protocol::Azure => json!({ "access_key": self.key }),
        };
        credentials.to_string()
    }

    /// Columns and rows of Parquet files, in the form of `read_parquet.py`. A path begins with the bucket or container.
    pub(crate) fn rows<'a>(&self, paths: impl IntoIterator<Item = &'a str>) -> Value {
        self.reader("rows", paths)
    }

    /// Every key below a folder, with its size.
    pub(crate) fn list(&self, folder: &str) -> BTreeMap<String, u64> {
        let found = self.reader("list", [folder]);
        serde_json::from_value(found).expect("the reader prints sizes by key")
    }

    /// All bytes of an object.
    pub(crate) fn bytes(&self, path: &str) -> Vec<u8> {
        let file = tempfile::NamedTempFile::new().expect("a temporary file").into_temp_path();
        self.reader("fetch", [path, file.to_str().expect("temporary files have plain names")]);
        std::fs::read(&file).expect("the reader wrote it")
    }

    /// Copies a local file into an object.
    pub(crate) fn put(&self, path: &str, file: &Path) {
        self.reader("put", [path, file.to_str().expect("temporary files have plain names")]);
    }

    fn reader<'a>(&self, what: &str, arguments: impl IntoIterator<Item = &'a str>) -> Value {
        let kind = match self.protocol {
            Protocol::S3 => "s3",
            Protocol::Azure => "azure",
        };
        let place =
            json!({ "kind": kind, "address": self.address.to_string(), "account": self.account, "key": self.key });
        let first = [place.to_string(), what.to_owned()];
        python::read("objects.py", first.into_iter().chain(arguments.into_iter().map(str::to_owned)))
    }
}
