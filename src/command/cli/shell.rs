//! How a shell is told a variable: each has words of its own.

/// A shell that takes the lines of `env`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Shell {
    /// And every other POSIX shell
    #[value(aliases = ["sh", "zsh", "dash", "ksh", "posix"])]
    Bash,
    Fish,
    #[value(alias = "pwsh")]
    Powershell,
    /// The command prompt of Windows
    Cmd,
}

impl Shell {
    /// The shell that called this program; a POSIX one where that was another program.
    pub(super) fn of_the_caller() -> Self {
        let caller = match parent() {
            Some(name) => name,
            // The system does not tell; the login shell is the likeliest one.
            None => super::variable("SHELL").unwrap_or_default(),
        };
        Self::named(&caller).unwrap_or(Self::Bash)
    }

    /// The shell of a program's name or path.
    fn named(program: &str) -> Option<Self> {
        let name = program.rsplit(['/', '\\']).next().unwrap_or(program);
        // A login shell has a dash before its name.
        let name = name.trim().trim_start_matches('-').to_ascii_lowercase();
        match name.trim_end_matches(".exe") {
            "bash" | "sh" | "zsh" | "dash" | "ksh" | "ash" | "busybox" => Some(Self::Bash),
            "fish" => Some(Self::Fish),
            "pwsh" | "powershell" => Some(Self::Powershell),
            "cmd" => Some(Self::Cmd),
            _ => None,
        }
    }

    /// A line that sets a variable for what is started from the shell.
    pub(super) fn set(self, name: &str, value: &str) -> String {
        match self {
            Self::Bash => format!("export {name}={}", quoted(value)),
            Self::Fish => {
                let quoted = value.replace('\\', r"\\").replace('\'', r"\'");
                format!("set -gx {name} '{quoted}'")
            }
            Self::Powershell => format!("$Env:{name} = '{}'", value.replace('\'', "''")),
            // The last quotation mark of the line ends the value, whatever stands before it.
            Self::Cmd => format!("SET \"{name}={value}\""),
        }
    }

    /// A line that does nothing.
    pub(super) fn remark(self, text: &str) -> String {
        match self {
            Self::Cmd => format!("REM {text}"),
            _ => format!("# {text}"),
        }
    }

    /// How the shell takes the lines of `env`.
    pub(super) fn taking(self) -> &'static str {
        match self {
            Self::Bash => "eval \"$(localyun env)\"",
            Self::Fish => "localyun env --shell fish | source",
            Self::Powershell => "localyun env --shell powershell | Out-String | Invoke-Expression",
            Self::Cmd => "FOR /f \"tokens=*\" %i IN ('localyun env --shell cmd') DO @%i",
        }
    }
}

/// A text as one word of a POSIX shell.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The name of the program that started this one.
fn parent() -> Option<String> {
    let id = rustix::process::getppid()?.as_raw_nonzero();
    std::fs::read_to_string(format!("/proc/{id}/comm")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_gets_its_own_quotes() {
        let value = r#"it's a "b" \ $x %y%"#;
        for (shell, line) in [
            (Shell::Bash, r#"export A='it'\''s a "b" \ $x %y%'"#),
            (Shell::Fish, r#"set -gx A 'it\'s a "b" \\ $x %y%'"#),
            (Shell::Powershell, r#"$Env:A = 'it''s a "b" \ $x %y%'"#),
            (Shell::Cmd, r#"SET "A=it's a "b" \ $x %y%""#),
        ] {
            assert_eq!(shell.set("A", value), line);
        }
        assert_eq!(Shell::Cmd.remark("x"), "REM x");
    }

    #[test]
    fn a_shell_is_known_by_its_program() {
        for (program, shell) in [
            ("/usr/bin/fish", Some(Shell::Fish)),
            ("-zsh", Some(Shell::Bash)),
            ("dash\n", Some(Shell::Bash)),
            (r"C:\Windows\cmd.EXE", Some(Shell::Cmd)),
            ("pwsh", Some(Shell::Powershell)),
            ("python3", None),
            ("", None),
        ] {
            assert_eq!(Shell::named(program), shell, "{program:?}");
        }
    }
}
