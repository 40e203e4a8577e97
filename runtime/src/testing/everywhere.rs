//! A death at every commit of a job's path, and in the recovery from it, and what must hold after each.

use super::death::Moment;
use super::world::World;
use crate::job::{Job, JobId};
use crate::query::Filter;
use crate::submit::NewJob;
use futures::FutureExt;
use std::panic::AssertUnwindSafe;

/// What [`crash_everywhere`] has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deaths {
    /// The states of the job in a run without a death.
    pub path: Vec<String>,
    /// The commits of that run.
    pub commits: u64,
    /// Runs with at least one death.
    pub runs: u64,
    /// Commits of that run that another run never came to. Above zero when a workflow does not always take the same steps.
    pub unreached: u64,
}

/// Runs one job without a death, and then again with a death before, in and after each of its commits: submission, claim,
/// every checkpoint, the end. Each of those runs is done twice, the second time with another death in the first commit of the
/// recovery.
///
/// `make_world` gives a fresh world each time, with nothing but what the job needs; `make_job` the job, the same each time. A
/// submission that died unanswered is looked for, and submitted again when it is not there, as a careful client does. After
/// each run the job must have come to the same status and state by the same states, the counters must equal a recount and no
/// active key may be left; `check` asserts what is the workflow's own, above all that every effect is there once.
///
/// # Panics
///
/// When any of this does not hold, naming the death after which it did not.
pub async fn crash_everywhere(
    make_world: impl AsyncFn() -> World,
    make_job: impl Fn(&World) -> NewJob,
    check: impl AsyncFn(&World, &Job),
) -> Deaths {
    let mut world = make_world().await;
    let new = make_job(&world);
    let commits = world.commits();
    let id = run(&mut world, new, &make_job).await;
    let commits = world.commits() - commits;
    let expected = Outcome::of(&world, &id);
    verify(&world, &id, &expected, &check, "without a death").await;
    drop(world);

    let mut deaths = Deaths { path: expected.path.clone(), commits, runs: 0, unreached: 0 };
    for commit in 1..=commits {
        for moment in Moment::ALL {
            for again in [false, true] {
                let mut world = make_world().await;
                let new = make_job(&world);
                let crashes = world.crashes();
                world.crash_at(commit, moment);
                if again {
                    world.crash_again_at(1, Moment::During);
                }
                let id = run(&mut world, new, &make_job).await;
                deaths.runs += 1;
                if world.crashes() == crashes {
                    deaths.unreached += 1;
                }
                let after = if again { ", and in the first commit of the recovery" } else { "" };
                let place = format!("after a death {moment} commit {commit} of {commits}{after}");
                verify(&world, &id, &expected, &check, &place).await;
            }
        }
    }
    deaths
}

/// What must be the same with and without a death.
#[derive(Debug, PartialEq)]
struct Outcome {
    status: crate::Status,
    state: String,
    path: Vec<String>,
}

impl Outcome {
    fn of(world: &World, id: &JobId) -> Self {
        let job = world.job(id);
        Self { status: job.status, state: job.state, path: world.path(id) }
    }
}

async fn run(world: &mut World, new: NewJob, make_job: &impl Fn(&World) -> NewJob) -> JobId {
    let before: Vec<JobId> = world.list(Filter::default()).iter().map(|job| job.job_id).collect();
    let mut submitted = world.submit(new).await;
    // In doubt: look, and only then ask again. Each time the world may die once more, and not for ever.
    while let Err(error) = submitted {
        let stored = world.list(Filter::default()).into_iter().rev().find(|job| !before.contains(&job.job_id));
        submitted = match stored {
            Some(job) => Ok(job.job_id),
            None if world.crashes() > 0 => {
                let new = make_job(world);
                world.submit(new).await
            }
            None => panic!("the job cannot be submitted: {error}"),
        };
    }
    world.run_to_end().await;
    submitted.expect("the loop ends with an id")
}

async fn verify(world: &World, id: &JobId, expected: &Outcome, check: &impl AsyncFn(&World, &Job), place: &str) {
    let checked = AssertUnwindSafe(async {
        assert_eq!(Outcome::of(world, id), *expected, "history: {:#?}", world.history(id));
        world.assert_sound();
        check(world, &world.job(id)).await;
    });
    if let Err(cause) = checked.catch_unwind().await {
        let said = cause.downcast_ref::<&str>().copied().or_else(|| cause.downcast_ref::<String>().map(String::as_str));
        panic!("{place}: {}", said.unwrap_or("a check panicked without a text"));
    }
}
