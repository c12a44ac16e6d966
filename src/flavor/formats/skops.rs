//! skops files: a zip archive of a schema in JSON and arrays beside it, protocols 0 to 2.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::flavor::refusal::{Refusal, refuse};

use super::arena::Arena;
use super::dtype;
use super::npy;
use super::object::{Array, ArrayElements, Global, Id, Instance, Object, Objects};
use super::zip::Archive;

/// The newest protocol that is known.
const PROTOCOL: u64 = 2;

/// Reads a skops file.
///
/// # Errors
/// When it is broken, of a newer protocol, holds what is not covered, or would take far more memory than it is long.
pub(super) fn load(bytes: &[u8]) -> Result<Objects, Refusal> {
    let mut archive = Archive::open(bytes)?;
    let schema = archive.read("schema.json")?;
    // Deeper than 128 levels is refused by the parser, so that the walk below may follow the schema.
    let schema: Json = match serde_json::from_slice(&schema) {
        Ok(schema) => schema,
        Err(error) => refuse!("`schema.json` cannot be read: {error}"),
    };
    match schema.get("protocol").and_then(Json::as_u64) {
        Some(0..=PROTOCOL) => {}
        Some(protocol) => refuse!("protocol {protocol} is newer than {PROTOCOL}, which is read"),
        None => refuse!("`schema.json` names no protocol"),
    }
    let mut reader = Reader {
        archive,
        arena: Arena::new(bytes.len()),
        read: HashMap::new(),
    };
    let root = reader.node(&schema)?;
    Ok(reader.arena.finish(root))
}

struct Reader<'b> {
    archive: Archive<'b>,
    arena: Arena,
    /// Files that were read, by name: several nodes may have the same one. Arrays without axes are kept as numbers.
    read: HashMap<String, Id>,
}

impl Reader<'_> {
    fn node(&mut self, node: &Json) -> Result<Id, Refusal> {
        let Json::Object(node) = node else {
            refuse!("a node of the schema is no object");
        };
        let loader = text(node, "__loader__")?;
        match loader {
            "JsonNode" => self.json_text(text(node, "content")?),
            "DictNode" => self.dict(node),
            "DefaultDictNode" => match node.get("content").and_then(|content| content.get("main")) {
                Some(main) => self.node(main),
                None => refuse!("a defaultdict without entries"),
            },
            "ListNode" | "SetNode" => {
                let members = self.members(node)?;
                self.arena.add(Object::List(members))
            }
            "TupleNode" => {
                let members = self.members(node)?;
                self.arena.add(Object::Tuple(members))
            }
            "NdArrayNode" => self.array(node),
            "ObjectNode"
            | "TreeNode"
            | "LossNode"
            | "ReduceNode"
            | "KDTreeNode"
            | "ConstructorFromReduceNode" => self.instance(node, loader),
            "TypeNode" | "FunctionNode" => {
                let global = global(node)?;
                self.arena.add(Object::Global(global))
            }
            "SliceNode" => self.slice(node),
            "BytesNode" | "BytearrayNode" => {
                let bytes = self.archive.read(text(node, "file")?)?;
                self.arena.budget.spend(bytes.len())?;
                self.arena.add(Object::Bytes(bytes.as_ref().into()))
            }
            "DTypeNode"
            | "RandomStateNode"
            | "RandomGeneratorNode"
            | "MethodNode"
            | "PartialNode"
            | "OperatorFuncNode"
            | "SparseMatrixNode"
            | "MaskedArrayNode"
            | "QuantileForestNode" => {
                let class = global(node)?;
                self.arena.opaque(format!("{}.{}", class.module, class.name))
            }
            _ => refuse!(
                "nodes of kind `{}` are not read",
                loader.chars().take(60).collect::<String>()
            ),
        }
    }

    fn members(&mut self, node: &Map<String, Json>) -> Result<Vec<Id>, Refusal> {
        let Some(Json::Array(members)) = node.get("content") else {
            refuse!("a list without members");
        };
        members.iter().map(|member| self.node(member)).collect()
    }

    fn dict(&mut self, node: &Map<String, Json>) -> Result<Id, Refusal> {
        let Some(Json::Object(content)) = node.get("content") else {
            refuse!("a dict without entries");
        };
        let types = node.get("key_types").and_then(|types| types.get("content"));
        let mut entries = Vec::with_capacity(content.len());
        for (place, (key, value)) in content.iter().enumerate() {
            let kind = types.and_then(|types| types.get(place)).and_then(Json::as_object);
            let kind = kind.and_then(|kind| global(kind).ok());
            let key = self.key(key, kind.as_ref().map_or("str", |kind| &kind.name))?;
            entries.push((key, self.node(value)?));
        }
        self.arena.add(Object::Dict(entries))
    }

    /// A key, which JSON has only as text, in its own type.
    fn key(&mut self, key: &str, kind: &str) -> Result<Id, Refusal> {
        let typed = match kind {
            "int" | "int64" | "int32" | "int16" | "int8" | "uint64" | "uint32" | "uint16" | "uint8" => {
                key.parse().ok().map(Object::Int)
            }
            "float" | "float64" | "float32" => key.parse().ok().map(Object::Float),
            "bool" | "bool_" => match key {
                "true" | "True" => Some(Object::Bool(true)),
                "false" | "False" => Some(Object::Bool(false)),
                _ => None,
            },
            "NoneType" => Some(Object::None),
            _ => return self.arena.text(key),
        };
        match typed {
            Some(typed) => self.arena.add(typed),
            None => refuse!("a key of a dict is no {kind}"),
        }
    }

    fn instance(&mut self, node: &Map<String, Json>, loader: &str) -> Result<Id, Refusal> {
        let class = global(node)?;
        let content = match node.get("content") {
            None | Some(Json::Null) => None,
            Some(content) => Some(self.node(content)?),
        };
        let args = match node.get("__reduce__").and_then(|reduce| reduce.get("args")) {
            Some(args) => Some(self.node(args)?),
            None => content.filter(|_| loader == "ConstructorFromReduceNode"),
        };
        let args = match args.map(|args| self.arena.get(args)) {
            Some(Object::Tuple(args) | Object::List(args)) => args.clone(),
            _ => Vec::new(),
        };
        let (mut attributes, mut state) = (Vec::new(), None);
        match content.map(|content| (content, self.arena.get(content))) {
            None | Some((_, Object::None)) => {}
            Some((_, Object::Dict(entries))) => {
                for (key, value) in entries {
                    if let Object::Text(name) = self.arena.get(*key) {
                        attributes.push((Arc::clone(name), *value));
                    }
                }
            }
            Some((content, _)) => state = Some(content).filter(|_| loader != "ConstructorFromReduceNode"),
        }
        self.arena.add(Object::Instance(Instance {
            class,
            args,
            attributes,
            state,
        }))
    }

    fn array(&mut self, node: &Map<String, Json>) -> Result<Id, Refusal> {
        match text(node, "type")? {
            "numpy" => self.stored(text(node, "file")?, text(node, "__class__")? != "ndarray"),
            "json" => {
                let shape = self.shape(node)?;
                let count = dtype::count(&shape)?;
                let mut ids = Vec::new();
                let Some(content) = node.get("content") else {
                    refuse!("an object array without elements");
                };
                self.flat(content, shape.len(), &mut ids)?;
                if ids.len() != count {
                    refuse!("{} objects for an array of shape {shape:?}", ids.len());
                }
                self.arena.add(Object::Array(Array {
                    shape,
                    elements: ArrayElements::Object(ids),
                }))
            }
            other => refuse!(
                "an array of type `{}`",
                other.chars().take(60).collect::<String>()
            ),
        }
    }

    /// The array or, without axes, the number in a file of the archive.
    fn stored(&mut self, file: &str, number: bool) -> Result<Id, Refusal> {
        if let Some(id) = self.read.get(file) {
            return Ok(*id);
        }
        let bytes = self.archive.read(file)?;
        self.arena.budget.grow(bytes.len());
        let array = npy::read(&bytes, &mut self.arena.budget).map_err(|refusal| refusal.within(file))?;
        let id = match array {
            Some(array) if number && array.shape.is_empty() => match dtype::scalar(Some(array)) {
                Some(scalar) => self.arena.add(scalar)?,
                None => self.arena.array(None)?,
            },
            array => self.arena.array(array)?,
        };
        self.read.insert(file.to_owned(), id);
        Ok(id)
    }

    fn shape(&mut self, node: &Map<String, Json>) -> Result<Vec<usize>, Refusal> {
        let Some(shape) = node.get("shape") else {
            refuse!("an object array without a shape");
        };
        let shape = self.node(shape)?;
        let extents: Option<Vec<usize>> = match self.arena.get(shape) {
            Object::Tuple(extents) | Object::List(extents) => extents
                .iter()
                .map(|extent| match self.arena.get(*extent) {
                    Object::Int(extent) => usize::try_from(*extent).ok(),
                    _ => None,
                })
                .collect(),
            _ => None,
        };
        match extents {
            Some(extents) => Ok(extents),
            None => refuse!("the shape of an object array cannot be read"),
        }
    }

    /// The elements of an object array, which are lists in lists for each axis but the first.
    fn flat(&mut self, content: &Json, axes: usize, ids: &mut Vec<Id>) -> Result<(), Refusal> {
        match content {
            Json::Array(members) if axes > 0 => {
                for member in members {
                    let inner = member.as_object().filter(|_| axes > 1);
                    match inner.and_then(|inner| inner.get("content")) {
                        Some(content) => self.flat(content, axes - 1, ids)?,
                        None => ids.push(self.node(member)?),
                    }
                }
            }
            _ => refuse!("the elements of an object array cannot be read"),
        }
        Ok(())
    }

    fn slice(&mut self, node: &Map<String, Json>) -> Result<Id, Refusal> {
        let Some(Json::Object(content)) = node.get("content") else {
            refuse!("a slice without ends");
        };
        let mut ends = [Id(0); 3];
        for (end, key) in ends.iter_mut().zip(["start", "stop", "step"]) {
            *end = self.json(content.get(key).unwrap_or(&Json::Null))?;
        }
        self.arena.add(Object::Slice(ends))
    }

    /// A value whose JSON is in the schema as text.
    fn json_text(&mut self, text: &str) -> Result<Id, Refusal> {
        let float = match text {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        };
        if let Some(float) = float {
            return self.arena.add(Object::Float(float));
        }
        match serde_json::from_str::<Json>(text) {
            Ok(value) => self.json(&value),
            Err(error) => refuse!("a value of the schema cannot be read: {error}"),
        }
    }

    fn json(&mut self, value: &Json) -> Result<Id, Refusal> {
        let object = match value {
            Json::Null => Object::None,
            Json::Bool(truth) => Object::Bool(*truth),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Object::Int(whole),
                (None, Some(float)) if number.is_f64() && float.is_finite() => Object::Float(float),
                _ => Object::BigInt,
            },
            Json::String(text) => return self.arena.text(text),
            Json::Array(members) => {
                let members: Result<_, Refusal> = members.iter().map(|member| self.json(member)).collect();
                Object::List(members?)
            }
            Json::Object(entries) => {
                let entries: Result<_, Refusal> = entries
                    .iter()
                    .map(|(key, value)| Ok((self.arena.text(key)?, self.json(value)?)))
                    .collect();
                Object::Dict(entries?)
            }
        };
        self.arena.add(object)
    }
}

/// The class or function a node names.
fn global(node: &Map<String, Json>) -> Result<Global, Refusal> {
    // Up to protocol 0 the name of a function or type is in the content.
    let inner = node.get("content").and_then(Json::as_object);
    let pair = |module: &str, name: &str| {
        let inner = inner?;
        Some((inner.get(module)?.as_str()?, inner.get(name)?.as_str()?))
    };
    let named = match text(node, "__loader__")? {
        "FunctionNode" => pair("module_path", "function"),
        "TypeNode" => pair("__module__", "__class__"),
        _ => None,
    };
    let (module, name) = match named {
        Some(named) => named,
        None => (text(node, "__module__")?, text(node, "__class__")?),
    };
    Ok(Global {
        module: module.into(),
        name: name.into(),
    })
}

fn text<'j>(node: &'j Map<String, Json>, key: &str) -> Result<&'j str, Refusal> {
    match node.get(key).and_then(Json::as_str) {
        Some(text) => Ok(text),
        None => refuse!("a node of the schema has no `{key}`"),
    }
}
