//! What the caller pushes COPY data into.

use super::parse::Parser;
use super::split::{Chunk, Splitter};
use super::worker::Worker;
use crate::error::{Error, Result};
use crate::insert::Target;
use crate::parse::CopyIn;
use crate::scan::Moment;
use crate::session::{Session, Shared, TransactionStatus};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Chunks that wait for the worker; whoever pushes waits for room after that.
const CHUNKS_QUEUED_MAX: usize = 2;

/// Takes the data of a COPY. Dropping it gives the COPY up; chunks that were committed stay.
#[derive(Debug)]
pub struct CopySink {
    splitter: Option<Splitter>,
    /// None once there is no more data.
    chunks: Option<mpsc::Sender<Chunk>>,
    worker: Option<JoinHandle<Result<()>>>,
    kept: Arc<AtomicU64>,
    shared: Arc<Shared>,
    columns: usize,
    table: String,
    in_transaction: bool,
}

impl CopySink {
    pub(crate) fn begin(session: &Session, copy: &CopyIn) -> Result<Self> {
        let table = {
            let moment = Moment::take(&session.database)?;
            session.target(&moment, &copy.table)?
        };
        let name = table.qualified_name();
        let target = Target::new(table, session.identity().clone(), &copy.columns)?;
        let columns = target.slots.len();
        let options = &session.database.options;
        let splitter = Splitter::new(&copy.format, options.copy_chunk_rows_max, options.copy_chunk_bytes_max);
        let row_bytes_max = session.database.store.options().row_bytes_max;
        let parser = Arc::new(Parser { target, format: copy.format.clone(), row_bytes_max });
        let (chunks, waiting) = mpsc::channel(CHUNKS_QUEUED_MAX);
        let (shared, kept) = (session.shared(), Arc::new(AtomicU64::new(0)));
        let worker = Worker { database: session.database.clone(), shared: shared.clone(), parser, kept: kept.clone() };
        Ok(Self {
            splitter: Some(splitter),
            chunks: Some(chunks),
            worker: Some(tokio::spawn(worker.run(waiting))),
            kept,
            shared,
            columns,
            table: name,
            in_transaction: session.transaction_status() == TransactionStatus::Active,
        })
    }

    /// How many values each line has.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Takes data, in pieces of any size. Waits when earlier data is not yet worked off.
    ///
    /// # Errors
    /// The first line that cannot be read or written; how many rows stayed is in the detail. Nothing more is taken then.
    pub async fn push(&mut self, data: impl Into<Bytes>) -> Result<()> {
        let data = data.into();
        let Some(splitter) = &mut self.splitter else { return Err(Error::internal("the COPY has ended")) };
        let mut full = Vec::new();
        let split = splitter.push(&data, |chunk| full.push(chunk));
        for chunk in full {
            self.send(chunk).await?;
        }
        match split {
            Ok(()) => Ok(()),
            Err(error) => Err(self.fail(Some(error)).await),
        }
    }

    /// The data has ended: waits until all of it is on disk, or in the open transaction. How many rows there were.
    ///
    /// # Errors
    /// As [`CopySink::push`].
    pub async fn finish(mut self) -> Result<u64> {
        let Some(splitter) = self.splitter.take() else { return Err(Error::internal("the COPY has ended")) };
        match splitter.finish() {
            Ok(chunk) if chunk.lines.is_empty() => {}
            Ok(chunk) => self.send(chunk).await?,
            Err(error) => return Err(self.fail(Some(error)).await),
        }
        self.chunks = None;
        match self.join().await {
            Ok(()) => Ok(self.kept.load(Ordering::Relaxed)),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Gives up: what was not committed is dropped. Says what stayed, for whoever is told of the end.
    pub async fn abort(mut self) -> String {
        self.splitter = None;
        self.chunks = None;
        // Its own error, if it has one, came too late to matter.
        let _ = self.join().await;
        self.shared.fail();
        self.kept_text()
    }

    async fn send(&mut self, chunk: Chunk) -> Result<()> {
        let sent = match &self.chunks {
            Some(chunks) => chunks.send(chunk).await.is_ok(),
            None => false,
        };
        // The worker goes early only when it failed, and then it says why.
        if sent { Ok(()) } else { Err(self.fail(None).await) }
    }

    async fn fail(&mut self, error: Option<Error>) -> Error {
        self.splitter = None;
        self.chunks = None;
        let worked = self.join().await;
        // Of two errors the earlier line's counts, which is the worker's.
        let error = worked.err().or(error).unwrap_or_else(|| Error::internal("the COPY ended without an error"));
        self.failed(error)
    }

    fn failed(&self, error: Error) -> Error {
        self.shared.fail();
        let context = match &error.context {
            Some(context) if context.starts_with("line ") => Some(format!("COPY {}, {context}", self.table)),
            _ => None,
        };
        let error = match context {
            Some(context) => error.context(context),
            None => error,
        };
        error.detail(self.kept_text())
    }

    async fn join(&mut self) -> Result<()> {
        match self.worker.take() {
            None => Ok(()),
            Some(worker) => worker.await.map_err(|error| Error::internal(format!("a COPY ended badly: {error}")))?,
        }
    }

    fn kept_text(&self) -> String {
        let rows = self.kept.load(Ordering::Relaxed);
        if self.in_transaction {
            "No row is kept: the COPY was part of a transaction.".to_owned()
        } else {
            format!("{rows} rows of this COPY were committed and stay; it commits in chunks.")
        }
    }
}
