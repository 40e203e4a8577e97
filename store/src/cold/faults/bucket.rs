//! A bucket that a database reaches by an address, as it does one of S3.

use super::{Faults, Faulty, Memory};
use crate::cold::cloud::{Connect, Location};
use crate::cold::remote::{Multiparts, Options, Remote};
use crate::cold::{Error, Objects};
use async_trait::async_trait;
use ebbtide_engine::SharedEnv;
use std::sync::Arc;
use tokio::runtime::Handle;

/// How much of an object goes in one piece: little, so that small objects of tests come in parts too.
const PART_BYTES: usize = 4 << 10;

/// One bucket in memory, whatever the address says, with faults before it. Prefixes are obeyed.
///
/// As [`StoreOptions::clouds`](crate::StoreOptions::clouds) it takes the place of the network: every storage of a cloud lies in
/// it, through all restarts of the database.
#[derive(Debug, Clone, Default)]
pub struct Bucket {
    memory: Arc<Memory>,
    faults: Arc<Faults>,
}

impl Bucket {
    /// The plan of what fails.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// What is in it.
    pub fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// The same bucket in calm water: nothing fails that is asked through this.
    ///
    /// # Errors
    /// [`Error::Name`] for a prefix that cannot be.
    pub fn beneath(&self, prefix: &str) -> Result<Arc<dyn Objects>, Error> {
        Ok(Remote::new(self.memory.clone(), prefix, "memory:", Handle::current(), options(None))?)
    }
}

fn options(multiparts: Option<Arc<dyn Multiparts>>) -> Options {
    Options { part_bytes: PART_BYTES, parts_max: 3, multiparts }
}

#[async_trait]
impl Connect for Bucket {
    async fn connect(
        &self,
        location: &Location,
        _name: &str,
        multiparts: Option<Arc<dyn Multiparts>>,
        _env: &SharedEnv,
    ) -> Result<Arc<Remote>, Error> {
        let store = Arc::new(Faulty::new(self.memory.clone(), self.faults.clone()));
        let (prefix, uri) = (location.address.prefix.as_str(), location.address.to_string());
        Remote::new(store, prefix, &uri, Handle::current(), options(multiparts))
    }
}
