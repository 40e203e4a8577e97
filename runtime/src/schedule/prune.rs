//! Old slots leave the ledger, batch by batch.
//!
//! The newest slot of each workflow stays, whatever its age: it says from where the next one is looked for, and without it a
//! workflow that runs once a year would count its missed runs anew.

use super::slots::{self, SLOTS, Slot};
use crate::error::Error;
use ebbtide_engine::{KeyRange, Order, Snapshot, Write};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// Slots to be removed in one commit.
#[derive(Debug, Default)]
pub struct OldSlots {
    /// How many go.
    pub slots: u64,
    /// What removes them.
    pub writes: Vec<Write>,
    /// Where to go on; `None` at the end.
    pub next: Option<Vec<u8>>,
}

/// Looks at up to `slots_max` slots that were due at `through` or before, oldest first, in microseconds since the Unix epoch,
/// UTC. Blocking. `after` is the [`OldSlots::next`] of the batch before.
///
/// # Errors
///
/// When the engine cannot read.
pub fn prune(
    snapshot: &Arc<dyn Snapshot>,
    through: i64,
    after: Option<&[u8]>,
    slots_max: usize,
) -> Result<OldSlots, Error> {
    let mut range = KeyRange::new(slots::time_prefix(), slots::times_from(through.saturating_add(1)));
    if let Some(after) = after {
        range.from = [after, &[0]].concat();
    }
    let mut batch = OldSlots::default();
    if range.is_empty() {
        return Ok(batch);
    }
    let mut newest: HashMap<String, Option<i64>> = HashMap::new();
    let mut cursor = Arc::clone(snapshot).scan(SLOTS, range, Order::Ascending)?;
    let mut seen = 0;
    let mut last = Vec::new();
    while let Some((key, _)) = cursor.next()? {
        if seen == slots_max {
            batch.next = Some(last);
            break;
        }
        seen += 1;
        last = key.to_vec();
        let Some((nominal_time, workflow)) = slots::time_key_parts(key) else { continue };
        let newest = match newest.entry(workflow.clone()) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(unknown) => *unknown.insert(slots::newest(snapshot, &workflow, i64::MAX - 1)?),
        };
        if newest != Some(nominal_time) {
            Slot::forget(&workflow, nominal_time, &mut batch.writes);
            batch.slots += 1;
        }
    }
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use super::super::slots::{Slot, SlotStatus, slots};
    use super::prune;
    use crate::keys;
    use ebbtide_engine::env::HeldEnv;
    use ebbtide_engine::rocks::Rocks;
    use ebbtide_engine::{Commit, Options, SharedEngine};
    use std::sync::Arc;

    #[tokio::test]
    async fn old_slots_go_and_the_newest_of_each_workflow_stays() {
        let folder = tempfile::tempdir().unwrap();
        let engine: SharedEngine =
            Rocks::open(folder.path(), keys::SPACES, &Options::default(), Arc::new(HeldEnv::at(0))).unwrap();
        let mut writes = Vec::new();
        for (workflow, times) in [("hourly", &[10, 20, 30, 40][..]), ("yearly", &[5]), ("young", &[35, 45])] {
            for &time in times {
                Slot::new(workflow, time, SlotStatus::Fired, time).record(&mut writes);
            }
        }
        engine.commit(Commit { writes, ..Commit::default() }).await.unwrap();

        let (mut gone, mut after) = (0, None);
        loop {
            let batch = prune(&engine.snapshot(), 40, after.as_deref(), 2).unwrap();
            assert!(batch.slots <= 2, "a batch is bounded");
            gone += batch.slots;
            engine.commit(Commit { writes: batch.writes, ..Commit::default() }).await.unwrap();
            match batch.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }

        let mut left = Vec::new();
        let mut cursor = slots(&engine.snapshot(), None).unwrap();
        while let Some(slot) = cursor.next().unwrap() {
            left.push((slot.workflow, slot.nominal_time));
        }
        let expected = [("young", 45), ("hourly", 40), ("yearly", 5)];
        assert_eq!(left, expected.map(|(workflow, time)| (workflow.to_owned(), time)));
        assert_eq!(gone, 4);
    }
}
