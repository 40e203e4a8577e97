//! Which kinds of jobs this program can load.

use crate::workflow::Workflow;
use serde::de::value::MapDeserializer;
use serde::{Deserialize, de};
use std::fmt;

/// The stored name of every [`Workflow`] that is linked into this program, sorted.
///
/// A kind is found at run time by a name that its crate registers at link time. One that is lost at link time shows only when
/// a job of it cannot be loaded, so a program does well to compare this list with the one it expects in a test.
pub fn workflow_names() -> Vec<&'static str> {
    // Asking for a kind that nobody has is answered with those that there are.
    let nobody = MapDeserializer::<_, Answer>::new([("kind", "")].into_iter());
    let mut names = match Box::<dyn Workflow>::deserialize(nobody) {
        Ok(_) => Vec::new(),
        Err(Answer(names)) => names.to_vec(),
    };
    names.sort_unstable();
    names
}

/// The names in an error about an unknown one.
#[derive(Debug)]
struct Answer(&'static [&'static str]);

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "known are {}", self.0.join(", "))
    }
}

impl std::error::Error for Answer {}

impl de::Error for Answer {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Answer(&[])
    }

    fn unknown_variant(_: &str, known: &'static [&'static str]) -> Self {
        Answer(known)
    }
}
