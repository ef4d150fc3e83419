//! Routes of one type that look at the same places in an envelope.

use std::collections::HashMap;
use std::sync::Arc;

use crate::engine::Route;

/// Places in an envelope, each as the keys that lead there.
type Places = Arc<[Vec<Arc<str>>]>;

/// All groups, by type and places and by number.
#[derive(Default)]
pub(super) struct Groups {
    typed: HashMap<Arc<str>, HashMap<Places, u32>>,
    /// Those that events of any type belong to.
    untyped: HashMap<Places, u32>,
    /// By number; those that have ended are free for others.
    all: Vec<Group>,
    free: Vec<u32>,
}

#[derive(Default)]
struct Group {
    kind: Option<Arc<str>>,
    places: Places,
    /// Routes in it.
    routes: usize,
}

impl Groups {
    /// The number of a route's group, which has it now.
    pub(super) fn enter(&mut self, route: &Route) -> u32 {
        let known = match &route.kind {
            Some(kind) => self.typed.get(kind).and_then(|it| it.get(&*route.places)),
            None => self.untyped.get(&*route.places),
        };
        let number = known.copied().unwrap_or_else(|| self.open(route));
        if let Some(group) = self.all.get_mut(number as usize) {
            group.routes += 1;
        }
        number
    }

    fn open(&mut self, route: &Route) -> u32 {
        let kind = route.kind.clone();
        let places: Places = route.places.clone().into();
        let number = self.free.pop().unwrap_or_else(|| {
            self.all.push(Group::default());
            u32::try_from(self.all.len() - 1).unwrap_or(u32::MAX)
        });
        let by_places = match &kind {
            Some(kind) => self.typed.entry(kind.clone()).or_default(),
            None => &mut self.untyped,
        };
        by_places.insert(places.clone(), number);
        if let Some(group) = self.all.get_mut(number as usize) {
            *group = Group { kind, places, routes: 0 };
        }
        number
    }

    /// A route leaves its group, which ends with the last one.
    pub(super) fn leave(&mut self, number: u32) {
        let Some(group) = self.all.get_mut(number as usize) else {
            debug_assert!(false, "a route leaves a group that was never there");
            return;
        };
        group.routes = group.routes.saturating_sub(1);
        if group.routes > 0 {
            return;
        }
        let Group { kind, places, .. } = std::mem::take(group);
        self.free.push(number);
        match kind {
            None => _ = self.untyped.remove(&places),
            Some(kind) => {
                if let Some(by_places) = self.typed.get_mut(&kind) {
                    by_places.remove(&places);
                    if by_places.is_empty() {
                        self.typed.remove(&kind);
                    }
                }
            }
        }
    }

    /// The groups that events of this type belong to: places and number.
    pub(super) fn of_type(&self, kind: &str) -> impl Iterator<Item = (&[Vec<Arc<str>>], u32)> {
        let typed = self.typed.get(kind).into_iter().flatten();
        typed.chain(&self.untyped).map(|(places, number)| (&**places, *number))
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.all.len() - self.free.len()
    }
}
