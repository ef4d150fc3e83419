//! Bounds of schemas and of checks against them.

/// Steps of one check of a value against a schema: 10 ms on one core, which a turn of a partition
/// and a thread of the API may be held up.
pub const SCHEMA_STEPS: u64 = 1_000_000;

/// Steps of one such check by a worker, which does it on a thread of its own: the largest payload,
/// full of numbers, fits.
pub const SCHEMA_WORKER_STEPS: u64 = 50_000_000;

/// Steps of one such check on a thread that others wait for: most inputs need a few hundred.
pub const SCHEMA_QUICK_STEPS: u64 = 50_000;

/// Bytes of the errors of one such check, all of which are collected before the first is told.
pub const SCHEMA_ERROR_BYTES: u64 = 8 << 20;

/// Schemas that one place of a value may meet, through references and applicators: each reference
/// counts for all it leads to, so a few lines can double it with each.
pub const SCHEMA_EXPANDED: u64 = 10_000;

/// Schemas inside each other at one place of a value, through references and applicators: the check
/// takes some of the stack for each.
pub const SCHEMA_DEPTH: u32 = 64;

/// Levels of nesting of a schema's text: compiling takes some of the stack for each.
pub const SCHEMA_NESTING: u32 = 128;

/// Schemas in the schemas of one definition, with those that references lead to: each takes about
/// a kilobyte compiled, and one with `$id` is compiled for every way that leads to it.
pub const SCHEMA_PARTS: usize = 50_000;

/// Characters of one pattern of a schema: reading one may take their square.
pub const SCHEMA_PATTERN_BYTES: usize = 4_096;

/// States of the automata of the patterns in the schemas of one definition, each some 30 bytes.
pub const SCHEMA_PATTERN_STATES: usize = 200_000;

/// Places that are listed where a value is refused.
pub const SCHEMA_PLACES_SHOWN: usize = 5;

/// Characters of one error of a check that are shown.
pub const SCHEMA_ERROR_CHARACTERS: usize = 300;
