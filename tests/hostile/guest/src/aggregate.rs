//! The guest as an aggregate: it counts the rows of a group and adds up their first column, unless an attack says otherwise.
//!
//! It reads numbers in the encoding `columns` only. In Arrow it counts, and its answers come ready-made.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::config::{self, Config};
use crate::exports::wasmill::plugin::aggregate;
use crate::wasmill::plugin::types::{
    Batch, Cells, ColumnTable, Extra, Grouped, MadeCells, MadeColumn, MadeColumns, MadeTable, Needs, OpenedAggregate, Opening, Refusal,
    Reject, Table, Updated,
};
use crate::{Hostile, attack, schema};

#[derive(Default)]
struct Group {
    sum: i64,
    rows: i64,
    hoard: Vec<u8>,
}

thread_local! {
    static CONFIG: RefCell<Option<Config>> = const { RefCell::new(None) };
    static GROUPS: RefCell<Vec<Group>> = const { RefCell::new(Vec::new()) };
    static UPDATES: Cell<u32> = const { Cell::new(0) };
}

static PREPARED: AtomicBool = AtomicBool::new(false);

impl aggregate::Guest for Hostile {
    fn prepare(config: String, _extra: Extra) -> Result<Needs, Refusal> {
        PREPARED.store(true, Ordering::Relaxed);
        crate::needs(&config)
    }

    fn open(opening: Opening) -> Result<OpenedAggregate, Refusal> {
        let config = Config::read(&opening.config)?;
        attack::run(config.open.as_deref());
        let aggregate = &config.aggregate;
        let fickle = if PREPARED.load(Ordering::Relaxed) { None } else { aggregate.fickle.as_deref() };
        let state = schema(&aggregate.state, &aggregate.state_fields);
        let output = schema(&aggregate.output, &aggregate.output_fields);
        let opened = OpenedAggregate {
            state: if fickle == Some("state") { output.clone() } else { state.clone() },
            state_version: aggregate.state_version + u32::from(fickle == Some("version")),
            output: if fickle == Some("output") { state } else { output },
            extra: config.extra("opened"),
        };
        CONFIG.set(Some(config));
        Ok(opened)
    }

    fn update(batch: Batch, groups: Vec<u32>, count: u32) -> Result<Updated, Refusal> {
        with_config(|config| {
            let aggregate = &config.aggregate;
            let due = aggregate.when.as_deref().is_none_or(|text| holds(&batch.table, text));
            if due {
                act(aggregate.update.as_deref(), config)?;
            }
            UPDATES.set(UPDATES.get() + 1);
            let rejecting = aggregate.rejects_at_call.is_none_or(|call| call == UPDATES.get());
            let rejects: Vec<&config::Reject> = aggregate.rejects.iter().filter(|_| rejecting).collect();
            let values = numbers(&batch.table, 0);
            with_groups(count, |all| {
                for (row, &group) in groups.iter().enumerate() {
                    if rejects.iter().any(|reject| reject.row as usize == row) {
                        continue;
                    }
                    let group = &mut all[group as usize];
                    let times = if aggregate.grows { group.rows + 1 } else { 1 };
                    group.sum = group.sum.wrapping_add(times * values.get(row).copied().unwrap_or(1));
                    group.rows += 1;
                    group.hoard.resize(group.hoard.len() + aggregate.hoard, 1);
                }
            });
            let rejects = rejects.iter().map(|reject| Reject {
                row: reject.row,
                code: reject.code.clone(),
                column: None,
                message: reject.message.clone(),
                extra: config.extra("reject"),
            });
            Ok(Updated { rejects: rejects.collect(), extra: config.extra("updated") })
        })
    }

    fn merge(states: Table, groups: Vec<u32>, count: u32) -> Result<(), Refusal> {
        with_config(|config| {
            act(config.aggregate.merge.as_deref(), config)?;
            let (sums, rows) = (numbers(&states, 0), numbers(&states, 1));
            with_groups(count, |all| {
                for (row, &group) in groups.iter().enumerate() {
                    let group = &mut all[group as usize];
                    group.sum = group.sum.wrapping_add(sums.get(row).copied().unwrap_or(0));
                    let more = rows.get(row).copied().unwrap_or(0);
                    group.rows += more;
                    group.hoard.resize(group.hoard.len() + config.aggregate.hoard * more as usize, 1);
                }
            });
            Ok(())
        })
    }

    fn take_state(count: u32) -> Result<Grouped, Refusal> {
        with_config(|config| taken(config, count, config.aggregate.take_state.as_deref(), config.aggregate.taken.as_ref()))
    }

    fn finish(count: u32) -> Result<Grouped, Refusal> {
        with_config(|config| taken(config, count, config.aggregate.finish.as_deref(), config.aggregate.finished.as_ref()))
    }
}

fn with_config<T>(run: impl FnOnce(&Config) -> T) -> T {
    CONFIG.with_borrow(|config| run(config.as_ref().expect("other calls come after open")))
}

fn with_groups(count: u32, run: impl FnOnce(&mut Vec<Group>)) {
    GROUPS.with_borrow_mut(|groups| {
        groups.resize_with(groups.len().max(count as usize), Group::default);
        run(groups);
    });
}

fn act(action: Option<&str>, config: &Config) -> Result<(), Refusal> {
    match action.and_then(|action| action.strip_prefix("refuse:")) {
        Some(message) => Err(Refusal { message: message.to_owned(), config_path: None, column: None, extra: config.extra("refusal") }),
        None => {
            attack::run(action);
            Ok(())
        }
    }
}

fn taken(config: &Config, count: u32, action: Option<&str>, answer: Option<&config::Answer>) -> Result<Grouped, Refusal> {
    with_groups(count, |_| {});
    let groups = GROUPS.take();
    if config.aggregate.at_sum.is_none_or(|sum| groups.iter().any(|group| group.sum == sum)) {
        act(action, config)?;
    }
    let extra = config.extra("grouped");
    if let Some(answer) = answer {
        let of_rows = answer.groups.clone().or_else(|| answer.many_groups.map(|rows| vec![0; rows]));
        let made = answer.made.as_ref().map(|made| MadeTable::Columns(made.table()));
        let table = made.unwrap_or_else(|| MadeTable::ArrowIpc(answer.columns.as_ref().map(config::Bytes::bytes).unwrap_or_default()));
        return Ok(Grouped { table, groups: of_rows, extra });
    }
    let column = |value: fn(&Group) -> i64| {
        let values: Vec<String> = groups.iter().map(|group| value(group).to_string()).collect();
        MadeColumn { cells: MadeCells::Json(format!("[{}]", values.join(","))), valid: String::new() }
    };
    let columns = vec![column(|group| group.sum), column(|group| group.rows)];
    Ok(Grouped { table: MadeTable::Columns(MadeColumns { separator: String::new(), columns }), groups: None, extra })
}

/// Whether a text of the batch holds another.
fn holds(table: &Table, text: &str) -> bool {
    match table {
        Table::ArrowIpc(bytes) => bytes.windows(text.len()).any(|window| window == text.as_bytes()),
        Table::Columns(table) => table.columns.iter().any(|column| match &column.cells {
            Cells::Text(all) => all.contains(text),
            Cells::Texts(texts) => texts.iter().any(|one| one.contains(text)),
            Cells::Dictionary(dictionary) => dictionary.texts.contains(text),
            Cells::Distinct(distinct) => distinct.texts.iter().any(|one| one.contains(text)),
            Cells::Fixed(_) | Cells::Json(_) => false,
        }),
    }
}

/// The 64-bit integers of a column.
fn numbers(table: &Table, column: usize) -> Vec<i64> {
    let Table::Columns(ColumnTable { columns, .. }) = table else { return Vec::new() };
    let Some(Cells::Fixed(bytes)) = columns.get(column).map(|column| &column.cells) else { return Vec::new() };
    bytes.chunks_exact(8).map(|bytes| i64::from_le_bytes(bytes.try_into().expect("8 bytes"))).collect()
}
