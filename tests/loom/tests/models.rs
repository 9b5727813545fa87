//! Runs every model; those with something wrong in them must fail.

use vsched_loom::{Fences, check_with};

macro_rules! models {
    ($($module:ident: $($model:ident)+;)+) => {
        $( mod $module { $(
            #[test]
            fn $model() {
                vsched_loom::check(vsched_loom::$module::$model);
            }
        )+ } )+
    };
}

macro_rules! planted {
    ($($module:ident::$model:ident, $message:literal;)+) => {
        mod planted { $(
            #[test]
            #[should_panic(expected = $message)]
            fn $model() {
                vsched_loom::check(vsched_loom::$module::$model);
            }
        )+ }
    };
}

models! {
    publication: one_reader_two_replacements two_readers nested_looks_keep_the_outer_value looks_end_in_any_order
        published_values_are_found readers_come_and_go;
    cursor: two_pickers_one_reload one_picker_two_reloads;
}

mod slots {
    use vsched::config::Generation;
    use vsched_loom::{check, slots};

    fn both(model: fn(Generation)) {
        check(move || model(Generation::A));
        check(move || model(Generation::B));
    }

    #[test]
    fn connections_are_counted_exactly() {
        both(slots::connections_are_counted_exactly);
    }

    #[test]
    fn the_limit_holds() {
        both(slots::the_limit_holds);
    }

    #[test]
    fn limits_change_beside_connections() {
        for edit in slots::EDITS {
            check(move || slots::limits_change_beside_connections(Generation::A, edit));
            check(move || slots::limits_change_beside_connections(Generation::B, edit));
        }
    }

    #[test]
    fn stale_ids_count_on_nobody() {
        both(slots::stale_ids_count_on_nobody);
    }

    #[test]
    fn a_close_beside_the_end_counts_once() {
        both(slots::a_close_beside_the_end_counts_once);
    }

    #[test]
    #[should_panic(expected = "a stale id counts on the new owner")]
    fn planted_occupy_without_vacate() {
        both(slots::planted_occupy_without_vacate);
    }

    #[test]
    #[should_panic(expected = "more than the limit")]
    fn planted_look_then_open() {
        both(slots::planted_look_then_open);
    }
}

planted! {
    publication::planted_retire_ignores_holds, "Causality violation";
    publication::planted_look_after_the_closure, "Causality violation";
    cursor::planted_adopt_before_publication, "nothing newer is published";
    cursor::planted_adopt_in_two_steps, "lost or given twice";
}

/// Hazard pointers need SeqCst: with AcqRel in its place a held value is freed.
#[test]
#[should_panic]
fn publication_is_wrong_without_sequential_consistency() {
    check_with(Fences::Nowhere, vsched_loom::publication::one_reader_two_replacements);
}
