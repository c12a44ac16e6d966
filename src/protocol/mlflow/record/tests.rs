//! What becomes of records, and what of answers.

use proptest::prelude::*;

use super::*;
use crate::model::batch::Body;
use crate::model::tensor::{Elements, Tensor};

fn signature(inputs: &str) -> Signature {
    Signature::parse(Some(inputs), None, None).unwrap()
}

fn abalone() -> Signature {
    signature(
        r#"[{"type": "string", "name": "sex", "required": true}, {"type": "double", "name": "length", "required": true},
            {"type": "long", "name": "rings", "required": false}, {"type": "boolean", "name": "alive", "required": false},
            {"type": "datetime", "name": "caught", "required": false}]"#,
    )
}

fn decoded(form: Form, body: &str, signature: &Signature) -> Result<Decoded, String> {
    let codec = JsonCodec::default();
    let decoded = decode(&codec, body.as_bytes(), form, signature, Limits::default());
    decoded.map_err(|error| error.message().to_owned())
}

/// A record is what this body of `/invocations` is.
fn check(form: Form, record: &str, body: &str, signature: &Signature) {
    let wanted = JsonCodec::default().decode(body.as_bytes(), signature, Limits::default());
    let wanted = wanted.unwrap_or_else(|error| panic!("{body}: {}", error.message()));
    assert_eq!(decoded(form, record, signature).unwrap(), wanted, "{record}");
}

fn refused(form: Form, record: &str, signature: &Signature, words: &[&str]) {
    let message = decoded(form, record, signature).expect_err(record);
    for word in words {
        assert!(message.contains(word), "{record}: {message}");
    }
}

#[test]
fn texts_become_what_the_signature_says() {
    let body = r#"{"dataframe_split": {"columns": ["sex", "length", "rings", "alive", "caught"],
        "data": [["M", 0.455, 15, true, "2024-01-02 03:04:05"]]}}"#;
    check(
        Form::Fields,
        "sex=M&length=0.455&rings=15&alive=True&caught=2024-01-02+03%3A04%3A05",
        body,
        &abalone(),
    );
    check(
        Form::Json,
        r#"{"sex": "M", "length": " 0.455 ", "rings": "15", "alive": "true", "caught": "2024-01-02 03:04:05"}"#,
        body,
        &abalone(),
    );
    check(
        Form::Json,
        r#"{"sex": "M", "length": 0.455, "rings": 15, "alive": true, "caught": "2024-01-02 03:04:05"}"#,
        body,
        &abalone(),
    );
}

#[test]
fn an_empty_field_of_a_column_that_may_be_missing_is_missing() {
    let body = r#"{"dataframe_split": {"columns": ["sex", "length"], "data": [["", 1]]}}"#;
    check(Form::Fields, "sex=&length=1&rings=&alive=", body, &abalone());
    refused(
        Form::Fields,
        "sex=M&length=",
        &abalone(),
        &["`length`", "the model needs it"],
    );
}

#[test]
fn refusals_name_the_field() {
    let signature = abalone();
    refused(
        Form::Fields,
        "sex=M&length=long",
        &signature,
        &["`length` is `long`", "0.5"],
    );
    refused(
        Form::Fields,
        "sex=M&length=1&rings=1.5",
        &signature,
        &["`rings` is `1.5`", "whole number"],
    );
    refused(
        Form::Json,
        r#"{"sex": "M", "length": 1, "alive": "maybe"}"#,
        &signature,
        &["`alive`", "true or false"],
    );
    refused(
        Form::Fields,
        "sex=M&sex=F&length=1",
        &signature,
        &["`sex`", "twice"],
    );
    refused(Form::Json, r#"{"sex": "M"}"#, &signature, &["length"]);
    refused(
        Form::Json,
        r#"{"sex": "M", "length": 1, "caught": "soon"}"#,
        &signature,
        &["caught"],
    );
    for body in ["", "{}", "[1]", "3", "{\"a\"", "null"] {
        refused(Form::Json, body, &signature, &["flat JSON object"]);
    }
    refused(Form::Fields, "", &signature, &["no fields"]);
    refused(Form::Fields, "a=%ff", &signature, &["UTF-8"]);
}

#[test]
fn columns_without_names_go_by_their_positions() {
    let tensor = signature(r#"[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3]}}]"#);
    check(
        Form::Fields,
        "2=3&0=1&1=2.5",
        r#"{"inputs": [[1.0, 2.5, 3.0]]}"#,
        &tensor,
    );
    let columns = signature(r#"[{"type": "double"}, {"type": "long"}]"#);
    check(
        Form::Fields,
        "0=1&1=2",
        r#"{"dataframe_split": {"data": [[1.0, 2]]}}"#,
        &columns,
    );
    for signature in [tensor, columns] {
        refused(Form::Fields, "0=1", &signature, &["`1` is missing"]);
        refused(
            Form::Fields,
            "length=1",
            &signature,
            &["no field `length`", "`0` to"],
        );
        refused(Form::Fields, "01=1", &signature, &["no field `01`"]);
    }
    let cube = signature(r#"[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3, 2]}}]"#);
    refused(Form::Fields, "0=1", &cube, &["[-1, 3, 2]", "/invocations"]);
}

#[test]
fn named_arrays_get_one_row_each() {
    let signature = signature(
        r#"[{"name": "a", "type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 1]}},
            {"name": "b", "type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}},
            {"name": "c", "type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]"#,
    );
    let body = r#"{"inputs": {"a": [[0.5]], "b": [3], "c": [[1.0, 2.0]]}}"#;
    check(
        Form::Json,
        r#"{"a": "0.5", "b": "3", "c": [1.0, 2.0]}"#,
        body,
        &signature,
    );
    check(Form::Fields, "a=0.5&b=3&c=[1.0,2.0]", body, &signature);
}

#[test]
fn lists_of_a_form_are_json() {
    let signature =
        signature(r#"[{"type": "array", "items": {"type": "double"}, "name": "xs", "required": true}]"#);
    let body = r#"{"dataframe_split": {"columns": ["xs"], "data": [[[1.5, 2.0]]]}}"#;
    check(Form::Fields, "xs=%5B1.5,2.0%5D", body, &signature);
    refused(Form::Fields, "xs=1,2", &signature, &["`xs`", "JSON"]);
}

#[test]
fn without_a_signature_values_are_taken_as_they_are() {
    let body = r#"{"dataframe_split": {"columns": ["a", "b"], "data": [[1, "2"]]}}"#;
    check(Form::Json, r#"{"a": 1, "b": "2"}"#, body, &Signature::default());
}

#[test]
fn other_media_are_refused() {
    assert_eq!(
        form(Some(b"Application/JSON; charset=utf-8")).unwrap(),
        Form::Json
    );
    assert_eq!(
        form(Some(b"application/x-www-form-urlencoded")).unwrap(),
        Form::Fields
    );
    for other in [None, Some(&b"text/csv"[..]), Some(b"application/jsonx")] {
        assert_eq!(form(other).unwrap_err().kind(), Kind::UnsupportedMedia);
    }
}

#[test]
fn one_row_is_answered_without_its_list_and_classes_by_name() {
    let answer = |body: Body, classes: Option<&str>| {
        let classes = classes.and_then(Classes::of_tag);
        prediction(&Batch::new(body), classes.as_ref())
            .unwrap()
            .to_string()
    };
    let one = |elements| Body::Array(Tensor::vector(elements));
    let three = || Tensor::new([1, 3].as_slice(), Elements::F64(vec![0.0, f64::NAN, 1.0])).unwrap();
    assert_eq!(answer(one(Elements::F64(vec![9.5])), None), "9.5");
    assert_eq!(answer(one(Elements::F64(vec![f64::NAN])), None), "null");
    assert_eq!(
        answer(one(Elements::Str(vec!["a".into()])), Some("x,y")),
        r#""a""#
    );
    assert_eq!(answer(one(Elements::I64(vec![1])), Some("x,y")), r#""y""#);
    assert_eq!(answer(one(Elements::F64(vec![1.0])), Some("x,y")), r#""y""#);
    assert_eq!(answer(one(Elements::I64(vec![2])), Some("x,y")), "2");
    assert_eq!(answer(Body::Array(three()), None), "[0.0,null,1.0]");
    let scores = Tensor::new([1, 3].as_slice(), Elements::F64(vec![0.0, 0.25, 0.75])).unwrap();
    let members = vec![
        ("label".into(), Tensor::vector(Elements::I64(vec![2]))),
        ("score".into(), Tensor::vector(Elements::F64(vec![1.0]))),
        ("scores".into(), scores),
    ];
    assert_eq!(
        answer(Body::Named(members), Some("x,y,z")),
        r#"{"label":"z","score":1.0,"scores":{"x":0.0,"y":0.25,"z":0.75}}"#
    );
}

proptest! {
    /// Whatever the form, a refusal or a batch of one row comes of it.
    #[test]
    fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200), json in any::<bool>()) {
        let form = if json { Form::Json } else { Form::Fields };
        let _ = decode(&JsonCodec::default(), &body, form, &abalone(), Limits::default());
    }

    /// Numbers of a form are those of JSON, to the last bit.
    #[test]
    fn numbers_of_forms_are_those_of_json(length in any::<f64>().prop_filter("finite", |x| x.is_finite()), rings in any::<i64>()) {
        let json = format!(r#"{{"sex": "é&=", "length": {length:?}, "rings": {rings}}}"#);
        let fields = format!("sex=%C3%A9%26%3D&length={length:?}&rings={rings}").replace('+', "%2B");
        prop_assert_eq!(decoded(Form::Json, &json, &abalone()), decoded(Form::Fields, &fields, &abalone()));
    }
}
