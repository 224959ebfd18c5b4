//! From a gateway file to what it says, with every mistake that can be found.

use std::path::Path;

use wasmill_engine::Error;

use super::spec::{GatewaySpec, schema};
use crate::check::load as file;
use crate::check::secrets::Secrets;
use crate::check::shape::{Shape, Spot};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::document::{Node, ProcessWorld, Redactor, SourceFiles, Span, read};

/// What was found in a file.
pub struct Loaded {
    /// All findings, in the order of the text.
    pub diagnostics: Diagnostics,
    /// The texts that findings point into.
    pub files: SourceFiles,
    /// What the file says, if it can be read.
    pub spec: Option<GatewaySpec>,
    tree: Option<Node>,
}

/// Reads a gateway file. Its secrets are added to the redactor.
pub fn load(path: &Path, sets: &[String], redactor: &Redactor) -> Loaded {
    let (mut diagnostics, mut files) = (Diagnostics::default(), SourceFiles::default());
    let tree = file::load(path, sets, &ProcessWorld, &mut files, redactor, &mut diagnostics);
    let mut spec = None;
    if let Some(tree) = &tree {
        let (schema, key) = (schema(), tree.entries().and_then(|entries| entries.first()).map_or(tree.span, |entry| entry.key_span));
        let is_shaped = Shape::new(&schema, &mut diagnostics).check(tree, &schema, Spot { path: "", key });
        let mut secrets = Secrets { files: &mut files, redactor, diagnostics: &mut diagnostics };
        let routes = tree.get("routes").and_then(Node::entries).unwrap_or_default();
        routes.iter().for_each(|route| secrets.connector(&route.node));
        if is_shaped && !diagnostics.has_errors() {
            spec = read::<GatewaySpec>(tree)
                .map_err(|error| diagnostics.push(Diagnostic::error("wrong-value", error.message).at(error.span.unwrap_or(key))))
                .ok();
        }
    }
    let mut loaded = Loaded { diagnostics, files, spec, tree };
    loaded.finish();
    loaded
}

impl Loaded {
    /// Adds an error of a route, or of the server, at the key that it blames.
    pub fn push(&mut self, section: &[&str], error: &Error) {
        let path: Vec<&str> = section.iter().copied().chain(error.key_path().iter().map(String::as_str)).collect();
        let span = self.tree.as_ref().and_then(|tree| span(tree, &path));
        let code = error.kind().map_or("wrong-value", |code| code.name);
        let diagnostic = Diagnostic { code, ..Diagnostic::error("wrong-value", error.to_string()) }.class(error.class());
        let diagnostic = Diagnostic { span, ..diagnostic };
        self.diagnostics.push(error.hint_text().into_iter().fold(diagnostic, |diagnostic, hint| diagnostic.help(hint)));
        self.finish();
    }

    fn finish(&mut self) {
        self.diagnostics.sort();
    }
}

/// The place of the innermost key of a path that is written.
fn span(tree: &Node, path: &[&str]) -> Option<Span> {
    let (mut node, mut found) = (tree, None);
    for key in path {
        let Some(entry) = node.entry(key) else { break };
        (node, found) = (&entry.node, Some(entry.key_span));
    }
    found
}
