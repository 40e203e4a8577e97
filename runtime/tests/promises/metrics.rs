//! What happens to jobs is counted under the names that `ebbtide_runtime::metrics` gives.

use crate::script::{Act, job, mark};
use crate::world::{World, submit, wait};
use ebbtide_runtime::metrics::{self as names, record_jobs};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Keeps every number by name and labels. A histogram is kept as the count of its values.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<HashMap<String, f64>>>);

struct Named {
    kept: Kept,
    name: String,
}

impl Named {
    fn change(&self, change: impl FnOnce(&mut f64)) {
        change(self.kept.0.lock().unwrap().entry(self.name.clone()).or_default());
    }
}

impl CounterFn for Named {
    fn increment(&self, value: u64) {
        self.change(|number| *number += value as f64);
    }
    fn absolute(&self, value: u64) {
        self.change(|number| *number = value as f64);
    }
}

impl GaugeFn for Named {
    fn increment(&self, value: f64) {
        self.change(|number| *number += value);
    }
    fn decrement(&self, value: f64) {
        self.change(|number| *number -= value);
    }
    fn set(&self, value: f64) {
        self.change(|number| *number = value);
    }
}

impl HistogramFn for Named {
    fn record(&self, value: f64) {
        assert!((0.0..60.0).contains(&value), "{} took {value} s", self.name);
        self.change(|number| *number += 1.0);
    }
}

impl Kept {
    fn named(&self, key: &Key) -> Arc<Named> {
        let labels: Vec<String> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        Arc::new(Named { kept: self.clone(), name: [vec![key.name().to_owned()], labels].concat().join(" ") })
    }

    fn number(&self, name: &str) -> f64 {
        self.0.lock().unwrap().get(name).copied().unwrap_or_default()
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.named(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.named(key))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.named(key))
    }
}

#[tokio::test]
async fn ends_changes_and_delays_are_counted() {
    let kept = Kept::default();
    // Of this thread, which runs everything here.
    let _recording = metrics::set_default_local_recorder(&kept);
    names::describe();
    let world = World::new();
    let runtime = world.start().await;
    for script in [vec![mark("a"), mark("b")], vec![Act::GiveUp], vec![Act::Step]] {
        let id = submit(&runtime, job(script)).await;
        wait(&runtime, &id).await;
    }
    record_jobs(&*world.engine.snapshot()).unwrap();
    let number = |name: &str, labels: &str| kept.number(format!("{name} {labels}").trim());
    assert_eq!(number(names::JOBS_ENDED_TOTAL, "kind=scripted status=completed"), 2.0);
    assert_eq!(number(names::JOBS_ENDED_TOTAL, "kind=scripted status=failed"), 1.0);
    assert_eq!(number(names::JOBS, "status=completed"), 2.0);
    assert_eq!(number(names::JOBS, "status=running"), 0.0);
    assert_eq!(number(names::QUEUE_DELAY_SECONDS, "kind=scripted"), 3.0);
    // Three claims; the first job's two steps, the other's end, the last one's step.
    assert_eq!(number(names::TRANSITION_SECONDS, ""), 3.0 + 2.0 + 1.0 + 1.0);
}
