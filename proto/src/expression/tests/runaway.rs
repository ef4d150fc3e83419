//! Programs that would run for ever, or take all memory or stack, end with an error.
