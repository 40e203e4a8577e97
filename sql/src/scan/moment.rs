//! The one instant a statement reads.

use crate::database::Inner;
use crate::error::{Error, Result};
use datafusion::catalog::Session as Planning;
use datafusion::error::DataFusionError;
use ebbtide_engine::Snapshot;
use ebbtide_store::{Reading, catalog::View};
use std::sync::Arc;

/// A registered reader, the snapshot it took, and the catalog in that snapshot. All scans of one statement share it;
/// what they read is kept while it lives.
pub(crate) struct Moment {
    pub(crate) database: Arc<Inner>,
    pub(crate) snapshot: Arc<dyn Snapshot>,
    pub(crate) catalog: Arc<View>,
    _reading: Reading,
}

impl Moment {
    /// Now.
    pub(crate) fn take(database: &Arc<Inner>) -> Result<Arc<Self>> {
        // Registered first: an object that this snapshot names is then deleted only after we are gone.
        let reading = database.store.readers().register();
        let snapshot = database.store.snapshot();
        let catalog = database.store.catalog().view(&snapshot)?;
        Ok(Arc::new(Self { database: database.clone(), snapshot, catalog, _reading: reading }))
    }

    /// The moment of the statement that is being planned.
    pub(crate) fn of(session: &dyn Planning) -> Result<Arc<Self>, DataFusionError> {
        session
            .config()
            .get_extension::<Self>()
            .ok_or_else(|| Error::internal("a table was planned outside of a statement").into())
    }
}

impl std::fmt::Debug for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Moment").field("catalog", &self.catalog.version()).finish_non_exhaustive()
    }
}
