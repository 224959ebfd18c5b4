//! Built-in stages: what they do to columns, and what is wrong with them on those that they get.

mod changes;
#[cfg(feature = "sql")]
mod sql;

use std::sync::Arc;

use arrow_schema::SchemaRef;
use wasmill_engine::Stage;
use wasmill_stages::ColumnChange;

use super::draft::Declared;
use crate::diagnostics::Diagnostics;
use crate::document::{Node, SourceFiles};
use crate::plugins::{OpenedStage, PortShape};
use crate::spec::StageSpec;

/// A stage that needs no plugin.
#[derive(Debug, Clone)]
pub enum BuiltIn {
    /// Renames or drops columns.
    Change(ColumnChange),
    /// Computes columns in SQL.
    #[cfg(feature = "sql")]
    Select(sql::Columns),
    /// Leaves rows out by a condition in SQL.
    #[cfg(feature = "sql")]
    Filter(Box<sql::Condition>),
}

impl BuiltIn {
    /// The built-in stage that a stage is; `None` if it is none. Mistakes that show without its columns are reported: then it is an error.
    pub fn of(stage: &Declared<'_, StageSpec>, files: &SourceFiles, diagnostics: &mut Diagnostics) -> Option<Result<Self, Reported>> {
        let spec = stage.spec.as_ref()?;
        if let Some(change) = spec.change() {
            return Some(Ok(Self::Change(change)));
        }
        #[cfg(feature = "sql")]
        return sql::parse(stage, spec, files, diagnostics);
        #[cfg(not(feature = "sql"))]
        {
            let _ = (files, diagnostics);
            None
        }
    }

    /// The name before the stage of a column behind it; `None` if the stage has no such column to give.
    pub fn back<'a>(&'a self, column: &'a str) -> Option<&'a str> {
        match self {
            Self::Change(change) => change.back(column),
            #[cfg(feature = "sql")]
            Self::Select(columns) => columns.back(column),
            #[cfg(feature = "sql")]
            Self::Filter(_) => Some(column),
        }
    }

    /// Whether the stage itself wants a column that it gets, or one of its readers, which `is_wanted` tells by the name behind the stage.
    pub fn wants(&self, column: &str, is_wanted: impl FnOnce(&str) -> bool) -> bool {
        match self {
            Self::Change(change) => change.forward(column).is_some_and(is_wanted),
            #[cfg(feature = "sql")]
            Self::Select(columns) => columns.names().any(|name| name == column),
            #[cfg(feature = "sql")]
            Self::Filter(condition) => condition.names().any(|name| name == column) || is_wanted(column),
        }
    }

    /// The columns that it reads with the types that they have, whatever these are.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::Change(_) => Vec::new(),
            #[cfg(feature = "sql")]
            Self::Select(columns) => columns.names().collect(),
            #[cfg(feature = "sql")]
            Self::Filter(condition) => condition.names().collect(),
        }
    }

    /// Whether columns pass that it does not name.
    pub fn passes_others(&self) -> bool {
        match self {
            Self::Change(_) => true,
            #[cfg(feature = "sql")]
            Self::Select(_) => false,
            #[cfg(feature = "sql")]
            Self::Filter(_) => true,
        }
    }

    /// The opened stage, or `None` after what is wrong was reported.
    pub fn open(
        &self,
        stage: &Declared<'_, StageSpec>,
        (input, beyond): (&SchemaRef, &Beyond),
        #[cfg_attr(not(feature = "sql"), allow(unused_variables))] around: Around<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Arc<dyn OpenedStage>> {
        match self {
            Self::Change(change) => changes::open(stage, change, (input, beyond), diagnostics),
            #[cfg(feature = "sql")]
            Self::Select(columns) => columns.open(stage, (input, beyond), around, diagnostics),
            #[cfg(feature = "sql")]
            Self::Filter(condition) => condition.open(stage, (input, beyond), around, diagnostics),
        }
    }

    /// What it does, in words for the plan.
    pub fn describe(&self) -> String {
        match self {
            Self::Change(ColumnChange::Rename(names)) => {
                let names: Vec<String> = names.iter().map(|(old, new)| format!("{old} to {new}")).collect();
                format!("renames {}", names.join(", "))
            }
            Self::Change(ColumnChange::Drop(names)) => format!("drops {}", names.join(", ")),
            #[cfg(feature = "sql")]
            Self::Select(columns) => columns.describe(),
            #[cfg(feature = "sql")]
            Self::Filter(condition) => condition.describe(),
        }
    }
}

/// What the check knows around a stage.
#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "sql"), allow(dead_code, reason = "what only stages in SQL ask for"))]
pub struct Around<'a> {
    /// `columns` of the source that it reads, if that picks some.
    pub picked: Option<&'a Node>,
    /// Whether the stage may get more columns than the check knows, because there was no record to look at.
    pub is_partial: bool,
    /// Columns that the source adds for this stage alone, and that nobody behind it asks for.
    pub hidden: &'a [String],
}

/// What is wrong was reported.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "sql"), allow(dead_code, reason = "only expressions in SQL can be broken by themselves"))]
pub struct Reported;

/// Columns that a node could give and was not asked for.
#[derive(Debug, Clone, Default)]
pub struct Beyond {
    /// Their names, as far as they are known.
    pub names: Vec<String>,
    /// Whether there are no others.
    pub is_certain: bool,
}

impl Beyond {
    /// There are none.
    pub fn none() -> Self {
        Self { names: Vec::new(), is_certain: true }
    }

    /// Behind a stage.
    pub fn behind(&self, stage: &BuiltIn) -> Self {
        match stage {
            BuiltIn::Change(change) => {
                Self { names: self.names.iter().filter_map(|name| change.forward(name)).map(str::to_owned).collect(), ..*self }
            }
            #[cfg(feature = "sql")]
            BuiltIn::Select(_) => Self::none(),
            #[cfg(feature = "sql")]
            BuiltIn::Filter(_) => self.clone(),
        }
    }

    /// Those of several inputs.
    pub fn join(self, other: &Self) -> Self {
        let more = other.names.iter().filter(|name| !self.names.contains(name)).cloned();
        Self { names: self.names.iter().cloned().chain(more).collect(), is_certain: self.is_certain && other.is_certain }
    }
}

struct Opened {
    ports: Vec<PortShape>,
    stage: Arc<dyn Stage>,
}

impl Opened {
    fn new(stage: impl Stage + 'static) -> Self {
        let ports = stage.ports().into_iter().map(|(name, schema)| PortShape { name, schema }).collect();
        Self { ports, stage: Arc::new(stage) }
    }
}

impl OpenedStage for Opened {
    fn ports(&self) -> &[PortShape] {
        &self.ports
    }

    fn crossing(&self) -> &[usize] {
        &[]
    }

    fn peeked(&self) -> &[usize] {
        &[]
    }

    fn stage(&self) -> Arc<dyn Stage> {
        Arc::clone(&self.stage)
    }
}
