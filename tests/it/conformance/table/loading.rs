//! Definitions as text, and the small formats in them.

use super::{Row, works};

pub(super) const LOADING: &[Row] = &[
    works(
        "YAML 1.2 and JSON, with the types of the core schema; duplicate keys are refused",
        &[
            "definition::tests::text::json_means_the_same_in_a_yaml_file",
            "support::yaml::scalars_get_the_types_of_the_core_schema",
            "definition::tests::text::anchors_and_aliases_expand_and_merge_keys_mean_nothing",
        ],
    ),
    works(
        "`document.dsl`: 1.0.x and its pre-releases; other majors are refused, minors warned of",
        &["deviations::every_deviation_has_the_outcome_and_the_hint_it_should"],
    ),
    works(
        "`namespace` and `name`",
        &[
            "definition::tests::kinds::the_document_and_what_stands_beside_it",
            "deviations::every_deviation_has_the_outcome_and_the_hint_it_should",
        ],
    ),
    works(
        "`version` is semantic; the highest one is the latest, pre-releases only without another",
        &["api::starts::a_version_is_chosen_and_a_running_instance_keeps_its_own"],
    ),
    works(
        "`title`, `summary`, `tags`, `metadata`; other properties of `document` are refused",
        &[
            "definition::tests::kinds::the_document_and_what_stands_beside_it",
            "deviations::every_deviation_has_the_outcome_and_the_hint_it_should",
        ],
    ),
    works(
        "Unknown properties beside `document` are warned of, typos with a suggestion",
        &["deviations::every_deviation_has_the_outcome_and_the_hint_it_should"],
    ),
    works(
        "`do` is a list of single tasks; an empty one gives its input",
        &[
            "case an-empty-list-passes-its-input-on",
            "definition::tests::specification::every_invalid_fixture_is_refused_for_its_reason",
        ],
    ),
    works(
        "Any name of a task; twice in a list is a finding, and so are directives as names",
        &[
            "case names-with-special-characters",
            "deviations::every_deviation_has_the_outcome_and_the_hint_it_should",
        ],
    ),
    works(
        "Each of the twelve kinds of tasks, and nothing else beside",
        &[
            "definition::tests::kinds::the_common_properties_of_a_task",
            "definition::tests::every_code::every_finding_stands_at_its_place",
        ],
    ),
    works(
        "All that the published schema takes, and findings with line and column for what it does not",
        &[
            "definition::tests::deviations::what_either_schema_accepts_is_no_deviation",
            "definition::tests::every_code::all_findings_are_collected",
            "cli::validate::every_published_counterexample_is_refused",
        ],
    ),
    works(
        "References (`then`, names of `use`) are checked at load",
        &["definition::tests::every_code::every_finding_stands_at_its_place"],
    ),
    works(
        "The invalid samples of the specification are refused, each for its reason",
        &["definition::tests::specification::every_invalid_fixture_is_refused_for_its_reason"],
    ),
    works(
        "Every example and every workflow of the conformance kit loads",
        &[
            "definition::tests::specification::every_example_loads",
            "definition::tests::specification::every_workflow_of_the_conformance_kit_loads",
        ],
    ),
    works(
        "Expressions are compiled at load, with the variables that their place has",
        &[
            "definition::tests::kinds::errors_of_expressions_stand_inside_their_scalars",
            "expression::tests::refusals::names_bound_around_the_expression_are_known",
        ],
    ),
    works(
        "Text that grows without end (aliases, depth, size) is refused",
        &[
            "definition::tests::text::a_million_laughs_are_refused",
            "definition::tests::text::depth_is_bounded_in_every_style",
        ],
    ),
];

pub(super) const TEMPLATES: &[Row] = &[
    works(
        "URI templates of all four levels (RFC 6570), in literal text only",
        &[
            "uri_templates::the_official_files_expand_as_they_say",
            "expression::uri::tests::every_operator_and_modifier",
            "expression::tests::templates::uris_are_expanded_in_literal_text_only",
        ],
    ),
    works(
        "What is no part of an address is an error before the query",
        &["expression::uri::tests::what_is_no_part_of_an_address_is_an_error_before_the_query"],
    ),
    works(
        "Data in an endpoint stays data: no other host, path or parameter",
        &[
            "case data-in-an-endpoint-stays-data",
            "expression::tests::templates::data_in_a_uri_calls_no_other_host_and_no_other_path",
        ],
    ),
    works(
        "Durations: objects of units, ISO 8601 with years (365 days), months (30), weeks, decimals",
        &["proto::duration::iso_text_and_objects_of_units", "case waits-take-every-form"],
    ),
    works(
        "Negative and endless durations are refused",
        &["proto::duration::negative_and_endless_ones_are_refused", "case a-duration-that-is-none"],
    ),
    works(
        "JSON pointers of tasks (RFC 6901), the same in errors, events and history",
        &["definition::tests::kinds::pointers_are_canonical", "case names-with-special-characters"],
    ),
];
