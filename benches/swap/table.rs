//! A large model: an ONNX graph that gathers rows of a constant table.

/// A graph with a table of about that many bytes, as protobuf; the fields are those of onnx.proto.
pub fn graph(size: usize, seed: u8) -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| {
        let mut out = vec![number << 3 | 2];
        varint(&mut out, bytes.len() as u64);
        out.extend_from_slice(bytes);
        out
    };
    let number = |field: u8, value: u64| {
        let mut out = vec![field << 3];
        varint(&mut out, value);
        out
    };
    let rows = size / (64 * 4);
    let raw: Vec<u8> = (0..rows * 64 * 4).map(|at| (at as u8 ^ seed) & 0x3f).collect();
    let tensor = [
        number(1, rows as u64),
        number(1, 64),
        number(2, 1),
        field(8, b"table"),
        field(9, &raw),
    ]
    .concat();
    let node = [
        field(1, b"table"),
        field(1, b"rows"),
        field(2, b"values"),
        field(4, b"Gather"),
    ]
    .concat();
    let value = |name: &[u8], kind: u64, extents: &[Option<u64>]| {
        let extents: Vec<u8> = extents
            .iter()
            .flat_map(|extent| {
                field(
                    1,
                    &extent.map_or_else(|| field(2, b"n"), |extent| number(1, extent)),
                )
            })
            .collect();
        let tensor = [number(1, kind), field(2, &extents)].concat();
        [field(1, name), field(2, &field(1, &tensor))].concat()
    };
    let graph = [
        field(1, &node),
        field(2, b"table"),
        field(5, &tensor),
        field(11, &value(b"rows", 7, &[None])),
        field(12, &value(b"values", 1, &[None, Some(64)])),
    ]
    .concat();
    [number(1, 8), field(7, &graph), field(8, &number(2, 13))].concat()
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
