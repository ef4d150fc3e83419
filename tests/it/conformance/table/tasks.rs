//! Tasks without the outside world.

use super::{Row, works};

pub(super) const ORDER: &[Row] = &[
    works(
        "`then`: `continue`, `exit` and `end` in every scope",
        &[
            "engine::tests::order::directives_lead_where_they_say_in_every_scope",
            "case exit-leaves-a-list-and-end-the-workflow",
            "case end-from-within",
        ],
    ),
    works("`then` to a task of the same list, backwards too", &["case a-jump-back-is-a-loop"]),
    works("`exit` in a loop ends one iteration", &["case for-exit-ends-one-iteration"]),
    works(
        "`then` of a composite counts after what is inside",
        &["engine::tests::order::directives_lead_where_they_say_in_every_scope"],
    ),
    works(
        "A target in another list is refused",
        &["deviations::every_deviation_has_the_outcome_and_the_hint_it_should"],
    ),
    works(
        "`timeout` of a task, in place or by name, with retries and all inside",
        &[
            "case a-task-times-out",
            "case a-call-times-out",
            "case a-timeout-is-caught-outside",
            "case a-timeout-ends-the-retries-inside",
        ],
    ),
    works("`metadata` of a task", &["definition::tests::kinds::the_common_properties_of_a_task"]),
    works(
        "The `then` of a skipped task does not count",
        &["case if-decides-on-the-raw-input-and-a-skipped-task-passes-it-on"],
    ),
    works(
        "A skipped task is told of as created and completed",
        &["bus_events::lifecycle::tasks_are_told_of_when_asked_for"],
    ),
    works(
        "References of tasks are JSON pointers",
        &["definition::tests::kinds::pointers_are_canonical", "case task-descriptor"],
    ),
    works(
        "What nobody catches faults the workflow, with the place",
        &["case a-status-is-told", "cli::a_fault_exits_1_with_the_problem_on_stderr"],
    ),
    works(
        "Loops without an end meet a bound",
        &["engine::tests::order::a_loop_without_end_meets_the_limit_of_facts"],
    ),
];

pub(super) const SIMPLE: &[Row] = &[
    works("`do`, empty too", &["case an-empty-list-passes-its-input-on", "case end-from-within"]),
    works(
        "`set` with an object or an expression replaces what was",
        &["case export-replaces-the-context", "definition::tests::kinds::wait_set_and_raise"],
    ),
    works(
        "`switch`: the first case that holds, in the order of the text",
        &[
            "engine::tests::switch::the_first_case_that_holds_decides",
            "definition::tests::kinds::switch_cases_keep_their_order",
        ],
    ),
    works(
        "`switch`: the default wherever it stands; two are refused",
        &[
            "case switch-default-counts-only-when-nothing-else-fits",
            "deviations::every_deviation_has_the_outcome_and_the_hint_it_should",
        ],
    ),
    works(
        "`switch` without a match goes on by the task's `then`",
        &["engine::tests::switch::the_first_case_that_holds_decides"],
    ),
    works(
        "`raise` in place and by name, with expressions",
        &[
            "case raise-by-name-with-expressions",
            "engine::tests::raise::an_error_is_raised_as_the_author_wrote_it",
        ],
    ),
    works(
        "`raise`: the place of the task is the instance, unless the author gives a pointer",
        &["engine::tests::raise::an_error_is_raised_as_the_author_wrote_it"],
    ),
    works(
        "`wait` for a duration in every form, over a restart",
        &[
            "case waits-take-every-form",
            "engine::tests::raise::a_wait_takes_its_time_and_gives_its_input",
            "crash::every_accepted_workflow_survives_kills",
        ],
    ),
];

pub(super) const LOOPS: &[Row] = &[
    works(
        "`for.each`, `in`, `at`: each iteration gets the output of the one before",
        &[
            "engine::tests::iterate::each_iteration_works_on_the_output_of_the_one_before",
            "case for-with-while-and-index",
        ],
    ),
    works("`in` may be a list in the text", &["case for-over-a-list-in-the-text"]),
    works("`while` before each iteration", &["case for-with-while-and-index"]),
    works("Null is no iteration: the input is the output", &["case for-without-items"]),
    works("What is no list is an `expression` error", &["case for-over-what-is-no-list"]),
    works(
        "The variables in the loop's own `output.as` and `export.as`",
        &["definition::tests::kinds::loops_bind_their_variables_for_body_condition_and_output"],
    ),
];

pub(super) const FORK: &[Row] = &[
    works(
        "Branches run side by side from the same input and context",
        &["engine::tests::fork::branches_run_side_by_side_from_the_same_start"],
    ),
    works(
        "A list of outputs in the order of the text",
        &["case fork-keeps-the-order-of-its-branches"],
    ),
    works(
        "`compete`: the output of the first that succeeds; the others are cancelled",
        &[
            "case fork-compete-takes-the-first-that-succeeds",
            "engine::tests::fork::the_winner_of_a_race_cancels_the_others",
        ],
    ),
    works(
        "An error of a branch is that of the fork and cancels the others",
        &[
            "case fork-fails-with-its-branch",
            "engine::tests::fork::an_error_cancels_what_other_branches_have_at_workers",
        ],
    ),
    works("Contexts are joined in the order of the text", &["case fork-joins-contexts-in-order"]),
    works("No branches give `[]`", &["case fork-of-nothing"]),
];

pub(super) const TRY: &[Row] = &[
    works(
        "`try` gives its last output; `catch.do` gets the input of the task",
        &["engine::tests::catching::what_is_caught_and_what_comes_of_it"],
    ),
    works(
        "`errors.with` by every field; both families of types are one",
        &[
            "case catch-filters-by-every-field",
            "case catch-filters-by-the-detail",
            "case catch-passes-other-errors-on",
            "case both-spellings-of-a-standard-type-are-one",
        ],
    ),
    works("`as`", &["engine::tests::catching::what_is_caught_and_what_comes_of_it"]),
    works(
        "`when` and `exceptWhen`",
        &[
            "case catch-when-and-except-when",
            "engine::tests::catching::filters_and_conditions_decide_together",
        ],
    ),
    works(
        "Everything can be caught but a cancellation and the workflow's timeout",
        &[
            "engine::tests::operate::nothing_catches_a_cancellation",
            "case a-workflow-times-out-whatever-it-catches",
        ],
    ),
    works(
        "Without `do` the error is swallowed",
        &["case an-error-caught-without-a-handler-is-swallowed"],
    ),
    works("Errors in `catch.do` go outward", &["case an-error-in-the-handler-goes-outward"]),
    works("`catch.then`", &["case catch-then-directs-the-flow"]),
    works(
        "`retry` in place and by name; then `catch.do`, or the error again",
        &[
            "case retries-are-counted-then-the-error-goes-outward",
            "engine::tests::attempts::what_follows_when_the_retries_are_spent",
        ],
    ),
    works("`retry.when` and `exceptWhen`", &["case retry-policies-have-names-and-conditions"]),
    works(
        "`delay` and every `backoff`",
        &["engine::tests::attempts::delays_grow_as_the_backoff_says"],
    ),
    works(
        "`Retry-After` of a 429 or 503 holds a retry back, an hour at most; not in the specification",
        &[
            "engine::tests::attempts::no_retry_begins_before_whoever_was_asked_wants_it",
            "engine::tests::attempts::what_one_error_asks_for_holds_no_other_back",
            "retry_after::it_is_seconds_or_a_date_by_the_servers_clock",
            "servers::nginx::nginx_is_left_alone_as_long_as_it_asks_for",
        ],
    ),
    works("`jitter`", &["engine::tests::attempts::jitter_stays_within_its_bounds_and_differs"]),
    works(
        "`limit.attempt.count` counts retries",
        &["engine::tests::attempts::the_count_is_of_retries"],
    ),
    works(
        "`limit.attempt.duration` is for one attempt, `limit.duration` for all",
        &[
            "engine::tests::attempts::one_attempt_is_bounded_by_its_duration",
            "engine::tests::attempts::all_attempts_together_are_bounded_by_the_duration",
        ],
    ),
    works(
        "Each attempt begins with input and context as they were",
        &["engine::tests::attempts::each_attempt_begins_again_with_input_and_context_as_they_were"],
    ),
    works("Retries are told of", &["bus_events::lifecycle::tasks_are_told_of_when_asked_for"]),
];
