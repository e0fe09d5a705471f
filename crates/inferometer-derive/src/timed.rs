//! `#[timed]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Expr, Result};

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let histogram: Expr = syn::parse2(arguments)
        .map_err(|error| Error::new(error.span(), "#[timed] takes the histogram: `#[timed(FORWARD_SECONDS)]`"))?;
    // A method or a function alike: only the body matters.
    let function: syn::ItemFn = syn::parse2(item)
        .map_err(|error| Error::new(error.span(), "#[timed] goes on a function or a method with a body"))?;
    if let Some(constant) = &function.sig.constness {
        return Err(Error::new_spanned(constant, "a `const fn` cannot be timed"));
    }
    let (attributes, visibility, signature, body) = (&function.attrs, &function.vis, &function.sig, &function.block);
    // In an async function the body runs from the first poll on.
    Ok(quote! {
        #(#attributes)*
        #visibility #signature {
            let __inferometer_timer = (#histogram).start();
            #body
        }
    })
}
