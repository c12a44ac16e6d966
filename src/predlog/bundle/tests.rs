//! What is laid down is read as it was given; what has no such form is left alone.

use std::sync::LazyLock;
use std::time::UNIX_EPOCH;

use half::f16;
use proptest::prelude::*;

use super::super::alike::are_alike;
use super::super::shelves::{Offered, Shelves, Taken};
use super::*;
use crate::model::batch::{Body, Columns, Frame, Name};
use crate::model::identical::identical;
use crate::model::origin::Origin;
use crate::model::tensor::{Elements, Tensor};
use crate::model::value::Value;

static ORIGINS: LazyLock<[Arc<Origin>; 3]> = LazyLock::new(|| {
    let origin = |version: &str, variant: &str, shadow| {
        Arc::new(Origin {
            route: "r".into(),
            variant: variant.into(),
            shadow,
            model: "m".into(),
            version: version.into(),
            ..Origin::default()
        })
    };
    [
        origin("1", "", false),
        origin("2", "", true),
        origin("2", "b", false),
    ]
});

/// Elements of any type, this many.
pub(in crate::predlog) fn any_elements(count: usize) -> BoxedStrategy<Elements> {
    macro_rules! vector {
        ($kind:ident, $of:expr) => {
            proptest::collection::vec($of, count)
                .prop_map(Elements::$kind)
                .boxed()
        };
    }
    let half = any::<f32>().prop_map(f16::from_f32);
    let value = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::Int),
        any::<String>().prop_map(|text| Value::Str(text.into())),
        proptest::collection::vec(any::<u8>(), 0..4).prop_map(Value::Bytes),
        any::<f64>().prop_map(|float| Value::List(vec![Value::Float(float)])),
    ];
    prop_oneof![
        vector!(Bool, any::<bool>()),
        vector!(I8, any::<i8>()),
        vector!(I16, any::<i16>()),
        vector!(I32, any::<i32>()),
        vector!(I64, any::<i64>()),
        vector!(U8, any::<u8>()),
        vector!(U16, any::<u16>()),
        vector!(U32, any::<u32>()),
        vector!(U64, any::<u64>()),
        vector!(F16, half),
        vector!(F32, any::<f32>()),
        vector!(F64, any::<f64>()),
        vector!(Str, any::<String>()),
        vector!(
            Datetime,
            prop_oneof![
                Just(i64::MIN),
                -9_000_000_000_000_000_000i64..9_000_000_000_000_000_000
            ]
        ),
        vector!(Object, value),
    ]
    .boxed()
}

fn any_tensor(rows: usize) -> impl Strategy<Value = Tensor> {
    let inner = prop_oneof![
        4 => Just(vec![]),
        2 => (0usize..4).prop_map(|width| vec![width]),
        1 => Just(vec![2, 2]),
    ];
    inner.prop_flat_map(move |inner| {
        let shape: Vec<usize> = std::iter::once(rows).chain(inner).collect();
        let count = shape.iter().product();
        any_elements(count).prop_map(move |elements| Tensor::new(shape.as_slice(), elements).unwrap())
    })
}

fn any_body(rows: usize) -> impl Strategy<Value = Body> {
    let names = |count: i64| {
        (0..count)
            .map(Name::Index)
            .collect::<crate::model::batch::Names>()
    };
    let matrix = (1usize..4).prop_flat_map(move |width| {
        any_elements(rows * width).prop_map(move |elements| {
            let tensor = Tensor::new([rows, width].as_slice(), elements).unwrap();
            Body::Frame(Frame::new(rows, names(width as i64), Columns::Matrix(tensor)).unwrap())
        })
    });
    let separate = proptest::collection::vec(any_tensor(rows), 1..4).prop_map(move |columns| {
        let names = names(columns.len() as i64);
        Body::Frame(Frame::new(rows, names, Columns::Separate(columns)).unwrap())
    });
    let named = proptest::collection::vec(any_tensor(rows), 1..3).prop_map(|tensors| {
        let named = ["a", "b"].into_iter().zip(tensors);
        Body::Named(named.map(|(name, tensor)| (name.into(), tensor)).collect())
    });
    prop_oneof![
        any_tensor(rows).prop_map(Body::Array),
        matrix,
        separate,
        named,
        Just(Body::Value(Value::Null)),
    ]
}

fn any_record() -> impl Strategy<Value = Record> {
    let rows = prop_oneof![3 => Just(1usize), 1 => 0usize..4];
    let batches = rows.prop_flat_map(|rows| {
        let batch = || proptest::option::weighted(0.8, any_body(rows).prop_map(Batch::new));
        (Just(rows), batch(), batch())
    });
    let time = prop_oneof![9 => 0u64..5_000_000_000, 1 => any::<u64>()];
    let length = prop_oneof![9 => 0usize..50, 1 => 254usize..258];
    let request_id = length.prop_flat_map(|length| proptest::collection::vec(any::<u8>(), length));
    let request_id = proptest::option::weighted(0.7, request_id);
    let rest = (any::<u128>(), time, request_id, 0usize..3, 0u8..20);
    (batches, rest).prop_map(
        |((rows, inputs, outputs), (id, time, request_id, origin, kind))| Record {
            id: Uuid::from_u128(id),
            time: (UNIX_EPOCH + Duration::from_micros(time % 100_000_000_000_000)).into(),
            origin: Arc::clone(&ORIGINS[origin]),
            rows: if kind == 1 { rows + 1 } else { rows },
            inputs,
            outputs,
            error: None,
            timing: Timing {
                predict: Duration::from_nanos(time),
                ..Timing::default()
            },
            request_id: request_id.map(RequestId::from_vec),
            trace: None,
            assignment: if kind == 2 {
                Assignment::Weight
            } else {
                Assignment::None
            },
            routing_key: (kind == 3).then(|| "k".into()),
            sampled: kind != 4,
            traced: None,
        },
    )
}

/// Records, some of which have one form.
pub(in crate::predlog) fn any_records() -> impl Strategy<Value = Vec<Record>> {
    let again = (any_record(), 1u128..4).prop_map(|(record, times)| {
        let again = (0..times).map(|time| Record {
            id: Uuid::from_u128(record.id.as_u128().wrapping_add(time)),
            ..record.clone()
        });
        again.collect::<Vec<_>>()
    });
    proptest::collection::vec(again, 1..8).prop_map(|all| all.concat())
}

/// What lies on the shelves after these were offered, and the entries of the others.
pub(in crate::predlog) fn laid(records: &[Record]) -> (Taken, Vec<Entry>) {
    let shelves = Shelves::default();
    let mut rest = Vec::new();
    for record in records {
        let record = Box::new(record.clone());
        match shelves.offer(&record, |_| true) {
            Offered::Laid => {}
            _ => rest.push(Entry::Prediction(record)),
        }
    }
    let mut taken = Taken::default();
    let weight = shelves.take(&mut taken);
    assert_eq!(weight, taken.bundles().map(Bundle::weight).sum::<usize>());
    (taken, rest)
}

fn has_fixed_length(batch: &Batch) -> bool {
    let fits = |tensor: &Tensor| {
        tensor.row_len() > 0 && !matches!(tensor.elements(), Elements::Str(_) | Elements::Object(_))
    };
    match &batch.body {
        Body::Array(tensor) => fits(tensor),
        Body::Named(members) => members.iter().all(|(_, tensor)| fits(tensor)),
        Body::Frame(frame) => match frame.columns() {
            Columns::Matrix(matrix) => fits(matrix),
            Columns::Separate(columns) => columns.iter().all(fits),
        },
        Body::Value(_) => false,
    }
}

fn is_plain(record: &Record) -> bool {
    let mut batches = [&record.inputs, &record.outputs].into_iter().flatten();
    let fits = |batch: &Batch| has_fixed_length(batch) && batch.rows() == record.rows;
    record.sampled
        && record.rows > 0
        && record.assignment == Assignment::None
        && record.routing_key.is_none()
        && record.origin.variant.is_empty()
        && record.timing.predict < Duration::from_secs(4)
        && record
            .request_id
            .as_ref()
            .is_none_or(|id| (1..256).contains(&id.len()))
        && (record.inputs.is_some() || record.outputs.is_some())
        && batches.all(fits)
}

/// To the last bit; `==` says that NaN differs from itself.
fn are_same(one: &Record, other: &Record) -> bool {
    let same = |one: &Option<Batch>, other: &Option<Batch>| match (one, other) {
        (Some(one), Some(other)) => identical(one, other),
        (one, other) => one.is_none() && other.is_none(),
    };
    let bare = |record: &Record| Record {
        inputs: None,
        outputs: None,
        ..record.clone()
    };
    same(&one.inputs, &other.inputs) && same(&one.outputs, &other.outputs) && bare(one) == bare(other)
}

proptest! {
    /// Each record comes back once, as a part of a bundle if it has a form for that, in the order of those of its form.
    #[test]
    fn what_is_laid_down_comes_back(records in any_records()) {
        let (taken, rest) = laid(&records);
        let forms = taken.bundles().count();
        let unpacked: Vec<Entry> = taken.bundles().flat_map(Bundle::unpack).collect();
        prop_assert_eq!(unpacked.len() + rest.len(), records.len());
        let mut unpacked = unpacked.iter();
        for bundle in taken.bundles() {
            let alike = |one: &Record, other: &Record| {
                Arc::ptr_eq(&one.origin, &other.origin)
                    && are_alike(one.inputs.as_ref(), other.inputs.as_ref())
                    && are_alike(one.outputs.as_ref(), other.outputs.as_ref())
            };
            let mut given = records.iter().filter(|record| is_plain(record) && alike(record, bundle.like()));
            for entry in unpacked.by_ref().take(bundle.len()) {
                let Entry::Prediction(record) = entry else { unreachable!() };
                let same = given.next().is_some_and(|given| are_same(given, record));
                prop_assert!(same, "{:?}", record);
            }
            prop_assert!(given.next().is_none());
            let rows: usize = bundle.heads().iter().map(|head| head.rows as usize).sum();
            prop_assert_eq!(rows, bundle.rows());
        }
        if forms < 8 {
            let entries = records.iter().filter(|record| !is_plain(record)).count();
            prop_assert_eq!(rest.len(), entries);
        }
    }
}

fn of_inputs(inputs: Tensor) -> Record {
    Record {
        id: Uuid::nil(),
        time: UNIX_EPOCH.into(),
        origin: Arc::clone(&ORIGINS[0]),
        rows: inputs.rows(),
        inputs: Some(Batch::new(Body::Array(inputs))),
        outputs: None,
        error: None,
        timing: Timing::default(),
        request_id: None,
        trace: None,
        assignment: Assignment::None,
        routing_key: None,
        sampled: true,
        traced: None,
    }
}

#[test]
fn long_predictions_are_not_copied_and_bundles_have_a_bound() {
    let shelves = Shelves::default();
    let offer = |count: usize| {
        let record = of_inputs(Tensor::vector(Elements::F64(vec![0.5; count])));
        shelves.offer(&record, |_| true)
    };
    let most = MAX_VALUES / 8;
    assert_eq!(offer(most + 1), Offered::NotPlain);
    // One that is full is followed by another, up to eight.
    let (each, mut laid) = (FULL / MAX_VALUES + 1, 0);
    while offer(most) == Offered::Laid {
        laid += 1;
        assert!(laid <= 8 * each);
    }
    assert_eq!((laid, offer(1)), (8 * each, Offered::NotPlain));
    assert_eq!(offer(most + 1), Offered::NotPlain);
    let mut taken = Taken::default();
    let weight = shelves.take(&mut taken);
    assert!(weight >= laid * MAX_VALUES && taken.len() == laid);
    assert_eq!(offer(most), Offered::Laid);
}

#[test]
fn emptied_bundles_are_filled_again_and_those_of_no_use_go() {
    let record = |elements: Elements| of_inputs(Tensor::vector(elements));
    let shelves = Shelves::default();
    let offer = |record: Record| shelves.offer(&record, |_| true);
    let mut taken = Taken::default();
    assert_eq!(offer(record(Elements::I8(vec![1]))), Offered::Laid);
    for number in 0..4 {
        assert_eq!(
            offer(record(Elements::F64(vec![f64::from(number)]))),
            Offered::Laid
        );
        let weight = shelves.take(&mut taken);
        shelves.release(weight);
        assert_eq!(taken.len(), if number == 0 { 2 } else { 1 });
        let last = taken.bundles().last().unwrap();
        let mut seen = Vec::new();
        last.each(Side::Inputs, 0, |bytes| seen.extend_from_slice(bytes));
        assert_eq!(seen, f64::from(number).to_ne_bytes());
        taken.clear();
        assert_eq!(taken.len(), 0);
    }
    assert_eq!(shelves.waiting(), 0);
    let refused = record(Elements::F64(vec![0.0]));
    let mut asked = None;
    let answer = shelves.offer(&refused, |laid| {
        asked = Some(laid);
        false
    });
    assert_eq!(answer, Offered::NoRoom);
    assert!(asked.is_some_and(|laid| laid.count == 1 && laid.bytes > 8));
    assert_eq!((shelves.waiting(), shelves.bytes()), (0, 0));
    // Nothing of it is left, wherever it would have come.
    let named = |number: f64| Record {
        request_id: Some(RequestId::from_slice(b"id")),
        ..record(Elements::F64(vec![number]))
    };
    let (first, refused, last) = (named(1.0), named(2.0), named(3.0));
    assert_eq!(shelves.offer(&first, |_| true), Offered::Laid);
    assert_eq!(shelves.offer(&refused, |_| false), Offered::NoRoom);
    assert_eq!(shelves.offer(&last, |_| true), Offered::Laid);
    let weight = shelves.take(&mut taken);
    let entries: Vec<Entry> = taken.bundles().flat_map(Bundle::unpack).collect();
    let expected = [first, last].map(|record| Entry::Prediction(Box::new(record)));
    assert_eq!(entries, expected);
    assert_eq!(taken.bundles().map(Bundle::rows).sum::<usize>(), 2);
    shelves.release(weight);
    assert_eq!(shelves.bytes(), 0);
}

#[test]
fn the_first_numbers_of_answers_are_read() {
    let of = |elements: Elements| {
        let (rows, outputs) = (elements.len(), Batch::new(Body::Array(Tensor::vector(elements))));
        let record = Record {
            rows,
            inputs: None,
            outputs: Some(outputs),
            ..of_inputs(Tensor::vector(Elements::I8(vec![0])))
        };
        let (taken, _) = laid(&[record.clone(), record]);
        taken.bundles().next().unwrap().first_numbers()
    };
    assert_eq!(of(Elements::I32(vec![-3])), Some(vec![-3.0, -3.0]));
    assert_eq!(of(Elements::F32(vec![0.5])), Some(vec![0.5, 0.5]));
    assert_eq!(of(Elements::Bool(vec![true])), None);
    assert_eq!(of(Elements::F32(vec![0.5, 1.0])), None);
}
