//! Pages for browsers.

/// Facts of an instance, the latest ones, that its page tells of: its timeline is drawn anew
/// whenever something happens, and nobody reads more bars than a few hundred.
pub const UI_FACTS: u64 = 2_000;

/// Pages of a history, of 4 MiB of values at most, that are read for the page of an instance: large
/// values are read for what is around them, and let go of one after another.
pub const UI_HISTORY_PAGES: usize = 4;

/// Facts that the page of an instance tells of where more have too large values.
pub const UI_FEW_FACTS: u64 = 100;

/// How many times as long as counting took its result is shown to all who ask the same: so counting
/// takes a twentieth of one core for each filter.
pub const UI_COUNT_REST: u32 = 20;

/// Milliseconds for which counts are shown at most.
pub const UI_COUNT_MS: u64 = 60_000;

/// Milliseconds that a page waits while others count; past them it is shown without.
pub const UI_COUNT_WAIT_MS: u64 = 2_000;

/// Filters of which counts are kept.
pub const UI_COUNTS: usize = 64;

/// Visits that a timeline shows, the latest ones: a line each.
pub const UI_VISITS: usize = 200;

/// Bytes of a value that a page shows; the command below has the whole.
pub const UI_VALUE_BYTES: usize = 16 << 10;

/// Bytes of a value that are shown unfolded: some twenty lines.
pub const UI_OPEN_VALUE_BYTES: usize = 600;

/// Characters of a text in a cell of a table or a line of a timeline; the whole is a link away.
pub const UI_CELL_CHARACTERS: usize = 300;

/// Instances or entries of one page, where the address does not say: some screens, and a page that
/// is sent anew every few seconds stays small.
pub const UI_ROWS: usize = 50;

/// Instances that another one has started, listed on its page; the list has all.
pub const UI_CHILDREN: usize = 20;

/// Bytes of a form. Larger inputs are sent by the API.
pub const UI_FORM_BYTES: usize = 1 << 20;

/// Bytes of a token that a browser is given as a cookie: browsers keep 4,096 with its name and its
/// attributes.
pub const UI_COOKIE_BYTES: usize = 3_800;

/// Bytes of a body of somebody of whom nothing is known yet, such as the form to sign in: a token
/// that fits into a cookie, and where to go then.
pub const OPEN_BODY_BYTES: usize = 16 << 10;

/// Bytes of an answer from which on it is compressed: below it the headers are most of it.
pub const UI_COMPRESSED_BYTES: u64 = 1 << 10;

/// Bytes of an answer of pages that is held to be compressed: none is larger, as all that they show
/// is bounded. Past it an answer is sent as it is.
pub const UI_ANSWER_BYTES: u64 = 16 << 20;

/// Members of a schema that a form is made of.
pub const UI_FORM_MEMBERS: usize = 64;

/// Levels of a schema that a form is made of: people fill in a level or two.
pub const UI_FORM_LEVELS: u8 = 4;

/// Bytes of an entry's data that are shown in one line, without a fold.
pub const UI_LINE_VALUE_BYTES: usize = 100;

/// Findings of a definition that a page shows: past it, the first ones are mended first.
pub const UI_FINDINGS: usize = 100;

/// Lines of a definition that are shown before and after a finding.
pub const UI_FINDING_LINES: usize = 3;

/// Tasks that are named of a workflow which may read a secret; the command names all.
pub const UI_SECRET_TASKS: usize = 10;

/// Lines of the page of secrets, one for each workflow that may read one: a screen more than people
/// read; the command names all.
pub const UI_SECRETS: usize = 500;
