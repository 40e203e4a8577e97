//! One suite that every engine passes.
//!
//! An engine's own tests call [`conformance`] with a way to open it; the suite panics with a sentence where a promise is broken.
//!
//! | file | promises about |
//! | --- | --- |
//! | `expectations.rs` | what must hold before a commit happens |
//! | `writes.rs` | what each kind of write does, and in which order |
//! | `seqs.rs` | seqs and commit times, over restarts too |
//! | `reads.rs` | snapshots, ranges, orders, cursors |
//! | `callers.rs` | many callers at once, callers that go away, closing |
//! | `model.rs` | all of it at once: chance against a model of thirty lines |
//! | `stage.rs` | an environment that holds the clock, and the committer when asked to |

mod callers;
mod expectations;
mod model;
mod reads;
mod seqs;
mod stage;
mod writes;

use crate::{
    Cache, Commit, CommitError, Committed, Expect, KeyRange, Order, SharedEngine, SharedEnv, Snapshot, Space, Sync,
    Write,
};
use futures::executor::block_on;
use stage::Stage;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The spaces that the suite wants opened.
pub const SPACES: &[Space] = &[ONE, TWO, JOBS];

const ONE: Space = Space { name: "conformance_one", cache: Cache::Shared };
const TWO: Space = Space { name: "conformance_two", cache: Cache::Shared };
const JOBS: Space = Space { name: "conformance_jobs", cache: Cache::Jobs };

/// Where the suite's clock begins.
const NOON: i64 = 1_700_000_000_000_000;

/// Runs the whole suite in folders below `dir`.
///
/// `open` opens an engine with [`SPACES`] in the folder and environment it is given, or opens it again when the suite has closed it.
///
/// # Panics
/// When the engine breaks a promise.
pub fn conformance(dir: &Path, open: impl Fn(&Path, SharedEnv) -> SharedEngine) {
    let suites: [(&str, &[Case]); 6] = [
        ("expectations", expectations::CASES),
        ("writes", writes::CASES),
        ("seqs", seqs::CASES),
        ("reads", reads::CASES),
        ("callers", callers::CASES),
        ("model", model::CASES),
    ];
    for (suite, cases) in suites {
        for (number, case) in cases.iter().enumerate() {
            case(&mut Fixture::open(dir.join(format!("{suite}-{number}")), &open));
        }
    }
}

type Case = fn(&mut Fixture<'_>);

/// An engine of its own for one case.
struct Fixture<'a> {
    open: &'a dyn Fn(&Path, SharedEnv) -> SharedEngine,
    dir: PathBuf,
    stage: Arc<Stage>,
    engine: SharedEngine,
}

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

impl<'a> Fixture<'a> {
    fn open(dir: PathBuf, open: &'a dyn Fn(&Path, SharedEnv) -> SharedEngine) -> Fixture<'a> {
        let stage = Arc::new(Stage::at(NOON));
        let engine = open(&dir, stage.clone());
        Fixture { open, dir, stage, engine }
    }

    /// Closes the engine and opens it again, which only works when nothing else holds it.
    fn reopen(self: &mut Fixture<'a>) {
        self.engine.close();
        // The old engine must be gone before its folder is opened again.
        self.engine = Arc::new(stage::Gone);
        self.engine = (self.open)(&self.dir, self.stage.clone());
    }

    fn commit(&self, commit: Commit) -> Result<Committed, CommitError> {
        block_on(self.engine.commit(commit))
    }

    /// Commits these writes, unsynced, and expects that it works.
    fn write(&self, writes: impl IntoIterator<Item = Write>) -> Committed {
        self.commit(unsynced([], writes)).expect("a commit that expects nothing happens")
    }

    /// Commits all of these in order, so that the engine has all but the first before it at once.
    fn together(&self, commits: impl IntoIterator<Item = Commit>) -> Vec<Result<Committed, CommitError>> {
        let held = self.stage.hold();
        let first = self.engine.commit(unsynced([], [Write::put(JOBS, "held", "")]));
        held.wait();
        let rest: Vec<_> = commits.into_iter().map(|commit| self.engine.commit(commit)).collect();
        drop(held);
        block_on(first).expect("a commit that expects nothing happens");
        rest.into_iter().map(block_on).collect()
    }

    fn get(&self, space: Space, key: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        self.engine.snapshot().get(space, key.as_ref()).expect("a key can be read")
    }

    fn scan(&self, space: Space) -> Pairs {
        scan(&self.engine.snapshot(), space, KeyRange::all(), Order::Ascending)
    }
}

fn scan(snapshot: &Arc<dyn Snapshot>, space: Space, range: KeyRange, order: Order) -> Pairs {
    let mut cursor = Arc::clone(snapshot).scan(space, range, order).expect("a range can be scanned");
    let mut pairs = Pairs::new();
    while let Some((key, value)) = cursor.next().expect("a cursor can be read") {
        pairs.push((key.to_vec(), value.to_vec()));
    }
    assert!(cursor.next().expect("a cursor can be read").is_none(), "a cursor that came to its end stays there");
    pairs
}

fn unsynced(expect: impl IntoIterator<Item = Expect>, writes: impl IntoIterator<Item = Write>) -> Commit {
    Commit { expect: expect.into_iter().collect(), writes: writes.into_iter().collect(), sync: Sync::Unsynced }
}

/// Which expectation did not hold.
fn mismatch(answer: &Result<Committed, CommitError>) -> Option<usize> {
    match answer {
        Err(CommitError::Mismatch { index, .. }) => Some(*index),
        _ => None,
    }
}
