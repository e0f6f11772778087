//! Conditions of `cfg`, for a build without tests.

use crate::tokens::{Kind, Token};

/// Tells whether a condition of `cfg` can hold outside tests.
pub fn may_hold(condition: &[Token]) -> bool {
    evaluate(condition).is_none_or(|holds| holds)
}

/// Evaluates a condition for a build without tests; `None` where that depends on something else.
fn evaluate(condition: &[Token]) -> Option<bool> {
    let condition = match condition {
        [
            Token {
                kind: Kind::Mark('('),
                ..
            },
            inside @ ..,
            _,
        ] => inside,
        other => other,
    };
    let Some(Token {
        kind: Kind::Name(word),
        ..
    }) = condition.first()
    else {
        return None;
    };
    let mut parts = arguments(&condition[1..]).into_iter().map(evaluate);
    match word.as_str() {
        // Targets of fuzzing are tests, too.
        "test" | "fuzzed" => Some(false),
        "not" => parts.next().flatten().map(|holds| !holds),
        "all" => {
            let parts: Vec<_> = parts.collect();
            if parts.contains(&Some(false)) {
                return Some(false);
            }
            (!parts.contains(&None)).then_some(true)
        }
        "any" => {
            let parts: Vec<_> = parts.collect();
            if parts.contains(&Some(true)) {
                return Some(true);
            }
            (!parts.contains(&None)).then_some(false)
        }
        _ => None,
    }
}

/// Splits `(a, b(c, d))` at its own commas.
fn arguments(group: &[Token]) -> Vec<&[Token]> {
    let [
        Token {
            kind: Kind::Mark('('),
            ..
        },
        inside @ ..,
        _,
    ] = group
    else {
        return Vec::new();
    };
    let mut depth = 0;
    let is_comma = |token: &Token| {
        match token.kind {
            Kind::Mark('(') => depth += 1,
            Kind::Mark(')') => depth -= 1,
            _ => {}
        }
        depth == 0 && token.kind == Kind::Mark(',')
    };
    inside
        .split(is_comma)
        .filter(|part| !part.is_empty())
        .collect()
}
