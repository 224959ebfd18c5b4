//! The derive of `GroupState`.

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
    if fields.is_empty() {
        return Err(Error::new_spanned(&input.ident, "a state has at least one field"));
    }
    let name = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    let (idents, types): (Vec<_>, Vec<_>) = fields.iter().map(|field| (&field.ident, &field.ty)).unzip();
    let columns: Vec<_> = fields.iter().map(|field| &field.column).collect();
    let positions: Vec<_> = (0..fields.len()).map(syn::Index::from).collect();
    Ok(quote! {
        impl #generics ::wasmill_plugin::group::GroupState for #name #arguments #bounds {
            type Builders = (#(<#types as ::wasmill_plugin::record::OutputCell>::Builder,)*);
            type Columns = (#(<#types as ::wasmill_plugin::group::StateCell>::Column,)*);

            fn fields() -> ::std::vec::Vec<::wasmill_plugin::group::StateField> {
                ::std::vec![#(::wasmill_plugin::group::StateField {
                    name: #columns,
                    data_type: <#types as ::wasmill_plugin::record::OutputCell>::data_type(),
                    nullable: <#types as ::wasmill_plugin::group::StateCell>::NULLABLE,
                },)*]
            }

            fn builders(groups: usize) -> Self::Builders {
                (#(<#types as ::wasmill_plugin::record::OutputCell>::builder(groups),)*)
            }

            fn append(self, builders: &mut Self::Builders) {
                #(<#types as ::wasmill_plugin::record::OutputCell>::append(
                    ::core::option::Option::Some(self.#idents),
                    &mut builders.#positions,
                );)*
            }

            fn finish_columns(builders: Self::Builders) -> ::std::vec::Vec<::wasmill_plugin::arrow::array::ArrayRef> {
                ::std::vec![#(<#types as ::wasmill_plugin::record::OutputCell>::finish(builders.#positions),)*]
            }

            fn columns(states: &::wasmill_plugin::Batch) -> ::core::result::Result<Self::Columns, ::wasmill_plugin::Refusal> {
                ::core::result::Result::Ok((#(<#types as ::wasmill_plugin::group::StateCell>::find(states, #columns)?,)*))
            }

            fn read(columns: &Self::Columns, row: usize) -> ::core::result::Result<Self, ::wasmill_plugin::Refusal> {
                ::core::result::Result::Ok(Self {
                    #(#idents: <#types as ::wasmill_plugin::group::StateCell>::required(&columns.#positions, row, #columns)?,)*
                })
            }
        }
    })
}
