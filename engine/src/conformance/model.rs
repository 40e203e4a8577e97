//! All of it at once: chance against a model of thirty lines.
//!
//! Commits that chance puts together go to the engine, many at a time, and to a map that takes them one by one.
//! Whatever the engine makes of groups, every answer and all that is stored must be the same.

use super::{Case, Fixture, NOON, ONE, Pairs, TWO, unsynced};
use crate::{Commit, Env, Expect, Expected, KeyRange, Packed, Space, Write, counter};
use std::collections::BTreeMap;

pub(super) const CASES: &[Case] = &[the_engine_does_as_the_model];

const ROUNDS: usize = 150;

fn the_engine_does_as_the_model(at: &mut Fixture<'_>) {
    let mut model = Model::default();
    for round in 0..ROUNDS {
        let chance = Chance(at.stage.as_ref());
        let commits: Vec<Commit> = (0..chance.below(24)).map(|_| chance.commit(&model)).collect();
        let answers = at.together(commits.clone());
        for (index, (commit, answer)) in commits.iter().zip(&answers).enumerate() {
            let seqs = answer.as_ref().ok().map(|committed| committed.seqs.clone());
            let right = model.commit(commit);
            assert_eq!(seqs, right, "round {round}, commit {index} of {commits:#?}");
        }
        if round % 50 == 49 {
            at.reopen();
        }
        for space in [ONE, TWO] {
            assert_eq!(at.scan(space), model.scan(space), "round {round}, {}: {commits:#?}", space.name);
        }
    }
}

/// Spaces, keys and values as one map, and commits one after another.
#[derive(Default)]
struct Model {
    map: BTreeMap<(&'static str, Vec<u8>), Vec<u8>>,
    last_seq: u64,
}

impl Model {
    /// The seqs of the commit, or `None` when it does not happen.
    fn commit(&mut self, commit: &Commit) -> Option<Option<std::ops::RangeInclusive<u64>>> {
        let get = |space: Space, key: &Vec<u8>| self.map.get(&(space.name, key.clone())).map(Vec::as_slice);
        if !commit.expect.iter().all(|expect| expect.value.holds(get(expect.space, &expect.key))) {
            return None;
        }
        let first = self.last_seq + 1;
        for write in commit.writes.iter().cloned() {
            self.write(write, first);
        }
        Some((self.last_seq >= first).then_some(first..=self.last_seq))
    }

    fn write(&mut self, write: Write, first: u64) {
        match write {
            Write::Put { space, key, value } => drop(self.map.insert((space.name, key), value)),
            Write::PutIfAbsent { space, key, value } => drop(self.map.entry((space.name, key)).or_insert(value)),
            Write::Delete { space, key } => drop(self.map.remove(&(space.name, key))),
            Write::DeleteIf { space, key, value } => {
                let at = (space.name, key);
                if self.map.get(&at) == Some(&value) {
                    self.map.remove(&at);
                }
            }
            Write::DeleteRange { space, range } => {
                self.map.retain(|at, _| at.0 != space.name || !range.contains(&at.1))
            }
            Write::Add { space, key, delta } => {
                let value = self.map.entry((space.name, key)).or_default();
                *value = (counter(value).saturating_add(delta)).to_le_bytes().to_vec();
            }
            Write::Append { space, prefix, values } => {
                for value in &values {
                    self.last_seq += 1;
                    let key = [prefix.as_slice(), &self.last_seq.to_be_bytes()].concat();
                    self.map.insert((space.name, key), [NOON.to_le_bytes().as_slice(), value].concat());
                }
            }
            Write::StampSeq { space, key } => {
                if self.last_seq >= first {
                    self.map.insert((space.name, key), self.last_seq.to_be_bytes().to_vec());
                }
            }
        }
    }

    fn scan(&self, space: Space) -> Pairs {
        self.map.iter().filter(|(at, _)| at.0 == space.name).map(|(at, value)| (at.1.clone(), value.clone())).collect()
    }
}

/// Few keys and values, so that commits get in each other's way.
struct Chance<'a>(&'a dyn Env);

impl Chance<'_> {
    fn below(&self, bound: u64) -> u64 {
        self.0.random() % bound
    }

    fn space(&self) -> Space {
        if self.below(2) == 0 { ONE } else { TWO }
    }

    fn key(&self, model: &Model) -> Vec<u8> {
        match self.below(8) {
            // A row, perhaps one that is not there yet.
            0 => [b"r", &(model.last_seq + 4).saturating_sub(self.below(12)).to_be_bytes()[..]].concat(),
            1 => b"r".to_vec(),
            _ => vec![b'a' + self.below(5) as u8; 1 + self.below(2) as usize],
        }
    }

    fn value(&self) -> Vec<u8> {
        match self.below(4) {
            0 => (self.below(3) as i64).to_le_bytes().to_vec(),
            short => vec![b'v'; short as usize],
        }
    }

    fn range(&self, model: &Model) -> KeyRange {
        match self.below(4) {
            0 => KeyRange::prefix(&self.key(model)),
            1 => KeyRange::new(self.key(model), ""),
            _ => KeyRange::new(self.key(model), self.key(model)),
        }
    }

    fn commit(&self, model: &Model) -> Commit {
        let expect = (0..self.below(3)).map(|_| self.expect(model)).collect::<Vec<_>>();
        let writes = (0..self.below(5)).map(|_| self.write(model)).collect::<Vec<_>>();
        unsynced(expect, writes)
    }

    fn expect(&self, model: &Model) -> Expect {
        let (space, key) = (self.space(), self.key(model));
        let now = model.map.get(&(space.name, key.clone())).cloned();
        let value = match (self.below(6), now) {
            (0, _) => Expected::Absent,
            (1, _) => Expected::Present,
            (2, _) => Expected::Equals(self.value()),
            // What held before this round, so that most commits happen unless one of the same round is in the way.
            (_, Some(value)) => Expected::Equals(value),
            (_, None) => Expected::Absent,
        };
        Expect { space, key, value }
    }

    fn write(&self, model: &Model) -> Write {
        let space = self.space();
        match self.below(18) {
            16..=17 => Write::put_if_absent(space, self.key(model), self.value()),
            0..=3 => Write::put(space, self.key(model), self.value()),
            4..=5 => Write::delete(space, self.key(model)),
            6..=7 => Write::delete_if(space, self.key(model), self.value()),
            8 => Write::delete_range(space, self.range(model)),
            9..=11 => Write::add(space, self.key(model), self.below(9) as i64 - 4),
            12..=13 => Write::stamp_seq(space, self.key(model)),
            _ => Write::append(space, "r", (0..self.below(4)).map(|_| self.value()).collect::<Packed>()),
        }
    }
}
