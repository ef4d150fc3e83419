//! `call: grpc`: the `.proto` file compiled, the arguments made messages of it, the call, and what
//! came back made data.

mod exchange;
mod files;
mod places;
mod status;
#[cfg(test)]
mod tests;
mod transport;

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use prost_reflect::{DescriptorPool, MessageDescriptor, MethodDescriptor, ServiceDescriptor};
use reqwest::Url;
use windlass_proto::limits;
use windlass_proto::plan::GrpcCall;
use windlass_proto::plan::data_flow::DataFlow as _;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;

use super::aside;
use super::http::was_refused;
use crate::attempt::Attempt;
use crate::protobuf::{Decoded, Mismatch, decode, encode, listed};
use crate::seal::{Hidden, Seal, Search};

/// What is called, and where.
struct Target {
    url: Url,
    host: String,
    port: u16,
    method: MethodDescriptor,
}

impl Target {
    /// For messages.
    fn shown(&self) -> String {
        format!("{} at {}:{}", self.name(), self.host, self.port)
    }

    /// `package.Service/Method`
    fn name(&self) -> String {
        format!("{}/{}", self.method.parent_service().full_name(), self.method.name())
    }
}

impl Attempt<'_> {
    pub(super) async fn call_grpc(
        &mut self,
        call: &GrpcCall,
        input: &Value,
    ) -> Result<Value, Problem> {
        let done = self.grpc_call(call, input).await;
        if was_refused(&done) && self.secrets_changed().await? {
            let input = self.transform_input(self.task, &self.input.clone())?;
            return self.grpc_call(call, &input).await;
        }
        done
    }

    async fn grpc_call(&mut self, call: &GrpcCall, input: &Value) -> Result<Value, Problem> {
        let types = self.types(&call.proto, input).await?;
        let target = target(call, &types)?;
        let authorization = self.authorize(call.authentication.as_deref(), input).await?;
        let arguments = self.evaluate_optional(call.arguments.as_ref(), input)?;
        let requests = requests(&target.method, arguments.unwrap_or_default(), &self.seal).await?;
        let answers = self.grpc_exchange(&target, authorization, requests).await?;
        let (kind, is_list) = (target.method.output(), target.method.is_server_streaming());
        let search = self.seal.bytes_search();
        let read = guarded(move || read(&kind, &answers, search.as_ref()));
        let (mut values, hidden) = read.await?.map_err(|wrong| {
            let why = wrong.told(&self.seal);
            let detail = format!("the answer of {} cannot be read: {why}", target.shown());
            Problem::new(Standard::Communication, detail)
        })?;
        self.seal.learn_hidden(hidden);
        self.within_bounds()?;
        match is_list {
            true => Ok(Value::array(values)),
            false => Ok(values.pop().unwrap_or_default()),
        }
    }
}

fn configuration(detail: impl Into<std::sync::Arc<str>>) -> Problem {
    Problem::new(Standard::Configuration, detail)
}

/// The method that is called, and where.
fn target(call: &GrpcCall, types: &DescriptorPool) -> Result<Target, Problem> {
    let service = service(&call.service, types)?;
    let method = service.methods().find(|it| it.name() == &*call.method).ok_or_else(|| {
        let known = listed(service.methods().map(|it| it.name().to_owned()));
        let name = service.full_name();
        configuration(format!("the service {name} has no method {}; it has: {known}", call.method))
    })?;
    // Without a port it is that of HTTPS, where TLS is spoken unless the definition says otherwise.
    let (host, port) = (call.host.to_string(), call.port.unwrap_or(443));
    let scheme = if call.tls.unwrap_or(port == 443) { "https" } else { "http" };
    let url = Url::parse(&format!("{scheme}://{host}:{port}/"))
        .map_err(|error| configuration(format!("the host {host} cannot be called: {error}")))?;
    Ok(Target { url, host, port, method })
}

/// The service of this name, or the only one whose last part it is.
fn service(name: &str, types: &DescriptorPool) -> Result<ServiceDescriptor, Problem> {
    if let Some(service) = types.get_service_by_name(name) {
        return Ok(service);
    }
    let mut found: Vec<_> = types.services().filter(|it| it.name() == name).collect();
    let names = |all: &mut dyn Iterator<Item = ServiceDescriptor>| {
        listed(all.map(|it| it.full_name().to_owned()))
    };
    match found.len() {
        0 => {
            let known = names(&mut types.services());
            Err(configuration(format!("the .proto file has no service {name}; it has: {known}")))
        }
        1 => Ok(found.remove(0)),
        _ => {
            let known = names(&mut found.into_iter());
            let detail = format!(
                "the service {name} is ambiguous: write which one with its package: {known}"
            );
            Err(configuration(detail))
        }
    }
}

/// The messages to send: one, or of a method that takes a stream one for each element.
async fn requests(
    method: &MethodDescriptor,
    arguments: Value,
    seal: &Seal,
) -> Result<Vec<Vec<u8>>, Problem> {
    let is_stream = method.is_client_streaming() && matches!(arguments, Value::Array(_));
    let values = match arguments {
        Value::Null if method.is_client_streaming() => Vec::new(),
        Value::Null => vec![Value::empty_object()],
        Value::Array(_) if is_stream => arguments.into_elements().unwrap_or_default(),
        one => vec![one],
    };
    let kind = method.input();
    let name = kind.full_name().to_owned();
    let written = guarded(move || write(&kind, &values, is_stream));
    written.await?.map_err(|wrong| {
        let why = wrong.told(seal);
        let detail = format!("the arguments are no message {name}: {why}");
        Problem::new(Standard::Validation, detail)
    })
}

/// The bytes of the messages that `values` stand for.
fn write(
    kind: &MessageDescriptor,
    values: &[Value],
    is_stream: bool,
) -> Result<Vec<Vec<u8>>, Mismatch> {
    let (mut messages, mut bytes) = (Vec::with_capacity(values.len()), 0);
    for (at, value) in values.iter().enumerate() {
        let message = encode(kind, value).map_err(|it| if is_stream { it.at(at) } else { it })?;
        bytes += message.len();
        if bytes > limits::GRPC_SENT_BYTES {
            let most = limits::GRPC_SENT_BYTES >> 20;
            return Err(Mismatch::new(format!("together they have more than {most} MiB")));
        }
        messages.push(message);
    }
    Ok(messages)
}

/// What the answers stand for, all together within what an output may have; and the bytes in them
/// that have a secret, which their base64 may not tell.
fn read(
    kind: &MessageDescriptor,
    answers: &[Bytes],
    search: Option<&Search>,
) -> Result<(Vec<Value>, Vec<Hidden>), Mismatch> {
    let mut left = limits::PAYLOAD_BYTES;
    let (mut values, mut searched) = (Vec::with_capacity(answers.len()), Vec::new());
    for answer in answers {
        let Decoded { value, raw } = decode(kind.clone(), answer, &mut left)?;
        values.push(value);
        if search.is_some() {
            searched.extend(raw);
        }
    }
    Ok((values, search.map(|it| it.hidden(&searched)).unwrap_or_default()))
}

/// Does what leads through the libraries that know types at run time: on a thread that no other
/// task waits for, and so that a panic in them is an error.
async fn guarded<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let done = aside(move || catch_unwind(AssertUnwindSafe(work))).await?;
    done.map_err(|_| {
        let detail = "the types of the .proto file, or a message of them, cannot be handled: what \
                      compiles and reads them has failed";
        configuration(detail)
    })
}
