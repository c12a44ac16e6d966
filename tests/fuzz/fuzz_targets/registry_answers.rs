//! Answers of an MLflow server to every question about versions and where their files are: a version, a place or an
//! error, never a panic, and never an endless question.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use modelsd::client::{Config, Credentials};
use modelsd::model::uri::ModelUri;
use modelsd::registry::{self, Registry, Selector, Spec};
use modelsd_fuzz::{Server, check_error};
use tokio::runtime::{Builder, Runtime};

const PASSWORD: &str = "not-to-be-told";

struct Asked {
    server: Server,
    registry: Box<dyn Registry>,
    runtime: Runtime,
    uris: Vec<ModelUri>,
}

static ASKED: LazyLock<Asked> = LazyLock::new(|| {
    let server = Server::start(&[]);
    let mut settings = Config::new("");
    settings.retries = 0;
    settings.credentials = Some(Credentials::Bearer(PASSWORD.into()));
    let spec = Spec::new(&server.url, None, &settings).expect("the address of a server");
    let uris = [
        "models:/reg/2",
        "models:/reg/Production",
        "models:/reg@champion",
        "models:/reg/latest",
        "models:/m-25d431f948914140bb54ff0a00dc5d21",
        "runs:/70b51bfd07934da7952e5540b2e22d0b/model",
    ];
    Asked {
        server,
        registry: registry::open(&spec).expect("usable settings"),
        runtime: Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime"),
        uris: uris.iter().map(|uri| uri.parse().expect("a model URI")).collect(),
    }
});

fuzz_target!(|input: &[u8]| {
    let Some((question, answers)) = input.split_first() else {
        return;
    };
    let Asked {
        server,
        registry,
        runtime,
        uris,
    } = &*ASKED;
    server.load(answers);
    runtime.block_on(async {
        if let Some(uri) = uris.get(usize::from(*question) % (uris.len() + 1)) {
            match registry::resolve(&**registry, uri).await {
                Ok(resolved) => assert!(resolved.aliases.is_sorted() && !resolved.in_place),
                Err(error) => check_error(&error, PASSWORD),
            }
        } else {
            match registry.all(&Selector::parse("Production")).await {
                Ok(found) => assert!(found.is_sorted_by(|one, two| one.id.name <= two.id.name)),
                Err(error) => check_error(&error, PASSWORD),
            }
        }
    });
});
