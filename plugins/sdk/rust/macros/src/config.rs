//! The attribute `config`: serde and schemars derives under the SDK's own paths, so that authors depend on the SDK alone.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Result, parse2};

pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let input: DeriveInput = parse2(item)?;
    let deny = matches!(input.data, syn::Data::Struct(_)).then(|| quote!(, deny_unknown_fields));
    Ok(quote! {
        #[derive(
            ::core::fmt::Debug, ::core::clone::Clone,
            ::wasmill_plugin::serde::Serialize, ::wasmill_plugin::serde::Deserialize, ::wasmill_plugin::schemars::JsonSchema,
        )]
        #[serde(crate = "::wasmill_plugin::serde" #deny)]
        #[schemars(crate = "::wasmill_plugin::schemars")]
        #input
    })
}
