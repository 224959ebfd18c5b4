//! The derive of `InputRecord`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Error, GenericParam, Lifetime, Result, parse2};

use crate::fields;

pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let input: DeriveInput = parse2(item)?;
    let fields = fields::of(&input)?;
    let name = &input.ident;
    let (lifetime, arguments) = lifetime(&input)?;
    let (idents, types): (Vec<_>, Vec<_>) = fields.iter().map(|field| (&field.ident, &field.ty)).unzip();
    let (columns, dropped): (Vec<_>, Vec<_>) = fields.iter().map(|field| (&field.column, field.dropped)).unzip();
    let positions = (0..fields.len()).map(syn::Index::from);
    Ok(quote! {
        impl<#lifetime> ::wasmill_plugin::record::InputRecord<#lifetime> for #name #arguments {
            type Columns = (#(<#types as ::wasmill_plugin::record::Cell<#lifetime>>::Column,)*);

            fn fields() -> ::std::vec::Vec<::wasmill_plugin::record::InputField> {
                ::std::vec![#(::wasmill_plugin::record::InputField {
                    name: #columns,
                    data_type: <#types as ::wasmill_plugin::record::Cell<#lifetime>>::data_type(),
                    dropped: #dropped,
                },)*]
            }

            fn columns(batch: &#lifetime ::wasmill_plugin::Batch) -> ::core::result::Result<Self::Columns, ::wasmill_plugin::Refusal> {
                ::core::result::Result::Ok((#(<#types as ::wasmill_plugin::record::Cell<#lifetime>>::column(batch, #columns)?,)*))
            }

            #[inline]
            fn read(columns: &Self::Columns, row: usize) -> ::core::result::Result<Self, ::wasmill_plugin::Reject> {
                ::core::result::Result::Ok(Self {
                    #(#idents: <#types as ::wasmill_plugin::record::Cell<#lifetime>>::required(&columns.#positions, row, #columns)?,)*
                })
            }
        }
    })
}

/// The lifetime of the batch that the rows borrow from, and the struct's generic arguments.
fn lifetime(input: &DeriveInput) -> Result<(Lifetime, TokenStream)> {
    let mut parameters = input.generics.params.iter();
    match (parameters.next(), parameters.next()) {
        (None, _) => Ok((Lifetime::new("'__batch", proc_macro2::Span::call_site()), TokenStream::new())),
        (Some(GenericParam::Lifetime(parameter)), None) => {
            let lifetime = parameter.lifetime.clone();
            let arguments = quote!(<#lifetime>);
            Ok((lifetime, arguments))
        }
        _ => {
            Err(Error::new_spanned(&input.generics, "an input record has at most one lifetime, that of the batch, and no other parameter"))
        }
    }
}
