//! Who sends telemetry: the resource that all of it is of.

use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use uuid::Uuid;

use crate::names;
use crate::settings::Settings;
use crate::start::Role;

/// What identifies this process: what the settings say wins over what is known.
pub(crate) fn resource(settings: &Settings, role: Role, environment: Option<&str>) -> Resource {
    let said = |key: &'static str| {
        settings.attributes.iter().rev().find(|(name, _)| name == key).map(|(_, it)| it.clone())
    };
    let mut attributes: Vec<_> = settings
        .attributes
        .iter()
        .map(|(name, value)| KeyValue::new(Key::from(name.clone()), value.clone()))
        .collect();
    let service = settings.service_name.clone().or_else(|| said(names::SERVICE_NAME));
    let service = service.filter(|it| !it.is_empty());
    let service = service.unwrap_or_else(|| role.service().to_owned());
    attributes.push(KeyValue::new(names::SERVICE_NAME, service));
    let mut known = vec![
        (names::SERVICE_VERSION, env!("CARGO_PKG_VERSION").to_owned()),
        (names::SERVICE_INSTANCE_ID, Uuid::new_v4().to_string()),
        (names::ROLE, role.name().to_owned()),
    ];
    known.extend(environment.map(|it| (names::DEPLOYMENT_ENVIRONMENT_NAME, it.to_owned())));
    known.retain(|(key, _)| said(key).is_none());
    attributes.extend(known.into_iter().map(|(key, value)| KeyValue::new(key, value)));
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(attributes)
        .build()
}
