//! `#[metric]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::parse::Parser as _;
use syn::{Error, Expr, ExprLit, ItemStatic, Lit, LitInt, LitStr, Meta, Result, StaticMutability};

#[derive(Default)]
struct Arguments {
    name: Option<LitStr>,
    unit: Option<Expr>,
    buckets: Option<Expr>,
    native: Option<Expr>,
    range: Option<Expr>,
    max_series: Option<LitInt>,
    sampling: Option<Expr>,
}

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let arguments = parse_arguments(arguments)?;
    let item: ItemStatic = syn::parse2(item).map_err(|error| {
        Error::new(error.span(), "#[metric] goes on a static: `static NAME: Counter = Counter::new();`")
    })?;
    if let StaticMutability::Mut(mutability) = &item.mutability {
        return Err(Error::new_spanned(mutability, "a metric needs no `mut`: it is recorded to through `&`"));
    }
    check_initialiser(&item.expr)?;

    let (attributes, visibility, ident, ty) = (&item.attrs, &item.vis, &item.ident, &item.ty);
    let name = arguments.name.unwrap_or_else(|| LitStr::new(&ident.to_string().to_lowercase(), ident.span()));
    let help = documentation(&item)?;
    let unit = match &arguments.unit {
        Some(unit) => quote!(::core::option::Option::Some(#unit)),
        None => quote!(::core::option::Option::None),
    };
    let max_series = match &arguments.max_series {
        Some(most) => quote!(::core::option::Option::Some(#most)),
        None => quote!(::core::option::Option::None),
    };
    let sampling = match &arguments.sampling {
        Some(sampling) => quote!(::core::option::Option::Some(#sampling)),
        None => quote!(::core::option::Option::None),
    };
    let (bounds, buckets) = match (&arguments.buckets, &arguments.native, &arguments.range) {
        (None, None, None) => (quote!(&[]), quote!(::core::option::Option::None)),
        (bounds, native, range) => {
            let mut buckets = match bounds {
                Some(_) => quote!(::inferometer::Buckets::classic(__INFEROMETER_BOUNDS)),
                None => quote!(::inferometer::Buckets::DEFAULT),
            };
            match native {
                Some(Expr::Lit(ExprLit { lit: Lit::Bool(native), .. })) if !native.value => {
                    buckets = quote!(#buckets.without_native());
                }
                Some(Expr::Lit(ExprLit { lit: Lit::Bool(_), .. })) | None => {}
                Some(schema) => buckets = quote!(#buckets.native(#schema)),
            }
            if let Some(range) = range {
                buckets = quote!({ let (low, high) = #range; #buckets.range(low, high) });
            }
            let bounds = match bounds {
                Some(Expr::Array(array)) => quote!(&#array),
                Some(bounds) => quote!(#bounds),
                None => quote!(&[]),
            };
            (bounds, quote!(::core::option::Option::Some(#buckets)))
        }
    };
    let entry = format_ident!("__{ident}_ENTRY");
    let span = name.span();
    let check = quote::quote_spanned!(span=>
        const _: () = ::inferometer::__private::assert_declared(
            #name,
            <#ty as ::inferometer::__private::DeclaredKind>::KIND,
            #unit,
            __INFEROMETER_BOUNDS,
        );
    );
    Ok(quote! {
        #(#attributes)*
        #visibility static #ident: #ty = {
            #[allow(dead_code)]
            const __INFEROMETER_BOUNDS: &[f64] = #bounds;
            #check
            static DECLARATION: ::inferometer::__private::Declaration = ::inferometer::__private::Declaration {
                name: #name,
                help: #help,
                unit: #unit,
                labels: &[],
                buckets: #buckets,
                max_series: #max_series,
                sampling: #sampling,
            };
            <#ty>::declared(&DECLARATION)
        };

        #[doc(hidden)]
        #[::inferometer::__private::linkme::distributed_slice(::inferometer::__private::DECLARATIONS)]
        #[linkme(crate = ::inferometer::__private::linkme)]
        static #entry: &'static dyn ::inferometer::__private::Declared = &#ident;
    })
}

fn parse_arguments(tokens: TokenStream) -> Result<Arguments> {
    let mut arguments = Arguments::default();
    let parser = syn::meta::parser(|meta| {
        macro_rules! take {
            ($($key:ident),*) => {{
                $(if meta.path.is_ident(stringify!($key)) {
                    if arguments.$key.is_some() {
                        return Err(meta.error(concat!("`", stringify!($key), "` is given twice")));
                    }
                    arguments.$key = Some(meta.value()?.parse()?);
                    return Ok(());
                })*
                Err(meta.error(concat!("#[metric] knows only: " $(, stringify!($key), " ")*)))
            }};
        }
        take!(name, unit, buckets, native, range, max_series, sampling)
    });
    parser.parse2(tokens)?;
    Ok(arguments)
}

/// `Type::new()`, or nothing that anyone could mistake for a value that matters.
fn check_initialiser(expr: &Expr) -> Result<()> {
    if let Expr::Call(call) = expr
        && let Expr::Path(path) = &*call.func
        && path.path.segments.last().is_some_and(|last| last.ident == "new")
        && call.args.is_empty()
    {
        return Ok(());
    }
    Err(Error::new_spanned(expr, "a metric starts empty: write `::new()` of its type"))
}

/// The documentation comment in one line.
fn documentation(item: &ItemStatic) -> Result<String> {
    let mut lines: Vec<String> = Vec::new();
    for attribute in item.attrs.iter().filter(|attribute| attribute.path().is_ident("doc")) {
        if let Meta::NameValue(pair) = &attribute.meta
            && let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &pair.value
        {
            lines.push(text.value().trim().to_owned());
        }
    }
    let text = lines.iter().take_while(|line| !line.is_empty()).cloned().collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        return Err(Error::new_spanned(
            &item.ident,
            "a metric needs a documentation comment: it is the help text of the exposition",
        ));
    }
    Ok(text)
}
