//! What a worker needs for a task: the secrets that its expressions and its authentication name,
//! and whether it looks at its input.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{
    AsyncApiCall, Authentication, Consume, Credentials, Endpoint, ExternalResource, GrpcCall,
    GrpcTypes, Kind, McpCall, McpTransport, OAuth2, SchemaSource, ScriptBody, Task, Token,
};
use crate::expression::{Program, Template};
use crate::secret::SecretName;
use crate::wire::{Field, Work};

/// True when `work` on `task` can depend on what is in its input or its variables: it evaluates an
/// expression, fills in a URI or gives its input to code. May be true where it does not.
#[must_use]
pub fn uses_input(task: &Task, work: &Work) -> bool {
    let mut uses = false;
    let visit = &mut |part: Part<'_>| match part {
        Part::Secret(_) => {}
        Part::Program(_) => uses = true,
        Part::Template(Template::Constant(value)) => {
            uses |= value.as_str().is_some_and(|text| text.contains('{'));
        }
        Part::Template(_) => uses = true,
    };
    match work {
        Work::Perform => of_performed(task, visit),
        Work::Evaluate(field) => of_field(task, *field, visit),
    }
    uses || matches!(&task.kind, Kind::Function(call) if call.with.is_none())
        || task.input.schema.is_some()
}

/// The secrets that some work can reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReachableSecrets {
    /// Those that are named.
    pub names: BTreeSet<Arc<str>>,
    /// An expression uses `$secrets` in a way that does not tell which: all declared ones.
    pub all: bool,
}

impl ReachableSecrets {
    /// What `work` on `task` can reach.
    #[must_use]
    pub fn by(task: &Task, work: &Work) -> Self {
        let mut reached = Self::default();
        let visit = &mut |part: Part<'_>| reached.add(part);
        match work {
            Work::Perform => of_performed(task, visit),
            Work::Evaluate(field) => of_field(task, *field, visit),
        }
        reached
    }

    /// The names, with all `declared` ones where any of them can be meant; sorted.
    #[must_use]
    pub fn among(mut self, declared: &[SecretName]) -> BTreeSet<Arc<str>> {
        if self.all {
            self.names.extend(declared.iter().map(|name| name.0.clone()));
        }
        self.names
    }

    fn add(&mut self, part: Part<'_>) {
        match part {
            Part::Secret(name) => {
                self.names.insert(name.0.clone());
            }
            Part::Template(template) => template.each_program(&mut |it| self.add_program(it)),
            Part::Program(program) => self.add_program(program),
        }
    }

    fn add_program(&mut self, program: &Program) {
        let reached = program.secret_names();
        self.names.extend(reached.names.iter().cloned());
        self.all |= reached.dynamic;
    }
}

/// What may name a secret.
enum Part<'a> {
    Template(&'a Template),
    Program(&'a Program),
    Secret(&'a SecretName),
}

type Visit<'v, 'a> = &'v mut dyn FnMut(Part<'a>);

/// The parts that are evaluated when `task` is performed.
fn of_performed<'a>(task: &'a Task, visit: Visit<'_, 'a>) {
    optional(task.input.from.as_ref(), visit);
    for schema in [&task.input.schema, &task.output.schema].into_iter().flatten() {
        if let SchemaSource::External(document) = schema {
            resource(document, visit);
        }
    }
    definition(&task.kind, visit);
    optional(task.output.transform.as_ref(), visit);
}

/// The parts of one field.
fn of_field<'a>(task: &'a Task, field: Field, visit: Visit<'_, 'a>) {
    match field {
        Field::Condition => task.condition.iter().for_each(|it| visit(Part::Program(it))),
        Field::InputFrom => optional(task.input.from.as_ref(), visit),
        Field::Definition => definition(&task.kind, visit),
        Field::OutputAs => optional(task.output.transform.as_ref(), visit),
        Field::ExportAs => optional(task.export.transform.as_ref(), visit),
    }
}

fn optional<'a>(template: Option<&'a Template>, visit: Visit<'_, 'a>) {
    if let Some(template) = template {
        visit(Part::Template(template));
    }
}

fn templates<'a>(all: impl IntoIterator<Item = Option<&'a Template>>, visit: Visit<'_, 'a>) {
    all.into_iter().flatten().for_each(|template| visit(Part::Template(template)));
}

fn definition<'a>(kind: &'a Kind, visit: Visit<'_, 'a>) {
    match kind {
        Kind::Set(template) | Kind::Emit(template) => visit(Part::Template(template)),
        Kind::Switch(cases) => {
            cases.iter().filter_map(|it| it.when.as_ref()).for_each(|it| visit(Part::Program(it)));
        }
        Kind::For(it) => {
            visit(Part::Template(&it.items));
            it.condition.iter().for_each(|it| visit(Part::Program(it)));
        }
        Kind::Raise(it) => {
            visit(Part::Template(&it.kind.template));
            visit(Part::Template(&it.status));
            templates([it.title.as_ref(), it.detail.as_ref(), it.instance.as_ref()], visit);
        }
        Kind::Wait(super::Duration::Computed(template)) => {
            visit(Part::Template(template));
        }
        Kind::Http(it) => {
            visit(Part::Template(&it.method));
            endpoint(&it.endpoint, visit);
            templates([it.headers.as_ref(), it.query.as_ref(), it.body.as_ref()], visit);
        }
        Kind::OpenApi(it) => {
            resource(&it.document, visit);
            optional(it.parameters.as_ref(), visit);
            it.authentication.iter().for_each(|it| authentication(it, visit));
        }
        Kind::Grpc(it) => grpc(it, visit),
        Kind::AsyncApi(it) => asyncapi(it, visit),
        Kind::Function(it) => optional(it.with.as_ref(), visit),
        Kind::Script(it) => {
            if let ScriptBody::External(source) = &it.body {
                resource(source, visit);
            }
            templates([it.stdin.as_ref(), it.arguments.as_ref(), it.environment.as_ref()], visit);
        }
        Kind::Shell(it) => {
            visit(Part::Template(&it.command));
            templates([it.stdin.as_ref(), it.arguments.as_ref(), it.environment.as_ref()], visit);
        }
        Kind::Mcp(it) => mcp(it, visit),
        Kind::A2a(it) => {
            match (&it.agent_card, &it.server) {
                (Some(card), _) => resource(card, visit),
                // Only without a card it is looked at.
                (None, server) => server.iter().for_each(|it| endpoint(it, visit)),
            }
            optional(it.parameters.as_ref(), visit);
        }
        Kind::Workflow(it) => {
            [&it.namespace, &it.name, &it.version]
                .into_iter()
                .for_each(|it| visit(Part::Template(it)));
            optional(it.input.as_ref(), visit);
        }
        Kind::Approval(it) => it.templates().for_each(|it| visit(Part::Template(it))),
        Kind::Container(it) => visit(Part::Template(&it.with)),
        // Composites have no expression of their own here.
        Kind::Do(_)
        | Kind::Fork(_)
        | Kind::Try(_)
        | Kind::Listen(_)
        | Kind::Wait(super::Duration::Fixed(_)) => {}
    }
}

fn grpc<'a>(call: &'a GrpcCall, visit: Visit<'_, 'a>) {
    if let GrpcTypes::File(proto) = &call.types {
        resource(proto, visit);
    }
    optional(call.arguments.as_ref(), visit);
    call.authentication.iter().for_each(|it| authentication(it, visit));
}

fn asyncapi<'a>(call: &'a AsyncApiCall, visit: Visit<'_, 'a>) {
    resource(&call.document, visit);
    visit(Part::Template(&call.with));
    call.authentication.iter().for_each(|it| authentication(it, visit));
    let Some(subscription) = &call.subscription else { return };
    subscription.filter.iter().for_each(|it| visit(Part::Program(it)));
    if let Consume::While(program) | Consume::Until(program) = &subscription.consume {
        visit(Part::Program(program));
    }
    if let Some(super::Duration::Computed(template)) = &subscription.duration {
        visit(Part::Template(template));
    }
    if let Some(each) = &subscription.each {
        optional(each.output.transform.as_ref(), visit);
        if let Some(SchemaSource::External(document)) = &each.output.schema {
            resource(document, visit);
        }
    }
}

fn mcp<'a>(call: &'a McpCall, visit: Visit<'_, 'a>) {
    templates([call.parameters.as_ref(), call.client.as_ref()], visit);
    if let Some(super::Duration::Computed(template)) = &call.timeout {
        visit(Part::Template(template));
    }
    match &call.transport {
        McpTransport::Http { endpoint: server, headers } => {
            endpoint(server, visit);
            optional(headers.as_ref(), visit);
        }
        McpTransport::Stdio { command, arguments, environment } => {
            templates([Some(command), arguments.as_ref(), environment.as_ref()], visit);
        }
    }
}

fn resource<'a>(resource: &'a ExternalResource, visit: Visit<'_, 'a>) {
    endpoint(&resource.endpoint, visit);
}

fn endpoint<'a>(endpoint: &'a Endpoint, visit: Visit<'_, 'a>) {
    visit(Part::Template(&endpoint.uri.template));
    endpoint.authentication.iter().for_each(|it| authentication(it, visit));
}

fn authentication<'a>(policy: &'a Authentication, visit: Visit<'_, 'a>) {
    match policy {
        Authentication::Basic(credentials) | Authentication::Digest(credentials) => {
            match credentials {
                Credentials::Inline { username, password } => {
                    templates([Some(username), Some(password)], visit);
                }
                Credentials::Secret(name) => visit(Part::Secret(name)),
            }
        }
        Authentication::Bearer(Token::Inline(token)) => visit(Part::Template(token)),
        Authentication::Bearer(Token::Secret(name))
        | Authentication::OAuth2FromSecret(name)
        | Authentication::OidcFromSecret(name)
        | Authentication::Certificate(name) => visit(Part::Secret(name)),
        Authentication::OAuth2(policy) | Authentication::Oidc(policy) => oauth2(policy, visit),
    }
}

fn oauth2<'a>(policy: &'a OAuth2, visit: Visit<'_, 'a>) {
    visit(Part::Template(&policy.authority.template));
    visit(Part::Template(&policy.endpoints.token.template));
    let single = [
        &policy.client_id,
        &policy.client_secret,
        &policy.client_assertion,
        &policy.username,
        &policy.password,
    ];
    templates(single.into_iter().map(Option::as_ref), visit);
    policy.client_certificate.iter().for_each(|name| visit(Part::Secret(name)));
    for list in [&policy.issuers, &policy.scopes, &policy.audiences] {
        templates(list.iter().map(Some), visit);
    }
    for (token, kind) in [&policy.subject, &policy.actor].into_iter().flatten() {
        templates([Some(token), Some(kind)], visit);
    }
}
