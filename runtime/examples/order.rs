//! An order that survives its program: own states, no table, no server.
//!
//! ```text
//!   Placed ─► Paying ─► Packing(item) ─► Shipped
//!               ▲ │        ▲    │
//!        the bank's        └────┘  next item
//!        line is busy
//! ```
//!
//! Run it with `cargo run -p ebbtide-runtime --example order`. It stops in the middle of packing, as a program does whose
//! plug is pulled, starts again, and finishes the order without paying twice or packing an item twice. It exits with an error
//! if any of this is not so.

use ebbtide_engine::env::{SharedEnv, SystemEnv};
use ebbtide_engine::rocks::Rocks;
use ebbtide_engine::{Cache, SharedEngine, Space, Write, counter};
use ebbtide_runtime::{BoxFuture, Drain, NewJob, Options, Progress, Runtime, Status, Step, StepError, View, Workflow};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// What the shop itself keeps in the same engine: payments, and how often each item left the shelf.
const SHOP: Space = Space { name: "shop", cache: Cache::Shared };

/// An order: what never changes about it, and where it stands.
#[derive(Serialize, Deserialize)]
struct Order {
    items: Vec<String>,
    state: State,
}

/// The whole machine. Each state carries exactly what it needs.
#[derive(Serialize, Deserialize)]
enum State {
    Placed,
    Paying,
    Packing { packed: usize },
    Shipped { parcels: usize },
}

#[typetag::serde(name = "order")]
impl Workflow for Order {
    fn step<'a>(self: Box<Self>, cx: &'a mut Step) -> BoxFuture<'a, Result<Box<dyn Workflow>, StepError>> {
        Box::pin(async move {
            let Order { items, state } = *self;
            let state = match state {
                State::Placed => State::Paying,
                State::Paying => pay(cx)?,
                State::Packing { packed } => pack(&items, packed, cx).await?,
                State::Shipped { parcels } => State::Shipped { parcels },
            };
            Ok(Box::new(Order { items, state }) as Box<dyn Workflow>)
        })
    }

    fn view(&self) -> View<'_> {
        let view = match &self.state {
            State::Placed => View::new("order", "Placed"),
            State::Paying => View::new("order", "Paying"),
            State::Packing { packed } => View {
                subject: self.items.get(*packed).map(String::as_str),
                progress: Progress { rows_done: *packed as u64, ..Progress::default() },
                ..View::new("order", "Packing")
            },
            State::Shipped { parcels } => {
                View { result: Some(json!({ "parcels": parcels })), ..View::new("order", "Shipped").done() }
            }
        };
        View { parameters: json!({ "items": self.items }), ..view }
    }
}

/// The bank's line is busy at the first try. The payment commits together with the next state, so it happens once.
fn pay(cx: &mut Step) -> Result<State, StepError> {
    if cx.attempt() == 1 {
        return Err(StepError::retry("the bank's line is busy"));
    }
    cx.write(Write::add(SHOP, "payments", 1));
    Ok(State::Packing { packed: 0 })
}

/// One item a step. The state's name stays, so this moves a cursor and records no transition.
async fn pack(items: &[String], packed: usize, cx: &mut Step) -> Result<State, StepError> {
    let Some(item) = items.get(packed) else {
        return Ok(State::Shipped { parcels: packed });
    };
    cx.write(Write::add(SHOP, format!("packed/{item}"), 1));
    let shop = cx.get::<Shop>()?;
    if packed == 1 && shop.plug_is_loose.load(Ordering::Acquire) {
        shop.reached_the_plug.notify_one();
        // Nothing is committed any more: the program ends here.
        return Err(cx.signal().stopped().await.into());
    }
    Ok(State::Packing { packed: packed + 1 })
}

/// A service that steps ask for by its type.
#[derive(Default)]
struct Shop {
    plug_is_loose: AtomicBool,
    reached_the_plug: Notify,
}

type Failure = Box<dyn std::error::Error>;

async fn open(directory: &Path, shop: &Arc<Shop>) -> Result<Runtime, Failure> {
    let env: SharedEnv = Arc::new(SystemEnv);
    let spaces = [ebbtide_runtime::SPACES, &[SHOP]].concat();
    let engine: SharedEngine = Rocks::open(directory, &spaces, &ebbtide_engine::Options::default(), Arc::clone(&env))?;
    let options = Options { backoff_min: Duration::from_millis(10), ..Options::default() };
    Ok(Runtime::builder(engine, env).options(options).with(Arc::clone(shop)).start().await?)
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let shop = Arc::new(Shop::default());
    shop.plug_is_loose.store(true, Ordering::Release);

    let runtime = open(directory.path(), &shop).await?;
    let items = ["tea", "cups", "honey"].map(str::to_owned).to_vec();
    let order = NewJob::new("orders", Box::new(Order { items, state: State::Placed })).unique(*b"customer 7");
    let id = *runtime.submit(order).await?.id();
    shop.reached_the_plug.notified().await;
    let job = runtime.job(&id)?.ok_or("the order is stored")?;
    say(&format!("pulling the plug: {} in {}, at {:?}", job.status, job.state, job.current_user_id));
    runtime.halt().await;
    drop(runtime);

    shop.plug_is_loose.store(false, Ordering::Release);
    let runtime = open(directory.path(), &shop).await?;
    let job = runtime.wait(&id).await?;
    for transition in runtime.transitions(&id)? {
        let from = transition.from_state.unwrap_or_default();
        let error = transition.error.map(|error| format!("  ({error})")).unwrap_or_default();
        say(&format!(
            "{:>2}  {from:>8} -> {:<8} {:<9} epoch {}{error}",
            transition.seq_no, transition.to_state, transition.status, transition.epoch
        ));
    }
    say(&format!("{} with {}", job.status, job.result.clone().unwrap_or_default()));

    let snapshot = runtime.engine().snapshot();
    let count = |key: &str| -> Result<i64, Failure> {
        Ok(snapshot.get(SHOP, key.as_bytes())?.map_or(0, |value| counter(&value)))
    };
    check(job.status == Status::Completed, "the order is completed")?;
    check(job.epoch == 3, "claimed three times: at first, after the busy line, after the plug")?;
    check(count("payments")? == 1, "paid once")?;
    for item in ["tea", "cups", "honey"] {
        check(count(&format!("packed/{item}"))? == 1, "packed once")?;
    }
    runtime.shutdown(Drain::Checkpoint, Duration::from_secs(10)).await;
    Ok(())
}

fn check(holds: bool, promise: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(format!("broken promise: {promise}").into()) }
}

#[expect(clippy::print_stdout, reason = "an example shows what it does")]
fn say(line: &str) {
    println!("{line}");
}
