//! How long a client waits, as it says: `x-request-timeout-ms`.

use std::time::Duration;

use axum::http::HeaderValue;

use crate::serve::error::{Error, Kind};

/// The header's name.
pub(super) const NAME: &str = "x-request-timeout-ms";

/// What the header says, if there is one.
///
/// # Errors
/// [`Kind::InvalidParams`] when it is no positive number of milliseconds.
pub(super) fn patience(sent: Option<&HeaderValue>) -> Result<Option<Duration>, Error> {
    let Some(value) = sent else {
        return Ok(None);
    };
    let millis = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse::<f64>().ok());
    let patience = millis
        .filter(|millis| *millis > 0.0)
        .and_then(|millis| Duration::try_from_secs_f64(millis / 1e3).ok());
    match patience {
        Some(patience) => Ok(Some(patience)),
        None => Err(Error::new(
            Kind::InvalidParams,
            format!("The header `{NAME}` is {value:?}; use a positive number of milliseconds, such as 250."),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &'static str, expected: Result<f64, ()>) {
        let seconds =
            patience(Some(&HeaderValue::from_static(text))).map(|patience| patience.unwrap().as_secs_f64());
        assert_eq!(seconds.map_err(drop), expected, "{text}");
    }

    #[test]
    fn milliseconds_are_read_and_everything_else_is_refused() {
        assert_eq!(patience(None).unwrap(), None);
        check("250", Ok(0.25));
        check(" 0.5 ", Ok(0.0005));
        for text in ["", "0", "-1", "soon", "inf", "nan", "1e30", "1s"] {
            check(text, Err(()));
        }
    }
}
