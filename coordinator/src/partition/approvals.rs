//! Rows of questions to people: what is open can be listed without looking at all instances.

use windlass_proto::id::{FrameId, InstanceId};

use super::{Batch, Partition};
use crate::approval::{ApprovalId, OpenApproval};
use crate::journal::{JournalError, RowWrite, Table};

impl Partition {
    /// Takes what has changed of an instance's questions into the batch.
    pub(super) fn keep_approvals(
        &self,
        batch: &mut Batch,
        instance: InstanceId,
        changes: Vec<(FrameId, u64, bool)>,
    ) -> Result<(), JournalError> {
        if changes.is_empty() {
            return Ok(());
        }
        let Some(resident) = self.residents.get(instance) else { return Ok(()) };
        for (frame, number, is_open) in changes {
            let id = ApprovalId { instance, number };
            let open = OpenApproval::of(&resident.plan, &resident.instance, frame);
            // One that the same turn has closed again is told of later on.
            let open = open.filter(|(it, _)| is_open && *it == id).map(|(_, it)| it);
            let value = open.as_ref().map(encode).transpose()?;
            let (partition, table, name) = (self.id, Table::Approvals, id.row().into());
            batch.commit.rows.push(RowWrite { partition, table, name, value });
        }
        Ok(())
    }
}

fn encode(open: &OpenApproval) -> Result<Vec<u8>, JournalError> {
    rmp_serde::to_vec(open)
        .map_err(|error| JournalError::Store(format!("a question cannot be encoded: {error}")))
}

/// Reads a row.
///
/// # Errors
/// When it is none.
pub fn decode(name: &[u8], row: &[u8]) -> Result<(ApprovalId, OpenApproval), JournalError> {
    let damaged = || JournalError::Damaged("a row of a question to people is none".to_owned());
    let id = ApprovalId::of_row(name).ok_or_else(damaged)?;
    Ok((id, rmp_serde::from_slice(row).map_err(|_| damaged())?))
}
