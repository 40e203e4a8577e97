//! Rows as bytes, three ways: our own layout, arrow-row, arrow-avro. The figures behind
//! `docs/adr/0003-row-encoding.md`.
//!
//! Each codec encodes the same chat-like rows from Arrow into one byte string per row, then decodes them the way a
//! hot scan does: rows come one at a time, as a slice that is gone with the next one, and leave as batches.
//!
//! ```text
//! cargo run -p ebbtide-store --example row_codecs [rows]
//! ```
#![allow(clippy::print_stdout, reason = "it prints its figures")]

use arrow::array::types::TimestampMicrosecondType;
use arrow::array::{ArrayRef, BooleanArray, Int64Array, PrimitiveArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow_avro::reader::ReaderBuilder;
use arrow_avro::schema::{AvroSchema, Fingerprint, FingerprintAlgorithm, FingerprintStrategy, SchemaStore};
use arrow_avro::writer::WriterBuilder;
use arrow_avro::writer::format::AvroSoeFormat;
use arrow_row::{RowConverter, SortField};
use ebbtide_engine::Packed;
use ebbtide_store::hot::codec::{self, Decoder};
use ebbtide_store::{Table, UserId};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const BATCH_ROWS: usize = 8192;
const ROUNDS: usize = 5;

fn main() -> Result<()> {
    let rows = std::env::args().nth(1).map_or(Ok(400_000), |rows| rows.parse())?;
    let batches: Vec<RecordBatch> =
        (0..rows).step_by(BATCH_ROWS).map(|from| chat(from, BATCH_ROWS.min(rows - from))).collect::<Result<_>>()?;
    println!(
        "{rows} rows of (id BIGINT, body TEXT of about 60 bytes, sent TIMESTAMP, edited BOOLEAN), best of {ROUNDS}"
    );
    println!(
        "{:<22} {:>10} {:>14} {:>14} {:>20}",
        "", "bytes/row", "encode rows/s", "decode rows/s", "decode (id) rows/s"
    );
    print("own layout", rows, own(&batches)?);
    print("arrow-row", rows, arrow_row(&batches)?);
    print("arrow-avro", rows, arrow_avro(&batches)?);
    Ok(())
}

struct Figures {
    bytes: usize,
    encode: Duration,
    decode: Duration,
    /// One column of four.
    decode_id: Duration,
}

fn print(name: &str, rows: usize, figures: Figures) {
    let rate = |time: Duration| format!("{:.0}", rows as f64 / time.as_secs_f64());
    println!(
        "{name:<22} {:>10.1} {:>14} {:>14} {:>20}",
        figures.bytes as f64 / rows as f64,
        rate(figures.encode),
        rate(figures.decode),
        rate(figures.decode_id)
    );
}

/// The best of some rounds, and what the last one gave.
fn best<T>(mut work: impl FnMut() -> Result<T>) -> Result<(Duration, T)> {
    let mut best = Duration::MAX;
    let mut last = None;
    for _ in 0..ROUNDS {
        drop(last.take());
        let start = Instant::now();
        last = Some(black_box(work()?));
        best = best.min(start.elapsed());
    }
    Ok((best, last.ok_or("no round was run")?))
}

fn chat(from: usize, rows: usize) -> Result<RecordBatch> {
    let words = ["have", "you", "seen", "the", "tide", "today", "it", "came", "in", "late", "and", "left", "early"];
    let ids = from..from + rows;
    let text = |id: usize| {
        let mut text = String::new();
        let mut x = id.wrapping_mul(0x9E37_79B9);
        while text.len() < 40 + id % 40 {
            text.push_str(words[x % words.len()]);
            text.push(' ');
            x = (x / words.len()) ^ x.wrapping_mul(31).wrapping_add(7);
        }
        text
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(ids.clone().map(|id| id as i64).collect::<Int64Array>()),
        Arc::new(ids.clone().map(|id| (id % 50 != 0).then(|| text(id))).collect::<StringArray>()),
        Arc::new(
            ids.clone()
                .map(|id| 1_795_341_600_000_000 + id as i64 * 1_000)
                .collect::<Int64Array>()
                .reinterpret_cast::<TimestampMicrosecondType>(),
        ) as Arc<PrimitiveArray<_>>,
        Arc::new(ids.map(|id| Some(id % 7 == 0)).collect::<BooleanArray>()),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("body", DataType::Utf8, true),
        Field::new("sent", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        Field::new("edited", DataType::Boolean, true),
    ]))
}

/// What a cursor hands out: where each row's bytes are.
fn stored(packed: &[Packed]) -> impl Iterator<Item = &[u8]> {
    packed.iter().flat_map(Packed::iter)
}

fn own(batches: &[RecordBatch]) -> Result<Figures> {
    let table: Table = serde_json::from_value(serde_json::json!({
        "id": 1, "namespace": "chat", "name": "messages", "kind": "user", "schema_version": 1,
        "columns": [
            { "id": 1, "name": "id", "column_type": "big_int", "nullable": false },
            { "id": 2, "name": "body", "column_type": "text", "nullable": true },
            { "id": 3, "name": "sent", "column_type": "timestamp", "nullable": true },
            { "id": 4, "name": "edited", "column_type": "boolean", "nullable": true },
        ],
        "storage": "local", "use_user_storage": false, "sharding": "none",
        "flush": { "rows": 1000 }, "created_at": 0,
    }))?;
    let table = Arc::new(table);
    let (encode, packed) = best(|| {
        Ok(batches
            .iter()
            .map(|batch| codec::encode(&table, batch, 1 << 20))
            .collect::<std::result::Result<Vec<_>, _>>()?)
    })?;
    // The engine puts the commit time before each row; it is part of what a scan reads.
    let values: Vec<Packed> = packed
        .iter()
        .map(|packed| {
            let mut values = Packed::new();
            packed.iter().for_each(|row| {
                values.push_with(|value| {
                    value.extend_from_slice(&0i64.to_le_bytes());
                    value.extend_from_slice(row);
                });
            });
            values
        })
        .collect();
    let user = UserId::new("ana")?;
    let decode = |projection: &[usize]| {
        best(|| {
            let mut decoder = Decoder::new(table.clone(), Some(projection))?;
            decoder.user(&user);
            let mut decoded = Vec::new();
            for (seq, value) in (1..).zip(stored(&values)) {
                decoder.push(seq, value)?;
                if decoder.rows() == BATCH_ROWS {
                    decoded.push(decoder.finish()?);
                    decoder.reserve(BATCH_ROWS);
                }
            }
            decoded.push(decoder.finish()?);
            Ok(decoded)
        })
    };
    let (all, decoded) = decode(&[0, 1, 2, 3])?;
    check(batches, &decoded)?;
    let (id, _) = decode(&[0])?;
    Ok(Figures { bytes: packed.iter().map(Packed::bytes).sum(), encode, decode: all, decode_id: id })
}

fn arrow_row(batches: &[RecordBatch]) -> Result<Figures> {
    let fields = || schema().fields().iter().map(|f| SortField::new(f.data_type().clone())).collect();
    let converter = RowConverter::new(fields())?;
    let (encode, packed) = best(|| {
        let mut packed = Vec::new();
        for batch in batches {
            let rows = converter.convert_columns(batch.columns())?;
            let mut one = Packed::with_capacity(rows.num_rows(), rows.size());
            rows.iter().for_each(|row| one.push(row.as_ref()));
            packed.push(one);
        }
        Ok(packed)
    })?;
    let (decode, decoded) = best(|| {
        let parser = converter.parser();
        let mut decoded = Vec::new();
        // It wants all rows of a batch at once, so what the cursor hands out is copied first.
        let mut copied = Packed::new();
        let mut finish = |copied: &mut Packed| -> Result<()> {
            let columns = converter.convert_rows(copied.iter().map(|row| parser.parse(row)))?;
            decoded.push(RecordBatch::try_new(schema(), columns)?);
            copied.clear();
            Ok(())
        };
        for row in stored(&packed) {
            copied.push(row);
            if copied.len() == BATCH_ROWS {
                finish(&mut copied)?;
            }
        }
        if !copied.is_empty() {
            finish(&mut copied)?;
        }
        Ok(decoded)
    })?;
    check(batches, &decoded)?;
    // There is no reading of one column: a row is decoded from its start to its end.
    Ok(Figures { bytes: packed.iter().map(Packed::bytes).sum(), encode, decode, decode_id: decode })
}

fn arrow_avro(batches: &[RecordBatch]) -> Result<Figures> {
    let mut encoder = WriterBuilder::new(schema().as_ref().clone())
        .with_fingerprint_strategy(FingerprintStrategy::Id(1))
        .build_encoder::<AvroSoeFormat>()?;
    let (encode, packed) = best(|| {
        let mut packed = Vec::new();
        for batch in batches {
            encoder.encode(batch)?;
            let rows = encoder.flush();
            let mut one = Packed::with_capacity(rows.len(), rows.bytes().len());
            rows.iter().for_each(|row| one.push(&row));
            packed.push(one);
        }
        Ok(packed)
    })?;
    let decode = |projection: Option<Vec<usize>>| {
        best(|| {
            let mut store = SchemaStore::new_with_type(FingerprintAlgorithm::Id);
            store.set(Fingerprint::Id(1), AvroSchema::try_from(schema().as_ref())?)?;
            let mut builder = ReaderBuilder::new().with_writer_schema_store(store).with_batch_size(BATCH_ROWS);
            if let Some(projection) = projection.clone() {
                builder = builder.with_projection(projection);
            }
            let mut decoder = builder.build_decoder()?;
            let mut decoded = Vec::new();
            for row in stored(&packed) {
                decoder.decode(row)?;
                if decoder.batch_is_full() {
                    decoded.extend(decoder.flush()?);
                }
            }
            decoded.extend(decoder.flush()?);
            Ok(decoded)
        })
    };
    let (all, decoded) = decode(None)?;
    check(batches, &decoded)?;
    let (id, _) = decode(Some(vec![0]))?;
    Ok(Figures { bytes: packed.iter().map(Packed::bytes).sum(), encode, decode: all, decode_id: id })
}

/// Decoded rows are the rows that were encoded; a fast codec that loses something is none.
fn check(expected: &[RecordBatch], found: &[RecordBatch]) -> Result<()> {
    let found: Vec<_> = found.iter().filter(|batch| batch.num_rows() > 0).collect();
    if found.len() != expected.len() {
        return Err("batches are missing".into());
    }
    for (expected, found) in expected.iter().zip(found) {
        if (0..4).any(|i| expected.column(i).to_data() != found.column(i).to_data()) {
            return Err("decoded rows are not the encoded ones".into());
        }
    }
    Ok(())
}
