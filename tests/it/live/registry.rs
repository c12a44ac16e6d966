//! The registry of a real server: what URIs mean, where the files are, and what is said when there are none. MLflow's
//! own client is asked the same.

use std::time::Duration;

use modelsd::client::Config;
use modelsd::model::stage::Stage;
use modelsd::model::uri::ModelUri;
use modelsd::registry::{self, Registry, RegistryError, Resolved, Selector, Spec, Wanted};
use serde_json::json;

use super::server::{MlflowServer, Options, Python, Store};
use crate::support::repository;

/// A registry, and a runtime to wait for it.
pub struct Asked {
    runtime: tokio::runtime::Runtime,
    pub registry: Box<dyn Registry>,
}

impl Asked {
    /// The registry at an address, without retries.
    pub fn at(url: &str, settings: &Config) -> Asked {
        let settings = Config {
            retries: 0,
            ..settings.clone()
        };
        let spec = Spec::new(url, None, &settings).unwrap();
        Asked {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
            registry: registry::open(&spec).unwrap(),
        }
    }

    pub fn wanted(&self, uris: &[&str]) -> Vec<Result<Wanted, RegistryError>> {
        let uris: Vec<ModelUri> = uris.iter().map(|uri| uri.parse().unwrap()).collect();
        self.runtime.block_on(self.registry.wanted(&uris))
    }

    pub fn resolve(&self, uri: &str) -> Result<Resolved, RegistryError> {
        let uri = uri.parse().unwrap();
        self.runtime
            .block_on(registry::resolve(self.registry.as_ref(), &uri))
    }

    #[track_caller]
    pub fn version(&self, uri: &str) -> u64 {
        let mut answers = self.wanted(&[uri]);
        let wanted = answers
            .pop()
            .unwrap()
            .unwrap_or_else(|error| panic!("{uri}: {error}"));
        wanted.id.version_label().parse().unwrap()
    }

    /// The error says this, and is no outage.
    #[track_caller]
    fn refused(&self, uri: &str, words: &[&str]) {
        let error = self.resolve(uri).unwrap_err();
        for wanted in words {
            assert!(error.to_string().contains(wanted), "{uri}: {wanted} in {error}");
        }
        assert!(!error.is_outage(), "{uri}: {error:?}");
    }

    pub fn all(&self, selector: &str) -> Vec<String> {
        let found = self
            .runtime
            .block_on(self.registry.all(&Selector::parse(selector)));
        found
            .unwrap()
            .iter()
            .map(|wanted| wanted.id.to_string())
            .collect()
    }
}

#[test]
fn a_registry_is_asked_as_mlflows_client_asks() {
    let store = Store::new();
    let mut server = MlflowServer::start(&store, &Options::default());
    let mut python = Python::start(&server.url, &[]);
    let folder = repository("models/iris/1");
    let folder = folder.to_str().unwrap();
    let asked = Asked::at(&server.url, &Config::new(""));

    // Before anything is there.
    asked.refused("models:/iris/1", &["has no model `iris`", "it has no models"]);
    assert_eq!(asked.all("Production"), [""; 0]);

    let first = python.ask("log", json!({"name": "iris", "folder": folder}));
    python.ask("log", json!({"name": "iris", "folder": folder}));
    let old = python.ask("log_as_2", json!({"name": "iris", "folder": folder}));
    python.ask("log", json!({"name": "a model.ü", "folder": folder}));
    python.ask("prompt", json!({"name": "greeting"}));
    let logged = first["model_id"].as_str().unwrap();
    let run = first["run_id"].as_str().unwrap();

    // Stages, aliases, numbers, and the newest.
    python.ask(
        "stage",
        json!({"name": "iris", "version": 1, "stage": "Production"}),
    );
    python.ask(
        "stage",
        json!({"name": "a model.ü", "version": 1, "stage": "production"}),
    );
    python.ask(
        "alias",
        json!({"name": "iris", "alias": "Champion", "version": 2}),
    );
    let mut uris = vec![
        "models:/iris/1",
        "models:/iris/2",
        "models:/iris/3",
        "models:/iris/PRODUCTION",
        "models:/iris/None",
        "models:/iris/latest",
        "models:/iris@Champion",
        "models:/iris@latest",
        "models:/a model.ü/Production",
    ];
    for (uri, answer) in uris.iter().zip(asked.wanted(&uris)) {
        let version = python.ask("wanted", json!({ "uri": uri }));
        assert_eq!(answer.unwrap().id.version_label(), version.to_string(), "{uri}");
    }

    // However many URIs: one request a model and poll, once it is known which older versions are ready.
    let requests = || server.log().matches("GET /api/2.0/mlflow/").count();
    let of_iris: Vec<&str> = uris.iter().copied().filter(|uri| uri.contains("iris")).collect();
    let before = requests();
    assert!(asked.wanted(&of_iris).iter().all(Result::is_ok));
    // The server logs a request after it was answered.
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(requests() - before, 1, "{}", server.log());

    // Where the files are, also of what is in no registry.
    let by_id = format!("models:/{logged}");
    let of_run = format!("runs:/{run}/model");
    let of_old_run = format!("runs:/{}/model", old["run_id"].as_str().unwrap());
    uris.extend([by_id.as_str(), &of_run, &of_old_run]);
    for uri in &uris {
        let resolved = asked
            .resolve(uri)
            .unwrap_or_else(|error| panic!("{uri}: {error}"));
        let location = python.ask("underlying", json!({ "uri": uri }));
        assert_eq!(resolved.location.as_str(), location.as_str().unwrap(), "{uri}");
        assert!(!resolved.in_place);
    }
    let id = |uri: &str| asked.resolve(uri).unwrap().id;
    assert_eq!(id(&by_id), id(&of_run));
    assert_eq!(id(&by_id).to_string(), format!("model/{logged}"));

    // What else the registry says.
    python.ask(
        "tag",
        json!({"name": "iris", "version": 2, "key": "k", "value": "v"}),
    );
    python.ask("alias", json!({"name": "iris", "alias": "b", "version": 2}));
    let resolved = asked.resolve("models:/iris/2").unwrap();
    assert_eq!(
        (resolved.stage, resolved.description.as_str()),
        (Some(Stage::None), "tagged k")
    );
    assert_eq!(resolved.aliases, ["Champion", "b"]);
    assert_eq!(resolved.tags, [("k".to_owned(), "v".to_owned())]);

    // Sources that are model URIs themselves.
    let source = format!("runs:/{run}/model");
    let direct = python.ask(
        "log_as_2",
        json!({"name": "again", "folder": folder, "source": "runs:/{run}/model"}),
    );
    assert_eq!(direct["version"], 1);
    let own = asked.resolve("models:/again/1").unwrap().location;
    assert!(own.as_str().ends_with("/artifacts/model"), "{own}");
    let store_location = "UPDATE model_versions SET storage_location = ? WHERE name = ? AND version = ?";
    let mut place = |location: &str, name: &str, version: u64| {
        let values = json!([location, name, version]);
        let arguments = json!({"database": store.database(), "statement": store_location, "values": values});
        assert_eq!(python.ask("execute", arguments), 1);
    };
    place(&source, "again", 1);
    let followed = asked.resolve("models:/again/1").unwrap().location;
    assert_eq!(followed, asked.resolve(&by_id).unwrap().location);
    place("models:/iris@Champion", "again", 1);
    let followed = asked.resolve("models:/again/1").unwrap().location;
    assert_eq!(followed, asked.resolve("models:/iris/2").unwrap().location);
    place("models:/again/latest", "again", 1);
    asked.refused("models:/again/1", &["`models:/again/1`", "lead"]);
    place("models:/iris/nowhere", "again", 1);
    asked.refused("models:/again/1", &["cannot tell where the files of", "nowhere"]);

    // Every model of a stage or an alias.
    assert_eq!(asked.all("production"), ["a model.ü/1", "iris/1"]);
    assert_eq!(asked.all("@Champion"), ["iris/2"]);
    assert_eq!(asked.all("none"), ["again/1", "iris/3"]);
    assert_eq!(asked.all("@nobody"), [""; 0]);

    // Two in one stage: the higher number. Back by archiving, as people roll back.
    python.ask(
        "stage",
        json!({"name": "iris", "version": 2, "stage": "Production"}),
    );
    python.ask(
        "stage",
        json!({"name": "iris", "version": 1, "stage": "Production"}),
    );
    assert_eq!(asked.version("models:/iris/Production"), 2);
    python.ask(
        "stage",
        json!({"name": "iris", "version": 1, "stage": "Production", "archive": true}),
    );
    assert_eq!(asked.version("models:/iris/Production"), 1);

    // What is not there.
    asked.refused(
        "models:/iris/Staging",
        &[
            "no version in stage Staging",
            "1 (Production)",
            "Champion (version 2)",
        ],
    );
    asked.refused(
        "models:/iris@champion",
        &["no alias `champion`", "set_registered_model_alias"],
    );
    asked.refused(
        "models:/iris/99",
        &["no version 99", "it has as the newest of each stage"],
    );
    asked.refused(
        "models:/nope/1",
        &["has no model `nope`; it has a model.ü, again, iris"],
    );
    asked.refused(
        "models:/m-00000000000000000000000000000000",
        &["has no logged model"],
    );
    asked.refused("runs:/00000000000000000000000000000000/model", &["has no run"]);
    asked.refused("models:/greeting/1", &["`greeting` is a prompt"]);

    // Registrations that are no end: an older one that was ready is known until the model changes.
    python.ask("alias", json!({"name": "iris", "alias": "next", "version": 2}));
    assert_eq!(asked.version("models:/iris@next"), 2);
    let set = "UPDATE model_versions SET status = ? WHERE name = 'iris' AND version = ?";
    for (status, version, uri) in [
        ("PENDING_REGISTRATION", 3, "models:/iris/latest"),
        ("FAILED_REGISTRATION", 3, "models:/iris/3"),
    ] {
        let arguments = json!({"database": store.database(), "statement": set, "values": [status, version]});
        python.ask("execute", arguments);
        asked.refused(uri, &["version 3 of model `iris` is not ready", status]);
    }
    assert_eq!(asked.all("none"), ["again/1"]);

    // Deleted versions are gone, and a model made anew has other files under the same number.
    python.ask("delete_version", json!({"name": "iris", "version": 2}));
    asked.refused("models:/iris/2", &["no version 2"]);
    asked.refused("models:/iris@next", &["no alias `next`"]);
    let before = asked.wanted(&["models:/iris/1"]).pop().unwrap().unwrap();
    python.ask("delete_model", json!({"name": "iris"}));
    python.ask("log", json!({"name": "iris", "folder": folder}));
    let after = asked.wanted(&["models:/iris/1"]).pop().unwrap().unwrap();
    assert_eq!(after.id, before.id);
    assert_ne!(after.revision, before.revision);

    // The server killed: an outage, said once for all, and over by itself.
    server.kill();
    for answer in asked.wanted(&["models:/iris/1", "models:/nope/1", &by_id]) {
        let error = answer.unwrap_err();
        assert!(
            error.is_outage() && error.to_string().contains("cannot reach"),
            "{error}"
        );
    }
    server.restart();
    assert_eq!(asked.version("models:/iris/1"), 1);
}
