//! The owner object of a bucket, or of a folder in it.
//!
//! It is made by a put that succeeds only if there is none, so of two databases that want one root exactly one gets it. No
//! lock goes with it: that a copy of a database does not write beside it is what create-if-absent of every object is for.

use super::{OWNER_OBJECT, Owner};
use crate::cold::Error;
use crate::cold::remote::Remote;
use futures::TryStreamExt;

/// Objects looked through for owners below a new root, which is meant to be empty.
pub(in crate::cold) const OBJECTS_MAX: usize = 100_000;

/// Takes the root of `remote` for `owner`, or tells why it cannot be: it, one above it or one below it is somebody else's.
/// Repeatable.
///
/// A root that nobody owns is looked through for roots of others, up to so many objects.
pub(crate) async fn claim(remote: &Remote, owner: &Owner, objects_max: usize) -> Result<(), Error> {
    let root = remote.root_uri();
    if read(remote, remote.prefix()).await?.is_none() {
        refuse_above(remote).await?;
        refuse_below(remote, objects_max).await?;
        let text = serde_json::to_vec(owner).expect("two strings are JSON");
        // Whether it was made by us, by somebody quicker, or by a request whose answer was lost: below we read who it names.
        match remote.create_own(OWNER_OBJECT, text.into()).await {
            Ok(()) | Err(Error::AlreadyExists { .. }) => {}
            Err(error) => match read(remote, remote.prefix()).await {
                Ok(Some(_)) => {}
                _ => return Err(error),
            },
        }
    }
    match read(remote, remote.prefix()).await? {
        Some(found) if found == *owner => {}
        Some(found) => return Err(Error::Owned { root, found, wanted: owner.clone() }),
        None => return Err(Error::OwnerUnreadable { path: root, problem: "it was removed just now".to_owned() }),
    }
    // Again, on every open: of two that were claimed at the same moment the inner one gives way.
    refuse_above(remote).await
}

/// Frees a root of `found`, if it still is his.
pub(crate) async fn abandon(remote: &Remote, found: &Owner) -> Result<(), Error> {
    match read(remote, remote.prefix()).await? {
        Some(owner) if owner == *found => remove(remote).await,
        _ => Ok(()),
    }
}

/// Whose the root is, if anybody's.
pub(crate) async fn owner_of(remote: &Remote) -> Result<Option<Owner>, Error> {
    read(remote, remote.prefix()).await
}

/// Gives a root of `found` to `owner`. Of two that want it exactly one gets it.
pub(crate) async fn take_over(remote: &Remote, found: &Owner, owner: &Owner) -> Result<(), Error> {
    let text = serde_json::to_vec(owner).expect("two strings are JSON");
    let expected = |text: &[u8]| serde_json::from_slice::<Owner>(text).is_ok_and(|owner| owner == *found);
    remote.replace_own(OWNER_OBJECT, expected, text.into()).await
}

/// Frees the root.
pub(in crate::cold) async fn remove(remote: &Remote) -> Result<(), Error> {
    remote.delete_own(OWNER_OBJECT).await
}

/// Whose a root is, if anybody's.
pub(in crate::cold) async fn read(remote: &Remote, prefix: &str) -> Result<Option<Owner>, Error> {
    let path = if prefix.is_empty() { OWNER_OBJECT.to_owned() } else { format!("{prefix}/{OWNER_OBJECT}") };
    let Some(text) = remote.read_whole(&path).await? else { return Ok(None) };
    serde_json::from_slice(&text).map(Some).map_err(|error| Error::OwnerUnreadable {
        path: format!("{path} of {}", remote.root_uri()),
        problem: error.to_string(),
    })
}

async fn refuse_above(remote: &Remote) -> Result<(), Error> {
    let mut prefix = remote.prefix();
    while !prefix.is_empty() {
        prefix = prefix.rsplit_once('/').map_or("", |(above, _)| above);
        if let Some(found) = read(remote, prefix).await? {
            let other = format!("the folder {prefix:?} of the same bucket");
            return Err(Error::Nested { root: remote.root_uri(), relation: "inside", other, found });
        }
    }
    Ok(())
}

async fn refuse_below(remote: &Remote, objects_max: usize) -> Result<(), Error> {
    let mut objects = remote.list_whole();
    let mut seen = 0;
    while let Some(path) = objects.try_next().await? {
        if let Some(prefix) = path.strip_suffix(OWNER_OBJECT).and_then(|prefix| prefix.strip_suffix('/'))
            && prefix != remote.prefix()
            && let Some(found) = read(remote, prefix).await?
        {
            let other = format!("the folder {prefix:?} of the same bucket");
            return Err(Error::Nested { root: remote.root_uri(), relation: "around", other, found });
        }
        seen += 1;
        if seen > objects_max {
            return Err(Error::Crowded { root: remote.root_uri(), objects_max });
        }
    }
    Ok(())
}
