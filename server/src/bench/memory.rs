//! `ebbtide bench memory`: how much resident memory grows during flushes and long reads.
//!
//! Each case has two processes of its own. The first loads the rows and ends, so that what loading leaves in the heap is
//! not there to be used again; the second opens the database, fills caches and write buffers, and only then measures.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use ebbtide_config::Settings;
use ebbtide_engine::{KeyRange, Order};
use ebbtide_store::HOT;
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use tokio_postgres::NoTls;

use super::bed::{Bed, NAMESPACE};
use super::figures::{Table, mib, seconds, verdict, whole};
use super::place::Where;
use super::rows::Shape;
use super::rss::{self, quiet};
use super::{Error, Outcome};
use crate::wire::{SERVICE_NAME, Server};

/// Options of `ebbtide bench memory`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this case; may be given several times
    #[arg(long, value_enum)]
    case: Vec<Case>,
    /// Rows, as a share of the full case; below 1 the caches are not filled either, so that is good for trying it out only
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    #[command(flatten)]
    place: Where,
    /// What this process is to do of a case; set by the bench itself
    #[arg(long, hide = true, requires = "room")]
    part: Option<Part>,
    /// The folder of the case's database; set by the bench itself
    #[arg(long, hide = true)]
    room: Option<PathBuf>,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Case {
    /// A flush of 100,000 rows over 10 users
    #[value(name = "flush-10")]
    Flush10,
    /// A flush of 5 million rows over 10,000 users
    #[value(name = "flush-10000")]
    Flush10000,
    /// A flush of 5 million rows of one user
    #[value(name = "flush-1")]
    Flush1,
    /// count(*) over 5 million hot rows, over a connection
    Count,
    /// A streamed SELECT * of 5 million hot rows, over a connection
    Select,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Load,
    Measure,
}

/// What a read may add. A flush may add its own budget.
const READ_BYTES_MAX: u64 = 64 << 20;

/// The table that is measured, and the one that fills caches and write buffers.
const MEASURED: &str = "chat";
const FILLER: &str = "filler";

/// About 1.7 times the block cache as it is by default.
const FILLER_SHAPE: Shape = Shape { users: 500, rows_per_user: 4000 };
/// Filler rows of each user that come after the start: more than the write buffers hold.
const FILLER_LATE_ROWS: u32 = 1600;

/// Every so many rows one is read by itself: often enough to come to each block.
const ROWS_PER_GET: u64 = 64;

/// How much of the block cache has to be in use to count as full.
const FULL: f64 = 0.9;

impl Case {
    fn shape(self) -> Shape {
        let (users, rows_per_user) = match self {
            Case::Flush10 => (10, 10_000),
            Case::Flush10000 => (10_000, 500),
            Case::Flush1 => (1, 5_000_000),
            Case::Count | Case::Select => (1000, 5000),
        };
        Shape { users, rows_per_user }
    }

    fn is_flush(self) -> bool {
        matches!(self, Case::Flush10 | Case::Flush10000 | Case::Flush1)
    }

    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn budget(self) -> u64 {
        if self.is_flush() { Settings::default().flush.memory_bytes_max as u64 } else { READ_BYTES_MAX }
    }
}

/// What the measuring process says, as JSON in one line.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    before: u64,
    anonymous_before: u64,
    anonymous_after: u64,
    peak: u64,
    seconds: f64,
    /// Bytes held before, and at most.
    block_cache: (u64, u64),
    write_buffers: (u64, u64),
}

pub(super) async fn run(args: Args) -> Outcome {
    match (args.part, &args.room) {
        (Some(part), Some(room)) => {
            let case = *args.case.first().ok_or("a part of a case needs the case")?;
            match part {
                Part::Load => load(case, room, args.scale).await?,
                Part::Measure => println!("{}", serde_json::to_string(&measure(case, room, args.scale).await?)?),
            }
        }
        _ => all(&args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the cases in processes of their own and shows what they say.
async fn all(args: &Args) -> Result<(), Error> {
    let place = args.place.make()?;
    println!(
        "memory: growth of resident memory, block cache and write buffers filled first; {}",
        place.path().display()
    );
    let mut table = Table::new(&[
        "case",
        "rows",
        "took",
        "resident before",
        "peak",
        "growth",
        "budget",
        "growth / budget",
        "heap before, after",
        "block cache before",
        "write buffers before",
    ]);
    let mut aims = Vec::new();
    let mut full = true;
    let cases = if args.case.is_empty() { Case::value_variants() } else { &args.case };
    for &case in cases {
        let room = place.room(&case.name())?;
        child(case, Part::Load, room.path(), args.scale).await?;
        let said = child(case, Part::Measure, room.path(), args.scale).await?;
        let report: Report = serde_json::from_str(said.trim())?;
        let (growth, budget) = (report.peak.saturating_sub(report.before), case.budget());
        let ratio = growth as f64 / budget as f64;
        table.row([
            case.name(),
            whole(scaled(case.shape(), args.scale).rows() as f64),
            seconds(Duration::from_secs_f64(report.seconds)),
            mib(report.before),
            mib(report.peak),
            mib(growth),
            mib(budget),
            format!("{ratio:.2}"),
            format!("{}, {}", mib(report.anonymous_before), mib(report.anonymous_after)),
            format!("{} of {}", mib(report.block_cache.0), mib(report.block_cache.1)),
            format!("{} of {}", mib(report.write_buffers.0), mib(report.write_buffers.1)),
        ]);
        full &= args.scale < 1.0 || report.block_cache.0 as f64 >= FULL * report.block_cache.1 as f64;
        let met = verdict(growth <= budget);
        aims.push(format!("{}: grows by {} (aim at most {}: {met})", case.name(), mib(growth), mib(budget)));
    }
    table.print();
    aims.iter().for_each(|aim| println!("  {aim}"));
    if !full {
        return Err("the block cache was not full before every case: what grew says nothing".into());
    }
    Ok(())
}

/// Runs a part of a case in a process of its own, which ends with this one; gives what it printed.
async fn child(case: Case, part: Part, room: &Path, scale: f64) -> Result<String, Error> {
    let part = part.to_possible_value().map_or_else(String::new, |part| part.get_name().to_owned());
    let output = tokio::process::Command::new(std::env::current_exe()?)
        .args(["bench", "memory", "--case", &case.name(), "--part", &part, "--scale", &scale.to_string(), "--room"])
        .arg(room)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await?;
    if !output.status.success() {
        return Err(format!("{} --part {part} failed ({})", case.name(), output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn scaled(shape: Shape, scale: f64) -> Shape {
    let rows = (f64::from(shape.rows_per_user) * scale).round().max(1.0);
    Shape { rows_per_user: rows as u32, ..shape }
}

async fn load(case: Case, room: &Path, scale: f64) -> Result<(), Error> {
    let bed = Bed::open(room).await?;
    for (name, shape) in [(FILLER, FILLER_SHAPE), (MEASURED, case.shape())] {
        let table = bed.make_table(name).await?;
        bed.load(&table, scaled(shape, scale), 0).await?;
    }
    // Compactions would go on in the process that measures.
    quiet().await;
    bed.close().await;
    Ok(())
}

async fn measure(case: Case, room: &Path, scale: f64) -> Result<Report, Error> {
    let bed = Bed::open(room).await?;
    let rows = scaled(case.shape(), scale).rows();
    fill(&bed, scale).await?;
    let served = match case.is_flush() {
        true => None,
        false => Some(Served::start(&bed).await?),
    };
    quiet().await;

    let table = bed.table(MEASURED)?;
    let held = bed.engine().memory();
    let before = rss::begin()?;
    let begun = Instant::now();
    match &served {
        None => drop(bed.flush(&table, rows).await?),
        Some(served) => {
            let read = served.read(case).await?;
            if read != rows {
                return Err(format!("{read} rows were read of {rows}").into());
            }
        }
    }
    let took = begun.elapsed();
    let after = rss::resident()?;
    if let Some(served) = served {
        served.stop().await;
    }
    bed.close().await;
    Ok(Report {
        before: before.now,
        anonymous_before: before.anonymous,
        anonymous_after: after.anonymous,
        peak: after.peak,
        seconds: took.as_secs_f64(),
        block_cache: (held.block_cache_bytes as u64, held.block_cache_bytes_max as u64),
        write_buffers: (held.write_buffer_bytes as u64, held.write_buffer_bytes_max as u64),
    })
}

/// Fills the write buffers with rows that nobody measures, and the block cache by single reads of all over them: scans of
/// hot rows leave nothing there.
async fn fill(bed: &Bed, scale: f64) -> Result<(), Error> {
    let filler = bed.table(FILLER)?;
    let early = scaled(FILLER_SHAPE, scale);
    let late = scaled(Shape { rows_per_user: FILLER_LATE_ROWS, ..FILLER_SHAPE }, scale);
    bed.load(&filler, late, early.rows_per_user).await?;
    // What is written out meanwhile would take room in the cache again.
    quiet().await;
    let snapshot = bed.engine().snapshot();
    let read = tokio::task::spawn_blocking(move || {
        let mut rows = 0u64;
        let mut cursor = snapshot.clone().scan(HOT, KeyRange::all(), Order::Ascending)?;
        while let Some((key, _)) = cursor.next()? {
            if rows.is_multiple_of(ROWS_PER_GET) {
                snapshot.get(HOT, key)?;
            }
            rows += 1;
        }
        Ok::<_, ebbtide_engine::Error>(rows)
    });
    let (read, written) = (read.await??, early.rows() + late.rows());
    if read < written {
        return Err(format!("{read} hot rows were read of {written} at least").into());
    }
    Ok(())
}

/// The database behind a listener, and a client.
struct Served {
    server: Server,
    client: tokio_postgres::Client,
}

impl Served {
    async fn start(bed: &Bed) -> Result<Served, Error> {
        let server = bed.serve().await?;
        let url = format!("postgres://{SERVICE_NAME}@{}/ebbtide", server.address());
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        tokio::spawn(async move {
            // Whoever waits for an answer is told of the error as well.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection ended");
            }
        });
        Ok(Served { server, client })
    }

    /// How many rows the statement of this case found.
    async fn read(&self, case: Case) -> Result<u64, Error> {
        if case == Case::Count {
            let row = self.client.query_one(&format!("SELECT count(*) FROM {NAMESPACE}.{MEASURED}"), &[]).await?;
            return Ok(u64::try_from(row.get::<_, i64>(0))?);
        }
        let statement = format!("SELECT * FROM {NAMESPACE}.{MEASURED}");
        let parameters: [&str; 0] = [];
        let mut rows = pin!(self.client.query_raw(&statement, parameters).await?);
        let mut read = 0;
        while rows.try_next().await?.is_some() {
            read += 1;
        }
        Ok(read)
    }

    async fn stop(self) {
        drop(self.client);
        self.server.stop().await;
    }
}
