//! What commands printed, compared with what a page says that they print.

/// A command and the lines that follow it on the page.
pub struct Step {
    pub command: String,
    pub expected: Vec<String>,
}

/// The steps of a session: `$ ` begins a command, a backslash at the end of its line continues it.
pub fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut continues = false;
    for line in text.lines() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (_, Some(step)) if continues => {
                step.command.push('\n');
                step.command.push_str(line);
            }
            (Some(command), _) => steps.push(Step { command: command.to_owned(), expected: Vec::new() }),
            (None, Some(step)) => {
                step.expected.push(line.to_owned());
                continue;
            }
            (None, None) => panic!("a session begins with `$ `, not with {line:?}"),
        }
        continues = line.ends_with('\\');
    }
    steps
}

/// Whether lines are those that were expected: times, rates, sizes, digests and identifiers may differ, `…` stands for anything, and a
/// line that is nothing else stands for any lines.
pub fn matches(expected: &[String], printed: &[String]) -> bool {
    match (expected.split_first(), printed.split_first()) {
        (None, None) => true,
        (None, Some((line, rest))) => line.trim().is_empty() && matches(expected, rest),
        (Some((first, after)), None) => first.trim().is_empty() && matches(after, printed) || is_gap(first) && matches(after, printed),
        (Some((first, after)), Some((_, rest))) if is_gap(first) => matches(after, printed) || matches(expected, rest),
        (Some((first, after)), Some((line, rest))) => line_matches(&steady(first), &steady(line)) && matches(after, rest),
    }
}

fn is_gap(line: &str) -> bool {
    line.trim() == "…"
}

fn line_matches(expected: &str, printed: &str) -> bool {
    let mut parts = expected.split('…');
    let Some(mut rest) = parts.next().and_then(|first| printed.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// A line without what differs from run to run, and with one blank or one dash where a table's width decides how many there are.
fn steady(line: &str) -> String {
    let line: String = line.chars().map(|letter| if matches!(letter, '─' | '═') { ' ' } else { letter }).collect();
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |word: &str| word.starts_with(|first: char| first.is_ascii_digit());
    let steady = words.iter().enumerate().map(|(index, word)| {
        let unit = words.get(index + 1).map(|next| next.trim_end_matches([',', ';', ')', '.']));
        let measured = matches!(unit, Some("s" | "ms" | "rows/s" | "MiB" | "KiB" | "B"));
        let digest = word.split_once("sha256:").filter(|(_, digest)| digest.len() >= 64);
        match digest {
            Some((before, digest)) => format!("{before}sha256:#{}", &digest[64..]),
            None if measured && (number(word) || word.starts_with('(')) => "#".to_owned(),
            None => (*word).to_owned(),
        }
    });
    steady.collect::<Vec<_>>().join(" ")
}
