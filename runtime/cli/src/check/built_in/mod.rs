//! Built-in stages: what they do to columns, and what is wrong with them on those that they get.

mod changes;
mod keyed;
mod missing;
#[cfg(feature = "sql")]
mod sql;

use std::sync::Arc;

use arrow_schema::{Field, SchemaRef};
use wasmill_engine::{KeyedStage, Stage};
use wasmill_keyed::operator::Limits;
use wasmill_stages::ColumnChange;

use super::draft::Declared;
use super::source_columns::is_reserved;
use super::stages::Asking;
use crate::diagnostics::{Diagnostic, Diagnostics, shorten};
use crate::document::{Node, Span};
use crate::plugins::{OpenedStage, OpenedWork, PortShape};
use crate::spec::{Mode, StageSpec};

/// A stage that needs no plugin.
#[derive(Clone)]
pub enum BuiltIn {
    /// Renames or drops columns.
    Change(ColumnChange),
    /// Computes columns in SQL.
    #[cfg(feature = "sql")]
    Select(sql::Columns),
    /// Leaves rows out by a condition in SQL.
    #[cfg(feature = "sql")]
    Filter(Box<sql::Condition>),
    /// Drops duplicates.
    Dedup(keyed::Dedup),
    /// Joins two inputs.
    Join(Box<keyed::Join>),
    /// Computes values from the rows of each key.
    Aggregate(Box<keyed::Aggregate>),
}

impl BuiltIn {
    /// The built-in stage that a stage is; `None` if it is none. Mistakes that show without its columns are reported: then it is an error.
    pub fn of(stage: &Declared<'_, StageSpec>, asking: &mut Asking<'_>) -> Option<Result<Self, Reported>> {
        let spec = stage.spec.as_ref()?;
        if let Some(change) = spec.change() {
            return Some(Ok(Self::Change(change)));
        }
        if let Some(dedup) = &spec.dedup {
            return Some(Ok(Self::Dedup(keyed::Dedup(dedup.clone()))));
        }
        if let Some(join) = &spec.join {
            return Some(Ok(Self::Join(Box::new(keyed::Join(join.clone())))));
        }
        if let Some(aggregate) = &spec.aggregate {
            let read = keyed::Aggregate::new(stage, aggregate, asking);
            return Some(read.map(|aggregate| Self::Aggregate(Box::new(aggregate))));
        }
        #[cfg(feature = "sql")]
        return sql::parse(stage, spec, asking);
        #[cfg(not(feature = "sql"))]
        None
    }

    /// The name before the stage of a column behind it; `None` if the stage has no such column to give, or nobody knows which side has it.
    pub fn back<'a>(&'a self, column: &'a str) -> Option<&'a str> {
        match self {
            Self::Change(change) => change.back(column),
            #[cfg(feature = "sql")]
            Self::Select(columns) => columns.back(column),
            #[cfg(feature = "sql")]
            Self::Filter(_) => Some(column),
            Self::Dedup(_) => Some(column),
            Self::Join(_) => None,
            Self::Aggregate(aggregate) => aggregate.passes(column),
        }
    }

    /// The name behind the stage of a column before it; `None` if it does not pass as it is.
    pub fn forward<'a>(&'a self, column: &'a str) -> Option<&'a str> {
        match self {
            Self::Change(change) => change.forward(column),
            #[cfg(feature = "sql")]
            Self::Select(columns) => columns.forward(column),
            #[cfg(feature = "sql")]
            Self::Filter(_) => Some(column),
            Self::Dedup(_) | Self::Join(_) => Some(column),
            Self::Aggregate(aggregate) => aggregate.passes(column),
        }
    }

    /// Whether the stage itself wants a column that it gets on a side, or one of its readers, which `is_wanted` tells by the name behind the stage.
    pub fn wants(&self, side: usize, column: &str, is_wanted: impl FnOnce(&str) -> bool) -> bool {
        self.names(side).contains(&column)
            || match self {
                #[cfg(feature = "sql")]
                Self::Select(_) => false,
                Self::Aggregate(aggregate) => aggregate.needs().any(|need| need.name() == column),
                _ => self.forward(column).is_some_and(is_wanted),
            }
    }

    /// Whether it renames or drops a column, by its name before the stage.
    pub fn changes(&self, column: &str) -> bool {
        matches!(self, Self::Change(change) if change.named().contains(&column))
    }

    /// The columns of a side that it reads with the types that they have, whatever these are.
    pub fn names(&self, side: usize) -> Vec<&str> {
        match self {
            Self::Change(_) => Vec::new(),
            #[cfg(feature = "sql")]
            Self::Select(columns) => columns.names().collect(),
            #[cfg(feature = "sql")]
            Self::Filter(condition) => condition.names().collect(),
            Self::Dedup(dedup) => dedup.names(),
            Self::Join(join) => join.names(side),
            Self::Aggregate(aggregate) => aggregate.names(),
        }
    }

    /// The columns that its plugins need, with their types.
    pub fn needs(&self) -> Vec<&Field> {
        match self {
            Self::Aggregate(aggregate) => aggregate.needs().collect(),
            _ => Vec::new(),
        }
    }

    /// Whether columns pass that it does not name.
    pub fn passes_others(&self) -> bool {
        match self {
            #[cfg(feature = "sql")]
            Self::Select(_) => false,
            #[cfg(feature = "sql")]
            Self::Filter(_) => true,
            Self::Change(_) | Self::Dedup(_) | Self::Join(_) => true,
            Self::Aggregate(_) => false,
        }
    }

    /// How many sides it has, each with columns of its own.
    pub fn sides(&self) -> usize {
        if matches!(self, Self::Join(_)) { 2 } else { 1 }
    }

    /// Whether what it emits depends on several rows, so that no row may replace another before it.
    pub fn is_keyed(&self) -> bool {
        matches!(self, Self::Dedup(_) | Self::Join(_) | Self::Aggregate(_))
    }

    /// Whether what it emits in a run that ends is about the rows of that run alone.
    pub fn is_per_run(&self, mode: Mode) -> bool {
        match self {
            Self::Aggregate(aggregate) => aggregate.is_per_run(mode),
            Self::Join(join) => join.is_per_run(mode),
            _ => false,
        }
    }

    /// The opened stage, or `None` after what is wrong was reported.
    pub fn open(
        &self,
        stage: &Declared<'_, StageSpec>,
        sides: &[SideColumns],
        around: Around<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Arc<dyn OpenedStage>> {
        if let (Self::Join(join), [left, right]) = (self, sides) {
            return join.open(stage, [left, right], around, diagnostics);
        }
        let SideColumns { schema, beyond } = sides.first()?;
        match self {
            Self::Change(change) => changes::open(stage, change, (schema, beyond), diagnostics),
            #[cfg(feature = "sql")]
            Self::Select(columns) => columns.open(stage, (schema, beyond), around, diagnostics),
            #[cfg(feature = "sql")]
            Self::Filter(condition) => condition.open(stage, (schema, beyond), around, diagnostics),
            Self::Dedup(dedup) => dedup.open(stage, sides.first()?, around, diagnostics),
            Self::Aggregate(aggregate) => aggregate.open(stage, sides.first()?, around, diagnostics),
            // Its sides are broken, which was reported.
            Self::Join(_) => None,
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
            Self::Dedup(dedup) => dedup.describe(),
            Self::Join(join) => join.describe(),
            Self::Aggregate(aggregate) => aggregate.describe(),
        }
    }
}

/// Whether a column may be called so; if not, that was reported.
fn check_name(name: &str, key: Span, diagnostics: &mut Diagnostics) -> bool {
    let message = match name {
        "" => "a column can't be without a name".to_owned(),
        name if is_reserved(name) => {
            format!("`{}` can't be the name of a column: `_source.` is the prefix of columns that sources add", shorten(name, 80))
        }
        _ => return true,
    };
    diagnostics.push(Diagnostic::error("name", message).at(key));
    false
}

/// What is known of the columns that one side of a stage gets. Only a join has two sides.
pub struct SideColumns {
    /// Those that it gets.
    pub schema: SchemaRef,
    /// Those that it could get.
    pub beyond: Beyond,
}

/// What the check knows around a stage.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// `columns` of the source that it reads, if that picks some.
    pub picked: Option<&'a Node>,
    /// Whether the stage may get more columns than the check knows, because there was no record to look at.
    pub is_partial: bool,
    /// Columns that the source adds for this stage alone, and that nobody behind it asks for.
    #[cfg_attr(not(feature = "sql"), allow(dead_code, reason = "only expressions in SQL can name them without passing them"))]
    pub hidden: &'a [String],
    /// Columns of its output that nobody behind it reads or names.
    pub unread: &'a [String],
    /// Whether the pipeline is a batch or a stream.
    pub mode: Mode,
    /// Whether it ends with its input: a stream may do so, too.
    pub ends: bool,
    /// How much memory a keyed stage takes in each lane.
    pub limits: Limits,
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

    /// Behind a stage, from what is before it on all its sides.
    pub fn behind(&self, stage: &BuiltIn) -> Self {
        match stage {
            BuiltIn::Change(change) => {
                Self { names: self.names.iter().filter_map(|name| change.forward(name)).map(str::to_owned).collect(), ..*self }
            }
            #[cfg(feature = "sql")]
            BuiltIn::Select(_) => Self::none(),
            #[cfg(feature = "sql")]
            BuiltIn::Filter(_) => self.clone(),
            BuiltIn::Dedup(_) | BuiltIn::Join(_) => self.clone(),
            BuiltIn::Aggregate(_) => Self::none(),
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
    work: OpenedWork,
}

impl Opened {
    fn new(stage: impl Stage + 'static) -> Self {
        let ports = stage.ports().into_iter().map(|(name, schema)| PortShape { name, schema }).collect();
        Self { ports, work: OpenedWork::Rows(Arc::new(stage)) }
    }

    fn keyed(stage: impl KeyedStage + 'static) -> Self {
        let ports = vec![PortShape { name: "out".into(), schema: stage.output() }];
        Self { ports, work: OpenedWork::Keyed(Arc::new(stage)) }
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

    fn work(&self) -> OpenedWork {
        self.work.clone()
    }
}
