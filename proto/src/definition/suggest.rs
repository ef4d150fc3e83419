//! Did you mean …?

/// The candidate nearest to `word`, when one is near enough to be what was meant.
pub(super) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    // Longer words are no typing errors, and the distance costs their product.
    const LONGEST: usize = 80;
    // So many names are generated, and not misspelt.
    const MOST: usize = 500;
    if word.len() > LONGEST {
        return None;
    }
    let lower = word.to_lowercase();
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .take(MOST)
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A hint naming the nearest candidate, or the candidates themselves when they are few.
pub(super) fn hint<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str> + Clone,
) -> String {
    const FEW: usize = 12;
    if let Some(meant) = nearest(word, candidates.clone()) {
        return format!("did you mean `{meant}`?");
    }
    let listed: Vec<_> = candidates.into_iter().take(FEW + 1).map(|it| format!("`{it}`")).collect();
    if listed.is_empty() || listed.len() > FEW {
        return String::new();
    }
    format!("known here: {}", listed.join(", "))
}

/// Edits to get from one to the other: insert, delete, replace, swap two neighbours.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, &a) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, &b) in right.iter().enumerate() {
            let at =
                |cells: &[usize], index: usize| cells.get(index).copied().unwrap_or(usize::MAX - 1);
            let mut best = (at(&above, column + 1) + 1)
                .min(at(&current, column) + 1)
                .min(at(&above, column) + usize::from(a != b));
            let swapped = row > 0
                && column > 0
                && right.get(column - 1) == Some(&a)
                && left.get(row - 1) == Some(&b);
            if swapped {
                best = best.min(at(&before, column - 1) + 1);
            }
            current.push(best);
        }
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied().unwrap_or(0)
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
