//! `tracestate`: what vendors pass along a trace.

use std::sync::Arc;

use crate::limits::{
    TRACESTATE_BYTES, TRACESTATE_LONG_MEMBER_BYTES, TRACESTATE_MEMBERS, TRACESTATE_PART_BYTES,
};

/// The members of a list that are valid by the grammar of level 2, as many as there is room for:
/// where there are too many bytes, members that are long go first and then the last ones, as the
/// standard has it. Nothing where none is left, or where there are more members than there may be.
#[must_use]
pub fn read(text: &str) -> Option<Arc<str>> {
    let mut members: Vec<_> = text
        .split(',')
        .map(|it| it.trim_matches([' ', '\t']))
        .filter(|it| !it.is_empty())
        .collect();
    if members.len() > TRACESTATE_MEMBERS {
        return None;
    }
    members.retain(|it| is_member(it));
    let is_too_long = |members: &[&str]| {
        members.iter().map(|it| it.len() + 1).sum::<usize>() > TRACESTATE_BYTES + 1
    };
    while is_too_long(&members) {
        let long = members.iter().rposition(|it| it.len() > TRACESTATE_LONG_MEMBER_BYTES);
        members.remove(long.unwrap_or(members.len() - 1));
    }
    (!members.is_empty()).then(|| members.join(",").into())
}

/// Key and value of each member of a list that was [`read`].
pub fn members(state: &str) -> impl Iterator<Item = (&str, &str)> {
    state.split(',').filter_map(|it| it.split_once('='))
}

fn is_member(text: &str) -> bool {
    let Some((key, value)) = text.split_once('=') else { return false };
    let is_key = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || b"_-*/@".contains(&it);
    let begins = |it: &u8| it.is_ascii_lowercase() || it.is_ascii_digit();
    key.len() <= TRACESTATE_PART_BYTES
        && value.len() <= TRACESTATE_PART_BYTES
        && key.as_bytes().first().is_some_and(begins)
        && key.bytes().all(is_key)
        && !value.is_empty()
        && value.bytes().all(|it| (b' '..=b'~').contains(&it) && it != b'=')
}
