//! A result being computed, in a task of its own on the threads for that; see [`super::compute`].

use datafusion::arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::errors::{Problem, sqlstate};

/// Batches that wait to be sent: one is computed while another is on its way.
const WAITING_MAX: usize = 1;

/// Batches as they come. Dropping it gives the computation up, at the latest when it gives its thread back.
pub(super) struct Batches {
    waiting: mpsc::Receiver<Result<RecordBatch, Problem>>,
    /// None once it has ended.
    computation: Option<AbortOnDropHandle<()>>,
}

impl Batches {
    pub(super) fn compute(mut stream: SendableRecordBatchStream, threads: &Handle) -> Self {
        let (finished, waiting) = mpsc::channel(WAITING_MAX);
        let computation = threads.spawn(async move {
            while let Some(batch) = stream.next().await {
                let batch = batch.map_err(|error| Problem::from(ebbtide_sql::Error::from(error)));
                if finished.send(batch).await.is_err() {
                    return;
                }
            }
        });
        Self { waiting, computation: Some(AbortOnDropHandle::new(computation)) }
    }

    /// The next batch, or nothing after the last.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>, Problem> {
        if let Some(batch) = self.waiting.recv().await {
            return batch.map(Some);
        }
        // A computation that broke down is no end of the rows.
        let Some(computation) = self.computation.take() else { return Ok(None) };
        match computation.await {
            Ok(()) => Ok(None),
            Err(error) => {
                tracing::error!(%error, "a result broke down");
                Err(Problem::error(sqlstate::INTERNAL_ERROR, "a fault of the server; its log has more"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::Schema;
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use futures::{FutureExt, stream};

    use super::*;

    #[tokio::test]
    async fn a_computation_that_breaks_down_is_an_error_and_not_the_end() {
        let schema = Arc::new(Schema::empty());
        let broken = stream::once(async { panic!("a fault in an operator") });
        let mut batches = Batches::compute(Box::pin(RecordBatchStreamAdapter::new(schema, broken)), &Handle::current());
        assert_eq!(batches.next().await.expect_err("no silent end").sqlstate, "XX000");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_computation_that_keeps_its_thread_does_not_keep_the_connection() {
        let (release, held) = std::sync::mpsc::channel::<()>();
        let (begun, running) = tokio::sync::oneshot::channel();
        let schema = Arc::new(Schema::empty());
        let hog = stream::once(async move {
            begun.send(()).expect("the test waits for it");
            // Blocks the thread, as an operator does that never returns.
            held.recv().expect("the test lets it go");
            Ok(RecordBatch::new_empty(Arc::new(Schema::empty())))
        });
        let mut batches = Batches::compute(Box::pin(RecordBatchStreamAdapter::new(schema, hog)), &Handle::current());
        running.await.expect("it begins");
        assert!(batches.next().now_or_never().is_none(), "nothing is there, and waiting does not block");
        release.send(()).expect("it still waits");
        assert!(batches.next().await.expect("no error").is_some());
        assert!(batches.next().await.expect("no error").is_none());
    }
}
