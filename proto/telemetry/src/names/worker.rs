//! What workers say of their spans, and what is said of audit events.

use super::{Attribute, SpanName};

attributes! {
    CALL_KIND "windlass.call.kind" "string" "call"
        "http, openapi, grpc, asyncapi, mcp, function, shell, script and the like"
    SECRET_NAME "windlass.secret.name" "string" "lease, audit" "the name of the secret"
    SEALED_VALUES "windlass.sealed.values" "int" "open, seal" "how many values are opened or sealed"
    HTTP_METHOD "http.request.method" "string" "GET, POST, …" "the method; `_OTHER` for uncommon ones"
    HTTP_RESENT "http.request.resend_count" "int" "GET, POST, …"
        "1 for a request that is sent again because its connection had been closed"
    HTTP_STATUS "http.response.status_code" "int" "GET, POST, …" "the status of the response"
    RPC_SYSTEM "rpc.system.name" "string" "PACKAGE.SERVICE/METHOD" "grpc"
    RPC_METHOD "rpc.method" "string" "PACKAGE.SERVICE/METHOD" "the method with its service"
    RPC_STATUS "rpc.response.status_code" "string" "PACKAGE.SERVICE/METHOD"
        "the status: `OK`, `NOT_FOUND` and so on; `UNAVAILABLE` where there was no answer"
    MESSAGING_SYSTEM "messaging.system" "string" "send …, receive …" "nats, mqtt, rabbitmq, kafka, websocket or http"
    MESSAGING_OPERATION "messaging.operation.name" "string" "send …, receive …" "send or receive"
    MESSAGING_TYPE "messaging.operation.type" "string" "send …, receive …" "send or receive"
    MESSAGING_TEMPLATE "messaging.destination.template" "string" "send …, receive …"
        "the address of the channel as the description has it, parameters not filled in"
    MESSAGING_COUNT "messaging.batch.message_count" "int" "receive …" "how many messages were taken"
    SERVER_ADDRESS "server.address" "string"
        "GET, POST, …, PACKAGE.SERVICE/METHOD, send …, receive …"
        "the host, unless a secret is in its name"
    SERVER_PORT "server.port" "int" "GET, POST, …, PACKAGE.SERVICE/METHOD, send …, receive …"
        "the port"
    URL_SCHEME "url.scheme" "string" "GET, POST, …" "http or https"
    URL_PATH "url.path" "string" "GET, POST, …"
        "the path, of hosts that `--trace-url-path` names and unless a secret is in it"
    AUDIT_ID "windlass.audit.id" "string" "audit" "the id of the event, the same as in `audit.jsonl`"
    AUDIT_VISIT "windlass.audit.visit" "string" "audit"
        "which visit of the task, as `audit.jsonl` has it: a number that a retried `try` repeats"
    AUDIT_SUCCESS "windlass.audit.success" "boolean" "audit" "false for what was refused or failed"
    AUDIT_OUTCOME "windlass.audit.outcome" "string" "audit"
        "pending, and in the event that follows done, failed or unknown"
    AUDIT_INTENT "windlass.audit.intent" "string" "audit" "the id of the event whose outcome this is"
    SECRET_VERSION "windlass.secret.version" "string" "audit" "the version of the secret"
    LEASE "windlass.lease" "string" "audit" "tells leases apart: a hash of the lease's id"
    STORE_REQUEST "windlass.store.request" "string" "audit" "the store's own id of the request"
    ACTOR_ISSUER "windlass.actor.issuer" "string" "audit"
        "who says who the actor is: an identity provider, `token` or `certificate`"
    ACTOR_SUBJECT "windlass.actor.subject" "string" "audit" "who has done it, as the issuer calls them"
    CLIENT_ADDRESS "client.address" "string" "audit" "where the request came from"
}

/// All kinds of spans of workers.
pub const SPANS: &[SpanName] = &[
    SpanName {
        name: "attempt NAME",
        kind: "consumer",
        by: "worker",
        meaning: "one attempt at a delivery, from its begin until its report is sent, inside `deliver`",
    },
    SpanName {
        name: "intake",
        kind: "internal",
        by: "worker",
        meaning: "the wait for room in the audit trail, before secrets are used",
    },
    SpanName {
        name: "lease",
        kind: "internal",
        by: "worker",
        meaning: "reading one secret, the login to the store included",
    },
    SpanName {
        name: "expression",
        kind: "internal",
        by: "worker",
        meaning: "evaluating one expression, or one structure with several in it",
    },
    SpanName {
        name: "call",
        kind: "internal",
        by: "worker",
        meaning: "the call or run of the task, with all its requests",
    },
    SpanName {
        name: "GET, POST, … or HTTP",
        kind: "client",
        by: "worker",
        meaning: "one HTTP request, from its begin to the end of the response's body; each redirect \
                  and each repetition is one of its own",
    },
    SpanName {
        name: "PACKAGE.SERVICE/METHOD",
        kind: "client",
        by: "worker",
        meaning: "one call by gRPC, to the end of its answer; one with a new token is one of its own",
    },
    SpanName {
        name: "send ADDRESS, receive ADDRESS",
        kind: "producer, consumer",
        by: "worker",
        meaning: "one message that is published over NATS, MQTT or WebSocket, or one subscription",
    },
    SpanName {
        name: "open, seal",
        kind: "internal",
        by: "worker",
        meaning: "opening sealed values of the input, sealing secrets of the result",
    },
    SpanName {
        name: "report",
        kind: "internal",
        by: "worker",
        meaning: "from the end of the work until its report is sent to the coordinator",
    },
];
