//! `tracestate`: what vendors pass along a trace.

use std::sync::Arc;

use crate::limits::{TRACESTATE_BYTES, TRACESTATE_MEMBERS, TRACESTATE_PART_BYTES};

/// The members of a list that is valid, as many of the first as there is room for. Nothing where
/// the list is not valid or empty.
pub(super) fn read(text: &str) -> Option<Arc<str>> {
    let members: Vec<_> = text
        .split(',')
        .map(|it| it.trim_matches([' ', '\t']))
        .filter(|it| !it.is_empty())
        .collect();
    if members.len() > TRACESTATE_MEMBERS || !members.iter().all(|it| is_member(it)) {
        return None;
    }
    let mut kept = String::new();
    for member in members {
        if kept.len() + 1 + member.len() > TRACESTATE_BYTES {
            break;
        }
        if !kept.is_empty() {
            kept.push(',');
        }
        kept.push_str(member);
    }
    (!kept.is_empty()).then(|| kept.into())
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
