//! A signature as JSON, in the form in which MLflow writes it into `MLmodel`.

use serde_json::{Map, Value as Json, json};

use crate::model::signature::{ColumnSpec, ColumnType, ParamSpec, Property, Schema, Signature, TensorSpec};
use crate::model::value::Value;

/// `inputs`, `outputs` and `params`, each `null` where the model declares none.
pub(super) fn json(signature: &Signature) -> Json {
    json!({
        "inputs": signature.inputs.as_ref().map(schema),
        "outputs": signature.outputs.as_ref().map(schema),
        "params": signature.params.as_ref().map(|params| params.iter().map(param).collect::<Vec<_>>()),
    })
}

fn schema(schema: &Schema) -> Json {
    match schema {
        Schema::Columns(columns) => columns.columns().iter().map(column).collect(),
        Schema::Tensors(tensors) => tensors.iter().map(tensor).collect(),
    }
}

fn column(column: &ColumnSpec) -> Json {
    let mut members = kind(&column.kind);
    if let Some(name) = &column.name {
        members.insert("name".into(), json!(&**name));
    }
    members.insert("required".into(), json!(column.required));
    Json::Object(members)
}

fn tensor(tensor: &TensorSpec) -> Json {
    let mut members = Map::new();
    if let Some(name) = &tensor.name {
        members.insert("name".into(), json!(&**name));
    }
    members.insert("type".into(), json!("tensor"));
    let spec = json!({ "dtype": tensor.dtype.to_string(), "shape": tensor.shape });
    members.insert("tensor-spec".into(), spec);
    Json::Object(members)
}

fn param(param: &ParamSpec) -> Json {
    let mut members = kind(&param.kind);
    members.insert("name".into(), json!(&*param.name));
    members.insert("default".into(), value(&param.default));
    members.insert("shape".into(), if param.list { json!([-1]) } else { Json::Null });
    Json::Object(members)
}

/// The members that say a type.
fn kind(kind: &ColumnType) -> Map<String, Json> {
    let mut members = Map::new();
    let mut say = |name: &str| members.insert("type".into(), json!(name));
    match kind {
        ColumnType::Scalar(scalar) => {
            say(scalar.name());
        }
        ColumnType::Any => {
            say("any");
        }
        ColumnType::SparkMlVector => {
            say("sparkml_vector");
        }
        ColumnType::Array(items) => {
            say("array");
            members.insert("items".into(), Json::Object(self::kind(items)));
        }
        ColumnType::Map(values) => {
            say("map");
            members.insert("values".into(), Json::Object(self::kind(values)));
        }
        ColumnType::Object(properties) => {
            say("object");
            let properties: Map<String, Json> = properties.iter().map(property).collect();
            members.insert("properties".into(), Json::Object(properties));
        }
    }
    members
}

fn property(property: &Property) -> (String, Json) {
    let mut members = kind(&property.kind);
    members.insert("required".into(), json!(property.required));
    (property.name.to_string(), Json::Object(members))
}

/// A default, which was JSON before.
fn value(default: &Value) -> Json {
    match default {
        Value::Null | Value::Bytes(_) | Value::Tensor(_) => Json::Null,
        Value::Bool(flag) => json!(flag),
        Value::Int(number) => json!(number),
        Value::BigInt(digits) => json!(&**digits),
        Value::Float(number) => json!(number),
        Value::Str(text) => json!(&**text),
        Value::List(items) => items.iter().map(value).collect(),
        Value::Map(entries) => entries
            .iter()
            .map(|(key, item)| (key.to_string(), value(item)))
            .collect::<Map<_, _>>()
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written is read again as what it was.
    fn check(inputs: &str, params: Option<&str>) {
        let signature = Signature::parse(Some(inputs), None, params).unwrap();
        let written = json(&signature);
        assert_eq!(written["outputs"], Json::Null);
        let side = |key: &str| (!written[key].is_null()).then(|| written[key].to_string());
        let again = Signature::parse(side("inputs").as_deref(), None, side("params").as_deref()).unwrap();
        assert_eq!(again, signature, "{written}");
    }

    #[test]
    fn signatures_of_every_kind_are_read_again_as_they_were() {
        check(
            r#"[{"type":"double","name":"age","required":true},{"type":"string","name":"s","required":false}]"#,
            None,
        );
        check(
            r#"[{"type":"map","values":{"type":"double"},"name":"m"},{"type":"object","name":"o","required":true,
               "properties":{"v":{"type":"long","required":false},"k":{"type":"array","items":{"type":"string"}}}},
               {"type":"any","name":"x"}]"#,
            Some(
                r#"[{"name":"t","type":"double","default":0.5,"shape":null},{"name":"l","type":"long","default":[1,2],"shape":[-1]}]"#,
            ),
        );
        check(
            r#"[{"type":"tensor","name":"x","tensor-spec":{"dtype":"float32","shape":[-1,4]}}]"#,
            None,
        );
        check(
            r#"[{"type":"tensor","tensor-spec":{"dtype":"str","shape":[-1]}}]"#,
            None,
        );
        check(r#"[{"type":"double"},{"type":"datetime"}]"#, None);
    }

    #[test]
    fn a_model_without_signature_has_nulls() {
        let written = json(&Signature::default());
        assert_eq!(
            written,
            json!({ "inputs": null, "outputs": null, "params": null })
        );
    }
}
