use super::*;
use proptest::prelude::*;

const ANN: Values<'_> = Values { namespace: "chat", table_name: "messages", shard: "a", user_id: "ann" };

#[test]
fn templates_resolve() {
    for (text, path) in [
        (USER_TABLES_TEMPLATE_DEFAULT, "chat/users/messages/a/ann"),
        ("{namespace}/{tableName}/{userId}", "chat/messages/ann"),
        ("{namespace_id}/{table_name}/{shard_id}/{user_id}/", "chat/messages/a/ann"),
        ("data/{namespace}/{tableName}/{shard}/{userId}/data", "data/chat/messages/a/ann/data"),
        ("ns={namespace}/t={tableName}/u={userId}.d", "ns=chat/t=messages/u=ann.d"),
    ] {
        assert_eq!(Template::user(text).unwrap().resolve(&ANN).unwrap(), path);
    }
    let shared = Template::shared(SHARED_TABLES_TEMPLATE_DEFAULT).unwrap();
    assert_eq!(shared.resolve(&ANN).unwrap(), "chat/shared/messages");
}

#[test]
fn an_empty_shard_leaves_no_double_slash() {
    let values = Values { shard: "", ..ANN };
    let resolve = |text| Template::user(text).unwrap().resolve(&values).unwrap();
    assert_eq!(resolve(USER_TABLES_TEMPLATE_DEFAULT), "chat/users/messages/ann");
    assert_eq!(resolve("{namespace}/{tableName}/s-{shard}/{userId}"), "chat/messages/s-/ann");
}

#[test]
fn no_other_value_may_be_empty() {
    let template = Template::user(USER_TABLES_TEMPLATE_DEFAULT).unwrap();
    let error = template.resolve(&Values { user_id: "", ..ANN }).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "User table template: no value for {{userId}} in {USER_TABLES_TEMPLATE_DEFAULT:?}; only {{shard}} may be empty"
        ),
    );
}

#[test]
fn a_value_is_never_substituted_again() {
    let template = Template::user(USER_TABLES_TEMPLATE_DEFAULT).unwrap();
    let path = template.resolve(&Values { user_id: "{namespace}", ..ANN }).unwrap();
    assert_eq!(path, "chat/users/messages/a/@7bnamespace@7d");
}

#[test]
fn a_device_made_of_two_halves_is_hidden() {
    let template = Template::user("{namespace}/{tableName}/com{shard}/{userId}").unwrap();
    let path = template.resolve(&Values { shard: "1", ..ANN }).unwrap();
    assert_eq!(path, "chat/messages/@63om1/ann");
}

#[test]
fn broken_templates_say_which_rule_they_break() {
    for (text, message) in [
        ("{namespace}/{tableName}", "User table template: {userId} is required"),
        ("{tableName}/{namespace}/{userId}", "User table template: {namespace} must appear before {tableName}"),
        ("{namespace}/{shard}/{tableName}/{userId}", "User table template: {tableName} must appear before {shard}"),
        ("{namespace}/{tableName}/{userId}/{shard}", "User table template: {shard} must appear before {userId}"),
        ("{namespace}/{userId}/{tableName}", "User table template: {tableName} must appear before {userId}"),
        ("{userId}", "User table template: {namespace} is required, because"),
        ("{namespace}/{userId}", "User table template: {tableName} is required, because"),
        ("{namespace}/{tableName}/{userId}/{userId}", "User table template: {userId} appears twice"),
        ("{namespace}_{tableName}/{userId}", "two variables in one folder"),
        (
            "{storageLocation}/{namespace}/{tableName}/{userId}",
            "unknown variable {storageLocation}; known are {namespace}, {tableName}, {shard}, {userId}",
        ),
        ("{Namespace}/{tableName}/{userId}", "did you mean {namespace}?"),
        ("{namespace}/{tableName}/{}", "unknown variable {}"),
        ("{namespace}/{tableName}/{userId", "opens a `{` that no `}` closes"),
        ("{namespace}/{tableName}/userId}/{userId}", "closes a `}` that no `{` opens"),
        ("/data/{namespace}/{tableName}/{userId}", "leave out the first `/`"),
        ("../{namespace}/{tableName}/{userId}", "starts or ends with a dot"),
        ("{namespace}/./{tableName}/{userId}", "starts or ends with a dot"),
        (".ebbtide/{namespace}/{tableName}/{userId}", "starts or ends with a dot"),
        ("{namespace}/{tableName}/{userId}.", "starts or ends with a dot"),
        ("{namespace}//{tableName}/{userId}", "nothing between two slashes"),
        ("a\\{namespace}/{tableName}/{userId}", "folders are divided by `/`"),
        ("a\nb/{namespace}/{tableName}/{userId}", "has '\\n', which not every storage can hold"),
        ("C:/{namespace}/{tableName}/{userId}", "has ':'"),
        ("nul/{namespace}/{tableName}/{userId}", "is a device on Windows"),
        ("", "nothing between two slashes"),
    ] {
        let error = Template::user(text).expect_err(text).to_string();
        assert!(error.starts_with("User table template: ") && error.contains(message), "{text:?}: {error}");
    }
    for (text, message) in [
        ("{tableName}/{namespace}", "Shared table template: {namespace} must appear before {tableName}"),
        ("{tableName}", "Shared table template: {namespace} is required, because"),
        ("{namespace}", "Shared table template: {tableName} is required, because"),
        ("shared", "Shared table template: Both {namespace} and {tableName} are required"),
        ("{namespace}/{tableName}/{userId}", "Shared table template: {userId} means nothing here"),
        ("{namespace}/{shard}/{tableName}", "Shared table template: {shard} means nothing here"),
    ] {
        let error = Template::shared(text).expect_err(text).to_string();
        assert!(error.starts_with(message), "{text:?}: {error}");
    }
    let long = format!("{{namespace}}/{{tableName}}/{}{{userId}}", "x".repeat(56));
    assert!(Template::user(&long).unwrap_err().to_string().contains("there is room for 55"));
    let long = format!("{{namespace}}/{{tableName}}/{{userId}}/{}", "x/".repeat(120));
    assert!(Template::user(&long).unwrap_err().to_string().contains("leave room for 256"));
}

fn templates() -> impl Strategy<Value = Template> {
    prop::sample::select(vec![
        USER_TABLES_TEMPLATE_DEFAULT,
        "{namespace}/{tableName}/{userId}",
        "x{namespace}y/{tableName}/com{shard}/{userId}/z",
        "lpt{namespace}/{tableName}1/{userId}",
    ])
    .prop_map(|text| Template::user(text).unwrap())
}

fn names() -> impl Strategy<Value = String> {
    "[a_/.0A]{1,3}"
}

proptest! {
    #[test]
    fn different_tables_and_users_never_meet(
        template in templates(),
        a in (names(), names(), names(), "[aA@./-]{1,4}"),
        b in (names(), names(), names(), "[aA@./-]{1,4}"),
    ) {
        let path = |v: &(String, String, String, String)| template.resolve(&Values {
            namespace: &v.0, table_name: &v.1, shard: &v.2, user_id: &v.3,
        }).unwrap();
        let same = (&a.0, &a.1, &a.3) == (&b.0, &b.1, &b.3);
        prop_assert!(same || path(&a).to_lowercase() != path(&b).to_lowercase());
    }

    #[test]
    fn a_resolved_path_is_relative_and_safe(template in templates(), user_id in ".{1,255}", shard in ".{0,4}") {
        let path = template.resolve(&Values { namespace: "n", table_name: "t", shard: &shard, user_id: &user_id }).unwrap();
        for component in path.split('/') {
            prop_assert!(!component.is_empty() && component != "." && component != "..");
            prop_assert!(component.len() <= COMPONENT_LIMIT && !escape::is_device(component));
            prop_assert!(component.bytes().all(|b| b.is_ascii_graphic() && b != b'\\'));
        }
    }

    #[test]
    fn any_text_may_be_a_template(text in "[{}a-zA-Z_./\\\\]{0,40}|.*") {
        let _ = Template::user(&text);
        let _ = Template::shared(&text);
    }
}

#[test]
fn no_template_leads_to_where_exports_lie() {
    for (text, leads_there) in [
        ("_exports/{namespace}/{tableName}/{userId}", true),
        ("_Exports/{namespace}/{tableName}/{userId}", true),
        ("_{namespace}/{tableName}/{userId}", true),
        ("_e{namespace}s/{tableName}/{userId}", true),
        ("_exports{namespace}/{tableName}/{userId}", true),
        ("_exports2/{namespace}/{tableName}/{userId}", false),
        ("_e{namespace}x/{tableName}/{userId}", false),
        ("_f{namespace}/{tableName}/{userId}", false),
        ("exports/{namespace}/{tableName}/{userId}", false),
        ("{namespace}/_exports/{tableName}/{userId}", false),
        ("{namespace}_exports/{tableName}/{userId}", false),
    ] {
        let refused = Template::user(text).is_err_and(|error| error.to_string().contains("where exports lie"));
        assert_eq!(refused, leads_there, "{text}");
    }
}
