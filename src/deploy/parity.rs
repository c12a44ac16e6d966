//! Parity: recorded requests of the original library, asked again here, and how far the answers differ.
//!
//! A model directory may hold `cases.jsonl`, one JSON object a line: `{"id": …, "request": BODY, "status": 200,
//! "response": TEXT}`, as `scripts/capture_cases.py` writes it. `request` is the text of a JSON body, or the body itself.
//! A version whose answers differ by more than is tolerated does not go live.

mod compare;

use std::fmt;
use std::sync::Arc;

use serde_json::Value as Json;

use super::sample::ReadBody;
use crate::artifact::ArtifactDir;
use crate::flavor::Predictor;
use crate::model::signature::Signature;

/// The file of recorded cases in a model directory.
pub const FILE: &str = "cases.jsonl";
/// A file of cases may be this long.
pub const MAX_BYTES: u64 = 64 << 20;
/// Cases read of a file.
const MAX_CASES: usize = 10_000;

/// Answers a request body as the server would, with this predictor.
pub type Answer = Arc<dyn Fn(&mut dyn Predictor, &[u8], &Signature) -> Result<Vec<u8>, String> + Send + Sync>;

/// The server's own protocol, as far as proving a version needs it.
#[derive(Clone)]
pub struct Wire {
    /// Reads a request.
    pub read: ReadBody,
    /// Reads, predicts, and writes the answer.
    pub answer: Answer,
}

/// A recorded request and what the original answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Its name in messages.
    pub id: String,
    /// The body of the request.
    pub request: String,
    /// The answer; `None` where the original refused the request.
    pub response: Option<Json>,
}

/// How the answers compare.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parity {
    /// Cases asked.
    pub cases: usize,
    /// Cases answered with the very same values.
    pub equal: usize,
    /// Requests that one of the two refuses and the other answers.
    pub refused_otherwise: usize,
    /// The largest difference of two numbers, relative to the larger of 1 and the original's; infinite where texts, types
    /// or shapes differ, or a request is refused that the original answers.
    pub largest_difference: f64,
    /// The case with it, and both answers, cut short.
    pub worst: Option<String>,
}

impl fmt::Display for Parity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} of {} recorded answers are the same, the largest difference is {:.3e}",
            self.equal, self.cases, self.largest_difference
        )?;
        if self.refused_otherwise > 0 {
            write!(
                out,
                ", {} requests are refused by one alone",
                self.refused_otherwise
            )?;
        }
        match &self.worst {
            Some(worst) => write!(out, "; {worst}"),
            None => Ok(()),
        }
    }
}

/// The recorded cases of a model directory; `None` where there are none.
///
/// # Errors
/// When there is a file that cannot be read, or holds something else.
pub fn recorded(dir: &ArtifactDir) -> Result<Option<Vec<Case>>, String> {
    // Only names that were listed are opened, so that none leads out of the directory.
    let Some(entry) = dir.files().iter().find(|entry| entry.path == FILE) else {
        return Ok(None);
    };
    if entry.bytes > MAX_BYTES {
        return Err(format!(
            "`{FILE}` has {} bytes, at most {MAX_BYTES} are read",
            entry.bytes
        ));
    }
    let text = std::fs::read_to_string(dir.path().join(FILE))
        .map_err(|error| format!("cannot read `{FILE}`: {error}"))?;
    read(&text).map(Some)
}

/// Reads cases, one JSON object a line.
///
/// # Errors
/// When a line is none; names it.
pub fn read(text: &str) -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    for (number, line) in lines {
        if cases.len() == MAX_CASES {
            return Err(format!("more than {MAX_CASES} cases"));
        }
        cases.push(case(number + 1, line).map_err(|problem| format!("line {}: {problem}", number + 1))?);
    }
    Ok(cases)
}

fn case(number: usize, line: &str) -> Result<Case, String> {
    let line: Json = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let id = match line.get("id") {
        Some(Json::String(id)) => id.clone(),
        Some(id) => id.to_string(),
        None => format!("line {number}"),
    };
    let request = match line.get("request") {
        Some(Json::String(body)) => body.clone(),
        Some(body) => body.to_string(),
        None => return Err("no `request`".into()),
    };
    let status = line.get("status").and_then(Json::as_u64).unwrap_or(200);
    let response = match line.get("response") {
        _ if status != 200 => None,
        Some(Json::String(text)) => {
            Some(compare::parse(text).ok_or_else(|| "`response` is not JSON".to_string())?)
        }
        Some(answer) => Some(answer.clone()),
        None => return Err("no `response`".into()),
    };
    Ok(Case {
        id,
        request,
        response,
    })
}

/// Asks every case and compares.
pub fn check(
    predictor: &mut dyn Predictor,
    signature: &Signature,
    cases: &[Case],
    answer: &Answer,
) -> Parity {
    let mut parity = Parity::default();
    for case in cases {
        parity.cases += 1;
        let got = answer(predictor, case.request.as_bytes(), signature);
        match (&case.response, got) {
            (None, Err(_)) => parity.equal += 1,
            (None, Ok(_)) => parity.refused_otherwise += 1,
            (Some(_), Err(problem)) => {
                parity.refused_otherwise += 1;
                parity.worse(f64::INFINITY, || {
                    format!("case `{}` is refused: {}", case.id, short(&problem))
                });
            }
            (Some(wanted), Ok(text)) => {
                let text = String::from_utf8_lossy(&text);
                let difference =
                    compare::parse(&text).map_or(f64::INFINITY, |got| compare::difference(&got, wanted));
                if difference == 0.0 {
                    parity.equal += 1;
                } else {
                    parity.worse(difference, || {
                        let wanted = wanted.to_string();
                        format!(
                            "case `{}` is answered {} instead of {}",
                            case.id,
                            short(&text),
                            short(&wanted)
                        )
                    });
                }
            }
        }
    }
    parity
}

impl Parity {
    fn worse(&mut self, difference: f64, worst: impl FnOnce() -> String) {
        if difference > self.largest_difference || self.worst.is_none() {
            self.largest_difference = difference;
            self.worst = Some(worst());
        }
    }
}

fn short(text: &str) -> String {
    const LIMIT: usize = 120;
    if text.chars().count() <= LIMIT {
        return text.to_owned();
    }
    text.chars().take(LIMIT).chain("…".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flavor::PredictError;
    use crate::model::batch::{Batch, Body};
    use crate::model::value::Value;

    struct Nothing;

    impl Predictor for Nothing {
        fn predict(&mut self, _input: &Batch) -> Result<Batch, PredictError> {
            Ok(Batch::new(Body::Value(Value::Null)))
        }
    }

    /// Answers every request with its own text, and refuses `no`.
    fn echo() -> Answer {
        Arc::new(|_, body, _| match body {
            b"no" => Err("no".into()),
            body => Ok(body.to_vec()),
        })
    }

    fn check_lines(lines: &str) -> Parity {
        check(
            &mut Nothing,
            &Signature::default(),
            &read(lines).unwrap(),
            &echo(),
        )
    }

    #[test]
    fn equal_answers_have_no_difference() {
        let parity = check_lines(
            "{\"request\": {\"predictions\": [1.5]}, \"response\": \"{\\\"predictions\\\": [1.5]}\"}\n\n\
             {\"request\": \"no\", \"status\": 400}\n\
             {\"request\": \"[NaN, -Infinity]\", \"response\": \"[NaN, -Infinity]\"}\n",
        );
        assert_eq!(
            (parity.cases, parity.equal, parity.largest_difference),
            (3, 3, 0.0),
            "{parity}"
        );
    }

    #[test]
    fn the_worst_answer_is_named() {
        let parity = check_lines(
            "{\"request\": [1.0], \"response\": [1.0000001]}\n{\"id\": \"b\", \"request\": [200.0], \"response\": [100.0]}\n\
             {\"request\": [1.0], \"status\": 400}",
        );
        assert_eq!((parity.equal, parity.refused_otherwise), (0, 1));
        assert_eq!(parity.largest_difference, 1.0);
        assert!(
            parity
                .to_string()
                .contains("case `b` is answered [200.0] instead of [100.0]"),
            "{parity}"
        );
        let refused = check_lines("{\"request\": \"no\", \"response\": [1]}");
        assert_eq!(refused.largest_difference, f64::INFINITY);
    }

    #[test]
    fn a_line_that_is_no_case_is_named() {
        let problem = |text: &str| read(text).unwrap_err();
        assert_eq!(problem("{\"request\": []}"), "line 1: no `response`");
        assert_eq!(problem("\n{\"response\": []}"), "line 2: no `request`");
        assert!(problem("x").starts_with("line 1: expected value"));
        assert_eq!(
            problem("{\"request\": [], \"response\": \"x\"}"),
            "line 1: `response` is not JSON"
        );
    }
}
