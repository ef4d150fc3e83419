//! `call: grpc`: the `.proto` file compiled or the server asked for its types, the arguments made
//! messages of them, the call, and what came back made data.

mod exchange;
mod files;
mod places;
mod reflection;
mod status;
#[cfg(test)]
mod tests;
mod transport;

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use prost_reflect::{DescriptorPool, MessageDescriptor, MethodDescriptor, ServiceDescriptor};
use reqwest::Url;
use tokio::sync::Semaphore;
use windlass_proto::limits;
use windlass_proto::plan::data_flow::DataFlow as _;
use windlass_proto::plan::{GrpcCall, GrpcTypes};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;

use super::aside;
use super::http::was_refused;
use crate::attempt::Attempt;
use crate::protobuf::{Decoded, Mismatch, decode, encode, listed};
use crate::seal::{Hidden, Seal, Search};

/// Where a service is.
#[derive(Clone)]
struct Place {
    url: Url,
    host: String,
    port: u16,
}

impl Place {
    fn of(call: &GrpcCall) -> Result<Self, Problem> {
        let (host, port) = (call.host.to_string(), call.port.unwrap_or(limits::GRPC_PORT));
        let scheme = if call.tls.unwrap_or(port == limits::GRPC_PORT) { "https" } else { "http" };
        let url = Url::parse(&format!("{scheme}://{host}:{port}/"))
            .map_err(|error| configuration(format!("the host {host} cannot be called: {error}")))?;
        Ok(Self { url, host, port })
    }

    /// For messages.
    fn shown(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// What is called, and where.
struct Target {
    place: Place,
    /// `package.Service/Method`
    name: String,
    /// True where any number of messages may be answered.
    is_stream: bool,
}

impl Target {
    fn new(place: Place, method: &MethodDescriptor) -> Self {
        let name = format!("{}/{}", method.parent_service().full_name(), method.name());
        Self { place, name, is_stream: method.is_server_streaming() }
    }

    /// For messages.
    fn shown(&self) -> String {
        format!("{} at {}", self.name, self.place.shown())
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
        let place = Place::of(call)?;
        let (method, mut authorization) = match &call.types {
            GrpcTypes::File(proto) => {
                let types = self.types(proto, input).await?;
                let method = method(&call.service, &call.method, &types, "the .proto file")?;
                (method, self.authorize(call.authentication.as_deref(), input).await?)
            }
            GrpcTypes::Reflection => {
                let authentication = call.authentication.as_deref();
                let mut authorization = self.authorize(authentication, input).await?;
                let method = self.reflected(call, &place, &mut authorization).await?;
                (method, authorization)
            }
        };
        let target = Target::new(place, &method);
        let arguments = self.evaluate_optional(call.arguments.as_ref(), input)?;
        let requests = requests(&method, arguments.unwrap_or_default(), &self.seal).await?;
        let answers = self.grpc_exchange(&target, &mut authorization, requests).await?;
        let answers = answers.map_err(|failure| self.grpc_problem(&target, &failure))?;
        let kind = method.output();
        let search = self.seal.bytes_search();
        let read = guarded(move || read(&kind, &answers, search.as_ref()));
        let (mut values, hidden) = read.await?.map_err(|wrong| {
            let why = wrong.told(&self.seal);
            let detail = format!("the answer of {} cannot be read: {why}", target.shown());
            Problem::new(Standard::Communication, detail)
        })?;
        self.seal.learn_hidden(hidden);
        self.within_bounds()?;
        match target.is_stream {
            true => Ok(Value::array(values)),
            false => Ok(values.pop().unwrap_or_default()),
        }
    }
}

fn configuration(detail: impl Into<std::sync::Arc<str>>) -> Problem {
    Problem::new(Standard::Configuration, detail)
}

/// The method that is called; `teller` is what told of the types.
fn method(
    service: &str,
    method: &str,
    types: &DescriptorPool,
    teller: &str,
) -> Result<MethodDescriptor, Problem> {
    let service = self::service(service, types, teller)?;
    service.methods().find(|it| it.name() == method).ok_or_else(|| {
        let known = listed(service.methods().map(|it| it.name().to_owned()));
        let name = service.full_name();
        configuration(format!("the service {name} has no method {method}; it has: {known}"))
    })
}

/// The service of this name, or the only one whose last part it is.
fn service(name: &str, types: &DescriptorPool, teller: &str) -> Result<ServiceDescriptor, Problem> {
    if let Some(service) = types.get_service_by_name(name) {
        return Ok(service);
    }
    let found = full(name, types.services().map(|it| it.full_name().to_owned()).collect(), teller)?;
    types.get_service_by_name(&found).ok_or_else(|| unknown(name, vec![found], teller))
}

/// The only one of `services` whose last part is `name`.
fn full(name: &str, services: Vec<String>, teller: &str) -> Result<String, Problem> {
    let mut found = services.iter().filter(|it| it.rsplit('.').next() == Some(name));
    let (first, second) = (found.next(), found.next());
    match (first, second) {
        (None, _) => Err(unknown(name, services, teller)),
        (Some(one), None) => Ok(one.clone()),
        (Some(one), Some(other)) => {
            let known = listed([one, other].into_iter().chain(found).cloned());
            let detail = format!(
                "the service {name} is ambiguous: write which one with its package: {known}"
            );
            Err(configuration(detail))
        }
    }
}

fn unknown(name: &str, services: Vec<String>, teller: &str) -> Problem {
    let known = listed(services.into_iter());
    configuration(format!("{teller} has no service {name}; it has: {known}"))
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

/// Compilations that run, of all workers in this process. One that nobody waits for any more runs
/// to its end.
static COMPILING: Semaphore = Semaphore::const_new(limits::PROTO_COMPILATIONS);

/// [`guarded`] for what may keep a core busy, a few at a time.
async fn compiling<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let permit = COMPILING.acquire().await;
    guarded(move || {
        let done = work();
        drop(permit);
        done
    })
    .await
}

/// Does what leads through the libraries that know types at run time: on a thread that no other
/// task waits for, and so that a panic in them is an error.
async fn guarded<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let done = aside(move || catch_unwind(AssertUnwindSafe(work))).await?;
    done.map_err(|_| {
        let detail = "the types of the call, or a message of them, cannot be handled: what compiles \
                      and reads them has failed";
        configuration(detail)
    })
}
