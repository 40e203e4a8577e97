//! A long batch with a cursor: ten thousand letters, two hundred at a time, and a crash costs one portion at most.
//!
//! ```text
//!   Counting ─► Writing(next) ─► Done
//!                 ▲     │
//!                 └─────┘  next portion: letters and cursor in one commit
//! ```
//!
//! The checkpoint is a cursor and not a log: the stored job is as small at the end as at the beginning, and moving the cursor
//! records no transition. What a portion writes commits together with the cursor, so no letter is written twice.
//!
//! Run it with `cargo run -p ebbtide-runtime --example batch`. It stops half way, as a program does that is updated, goes on
//! where it was, and then dies before, in and after every commit of a smaller batch. It exits with an error if a letter is
//! missing or was written twice.

use ebbtide_engine::env::{SharedEnv, SystemEnv};
use ebbtide_engine::rocks::Rocks;
use ebbtide_engine::{Cache, KeyRange, Order, SharedEngine, Space, Write, counter};
use ebbtide_runtime::testing::{World, crash_everywhere};
use ebbtide_runtime::{
    BoxFuture, Drain, Job, NewJob, Options, Progress, Runtime, SPACES, Status, Step, StepError, View, Workflow,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// How often each letter was written.
const LETTERS: Space = Space { name: "letters", cache: Cache::Shared };

/// Letters of one step: the work that a crash may cost, and what one commit holds.
const PORTION: u64 = 200;

/// A batch: how much there is to do, and where it stands.
#[derive(Serialize, Deserialize)]
struct Batch {
    letters: u64,
    state: State,
}

#[derive(Serialize, Deserialize)]
enum State {
    Counting,
    Writing { next: u64 },
    Done,
}

#[typetag::serde(name = "batch")]
impl Workflow for Batch {
    fn step<'a>(self: Box<Self>, cx: &'a mut Step) -> BoxFuture<'a, Result<Box<dyn Workflow>, StepError>> {
        Box::pin(async move {
            let Batch { letters, state } = *self;
            let state = match state {
                State::Counting => State::Writing { next: 0 },
                State::Writing { next } => write(letters, next, cx)?,
                State::Done => State::Done,
            };
            Ok(Box::new(Batch { letters, state }) as Box<dyn Workflow>)
        })
    }

    fn view(&self) -> View<'_> {
        let progress = |rows_done| Progress { rows_done, ..Progress::default() };
        let view = match self.state {
            State::Counting => View::new("batch", "Counting"),
            State::Writing { next } => View { progress: progress(next), ..View::new("batch", "Writing") },
            State::Done => View {
                progress: progress(self.letters),
                result: Some(json!({ "letters": self.letters })),
                ..View::new("batch", "Done").done()
            },
        };
        View { parameters: json!({ "letters": self.letters }), ..view }
    }
}

/// Writes one portion. A stop is looked at in between, so that a shutdown waits for one letter and not for a portion.
fn write(letters: u64, next: u64, cx: &mut Step) -> Result<State, StepError> {
    let end = letters.min(next + PORTION);
    for letter in next..end {
        cx.signal().check()?;
        cx.write(Write::add(LETTERS, letter.to_be_bytes(), 1));
        cx.progress().add_rows(1);
    }
    Ok(if end == letters { State::Done } else { State::Writing { next: end } })
}

type Failure = Box<dyn std::error::Error>;

async fn start(engine: &SharedEngine, env: &SharedEnv) -> Result<Runtime, Failure> {
    Ok(Runtime::builder(Arc::clone(engine), Arc::clone(env)).options(Options::default()).start().await?)
}

fn batch(letters: u64) -> NewJob {
    NewJob::new("letters", Box::new(Batch { letters, state: State::Counting }))
}

/// How many letters were written once, and how many more often.
fn written(engine: &SharedEngine) -> Result<(u64, u64), Failure> {
    let mut cursor = engine.snapshot().scan(LETTERS, KeyRange::all(), Order::Ascending)?;
    let (mut once, mut more) = (0, 0);
    while let Some((_, value)) = cursor.next()? {
        *if counter(value) == 1 { &mut once } else { &mut more } += 1;
    }
    Ok((once, more))
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let env: SharedEnv = Arc::new(SystemEnv);
    let spaces = [SPACES, &[LETTERS]].concat();
    let engine: SharedEngine =
        Rocks::open(directory.path(), &spaces, &ebbtide_engine::Options::default(), Arc::clone(&env))?;

    let runtime = start(&engine, &env).await?;
    let id = *runtime.submit(batch(10_000)).await?.id();
    // Some way into it; how far does not matter.
    while runtime.job(&id)?.is_some_and(|job| job.rows_done < 1000) {
        tokio::task::yield_now().await;
    }
    runtime.shutdown(Drain::Checkpoint, Duration::from_secs(10)).await;
    let job = runtime.job(&id)?.ok_or("the batch is stored")?;
    say(&format!("shut down: {} in {}, {} letters", job.status, job.state, job.rows_done));

    let runtime = start(&engine, &env).await?;
    let job = runtime.wait(&id).await?;
    let (once, more) = written(&engine)?;
    let transitions = runtime.transitions(&id)?.len();
    say(&format!("{} with {}: {once} once, {more} more often", job.status, job.result.clone().unwrap_or_default()));
    say(&format!("{transitions} transitions for {} portions", 10_000 / PORTION));
    check(job.status == Status::Completed && (once, more) == (10_000, 0), "every letter once")?;
    check(transitions < 10, "a cursor and no log")?;
    runtime.shutdown(Drain::Checkpoint, Duration::from_secs(10)).await;

    let holds = async |world: &World, job: &Job| {
        assert_eq!(written(&world.engine).ok(), Some((500, 0)), "every letter once");
        assert_eq!(job.rows_done, 500);
    };
    let deaths = crash_everywhere(async || World::with_spaces(&[LETTERS]), |_| batch(500), holds).await;
    say(&format!(
        "died in {} runs, at each of {} commits of {}",
        deaths.runs,
        deaths.commits,
        deaths.path.join(" -> ")
    ));
    Ok(())
}

fn check(holds: bool, promise: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(format!("broken promise: {promise}").into()) }
}

#[expect(clippy::print_stdout, reason = "an example shows what it does")]
fn say(line: &str) {
    println!("{line}");
}
