//! Words that are not understood, words without proof of order, and an end.

use super::*;

#[test]
fn a_status_that_nobody_knows_is_kept_when_it_is_the_first_word_and_takes_nothing() {
    let unknown = |second| told(second, 0, State::Unknown);
    let paid = told(9, 0, active(30));
    assert_eq!(by_event(None, unknown(1)), Decision::Apply(unknown(1)), "it may run");
    assert_eq!(by_event(Some(&paid), unknown(12)), Decision::Ignore(Ignored::UnknownStatus), "access stays as it was");
    assert_eq!(by_event(Some(&unknown(1)), unknown(12)), Decision::Ignore(Ignored::UnknownStatus));
    for known in [unknown(1), unknown(12)] {
        assert!(matches!(by_event(Some(&known), paid.clone()), Decision::Apply(next) if next.state == active(30)));
    }
    let ended = told(3, 0, State::Ended { at: at(3) });
    assert!(matches!(by_event(Some(&unknown(12)), ended.clone()), Decision::Apply(_)));
    assert_eq!(by_event(Some(&ended), unknown(12)), Decision::Ignore(Ignored::Ended));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a8_of_two_words_of_one_second_without_proof_the_one_with_access_stands(
        words in prop::collection::vec((some_state(), any::<bool>()), 2),
    ) {
        let word = |(state, paused): &(State, bool)| Subscription { collection_paused: *paused, ..told(5, 0, *state) };
        let gives = |one: &Subscription| {
            !one.collection_paused && !matches!(one.state, State::Paused | State::Unpaid)
        };
        let words: Vec<Subscription> = words.iter().map(word).collect();
        for order in [[0, 1], [1, 0]] {
            let known = order.iter().fold(None, |known, place| next(known, &words[*place])).expect("something was told");
            prop_assert_eq!(gives(&known), words.iter().any(gives), "{:?}", &words);
        }
    }

    #[test]
    fn a8_of_two_words_of_one_second_without_proof_the_one_with_more_stands_whichever_came_first(
        words in prop::collection::vec(prop::collection::btree_set("price_(tier_[1-3]|addon_[a-c])", 1..4), 2),
        befores in prop::collection::vec(any::<bool>(), 2),
    ) {
        // That something else was changed proves nothing.
        let elsewhere = told(5, 0, State::Unpaid);
        let word = |(prices, is_after): (&std::collections::BTreeSet<String>, &bool)| {
            let word = Subscription { prices: prices.iter().cloned().collect(), ..told(5, 0, active(30)) };
            if *is_after { after(&elsewhere, word) } else { word }
        };
        let words: Vec<Subscription> = words.iter().zip(&befores).map(word).collect();
        let tier = |one: &Subscription| one.prices.iter().filter_map(|price| rank(price)).max();
        let more = |one: &Subscription| (tier(one), one.prices.len());
        let left: Vec<Subscription> = [[0, 1], [1, 0]]
            .map(|order| order.iter().fold(None, |known, place| next(known, &words[*place])).expect("something was told"))
            .into();
        prop_assert_eq!(&left[0].prices, &left[1].prices, "{:?}", &words);
        prop_assert_eq!(more(&left[0]), words.iter().map(more).max().expect("two"), "{:?}", &words);
    }

    #[test]
    fn a8_an_end_is_final_and_wins_whatever_else_is_told_and_when(
        (_, arrived) in shuffled(),
        end in 0..200_i64,
        place in 0..20_usize,
    ) {
        let ended = told(end, 0, State::Ended { at: at(end) });
        let place = place.min(arrived.len());
        let (before, after) = arrived.split_at(place);
        let told = before.iter().chain([&ended]).chain(after);
        let known = told.fold(None, next).expect("something was told");
        prop_assert!(known.is_ended(), "{:?}", known);
    }
}
