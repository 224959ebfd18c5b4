//! A page of the documentation as its fenced blocks, each with the marker that says what it is.

use std::path::Path;

/// A fenced block.
#[derive(Debug)]
pub struct Block {
    /// The line of its opening fence, from 1.
    pub line: usize,
    /// What a test does with it.
    pub marker: Marker,
    /// What lies between the fences.
    pub text: String,
}

/// What a block is. The words of the info string behind the language say it.
#[derive(Debug, PartialEq, Eq)]
pub enum Marker {
    /// `yaml pipeline [file=NAME]`: a whole pipeline, which `wasmill check` accepts.
    Pipeline { file: Option<String> },
    /// `yaml part`: some keys of a pipeline, which `wasmill check` accepts in a frame.
    Part,
    /// `yaml key`: one key with a value, as the generated reference shows it.
    Key,
    /// `yaml case=PLUGIN`: a case that a plugin passes.
    Case { plugin: String },
    /// `sh`: commands that go well.
    Script,
    /// `console`: commands behind `$ `, each with all that it prints; `…` stands for anything.
    Session,
    /// `LANGUAGE not-run: REASON`: commands of programs that no test can run.
    NotRun { reason: String },
    /// `LANGUAGE file=NAME`: a file that the reader writes.
    File { name: String },
    /// `LANGUAGE in=PATH`: text that stands word for word in a file of the repository.
    In { path: String },
    /// `ini unit`: a unit of systemd, whose command line Wasmill understands.
    Unit,
    /// `json`: JSON values, one per line.
    Json,
    /// `rust`: a doctest of the SDK, which includes the page.
    Doctest,
    /// `text help`: what a command's `--help` prints, on a page that is generated.
    Help,
    /// `text`: something to look at, without commands.
    Shown,
    /// `<!-- given … -->`: commands that prepare what a reader of the page has already.
    Given,
}

/// The blocks of a page, in order.
///
/// # Errors
/// Every block whose marker is not known, with its line.
pub fn blocks(page: &Path, text: &str) -> Result<Vec<Block>, String> {
    let (mut blocks, mut wrong) = (Vec::new(), Vec::new());
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let (end, marker) = match (line.strip_prefix("```"), line.strip_prefix("<!-- given")) {
            (Some(info), _) => ("```", marker(info.trim())),
            (None, Some(_)) => ("-->", Ok(Marker::Given)),
            (None, None) if line.trim_start().starts_with("```") => ("```", Err("an indented block can't be read".to_owned())),
            (None, None) => continue,
        };
        let inside: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != end).collect();
        let text: String = inside.iter().flat_map(|line| [line, "\n"]).collect();
        match marker {
            Ok(marker) => blocks.push(Block { line: index + 1, marker, text }),
            Err(why) => wrong.push(format!("{}:{}: {why}", page.display(), index + 1)),
        }
    }
    if wrong.is_empty() { Ok(blocks) } else { Err(wrong.join("\n")) }
}

fn marker(info: &str) -> Result<Marker, String> {
    let (language, rest) = info.split_once(' ').unwrap_or((info, ""));
    let rest = rest.trim();
    if let Some(reason) = rest.strip_prefix("not-run:").map(str::trim) {
        return match reason.len() >= 10 {
            true => Ok(Marker::NotRun { reason: reason.to_owned() }),
            false => Err(format!("`not-run:` without a reason: ```{info}")),
        };
    }
    if let Some(name) = rest.strip_prefix("file=") {
        return Ok(Marker::File { name: name.to_owned() });
    }
    if let Some(path) = rest.strip_prefix("in=") {
        return Ok(Marker::In { path: path.to_owned() });
    }
    match (language, rest) {
        ("yaml", "pipeline") => Ok(Marker::Pipeline { file: None }),
        ("yaml", "part") => Ok(Marker::Part),
        ("yaml", "key") => Ok(Marker::Key),
        ("yaml", case) if case.starts_with("case=") => Ok(Marker::Case { plugin: case["case=".len()..].to_owned() }),
        ("yaml", pipeline) if pipeline.starts_with("pipeline file=") => {
            Ok(Marker::Pipeline { file: Some(pipeline["pipeline file=".len()..].to_owned()) })
        }
        ("sh", "") => Ok(Marker::Script),
        ("console", "") => Ok(Marker::Session),
        ("ini", "unit") => Ok(Marker::Unit),
        ("json", "") => Ok(Marker::Json),
        ("text", "") => Ok(Marker::Shown),
        ("text", "help") => Ok(Marker::Help),
        ("rust" | "rust,ignore", "") => Ok(Marker::Doctest),
        _ => Err(format!("a block without a marker that the tests know: ```{info}")),
    }
}

/// The code spans of a page that are commands of Wasmill, each with its line.
pub fn inline_commands(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        fenced ^= line.starts_with("```");
        if fenced {
            continue;
        }
        let spans = line.split('`').skip(1).step_by(2).filter(|span| span.starts_with("wasmill "));
        found.extend(spans.map(|span| (index + 1, span.to_owned())));
    }
    found
}
