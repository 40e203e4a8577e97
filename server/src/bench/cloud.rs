//! `ebbtide bench cloud`: many small users to an object store, beside a loop that only uploads the same bytes.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ebbtide_store::cold::Objects;
use ebbtide_store::secrets::Secret;
use ebbtide_store::{NewStorage, Segment, StorageId, StorageType, manifest};
use futures::{StreamExt, stream};

use super::bed::Bed;
use super::figures::{Table, median, mib, rate, seconds, verdict, whole};
use super::place::Where;
use super::rows::Shape;
use super::rss::{self, quiet};
use super::{Error, Outcome, link};

/// Options of `ebbtide bench cloud`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Users x rows of each
    #[arg(long, value_name = "USERSxROWS", default_value = "10000x100")]
    shape: Shape,
    /// Runs, each in a folder of its own; the middle one counts
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// s3, gcs or azure
    #[arg(long = "type", value_name = "TYPE", default_value = "s3")]
    storage_type: String,
    /// The bucket, and a folder in it that nobody else uses: s3://bucket/folder
    #[arg(long, value_name = "URI")]
    uri: String,
    /// Settings of the storage, as JSON: endpoint, region, requests_in_flight_max, …
    #[arg(long, value_name = "JSON")]
    config: Option<String>,
    /// A file with its credentials, as JSON
    #[arg(long, value_name = "FILE")]
    credentials_file: Option<PathBuf>,
    /// Uploads of the bare loop at a time: what requests_in_flight_max is for ours
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// Puts the endpoint so far away: every byte is held up, half of this on each way
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    round_trip: u64,
    #[command(flatten)]
    place: Where,
}

/// Of the bare loop.
const AIM: f64 = 0.8;
const TABLE: &str = "chat";
const STORAGE: &str = "bench";

struct Run {
    ours: Duration,
    bare: Duration,
    files: u64,
    bytes: u64,
    growth: u64,
    budget: u64,
}

pub(super) async fn run(args: Args) -> Outcome {
    let place = args.place.make()?;
    let mut args = args;
    let _link = match args.round_trip {
        0 => None,
        round_trip => {
            let (endpoint, config) = link::endpoint(args.config.as_deref())?;
            let link = link::Link::to(&endpoint, Duration::from_millis(round_trip)).await?;
            args.config = Some(config(link.address()));
            Some(link)
        }
    };
    let mut runs = Vec::new();
    for number in 0..args.runs.max(1) {
        let room = place.room(&format!("cloud-{number}"))?;
        runs.push(once(&args, number, room.path()).await?);
    }
    show(&args, &runs);
    Ok(ExitCode::SUCCESS)
}

async fn once(args: &Args, number: usize, dir: &std::path::Path) -> Result<Run, Error> {
    let bed = Bed::open(dir).await?;
    let folder = format!("{}/bench-{}-{number}", args.uri.trim_end_matches('/'), std::process::id());
    let credentials = match &args.credentials_file {
        Some(path) => Some(Secret::new(std::fs::read_to_string(path)?)),
        None => None,
    };
    let id = StorageId::new(STORAGE)?;
    let storage = NewStorage {
        id: id.clone(),
        name: None,
        description: None,
        storage_type: StorageType::parse(&args.storage_type)?,
        base_directory: folder,
        shared_tables_template: None,
        user_tables_template: None,
        credentials,
        config_json: args.config.clone(),
    };
    bed.store().create_storage(storage).await?;
    let table = bed.make_table_on(TABLE, &id).await?;
    bed.load(&table, args.shape, 0).await?;
    quiet().await;
    let before = rss::begin()?;
    let flushed = bed.flush(&table, args.shape.rows()).await?;
    let growth = rss::resident()?.peak.saturating_sub(before.now);
    let segments = manifest::segments(bed.engine().snapshot(), table.id, None)?;
    // What is published beside them comes after the flush, and is not to be in the way of the loop.
    quiet().await;
    let bare = bare(bed.store().objects(&id)?, &segments, args.in_flight).await?;
    let budget = super::bed::settings(dir).flush.memory_bytes_max as u64;
    bed.close().await;
    let (files, bytes) = (segments.len() as u64, segments.iter().map(|segment| segment.bytes).sum());
    let run = Run { ours: flushed.took, bare, files, bytes, growth, budget };
    println!(
        "  run {number}: ours {}, the loop {}, {:.2} of it",
        seconds(run.ours),
        seconds(run.bare),
        run.bare.as_secs_f64() / run.ours.as_secs_f64()
    );
    Ok(run)
}

/// Puts objects of these sizes into as many folders, so many at a time, and does nothing else.
async fn bare(objects: Arc<dyn Objects>, segments: &[Segment], in_flight: usize) -> Result<Duration, Error> {
    let longest = usize::try_from(segments.iter().map(|segment| segment.bytes).max().unwrap_or(0))?;
    let bytes = Bytes::from(vec![0x5a; longest]);
    let begun = Instant::now();
    let mut puts = stream::iter(segments)
        .map(|segment| {
            let (objects, bytes) = (objects.clone(), bytes.clone());
            async move {
                let size = usize::try_from(segment.bytes).unwrap_or(usize::MAX).min(bytes.len());
                objects.put_small(&format!("bare/{}", segment.path), bytes.slice(..size)).await
            }
        })
        .buffer_unordered(in_flight.max(1));
    while let Some(put) = puts.next().await {
        put?;
    }
    Ok(begun.elapsed())
}

fn show(args: &Args, runs: &[Run]) {
    let middle = |time: &dyn Fn(&Run) -> Duration| {
        Duration::from_secs_f64(median(runs.iter().map(|run| time(run).as_secs_f64()).collect()))
    };
    let Some(first) = runs.first() else { return };
    let (ours, bare) = (middle(&|run| run.ours), middle(&|run| run.bare));
    println!(
        "cloud: {} users x {} rows, {} in {} objects to {}, {} ms away; middle of {} run(s)",
        whole(f64::from(args.shape.users)),
        whole(f64::from(args.shape.rows_per_user)),
        mib(first.bytes),
        whole(first.files as f64),
        args.storage_type,
        args.round_trip,
        runs.len()
    );
    let mut table = Table::new(&["", "time", "rows/s", "PUTs/s"]);
    for (name, took) in
        [("ours, end to end: objects and commits", ours), ("a loop that only puts the same bytes", bare)]
    {
        let puts = whole(rate(first.files, took));
        table.row([name.to_owned(), seconds(took), whole(rate(args.shape.rows(), took)), puts]);
    }
    table.print();
    let ratio = bare.as_secs_f64() / ours.as_secs_f64();
    println!("  ours / the loop: {ratio:.2} (aim at least {AIM}: {})", verdict(ratio >= AIM));
    let growth = runs.iter().map(|run| run.growth).max().unwrap_or(0);
    println!("  memory grew by at most {} of {} ({})", mib(growth), mib(first.budget), verdict(growth <= first.budget));
}
