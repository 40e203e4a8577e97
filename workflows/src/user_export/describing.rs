//! What is in the folder is written beside it, last of all: `_export.json`.
//!
//! Files that were made before a crash and never kept are removed first, so the folder holds what is described and nothing
//! else. The description of one job is the same however often it is made; one that is there already must be that one.

use super::{
    Run, Work,
    copying::Copying,
    done::Done,
    encoding::refused,
    folder,
    records::{self, Exported},
};
use crate::kinds::{read, wait};
use bytes::Bytes;
use ebbtide_runtime::{Step, StepError};
use ebbtide_store::cold::{self, Stored};
use ebbtide_store::{Seq, Store, UserId};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Describing {
    run: Run,
}

/// The form that this version writes.
const FORM: u32 = 1;

/// The name of a description, in the folder of its export.
pub const DESCRIPTION: &str = "_export.json";

/// What `_export.json` says. The texts are for programs of any age: fields are only ever added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// Which form this is.
    pub ebbtide_export: u32,
    /// The database whose rows these are.
    pub database_id: String,
    /// The job that exported them.
    pub job_id: String,
    /// When it began, microseconds since the Unix epoch.
    pub exported_at: i64,
    /// Whose rows these are.
    pub user: UserId,
    /// The namespace that was asked for; all of them without one.
    pub namespace: Option<String>,
    /// Every row that he had up to here is in a file, once, and no later one.
    pub cut: Seq,
    /// How many rows.
    pub rows: u64,
    /// The tables in which he had rows, each with its files.
    pub tables: Vec<Exported>,
}

impl Describing {
    /// Only a `Copying` with no row left gives a `Describing`.
    pub(super) fn new(_: Copying, run: Run) -> Self {
        Self { run }
    }

    pub(super) async fn describe(self, work: &Work, cx: &mut Step) -> Result<Done, StepError> {
        cx.signal().check()?;
        let store = cx.get::<Store>()?;
        self.run.expect_place(work, &store, cx).await?;
        let to = store
            .objects(&work.to)
            .map_err(|error| StepError::retry_because("the storage to export to cannot be used", error))?;
        let job = *cx.job_id();
        let tables = read("reading what was exported", cx, move |snapshot| records::of_job(snapshot, &job)).await?;
        let folder = folder(&job);
        let kept: HashSet<String> =
            tables.iter().flat_map(|exported| &exported.files).map(|file| format!("{folder}/{}", file.path)).collect();
        let description = Description {
            ebbtide_export: FORM,
            database_id: store.database_id().to_owned(),
            job_id: job.to_string(),
            exported_at: self.run.at,
            user: work.user.clone(),
            namespace: work.namespace.as_ref().map(ToString::to_string),
            cut: self.run.cut,
            rows: tables.iter().flat_map(|exported| &exported.files).map(|file| file.rows).sum(),
            tables,
        };
        let mut run = self.run.clone();
        let files = || description.tables.iter().flat_map(|exported| &exported.files);
        run.totals.tables = description.tables.len() as u64;
        run.totals.files = files().count() as u64;
        run.totals.rows = description.rows;
        run.totals.bytes = files().map(|file| file.bytes).sum();
        let text = serde_json::to_vec_pretty(&description)
            .map_err(|error| StepError::fail(format!("the export cannot be described: {error}")))?;
        let path = format!("{folder}/{DESCRIPTION}");

        let clearing = async {
            let mut listed = to.list(&folder);
            while let Some(object) = listed.try_next().await? {
                if object.path != path && !kept.contains(&object.path) {
                    to.delete(&object.path).await?;
                }
            }
            Ok::<_, cold::Error>(())
        };
        wait(cx, clearing).await?.map_err(refused)?;
        let said = Stored { bytes: text.len() as u64, crc32c: crc32c::crc32c(&text) };
        match wait(cx, to.put_small(&path, Bytes::from(text))).await? {
            Ok(_) => {}
            // Before a crash it was written, and nobody heard of it.
            Err(error) if error.is_already_exists() => {
                let there = wait(cx, cold::checksum(&*to, &path)).await?.map_err(refused)?;
                if there != Some(said) {
                    return Err(StepError::fail(format!("{path} is there and says something else")));
                }
            }
            Err(error) => return Err(refused(error)),
        }
        cx.env().reached("user_export.describing.described");
        cx.write(records::forget(&job));
        let location = format!("{}/{folder}", store.storage_location(&work.to).trim_end_matches('/'));
        Ok(Done::new(self, run, location, cx))
    }

    pub(super) fn run(&self) -> &Run {
        &self.run
    }
}
