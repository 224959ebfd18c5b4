//! One call at a time: the plugin against the native rules, for small and large batches, narrow and wide.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Result;
use crate::native::Native;
use crate::plugin::{Location, clean};
use crate::posts::{Width, read};

const SIZES: [usize; 6] = [1, 10, 100, 1_000, 8_192, 65_536];
const WIDTHS: [Width; 2] = [Width::Wide, Width::Narrow];

/// How long each size is measured, and how often at least.
const PERIOD: Duration = Duration::from_millis(600);
const CALLS: usize = 15;

/// Checks that both ways give the same rows.
pub fn check(input: &Path, location: &Location) -> Result<()> {
    for width in WIDTHS {
        let mut instance = location.open(width)?.instance()?;
        let native = Native::new(width);
        for records in read(input, width.schema(), 8_192, 4)? {
            let (ours, theirs) = (clean(&mut instance, &records)?, native.clean(&records)?);
            for (field, (one, other)) in theirs.schema().fields().iter().zip(ours.columns().iter().zip(theirs.columns())) {
                if one != other {
                    return Err(format!("the column {} differs between plugin and native cleaning", field.name()).into());
                }
            }
            if ours.num_columns() != theirs.num_columns() {
                return Err("plugin and native cleaning differ in their columns".into());
            }
        }
    }
    println!("plugin and native cleaning give the same rows");
    Ok(())
}

/// Times both ways in turn; prints the medians as one line of JSON.
pub fn measure(input: &Path, location: &Location) -> Result<()> {
    let mut measured = Vec::new();
    for width in WIDTHS {
        let transform = location.open(width)?;
        for rows in SIZES {
            let batches = read(input, width.schema(), rows, if rows > 10_000 { 2 } else { 8 })?;
            let (mut instance, native) = (transform.instance()?, Native::new(width));
            let (mut by_plugin, mut by_native) = (Vec::new(), Vec::new());
            let begun = Instant::now();
            for records in batches.iter().cycle() {
                let call = Instant::now();
                let cleaned = clean(&mut instance, records)?;
                by_plugin.push(call.elapsed());
                let call = Instant::now();
                let linked = native.clean(records)?;
                by_native.push(call.elapsed());
                if cleaned.num_rows() != linked.num_rows() {
                    return Err("plugin and native cleaning give different numbers of rows".into());
                }
                if begun.elapsed() > PERIOD && by_plugin.len() >= CALLS {
                    break;
                }
            }
            let row = json!({ "table": width.name(), "rows": rows, "plugin_us": median(by_plugin), "native_us": median(by_native) });
            measured.push(row);
        }
    }
    println!("{}", serde_json::Value::from(measured));
    Ok(())
}

/// In microseconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}
