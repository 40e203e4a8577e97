//! The rows that `victim engine` writes, and that its test looks for.

use ebbtide_engine::{Cache, Space};

/// Where they are.
pub const ROWS: Space = Space { name: "rows", cache: Cache::Shared };

/// The `number`-th row: its number, and bytes enough that files fill.
#[must_use]
pub fn row(number: u64) -> Vec<u8> {
    const BYTES: usize = 4096;
    // Not all alike, or compression would keep the files small.
    let mut mixed = number;
    let filler = std::iter::repeat_with(move || {
        mixed = mixed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        mixed.to_be_bytes()
    });
    number.to_be_bytes().into_iter().chain(filler.flatten()).take(BYTES).collect()
}
