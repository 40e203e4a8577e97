//! What must hold before a commit happens.

use super::{Case, Fixture, JOBS, ONE, TWO, mismatch, unsynced};
use crate::{Cache, CommitError, Expect, KeyRange, Packed, Space, Write};

pub(super) const CASES: &[Case] = &[
    each_kind_holds_or_not,
    a_mismatch_writes_nothing_and_hurts_nobody,
    earlier_commits_of_a_group_are_seen,
    removed_ranges_of_a_group_are_seen,
    rows_counters_and_stamps_of_a_group_are_seen,
    only_one_of_many_makes_an_absent_key,
    unknown_spaces_are_refused,
];

fn each_kind_holds_or_not(at: &mut Fixture<'_>) {
    at.write([Write::put(ONE, "there", "value"), Write::put(ONE, "empty", "")]);
    let tries = [
        (Expect::present(ONE, "there"), true),
        (Expect::present(ONE, "empty"), true),
        (Expect::present(ONE, "not"), false),
        (Expect::absent(ONE, "not"), true),
        (Expect::absent(TWO, "there"), true),
        (Expect::absent(ONE, "there"), false),
        (Expect::absent(ONE, "empty"), false),
        (Expect::equals(ONE, "there", "value"), true),
        (Expect::equals(ONE, "there", "valu"), false),
        (Expect::equals(ONE, "there", ""), false),
        (Expect::equals(ONE, "empty", ""), true),
        (Expect::equals(ONE, "not", ""), false),
        (Expect::as_read(ONE, "not", None), true),
        (Expect::as_read(ONE, "there", Some(b"value".to_vec())), true),
    ];
    for (number, (expect, holds)) in tries.into_iter().enumerate() {
        let mark = format!("mark {number}");
        let answer = at.commit(unsynced([expect.clone()], [Write::put(TWO, mark.as_str(), "x")]));
        assert_eq!(answer.is_ok(), holds, "{expect:?} is answered {answer:?}");
        assert_eq!(at.get(TWO, &mark).is_some(), holds, "{expect:?}: what is answered is what was done");
    }
}

fn a_mismatch_writes_nothing_and_hurts_nobody(at: &mut Fixture<'_>) {
    at.write([Write::put(ONE, "a", "1"), Write::put(ONE, "counter", 5i64.to_le_bytes())]);
    let rows = || ["row"].iter().collect::<Packed>();
    let answers = at.together([
        unsynced([], [Write::append(TWO, "r", rows())]),
        unsynced(
            [Expect::present(ONE, "a"), Expect::equals(ONE, "a", "2")],
            [
                Write::put(ONE, "a", "3"),
                Write::delete_range(ONE, KeyRange::all()),
                Write::append(TWO, "r", rows()),
                Write::add(ONE, "counter", 1),
            ],
        ),
        unsynced([Expect::equals(ONE, "a", "1")], [Write::append(TWO, "r", rows()), Write::add(ONE, "counter", 2)]),
    ]);
    match &answers[1] {
        Err(CommitError::Mismatch { index: 1, space: "conformance_one", key }) if key == b"a" => {}
        other => panic!("a mismatch names the expectation that does not hold, not {other:?}"),
    }
    let seqs = |index: usize| answers[index].as_ref().ok().and_then(|committed| committed.seqs.clone());
    assert_eq!((seqs(0), seqs(2)), (Some(1..=1), Some(2..=2)), "a commit that does not happen uses up no seq");
    assert_eq!(at.get(ONE, "a"), Some(b"1".to_vec()), "a mismatch writes nothing");
    assert_eq!(at.get(ONE, "counter"), Some(7i64.to_le_bytes().to_vec()), "a mismatch adds nothing");
    assert_eq!(at.scan(TWO).len(), 2, "a mismatch appends nothing");
}

fn earlier_commits_of_a_group_are_seen(at: &mut Fixture<'_>) {
    at.write([Write::put(ONE, "old", "1")]);
    let answers = at.together([
        unsynced([Expect::absent(ONE, "new")], [Write::put(ONE, "new", "1")]),
        unsynced([Expect::absent(ONE, "new")], [Write::put(ONE, "new", "2")]),
        unsynced([Expect::equals(ONE, "new", "1")], [Write::put(ONE, "new", "3"), Write::delete(ONE, "old")]),
        unsynced([Expect::present(ONE, "old")], [Write::put(ONE, "wrong", "")]),
        unsynced([Expect::absent(ONE, "old"), Expect::equals(ONE, "new", "3")], [Write::put(ONE, "old", "2")]),
        unsynced([Expect::equals(ONE, "old", "2")], [Write::delete_if(ONE, "old", "1")]),
        unsynced([Expect::equals(ONE, "old", "2")], [Write::delete_if(ONE, "old", "2")]),
        unsynced([Expect::absent(ONE, "old")], []),
    ]);
    let held: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(
        held,
        [true, false, true, false, true, true, true, true],
        "each commit sees what those before it in the group wrote: {answers:?}"
    );
    assert_eq!(at.scan(ONE), [(b"new".to_vec(), b"3".to_vec())], "and the last of them is what is there");
}

fn removed_ranges_of_a_group_are_seen(at: &mut Fixture<'_>) {
    at.write(["a1", "a2", "b1"].map(|key| Write::put(ONE, key, "old")));
    let answers = at.together([
        unsynced([], [Write::put(ONE, "a3", "new")]),
        unsynced([], [Write::delete_range(ONE, KeyRange::prefix(b"a")), Write::put(ONE, "a2", "after")]),
        unsynced([Expect::absent(ONE, "a1"), Expect::absent(ONE, "a3")], []),
        unsynced([Expect::equals(ONE, "a2", "after"), Expect::equals(ONE, "b1", "old")], []),
        unsynced([], [Write::delete_range(ONE, KeyRange::new("a9", ""))]),
        unsynced([Expect::present(ONE, "b1")], []),
        unsynced([Expect::present(ONE, "a2")], []),
    ]);
    let held: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(held, [true, true, true, true, true, false, true], "removed ranges are seen at once: {answers:?}");
    assert_eq!(at.scan(ONE), [(b"a2".to_vec(), b"after".to_vec())], "a range removes what was before it, and no more");
}

fn rows_counters_and_stamps_of_a_group_are_seen(at: &mut Fixture<'_>) {
    let row = |seq: u64| [b"r", seq.to_be_bytes().as_slice()].concat();
    let stored = |bytes: &[u8]| [super::NOON.to_le_bytes().as_slice(), bytes].concat();
    let answers = at.together([
        unsynced([], [Write::append(ONE, "r", ["x", "y"].iter().collect()), Write::stamp_seq(TWO, "last")]),
        unsynced([], [Write::add(TWO, "counter", 2), Write::add(TWO, "counter", -5)]),
        unsynced(
            [
                Expect::equals(ONE, row(1), stored(b"x")),
                Expect::equals(ONE, row(2), stored(b"y")),
                Expect::absent(ONE, row(3)),
                Expect::equals(TWO, "last", 2u64.to_be_bytes()),
                Expect::equals(TWO, "counter", (-3i64).to_le_bytes()),
            ],
            [Write::delete_range(ONE, KeyRange::new(row(1), row(2))), Write::delete(TWO, "counter")],
        ),
        unsynced([Expect::absent(ONE, row(1)), Expect::present(ONE, row(2)), Expect::absent(TWO, "counter")], []),
        unsynced([], [Write::add(TWO, "counter", 1)]),
        unsynced(
            [Expect::equals(TWO, "counter", 1i64.to_le_bytes())],
            [Write::delete_if(TWO, "last", 2u64.to_be_bytes())],
        ),
        unsynced([Expect::absent(TWO, "last")], []),
        unsynced([Expect::equals(ONE, row(2), stored(b"x"))], []),
    ]);
    let held: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(held, [true, true, true, true, true, true, true, false], "all that a group writes is seen: {answers:?}");
    assert_eq!(at.scan(TWO), [(b"counter".to_vec(), 1i64.to_le_bytes().to_vec())]);
    assert_eq!(at.scan(ONE), [(row(2), stored(b"y"))]);
}

fn only_one_of_many_makes_an_absent_key(at: &mut Fixture<'_>) {
    let answers = at.together((0..50).map(|caller: u8| {
        unsynced([Expect::present(JOBS, "held"), Expect::absent(ONE, "active")], [Write::put(ONE, "active", [caller])])
    }));
    let made: Vec<usize> = (0..50).filter(|&caller| answers[caller].is_ok()).collect();
    assert_eq!(made, [0], "of many that make one absent key, the first does");
    assert!(answers[1..].iter().all(|answer| mismatch(answer) == Some(1)), "and all others are told what did not hold");
    assert_eq!(at.get(ONE, "active"), Some(vec![0]));
}

fn unknown_spaces_are_refused(at: &mut Fixture<'_>) {
    const UNKNOWN: Space = Space { name: "conformance_unknown", cache: Cache::Shared };
    let refused = [
        unsynced([Expect::absent(UNKNOWN, "a")], []),
        unsynced([], [Write::put(ONE, "a", ""), Write::put(UNKNOWN, "a", "")]),
    ];
    for commit in refused {
        assert!(at.commit(commit).is_err(), "a space that was not opened is refused");
    }
    assert!(at.engine.snapshot().get(UNKNOWN, b"a").is_err(), "nor can it be read");
    assert_eq!(at.get(ONE, "a"), None, "and nothing of such a commit is written");
    at.write([Write::put(ONE, "a", "")]);
}
