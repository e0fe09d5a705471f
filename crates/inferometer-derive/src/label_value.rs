//! `#[derive(LabelValue)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Error, Fields, LitStr, Result};

pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let input: DeriveInput = syn::parse2(item)?;
    let Data::Enum(data) = &input.data else {
        return Err(Error::new_spanned(&input.ident, "LabelValue can be derived for an enum only"));
    };
    if data.variants.is_empty() {
        return Err(Error::new_spanned(&input.ident, "a label needs at least one value"));
    }
    let mut texts: Vec<LitStr> = Vec::new();
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(Error::new_spanned(variant, "a label value has no fields: it is one of a closed set"));
        }
        let text = match attribute(&variant.attrs, "value")? {
            Some(text) => text,
            None => LitStr::new(&snake_case(&variant.ident.to_string()), variant.ident.span()),
        };
        if texts.iter().any(|other| other.value() == text.value()) {
            return Err(Error::new(text.span(), format!("the value {:?} occurs twice", text.value())));
        }
        texts.push(text);
    }
    let name = &input.ident;
    let (generics, types, bounds) = input.generics.split_for_impl();
    let patterns = data.variants.iter().map(|variant| &variant.ident);
    let indices = 0..data.variants.len();
    Ok(quote! {
        impl #generics ::inferometer::LabelValue for #name #types #bounds {
            const VALUES: &'static [&'static str] = &[#(#texts),*];

            #[inline(always)]
            fn index(&self) -> usize {
                match self {
                    #(Self::#patterns => #indices,)*
                }
            }

            #[inline(always)]
            fn open_text(&self) -> ::core::option::Option<&str> {
                ::core::option::Option::None
            }
        }
    })
}

/// The string of `#[label(key = "...")]`.
pub(crate) fn attribute(attributes: &[Attribute], key: &str) -> Result<Option<LitStr>> {
    let mut found = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("label")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident(key) {
                found = Some(meta.value()?.parse()?);
                Ok(())
            } else {
                Err(meta.error(format!("only `{key} = \"...\"` is known here")))
            }
        })?;
    }
    Ok(found)
}

fn snake_case(name: &str) -> String {
    let mut text = String::new();
    for (i, letter) in name.chars().enumerate() {
        if letter.is_uppercase() && i > 0 {
            text.push('_');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn variants_become_snake_case() {
        assert_eq!(super::snake_case("ToolCalls"), "tool_calls");
        assert_eq!(super::snake_case("Ok"), "ok");
    }
}
