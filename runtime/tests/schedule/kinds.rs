//! Parameters are read, or refused with what would be right.

use ebbtide_runtime::kind::{self, Refused};
use serde_json::json;

#[test]
fn parameters_are_read_and_may_be_left_out() {
    let tick = kind::parse("tick", json!({ "hold": true, "times": 3 })).unwrap();
    assert_eq!(format!("{tick:?}"), "Tick { hold: true, fail: false, times: 3 }");
    for none in [json!({}), json!(null)] {
        assert_eq!(format!("{:?}", kind::parse("tick", none).unwrap()), "Tick { hold: false, fail: false, times: 0 }");
    }
    assert!(kind::all().iter().any(|info| info.name == "tick" && info.counts_rows));
}

#[test]
fn a_refusal_names_the_key_and_what_would_be_right() {
    let cases = [
        ("tik", json!({}), None, "unknown kind \"tik\", did you mean \"tick\"?"),
        ("dance", json!({}), None, "unknown kind \"dance\"; known are tick"),
        (
            "tick",
            json!({ "hodl": true }),
            Some("hodl"),
            "kind tick: unknown parameter \"hodl\", did you mean \"hold\"?",
        ),
        (
            "tick",
            json!({ "kind": "x" }),
            Some("kind"),
            "kind tick: unknown parameter \"kind\"; known are fail, hold, times",
        ),
        (
            "tick",
            json!({ "hold": true, "times": "x" }),
            Some("times"),
            "parameter \"times\" of kind tick: invalid type: string \"x\", expected u32",
        ),
        (
            "tick",
            json!({ "times": -1 }),
            Some("times"),
            "parameter \"times\" of kind tick: invalid value: integer `-1`, expected u32",
        ),
        ("tick", json!([1]), None, "kind tick: parameters are written as a table, such as { key = \"value\" }"),
    ];
    for (name, parameters, key, message) in cases {
        let refused = kind::parse(name, parameters).unwrap_err();
        assert_eq!(refused.to_string(), message);
        if let Refused::BadParameter { key: named, .. } = refused {
            assert_eq!(named.as_deref(), key, "{message}");
        }
    }
}
