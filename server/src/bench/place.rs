//! Where a bench puts its data: a folder of its own, gone when the bench is.

use std::io;
use std::path::{Path, PathBuf};

/// The option that all benches have.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Where {
    /// The folder in which the bench makes one of its own, which it removes at the end; its file system is what is
    /// measured [default: the folder for temporary files]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// A folder that is removed with this value.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
}

impl Where {
    /// Makes the folder.
    pub(super) fn make(&self) -> io::Result<Place> {
        let parent = self.data_dir.clone().unwrap_or_else(std::env::temp_dir);
        std::fs::create_dir_all(&parent)?;
        let path =
            parent.canonicalize()?.join(format!("ebbtide-bench-{}-{:08x}", std::process::id(), rand::random::<u32>()));
        std::fs::create_dir(&path)?;
        Ok(Place { path })
    }
}

impl Place {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A folder in it that is removed before this one is.
    pub(super) fn room(&self, name: &str) -> io::Result<Place> {
        let path = self.path.join(name);
        std::fs::create_dir(&path)?;
        Ok(Place { path })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            eprintln!("ebbtide: the bench's folder {} is left behind: {error}", self.path.display());
        }
    }
}
