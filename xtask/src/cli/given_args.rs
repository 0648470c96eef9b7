//! The options of a command line as words, which hints repeat.

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::ImageArgs;
use crate::report::invocation::option_words;

/// The arguments that were given to the command, in the order of its help.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GivenArgs(Vec<GivenArg>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct GivenArg {
    /// The name of the field that it is parsed into.
    id: String,
    /// The name of the type that has the field.
    group: String,
    words: Vec<String>,
}

impl GivenArgs {
    /// Reads the arguments of the subcommand; those of every command are left out.
    pub(super) fn from_matches(command: &Command, matches: &ArgMatches) -> GivenArgs {
        let Some((name, matches)) = matches.subcommand() else { return GivenArgs::default() };
        let Some(command) = command.find_subcommand(name) else { return GivenArgs::default() };
        let group_of = |arg: &Arg| {
            let groups = command.get_groups().filter(|group| group.get_args().any(|id| id == arg.get_id()));
            groups.map(|group| group.get_id().to_string()).next().unwrap_or_default()
        };
        let is_given = |arg: &&Arg| {
            !arg.is_global_set()
                && matches.try_contains_id(arg.get_id().as_str()).is_ok()
                && matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
        };
        let given = command.get_arguments().filter(is_given).map(|arg| GivenArg {
            id: arg.get_id().to_string(),
            group: group_of(arg),
            words: argument_words(arg, matches),
        });
        GivenArgs(given.collect())
    }

    /// Options for the source of releases and the trusted keys.
    pub fn source_words(&self) -> Vec<String> {
        self.select(|arg| arg.group == "ImageArgs" && !ImageArgs::OF_ONE_IMAGE.contains(&arg.id.as_str()))
    }

    /// Options that select the image of a release.
    pub fn image_words(&self) -> Vec<String> {
        self.select(|arg| arg.group == "ImageArgs" && ImageArgs::OF_ONE_IMAGE.contains(&arg.id.as_str()))
    }

    /// Options of the fixes.
    pub fn fix_words(&self) -> Vec<String> {
        self.select(|arg| arg.group == "FixArgs")
    }

    /// All arguments but those of `without`, which are names of fields.
    pub fn without(&self, without: &[&str]) -> Vec<String> {
        self.select(|arg| !without.contains(&arg.id.as_str()))
    }

    fn select(&self, is_wanted: impl Fn(&GivenArg) -> bool) -> Vec<String> {
        self.0.iter().filter(|arg| is_wanted(arg)).flat_map(|arg| arg.words.clone()).collect()
    }
}

fn argument_words(arg: &Arg, matches: &ArgMatches) -> Vec<String> {
    let id = arg.get_id().as_str();
    let name = arg.get_long().map(|long| format!("--{long}")).unwrap_or_default();
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return vec![name];
    }
    let occurrences = matches.get_raw_occurrences(id).into_iter().flatten();
    let words = occurrences.flat_map(|values| {
        let values = values.map(|value| value.to_string_lossy().into_owned());
        if arg.is_positional() { values.collect() } else { option_words(&name, values) }
    });
    words.collect()
}
