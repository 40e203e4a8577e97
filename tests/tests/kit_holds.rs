//! The test kit itself: a tool that cannot see a mistake would let every test pass.

use crate::kit::ledger::Ledger;
use crate::kit::python;
use crate::kit::rows::difference;

#[test]
fn the_ledger_sees_what_is_lost_doubled_torn_or_invented() {
    let ledger = Ledger::new();
    ledger.acknowledged([1, 2]);
    ledger.in_doubt([3, 4]);
    let cases: [(&[i32], &[&str]); 8] = [
        (&[1, 2], &[]),
        (&[4, 3, 2, 1], &[]),
        (&[1], &["lost: 2"]),
        (&[1, 2, 2], &["doubled: 2"]),
        (&[1, 2, 3], &["torn: 1 of 2"]),
        (&[1, 2, 3, 3, 4], &["doubled: 3"]),
        (&[1, 2, 9], &["invented: 9"]),
        (&[1, 1, 9], &["lost: 2", "doubled: 1", "invented: 9"]),
    ];
    for (found, expected) in cases {
        let complaints = ledger.complaints(found.iter().copied());
        assert_eq!(complaints.len(), expected.len(), "{found:?}: {complaints:?}");
        for (complaint, expected) in complaints.iter().zip(expected) {
            assert!(complaint.starts_with(expected), "{found:?}: {complaint}");
        }
    }
}

#[test]
fn a_difference_counts_each_row_and_no_order() {
    assert_eq!(difference(["a", "b", "b"], ["b", "a", "b"]), "");
    assert_eq!(
        difference(["a", "b"], ["b", "b", "c"]),
        "  \"a\": expected 1 times, found 0 times\n  \"b\": expected 1 times, found 2 times\n  \"c\": expected 0 times, found 1 times"
    );
}

#[test]
fn the_readers_that_are_not_ours_agree_about_every_type() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("sample.parquet");
    let names = python::read("write_sample.py", [&file]);
    let duckdb = python::read("read_parquet.py", ["duckdb".as_ref(), file.as_os_str()]);
    let pyarrow = python::read("read_parquet.py", ["pyarrow".as_ref(), file.as_os_str()]);
    assert_eq!(duckdb["rows"], pyarrow["rows"]);
    let columns = names.as_array().expect("a list").len();
    let rows = duckdb["rows"].as_array().expect("a list");
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0][columns - 1], "2026-11-22 10:00:00.000000+00:00");
    assert!(rows[1].as_array().expect("a list").iter().all(serde_json::Value::is_null));
}
