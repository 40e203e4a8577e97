//! Stored rows read back, those of earlier versions too.

use super::Row;
use crate::job::Trigger;
use crate::status::Status;
use crate::wire::put_number;
use crate::workflow::Progress;

fn full() -> Row {
    Row {
        workflow: "nightly".into(),
        job_type: "flush".into(),
        scope: Some(("chat".into(), "messages".into())),
        status: Status::Retrying,
        state: "Writing".into(),
        subject: Some("ana".into()),
        progress: Progress { users_done: 1, users_total: 300, rows_done: 1 << 40, bytes_done: u64::MAX },
        error: Some("disk".into()),
        attempt: 3,
        attempts_max: 5,
        next_run_at: Some(1_700_000_000_000_000),
        idempotency_key: Some("k".into()),
        unique: Some(vec![0, 1, 255]),
        node_id: Some("n1".into()),
        epoch: 7,
        lease_expires_at: Some(-1),
        trigger: Trigger::Rows,
        memory_used: 1 << 20,
        cpu_used: 12,
        created_at: 1,
        updated_at: 2,
        started_at: Some(0),
        completed_at: Some(4),
        cancelled_at: Some(5),
        body_version: 2,
        transitions: 9,
        cancel_requested: true,
        follow_up: true,
        has_parameters: true,
        has_result: true,
        pause_requested: true,
        backoff_min_micros: Some(0),
        backoff_max_micros: Some(60_000_000),
        timeout_micros: Some(3_600_000_000),
        ran_micros: 17,
    }
}

/// What the rows of the first form say.
fn first_form() -> Row {
    Row {
        pause_requested: false,
        backoff_min_micros: None,
        backoff_max_micros: None,
        timeout_micros: None,
        ran_micros: 0,
        ..full()
    }
}

#[test]
fn a_row_reads_back() {
    for row in [full(), Row::blank()] {
        assert_eq!(Row::decode(&row.encode()).unwrap(), row);
    }
}

/// Rows that earlier versions have written. A line here never changes; a new form gets a new line.
const STORED: [&str; 2] = [
    concat!(
        "0a076e696768746c791205666c7573681a046368617422086d657373616765732803320757726974696e673a03",
        "616e61400148ac025080808080802058ffffffffffffffffff0162046469736b68037005788080f9c0c1c48203",
        "8201016b8a01030001ff9201026e31980107a001ffffffffffffffffff01a80103b001808040b8010cc00101c8",
        "0102d00100d80104e00105e80102f00109f80101800201880201900201",
    ),
    concat!(
        "0a076e696768746c791205666c7573681a046368617422086d657373616765732803320757726974696e673a03",
        "616e61400148ac025080808080802058ffffffffffffffffff0162046469736b68037005788080f9c0c1c48203",
        "8201016b8a01030001ff9201026e31980107a001ffffffffffffffffff01a80103b001808040b8010cc00101c8",
        "0102d00100d80104e00105e80102f00109f80101800201880201900201980201a00200a802808ece1cb00280c8",
        "ceb40db80211",
    ),
];

#[test]
fn stored_rows_of_earlier_versions_still_read() {
    for (stored, row) in STORED.into_iter().zip([first_form(), full()]) {
        let bytes: Vec<u8> = (0..stored.len())
            .step_by(2)
            .map(|place| u8::from_str_radix(&stored[place..place + 2], 16).unwrap())
            .collect();
        assert_eq!(Row::decode(&bytes).unwrap(), row);
    }
}

#[test]
fn a_field_of_a_later_version_is_skipped() {
    let mut bytes = full().encode();
    put_number(&mut bytes, 9999, 1);
    assert_eq!(Row::decode(&bytes).unwrap(), full());
}

#[test]
fn a_torn_row_is_an_error() {
    assert!(Row::decode(&[]).is_err());
    assert!(Row::decode(&[0xff; 16]).is_err());
}
