//! Writes types as MLflow's messages do: `'age': double (required)`, `Tensor('float32', (-1, 4))`.

use std::fmt;

use super::{ColumnSpec, ColumnType, ParamSpec, Schema, TensorSpec};

impl fmt::Display for ColumnType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ColumnType::Scalar(scalar) => out.write_str(scalar.name()),
            ColumnType::Array(items) => write!(out, "Array({items})"),
            ColumnType::Object(properties) => {
                out.write_str("{")?;
                for (position, property) in properties.iter().enumerate() {
                    let comma = if position == 0 { "" } else { ", " };
                    let required = if property.required { "required" } else { "optional" };
                    write!(out, "{comma}{}: {} ({required})", property.name, property.kind)?;
                }
                out.write_str("}")
            }
            // Python shows the enum member here, and the short name everywhere else.
            ColumnType::Map(values) => match &**values {
                ColumnType::Scalar(scalar) => write!(out, "Map(str -> DataType.{})", scalar.name()),
                other => write!(out, "Map(str -> {other})"),
            },
            ColumnType::Any => out.write_str("Any"),
            ColumnType::SparkMlVector => out.write_str("SparkML vector"),
        }
    }
}

impl fmt::Display for ColumnSpec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let required = if self.required { "required" } else { "optional" };
        match &self.name {
            Some(name) => write!(out, "'{name}': {} ({required})", self.kind),
            None => write!(out, "{} ({required})", self.kind),
        }
    }
}

impl fmt::Display for TensorSpec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(out, "'{name}': ")?;
        }
        write!(out, "Tensor('{}', {})", self.dtype, Tuple(&self.shape))
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list<T: fmt::Display>(out: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
            out.write_str("[")?;
            for (position, item) in items.iter().enumerate() {
                let comma = if position == 0 { "" } else { ", " };
                write!(out, "{comma}{item}")?;
            }
            out.write_str("]")
        }
        match self {
            Schema::Columns(columns) => list(out, columns.columns()),
            Schema::Tensors(tensors) => list(out, tensors),
        }
    }
}

impl fmt::Display for ParamSpec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "'{}': {}", self.name, self.kind)?;
        if self.list {
            out.write_str(" (shape: (-1,))")?;
        }
        Ok(())
    }
}

/// A shape as Python prints a tuple: `()`, `(2,)`, `(-1, 4)`.
#[derive(Debug, Clone, Copy)]
pub struct Tuple<'a, T>(pub &'a [T]);

impl<T: fmt::Display> fmt::Display for Tuple<'_, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => out.write_str("()"),
            [one] => write!(out, "({one},)"),
            [first, rest @ ..] => {
                write!(out, "({first}")?;
                for item in rest {
                    write!(out, ", {item}")?;
                }
                out.write_str(")")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::signature::Signature;

    fn shown(text: &str) -> String {
        Signature::parse(Some(text), None, None)
            .unwrap()
            .inputs
            .unwrap()
            .to_string()
    }

    #[test]
    fn schemas_read_as_in_mlflows_messages() {
        for (text, wanted) in [
            (
                r#"[{"type":"double","name":"age","required":true},{"type":"string","name":"s","required":false}]"#,
                "['age': double (required), 's': string (optional)]",
            ),
            (r#"[{"type":"double"}]"#, "[double (required)]"),
            (
                r#"[{"name":"X","type":"tensor","tensor-spec":{"dtype":"float32","shape":[-1,4]}}]"#,
                "['X': Tensor('float32', (-1, 4))]",
            ),
            (
                r#"[{"type":"tensor","tensor-spec":{"dtype":"str","shape":[-1]}}]"#,
                "[Tensor('str', (-1,))]",
            ),
            (
                r#"[{"type":"map","values":{"type":"double"},"name":"m"},{"type":"object","name":"o","required":true,
                   "properties":{"v":{"type":"long","required":false},"k":{"type":"string","required":true}}}]"#,
                "['m': Map(str -> DataType.double) (optional), 'o': {k: string (required), v: long (optional)} (required)]",
            ),
        ] {
            assert_eq!(shown(text), wanted);
        }
    }
}
