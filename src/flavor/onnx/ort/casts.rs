//! 16-bit floats in and out of ONNX Runtime.
//!
//! The binding hands out and takes only element types it has a Rust type for, and these it has not as it is compiled
//! here. ONNX Runtime itself casts between them and `float32`, so that is what does it: a graph of one `Cast` node for
//! each direction. Values pass unchanged, since both sorts are subsets of `float32`.

use half::f16;
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, TensorRef};

use crate::flavor::PredictError;
use crate::model::tensor::{Elements, Tensor};

use super::super::element::Element;
use super::super::feed::Feed;
use super::super::runtime::Runtime;
use super::super::shape_output::tensor;
use super::failed;
use super::read::extents;

/// `TensorProto.DataType` of ONNX.
const FLOAT: u8 = 1;
const FLOAT16: u8 = 10;
const BFLOAT16: u8 = 16;

/// Sessions that cast, one a direction and type.
#[derive(Debug)]
pub(super) struct Casts {
    to_f16: Session,
    to_bf16: Session,
    from_f16: Session,
    from_bf16: Session,
}

impl Casts {
    pub(super) fn new(runtime: &Runtime) -> Result<Casts, ort::Error> {
        let session = |from, to| {
            let mut builder = Session::builder(&runtime.environment)?
                .with_intra_threads(1)
                .map_err(|error| ort::Error::new(error.message().to_owned()))?;
            builder.commit_from_memory(&cast_model(from, to))
        };
        Ok(Casts {
            to_f16: session(FLOAT, FLOAT16)?,
            to_bf16: session(FLOAT, BFLOAT16)?,
            from_f16: session(FLOAT16, FLOAT)?,
            from_bf16: session(BFLOAT16, FLOAT)?,
        })
    }

    /// A feed as a value of 16-bit floats.
    pub(super) fn narrow<'v>(
        &mut self,
        feed: &Feed<'_>,
        wanted: Element,
    ) -> Result<SessionInputValue<'v>, PredictError> {
        let widened: Vec<f32>;
        let (session, elements) = match feed.elements {
            Elements::F16(elements) => {
                widened = elements.iter().copied().map(f16::to_f32).collect();
                (&mut self.to_f16, widened.as_slice())
            }
            Elements::F32(elements) if wanted == Element::BF16 => (&mut self.to_bf16, elements.as_slice()),
            other => {
                return Err(PredictError::Engine(format!(
                    "{} is no 16-bit float",
                    other.dtype()
                )));
            }
        };
        let value = TensorRef::from_array_view((feed.shape.as_slice(), elements)).map_err(failed)?;
        let outputs = session.run([SessionInputValue::from(value)]).map_err(failed)?;
        match outputs.into_iter().next() {
            Some((_, value)) => Ok(value.into()),
            None => Err(PredictError::Engine("a cast gave nothing".into())),
        }
    }

    /// A value of 16-bit floats as a tensor: `float16` stays, `bfloat16` becomes `float32`.
    pub(super) fn widen(&mut self, value: &DynValue, element: Element) -> Result<Tensor, PredictError> {
        let session = if element == Element::F16 {
            &mut self.from_f16
        } else {
            &mut self.from_bf16
        };
        let outputs = session.run([SessionInputValue::from(value)]).map_err(failed)?;
        let Some((_, value)) = outputs.into_iter().next() else {
            return Err(PredictError::Engine("a cast gave nothing".into()));
        };
        let (shape, elements) = value.try_extract_tensor::<f32>().map_err(failed)?;
        let elements = match element {
            Element::F16 => Elements::F16(elements.iter().copied().map(f16::from_f32).collect()),
            _ => Elements::F32(elements.to_vec()),
        };
        tensor(extents(shape), elements)
    }
}

/// The file of a graph `y = Cast(x)`, for `x` of any shape.
fn cast_model(from: u8, to: u8) -> Vec<u8> {
    // Messages as in onnx.proto3: a field is its number and wire type, then its length or value; all are short.
    let text = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
    let number = |number: u8, value: u8| vec![number << 3, value];
    let port = |field: u8, name: &[u8], kind: u8| {
        let kind = text(2, &text(1, &number(1, kind)));
        text(field, &[text(1, name), kind].concat())
    };
    const INT: u8 = 2;
    // AttributeProto { name = 1; i = 3; type = 20 }: the last needs a key of two bytes.
    let attribute = [text(1, b"to"), number(3, to), vec![0xa0, 0x01, INT]].concat();
    let node = [
        text(1, b"x"),
        text(2, b"y"),
        text(4, b"Cast"),
        text(5, &attribute),
    ]
    .concat();
    let graph = [
        text(1, &node),
        text(2, b"cast"),
        port(11, b"x", from),
        port(12, b"y", to),
    ]
    .concat();
    // IR version 8 and operator set 17: old enough for every runtime we load, new enough for bfloat16.
    [number(1, 8), text(7, &graph), text(8, &number(2, 17))].concat()
}
