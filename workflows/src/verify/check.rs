//! One object against its manifest entry.

use super::findings::Problem;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use ebbtide_store::cold::segment::{Footer, Part, Reader};
use ebbtide_store::cold::{Objects, checksum};
use ebbtide_store::{Hidden, Segment};

/// Rows decoded at a time.
const BATCH_ROWS: usize = 8192;

/// Something that is wrong: the problem, what the manifest says, what is there.
pub(super) type Wrong = (Problem, String, String);

/// Reads an object whole and compares it with its entry: size and checksum, and with `rows` also what its footer says
/// and the seqs and owners of its rows.
pub(super) async fn segment(objects: &dyn Objects, segment: &Segment, qualified_name: &str, rows: bool) -> Vec<Wrong> {
    let stored = match checksum(objects, &segment.path).await {
        Ok(Some(stored)) => stored,
        Ok(None) => return vec![(Problem::Missing, format!("{} bytes", segment.bytes), "no such object".to_owned())],
        Err(error) => return vec![(Problem::Unreadable, format!("{} bytes", segment.bytes), error.to_string())],
    };
    let mut wrong = Vec::new();
    let mut differs = |problem, expected: String, found: String| {
        if expected != found {
            wrong.push((problem, expected, found));
        }
    };
    differs(Problem::Size, segment.bytes.to_string(), stored.bytes.to_string());
    differs(Problem::Checksum, format!("{:08x}", segment.crc32c), format!("{:08x}", stored.crc32c));
    // Rows of a file that is not what was written prove nothing more.
    if !wrong.is_empty() || !rows {
        return wrong;
    }
    if let Err(error) = content(objects, segment, qualified_name, &mut wrong).await {
        wrong.push((Problem::Unreadable, format!("{} rows", segment.rows), error.to_string()));
    }
    wrong
}

async fn content(
    objects: &dyn Objects,
    segment: &Segment,
    qualified_name: &str,
    wrong: &mut Vec<Wrong>,
) -> Result<(), ebbtide_store::cold::Error> {
    let owned = [Hidden::Seq.name(), Hidden::UserId.name()];
    let columns = if segment.user.is_shared() { &owned[..1] } else { &owned[..] };
    let part = Part { columns: Some(columns), first_row: 0, batch_rows: BATCH_ROWS };
    let mut reader = Reader::open(objects, &segment.path, segment.bytes, part).await?;
    footer(reader.footer(), segment, qualified_name, wrong);
    let mut rows = Rows::default();
    while let Some(batch) = reader.next().await? {
        rows.add(&batch, segment.user.as_str());
    }
    rows.compare(segment, wrong);
    Ok(())
}

fn footer(footer: &Footer, segment: &Segment, qualified_name: &str, wrong: &mut Vec<Wrong>) {
    let mut differs = |problem, what: &str, expected: String, found: Option<String>| {
        let found = found.unwrap_or_else(|| "nothing".to_owned());
        if expected != found {
            wrong.push((problem, format!("{what} {expected}"), format!("the footer says {found}")));
        }
    };
    differs(Problem::RowCount, "rows", segment.rows.to_string(), Some(footer.rows.to_string()));
    differs(Problem::SeqRange, "from seq", segment.from_seq.to_string(), footer.from_seq.map(|seq| seq.to_string()));
    differs(Problem::SeqRange, "to seq", segment.to_seq.to_string(), footer.to_seq.map(|seq| seq.to_string()));
    let user = if segment.user.is_shared() { "nothing".to_owned() } else { segment.user.to_string() };
    differs(Problem::Owner, "user", user, footer.user.clone());
    differs(Problem::Footer, "table", qualified_name.to_owned(), footer.table.clone());
    let version = footer.schema_version.map(|version| version.to_string());
    differs(Problem::Footer, "schema version", segment.schema_version.to_string(), version);
    differs(Problem::Footer, "job", segment.job_id.clone(), footer.job_id.clone());
}

/// What the rows themselves say.
#[derive(Default)]
struct Rows {
    count: u64,
    first: Option<i64>,
    last: i64,
    /// The first pair of seqs that are not in order.
    disorder: Option<(i64, i64)>,
    /// The first owner that is not the segment's.
    stranger: Option<String>,
}

impl Rows {
    fn add(&mut self, batch: &RecordBatch, user: &str) {
        self.count += batch.num_rows() as u64;
        let Some(seqs) = batch.column_by_name(Hidden::Seq.name()).and_then(|c| c.as_primitive_opt::<Int64Type>())
        else {
            return;
        };
        for &seq in seqs.values() {
            if self.first.is_some() && seq <= self.last && self.disorder.is_none() {
                self.disorder = Some((self.last, seq));
            }
            self.first.get_or_insert(seq);
            self.last = seq;
        }
        let owners = batch.column_by_name(Hidden::UserId.name()).and_then(|column| column.as_string_opt::<i32>());
        if let (Some(owners), None) = (owners, &self.stranger) {
            let strange = (0..owners.len()).map(|row| owners.value(row)).find(|owner| *owner != user);
            self.stranger = strange.map(str::to_owned);
        }
    }

    fn compare(self, segment: &Segment, wrong: &mut Vec<Wrong>) {
        if self.count != segment.rows {
            wrong.push((Problem::RowCount, format!("rows {}", segment.rows), format!("{} were read", self.count)));
        }
        let range = |from: Option<u64>, to: Option<u64>| format!("seqs {from:?} to {to:?}");
        let expected = range(Some(segment.from_seq), Some(segment.to_seq));
        let read = self.first.map(i64::cast_unsigned);
        let found = range(read, read.map(|_| self.last.cast_unsigned()));
        if expected != found {
            wrong.push((
                Problem::SeqRange,
                format!("seqs {} to {}", segment.from_seq, segment.to_seq),
                format!("rows have {} to {}", self.first.unwrap_or(0), self.last),
            ));
        }
        if let Some((before, after)) = self.disorder {
            let expected = "rows in the order of their seqs".to_owned();
            wrong.push((Problem::Order, expected, format!("seq {after} comes after {before}")));
        }
        if let Some(stranger) = self.stranger {
            wrong.push((Problem::Owner, format!("rows of {}", segment.user), format!("a row of {stranger}")));
        }
    }
}
