//! Which codec reads a body, by its `Content-Type`, with MLflow's rules: case matters, and no parameter but the charset.

use crate::serve::error::{Error, Kind};

/// Media types that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Media {
    /// `application/json`
    Json,
    /// `text/csv`
    Csv,
    /// `application/vnd.apache.parquet`
    Parquet,
}

/// What MLflow appends for clients of its first version.
pub(crate) const PROTOCOL_CHANGE: &str = "IMPORTANT: The MLflow Model scoring protocol has changed in MLflow version \
    2.0. If you are seeing this error, you are likely using an outdated scoring request format. To resolve the error, \
    either update your request format or adjust your MLflow Model's requirements file to specify an older version of \
    MLflow (for example, change the 'mlflow' requirement specifier to 'mlflow==1.30.0'). If you are making a request \
    using the MLflow client (e.g. via `mlflow.pyfunc.spark_udf()`), upgrade your MLflow client to a version >= 2.0 in \
    order to use the new request format. For more information about the updated MLflow Model scoring protocol in \
    MLflow 2.0, see https://mlflow.org/docs/latest/models.html#deploy-mlflow-models.";

/// The media type of a `Content-Type` header.
///
/// # Errors
/// [`Kind::Internal`] without a header, as MLflow fails then; [`Kind::UnsupportedMedia`] for anything not read.
pub fn media(content_type: Option<&[u8]>) -> Result<Media, Error> {
    let Some(content_type) = content_type else {
        return Err(Error::new(Kind::Internal, "the request has no content type"));
    };
    // What nearly every client sends needs no taking apart.
    if content_type == b"application/json" {
        return Ok(Media::Json);
    }
    let content_type = String::from_utf8_lossy(content_type);
    let mut parts = content_type.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let mut charset = "utf-8";
    let mut unknown: Vec<&str> = Vec::new();
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        if name == "charset" {
            charset = value;
        } else if !unknown.contains(&name) {
            unknown.push(name);
        }
    }
    if !charset.eq_ignore_ascii_case("utf-8") {
        return Err(Error::new(
            Kind::UnsupportedMedia,
            "The scoring server only supports UTF-8",
        ));
    }
    if !unknown.is_empty() {
        let names = unknown.join(", ");
        let message = format!("Unrecognized content type parameters: {names}. {PROTOCOL_CHANGE}");
        return Err(Error::new(Kind::UnsupportedMedia, message));
    }
    match kind {
        "application/json" => Ok(Media::Json),
        "text/csv" => Ok(Media::Csv),
        "application/vnd.apache.parquet" => Ok(Media::Parquet),
        _ => Err(Error::new(
            Kind::UnsupportedMedia,
            format!(
                "This predictor only supports the following content types: Types: ['text/csv', 'application/json', \
                 'application/vnd.apache.parquet']. Got '{content_type}'."
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_types_are_read() {
        for (header, expected) in [
            ("application/json", Media::Json),
            ("application/json; charset=utf-8", Media::Json),
            ("application/json;charset=UTF-8", Media::Json),
            (" text/csv ; charset=utf-8", Media::Csv),
            ("application/vnd.apache.parquet", Media::Parquet),
        ] {
            assert_eq!(media(Some(header.as_bytes())).unwrap(), expected, "{header}");
        }
    }

    #[test]
    fn the_rest_is_refused() {
        for header in [
            "",
            "Application/JSON",
            "application/json;",
            "text/csv; charset=utf8",
            "text/csv; header=present",
        ] {
            assert_eq!(
                media(Some(header.as_bytes())).unwrap_err().kind(),
                Kind::UnsupportedMedia,
                "{header}"
            );
        }
        assert_eq!(media(None).unwrap_err().kind(), Kind::Internal);
    }
}
