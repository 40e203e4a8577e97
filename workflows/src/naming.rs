//! Names for the objects that a job writes beside the flushes.

use ebbtide_store::cold::{self, Objects};
use ebbtide_store::path;

/// Names tried for one object. A claim uses up one for each time that its commit is refused.
const NAMES_MAX: u32 = 1000;

/// A path in `folder` that no object has. No other job has this timestamp, and no other claim this epoch, so nobody takes
/// it meanwhile. None if very many are taken by objects that nothing names.
///
/// # Errors
/// When the storage cannot be asked.
pub(crate) async fn free_path(
    objects: &dyn Objects,
    folder: &str,
    stamp: i64,
    part: u32,
    epoch: u64,
) -> Result<Option<String>, cold::Error> {
    for tried in 0..NAMES_MAX {
        let name = path::file_name(stamp, part, epoch, tried);
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        if cold::head(objects, &path).await?.is_none() {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// The folder of an object.
pub(crate) fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The name of an object, without its folder.
pub(crate) fn name_of(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}
