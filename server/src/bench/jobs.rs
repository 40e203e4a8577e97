//! `ebbtide bench jobs`: durable transitions in a second, and how long one takes, beside the machine's own synced writes.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ebbtide_engine::rocks::Rocks;
use ebbtide_engine::{Engine, SystemEnv};
use ebbtide_runtime::{BoxFuture, Drain, NewJob, Options, Runtime, SPACES, Status, Step, StepError, View, Workflow};
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use tokio::sync::Barrier;

use super::Outcome;
use super::figures::{Latencies, Table, millis, rate, verdict, whole};
use super::floor::Floor;
use super::place::Where;

/// Options of `ebbtide bench jobs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Jobs that run at once
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 256])]
    concurrent: Vec<usize>,
    /// How long each number of jobs runs
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    #[command(flatten)]
    place: Where,
}

/// How long the machine's own writes are measured, before and after each run.
const FLOOR_FOR: Duration = Duration::from_secs(1);
/// A run whose only purpose is to see what one transition appends to the log.
const SIZING_FOR: Duration = Duration::from_millis(500);

/// A checkpoint is one commit with one sync, so it costs little more than the sync alone.
const P50_PER_SYNC_AIM: f64 = 1.5;
/// Jobs that run at once share syncs: jobs, transitions in a second.
const RATE_AIMS: [(usize, f64); 2] = [(16, 10_000.0), (256, 30_000.0)];

pub(super) async fn run(args: Args) -> Outcome {
    let place = args.place.make()?;
    let sizing = relay(place.room("sizing")?.path(), 1, SIZING_FOR).await?;
    let bytes = sizing.log_bytes_per_transition();
    let length = Duration::try_from_secs_f64(args.seconds)?;
    println!("jobs: durable transitions, {} s each, {}", args.seconds, place.path().display());

    let mut floor = Floor::default();
    let mut table = Table::new(&[
        "jobs at once",
        "transitions/s",
        "p50",
        "p99",
        "synced writes/s",
        "p50",
        "p99",
        "rate ratio",
        "p50 ratio",
    ]);
    let mut aims = Vec::new();
    for &jobs in &args.concurrent {
        let mut beside = Floor::default();
        beside.measure(place.path(), bytes, FLOOR_FOR)?;
        let mut run = relay(place.room(&format!("jobs-{jobs}"))?.path(), jobs, length).await?;
        beside.measure(place.path(), bytes, FLOOR_FOR)?;
        let (done, p50) = (rate(run.latencies.len() as u64, run.took), run.latencies.p50());
        let p50_ratio = p50.as_secs_f64() / beside.p50().as_secs_f64();
        table.row([
            jobs.to_string(),
            whole(done),
            millis(p50),
            millis(run.latencies.p99()),
            whole(beside.rate()),
            millis(beside.p50()),
            millis(beside.p99()),
            format!("{:.2}", done / beside.rate()),
            format!("{p50_ratio:.2}"),
        ]);
        if jobs == 1 {
            let met = verdict(p50_ratio <= P50_PER_SYNC_AIM);
            aims.push(format!(
                "1 job: p50 is {p50_ratio:.2} of one synced write (aim at most {P50_PER_SYNC_AIM}: {met})"
            ));
        }
        if let Some((_, aim)) = RATE_AIMS.iter().find(|(of, _)| *of == jobs) {
            let met = verdict(done >= *aim);
            aims.push(format!("{jobs} jobs: {} transitions/s (aim at least {}: {met})", whole(done), whole(*aim)));
        }
        floor.add(beside);
    }
    table.print();
    println!("  {}", floor.line(bytes));
    aims.iter().for_each(|aim| println!("  {aim}"));
    Ok(std::process::ExitCode::SUCCESS)
}

/// What a run of jobs measured.
struct Run {
    /// From one step of a job to its next one: the commit between them, durable, and the runner's own part.
    latencies: Latencies,
    took: Duration,
    log_bytes: u64,
}

impl Run {
    fn log_bytes_per_transition(&self) -> usize {
        // Nothing was committed, or the log was cut meanwhile: about what a small job's row and transition take.
        const USUAL: usize = 512;
        let each = self.log_bytes.checked_div(self.latencies.len() as u64).unwrap_or(0);
        usize::try_from(each).ok().filter(|bytes| *bytes > 0).unwrap_or(USUAL)
    }
}

/// Runs `jobs` jobs at once, each from state to state as fast as it can, in an engine of their own.
async fn relay(dir: &Path, jobs: usize, length: Duration) -> Result<Run, super::Error> {
    let engine = Rocks::open(dir, SPACES, &ebbtide_engine::Options::default(), Arc::new(SystemEnv))?;
    let course = Arc::new(Course {
        begin: Barrier::new(jobs + 1),
        length,
        lanes: (0..jobs).map(|_| Mutex::default()).collect(),
    });
    let options = Options { concurrency_max: jobs, ..Options::default() };
    let runtime =
        Runtime::builder(engine.clone(), Arc::new(SystemEnv)).options(options).with(course.clone()).start().await?;

    let submissions = (0..jobs).map(|lane| runtime.submit(NewJob::new("bench", Box::new(Relay::Ready { lane }))));
    let submitted = try_join_all(submissions).await?;
    course.begin.wait().await;
    let (begun, log_before) = (Instant::now(), log_bytes(dir)?);
    for job in try_join_all(submitted.iter().map(|job| runtime.wait(job.id()))).await? {
        if job.status != Status::Completed {
            return Err(format!("a job of the bench is {}: {}", job.status, job.error.unwrap_or_default()).into());
        }
    }
    let log_bytes = log_bytes(dir)?.saturating_sub(log_before);
    runtime.shutdown(Drain::Checkpoint, Duration::from_secs(10)).await;
    engine.close();

    let mut latencies = Latencies::default();
    let mut ended = begun;
    for lane in &course.lanes {
        let laps = lane.lock().unwrap_or_else(PoisonError::into_inner);
        laps.windows(2).for_each(|pair| latencies.push(pair[1] - pair[0]));
        ended = ended.max(laps.last().copied().unwrap_or(begun));
    }
    Ok(Run { latencies, took: ended - begun, log_bytes })
}

/// Bytes in the engine's logs.
fn log_bytes(dir: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == "log") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

/// What all jobs of one run share.
struct Course {
    /// All jobs and the one who measures.
    begin: Barrier,
    length: Duration,
    /// Per job: when each of its steps began.
    lanes: Vec<Mutex<Vec<Instant>>>,
}

impl Course {
    /// A job's step begins; says whether the run is over.
    fn lap(&self, lane: usize) -> bool {
        let now = Instant::now();
        let mut laps = self.lanes[lane].lock().unwrap_or_else(PoisonError::into_inner);
        laps.push(now);
        now.duration_since(laps[0]) >= self.length
    }
}

/// A job that does nothing but move: each of its transitions changes the name of the state, and so is synced.
#[derive(Serialize, Deserialize)]
enum Relay {
    Ready { lane: usize },
    Tick { lane: usize, laps: u64 },
    Tock { lane: usize, laps: u64 },
    Over,
}

#[typetag::serde(name = "bench")]
impl Workflow for Relay {
    fn step<'a>(self: Box<Self>, cx: &'a mut Step) -> BoxFuture<'a, Result<Box<dyn Workflow>, StepError>> {
        Box::pin(async move {
            let course = cx.get::<Course>()?;
            let next = match *self {
                Relay::Ready { lane } => {
                    course.begin.wait().await;
                    course.lap(lane);
                    Relay::Tick { lane, laps: 0 }
                }
                Relay::Tick { lane, .. } | Relay::Tock { lane, .. } if course.lap(lane) => Relay::Over,
                Relay::Tick { lane, laps } => Relay::Tock { lane, laps: laps + 1 },
                Relay::Tock { lane, laps } => Relay::Tick { lane, laps: laps + 1 },
                Relay::Over => Relay::Over,
            };
            Ok(Box::new(next) as Box<dyn Workflow>)
        })
    }

    fn view(&self) -> View<'_> {
        match self {
            Relay::Ready { .. } => View::new("bench", "Ready"),
            Relay::Tick { .. } => View::new("bench", "Tick"),
            Relay::Tock { .. } => View::new("bench", "Tock"),
            Relay::Over => View::new("bench", "Over").done(),
        }
    }
}
