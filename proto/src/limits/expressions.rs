//! Bounds of expressions: what one may look like, and what its evaluation may take.

/// Steps of one evaluation of an expression: a few tens of milliseconds on one core.
pub const EVALUATION_STEPS: u64 = 1_000_000;

/// Bytes of values one evaluation may build, a multiple of the largest payload.
pub const EVALUATION_BYTES: u64 = 64 << 20;

/// Bytes of text of one expression.
pub const EXPRESSION_BYTES: usize = 64 << 10;

/// Bindings of variables and filters that definitions which call themselves with filters as
/// arguments may stack up: the list of them is dropped by recursion, on what is left of the stack.
pub const RECURSION_BINDINGS: usize = 4_000;

/// Bytes of machine stack one evaluation may use: half of what a thread of the runtime has.
pub const EVALUATION_STACK_BYTES: usize = 1 << 20;

/// Steps one jq path may take beyond the data it walks over: dropping a path recurses.
pub const PATH_LENGTH: u32 = 1_000;

/// Bytes of a compiled regular expression, and of its cache: room for several Unicode classes.
pub const REGEX_BYTES: usize = 512 << 10;

/// Bytes of a text that a pattern with look-around or back-references is searched for in: its time
/// grows with the square of that.
pub const BACKTRACKING_TEXT_BYTES: usize = 16 << 10;

/// Times one search for such a pattern may go back: once for each byte of the text, and besides.
pub const BACKTRACKS: usize = 20_000;

/// Levels of brackets in an expression: far beyond what people write, far below the stack's end.
pub const EXPRESSION_DEPTH: usize = 64;

/// Operators chained or nested in one expression: walking its syntax tree recurses that deeply.
pub const EXPRESSION_LEVELS: usize = 400;

/// Levels of an expression that any thread's stack suffices to compile: some 10 KiB each at worst.
pub const COMPILE_SHALLOW_LEVELS: usize = 50;

/// Bytes of stack for the compilation of others: [`EXPRESSION_LEVELS`] levels of some 10 KiB.
pub const COMPILE_STACK_BYTES: usize = 16 << 20;

/// Characters of the message of an expression's error that are kept.
pub const EXPRESSION_ERROR_CHARACTERS: usize = 1_000;

/// Characters of an expression that an error shows.
pub const EXPRESSION_SHOWN_CHARACTERS: usize = 200;

/// Instructions of a pattern with look-around or back-references, compiled: more than people write,
/// and built in no time.
pub const BACKTRACKING_INSTRUCTIONS: usize = 10_000;

/// Compiled regular expressions that a thread keeps: a program rarely uses more in its loops.
pub const REGEX_KEPT: usize = 8;

/// Bytes of a date's format, so that padding in it cannot build large texts.
pub const DATE_FORMAT_BYTES: usize = 1_024;
