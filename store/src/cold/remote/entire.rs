//! A read gives all that was asked for, or an error.
//!
//! What lies between a store and us may end an answer early as if that were all. Who then reads on takes half an object for a
//! whole one, or a range of a file for a shorter one; some of the code that reads Parquet for us even panics.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, path::Path,
};

/// A store whose reads are counted.
#[derive(Debug)]
pub(super) struct Entire(pub(super) Arc<dyn ObjectStore>);

impl fmt::Display for Entire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn refused(words: String) -> Error {
    Error::Generic { store: "a storage", source: words.into() }
}

#[async_trait]
impl ObjectStore for Entire {
    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        if options.head {
            return self.0.get_opts(path, options).await;
        }
        let asked = match &options.range {
            Some(GetRange::Bounded(range)) => Some(range.clone()),
            _ => None,
        };
        let read = self.0.get_opts(path, options).await?;
        if let Some(asked) = asked.filter(|asked| *asked != read.range) {
            return Err(refused(format!(
                "bytes {} to {} of {path} were asked for, and it has {}",
                asked.start, asked.end, read.meta.size
            )));
        }
        Ok(counted(read, path))
    }

    async fn put_opts(&self, path: &Path, data: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.0.put_opts(path, data, options).await
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}

/// The same, with an error in the place of an end that comes too early.
fn counted(read: GetResult, path: &Path) -> GetResult {
    let GetResult { meta, range, attributes, .. } = &read;
    let (meta, range, attributes) = (meta.clone(), range.clone(), attributes.clone());
    let (wanted, path) = (range.end - range.start, path.clone());
    let pieces = stream::try_unfold((read.into_stream(), 0), move |(mut pieces, so_far)| {
        let path = path.clone();
        async move {
            match pieces.try_next().await? {
                Some(piece) => {
                    let so_far = so_far + piece.len() as u64;
                    Ok(Some((piece, (pieces, so_far))))
                }
                None if so_far >= wanted => Ok(None),
                None => Err(refused(format!("a read of {path} ended after {so_far} of {wanted} bytes"))),
            }
        }
    });
    GetResult { payload: GetResultPayload::Stream(pieces.boxed()), meta, range, attributes }
}
