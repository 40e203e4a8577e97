//! An object as it is, from one storage to another.

use super::objects::location;
use super::{Error, Objects, Stored, Upload, finish_holding};
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use std::sync::Arc;

/// Which end of a copy failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CopyError {
    /// The object could not be read to its end, or is not what it was said to be. Others may be well.
    #[error(transparent)]
    Source(Error),
    /// The copy could not be written. Nothing is known of the object itself.
    #[error(transparent)]
    Target(Error),
}

/// Copies an object byte for byte under a name never used before, in pieces, so memory does not grow with it. The copy is
/// whole and durable when this comes back, and has been compared with `expected` on the way: one that differs in size or
/// sum leaves no object. `held` is let go when the copy is there, or will not come to be, as in [`finish_holding`].
///
/// # Errors
/// [`CopyError`]; then there is no copy, unless its storage did not say whether it took it.
pub async fn copy(
    from: &dyn Objects,
    from_path: &str,
    to: &dyn Objects,
    to_path: &str,
    expected: Stored,
    held: impl Send + 'static,
) -> Result<(), CopyError> {
    let unread = |source| CopyError::Source(Error::Store { path: from_path.to_owned(), source: Arc::new(source) });
    let place = location(from_path).map_err(CopyError::Source)?;
    let mut pieces = from.object_store().get(&place).await.map_err(unread)?.into_stream();
    let mut upload = to.begin(to_path).await.map_err(CopyError::Target)?;
    let mut read = Stored { bytes: 0, crc32c: 0 };
    loop {
        let piece = match pieces.try_next().await {
            Ok(Some(piece)) => piece,
            Ok(None) => break,
            Err(error) => return Err(give_up(upload, unread(error)).await),
        };
        read.bytes += piece.len() as u64;
        read.crc32c = crc32c::crc32c_append(read.crc32c, &piece);
        if read.bytes > expected.bytes {
            break;
        }
        if let Err(error) = upload.write(piece).await {
            return Err(give_up(upload, CopyError::Target(error)).await);
        }
    }
    if read != expected {
        let wrong = differs(from_path, read, expected);
        return Err(give_up(upload, CopyError::Source(wrong)).await);
    }
    let stored = finish_holding(upload, held).await.map_err(CopyError::Target)?;
    if stored != expected {
        return Err(CopyError::Target(differs(to_path, stored, expected)));
    }
    Ok(())
}

fn differs(path: &str, found: Stored, expected: Stored) -> Error {
    let Stored { bytes, crc32c } = found;
    Error::Contradiction(format!(
        "{path} has {bytes} bytes with CRC-32C {crc32c:08x}, the manifest says {} and {:08x}",
        expected.bytes, expected.crc32c
    ))
}

/// What stays of an upload that cannot be given up is nobody's: a temp file or an open multipart, which have their sweeps.
async fn give_up(upload: Box<dyn Upload>, because: CopyError) -> CopyError {
    if let Err(error) = upload.abort().await {
        tracing::debug!(%error, "a copy that failed could not be given up");
    }
    because
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StorageId;
    use crate::cold::checksum;
    use crate::testing::{TestEnv, open_store};
    use bytes::Bytes;

    #[tokio::test]
    async fn a_copy_is_the_same_or_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let store = open_store(dir.path(), &TestEnv::new()).await;
        let objects = store.objects(&StorageId::local()).unwrap();
        let bytes = Bytes::from((0..300_000u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>());
        let stored = objects.put_small("a/one.parquet", bytes).await.unwrap();
        let attempt = async |from: &str, to: &str, expected| copy(&*objects, from, &*objects, to, expected, ()).await;

        attempt("a/one.parquet", "b/one.parquet", stored).await.unwrap();
        assert_eq!(checksum(&*objects, "b/one.parquet").await.unwrap(), Some(stored));
        let taken = attempt("a/one.parquet", "b/one.parquet", stored).await.unwrap_err();
        assert!(matches!(&taken, CopyError::Target(error) if error.is_already_exists()), "{taken:?}");

        for wrong in [
            Stored { crc32c: stored.crc32c ^ 1, ..stored },
            Stored { bytes: stored.bytes - 1, ..stored },
            Stored { bytes: stored.bytes + 1, ..stored },
        ] {
            let error = attempt("a/one.parquet", "b/two.parquet", wrong).await.unwrap_err();
            assert!(matches!(&error, CopyError::Source(_)), "{error:?}");
            assert!(error.to_string().contains("the manifest says"), "{error}");
        }
        let missing = attempt("a/none.parquet", "b/two.parquet", stored).await.unwrap_err();
        assert!(matches!(missing, CopyError::Source(_)), "{missing:?}");
        assert_eq!(checksum(&*objects, "b/two.parquet").await.unwrap(), None, "nothing is left of those");
    }
}
