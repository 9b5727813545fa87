use super::{Even, Find, Shares, Uneven, WeightedTable, mix, reduce};
use crate::arena::Arena;
use crate::arena::counts::Activity::Active;
use crate::arena::counts::Limits;
use crate::arena::id::ServerId;
use crate::arena::slots::ServerSlot;
use crate::config::{KernelRules, RealServer, ServerState, Thresholds};
use crate::pool::servers::{Member, Position, Servers};
use crate::sync::Arc;

/// The first outputs of the published generator for seed 0.
#[test]
fn outputs_are_split_mixs() {
    assert_eq!(
        [0, 1, 2].map(|index| mix(0, index)),
        [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f]
    );
}

/// Servers in slots 0, 1, … with these weights; those that are not `open` are overloaded, or held.
fn servers(weights: &[u32], open: &[bool]) -> Servers {
    let arena = Arc::new(Arena::new());
    let count = weights.len() as u32;
    assert!(arena.servers.grow_to_with(count, || ServerSlot::new(0)));
    let member = |(slot, (weight, open)): (u32, (&u32, &bool))| {
        let state = arena.servers.get(slot).unwrap();
        state.occupy(0);
        if !open && slot % 3 == 0 {
            state
                .set_state(0, [ServerState::Down, ServerState::Draining][slot as usize % 2])
                .unwrap();
        } else if !open {
            state.limit(Limits::new(Thresholds { upper: 1, lower: 0 }), KernelRules::B);
            state.open(0, Active, KernelRules::B, true).unwrap();
        }
        let address = ([10, 0, (slot >> 8) as u8, slot as u8], 80).into();
        let server = RealServer::new(address).with_weight(*weight);
        Member { id: id(slot), server, last_weight: 0, standby: 0 }
    };
    let members: Vec<Member> = (0..).zip(weights.iter().zip(open)).map(member).collect();
    Servers::new(Arc::clone(&arena), &members)
}

fn id(slot: u32) -> ServerId {
    ServerId { slot, generation: 0 }
}

/// The definition: walks of the whole list, one per random number.
struct Walks<'a> {
    weights: &'a [u32],
    open: &'a [bool],
    bonus: u64,
    except: Option<Position>,
}

impl Walks<'_> {
    /// The servers other than the exception, with their weights.
    fn others(&self) -> impl Iterator<Item = (Position, u64)> + '_ {
        let all = (0..).zip(self.weights.iter().map(|weight| u64::from(*weight)));
        all.filter(|(position, _)| Some(*position) != self.except)
    }

    fn is_available(&self, position: Position, tried: &[ServerId]) -> bool {
        let at = position as usize;
        self.weights[at] > 0 && self.open[at] && !tried.contains(&id(position))
    }

    fn owner(list: impl Iterator<Item = (Position, u64)>, mut number: u64) -> Option<Position> {
        let mut list = list;
        let found = list.find(|(_, weight)| {
            let owns = number < *weight;
            number = number.saturating_sub(*weight);
            owns
        });
        found.map(|(position, _)| position)
    }

    fn choose(&self, tried: &[ServerId], mut random: u64) -> Option<Position> {
        let available = || self.others().filter(|(at, _)| self.is_available(*at, tried));
        let sum =
            |list: &mut dyn Iterator<Item = (Position, u64)>| list.map(|(_, it)| it).sum::<u64>();
        let (all, count) = (sum(&mut self.others()) + self.bonus, self.weights.len());
        let most = count.min(32).max(count / 4);
        for _ in 0..most {
            let number = reduce(random, all);
            let found = match number.checked_sub(self.bonus) {
                None => available().next().map(|(position, _)| position),
                Some(number) => Self::owner(self.others(), number)
                    .filter(|position| self.is_available(*position, tried)),
            };
            if found.is_some() {
                return found;
            }
            random = mix(random, 0);
        }
        let number = reduce(random, sum(&mut available()) + self.bonus);
        Self::owner(available(), number.saturating_sub(self.bonus))
    }
}

#[test]
fn choices_are_those_of_walks() {
    let mut state = 11;
    let mut random = move |limit: u64| {
        state = mix(state, 1);
        state % limit
    };
    let (mut found, mut none, mut retried, mut divided) = (0, 0, 0, 0);
    for case in 0..1500_u64 {
        let count = [1, 2, 3, 9, 31, 33, 64, 130, 500][random(9) as usize];
        let heaviest = [1, 3, 100, 1 << 31][random(4) as usize];
        let share_open = [1000, 900, 500, 100, 10, 1, 0][random(7) as usize];
        let mut weight = || match random(10) {
            0 => 0,
            1 => random(heaviest) as u32,
            _ => 1 + random(heaviest.min(40)) as u32,
        };
        let mut weights: Vec<u32> = (0..count).map(|_| weight()).collect();
        if random(3) == 0 {
            let equal = weights[0];
            weights.fill(equal);
        }
        let open: Vec<bool> = (0..count).map(|_| random(1000) < share_open).collect();
        let servers = servers(&weights, &open);
        let tried: Vec<ServerId> = match random(4) {
            0 => (0..1 + random(4)).map(|_| id(random(count) as u32)).collect(),
            _ => Vec::new(),
        };
        let bonus = case % 2;
        let table = WeightedTable::new(&servers, bonus);
        for _ in 0..20 {
            let except = (bonus == 0 && random(2) == 0).then(|| random(count) as Position);
            let walks = Walks { weights: &weights, open: &open, bonus, except };
            let number = mix(case, random(u64::MAX));
            let wanted = walks.choose(&tried, number);
            let chosen = match &table.shares {
                Shares::Even(even) => {
                    divided += 1;
                    table.choose(even, &servers, &tried, number, except)
                }
                Shares::Uneven(uneven) => table.choose(uneven, &servers, &tried, number, except),
            };
            assert_eq!(
                chosen.map(|it| it.position),
                wanted,
                "{case}: {weights:?} {open:?} {except:?}"
            );
            let right =
                |it: crate::pool::servers::Candidate| it.weight == weights[it.position as usize];
            assert!(chosen.is_none_or(right), "{case}");
            *(if wanted.is_some() { &mut found } else { &mut none }) += 1;
            retried += u32::from(!tried.is_empty());
        }
    }
    assert!(found > 10_000 && none > 2_000 && retried > 3_000, "{found} {none} {retried}");
    assert!(divided > 5_000, "{divided}");
}

/// The numbers at the edges of servers' shares, where rounding would show.
#[test]
fn divisions_are_exact() {
    for weight in [1, 2, 3, 7, 100, 65_535, 65_536, 1_000_003, (1 << 31) - 1] {
        for bonus in [0, 1] {
            let weights = vec![weight; 700];
            let servers = servers(&weights, &[true; 700]);
            let total = bonus + 700 * u64::from(weight);
            let even = Even::new(&servers, total);
            // 700 * weight^2 below 2^64.
            assert_eq!(even.is_some(), weight < 1 << 27, "{weight}");
            let Some(even) = even else { continue };
            let uneven = Uneven::new(&servers, bonus, total);
            for position in 0..700 {
                let numbers = even.numbers(position, bonus).unwrap();
                let Some(same) = uneven.numbers(position, bonus) else { panic!("{position}") };
                assert_eq!((numbers.start, numbers.width), (same.start, same.width));
                for number in [numbers.start, numbers.start + numbers.width - 1] {
                    assert_eq!(even.owner(number, bonus), Some(position), "{weight} {number}");
                    assert_eq!(uneven.owner(number, bonus), Some(position), "{weight} {number}");
                }
            }
        }
    }
}
