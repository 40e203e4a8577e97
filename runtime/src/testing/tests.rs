//! The tools themselves: a death falls where it was asked for, and a workflow that is not safe to repeat is found out.

use super::{Moment, START, World, crash_everywhere};
use crate::status::Status;
use crate::step::{Step, StepError};
use crate::submit::NewJob;
use crate::workflow::{View, Workflow};
use ebbtide_engine::{Cache, Space, Write, counter};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const MARKS: Space = Space { name: "marks", cache: Cache::Shared };

/// Waits until it is stopped.
#[derive(Serialize, Deserialize)]
struct Sleeper;

#[typetag::serde(name = "sleeper")]
impl Workflow for Sleeper {
    fn step<'a>(self: Box<Self>, cx: &'a mut Step) -> BoxFuture<'a, Result<Box<dyn Workflow>, StepError>> {
        Box::pin(async move { Err(cx.signal().stopped().await.into()) })
    }

    fn view(&self) -> View<'_> {
        View::new("sleeper", "Asleep")
    }
}

/// A job that never ends by itself.
pub(crate) fn sleeper() -> NewJob {
    NewJob::new("sleepers", Box::new(Sleeper))
}

/// Where the effect of [`Letter`]'s second step goes.
#[derive(Clone, Copy, Serialize, Deserialize)]
enum Effect {
    /// Into the commit of the step.
    Committed,
    /// To the outside, each time it is stepped.
    Outside,
}

#[derive(Serialize, Deserialize)]
enum Letter {
    Written(Effect),
    Stamped(Effect),
    Sent,
}

/// What the outside has received.
#[derive(Default)]
struct Post(AtomicU32);

#[typetag::serde(name = "letter")]
impl Workflow for Letter {
    fn step<'a>(self: Box<Self>, cx: &'a mut Step) -> BoxFuture<'a, Result<Box<dyn Workflow>, StepError>> {
        Box::pin(async move {
            let next = match *self {
                // The line is busy at first, so that a time to wait for is on the path too.
                Letter::Written(_) if cx.attempt() == 1 => return Err(StepError::retry("no stamps")),
                Letter::Written(effect) => Letter::Stamped(effect),
                Letter::Stamped(Effect::Committed) => {
                    cx.write(Write::add(MARKS, "sent", 1));
                    Letter::Sent
                }
                Letter::Stamped(Effect::Outside) => {
                    cx.get::<Post>()?.0.fetch_add(1, Ordering::SeqCst);
                    Letter::Sent
                }
                Letter::Sent => Letter::Sent,
            };
            Ok(Box::new(next) as Box<dyn Workflow>)
        })
    }

    fn view(&self) -> View<'_> {
        match self {
            Letter::Written(_) => View::new("letter", "Written"),
            Letter::Stamped(_) => View::new("letter", "Stamped"),
            Letter::Sent => View::new("letter", "Sent").done(),
        }
    }
}

fn letter(effect: Effect) -> NewJob {
    NewJob::new("letters", Box::new(Letter::Written(effect))).unique(*b"letter")
}

fn world(post: &Arc<Post>) -> World {
    World::with_spaces(&[MARKS]).with(Arc::clone(post))
}

fn sent(world: &World) -> i64 {
    world.engine.snapshot().get(MARKS, b"sent").unwrap().map_or(0, |value| counter(&value))
}

#[tokio::test]
async fn a_death_before_in_and_after_the_same_commit_leaves_what_it_says() {
    // Submission, claim, failure, claim, and then the checkpoint from Written to Stamped.
    for (moment, state, status) in [
        (Moment::Before, "Written", Status::Running),
        (Moment::During, "Stamped", Status::Running),
        (Moment::After, "Stamped", Status::Running),
    ] {
        let mut world = world(&Arc::default());
        world.crash_at(5, moment);
        let id = world.submit(letter(Effect::Committed)).await.unwrap();
        world.died().await;
        let job = world.job(&id);
        assert_eq!((job.state.as_str(), job.status), (state, status), "{moment}");
        assert_eq!(sent(&world), 0);
        world.run_to_idle().await;
        assert_eq!((world.job(&id).status, sent(&world), world.crashes()), (Status::Completed, 1, 1));
        assert_eq!(world.path(&id), ["Written", "Stamped", "Sent"]);
    }
}

#[tokio::test]
async fn an_effect_in_the_commit_is_there_once_after_every_death() {
    let post = Arc::default();
    let deaths = crash_everywhere(
        async || world(&post),
        |_| letter(Effect::Committed),
        async |world, _| assert_eq!(sent(world), 1),
    )
    .await;
    assert_eq!(deaths.path, ["Written", "Stamped", "Sent"]);
    // Submission, claim, failure, claim, two checkpoints.
    assert_eq!((deaths.commits, deaths.runs, deaths.unreached), (6, 36, 0));
}

#[tokio::test]
async fn an_effect_outside_the_commit_is_found_out() {
    let post: Arc<Post> = Arc::default();
    let run = crash_everywhere(
        async || {
            post.0.store(0, Ordering::SeqCst);
            world(&post)
        },
        |_| letter(Effect::Outside),
        async |_, _| assert_eq!(post.0.load(Ordering::SeqCst), 1, "sent twice"),
    );
    let panic = AssertUnwindSafe(run)
        .catch_unwind()
        .await
        .expect_err("a death between the effect and its commit sends it twice");
    let said = panic.downcast_ref::<String>().expect("an assertion with a text");
    assert!(said.contains("sent twice") && said.contains("a death after commit 5 of 6"), "{said}");
}

#[tokio::test]
async fn a_submission_that_died_is_in_doubt_until_it_is_looked_for() {
    for (moment, stored) in [(Moment::Before, 0), (Moment::During, 1)] {
        let mut world = world(&Arc::default());
        world.crash_at(1, moment);
        let error = world.submit(letter(Effect::Committed)).await.expect_err("nobody was told");
        assert!(error.to_string().contains("died"), "{error}");
        assert_eq!(world.list(crate::Filter::default()).len(), stored);
    }
}

#[tokio::test]
async fn the_clock_is_moved_to_what_jobs_wait_for_and_no_further() {
    let mut world = world(&Arc::default());
    world.options.backoff_min = Duration::from_secs(8);
    // Chance takes five of the eight seconds.
    world.env.set_chance(5_000_000);
    let id = world.submit(letter(Effect::Committed)).await.unwrap();
    world.run_to_idle().await;
    assert_eq!(world.history(&id), ["Written pending", "Written running", "Written retrying: no stamps"]);
    world.advance(Duration::from_millis(4_999));
    world.run_to_idle().await;
    assert_eq!(world.job(&id).status, Status::Retrying);
    world.run_to_end().await;
    assert_eq!(world.job(&id).completed_at, Some(START + 5_000_000));
}

#[tokio::test]
async fn what_is_stored_outlives_the_engine() {
    let mut first = world(&Arc::default());
    let id = first.submit(letter(Effect::Committed)).await.unwrap();
    first.run_to_idle().await;
    first.crash().await;
    let second = first.reopen();
    assert_eq!(second.path(&id), ["Written", "Stamped", "Sent"]);
    second.assert_sound();
}
