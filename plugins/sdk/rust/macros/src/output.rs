//! The derive of `OutputRecord`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Error, Result, parse2};

use crate::fields;

pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let input: DeriveInput = parse2(item)?;
    let fields = fields::of(&input)?;
    if let Some(field) = fields.iter().find(|field| field.dropped) {
        return Err(Error::new_spanned(&field.ident, "`drop` is for fields of an input record"));
    }
    let only = only(&input)?;
    let name = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    let (idents, types): (Vec<_>, Vec<_>) = fields.iter().map(|field| (&field.ident, &field.ty)).unzip();
    let columns: Vec<_> = fields.iter().map(|field| &field.column).collect();
    let positions: Vec<_> = (0..fields.len()).map(syn::Index::from).collect();
    Ok(quote! {
        impl #generics ::wasmill_plugin::record::OutputRecord for #name #arguments #bounds {
            type Builders = (#(<#types as ::wasmill_plugin::record::OutputCell>::Builder,)*);

            const ONLY: bool = #only;

            fn fields() -> ::std::vec::Vec<(&'static str, ::wasmill_plugin::arrow::schema::DataType)> {
                ::std::vec![#((#columns, <#types as ::wasmill_plugin::record::OutputCell>::data_type()),)*]
            }

            fn builders(rows: usize) -> Self::Builders {
                (#(<#types as ::wasmill_plugin::record::OutputCell>::builder(rows),)*)
            }

            #[inline]
            fn append(self, builders: &mut Self::Builders) {
                #(<#types as ::wasmill_plugin::record::OutputCell>::append(
                    ::core::option::Option::Some(self.#idents),
                    &mut builders.#positions,
                );)*
            }

            fn arrays(builders: Self::Builders) -> ::std::vec::Vec<::wasmill_plugin::arrow::array::ArrayRef> {
                ::std::vec![#(<#types as ::wasmill_plugin::record::OutputCell>::finish(builders.#positions),)*]
            }
        }
    })
}

/// Whether the struct declares that only its fields leave the plugin.
fn only(input: &DeriveInput) -> Result<bool> {
    let mut only = false;
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("record")) {
        attribute.parse_nested_meta(|meta| {
            only = meta.path.is_ident("only");
            if only { Ok(()) } else { Err(meta.error("expected `only`")) }
        })?;
    }
    Ok(only)
}
