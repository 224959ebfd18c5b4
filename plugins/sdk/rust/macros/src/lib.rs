//! Derive and attribute macros of the Wasmill plugin SDK. Use them through the crate `wasmill-plugin`.

mod config;

use proc_macro::TokenStream;

/// Makes a struct or enum part of a plugin's configuration: read from the pipeline's YAML, and its JSON Schema derived from it.
///
/// Doc comments become the schema's descriptions; serde's attributes work as ever (`#[serde(default)]` on the struct, with an
/// `impl Default`, puts the defaults into the schema). Unknown keys of a struct are refused.
#[proc_macro_attribute]
pub fn config(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    config::expand(item.into()).into()
}
