//! Segments of a database that is lost, attached to this one: what counts in a folder, and the commit that takes it in.
//!
//! A folder is judged by its published manifest and by what lies in it, and by nothing else. See ADR 10.
//!
//! What a listing leaves out is not seen. A folder's listing is therefore asked for twice, and a file that the manifest names
//! and the listing does not is asked for by its name: if the answers differ, the folder is looked at again later. A storage
//! that leaves out the same each time cannot be told from one that has less.

use crate::catalog::Table;
use crate::cold::segment::{Footer, Part, Reader};
use crate::cold::{self, Listed, Objects};
use crate::deletions::{self, Deletion, Why};
use crate::path::FileName;
use crate::published::{self, Folder, Manifest, ObjectName, Published};
use crate::{Error, HOT_USERS, Segment, Seq, StorageId, Store, TableId, UserId, keys, manifest, quarantine, users};
use ebbtide_engine::{Expect, Snapshot, Write};
use futures::{TryStreamExt, future};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// What counts in a folder.
#[derive(Debug)]
pub struct Look {
    /// Whose it is, by the name of the table: `namespace`, `table`, user.
    pub whose: (String, String, UserId),
    /// The manifest, if there is one that can be read.
    pub manifest: Option<Manifest>,
    /// The object that it was read from.
    published: Option<Published>,
    /// Manifests of before.
    superseded: Vec<Listed>,
    /// The databases that published here.
    databases: BTreeSet<String>,
    folder: Folder,
    /// The segments that count, in seq order; their table is still that of the lost database.
    pub segments: Vec<Segment>,
    /// Files that the manifest names and that are not there, or are not what it says.
    pub missing: Vec<String>,
    /// Files that do not count: older tries, and what was removed.
    pub ignored: u64,
    /// Every row up to here is in a segment, or is no more.
    watermark: Seq,
    /// The greatest file timestamp that was seen.
    stamp_max: i64,
}

/// Which folders are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folders {
    /// Those with a manifest.
    Described,
    /// Those with nothing but files.
    Bare,
}

/// Looks at a folder. None if it is none of those, or nothing in it is ours.
///
/// # Errors
/// [`Error::Cold`] when the storage cannot be read, or says now this and now that; [`Error::Invalid`] when there are files
/// and nothing that says what they are, or the only manifest cannot be read.
pub async fn look(
    objects: &dyn Objects,
    storage: &StorageId,
    folder: &str,
    folders: Folders,
) -> Result<Option<Look>, Error> {
    let (mut manifests, mut files) = (Vec::new(), Vec::new());
    for object in list(objects, folder).await? {
        let name = object.path.rsplit('/').next().unwrap_or_default();
        if let Some(name) = ObjectName::parse(name) {
            manifests.push((name.generation, object));
        } else if let Some(name) = FileName::parse(name) {
            files.push((name, object));
        }
    }
    let nothing = match folders {
        Folders::Described => manifests.is_empty(),
        Folders::Bare => !manifests.is_empty() || files.is_empty(),
    };
    if nothing {
        return Ok(None);
    }
    let mut databases = BTreeSet::new();
    let (manifest, published, superseded) = match newest(objects, folder, manifests, &mut databases).await? {
        Some((manifest, published, before)) => (Some(manifest), Some(published), before),
        None => (None, None, Vec::new()),
    };
    let watermark = manifest.as_ref().map_or(0, |manifest| manifest.watermark);
    let stamp_max = files.iter().map(|(name, _)| name.stamp_secs).max().unwrap_or(i64::MIN);
    let sizes: HashMap<&str, u64> = files.iter().map(|(_, object)| (object.path.as_str(), object.bytes)).collect();
    let (mut segments, mut missing, mut named) = (Vec::new(), Vec::new(), HashSet::new());
    for segment in manifest.iter().flat_map(|manifest| &manifest.segments) {
        // The folder may lie elsewhere than it did: what counts is the name in it.
        let name = segment.path.rsplit('/').next().unwrap_or_default();
        let path = format!("{folder}/{name}");
        match sizes.get(path.as_str()) {
            Some(bytes) if *bytes == segment.bytes => {
                segments.push(Segment { storage: storage.clone(), path: path.clone(), ..segment.clone() });
            }
            Some(bytes) => missing.push(format!("{path}: it has {bytes} bytes, and {} were written", segment.bytes)),
            None if cold::head(objects, &path).await?.is_some() => return Err(incomplete(folder, &path)),
            None => missing.push(format!("{path}: it is not there")),
        }
        named.insert(path);
    }
    let mut later = Vec::new();
    let mut whose = manifest.as_ref().map(|manifest| {
        let Table { namespace, name, .. } = &manifest.table;
        (namespace.to_string(), name.to_string(), manifest.user.clone())
    });
    for (_, object) in files.iter().filter(|(_, object)| !named.contains(&object.path)) {
        let (found, segment) = match read_footer(objects, storage, object).await {
            Ok(read) => read,
            // A storage that does not answer says nothing of the file.
            Err(error @ Error::Cold(cold::Error::Store { .. } | cold::Error::Io { .. })) => return Err(error),
            // One that is no segment counts for nothing; it may be what a crash left.
            Err(error) => {
                tracing::warn!(path = object.path, %error, "a file is not attached, because it cannot be read");
                continue;
            }
        };
        if whose.as_ref().is_some_and(|whose| *whose != found) {
            missing.push(format!(
                "{}: it holds rows of {}.{}, user {:?}",
                object.path,
                found.0,
                found.1,
                found.2.as_str()
            ));
            continue;
        }
        whose = Some(found);
        if segment.from_seq > watermark {
            later.push(segment);
        }
    }
    let Some(whose) = whose else {
        return Err(Error::invalid(format!("nothing in {folder} says whose it is, and no file of it can be read")));
    };
    for mut segment in most_rows(later) {
        let stored = cold::checksum(objects, &segment.path).await?;
        let stored = stored.filter(|stored| stored.bytes == segment.bytes);
        let stored = stored.ok_or_else(|| incomplete(folder, &segment.path))?;
        segment.crc32c = stored.crc32c;
        segments.push(segment);
    }
    segments.sort_by_key(|segment| segment.from_seq);
    let watermark = segments.last().map_or(0, |last| last.to_seq).max(watermark);
    let ignored = (files.len() - segments.len().min(files.len())) as u64;
    let folder = Folder { storage: storage.clone(), folder: folder.to_owned() };
    Ok(Some(Look {
        whose,
        manifest,
        published,
        superseded,
        databases,
        folder,
        segments,
        missing,
        ignored,
        watermark,
        stamp_max,
    }))
}

/// The objects in this very folder; those below it are other users'. They are listed twice: a folder is taken in once, by
/// what is seen then, and a listing that ends early looks like a folder that has less in it.
async fn list(objects: &dyn Objects, folder: &str) -> Result<Vec<Listed>, Error> {
    let prefix = format!("{folder}/");
    let list = async || {
        let in_folder =
            |object: &Listed| future::ready(object.path.strip_prefix(&prefix).is_some_and(|name| !name.contains('/')));
        let mut listed: Vec<Listed> = objects.list(folder).try_filter(in_folder).try_collect().await?;
        listed.sort_by(|a, b| a.path.cmp(&b.path));
        Ok::<_, cold::Error>(listed)
    };
    let (first, second) = (list().await?, list().await?);
    match first.iter().zip(&second).find(|(first, second)| first != second) {
        Some((differs, _)) => Err(incomplete(folder, &differs.path)),
        None if first.len() == second.len() => Ok(second),
        None => {
            let longer = if first.len() > second.len() { &first } else { &second };
            Err(incomplete(folder, &longer[first.len().min(second.len())].path))
        }
    }
}

/// A folder that is not to be judged by what was seen of it.
fn incomplete(folder: &str, path: &str) -> Error {
    Error::Cold(cold::Error::Inconsistent { folder: folder.to_owned(), path: path.to_owned() })
}

/// The manifest with the greatest number that can be read, those of before, and whose any of them is.
async fn newest(
    objects: &dyn Objects,
    folder: &str,
    mut manifests: Vec<(u64, Listed)>,
    databases: &mut BTreeSet<String>,
) -> Result<Option<(Manifest, Published, Vec<Listed>)>, Error> {
    manifests.sort_by_key(|(generation, _)| std::cmp::Reverse(*generation));
    let mut problem = None;
    let (mut newest, mut before) = (None, Vec::new());
    for (generation, object) in manifests {
        let text = cold::read(objects, &object.path).await?.ok_or_else(|| incomplete(folder, &object.path))?;
        match Manifest::read(&text) {
            Ok(manifest) => {
                databases.insert(manifest.database_id.clone());
                match newest {
                    Some(_) => before.push(object),
                    None => newest = Some((manifest, Published::found(generation, object.path, object.bytes))),
                }
            }
            Err(_) if newest.is_some() => before.push(object),
            Err(why) => problem = problem.or(Some(format!("{}: {why}", object.path))),
        }
    }
    match (newest, problem) {
        (Some((manifest, published)), _) => Ok(Some((manifest, published, before))),
        (None, Some(problem)) => Err(Error::invalid(problem)),
        (None, None) => Ok(None),
    }
}

/// Whose rows a file holds, and what the manifest would say of it, but for its checksum.
async fn read_footer(
    objects: &dyn Objects,
    storage: &StorageId,
    object: &Listed,
) -> Result<((String, String, UserId), Segment), Error> {
    let part = Part { columns: Some(&[]), first_row: 0, batch_rows: 1 };
    let reader = Reader::open(objects, &object.path, object.bytes, part).await?;
    let Footer { table, user, schema_version, from_seq, to_seq, job_id, rows } = reader.footer().clone();
    let incomplete = || Error::invalid(format!("the footer of {} does not say what it holds", object.path));
    let table = table.ok_or_else(incomplete)?;
    let (namespace, name) = table.split_once('.').ok_or_else(incomplete)?;
    let user = UserId::stored(&user.unwrap_or_default())?;
    let segment = Segment {
        table_id: TableId(0),
        user: user.clone(),
        from_seq: from_seq.ok_or_else(incomplete)?,
        to_seq: to_seq.ok_or_else(incomplete)?,
        rows,
        bytes: object.bytes,
        storage: storage.clone(),
        path: object.path.clone(),
        crc32c: 0,
        schema_version: schema_version.ok_or_else(incomplete)?,
        // Without bounds a segment is read whenever its user is: slower, never wrong.
        columns: Vec::new(),
        job_id: job_id.unwrap_or_default(),
        created_at: object.modified_at,
    };
    Ok(((namespace.to_owned(), name.to_owned(), user), segment))
}

/// Of segments that overlap, those that hold the most rows together without overlapping: a flush that died and went on
/// leaves tries of the same rows, cut at other places perhaps. Of equals, the fewer files.
fn most_rows(mut segments: Vec<Segment>) -> Vec<Segment> {
    segments.sort_by(|a, b| (a.to_seq, a.from_seq, &a.path).cmp(&(b.to_seq, b.from_seq, &b.path)));
    // best[n]: the most rows, and then the fewest files, of the first n; chosen[n]: whether that takes the last of them.
    let mut best: Vec<(u64, std::cmp::Reverse<usize>)> = vec![(0, std::cmp::Reverse(0))];
    let mut taken: Vec<Option<usize>> = vec![None];
    for (index, segment) in segments.iter().enumerate() {
        let before = segments[..index].partition_point(|other| other.to_seq < segment.from_seq);
        let (rows, std::cmp::Reverse(files)) = best[before];
        let with = (rows + segment.rows, std::cmp::Reverse(files + 1));
        if with > best[index] {
            best.push(with);
            taken.push(Some(before));
        } else {
            best.push(best[index]);
            taken.push(None);
        }
    }
    let mut chosen = HashSet::new();
    let mut at = segments.len();
    while at > 0 {
        match taken[at] {
            Some(before) => {
                chosen.insert(at - 1);
                at = before;
            }
            None => at -= 1,
        }
    }
    segments.into_iter().enumerate().filter(|(index, _)| chosen.contains(index)).map(|(_, segment)| segment).collect()
}

/// Whether a folder needs no taking in: it was, or it is one that this database made.
///
/// # Errors
/// [`Error::Conflict`] when this database writes into a folder that it never took in; the engine's, and [`Error::Corrupt`].
pub fn is_attached(store: &Store, snapshot: &Arc<dyn Snapshot>, table: TableId, look: &Look) -> Result<bool, Error> {
    let known = published::of_user(snapshot, table, &look.whose.2)?;
    let Some((_, known)) = known.into_iter().find(|(folder, _)| *folder == look.folder) else { return Ok(false) };
    if known.attached {
        return Ok(true);
    }
    match look.databases.iter().find(|database| *database != store.database_id()) {
        None => Ok(true),
        Some(other) => Err(Error::Conflict {
            message: format!(
                "rows were written into {} before what database {other} left there was taken in",
                look.folder.folder
            ),
        }),
    }
}

/// What one commit must hold to take a folder in as rows of `table`. Seqs given out from now on must be above
/// [`Look::seq_max`]; the caller raises them first.
///
/// # Errors
/// [`Error::Conflict`] for a user who has rows here that come from another count; [`Error::Invalid`] for a file of a
/// schema that nobody knows; the engine's.
pub fn writes(
    store: &Store,
    snapshot: &Arc<dyn Snapshot>,
    table: &Table,
    look: &Look,
) -> Result<(Vec<Expect>, Vec<Write>), Error> {
    let user = &look.whose.2;
    let conflict = |what: &str| {
        Err(Error::Conflict {
            message: format!(
                "user {:?} of {} has {what} here already; attach a storage before rows are written, into a database that is new",
                user.as_str(),
                table.qualified_name()
            ),
        })
    };
    let segments: Vec<Segment> =
        look.segments.iter().map(|segment| Segment { table_id: table.id, ..segment.clone() }).collect();
    if let Some(unknown) = segments.iter().find(|segment| segment.schema_version > table.schema_version) {
        return Err(Error::invalid(format!(
            "{} has schema version {}, and the newest definition of {} that was found has {}",
            unknown.path,
            unknown.schema_version,
            table.qualified_name(),
            table.schema_version
        )));
    }
    let before = manifest::watermark(&**snapshot, table.id, user)?;
    let key = keys::user(table.id, user);
    let last_seq = snapshot.get(HOT_USERS, &key)?;
    if last_seq.as_deref().map(|value| keys::u64_value(value, "a user's last seq")).transpose()? > Some(before.seq) {
        return conflict("rows that are not flushed");
    }
    for other in manifest::scan_segments(snapshot.clone(), table.id, Some(user))? {
        let other = other?;
        if segments.iter().any(|segment| segment.from_seq <= other.to_seq && other.from_seq <= segment.to_seq) {
            return conflict("segments that overlap these");
        }
    }
    let mut expect = vec![before.expect(), table.expect_present(), Expect::as_read(HOT_USERS, key, last_seq)];
    expect.push(crate::catalog::expect_storage(&look.folder.storage));
    let mut writes: Vec<Write> = segments.iter().flat_map(manifest::named_by).collect();
    writes.push(before.raised(look.watermark.max(before.seq)));
    if !user.is_shared() {
        writes.push(users::seen(user, store.env().now()));
    }
    let (expected, write) =
        manifest::raise_stamp(&**snapshot, &table.namespace, &table.name, look.stamp_max, look.seq_max())?;
    expect.push(expected);
    writes.push(write);
    for Segment { path, .. } in &segments {
        // Found to be nobody's, by a sweep of before: now it is somebody's, unless it is on its way out already.
        if deletions::is_pending(&**snapshot, &look.folder.storage, path)? {
            return Err(Error::Conflict { message: format!("{path} is being removed") });
        }
        expect.push(deletions::expect_absent(&look.folder.storage, path));
        writes.push(quarantine::release(&look.folder.storage, path));
    }
    // What is published there is the lost database's: it is published anew, above that.
    let known = look.published.clone().unwrap_or_else(|| Published::found(0, String::new(), 0));
    let known = Published { attached: true, ..known };
    let (expected, noted) = published::note(table.id, user, &look.folder, None, &known);
    expect.push(expected);
    writes.extend(noted);
    writes.push(published::due(table.id, user));
    for Listed { path, bytes, .. } in look.superseded.iter().cloned() {
        let (storage, not_before, why) = (look.folder.storage.clone(), store.env().now(), Why::Superseded);
        writes.extend(Deletion { storage, path, bytes, not_before, why, whose: None, failures: 0, error: None }.put());
    }
    Ok((expect, writes))
}

impl Look {
    /// The greatest seq that this folder knows of.
    pub fn seq_max(&self) -> Seq {
        self.watermark
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn segment(name: &str, from_seq: Seq, to_seq: Seq) -> Segment {
        Segment { from_seq, to_seq, rows: to_seq - from_seq + 1, ..manifest::tests::segment_at(name) }
    }

    fn chosen(all: &[(&str, Seq, Seq)]) -> Vec<String> {
        let all = all.iter().map(|(name, from, to)| segment(name, *from, *to)).collect();
        most_rows(all).into_iter().map(|segment| segment.path).collect()
    }

    /// What it is about, the files with their first and last seqs, those that count.
    type Case = (&'static str, &'static [(&'static str, Seq, Seq)], &'static [&'static str]);

    #[test]
    fn of_several_tries_the_most_rows_count_once() {
        let cases: &[Case] = &[
            ("nothing", &[], &[]),
            ("one", &[("a", 11, 20)], &["a"]),
            ("a try that reaches further", &[("a", 11, 15), ("b", 11, 20)], &["b"]),
            ("the same twice", &[("a", 11, 20), ("b", 11, 20)], &["a"]),
            ("cut at other places", &[("a1", 11, 20), ("a2", 21, 30), ("b1", 11, 17), ("b2", 18, 30)], &["b1", "b2"]),
            ("the first part of a try is lost", &[("a1", 11, 20), ("a2", 21, 30), ("b2", 18, 30)], &["a1", "a2"]),
            ("only the second try is whole", &[("a1", 11, 20), ("b1", 11, 15), ("b2", 16, 30)], &["b1", "b2"]),
            ("fewer files of equals", &[("a", 11, 30), ("b1", 11, 20), ("b2", 21, 30)], &["a"]),
        ];
        for (what, all, expected) in cases {
            assert_eq!(chosen(all), *expected, "{what}");
        }
    }

    proptest! {
        #[test]
        fn no_choice_has_more_rows(all in prop::collection::vec((1u64..40, 0u64..12), 0..9)) {
            let all: Vec<Segment> =
                all.iter().enumerate().map(|(n, (from, len))| segment(&n.to_string(), *from, from + len)).collect();
            let overlap = |set: &[&Segment]| {
                set.iter().enumerate().any(|(n, a)| set[..n].iter().any(|b| a.from_seq <= b.to_seq && b.from_seq <= a.to_seq))
            };
            let mut most = 0;
            for mask in 0u32..1 << all.len() {
                let set: Vec<&Segment> = all.iter().enumerate().filter(|(n, _)| mask >> n & 1 == 1).map(|(_, s)| s).collect();
                if !overlap(&set) {
                    most = most.max(set.iter().map(|s| s.rows).sum());
                }
            }
            let chosen = most_rows(all);
            prop_assert!(!overlap(&chosen.iter().collect::<Vec<_>>()));
            prop_assert_eq!(chosen.iter().map(|s| s.rows).sum::<u64>(), most);
        }
    }
}
