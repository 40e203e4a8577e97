//! What each kind of write does, and in which order.

use super::{Case, Fixture, ONE, TWO, unsynced};
use crate::{Commit, KeyRange, Packed, Write, appended, counter, stamped};
use futures::executor::block_on;

pub(super) const CASES: &[Case] = &[
    later_writes_win,
    counters_add_up,
    rows_get_key_seq_and_time,
    stamps_follow_the_rows_before_them,
    ranges_are_removed_to_the_letter,
    deletes_with_a_condition,
    a_key_that_is_there_is_left_alone,
    any_bytes_are_kept,
    nothing_is_a_commit_too,
    a_purge_takes_what_was_removed_and_nothing_else,
];

fn later_writes_win(at: &mut Fixture<'_>) {
    at.write([
        Write::put(ONE, "a", "1"),
        Write::put(ONE, "a", "2"),
        Write::put(ONE, "b", "1"),
        Write::delete(ONE, "b"),
        Write::delete(ONE, "c"),
        Write::put(ONE, "c", "1"),
        Write::delete_range(ONE, KeyRange::prefix(b"c")),
        Write::put(ONE, "d", "1"),
        Write::add(TWO, "n", 4),
        Write::put(TWO, "n", 10i64.to_le_bytes()),
        Write::add(TWO, "n", 1),
        Write::add(TWO, "m", 4),
        Write::delete_range(TWO, KeyRange::prefix(b"m")),
    ]);
    let text = |pairs: super::Pairs| pairs.into_iter().map(|(key, value)| [key, value].concat()).collect::<Vec<_>>();
    assert_eq!(text(at.scan(ONE)), [b"a2", b"d1"], "of writes to one key in one commit the last one wins");
    assert_eq!(at.scan(TWO), [(b"n".to_vec(), 11i64.to_le_bytes().to_vec())], "counters keep to the order of writes");
}

fn counters_add_up(at: &mut Fixture<'_>) {
    assert_eq!(counter(&[]), 0);
    at.write([Write::add(ONE, "n", 5)]);
    at.together((0..20).map(|_| unsynced([], [Write::add(ONE, "n", 2), Write::add(ONE, "down", -1)])));
    at.write([Write::add(ONE, "n", -50)]);
    let value = |key: &str| counter(&at.get(ONE, key).unwrap_or_default());
    assert_eq!((value("n"), value("down")), (-5, -20), "a counter is the sum of what was added");
    assert_eq!(at.get(ONE, "n"), Some((-5i64).to_le_bytes().to_vec()), "a counter is 8 bytes, little endian");
    at.write([Write::add(ONE, "top", i64::MAX), Write::add(ONE, "top", 9), Write::add(ONE, "zero", 0)]);
    assert_eq!(counter(&at.get(ONE, "top").unwrap_or_default()), i64::MAX, "a counter stays at its limit");
    assert_eq!(at.get(ONE, "zero"), Some(vec![0; 8]), "adding nothing makes a counter of 0");
    at.reopen();
    at.write([Write::add(ONE, "n", 6)]);
    assert_eq!(counter(&at.get(ONE, "n").unwrap_or_default()), 1, "a counter goes on after a restart");
}

fn rows_get_key_seq_and_time(at: &mut Fixture<'_>) {
    at.stage.set_clock(super::NOON + 7);
    let committed = at.write([
        Write::append(ONE, "p", ["a", ""].iter().collect()),
        Write::append(TWO, "", Packed::new()),
        Write::append(TWO, "", ["c"].iter().collect()),
    ]);
    assert_eq!(committed.seqs, Some(1..=3), "the rows of one commit have seqs without a gap");
    assert_eq!(committed.committed_at, super::NOON + 7);
    let key = |prefix: &str, seq: u64| [prefix.as_bytes(), &seq.to_be_bytes()].concat();
    let rows: Vec<_> = at.scan(ONE);
    assert_eq!(rows[0].0, key("p", 1), "a row's key is prefix and seq, big endian");
    assert_eq!(rows[1].0, key("p", 2));
    assert_eq!(appended(&rows[0].1), Some((super::NOON + 7, &b"a"[..])), "a row's value is commit time and bytes");
    assert_eq!(appended(&rows[1].1), Some((super::NOON + 7, &b""[..])));
    assert_eq!(at.scan(TWO)[0].0, key("", 3));
    let none = at.write([Write::append(ONE, "p", Packed::new())]);
    assert_eq!(none.seqs, None, "no rows use no seqs");
}

fn stamps_follow_the_rows_before_them(at: &mut Fixture<'_>) {
    let rows = |count: usize| std::iter::repeat_n("row", count).collect::<Packed>();
    at.write([Write::append(ONE, "p", rows(4))]);
    at.write([
        Write::stamp_seq(TWO, "before"),
        Write::append(ONE, "p", rows(2)),
        Write::stamp_seq(TWO, "first"),
        Write::append(ONE, "q", rows(3)),
        Write::stamp_seq(TWO, "second"),
    ]);
    let stamp = |key: &str| at.get(TWO, key).as_deref().and_then(stamped);
    assert_eq!(stamp("before"), None, "before it gave out a seq, a commit stamps nothing");
    assert_eq!((stamp("first"), stamp("second")), (Some(6), Some(9)), "a stamp is the last seq given out before it");
    at.together((0..10).map(|_| unsynced([], [Write::append(ONE, "p", rows(1)), Write::stamp_seq(TWO, "first")])));
    assert_eq!(stamp("first"), Some(19), "the last commit's stamp stays");
}

fn ranges_are_removed_to_the_letter(at: &mut Fixture<'_>) {
    let keys: [&[u8]; 7] = [b"a", b"b", b"b\0", b"bb", b"c", b"\xff", b"\xff\xff\xff"];
    let ranges = [
        KeyRange::new("b", "c"),
        KeyRange::new("b", "b"),
        KeyRange::new("c", "b"),
        KeyRange::new("", "b"),
        KeyRange::new("b", ""),
        KeyRange::prefix(b"b"),
        KeyRange::prefix(b"\xff"),
        KeyRange::prefix(b"\xff\xff\xff\xff"),
        KeyRange::all(),
    ];
    for range in ranges {
        at.write([Write::delete_range(ONE, KeyRange::all())]);
        assert_eq!(at.scan(ONE), [], "the range of all keys leaves none");
        at.write(keys.map(|key| Write::put(ONE, key, "")));
        at.write([Write::put(TWO, "b", ""), Write::delete_range(ONE, range.clone())]);
        let left: Vec<_> = at.scan(ONE).into_iter().map(|(key, _)| key).collect();
        let right: Vec<_> = keys.iter().filter(|key| !range.contains(key)).map(|key| key.to_vec()).collect();
        assert_eq!(left, right, "{range:?} is removed, and nothing else");
        assert_eq!(at.scan(TWO).len(), 1, "nor in another space");
    }
    // An open end covers what the same commit wrote before, and not what it writes after.
    at.write([
        Write::append(ONE, "z", ["row"].iter().collect()),
        Write::put(ONE, [0xff; 20], ""),
        Write::add(ONE, "zz", 1),
        Write::delete_range(ONE, KeyRange::all()),
        Write::put(ONE, "after", ""),
    ]);
    assert_eq!(at.scan(ONE), [(b"after".to_vec(), Vec::new())], "an open end has no end");
}

fn deletes_with_a_condition(at: &mut Fixture<'_>) {
    at.write([Write::put(ONE, "a", "1"), Write::put(ONE, "b", "")]);
    at.write([
        Write::delete_if(ONE, "a", "2"),
        Write::delete_if(ONE, "a", ""),
        Write::delete_if(ONE, "b", ""),
        Write::delete_if(ONE, "c", ""),
    ]);
    assert_eq!(at.scan(ONE), [(b"a".to_vec(), b"1".to_vec())], "only what has exactly that value is removed");
    at.write([Write::put(ONE, "a", "2"), Write::delete_if(ONE, "a", "1"), Write::delete_if(ONE, "a", "2")]);
    assert_eq!(at.scan(ONE), [], "the value counts as the writes before left it");
}

fn a_key_that_is_there_is_left_alone(at: &mut Fixture<'_>) {
    at.write([Write::put(ONE, "there", "1")]);
    at.write([
        Write::put_if_absent(ONE, "there", "2"),
        Write::put_if_absent(ONE, "new", "1"),
        Write::put_if_absent(ONE, "new", "2"),
        Write::delete(ONE, "there"),
        Write::put_if_absent(ONE, "there", "3"),
    ]);
    let value = |key: &str| at.get(ONE, key);
    assert_eq!(value("there"), Some(b"3".to_vec()), "a key that was removed before in the commit is not there");
    assert_eq!(value("new"), Some(b"1".to_vec()), "the first of a commit wins");
    at.together((0..20u8).map(|n| unsynced([], [Write::put_if_absent(TWO, "once", [n])])));
    assert_eq!(at.get(TWO, "once"), Some(vec![0]), "of several commits the first wins");
}

fn any_bytes_are_kept(at: &mut Fixture<'_>) {
    let large = vec![7; 3 << 20];
    at.write([
        Write::put(ONE, [0], [0]),
        Write::put(ONE, "", "the empty key"),
        Write::put(ONE, [0xff; 300], large.as_slice()),
    ]);
    at.reopen();
    assert_eq!(at.get(ONE, ""), Some(b"the empty key".to_vec()));
    assert_eq!(at.get(ONE, [0]), Some(vec![0]));
    assert_eq!(at.get(ONE, [0xff; 300]), Some(large), "large values come back");
    let endless = vec![0; 64 << 20];
    assert!(
        at.commit(unsynced([], [Write::put(ONE, endless, "")])).is_err(),
        "a key that no engine should hold is refused, and not lost in silence"
    );
}

fn nothing_is_a_commit_too(at: &mut Fixture<'_>) {
    let committed = at.commit(Commit::default()).expect("a commit without writes happens");
    assert_eq!(committed.seqs, None);
    at.write([Write::put(ONE, "a", "")]);
    at.commit(Commit::default()).expect("a synced commit without writes is a barrier");
}

fn a_purge_takes_what_was_removed_and_nothing_else(at: &mut Fixture<'_>) {
    let everything = |at: &Fixture<'_>| (at.scan(ONE), at.scan(TWO));
    let purge = |at: &Fixture<'_>, ranges| block_on(at.engine.purge(ranges)).expect("nothing keeps what was removed");
    purge(at, Vec::new());
    purge(at, vec![(ONE, KeyRange::all()), (TWO, KeyRange::prefix(b"none"))]);
    at.write((0..100u8).flat_map(|n| [Write::put(ONE, [n], [n; 100]), Write::put(TWO, [n], [n])]));
    let before = everything(at);
    purge(at, vec![(ONE, KeyRange::new([20], [30])), (TWO, KeyRange::all()), (TWO, KeyRange::new([9], [3]))]);
    assert_eq!(everything(at), before, "what was not removed stays");
    at.write([
        Write::delete_range(ONE, KeyRange::new([20], [30])),
        Write::delete(TWO, [50]),
        Write::put(ONE, [40], ""),
    ]);
    let before = everything(at);
    assert_eq!((before.0.len(), before.1.len()), (90, 99));
    purge(at, vec![(ONE, KeyRange::new([20], [41])), (TWO, KeyRange::new([50], [51]))]);
    assert_eq!(everything(at), before, "what comes next to it, or was written over it, stays");
    at.write([Write::put(ONE, [25], "again")]);
    at.reopen();
    assert_eq!(at.get(ONE, [25]), Some(b"again".to_vec()));
    assert_eq!(everything(at).0.len(), 91);
}
