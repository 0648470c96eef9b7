
# shellcheck shell=bash
# `cargo xtask` is what one types: its words go to _xtask as if they were xtask's, all others to cargo's own completion.
_xtask_own_of_cargo() {
    local spec
    spec=$(complete -p cargo 2>/dev/null) && [[ $spec == *' -F '* ]] || return
    spec=${spec##* -F }
    [[ ${spec%% *} == _cargo_xtask ]] || _xtask_cargo_before=${spec%% *}
}

_cargo_xtask() {
    local at=1
    [[ ${COMP_WORDS[1]} == +* ]] && at=2
    if [[ $COMP_CWORD -gt $at && ${COMP_WORDS[at]} == xtask ]]; then
        local words=(xtask "${COMP_WORDS[@]:at+1}") COMP_CWORD=$((COMP_CWORD - at))
        COMP_WORDS=("${words[@]}")
        _xtask xtask "$2" "$3"
    elif [[ -n $_xtask_cargo_before ]]; then
        "$_xtask_cargo_before" "$@"
    elif [[ $COMP_CWORD -eq $at && xtask == "$2"* ]]; then
        COMPREPLY=(xtask)
    fi
}

_xtask_own_of_cargo
if [[ -z $_xtask_cargo_before ]]; then
    # bash-completion loads cargo's own on its first use.
    for _xtask_loader in _comp_load _completion_loader; do
        declare -F "$_xtask_loader" >/dev/null && "$_xtask_loader" cargo 2>/dev/null
    done
    unset _xtask_loader
    _xtask_own_of_cargo
fi
# In the order in which they are offered: commands first. Older shells sort.
complete -F _cargo_xtask -o nosort -o bashdefault -o default cargo 2>/dev/null ||
    complete -F _cargo_xtask -o bashdefault -o default cargo
