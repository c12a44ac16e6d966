//! The two JSON decoders: wherever the one for regular requests answers, the other gives the same.

use modelsd::model::signature::Signature;
use modelsd::protocol::Limits;
use modelsd::protocol::mlflow::json::JsonCodec;
use proptest::prelude::*;

/// Signatures of every kind that regular requests are made for.
const SIGNATURES: &[Option<&str>] = &[
    None,
    Some(r#"[{"type":"double","name":"a"},{"type":"double","name":"b"},{"type":"double","name":"c"}]"#),
    Some(r#"[{"type":"float","name":"a"},{"type":"float","name":"b"}]"#),
    Some(r#"[{"type":"long","name":"a"},{"type":"long","name":"b"}]"#),
    Some(r#"[{"type":"integer","name":"a"}]"#),
    Some(r#"[{"type":"string","name":"a"}]"#),
    Some(
        r#"[{"type":"boolean","name":"a"},{"type":"integer","name":"b"},{"type":"string","name":"c"},
            {"type":"float","name":"d"}]"#,
    ),
    Some(r#"[{"type":"double","name":"a"},{"type":"datetime","name":"b"}]"#),
    Some(r#"[{"type":"double"},{"type":"double"}]"#),
    Some(r#"[{"type":"double","name":"a","required":false},{"type":"long","name":"b"}]"#),
    Some(r#"[{"type":"tensor","tensor-spec":{"dtype":"float32","shape":[-1,3]}}]"#),
    Some(r#"[{"type":"tensor","tensor-spec":{"dtype":"float64","shape":[-1,2]}}]"#),
    Some(r#"[{"type":"tensor","tensor-spec":{"dtype":"uint8","shape":[-1,2,2]}}]"#),
    Some(r#"[{"name":"a","type":"tensor","tensor-spec":{"dtype":"float32","shape":[-1,2]}}]"#),
    Some(
        r#"[{"name":"a","type":"tensor","tensor-spec":{"dtype":"int64","shape":[-1,2]}},
            {"name":"b","type":"tensor","tensor-spec":{"dtype":"float32","shape":[-1]}},
            {"name":"c","type":"tensor","tensor-spec":{"dtype":"str","shape":[-1]}}]"#,
    ),
];

fn signature(inputs: Option<&str>) -> Signature {
    Signature::parse(inputs, None, None).unwrap()
}

/// Both decoders on one body; whether the regular one answered. NaN equals itself in print.
fn agree(body: &[u8], signature: &Signature) -> bool {
    let codec = JsonCodec::default();
    let Some(regular) = codec.decode_regular(body, signature, Limits::default()) else {
        return false;
    };
    let any = codec.decode_any(body, signature, Limits::default());
    let any = any.unwrap_or_else(|error| panic!("{}: {error}", String::from_utf8_lossy(body)));
    assert_eq!(
        format!("{regular:?}"),
        format!("{any:?}"),
        "{}",
        String::from_utf8_lossy(body)
    );
    true
}

#[test]
fn usual_requests_are_regular() {
    for (signature_index, body) in [
        (
            0,
            r#"{"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"], [2.5, "y"]]}}"#,
        ),
        (
            0,
            r#"{"dataframe_split": {"index": [0, 1], "columns": ["a", "b"], "data": [[1, true], [null, false]]}}"#,
        ),
        (
            0,
            r#"{"dataframe_records": [{"a": 1, "b": 2.5}, {"a": 3, "b": 4}]}"#,
        ),
        (0, r#"{"inputs": [[1, 2, 3, 4]]}"#),
        (0, r#"{"instances": [[1.5, 2], [3, 4]]}"#),
        (
            1,
            r#"{"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1, 2.5, null], [3, 4, -0.0]]}}"#,
        ),
        (
            1,
            r#"{"dataframe_split": {"data": [[1, 2, 3]], "columns": ["c", "a", "b"]}}"#,
        ),
        (
            1,
            r#"{"dataframe_split": {"columns": ["c", "x", "a", "b"], "data": [[1, "skipped", 2, 3]]}}"#,
        ),
        (
            1,
            r#"{"dataframe_records": [{"a": 1, "b": 2, "c": 3}, {"c": 3, "b": 2, "a": null}]}"#,
        ),
        (1, r#"{"inputs": {"a": [1, 2], "c": [3, 4], "b": [5, 6.5]}}"#),
        (1, r#"{"inputs": [{"a": 1, "b": 2, "c": 3}]}"#),
        (
            1,
            r#"{"instances": [{"a": 1, "b": 2, "c": null}, {"a": 1, "b": 2, "c": 3}]}"#,
        ),
        (4, r#"{"inputs": [1, 2, 3]}"#),
        (
            4,
            r#"{"dataframe_split": {"columns": ["a"], "data": [[3000000000]]}}"#,
        ),
        (5, r#"{"inputs": ["a", "\u00e9"]}"#),
        (
            6,
            r#"{"dataframe_split": {"columns": ["a", "b", "c", "d"], "data": [[true, 1, "x", 0.1]]}}"#,
        ),
        (8, r#"{"inputs": [[1, 2], [3, 4.5]]}"#),
        (8, r#"{"dataframe_split": {"data": [[1, 2], [3, 4.5]]}}"#),
        (10, r#"{"inputs": [[1, 2, 3], [4, 5, 6]]}"#),
        (
            10,
            r#"{"dataframe_split": {"columns": ["x", "y", "z"], "data": [[1, 2, 3]]}}"#,
        ),
        (12, r#"{"inputs": [[[1, 2], [3, 255]]]}"#),
        (13, r#"{"inputs": {"a": [[1, 2]]}}"#),
        (13, r#"{"inputs": [[1, 2]]}"#),
        (14, r#"{"inputs": {"a": [[1, 2]], "b": [0.5], "c": ["x"]}}"#),
    ] {
        assert!(
            agree(body.as_bytes(), &signature(SIGNATURES[signature_index])),
            "declined: {body}"
        );
    }
}

// === generated requests ===

fn cell() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => any::<f64>().prop_filter_map("finite", |x| x.is_finite().then(|| format!("{x:?}"))),
        6 => (-1000i64..1000).prop_map(|x| x.to_string()),
        3 => any::<i64>().prop_map(|x| x.to_string()),
        3 => "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?",
        2 => Just("null".to_owned()),
        2 => any::<bool>().prop_map(|x| x.to_string()),
        2 => "[a-z0-9 .é]{0,4}".prop_map(|text| format!("\"{text}\"")),
        1 => Just(r#""\u00e9\n\u0000""#.to_owned()),
        1 => prop_oneof![Just("NaN"), Just("Infinity"), Just("-Infinity")].prop_map(str::to_owned),
        1 => Just("9223372036854775808".to_owned()),
        1 => Just("[1]".to_owned()),
    ]
}

/// Cells of one kind mostly, so that columns are regular often enough.
fn cells(count: usize) -> impl Strategy<Value = Vec<String>> {
    let numbers = prop_oneof![
        1 => prop_oneof![Just("NaN".to_owned()), Just("null".to_owned())],
        4 => any::<i32>().prop_map(|x| x.to_string()),
        4 => any::<f32>().prop_filter_map("finite", |x| x.is_finite().then(|| format!("{x:?}")))
    ];
    prop_oneof![
        3 => proptest::collection::vec(any::<i64>().prop_map(|x| x.to_string()), count),
        4 => proptest::collection::vec(numbers, count),
        2 => proptest::collection::vec(any::<bool>().prop_map(|x| x.to_string()), count),
        2 => proptest::collection::vec("[a-c\\PC]{0,3}".prop_map(|text| serde_json::to_string(&text).unwrap()), count),
        3 => proptest::collection::vec(cell(), count),
    ]
}

fn names() -> impl Strategy<Value = Vec<String>> {
    prop_oneof![
        3 => Just(vec!["a", "b", "c", "d"]),
        1 => Just(vec!["d", "c", "b", "a"]),
        1 => Just(vec!["a", "a", "b", "c"]),
        1 => Just(vec!["b", "x", "a", "c"]),
    ]
    .prop_map(|names| names.into_iter().map(str::to_owned).collect())
}

fn joined(cells: &[String]) -> String {
    cells.join(", ")
}

/// A request of `rows` rows whose columns are each mostly of one kind.
fn request() -> impl Strategy<Value = String> {
    (1usize..4, 1usize..5, names(), 0usize..10).prop_flat_map(|(rows, width, names, form)| {
        proptest::collection::vec(cells(rows), width).prop_map(move |columns| {
            let row = |row: usize| {
                columns
                    .iter()
                    .map(|column| column[row].clone())
                    .collect::<Vec<_>>()
            };
            let list = |row_index: usize| format!("[{}]", joined(&row(row_index)));
            let rows: Vec<usize> = (0..rows).collect();
            let lists = joined(&rows.iter().map(|&at| list(at)).collect::<Vec<_>>());
            let labels = joined(
                &names[..width]
                    .iter()
                    .map(|name| format!("\"{name}\""))
                    .collect::<Vec<_>>(),
            );
            let object = |at: usize| {
                let members = names
                    .iter()
                    .zip(row(at))
                    .map(|(name, cell)| format!("\"{name}\": {cell}"));
                format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
            };
            let objects = joined(&rows.iter().map(|&at| object(at)).collect::<Vec<_>>());
            let by_name = names
                .iter()
                .zip(&columns)
                .map(|(name, cells)| format!("\"{name}\": [{}]", joined(cells)));
            let by_name = by_name.collect::<Vec<_>>().join(", ");
            match form {
                0 => format!(r#"{{"dataframe_split": {{"columns": [{labels}], "data": [{lists}]}}}}"#),
                1 => format!(r#"{{"dataframe_split": {{"data": [{lists}], "columns": [{labels}]}}}}"#),
                2 => format!(r#"{{"dataframe_split": {{"data": [{lists}]}}}}"#),
                3 => format!(r#"{{"dataframe_records": [{objects}]}}"#),
                4 => format!(r#"{{"inputs": [{lists}]}}"#),
                5 => format!(r#"{{"instances": [{lists}]}}"#),
                6 => format!(r#"{{"inputs": {{{by_name}}}}}"#),
                7 => format!(r#"{{"instances": [{objects}]}}"#),
                8 => format!(r#"{{"inputs": [{objects}]}}"#),
                _ => format!(r#"{{"inputs": [{}]}}"#, joined(&columns[0])),
            }
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn both_decoders_agree(body in request()) {
        for inputs in SIGNATURES {
            agree(body.as_bytes(), &signature(*inputs));
        }
    }

    #[test]
    fn both_decoders_agree_on_damaged_requests(
        body in request(), at in any::<prop::sample::Index>(), with in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut bytes = body.into_bytes();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = with }
        for inputs in SIGNATURES {
            agree(&bytes, &signature(*inputs));
            let _ = JsonCodec::default().decode_any(&bytes, &signature(*inputs), Limits::default());
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        for inputs in SIGNATURES {
            agree(&bytes, &signature(*inputs));
            let _ = JsonCodec::default().decode_any(&bytes, &signature(*inputs), Limits::default());
        }
    }
}
