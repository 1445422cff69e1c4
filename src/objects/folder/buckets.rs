//! Buckets: folders of the root, with a small settings file each once something differs from the default.

use std::fs;
use std::sync::atomic::Ordering;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::draft::TempFile;
use super::error::FolderError;
use super::model::{Acl, BucketClass, BucketInfo, CorsRule, Redundancy};
use super::names::{holds_objects, remove_empty};
use super::record::write_json;
use super::{FolderStore, Inner, key, layout};

/// Buckets that one store holds at most.
pub const MAX_BUCKETS: usize = 1000;
/// Cross-origin rules of one bucket at most, as in the product.
pub const MAX_CORS_RULES: usize = 20;

/// Largest settings file that is read.
const MAX_SETTINGS_BYTES: u64 = 1024 * 1024;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Settings {
    created_ms: Option<i64>,
    acl: Acl,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cors: Vec<CorsRule>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cors_vary: bool,
    #[serde(skip_serializing_if = "BucketClass::is_standard")]
    storage_class: BucketClass,
    #[serde(skip_serializing_if = "Redundancy::is_lrs")]
    redundancy: Redundancy,
}

impl FolderStore {
    /// Makes a bucket; [`Acl::Default`] means private.
    pub async fn create_bucket(&self, name: &str, acl: Acl) -> Result<(), FolderError> {
        self.create_bucket_of(name, acl, BucketClass::default(), Redundancy::default())
            .await
    }

    /// As [`FolderStore::create_bucket`], with what is kept and told of its objects.
    pub async fn create_bucket_of(
        &self,
        name: &str,
        acl: Acl,
        storage_class: BucketClass,
        redundancy: Redundancy,
    ) -> Result<(), FolderError> {
        let name = name.to_owned();
        self.blocking(move |store| {
            if !key::is_bucket_name(&name) {
                return Err(FolderError::InvalidBucketName(name));
            }
            let _names = store.locks.names(&name);
            if store.layout.check_bucket(&name).is_ok() {
                return Err(FolderError::BucketAlreadyExists(name));
            }
            if store.bucket_names()?.len() >= MAX_BUCKETS {
                return Err(FolderError::TooManyBuckets(MAX_BUCKETS));
            }
            let settings = Settings {
                created_ms: Some(store.now()),
                acl,
                storage_class,
                redundancy,
                ..Settings::default()
            };
            store.write_settings(&name, &settings)?;
            fs::create_dir(store.layout.data(&name))?;
            layout::sync_folder(store.layout.root())?;
            Ok(())
        })
        .await
    }

    /// Whether a bucket of this name exists.
    pub async fn bucket_exists(&self, name: &str) -> Result<bool, FolderError> {
        let name = name.to_owned();
        self.blocking(move |store| match store.layout.check_bucket(&name) {
            Ok(()) => Ok(true),
            Err(FolderError::NoSuchBucket(_)) => Ok(false),
            Err(error) => Err(error),
        })
        .await
    }

    /// What is known of a bucket.
    pub async fn bucket(&self, name: &str) -> Result<BucketInfo, FolderError> {
        let name = name.to_owned();
        self.blocking(move |store| store.bucket(&name)).await
    }

    /// All buckets by name.
    pub async fn list_buckets(&self) -> Result<Vec<BucketInfo>, FolderError> {
        self.blocking(|store| {
            let found = store
                .bucket_names()?
                .into_iter()
                .map(|name| store.bucket(&name));
            // One that was removed since is none of them.
            found
                .filter(|bucket| !matches!(bucket, Err(FolderError::NoSuchBucket(_))))
                .collect()
        })
        .await
    }

    /// The names of all buckets, in order.
    pub async fn bucket_names(&self) -> Result<Vec<String>, FolderError> {
        self.blocking(Inner::bucket_names).await
    }

    /// Removes an empty bucket, and with it what its unfinished uploads hold.
    pub async fn delete_bucket(&self, name: &str) -> Result<(), FolderError> {
        let name = name.to_owned();
        self.blocking(move |store| {
            let _names = store.locks.names(&name);
            store.layout.check_bucket(&name)?;
            let data = store.layout.data(&name);
            if holds_objects(data.clone())? {
                return Err(FolderError::BucketNotEmpty(name));
            }
            // What is no object may still be all that somebody has of it.
            if let Some(path) = remove_empty(data)? {
                tracing::warn!(target: "localyun::objects::folder::buckets", path = %path.display(), "a bucket is not deleted, since there is something in its folder that is no object");
                return Err(FolderError::BucketNotEmpty(name));
            }
            layout::sync_folder(store.layout.root())?;
            layout::remove_tree(&store.layout.meta(&name))?;
            // By one rename: parts may be on their way.
            let gone = store.layout.fresh_tmp();
            match fs::rename(store.layout.uploads(&name), &gone) {
                Ok(()) => layout::remove_tree(&gone)?,
                Err(error) if layout::is_absent(&error) => {}
                Err(error) => return Err(error.into()),
            }
            layout::remove_file(&store.layout.bucket_settings(&name))?;
            Ok(())
        })
        .await
    }

    /// Replaces a bucket's access control list.
    pub async fn set_bucket_acl(&self, name: &str, acl: Acl) -> Result<(), FolderError> {
        self.change_bucket(name, move |settings| settings.acl = acl)
            .await
    }

    /// Replaces a bucket's cross-origin rules, and whether each answer varies by the origin.
    pub async fn set_bucket_cors(
        &self,
        name: &str,
        rules: Vec<CorsRule>,
        vary: bool,
    ) -> Result<(), FolderError> {
        self.change_bucket(name, move |settings| {
            settings.cors = rules;
            settings.cors.truncate(MAX_CORS_RULES);
            settings.cors_vary = vary;
        })
        .await
    }

    /// Whether some bucket has said that its answers vary; false is certain.
    #[must_use]
    pub fn may_vary(&self) -> bool {
        self.inner.varies.load(Ordering::Relaxed)
    }

    async fn change_bucket(
        &self,
        name: &str,
        change: impl FnOnce(&mut Settings) + Send + 'static,
    ) -> Result<(), FolderError> {
        let name = name.to_owned();
        self.blocking(move |store| {
            let _names = store.locks.names(&name);
            store.layout.check_bucket(&name)?;
            let mut settings = store.settings(&name)?;
            change(&mut settings);
            store.write_settings(&name, &settings)
        })
        .await
    }
}

impl Inner {
    pub(super) fn bucket_names(&self) -> Result<Vec<String>, FolderError> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.layout.root())? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string()
                && key::is_bucket_name(&name)
                && entry.file_type()?.is_dir()
            {
                names.push(name);
            }
        }
        names.sort_unstable();
        names.truncate(MAX_BUCKETS);
        Ok(names)
    }

    fn bucket(&self, name: &str) -> Result<BucketInfo, FolderError> {
        self.layout.check_bucket(name)?;
        let settings = self.settings(name)?;
        let created_ms = match settings.created_ms {
            Some(created) => created,
            None => {
                let modified = fs::metadata(self.layout.data(name))?.modified()?;
                let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
                i64::try_from(since.as_millis()).unwrap_or_default()
            }
        };
        let acl = if settings.acl == Acl::Default {
            Acl::Private
        } else {
            settings.acl
        };
        Ok(BucketInfo {
            name: name.to_owned(),
            created_ms,
            acl,
            cors: settings.cors,
            cors_vary: settings.cors_vary,
            storage_class: settings.storage_class,
            redundancy: settings.redundancy,
        })
    }

    pub(super) fn settings(&self, name: &str) -> Result<Settings, FolderError> {
        let bytes = layout::read_own(&self.layout.bucket_settings(name), MAX_SETTINGS_BYTES)?;
        let settings: Settings = bytes
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        if settings.cors_vary {
            self.varies.store(true, Ordering::Relaxed);
        }
        Ok(settings)
    }

    fn write_settings(&self, name: &str, settings: &Settings) -> Result<(), FolderError> {
        if settings.cors_vary {
            self.varies.store(true, Ordering::Relaxed);
        }
        let temp = TempFile::new(self.layout.fresh_tmp());
        write_json(temp.path(), settings, true)?;
        fs::rename(temp.path(), self.layout.bucket_settings(name))?;
        layout::sync_folder(&self.layout.buckets())?;
        Ok(())
    }
}
