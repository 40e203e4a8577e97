//! One durable file, step by step. The order of the steps is in this file and nowhere else.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use ebbtide_engine::env::{Defect, SharedEnv};

use super::super::{
    Error, OWN_FOLDER, Stored,
    power_cut::{Event, Witness},
};
use super::{
    dirs::{Dirs, TRIES_MAX, Unsettled},
    points,
};

#[derive(Debug)]
pub(super) struct Disk {
    root: PathBuf,
    temp: PathBuf,
    env: SharedEnv,
    witness: Option<Arc<dyn Witness>>,
    dirs: Dirs,
}

impl Disk {
    pub(super) fn new(root: PathBuf, env: SharedEnv, witness: Option<Arc<dyn Witness>>) -> Disk {
        let temp = root.join(OWN_FOLDER).join("tmp");
        Disk { root, temp, env, witness, dirs: Dirs::default() }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn saw(&self, event: Event<'_>) {
        if let Some(witness) = &self.witness {
            witness.saw(event);
        }
    }

    pub(super) fn forgets_fsync(&self) -> bool {
        self.env.planted(Defect::FsyncForgotten)
    }

    /// Makes the folder for temp files, so that it lasts.
    pub(super) fn make_temp(&self) -> Result<(), Error> {
        let unsettled = self.dirs.make(self, &self.temp)?;
        self.dirs.settle(self, &self.temp, unsettled)
    }

    /// Removes the temp files of a process that died. Only the owner of the root may.
    pub(super) fn sweep_temp(&self) -> Result<(), Error> {
        let entries = std::fs::read_dir(&self.temp).map_err(Error::io("list the temp files in", &self.temp))?;
        for entry in entries {
            let path = entry.map_err(Error::io("list the temp files in", &self.temp))?.path();
            match std::fs::remove_file(&path) {
                Ok(()) => self.saw(Event::Removed(&path)),
                // It only takes room.
                Err(error) => tracing::warn!(path = %path.display(), %error, "a temp file cannot be removed"),
            }
        }
        Ok(())
    }

    /// Removes temp files that nobody has written to since `written_before`, or only counts them. Should one of them belong to
    /// an upload that stands still, that upload fails when it is finished, and nothing else happens.
    pub(super) fn sweep_old_temp(&self, written_before: i64, only_count: bool) -> Result<u64, Error> {
        let failed = || Error::io("list the temp files in", &self.temp);
        let mut swept = 0;
        for entry in std::fs::read_dir(&self.temp).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            // What is gone or cannot be asked is left to whoever is at it.
            let Some(written) = entry.metadata().ok().and_then(|found| found.modified().ok()) else { continue };
            let written = written.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_micros());
            if i64::try_from(written).unwrap_or(i64::MAX) >= written_before {
                continue;
            }
            let path = entry.path();
            if !only_count {
                match std::fs::remove_file(&path) {
                    Ok(()) => self.saw(Event::Removed(&path)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => {
                        tracing::warn!(path = %path.display(), %error, "a temp file cannot be removed");
                        continue;
                    }
                }
            }
            swept += 1;
        }
        Ok(swept)
    }

    /// Creates a temp file for the object at `path`, relative to the root.
    pub(super) fn create(self: &Arc<Self>, path: &str) -> Result<TempFile, Error> {
        let temp = self.temp.join(format!("{}.tmp", self.env.id().simple()));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&temp)
            .map_err(Error::io("create the temp file", &temp))?;
        Ok(TempFile {
            disk: Arc::clone(self),
            path: path.to_owned(),
            temp,
            target: self.root.join(path),
            file,
            folders: None,
            written: Stored { bytes: 0, crc32c: 0 },
            removed: false,
        })
    }

    /// Writes all bytes of the object at `path` to a temp file.
    pub(super) fn write_temp(self: &Arc<Self>, path: &str, bytes: &[u8]) -> Result<TempFile, Error> {
        let mut file = self.create(path)?;
        file.write(bytes)?;
        Ok(file)
    }

    /// Writes a whole object.
    pub(super) fn put(self: &Arc<Self>, path: &str, bytes: &[u8]) -> Result<Stored, Error> {
        self.write_temp(path, bytes)?.finish()
    }

    /// Removes an object, and the folders that it leaves empty.
    pub(super) fn delete(&self, path: &str) -> Result<(), Error> {
        let target = self.root.join(path);
        match std::fs::remove_file(&target) {
            Ok(()) => self.saw(Event::Removed(&target)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // One of its folders is a file: then there is no such object either.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(()),
            Err(error) => return Err(Error::io("remove the object", &target)(error)),
        }
        self.dirs.prune(self, parent(&target));
        Ok(())
    }
}

/// An object that does not have its name yet. Dropping it removes it.
#[derive(Debug)]
pub(super) struct TempFile {
    disk: Arc<Disk>,
    path: String,
    temp: PathBuf,
    target: PathBuf,
    file: File,
    /// The folders on the way to `target` once they are made.
    folders: Option<Unsettled>,
    written: Stored,
    removed: bool,
}

impl TempFile {
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let (mut first, mut rest) = (bytes, &[][..]);
        if self.written.bytes == 0 {
            (first, rest) = bytes.split_at(bytes.len() / 2);
        }
        self.write_all(first)?;
        if self.written.bytes == 0 {
            self.disk.env.reached(points::TEMP_HALF);
            self.write_all(rest)?;
        }
        self.written.crc32c = crc32c::crc32c_append(self.written.crc32c, bytes);
        self.written.bytes += bytes.len() as u64;
        Ok(())
    }

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(Error::io("write the temp file", &self.temp))
    }

    /// Makes the object whole, durable and visible.
    pub(super) fn finish(self) -> Result<Stored, Error> {
        let disk = Arc::clone(&self.disk);
        finish_all(&disk, vec![Ok(self)]).pop().expect("one file has one result")
    }

    fn make_folders(&mut self) -> Result<(), Error> {
        self.disk.env.reached(points::WRITTEN);
        self.folders = Some(self.disk.dirs.make(&self.disk, parent(&self.target))?);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        if !self.disk.forgets_fsync() {
            // Never tried a second time: after an error the system may call the lost bytes clean.
            self.file.sync_all().map_err(|source| Error::Sync { path: self.temp.clone(), source: Arc::new(source) })?;
            self.disk.saw(Event::SyncedFile(&self.temp));
        }
        self.disk.env.reached(points::SYNCED);
        Ok(())
    }

    fn link(&mut self) -> Result<(), Error> {
        let disk = Arc::clone(&self.disk);
        let folder = parent(&self.target);
        let mut tries = 0;
        // A link, because a rename would replace what has the name already.
        while let Err(error) = std::fs::hard_link(&self.temp, &self.target) {
            tries += 1;
            match error.kind() {
                io::ErrorKind::AlreadyExists => {
                    return Err(Error::AlreadyExists { path: self.path.clone() });
                }
                // A delete beside us found the folder empty and removed it.
                io::ErrorKind::NotFound if tries < TRIES_MAX => {
                    disk.dirs.forget(folder);
                    self.folders = Some(disk.dirs.make(&disk, folder)?);
                }
                _ => return Err(Error::io("link the temp file to", &self.target)(error)),
            }
        }
        disk.saw(Event::Linked { from: &self.temp, to: &self.target });
        disk.env.reached(points::LINKED);
        self.remove();
        Ok(())
    }

    /// Best effort: what stays is swept when the storage is opened next.
    fn remove(&mut self) {
        if !std::mem::replace(&mut self.removed, true) && std::fs::remove_file(&self.temp).is_ok() {
            self.disk.saw(Event::Removed(&self.temp));
        }
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Temp files → fsync → link under their names → fsync of the folders: each step for all of them before the next one, so that
/// the fsyncs find as much as can be had to write, and each folder is synced once. Every file has a result of its own.
pub(super) fn finish_all(disk: &Disk, files: Vec<Result<TempFile, Error>>) -> Vec<Result<Stored, Error>> {
    // Before the fsyncs: the new folders may then reach the disk with the files, and cost nothing below.
    let files = each(files, TempFile::make_folders);
    let files = each(files, TempFile::sync);
    let mut files = each(files, TempFile::link);

    let folders = files.iter_mut().flatten().map(|file| {
        let made = file.folders.take().expect("the first step made them for every file that came this far");
        (parent(&file.target), made)
    });
    let mut settled = disk.dirs.settle_all(disk, folders.collect()).into_iter();
    let finish = |file: Result<TempFile, Error>| {
        let file = file?;
        if let Err(error) = settled.next().expect("each file that came this far has one, in the same order") {
            // The object counts as not written. Removing it and its folders has the next try make them anew, not trust a failed fsync.
            if let Err(left) = disk.delete(&file.path) {
                tracing::warn!(object = %file.path, error = %left, "an object whose folder could not be synced is left behind");
            }
            return Err(error);
        }
        disk.env.reached(points::DURABLE);
        Ok(file.written)
    };
    files.into_iter().map(finish).collect()
}

/// Takes a step with each file that got so far. One that fails is dropped, which removes it.
fn each(
    files: Vec<Result<TempFile, Error>>,
    step: impl Fn(&mut TempFile) -> Result<(), Error>,
) -> Vec<Result<TempFile, Error>> {
    let step = |file: Result<TempFile, Error>| {
        let mut file = file?;
        step(&mut file)?;
        Ok(file)
    };
    files.into_iter().map(step).collect()
}

fn parent(target: &Path) -> &Path {
    target.parent().expect("an object lies below the root")
}
