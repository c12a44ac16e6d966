//! Azure's stores, by the variables and the forms of addresses that MLflow's client reads.

use std::borrow::Cow;

use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use percent_encoding::percent_decode_str;
use url::Url;

use super::settings::{Settings, client, known, retries, setting};

/// Has all a client needs to know in one variable; whatever else is set does not count then.
const CONNECTION: &str = "AZURE_STORAGE_CONNECTION_STRING";
/// Where a machine of Azure's is told to ask for tokens, if not at the usual address.
const IDENTITY: &str = "IDENTITY_ENDPOINT";
/// What connection strings leave out where it is this.
const CLOUD: &str = "core.windows.net";
/// Azure's clouds. A registry that names another server must not be sent tokens and signatures.
const CLOUDS: [&str; 4] = [
    CLOUD,
    "core.chinacloudapi.cn",
    "core.usgovcloudapi.net",
    "fabric.microsoft.com",
];

/// The client of `container@account.blob.core.windows.net`.
///
/// # Errors
/// What is wrong with the settings or the host, without their values.
pub(super) fn azure(host: &str, settings: Settings<'_>) -> Result<MicrosoftAzureBuilder, String> {
    let (container, server) = host
        .split_once('@')
        .filter(|(container, server)| !container.is_empty() && !server.is_empty())
        .ok_or("it names no storage account; write CONTAINER@ACCOUNT.blob.core.windows.net")?;
    let (account, suffix) = server.split_once('.').unwrap_or((server, ""));
    let builder = MicrosoftAzureBuilder::new()
        .with_client_options(client())
        .with_retry(retries())
        .with_account(account)
        .with_container_name(container);
    if let Some(text) = setting(settings, CONNECTION) {
        return connected(builder, account, text);
    }
    let mut builder = builder;
    for (key, value) in known::<AzureConfigKey>("AZURE_", settings) {
        builder = builder.with_config(key, value);
    }
    if let Some(address) = setting(settings, IDENTITY) {
        builder = builder.with_config(AzureConfigKey::MsiEndpoint, address);
    }
    if suffix.is_empty() {
        return Ok(builder);
    }
    let suffix = suffix.strip_prefix("privatelink.").unwrap_or(suffix);
    let cloud = suffix
        .strip_prefix("blob.")
        .or_else(|| suffix.strip_prefix("dfs."));
    let cloud = cloud.filter(|cloud| CLOUDS.contains(cloud)).ok_or_else(|| {
        format!("`{server}` is no server of Azure's; one that stands in for it is named in {CONNECTION}")
    })?;
    // Files of data lakes are had from the blob server as well.
    Ok(builder.with_endpoint(format!("https://{account}.blob.{cloud}")))
}

/// With what a connection string says. As for Azure's own library, its account counts, not the one of the URI.
fn connected(
    builder: MicrosoftAzureBuilder,
    account: &str,
    text: &str,
) -> Result<MicrosoftAzureBuilder, String> {
    let parts: Option<Vec<(&str, &str)>> = text
        .trim_end_matches(';')
        .split(';')
        .map(|part| part.split_once('='))
        .collect();
    let parts = parts.ok_or_else(|| format!("{CONNECTION} is no NAME=VALUE;NAME=VALUE;..."))?;
    let part = |wanted: &str| {
        let found = parts
            .iter()
            .rev()
            .find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
        found
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    };
    if part("UseDevelopmentStorage").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        // Azurite where it is unless told otherwise, with the account and key that everybody knows.
        return Ok(builder.with_use_emulator(true).with_account("devstoreaccount1"));
    }
    let builder = match (
        part("AccountName"),
        part("AccountKey"),
        part("SharedAccessSignature"),
    ) {
        (_, Some(key), _) => builder.with_access_key(key),
        (_, None, Some(signature)) => builder.with_config(AzureConfigKey::SasKey, signature),
        (_, None, None) => {
            return Err(format!(
                "{CONNECTION} has no AccountKey and no SharedAccessSignature"
            ));
        }
    };
    let named = part("AccountName");
    let endpoint = match (part("BlobEndpoint"), named) {
        // The library would ask for `//container`.
        (Some(endpoint), _) => endpoint.trim_end_matches('/').to_owned(),
        (None, Some(name)) => format!(
            "{}://{name}.blob.{}",
            part("DefaultEndpointsProtocol").unwrap_or("https"),
            part("EndpointSuffix").unwrap_or(CLOUD)
        ),
        (None, None) => return Err(format!("{CONNECTION} has no AccountName and no BlobEndpoint")),
    };
    let usable = Url::parse(&endpoint)
        .is_ok_and(|url| ["http", "https"].contains(&url.scheme()) && url.username().is_empty());
    if !usable {
        return Err(format!("{CONNECTION} leads to no http:// or https:// address"));
    }
    Ok(builder
        .with_account(named.unwrap_or(account))
        .with_allow_http(endpoint.starts_with("http://"))
        .with_endpoint(endpoint))
}

/// A path as MLflow's client reads it: that of the data lakes percent-encoded, that of `wasbs:` as it is.
pub(super) fn path<'a>(scheme: &str, path: &'a str) -> Result<Cow<'a, str>, String> {
    if !scheme.starts_with("abfs") {
        return Ok(path.into());
    }
    percent_decode_str(path)
        .decode_utf8()
        .map_err(|_| "the path is not percent-encoded UTF-8".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(host: &str, settings: &[(&str, &str)]) -> Result<MicrosoftAzureBuilder, String> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let settings: Vec<_> = settings.iter().map(own).collect();
        azure(host, &settings)
    }

    #[track_caller]
    fn says(builder: &MicrosoftAzureBuilder, key: AzureConfigKey, wanted: Option<&str>) {
        assert_eq!(builder.get_config_value(&key).as_deref(), wanted, "{key:?}");
    }

    #[test]
    fn the_server_is_that_of_the_cloud() {
        let wanted = [
            ("c@a", None),
            (
                "c@a.blob.core.windows.net",
                Some("https://a.blob.core.windows.net"),
            ),
            (
                "c@a.dfs.core.windows.net",
                Some("https://a.blob.core.windows.net"),
            ),
            (
                "c@a.privatelink.dfs.core.windows.net",
                Some("https://a.blob.core.windows.net"),
            ),
            (
                "c@a.dfs.core.chinacloudapi.cn",
                Some("https://a.blob.core.chinacloudapi.cn"),
            ),
            (
                "c@onelake.dfs.fabric.microsoft.com",
                Some("https://onelake.blob.fabric.microsoft.com"),
            ),
        ];
        for (host, endpoint) in wanted {
            let builder = built(host, &[("AZURE_STORAGE_ACCESS_KEY", "a2V5")]).unwrap();
            says(&builder, AzureConfigKey::Endpoint, endpoint);
            says(&builder, AzureConfigKey::ContainerName, Some("c"));
            says(&builder, AzureConfigKey::AccessKey, Some("a2V5"));
        }
        for (host, wanted) in [
            ("container", "no storage account"),
            ("@a.blob.core.windows.net", "no storage account"),
            ("c@", "no storage account"),
            ("c@a.blob.example.org", "no server of Azure's"),
            ("c@a.blob.core.windows.net.example.org", "no server of Azure's"),
            ("c@127.0.0.1", "no server of Azure's"),
        ] {
            let problem = built(host, &[]).unwrap_err();
            assert!(problem.contains(wanted), "{host}: {problem}");
        }
    }

    #[test]
    fn a_connection_string_counts_alone_and_names_the_account() {
        let text = "DefaultEndpointsProtocol=https;accountname=b;AccountKey=a2V5Cg==;EndpointSuffix=core.windows.net";
        let settings = [
            (CONNECTION, text),
            ("AZURE_STORAGE_SAS_TOKEN", "sig=1"),
            ("AZURE_STORAGE_ACCESS_KEY", "b3RoZXI="),
        ];
        let builder = built("c@a.blob.core.windows.net", &settings).unwrap();
        says(&builder, AzureConfigKey::AccountName, Some("b"));
        says(&builder, AzureConfigKey::AccessKey, Some("a2V5Cg=="));
        says(&builder, AzureConfigKey::SasKey, None);
        says(
            &builder,
            AzureConfigKey::Endpoint,
            Some("https://b.blob.core.windows.net"),
        );
        says(
            &builder,
            AzureConfigKey::Client(object_store::ClientConfigKey::AllowHttp),
            Some("false"),
        );

        // As the portal writes those with a signature.
        let text = "BlobEndpoint=https://b.blob.core.windows.net/;QueueEndpoint=https://b.queue.core.windows.net/;\
            SharedAccessSignature=sv=2024-11-04&sig=x%3D";
        let builder = built("c@a.blob.core.windows.net", &[(CONNECTION, text)]).unwrap();
        says(&builder, AzureConfigKey::SasKey, Some("sv=2024-11-04&sig=x%3D"));
        says(
            &builder,
            AzureConfigKey::Endpoint,
            Some("https://b.blob.core.windows.net"),
        );

        let builder = built("c@a.x", &[(CONNECTION, "UseDevelopmentStorage=true")]).unwrap();
        says(&builder, AzureConfigKey::UseEmulator, Some("true"));
    }

    #[test]
    fn connection_strings_that_say_too_little_are_told_without_their_secrets() {
        for (text, wanted) in [
            ("hidden", "no NAME=VALUE"),
            ("AccountName=a;hidden", "no NAME=VALUE"),
            ("AccountName=a", "no AccountKey"),
            ("AccountKey=hidden", "no AccountName"),
            (
                "AccountKey=hidden;BlobEndpoint=hidden@host",
                "no http:// or https://",
            ),
            (
                "AccountKey=hidden;BlobEndpoint=https://hidden:x@h",
                "no http:// or https://",
            ),
        ] {
            let problem = built("c@a.blob.core.windows.net", &[(CONNECTION, text)]).unwrap_err();
            assert!(
                problem.contains(wanted) && !problem.contains("hidden"),
                "{problem}"
            );
            assert!(problem.contains(CONNECTION), "{problem}");
        }
    }

    #[test]
    fn machines_of_azures_say_where_tokens_are() {
        let builder = built(
            "c@a.blob.core.windows.net",
            &[(IDENTITY, "http://127.0.0.1:41/msi/token")],
        )
        .unwrap();
        says(
            &builder,
            AzureConfigKey::MsiEndpoint,
            Some("http://127.0.0.1:41/msi/token"),
        );
    }

    #[test]
    fn paths_of_data_lakes_are_percent_encoded() {
        assert_eq!(path("abfss", "a%20b/%C3%BC").unwrap(), "a b/ü");
        assert_eq!(path("wasbs", "a%20b").unwrap(), "a%20b");
        assert!(path("abfss", "%FF").is_err());
    }
}
