//! Does a place do what a storage has to: write, read, list, delete.

use crate::cold::{self, Error, Objects, Stored, checksum};
use bytes::Bytes;
use ebbtide_engine::SharedEnv;
use futures::TryStreamExt;
use std::time::Duration;
use tokio::time::Instant;

/// The folder that probes are written into. They carry no name of a segment, so no sweep takes one for its own.
const FOLDER: &str = "ebbtide-probe";

/// What came of probing a storage, step by step. Steps after one that failed are not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// In the order in which they were taken: write, read, list, delete.
    pub steps: Vec<ProbeStep>,
    /// What to do about the one that failed.
    hint: Option<String>,
}

/// One step of probing a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeStep {
    /// `open`, `write`, `read`, `list` or `delete`.
    pub name: &'static str,
    /// How long it took.
    pub latency: Duration,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

impl Probe {
    /// A storage that could not even be opened.
    pub(super) fn unopened(error: String) -> Self {
        let step = ProbeStep { name: "open", latency: Duration::ZERO, error: Some(error) };
        Self { steps: vec![step], hint: None }
    }

    /// Whether it does all that a storage has to.
    pub fn is_healthy(&self) -> bool {
        self.failure().is_none()
    }

    /// What it does not do, and what to do about it.
    pub(super) fn failure(&self) -> Option<(String, Option<String>)> {
        let failed = self.steps.iter().find_map(|step| Some((step.name, step.latency, step.error.as_ref()?)));
        failed.map(|(name, latency, error)| {
            (format!("it does not {name} (latency {} ms): {error}", latency.as_millis()), self.hint.clone())
        })
    }
}

/// Takes every step, until one fails.
pub(super) async fn probe(objects: &dyn Objects, env: &SharedEnv) -> Probe {
    let path = format!("{FOLDER}/{}", env.id());
    let text = Bytes::from(format!("written at {} to see whether this storage can be used\n", env.now()));
    let mut probe = Probe { steps: Vec::new(), hint: None };
    let mut begun = Instant::now();
    let mut step = |name, result: Result<(), Error>| {
        let (error, hint) = match result {
            Ok(()) => (None, None),
            Err(error) => (Some(error.to_string()), error.hint().map(str::to_owned)),
        };
        let fine = error.is_none();
        probe.steps.push(ProbeStep { name, latency: begun.elapsed(), error });
        probe.hint = hint;
        begun = Instant::now();
        fine
    };
    let written = write(objects, &path, text).await;
    let expected = written.as_ref().ok().copied();
    if !step("write", written.map(drop)) {
        return probe;
    }
    let read = checksum(objects, &path).await.and_then(|found| match found {
        found if found == expected => Ok(()),
        Some(_) => Err(Error::Contradiction(format!("{path} does not read back as it was written"))),
        None => Err(Error::Contradiction(format!("{path} was acknowledged and is not there"))),
    });
    let fine = step("read", read) && {
        let listed: Result<Vec<cold::Listed>, Error> = objects.list(FOLDER).try_collect().await;
        let found = listed.and_then(|listed| match listed.iter().any(|object| object.path == path) {
            true => Ok(()),
            false => Err(Error::Contradiction(format!("{path} was acknowledged and is not listed"))),
        });
        step("list", found)
    };
    let deleted = objects.delete(&path).await;
    // Also after a failure, so that as little as possible stays; but then that failure is what is told.
    if fine {
        step("delete", deleted);
    }
    probe
}

/// Writes an object, and sees whether the store keeps it from being written again: every name is used once, and what two
/// databases would both write, such as who owns the place, rests on that.
async fn write(objects: &dyn Objects, path: &str, text: Bytes) -> Result<Stored, Error> {
    let stored = objects.put_small(path, text).await?;
    let error = match objects.put_small(path, Bytes::from_static(b"this must not be here\n")).await {
        Err(error) if error.is_already_exists() => return Ok(stored),
        Err(error) => error,
        Ok(_) => Error::Contradiction(format!(
            "the store wrote over {path}, though it was to write it only if new; it has to honour `If-None-Match: *`"
        )),
    };
    // As little as possible stays; what is told is the failure before.
    let _ = objects.delete(path).await;
    Err(error)
}
