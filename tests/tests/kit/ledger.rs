//! What the writers of a crash test were told, so what has to be found.
//!
//! A write is *acknowledged*: it is there, once. Or it is *in doubt*, as the server died before it answered: it is
//! there once or not at all, and whole. Anything else that is found was never written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Mutex;

/// The statements of all writers; a statement writes one or more rows.
#[derive(Debug)]
pub(crate) struct Ledger<R> {
    written: Mutex<Written<R>>,
}

#[derive(Debug)]
struct Written<R> {
    acknowledged: BTreeSet<R>,
    in_doubt: Vec<Vec<R>>,
}

impl<R: Ord + Clone + Debug> Ledger<R> {
    pub(crate) fn new() -> Self {
        Self { written: Mutex::new(Written { acknowledged: BTreeSet::new(), in_doubt: Vec::new() }) }
    }

    /// A statement that the server acknowledged.
    pub(crate) fn acknowledged(&self, rows: impl IntoIterator<Item = R>) {
        self.written.lock().expect("no holder panics").acknowledged.extend(rows);
    }

    /// A statement that the server took and did not answer.
    pub(crate) fn in_doubt(&self, rows: impl IntoIterator<Item = R>) {
        self.written.lock().expect("no holder panics").in_doubt.push(rows.into_iter().collect());
    }

    /// How many rows were acknowledged.
    pub(crate) fn acknowledged_count(&self) -> usize {
        self.written.lock().expect("no holder panics").acknowledged.len()
    }

    /// What is wrong with what was found; empty when nothing is.
    pub(crate) fn complaints(&self, found: impl IntoIterator<Item = R>) -> Vec<String> {
        let written = self.written.lock().expect("no holder panics");
        let mut counts: BTreeMap<R, usize> = BTreeMap::new();
        for row in found {
            *counts.entry(row).or_default() += 1;
        }
        let mut complaints = Vec::new();
        for row in &written.acknowledged {
            if !counts.contains_key(row) {
                complaints.push(format!("lost: {row:?} was acknowledged and is not there"));
            }
        }
        for statement in &written.in_doubt {
            let there = statement.iter().filter(|row| counts.contains_key(row)).count();
            if there != 0 && there != statement.len() {
                let rows = statement.len();
                complaints.push(format!("torn: {there} of {rows} rows of one statement are there: {statement:?}"));
            }
        }
        let in_doubt: BTreeSet<&R> = written.in_doubt.iter().flatten().collect();
        for (row, count) in &counts {
            if *count > 1 {
                complaints.push(format!("doubled: {row:?} is there {count} times"));
            }
            if !written.acknowledged.contains(row) && !in_doubt.contains(row) {
                complaints.push(format!("invented: {row:?} is there and was never written"));
            }
        }
        complaints
    }

    /// Fails unless every acknowledged row was found once, and nothing else but whole statements in doubt.
    #[track_caller]
    pub(crate) fn check(&self, found: impl IntoIterator<Item = R>, what: &str) {
        const SHOWN_MAX: usize = 12;
        let complaints = self.complaints(found);
        assert!(
            complaints.is_empty(),
            "{what}: {} complaints\n{}",
            complaints.len(),
            complaints[..complaints.len().min(SHOWN_MAX)].join("\n")
        );
    }
}
