//! Which variables must travel with a dispatched task.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::expression::Template;
use crate::plan::{
    AsyncApiCall, Authentication, Consume, Credentials, Duration, Endpoint, FunctionTarget,
    GrpcTypes, Input, Kind, McpCall, McpTransport, OAuth2, Output, ScriptBody, Token,
};

/// Names in `input.from`, the definition and `output.as`, sorted, without repeats; none for tasks
/// the coordinator runs itself.
pub(super) fn of(kind: &Kind, input: &Input, output: &Output) -> Arc<[Arc<str>]> {
    if !kind.is_dispatched() {
        return Arc::from([]);
    }
    let mut names = Names::default();
    names.optional(input.from.as_ref());
    names.optional(output.transform.as_ref());
    names.kind(kind);
    names.0.into_iter().collect()
}

#[derive(Default)]
struct Names(BTreeSet<Arc<str>>);

impl Names {
    fn kind(&mut self, kind: &Kind) {
        match kind {
            Kind::Http(call) => {
                self.template(&call.method);
                self.endpoint(&call.endpoint);
                self.optional(call.headers.as_ref());
                self.optional(call.query.as_ref());
                self.optional(call.body.as_ref());
            }
            Kind::OpenApi(call) => {
                self.endpoint(&call.document.endpoint);
                self.optional(call.parameters.as_ref());
                self.authentication(call.authentication.as_deref());
            }
            Kind::Grpc(call) => {
                if let GrpcTypes::File(proto) = &call.types {
                    self.endpoint(&proto.endpoint);
                }
                self.optional(call.arguments.as_ref());
                self.authentication(call.authentication.as_deref());
            }
            Kind::AsyncApi(call) => self.asyncapi(call),
            Kind::A2a(call) => {
                call.agent_card.iter().for_each(|card| self.endpoint(&card.endpoint));
                call.server.iter().for_each(|server| self.endpoint(server));
                self.optional(call.parameters.as_ref());
            }
            Kind::Mcp(call) => self.mcp(call),
            Kind::Function(call) => {
                if matches!(call.target, FunctionTarget::Registered(_)) {
                    self.optional(call.with.as_ref());
                }
            }
            Kind::Container(container) => self.template(&container.with),
            Kind::Script(script) => {
                if let ScriptBody::External(source) = &script.body {
                    self.endpoint(&source.endpoint);
                }
                self.optional(script.stdin.as_ref());
                self.optional(script.arguments.as_ref());
                self.optional(script.environment.as_ref());
            }
            Kind::Shell(shell) => {
                self.template(&shell.command);
                self.optional(shell.stdin.as_ref());
                self.optional(shell.arguments.as_ref());
                self.optional(shell.environment.as_ref());
            }
            Kind::Do(_)
            | Kind::Set(_)
            | Kind::Switch(_)
            | Kind::For(_)
            | Kind::Fork(_)
            | Kind::Try(_)
            | Kind::Raise(_)
            | Kind::Wait(_)
            | Kind::Emit(_)
            | Kind::Listen(_)
            | Kind::Approval(_)
            | Kind::Workflow(_) => {}
        }
    }

    fn asyncapi(&mut self, call: &AsyncApiCall) {
        self.endpoint(&call.document.endpoint);
        self.template(&call.with);
        self.authentication(call.authentication.as_deref());
        let Some(subscription) = &call.subscription else { return };
        self.0.extend(subscription.filter.iter().flat_map(|it| it.variables().iter().cloned()));
        self.duration(subscription.duration.as_ref());
        match &subscription.consume {
            Consume::While(program) | Consume::Until(program) => {
                self.0.extend(program.variables().iter().cloned());
            }
            Consume::Amount(_) => {}
        }
        self.optional(subscription.each.as_ref().and_then(|it| it.output.transform.as_ref()));
    }

    fn mcp(&mut self, call: &McpCall) {
        self.optional(call.parameters.as_ref());
        self.duration(call.timeout.as_ref());
        self.optional(call.client.as_ref());
        match &call.transport {
            McpTransport::Http { endpoint, headers } => {
                self.endpoint(endpoint);
                self.optional(headers.as_ref());
            }
            McpTransport::Stdio { command, arguments, environment } => {
                self.template(command);
                self.optional(arguments.as_ref());
                self.optional(environment.as_ref());
            }
        }
    }

    fn template(&mut self, template: &Template) {
        template.each_variable(&mut |name| {
            self.0.insert(name.clone());
        });
    }

    fn optional(&mut self, template: Option<&Template>) {
        template.into_iter().for_each(|template| self.template(template));
    }

    fn duration(&mut self, duration: Option<&Duration>) {
        if let Some(Duration::Computed(template)) = duration {
            self.template(template);
        }
    }

    fn endpoint(&mut self, endpoint: &Endpoint) {
        self.template(&endpoint.uri.template);
        self.authentication(endpoint.authentication.as_deref());
    }

    fn authentication(&mut self, authentication: Option<&Authentication>) {
        let Some(authentication) = authentication else { return };
        match authentication {
            Authentication::Basic(credentials) | Authentication::Digest(credentials) => {
                if let Credentials::Inline { username, password } = credentials {
                    self.template(username);
                    self.template(password);
                }
            }
            Authentication::Bearer(Token::Inline(token)) => self.template(token),
            Authentication::OAuth2(oauth2) | Authentication::Oidc(oauth2) => self.oauth2(oauth2),
            Authentication::Bearer(Token::Secret(_))
            | Authentication::OAuth2FromSecret(_)
            | Authentication::OidcFromSecret(_)
            | Authentication::Certificate(_) => {}
        }
    }

    fn oauth2(&mut self, oauth2: &OAuth2) {
        let endpoints = &oauth2.endpoints;
        for uri in
            [&oauth2.authority, &endpoints.token, &endpoints.revocation, &endpoints.introspection]
        {
            self.template(&uri.template);
        }
        for template in [
            &oauth2.client_id,
            &oauth2.client_secret,
            &oauth2.client_assertion,
            &oauth2.username,
            &oauth2.password,
        ] {
            self.optional(template.as_ref());
        }
        for (token, kind) in oauth2.subject.iter().chain(&oauth2.actor) {
            self.template(token);
            self.template(kind);
        }
        for template in oauth2.issuers.iter().chain(&oauth2.scopes).chain(&oauth2.audiences) {
            self.template(template);
        }
    }
}
