//! State tables written as text and parsed at compile time.

/// Parses a table: one line per state in the order of `states`, with its two-letter name first, then
/// the next state per event. `//` starts a comment line; `|` only separates groups.
///
/// Runs at compile time only: a wrong table is a compile error.
pub(super) const fn table<S: Copy, const STATES: usize, const EVENTS: usize>(
    states: &[(&str, S); STATES],
    text: &str,
) -> [[S; EVENTS]; STATES] {
    let text = text.as_bytes();
    let mut table = [[states[0].1; EVENTS]; STATES];
    let (mut at, mut row) = (0, 0);
    while row < STATES {
        let (found, next) = state(states, text, at);
        assert!(found == row, "rows are in the order of the states");
        at = next;
        let mut event = 0;
        while event < EVENTS {
            let (found, next) = state(states, text, at);
            table[row][event] = states[found].1;
            at = next;
            event += 1;
        }
        row += 1;
    }
    assert!(skip(text, at) == text.len(), "nothing stands behind the last row");
    table
}

/// The states without their names.
pub(super) const fn all<S: Copy, const STATES: usize>(states: &[(&str, S); STATES]) -> [S; STATES] {
    let mut all = [states[0].1; STATES];
    let mut row = 0;
    while row < STATES {
        all[row] = states[row].1;
        row += 1;
    }
    all
}

/// The index of the state that the next word names, and the end of that word.
const fn state<S>(states: &[(&str, S)], text: &[u8], from: usize) -> (usize, usize) {
    let from = skip(text, from);
    let mut index = 0;
    while index < states.len() {
        let name = states[index].0.as_bytes();
        if text[from] == name[0] && text[from + 1] == name[1] {
            return (index, from + 2);
        }
        index += 1;
    }
    panic!("a two-letter state was expected");
}

/// The next position that is not a blank, a separator, or in a comment.
const fn skip(text: &[u8], mut at: usize) -> usize {
    while at < text.len() {
        match text[at] {
            b' ' | b'\n' | b'|' => at += 1,
            b'/' => {
                while at < text.len() && text[at] != b'\n' {
                    at += 1;
                }
            }
            _ => break,
        }
    }
    at
}
