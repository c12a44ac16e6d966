//! The routes of a server, by name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwap, Guard};

use super::route::Route;

/// The routes; read by every request, changed by an operator.
#[derive(Debug, Default)]
pub struct Routes {
    table: ArcSwap<Table>,
    /// Whether there are any: most servers have none, and a request should not pay for that.
    any: AtomicBool,
}

/// The routes at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    routes: BTreeMap<Arc<str>, Arc<Route>>,
    default: Option<Arc<str>>,
}

impl Table {
    /// A table of these routes; `default` names the one that is meant when none is named.
    pub fn new(routes: impl IntoIterator<Item = Route>, default: Option<Arc<str>>) -> Table {
        let routes = routes
            .into_iter()
            .map(|route| (Arc::clone(route.name()), Arc::new(route)));
        Table {
            routes: routes.collect(),
            default,
        }
    }

    /// The route of that name, or the default one.
    pub fn get(&self, name: Option<&str>) -> Option<&Arc<Route>> {
        self.routes.get(name.or(self.default.as_deref())?)
    }

    /// Every route, by name.
    pub fn routes(&self) -> impl ExactSizeIterator<Item = &Arc<Route>> {
        self.routes.values()
    }

    /// The same table with this route in place of the one of its name.
    #[must_use]
    pub fn with(&self, route: Route) -> Table {
        let mut table = self.clone();
        table.routes.insert(Arc::clone(route.name()), Arc::new(route));
        table
    }
}

impl Routes {
    /// These routes.
    pub fn new(table: Table) -> Routes {
        Routes {
            any: AtomicBool::new(!table.routes.is_empty()),
            table: ArcSwap::from_pointee(table),
        }
    }

    /// The routes at this moment.
    pub fn table(&self) -> Guard<Arc<Table>> {
        self.table.load()
    }

    /// The same, unless there are none.
    pub fn any(&self) -> Option<Guard<Arc<Table>>> {
        self.any.load(Ordering::Acquire).then(|| self.table.load())
    }

    /// Puts others in their place. One task at a time does so, that no change is lost.
    pub fn set(&self, table: Table) {
        let any = !table.routes.is_empty();
        self.table.store(Arc::new(table));
        self.any.store(any, Ordering::Release);
    }
}
