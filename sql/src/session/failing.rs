//! A result stream that tells the transaction when it fails, ends in time, and keeps what it reads from going away.

use super::Shared;
use crate::error::{Error, code};
use crate::scan::Moment;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use futures::{FutureExt, Stream, StreamExt};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// When a statement's time is up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    at: Instant,
    timeout: Duration,
}

impl Deadline {
    pub(super) fn new(timeout: Option<Duration>) -> Option<Self> {
        timeout.map(|timeout| Self { at: Instant::now() + timeout, timeout })
    }

    fn passed(self) -> Error {
        Error::new(code::QUERY_CANCELED, "canceling statement due to statement timeout")
            .detail(format!("statement_timeout is {} ms", self.timeout.as_millis()))
    }

    /// Does the work, if it is done in time.
    pub(super) async fn guard<T>(this: Option<Self>, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        match this {
            None => work.await,
            Some(deadline) => match tokio::time::timeout_at(deadline.at, work).await {
                Ok(done) => done,
                Err(_) => Err(deadline.passed()),
            },
        }
    }
}

/// The rows of a statement.
pub(super) struct Statement {
    rows: SendableRecordBatchStream,
    shared: Arc<Shared>,
    deadline: Option<(Deadline, Pin<Box<Sleep>>)>,
    ended: bool,
    /// Registered as a reader for as long as rows flow.
    _moment: Arc<Moment>,
}

impl Statement {
    pub(super) fn new(
        rows: SendableRecordBatchStream,
        shared: Arc<Shared>,
        deadline: Option<Deadline>,
        moment: Arc<Moment>,
    ) -> Self {
        let deadline = deadline.map(|deadline| (deadline, Box::pin(tokio::time::sleep_until(deadline.at))));
        Self { rows, shared, deadline, ended: false, _moment: moment }
    }

    fn fail(&mut self, error: DataFusionError) -> Poll<Option<Result<RecordBatch>>> {
        self.ended = true;
        self.shared.fail();
        Poll::Ready(Some(Err(error)))
    }
}

impl Stream for Statement {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Some((deadline, sleep)) = &mut self.deadline
            && sleep.poll_unpin(cx).is_ready()
        {
            let error = deadline.passed();
            return self.fail(error.into());
        }
        match self.rows.poll_next_unpin(cx) {
            Poll::Ready(Some(Err(error))) => self.fail(error),
            polled => polled,
        }
    }
}

impl RecordBatchStream for Statement {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }
}
