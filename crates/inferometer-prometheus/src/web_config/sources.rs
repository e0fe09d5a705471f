//! A `web.yml` and the files that it names, as they were at some time.

use super::error::WebConfigError;
use super::file::{self, File, Tls};
use std::io::Read;
use std::path::{Path, PathBuf};

/// No certificate or key is larger, nor is any `web.yml`.
const LARGEST: u64 = 1 << 20;

/// Where it is read from.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) web: PathBuf,
    pub(super) token: Option<PathBuf>,
}

/// What was read, to be compared with what is read later.
#[derive(PartialEq)]
pub(super) struct Sources {
    web: Vec<u8>,
    pub(super) token: Option<Vec<u8>>,
    pub(super) tls: Option<TlsSources>,
}

/// What a server of TLS needs, as PEM.
#[derive(PartialEq)]
pub(super) struct TlsSources {
    pub(super) certificates: Vec<u8>,
    pub(super) key: Vec<u8>,
    pub(super) client_authorities: Option<Vec<u8>>,
}

/// Reads a `web.yml` and what it names; relative paths are relative to it. A token's file stands beside it.
pub(super) fn read(places: &Places) -> Result<(File, Sources), WebConfigError> {
    let path = places.web.as_path();
    let web = read_file(path, None)?;
    let file = file::parse(&web).map_err(|malformed| WebConfigError::Malformed {
        path: path.to_owned(),
        line: malformed.line,
        message: malformed.message,
    })?;
    let tls = file.tls_server_config.as_ref().map(|tls| read_tls(path, tls)).transpose()?;
    let token = places.token.as_deref().map(read_token).transpose()?;
    Ok((file, Sources { web, token, tls }))
}

/// A token, without the end of its line. What it may have is what a header can carry (RFC 6750).
fn read_token(path: &Path) -> Result<Vec<u8>, WebConfigError> {
    let token = read_file(path, None)?.trim_ascii().to_vec();
    if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
        return Err(WebConfigError::Token { path: path.to_owned() });
    }
    Ok(token)
}

fn read_tls(path: &Path, tls: &Tls) -> Result<TlsSources, WebConfigError> {
    let either = |inline: &Option<String>, file: &Option<String>, names: [&'static str; 2]| {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        match (given(inline), given(file)) {
            (Some(_), Some(_)) => {
                let message = format!("it cannot be given together with {}", names[0]);
                Err(WebConfigError::field(path, names[1], message))
            }
            (Some(inline), None) => Ok(Some(inline.into_bytes())),
            (None, Some(file)) => {
                let directory = path.parent().unwrap_or(Path::new(""));
                read_file(&directory.join(file), Some(names[1])).map(Some)
            }
            (None, None) => Ok(None),
        }
    };
    let needed = |found: Option<Vec<u8>>, names: [&'static str; 2]| {
        found.ok_or_else(|| WebConfigError::field(path, names[1], format!("either this or {} is needed", names[0])))
    };
    let cert = ["tls_server_config.cert", "tls_server_config.cert_file"];
    let key = ["tls_server_config.key", "tls_server_config.key_file"];
    let client_ca = ["tls_server_config.client_ca", "tls_server_config.client_ca_file"];
    Ok(TlsSources {
        certificates: needed(either(&tls.cert, &tls.cert_file, cert)?, cert)?,
        key: needed(either(&tls.key, &tls.key_file, key)?, key)?,
        client_authorities: either(&tls.client_ca, &tls.client_ca_file, client_ca)?,
    })
}

fn read_file(path: &Path, field: Option<&'static str>) -> Result<Vec<u8>, WebConfigError> {
    let read = || {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LARGEST {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    };
    read().map_err(|source| WebConfigError::Read { path: path.to_owned(), field, source })
}
