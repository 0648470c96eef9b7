
# cargo's own completion calls a function of this name to complete the words after `cargo xtask`.
_cargo-xtask() { _xtask "$@" }

# Where cargo has no completion, it gets this much.
_cargo_xtask_alone() {
    if [[ $words[2] == +* ]]; then
        shift words
        (( CURRENT-- ))
    fi
    if (( CURRENT > 2 )) && [[ $words[2] == xtask ]]; then
        shift words
        (( CURRENT-- ))
        _xtask "$@"
    elif (( CURRENT == 2 )); then
        compadd xtask
    else
        _default
    fi
}
(( $+_comps[cargo] )) || compdef _cargo_xtask_alone cargo
