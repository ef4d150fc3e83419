//! Pure: decides what happens next. No I/O, clock, randomness or logging.
