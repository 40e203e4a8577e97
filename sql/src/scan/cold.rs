//! Segments, read by DataFusion's Parquet source. Which files there are, and how large, the manifest says.

use super::Moment;
use super::narrow::{Narrowed, Owners};
use super::prune::{Pruner, SEGMENTS_PER_PASS};
use super::schema::full_schema;
use crate::error::{Error, Result};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::Session as Planning;
use datafusion::common::Statistics;
use datafusion::common::stats::Precision;
use datafusion::config::TableParquetOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result as Planned;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::object_store::{ObjectMeta, path::Path};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use ebbtide_store::{Segment, StorageId, Table, manifest};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The segments that may hold a wanted row. Reading the manifest blocks.
pub(super) fn segments(
    moment: &Moment,
    table: &Arc<Table>,
    narrowed: &Narrowed,
    predicate: Option<&Arc<dyn PhysicalExpr>>,
) -> Result<Vec<Segment>> {
    let pruner = Pruner::new(table, &full_schema(table), predicate);
    let mut found = Vec::new();
    let mut pass = Vec::new();
    let users = match &narrowed.owners {
        Owners::All => vec![None],
        Owners::These(users) => users.iter().map(Some).collect(),
    };
    for user in users {
        for segment in manifest::scan_segments(moment.snapshot.clone(), table.id, user)? {
            let segment = segment?;
            if !narrowed.owners.holds(&segment.user)
                || segment.to_seq <= narrowed.after
                || segment.from_seq > narrowed.through
            {
                continue;
            }
            pass.push(segment);
            if pass.len() == SEGMENTS_PER_PASS {
                pruner.prune(&mut pass);
                found.append(&mut pass);
            }
        }
    }
    pruner.prune(&mut pass);
    found.append(&mut pass);
    Ok(found)
}

/// One scan per storage that has any of `segments`.
pub(super) fn execs(
    planning: &dyn Planning,
    moment: &Moment,
    full: &SchemaRef,
    columns: &[usize],
    predicate: Option<Arc<dyn PhysicalExpr>>,
    segments: Vec<Segment>,
    limit: Option<usize>,
) -> Planned<Vec<Arc<dyn ExecutionPlan>>> {
    let mut storages: BTreeMap<StorageId, Vec<Segment>> = BTreeMap::new();
    for segment in segments {
        storages.entry(segment.storage.clone()).or_default().push(segment);
    }
    storages
        .into_iter()
        .map(|(storage, segments)| exec(planning, moment, full, columns, predicate.clone(), &storage, &segments, limit))
        .collect()
}

#[expect(clippy::too_many_arguments, reason = "all of a scan, once")]
fn exec(
    planning: &dyn Planning,
    moment: &Moment,
    full: &SchemaRef,
    columns: &[usize],
    predicate: Option<Arc<dyn PhysicalExpr>>,
    storage: &StorageId,
    segments: &[Segment],
    limit: Option<usize>,
) -> Planned<Arc<dyn ExecutionPlan>> {
    let objects = moment.database.store.objects(storage).map_err(Error::from)?.object_store();
    let environment = planning.runtime_env();
    let url = url(storage)?;
    environment.register_object_store(url.as_ref(), objects.clone());

    let parquet = planning.config_options().execution.parquet.clone();
    let footers = environment.cache_manager.get_file_metadata_cache();
    let mut source = ParquetSource::new(TableSchema::from(full.clone()))
        .with_table_parquet_options(TableParquetOptions { global: parquet, ..TableParquetOptions::default() })
        .with_parquet_file_reader_factory(Arc::new(CachedParquetFileReaderFactory::new(objects, footers)));
    if let Some(predicate) = predicate {
        // Prunes row groups and pages; rows are looked at by the filter above the scan.
        source = source.with_predicate(predicate);
    }
    let files =
        segments.iter().map(file).collect::<Result<Vec<_>>>().map_err(datafusion::error::DataFusionError::from)?;
    let groups = FileGroup::new(files).split_files(planning.config().target_partitions());
    let rows: u64 = segments.iter().map(|segment| segment.rows).sum();
    let bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
    let statistics = Statistics {
        num_rows: Precision::Exact(usize::try_from(rows).unwrap_or(usize::MAX)),
        total_byte_size: Precision::Inexact(usize::try_from(bytes).unwrap_or(usize::MAX)),
        ..Statistics::new_unknown(full)
    };
    let config = FileScanConfigBuilder::new(url, Arc::new(source))
        .with_file_groups(groups)
        .with_statistics(statistics)
        .with_projection_indices(Some(columns.to_vec()))?
        .with_limit(limit)
        .build();
    Ok(DataSourceExec::from_data_source(config))
}

/// Where DataFusion finds a storage's objects.
fn url(storage: &StorageId) -> Planned<ObjectStoreUrl> {
    ObjectStoreUrl::parse(format!("ebbtide-storage://{storage}"))
}

fn file(segment: &Segment) -> Result<PartitionedFile> {
    // Parsed, not made: user ids are escaped already, and must not be a second time.
    let location = Path::parse(&segment.path)
        .map_err(|error| Error::new(crate::error::code::DATA_CORRUPTED, format!("a segment's path: {error}")))?;
    let created_at = chrono::DateTime::from_timestamp_micros(segment.created_at).unwrap_or_default();
    let meta = ObjectMeta { location, last_modified: created_at, size: segment.bytes, e_tag: None, version: None };
    Ok(PartitionedFile::new_from_meta(meta))
}
