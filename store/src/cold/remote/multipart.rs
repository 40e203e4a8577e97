//! One multipart upload: opened, recorded, its parts sent some at a time, and ended one way or the other.

use std::sync::Arc;

use object_store::{PutPayload, multipart::PartId, path::Path};
use tokio::task::JoinSet;

use super::{Shared, failed};
use crate::cold::Error;

#[derive(Debug)]
pub(super) struct Multipart {
    shared: Arc<Shared>,
    path: String,
    location: Path,
    id: String,
    sending: JoinSet<object_store::Result<(usize, PartId)>>,
    sent: Vec<Option<PartId>>,
    ended: bool,
}

impl Multipart {
    pub(super) async fn open(shared: &Arc<Shared>, path: &str, location: &Path) -> Result<Multipart, Error> {
        shared.refuse_taken(path, location).await?;
        let id = shared.store.create_multipart(location).await.map_err(|source| failed(path, source))?;
        let multipart = Multipart {
            shared: Arc::clone(shared),
            path: path.to_owned(),
            location: location.clone(),
            id,
            sending: JoinSet::new(),
            sent: Vec::new(),
            ended: false,
        };
        if let Some(multiparts) = &shared.options.multiparts
            && let Err(error) = multiparts.opened(path, &multipart.id).await
        {
            let reason = error.to_string();
            multipart.abort().await?;
            return Err(Error::NotRecorded { path: path.to_owned(), reason });
        }
        Ok(multipart)
    }

    /// Sends a part as soon as there is room for it.
    pub(super) async fn send(&mut self, part: PutPayload) -> Result<(), Error> {
        while self.sending.len() >= self.shared.options.parts_max.max(1) {
            self.join().await?;
        }
        let index = self.sent.len();
        self.sent.push(None);
        let (shared, location, id) = (Arc::clone(&self.shared), self.location.clone(), self.id.clone());
        let request = async move {
            let part = shared.store.put_part(&location, &id, index, part).await?;
            Ok((index, part))
        };
        self.sending.spawn_on(request, &self.shared.runtime);
        Ok(())
    }

    async fn join(&mut self) -> Result<(), Error> {
        match self.sending.join_next().await {
            None => Ok(()),
            Some(Ok(Ok((index, part)))) => {
                self.sent[index] = Some(part);
                Ok(())
            }
            Some(Ok(Err(source))) => Err(failed(&self.path, source)),
            Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Some(Err(_)) => Err(Error::Stopped { path: self.path.clone() }),
        }
    }

    pub(super) async fn complete(mut self) -> Result<(), Error> {
        while !self.sending.is_empty() {
            self.join().await?;
        }
        self.shared.refuse_taken(&self.path, &self.location).await?;
        let parts = self.sent.drain(..).map(|part| part.expect("joined above")).collect();
        self.shared
            .store
            .complete_multipart(&self.location, &self.id, parts)
            .await
            .map_err(|source| failed(&self.path, source))?;
        self.end().await;
        Ok(())
    }

    pub(super) async fn abort(mut self) -> Result<(), Error> {
        self.sending.shutdown().await;
        let result = self.shared.store.abort_multipart(&self.location, &self.id).await;
        match result {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {
                self.end().await;
                Ok(())
            }
            Err(source) => Err(failed(&self.path, source)),
        }
    }

    async fn end(&mut self) {
        self.ended = true;
        if let Some(multiparts) = &self.shared.options.multiparts {
            multiparts.closed(&self.path, &self.id).await;
        }
    }
}

impl Drop for Multipart {
    /// A failed or forgotten upload is ended in the background. If the process dies first, recovery ends it by its recorded id.
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let mut sending = std::mem::take(&mut self.sending);
        sending.abort_all();
        let (shared, path, location, id) =
            (Arc::clone(&self.shared), self.path.clone(), self.location.clone(), self.id.clone());
        self.shared.runtime.spawn(async move {
            // A part that arrives after the abort would stay, and cost money.
            sending.shutdown().await;
            match shared.store.abort_multipart(&location, &id).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {
                    if let Some(multiparts) = &shared.options.multiparts {
                        multiparts.closed(&path, &id).await;
                    }
                }
                Err(error) => tracing::warn!(object = %path, %error, "a multipart upload is left open"),
            }
        });
    }
}
