//! Which slots are due.

use super::declared::{Declared, When};
use super::slots::{Slot, SlotStatus, slots};
use crate::error::Error;
use ebbtide_engine::Snapshot;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Missed slots that get a row each; earlier ones share one.
const ROWS_MAX: usize = 100;
/// Slots that are counted one by one. Of more it is only said that they are more.
const COUNT_MAX: u64 = 100_000;

/// Slots that are due and not recorded, oldest first.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Due {
    /// So many that they get no rows of their own.
    pub(super) earlier: Option<Earlier>,
    /// At most [`ROWS_MAX`] and one.
    pub(super) latest: Vec<i64>,
}

/// Many slots in one.
#[derive(Debug, PartialEq)]
pub(super) struct Earlier {
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) count: u64,
    /// There are more than were counted.
    pub(super) more: bool,
}

/// The first slot after `after`, of a workflow that is declared since `since`; none when its trigger has no times.
pub(super) fn next_slot(when: &When, since: i64, after: i64) -> Option<i64> {
    match when {
        When::Cron(cron) => cron.next_after(after),
        When::Interval(pause) => {
            let pause = micros(*pause);
            // The first one is due a whole pause after the beginning.
            let passed = after.checked_sub(since)?.div_euclid(pause).max(0);
            since.checked_add(passed.checked_add(1)?.checked_mul(pause)?)
        }
        When::Rows(_) | When::Bytes(_) | When::Manual => None,
    }
}

fn micros(pause: Duration) -> i64 {
    i64::try_from(pause.as_micros()).unwrap_or(i64::MAX).max(1)
}

/// What is due after `after` and not after `now` and not recorded. Blocking.
pub(super) fn due(
    snapshot: &Arc<dyn Snapshot>,
    declared: &Declared,
    since: i64,
    after: i64,
    now: i64,
) -> Result<Due, Error> {
    let recorded = recorded(snapshot, &declared.name, after, now)?;
    let is_new = |nominal: i64| {
        let at = recorded.partition_point(|slot| slot.nominal_time < nominal);
        recorded.get(at).is_none_or(|slot| !slot.covers(nominal))
    };
    let mut latest = VecDeque::new();
    let mut earlier: Option<Earlier> = None;
    let (mut counted, mut place) = (0, after);
    while let Some(nominal) = next_slot(&declared.when, since, place).filter(|nominal| *nominal <= now) {
        counted += 1;
        if counted == COUNT_MAX {
            let so_far = earlier.unwrap_or(Earlier { first: nominal, last: nominal, count: 0, more: true });
            place = tail(&declared.when, since, nominal, now);
            let count = so_far.count + latest.len() as u64;
            earlier = Some(Earlier { last: place, count, more: true, ..so_far });
            latest.clear();
            continue;
        }
        place = nominal;
        if !is_new(nominal) {
            continue;
        }
        latest.push_back(nominal);
        if latest.len() > ROWS_MAX + 1
            && let Some(oldest) = latest.pop_front()
        {
            let so_far = earlier.take().unwrap_or(Earlier { first: oldest, last: oldest, count: 0, more: false });
            earlier = Some(Earlier { last: oldest, count: so_far.count + 1, ..so_far });
        }
    }
    Ok(Due { earlier, latest: latest.into() })
}

/// A place, `from` or later, after which there are only some more slots up to `now` than get rows.
fn tail(when: &When, since: i64, from: i64, now: i64) -> i64 {
    // A crontab has no two slots within a second.
    let pause = if let When::Interval(pause) = when { micros(*pause) } else { 1_000_000 };
    let mut span = pause.saturating_mul(ROWS_MAX as i64 + 2);
    loop {
        let start = now.saturating_sub(span).max(from);
        let slots = std::iter::successors(Some(start), |place| next_slot(when, since, *place));
        if start == from || slots.skip(1).take_while(|nominal| *nominal <= now).count() > ROWS_MAX {
            return start;
        }
        span = span.saturating_mul(2);
    }
}

/// The rows of the ledger that cover something after `after` and not after `now`, oldest first. As many as the ledger keeps.
/// A row of many lies where its last slot is, so all later ones are looked at.
fn recorded(snapshot: &Arc<dyn Snapshot>, workflow: &str, after: i64, now: i64) -> Result<Vec<Slot>, Error> {
    let mut found = Vec::new();
    let mut cursor = slots(snapshot, Some(workflow))?;
    while let Some(slot) = cursor.next()? {
        if slot.nominal_time <= after {
            break;
        }
        if slot.first_nominal_time <= now && !slot.is_premature(now) {
            found.push(slot);
        }
    }
    found.reverse();
    Ok(found)
}

/// The rows that say of all but the one that runs that they were missed.
pub(super) fn missed_rows(
    declared: &Declared,
    due: &Due,
    run: Option<i64>,
    recorded_at: i64,
    reason: &str,
) -> Vec<Slot> {
    let mut rows = Vec::new();
    if let Some(Earlier { first, last, count, more }) = &due.earlier {
        let more = if *more { "more than " } else { "" };
        rows.push(Slot {
            reason: Some(format!("{more}{count} slots: {reason}")),
            slots: *count,
            first_nominal_time: *first,
            ..Slot::new(&declared.name, *last, SlotStatus::Missed, recorded_at)
        });
    }
    rows.extend(due.latest.iter().filter(|nominal| Some(**nominal) != run).map(|nominal| Slot {
        reason: Some(reason.to_owned()),
        ..Slot::new(&declared.name, *nominal, SlotStatus::Missed, recorded_at)
    }));
    rows
}
