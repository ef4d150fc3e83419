//! Bounds of listening: filters, and how they are found.

/// Steps one listening task may take to tell whether an event is for it. A dearer filter does not
/// match: no event may be held up by one of many that listen.
pub const FILTER_STEPS: u64 = 50_000;

/// Steps that all who listen in one namespace, in one partition, may take together for one event;
/// past it each has [`FILTER_LEAST_STEPS`] left, which does for all but a few filters.
pub const EVENT_STEPS: u64 = 10_000_000;

/// Steps that are left for each listening task, however many others listen.
pub const FILTER_LEAST_STEPS: u64 = 1_000;

/// Bytes of a compiled pattern of a filter that is made in some tens of microseconds.
pub const PATTERN_BYTES_CHEAP: usize = 32 << 10;

/// Steps that all listening tasks of one instance may take together for one event, before each has
/// [`FILTER_LEAST_STEPS`] left: an instance is decided on as a whole.
pub const INSTANCE_FILTER_STEPS: u64 = 200_000;

/// What such a pattern costs, and what a larger one costs, in steps.
pub const PATTERN_COSTS: (u64, u64) = (500, 40_000);

/// Equalities of one filter by which it is found: more tell no more events apart.
pub const ROUTE_EQUALITIES: usize = 8;

/// Ways to write the values of one filter's equalities, each of which is an entry of the index: an
/// attribute `5` is a number or the text `5`.
pub const ROUTE_SPELLINGS: usize = 4;

/// Bytes of a text, and of the keys that lead to it, by which a filter is found: longer ones are
/// compared when an event has come.
pub const ROUTE_BYTES: usize = 1 << 10;

/// Entries of the index for one listening task; one with more is found by the types of its events.
pub const ROUTES: usize = 256;

/// What looking up one kind of filter costs, in steps.
pub const ROUTE_COST: u64 = 10;

/// Events that wait for `foreach` of one `listen`: past it the listener is too slow for its events.
pub const LISTEN_QUEUE: usize = 10_000;

/// Bytes of a compiled pattern of a filter at most: far more than filters need, far less than
/// hurts.
pub const PATTERN_BYTES_MOST: usize = 256 << 10;

/// Filters that were too dear: one in so many is told of in the log. Whoever can start such a
/// workflow must not fill it.
pub const FILTERS_TOLD: u64 = 1_000;

/// Subscriptions read from the journal at once.
pub const SUBSCRIPTION_PAGE: usize = 4_096;
