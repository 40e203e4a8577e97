//! `ebbtide bench recovery`: how soon after a crash interrupted jobs can be claimed again.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ebbtide_engine::rocks::Rocks;
use ebbtide_engine::{SharedEngine, SystemEnv};
use ebbtide_runtime::{
    BoxFuture, Drain, NewJob, Options, Runtime, SPACES, Status, Step, StepError, View, Workflow, query,
};
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};

use super::figures::{millis, rate, verdict, whole};
use super::place::Where;
use super::{Error, Outcome};

/// Options of `ebbtide bench recovery`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Jobs that run when the crash comes
    #[arg(long, default_value_t = 10_000)]
    jobs: usize,
    /// How often it is done
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    #[command(flatten)]
    place: Where,
}

/// From the start of the runtime until the last job can be claimed.
const AIM: Duration = Duration::from_secs(1);
/// Submissions that are under way together.
const SUBMITTED_TOGETHER: usize = 1000;

pub(super) async fn run(args: Args) -> Outcome {
    let place = args.place.make()?;
    println!("recovery: {} jobs interrupted by a crash, {}", args.jobs, place.path().display());
    for round in 0..args.rounds {
        let room = place.room(&format!("round-{round}"))?;
        interrupt(room.path(), args.jobs).await?;
        recover(room.path(), args.jobs).await?;
    }
    Ok(ExitCode::SUCCESS)
}

fn open(dir: &Path) -> Result<SharedEngine, Error> {
    Ok(Rocks::open(dir, SPACES, &ebbtide_engine::Options::default(), Arc::new(SystemEnv))?)
}

/// Jobs that run and will never end, and the end of who runs them.
async fn interrupt(dir: &Path, jobs: usize) -> Result<(), Error> {
    let engine = open(dir)?;
    let options = Options { concurrency_max: jobs, ..Options::default() };
    let gate = Arc::new(Gate { open: false });
    let runtime = Runtime::builder(engine.clone(), Arc::new(SystemEnv)).options(options).with(gate).start().await?;
    for first in (0..jobs).step_by(SUBMITTED_TOGETHER) {
        let some = first..(first + SUBMITTED_TOGETHER).min(jobs);
        let submissions = some.map(|_| runtime.submit(NewJob::new("bench", Box::new(Interrupted::Ready))));
        try_join_all(submissions).await?;
    }
    // All of them have left their first state and stand in the next one.
    while count(&engine, Status::Running)? < jobs as u64 || !all_wait(&engine, jobs)? {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    runtime.halt().await;
    drop(runtime);
    engine.close();
    Ok(())
}

fn count(engine: &SharedEngine, status: Status) -> Result<u64, Error> {
    let counts = query::counts(&*engine.snapshot())?;
    Ok(counts.iter().find(|(of, _)| *of == status).map_or(0, |(_, jobs)| *jobs))
}

fn all_wait(engine: &SharedEngine, jobs: usize) -> Result<bool, Error> {
    let filter = query::Filter { without_payload: true, ..query::Filter::statuses([Status::Running]) };
    let running = query::jobs(&engine.snapshot(), filter)?.page(jobs)?;
    Ok(running.len() == jobs && running.iter().all(|job| job.state == "Waiting"))
}

async fn recover(dir: &Path, jobs: usize) -> Result<(), Error> {
    let begun = Instant::now();
    let engine = open(dir)?;
    let opened = begun.elapsed();
    let gate = Arc::new(Gate { open: true });
    let begun = Instant::now();
    let runtime = Runtime::builder(engine.clone(), Arc::new(SystemEnv)).with(gate).start().await?;
    let took = begun.elapsed();
    let recovery = runtime.recovery();
    let resumed = recovery.resumed_count();
    if resumed != jobs as u64 {
        return Err(format!("{resumed} of {jobs} jobs were resumed: {recovery}").into());
    }
    runtime.idle().await;
    let done = begun.elapsed();
    let completed = count(&engine, Status::Completed)?;
    if completed != jobs as u64 {
        return Err(format!("{completed} of {jobs} jobs came to their end").into());
    }
    runtime.shutdown(Drain::Checkpoint, Duration::from_secs(10)).await;
    engine.close();
    println!(
        "  engine opened in {}, all claimable {} after the start (aim within {}: {}), all run to their end after {} \
         ({} jobs/s)",
        millis(opened),
        millis(took),
        millis(AIM),
        verdict(took <= AIM),
        millis(done),
        whole(rate(jobs as u64, done - took))
    );
    println!("  {recovery}");
    Ok(())
}

/// Whether jobs may come to their end.
struct Gate {
    open: bool,
}

/// A job that stands in its second state until the gate is open.
#[derive(Serialize, Deserialize)]
enum Interrupted {
    Ready,
    Waiting,
    Over,
}

#[typetag::serde(name = "bench_interrupted")]
impl Workflow for Interrupted {
    fn step<'a>(self: Box<Self>, cx: &'a mut Step) -> BoxFuture<'a, Result<Box<dyn Workflow>, StepError>> {
        Box::pin(async move {
            let next = match *self {
                Interrupted::Ready => Interrupted::Waiting,
                Interrupted::Waiting if cx.get::<Gate>()?.open => Interrupted::Over,
                Interrupted::Waiting => std::future::pending().await,
                Interrupted::Over => Interrupted::Over,
            };
            Ok(Box::new(next) as Box<dyn Workflow>)
        })
    }

    fn view(&self) -> View<'_> {
        match self {
            Interrupted::Ready => View::new("bench_interrupted", "Ready"),
            Interrupted::Waiting => View::new("bench_interrupted", "Waiting"),
            Interrupted::Over => View::new("bench_interrupted", "Over").done(),
        }
    }
}
