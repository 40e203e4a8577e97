use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int16Array,
        Int32Array, Int64Array, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
    },
    compute::concat_batches,
    datatypes::{DataType::*, Field, Schema, SchemaRef, TimeUnit::Microsecond},
};
use parquet::{
    arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder},
    basic::{Compression, Encoding},
    file::metadata::{PageIndexPolicy, ParquetMetaData},
};
use proptest::prelude::*;

use super::*;
use crate::Scalar;

fn field(name: &str, data_type: DataType, nullable: bool, id: u32) -> Field {
    Field::new(name, data_type, nullable)
        .with_metadata(HashMap::from([("PARQUET:field_id".to_owned(), id.to_string())]))
}

/// These columns, and the hidden ones of a USER table.
fn with_hidden(from_seq: i64, columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let rows = columns.first().map_or(0, |(_, array)| array.len());
    let utc = || Timestamp(Microsecond, Some("+00:00".into()));
    let mut fields: Vec<Field> =
        (1..).zip(&columns).map(|(id, (name, array))| field(name, array.data_type().clone(), true, id)).collect();
    fields.push(field("_user_id", Utf8, false, 2_147_483_001));
    fields.push(field("_seq", Int64, false, 2_147_483_002));
    fields.push(field("_committed_at", utc(), false, 2_147_483_003));
    let mut arrays: Vec<ArrayRef> = columns.into_iter().map(|(_, array)| array).collect();
    let seqs = from_seq..from_seq + rows as i64;
    arrays.push(Arc::new(StringArray::from_iter_values((0..rows).map(|_| "ann"))));
    arrays.push(Arc::new(Int64Array::from_iter_values(seqs.clone())));
    let times = TimestampMicrosecondArray::from_iter_values(seqs.map(|seq| 1_700_000_000_000_000 + seq / 10));
    arrays.push(Arc::new(times.with_timezone("+00:00")));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn layout(schema: SchemaRef, options: Options) -> Arc<Layout> {
    Layout::new(schema, "chat.messages", 3, options).unwrap()
}

/// Writes the batches as one segment, taking its bytes as they come.
fn write(batches: &[RecordBatch], options: Options) -> (Bytes, Finished) {
    let layout = layout(batches[0].schema(), options);
    let mut writer = Writer::new(&layout);
    let mut file = Vec::new();
    for batch in batches {
        writer.push(batch).unwrap();
        assert!(writer.memory_bytes() <= layout.memory_bytes_max(), "{} bytes held", writer.memory_bytes());
        file.extend(writer.take().unwrap_or_default());
    }
    let finished = writer.finish(Some("ann"), "job-1").unwrap();
    file.extend_from_slice(&finished.rest);
    assert_eq!(file.len() as u64, finished.bytes);
    (file.into(), finished)
}

fn read(file: &Bytes) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap();
    // The footer's own keys come back as metadata of the schema.
    let schema = Arc::new(Schema::new(reader.schema().fields().clone()));
    let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
    let whole = concat_batches(&batches[0].schema(), &batches).unwrap();
    whole.with_schema(schema).unwrap()
}

fn metadata(file: &Bytes) -> Arc<ParquetMetaData> {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    Arc::clone(ArrowReaderMetadata::load(file, options).unwrap().metadata())
}

fn stats<'a>(finished: &'a Finished, name: &str) -> &'a ColumnStats {
    finished.columns.iter().find(|column| column.name == name).unwrap()
}

/// A column of every type, with a null in the middle.
fn every_type() -> RecordBatch {
    let time = vec![Some(1), None, Some(86_399_999_999)];
    with_hidden(
        40,
        vec![
            ("boolean", Arc::new(BooleanArray::from(vec![Some(true), None, Some(true)])) as ArrayRef),
            ("smallint", Arc::new(Int16Array::from(vec![Some(i16::MIN), None, Some(5)]))),
            ("int", Arc::new(Int32Array::from(vec![Some(-7), None, Some(i32::MAX)]))),
            ("bigint", Arc::new(Int64Array::from(vec![Some(i64::MAX), None, Some(i64::MIN)]))),
            ("real", Arc::new(Float32Array::from(vec![Some(1.5), None, Some(-2.25)]))),
            ("double", Arc::new(Float64Array::from(vec![Some(1e300), None, Some(-0.0)]))),
            ("small_decimal", decimal(vec![Some(-105), None, Some(99_999)], 5, 2)),
            ("decimal", decimal(vec![Some(-105), None, Some(10i128.pow(17))], 18, 2)),
            ("large_decimal", decimal(vec![Some(1 - 10i128.pow(38)), None, Some(10i128.pow(38) - 1)], 38, 4)),
            ("text", Arc::new(StringArray::from(vec![Some("élan"), None, Some("ann")]))),
            ("bytea", Arc::new(BinaryArray::from_opt_vec(vec![Some(b"\xff\0"), None, Some(b"")]))),
            ("date", Arc::new(Date32Array::from(vec![Some(-1), None, Some(20_000)]))),
            ("time", Arc::new(Time64MicrosecondArray::from(time.clone()))),
            ("timestamp", Arc::new(TimestampMicrosecondArray::from(time.clone()))),
            ("timestamptz", Arc::new(TimestampMicrosecondArray::from(time).with_timezone("+00:00"))),
        ],
    )
}

fn decimal(values: Vec<Option<i128>>, precision: u8, scale: i8) -> ArrayRef {
    Arc::new(Decimal128Array::from(values).with_precision_and_scale(precision, scale).unwrap())
}

#[test]
fn every_type_reads_back_with_its_bounds() {
    let batch = every_type();
    let (file, finished) = write(std::slice::from_ref(&batch), Options::default());
    assert_eq!(read(&file), batch);
    assert_eq!((finished.rows, finished.row_groups), (3, 1));
    assert_eq!((finished.from_seq, finished.to_seq), (40, 42));
    let bound = |scalar: Scalar| Some(scalar);
    for (name, min, max) in [
        ("boolean", bound(Scalar::Bool(true)), bound(Scalar::Bool(true))),
        ("smallint", bound(Scalar::Int(-32_768)), bound(Scalar::Int(5))),
        ("int", bound(Scalar::Int(-7)), bound(Scalar::Int(2_147_483_647))),
        ("bigint", bound(Scalar::Int(i64::MIN)), bound(Scalar::Int(i64::MAX))),
        ("real", bound(Scalar::Float(-2.25)), bound(Scalar::Float(1.5))),
        ("double", bound(Scalar::Float(-0.0)), bound(Scalar::Float(1e300))),
        ("small_decimal", bound(Scalar::Decimal(-105)), bound(Scalar::Decimal(99_999))),
        ("decimal", bound(Scalar::Decimal(-105)), bound(Scalar::Decimal(10i128.pow(17)))),
        ("large_decimal", bound(Scalar::Decimal(1 - 10i128.pow(38))), bound(Scalar::Decimal(10i128.pow(38) - 1))),
        ("text", bound(Scalar::Text("ann".into())), bound(Scalar::Text("élan".into()))),
        ("bytea", None, None),
        ("date", bound(Scalar::Int(-1)), bound(Scalar::Int(20_000))),
        ("time", bound(Scalar::Int(1)), bound(Scalar::Int(86_399_999_999))),
        ("timestamp", bound(Scalar::Int(1)), bound(Scalar::Int(86_399_999_999))),
        ("timestamptz", bound(Scalar::Int(1)), bound(Scalar::Int(86_399_999_999))),
    ] {
        let column = stats(&finished, name);
        assert_eq!((&column.min, &column.max, column.nulls), (&min, &max, Some(1)), "{name}");
    }
    let seq = stats(&finished, "_seq");
    assert_eq!((seq.id, &seq.min, seq.nulls), (2_147_483_002, &Some(Scalar::Int(40)), Some(0)));
}

#[test]
fn the_footer_says_what_the_file_is() {
    let (file, _) = write(&[every_type()], Options::default());
    let metadata = metadata(&file);
    let footer: HashMap<_, _> = metadata
        .file_metadata()
        .key_value_metadata()
        .unwrap()
        .iter()
        .map(|pair| (pair.key.as_str(), pair.value.as_deref().unwrap_or_default()))
        .collect();
    for (key, value) in [
        ("ebbtide.table", "chat.messages"),
        ("ebbtide.user", "ann"),
        ("ebbtide.schema_version", "3"),
        ("ebbtide.from_seq", "40"),
        ("ebbtide.to_seq", "42"),
        ("ebbtide.job_id", "job-1"),
    ] {
        assert_eq!(footer.get(key), Some(&value), "{key}");
    }
    let columns = metadata.file_metadata().schema_descr().columns();
    let ids: Vec<i32> = columns.iter().map(|column| column.self_type().get_basic_info().id()).collect();
    let hidden = [2_147_483_001, 2_147_483_002, 2_147_483_003];
    assert_eq!(ids, (1..=15).chain(hidden).collect::<Vec<i32>>(), "field ids");
    let sorting = metadata.row_group(0).sorting_columns().unwrap();
    assert_eq!((sorting.len(), sorting[0].column_idx), (1, 16), "sorted by _seq");
}

#[test]
fn small_and_large_files_have_page_indexes_and_zstd() {
    for rows in [10usize, 50_000] {
        let text = StringArray::from_iter_values((0..rows).map(|n| format!("message {}", n * 7919 % 50_021)));
        let (file, _) = write(&[with_hidden(1, vec![("text", Arc::new(text))])], Options::default());
        let metadata = metadata(&file);
        let pages = &metadata.offset_index().unwrap()[0][0].page_locations;
        assert_eq!(pages.len(), rows.div_ceil(20_000).max(1), "pages of {rows} rows");
        assert!(metadata.column_index().is_some());
        let group = metadata.row_group(0);
        assert!(matches!(group.column(0).compression(), Compression::ZSTD(_)));
        assert!(group.column(2).encodings().any(|encoding| encoding == Encoding::DELTA_BINARY_PACKED), "_seq");
        assert!(group.columns().iter().all(|column| column.statistics().is_some()));
    }
}

#[test]
fn row_groups_end_by_rows() {
    let options = Options { row_group_rows_max: 1_000, ..Options::default() };
    let batch =
        |from, rows| with_hidden(from, vec![("n", Arc::new(Int64Array::from_iter_values(0..rows)) as ArrayRef)]);
    let batches = [batch(1, 300), batch(301, 2_900), batch(3_201, 1)];
    let (file, finished) = write(&batches, options);
    let rows: Vec<i64> = metadata(&file).row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(rows, [1_000, 1_000, 1_000, 201]);
    assert_eq!((finished.rows, finished.row_groups), (3_201, 4));
    assert_eq!(read(&file), concat_batches(&batches[0].schema(), &batches).unwrap());
}

#[test]
fn row_groups_end_by_bytes_and_their_bytes_can_be_taken() {
    let options = Options { row_group_bytes_max: 256 << 10, ..Options::default() };
    let layout = layout(wide(0).schema(), options);
    let mut writer = Writer::new(&layout);
    let (mut taken, mut most) = (0, 0);
    for n in 0..40 {
        writer.push(&wide(n)).unwrap();
        most = most.max(writer.memory_bytes());
        let about = writer.bytes();
        taken += writer.take().map_or(0, |bytes| bytes.len());
        // What is ready is handed out, except for the few bytes that a buffer holds back.
        assert!(about as usize <= taken + (256 << 10) + 128 * 1_024 + 8_192, "{about} {taken}");
    }
    let finished = writer.finish(None, "job-1").unwrap();
    assert!(finished.row_groups >= 10, "{} row groups", finished.row_groups);
    assert!(most < 4 << 20, "{most} bytes held for a file of {}", finished.bytes);
    assert_eq!(taken + finished.rest.len(), finished.bytes as usize);
}

/// 128 KiB that do not compress.
fn wide(n: i64) -> RecordBatch {
    let mut seed = n as u64;
    let mut byte = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 56) as u8
    };
    let rows: Vec<Vec<u8>> = (0..128).map(|_| (0..1_024).map(|_| byte()).collect()).collect();
    with_hidden(n * 128, vec![("bytes", Arc::new(BinaryArray::from_iter_values(rows)) as ArrayRef)])
}

#[test]
fn bounds_reach_over_row_groups_and_are_left_out_when_one_is_unknown() {
    let options = || Options { row_group_rows_max: 2, ..Options::default() };
    let of = |values: Vec<Option<f64>>| {
        let batch = with_hidden(1, vec![("x", Arc::new(Float64Array::from(values)) as ArrayRef)]);
        let finished = write(&[batch], options()).1;
        let x = stats(&finished, "x").clone();
        (x.min, x.max, x.nulls)
    };
    let float = |value| Some(Scalar::Float(value));
    assert_eq!(of(vec![Some(1.0), Some(2.0), Some(-5.0), None]), (float(-5.0), float(2.0), Some(1)));
    assert_eq!(
        of(vec![None, None, Some(3.0), Some(3.0)]),
        (float(3.0), float(3.0), Some(2)),
        "a row group of nulls has no say"
    );
    assert_eq!(of(vec![None, None, None]), (None, None, Some(3)));
    assert_eq!(
        of(vec![Some(1.0), Some(f64::NAN), Some(2.0)]),
        (None, None, Some(0)),
        "NaN is greater than every bound"
    );
    assert_eq!(of(vec![Some(1.0), Some(f64::INFINITY)]), (None, None, Some(0)), "JSON has no infinity");
}

#[test]
fn long_texts_are_cut_in_bounds_and_stay_within_them() {
    let long = ["ü".repeat(100), "z".repeat(100), "\u{10ffff}".repeat(50)];
    let batch = with_hidden(1, vec![("t", Arc::new(StringArray::from_iter_values(&long)) as ArrayRef)]);
    let finished = write(&[batch], Options::default()).1;
    let t = stats(&finished, "t");
    let (Some(Scalar::Text(min)), Some(Scalar::Text(max))) = (&t.min, &t.max) else {
        panic!("{t:?}");
    };
    assert!(min.len() <= 32 && long.iter().all(|text| min <= text && text <= max), "{t:?}");
}

fn refusal(batches: &[RecordBatch]) -> String {
    let layout = layout(with_hidden(0, vec![("n", int(1))]).schema(), Options::default());
    let mut writer = Writer::new(&layout);
    let pushed = batches.iter().try_for_each(|batch| writer.push(batch));
    pushed.and_then(|()| writer.finish(None, "job-1").map(drop)).unwrap_err().to_string()
}

fn int(rows: i64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(0..rows))
}

#[test]
fn rows_out_of_order_of_another_type_or_none_at_all_are_refused() {
    let n = |from, rows| with_hidden(from, vec![("n", int(rows))]);
    assert!(refusal(&[]).contains("it would have no rows"));
    assert!(refusal(&[n(1, 0)]).contains("it would have no rows"));
    assert!(refusal(&[n(5, 3), n(7, 3)]).contains("each after 7, and came from 7 to 9"));
    assert!(refusal(&[n(-1, 2)]).contains("in the order of their seqs"));
    let swapped = n(1, 2);
    let swapped = arrow::compute::take_record_batch(&swapped, &arrow::array::UInt32Array::from(vec![1, 0])).unwrap();
    assert!(refusal(&[swapped]).contains("in the order of their seqs"));
    let other = with_hidden(1, vec![("n", Arc::new(Int32Array::from(vec![1])) as ArrayRef)]);
    assert!(refusal(&[other]).contains("and rows came with"));
}

#[test]
fn a_schema_without_ids_or_seq_has_no_layout() {
    let of = |fields: Vec<Field>| {
        let schema = Arc::new(Schema::new(fields));
        Layout::new(schema, "a.b", 1, Options::default()).unwrap_err().to_string()
    };
    assert!(of(vec![Field::new("n", Int64, true)]).contains("\"n\" has no field id"));
    assert!(of(vec![field("n", Int64, true, 1)]).contains("no column _seq"));
    assert!(of(vec![field("_seq", Utf8, false, 1)]).contains("no column _seq"));
}

fn columns() -> impl Strategy<Value = Vec<(&'static str, ArrayRef)>> {
    fn optional<T: std::fmt::Debug>(values: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
        prop::option::weighted(0.8, values)
    }
    (1usize..200).prop_flat_map(|rows| {
        let many = |len| prop::collection::SizeRange::from(len);
        (
            prop::collection::vec(optional(any::<i64>()), many(rows)),
            prop::collection::vec(optional(prop::num::f64::ANY), many(rows)),
            prop::collection::vec(optional(".{0,40}"), many(rows)),
            prop::collection::vec(optional(-99_999i128..99_999), many(rows)),
            prop::collection::vec(optional(any::<bool>()), many(rows)),
        )
            .prop_map(|(ints, floats, texts, decimals, booleans)| {
                vec![
                    ("i", Arc::new(Int64Array::from(ints)) as ArrayRef),
                    ("f", Arc::new(Float64Array::from(floats))),
                    ("t", Arc::new(StringArray::from(texts))),
                    ("d", decimal(decimals, 5, 2)),
                    ("b", Arc::new(BooleanArray::from(booleans))),
                ]
            })
    })
}

/// Whether every value of the column lies within its bounds. Unknown bounds hold everything.
fn within(array: &ArrayRef, column: &ColumnStats) -> bool {
    let at_least = |value: &Scalar| column.min.as_ref().is_none_or(|min| !greater(min, value));
    let at_most = |value: &Scalar| column.max.as_ref().is_none_or(|max| !greater(value, max));
    (0..array.len()).filter(|row| array.is_valid(*row)).all(|row| {
        let value = match array.data_type() {
            Int64 => Scalar::Int(array.as_primitive::<Int64Type>().value(row)),
            Float64 => Scalar::Float(array.as_primitive::<Float64Type>().value(row)),
            Utf8 => Scalar::Text(array.as_string::<i32>().value(row).to_owned()),
            Boolean => Scalar::Bool(array.as_boolean().value(row)),
            _ => Scalar::Decimal(array.as_primitive::<arrow::datatypes::Decimal128Type>().value(row)),
        };
        at_least(&value) && at_most(&value)
    })
}

/// As SQL orders them: NaN above all.
fn greater(a: &Scalar, b: &Scalar) -> bool {
    match (a, b) {
        (Scalar::Float(a), Scalar::Float(b)) => a > b || a.is_nan() && !b.is_nan(),
        (Scalar::Int(a), Scalar::Int(b)) => a > b,
        (Scalar::Text(a), Scalar::Text(b)) => a > b,
        (Scalar::Bool(a), Scalar::Bool(b)) => a > b,
        (Scalar::Decimal(a), Scalar::Decimal(b)) => a > b,
        _ => panic!("two bounds of one column are of two kinds: {a:?} {b:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn any_rows_read_back_within_their_bounds(columns in columns(), group_rows in 1usize..300, large: bool) {
        let arrays: Vec<ArrayRef> = columns.iter().map(|(_, array)| Arc::clone(array)).collect();
        let batch = with_hidden(FROM, columns);
        let options = Options { row_group_rows_max: group_rows, ..Options::default() };
        let batches = if large { grown(&batch) } else { vec![batch.clone()] };
        let (file, finished) = write(&batches, options);
        let all = read(&file);
        prop_assert_eq!(all.slice(all.num_rows() - batch.num_rows(), batch.num_rows()), batch);
        prop_assert_eq!(finished.rows, all.num_rows() as u64);
        for (array, column) in arrays.iter().zip(&finished.columns) {
            prop_assert!(within(array, column), "{column:?}");
            if !large {
                prop_assert_eq!(column.nulls, Some(array.null_count() as u64));
            }
        }
    }
}

const FROM: i64 = 1_000_000;

/// The batch behind enough others that the file is packed as a large one.
fn grown(batch: &RecordBatch) -> Vec<RecordBatch> {
    let times = 4_096usize.div_ceil(batch.num_rows());
    let many = concat_batches(&batch.schema(), std::iter::repeat_n(batch, times)).unwrap();
    let renumbered = |batch: &RecordBatch, from: i64| {
        let columns = batch
            .schema()
            .fields()
            .iter()
            .map(|f| f.name().clone())
            .zip(batch.columns().iter().cloned())
            .collect::<Vec<_>>();
        let own = columns.iter().take(5).map(|(name, array)| (name.as_str(), Arc::clone(array))).collect();
        with_hidden(from, own)
    };
    vec![renumbered(&many, FROM - many.num_rows() as i64), batch.clone()]
}

#[tokio::test]
async fn a_segment_is_read_back_whole_and_in_part() {
    use crate::cold::{Objects, checksum, head, remote};
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..5_000));
    let batch = with_hidden(100, vec![("id", ids)]);
    let (file, finished) =
        write(std::slice::from_ref(&batch), Options { row_group_rows_max: 700, ..Options::default() });
    let store = Arc::new(object_store::memory::InMemory::new());
    let runtime = tokio::runtime::Handle::current();
    let objects = remote::Remote::new(store, "", "memory", runtime, remote::Options::default()).unwrap();
    let stored = objects.put_small("a/b.parquet", file.clone()).await.unwrap();

    assert_eq!(checksum(&*objects, "a/b.parquet").await.unwrap(), Some(stored));
    assert_eq!(head(&*objects, "a/b.parquet").await.unwrap().unwrap().bytes, finished.bytes);
    assert_eq!(checksum(&*objects, "a/c.parquet").await.unwrap(), None);
    assert_eq!(head(&*objects, "a/c.parquet").await.unwrap(), None);

    for first_row in [0, 1, 699, 700, 4_999, 5_000] {
        let part = Part { columns: None, first_row, batch_rows: 512 };
        let mut reader = Reader::open(&*objects, "a/b.parquet", finished.bytes, part).await.unwrap();
        assert_eq!(reader.footer().rows, 5_000);
        assert_eq!((reader.footer().from_seq, reader.footer().to_seq), (Some(100), Some(5_099)));
        assert_eq!(
            (reader.footer().user.as_deref(), reader.footer().table.as_deref()),
            (Some("ann"), Some("chat.messages"))
        );
        assert_eq!(reader.footer().schema_version, Some(3));
        assert_eq!(reader.schema(), &batch.schema(), "field ids and all");
        let mut batches = Vec::new();
        while let Some(read) = reader.next().await.unwrap() {
            assert!(read.num_rows() <= 512);
            batches.push(read);
        }
        let first = usize::try_from(first_row).unwrap();
        let read = concat_batches(&batch.schema(), batches.iter()).unwrap();
        assert_eq!(read, batch.slice(first, 5_000 - first), "from row {first_row}");
    }
    let part = Part { columns: Some(&["_seq"]), first_row: 0, batch_rows: 8192 };
    let mut reader = Reader::open(&*objects, "a/b.parquet", finished.bytes, part).await.unwrap();
    let read = reader.next().await.unwrap().unwrap();
    assert_eq!(read.num_columns(), 1);
    assert!(
        Reader::open(&*objects, "a/b.parquet", finished.bytes - 1, part).await.is_err(),
        "no footer where it should be"
    );
}
