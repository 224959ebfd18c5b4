//! A plugin's declaration from its configuration: the columns that it takes, and the ports and
//! columns that it returns.

use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema};

use crate::bindings::wasmill::plugin::types::{ColumnSource, Crossing, Except};
use crate::{Batch, Refusal};

/// The name of the port that plugins have when they name none.
const DEFAULT_PORT: &str = "out";

/// A plugin's declaration: columns in, columns out.
///
/// [`Transform::plan`](crate::Transform::plan) fills it. From this one declaration the SDK derives what crosses the boundary, so
/// it can't contradict itself: a column crosses if it is [read](Plan::read), and stays in the host if it is only
/// [needed](Plan::need), whether it is then passed on or set to null from. Of a column that is [peeked](Plan::peek) at, some texts cross.
///
/// Mistakes (a column named twice, a passed column that is missing) are collected and refused after `plan` returns.
#[derive(Debug, Default)]
pub struct Plan {
    needs: Vec<Need>,
    ports: Vec<Port>,
    input: Option<Arc<Schema>>,
    problem: Option<Refusal>,
}

#[derive(Debug)]
struct Need {
    field: FieldRef,
    crosses: Crossing,
}

/// How much of a column crosses that is asked for in two ways.
fn joined(one: &Crossing, other: Crossing) -> Crossing {
    match (one, other) {
        (Crossing::Values, _) | (_, Crossing::Values) => Crossing::Values,
        (Crossing::Nothing, other) => other,
        (Crossing::BeginningWith(texts), Crossing::Nothing) => Crossing::BeginningWith(texts.clone()),
        (Crossing::BeginningWith(texts), Crossing::BeginningWith(more)) => {
            let more = more.into_iter().filter(|text| !texts.contains(text));
            Crossing::BeginningWith(texts.iter().cloned().chain(more.collect::<Vec<_>>()).collect())
        }
    }
}

impl Plan {
    /// A plan to be filled; `input` is known once the plugin is opened.
    pub(crate) fn new(input: Option<Arc<Schema>>) -> Self {
        Self { input, ..Self::default() }
    }

    /// Requests a column and reads its values: they cross to `process`.
    pub fn read(&mut self, column: impl Into<String>, data_type: DataType) -> &mut Self {
        self.want(Field::new(column, data_type, true), true)
    }

    /// Requests a column without reading it: its values stay in the host, which passes them on.
    pub fn need(&mut self, column: impl Into<String>, data_type: DataType) -> &mut Self {
        self.want(Field::new(column, data_type, true), false)
    }

    /// Asks for a column of texts and reads only its nulls and the texts that begin with one of `beginnings`: the others come as empty
    /// texts. A column that is hardly ever looked at then costs next to nothing. Without any beginnings, its nulls alone are known.
    pub fn peek<S: Into<String>>(&mut self, column: impl Into<String>, beginnings: impl IntoIterator<Item = S>) -> &mut Self {
        let beginnings = beginnings.into_iter().map(Into::into).collect();
        self.ask(Field::new(column, DataType::Utf8, true), Crossing::BeginningWith(beginnings))
    }

    /// Asks for a column as a field, for one that must not be nullable; `crosses` says whether its values are read.
    pub fn want(&mut self, field: Field, crosses: bool) -> &mut Self {
        self.ask(field, if crosses { Crossing::Values } else { Crossing::Nothing })
    }

    fn ask(&mut self, field: Field, crosses: Crossing) -> &mut Self {
        match self.needs.iter_mut().find(|need| need.field.name() == field.name()) {
            Some(need) if need.field.data_type() == field.data_type() => need.crosses = joined(&need.crosses, crosses),
            Some(need) => {
                let message = format!("column {} is asked for as {} and as {}", field.name(), need.field.data_type(), field.data_type());
                self.refuse(Refusal::new(message).at_column(field.name()));
            }
            None => self.needs.push(Need { field: Arc::new(field), crosses }),
        }
        self
    }

    /// The schema of the whole input: known when the plugin is opened, unknown when only its needs
    /// are queried.
    pub fn input(&self) -> Option<&Schema> {
        self.input.as_deref()
    }

    /// The port `out`, which most plugins have as their only one.
    pub fn out(&mut self) -> &mut Port {
        self.port(DEFAULT_PORT)
    }

    /// A port by name, in snake case; created at its first mention. Pipelines refer to it as `from:
    /// stage.port`.
    pub fn port(&mut self, name: &str) -> &mut Port {
        let index = self.ports.iter().position(|port| port.name == name).unwrap_or_else(|| {
            self.ports.push(Port { name: name.to_owned(), columns: Vec::new() });
            self.ports.len() - 1
        });
        &mut self.ports[index]
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.problem.get_or_insert(refusal);
    }

    /// The columns asked for and, for each, how much of it crosses.
    pub(crate) fn needs(&self) -> Result<(Schema, Vec<Crossing>), Refusal> {
        if let Some(problem) = &self.problem {
            return Err(problem.clone());
        }
        let fields: Fields = self.needs.iter().map(|need| Arc::clone(&need.field)).collect();
        Ok((Schema::new(fields), self.needs.iter().map(|need| need.crosses.clone()).collect()))
    }

    /// The columns that cross, checked against the schema of the input.
    pub(crate) fn crossing(&self, input: &Schema) -> Result<Fields, Refusal> {
        let (needs, crosses) = self.needs()?;
        for field in needs.fields() {
            check_need(field, input)?;
        }
        let crosses = needs.fields().iter().zip(&crosses).filter(|(_, crosses)| !matches!(crosses, Crossing::Nothing));
        Ok(crosses.map(|(field, _)| Arc::clone(field)).collect())
    }

    /// Fixes the ports against the schema of the input.
    pub(crate) fn resolve(self, input: &Schema) -> Result<Layout, Refusal> {
        let crossing = self.crossing(input)?;
        let mut ports = self.ports;
        if ports.is_empty() {
            let mut port = Port { name: DEFAULT_PORT.to_owned(), columns: Vec::new() };
            port.pass_all();
            ports.push(port);
        }
        let ports = ports.into_iter().map(|port| port.resolve(input)).collect::<Result<_, _>>()?;
        Ok(Layout { crossing, ports })
    }
}

fn check_need(field: &Field, input: &Schema) -> Result<(), Refusal> {
    let found = input.field_with_name(field.name()).map_err(|_| missing(field.name(), input))?;
    if found.data_type() == field.data_type() {
        return Ok(());
    }
    let message = format!("column {} should be {} and is {}", field.name(), field.data_type(), found.data_type());
    Err(Refusal::new(message).at_column(field.name()))
}

fn missing(column: &str, input: &Schema) -> Refusal {
    let names: Vec<_> = input.fields().iter().map(|field| field.name().as_str()).collect();
    Refusal::new(format!("the input has no column {column}; it has {}", names.join(", "))).at_column(column)
}

/// A port under declaration: its columns in their order.
#[derive(Debug)]
pub struct Port {
    name: String,
    columns: Vec<Declared>,
}

#[derive(Debug)]
enum Declared {
    /// An input column under an output name.
    Passed { input: String, name: String },
    /// The same, null where a mask is false.
    Nulled { input: String, name: String },
    /// The same, null where its text is one of these.
    Excepted { input: String, name: String, texts: Vec<String> },
    /// A column that the plugin makes.
    Computed(Field),
    /// Every input column but these.
    Rest { without: Vec<String> },
}

impl Port {
    /// Passes an input column on; its values never leave the host.
    pub fn pass(&mut self, column: impl Into<String>) -> &mut Self {
        let column = column.into();
        self.pass_as(column.clone(), column)
    }

    /// Passes an input column on under another name.
    pub fn pass_as(&mut self, column: impl Into<String>, name: impl Into<String>) -> &mut Self {
        self.columns.push(Declared::Passed { input: column.into(), name: name.into() });
        self
    }

    /// Passes an input column on, null where `process` sets it by
    /// [`keep`](crate::PortOutput::keep).
    pub fn null_some(&mut self, column: impl Into<String>) -> &mut Self {
        let column = column.into();
        self.null_some_as(column.clone(), column)
    }

    /// The same under another name.
    pub fn null_some_as(&mut self, column: impl Into<String>, name: impl Into<String>) -> &mut Self {
        self.columns.push(Declared::Nulled { input: column.into(), name: name.into() });
        self
    }

    /// Passes an input column of texts on, null where its text is one of these. The host compares: the column need not be read.
    pub fn pass_except<S: Into<String>>(&mut self, column: impl Into<String>, texts: impl IntoIterator<Item = S>) -> &mut Self {
        let column = column.into();
        self.pass_except_as(column.clone(), texts, column)
    }

    /// The same under another name.
    pub fn pass_except_as<S: Into<String>>(
        &mut self,
        column: impl Into<String>,
        texts: impl IntoIterator<Item = S>,
        name: impl Into<String>,
    ) -> &mut Self {
        let texts = texts.into_iter().map(Into::into).collect();
        self.columns.push(Declared::Excepted { input: column.into(), name: name.into(), texts });
        self
    }

    /// Adds a column that `process` makes by [`set`](crate::PortOutput::set); it may hold nulls.
    pub fn compute(&mut self, column: impl Into<String>, data_type: DataType) -> &mut Self {
        self.compute_field(Field::new(column, data_type, true))
    }

    /// Adds a column that `process` computes, as a field.
    pub fn compute_field(&mut self, field: Field) -> &mut Self {
        self.columns.push(Declared::Computed(field));
        self
    }

    /// Passes every input column on, in the order of the input. A column that the port declares by itself replaces the input's one of the
    /// same name in its place.
    pub fn pass_all(&mut self) -> &mut Self {
        self.pass_all_but::<&str>(&[])
    }

    /// Passes every input column on but these.
    pub fn pass_all_but<S: AsRef<str>>(&mut self, without: &[S]) -> &mut Self {
        let without = without.iter().map(|name| name.as_ref().to_owned()).collect();
        self.columns.push(Declared::Rest { without });
        self
    }

    fn resolve(self, input: &Schema) -> Result<PortLayout, Refusal> {
        let mut port = PortLayout { name: self.name, columns: Vec::new() };
        // A column that the port declares itself replaces one that it passes on with the rest, in
        // any order.
        for declared in &self.columns {
            if let Declared::Rest { without } = declared {
                for (index, field) in input.fields().iter().enumerate().filter(|(_, field)| !without.contains(field.name())) {
                    port.columns.push(OutputColumn {
                        field: Arc::clone(field),
                        source: ColumnSource::Input(index as u32),
                        from_rest: true,
                    });
                }
                continue;
            }
            let column = declared.resolve(input)?;
            match port.columns.iter_mut().find(|existing| existing.field.name() == column.field.name()) {
                Some(existing) if existing.from_rest => *existing = column,
                Some(_) => {
                    return Err(Refusal::new(format!("port {} would have two columns called {}", port.name, column.field.name())));
                }
                None => port.columns.push(column),
            }
        }
        let mut seen = Vec::with_capacity(port.columns.len());
        for column in &port.columns {
            if seen.contains(&column.field.name()) {
                return Err(Refusal::new(format!("port {} would have two columns called {}", port.name, column.field.name())));
            }
            seen.push(column.field.name());
        }
        Ok(port)
    }
}

impl Declared {
    fn resolve(&self, input: &Schema) -> Result<OutputColumn, Refusal> {
        let find = |column: &str, name: &str, nullable: bool| {
            let index = input.index_of(column).map_err(|_| missing(column, input))?;
            let field = input.field(index).clone().with_name(name);
            Ok::<_, Refusal>((if nullable { field.with_nullable(true) } else { field }, index as u32))
        };
        let (field, source) = match self {
            Self::Passed { input, name } => {
                let (field, index) = find(input, name, false)?;
                (field, ColumnSource::Input(index))
            }
            Self::Nulled { input, name } => {
                let (field, index) = find(input, name, true)?;
                (field, ColumnSource::Nulled(index))
            }
            Self::Excepted { input: column, name, texts } => {
                let (field, index) = find(column, name, true)?;
                if *field.data_type() != DataType::Utf8 {
                    let message =
                        format!("column {column} is {}, and only texts are compared with texts that mean null", field.data_type());
                    return Err(Refusal::new(message).at_column(column));
                }
                (field, ColumnSource::InputExcept(Except { column: index, texts: texts.clone() }))
            }
            Self::Computed(field) => (field.clone(), ColumnSource::Computed),
            Self::Rest { .. } => return Err(Refusal::new("a group of columns has no single source")),
        };
        Ok(OutputColumn { field: Arc::new(field), source, from_rest: false })
    }
}

/// A plan that was fixed against an input.
#[derive(Debug)]
pub(crate) struct Layout {
    /// The columns that cross, in the order of the needs.
    pub(crate) crossing: Fields,
    pub(crate) ports: Vec<PortLayout>,
}

impl Layout {
    /// Reads a batch as the host sends it.
    pub(crate) fn batch(&self, bytes: Vec<u8>) -> Result<Batch, Refusal> {
        let (columns, rows) = crate::ipc::decode_table(bytes, &self.crossing)?;
        Ok(Batch::new(self.crossing.clone(), columns, rows))
    }
}

/// A port that was fixed against an input.
#[derive(Debug)]
pub(crate) struct PortLayout {
    pub(crate) name: String,
    pub(crate) columns: Vec<OutputColumn>,
}

#[derive(Debug)]
pub(crate) struct OutputColumn {
    pub(crate) field: FieldRef,
    pub(crate) source: ColumnSource,
    from_rest: bool,
}

impl OutputColumn {
    /// Whether the plugin returns values or a mask for it.
    pub(crate) fn is_answered(&self) -> bool {
        matches!(self.source, ColumnSource::Computed | ColumnSource::Nulled(_))
    }
}

impl PortLayout {
    pub(crate) fn schema(&self) -> Schema {
        Schema::new(self.columns.iter().map(|column| Arc::clone(&column.field)).collect::<Fields>())
    }
}
