//! For tests of workflows: an engine in a directory of its own, a clock that stands, deaths at chosen commits, and the path
//! that a job has taken.
//!
//! ```
//! use ebbtide_runtime::testing::{Moment, World};
//! # use ebbtide_runtime::{BoxFuture, NewJob, Step, StepError, View, Workflow};
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Serialize, Deserialize)]
//! # enum Greeting { Waiting, Said }
//! # #[typetag::serde(name = "word")]
//! # impl Workflow for Greeting {
//! #     fn step<'a>(self: Box<Self>, _cx: &'a mut Step) -> BoxFuture<'a, Result<Box<dyn Workflow>, StepError>> {
//! #         Box::pin(async { Ok(Box::new(Greeting::Said) as Box<dyn Workflow>) })
//! #     }
//! #     fn view(&self) -> View<'_> {
//! #         match self {
//! #             Greeting::Waiting => View::new("word", "Waiting"),
//! #             Greeting::Said => View::new("word", "Said").done(),
//! #         }
//! #     }
//! # }
//! # #[tokio::main]
//! # async fn main() -> Result<(), ebbtide_runtime::Error> {
//! let mut world = World::new();
//! // The third commit of this job (submission, claim, first checkpoint) is written, and the program dies before it hears of it.
//! world.crash_at(3, Moment::During);
//! let id = world.submit(NewJob::new("greetings", Box::new(Greeting::Waiting))).await?;
//! world.run_to_idle().await;
//! assert_eq!(world.path(&id), ["Waiting", "Said"]);
//! assert_eq!(world.crashes(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! | part | in one line |
//! | --- | --- |
//! | [`World`] | engine, environment, services, and runtimes on them; after a death it starts again by itself |
//! | [`Env`] | clock, ids, chance, named crash points, planted defects |
//! | [`Moment`] | before, in or after a commit |
//! | [`Past`] | jobs that are over, without running them |
//! | [`crash_everywhere`] | a death at every commit of a job's path, and what must hold after each |
//!
//! These are for tests: what cannot be set up is a panic with the reason.

mod death; // an engine that dies at a chosen commit
mod env; // what is outside a program, in the hand of a test
mod everywhere; // a death at every commit of a path
mod past; // jobs that are over, without running them
mod sound; // whether counters and indexes say what the rows say
mod world; // an engine and what a runtime on it is started with

pub use death::Moment;
pub use env::Env;
pub use everywhere::{Deaths, crash_everywhere};
pub use past::Past;
pub use world::{START, World};

#[cfg(test)]
pub(crate) mod tests;
