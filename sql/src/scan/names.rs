//! Namespaces and tables, as DataFusion looks them up while it plans one statement.

use super::{HiddenColumns, Moment, Rows};
use crate::error::{Error, code};
use crate::session::Identity;
use crate::system;
use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::error::Result;
use std::sync::Arc;

/// The one catalog there is.
pub(crate) const CATALOG: &str = "ebbtide";

/// The catalog of one moment, for one identity.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub(crate) moment: Arc<Moment>,
    pub(crate) identity: Identity,
    pub(crate) hidden: HiddenColumns,
}

impl CatalogProviderList for Names {
    fn register_catalog(&self, _: String, _: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![CATALOG.to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == CATALOG).then(|| Arc::new(self.clone()) as _)
    }
}

impl CatalogProvider for Names {
    fn schema_names(&self) -> Vec<String> {
        let namespaces = self.moment.catalog.namespaces().map(|namespace| namespace.name.to_string());
        let system = self.identity.is_service().then(|| system::SCHEMA.to_owned());
        namespaces.chain(system).collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let known = name == system::SCHEMA || self.moment.catalog.namespace(name).is_some();
        known.then(|| Arc::new(Namespace { names: self.clone(), namespace: name.to_owned() }) as _)
    }
}

/// One namespace of them.
#[derive(Debug)]
struct Namespace {
    names: Names,
    namespace: String,
}

#[async_trait]
impl SchemaProvider for Namespace {
    fn table_names(&self) -> Vec<String> {
        if self.namespace == system::SCHEMA {
            return system::NAMES.iter().map(|name| (*name).to_owned()).collect();
        }
        self.names.moment.catalog.tables(Some(&self.namespace)).map(|table| table.name.to_string()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if self.namespace == system::SCHEMA {
            if !self.names.identity.is_service() {
                return Err(Error::new(
                    code::INSUFFICIENT_PRIVILEGE,
                    format!("permission denied for table {}.{name}", system::SCHEMA),
                )
                .hint("only a service role may read system tables")
                .into());
            }
            return Ok(system::table(name));
        }
        let Some(table) = self.names.moment.catalog.table(&self.namespace, name) else { return Ok(None) };
        Ok(Some(Arc::new(Rows::new(table.clone(), self.names.identity.clone(), self.names.hidden))))
    }

    fn table_exist(&self, name: &str) -> bool {
        match self.namespace.as_str() {
            system::SCHEMA => system::NAMES.contains(&name),
            namespace => self.names.moment.catalog.table(namespace, name).is_some(),
        }
    }
}
