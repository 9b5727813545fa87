//! The connections of one server and its overload mark, by both kernel rules.

use vsched::Activity;
use vsched::config::KernelRules;

/// Counts, thresholds and mark of one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Active connections.
    pub active: u32,
    /// Inactive connections.
    pub inactive: u32,
    /// Gets no new connections.
    pub overloaded: bool,
    upper: u32,
    lower: u32,
}

/// Which way an event of generation B has moved the number of connections.
#[derive(Clone, Copy, PartialEq)]
enum Moved {
    Up,
    Down,
    Not,
}

impl Load {
    /// All connections.
    pub fn total(&self) -> u32 {
        self.active + self.inactive
    }

    /// A connection is bound.
    pub fn bind(&mut self, activity: Activity, generation: KernelRules) {
        *self.count(activity) += 1;
        match generation {
            KernelRules::A => {
                if self.upper != 0 && self.total() >= self.upper {
                    self.overloaded = true;
                }
            }
            _ => {
                if self.total() == self.upper {
                    self.evaluate(Moved::Up);
                }
            }
        }
    }

    /// A connection of this activity ends. There is one.
    pub fn unbind(&mut self, activity: Activity, generation: KernelRules) {
        let before = self.total();
        *self.count(activity) -= 1;
        let total = self.total();
        match generation {
            KernelRules::A => {
                let clear = if self.lower != 0 {
                    total < self.lower
                } else if self.upper != 0 {
                    u64::from(total) * 4 < u64::from(self.upper) * 3
                } else {
                    true
                };
                if clear {
                    self.overloaded = false;
                }
            }
            _ => {
                if before == self.level() {
                    self.evaluate(Moved::Down);
                }
            }
        }
    }

    /// A connection becomes active or inactive. There is one that is not.
    pub fn shift(&mut self, to: Activity) {
        match to {
            Activity::Active => {
                self.inactive -= 1;
                self.active += 1;
            }
            Activity::Inactive => {
                self.active -= 1;
                self.inactive += 1;
            }
        }
    }

    /// The server is added or edited, perhaps with the thresholds it has.
    pub fn limit(&mut self, upper: u32, lower: u32, generation: KernelRules) {
        let changed = (upper, lower) != (self.upper, self.lower);
        let raised = upper == 0 || upper > self.upper;
        (self.upper, self.lower) = (upper, lower);
        match generation {
            KernelRules::A => {
                if raised {
                    self.overloaded = false;
                }
            }
            _ => {
                if changed {
                    self.evaluate(Moved::Not);
                }
            }
        }
    }

    fn count(&mut self, activity: Activity) -> &mut u32 {
        match activity {
            Activity::Active => &mut self.active,
            Activity::Inactive => &mut self.inactive,
        }
    }

    /// Generation B: an overloaded server is relieved below this.
    fn level(&self) -> u32 {
        if self.lower != 0 { self.lower } else { self.upper - self.upper / 4 }
    }

    fn evaluate(&mut self, moved: Moved) {
        let (total, upper, level) = (self.total(), self.upper, self.level());
        let sets_from = if moved == Moved::Up { level } else { upper };
        let stays_from = if moved == Moved::Down { upper } else { level };
        if upper == 0 {
            self.overloaded = false;
        } else if total >= sets_from {
            self.overloaded = true;
        } else if total >= stays_from {
            // As it was.
        } else {
            self.overloaded = false;
        }
    }
}
