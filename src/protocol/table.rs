//! State tables written as text, read by the compiler.

/// Reads a table: a line for each state in the order of `states`, its two-letter name first, then
/// the next state for each event. `//` begins a comment line, `|` only separates groups.
///
/// Runs at compile time only: what is wrong with a table is a compile error.
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

/// The states alone.
pub(super) const fn all<S: Copy, const STATES: usize>(states: &[(&str, S); STATES]) -> [S; STATES] {
    let mut all = [states[0].1; STATES];
    let mut row = 0;
    while row < STATES {
        all[row] = states[row].1;
        row += 1;
    }
    all
}

/// The state named by the next word, and where that word ends.
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

/// The next position that is neither blank nor a separator nor in a comment.
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
