//! What a group of commits has written so far, laid over the database.
//!
//! The batch of a group is written only at its end, yet each commit must see what those before it in the group wrote. Each write
//! has an ordinal; of all that speak of a key (its own entry, a removed range, appended rows) the greatest ordinal is the truth.

use super::database::{Db, Place};
use crate::{Expected, KeyRange, Packed, appended, counter};
use rocksdb::{ColumnFamily, DBPinnableSlice, ReadOptions};
use std::collections::HashMap;

pub(super) type Ordinal = u64;

/// The ordinal of what is in the database: before every write of the group.
const IN_DATABASE: Ordinal = 0;

/// The layers of all spaces.
pub(super) struct Overlay<'a> {
    layers: Vec<Layer<'a>>,
    ordinal: Ordinal,
}

/// What the group wrote in one space.
#[derive(Default)]
struct Layer<'a> {
    /// Whether any commit of the group asks for keys of this space: only then are writes to it remembered.
    asked: bool,
    keys: HashMap<&'a [u8], (Ordinal, Known<'a>)>,
    removed: Vec<(Ordinal, &'a KeyRange)>,
    appended: Vec<(Ordinal, Rows<'a>)>,
    /// The greatest key in the database, once somebody needed it.
    greatest: Option<Vec<u8>>,
}

/// What is known of one key.
enum Known<'a> {
    Stored(Option<DBPinnableSlice<'a>>),
    Put(&'a [u8]),
    Deleted,
    /// A counter or a stamp: goes into the batch at the end of the group, once, however often the group changes it.
    Late([u8; 8]),
}

/// Rows that a commit of the group appended.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) prefix: &'a [u8],
    pub(super) seq_first: u64,
    pub(super) values: &'a Packed,
    pub(super) committed_at: i64,
}

impl<'a> Rows<'a> {
    fn find(&self, key: &[u8]) -> Option<&'a [u8]> {
        let seq = key.strip_prefix(self.prefix)?;
        let seq = u64::from_be_bytes(seq.try_into().ok()?);
        self.values.get(usize::try_from(seq.checked_sub(self.seq_first)?).ok()?)
    }
}

/// The value of a key as the next commit of the group sees it.
enum Value<'v> {
    Absent,
    Bytes(&'v [u8]),
    Row { committed_at: i64, bytes: &'v [u8] },
}

impl<'a> Overlay<'a> {
    pub(super) fn new(spaces: usize) -> Overlay<'a> {
        let mut layers = Vec::with_capacity(spaces);
        layers.resize_with(spaces, Layer::default);
        Overlay { layers, ordinal: IN_DATABASE }
    }

    /// Keys of this space will be asked for.
    pub(super) fn ask(&mut self, place: Place) {
        self.layers[usize::from(place)].asked = true;
    }

    /// Reads the key from the database unless the group knows it already.
    pub(super) fn load(
        &mut self,
        db: &'a Db,
        family: &ColumnFamily,
        options: &ReadOptions,
        place: Place,
        key: &'a [u8],
    ) -> Result<(), rocksdb::Error> {
        let layer = &mut self.layers[usize::from(place)];
        if !layer.keys.contains_key(key) {
            let stored = db.get_pinned_cf_opt(family, key, options)?;
            layer.keys.insert(key, (IN_DATABASE, Known::Stored(stored)));
        }
        Ok(())
    }

    /// Whether a key that was loaded is as expected.
    pub(super) fn holds(&self, place: Place, key: &[u8], expected: &Expected) -> bool {
        match expected {
            Expected::Absent => matches!(self.value(place, key), Value::Absent),
            Expected::Present => !matches!(self.value(place, key), Value::Absent),
            Expected::Equals(value) => self.equals(place, key, value),
        }
    }

    /// Whether a key that was loaded has exactly this value.
    pub(super) fn equals(&self, place: Place, key: &[u8], expected: &[u8]) -> bool {
        match self.value(place, key) {
            Value::Absent => false,
            Value::Bytes(bytes) => bytes == expected,
            Value::Row { committed_at, bytes } => appended(expected) == Some((committed_at, bytes)),
        }
    }

    /// The counter at a key that was loaded.
    pub(super) fn counter(&self, place: Place, key: &[u8]) -> i64 {
        match self.value(place, key) {
            Value::Absent => 0,
            Value::Bytes(bytes) => counter(bytes),
            Value::Row { committed_at, bytes: [] } => committed_at,
            Value::Row { .. } => 0,
        }
    }

    /// The greatest key that the database has in this space, if it was asked for and there is one.
    pub(super) fn greatest(&self, place: Place) -> Option<&[u8]> {
        self.layers[usize::from(place)].greatest.as_deref()
    }

    pub(super) fn set_greatest(&mut self, place: Place, key: Option<Vec<u8>>) {
        self.layers[usize::from(place)].greatest = key;
    }

    pub(super) fn put(&mut self, place: Place, key: &'a [u8], value: &'a [u8]) {
        self.set(place, key, Known::Put(value));
    }

    pub(super) fn delete(&mut self, place: Place, key: &'a [u8]) {
        self.set(place, key, Known::Deleted);
    }

    /// Sets a key of a space that was asked for, to be written at the end of the group.
    pub(super) fn put_late(&mut self, place: Place, key: &'a [u8], value: [u8; 8]) {
        self.set(place, key, Known::Late(value));
    }

    pub(super) fn remove(&mut self, place: Place, range: &'a KeyRange) {
        self.ordinal += 1;
        let layer = &mut self.layers[usize::from(place)];
        if layer.asked {
            layer.removed.push((self.ordinal, range));
        }
    }

    pub(super) fn append(&mut self, place: Place, rows: Rows<'a>) {
        self.ordinal += 1;
        let layer = &mut self.layers[usize::from(place)];
        if layer.asked {
            layer.appended.push((self.ordinal, rows));
        }
    }

    /// What is still to be written at the end of the group.
    pub(super) fn late(&self) -> impl Iterator<Item = (usize, &'a [u8], [u8; 8])> {
        self.layers.iter().enumerate().flat_map(|(place, layer)| {
            layer.keys.iter().filter_map(move |(&key, (ordinal, known))| match known {
                Known::Late(value) if layer.latest(key, *ordinal).is_none() => Some((place, key, *value)),
                _ => None,
            })
        })
    }

    fn set(&mut self, place: Place, key: &'a [u8], known: Known<'a>) {
        self.ordinal += 1;
        let layer = &mut self.layers[usize::from(place)];
        if layer.asked {
            layer.keys.insert(key, (self.ordinal, known));
        }
    }

    fn value(&self, place: Place, key: &[u8]) -> Value<'_> {
        let layer = &self.layers[usize::from(place)];
        let (ordinal, known) = match layer.keys.get(key) {
            Some((ordinal, known)) => (*ordinal, Some(known)),
            None => (IN_DATABASE, None),
        };
        layer.latest(key, ordinal).unwrap_or(match known {
            None | Some(Known::Deleted | Known::Stored(None)) => Value::Absent,
            Some(Known::Stored(Some(value))) => Value::Bytes(value),
            Some(Known::Put(value)) => Value::Bytes(value),
            Some(Known::Late(value)) => Value::Bytes(value),
        })
    }
}

impl<'a> Layer<'a> {
    /// What a removed range or appended rows made of the key later than `after`.
    fn latest(&self, key: &[u8], after: Ordinal) -> Option<Value<'a>> {
        let removed = self
            .removed
            .iter()
            .filter(|(ordinal, range)| *ordinal > after && range.contains(key))
            .map(|(ordinal, _)| *ordinal)
            .max();
        let after = removed.unwrap_or(after);
        let row =
            self.appended.iter().rev().filter(|(ordinal, _)| *ordinal > after).find_map(|(_, rows)| {
                rows.find(key).map(|bytes| Value::Row { committed_at: rows.committed_at, bytes })
            });
        row.or(removed.map(|_| Value::Absent))
    }
}
