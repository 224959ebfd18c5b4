//! What is requested from sources, and what they return.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use wasmill_connect::registry::SourceConnector;
use wasmill_connect::{LateColumns, Sampling};
use wasmill_formats::reading::{AsJson, Reading, without_reading};

use super::super::built_in::Beyond;
use super::super::columns;
use super::super::demand::Demand;
use super::super::draft::Declared;
use super::super::of_connector::of_connector;
use super::super::places::with_places;
use super::super::source_columns::is_reserved;
use super::super::unasked::{Known, Unasked, is_unset, skipped};
use super::super::wiring::Producer;
use super::super::{CheckedSource, Extent, SourceColumns, SourceSchema};
use super::{MAX_REJECT_SHARE, Outputs, Run};
use crate::diagnostics::{Diagnostic, shorten};
use crate::spec::{Columns, SourceSpec, Written};

impl Run<'_, '_> {
    pub(super) fn source(&mut self, index: usize) -> Option<CheckedSource> {
        let source = &self.draft.sources[index];
        let unasked = self.unreached.sources[index].clone();
        let Some(spec) = source.spec.as_ref() else {
            return self.skip_source_if(unasked == Some(Unasked::Unset), index, "values of it are not set");
        };
        let connector = Arc::clone(&spec.connector);
        let before = self.diagnostics.iter().count();
        let Some(columns) = self.columns(index, source, spec) else {
            let is_unset = self.diagnostics.iter().count() == before && self.has_unset_stage();
            return self.skip_source_if(is_unset, index, "what the stages need of it is not known");
        };
        let found = match &unasked {
            None => self.connectors.source_schema(source.name, &*connector, &columns, self.draft.source_mode()).map(Some),
            Some(unasked) => self.unasked_columns(index, unasked, &columns, spec),
        };
        let found = found.map_err(|error| self.diagnostics.push(of_connector(source, spec.connector_name, &error))).ok()??;
        if !found.untyped.is_empty() {
            columns::untyped(source, &*connector, &found, self.diagnostics);
            return None;
        }
        if found.is_partial {
            self.partial.insert(Producer::Source(index));
        }
        let (schema, late) = self.late_columns(index, &columns, &found);
        if unasked.is_none() {
            columns::check(source, &*connector, (&columns, &found), self.connectors, self.diagnostics);
        }
        let (schema, left_out) = self.without_left_out(index, schema);
        let beyond = self.beyond(index, (&*connector, &columns, &schema), &left_out);
        self.beyond.insert(Producer::Source(index), beyond);
        self.schemas.insert(Producer::Source(index), Outputs::Source(without_reading(&schema)));
        let max_reject_share = spec.max_reject_share.map_or(MAX_REJECT_SHARE, |share| share.0);
        let sampling = Sampling { columns: columns::sampled_names(&*connector, &columns, &schema), late, left_out };
        Some(CheckedSource { name: source.name.into(), connector, columns, sampling, schema, max_reject_share })
    }

    /// What is known about the columns of a source that is not contacted. What stays open is noted.
    fn unasked_columns(
        &mut self,
        index: usize,
        unasked: &Unasked,
        columns: &SourceColumns,
        spec: &SourceSpec,
    ) -> wasmill_engine::Result<Option<SourceSchema>> {
        let (source, connector) = (&self.draft.sources[index], spec.connector_name);
        let found = match unasked.columns(source.name, &*spec.connector, columns, self.draft.source_mode())? {
            Known::Nothing => {
                self.skipped.insert(Producer::Source(index));
                self.diagnostics.push(unasked.unknown_columns(source, connector));
                return Ok(None);
            }
            Known::Some(found) => {
                self.open.insert(Producer::Source(index));
                found
            }
            Known::All(found) => found,
        };
        let note = unasked.note(source, connector, &format!("what source `{}` reads is there", source.name));
        note.into_iter().for_each(|note| self.diagnostics.push(note));
        Ok(Some(found))
    }

    /// Notes that a source is not checked, if this is why.
    fn skip_source_if<T>(&mut self, is_why: bool, index: usize, why: &str) -> Option<T> {
        if is_why {
            let source = &self.draft.sources[index];
            self.skipped.insert(Producer::Source(index));
            self.diagnostics.push(skipped("source", source.name, source.name_span, why));
        }
        None
    }

    fn has_unset_stage(&self) -> bool {
        self.draft.stages.iter().zip(self.asked).any(|(stage, asked)| asked.is_none() && is_unset(stage.node))
    }

    /// The columns of a source but for those that every stage that reads it leaves out, and these.
    fn without_left_out(&self, index: usize, schema: SchemaRef) -> (SchemaRef, Vec<String>) {
        let left_out = self.readers().left_out(index, &schema);
        if left_out.is_empty() {
            return (schema, left_out);
        }
        let kept = schema.fields().iter().filter(|field| !left_out.contains(field.name())).cloned().collect::<Vec<_>>();
        (Arc::new(Schema::new_with_metadata(kept, schema.metadata().clone())), left_out)
    }

    /// What a source has besides the requested columns, as far as a built-in stage needs it.
    fn beyond(
        &self,
        index: usize,
        (connector, columns, schema): (&dyn SourceConnector, &SourceColumns, &Schema),
        left_out: &[String],
    ) -> Beyond {
        let is_asked = match &self.unreached.sources[index] {
            None => true,
            Some(unasked) => connector.knows_columns() && *unasked != Unasked::Unset,
        };
        if columns.extent != Extent::Needed {
            return Beyond { names: left_out.to_vec(), is_certain: !self.open.contains(&Producer::Source(index)) };
        }
        if !self.readers().has_built_in(Producer::Source(index)) {
            return Beyond::none();
        }
        if !is_asked {
            return Beyond::default();
        }
        let others = |names: Vec<String>| names.into_iter().filter(|name| schema.index_of(name).is_err()).collect();
        match self.connectors.survey(connector) {
            Ok(Some(survey)) => Beyond { names: others(survey.columns), is_certain: survey.is_complete },
            _ => {
                let whole = SourceColumns { extent: Extent::All, ..columns.clone() };
                let known = self.connectors.source_schema(self.draft.sources[index].name, connector, &whole, self.draft.source_mode());
                let names = known.map(|known| known.schema.fields().iter().map(|field| field.name().clone()).collect());
                names.map_or_else(|_| Beyond::default(), |names| Beyond { names: others(names), is_certain: true })
            }
        }
    }

    /// The columns of a source with those that came up after its sample, and what is to be done about others that come up.
    fn late_columns(&self, index: usize, columns: &SourceColumns, found: &SourceSchema) -> (SchemaRef, LateColumns) {
        let schema = Arc::clone(&found.schema);
        // Where no reader passes columns that it does not name, those that come up later go nowhere.
        if columns.extent != Extent::All || !self.readers().demand(Producer::Source(index)).is_all {
            return (schema, LateColumns::Ignore);
        }
        let behind = self.readers().sinks_behind(Producer::Source(index));
        let grows = behind.into_iter().any(|sink| self.draft.sinks[sink].spec.as_ref().is_some_and(|spec| spec.connector.adds_columns()));
        let new = self.new_columns.iter().filter(|(source, _)| source == self.draft.sources[index].name);
        let new = new.filter(|(_, field)| schema.index_of(field.name()).is_err()).map(|(_, field)| Arc::new(field.clone()));
        let schema = Arc::new(Schema::new(schema.fields().iter().cloned().chain(new).collect::<Vec<_>>()));
        (schema, if grows || found.is_partial { LateColumns::Fail } else { LateColumns::Report })
    }

    /// What to request from a source; `None` if that is unknown because a reader of it is broken.
    fn columns(&mut self, index: usize, source: &Declared<'_, SourceSpec>, spec: &SourceSpec) -> Option<SourceColumns> {
        let Demand { needs, names, is_all, is_whole } = self.readers().demand(Producer::Source(index));
        let declared = spec.schema.as_ref().map_or_else(|| Arc::new(Schema::empty()), Columns::to_arrow);
        let one = |field: &Field| Schema::new(vec![field.clone()]);
        let declared = needs.iter().fold(declared, |declared, (field, _)| with_json_of(&declared, &one(field)));
        let needed = self.needed(source, needs, &declared).filter(|_| is_whole);
        let picked = match &spec.columns {
            Some(names) => Some(self.picked(index, source, names, &declared)?),
            None => None,
        };
        let needed = needed?;
        let typed = Schema::new(declared.fields().iter().chain(needed.fields()).cloned().collect::<Vec<_>>());
        let typed = with_reserved(typed, &names, &spec.connector.reserved_columns());
        // What an expression names has the type that the source gives it, where nothing else says one.
        let is_typed = |name: &String| is_reserved(name) || typed.index_of(name).is_ok();
        let extent = match picked {
            Some(names) => Extent::Picked(names),
            None if is_all || !names.iter().all(is_typed) => Extent::All,
            None => Extent::Needed,
        };
        let typed = with_places(&typed, index, self.draft, self.wiring);
        let needed = Arc::new(Schema::new(typed.fields().iter().skip(declared.fields().len()).cloned().collect::<Vec<_>>()));
        Some(SourceColumns { declared, needed, extent })
    }

    /// The columns that `columns` picks, and those that a sink needs for a record's place; `None`
    /// if they are wrong.
    fn picked(&mut self, index: usize, source: &Declared<'_, SourceSpec>, names: &[String], declared: &Schema) -> Option<Vec<String>> {
        let places = with_places(&Arc::new(Schema::empty()), index, self.draft, self.wiring);
        let places = places.fields().iter().map(|field| field.name()).filter(|name| !names.contains(name));
        columns::check_picked(source, names, declared, self.diagnostics).then(|| names.iter().chain(places).cloned().collect())
    }

    /// The columns that stages need and `schema` does not name; `None` when two of them need one with different types.
    fn needed(&mut self, source: &Declared<'_, SourceSpec>, needs: Vec<(Field, usize)>, declared: &Schema) -> Option<SchemaRef> {
        let mut fields: Vec<(Field, usize)> = Vec::new();
        let mut whole = true;
        for (field, stage) in needs.into_iter().filter(|(field, _)| declared.field_with_name(field.name()).is_err()) {
            match fields.iter_mut().find(|(known, _)| known.name() == field.name()) {
                None => fields.push((field, stage)),
                Some((known, _)) if known.data_type() == field.data_type() => {
                    let nullable = known.is_nullable() && field.is_nullable();
                    let json = Reading::of(known).json.or(Reading::of(&field).json);
                    *known = Reading { json, ..Reading::of(known) }.on(known.clone().with_nullable(nullable));
                }
                Some((known, first)) => {
                    let (first, second) = (&self.draft.stages[*first], &self.draft.stages[stage]);
                    let message = format!(
                        "`{}` and `{}` need the column `{}` of `{}` with different types: {} and {}",
                        first.name,
                        second.name,
                        shorten(field.name(), 80),
                        source.name,
                        Written(known.data_type()),
                        Written(field.data_type())
                    );
                    let diagnostic = Diagnostic::error("column-conflict", message).at(second.name_span);
                    self.diagnostics.push(diagnostic.related(first.name_span, "the other one"));
                    whole = false;
                }
            }
        }
        whole.then(|| Arc::new(Schema::new(fields.into_iter().map(|(field, _)| field).collect::<Vec<_>>())))
    }
}

/// With the columns that the source adds of its own and that expressions name.
fn with_reserved(typed: Schema, names: &[String], reserved: &[Field]) -> SchemaRef {
    let is_missing = |field: &&Field| names.contains(field.name()) && typed.index_of(field.name()).is_err();
    let missing: Vec<_> = reserved.iter().filter(is_missing).cloned().map(Arc::new).collect();
    Arc::new(Schema::new(typed.fields().iter().cloned().chain(missing).collect::<Vec<_>>()))
}

/// Text columns of a declared schema take arrays and objects as JSON where a plugin asks for it.
fn with_json_of(declared: &SchemaRef, needs: &Schema) -> SchemaRef {
    let field = |field: &Arc<Field>| {
        let wanted = needs.field_with_name(field.name()).map(|need| Reading::of(need).json).unwrap_or_default();
        let reading = Reading::of(field);
        match *field.data_type() == DataType::Utf8 && wanted != AsJson::No {
            true => Arc::new(Reading { json: reading.json.or(wanted), ..reading }.on(field.as_ref().clone())),
            false => Arc::clone(field),
        }
    };
    Arc::new(Schema::new(declared.fields().iter().map(field).collect::<Vec<_>>()))
}
