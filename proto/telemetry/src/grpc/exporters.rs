//! Log records, as the SDK hands them over, on their way by gRPC.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::logs::tonic::group_logs_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use tonic::Status;

use super::GrpcWay;

/// Exports log records.
#[derive(Debug)]
pub(crate) struct GrpcLogs {
    way: GrpcWay,
    resource: ResourceAttributesWithSchema,
}

impl GrpcLogs {
    pub(crate) fn new(way: GrpcWay) -> Self {
        Self { way, resource: ResourceAttributesWithSchema::default() }
    }
}

impl LogExporter for GrpcLogs {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let resource_logs = group_logs_by_resource_and_scope(&batch, &self.resource);
        self.way.logs(ExportLogsServiceRequest { resource_logs }).await.map_err(failed)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}

fn failed(status: Status) -> OTelSdkError {
    OTelSdkError::InternalFailure(status.to_string())
}
