use super::{Decoder, Encoder, encode};
use crate::catalog::{Kind, NewColumn, Table};
use crate::testing::{Cell, batch, name, table};
use crate::{ColumnType, Error, UserId, arrow_schema};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use proptest::prelude::*;
use std::sync::Arc;

const BYTES_MAX: usize = 1 << 20;

/// Rows as the engine holds them.
fn stored(table: &Table, rows: &[Vec<Cell>]) -> Vec<Vec<u8>> {
    let packed = encode(table, &batch(table, rows), BYTES_MAX).unwrap();
    let committed = |row: &[u8]| [&5i64.to_le_bytes(), row].concat();
    packed.iter().map(committed).collect()
}

fn decode(table: &Table, stored: &[Vec<u8>], projection: Option<&[usize]>) -> Result<RecordBatch, Error> {
    let mut decoder = Decoder::new(Arc::new(table.clone()), projection)?;
    decoder.user(&UserId::new("ana").unwrap());
    for (seq, value) in (1..).zip(stored) {
        decoder.push(seq, value)?;
    }
    decoder.finish()
}

fn all_types() -> Vec<(&'static str, ColumnType, bool)> {
    vec![
        ("a", ColumnType::Boolean, true),
        ("b", ColumnType::SmallInt, true),
        ("c", ColumnType::Int, true),
        ("d", ColumnType::BigInt, true),
        ("e", ColumnType::Real, true),
        ("f", ColumnType::Double, true),
        ("g", ColumnType::Decimal { precision: 38, scale: 10 }, true),
        ("h", ColumnType::Text, true),
        ("i", ColumnType::Bytea, true),
        ("j", ColumnType::Date, true),
        ("k", ColumnType::Time, true),
        ("l", ColumnType::Timestamp, true),
        ("m", ColumnType::TimestampTz, true),
        ("n", ColumnType::Json, true),
    ]
}

fn cell(column_type: ColumnType) -> BoxedStrategy<Cell> {
    let int = |min: i128, max: i128| prop_oneof![Just(min), Just(max), Just(0), min..=max].prop_map(Cell::Int).boxed();
    let some = match column_type {
        ColumnType::Boolean => any::<bool>().prop_map(Cell::Bool).boxed(),
        ColumnType::SmallInt => int(i16::MIN.into(), i16::MAX.into()),
        ColumnType::Int | ColumnType::Date => int(i32::MIN.into(), i32::MAX.into()),
        ColumnType::BigInt | ColumnType::Timestamp | ColumnType::TimestampTz => int(i64::MIN.into(), i64::MAX.into()),
        ColumnType::Time => int(0, 86_399_999_999),
        ColumnType::Real => any::<u32>().prop_map(|bits| Cell::Float(bits.into())).boxed(),
        ColumnType::Double => any::<u64>().prop_map(Cell::Float).boxed(),
        ColumnType::Decimal { precision, .. } => {
            let max = 10i128.pow(precision.into()) - 1;
            int(-max, max)
        }
        ColumnType::Text => any::<String>().prop_map(|text| Cell::Bytes(text.into_bytes())).boxed(),
        ColumnType::Bytea => any::<Vec<u8>>().prop_map(Cell::Bytes).boxed(),
        ColumnType::Json => any::<String>()
            .prop_map(|text| Cell::Bytes(serde_json::to_vec(&serde_json::json!({ "text": text })).unwrap()))
            .boxed(),
    };
    prop_oneof![1 => Just(Cell::Null), 4 => some].boxed()
}

fn row() -> impl Strategy<Value = Vec<Cell>> {
    all_types().into_iter().map(|(_, column_type, _)| cell(column_type)).collect::<Vec<_>>()
}

/// Columns are equal, and NaNs with them: encoded bits are what must not change.
fn assert_same_columns(table: &Table, expected: &RecordBatch, found: &RecordBatch) {
    for (i, column) in table.columns.iter().enumerate() {
        assert_eq!(expected.column(i).to_data().nulls(), found.column(i).to_data().nulls(), "nulls of {}", column.name);
        let bits = |batch: &RecordBatch| -> Vec<String> {
            (0..batch.num_rows())
                .map(|row| match column.column_type {
                    ColumnType::Double => {
                        format!(
                            "{:?}",
                            batch.column(i).as_primitive::<arrow::datatypes::Float64Type>().value(row).to_bits()
                        )
                    }
                    ColumnType::Real => {
                        format!(
                            "{:?}",
                            batch.column(i).as_primitive::<arrow::datatypes::Float32Type>().value(row).to_bits()
                        )
                    }
                    _ => format!("{:?}", batch.column(i).slice(row, 1)),
                })
                .zip((0..).map(|row| batch.column(i).is_valid(row)))
                .map(|(bits, valid)| if valid { bits } else { "null".to_owned() })
                .collect()
        };
        assert_eq!(bits(expected), bits(found), "values of {}", column.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn what_is_encoded_is_what_is_decoded(rows in prop::collection::vec(row(), 0..20)) {
        let table = table(Kind::User, &all_types());
        let expected = batch(&table, &rows);
        let found = decode(&table, &stored(&table, &rows), None).unwrap();
        assert_eq!(found.schema(), arrow_schema(&table));
        assert_same_columns(&table, &expected, &found);
    }

    #[test]
    fn any_projection_is_the_projected_whole(
        rows in prop::collection::vec(row(), 1..5),
        projection in prop::collection::vec(0usize..17, 0..8),
    ) {
        let table = table(Kind::User, &all_types());
        // NaN is not equal to itself, and this test compares arrays whole.
        let plain = |cell: &Cell| match cell { Cell::Float(_) => Cell::Float(0), other => other.clone() };
        let rows: Vec<Vec<Cell>> = rows.iter().map(|row| row.iter().map(plain).collect()).collect();
        let stored = stored(&table, &rows);
        let whole = decode(&table, &stored, None).unwrap();
        let found = decode(&table, &stored, Some(&projection)).unwrap();
        prop_assert_eq!(found, whole.project(&projection).unwrap());
    }

    #[test]
    fn damaged_rows_are_refused_or_read_but_never_panic(
        rows in prop::collection::vec(row(), 1..3),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        how in 0..3u8,
    ) {
        let table = table(Kind::User, &all_types());
        let mut stored = stored(&table, &rows);
        let row = &mut stored[0];
        for (at, byte) in damage {
            let at = at.index(row.len());
            row[at] = byte;
        }
        match how {
            0 => {}
            1 => row.truncate(cut.index(row.len())),
            _ => row.extend_from_slice(b"more"),
        }
        match decode(&table, &stored, None) {
            Ok(batch) => prop_assert_eq!(batch.num_rows(), rows.len()),
            Err(Error::Corrupt { .. } | Error::SchemaChanged { .. }) => {}
            Err(error) => prop_assert!(false, "{error:?}"),
        }
    }

    #[test]
    fn noise_is_refused_or_read_but_never_panics(noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let table = table(Kind::Shared, &all_types());
        let _ = decode(&table, std::slice::from_ref(&noise), None);
        let mut like_a_row = vec![0; 8];
        like_a_row.extend([super::FORMAT, 1]);
        like_a_row.extend(noise);
        let _ = decode(&table, &[like_a_row], None);
    }
}

#[test]
fn every_truncation_is_noticed() {
    let table = table(Kind::User, &all_types());
    let row: Vec<Cell> = vec![
        Cell::Bool(true),
        Cell::Int(1),
        Cell::Int(2),
        Cell::Int(3),
        Cell::Float(4),
        Cell::Float(5),
        Cell::Int(6),
        Cell::Bytes(b"text".to_vec()),
        Cell::Bytes(b"bytes".to_vec()),
        Cell::Int(7),
        Cell::Int(8),
        Cell::Int(9),
        Cell::Int(10),
        Cell::Bytes(b"{}".to_vec()),
    ];
    let whole = stored(&table, &[row]).remove(0);
    for len in 0..whole.len() {
        // Also when only a column that is still there is wanted.
        for projection in [None, Some(&[0][..]), Some(&[][..])] {
            let error = decode(&table, &[whole[..len].to_vec()], projection).unwrap_err();
            assert!(matches!(error, Error::Corrupt { .. }), "{len} bytes: {error:?}");
        }
    }
}

#[test]
fn a_null_that_was_never_let_in_is_damage() {
    let lax = table(Kind::User, &[("a", ColumnType::Int, true)]);
    let strict = table(Kind::User, &[("a", ColumnType::Int, false)]);
    let error = decode(&strict, &stored(&lax, &[vec![Cell::Null]]), None).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
}

#[test]
fn the_bytes_of_a_row_stay_what_they_are() {
    let table = table(
        Kind::User,
        &[
            ("id", ColumnType::BigInt, false),
            ("text", ColumnType::Text, true),
            ("seen", ColumnType::Boolean, true),
            ("note", ColumnType::Text, true),
        ],
    );
    let rows = [
        vec![Cell::Int(-2), Cell::Bytes("hé".into()), Cell::Bool(true), Cell::Null],
        vec![Cell::Int(1), Cell::Bytes(vec![]), Cell::Null, Cell::Bytes(b"x".to_vec())],
    ];
    let packed = encode(&table, &batch(&table, &rows), BYTES_MAX).unwrap();
    let hex: Vec<String> = packed.iter().map(|row| row.iter().map(|b| format!("{b:02x}")).collect()).collect();
    // format, version, nulls | id, seen | ends | values. Rows of this form are on somebody's disk: never change it.
    assert_eq!(
        hex,
        [
            "0101".to_owned() + "08" + "feffffffffffffff01" + "03000000" + "03000000" + "68c3a9",
            "0101".to_owned() + "04" + "010000000000000000" + "00000000" + "01000000" + "78",
        ]
    );
}

#[test]
fn columns_added_later_read_as_null_and_keep_their_place() {
    let first = table(Kind::User, &[("a", ColumnType::Int, false), ("b", ColumnType::Text, true)]);
    let added = |name_: &str, column_type| NewColumn { name: name(name_), column_type, nullable: true };
    let second = first.with_column(added("c", ColumnType::BigInt)).unwrap();
    let third = second.with_column(added("d", ColumnType::Text)).unwrap();
    let text = |t: &str| Cell::Bytes(t.into());
    let mut rows = stored(&first, &[vec![Cell::Int(1), text("one")]]);
    rows.extend(stored(&third, &[vec![Cell::Int(3), text("three"), Cell::Int(33), text("d3")]]));
    rows.extend(stored(&second, &[vec![Cell::Int(2), Cell::Null, Cell::Int(22)]]));
    let expected = [
        vec![Cell::Int(1), text("one"), Cell::Null, Cell::Null],
        vec![Cell::Int(3), text("three"), Cell::Int(33), text("d3")],
        vec![Cell::Int(2), Cell::Null, Cell::Int(22), Cell::Null],
    ];
    assert_same_columns(&third, &batch(&third, &expected), &decode(&third, &rows, None).unwrap());
    // Through the catalog's stored form as well.
    let reloaded: Table = serde_json::from_slice(&serde_json::to_vec(&third).unwrap()).unwrap();
    assert_same_columns(&reloaded, &batch(&third, &expected), &decode(&reloaded, &rows, None).unwrap());
    assert_eq!(third.columns.iter().map(|c| c.id).collect::<Vec<_>>(), [1, 2, 3, 4]);

    let error = decode(&second, &rows, None).unwrap_err();
    assert!(matches!(error, Error::SchemaChanged { row_version: 3, known_version: 2, .. }), "{error:?}");
}

#[test]
fn a_table_refuses_a_column_that_cannot_be_added() {
    let table = table(Kind::User, &[("a", ColumnType::Int, false)]);
    for (name_, nullable, says) in [("a", true, "more than once"), ("_seq", true, "reserved"), ("b", false, "NOT NULL")]
    {
        let column = NewColumn { name: name(name_), column_type: ColumnType::Int, nullable };
        let error = table.with_column(column).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn hidden_columns_say_whose_when_and_in_which_order() {
    let table = Arc::new(table(Kind::User, &[("a", ColumnType::Int, false)]));
    let rows = stored(&table, &[vec![Cell::Int(1)], vec![Cell::Int(2)], vec![Cell::Int(3)], vec![Cell::Int(4)]]);
    let mut decoder = Decoder::new(table, Some(&[1, 2, 3])).unwrap();
    decoder.user(&UserId::new("ana").unwrap());
    decoder.push(11, &rows[0]).unwrap();
    decoder.push(12, &rows[1]).unwrap();
    decoder.user(&UserId::new("ben").unwrap());
    decoder.push(4, &rows[2]).unwrap();
    let first = decoder.finish().unwrap();
    let users = |batch: &RecordBatch| {
        batch.column(0).as_string::<i32>().iter().map(|u| u.unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(users(&first), ["ana", "ana", "ben"]);
    assert_eq!(first.column(1).as_primitive::<Int64Type>().values(), &[11, 12, 4]);
    assert_eq!(first.column(2).as_primitive::<arrow::datatypes::TimestampMicrosecondType>().values(), &[5, 5, 5]);
    // The user whose rows go on in the next batch is still known.
    decoder.push(9, &rows[3]).unwrap();
    assert_eq!(users(&decoder.finish().unwrap()), ["ben"]);
}

#[test]
fn values_that_cannot_be_are_refused_with_column_and_row() {
    let table = table(
        Kind::User,
        &[
            ("id", ColumnType::BigInt, false),
            ("price", ColumnType::Decimal { precision: 3, scale: 1 }, true),
            ("at", ColumnType::Time, true),
            ("doc", ColumnType::Json, true),
        ],
    );
    let good = vec![Cell::Int(1), Cell::Int(-999), Cell::Int(0), Cell::Bytes(b"[1, null]".to_vec())];
    let with = |i: usize, cell: Cell| {
        let mut row = good.clone();
        row[i] = cell;
        vec![good.clone(), row]
    };
    let message = |rows: Vec<Vec<Cell>>| encode(&table, &batch(&table, &rows), BYTES_MAX).unwrap_err().to_string();
    assert_eq!(
        message(with(0, Cell::Null)),
        "null value in column \"id\" violates its not-null constraint (row 2 of the statement)"
    );
    assert!(message(with(1, Cell::Int(1000))).contains("\"price\", row 2"));
    assert!(message(with(2, Cell::Int(86_400_000_000))).contains("\"at\", row 2"));
    assert!(message(with(3, Cell::Bytes(b"{".to_vec()))).contains("invalid JSON"));

    let error = encode(&table, &batch(&table, &[good]), 20).unwrap_err();
    assert!(matches!(error, Error::RowTooLarge { row: 1, bytes_max: 20, .. }), "{error:?}");
}

#[test]
fn a_batch_of_other_columns_is_refused() {
    let ints = table(Kind::User, &[("a", ColumnType::Int, true)]);
    let texts = table(Kind::User, &[("a", ColumnType::Text, true)]);
    let two = table(Kind::User, &[("a", ColumnType::Int, true), ("b", ColumnType::Int, true)]);
    for other in [&texts, &two] {
        let row = other.columns.iter().map(|_| Cell::Null).collect();
        assert!(Encoder::new(&ints, BYTES_MAX).bind(&batch(other, &[row])).is_err());
    }
}

#[test]
fn slices_of_a_batch_are_encoded_as_themselves() {
    let table = table(Kind::User, &all_types());
    let row = |n: i128| -> Vec<Cell> {
        all_types()
            .iter()
            .map(|(_, column_type, _)| match column_type {
                ColumnType::Boolean => Cell::Bool(n % 2 == 0),
                ColumnType::Real | ColumnType::Double => Cell::Float(n as u64),
                ColumnType::Text | ColumnType::Json | ColumnType::Bytea => Cell::Bytes(n.to_string().into_bytes()),
                _ if n == 2 => Cell::Null,
                _ => Cell::Int(n),
            })
            .collect()
    };
    let rows: Vec<Vec<Cell>> = (0..5).map(row).collect();
    let whole = encode(&table, &batch(&table, &rows), BYTES_MAX).unwrap();
    let part = encode(&table, &batch(&table, &rows).slice(1, 3), BYTES_MAX).unwrap();
    assert_eq!(part.iter().collect::<Vec<_>>(), whole.iter().skip(1).take(3).collect::<Vec<_>>());
}
