//! Data flow, expressions and secrets.

use super::{Row, not, works};

pub(super) const FLOW: &[Row] = &[
    works(
        "The order of all steps from `input.schema` to `export.schema`",
        &[
            "engine::tests::data_flow::data_flows_in_the_order_of_the_specification",
            "engine::tests::data_flow::every_schema_is_checked_where_the_specification_says",
        ],
    ),
    works(
        "`input.schema` of the workflow sees the raw input; a request that does not fit gets 400",
        &["api::problems::an_input_that_does_not_fit_the_schema_starts_nothing"],
    ),
    works("`input.from` of the workflow, as text or object", &["case workflow-input-from"]),
    works("`$context` is `{}` at first", &["case workflow-output-as"]),
    works(
        "`if` decides on the raw input, before all else; a skipped task passes that on",
        &["case if-decides-on-the-raw-input-and-a-skipped-task-passes-it-on"],
    ),
    works("`input.schema` of a task", &["case task-input-schema"]),
    works("`input.from` of a task, as text or object", &["case object-form-of-as-and-from"]),
    works(
        "`output.as` on the raw output, with `$input`",
        &["case object-form-of-as-and-from", "case http-sends-what-it-is-told"],
    ),
    works("`output.schema` after `output.as`", &["case task-output-schema-after-as"]),
    works(
        "`export.as` on the transformed output replaces the context",
        &["case export-replaces-the-context"],
    ),
    works(
        "`export.schema`; where it fails the context stays as it was",
        &["case export-schema-keeps-the-old-context"],
    ),
    works(
        "`output.as` of the workflow, also when it ends early",
        &["case workflow-output-as", "case output-as-also-when-ended-early"],
    ),
    works("`output.schema` of the workflow", &["case workflow-output-schema"]),
    not(
        "`schema.resource` of what the coordinator does itself, such as `set`",
        "write the schema inline, as `document`",
        &["definition::tests::every_code::every_finding_stands_at_its_place"],
    ),
    works(
        "JSON Schema of all drafts, 2020-12 without `$schema`; another format is refused",
        &[
            "schema::tests::drafts_are_told_apart",
            "schema::tests::every_draft_reads_its_own_keywords",
            "deviations::every_deviation_has_the_outcome_and_the_hint_it_should",
        ],
    ),
    works(
        "`schema.resource` of calls and processes: schemas at another place",
        &[
            "perform::tests::a_schema_elsewhere_is_fetched",
            "definition::tests::every_code::what_cannot_be_done_is_refused_where_that_is_asked_for",
        ],
    ),
    works(
        "Any JSON is an input, an output and an item; no input is `{}`",
        &["api::starts::any_json_is_an_input_and_none_is_an_empty_object"],
    ),
    works(
        "Tasks inside get the transformed input, their last output is the raw one of the list",
        &[
            "engine::tests::data_flow::data_flows_in_the_order_of_the_specification",
            "case an-empty-list-passes-its-input-on",
        ],
    ),
    works(
        "Members keep their order, integers their digits",
        &[
            "expression::tests::differential::keys_keep_their_order",
            "expression::tests::differential::big_integers_are_untouched_until_computed_with",
            "case numbers-keep-their-size",
        ],
    ),
];

pub(super) const EXPRESSIONS: &[Row] = &[
    works(
        "jq; another language is refused",
        &[
            "expression::tests::differential::programs_give_what_jq_gives",
            "deviations::every_deviation_has_the_outcome_and_the_hint_it_should",
        ],
    ),
    works(
        "`evaluate.mode: strict`, by default: only `${ }` is evaluated in data",
        &[
            "expression::tests::templates::only_marked_strings_are_expressions_and_keys_never",
            "case the-names-of-the-frozen-specification",
        ],
    ),
    works(
        "`evaluate.mode: loose`: all text is tried; what fails stays text",
        &[
            "case loose-mode-evaluates-texts-and-keeps-those-that-fail",
            "case loose-mode-in-what-a-worker-sends",
            "case loose-mode-is-not-for-conditions",
        ],
    ),
    works(
        "Fields that are expressions (`if`, `when`, `in`, `as`, …) need no `${ }`",
        &["expression::tests::templates::expression_fields_need_no_marks"],
    ),
    works(
        "`${ }` over several lines, with braces and quotes inside",
        &[
            "expression::tests::templates::whole_expressions_keep_their_type",
            "case text-with-expressions",
        ],
    ),
    works(
        "`${ }` inside of longer text; two of them are text",
        &[
            "expression::tests::templates::embedded_expressions_become_text",
            "case text-with-expressions",
        ],
    ),
    works(
        "Objects and lists are evaluated through and through, keys never",
        &["case keys-are-never-evaluated-and-data-neither"],
    ),
    works("No result is null, several are a list", &["case none-one-and-many-results"]),
    works(
        "Nothing from outside: no environment, files or input; `now` is that of the turn",
        &[
            "expression::tests::differential::nothing_reaches_outside",
            "case no-environment",
            "engine::tests::descriptors::now_is_the_time_of_the_turn",
        ],
    ),
    works(
        "Bounded steps, bytes and depth",
        &[
            "expression::tests::runaway::long_loops_run_out_of_steps",
            "expression::tests::runaway::growth_beyond_measure_is_stopped",
            "api::problems::no_expression_takes_more_than_it_may",
        ],
    ),
    works("What fails is an `expression` error, 400", &["case an-expression-that-fails"]),
    works(
        "Data is never evaluated",
        &[
            "expression::tests::templates::data_is_never_evaluated",
            "case keys-are-never-evaluated-and-data-neither",
        ],
    ),
    works(
        "`null` where a path leads nowhere",
        &["case null-semantics", "expression::tests::differential::plain_paths_behave_as_under_jq"],
    ),
    works(
        "`$task`, with the properties of its definition",
        &[
            "case task-descriptor",
            "engine::tests::descriptors::a_task_is_described_to_its_own_expressions",
        ],
    ),
    works("`$workflow` and `$runtime`", &["case workflow-and-runtime-descriptors"]),
    works(
        "`$authorization` behind authentication",
        &["authentication::tests::authorization_is_bound_for_the_expressions_after_it"],
    ),
    works(
        "Variables that a place does not have are null, and warned of",
        &["deviations::every_deviation_has_the_outcome_and_the_hint_it_should"],
    ),
    works(
        "Variables of `for`, `foreach` and `catch` in all that is inside, at workers too",
        &[
            "definition::tests::kinds::loops_bind_their_variables_for_body_condition_and_output",
            "definition::tests::kinds::dispatched_tasks_name_the_variables_they_need",
        ],
    ),
];

pub(super) const SECRETS: &[Row] = &[
    works(
        "`use.secrets` declares them; what is not declared is refused",
        &[
            "perform::secret_access::tests::only_declared_secrets_are_read_and_only_when_named",
            "perform::definition_tests::an_undeclared_secret_is_refused_before_anything_is_sent",
        ],
    ),
    works(
        "`authorization`, 403, where one is missing or forbidden, when it is used; it can be caught",
        &[
            "seed_vault::missing_and_forbidden_secrets_are_authorization_errors_that_name_no_path",
            "seed_vault::a_missing_secret_is_caught_by_the_page_s_own_catch",
        ],
    ),
    works(
        "A text or an object, as the store has it",
        &["perform::secret_access::tests::a_secret_has_the_shape_the_store_gives_it"],
    ),
    works(
        "`use` of a secret in each authentication",
        &["authentication::tests::a_secret_holds_a_whole_policy_nested_or_flat"],
    ),
    works(
        "No value leaves: journal, log, events, errors, API, spans",
        &["secrets::canary::no_secret_is_anywhere_but_where_it_was_sent_to"],
    ),
    works(
        "A value that changes counts from the next attempt on",
        &["seed_vault::a_header_carries_what_the_store_holds_and_after_a_change_the_new_value"],
    ),
    works(
        "Each use is in the audit trail",
        &[
            "secrets::audit::what_workers_do_with_secrets_is_told_however_often_the_coordinator_dies",
        ],
    ),
    works(
        "A store that is away delays and is no refusal",
        &["outage::a_store_that_is_killed_and_sealed_in_mid_load_delays_and_loses_nothing"],
    ),
    works(
        "Every spelling of `$secrets`",
        &[
            "perform::definition_tests::every_spelling_of_a_secret_reaches_the_header",
            "expression::tests::templates::secrets_are_found_in_every_spelling",
        ],
    ),
];
