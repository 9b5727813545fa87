//! The pictures: which lines are in which.

use crate::case::{Key, Regime, Weights};
use crate::questions::regimes::{LOCKED, TWO_ADDITIONS};
use crate::questions::threads::{ADDITION, ADDITION_AND_COPY};
use crate::questions::{affinity, connections, name, regimes, size, table, threads};
use crate::report::plot::{Across, Picture};
use crate::subjects::name::{
    ADDITION as BARE, BUCKETS, C, HASHRING, LIST, LOADWISE, LOOP, MAGLEV, PINGORA, RANDOM, RINGS,
    RUST, SCATTERED, SLABS, SMOOTH, TOURNAMENT, TOWER, TREE,
};

use Weights::{Equal, Skewed};

pub fn all() -> Vec<Picture> {
    let mut all = picks();
    all.extend(calls());
    all.extend(in_regimes());
    all.extend(on_threads());
    all
}

fn picks() -> Vec<Picture> {
    let sizes = Across::Servers(&size::SIZES);
    let key = |how| Key::new(name::SIZE, "", "", 0).weights(how);
    let picture = |file, title: &str, how, lines: &[_]| {
        let title = format!("A pick {title}, {how} weights");
        Picture::new(file, &title, sizes, key(how), lines)
    };
    vec![
        picture(
            "pick-rr.svg",
            "in rotation",
            Equal,
            &[
                (RUST, "rr"),
                (RUST, "rr, per-worker"),
                (C, "rr"),
                (LIST, "rr"),
                (LOADWISE, "rr"),
                (PINGORA, "RoundRobin"),
                (LOOP, size::ONE_FLOW),
            ],
        ),
        picture(
            "pick-wrr.svg",
            "in weighted rotation",
            Skewed,
            &[
                (RUST, "wrr"),
                (RUST, "wrr, per-worker"),
                (C, "wrr"),
                (LIST, "wrr"),
                (SMOOTH, "swrr"),
                (LOADWISE, "swrr"),
                (PINGORA, "RoundRobin"),
                (LOOP, size::ONE_FLOW),
            ],
        ),
        picture(
            "pick-hash.svg",
            "by a hash",
            Equal,
            &[
                (RUST, "mh"),
                (C, "mh"),
                (MAGLEV, "maglev"),
                (HASHRING, "ring"),
                (LOADWISE, "consistent"),
                (PINGORA, "Consistent"),
                (LOOP, size::FLOWS_IN_TURN),
            ],
        ),
        picture(
            "pick-load.svg",
            "by load or at random",
            Equal,
            &[
                (RUST, "wlc"),
                (C, "wlc"),
                (RUST, "twos"),
                (RUST, "p2c"),
                (LIST, "wlc"),
                (SCATTERED, "wlc"),
                (TOWER, "p2c"),
                (PINGORA, "Random"),
            ],
        ),
    ]
}

fn calls() -> Vec<Picture> {
    let connection = Key::new(name::CONNECTIONS, "", "", 0).weights(Skewed);
    let remembering = Key::new(name::AFFINITY, "", "", 0);
    let filling = Key::new(name::TABLE, "", "", 0);
    let sizes = Across::Servers(&connections::SIZES);
    let mut remembered = Picture::new(
        "affinity.svg",
        "A connection of a remembered address, equal weights",
        Across::Servers(&affinity::SIZES),
        remembering,
        &[],
    );
    for kind in affinity::KINDS {
        let lines =
            affinity::ADDRESSES.map(|count| (RUST, affinity::scheduler(kind, count), Equal));
        remembered.lines.extend(lines);
    }
    let mut filled = Picture::new(
        "table.svg",
        "Building a table of 65521 slots",
        Across::Servers(&table::SIZES),
        filling,
        &[],
    );
    filled.up = "ns per apply";
    for scheduler in ["mh", "rr"] {
        filled.lines.extend([Equal, Skewed].map(|how| (RUST, scheduler.to_owned(), how)));
    }
    filled.lines.push((MAGLEV, "maglev".to_owned(), Equal));
    vec![
        Picture::new(
            "connections.svg",
            "A whole connection beside lists, skewed weights",
            sizes,
            connection.clone(),
            &[
                (RUST, "wlc"),
                (RUST, "lc"),
                (RUST, "rr"),
                (LIST, "wlc"),
                (LIST, "lc"),
                (SLABS, "wlc"),
                (SCATTERED, "wlc"),
            ],
        ),
        Picture::new(
            "calls.svg",
            "A whole connection by its calls, skewed weights",
            sizes,
            connection,
            &[
                (RUST, "wlc"),
                (RUST, "wlc, handle"),
                (C, "wlc"),
                (RUST, "rr"),
                (RUST, "rr, handle"),
                (RUST, connections::OPEN_CLOSE),
                (C, connections::OPEN_CLOSE),
                (LOOP, connections::NOTHING),
            ],
        ),
        remembered,
        filled,
    ]
}

/// Connections on one and two threads, hot and between work: by load beside locks, and the others.
fn in_regimes() -> Vec<Picture> {
    let mut all = Vec::new();
    for (regime, word, said) in [
        (Regime::Hot, "hot", "in a hot loop"),
        (Regime::Work, "work", "with work between, net of it"),
    ] {
        for threads in threads::THREAD_COUNTS {
            let key = |how| {
                Key::new(name::REGIMES, "", "", 0).weights(how).threads(threads).regime(regime)
            };
            let on = if threads == 1 { "one thread" } else { "two threads" };
            let sizes = Across::Servers(&regimes::SIZES);
            for how in [Equal, Skewed] {
                let title = format!("Connect + close by load, {on}, {said}, {how} weights");
                let file = format!("least-{how}-{word}-{threads}.svg");
                let mut lines = vec![
                    (RUST, "wlc"),
                    (RUST, "lc"),
                    (RUST, "wlc, per-worker"),
                    (TREE, LOCKED),
                    (RINGS, LOCKED),
                    (TOURNAMENT, LOCKED),
                    (RANDOM, TWO_ADDITIONS),
                ];
                if how == Equal {
                    lines.insert(6, (BUCKETS, LOCKED));
                }
                all.push(Picture::new(&file, &title, sizes, key(how), &lines));
            }
            let title = format!("Connect + close, {on}, {said}, skewed weights");
            let lines = [
                (RUST, "rr"),
                (RUST, "rr, per-worker"),
                (RUST, "wrr"),
                (RUST, "wrr, per-worker"),
                (RUST, "p2c"),
                (RUST, "twos"),
            ];
            let file = format!("connect-{word}-{threads}.svg");
            let mut picture = Picture::new(&file, &title, sizes, key(Skewed), &lines);
            let remembered = affinity::KINDS.map(|kind| affinity::scheduler(kind, affinity::FEW));
            picture.lines.extend(remembered.map(|what| (RUST, what, Skewed)));
            all.push(picture);
        }
    }
    all
}

fn on_threads() -> Vec<Picture> {
    let n = threads::SIZES[threads::SIZES.len() - 1];
    let key = Key::new(name::THREADS, "", "", n).weights(Skewed);
    let picture = |file, title, lines: &[_]| {
        Picture::new(file, title, Across::Threads(n), key.clone(), lines)
    };
    let mut others = picture(
        "threads-others.svg",
        "Other picks, 1,000 servers",
        &[
            (RUST, "mh"),
            (C, "mh"),
            (RUST, "wlc"),
            (RUST, "wlc, per-worker"),
            (LIST, "wlc"),
            (PINGORA, "Random"),
        ],
    );
    others.lines.push((PINGORA, "Consistent".to_owned(), Equal));
    vec![
        picture(
            "threads-rotations.svg",
            "Rotations shared by threads, 1,000 servers",
            &[
                (RUST, "rr"),
                (RUST, "rr, per-worker"),
                (RUST, "wrr"),
                (C, "rr"),
                (LIST, "rr"),
                (PINGORA, "RoundRobin"),
                (BARE, ADDITION),
                (BARE, ADDITION_AND_COPY),
            ],
        ),
        others,
    ]
}
