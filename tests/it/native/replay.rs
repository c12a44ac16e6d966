//! Replays the recorded requests of a model directory and compares the answers.

use std::num::NonZeroUsize;
use std::path::Path;

use modelsd::flavor::{Config, Predictor, Source, load, loaders};
use modelsd::model::mlmodel::MlModel;
use modelsd::model::signature::Signature;
use modelsd::protocol::{Codec, Codecs, Limits, Media};
use serde_json::Value as Json;

/// How much an answer may differ from that of the original library.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tolerance {
    /// Not at all.
    Exact,
    /// Two units in the last place of `float32`.
    Single,
    /// Two units in the last place of `float64`.
    Double,
    /// So much, relative to the larger value if that is above one.
    Relative(f64),
}

impl Tolerance {
    /// As it stands in `index.json`: `exact`, `ulp32`, `ulp64` or a number.
    pub fn parse(text: &str) -> Tolerance {
        match text {
            "exact" => Tolerance::Exact,
            "ulp32" => Tolerance::Single,
            "ulp64" => Tolerance::Double,
            number => Tolerance::Relative(number.parse().unwrap()),
        }
    }

    fn allows(self, got: f64, wanted: f64) -> bool {
        if got == wanted || (got.is_nan() && wanted.is_nan()) {
            return true;
        }
        match self {
            Tolerance::Exact => false,
            Tolerance::Single => apart(
                i64::from((got as f32).to_bits() as i32),
                i64::from((wanted as f32).to_bits() as i32),
                i64::from(i32::MIN),
            ),
            Tolerance::Double => apart(got.to_bits() as i64, wanted.to_bits() as i64, i64::MIN),
            Tolerance::Relative(share) => {
                (got - wanted).abs() <= share * got.abs().max(wanted.abs()).max(1.0)
            }
        }
    }
}

/// Whether two floats, given as the integers with their bits, are at most two steps apart.
fn apart(got: i64, wanted: i64, lowest: i64) -> bool {
    let ordered = |bits: i64| {
        if bits >= 0 {
            i128::from(bits)
        } else {
            i128::from(lowest) - i128::from(bits)
        }
    };
    (ordered(got) - ordered(wanted)).abs() <= 2
}

/// A recorded request and its answer.
pub struct Case {
    /// Its name.
    pub id: String,
    /// The body, JSON unless `media` says otherwise.
    pub request: String,
    /// 200 or 400.
    pub status: u64,
    /// The body of the answer; empty for an error.
    pub response: String,
}

/// The cases of a file with one JSON object a line.
pub fn cases(path: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines()
        .map(|line| {
            let case: Json = serde_json::from_str(line).unwrap();
            let text = |key: &str| case[key].as_str().unwrap_or_default().to_owned();
            Case {
                id: text("id"),
                request: text("request"),
                status: case["status"].as_u64().unwrap_or(200),
                response: text("response"),
            }
        })
        .collect()
}

/// A loaded model and what it takes.
pub struct Model {
    predictor: Box<dyn Predictor>,
    signature: Signature,
}

impl Model {
    /// Loads a directory.
    pub fn open(dir: &Path, config: &Config) -> Result<Model, String> {
        let mlmodel = MlModel::parse(&std::fs::read_to_string(dir.join("MLmodel")).unwrap()).unwrap();
        let source = Source {
            dir,
            mlmodel: &mlmodel,
        };
        let mut loaded =
            load(&loaders(config), source, NonZeroUsize::MIN).map_err(|error| error.to_string())?;
        Ok(Model {
            predictor: loaded.predictors.pop().unwrap(),
            signature: mlmodel.signature.clone(),
        })
    }

    /// The text of the answer, or why there is none.
    pub fn answer(&mut self, request: &str) -> Result<String, String> {
        let codecs = Codecs::new(false);
        let codec: &dyn Codec = codecs.of(Media::Json);
        let decoded = codec
            .decode(request.as_bytes(), &self.signature, Limits::default())
            .map_err(|error| error.to_string())?;
        let output = self
            .predictor
            .predict(&decoded.batch)
            .map_err(|error| error.to_string())?;
        let mut text = Vec::new();
        codec
            .encode(&output, decoded.reply, &mut text)
            .map_err(|error| error.to_string())?;
        Ok(String::from_utf8(text).unwrap())
    }

    /// What is wrong with the answer to a case, if anything.
    pub fn miss(&mut self, case: &Case, tolerance: Tolerance) -> Option<String> {
        let short = |text: &str| text.chars().take(150).collect::<String>();
        match (self.answer(&case.request), case.status) {
            (Err(_), 400) => None,
            (Err(why), _) => Some(format!("{}: refused: {}", case.id, short(&why))),
            (Ok(text), 400) => Some(format!("{}: answered {}", case.id, short(&text))),
            (Ok(text), _) => {
                let fine = same(&json(&text), &json(&case.response), tolerance);
                (!fine).then(|| format!("{}: {} for {}", case.id, short(&text), short(&case.response)))
            }
        }
    }
}

/// JSON with Python's `NaN` and infinities, as texts that no answer has.
fn json(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|_| {
        let quoted = text
            .replace("-Infinity", "\"-inf\"")
            .replace("Infinity", "\"inf\"")
            .replace("NaN", "\"nan\"");
        serde_json::from_str(&quoted).unwrap_or_else(|error| panic!("{error} in {text}"))
    })
}

/// Whether two answers are the same within a tolerance: types, order of keys and texts always.
pub fn same(got: &Json, wanted: &Json, tolerance: Tolerance) -> bool {
    match (got, wanted) {
        (Json::Number(x), Json::Number(y)) => {
            x.is_f64() == y.is_f64() && tolerance.allows(x.as_f64().unwrap(), y.as_f64().unwrap())
        }
        (Json::Array(x), Json::Array(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y, tolerance))
        }
        (Json::Object(x), Json::Object(y)) => {
            x.keys().eq(y.keys()) && x.iter().zip(y).all(|((_, x), (_, y))| same(x, y, tolerance))
        }
        _ => got == wanted,
    }
}
