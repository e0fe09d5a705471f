//! `#[derive(LabelSet)]`.

use crate::label_value::attribute;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::{Data, DeriveInput, Error, Fields, GenericParam, LitStr, Result};

pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let input: DeriveInput = syn::parse2(item)?;
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(&input.ident, "LabelSet can be derived for a struct only"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new_spanned(&input.ident, "LabelSet needs named fields: they are the labels"));
    };
    let mut names = Vec::new();
    for field in &fields.named {
        let ident = field.ident.as_ref().expect("fields are named");
        names.push(match attribute(&field.attrs, "name")? {
            Some(name) => name,
            None => LitStr::new(&ident.unraw().to_string(), ident.span()),
        });
    }
    let idents: Vec<_> = fields.named.iter().filter_map(|field| field.ident.as_ref()).collect();
    let types: Vec<_> = fields.named.iter().map(|field| &field.ty).collect();
    let name = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    let owner_arguments: Vec<TokenStream> = input
        .generics
        .params
        .iter()
        .map(|parameter| match parameter {
            GenericParam::Lifetime(_) => quote!('static),
            GenericParam::Type(parameter) => {
                let ident = &parameter.ident;
                quote!(#ident)
            }
            GenericParam::Const(parameter) => {
                let ident = &parameter.ident;
                quote!(#ident)
            }
        })
        .collect();
    // Checked one by one too, so that the compiler points at the field.
    let checks = names
        .iter()
        .map(|name| quote_spanned!(name.span()=> const _: () = ::inferometer::__private::assert_labels(&[#name]);));
    let fields = 0..idents.len();
    Ok(quote! {
        #(#checks)*

        impl #generics ::inferometer::LabelSet for #name #arguments #bounds {
            type Owner = #name<#(#owner_arguments),*>;

            const NAMES: &'static [&'static str] = {
                const NAMES: &[&str] = &[#(#names),*];
                const _: () = ::inferometer::__private::assert_labels(NAMES);
                NAMES
            };

            const SIZES: &'static [usize] =
                &[#(<#types as ::inferometer::LabelValue>::VALUES.len()),*];

            #[inline(always)]
            fn member(&self) -> usize {
                let mut member = 0;
                #(
                    if !<#types as ::inferometer::LabelValue>::VALUES.is_empty() {
                        member = member * <#types as ::inferometer::LabelValue>::VALUES.len()
                            + ::inferometer::LabelValue::index(&self.#idents);
                    }
                )*
                member
            }

            #[inline(always)]
            fn visit_open<'__text>(&'__text self, mut visit: impl FnMut(&'__text str)) {
                #(
                    if let ::core::option::Option::Some(text) =
                        ::inferometer::LabelValue::open_text(&self.#idents)
                    {
                        visit(text);
                    }
                )*
            }

            fn closed_text(field: usize, index: usize) -> &'static str {
                let values = match field {
                    #(#fields => <#types as ::inferometer::LabelValue>::VALUES,)*
                    _ => &[],
                };
                values.get(index).copied().unwrap_or_default()
            }
        }
    })
}
