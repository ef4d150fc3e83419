//! Pages for browsers.

/// Facts of an instance, the latest ones, that its page tells of: its timeline is drawn anew
/// whenever something happens, and nobody reads more bars than a few hundred.
pub const UI_FACTS: u64 = 2_000;

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

/// Bytes of an answer from which on it is compressed: below it the headers are most of it.
pub const UI_COMPRESSED_BYTES: u64 = 1 << 10;

/// Bytes of an answer of pages that is held to be compressed: none is larger, as all that they show
/// is bounded. Past it an answer is sent as it is.
pub const UI_ANSWER_BYTES: u64 = 16 << 20;

/// Members of a schema that a form is made of.
pub const UI_FORM_MEMBERS: usize = 64;

/// Levels of a schema that a form is made of: people fill in a level or two.
pub const UI_FORM_LEVELS: u8 = 4;
