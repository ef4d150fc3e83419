//! Did you mean …? For names in definitions and in expressions.

use crate::limits;

/// The candidate nearest to `word`, when one is near enough to be what was meant.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if word.len() > limits::SUGGESTION_BYTES {
        return None;
    }
    let lower = word.to_lowercase();
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .take(limits::SUGGESTION_CANDIDATES)
        .filter(|candidate| candidate.len() <= limits::SUGGESTION_BYTES)
        .map(|candidate| (strsim::osa_distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A hint naming the nearest candidate, or the candidates themselves when they are few.
pub(crate) fn hint<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str> + Clone,
) -> String {
    if let Some(meant) = nearest(word, candidates.clone()) {
        return format!("did you mean `{meant}`?");
    }
    let listed: Vec<_> = candidates
        .into_iter()
        .take(limits::SUGGESTION_LISTED + 1)
        .map(|it| format!("`{it}`"))
        .collect();
    if listed.is_empty() || listed.len() > limits::SUGGESTION_LISTED {
        return String::new();
    }
    format!("known here: {}", listed.join(", "))
}

#[cfg(test)]
mod tests {
    use super::{hint, nearest};

    #[test]
    fn near_words_are_suggested_and_far_ones_are_not() {
        assert_eq!(nearest("htpp", ["http", "grpc"]), Some("http"));
        assert_eq!(nearest("metod", ["endpoint", "method"]), Some("method"));
        assert_eq!(nearest("Method", ["method"]), Some("method"));
        assert_eq!(nearest("x", ["endpoint"]), None);
        assert_eq!(nearest("", ["a"]), Some("a"));
        assert_eq!(hint("zzzz", ["one", "two"]), "known here: `one`, `two`");
        assert_eq!(hint("zzzz", []), "");
    }
}
