//! `ebbtide bench flush`: rows in a second from the hot tier to durable files, beside what this machine could do at best.

use std::num::NonZero;
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Duration;

use super::bed::{Bed, NAMESPACE, settings};
use super::duckdb::{self, DuckDb};
use super::figures::{Table, median, mib, rate, seconds, verdict, whole};
use super::floor::Floor;
use super::ideal::{self, Ideal};
use super::place::{Place, Where};
use super::rows::Shape;
use super::rss::quiet;
use super::{Error, Outcome, after};

/// Options of `ebbtide bench flush`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Users x rows of each; several with commas
    #[arg(long, value_name = "USERSxROWS", value_delimiter = ',', default_values = ["1000x1000", "10x500000", "10000x100"])]
    shape: Vec<Shape>,
    /// Runs of each shape, each on a fresh database; the middle one counts
    #[arg(long, default_value_t = 1)]
    runs: usize,
    /// Also compare hot scans before and after a flush of so many rows; 0 leaves it out
    #[arg(long, value_name = "ROWS", default_value_t = 5_000_000)]
    after_flush: u64,
    /// Without DuckDB, even where there is one
    #[arg(long)]
    no_duckdb: bool,
    #[command(flatten)]
    place: Where,
}

/// Of the ideal, where users are large enough for files to be no matter.
const IDEAL_AIM: f64 = 0.7;
/// Rows of a user from which that is so.
const LARGE_ROWS: u32 = 1000;
/// Of DuckDB, where users are small.
const DUCKDB_AIM: f64 = 1.0;

const FLOOR_FOR: Duration = Duration::from_secs(1);
const TABLE: &str = "chat";

pub(super) async fn run(args: Args) -> Outcome {
    let place = args.place.make()?;
    let python = if args.no_duckdb { None } else { duckdb::find() };
    if python.is_none() && !args.no_duckdb {
        println!("flush: no DuckDB to compare with: none of EBBTIDE_PYTHON, the tests' Python and python3 has it");
    }
    for &shape in &args.shape {
        let mut runs = Vec::new();
        for run in 0..args.runs.max(1) {
            let room = place.room(&format!("{shape}-{run}"))?;
            runs.push(once(&room, shape, python.as_deref()).await?);
        }
        show(&place, shape, &runs)?;
    }
    if args.after_flush > 0 {
        after::run(&place, args.after_flush).await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// One run: all of it on the same rows.
struct Run {
    took: Duration,
    cpu: Duration,
    states: String,
    files: u64,
    file_bytes: u64,
    hot_bytes: u64,
    ideal: Ideal,
    duckdb: Option<DuckDb>,
}

async fn once(room: &Place, shape: Shape, python: Option<&std::path::Path>) -> Result<Run, Error> {
    let bed = Bed::open(room.path()).await?;
    let table = bed.make_table(TABLE).await?;
    bed.load(&table, shape, 0).await?;
    let hot_bytes = bed.hot_bytes(&table)?;

    quiet().await;
    let snapshot = bed.engine().snapshot();
    let ideal = tokio::task::spawn_blocking({
        let table = table.clone();
        move || ideal::measure(&snapshot, &table)
    });
    let ideal = ideal.await??;
    if ideal.rows != shape.rows() {
        return Err(format!("{} rows were scanned of {}", ideal.rows, shape.rows()).into());
    }

    quiet().await;
    let flushed = bed.flush(&table, shape.rows()).await?;
    quiet().await;
    bed.close().await;

    let duckdb = match python {
        None => None,
        Some(python) => {
            let segments = settings(room.path()).storage.local_path().join(NAMESPACE).join("users").join(TABLE);
            let duckdb = duckdb::copy(python, &segments, &room.path().join("duckdb"), cores())?;
            if duckdb.rows != shape.rows() {
                return Err(format!("DuckDB found {} rows of {}", duckdb.rows, shape.rows()).into());
            }
            Some(duckdb)
        }
    };
    Ok(Run {
        took: flushed.took,
        cpu: flushed.cpu,
        states: flushed.states(),
        files: flushed.result("files"),
        file_bytes: flushed.result("bytes"),
        hot_bytes,
        ideal,
        duckdb,
    })
}

fn cores() -> usize {
    available_parallelism().map_or(1, NonZero::get)
}

fn show(place: &Place, shape: Shape, runs: &[Run]) -> Result<(), Error> {
    let middle = |time: &dyn Fn(&Run) -> Duration| {
        Duration::from_secs_f64(median(runs.iter().map(|run| time(run).as_secs_f64()).collect()))
    };
    let ours = middle(&|run| run.took);
    let scan = middle(&|run| run.ideal.scan);
    let encode = middle(&|run| run.ideal.encode);
    let cores = cores();
    let ideal = (scan + encode) / u32::try_from(cores)?;

    let Some(first) = runs.first() else { return Ok(()) };
    println!(
        "flush: {} users x {} rows = {} rows, {} hot, {} in {} files; {cores} cores; middle of {} run(s); {}",
        whole(f64::from(shape.users)),
        whole(f64::from(shape.rows_per_user)),
        whole(shape.rows() as f64),
        mib(first.hot_bytes),
        mib(first.file_bytes),
        whole(first.files as f64),
        runs.len(),
        place.path().display()
    );
    let mut table = Table::new(&["", "time", "rows/s", "ours / this"]);
    let mut line = |name: &str, took: Duration, compared: bool| {
        let ratio = took.as_secs_f64() / ours.as_secs_f64();
        let ratio = if compared { format!("{ratio:.2}") } else { String::new() };
        table.row([name.to_owned(), seconds(took), whole(rate(shape.rows(), took)), ratio]);
    };
    line("ours, end to end: durable files and commits", ours, false);
    line("scan and decode alone, one thread", scan, false);
    line("Parquet encoding alone, one thread", encode, false);
    line("ideal: both, spread over the cores", ideal, true);
    let mut fastest: Option<Duration> = None;
    let mut files = String::new();
    if let Some(duckdb) = &first.duckdb {
        for order in duckdb.orders() {
            let took = middle(&|run| run.duckdb.as_ref().and_then(|duckdb| duckdb.took(order)).unwrap_or_default());
            fastest = Some(fastest.map_or(took, |fastest| fastest.min(took)));
            line(&format!("DuckDB {} COPY, rows in order of {order}, not synced", duckdb.version), took, true);
        }
        files = format!("; DuckDB made {} files", whole(duckdb.files as f64));
    }
    table.print();
    println!("  states: {}{files}", first.states);
    let cpu = (middle(&|run| run.cpu), middle(&|run| run.ideal.cpu));
    let ratio = cpu.1.as_secs_f64() / cpu.0.as_secs_f64();
    println!("  CPU time: {}, of the ideal {}: {ratio:.2}", seconds(cpu.0), seconds(cpu.1));
    let bytes = usize::try_from(first.file_bytes / first.files.max(1))?;
    let mut floor = Floor::default();
    floor.measure(place.path(), bytes, FLOOR_FOR)?;
    println!("  {}", floor.line(bytes));
    let each: Vec<f64> = runs.iter().map(|run| run.ideal.both(cores).as_secs_f64() / run.took.as_secs_f64()).collect();
    let each: Vec<String> = each.iter().map(|ratio| format!("{ratio:.2}")).collect();
    let ratio = ideal.as_secs_f64() / ours.as_secs_f64();
    let large = shape.rows_per_user >= LARGE_ROWS;
    let aim =
        if large { format!(" (aim at least {IDEAL_AIM}: {})", verdict(ratio >= IDEAL_AIM)) } else { String::new() };
    println!("  ours / ideal: {ratio:.2}{aim}, run by run {}", each.join(" "));
    if let Some(fastest) = fastest {
        let ratio = fastest.as_secs_f64() / ours.as_secs_f64();
        let aim = if large {
            String::new()
        } else {
            format!(" (aim at least {DUCKDB_AIM}: {})", verdict(ratio >= DUCKDB_AIM))
        };
        println!("  ours / DuckDB: {ratio:.2}{aim}");
    }
    Ok(())
}
