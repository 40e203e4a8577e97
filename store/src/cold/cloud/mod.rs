//! S3 and its like, Google Cloud Storage and Azure: from what a statement says of a storage to objects in it.
//!
//! | part | file | what it does |
//! | --- | --- | --- |
//! | where | `address.rs` | `s3://bucket/prefix`, `gs://…`, `az://…` |
//! | how | `settings.rs` | the CONFIG of a storage: endpoint, region, limits, timeouts |
//! | as whom | `credentials.rs` | the CREDENTIALS of a storage; without them the usual places are asked |
//! | the usual places | `chain.rs` | environment, profiles, web identity, containers, instances: AWS's own chain |
//! | the client | `client.rs` | one builder per provider |
//! | every request | `gate.rs`, `pace.rs` | bounded, slowed down when the store asks for it, counted; secrets taken out of its errors |
//!
//! The names of what a store says of a request that it refused are in `refusal.rs`, one level up.

mod address;
mod chain;
mod client;
mod credentials;
mod gate;
mod pace;
mod settings;

pub use address::Address;
pub use credentials::Credentials;
pub use gate::describe;
pub use settings::Settings;

use super::remote::{self, Multiparts, Remote};
use super::{Error, Owner, owner};
use async_trait::async_trait;
use ebbtide_engine::SharedEnv;
use std::fmt::Debug;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Which provider a storage is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Provider {
    /// Amazon S3, or what speaks its protocol.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
}

impl Provider {
    /// The scheme of its addresses, which is also what people call it.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gs",
            Self::Azure => "az",
        }
    }
}

/// All that is to be known to reach a storage.
#[derive(Debug, Clone)]
pub struct Location {
    /// Bucket and prefix.
    pub address: Address,
    /// Endpoint, region, limits.
    pub settings: Settings,
    /// As whom.
    pub credentials: Credentials,
}

impl Location {
    /// Reads what a statement says of a storage.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] naming the key or the part that cannot be, and the nearest right one; never a value of
    /// `credentials`.
    pub fn parse(
        provider: Provider,
        base_directory: &str,
        config_json: Option<&str>,
        credentials: Option<&crate::secrets::Secret>,
    ) -> Result<Self, crate::Error> {
        let settings = Settings::parse(provider, config_json)?;
        let credentials = Credentials::parse(provider, credentials)?;
        Ok(Self { address: Address::parse(provider, base_directory)?, settings, credentials })
    }
}

/// Where clouds are reached.
#[async_trait]
pub trait Connect: Debug + Send + Sync {
    /// The objects of a place, whoever owns it. `name` is the storage's, for numbers and the log.
    ///
    /// # Errors
    /// [`Error::Setup`] when no client can be made.
    async fn connect(
        &self,
        location: &Location,
        name: &str,
        multiparts: Option<Arc<dyn Multiparts>>,
        env: &SharedEnv,
    ) -> Result<Arc<Remote>, Error>;
}

/// Opens a storage for its owner: its root must be his, or nobody's yet.
///
/// # Errors
/// [`Error::Setup`] when no client can be made; [`Error::Store`] when the store refuses or cannot be reached;
/// [`Error::Owned`] and [`Error::Nested`] when the prefix, one above it or one below it is somebody else's.
pub async fn open(
    clouds: &dyn Connect,
    location: &Location,
    owner: &Owner,
    multiparts: Option<Arc<dyn Multiparts>>,
    env: &SharedEnv,
) -> Result<Arc<Remote>, Error> {
    let remote = clouds.connect(location, &owner.storage_id, multiparts, env).await?;
    owner::remote::claim(&remote, owner, owner::remote::OBJECTS_MAX).await?;
    Ok(remote)
}

/// Over the network. Tests have [`faults::Bucket`](crate::cold::faults::Bucket) in its place.
#[derive(Debug, Clone, Copy, Default)]
pub struct Network;

#[async_trait]
impl Connect for Network {
    async fn connect(
        &self,
        location: &Location,
        name: &str,
        multiparts: Option<Arc<dyn Multiparts>>,
        env: &SharedEnv,
    ) -> Result<Arc<Remote>, Error> {
        let Location { address, settings, .. } = location;
        let options =
            remote::Options { part_bytes: settings.part_bytes, parts_max: settings.parts_in_flight_max, multiparts };
        let (prefix, uri) = (address.prefix.as_str(), address.to_string());
        let runtime = Handle::current();
        match client::connect(location, name, env).await? {
            client::Client::S3(store) => Remote::new(store, prefix, &uri, runtime, options),
            client::Client::Gcs(store) => Remote::new(store, prefix, &uri, runtime, options),
            client::Client::Azure(store) => Remote::new(store, prefix, &uri, runtime, options),
        }
    }
}
