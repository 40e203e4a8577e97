use super::*;

const BOTH: [Fault; 2] = [Fault::Before, Fault::Busy];

/// What strikes five requests of two objects.
fn strikes(faults: &Faults) -> [Option<Fault>; 5] {
    ["a/1", "b/1", "a/2", "b/2", "a/1"].map(|path| faults.strike(Operation::Put, path))
}

#[test]
fn of_the_rules_that_match_the_first_one_strikes() {
    let [before, busy] = BOTH;
    let put = |fault| Rule::new(Operation::Put, fault);
    for (what, rules, expected) in [
        ("nothing", vec![], [None; 5]),
        ("every time", vec![put(before)], [Some(before); 5]),
        ("one path", vec![put(before).at("a/")], [Some(before), None, Some(before), None, Some(before)]),
        ("one time", vec![put(before).time(2)], [None, Some(before), None, None, None]),
        ("one time of a path", vec![put(before).at("a/").time(2)], [None, None, Some(before), None, None]),
        ("some times", vec![put(before).times(2..=3)], [None, Some(before), Some(before), None, None]),
        (
            "the first one",
            vec![put(busy).time(1), put(before).times(1..=2)],
            [Some(busy), Some(before), None, None, None],
        ),
        ("another operation", vec![Rule::new(Operation::Get, before)], [None; 5]),
    ] {
        let faults = Faults::default();
        rules.into_iter().for_each(|rule| faults.add(rule));
        assert_eq!(strikes(&faults), expected, "{what}");
        assert_eq!(faults.struck().len(), expected.iter().flatten().count(), "{what}");
        faults.calm();
        assert_eq!(strikes(&faults), [None; 5], "{what}, calm");
    }
}

#[test]
fn chance_strikes_the_same_again_whoever_comes_first() {
    let of = |order: &[usize]| {
        let faults = Faults::default();
        faults.chance(7, 50);
        let mut found: Vec<_> = order
            .iter()
            .flat_map(|n| [Operation::Put, Operation::Get].map(|operation| (*n, operation)))
            .map(|(n, operation)| (n, operation, faults.strike(operation, &format!("a/{n}"))))
            .collect();
        found.sort_by_key(|(n, operation, _)| (*n, *operation));
        found
    };
    let forwards: Vec<usize> = (0..100).collect();
    let backwards: Vec<usize> = (0..100).rev().collect();
    let found = of(&forwards);
    assert_eq!(found, of(&backwards));
    let struck = found.iter().filter(|(_, _, fault)| fault.is_some()).count();
    assert!((60..140).contains(&struck), "about half of 200: {struck}");
    assert!(found.iter().all(|(_, operation, fault)| fault.is_none_or(|fault| fault.fits(*operation))));
}

#[test]
#[should_panic(expected = "Get cannot fail with Lost")]
fn a_fault_that_cannot_be_is_refused() {
    let _ = Rule::new(Operation::Get, Fault::Lost);
}

#[test]
fn every_operation_can_fail_in_several_ways() {
    for operation in Operation::ALL {
        assert!(Fault::ALL.into_iter().filter(|fault| fault.fits(operation)).count() >= 4, "{operation:?}");
    }
}
