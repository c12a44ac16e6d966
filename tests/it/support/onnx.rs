//! ONNX graphs of a few operators, written as protobuf. The numbers of the fields are those of onnx.proto.

/// Types of elements.
pub const FLOAT: u8 = 1;
pub const INT64: u8 = 7;
pub const BOOL: u8 = 9;
pub const DOUBLE: u8 = 11;

/// How long an axis is.
pub enum Extent<'a> {
    Named(&'a str),
    Is(u8),
}

/// A field of bytes, shorter than 16 KiB.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = match u8::try_from(bytes.len()).unwrap_or(u8::MAX) {
        short @ 0..0x80 => vec![short],
        _ => vec![bytes.len() as u8 | 0x80, u8::try_from(bytes.len() >> 7).unwrap()],
    };
    [&[number << 3 | 2][..], &length, bytes].concat()
}

/// A field of a number below 128.
fn number(field: u8, value: u8) -> Vec<u8> {
    vec![field << 3, value]
}

/// A `NodeProto` with one output.
pub fn node(operator: &str, inputs: &[&str], output: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let inputs = inputs.iter().map(|input| field(1, input.as_bytes()));
    let ends = [field(2, output.as_bytes()), field(4, operator.as_bytes())];
    let attributes = attributes.iter().map(|attribute| field(5, attribute));
    inputs.chain(ends).chain(attributes).flatten().collect()
}

/// An `AttributeProto`, whose type is field 20 with a key of two bytes.
fn attribute(name: &str, value: &[u8], kind: u8) -> Vec<u8> {
    [&field(1, name.as_bytes())[..], value, &[0xa0, 0x01, kind]].concat()
}

/// An attribute that is a number.
pub fn int(name: &str, value: u8) -> Vec<u8> {
    attribute(name, &number(3, value), 2)
}

/// An attribute that is a graph.
pub fn subgraph(name: &str, graph: &[u8]) -> Vec<u8> {
    attribute(name, &field(6, graph), 5)
}

/// An attribute that is a list of one number.
pub fn ints(name: &str, value: u8) -> Vec<u8> {
    attribute(name, &number(8, value), 7)
}

/// A `ValueInfoProto` of a tensor.
pub fn value(name: &str, element: u8, shape: &[Extent]) -> Vec<u8> {
    let shape = shape.iter().flat_map(|extent| match extent {
        Extent::Named(name) => field(1, &field(2, name.as_bytes())),
        Extent::Is(length) => field(1, &number(1, *length)),
    });
    let tensor = [number(1, element), field(2, &shape.collect::<Vec<u8>>())].concat();
    [field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat()
}

/// A `GraphProto`.
pub fn graph(name: &str, nodes: &[Vec<u8>], inputs: &[Vec<u8>], outputs: &[Vec<u8>]) -> Vec<u8> {
    let fields = |number: u8, parts: &[Vec<u8>]| -> Vec<u8> {
        parts.iter().flat_map(|part| field(number, part)).collect()
    };
    [
        fields(1, nodes),
        field(2, name.as_bytes()),
        fields(11, inputs),
        fields(12, outputs),
    ]
    .concat()
}

/// A `ModelProto` of IR version 8, with operators of this version.
pub fn model(operators: u8, graph: &[u8]) -> Vec<u8> {
    [number(1, 8), field(7, graph), field(8, &number(2, operators))].concat()
}
