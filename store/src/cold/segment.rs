//! Segments: one user's rows as Parquet, row group by row group.
//!
//! A [`Layout`] is worked out once per flush, a [`Writer`] is made for each file. Whoever pushes rows takes the bytes that are ready after
//! each push, so that a file of any size needs the memory of one row group.
//!
//! ```
//! # use std::{collections::HashMap, sync::Arc};
//! # use arrow::{array::{Int64Array, RecordBatch}, datatypes::{DataType, Field, Schema}};
//! use ebbtide_store::cold::segment::{Layout, Options, Writer};
//!
//! # let field = Field::new("_seq", DataType::Int64, false).with_metadata(HashMap::from([("PARQUET:field_id".to_owned(), "1".to_owned())]));
//! # let schema = Arc::new(Schema::new(vec![field]));
//! # let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(Int64Array::from(vec![7, 9]))])?;
//! let layout = Layout::new(schema, "chat.messages", 1, Options::default())?;
//! let mut file: Vec<u8> = Vec::new();
//! let mut writer = Writer::new(&layout);
//! writer.push(&batch)?;
//! file.extend(writer.take().unwrap_or_default());
//! let segment = writer.finish(Some("ann"), "job-1")?;
//! file.extend(segment.rest);
//! assert_eq!((segment.rows, segment.from_seq, segment.to_seq), (2, 7, 9));
//! assert_eq!(segment.bytes, file.len() as u64);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::{
    io::{self, Write},
    sync::Arc,
};

use arrow::{
    array::{Array, AsArray, Int64Array, RecordBatch},
    datatypes::{DataType, Float32Type, Float64Type, Int64Type},
};
use bytes::Bytes;
use parquet::{
    arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves},
    file::{
        metadata::{KeyValue, ParquetMetaData},
        writer::SerializedFileWriter,
    },
};

use super::Error;
use crate::ColumnStats;

mod layout;
mod reader;
mod stats;
#[cfg(test)]
mod tests;

use layout::Shape;
pub use layout::{Layout, Options};
pub use reader::{Footer, Part, Reader};

/// Keys of the footer, by which a file says what it is without the manifest.
pub mod footer {
    /// The table's qualified name.
    pub const TABLE: &str = "ebbtide.table";
    /// The user's id, as it is; absent for a SHARED table.
    pub const USER: &str = "ebbtide.user";
    /// The schema version whose columns the file has.
    pub const SCHEMA_VERSION: &str = "ebbtide.schema_version";
    /// The first row's seq.
    pub const FROM_SEQ: &str = "ebbtide.from_seq";
    /// The last row's seq.
    pub const TO_SEQ: &str = "ebbtide.to_seq";
    /// The job that wrote it.
    pub const JOB_ID: &str = "ebbtide.job_id";
}

/// Encodes one segment.
pub struct Writer {
    layout: Arc<Layout>,
    /// From the first rows on.
    file: Option<File>,
    rows: u64,
    seqs: Option<(i64, i64)>,
    has_nan: Vec<bool>,
}

struct File {
    out: SerializedFileWriter<Drain>,
    factory: ArrowRowGroupWriterFactory,
    group: Option<Group>,
}

/// The row group that is being filled.
struct Group {
    columns: Vec<ArrowColumnWriter>,
    rows: usize,
}

/// A segment whose last bytes are ready.
#[derive(Debug)]
pub struct Finished {
    /// What was not taken before; the footer is at its end.
    pub rest: Bytes,
    /// The size of the whole file.
    pub bytes: u64,
    /// Rows in it.
    pub rows: u64,
    /// Row groups they are in.
    pub row_groups: usize,
    /// The first row's seq.
    pub from_seq: u64,
    /// The last row's seq.
    pub to_seq: u64,
    /// What the manifest keeps of each column, in the order of the schema.
    pub columns: Vec<ColumnStats>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("rows", &self.rows).field("seqs", &self.seqs).finish_non_exhaustive()
    }
}

impl Writer {
    /// Begins a segment.
    pub fn new(layout: &Arc<Layout>) -> Writer {
        Writer {
            has_nan: vec![false; layout.columns.len()],
            layout: Arc::clone(layout),
            file: None,
            rows: 0,
            seqs: None,
        }
    }

    /// Adds rows, in seq order within and between batches.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.check_types(batch)?;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.check_order(batch.column(self.layout.seq).as_primitive::<Int64Type>())?;
        for (column, has_nan) in batch.columns().iter().zip(&mut self.has_nan) {
            *has_nan = *has_nan || contains_nan(column);
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::new(&self.layout, Shape::of(batch.num_rows()))?),
        };
        file.push(&self.layout, batch)?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// The bytes that are ready, if any: those of the row groups that ended since the last call.
    pub fn take(&mut self) -> Option<Bytes> {
        let ready = self.file.as_mut()?.out.inner_mut().take();
        (!ready.is_empty()).then_some(ready)
    }

    /// Rows pushed so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// About how large the file would be if it ended here, without its footer.
    pub fn bytes(&self) -> u64 {
        self.file.as_ref().map_or(0, |file| {
            let group = file.group.as_ref().map_or(0, Group::encoded_bytes);
            (file.out.bytes_written() + group) as u64
        })
    }

    /// What the writer holds now. [`Layout::memory_bytes_max`] is what it can come to.
    pub fn memory_bytes(&self) -> usize {
        self.file.as_ref().map_or(0, |file| {
            let group = file.group.as_ref().map_or(0, Group::memory_bytes);
            group + file.out.inner().bytes.capacity()
        })
    }

    /// Ends the file, and holds what it says of itself against what was pushed.
    pub fn finish(mut self, user: Option<&str>, job_id: &str) -> Result<Finished, Error> {
        let (Some(mut file), Some((from_seq, to_seq))) = (self.file.take(), self.seqs) else {
            return Err(Error::Contradiction("it would have no rows".to_owned()));
        };
        file.end_group()?;
        let mut say = |key: &str, value: String| {
            file.out.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        };
        if let Some(user) = user {
            say(footer::USER, user.to_owned());
        }
        say(footer::FROM_SEQ, from_seq.to_string());
        say(footer::TO_SEQ, to_seq.to_string());
        say(footer::JOB_ID, job_id.to_owned());
        let metadata = file.out.finish()?;
        self.check_footer(&metadata, from_seq, to_seq)?;
        Ok(Finished {
            rest: file.out.inner_mut().take(),
            bytes: file.out.bytes_written() as u64,
            rows: self.rows,
            row_groups: metadata.num_row_groups(),
            from_seq: from_seq.unsigned_abs(),
            to_seq: to_seq.unsigned_abs(),
            columns: self.columns(&metadata),
        })
    }

    fn columns(&self, metadata: &ParquetMetaData) -> Vec<ColumnStats> {
        let columns = self.layout.columns.iter().zip(&self.has_nan).enumerate();
        columns
            .map(|(index, (column, has_nan))| stats::of_column(index, column, *has_nan, metadata.row_groups()))
            .collect()
    }

    /// Rows and seqs were counted when they were written. Here they are counted again, from what the file says.
    fn check_footer(&self, metadata: &ParquetMetaData, from_seq: i64, to_seq: i64) -> Result<(), Error> {
        let groups: i64 = metadata.row_groups().iter().map(|group| group.num_rows()).sum();
        let (file, pushed) = (metadata.file_metadata().num_rows(), self.rows);
        if u64::try_from(groups) != Ok(pushed) || u64::try_from(file) != Ok(pushed) {
            return Err(Error::Contradiction(format!(
                "{pushed} rows were written, the footer counts {file} and its row groups {groups}"
            )));
        }
        let column = &self.layout.columns[self.layout.seq];
        let seqs = stats::of_column(self.layout.seq, column, false, metadata.row_groups());
        let written = (Some(crate::Scalar::Int(from_seq)), Some(crate::Scalar::Int(to_seq)));
        if (&seqs.min, &seqs.max) != (&written.0, &written.1) {
            return Err(Error::Contradiction(format!(
                "seqs {from_seq} to {to_seq} were written, the footer has {:?} to {:?}",
                seqs.min, seqs.max
            )));
        }
        Ok(())
    }

    fn check_types(&self, batch: &RecordBatch) -> Result<(), Error> {
        // Batches of one scan share their schema.
        if Arc::ptr_eq(batch.schema_ref(), &self.layout.schema) {
            return Ok(());
        }
        let types = |schema: &arrow::datatypes::Schema| -> Vec<DataType> {
            schema.fields().iter().map(|field| field.data_type().clone()).collect()
        };
        let (have, want) = (types(batch.schema_ref()), types(&self.layout.schema));
        if have != want {
            return Err(Error::Contradiction(format!("its columns are {want:?}, and rows came with {have:?}")));
        }
        Ok(())
    }

    fn check_order(&mut self, seqs: &Int64Array) -> Result<(), Error> {
        let values = seqs.values();
        let (first, last) = (values[0], values[values.len() - 1]);
        let after = self.seqs.map_or(-1, |(_, last)| last);
        if seqs.null_count() > 0 || first <= after || !values.is_sorted_by(|a, b| a < b) {
            return Err(Error::Contradiction(format!(
                "rows must come in the order of their seqs, each after {after}, and came from {first} to {last}"
            )));
        }
        self.seqs = Some((self.seqs.map_or(first, |(from, _)| from), last));
        Ok(())
    }
}

impl File {
    fn new(layout: &Layout, shape: Shape) -> Result<File, Error> {
        let out = SerializedFileWriter::new(Drain::default(), Arc::clone(&layout.parquet), layout.properties(shape))?;
        let factory = ArrowRowGroupWriterFactory::new(&out, Arc::clone(&layout.schema));
        Ok(File { out, factory, group: None })
    }

    fn push(&mut self, layout: &Layout, batch: &RecordBatch) -> Result<(), Error> {
        let mut offset = 0;
        while offset < batch.num_rows() {
            let filled = self.group.as_ref().map_or(0, |group| group.rows);
            let room = layout.options.row_group_rows_max.max(1) - filled;
            let rows = room.min(batch.num_rows() - offset);
            self.push_into_group(layout, &batch.slice(offset, rows))?;
            offset += rows;
        }
        Ok(())
    }

    fn push_into_group(&mut self, layout: &Layout, batch: &RecordBatch) -> Result<(), Error> {
        let group = match &mut self.group {
            Some(group) => group,
            none => none.insert(Group {
                columns: self.factory.create_column_writers(self.out.flushed_row_groups().len())?,
                rows: 0,
            }),
        };
        let fields = layout.schema.fields();
        for ((field, array), column) in fields.iter().zip(batch.columns()).zip(&mut group.columns) {
            // Columns are flat, so each has one leaf.
            for leaf in compute_leaves(field, array)? {
                column.write(&leaf)?;
            }
        }
        group.rows += batch.num_rows();
        let options = &layout.options;
        if group.rows >= options.row_group_rows_max || group.encoded_bytes() >= options.row_group_bytes_max {
            self.end_group()?;
        }
        Ok(())
    }

    fn end_group(&mut self) -> Result<(), Error> {
        let Some(group) = self.group.take() else {
            return Ok(());
        };
        let mut out = self.out.next_row_group()?;
        for column in group.columns {
            column.close()?.append_to_row_group(&mut out)?;
        }
        out.close()?;
        Ok(())
    }
}

impl Group {
    fn encoded_bytes(&self) -> usize {
        self.columns.iter().map(ArrowColumnWriter::get_estimated_total_bytes).sum()
    }

    fn memory_bytes(&self) -> usize {
        self.columns.iter().map(ArrowColumnWriter::memory_size).sum()
    }
}

fn contains_nan(array: &dyn Array) -> bool {
    // What is under a null does not matter, and a NaN there costs only a bound.
    match array.data_type() {
        DataType::Float32 => array.as_primitive::<Float32Type>().values().iter().any(|v| v.is_nan()),
        DataType::Float64 => array.as_primitive::<Float64Type>().values().iter().any(|v| v.is_nan()),
        _ => false,
    }
}

/// Where the encoder's bytes wait until somebody takes them.
#[derive(Debug, Default)]
struct Drain {
    bytes: Vec<u8>,
}

impl Drain {
    fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.bytes).into()
    }
}

impl Write for Drain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
