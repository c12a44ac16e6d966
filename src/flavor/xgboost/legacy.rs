//! The binary format that XGBoost wrote to `model.xgb` before 2.1, as the document that it would write today.
//!
//! Little-endian structs as they lay in memory: 136 bytes of the learner, names of objective and booster, the booster's
//! own, attributes. It knows neither feature names nor categories.

use crate::flavor::formats::document::{Document, Numbers};
use crate::flavor::refusal::{Refusal, refuse};

use super::objective::Objective;

/// Reads the bytes of a model of the old format.
///
/// # Errors
/// When they end early or go on, or hold what the format cannot.
pub(super) fn read(bytes: &[u8]) -> Result<Document, Refusal> {
    let rest = bytes.strip_prefix(b"binf").unwrap_or(bytes);
    Reader { rest }
        .learner()
        .map_err(|refusal| refusal.within("binary format of XGBoost before 2.1"))
}

struct Reader<'a> {
    rest: &'a [u8],
}

fn map(entries: Vec<(&str, Document)>) -> Document {
    Document::Map(
        entries
            .into_iter()
            .map(|(key, value)| (key.into(), value))
            .collect(),
    )
}

fn text(value: impl std::fmt::Display) -> Document {
    Document::Text(value.to_string().into())
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Refusal> {
        match self.rest.split_at_checked(count) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => refuse!("{count} bytes are announced, {} are left", self.rest.len()),
        }
    }

    fn word(&mut self) -> Result<[u8; 4], Refusal> {
        let mut word = [0; 4];
        word.copy_from_slice(self.take(4)?);
        Ok(word)
    }

    fn int(&mut self) -> Result<i32, Refusal> {
        self.word().map(i32::from_le_bytes)
    }

    fn unsigned(&mut self) -> Result<u32, Refusal> {
        self.word().map(u32::from_le_bytes)
    }

    fn single(&mut self) -> Result<f32, Refusal> {
        self.word().map(f32::from_le_bytes)
    }

    fn count(&mut self) -> Result<usize, Refusal> {
        let mut count = [0; 8];
        count.copy_from_slice(self.take(8)?);
        let count = u64::from_le_bytes(count);
        match usize::try_from(count) {
            Ok(count) if count <= self.rest.len() => Ok(count),
            _ => refuse!("a length of {count}, {} bytes are left", self.rest.len()),
        }
    }

    fn text(&mut self) -> Result<&'a str, Refusal> {
        let count = self.count()?;
        match std::str::from_utf8(self.take(count)?) {
            Ok(text) => Ok(text),
            Err(_) => refuse!("a text that is no UTF-8"),
        }
    }

    fn bytes_of(&mut self, count: usize, size: usize) -> Result<&'a [u8], Refusal> {
        match count.checked_mul(size) {
            Some(bytes) => self.take(bytes),
            None => refuse!("{count} items of {size} bytes"),
        }
    }

    fn ints(&mut self, count: usize) -> Result<Vec<i32>, Refusal> {
        let (words, _) = self.bytes_of(count, 4)?.as_chunks::<4>();
        Ok(words.iter().map(|&word| i32::from_le_bytes(word)).collect())
    }

    fn singles(&mut self) -> Result<Vec<f32>, Refusal> {
        let count = self.count()?;
        let (words, _) = self.bytes_of(count, 4)?.as_chunks::<4>();
        Ok(words.iter().map(|&word| f32::from_le_bytes(word)).collect())
    }

    fn learner(&mut self) -> Result<Document, Refusal> {
        let mut base_score = self.single()?;
        let features = self.unsigned()?;
        let classes = self.int()?;
        let has_attributes = self.int()? != 0;
        self.int()?;
        let major = self.unsigned()?;
        self.unsigned()?;
        let targets = self.unsigned()?.max(1);
        self.take(4 * 26)?;
        let objective = self.text()?;
        let booster_name = self.text()?;
        if major < 1 && !objective.starts_with("multi:") {
            // Before 1.0 the margin was kept instead of the score.
            base_score = Objective::named(objective)?.value(base_score);
        }
        let booster = match booster_name {
            "gbtree" => map(vec![("name", text("gbtree")), ("model", self.trees()?)]),
            "dart" => {
                let model = self.trees()?;
                let none = model
                    .get("trees")
                    .is_none_or(|trees| matches!(trees, Document::List(trees) if trees.is_empty()));
                let weights = if none { Vec::new() } else { self.singles()? };
                let trees = map(vec![("name", text("gbtree")), ("model", model)]);
                map(vec![
                    ("name", text("dart")),
                    ("gbtree", trees),
                    ("weight_drop", Document::Numbers(Numbers::F32(weights))),
                ])
            }
            "gblinear" => {
                self.take(4 * 34)?;
                let weights = Document::Numbers(Numbers::F32(self.singles()?));
                let model = map(vec![("weights", weights)]);
                map(vec![("name", text("gblinear")), ("model", model)])
            }
            other => refuse!("booster `{}` is not known", other.escape_debug()),
        };
        let mut attributes = Vec::new();
        if has_attributes {
            for _ in 0..self.count()? {
                let key = self.text()?;
                attributes.push((key.into(), text(self.text()?)));
            }
        }
        // What follows are names of metrics, which the library does not need either.
        Ok(map(vec![(
            "learner",
            map(vec![
                (
                    "learner_model_param",
                    map(vec![
                        ("base_score", text(format_args!("{base_score:?}"))),
                        ("num_feature", text(features)),
                        ("num_class", text(classes)),
                        ("num_target", text(targets)),
                    ]),
                ),
                ("objective", map(vec![("name", text(objective))])),
                ("attributes", Document::Map(attributes)),
                ("gradient_booster", booster),
            ]),
        )]))
    }

    fn trees(&mut self) -> Result<Document, Refusal> {
        let number = self.int()?;
        let parallel = self.int()?;
        self.take(4 * 38)?;
        let Ok(count) = usize::try_from(number) else {
            refuse!("{number} trees");
        };
        let mut trees = Vec::new();
        for number in 0..count {
            let tree = self.tree();
            trees.push(tree.map_err(|refusal| refusal.within(format_args!("tree {number}")))?);
        }
        let groups = self.ints(count)?;
        let parameters = map(vec![
            ("num_trees", text(count)),
            ("num_parallel_tree", text(parallel)),
        ]);
        Ok(map(vec![
            ("gbtree_model_param", parameters),
            ("trees", Document::List(trees)),
            ("tree_info", Document::Numbers(Numbers::I32(groups))),
        ]))
    }

    fn tree(&mut self) -> Result<Document, Refusal> {
        let roots = self.int()?;
        let nodes = self.int()?;
        self.take(4 * 2)?;
        self.unsigned()?;
        let leaf_size = self.int()?;
        self.take(4 * 31)?;
        let Ok(count) = usize::try_from(nodes) else {
            refuse!("{nodes} nodes");
        };
        if roots != 1 || leaf_size > 1 {
            refuse!("{roots} roots and {leaf_size} values a leaf are not read");
        }
        // A node: parent, left, right, feature with the side of missing values above it, threshold or value.
        let (nodes, _) = self.bytes_of(count, 20)?.as_chunks::<20>();
        let field = |at: usize| {
            nodes.iter().map(move |node| {
                let mut word = [0; 4];
                word.copy_from_slice(&node[at..at + 4]);
                word
            })
        };
        let ints = |at| field(at).map(i32::from_le_bytes).collect();
        let split = || field(12).map(u32::from_le_bytes);
        let tree = map(vec![
            (
                "tree_param",
                map(vec![("num_nodes", text(count)), ("size_leaf_vector", text(1))]),
            ),
            ("left_children", Document::Numbers(Numbers::I32(ints(4)))),
            ("right_children", Document::Numbers(Numbers::I32(ints(8)))),
            (
                "split_indices",
                Document::Numbers(Numbers::I32(split().map(|x| (x & !(1 << 31)) as i32).collect())),
            ),
            (
                "default_left",
                Document::Numbers(Numbers::U8(split().map(|x| (x >> 31) as u8).collect())),
            ),
            (
                "split_conditions",
                Document::Numbers(Numbers::F32(field(16).map(f32::from_le_bytes).collect())),
            ),
        ]);
        self.bytes_of(count, 16)?;
        Ok(tree)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_early_is_refused() {
        let refused = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
        assert!(refused(b"binf").contains("4 bytes are announced, 0 are left"));
        let mut bytes = b"binf".to_vec();
        bytes.extend([0; 136]);
        bytes.extend(u64::MAX.to_le_bytes());
        assert!(refused(&bytes).contains("a length of 18446744073709551615"));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, trees in 0i32..4) {
            let _ = read(&bytes);
            let mut model = vec![0; 136];
            for name in ["reg:squarederror", "gbtree"] {
                model.extend((name.len() as u64).to_le_bytes());
                model.extend(name.as_bytes());
            }
            model.extend(trees.to_le_bytes());
            model.extend([0; 156]);
            model.extend(bytes);
            let _ = read(&model);
        }
    }
}
