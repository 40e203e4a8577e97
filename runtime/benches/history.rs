//! A large history: listing it, and pruning it while others read and write. Prints; asserts nothing, for machines differ.
//!
//! `cargo bench -p ebbtide-runtime --bench history`, with `JOBS` (1,000,000) and `KEPT_PERCENT` (1: how many of them failed,
//! scattered among the others, and stay) from the environment.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "it prints, and has nobody to give an error to")]

use ebbtide_engine::env::{Env, HeldEnv, SharedEnv, SystemEnv};
use ebbtide_engine::rocks::Rocks;
use ebbtide_engine::{Cache, Commit, SharedEngine, Space, Sync, Write};
use ebbtide_runtime::prune::{self, Place, Retention};
use ebbtide_runtime::testing::Past;
use ebbtide_runtime::{
    BoxFuture, Filter, JobId, NewJob, Options, Runtime, Status, Step, StepError, View, Workflow, query,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use uuid::Uuid;

const OTHERS: Space = Space { name: "others", cache: Cache::Shared };
const DAY: i64 = 86_400_000_000;
const WEEK: Duration = Duration::from_secs(7 * 86_400);

#[tokio::main(worker_threads = 2)]
async fn main() {
    let count = setting("JOBS", 1_000_000);
    let kept_percent = setting("KEPT_PERCENT", 1);
    let dir = tempfile::tempdir().unwrap();
    let spaces = [ebbtide_runtime::SPACES, &[OTHERS]].concat();
    let env: SharedEnv = Arc::new(SystemEnv);
    let engine: SharedEngine =
        Rocks::open(dir.path(), &spaces, &ebbtide_engine::Options::default(), Arc::clone(&env)).unwrap();

    let begun = Instant::now();
    let sample = fill(&engine, count, kept_percent).await;
    println!("{count} jobs stored, {kept_percent} % of them failed, in {:.1} s", begun.elapsed().as_secs_f64());
    listings(&engine, &sample);

    let runtime = Runtime::builder(Arc::clone(&engine), env).options(Options::default()).start().await.unwrap();
    let alone = Others::start(&engine);
    tokio::time::sleep(Duration::from_secs(3)).await;
    alone.report("nobody prunes").await;

    let most = Retention { completed: Some(WEEK), cancelled: Some(WEEK), ..Retention::default() };
    // One batch is pruned, which raises the floor.
    let first = prune::plan(&engine.snapshot(), &most, SystemEnv.now(), None, prune::JOBS_MAX).unwrap();
    let commit = Commit { expect: first.expect, writes: first.writes, sync: Sync::Unsynced };
    engine.commit(commit).await.unwrap();
    for again in ["cold", "warm"] {
        let (begun, cpu) = (Instant::now(), cpu());
        let (jobs, writes) = dry_run(&engine, &most);
        say_rate(&format!("planned and not committed, {again}: {writes} writes"), jobs, begun, cpu);
    }
    for (name, retention) in
        [("a week and the failed ones stay", most), ("a day stays", Retention::all(Duration::from_secs(86_400)))]
    {
        let others = Others::start(&engine);
        let (begun, cpu) = (Instant::now(), cpu());
        let job = NewJob::new("bench", Box::new(Cleanup::new(&retention)));
        let id = *runtime.submit(job).await.unwrap().id();
        let job = runtime.wait(&id).await.unwrap();
        assert_eq!(job.status, Status::Completed, "{:?}", job.error);
        say_rate(&format!("pruned, {name}: {} commits", job.users_done), job.rows_done, begun, cpu);
        others.report("meanwhile").await;
        println!("listings after it");
        listings(&engine, &sample);
    }
    let left: u64 = query::counts(&*engine.snapshot()).unwrap().into_iter().map(|(_, count)| count).sum();
    println!("{left} jobs left");
}

/// Plans everything from one snapshot. The plans are not committed, so the floor is not raised by them.
fn dry_run(engine: &SharedEngine, retention: &Retention) -> (u64, usize) {
    let (snapshot, now) = (engine.snapshot(), SystemEnv.now());
    let (mut jobs, mut writes, mut after) = (0, 0, None::<Place>);
    loop {
        let batch = prune::plan(&snapshot, retention, now, after.as_ref(), prune::JOBS_MAX).unwrap();
        (jobs, writes, after) = (jobs + batch.jobs, writes + batch.writes.len(), batch.next);
        if after.is_none() {
            return (jobs, writes);
        }
    }
}

fn say_rate(what: &str, jobs: u64, begun: Instant, cpu_begun: Duration) {
    let took = begun.elapsed().as_secs_f64();
    let cpu = (cpu() - cpu_begun).as_secs_f64();
    let each = cpu / jobs as f64 * 1e6;
    println!(
        "{what}: {jobs} jobs in {took:.2} s, {:.0} jobs/s; {cpu:.2} s of CPU, {each:.1} µs a job",
        jobs as f64 / took
    );
}

/// CPU time of this process.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

/// Stores jobs of the last sixty days but one, of twenty tables and three workflows, and gives some of their ids.
async fn fill(engine: &SharedEngine, count: u64, kept_percent: u64) -> Vec<JobId> {
    let (now, chance) = (SystemEnv.now(), HeldEnv::at(0));
    let mut sample = Vec::new();
    let mut writes = Vec::new();
    for number in 0..count {
        let created_at = now - 61 * DAY + (60 * DAY) / count as i64 * number as i64;
        let status = match chance.random() % 100 {
            dice if dice < kept_percent => Status::Failed,
            99 => Status::Cancelled,
            _ => Status::Completed,
        };
        let past = Past {
            workflow: format!("flush {}", number % 3),
            kind: "flush".to_owned(),
            scope: Some(("chat".to_owned(), format!("table_{:02}", number % 20))),
            status,
            created_at,
            ended_at: created_at + 1_000_000 + (chance.random() % 1_000_000) as i64,
            idempotency_key: None,
        };
        let mut rest = [0; 10];
        rest[2..].copy_from_slice(&chance.random().to_be_bytes());
        let uuid: Uuid = uuid::Builder::from_unix_timestamp_millis(created_at as u64 / 1000, &rest).into_uuid();
        let id = JobId::from_uuid(uuid);
        writes.extend(past.writes(&id));
        if number % 997 == 0 {
            sample.push(id);
        }
        if number % 500 == 499 || number + 1 == count {
            let writes = std::mem::take(&mut writes);
            engine.commit(Commit { writes, sync: Sync::Unsynced, ..Commit::default() }).await.unwrap();
        }
    }
    sample
}

fn listings(engine: &SharedEngine, ids: &[JobId]) {
    let filters = [
        ("first 100 completed", Filter::statuses([Status::Completed])),
        ("first 100 failed", Filter::statuses([Status::Failed])),
        ("first 100 of a table", Filter::scope("chat", "table_07")),
        ("first 100 of a workflow", Filter { workflow: Some("flush 1".to_owned()), ..Filter::default() }),
        ("newest 100", Filter::default()),
    ];
    let snapshot = engine.snapshot();
    let times = ids.iter().map(|id| timed(|| query::job(&*snapshot, id).unwrap().map(drop)));
    print("  one job by its id", times.collect());
    for (name, filter) in filters {
        let page = || query::jobs(&snapshot, filter.clone()).unwrap().page(100).unwrap();
        print(&format!("  {name} ({} found)", page().len()), (0..300).map(|_| timed(page)).collect());
    }
    print("  counts by status", (0..300).map(|_| timed(|| query::counts(&*snapshot).unwrap())).collect());
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let begun = Instant::now();
    std::hint::black_box(work());
    begun.elapsed()
}

fn print(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |part: f64| times.get((times.len() as f64 * part) as usize).or(times.last()).copied().unwrap_or_default();
    let [p50, p95, max] = [at(0.5), at(0.95), at(1.0)].map(|time| time.as_secs_f64() * 1000.0);
    println!("{name:<44} p50 {p50:>8.3} ms  p95 {p95:>8.3} ms  longest {max:>8.3} ms  ({} times)", times.len());
}

/// A writer of small synced commits and a reader of the newest page, as fast as they can.
struct Others {
    stop: Arc<AtomicBool>,
    writer: tokio::task::JoinHandle<Vec<Duration>>,
    reader: std::thread::JoinHandle<Vec<Duration>>,
}

impl Others {
    fn start(engine: &SharedEngine) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let writer = tokio::spawn({
            let (engine, stop) = (Arc::clone(engine), Arc::clone(&stop));
            async move {
                let mut times = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let writes = vec![Write::put(OTHERS, "key", vec![0; 200])];
                    let begun = Instant::now();
                    engine.commit(Commit { writes, ..Commit::default() }).await.unwrap();
                    times.push(begun.elapsed());
                }
                times
            }
        });
        let reader = std::thread::spawn({
            let (engine, stop) = (Arc::clone(engine), Arc::clone(&stop));
            move || {
                let mut times = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let page = || query::jobs(&engine.snapshot(), Filter::default()).unwrap().page(20).unwrap();
                    times.push(timed(page));
                    std::thread::sleep(Duration::from_millis(5));
                }
                times
            }
        });
        Self { stop, writer, reader }
    }

    async fn report(self, name: &str) {
        self.stop.store(true, Ordering::Relaxed);
        print(&format!("  {name}: a synced commit of another"), self.writer.await.unwrap());
        print(&format!("  {name}: the newest 20"), self.reader.join().unwrap());
    }
}

/// Prunes as a workflow does: a batch a step, in the step's commit.
#[derive(Serialize, Deserialize)]
struct Cleanup {
    completed: Option<Duration>,
    cancelled: Option<Duration>,
    failed: Option<Duration>,
    after: Option<Place>,
    jobs: u64,
    batches: u64,
    done: bool,
}

impl Cleanup {
    fn new(retention: &Retention) -> Self {
        let Retention { completed, cancelled, failed, .. } = *retention;
        Self { completed, cancelled, failed, after: None, jobs: 0, batches: 0, done: false }
    }
}

#[typetag::serde(name = "cleanup")]
impl Workflow for Cleanup {
    fn step<'a>(mut self: Box<Self>, cx: &'a mut Step) -> BoxFuture<'a, Result<Box<dyn Workflow>, StepError>> {
        Box::pin(async move {
            let retention = Retention {
                completed: self.completed,
                cancelled: self.cancelled,
                failed: self.failed,
                ..Retention::default()
            };
            let (snapshot, after) = (cx.engine().snapshot(), self.after);
            let now = cx.env().now();
            let plan = move || prune::plan(&snapshot, &retention, now, after.as_ref(), prune::JOBS_MAX);
            let mut batch = tokio::task::spawn_blocking(plan).await.unwrap().unwrap();
            self.jobs += batch.jobs;
            self.batches += u64::from(batch.jobs > 0);
            self.done = batch.next.is_none();
            self.after = batch.next;
            batch.put(cx);
            Ok(self as Box<dyn Workflow>)
        })
    }

    fn view(&self) -> View<'_> {
        let view = View::new("cleanup", "Pruning");
        let progress = ebbtide_runtime::Progress {
            rows_done: self.jobs,
            users_done: self.batches,
            ..ebbtide_runtime::Progress::default()
        };
        View { done: self.done, progress, ..view }
    }
}
