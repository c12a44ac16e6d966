//! What is left of a part after a failure is kept, or counted as lost.

use std::fs;

use super::super::KIND;
use super::super::column::Nesting;
use super::super::kind;
use super::*;

#[test]
fn a_part_whose_folder_has_gone_is_lost_with_the_write_that_fails() {
    let dir = tempfile::tempdir().unwrap();
    let written = |folder: &Path| {
        let column = Column::new("number", kind::Kind::I32, Nesting::Required);
        let mut part = Part::new(vec![column], Vec::new(), SystemTime::now());
        for number in 0..3 {
            part.columns[0].push_i32(number);
        }
        part.note(3, 3, 1, SystemTime::now());
        assert_eq!(part.waiting(), 3);
        assert!(part.flush(folder, KIND, &mut Room::default()).is_ok());
        assert_eq!(part.waiting(), 0);
        part
    };
    let gone = dir.path().join("gone");
    let part = written(&gone);
    fs::remove_dir_all(&gone).unwrap();
    assert_eq!(part.salvage(), 3);
    let there = dir.path().join("there");
    assert_eq!(written(&there).salvage(), 0);
    assert_eq!(fs::read_dir(there).unwrap().count(), 1);
}
