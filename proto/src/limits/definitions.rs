//! Bounds of definitions and of values.

/// Bytes of the texts whose compiled form a coordinator keeps at hand; others are compiled again
/// when needed. A schema in a text was seen to take 43 times its size.
pub const CATALOG_PLAN_TEXT_BYTES: usize = 8 << 20;

/// Bytes of a definition's text. The largest published example is under 10 KiB; a megabyte leaves
/// room for generated ones and keeps parsing well under a second.
pub const DEFINITION_BYTES: usize = 1 << 20;

/// Functions of catalogs that one definition calls, those that its functions call counted as well:
/// each is a request to somebody when it is deployed.
pub const PINNED_FUNCTIONS: usize = 32;

/// Bytes of the text of a function of a catalog: it is one task. With the definition, all that are
/// pinned to it have to fit into [`DEFINITION_BYTES`].
pub const FUNCTION_BYTES: usize = 256 << 10;

/// Bytes of the name of a function in a catalog, and of its version: they are parts of a path.
pub const FUNCTION_NAME_BYTES: usize = 128;

/// Bytes of the URL of a function: what servers take.
pub const FUNCTION_URL_BYTES: usize = 2_048;

/// Functions of the default catalog of a server, all versions counted: their names and digests are
/// kept in memory.
pub const PUBLISHED_FUNCTIONS: usize = 10_000;

/// Levels of nesting of a definition: deeper ones come from mistakes or attacks.
pub const DEFINITION_DEPTH: usize = 64;

/// Nodes of a definition after aliases are expanded, every 32 bytes of text counting as one more:
/// stops a small text that expands without end.
pub const DEFINITION_NODES: usize = 200_000;

/// Bytes of the name of a task, function or extension: names are repeated in the pointers of all
/// tasks inside, in keys and in headers.
pub const NAME_BYTES: usize = 128;

/// Errors, and warnings, reported about one definition: nobody reads more, and some mistakes repeat
/// on every line.
pub const DEFINITION_FINDINGS: usize = 100;

/// Milliseconds of the longest duration a workflow may name: a hundred years of 365 days. What is
/// longer is a mistake in a unit.
pub const LONGEST_DURATION_MS: u64 = 100 * 365 * 24 * 3_600_000;

/// The largest `multiplier` of an exponential backoff: from a millisecond, four retries take it
/// past any wait that is meant.
pub const BACKOFF_MULTIPLIER: f64 = 1_000.0;

/// Levels of nesting of any value: recursion over values stays far below the smallest stack.
pub const VALUE_DEPTH: u32 = 256;

/// Bytes of one payload (input, output, context, event): what a journal record and a bus message
/// can carry without starving others.
pub const PAYLOAD_BYTES: usize = 16 << 20;

/// Characters of an integer that keeps its digits; longer ones are rounded like any other number.
pub const INTEGER_CHARACTERS: usize = 1_024;

/// Characters of a finding's message or hint; they quote the definition, which may hold anything.
pub const FINDING_CHARACTERS: usize = 400;

/// Characters of a finding's pointer.
pub const FINDING_POINTER_CHARACTERS: usize = 4_000;

/// Bytes of a text that may be meant as an expression: longer ones are texts.
pub const LINT_TEXT_CHARACTERS: usize = 400;

/// Columns of the line that a finding shows; longer lines are cut around the place.
pub const FINDING_COLUMNS: usize = 120;

/// Bytes of a name for which one that was meant is looked for: longer ones are no typing errors,
/// and the distance costs their product.
pub const SUGGESTION_BYTES: usize = 80;

/// Names among which one that was meant is looked for: so many are generated, and not misspelt.
pub const SUGGESTION_CANDIDATES: usize = 500;

/// Names that are listed where none is near: a line of them.
pub const SUGGESTION_LISTED: usize = 12;

/// Bytes of the difference of two texts that is shown: more nobody reads.
pub const DIFFERENCE_BYTES: usize = 32 << 10;

/// Lines around what differs.
pub const DIFFERENCE_CONTEXT: usize = 3;

/// Milliseconds in which the shortest difference of two texts is looked for.
pub const DIFFERENCE_MS: u64 = 200;
