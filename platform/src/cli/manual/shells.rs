//! Completions for bash, zsh and fish: commands, their options, and values that can be listed.

use std::fmt::Write;

use super::{Described, Values, arguments, described, summary};
use crate::cli::COMMANDS;

/// What stands in the place of a command, too.
const OTHERS: &str = "help --help --version";

fn names() -> String {
    COMMANDS.map(|command| command.name).join(" ")
}

/// For bash; to be read by the shell, or put into its directory of completions as `midge`.
pub fn bash() -> String {
    let mut out = String::from("# bash completion for midge\n_midge() {\n");
    out += "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words=\n";
    out += "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n";
    // A `String` cannot fail.
    let _ = writeln!(out, "        words=\"{} {OTHERS}\"\n    else", names());
    out += "        case ${COMP_WORDS[1]},$prev in\n";
    for command in &COMMANDS {
        for Described { flag, placeholder, .. } in described(command) {
            if flag.takes_value() {
                let _ = write!(out, "        {},--{}) ", command.name, flag.name());
                out += &bash_values(&Values::of(&placeholder));
            }
        }
    }
    out += "        *)\n            case ${COMP_WORDS[1]} in\n";
    for command in &COMMANDS {
        let options: Vec<String> =
            described(command).iter().map(|option| format!("--{}", option.flag.name())).collect();
        let options = options.join(" ");
        let _ = write!(out, "            {}) words=\"{options}", command.name);
        match arguments(command) {
            Values::Words(words) => {
                let _ = writeln!(out, " {}\" ;;", words.join(" "));
            }
            Values::Files => {
                out += "\"\n                case $cur in -*) ;; *) compopt -o default; return ;; esac ;;\n";
            }
            Values::Any => out += "\" ;;\n",
        }
    }
    let _ = writeln!(out, "            help) words=\"{} joining clockbound\" ;;", names());
    out += "            esac ;;\n        esac\n    fi\n";
    out += "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n}\n";
    out + "complete -F _midge midge\n"
}

fn bash_values(values: &Values) -> String {
    match values {
        Values::Words(words) => format!("words=\"{}\" ;;\n", words.join(" ")),
        Values::Files => "compopt -o default; return ;;\n".into(),
        Values::Any => "return ;;\n".into(),
    }
}

/// For zsh; to be put into a directory of its `fpath` as `_midge`.
pub fn zsh() -> String {
    let mut out = String::from("#compdef midge\n_midge() {\n    local -a commands=(\n");
    for command in &COMMANDS {
        let _ =
            writeln!(out, "        {}", quoted(&described_name(command.name, &summary(command))));
    }
    out += "        'help:help of a command'\n    )\n";
    out += "    if (( CURRENT == 2 )); then\n        _describe -t commands command commands\n";
    out += "        return\n    fi\n    shift words\n    (( CURRENT-- ))\n    case $words[1] in\n";
    for command in &COMMANDS {
        let _ = write!(out, "    {}) _arguments -s", command.name);
        for Described { flag, placeholder, text } in described(command) {
            let text = text.replace('[', "(").replace(']', ")");
            let value = match (flag.takes_value(), Values::of(&placeholder)) {
                (false, _) => String::new(),
                (true, values) => format!(":{}:{}", zsh_word(&placeholder), zsh_values(&values)),
            };
            let equals = if flag.takes_value() { "=" } else { "" };
            let long = format!("--{}{equals}[{text}]{value}", flag.name());
            let _ = write!(out, " \\\n        {}", quoted(&long));
            if let Some(short) = flag.letter().map(char::from) {
                let _ = write!(out, " \\\n        {}", quoted(&format!("-{short}[{text}]")));
            }
        }
        let rest = format!("*:argument:{}", zsh_values(&arguments(command)));
        let _ = writeln!(out, " \\\n        {} ;;", quoted(&rest));
    }
    out += "    help) commands+=('joining:whom the agent joins' 'clockbound:true time')\n";
    out + "        _describe -t commands command commands ;;\n    esac\n}\n_midge \"$@\"\n"
}

fn described_name(name: &str, text: &str) -> String {
    format!("{name}:{}", text.replace(':', "\\:"))
}

/// The name of a value without what zsh would read as its own.
fn zsh_word(placeholder: &str) -> String {
    placeholder.chars().filter(|c| c.is_ascii_alphanumeric() || *c == ' ').collect()
}

fn zsh_values(values: &Values) -> String {
    match values {
        Values::Words(words) => format!("({})", words.join(" ")),
        Values::Files => "_files".into(),
        Values::Any => " ".into(),
    }
}

/// For fish; to be put into its directory of completions as `midge.fish`.
pub fn fish() -> String {
    let mut out = String::from("# fish completion for midge\ncomplete -c midge -f\n");
    for command in &COMMANDS {
        let (name, text) = (command.name, quoted(&summary(command)));
        let _ = writeln!(out, "complete -c midge -n __fish_use_subcommand -a {name} -d {text}");
    }
    out += "complete -c midge -n __fish_use_subcommand -a help -d 'help of a command'\n";
    let of_help = "complete -c midge -n '__fish_seen_subcommand_from help'";
    let _ = writeln!(out, "{of_help} -a '{} joining clockbound'", names());
    for command in &COMMANDS {
        let name = command.name;
        let begin = format!("complete -c midge -n '__fish_seen_subcommand_from {name}'");
        for Described { flag, placeholder, text } in described(command) {
            let short =
                flag.letter().map(char::from).map_or(String::new(), |short| format!(" -s {short}"));
            let value = match (flag.takes_value(), Values::of(&placeholder)) {
                (false, _) => String::new(),
                (true, Values::Words(words)) => format!(" -x -a '{}'", words.join(" ")),
                (true, Values::Files) => " -r -F".into(),
                (true, Values::Any) => " -x".into(),
            };
            let text = quoted(&text);
            let _ = writeln!(out, "{begin} -l {}{short}{value} -d {text}", flag.name());
        }
        match arguments(command) {
            Values::Words(words) => {
                let _ = writeln!(out, "{begin} -a '{}'", words.join(" "));
            }
            Values::Files => {
                let _ = writeln!(out, "{begin} -F");
            }
            Values::Any => {}
        }
    }
    out
}

/// One word for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
