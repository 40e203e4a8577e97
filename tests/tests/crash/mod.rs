//! A server dies at every point of a flush, and nothing is lost or doubled.
//!
//! | part | what it does |
//! | --- | --- |
//! | `scene.rs` | tables, rows and writers; what must be true after any number of deaths |
//! | `matrix.rs` | every point that a flush reaches, by kill -9 and as a power cut, and again during recovery |
//! | `moments.rs` | kills at random moments under load |
//! | `planted.rs` | known bugs, each of which the scene must see |

mod matrix;
mod moments;
mod planted;
mod scene;
