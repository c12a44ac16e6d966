//! Whether a version may be loaded beside the one it replaces: a pure function of bytes.

/// How a version may be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Room {
    /// Beside the old one, which serves meanwhile.
    Beside,
    /// In place of the old one, which must go first: requests are refused meanwhile.
    Instead,
    /// Not at all.
    None(String),
}

/// Looks for room. `all` bytes are resident in models now, `own` of them in the version that would be replaced, and
/// `more` are expected for the new one.
pub fn room(budget: Option<u64>, all: u64, own: u64, more: u64) -> Room {
    let Some(budget) = budget else {
        return Room::Beside;
    };
    if all.saturating_add(more) <= budget {
        Room::Beside
    } else if all.saturating_sub(own).saturating_add(more) <= budget && own > 0 {
        Room::Instead
    } else {
        Room::None(format!(
            "it needs about {more} bytes of memory, and of the {budget} bytes of --memory-budget {} are taken by other \
             models; raise the budget, or lower --predictors",
            all.saturating_sub(own)
        ))
    }
}

/// Bytes of this process in memory; 0 where the system does not say.
pub fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_version_goes_first_only_when_it_must() {
        assert_eq!(room(None, u64::MAX, 0, u64::MAX), Room::Beside);
        assert_eq!(room(Some(100), 50, 50, 50), Room::Beside);
        assert_eq!(room(Some(100), 60, 50, 50), Room::Instead);
        assert!(
            matches!(room(Some(100), 110, 50, 50), Room::None(text) if text.contains("of the 100 bytes"))
        );
        assert!(matches!(room(Some(100), 60, 0, 50), Room::None(_)));
    }

    #[test]
    fn this_process_is_somewhere_between_a_megabyte_and_a_terabyte() {
        let bytes = resident_bytes();
        assert!(cfg!(not(target_os = "linux")) || (1 << 20..1 << 40).contains(&bytes));
    }
}
