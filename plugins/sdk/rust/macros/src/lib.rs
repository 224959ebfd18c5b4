//! Derive and attribute macros of the Wasmill plugin SDK. Use them through the crate `wasmill-plugin`.

mod config;
mod fields;
mod function;
mod input;
mod output;
mod state;

use proc_macro::TokenStream;

/// Turns a struct or enum into a part of a plugin's configuration: read from the pipeline's YAML,
/// with its JSON Schema derived from it.
///
/// Doc comments become the schema's descriptions. serde's attributes work as usual:
/// `#[serde(default)]` on the struct, with an `impl Default`, puts the defaults into the schema.
/// Unknown keys of a struct are errors.
#[proc_macro_attribute]
pub fn config(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    config::expand(item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Builds a plugin from a function of one record: `fn name(row: In) -> Out` or `fn name(row: In,
/// config: &Config) -> Out`.
///
/// `In` derives `InputRecord`. `Out` is one of the types that implement `Answer`: a `bool`, a
/// struct that derives `OutputRecord`, an `Option` or `Vec` of it, or a `Result` of one of these
/// with `Reject`.
///
/// The plugin is a type named after the function (`full_name` defines `FullNamePlugin`), already
/// exported, for use in tests. `#[record(documentation = include_str!("../README.md"))]` sets its
/// description.
#[proc_macro_attribute]
pub fn record(arguments: TokenStream, item: TokenStream) -> TokenStream {
    function::expand(arguments.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Derives `InputRecord`: a struct whose fields are columns of the input.
#[proc_macro_derive(InputRecord, attributes(column))]
pub fn input_record(item: TokenStream) -> TokenStream {
    input::expand(item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Derives `OutputRecord`: a struct whose fields are columns that the plugin computes.
#[proc_macro_derive(OutputRecord, attributes(column, record))]
pub fn output_record(item: TokenStream) -> TokenStream {
    output::expand(item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Derives `GroupState`: a struct whose fields are the columns of a group's state.
#[proc_macro_derive(GroupState, attributes(column))]
pub fn group_state(item: TokenStream) -> TokenStream {
    state::expand(item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
