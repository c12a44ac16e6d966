//! Object stores: the variables of their vendors, and Amazon's profile files.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use ini::{Ini, ParseOption, Properties};

use super::Env;
use crate::artifact::{STORE_SETTINGS, UNUSABLE_PROFILE};

/// No profile file is longer, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// What is in a profile, and the variable that says the same.
const OF_PROFILE: [(&str, &str); 3] = [
    ("aws_access_key_id", "AWS_ACCESS_KEY_ID"),
    ("aws_secret_access_key", "AWS_SECRET_ACCESS_KEY"),
    ("aws_session_token", "AWS_SESSION_TOKEN"),
];

/// Ways of a profile to get credentials that only Amazon's own programs know.
const NOT_KNOWN: [&str; 5] = [
    "credential_process",
    "credential_source",
    "role_arn",
    "sso_session",
    "sso_start_url",
];

/// The settings of object stores: each variable that is set, and what the profile of `AWS_PROFILE` (`default` if there
/// is none) in `~/.aws/credentials` and `~/.aws/config` adds. Variables win over the profile.
///
/// A profile that cannot be used is no error here, for who knows whether S3 is: it becomes a setting that says so.
pub(super) fn settings(env: &dyn Env) -> Vec<(String, String)> {
    let mut settings: Vec<(String, String)> = STORE_SETTINGS
        .iter()
        .filter_map(|&name| Some((name.to_owned(), env.get(name)?)))
        .collect();
    let has = |settings: &[(String, String)], names: &[&str]| {
        settings.iter().any(|(name, _)| names.contains(&name.as_str()))
    };
    let name = env.get("AWS_PROFILE");
    let name = name.as_deref();
    let profile = Profile::read(env, name.unwrap_or("default"));
    if !has(&settings, &["AWS_REGION", "AWS_DEFAULT_REGION"]) {
        settings.extend(
            profile
                .value("region")
                .map(|value| ("AWS_REGION".to_owned(), value)),
        );
    }
    if !has(
        &settings,
        &[
            "AWS_ENDPOINT_URL",
            "AWS_ENDPOINT_URL_S3",
            "MLFLOW_S3_ENDPOINT_URL",
        ],
    ) {
        settings.extend(
            profile
                .value("endpoint_url")
                .map(|value| ("AWS_ENDPOINT_URL".to_owned(), value)),
        );
    }
    if has(&settings, &["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"]) {
        return settings;
    }
    let own = |(key, variable): &(&str, &str)| Some(((*variable).to_owned(), profile.value(key)?));
    let found: Vec<(String, String)> = OF_PROFILE.iter().filter_map(own).collect();
    let unusable = match NOT_KNOWN.iter().find(|key| profile.value(key).is_some()) {
        _ if !found.is_empty() => None,
        Some(key) => Some(format!(
            "the profile `{}` of ~/.aws/config has `{key}`, which modelsd does not know; set AWS_ACCESS_KEY_ID, \
             AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, as `aws configure export-credentials` gives them",
            name.unwrap_or("default")
        )),
        // Only what was named must be there.
        None => name.filter(|_| profile.is_empty()).map(|name| {
            format!("AWS_PROFILE is `{name}`, and neither ~/.aws/credentials nor ~/.aws/config can be read and has it")
        }),
    };
    settings.extend(found);
    settings.extend(unusable.map(|problem| (UNUSABLE_PROFILE.to_owned(), problem)));
    settings
}

/// A profile, from both files; that of credentials wins.
struct Profile(Vec<Properties>);

impl Profile {
    fn read(env: &dyn Env, name: &str) -> Profile {
        let home = env.get("HOME").map(PathBuf::from);
        let path = |variable: &str, below_home: &str| {
            let named = env.get(variable).map(PathBuf::from);
            named.or_else(|| Some(home.as_ref()?.join(below_home)))
        };
        let in_config = match name {
            "default" => name.to_owned(),
            name => format!("profile {name}"),
        };
        let credentials = path("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials");
        let config = path("AWS_CONFIG_FILE", ".aws/config");
        let sections = [
            credentials.and_then(|path| section(&path, name)),
            config.and_then(|path| section(&path, &in_config)),
        ];
        Profile(sections.into_iter().flatten().collect())
    }

    fn value(&self, key: &str) -> Option<String> {
        let mut values = self.0.iter().filter_map(|section| section.get(key));
        values
            .next()
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A section of a file, where there is such a file and such a section.
fn section(path: &Path, name: &str) -> Option<Properties> {
    let as_they_stand = ParseOption {
        enabled_quote: false,
        enabled_escape: false,
        // What is indented belongs to the line above it; none of it is asked for.
        enabled_indented_mutiline_value: true,
        ..ParseOption::default()
    };
    let mut text = String::new();
    let file = File::open(path)
        .ok()
        .filter(|file| file.metadata().is_ok_and(|kind| kind.is_file()))?;
    file.take(MAX_BYTES).read_to_string(&mut text).ok()?;
    let file = Ini::load_from_str_opt(&text, as_they_stand).ok()?;
    file.section(Some(name)).cloned()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    struct Map(HashMap<String, String>);

    impl Env for Map {
        fn get(&self, name: &str) -> Option<String> {
            self.0.get(name).cloned()
        }
    }

    /// The settings of somebody with these variables and with two profiles at home.
    fn settings_of(variables: &[(&str, &str)]) -> HashMap<String, String> {
        let home = TempDir::new().unwrap();
        fs::create_dir(home.path().join(".aws")).unwrap();
        let credentials = "[default]\naws_access_key_id = D\naws_secret_access_key = d/+=#;\"x\n\n\
            [work]\naws_access_key_id=W\naws_secret_access_key=w\naws_session_token=t\n";
        fs::write(home.path().join(".aws/credentials"), credentials).unwrap();
        let config = "[default]\nregion = eu-west-1\ns3 =\n  max_concurrent_requests = 20\noutput = json\n\
            [profile work]\nregion=us-west-2\nendpoint_url = http://minio:9000\n\
            [profile single]\nsso_session = corp\nregion = us-east-2\n";
        fs::write(home.path().join(".aws/config"), config).unwrap();
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut variables: HashMap<_, _> = variables.iter().map(own).collect();
        variables.insert("HOME".into(), home.path().display().to_string());
        settings(&Map(variables)).into_iter().collect()
    }

    #[track_caller]
    fn check(variables: &[(&str, &str)], wanted: &[(&str, &str)]) {
        let mut found: Vec<(String, String)> = settings_of(variables).into_iter().collect();
        found.sort();
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_profile_gives_what_the_variables_do_not() {
        check(
            &[("SHELL", "sh")],
            &[
                ("AWS_ACCESS_KEY_ID", "D"),
                ("AWS_REGION", "eu-west-1"),
                ("AWS_SECRET_ACCESS_KEY", "d/+=#;\"x"),
            ],
        );
        check(
            &[("AWS_PROFILE", "work")],
            &[
                ("AWS_ACCESS_KEY_ID", "W"),
                ("AWS_ENDPOINT_URL", "http://minio:9000"),
                ("AWS_REGION", "us-west-2"),
                ("AWS_SECRET_ACCESS_KEY", "w"),
                ("AWS_SESSION_TOKEN", "t"),
            ],
        );
        check(
            &[
                ("AWS_ACCESS_KEY_ID", "V"),
                ("AWS_SECRET_ACCESS_KEY", "v"),
                ("AWS_DEFAULT_REGION", "r"),
            ],
            &[
                ("AWS_ACCESS_KEY_ID", "V"),
                ("AWS_DEFAULT_REGION", "r"),
                ("AWS_SECRET_ACCESS_KEY", "v"),
            ],
        );
    }

    #[test]
    fn a_profile_that_cannot_be_used_says_why() {
        let settings = settings_of(&[("AWS_PROFILE", "single")]);
        assert!(
            settings[UNUSABLE_PROFILE].contains("`sso_session`"),
            "{settings:?}"
        );
        assert_eq!(settings["AWS_REGION"], "us-east-2");
        let settings = settings_of(&[("AWS_PROFILE", "none")]);
        assert!(settings[UNUSABLE_PROFILE].contains("`none`"), "{settings:?}");
        let keys = [("AWS_PROFILE", "single"), ("AWS_ACCESS_KEY_ID", "V")];
        assert!(!settings_of(&keys).contains_key(UNUSABLE_PROFILE));
    }

    #[test]
    fn without_files_there_is_no_profile() {
        assert!(settings(&Map(HashMap::new())).is_empty());
    }
}
