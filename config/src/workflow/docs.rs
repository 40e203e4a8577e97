//! What each key of a workflow means, for editors.

/// What a name looks like.
pub(crate) const NAME_PATTERN: &str = "^[A-Za-z0-9_-]([A-Za-z0-9_ -]*[A-Za-z0-9_-])?$";

/// What a key means.
pub(crate) fn describe(key: &str) -> &'static str {
    match key {
        "name" => "What it is called: letters, digits, \"-\", \"_\", and spaces inside. Each name once.",
        "kind" => "What it does.",
        "trigger" => "What makes it run: one of cron, interval, rows, bytes, or \"manual\".",
        "trigger.cron" => {
            "A crontab expression of five fields, or six with seconds in front, or @hourly, @daily, @weekly, @monthly, @yearly."
        }
        "trigger.time_zone" => "The IANA name of the time zone of the expression, such as \"Europe/Berlin\".",
        "trigger.interval" => "The time between two runs, counted from when it was first declared.",
        "trigger.rows" => "It runs as soon as this many rows wait.",
        "trigger.bytes" => "It runs as soon as this many bytes wait.",
        "parameters" => "What the kind is told.",
        "retry" => "How its jobs are tried again. What is left out is as [jobs] says.",
        "retry.attempts_max" => "How often a job is tried before it is failed.",
        "retry.backoff_min" => "The pause before the second try; it doubles for each further one.",
        "retry.backoff_max" => "The longest pause between two tries.",
        "timeout" => "The longest that one of its jobs may run; then it fails.",
        "overlap" => {
            "When it is due while an earlier run is active: skip that time, queue one run to follow, or cancel the old run for the new one."
        }
        "missed" => {
            "What to do about times that passed while nobody could start it: skip them, or run once for all of them."
        }
        "enabled" => "Whether it runs by itself. A disabled one can still be run by hand.",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::describe;
    use crate::workflow::read::{KEYS, RETRY_KEYS, TRIGGER_KEYS};

    #[test]
    fn every_key_is_described() {
        let within = |table: &'static str, keys: &[&str]| {
            keys.iter().map(move |key| format!("{table}.{key}")).collect::<Vec<_>>()
        };
        let keys = KEYS.iter().map(|key| (*key).to_owned());
        for key in keys.chain(within("trigger", &TRIGGER_KEYS)).chain(within("retry", &RETRY_KEYS)) {
            assert!(!describe(&key).is_empty(), "{key}");
        }
    }
}
