//! `ebbtide bench ingest`: durable rows in a second over the wire, by COPY and by INSERTs of 100 rows, beside PostgreSQL.

use std::time::Duration;

use super::bed::Bed;
use super::figures::{Latencies, Table, median, millis, seconds, verdict, whole};
use super::floor::Floor;
use super::place::{Place, Where};
use super::postgres::{self, Postgres};
use super::rss::quiet;
use super::wire::{Load, Target};
use super::{Error, Outcome};

/// Options of `ebbtide bench ingest`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Rows of one COPY run, over all connections
    #[arg(long, default_value_t = 400_000)]
    copy_rows: u32,
    /// Rows of one INSERT run, over all connections
    #[arg(long, default_value_t = 100_000)]
    insert_rows: u32,
    /// Connections at once
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16])]
    connections: Vec<u32>,
    /// Runs of each kind, ours and PostgreSQL's by turns; the middle one counts
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Only ours, even where there is a PostgreSQL
    #[arg(long)]
    no_postgres: bool,
    #[command(flatten)]
    place: Where,
}

/// Ours over PostgreSQL's.
const COPY_AIM: f64 = 0.5;
const INSERT_AIM: f64 = 1.0;

/// About what an INSERT of 100 rows appends to a log.
const INSERT_BYTES: usize = 12 << 10;
const FLOOR_FOR: Duration = Duration::from_secs(1);

/// Runs first, so that no server is measured cold.
const WARM_ROWS: u32 = 2000;

pub(super) async fn run(args: Args) -> Outcome {
    let place = args.place.make()?;
    let room = place.room("ours")?;
    let bed = Bed::open(room.path()).await?;
    let listener = bed.serve().await?;
    let postgres = if args.no_postgres { None } else { start_postgres(&place).await? };
    let measured = measure(&args, &place, &Target::ours(listener.address()), postgres.as_ref()).await;
    drop(postgres);
    listener.stop().await;
    bed.close().await;
    measured?;
    Ok(std::process::ExitCode::SUCCESS)
}

async fn start_postgres(place: &Place) -> Result<Option<Postgres>, Error> {
    match postgres::find() {
        Some(bin) => Ok(Some(Postgres::start(bin, place.room("postgres")?).await?)),
        None => Ok(None),
    }
}

async fn measure(args: &Args, place: &Place, ours: &Target, postgres: Option<&Postgres>) -> Result<(), Error> {
    let peer = postgres.map(|postgres| Target::postgres(postgres.url()));
    let servers: Vec<&Target> = std::iter::once(ours).chain(&peer).collect();
    println!("ingest: durable rows over the wire, {}", place.path().display());
    match postgres {
        Some(postgres) => {
            println!(
                "  beside PostgreSQL {} (fsync on, synchronous_commit on, its own defaults else)",
                postgres.version()
            );
        }
        None => println!("  no PostgreSQL to compare with: no initdb in PATH or /usr/lib/postgresql"),
    }
    let mut table = Table::new(&[
        "",
        "rows",
        "ours rows/s",
        "PostgreSQL rows/s",
        "ours / PostgreSQL",
        "ours p50, p99",
        "PostgreSQL p50, p99",
    ]);
    let mut aims = Vec::new();
    let mut runs = 0;
    for (insert, rows, aim) in [(false, args.copy_rows, COPY_AIM), (true, args.insert_rows, INSERT_AIM)] {
        for &connections in &args.connections {
            let load = Load { insert, rows, connections };
            for server in &servers {
                runs += 1;
                server.load(Load { rows: WARM_ROWS.min(rows), ..load }, runs).await?;
            }
            let mut figures = vec![Figures::default(); servers.len()];
            for _ in 0..args.runs.max(1) {
                for (server, figures) in servers.iter().zip(&mut figures) {
                    quiet().await;
                    runs += 1;
                    let loaded = server.load(load, runs).await?;
                    figures.rates.push(f64::from(rows) / loaded.took.as_secs_f64());
                    figures.latencies.append(loaded.latencies);
                }
            }
            let name = load.to_string();
            let rates: Vec<f64> = figures.iter().map(|figures| median(figures.rates.clone())).collect();
            let ratio = rates.get(1).map(|peer| rates[0] / peer);
            let mut latencies = figures.iter_mut().map(|figures| figures.latencies(insert));
            table.row([
                name.clone(),
                whole(f64::from(rows)),
                whole(rates[0]),
                rates.get(1).map_or_else(|| "-".to_owned(), |rate| whole(*rate)),
                ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
                latencies.next().unwrap_or_default(),
                latencies.next().unwrap_or_default(),
            ]);
            if let Some(ratio) = ratio {
                aims.push(format!(
                    "{name}: {ratio:.2} of PostgreSQL's rows/s (aim at least {aim}: {})",
                    verdict(ratio >= aim)
                ));
            }
        }
    }
    table.print();
    let mut floor = Floor::default();
    floor.measure(place.path(), INSERT_BYTES, FLOOR_FOR)?;
    println!("  {}", floor.line(INSERT_BYTES));
    aims.iter().for_each(|aim| println!("  {aim}"));
    Ok(())
}

/// What one server did in all runs of a kind.
#[derive(Clone, Default)]
struct Figures {
    rates: Vec<f64>,
    latencies: Latencies,
}

impl Figures {
    /// Of one INSERT, or of one connection's whole COPY.
    fn latencies(&mut self, insert: bool) -> String {
        let show = if insert { millis } else { seconds };
        format!("{}, {}", show(self.latencies.p50()), show(self.latencies.p99()))
    }
}
