//! `system.verify_findings`: segments that are not what the manifest says, newest finding first.

use super::columns::{Column, Value};
use super::{Look, Out, System, Wanted};
use crate::error::Result;
use ebbtide_store::ColumnType::{BigInt, Text, TimestampTz};
use ebbtide_workflows::verify::findings::{Finding, findings};

const COLUMNS: &[Column] = &[
    Column::new("found_at", TimestampTz, "When it was found."),
    Column::new("job_id", Text, "The job that found it, of kind verify."),
    Column::new("namespace", Text, "The namespace of the table whose rows the segment holds."),
    Column::new("table_name", Text, "The table whose rows the segment holds."),
    Column::nullable("user_id", Text, "The one user whose rows it holds; NULL for a SHARED table."),
    Column::new("storage_id", Text, "The storage of its object."),
    Column::new("path", Text, "The path of its object, relative to the storage's root."),
    Column::new("from_seq", BigInt, "The seq of its first row, as the manifest has it."),
    Column::new(
        "problem",
        Text,
        "What is wrong: missing, unreadable, size, checksum, footer, row_count, seq_range, order, owner.",
    ),
    Column::new("expected", Text, "What the manifest says."),
    Column::new("found", Text, "What is there."),
];

/// `system.verify_findings`
#[derive(Debug)]
pub(super) struct Findings;

impl System for Findings {
    fn name(&self) -> &'static str {
        "system.verify_findings"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn newest_first(&self) -> Option<&'static str> {
        Some("found_at")
    }

    fn keys(&self) -> &'static [&'static str] {
        &["job_id", "namespace", "table_name", "user_id", "problem"]
    }

    fn rows(&self, look: &Look<'_>, wanted: &Wanted, out: &mut Out<'_>) -> Result<()> {
        for finding in findings(look.snapshot.clone())? {
            let finding = finding?;
            if wanted.span.from.is_some_and(|from| finding.found_at < from) {
                // All that follow are older still.
                break;
            }
            let job = finding.job_id.to_string();
            let owner = (!finding.user.is_empty()).then_some(finding.user.as_str());
            let matches = wanted.span.holds(finding.found_at)
                && wanted.allows("job_id", Some(&job))
                && wanted.allows("namespace", Some(&finding.namespace))
                && wanted.allows("table_name", Some(&finding.table))
                && wanted.allows("user_id", owner)
                && wanted.allows("problem", Some(finding.problem.as_str()));
            if matches && !row(&finding, &job, owner, out)? {
                break;
            }
        }
        Ok(())
    }
}

fn row(finding: &Finding, job: &str, owner: Option<&str>, out: &mut Out<'_>) -> Result<bool> {
    out.row(&[
        Value::Time(finding.found_at),
        Value::Text(job),
        finding.namespace.as_str().into(),
        finding.table.as_str().into(),
        owner.into(),
        finding.storage.as_str().into(),
        finding.path.as_str().into(),
        finding.from_seq.into(),
        finding.problem.as_str().into(),
        finding.expected.as_str().into(),
        finding.found.as_str().into(),
    ])
}
