//! An INSERT, carried out: one commit, or rows of the open transaction.

use super::cell::Cell;
use super::plan::{InsertPlan, Source, column_type, misfit};
use super::{Gather, Misfit};
use crate::error::{Error, Result, code};
use crate::scan::Moment;
use crate::session::{Pending, Planned, Session, TransactionStatus, bind};
use crate::value::{self, Builder};
use datafusion::arrow::array::ArrayRef;
use datafusion::scalar::ScalarValue;
use futures::StreamExt;

impl InsertPlan {
    /// Writes the rows; how many there were.
    pub(crate) async fn run(&self, session: &Session, parameters: Vec<ScalarValue>) -> Result<u64> {
        match self.attempt(session, &parameters).await {
            Err(error)
                if error.sqlstate == code::UNDEFINED_TABLE
                    && session.transaction_status() == TransactionStatus::Idle =>
            {
                // The table was dropped since it was looked up; perhaps there is another of its name.
                let moment = Moment::take(&session.database)?;
                let hints: Vec<_> = self.parameters().iter().cloned().map(Some).collect();
                let anew = Self::look_up(session, &moment, &self.insert, &self.text, &hints).await?;
                if anew.target.table.id == self.target.table.id {
                    return Err(error);
                }
                anew.attempt(session, &parameters).await
            }
            done => done,
        }
    }

    async fn attempt(&self, session: &Session, parameters: &[ScalarValue]) -> Result<u64> {
        let pending = match &self.source {
            Source::Cells(rows) => self.read_cells(session, rows, &bind(parameters, self.parameters())?)?,
            Source::Query(planned) => {
                // Only reading is bounded in time: a commit that has begun is waited for. Boxed, so that INSERT … VALUES
                // does not carry a whole query's state.
                session.in_time(Box::pin(self.read_query(session, planned, parameters.to_vec()))).await?
            }
        };
        let count = pending.count();
        session.write_or_buffer(pending).await?;
        Ok(count)
    }

    fn gather(&self, session: &Session) -> Gather {
        Gather::new(self.target.clone(), session.database.store.options().row_bytes_max)
    }

    fn read_cells(&self, session: &Session, rows: &[Vec<Cell>], parameters: &[ScalarValue]) -> Result<Pending> {
        let slots = &self.target.slots;
        let mut columns: Vec<Builder> =
            slots.iter().map(|slot| Builder::new(column_type(&self.target, *slot), rows.len())).collect();
        for (number, row) in rows.iter().enumerate() {
            for (place, (cell, column)) in row.iter().zip(&mut columns).enumerate() {
                cell.push(column, parameters).map_err(|problem| {
                    let name = self.target.column_name(place);
                    misfit(problem.into(), Some(name), number, rows.len()).at(cell.position)
                })?;
            }
        }
        let arrays: Vec<ArrayRef> = columns.iter_mut().map(Builder::finish).collect();
        let mut gather = self.gather(session);
        self.add(session, &mut gather, &arrays, rows.len(), 0)?;
        Ok(gather.take())
    }

    async fn read_query(&self, session: &Session, planned: &Planned, parameters: Vec<ScalarValue>) -> Result<Pending> {
        let moment = Moment::take(&session.database)?;
        let mut rows = session.rows(&moment, planned, parameters).await?;
        let mut gather = self.gather(session);
        let mut before = 0;
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            let arrays = batch
                .columns()
                .iter()
                .zip(&self.target.slots)
                .enumerate()
                .map(|(place, (array, slot))| {
                    value::assign(array, column_type(&self.target, *slot)).map_err(|(row, problem)| {
                        misfit(problem.into(), Some(self.target.column_name(place)), before + row, usize::MAX)
                    })
                })
                .collect::<Result<Vec<_>>>()?;
            self.add(session, &mut gather, &arrays, batch.num_rows(), before)?;
            before += batch.num_rows();
        }
        Ok(gather.take())
    }

    fn add(
        &self,
        session: &Session,
        gather: &mut Gather,
        arrays: &[ArrayRef],
        rows: usize,
        before: usize,
    ) -> Result<()> {
        gather
            .add(arrays, rows)
            .map_err(|Misfit { row, column, error }| misfit(*error, column.as_deref(), before + row, before + rows))?;
        let bytes_max = session.database.options.insert_bytes_max;
        if gather.bytes() > bytes_max {
            return Err(Error::new(
                code::PROGRAM_LIMIT_EXCEEDED,
                format!("the INSERT would write more than {bytes_max} bytes in one commit"),
            )
            .hint("load with COPY, which commits in chunks, or insert fewer rows at a time"));
        }
        Ok(())
    }
}
