//! An order that survives its program: own states, no table, no server, and a payment that is made exactly once.
//!
//! ```text
//!   Placed ─► Paying ─► Packing(item) ─► Shipped
//!               ▲ │        ▲    │
//!        the bank's        └────┘  next item
//!        line is busy
//! ```
//!
//! The bank is outside: no commit of ours can take back what it has done, and a step may die between its answer and the
//! checkpoint. So every call carries an idempotency key that is the same at each try, and the bank charges once per key.
//!
//! Run it with `cargo run -p ebbtide-runtime --example order`. It pulls its own plug in the worst place, right after the bank
//! has charged, starts again, and finishes the order. Then it dies before, in and after every commit of an order. It exits
//! with an error if an order is ever charged twice or not at all.

use ebbtide_engine::env::{SharedEnv, SystemEnv};
use ebbtide_engine::rocks::Rocks;
use ebbtide_engine::{Cache, SharedEngine, Space, Write, counter};
use ebbtide_runtime::testing::{World, crash_everywhere};
use ebbtide_runtime::{
    BoxFuture, Drain, Job, NewJob, Options, Progress, Runtime, SPACES, Status, Step, StepError, View, Workflow,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// What the shop itself keeps in the same engine: how often each item left the shelf.
const SHOP: Space = Space { name: "shop", cache: Cache::Shared };

const ITEMS: [&str; 3] = ["tea", "cups", "honey"];

/// An order: what never changes about it, and where it stands.
#[derive(Serialize, Deserialize)]
struct Order {
    items: Vec<String>,
    state: State,
}

/// The whole machine. Each state carries exactly what it needs: nothing is packed without a receipt.
#[derive(Serialize, Deserialize)]
enum State {
    Placed,
    Paying,
    Packing { receipt: u32, packed: usize },
    Shipped { receipt: u32, parcels: usize },
}

#[typetag::serde(name = "order")]
impl Workflow for Order {
    fn step<'a>(self: Box<Self>, cx: &'a mut Step) -> BoxFuture<'a, Result<Box<dyn Workflow>, StepError>> {
        Box::pin(async move {
            let Order { items, state } = *self;
            let state = match state {
                State::Placed => State::Paying,
                State::Paying => pay(&items, cx).await?,
                State::Packing { receipt, packed } => pack(&items, receipt, packed, cx),
                State::Shipped { receipt, parcels } => State::Shipped { receipt, parcels },
            };
            Ok(Box::new(Order { items, state }) as Box<dyn Workflow>)
        })
    }

    fn view(&self) -> View<'_> {
        let view = match &self.state {
            State::Placed => View::new("order", "Placed"),
            State::Paying => View::new("order", "Paying"),
            State::Packing { packed, .. } => View {
                subject: self.items.get(*packed).map(String::as_str),
                progress: Progress { rows_done: *packed as u64, ..Progress::default() },
                ..View::new("order", "Packing")
            },
            State::Shipped { receipt, parcels } => View {
                result: Some(json!({ "receipt": receipt, "parcels": parcels })),
                ..View::new("order", "Shipped").done()
            },
        };
        View { parameters: json!({ "items": self.items }), ..view }
    }
}

/// Calls the bank. The key is made of the job's id, which outlives crashes and retries; attempt and epoch do not.
async fn pay(items: &[String], cx: &mut Step) -> Result<State, StepError> {
    let bank = cx.get::<Bank>()?;
    let key = format!("order/{}", cx.job_id());
    let receipt = bank
        .charge(&key, 500 * items.len() as u64)
        .await
        .map_err(|busy| StepError::retry_because("the order cannot be paid", busy))?;
    if bank.plug_is_loose.swap(false, Ordering::AcqRel) {
        bank.reached_the_plug.notify_one();
        // The bank has charged, and nothing of ours is committed any more: the program ends here.
        return Err(cx.signal().stopped().await.into());
    }
    Ok(State::Packing { receipt, packed: 0 })
}

/// One item a step, in the commit of the step, so once. The state's name stays: this moves a cursor and records no transition.
fn pack(items: &[String], receipt: u32, packed: usize, cx: &mut Step) -> State {
    match items.get(packed) {
        Some(item) => {
            cx.write(Write::add(SHOP, format!("packed/{item}"), 1));
            State::Packing { receipt, packed: packed + 1 }
        }
        None => State::Shipped { receipt, parcels: packed },
    }
}

/// The bank, with books of its own that no crash of ours touches.
#[derive(Default)]
struct Bank {
    charges: Mutex<BTreeMap<String, u64>>,
    calls: AtomicU32,
    plug_is_loose: AtomicBool,
    reached_the_plug: Notify,
}

#[derive(Debug, thiserror::Error)]
#[error("the bank's line is busy")]
struct Busy;

impl Bank {
    /// Charges once per key; a further call with the same key gives the same receipt. The first caller of all is not served.
    async fn charge(&self, key: &str, cents: u64) -> Result<u32, Busy> {
        if self.calls.fetch_add(1, Ordering::AcqRel) == 0 {
            return Err(Busy);
        }
        let mut charges = self.charges.lock().unwrap_or_else(PoisonError::into_inner);
        charges.entry(key.to_owned()).or_insert(cents);
        Ok(charges.keys().position(|charged| charged == key).map_or(0, |place| place as u32 + 1))
    }

    fn charged(&self) -> Vec<u64> {
        self.charges.lock().unwrap_or_else(PoisonError::into_inner).values().copied().collect()
    }
}

type Failure = Box<dyn std::error::Error>;

async fn open(directory: &Path, bank: &Arc<Bank>) -> Result<Runtime, Failure> {
    let env: SharedEnv = Arc::new(SystemEnv);
    let spaces = [SPACES, &[SHOP]].concat();
    let engine: SharedEngine = Rocks::open(directory, &spaces, &ebbtide_engine::Options::default(), Arc::clone(&env))?;
    let options = Options { backoff_min: Duration::from_millis(10), ..Options::default() };
    Ok(Runtime::builder(engine, env).options(options).with(Arc::clone(bank)).start().await?)
}

fn order() -> NewJob {
    let items = ITEMS.map(str::to_owned).to_vec();
    NewJob::new("orders", Box::new(Order { items, state: State::Placed })).unique(*b"customer 7")
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    pull_the_plug().await?;
    die_everywhere().await;
    Ok(())
}

/// One order, and one death in the worst place.
async fn pull_the_plug() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let bank = Arc::new(Bank::default());
    bank.plug_is_loose.store(true, Ordering::Release);

    let runtime = open(directory.path(), &bank).await?;
    let id = *runtime.submit(order()).await?.id();
    bank.reached_the_plug.notified().await;
    let job = runtime.job(&id)?.ok_or("the order is stored")?;
    say(&format!("pulling the plug: {} in {}, charged: {:?}", job.status, job.state, bank.charged()));
    runtime.halt().await;
    drop(runtime);

    let runtime = open(directory.path(), &bank).await?;
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

    check(job.status == Status::Completed, "the order is completed")?;
    check(job.epoch == 3, "claimed three times: at first, after the busy line, after the plug")?;
    check(bank.calls.load(Ordering::Acquire) == 3, "the bank was called three times: busy, charged, asked again")?;
    check(bank.charged() == [1500], "charged once")?;
    for item in ITEMS {
        check(packed(runtime.engine(), item) == 1, "packed once")?;
    }
    runtime.shutdown(Drain::Checkpoint, Duration::from_secs(10)).await;
    Ok(())
}

/// The same order, once for each instant at which the program can die.
async fn die_everywhere() {
    let bank = Mutex::new(Arc::new(Bank::default()));
    let the_bank = || Arc::clone(&bank.lock().unwrap_or_else(PoisonError::into_inner));
    let world = async || {
        let new = Arc::new(Bank::default());
        *bank.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&new);
        World::with_spaces(&[SHOP]).with(new)
    };
    let holds = async |world: &World, job: &Job| {
        assert_eq!(the_bank().charged(), [1500], "charged once, in {:#?}", world.history(&job.job_id));
        for item in ITEMS {
            assert_eq!(packed(&world.engine, item), 1, "{item} is packed once");
        }
    };
    let deaths = crash_everywhere(world, |_| order(), holds).await;
    say(&format!(
        "died in {} runs, at each of {} commits of {}",
        deaths.runs,
        deaths.commits,
        deaths.path.join(" -> ")
    ));
}

fn packed(engine: &SharedEngine, item: &str) -> i64 {
    let stored = engine.snapshot().get(SHOP, format!("packed/{item}").as_bytes());
    stored.ok().flatten().map_or(0, |value| counter(&value))
}

fn check(holds: bool, promise: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(format!("broken promise: {promise}").into()) }
}

#[expect(clippy::print_stdout, reason = "an example shows what it does")]
fn say(line: &str) {
    println!("{line}");
}
