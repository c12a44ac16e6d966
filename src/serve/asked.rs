//! What a request asks of a route, in its headers.

use axum::http::{HeaderMap, HeaderName};

use super::error::{Error, Kind};
use crate::routing::route::{Asked, KEY_HEADER, Route, STAGE_HEADER, VERSION_HEADER};

/// Reads what the request asks of that route.
///
/// # Errors
/// [`Kind::UnknownVariant`], as for [`text`].
pub(super) fn asked<'a>(headers: &'a HeaderMap, route: &Route) -> Result<Asked<'a>, Error> {
    Ok(Asked {
        variant: text(headers, route.header())?,
        version: text(headers, &VERSION_HEADER)?,
        stage: text(headers, &STAGE_HEADER)?,
        // Any bytes: they are hashed, not read.
        key: headers.get(KEY_HEADER).map(|value| value.as_bytes()),
    })
}

/// The text of a header.
///
/// # Errors
/// [`Kind::UnknownVariant`] when it is there twice or is no text: whoever sends it counts on it.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Error> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(text) if headers.get_all(name).iter().nth(1).is_none() => Ok(Some(text.trim())),
        _ => Err(Error::new(
            Kind::UnknownVariant,
            format!("Send the header `{name}` once, in ASCII."),
        )),
    }
}
