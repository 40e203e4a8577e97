//! Opening the database: its spaces, its last seq, its folder.

use super::pins::Pins;
use super::tuning::Tuning;
use crate::env::{Defect, Env};
use crate::{Cache, Error, Memory, Options, Space};
use rocksdb::{ColumnFamily, ColumnFamilyDescriptor, DBWithThreadMode, IteratorMode, SingleThreaded};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Single-threaded means that spaces are fixed while it is open; reads and writes come from any thread.
pub(super) type Db = DBWithThreadMode<SingleThreaded>;

/// The engine's own space, where the last seq is kept.
pub(super) const OWN: Space = Space { name: "engine", cache: Cache::Shared };

/// The key of the last seq and the last commit time, in [`OWN`].
pub(super) const LAST: &[u8] = b"last";

/// The column family that RocksDB itself insists on. Not used.
const ROCKSDB_DEFAULT: &str = "default";

/// The space of hot rows, for [`Defect::SeqFromHotRows`] alone: the engine knows no spaces but its own.
const HOT: &str = "hot";

/// How often the files are listed anew when the owner has removed one meanwhile.
const LOOK_TRIES: u32 = 5;

/// Which of the database's spaces: an index that stays valid while it is open.
pub(super) type Place = u16;

pub(super) struct Database {
    db: Db,
    /// In the order of their places; [`OWN`] first.
    spaces: Vec<Space>,
    path: PathBuf,
    tuning: Tuning,
    bounds: Memory,
    pins: Arc<Pins>,
    closing: AtomicBool,
}

/// Where seqs and times go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Last {
    pub(super) last_seq: u64,
    pub(super) committed_at: i64,
}

impl Last {
    pub(super) fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.last_seq.to_be_bytes());
        bytes[8..].copy_from_slice(&self.committed_at.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Last> {
        let (seq, at) = bytes.split_first_chunk::<8>()?;
        Some(Last { last_seq: u64::from_be_bytes(*seq), committed_at: i64::from_le_bytes(at.try_into().ok()?) })
    }
}

impl Database {
    pub(super) fn open(path: &Path, spaces: &[Space], options: &Options) -> Result<Database, Error> {
        let spaces = checked(spaces)?;
        let failed = |reason: String| Error::Open { path: path.to_owned(), reason };
        create_dir_durable(path).map_err(|error| failed(format!("cannot make the folder: {error}")))?;

        let tuning = Tuning::new(options);
        let db_options = tuning.database(options);
        let mut names: BTreeSet<&str> = spaces.iter().map(|space| space.name).collect();
        // RocksDB opens all column families or none, so those that this program does not know are opened as well.
        let on_disk = match Db::list_cf(&db_options, path) {
            Ok(names) => names,
            Err(_) if !path.join("CURRENT").exists() => Vec::new(),
            Err(error) => return Err(failed(error.into_string())),
        };
        names.extend(on_disk.iter().map(String::as_str));
        names.insert(ROCKSDB_DEFAULT);
        let families = names.into_iter().map(|name| {
            let cache = spaces.iter().find(|space| space.name == name).map_or(Cache::Shared, |space| space.cache);
            ColumnFamilyDescriptor::new(name, tuning.space(cache, options))
        });
        let db = Db::open_cf_descriptors(&db_options, path, families).map_err(|error| {
            let reason = error.into_string();
            if reason.contains("lock") && reason.contains("LOCK") {
                Error::InUse { path: path.to_owned() }
            } else {
                failed(reason)
            }
        })?;
        let bounds = bounds(options);
        Ok(Database {
            db,
            spaces,
            path: path.to_owned(),
            tuning,
            bounds,
            pins: Arc::default(),
            closing: AtomicBool::new(false),
        })
    }

    pub(super) fn memory(&self) -> Memory {
        self.tuning.used(self.bounds)
    }

    /// Opens what is on disk for reads alone, beside whoever may have it open.
    pub(super) fn look(path: &Path, spaces: &[Space], options: &Options) -> Result<Database, Error> {
        let spaces = checked(spaces)?;
        let failed = |reason: String| Error::Open { path: path.to_owned(), reason };
        if !path.join("CURRENT").exists() {
            return Err(failed("there is no database".to_owned()));
        }
        let tuning = Tuning::new(options);
        let mut db_options = tuning.database(options);
        // All files are opened now and held, so that the owner may remove them.
        db_options.set_max_open_files(-1);
        let mut tries = 0;
        let db = loop {
            let on_disk = Db::list_cf(&db_options, path).map_err(|error| failed(error.into_string()))?;
            let ours = spaces.iter().filter(|space| on_disk.iter().any(|name| name == space.name));
            let families = ours
                .map(|space| (space.name, space.cache))
                .chain([(ROCKSDB_DEFAULT, Cache::Shared)])
                .map(|(name, cache)| ColumnFamilyDescriptor::new(name, tuning.space(cache, options)));
            tries += 1;
            match Db::open_cf_descriptors_read_only(&db_options, path, families, false) {
                Ok(db) => break db,
                // The owner moved on between the list of files and their opening: the next list is right again.
                Err(_) if tries < LOOK_TRIES => {}
                Err(error) => return Err(failed(error.into_string())),
            }
        };
        Ok(Database {
            db,
            spaces,
            path: path.to_owned(),
            tuning,
            bounds: bounds(options),
            pins: Arc::default(),
            closing: AtomicBool::new(false),
        })
    }

    /// Where seqs and times go on, from what the last batch with rows left.
    pub(super) fn start(&self, env: &dyn Env) -> Result<Last, Error> {
        let start = match self.db.get_pinned_cf(self.family(OWN)?, LAST).map_err(read(OWN))? {
            None => Last::default(),
            Some(bytes) => Last::from_bytes(&bytes).ok_or_else(|| Error::Corrupt {
                space: OWN.name,
                reason: format!("the last seq has {} bytes in place of 16", bytes.len()),
            })?,
        };
        if env.planted(Defect::SeqFromHotRows) {
            return Ok(Last { last_seq: self.highest_hot_seq()?, ..start });
        }
        Ok(start)
    }

    /// The planted bug: forgets the seqs of rows that were moved or deleted.
    fn highest_hot_seq(&self) -> Result<u64, Error> {
        let Some(&hot) = self.spaces.iter().find(|space| space.name == HOT) else { return Ok(0) };
        let mut highest = 0;
        for entry in self.db.iterator_cf(self.family(hot)?, IteratorMode::Start) {
            let (key, _) = entry.map_err(read(hot))?;
            highest = highest.max(key.last_chunk::<8>().map_or(0, |seq| u64::from_be_bytes(*seq)));
        }
        Ok(highest)
    }

    pub(super) fn db(&self) -> &Db {
        &self.db
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Breaks off what RocksDB does in the background. Nothing is lost: files count from when they are finished.
    pub(super) fn break_off(&self) {
        self.closing.store(true, Ordering::Release);
        self.db.cancel_all_background_work(false);
    }

    /// Whether it was broken off, and will be from now on.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    pub(super) fn pins(&self) -> &Arc<Pins> {
        &self.pins
    }

    pub(super) fn spaces(&self) -> &[Space] {
        &self.spaces
    }

    pub(super) fn place(&self, space: Space) -> Result<Place, Error> {
        self.spaces
            .iter()
            .position(|known| known.name == space.name)
            .and_then(|index| Place::try_from(index).ok())
            .ok_or(Error::UnknownSpace { name: space.name })
    }

    pub(super) fn family(&self, space: Space) -> Result<&ColumnFamily, Error> {
        self.place(space)?;
        self.db.cf_handle(space.name).ok_or(Error::UnknownSpace { name: space.name })
    }
}

pub(super) fn read(space: Space) -> impl Fn(rocksdb::Error) -> Error {
    move |error| match error.kind() {
        rocksdb::ErrorKind::Corruption => Error::Corrupt { space: space.name, reason: error.into_string() },
        _ => Error::Read { space: space.name, reason: error.into_string() },
    }
}

/// What memory is allowed, with nothing used yet.
fn bounds(options: &Options) -> Memory {
    Memory {
        block_cache_bytes_max: options.block_cache_bytes_max,
        jobs_cache_bytes_max: options.jobs_cache_bytes_max,
        write_buffer_bytes_max: options.write_buffer_bytes_max,
        ..Memory::default()
    }
}

/// The spaces with the engine's own in front, if each can be declared.
fn checked(spaces: &[Space]) -> Result<Vec<Space>, Error> {
    let mut all = vec![OWN];
    for &space in spaces {
        let bad = |reason| Err(Error::BadSpace { name: space.name, reason });
        if space.name.is_empty() {
            return bad("a name is needed");
        }
        if space.name == OWN.name || space.name == ROCKSDB_DEFAULT {
            return bad("the name is reserved");
        }
        if all.iter().any(|other| other.name == space.name) {
            return bad("it was declared twice");
        }
        if Place::try_from(all.len()).is_err() {
            return bad("there are too many");
        }
        all.push(space);
    }
    Ok(all)
}

/// Makes the folder and those above it, and makes their names survive a power cut: RocksDB syncs what is in its folder, not the folder's own name.
fn create_dir_durable(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists()).collect();
    fs::create_dir_all(path)?;
    for folder in missing {
        let parent = match folder.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}
