//! One owner per storage root, so that nobody's files are swept or overwritten by another.
//!
//! `.ebbtide/owner.json` says whose a root is. It is made by create-if-absent and never changed. A root above or below one that is owned
//! is refused, and a process that has a root open holds a lock on the owner object, so that a copy of a database does not write beside it.

use std::{
    fs::{File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::local::dirs;
use super::{Error, OWN_FOLDER, Stored};

pub(crate) mod remote; // the same for a bucket

const OWNER_OBJECT: &str = ".ebbtide/owner.json";

/// Whose a storage root is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The database, by the id it was given when it was made.
    pub database_id: String,
    /// The storage of that database.
    pub storage_id: String,
}

/// Takes `root` for `owner`, or tells why it cannot be. The claim ends when the file is closed.
///
/// `create` writes an object durably unless there is one of this name.
pub(super) fn claim(
    root: &Path,
    owner: &Owner,
    create: impl FnOnce(&str, &[u8]) -> Result<Stored, Error>,
) -> Result<File, Error> {
    if read(root)?.is_none() {
        refuse_nested(root, owners_above(root))?;
        refuse_nested(root, owners_below(root)?)?;
        let text = serde_json::to_vec(owner).expect("two strings are JSON");
        match create(OWNER_OBJECT, &text) {
            // Somebody was quicker; below we read who.
            Ok(_) | Err(Error::AlreadyExists { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let path = root.join(OWNER_OBJECT);
    let file = File::open(&path).map_err(Error::io("open the owner object", &path))?;
    match read(root)? {
        Some(found) if found == *owner => {}
        Some(found) => {
            return Err(Error::Owned { root: root.display().to_string(), found, wanted: owner.clone() });
        }
        None => {
            return Err(Error::OwnerUnreadable {
                path: path.display().to_string(),
                problem: "it was removed just now".to_owned(),
            });
        }
    }
    // Again, on every open: of two that were claimed at the same moment the inner one gives way.
    refuse_nested(root, owners_above(root))?;
    lock(root, file)
}

/// Frees a root of `found`, if it still is his.
pub(crate) fn abandon(root: &Path, found: &Owner) -> Result<(), Error> {
    match read(root)? {
        Some(owner) if owner == *found => remove(root),
        _ => Ok(()),
    }
}

/// Gives a root of `found` to `owner`, unless a process has it open. The change is whole or not there.
pub(crate) fn take_over(root: &Path, found: &Owner, owner: &Owner) -> Result<(), Error> {
    let path = root.join(OWNER_OBJECT);
    let file = File::open(&path).map_err(Error::io("open the owner object", &path))?;
    let _lock = lock(root, file)?;
    if read(root)?.as_ref() != Some(found) {
        return Err(Error::OwnerUnreadable {
            path: path.display().to_string(),
            problem: "it has changed just now".to_owned(),
        });
    }
    let new = path.with_extension("json.new");
    let text = serde_json::to_vec(owner).expect("two strings are JSON");
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(&text)?;
        file.sync_all()
    });
    written.map_err(Error::io("write the new owner object", &new))?;
    std::fs::rename(&new, &path).map_err(Error::io("replace the owner object", &path))?;
    sync_own_folder(root)
}

/// Frees the root, durably.
pub(super) fn remove(root: &Path) -> Result<(), Error> {
    let path = root.join(OWNER_OBJECT);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io("remove the owner object", &path)(error))
        }
        _ => sync_own_folder(root),
    }
}

fn sync_own_folder(root: &Path) -> Result<(), Error> {
    let folder = root.join(OWN_FOLDER);
    dirs::sync_dir(&folder).map_err(|source| Error::Sync { path: folder, source: source.into() })
}

fn lock(root: &Path, file: File) -> Result<File, Error> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(Error::InUse { root: root.to_owned() }),
        // Some network file systems know no locks. The owner object still keeps other databases out.
        Err(TryLockError::Error(error)) => {
            tracing::warn!(root = %root.display(), %error, "the storage root cannot be locked");
            Ok(file)
        }
        Ok(()) => Ok(file),
    }
}

fn refuse_nested(root: &Path, mut others: impl Iterator<Item = Result<(PathBuf, Owner), Error>>) -> Result<(), Error> {
    let Some(other) = others.next() else {
        return Ok(());
    };
    let (other, found) = other?;
    let relation = if root.starts_with(&other) { "inside" } else { "around" };
    Err(Error::Nested { root: root.display().to_string(), relation, other: other.display().to_string(), found })
}

fn owners_above(root: &Path) -> impl Iterator<Item = Result<(PathBuf, Owner), Error>> {
    root.ancestors().skip(1).filter_map(owned)
}

/// Looks through everything below, which is little: this is asked only of a root that nobody has used.
fn owners_below(root: &Path) -> Result<impl Iterator<Item = Result<(PathBuf, Owner), Error>>, Error> {
    let mut folders = Vec::new();
    push_folders(&mut folders, root).map_err(Error::io("look for other storages in", root))?;
    Ok(std::iter::from_fn(move || {
        while let Some(folder) = folders.pop() {
            // A folder that we may not read is none that another storage of ours would be in.
            let _ = push_folders(&mut folders, &folder);
            if let Some(found) = owned(&folder) {
                return Some(found);
            }
        }
        None
    }))
}

/// Symbolic links are not followed: they can lead anywhere, and round in circles.
fn push_folders(folders: &mut Vec<PathBuf>, dir: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && entry.file_name() != OWN_FOLDER {
            folders.push(entry.path());
        }
    }
    Ok(())
}

fn owned(dir: &Path) -> Option<Result<(PathBuf, Owner), Error>> {
    read(dir).transpose().map(|owner| Ok((dir.to_owned(), owner?)))
}

/// Whose a root is, if anybody's.
pub(crate) fn read(root: &Path) -> Result<Option<Owner>, Error> {
    let path = root.join(OWNER_OBJECT);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) => {
            return match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(None),
                _ => Err(Error::io("read the owner object", &path)(error)),
            };
        }
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| Error::OwnerUnreadable { path: path.display().to_string(), problem: error.to_string() })
}
