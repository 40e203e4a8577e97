//! Chunks parsed and committed: the next one is parsed while the one before commits.

use super::parse::Parser;
use super::split::Chunk;
use crate::database::Inner;
use crate::error::{Error, Result};
use crate::session::{Pending, Shared, write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What the worker works with.
pub(super) struct Worker {
    pub(super) database: Arc<Inner>,
    pub(super) shared: Arc<Shared>,
    pub(super) parser: Arc<Parser>,
    /// Rows that are on disk, or in the open transaction.
    pub(super) kept: Arc<AtomicU64>,
}

impl Worker {
    /// Works until no more chunks come. The first error ends it.
    pub(super) async fn run(self, mut chunks: mpsc::Receiver<Chunk>) -> Result<()> {
        let mut committing: Option<JoinHandle<Result<()>>> = None;
        let worked = self.work(&mut chunks, &mut committing).await;
        // A commit that is under way is waited for, so that what is told of the rows kept is true.
        let committed = joined(committing.take()).await;
        worked.and(committed)
    }

    async fn work(
        &self,
        chunks: &mut mpsc::Receiver<Chunk>,
        committing: &mut Option<JoinHandle<Result<()>>>,
    ) -> Result<()> {
        while let Some(chunk) = chunks.recv().await {
            let parser = self.parser.clone();
            let parsed = tokio::task::spawn_blocking(move || parser.parse(&chunk));
            let pending = parsed.await.map_err(|error| Error::internal(format!("parsing a chunk: {error}")))??;
            if pending.count() == 0 {
                continue;
            }
            joined(committing.take()).await?;
            let bytes_max = self.database.options.transaction_bytes_max;
            let rows = pending.count();
            match self.shared.buffer(pending, bytes_max)? {
                None => {
                    self.kept.fetch_add(rows, Ordering::Relaxed);
                }
                Some(pending) => *committing = Some(self.commit(pending)),
            }
        }
        Ok(())
    }

    fn commit(&self, pending: Pending) -> JoinHandle<Result<()>> {
        let (database, kept) = (self.database.clone(), self.kept.clone());
        tokio::spawn(async move {
            let rows = pending.count();
            write(&database, vec![pending]).await?;
            kept.fetch_add(rows, Ordering::Relaxed);
            Ok(())
        })
    }
}

async fn joined(committing: Option<JoinHandle<Result<()>>>) -> Result<()> {
    match committing {
        None => Ok(()),
        Some(task) => task.await.map_err(|error| Error::internal(format!("committing a chunk: {error}")))?,
    }
}
