//! Bodies of scrapes, and the memory that they share.

use crate::accept::Encoding;
#[cfg(feature = "metrics-exporter")]
use crate::alongside::Alongside;
use crate::encode::{Encoder, OpenMetrics, PastLimit, Protobuf, Text};
use crate::format::Format;
use crate::namings::Namings;
use crate::rendered::{RenderError, Rendered};
use crate::request::Asked;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use inferometer::Registry;
use std::io::Write;
use std::sync::Arc;

/// What is written differs with these.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// Whether OpenMetrics says when each series began.
    pub(crate) created_samples: bool,
    /// What is served with the registry.
    #[cfg(feature = "metrics-exporter")]
    pub(crate) alongside: Option<Alongside>,
}

impl Options {
    /// The formats that a client can have.
    pub(crate) fn formats(&self) -> &'static [Format] {
        #[cfg(feature = "metrics-exporter")]
        if self.alongside.is_some() {
            return Alongside::FORMATS;
        }
        Format::ALL
    }
}

/// An encoder for each format, and the last body.
#[derive(Debug)]
pub(crate) struct Renderer {
    options: Options,
    namings: Namings,
    /// Of each, one for each naming.
    text: Vec<Encoder<Text>>,
    open_metrics: Vec<Encoder<OpenMetrics>>,
    protobuf: Vec<Encoder<Protobuf>>,
    /// The body of the last scrape. It is written over when nobody reads it any more.
    body: Arc<Vec<u8>>,
}

impl Renderer {
    pub(crate) fn new(namings: Namings, options: Options) -> Self {
        let created = options.created_samples;
        Renderer {
            text: namings.iter().map(|namings| Encoder::new(Text, namings)).collect(),
            open_metrics: namings.iter().map(|namings| Encoder::new(OpenMetrics { created }, namings)).collect(),
            protobuf: namings.iter().map(|namings| Encoder::new(Protobuf, namings)).collect(),
            body: Arc::default(),
            namings,
            options,
        }
    }

    /// Forgets all that was kept.
    pub(crate) fn forget(&mut self) {
        *self = Renderer::new(self.namings.clone(), self.options.clone());
    }

    /// Appends what was asked for, not packed.
    pub(crate) fn encode(
        &mut self,
        registry: &Registry,
        asked: &Asked,
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), PastLimit> {
        let (names, naming) = (&asked.names, asked.naming);
        match asked.media_type.format {
            Format::Text | Format::Text1 => self.text[naming].encode(registry, names, out, limit)?,
            Format::OpenMetrics | Format::OpenMetrics0 => {
                self.open_metrics[naming].encode(registry, names, out, limit)?
            }
            Format::Protobuf => self.protobuf[naming].encode(registry, names, out, limit)?,
        }
        #[cfg(feature = "metrics-exporter")]
        if let Some(alongside) = &mut self.options.alongside {
            match asked.media_type.format {
                Format::Text | Format::Text1 => {
                    alongside.text(names, |name| self.text[naming].takes(name), out, limit)?
                }
                #[cfg(feature = "metrics-exporter-protobuf")]
                Format::Protobuf => alongside.protobuf(names, |name| self.protobuf[naming].takes(name), out, limit)?,
                // Asked for by `Exporter::render_into`.
                _ => {}
            }
        }
        Ok(())
    }

    pub(crate) fn render(&mut self, registry: &Registry, asked: &Asked, limit: usize) -> Result<Rendered, RenderError> {
        let mut body = std::mem::take(&mut self.body);
        if Arc::get_mut(&mut body).is_none() {
            // Still on its way to a slow client.
            body = Arc::new(Vec::with_capacity(body.len() + body.len() / 8));
        }
        let Some(bytes) = Arc::get_mut(&mut body) else { unreachable!("it was made just now") };
        bytes.clear();
        self.encode(registry, asked, bytes, limit).map_err(|PastLimit| RenderError::TooLarge { limit })?;
        // After a removal of many series. The memory of a usual scrape is kept.
        bytes.shrink_to(2 * bytes.len() + (64 << 10));
        self.body = body;
        let (content_encoding, body) = match asked.encoding {
            Encoding::Identity => (None, Bytes::from_owner(SharedBody(Arc::clone(&self.body)))),
            Encoding::Gzip => (Some("gzip"), packed(&self.body)),
        };
        Ok(Rendered { content_type: asked.media_type.content_type(), content_encoding, body })
    }
}

/// Packs a body, quickly rather than tightly: the texts of metrics repeat themselves so much that it makes no great
/// difference.
fn packed(body: &[u8]) -> Bytes {
    let mut packer = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
    let packed = packer.write_all(body).and_then(|()| packer.finish());
    // Writing to memory does not fail.
    packed.unwrap_or_default().into()
}

/// A body that goes out while the renderer keeps a claim on its memory.
struct SharedBody(Arc<Vec<u8>>);

impl AsRef<[u8]> for SharedBody {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
