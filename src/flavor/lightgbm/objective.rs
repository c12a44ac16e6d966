//! Objectives: from raw scores to what is answered.

use crate::flavor::plan::steps::link::Link;
use crate::flavor::refusal::{Refusal, refuse};

use super::text::short;

/// What is done to raw scores; `None` where they are the answer. `objective` is the line of the file, empty where it has
/// none because the objective was a function of Python.
///
/// # Errors
/// For an objective that is unknown.
pub(super) fn link(objective: &str) -> Result<Option<Link>, Refusal> {
    let mut words = objective.split_ascii_whitespace();
    let name = words.next().unwrap_or_default();
    let square_root = words.clone().any(|word| word == "sqrt");
    Ok(match name {
        "regression" | "regression_l1" | "fair" | "quantile" | "mape" if square_root => {
            Some(Link::SignedSquare)
        }
        "" | "custom" | "regression" | "regression_l1" | "huber" | "fair" | "quantile" | "mape"
        | "lambdarank" | "rank_xendcg" => None,
        "poisson" | "gamma" | "tweedie" => Some(Link::Exp),
        "cross_entropy" | "xentropy" => Some(Link::Sigmoid { scale: 1.0 }),
        "cross_entropy_lambda" | "xentlambda" => Some(Link::Log1pExp),
        "multiclass" | "softmax" => Some(Link::Softmax),
        "binary" | "multiclassova" => {
            let scale = words
                .find_map(|word| word.strip_prefix("sigmoid:"))
                .and_then(number)
                .filter(|scale| *scale > 0.0);
            match scale {
                Some(scale) => Some(Link::Sigmoid { scale }),
                None => refuse!("objective `{}` has no `sigmoid` above zero", short(objective)),
            }
        }
        other => refuse!(
            "objective `{}` is not known: export the model to ONNX",
            short(other)
        ),
    })
}

/// A decimal number as LightGBM's `Atof` reads it: what stands before the point plus what stands behind it, which is
/// not always the nearest double.
fn number(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = whole.len() + fraction.len();
    // LightGBM prints six digits; more than double holds would be added up in another way.
    if !(1..=15).contains(&digits) || !whole.bytes().chain(fraction.bytes()).all(|x| x.is_ascii_digit()) {
        return None;
    }
    let parse = |digits: &str| {
        if digits.is_empty() {
            Some(0.0)
        } else {
            digits.parse::<f64>().ok()
        }
    };
    let value = parse(whole)? + parse(fraction)? / 10f64.powi(i32::try_from(fraction.len()).ok()?);
    let exponent: i32 = exponent.parse().ok().filter(|x| (-22..=22).contains(x))?;
    let scale = 10f64.powi(exponent.abs());
    Some(if exponent < 0 {
        value / scale
    } else {
        value * scale
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_decides_and_the_others_refine() {
        assert_eq!(link("").unwrap(), None);
        assert_eq!(link("regression").unwrap(), None);
        assert_eq!(link("regression sqrt").unwrap(), Some(Link::SignedSquare));
        assert_eq!(link("huber sqrt").unwrap(), None);
        assert_eq!(
            link("binary sigmoid:0.7").unwrap(),
            Some(Link::Sigmoid { scale: 0.7 })
        );
        assert_eq!(
            link("multiclassova num_class:3 sigmoid:2").unwrap(),
            Some(Link::Sigmoid { scale: 2.0 })
        );
        assert!(link("binary").is_err());
        assert!(link("binary sigmoid:-1").is_err());
        let unknown = link("other").unwrap_err().to_string();
        assert!(unknown.contains("`other` is not known"));
    }

    #[test]
    fn numbers_are_those_of_the_library() {
        assert_eq!(number("1.5"), Some(1.5));
        assert_eq!(number("1e-05"), Some(1e-05));
        assert_eq!(number("4.35"), Some(4.0 + 0.35));
        assert_eq!(number("1e22"), Some(1e22));
        assert_eq!(number("x"), None);
        assert_eq!(number(""), None);
    }
}
