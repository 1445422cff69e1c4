//! Settings that hang on a name, one JSON document each: notify configurations, push authentication, declared domains.

use std::collections::{BTreeSet, HashMap};

use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    sea_query::OnConflict,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::entity::document;
use super::names::by_bytes;
use super::{ROWS, Store, StoreError};

/// What a document is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The recording callbacks of a streaming domain.
    RecordNotify,
    /// The publish callbacks of an ingest domain.
    StreamNotify,
    /// A declared domain.
    Domain,
    /// The functions set on a domain (aliauth and others).
    DomainConfig,
    /// A stream that may not be published, by the hash of its name.
    Forbidden,
    /// The tags of a domain.
    Tags,
    /// A certificate with its private key, by its name.
    Certificate,
    /// Which certificate a domain has, and whether it is in use.
    DomainCertificate,
    /// How far the service clock was advanced; no part of snapshots.
    Clock,
}

impl Kind {
    /// Every kind, for snapshots.
    pub const ALL: [Self; 8] = [
        Self::RecordNotify,
        Self::StreamNotify,
        Self::Domain,
        Self::DomainConfig,
        Self::Forbidden,
        Self::Tags,
        Self::Certificate,
        Self::DomainCertificate,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RecordNotify => "record_notify",
            Self::StreamNotify => "stream_notify",
            Self::Domain => "domain",
            Self::DomainConfig => "domain_config",
            Self::Forbidden => "forbidden",
            Self::Tags => "tags",
            Self::Certificate => "certificate",
            Self::DomainCertificate => "domain_certificate",
            Self::Clock => "clock",
        }
    }
}

impl Store {
    fn document_row(
        kind: Kind,
        name: &str,
        body: &impl Serialize,
    ) -> Result<document::ActiveModel, StoreError> {
        Ok(document::ActiveModel {
            kind: Set(kind.as_str().to_owned()),
            name: Set(name.to_owned()),
            body: Set(serde_json::to_string(body)?),
        })
    }

    /// Creates or replaces a document, whatever there was. What depends on what there was goes through [`Store::change`].
    pub async fn put_document(
        &self,
        kind: Kind,
        name: &str,
        body: &impl Serialize,
    ) -> Result<(), StoreError> {
        document::Entity::insert(Self::document_row(kind, name, body)?)
            .on_conflict(
                OnConflict::columns([document::Column::Kind, document::Column::Name])
                    .update_column(document::Column::Body)
                    .to_owned(),
            )
            .exec_without_returning(&self.write)
            .await?;
        self.domains.forget();
        Ok(())
    }

    pub async fn find_document<T: DeserializeOwned>(
        &self,
        kind: Kind,
        name: &str,
    ) -> Result<Option<T>, StoreError> {
        let row = document::Entity::find_by_id((kind.as_str().to_owned(), name.to_owned()))
            .one(&self.read)
            .await?;
        Ok(row.map(|row| serde_json::from_str(&row.body)).transpose()?)
    }

    /// Those documents of a kind that there are, of these names.
    pub async fn find_documents<T: DeserializeOwned>(
        &self,
        kind: Kind,
        names: &BTreeSet<String>,
    ) -> Result<HashMap<String, T>, StoreError> {
        let mut found = HashMap::new();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        for names in names.chunks(ROWS) {
            let rows = document::Entity::find()
                .filter(document::Column::Kind.eq(kind.as_str()))
                .filter(document::Column::Name.is_in(names.iter().copied()))
                .all(&self.read)
                .await?;
            for row in rows {
                found.insert(row.name, serde_json::from_str(&row.body)?);
            }
        }
        Ok(found)
    }

    /// Every document of a kind with its name, ordered by name.
    pub async fn list_documents<T: DeserializeOwned>(
        &self,
        kind: Kind,
    ) -> Result<Vec<(String, T)>, StoreError> {
        list_on(&self.read, kind).await
    }
}

/// As [`Store::list_documents`], within a transaction.
pub(super) async fn list_on<T: DeserializeOwned>(
    db: &impl ConnectionTrait,
    kind: Kind,
) -> Result<Vec<(String, T)>, StoreError> {
    let by_name = by_bytes(db.get_database_backend(), document::Column::Name);
    let rows = document::Entity::find()
        .filter(document::Column::Kind.eq(kind.as_str()))
        .order_by_asc(by_name)
        .all(db)
        .await?;
    rows.into_iter()
        .map(|row| Ok((row.name, serde_json::from_str(&row.body)?)))
        .collect()
}
