//! Processes, timeouts, errors, authentication, resources, extensions and catalogs.

use super::{Row, deviates, works};

pub(super) const RUN: &[Row] = &[
    works(
        "`shell`: command, arguments, environment, input, expressions",
        &[
            "case shell-takes-arguments-environment-and-input",
            "case shell-leaves-shell-variables-alone",
            "case shell-inherits-no-environment",
        ],
    ),
    works(
        "`return`: `stdout`, `stderr`, `code`, `all`, `none`",
        &[
            "case shell-gives-raw-output",
            "case shell-code",
            "case shell-all",
            "case shell-none",
            "perform::shell::tests::every_form_of_return",
        ],
    ),
    works(
        "An exit code other than 0 is an error where only the output is wanted",
        &["case shell-that-fails"],
    ),
    works("`await: false`", &["case not-awaited-passes-its-input-on"]),
    works(
        "`script`: JavaScript and Python, arguments, input, environment",
        &[
            "case js-script",
            "case python-script",
            "case python-script-sees-a-mapping-of-arguments",
            "perform::script::tests::javascript_modules_read_input_arguments_and_environment",
        ],
    ),
    works(
        "`script.source` from a resource",
        &["perform::definition_tests::a_script_is_fetched_with_the_credentials_of_its_endpoint"],
    ),
    works(
        "A program ends with its task and with its worker",
        &[
            "case shell-that-hangs-is-killed",
            "processes::descendants::what_left_its_session_ends_with_the_task",
            "processes::descendants::nothing_runs_on_when_the_worker_is_killed",
        ],
    ),
    works(
        "Programs run where the worker allows them",
        &["processes::allow::a_shell_task_waits_for_a_worker_that_may_run_it_and_the_log_says_so"],
    ),
    works(
        "`workflow`: input, output, `await`, `return`",
        &[
            "engine::tests::children::a_child_gets_its_input_and_gives_its_output",
            "engine::tests::children::a_child_that_is_not_awaited_changes_nothing",
            "examples::subflow_runs_its_child",
        ],
    ),
    works(
        "`workflow`: the fault of a child is the task's, and its parent's end ends it",
        &[
            "engine::tests::children::the_fault_of_a_child_is_the_tasks",
            "engine::tests::children::a_parent_that_ends_takes_its_child_along",
        ],
    ),
    works("`workflow` that is not there is `configuration`", &["case a-child-that-is-not-there"]),
    works(
        "`container`, in Docker or Podman: what it gives, exit codes, pull policies, cleaning up",
        &[
            "processes::containers::containers_give_what_their_task_returns_and_may_do_little",
            "processes::containers::containers_that_fail_say_why_and_secrets_stay_in_them",
        ],
    ),
    works(
        "No container outlives its task, and none is given to a worker without an engine",
        &[
            "processes::containers::no_container_outlives_its_task",
            "processes::containers::a_worker_whose_engine_is_away_takes_no_containers",
        ],
    ),
];

pub(super) const TIMEOUTS: &[Row] = &[
    works(
        "`timeout` of the workflow ends all that runs, whatever is caught",
        &[
            "case a-workflow-times-out-whatever-it-catches",
            "engine::tests::timeouts::the_workflows_timeout_ends_all_that_runs",
        ],
    ),
    works(
        "The nearest of all timeouts counts, at workers too",
        &["engine::tests::timeouts::workers_know_the_nearest_deadline_and_are_called_off"],
    ),
    works("Attempts of a retry have their own time", &["case each-attempt-has-its-own-time"]),
    works(
        "Suspending: what runs ends, nothing begins, timers keep counting",
        &[
            "engine::tests::operate::while_suspended_running_tasks_finish_and_nothing_new_begins",
            "engine::tests::operate::timers_keep_counting_while_suspended_and_fire_on_resume",
        ],
    ),
    works(
        "Cancelling, from any state that is not the end",
        &[
            "engine::tests::operate::cancelling_ends_everything",
            "api::control::cancel_stops_a_call_under_way",
        ],
    ),
];

pub(super) const ERRORS: &[Row] = &[
    works(
        "Problem details with type, status, title, detail and instance",
        &["case raise-by-name-with-expressions", "engine::tests::raise::title_and_detail_are_kept"],
    ),
    works("`configuration`", &["case a-child-that-is-not-there"]),
    works("`validation`", &["case task-input-schema"]),
    works("`expression`", &["case an-expression-that-fails"]),
    works("`authentication`", &["authentication::tests::no_token_is_an_authentication_problem"]),
    works(
        "`authorization`",
        &["seed_vault::missing_and_forbidden_secrets_are_authorization_errors_that_name_no_path"],
    ),
    works("`timeout`", &["case a-call-times-out"]),
    works("`communication`, with the status of the answer", &["case a-status-is-told"]),
    works("`runtime`", &["case shell-that-fails"]),
    works(
        "Every published spelling of a type is recognised",
        &[
            "proto::problem::every_published_spelling_of_a_standard_type_is_recognised",
            "case both-spellings-of-a-standard-type-are-one",
        ],
    ),
];

pub(super) const AUTHENTICATION: &[Row] = &[
    works(
        "In place, by name in `use.authentications`, or from a secret",
        &[
            "case basic-authentication-by-name",
            "definition::tests::kinds::authentications_are_resolved",
            "authentication::tests::a_secret_holds_a_whole_policy_nested_or_flat",
        ],
    ),
    works(
        "`basic` and `bearer`",
        &[
            "case basic-authentication-by-name",
            "case bearer-authentication-in-line",
            "authentication::tests::basic_and_bearer_send_their_header",
        ],
    ),
    works("`digest`", &["authentication::tests::a_digest_challenge_is_answered"]),
    works(
        "`oauth2`: every grant and proof of a client",
        &[
            "authentication::tests::tokens_are_had_by_every_grant_and_client_authentication",
            "authentication::tests::a_client_signs_its_assertion_with_its_secret",
            "servers::oidc::oidc_provider_takes_each_proof_of_a_client",
            "servers::oidc::oidc_provider_takes_certificates_of_clients",
        ],
    ),
    works(
        "`oauth2`: tokens are kept, replaced early and once when refused",
        &[
            "authentication::tests::a_token_is_kept_and_replaced_once_when_it_is_refused",
            "token_cache::tests::a_token_is_replaced_before_it_ends_by_one_while_others_use_it",
        ],
    ),
    works("`oauth2`: `issuers`", &["authentication::tests::no_token_is_an_authentication_problem"]),
    works("`oidc` by discovery", &["authentication::tests::discovery_finds_the_token_endpoint"]),
    works(
        "Client certificates, from a secret",
        &["servers::nginx::nginx_lets_in_who_shows_a_certificate"],
    ),
    works(
        "Credentials stay with their origin",
        &["perform::http::tests::authorization_does_not_follow_to_another_origin"],
    ),
];

pub(super) const RESOURCES: &[Row] = &[
    works(
        "`http` and `https`, with authentication",
        &["catalogs::the_endpoint_of_a_catalog_gets_credentials_that_nobody_sees"],
    ),
    works(
        "`file`, below one directory only",
        &[
            "resource::tests::files_are_read_below_one_directory_only",
            "grpc::files::files_begin_in_the_folder_of_the_definition",
        ],
    ),
    works(
        "Kept while fresh, and asked for again with validators",
        &[
            "resource::tests::a_document_is_fetched_once_while_it_is_fresh",
            "resource::tests::a_document_that_is_the_same_is_not_sent_again",
        ],
    ),
    works(
        "JSON and YAML, in any charset, compressed",
        &[
            "resource::tests::json_and_yaml_are_read",
            "resource::tests::documents_may_be_compressed_and_in_another_charset",
        ],
    ),
];

pub(super) const EXTENSIONS: &[Row] = &[
    works(
        "`extend` each kind, `composite` and `all`; `before` and `after` in the order of the text",
        &["engine::tests::extensions::lists_run_around_the_tasks_they_extend"],
    ),
    works(
        "`when`; one that fails does not hold",
        &["engine::tests::extensions::lists_run_around_the_tasks_they_extend"],
    ),
    works("`exit` in `before` takes the place of the task", &["case extensions-surround-tasks"]),
    works(
        "Tasks of extensions are not extended",
        &["engine::tests::extensions::lists_run_around_the_tasks_they_extend"],
    ),
    works(
        "Tasks at workers are extended too",
        &["engine::tests::extensions::a_dispatched_task_is_extended_like_any_other"],
    ),
];

pub(super) const CATALOGS: &[Row] = &[
    works(
        "`name:version@catalog` by the layout of catalogs, at GitHub and GitLab too",
        &[
            "catalogs::what_was_deployed_is_run_by_workers_with_no_catalog_left",
            "definition::tests::catalogs::what_is_called_is_wanted_once_with_its_place",
        ],
    ),
    works("The default catalog", &["catalogs::server::functions_are_published_called_and_kept"]),
    works(
        "Functions are pinned by digest when they are deployed",
        &[
            "definition::tests::catalogs::pinned_functions_are_tasks_of_the_plan_and_call_each_other",
        ],
    ),
    works(
        "A function sees nothing of its caller but its arguments",
        &["definition::tests::catalogs::a_function_of_a_catalog_sees_nothing_of_its_caller"],
    ),
    works(
        "Functions that call functions are bounded",
        &["definition::tests::catalogs::functions_are_bounded_in_number_and_in_all"],
    ),
    works(
        "A catalog that cannot be had is told at the call",
        &["catalogs::a_catalog_that_cannot_be_had_is_told_at_the_call"],
    ),
    deviates(
        "Functions are fetched when they are called",
        "when the workflow is deployed or run, so that it is the same for ever",
        &["catalogs::what_was_deployed_is_run_by_workers_with_no_catalog_left"],
    ),
];
