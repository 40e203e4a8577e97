//! Each type in both formats, against what PostgreSQL sends for the same value.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Float64Array,
    Int16Array, Int32Array, Int64Array, ListArray, NullArray, StringArray, StringViewArray, Time64MicrosecondArray,
    TimestampMicrosecondArray, UInt64Array,
};
use datafusion::arrow::datatypes::{Int32Type, Schema};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;

use super::*;

fn stream(columns: Vec<(&str, ArrayRef)>) -> SendableRecordBatchStream {
    let fields = columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).expect("columns of one length");
    Box::pin(RecordBatchStreamAdapter::new(schema, stream::iter([Ok(batch)])))
}

/// The cells of every row, as sent.
async fn sent(columns: Vec<(&str, ArrayRef)>, format: Format) -> Vec<Vec<Option<Vec<u8>>>> {
    let mut rows = Rows::new(stream(columns), &format, &Handle::current()).expect("known types");
    let mut all = Vec::new();
    while let Some(row) = rows.next().await.expect("values that can be sent") {
        let mut data: &[u8] = &row.data;
        let mut cells = Vec::new();
        while let Some((length, rest)) = data.split_first_chunk::<4>() {
            let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
                cells.push(None);
                data = rest;
                continue;
            };
            let (cell, rest) = rest.split_at(length);
            cells.push(Some(cell.to_vec()));
            data = rest;
        }
        assert_eq!(cells.len(), usize::try_from(row.field_count).expect("a count"));
        all.push(cells);
    }
    all
}

async fn text(array: ArrayRef) -> String {
    let mut rows = sent(vec![("c", array)], Format::UnifiedText).await;
    let cell = rows.remove(0).remove(0).expect("no null");
    String::from_utf8(cell).expect("text")
}

async fn binary(array: ArrayRef) -> Vec<u8> {
    let mut rows = sent(vec![("c", array)], Format::UnifiedBinary).await;
    rows.remove(0).remove(0).expect("no null")
}

fn utc(micros: i64) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(vec![micros]).with_timezone("+00:00"))
}

fn decimal(unscaled: i128, precision: u8, scale: i8) -> ArrayRef {
    let array = Decimal128Array::from(vec![unscaled]).with_precision_and_scale(precision, scale);
    Arc::new(array.expect("a decimal"))
}

/// 2018-05-02 19:38:15.25 UTC.
const MOMENT: i64 = 1_525_289_895_250_000;

#[tokio::test]
async fn texts_are_what_psql_shows() {
    assert_eq!(text(Arc::new(BooleanArray::from(vec![true]))).await, "t");
    assert_eq!(text(Arc::new(Int16Array::from(vec![-7]))).await, "-7");
    assert_eq!(text(Arc::new(Int32Array::from(vec![7]))).await, "7");
    assert_eq!(text(Arc::new(Int64Array::from(vec![i64::MIN]))).await, "-9223372036854775808");
    assert_eq!(text(Arc::new(UInt64Array::from(vec![u64::MAX]))).await, "18446744073709551615");
    assert_eq!(text(Arc::new(Float32Array::from(vec![1.5]))).await, "1.5");
    assert_eq!(text(Arc::new(Float64Array::from(vec![0.1]))).await, "0.1");
    assert_eq!(text(Arc::new(Float64Array::from(vec![f64::NAN]))).await, "NaN");
    assert_eq!(text(Arc::new(Float64Array::from(vec![f64::NEG_INFINITY]))).await, "-Infinity");
    assert_eq!(text(Arc::new(StringArray::from(vec!["naïve 🌊"]))).await, "naïve 🌊");
    assert_eq!(text(Arc::new(StringViewArray::from(vec!["a view"]))).await, "a view");
    assert_eq!(text(Arc::new(BinaryArray::from(vec![&b"\x00\xff"[..]]))).await, "\\x00ff");
    assert_eq!(text(Arc::new(Date32Array::from(vec![17_653]))).await, "2018-05-02");
    assert_eq!(text(Arc::new(Time64MicrosecondArray::from(vec![70_695_250_000]))).await, "19:38:15.25");
    assert_eq!(text(Arc::new(TimestampMicrosecondArray::from(vec![MOMENT]))).await, "2018-05-02 19:38:15.25");
    assert_eq!(text(utc(MOMENT)).await, "2018-05-02 19:38:15.25+00");
    assert_eq!(text(decimal(-12_345, 10, 2)).await, "-123.45");
    let all_38_digits = 99_999_999_999_999_999_999_999_999_999_999_999_999;
    assert_eq!(text(decimal(all_38_digits, 38, 10)).await, "9999999999999999999999999999.9999999999");
}

#[tokio::test]
async fn binaries_are_what_the_send_functions_give() {
    assert_eq!(binary(Arc::new(BooleanArray::from(vec![true]))).await, [1]);
    assert_eq!(binary(Arc::new(Int16Array::from(vec![-7]))).await, (-7_i16).to_be_bytes());
    assert_eq!(binary(Arc::new(Int32Array::from(vec![7]))).await, 7_i32.to_be_bytes());
    assert_eq!(binary(Arc::new(Int64Array::from(vec![7]))).await, 7_i64.to_be_bytes());
    assert_eq!(binary(Arc::new(Float64Array::from(vec![0.1]))).await, 0.1_f64.to_be_bytes());
    assert_eq!(binary(Arc::new(StringArray::from(vec!["naïve"]))).await, "naïve".as_bytes());
    assert_eq!(binary(Arc::new(BinaryArray::from(vec![&b"\x00\xff"[..]]))).await, b"\x00\xff");
    assert_eq!(binary(Arc::new(Date32Array::from(vec![10_957]))).await, [0; 4]);
    assert_eq!(binary(Arc::new(Time64MicrosecondArray::from(vec![1]))).await, 1_i64.to_be_bytes());
    let since_2000 = MOMENT - 946_684_800_000_000;
    assert_eq!(binary(Arc::new(TimestampMicrosecondArray::from(vec![MOMENT]))).await, since_2000.to_be_bytes());
    assert_eq!(binary(utc(MOMENT)).await, since_2000.to_be_bytes());
    assert_eq!(binary(decimal(12_345, 10, 2)).await, [0, 2, 0, 0, 0, 0, 0, 2, 0, 123, 0x11, 0x94]);
    assert_eq!(binary(Arc::new(UInt64Array::from(vec![10_000]))).await, [0, 1, 0, 1, 0, 0, 0, 0, 0, 1]);
}

#[tokio::test]
async fn nulls_are_nulls_in_every_type_and_format() {
    let dictionary: DictionaryArray<Int32Type> = [Some("a"), None].into_iter().collect();
    let columns = || -> Vec<(&str, ArrayRef)> {
        vec![
            ("nothing", Arc::new(NullArray::new(2))),
            ("number", Arc::new(Int32Array::from(vec![Some(1), None]))),
            ("text", Arc::new(StringArray::from(vec![Some("a"), None]))),
            ("day", Arc::new(Date32Array::from(vec![Some(1), None]))),
            ("moment", Arc::new(TimestampMicrosecondArray::from(vec![Some(1), None]))),
            ("amount", Arc::new(Decimal128Array::from(vec![Some(1), None]))),
            ("word", Arc::new(dictionary.clone())),
            ("list", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)]), None]))),
        ]
    };
    for format in [Format::UnifiedText, Format::UnifiedBinary] {
        let rows = sent(columns(), format).await;
        assert!(rows[0][0].is_none());
        assert!(rows[0][1..].iter().all(Option::is_some), "{:?}", rows[0]);
        assert!(rows[1].iter().all(Option::is_none), "{:?}", rows[1]);
    }
}

#[tokio::test]
async fn formats_may_differ_by_column() {
    let columns: Vec<(&str, ArrayRef)> =
        vec![("a", Arc::new(Int32Array::from(vec![7]))), ("b", Arc::new(Int32Array::from(vec![7])))];
    let rows = sent(columns, Format::Individual(vec![0, 1])).await;
    assert_eq!(rows, [[Some(b"7".to_vec()), Some(vec![0, 0, 0, 7])]]);
}

#[test]
fn columns_are_described_with_type_size_and_modifier() {
    let schema = Schema::new(vec![
        Field::new("id", DataType::Int32, false),
        Field::new("amount", DataType::Decimal128(18, 4), true),
        Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())), true),
    ]);
    let fields = fields(&schema, &Format::UnifiedText).expect("known types");
    let told: Vec<_> =
        fields.iter().map(|field| (field.datatype().oid(), field.type_size(), field.type_modifier())).collect();
    assert_eq!(told, [(23, 4, -1), (1700, -1, ((18 << 16) | 4) + 4), (1184, 8, -1)]);
}

#[test]
fn a_type_without_counterpart_is_refused_by_name() {
    let map = Field::new_map(
        "m",
        "entries",
        Field::new("k", DataType::Utf8, false),
        Field::new("v", DataType::Utf8, true),
        false,
        true,
    );
    let problem = fields(&Schema::new(vec![map]), &Format::UnifiedText).expect_err("refused");
    assert_eq!(problem.sqlstate, "0A000");
    assert!(problem.message.contains("\"m\""), "{}", problem.message);
}
