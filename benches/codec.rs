//! Decode and encode: 1, 32 and 1,000 rows of 4, 30 and 500 columns.

use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use modelsd::model::batch::{Batch, Body, Columns, Frame, Name};
use modelsd::model::signature::Signature;
use modelsd::model::tensor::{Elements, Tensor};
use modelsd::protocol::{Codecs, Limits, Media, Reply};

const ROWS: [usize; 3] = [1, 32, 1_000];
const COLUMNS: [usize; 3] = [4, 30, 500];

/// A reproducible number with as many digits as measurements have.
fn number(row: usize, column: usize) -> f64 {
    let mixed = (row as u64 * 31 + column as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    mixed as f64 / 1e4
}

fn rows(rows: usize, columns: usize) -> String {
    let mut text = String::from("[");
    for row in 0..rows {
        text.push_str(if row == 0 { "[" } else { ", [" });
        for column in 0..columns {
            let comma = if column == 0 { "" } else { ", " };
            write!(text, "{comma}{}", number(row, column)).unwrap();
        }
        text.push(']');
    }
    text + "]"
}

fn names(columns: usize) -> Vec<String> {
    (0..columns).map(|column| format!("feature_{column}")).collect()
}

fn column_signature(columns: usize) -> Signature {
    let specs: Vec<String> = names(columns)
        .iter()
        .map(|name| format!(r#"{{"type": "double", "name": "{name}", "required": true}}"#))
        .collect();
    Signature::parse(Some(&format!("[{}]", specs.join(", "))), None, None).unwrap()
}

fn tensor_signature(columns: usize) -> Signature {
    let text =
        format!(r#"[{{"type": "tensor", "tensor-spec": {{"dtype": "float32", "shape": [-1, {columns}]}}}}]"#);
    Signature::parse(Some(&text), None, None).unwrap()
}

fn decode(criterion: &mut Criterion) {
    let codecs = Codecs::new(false);
    for columns in COLUMNS {
        let (tensor, table) = (tensor_signature(columns), column_signature(columns));
        for count in ROWS {
            let data = rows(count, columns);
            let header = names(columns);
            let csv_rows = data
                .trim_matches(|c| c == '[' || c == ']')
                .replace("], [", "\n")
                .replace(", ", ",");
            let cases = [
                (
                    "json_inputs",
                    Media::Json,
                    &tensor,
                    format!(r#"{{"inputs": {data}}}"#),
                ),
                (
                    "json_split",
                    Media::Json,
                    &table,
                    format!(r#"{{"dataframe_split": {{"columns": {header:?}, "data": {data}}}}}"#),
                ),
                (
                    "csv",
                    Media::Csv,
                    &table,
                    format!("{}\n{csv_rows}\n", header.join(",")),
                ),
            ];
            for (case, media, signature, body) in cases {
                let mut group = criterion.benchmark_group(format!("decode/{case}"));
                group.throughput(Throughput::Bytes(body.len() as u64));
                group.bench_function(
                    BenchmarkId::from_parameter(format!("{count}x{columns}")),
                    |bench| {
                        bench.iter(|| {
                            codecs
                                .of(media)
                                .decode(black_box(body.as_bytes()), signature, Limits::default())
                                .unwrap()
                        });
                    },
                );
                group.finish();
            }
        }
    }
}

fn encode(criterion: &mut Criterion) {
    let codecs = Codecs::new(false);
    for columns in COLUMNS {
        for count in ROWS {
            let values: Vec<f32> = (0..count * columns)
                .map(|at| number(at / columns, at % columns) as f32)
                .collect();
            let matrix = Tensor::new([count, columns].as_slice(), Elements::F32(values)).unwrap();
            let names: Vec<Name> = names(columns)
                .iter()
                .map(|name| Name::from(name.as_str()))
                .collect();
            let frame = Frame::new(count, names.into(), Columns::Matrix(matrix.clone())).unwrap();
            let cases = [
                (
                    "named",
                    Batch::new(Body::Named(vec![(Arc::from("variable"), matrix)])),
                ),
                ("frame", Batch::new(Body::Frame(frame))),
            ];
            for (case, batch) in cases {
                let mut group = criterion.benchmark_group(format!("encode/{case}"));
                group.throughput(Throughput::Elements((count * columns) as u64));
                group.bench_function(
                    BenchmarkId::from_parameter(format!("{count}x{columns}")),
                    |bench| {
                        let mut out = Vec::new();
                        bench.iter(|| {
                            out.clear();
                            codecs
                                .of(Media::Json)
                                .encode(black_box(&batch), Reply::Wrapped, &mut out)
                                .unwrap();
                            out.len()
                        });
                    },
                );
                group.finish();
            }
        }
    }
}

criterion_group!(benches, decode, encode);
criterion_main!(benches);
