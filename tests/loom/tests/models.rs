//! Runs every model; those with a planted defect must fail.

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
    waiters: no_wake_up_is_lost two_places_wake_two a_task_that_gives_up_passes_it_on;
    hazard: one_reader_two_replacements two_readers nested_looks_keep_the_outer_value looks_end_in_any_order
        published_values_are_found readers_come_and_go borrowed_slots all_slots_are_borrowed
        a_panic_gives_the_slot_back;
    per_thread: a_number_passes_to_the_next_thread a_holder_dropped_beside_an_end
        an_end_beside_another_holder a_destructor_uses_its_holder;
    ejection: one_place_is_taken_once one_server_is_ejected_once a_place_given_back_is_taken_again
        a_state_does_not_end_an_ejection an_ejection_ends_with_the_owner an_ejection_ends_with_the_service;
    health: failures_beside_a_success_have_an_order failures_are_numbered_once
        an_interval_beside_reports_loses_nothing a_sample_beside_a_decay_has_an_order
        a_late_report_counts_for_no_other;
    worker_rotation: one_reload two_reloads;
    chunk: chunks_outlive_a_reload a_chunk_outlives_two_reloads chunks_before_the_first_turn chunks_wrap;
    shared_rotation: two_pickers_one_reload two_pickers_one_reload_at_the_head one_picker_two_reloads
        two_retries_one_reload one_retry_two_reloads
        a_cycle_begins_anew a_refusal_takes_no_turn a_restart_beside_pickers;
    looks: a_hold_beside_pickers a_hold_beside_the_end_of_another a_hold_beside_a_new_version;
    min_tree: three_updaters three_updaters_of_falling_loads a_leaf_falls_and_rises
        a_node_falls_and_rises;
    told: a_change_beside_the_first_told_publication_is_told changes_are_told a_state_beside_a_close_is_told a_change_beside_a_publication_is_told a_close_beside_a_homecoming_is_told;
    worker_state: what_changes_for_all_is_found an_index_made_beside_a_change_is_told own_changes_are_told
        company_beside_a_change_is_told an_end_beside_a_succession_counts_once
        a_note_beside_a_change_is_cleared a_connection_beside_a_publication_is_told;
    own_count: a_fold_beside_connections_loses_none a_sole_word_beside_connections_counts_once
        a_limit_counts_what_was_counted_alone an_end_beside_a_workers_counts_once;
    address_map: one_address_has_one_entry an_entry_ends_beside_claims what_is_written_late_is_nobodys
        what_is_written_late_is_swept a_claim_beside_a_clean_sweep another_capacity_beside_a_claim
        what_is_over_comes_again_beside_a_sweep;
    flag_set: a_set_beside_a_publication;
    server_set: sets_are_read_whole writers_meet a_set_ends_beside_a_writer;
    templates: first_connections_meet holds_are_counted_exactly a_template_ends_beside_a_pick
        an_open_connection_keeps_its_template connections_beside_another_capacity
        a_close_after_the_deadline_extends_it a_template_made_anew_beside_a_sweep
        an_owners_last_connection_beside_its_next owners_hold_a_template_each;
}

mod round_cases {
    use vsched_loom::{check, shared_rotation};

    #[test]
    fn an_unavailable_server_is_passed_over() {
        for by_draw in [false, true] {
            check(move || shared_rotation::an_unavailable_server_is_passed_over(by_draw));
        }
    }
}

mod min_tree_cases {
    use vsched_loom::{check, min_tree};

    #[test]
    fn two_updaters() {
        for case in min_tree::CASES {
            check(move || min_tree::two_updaters(case));
            check(move || min_tree::two_updaters_of_narrow_keys(case));
        }
    }

    #[test]
    fn a_picker_beside_an_updater() {
        for case in min_tree::CASES {
            check(move || min_tree::a_picker_beside_an_updater(case));
            check(move || min_tree::a_picker_in_turn_beside_an_updater(case));
        }
    }

    #[test]
    fn what_one_did_not_tell_is_found_out() {
        for (case, steps) in stops() {
            for in_turn in [false, true] {
                check(move || {
                    min_tree::what_one_did_not_tell_is_found_out(case, steps, in_turn);
                });
            }
        }
    }

    #[test]
    fn stopped_threads_hold_up_nobody() {
        for (case, steps) in stops() {
            check(move || min_tree::stopped_threads_hold_up_nobody(case, steps));
        }
    }

    fn stops() -> impl Iterator<Item = (min_tree::Case, usize)> {
        let steps = |case| (0..=min_tree::STEPS).map(move |steps| (case, steps));
        min_tree::CASES.into_iter().flat_map(steps)
    }
}

mod ledger {
    use vsched_loom::check;
    use vsched_loom::ledger::{self, Died};

    fn all(model: fn(Died)) {
        for died in ledger::DEATHS {
            check(move || model(died));
        }
    }

    #[test]
    fn a_death_beside_connections() {
        all(ledger::a_death_beside_connections);
    }

    #[test]
    fn a_death_beside_two_owners() {
        all(ledger::a_death_beside_two_owners);
    }

    #[test]
    fn two_survivors_settle() {
        all(ledger::two_survivors_settle);
    }
}

mod flag_set_cases {
    use vsched_loom::{check, flag_set, min_tree};

    #[test]
    fn two_threads_cross() {
        for case in flag_set::CASES {
            check(move || flag_set::two_threads_cross(case));
        }
    }

    #[test]
    fn three_threads_cross() {
        for case in flag_set::THREE {
            check(move || flag_set::three_threads_cross(case));
        }
    }

    #[test]
    fn low_keys_are_corrected() {
        for case in min_tree::CASES {
            check(move || min_tree::a_correction_beside_a_change(case));
            check(move || min_tree::two_changes_beside_low_keys(case));
        }
    }
}

mod slots {
    use vsched_loom::KernelRules;
    use vsched_loom::{check, slots};

    fn both(model: fn(KernelRules)) {
        check(move || model(KernelRules::A));
        check(move || model(KernelRules::B));
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
            check(move || slots::limits_change_beside_connections(KernelRules::A, edit));
            check(move || slots::limits_change_beside_connections(KernelRules::B, edit));
        }
    }

    #[test]
    fn a_stopped_director_lets_nobody_through() {
        both(slots::a_stopped_director_lets_nobody_through);
    }

    #[test]
    fn limits_change_twice_beside_a_connection() {
        for edits in slots::TWO_EDITS {
            check(move || slots::limits_change_twice_beside_a_connection(KernelRules::A, edits));
            check(move || slots::limits_change_twice_beside_a_connection(KernelRules::B, edits));
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
    #[should_panic(expected = "a close of an open connection is refused")]
    fn planted_generation_after_the_close() {
        both(slots::planted_generation_after_the_close);
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
    waiters::planted_no_second_look, "waits for ever";
    hazard::planted_retire_ignores_holds, "Causality violation";
    hazard::planted_retire_ignores_borrowed_slots, "Causality violation";
    hazard::planted_look_after_the_closure, "Causality violation";
    per_thread::planted_a_holder_that_is_not_left, "the value of another thread";
    ejection::planted_a_place_that_is_lost, "places";
    ejection::planted_a_move_without_a_version, "places";
    health::planted_a_number_by_a_look, "the limit is reached by one";
    health::planted_an_interval_that_takes_what_is_counted, "lost";
    health::planted_the_present_owner_counts, "a late report counts for the next server";
    worker_rotation::planted_no_note, "each reload is carried over once";
    chunk::planted_another_number, "lost or given twice";
    chunk::planted_one_place, "lost or given twice";
    shared_rotation::planted_begun_before_publication, "nothing newer is published";
    shared_rotation::planted_former_left_open, "lost or given twice";
    templates::planted_an_owner_that_does_not_tell, "not held by an open connection";
    looks::planted_a_look_before_the_hold, "a held server is not looked at";
    looks::planted_a_version_looked_at_before_it_is_found, "a held server is not looked at";
    min_tree::planted_no_second_look_at_the_load, "a leaf is not its server's load";
    min_tree::planted_no_second_look_at_the_block, "a node is not the least of its block";
    min_tree::planted_pickers_do_not_help, "a loaded server is picked";
    told::planted_told_after_the_publication, "untold";
    min_tree::planted_a_key_from_before_the_change, "a key is too high";
    flag_set::planted_a_flag_by_one_look, "a flag is wrong";
    min_tree::planted_a_relaxed_look_at_the_load, "a key is too high";
    told::planted_whose_it_was_before, "untold";
    worker_state::planted_a_stamp_before_the_change, "untold";
    worker_state::planted_seen_after_the_look, "untold";
    worker_state::planted_a_look_before_company, "untold";
    worker_state::planted_a_note_without_a_stamp, "noted for good";
    worker_state::planted_a_stamp_before_the_close, "untold";
    worker_state::planted_no_look_after_the_publication, "untold";
    own_count::planted_a_fold_that_takes_first, "the slot counts it";
    own_count::planted_the_slot_before_the_word, "counted once";
    own_count::planted_a_fold_after_the_worker, "the slot counts it";
    worker_state::planted_a_place_with_a_guest, "an old end counts for a new worker";
    ledger::planted_one_look, "the connections of the living";
    ledger::planted_a_subtraction, "the connections of the living";
    ledger::planted_announced_late, "the connections of the living";
    address_map::planted_equal_tags, "an address has another's server";
    address_map::planted_a_name_without_its_pin, "not pinned";
    address_map::planted_written_without_a_mark, "pinned by no entry";
    address_map::planted_marked_before_it_is_written, "pinned by no entry";
    server_set::planted_read_in_two_halves, "torn";
    server_set::planted_one_sweep, "pinned by no entry";
    templates::planted_let_go_without_hold, "gone while a connection is open";
    templates::planted_a_copy_for_another_capacity, "gone while a connection is open";
}

/// Hazard pointers need SeqCst: with AcqRel instead a protected value is freed.
#[test]
#[should_panic]
fn publication_is_wrong_without_sequential_consistency() {
    check_with(Fences::Nowhere, vsched_loom::hazard::one_reader_two_replacements);
}
