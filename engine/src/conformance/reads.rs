//! Snapshots, ranges, orders, cursors.

use super::{Case, Fixture, ONE, TWO, scan};
use crate::{Cursor, KeyRange, Order, Snapshot, Write};
use std::sync::Arc;
use std::thread;

pub(super) const CASES: &[Case] = &[
    a_snapshot_stands_still,
    ranges_hold_in_both_orders,
    a_cursor_seeks_within_its_range,
    a_cursor_outlives_its_snapshot,
    a_cursor_moves_between_threads,
];

fn a_snapshot_stands_still(at: &mut Fixture<'_>) {
    at.write([Write::put(ONE, "a", "1"), Write::put(ONE, "b", "1"), Write::put(TWO, "a", "1")]);
    let before = at.engine.snapshot();
    at.write([Write::put(ONE, "a", "2"), Write::delete(ONE, "b"), Write::put(ONE, "c", "2")]);
    at.write([Write::delete_range(TWO, KeyRange::all())]);
    let get = |snapshot: &Arc<dyn Snapshot>, key: &[u8]| snapshot.get(ONE, key).expect("a key can be read");
    assert_eq!(get(&before, b"a"), Some(b"1".to_vec()), "a snapshot does not see later writes");
    assert_eq!(get(&before, b"b"), Some(b"1".to_vec()), "nor later deletes");
    assert_eq!(get(&before, b"c"), None, "nor later keys");
    assert_eq!(scan(&before, TWO, KeyRange::all(), Order::Ascending).len(), 1, "nor ranges that are removed later");
    let after = at.engine.snapshot();
    assert_eq!(get(&after, b"a"), Some(b"2".to_vec()), "a later snapshot sees what was answered before it was taken");
    assert_eq!(scan(&after, TWO, KeyRange::all(), Order::Descending), []);
    at.engine.close();
    assert_eq!(get(&before, b"a"), Some(b"1".to_vec()), "a snapshot can be read after the engine is closed");
}

fn ranges_hold_in_both_orders(at: &mut Fixture<'_>) {
    let keys: [&[u8]; 8] = [b"", b"\0", b"a", b"aa", b"ab", b"b", b"\xff", b"\xff\xff"];
    at.write(keys.map(|key| Write::put(ONE, key, key)));
    at.write([Write::put(TWO, "a", "not this")]);
    let snapshot = at.engine.snapshot();
    let ranges = [
        KeyRange::all(),
        KeyRange::prefix(b"a"),
        KeyRange::prefix(b"\xff"),
        KeyRange::prefix(b"nothing"),
        KeyRange::new("a", "ab"),
        KeyRange::new("a", "a"),
        KeyRange::new("b", "a"),
        KeyRange::new("", "a"),
        KeyRange::new("aaa", ""),
        KeyRange::new([0xff, 0xff, 0xff], ""),
    ];
    for range in ranges {
        let mut right: Vec<_> =
            keys.iter().filter(|key| range.contains(key)).map(|key| (key.to_vec(), key.to_vec())).collect();
        assert_eq!(scan(&snapshot, ONE, range.clone(), Order::Ascending), right, "{range:?} ascending");
        right.reverse();
        assert_eq!(scan(&snapshot, ONE, range.clone(), Order::Descending), right, "{range:?} descending");
    }
}

fn a_cursor_seeks_within_its_range(at: &mut Fixture<'_>) {
    let keys: [&[u8]; 6] = [b"a", b"b", b"ba", b"d", b"e", b"f"];
    at.write(keys.map(|key| Write::put(ONE, key, key)));
    at.write([Write::delete_range(ONE, KeyRange::new("ba", "c"))]);
    let keys: [&[u8]; 3] = [b"b", b"d", b"e"];
    let snapshot = at.engine.snapshot();
    for order in [Order::Ascending, Order::Descending] {
        let range = KeyRange::new("b", "f");
        let mut cursor = snapshot.clone().scan(ONE, range, order).expect("a range can be scanned");
        // Forth, back, before the start, behind the end, to where there is nothing; twice, so that each follows the end.
        for to in [&b"d"[..], b"c", b"b", b"", b"a", b"dd", b"e", b"f", b"z", b"ba", b"b", b"", b"z", b"d"] {
            cursor.seek(to);
            let mut right: Vec<&[u8]> = match order {
                Order::Ascending => keys.into_iter().filter(|key| *key >= to).collect(),
                Order::Descending => keys.into_iter().rev().filter(|key| *key <= to).collect(),
            };
            if to == b"d" {
                // Not to the end: the next seek is from the middle.
                right.truncate(1);
                let read = cursor.next().expect("a cursor can be read").map(|(key, _)| key.to_vec());
                assert_eq!(read.as_deref(), right.first().copied(), "{order:?} from {to:?}");
                continue;
            }
            let mut read = Vec::new();
            while let Some((key, _)) = cursor.next().expect("a cursor can be read") {
                read.push(key.to_vec());
            }
            assert_eq!(read, right, "{order:?} from {to:?}");
        }
    }
    let mut nothing = snapshot.scan(ONE, KeyRange::new("b", "b"), Order::Ascending).expect("nothing can be scanned");
    nothing.seek(b"b");
    assert_eq!(nothing.next().expect("a cursor can be read"), None);
}

fn many(at: &Fixture<'_>) -> Box<dyn Cursor> {
    at.write((0u32..20_000).map(|n| Write::put(ONE, n.to_be_bytes(), n.to_le_bytes())));
    at.engine.snapshot().scan(ONE, KeyRange::all(), Order::Ascending).expect("a range can be scanned")
}

fn read_all(mut cursor: Box<dyn Cursor>) -> u32 {
    let mut count = 0u32;
    while let Some((key, value)) = cursor.next().expect("a cursor can be read") {
        assert_eq!((key, value), (&count.to_be_bytes()[..], &count.to_le_bytes()[..]), "a cursor misses nothing");
        count += 1;
    }
    count
}

fn a_cursor_outlives_its_snapshot(at: &mut Fixture<'_>) {
    let cursor = many(at);
    // The handle of the snapshot is gone already; now all that it saw goes as well.
    at.write([Write::delete_range(ONE, KeyRange::all()), Write::put(ONE, [0xff; 9], "later")]);
    assert_eq!(read_all(cursor), 20_000, "a cursor keeps its snapshot");
}

fn a_cursor_moves_between_threads(at: &mut Fixture<'_>) {
    let cursor = many(at);
    let count = thread::spawn(move || read_all(cursor)).join().expect("the cursor's thread ends well");
    assert_eq!(count, 20_000);
}
