//! `ebbtide jobs show ID`: everything about one job.

use std::process::ExitCode;

use tokio_postgres::SimpleQueryRow;

use super::super::client::{self, Target, literal};
use super::super::{Outcome, sql};

pub(super) async fn run(job: &str, target: &Target) -> Outcome {
    let client = client::connect(&target.url).await?;
    let id = literal(job);
    // First: an id that no job has is refused here, with the nearest one.
    let explanation = client::rows(&client, &format!("EXPLAIN JOB {id}")).await?;
    let found = client::rows(&client, &format!("SELECT * FROM system.jobs WHERE job_id = {id}")).await?;
    if let Some(row) = found.first() {
        print!("{}", pairs(cells(row)));
    }
    println!();
    let path = "seq_no, at, from_state, to_state, status, epoch, attempt, error FROM system.job_transitions";
    let path = format!("SELECT {path} WHERE job_id = {id} ORDER BY seq_no");
    sql::print(&client, &path).await.map_err(client::Error::from)?;
    println!();
    let lines = explanation.iter().map(|row| (row.get(0).unwrap_or_default(), row.get(1)));
    print!("{}", pairs(lines));
    Ok(ExitCode::SUCCESS)
}

fn cells(row: &SimpleQueryRow) -> impl Iterator<Item = (&str, Option<&str>)> {
    row.columns().iter().enumerate().map(|(index, column)| (column.name(), row.get(index)))
}

/// Names and values under each other; what has no value is left out.
fn pairs<'a>(pairs: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> String {
    let there: Vec<_> = pairs.filter_map(|(name, value)| Some((name, value?))).collect();
    let width = there.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in there {
        text.push_str(&format!("{name:<width$}  "));
        // A control character could move the cursor or worse; only a new line is let be, and set under the first.
        for letter in value.chars() {
            match letter {
                '\n' => text.push_str(&format!("\n{:width$}  ", "")),
                letter if letter.is_control() => text.extend(letter.escape_default()),
                letter => text.push(letter),
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::pairs;

    #[test]
    fn names_and_values_line_up() {
        let shown = pairs([("id", Some("7")), ("none", None), ("error", Some("a\nb\u{1b}"))].into_iter());
        assert_eq!(shown, "id     7\nerror  a\n       b\\u{1b}\n");
    }
}
