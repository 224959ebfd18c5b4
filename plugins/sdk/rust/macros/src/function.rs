//! The attribute `record`: a plugin built from a function of one record.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::{format_ident, quote};
use syn::{Error, Expr, FnArg, ItemFn, MetaNameValue, Result, ReturnType, Type, parse2};

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let documentation = documentation(arguments)?;
    let function: ItemFn = parse2(item)?;
    let signature = &function.sig;
    let types = signature.inputs.iter().map(argument_type).collect::<Result<Vec<_>>>()?;
    let (input, config) = match types.as_slice() {
        [input] => (input, None),
        [input, Type::Reference(config)] => (input, Some(&config.elem)),
        [_, other] => return Err(Error::new_spanned(other, "the second argument is a reference to the configuration: `config: &Config`")),
        _ => return Err(Error::new_spanned(signature, "a function of a record takes the record and, if need be, `config: &Config`")),
    };
    let ReturnType::Type(_, answer) = &signature.output else {
        return Err(Error::new_spanned(
            signature,
            "a function of a record returns a bool, a record, an Option or Vec of it, or a Result of these",
        ));
    };
    let (input, answer) = (with_inferred_lifetimes(quote!(#input)), with_inferred_lifetimes(quote!(#answer)));
    let name = &signature.ident;
    let plugin = format_ident!("{}Plugin", camel_case(&name.to_string()), span = name.span());
    let (config_type, call) = match config {
        Some(config) => (quote!(#config), quote!(#name(row, &self.config))),
        None => (quote!(::wasmill_plugin::record::NoConfig), quote!(#name(row))),
    };
    let visibility = &function.vis;
    let comment = format!("The plugin that [`{name}`] defines.");
    Ok(quote! {
        #function

        #[doc = #comment]
        #visibility struct #plugin {
            #[allow(dead_code)]
            config: #config_type,
        }

        impl ::wasmill_plugin::Transform for #plugin {
            type Config = #config_type;

            fn plan(
                config: #config_type,
                plan: &mut ::wasmill_plugin::Plan,
            ) -> ::core::result::Result<Self, ::wasmill_plugin::Refusal> {
                ::wasmill_plugin::record::plan::<#input, #answer>(plan);
                ::core::result::Result::Ok(Self { config })
            }

            fn process(
                &mut self,
                batch: &::wasmill_plugin::Batch,
                out: &mut ::wasmill_plugin::Output<'_>,
            ) -> ::core::result::Result<(), ::wasmill_plugin::Refusal> {
                ::wasmill_plugin::record::process::<#input, #answer>(batch, out, |row| #call)
            }
        }

        ::wasmill_plugin::transform!(#plugin, documentation = #documentation);
    })
}

/// A type with its named lifetimes, which are the function's own, written as `'_`.
fn with_inferred_lifetimes(tokens: TokenStream) -> TokenStream {
    let mut after_quote = false;
    let inferred = tokens.into_iter().map(|token| {
        let lifetime = std::mem::replace(&mut after_quote, matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '\''));
        match token {
            TokenTree::Ident(ident) if lifetime && ident != "static" => TokenTree::Ident(Ident::new("_", ident.span())),
            TokenTree::Group(group) => TokenTree::Group(Group::new(group.delimiter(), with_inferred_lifetimes(group.stream()))),
            other => other,
        }
    });
    inferred.collect()
}

fn argument_type(argument: &FnArg) -> Result<Type> {
    match argument {
        FnArg::Typed(argument) => Ok((*argument.ty).clone()),
        FnArg::Receiver(receiver) => Err(Error::new_spanned(receiver, "a function of a record has no self")),
    }
}

fn documentation(arguments: TokenStream) -> Result<TokenStream> {
    if arguments.is_empty() {
        return Ok(quote!(env!("CARGO_PKG_DESCRIPTION")));
    }
    let argument: MetaNameValue = parse2(arguments)?;
    if !argument.path.is_ident("documentation") {
        return Err(Error::new_spanned(&argument.path, "expected `documentation = …`"));
    }
    let value: Expr = argument.value;
    Ok(quote!(#value))
}

fn camel_case(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    for word in name.trim_start_matches("r#").split('_') {
        let mut characters = word.chars();
        camel.extend(characters.next().into_iter().flat_map(char::to_uppercase));
        camel.push_str(characters.as_str());
    }
    camel
}
