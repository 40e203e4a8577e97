//! Segments read back: what the footer says, and the rows, a batch at a time.
//!
//! Queries read segments through DataFusion. This is for those who keep them: checking a file, and writing a part of
//! its rows anew with the very columns it has.

use std::{collections::HashMap, iter::once, ops::Range, sync::Arc};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use bytes::Bytes;
use futures::{FutureExt, TryFutureExt, TryStreamExt, future::BoxFuture};
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use parquet::{
    arrow::{
        ParquetRecordBatchStreamBuilder, ProjectionMask,
        arrow_reader::{ArrowReaderOptions, RowSelection},
        async_reader::{AsyncFileReader, ParquetRecordBatchStream},
    },
    errors::ParquetError,
    file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader},
};

use super::{Error, footer};
use crate::cold::{Objects, objects::location};

/// What a file says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Footer {
    /// The table's qualified name.
    pub table: Option<String>,
    /// The user's id; absent for a SHARED table.
    pub user: Option<String>,
    /// The schema version whose columns the file has.
    pub schema_version: Option<u32>,
    /// The first row's seq.
    pub from_seq: Option<u64>,
    /// The last row's seq.
    pub to_seq: Option<u64>,
    /// The job that wrote it.
    pub job_id: Option<String>,
    /// How many rows.
    pub rows: u64,
}

impl Footer {
    fn of(metadata: &ParquetMetaData) -> Self {
        let file = metadata.file_metadata();
        let mut read = Self { rows: u64::try_from(file.num_rows()).unwrap_or(0), ..Self::default() };
        for pair in file.key_value_metadata().into_iter().flatten() {
            let value = pair.value.clone();
            let number = || value.as_deref().and_then(|text| text.parse().ok());
            match pair.key.as_str() {
                footer::TABLE => read.table = value,
                footer::USER => read.user = value,
                footer::SCHEMA_VERSION => {
                    read.schema_version = value.as_deref().and_then(|text| text.parse().ok());
                }
                footer::FROM_SEQ => read.from_seq = number(),
                footer::TO_SEQ => read.to_seq = number(),
                footer::JOB_ID => read.job_id = value,
                _ => {}
            }
        }
        read
    }
}

/// A segment that is being read.
pub struct Reader {
    path: String,
    footer: Footer,
    schema: SchemaRef,
    rows: ParquetRecordBatchStream<Source>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Which part of a segment to read.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// These columns by name; all of them without.
    pub columns: Option<&'a [&'a str]>,
    /// From the row of this number on, counted from 0. Row groups and pages before it are not read.
    pub first_row: u64,
    /// Rows in a batch, at most.
    pub batch_rows: usize,
}

impl Reader {
    /// Opens a file of `bytes` bytes. It holds one row group of the columns asked for in memory.
    ///
    /// # Errors
    /// [`Error::Store`] when it cannot be read; [`Error::Parquet`] when what was read is no Parquet; [`Error::Name`] for a path
    /// that cannot be.
    pub async fn open(objects: &dyn Objects, path: &str, bytes: u64, part: Part<'_>) -> Result<Reader, Error> {
        let source = Source { store: objects.object_store(), location: location(path)?, bytes };
        let policy = if part.first_row > 0 { PageIndexPolicy::Optional } else { PageIndexPolicy::Skip };
        let options = ArrowReaderOptions::new().with_page_index_policy(policy);
        let opened = ParquetRecordBatchStreamBuilder::new_with_options(source, options).await;
        let mut builder = opened.map_err(|error| failed(path, error))?;
        let footer = Footer::of(builder.metadata());
        // The footer's own keys come back as metadata of the schema; a table's schema has none.
        let schema = Arc::new(builder.schema().as_ref().clone().with_metadata(HashMap::new()));
        if let Some(names) = part.columns {
            let projection = ProjectionMask::columns(builder.parquet_schema(), names.iter().copied());
            builder = builder.with_projection(projection);
        }
        if part.first_row > 0 {
            let all = usize::try_from(footer.rows).unwrap_or(usize::MAX);
            let first = usize::try_from(part.first_row).unwrap_or(usize::MAX).min(all);
            builder = builder.with_row_selection(RowSelection::from_consecutive_ranges(once(first..all), all));
        }
        let rows = builder.with_batch_size(part.batch_rows.max(1)).build()?;
        Ok(Reader { path: path.to_owned(), footer, schema, rows })
    }

    /// What the file says of itself.
    pub fn footer(&self) -> &Footer {
        &self.footer
    }

    /// The columns of the whole file, with their field ids, whatever is read of them.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The next rows; none at the end.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, Error> {
        self.rows.try_next().await.map_err(|error| failed(&self.path, error))
    }
}

/// Ranges of one object, as the decoder asks for them.
struct Source {
    store: Arc<dyn ObjectStore>,
    location: Path,
    bytes: u64,
}

fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

/// What the store said is told as that: it says nothing of the file.
fn failed(path: &str, error: ParquetError) -> Error {
    match error {
        ParquetError::External(source) => match source.downcast::<object_store::Error>() {
            Ok(source) => Error::Store { path: path.to_owned(), source: Arc::new(*source) },
            Err(source) => ParquetError::External(source).into(),
        },
        error => error.into(),
    }
}

impl AsyncFileReader for Source {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        self.store.get_range(&self.location, range).map_err(external).boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        async move { self.store.get_ranges(&self.location, &ranges).await.map_err(external) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        async move {
            let bytes = self.bytes;
            let reader = ParquetMetaDataReader::new().with_arrow_reader_options(options);
            Ok(Arc::new(reader.load_and_finish(self, bytes).await?))
        }
        .boxed()
    }
}
