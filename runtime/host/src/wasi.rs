//! A WASI 0.2 world with nothing in it: what standard libraries call at start-up and in a panic,
//! served the same way every time.
//!
//! Standard output and error go to the log. The clocks do not advance, so a plugin that waits for
//! them is stopped. Randomness is the same in every call. There are no arguments, no environment,
//! no folders. Any other function traps with its name.

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, LinkerInstance, Lower, Resource, ResourceType, WasmList};

use crate::linker::Forbidden;
use crate::store::StoreData;

/// Marks the resources that the stubs create. Their representations are arbitrary: nothing is
/// behind them.
enum InputStream {}
enum OutputStream {}
enum StreamFailure {}
enum Pollable {}

/// The representations of pollables: output can always be written, and time never passes.
const READY: u32 = 0;
const NEVER: u32 = 1;

/// How much a plugin may write to a stream at once.
const WRITE_BYTES: u64 = 64 << 10;

/// The most random bytes that a call gets.
const MAX_RANDOM_BYTES: u64 = 64 << 10;

type Store<'a> = StoreContextMut<'a, StoreData>;

/// `wasi:io/streams.stream-error`.
#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    LastOperationFailed(Resource<StreamFailure>),
    #[component(name = "closed")]
    Closed,
}

/// `wasi:clocks/wall-clock.datetime`.
#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct DateTime {
    seconds: u64,
    nanoseconds: u32,
}

/// The type of a resource: one of the stubs', or one that is only named.
pub(crate) fn resource_type(name: &str) -> ResourceType {
    match name {
        "input-stream" => ResourceType::host::<InputStream>(),
        "output-stream" => ResourceType::host::<OutputStream>(),
        "error" => ResourceType::host::<StreamFailure>(),
        "pollable" => ResourceType::host::<Pollable>(),
        // The same name is the same resource in every interface that uses it.
        other => ResourceType::host_dynamic(
            other.bytes().fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)),
        ),
    }
}

/// Defines a function if there is a stub for it.
pub(crate) fn define(instance: &mut LinkerInstance<'_, StoreData>, interface: &str, function: &str) -> wasmtime::Result<bool> {
    match interface {
        "wasi:cli/environment" => environment(instance, function),
        "wasi:cli/stdin" | "wasi:cli/stdout" | "wasi:cli/stderr" => standard_streams(instance, function),
        "wasi:cli/terminal-stdin" | "wasi:cli/terminal-stdout" | "wasi:cli/terminal-stderr" => terminals(instance, function),
        "wasi:cli/exit" => exit(instance, function),
        "wasi:clocks/monotonic-clock" | "wasi:clocks/wall-clock" => clocks(instance, interface, function),
        "wasi:filesystem/preopens" => preopens(instance, function),
        "wasi:io/streams" => streams(instance, function),
        "wasi:io/poll" => poll(instance, function),
        "wasi:random/random" | "wasi:random/insecure" | "wasi:random/insecure-seed" => random(instance, function),
        _ => Ok(false),
    }
}

fn environment(instance: &mut LinkerInstance<'_, StoreData>, function: &str) -> wasmtime::Result<bool> {
    match function {
        "get-environment" => instance.func_wrap(function, |_: Store<'_>, (): ()| Ok((Vec::<(String, String)>::new(),)))?,
        "get-arguments" => instance.func_wrap(function, |_: Store<'_>, (): ()| Ok((Vec::<String>::new(),)))?,
        "initial-cwd" => instance.func_wrap(function, |_: Store<'_>, (): ()| Ok((None::<String>,)))?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn standard_streams(instance: &mut LinkerInstance<'_, StoreData>, function: &str) -> wasmtime::Result<bool> {
    match function {
        "get-stdin" => instance.func_wrap(function, |_: Store<'_>, (): ()| Ok((Resource::<InputStream>::new_own(0),)))?,
        "get-stdout" | "get-stderr" => instance.func_wrap(function, |_: Store<'_>, (): ()| Ok((Resource::<OutputStream>::new_own(0),)))?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// None of the streams is a terminal.
fn terminals(instance: &mut LinkerInstance<'_, StoreData>, function: &str) -> wasmtime::Result<bool> {
    match function {
        "get-terminal-stdin" | "get-terminal-stdout" | "get-terminal-stderr" => {
            // The result is `none` of an option whose payload type only the component knows.
            instance.func_new(function, |_, _, _, results| {
                if let Some(result) = results.first_mut() {
                    *result = wasmtime::component::Val::Option(None);
                }
                Ok(())
            })?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn exit(instance: &mut LinkerInstance<'_, StoreData>, function: &str) -> wasmtime::Result<bool> {
    match function {
        "exit" | "exit-with-code" => instance.func_new(function, |_, _, _, _| Err(Forbidden::new("the end of its process").into()))?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// It is always the same moment: 1970 by the wall, zero since the start.
fn clocks(instance: &mut LinkerInstance<'_, StoreData>, interface: &str, function: &str) -> wasmtime::Result<bool> {
    match (interface, function) {
        ("wasi:clocks/wall-clock", "now" | "resolution") => {
            instance.func_wrap(function, |_: Store<'_>, (): ()| Ok((DateTime { seconds: 0, nanoseconds: 0 },)))?;
        }
        (_, "now") => instance.func_wrap(function, |_: Store<'_>, (): ()| Ok((0_u64,)))?,
        (_, "resolution") => instance.func_wrap(function, |_: Store<'_>, (): ()| Ok((1_u64,)))?,
        (_, "subscribe-duration" | "subscribe-instant") => {
            instance.func_wrap(function, |_: Store<'_>, (_,): (u64,)| Ok((Resource::<Pollable>::new_own(NEVER),)))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn preopens(instance: &mut LinkerInstance<'_, StoreData>, function: &str) -> wasmtime::Result<bool> {
    if function != "get-directories" {
        return Ok(false);
    }
    instance.func_new(function, |_, _, _, results| {
        if let Some(result) = results.first_mut() {
            *result = wasmtime::component::Val::List(Vec::new());
        }
        Ok(())
    })?;
    Ok(true)
}

fn streams(instance: &mut LinkerInstance<'_, StoreData>, function: &str) -> wasmtime::Result<bool> {
    type Out = Resource<OutputStream>;
    type In = Resource<InputStream>;
    match function {
        "[method]output-stream.check-write" => {
            instance.func_wrap(function, |_: Store<'_>, (_,): (Out,)| Ok((Ok::<_, StreamError>(WRITE_BYTES),)))?;
        }
        "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush" => {
            instance.func_wrap(function, |mut store: Store<'_>, (_, bytes): (Out, WasmList<u8>)| {
                // No line is longer than the log keeps, so nothing past the first megabyte of a write can matter.
                let bytes = bytes.as_le_slice(&store);
                let bytes = bytes[..bytes.len().min(1 << 20)].to_vec();
                store.data_mut().log.write(&bytes);
                Ok((Ok::<(), StreamError>(()),))
            })?;
        }
        "[method]output-stream.flush" | "[method]output-stream.blocking-flush" => {
            instance.func_wrap(function, |_: Store<'_>, (_,): (Out,)| Ok((Ok::<(), StreamError>(()),)))?;
        }
        "[method]output-stream.subscribe" => {
            instance.func_wrap(function, |_: Store<'_>, (_,): (Out,)| Ok((Resource::<Pollable>::new_own(READY),)))?;
        }
        "[method]input-stream.subscribe" => {
            instance.func_wrap(function, |_: Store<'_>, (_,): (In,)| Ok((Resource::<Pollable>::new_own(READY),)))?;
        }
        "[method]input-stream.read" | "[method]input-stream.blocking-read" => {
            instance.func_wrap(function, |_: Store<'_>, (_, _): (In, u64)| Ok((Err::<Vec<u8>, _>(StreamError::Closed),)))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn poll(instance: &mut LinkerInstance<'_, StoreData>, function: &str) -> wasmtime::Result<bool> {
    let in_vain = || wasmtime::Error::from(Forbidden::new("time to pass (wasi:io/poll)"));
    match function {
        "[method]pollable.ready" => {
            instance.func_wrap(function, |_: Store<'_>, (this,): (Resource<Pollable>,)| Ok((this.rep() == READY,)))?;
        }
        "[method]pollable.block" => {
            instance.func_wrap(
                function,
                move |_: Store<'_>, (this,): (Resource<Pollable>,)| {
                    if this.rep() == READY { Ok(()) } else { Err(in_vain()) }
                },
            )?;
        }
        "poll" => {
            instance.func_wrap(function, move |_: Store<'_>, (list,): (Vec<Resource<Pollable>>,)| {
                let ready: Vec<u32> =
                    (0_u32..).zip(&list).filter(|(_, pollable)| pollable.rep() == READY).map(|(index, _)| index).collect();
                if ready.is_empty() { Err(in_vain()) } else { Ok((ready,)) }
            })?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn random(instance: &mut LinkerInstance<'_, StoreData>, function: &str) -> wasmtime::Result<bool> {
    match function {
        "get-random-bytes" | "get-insecure-random-bytes" => {
            instance.func_wrap(function, |mut store: Store<'_>, (length,): (u64,)| {
                if length > MAX_RANDOM_BYTES {
                    return Err(Forbidden::new(format!("{length} random bytes at once")).into());
                }
                Ok((store.data_mut().random.bytes(length as usize),))
            })?;
        }
        "get-random-u64" | "get-insecure-random-u64" => {
            instance.func_wrap(function, |mut store: Store<'_>, (): ()| Ok((store.data_mut().random.next(),)))?;
        }
        "insecure-seed" | "get-insecure-seed" => {
            instance.func_wrap(function, |mut store: Store<'_>, (): ()| {
                let random = &mut store.data_mut().random;
                Ok(((random.next(), random.next()),))
            })?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}
