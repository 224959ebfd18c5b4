//! The attribute `config`: serde and schemars derives under the SDK's own paths, so that authors depend on the SDK alone.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, parse2};

pub(crate) fn expand(item: TokenStream) -> TokenStream {
    let input: DeriveInput = match parse2(item) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let deny = matches!(input.data, syn::Data::Struct(_)).then(|| quote!(, deny_unknown_fields));
    quote! {
        #[derive(
            ::core::fmt::Debug, ::core::clone::Clone,
            ::wasmill_plugin::serde::Serialize, ::wasmill_plugin::serde::Deserialize, ::wasmill_plugin::schemars::JsonSchema,
        )]
        #[serde(crate = "::wasmill_plugin::serde" #deny)]
        #[schemars(crate = "::wasmill_plugin::schemars")]
        #input
    }
}
