"""Completion of a command's words in a shell: one table, written out as a script for bash or for zsh.

The table names, for every *context* (a command, or a command with what its options depend on), its options and the
values that each can have. An option without known values is completed by file names, as is everything else.
"""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# Context → option → values that it can have.
Table = Mapping[str, Mapping[str, Iterable[str]]]


@dataclass(frozen=True)
class Completion:
    """What can be completed after a program's name.

    Attributes
    ----------
    program : str
        The command that is typed.
    commands : tuple of str
        Its subcommands.
    table : mapping
        Options and their values by context: a subcommand, and ``"subcommand value"`` where the option ``selector``
        has that value and the options are others. Any other word stands for the values of what follows it.
    selector, default : str
        An option that chooses the context, and its value where the context is the subcommand alone.
    """

    program: str
    commands: tuple[str, ...]
    table: Table
    selector: str
    default: str

    def bash(self) -> str:
        """Script to be sourced by bash (3.2 or later)."""
        return _filled(BASH, self)

    def zsh(self) -> str:
        """Script for zsh, to be sourced or to lie as ``_program`` in a folder of ``$fpath``."""
        return _filled(ZSH, self)


# What both shells share: the words that fit context, last word and current word.
WORDS = """\
_@NAME@_words() {
    case $1 in
        '') printf '%s\n' @COMMANDS@; return ;;
    esac
    case "$1 $2" in
@VALUES@
    esac
    case "$2=$3" in
        *=-*) ;;
        -*=* | *=?*) return ;;
    esac
    case $1 in
@OPTIONS@
    esac
}
"""

BASH = (
    """\
# Completion of @PROGRAM@ for bash: eval "$(@PROGRAM@ completion bash)"
"""
    + WORDS
    + """\
_@NAME@() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} context= i
    # Bash makes a word of the = in --option=value.
    if [[ $current == = ]]; then
        current=
    elif [[ $previous == = ]]; then
        previous=${COMP_WORDS[COMP_CWORD-2]}
    fi
    if ((COMP_CWORD > 1)); then
        context=${COMP_WORDS[1]}
        for ((i = 2; i + 1 < COMP_CWORD; i++)); do
            if [[ ${COMP_WORDS[i]} == @SELECTOR@ ]]; then
                [[ ${COMP_WORDS[i+1]} == = ]] && ((i++))
                context="${COMP_WORDS[1]} ${COMP_WORDS[i+1]}"
            fi
        done
        context=${context% @DEFAULT@}
    fi
    COMPREPLY=($(compgen -W "$(_@NAME@_words "$context" "$previous" "$current")" -- "$current"))
}
complete -o default -F _@NAME@ @PROGRAM@
"""
)

ZSH = (
    """\
#compdef @PROGRAM@
# Completion of @PROGRAM@ for zsh, after compinit: eval "$(@PROGRAM@ completion zsh)"
"""
    + WORDS
    + """\
_@NAME@() {
    local current=${words[CURRENT]} previous=${words[CURRENT-1]} context= i
    if [[ $current == --*=* ]]; then
        previous=${current%%=*}
        current=${current#*=}
        compset -P '*='
    fi
    if ((CURRENT > 2)); then
        context=${words[2]}
        for ((i = 3; i < CURRENT; i++)); do
            case ${words[i]} in
                @SELECTOR@) ((i + 1 < CURRENT)) && context="${words[2]} ${words[i+1]}" ;;
                @SELECTOR@=*) context="${words[2]} ${words[i]#*=}" ;;
            esac
        done
        context=${context% @DEFAULT@}
    fi
    local -a found
    found=(${=$(_@NAME@_words "$context" "$previous" "$current")})
    if ((${#found})); then
        compadd -a found
    else
        _files
    fi
}
if [[ $funcstack[1] == _@NAME@ ]]; then
    _@NAME@ "$@"
else
    compdef _@NAME@ @PROGRAM@
fi
"""
)


def _filled(template: str, completion: Completion) -> str:
    values = [
        _case(f'"{context} {option}"', known)
        for context, options in completion.table.items()
        for option, known in options.items()
        if tuple(known)
    ]
    options = [
        _case(f'"{context}"', [option for option in options if option.startswith("-")])
        for context, options in completion.table.items()
    ]
    for name, text in {
        "@NAME@": completion.program.replace("-", "_"),
        "@PROGRAM@": completion.program,
        "@SELECTOR@": completion.selector,
        "@DEFAULT@": completion.default,
        "@COMMANDS@": shlex.join(completion.commands),
        "@VALUES@": "\n".join(values),
        "@OPTIONS@": "\n".join(options),
    }.items():
        template = template.replace(name, text)
    return template


def _case(pattern: str, words: Iterable[str]) -> str:
    return f"        {pattern}) printf '%s\\n' {shlex.join(words)}; return ;;"
