//! What rules the house, checked: who may use whom, that every module has a place and a head, that no import circle closes, that nothing is
//! public for nobody, that every
//! link and file name in the documents leads somewhere, that every setting and control route stands in its document, and that failures and
//! units are said where a signature does not say them.
//!
//! `map.toml` is the code map as data. docs/architecture.md shows it as a table, which `TIDY=write cargo test --test tidy` writes anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::allow_attributes,
    reason = "tests fail by panicking"
)]

mod arrows;
mod circles;
mod documents;
mod fuzzing;
mod map;
mod parity;
mod planted;
mod unused;
mod words;

use std::path::{Path, PathBuf};

use arrows::Source;
use documents::Documents;
use map::Map;
use words::Words;

/// The top folder of the project.
fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder` whose name ends in `ending`, in the order of their names.
fn files_below(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Fails with all complaints at once, so that one run shows everything that is to be mended.
fn no_complaints(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n  {}\n", complaints.join("\n  "));
}

#[test]
fn every_arrow_is_on_the_map() {
    no_complaints(&Map::of_the_project().arrows_against(Source::of_the_project()));
}

#[test]
fn the_map_has_no_row_and_no_permission_that_nothing_needs() {
    no_complaints(&Map::of_the_project().idle_against(Source::of_the_project()));
}

#[test]
fn no_import_circle_closes() {
    no_complaints(&circles::against(Source::of_the_project()));
}

#[test]
fn what_a_crate_below_shows_is_used() {
    no_complaints(&unused::in_crates_below(
        Source::of_the_project(),
        &unused::visitors(),
    ));
}

#[test]
fn the_log_of_a_crate_below_speaks_under_the_names_of_modules() {
    no_complaints(&unused::log_under_other_names(Source::of_the_project()));
}

#[test]
fn every_module_says_at_its_head_what_it_is() {
    no_complaints(&Source::of_the_project().without_head());
}

#[test]
fn the_web_framework_and_the_database_library_are_named_where_the_map_says() {
    no_complaints(&Map::of_the_project().libraries_against(Source::of_the_project()));
}

#[test]
fn the_table_of_the_architecture_is_the_map() {
    Map::of_the_project().table_in_document();
}

#[test]
fn every_link_and_file_name_in_the_documents_leads_somewhere() {
    no_complaints(&Documents::of_the_project().dead_links());
}

#[test]
fn every_file_name_in_a_comment_of_the_code_leads_somewhere() {
    no_complaints(&Documents::of_the_project().dead_names_in_comments());
}

#[test]
fn every_document_is_reached_from_the_readme() {
    no_complaints(&Documents::of_the_project().unreached());
}

#[test]
fn every_setting_stands_in_its_document() {
    no_complaints(&Documents::of_the_project().settings_missing());
}

#[test]
fn every_control_route_stands_in_its_document() {
    no_complaints(&Documents::of_the_project().routes_missing());
}

#[test]
fn the_table_of_control_routes_is_the_routers() {
    no_complaints(&Documents::of_the_project().table_of_routes());
}

#[test]
fn every_direct_dependency_has_its_reason() {
    no_complaints(&Documents::of_the_project().dependencies_missing());
}

#[test]
fn every_failure_is_explained() {
    no_complaints(&Words::of(Source::of_the_project()).failures_unexplained());
}

#[test]
fn every_number_that_measures_has_its_unit() {
    no_complaints(&Words::of(Source::of_the_project()).numbers_without_unit());
}

/// Everything that has a place at the top of the project: what a stranger who has cloned it sees first.
const AT_THE_TOP: [&str; 23] = [
    ".ci",
    ".dockerignore",
    ".github",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "Dockerfile",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "README.zh-CN.md",
    "api-spec",
    "clippy.toml",
    "console",
    "deny.toml",
    "docker-compose.cluster.yml",
    "docker-compose.yml",
    "docs",
    "fixtures",
    "llms.txt",
    "rust-toolchain.toml",
];

/// The names at the top of the project that git keeps and that have no place there. Files of the source trees are not looked at.
fn strays(tracked: &str) -> Vec<String> {
    let mut tops: Vec<&str> = tracked
        .lines()
        .filter_map(|path| path.split('/').next())
        .collect();
    tops.dedup();
    tops.into_iter()
        .filter(|top| !AT_THE_TOP.contains(top) && !["src", "tests"].contains(top))
        .map(|top| format!("{top}: nothing of that name belongs at the top of the project"))
        .collect()
}

#[test]
fn nothing_lies_at_the_top_that_has_no_place_there() {
    assert_eq!(
        strays("README.md\n-\nsrc/main.rs\nleft/over\n").len(),
        2,
        "both strays are found"
    );
    let listed = std::process::Command::new("git")
        .arg("ls-files")
        .current_dir(project())
        .output()
        .expect("git lists the files of the project");
    // A tree without its history (an archive of the sources) has nothing to list.
    no_complaints(&strays(&String::from_utf8_lossy(&listed.stdout)));
}

#[test]
fn every_fuzz_target_is_told_and_has_seeds() {
    no_complaints(&fuzzing::halves());
}

#[test]
fn every_implemented_action_has_a_script_that_compares_it() {
    no_complaints(&parity::actions_without_script());
}

#[test]
fn every_script_says_what_it_is_for_and_how_each_call_is_answered() {
    no_complaints(&parity::careless_scripts());
}

#[test]
fn each_row_of_the_limits_names_the_script_that_decides_it() {
    no_complaints(&parity::rows_and_scripts());
}
