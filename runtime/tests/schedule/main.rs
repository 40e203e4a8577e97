//! What the scheduler promises: each slot starts once, whatever clocks, restarts and other schedulers do.

mod brute; // crontab by looking at every minute
mod cron; // expressions in awkward zones, against the minutes
