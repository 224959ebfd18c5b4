//! The cost of one reject in 800 rows: the plugin `clean-pin` over posts of which none, or every
//! 800th, has a malformed follower count.
//!
//! `cargo bench -p wasmill-host --bench rejects` builds the plugin if need be and prints the ratio.
//! Both variants run in turns, so that a busy machine slows both. This measures the call alone:
//! columns that bypass the plugin are shared where no row is rejected, and copied where one is.
//! `make bench BENCH="--only rejects"` measures a whole run.
#![allow(missing_docs)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, SchemaRef};
use serde_json::json;
use wasmill_host::{Host, Instance};

/// One bad row in this many.
const ONE_IN: usize = 800;
const SIZES: [usize; 3] = [800, 8_000, 64_000];
const PAIRS: usize = 301;

fn main() -> Result<(), Box<dyn Error>> {
    let host = Host::builder().build()?;
    let plugin = host.load(&plugin_file()?)?;
    let needs = plugin.open(&json!({})).needs()?;
    let transform = plugin.open(&json!({})).transform(Arc::clone(&needs.schema))?;
    println!("{:>8} {:>12} {:>12} {:>8}", "rows", "no reject", "1 in 800", "ratio");
    for rows in SIZES {
        let batches = [posts(&needs.schema, rows, false)?, posts(&needs.schema, rows, true)?];
        let mut instances = [transform.instance()?, transform.instance()?];
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..PAIRS {
            for ((batch, instance), times) in batches.iter().zip(&mut instances).zip(&mut times) {
                times.push(timed(instance, batch)?);
            }
        }
        let [none, some] = times.map(median);
        let ratio = some.as_secs_f64() / none.as_secs_f64();
        println!("{rows:>8} {:>9.0} us {:>9.0} us {ratio:>8.3}", micros(none), micros(some));
    }
    Ok(())
}

fn timed(instance: &mut Instance, batch: &RecordBatch) -> Result<Duration, Box<dyn Error>> {
    let begun = Instant::now();
    let processed = instance.process(batch)?;
    let took = begun.elapsed();
    let sent: usize = processed.outputs.iter().map(|output| output.records.num_rows()).sum();
    if sent + processed.rejects.len() != batch.num_rows() {
        return Err(format!("{sent} rows and {} rejects of {}", processed.rejects.len(), batch.num_rows()).into());
    }
    Ok(took)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Posts with texts as long as real ones.
fn posts(schema: &SchemaRef, rows: usize, with_bad: bool) -> Result<RecordBatch, Box<dyn Error>> {
    let text = |name: &str, row: usize| match name {
        "follower_count" if with_bad && row % ONE_IN == ONE_IN / 2 => "many".to_owned(),
        "follower_count" => format!("{}k", row % 900),
        "title" => format!("{row} ideas for a small garden that anyone can make"),
        "description" => format!("Number {row}: {}", "what to plant, when to plant it, and how to keep it alive. ".repeat(row % 5)),
        "tag_list" => "Garden,Small Garden,Ideas,Plants,Do It Yourself,Home,Balcony".to_owned(),
        "image_src" => format!("https://i.pinimg.com/originals/aa/bb/{row:032x}.jpg"),
        "save_location" => "Local save in /data/diy-and-crafts".to_owned(),
        "unique_id" => format!("{row:08x}-0000-4000-8000-{row:012x}"),
        "poster_name" => format!("Gardener {}", row % 1000),
        _ => "image".to_owned(),
    };
    let column = |field: &Arc<arrow_schema::Field>| -> ArrayRef {
        match field.data_type() {
            DataType::Int64 => Arc::new(Int64Array::from_iter_values(0..rows as i64)),
            _ => Arc::new(StringArray::from_iter_values((0..rows).map(|row| text(field.name(), row)))),
        }
    };
    Ok(RecordBatch::try_new(Arc::clone(schema), schema.fields().iter().map(column).collect())?)
}

/// The component, built if it is not up to date.
fn plugin_file() -> Result<PathBuf, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let arguments = ["build", "--locked", "--quiet", "--profile", "plugin", "--target", "wasm32-wasip2", "-p", "clean-pin"];
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    if !Command::new(cargo).args(arguments).current_dir(&root).status()?.success() {
        return Err("the plugin does not build".into());
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("wasm32-wasip2/plugin/clean_pin.wasm"))
}
