//! Log records before their export: a queue that counts what finds no room.
//!
//! The SDK's own drops in silence; so how many wait is counted outside of it, and none is handed
//! over for which there is no room.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry::logs::{Logger as _, LoggerProvider as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{BatchLogProcessor, LogProcessor, SdkLogRecord, SdkLoggerProvider};

use crate::counts::TelemetryCounts;
use crate::settings::Batching;
use crate::{names, record, shorten};

/// Log records before their export.
#[derive(Debug)]
pub(crate) struct LogQueue {
    processor: BatchLogProcessor,
    /// A record without content: the SDK makes none but through a logger.
    blank: SdkLogRecord,
    counts: Arc<TelemetryCounts>,
    bound: u64,
}

impl LogQueue {
    pub(crate) fn new(
        exporter: impl opentelemetry_sdk::logs::LogExporter + 'static,
        batching: Batching,
        counts: Arc<TelemetryCounts>,
    ) -> Self {
        let config = opentelemetry_sdk::logs::BatchConfigBuilder::default()
            .with_max_queue_size(batching.queue)
            .with_max_export_batch_size(batching.export)
            .with_scheduled_delay(batching.delay)
            .build();
        let processor = BatchLogProcessor::builder(exporter).with_batch_config(config).build();
        counts.logs.set_bound(batching.queue as u64);
        let blank = SdkLoggerProvider::builder().build().logger(names::SCOPE).create_log_record();
        Self { processor, blank, counts, bound: batching.queue as u64 }
    }
}

impl LogProcessor for LogQueue {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if self.counts.logs.enter(self.bound) {
            record::complete(record);
            shorten::record(record, &self.blank);
            self.processor.emit(record, scope);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.processor.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.counts.logs.close();
        self.processor.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.processor.set_resource(resource);
    }
}
