//! `call`.

use super::{Row, deviates, works};

pub(super) const CALLS: &[Row] = &[
    works(
        "`http`: `method`, `headers`, `query`, `body`, with expressions",
        &["case http-sends-what-it-is-told"],
    ),
    works(
        "`http`: `endpoint` as text, template, expression or object",
        &[
            "case uri-templates-take-top-level-values",
            "case uri-templates-take-no-objects",
            "case an-endpoint-may-be-an-expression",
            "case basic-authentication-by-name",
        ],
    ),
    works(
        "`http`: `output` as `content`, by its type and charset",
        &[
            "case text-comes-as-text",
            "case bytes-come-as-base64",
            "case vendor-json-is-json",
            "case nothing-is-null",
            "perform::http::content_tests::text_comes_in_the_charset_it_says",
        ],
    ),
    works(
        "`http`: `output` as `raw` and `response`",
        &["case raw-is-base64", "case response-tells-all"],
    ),
    works(
        "`http`: `redirect`; without it a redirect is an error",
        &[
            "case a-redirect-is-an-error",
            "case a-redirect-is-followed-when-wanted",
            "case redirects-end",
        ],
    ),
    works(
        "`http`: a status that is no success is `communication` with that status",
        &["case a-status-is-told", "case nobody-there", "case json-that-is-none"],
    ),
    works(
        "`http`: forms, files, compression, cookies, streams as lists",
        &[
            "perform::http::tests::a_multipart_form_has_fields_and_files",
            "perform::http::content_tests::compressed_answers_are_decoded",
            "perform::http::content_tests::cookies_are_a_list_and_are_kept_over_redirects",
            "perform::records::events_are_an_array_whatever_ends_their_lines",
            "servers::nginx::nginx_is_understood",
            "servers::apache::apache_is_understood",
        ],
    ),
    works(
        "`openapi`: 2.0, 3.0 and 3.1, by `operationId`, with parameters in every style",
        &[
            "perform::openapi::tests::swagger_2_operations",
            "perform::openapi::tests::openapi_3_operations",
            "servers::fastapi::a_service_of_fastapi_is_called_by_its_own_description",
            "servers::github::an_issue_is_created_by_the_description_of_github",
        ],
    ),
    works(
        "`openapi`: references over files, bodies, security of the description",
        &[
            "perform::openapi::world_tests::what_is_in_other_files_is_fetched_when_it_is_needed",
            "perform::openapi::world_tests::what_has_moved_is_relative_to_where_it_is_now",
            "perform::openapi::world_tests::forms_are_written_as_their_encoding_says",
            "perform::openapi::world_tests::keys_go_where_the_description_says",
        ],
    ),
    works(
        "`openapi`: what is not in the description is `configuration`",
        &["perform::openapi::tests::what_cannot_be_called_is_said"],
    ),
    works(
        "`grpc`: proto2 and proto3 files, imports, compiled without protoc",
        &[
            "grpc::files::files_are_fetched_with_their_imports_and_compiled_once",
            "grpc::files::imports_are_looked_for_where_redirects_have_led",
            "grpc::files::what_cannot_be_compiled_or_is_not_there_is_said",
        ],
    ),
    works(
        "`grpc`: types by server reflection (`grpc-reflection://HOST:PORT`), v1 and v1alpha; not in the specification",
        &[
            "grpc::reflection::the_types_of_grpcio_are_asked_for_and_kept",
            "grpc::reflection::the_types_of_node_are_asked_for_and_mended",
            "grpc::reflection::a_server_without_reflection_is_said_to_have_none",
            "grpc::reflection::it_is_asked_as_the_service_is_called",
        ],
    ),
    works(
        "`grpc`: unary and streaming methods, canonical JSON both ways",
        &[
            "grpc::calls::a_message_goes_and_one_comes_back",
            "grpc::calls::every_kind_of_value_goes_both_ways",
            "grpc::answers::streams_are_arrays",
        ],
    ),
    works(
        "`grpc`: statuses become errors, deadlines and cancels reach the server",
        &[
            "grpc::calls::every_status_is_an_error_that_names_it",
            "grpc::ends::the_timeout_of_the_task_is_the_deadline_of_the_call",
            "grpc::ends::a_cancelled_call_is_cancelled_at_the_server",
        ],
    ),
    works(
        "`grpc`: TLS, client certificates, authentication",
        &[
            "grpc::trust::tls_is_spoken_where_the_port_or_the_definition_says_so",
            "grpc::trust::a_server_that_asks_for_certificates_is_shown_one",
            "grpc::trust::credentials_go_as_metadata_and_are_not_told",
        ],
    ),
    works(
        "`asyncapi` 2.6, 3.0 and 3.1: channel or operation, server, variables",
        &[
            "asyncapi::description::tests::an_operation_of_version_3_is_found_with_all_that_belongs_to_it",
            "asyncapi::description::tests::an_operation_of_version_2_is_found_by_its_channel",
            "asyncapi::description::tests::servers_are_chosen_by_name_then_by_protocol_then_by_their_order",
        ],
    ),
    deviates(
        "`asyncapi`: publishing, over each protocol",
        "HTTP, WebSocket, NATS, MQTT, AMQP 0-9-1 and Kafka; other protocols are refused (WL0160)",
        &[
            "servers::asyncapi::http::a_message_is_the_body_of_a_request",
            "servers::asyncapi::websocket::a_message_is_one_frame",
            "servers::asyncapi::nats::a_message_is_published_to_the_subject_that_it_names",
            "servers::asyncapi::mqtt::messages_of_version_5_go_and_come_with_all_they_have",
            "servers::asyncapi::amqp::rabbitmq_keeps_messages_until_a_task_has_taken_them",
            "servers::asyncapi::kafka::a_broker_of_kafka_keeps_messages_and_what_a_group_has_taken",
        ],
    ),
    deviates(
        "`asyncapi`: subscribing with `filter`, `amount`, `for`, `while`, `until`, `foreach`",
        "`foreach.do` and `foreach.export` are refused (WL0160); a `for` over the output does the same",
        &[
            "servers::asyncapi::nats::messages_are_taken_in_their_order_until_there_are_enough",
            "servers::asyncapi::nats::while_and_until_see_the_message_that_was_taken",
            "servers::asyncapi::websocket::frames_are_messages",
            "servers::asyncapi::amqp::rabbitmq_keeps_messages_until_a_task_has_taken_them",
            "servers::asyncapi::kafka::a_broker_of_kafka_keeps_messages_and_what_a_group_has_taken",
        ],
    ),
    works(
        "`a2a`: every method against agents of 0.3 and of 1.x",
        &[
            "servers::a2a::one_workflow_asks_agents_of_both_versions_everything",
            "perform::a2a::method::every_method_has_a_name_in_each_version",
        ],
    ),
    works(
        "`a2a`: card or server, streams, errors as `runtime`",
        &[
            "perform::a2a::tests::a_card_says_where_and_how",
            "perform::a2a::tests::a_stream_is_an_array_of_its_results",
            "perform::a2a::tests::errors_are_those_of_the_agent",
        ],
    ),
    works(
        "`a2a`: a message is sent once, although workers die",
        &["servers::a2a::ends::a_message_is_not_sent_again_when_its_worker_is_killed"],
    ),
    works(
        "`mcp`: every method over HTTP, in versions from 2024-11-05 on",
        &[
            "servers::mcp::http::both_servers_are_asked_everything_over_http",
            "servers::mcp::http::each_version_is_spoken_and_another_one_where_a_server_has_it_not",
        ],
    ),
    works(
        "`mcp`: programs as servers (`stdio`)",
        &[
            "servers::mcp::stdio::both_servers_are_asked_as_programs",
            "servers::mcp::ends::programs_end_with_the_call",
        ],
    ),
    works(
        "`mcp`: what fails is `runtime`",
        &["perform::mcp::tests::what_a_workflow_cannot_give_is_an_error"],
    ),
    works(
        "Functions by name: arguments as input, schemas, output",
        &[
            "case functions-get-their-arguments-as-input",
            "case a-function-checks-its-input",
            "engine::tests::functions::a_function_runs_in_place_of_its_call",
        ],
    ),
    works(
        "Functions of workers",
        &[
            "perform::function::tests::a_users_function_gets_its_arguments_and_the_idempotency_key",
            "python_worker::errors_of_functions_are_problems_that_definitions_catch",
        ],
    ),
    works(
        "A name that nobody knows is a finding with a suggestion",
        &["definition::tests::every_code::known_functions_make_an_unknown_one_an_error"],
    ),
    works(
        "Calls name their instance, task and visit (`Idempotency-Key`)",
        &["case an-idempotency-key-is-sent", "case the-authors-idempotency-key-wins"],
    ),
    works(
        "Where a call may lead to (egress), after name resolution and at each redirect",
        &[
            "fleet::egress::a_fleet_calls_this_machine_only_where_it_is_allowed",
            "fleet::egress::what_was_refused_is_in_the_audit_trail",
            "perform::egress_tests::no_spelling_of_an_address_gets_past",
            "perform::egress_tests::a_redirect_leads_nowhere_else",
            "perform::egress_tests::every_kind_of_call_is_refused_and_counted",
        ],
    ),
];
