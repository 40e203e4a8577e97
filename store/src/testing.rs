//! What the tests of this crate share: a real engine in a folder of its own, tables, rows.

use crate::catalog::{FlushPolicy, Kind, NewColumn, NewTable, Table};
use crate::{ColumnType, Name, SPACES, StorageId, Store, StoreOptions, TableId};
use arrow::array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, Time64MicrosecondType,
    TimestampMicrosecondType,
};
use arrow::array::{ArrayRef, BinaryArray, BooleanArray, PrimitiveArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::{Field, Schema};
use ebbtide_engine::{Defect, Env, Options, SharedEngine, rocks::Rocks};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// A clock that stands where it is put, and one planted defect if any.
#[derive(Debug, Default)]
pub(crate) struct TestEnv {
    pub(crate) now: AtomicI64,
    pub(crate) planted: Option<Defect>,
    random: AtomicU64,
}

impl TestEnv {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { now: AtomicI64::new(1_795_341_600_000_000), ..Self::default() })
    }

    pub(crate) fn with(defect: Defect) -> Arc<Self> {
        Arc::new(Self { now: AtomicI64::new(1_795_341_600_000_000), planted: Some(defect), ..Self::default() })
    }
}

impl Env for TestEnv {
    fn now(&self) -> i64 {
        self.now.load(Ordering::SeqCst)
    }
    fn id(&self) -> uuid::Uuid {
        uuid::Uuid::now_v7()
    }
    fn random(&self) -> u64 {
        self.random.fetch_add(1, Ordering::SeqCst)
    }
    fn planted(&self, defect: Defect) -> bool {
        self.planted == Some(defect)
    }
}

pub(crate) fn open_engine(dir: &Path, env: &Arc<TestEnv>) -> SharedEngine {
    Rocks::open(&dir.join("engine"), SPACES, &Options::default(), env.clone()).unwrap()
}

pub(crate) async fn open_store(dir: &Path, env: &Arc<TestEnv>) -> Arc<Store> {
    let engine = open_engine(dir, env);
    Store::open(engine, env.clone(), StoreOptions::at(dir.join("storage"))).await.unwrap()
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A table to be made in namespace `chat`, with a threshold nobody reaches.
pub(crate) fn new_table(table: &str, kind: Kind, columns: &[(&str, ColumnType, bool)]) -> NewTable {
    let columns = columns.iter().map(|(column, column_type, nullable)| NewColumn {
        name: name(column),
        column_type: *column_type,
        nullable: *nullable,
    });
    NewTable {
        namespace: name("chat"),
        name: name(table),
        kind,
        columns: columns.collect(),
        storage: StorageId::local(),
        use_user_storage: false,
        sharding: "none".to_owned(),
        flush: FlushPolicy { rows: Some(u64::MAX), ..FlushPolicy::default() },
    }
}

/// A table that no catalog knows.
pub(crate) fn table(kind: Kind, columns: &[(&str, ColumnType, bool)]) -> Table {
    new_table("t", kind, columns).made(TableId(7), 0).unwrap()
}

/// A value of any type, as the test writes it down.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Null,
    Bool(bool),
    Int(i128),
    /// Bits, so that NaNs compare.
    Float(u64),
    Bytes(Vec<u8>),
}

/// A batch of the table's own columns from rows of cells.
pub(crate) fn batch(table: &Table, rows: &[Vec<Cell>]) -> RecordBatch {
    let arrays: Vec<ArrayRef> = table
        .columns
        .iter()
        .enumerate()
        .map(|(i, column)| array(column.column_type, rows.iter().map(|row| &row[i])))
        .collect();
    let fields = table.columns.iter().map(|column| Field::new(column.name.as_str(), column.column_type.arrow(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(schema, arrays, &options).unwrap()
}

fn array<'a>(column_type: ColumnType, cells: impl Iterator<Item = &'a Cell>) -> ArrayRef {
    let cells: Vec<&Cell> = cells.collect();
    let int = |cell: &&Cell| match cell {
        Cell::Int(value) => Some(*value),
        _ => None,
    };
    let bytes = |cell: &&'a Cell| match cell {
        Cell::Bytes(value) => Some(value.as_slice()),
        _ => None,
    };
    let ints = || cells.iter().map(int);
    let long = || ints().map(|v| v.map(|v| v as i64));
    match column_type {
        ColumnType::Boolean => Arc::new(
            cells
                .iter()
                .map(|cell| match cell {
                    Cell::Bool(value) => Some(*value),
                    _ => None,
                })
                .collect::<BooleanArray>(),
        ),
        ColumnType::SmallInt => Arc::new(ints().map(|v| v.map(|v| v as i16)).collect::<PrimitiveArray<Int16Type>>()),
        ColumnType::Int => Arc::new(ints().map(|v| v.map(|v| v as i32)).collect::<PrimitiveArray<Int32Type>>()),
        ColumnType::Date => Arc::new(ints().map(|v| v.map(|v| v as i32)).collect::<PrimitiveArray<Date32Type>>()),
        ColumnType::BigInt => Arc::new(long().collect::<PrimitiveArray<Int64Type>>()),
        ColumnType::Time => Arc::new(long().collect::<PrimitiveArray<Time64MicrosecondType>>()),
        ColumnType::Timestamp => Arc::new(long().collect::<PrimitiveArray<TimestampMicrosecondType>>()),
        ColumnType::TimestampTz => {
            Arc::new(long().collect::<PrimitiveArray<TimestampMicrosecondType>>().with_timezone(crate::schema::UTC))
        }
        ColumnType::Decimal { .. } => {
            Arc::new(ints().collect::<PrimitiveArray<Decimal128Type>>().with_data_type(column_type.arrow()))
        }
        ColumnType::Real => Arc::new(
            cells
                .iter()
                .map(|cell| match cell {
                    Cell::Float(bits) => Some(f32::from_bits(*bits as u32)),
                    _ => None,
                })
                .collect::<PrimitiveArray<Float32Type>>(),
        ),
        ColumnType::Double => Arc::new(
            cells
                .iter()
                .map(|cell| match cell {
                    Cell::Float(bits) => Some(f64::from_bits(*bits)),
                    _ => None,
                })
                .collect::<PrimitiveArray<Float64Type>>(),
        ),
        ColumnType::Text | ColumnType::Json => Arc::new(
            cells.iter().map(|cell| bytes(cell).map(|b| std::str::from_utf8(b).unwrap())).collect::<StringArray>(),
        ),
        ColumnType::Bytea => Arc::new(cells.iter().map(bytes).collect::<BinaryArray>()),
    }
}
