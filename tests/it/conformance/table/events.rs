//! Events and schedules.

use super::{Row, deviates, works};

pub(super) const EVENTS: &[Row] = &[
    works(
        "`emit`: attributes are filled in, the event is the output",
        &[
            "case emit-fills-in-what-is-missing",
            "engine::tests::events::an_event_is_filled_in_and_is_the_output",
        ],
    ),
    works(
        "`emit`: templates in `source` and `dataschema`",
        &["case emit-expands-its-source-and-dataschema"],
    ),
    works(
        "`emit`: the same id after a crash",
        &[
            "engine::tests::events::an_event_that_a_crash_held_back_is_handed_over_again_with_its_id",
        ],
    ),
    works(
        "`emit`: out to NATS and to every listener once",
        &["bus_events::out::an_emitted_event_goes_out_as_it_is_and_to_every_listener_once"],
    ),
    works("`listen.to.one`", &["case listen-one-reads-data"]),
    works("`listen.to.all`", &["case listen-all-needs-every-one"]),
    works(
        "`listen.to.any`, with `until` as condition or as another listen",
        &[
            "case listen-any-until-an-event",
            "case listen-for-each-event",
            "engine::tests::listen::strategies_end_when_they_have_what_they_want",
        ],
    ),
    works(
        "`listen.read`: `data`, `envelope`, `raw`",
        &[
            "case listen-reads-envelopes",
            "engine::tests::listen::events_are_read_as_the_author_says",
        ],
    ),
    works(
        "`listen.foreach` with `do`, `output` and `export`",
        &[
            "case listen-for-each-event",
            "engine::tests::listen::each_event_goes_through_foreach",
            "engine::tests::listen::foreach_without_tasks_transforms_the_items",
        ],
    ),
    works(
        "Filters by equality, whole pattern, part of the data, or expression",
        &[
            "engine::tests::listen::filters_match_by_equality_pattern_containment_or_expression",
            "case listen-filters-data-by-expression",
        ],
    ),
    works(
        "`correlate`, with and without `expect`",
        &[
            "engine::tests::listen::correlations_hold_events_together",
            "api::events::events_reach_the_instance_they_correlate_with_and_repeats_are_dropped",
        ],
    ),
    works(
        "An event reaches every instance that listens",
        &["api::events::an_event_reaches_every_instance_that_listens_for_it"],
    ),
    works("The timeout of a listen", &["case listen-times-out"]),
    works(
        "CloudEvents in structured, binary and batch mode",
        &["api::events::batches_and_the_binary_mode_are_taken"],
    ),
];

pub(super) const SCHEDULES: &[Row] = &[
    works(
        "`every`, at multiples of it after the deployment",
        &[
            "schedule::tests::year::an_interval_knows_no_clocks",
            "schedules::kills::each_due_time_starts_one_instance_although_the_process_is_killed_then",
        ],
    ),
    works(
        "`cron`, of five to seven fields, in the time zone of `metadata.windlass.schedule`",
        &[
            "schedules::crons::cron_expressions_mean_what_they_mean_elsewhere",
            "schedule::tests::year::a_daily_time_comes_once_on_each_day_of_the_year",
            "cron::tests::the_traps_between_programs_are_decided",
        ],
    ),
    works(
        "`after` the end of the one before, unless cancelled",
        &[
            "schedule::tests::policies::after_follows_the_end_and_stops_when_cancelled",
            "schedules::kills::what_waits_for_an_end_waits_on_after_a_kill",
        ],
    ),
    works(
        "`on` every strategy of events; the input is the list of events",
        &[
            "schedules::events::events_that_belong_together_start_an_instance_with_them",
            "schedule::tests::events::all_takes_one_of_each_in_any_order",
            "schedule::tests::events::any_gathers_until_it_is_told_to_end",
        ],
    ),
    works(
        "`read`; without it the envelope up to `dsl: 1.0.3`, which had no `read`, and `data` after",
        &["schedule::tests::events::events_are_read_as_the_schedule_says"],
    ),
    deviates(
        "Durations as expressions in a schedule",
        "refused (WL0160), as there is no instance to evaluate them for",
        &["definition::tests::every_code::what_cannot_be_done_is_refused_where_that_is_asked_for"],
    ),
    works("Several triggers count all", &["schedule::tests::policies::several_triggers_count_all"]),
    works(
        "Each due time starts one instance or is told as skipped, whatever crashes",
        &[
            "partition::schedules::tests::each_due_time_starts_one_instance_wherever_the_process_ends",
            "schedules::kills::each_due_time_starts_one_instance_although_the_process_is_killed_then",
            "schedules::events::each_event_starts_one_instance_although_the_process_is_killed_then",
        ],
    ),
    works(
        "A new version takes the place of the former",
        &[
            "schedules::operated::a_new_version_replaces_the_schedule_and_suspended_ones_do_not_start",
        ],
    ),
    works(
        "A start by hand beside the schedule",
        &["schedules::operated::a_schedule_is_listed_paused_triggered_and_resumed"],
    ),
];

pub(super) const LIFECYCLE: &[Row] = &[
    works(
        "Workflows: started, suspended, resumed, cancelled, faulted, completed, correlations",
        &["bus_events::lifecycle::workflows_are_told_of_as_the_specification_says"],
    ),
    deviates(
        "Tasks: created, started, retried, cancelled, faulted, completed",
        "only with `--lifecycle task`; never as suspended or resumed, as only workflows are",
        &["bus_events::lifecycle::tasks_are_told_of_when_asked_for"],
    ),
    deviates(
        "Changes of the status (optional)",
        "they are not told; each has an event of its own above",
        &[],
    ),
    works(
        "The output where it is small, and always where it can be had (`outputUri`)",
        &["bus_events::lifecycle::workflows_are_told_of_as_the_specification_says"],
    ),
    works(
        "Ids that follow from instance and fact, so repeats are known",
        &["bus_events::lifecycle::workflows_are_told_of_as_the_specification_says"],
    ),
    works(
        "The statuses of workflows and tasks",
        &[
            "engine::tests::raise::a_waiting_instance_says_so",
            "api::control::a_suspended_instance_goes_on_when_resumed_also_after_a_restart",
            "api::control::cancel_ends_an_instance_for_good",
        ],
    ),
];
