//! One folder after the other, and what is done with one.
//!
//! The order of writes, for each folder:
//!
//! 1. Its table is made, or given its newest columns, in a commit of the catalog. Repeatable.
//! 2. Seqs of this process are raised above all that the folder knows of.
//! 3. **One commit**: the segments, the watermark, the user, and the table's record of file timestamps and cuts, by which
//!    seqs stay above and names stay unused after any restart. It expects the user to have no rows of another count here.
//!
//! Die before 3: nothing of the folder is visible, and it is looked at again. Die after it: it is found to be done.

use super::{Failure, Totals};
use crate::kinds::read;
use ebbtide_runtime::{Step, StepError};
use ebbtide_store::attach::{self, Folders, Look};
use ebbtide_store::cold::{self, Listed};
use ebbtide_store::{Error, ErrorKind, StorageId, Store, Table};
use futures::StreamExt;
use futures::stream::BoxStream;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// Objects listed by one look for further folders.
const OBJECTS_PER_PAGE: usize = 4096;
/// Folders that are remembered to have been looked at; one that is forgotten is looked at again, and found done.
const FOLDERS_REMEMBERED_MAX: usize = 100_000;
/// Failures and missing files that a result names.
const NAMED_MAX: usize = 100;

/// Where to go on.
pub(super) enum Next {
    Folder(String),
    None,
}

/// A listing that is under way. It has no place to go on from, so it lives as long as the claim.
struct Lister {
    objects: BoxStream<'static, Result<Listed, cold::Error>>,
    folders: VecDeque<String>,
    seen: HashSet<String>,
    ended: bool,
}

/// The next folder of the storage that has an object of such a name.
pub(super) async fn next(storage: &StorageId, wanted: impl Fn(&str) -> bool, cx: &mut Step) -> Result<Next, StepError> {
    let store = cx.get::<Store>()?;
    let signal = cx.signal();
    let unreadable = |error: cold::Error| StepError::retry_because("listing the storage failed", error);
    if cx.keep::<Lister>().is_none() {
        let objects =
            store.objects(storage).map_err(|error| StepError::retry_because("opening the storage failed", error))?;
        let lister = Lister { objects: objects.list(""), folders: VecDeque::new(), seen: HashSet::new(), ended: false };
        *cx.keep::<Lister>() = Some(lister);
    }
    let lister = cx.keep::<Lister>().as_mut().expect("made just above");
    loop {
        if let Some(folder) = lister.folders.pop_front() {
            return Ok(Next::Folder(folder));
        }
        if lister.ended {
            *cx.keep::<Lister>() = None;
            return Ok(Next::None);
        }
        for _ in 0..OBJECTS_PER_PAGE {
            let object = tokio::select! {
                object = lister.objects.next() => object,
                stop = signal.stopped() => return Err(stop.into()),
            };
            let Some(object) = object else {
                lister.ended = true;
                break;
            };
            let object = object.map_err(unreadable)?;
            let Some((folder, name)) = object.path.rsplit_once('/') else { continue };
            if !wanted(name) || lister.seen.contains(folder) {
                continue;
            }
            if lister.seen.len() >= FOLDERS_REMEMBERED_MAX {
                lister.seen.clear();
            }
            lister.seen.insert(folder.to_owned());
            lister.folders.push_back(folder.to_owned());
        }
    }
}

/// Why a folder is not taken in.
enum Trouble {
    /// This folder's own.
    Folder(String),
    /// Everybody's.
    All(StepError),
}

impl From<StepError> for Trouble {
    fn from(error: StepError) -> Self {
        Self::All(error)
    }
}

/// What is wrong with a folder stays wrong; a storage or an engine that does not answer may do so later.
impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Unavailable => Self::All(StepError::retry_because("a folder could not be looked at", error)),
            _ => Self::Folder(error.to_string()),
        }
    }
}

/// Takes one folder in, as part of this step's commit.
pub(super) async fn attach(
    storage: &StorageId,
    folder: &str,
    folders: Folders,
    totals: &mut Totals,
    cx: &mut Step,
) -> Result<(), StepError> {
    cx.signal().check()?;
    cx.progress().set_subject(folder);
    match take_in(storage, folder, folders, totals, cx).await {
        Ok(()) => Ok(()),
        Err(Trouble::All(error)) => Err(error),
        Err(Trouble::Folder(reason)) => {
            tracing::warn!(job_id = %cx.job_id(), folder, reason, "a folder is not taken in");
            totals.folders_failed += 1;
            if totals.failures.len() < NAMED_MAX {
                totals.failures.push(Failure { folder: folder.to_owned(), reason });
            }
            Ok(())
        }
    }
}

async fn take_in(
    storage: &StorageId,
    folder: &str,
    folders: Folders,
    totals: &mut Totals,
    cx: &mut Step,
) -> Result<(), Trouble> {
    let store = cx.get::<Store>()?;
    // Before its objects are looked at: where they lie may be another storage's by the time of the commit.
    let registered = store.catalog().expect_registered(&*store.snapshot(), storage)?;
    let objects = store.objects(storage)?;
    let Some(look) = attach::look(&*objects, storage, folder, folders).await? else { return Ok(()) };
    let Some(table) = table(&store, storage, &look).await? else { return Ok(()) };
    cx.env().reached("attach.folder.table");
    cx.engine().raise_seq(look.seq_max());
    let (reading, whom) = (store.clone(), table.clone());
    let (look, writes) = read("reading the manifest", cx, move |snapshot| {
        let writes = match attach::is_attached(&reading, &snapshot, whom.id, &look) {
            Ok(true) => return Ok((look, None)),
            Ok(false) => attach::writes(&reading, &snapshot, &whom, &look),
            Err(error) => Err(error),
        };
        Ok::<_, Error>((look, Some(writes)))
    })
    .await?;
    let Some(writes) = writes else { return Ok(()) };
    let (expect, writes) = writes?;
    cx.expect(registered);
    expect.into_iter().for_each(|expect| cx.expect(expect));
    cx.extend(writes);
    totals.folders += 1;
    totals.segments += look.segments.len() as u64;
    totals.rows += look.segments.iter().map(|segment| segment.rows).sum::<u64>();
    totals.bytes += look.segments.iter().map(|segment| segment.bytes).sum::<u64>();
    totals.ignored += look.ignored;
    totals.missing += look.missing.len() as u64;
    let room = NAMED_MAX.saturating_sub(totals.missing_named.len());
    totals.missing_named.extend(look.missing.into_iter().take(room));
    cx.env().reached("attach.folder.judged");
    Ok(())
}

/// The table of a folder: as its manifest describes it, or one that is known by its name. None for a folder that goes with a
/// table of ours that was dropped.
async fn table(store: &Arc<Store>, storage: &StorageId, look: &Look) -> Result<Option<Arc<Table>>, Trouble> {
    if let Some(manifest) = &look.manifest {
        let (of, table, called) = (&manifest.database_id, &manifest.table, &manifest.storage);
        if of == store.database_id() {
            return Ok(store.catalog().table_by_id(&store.snapshot(), table.id)?);
        }
        return Ok(Some(store.catalog().attach_table(of, table, called, storage).await?));
    }
    let (namespace, name, _) = &look.whose;
    match store.catalog().table(&store.snapshot(), namespace, name)? {
        Some(table) if table.is_attached() => Ok(Some(table)),
        Some(_) => Err(Trouble::Folder(format!(
            "{namespace}.{name} is another table here, and no manifest lies beside the files"
        ))),
        None => Err(Trouble::Folder(format!(
            "no manifest says what {namespace}.{name} looked like, neither here nor in another folder"
        ))),
    }
}
