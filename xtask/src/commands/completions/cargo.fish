
# `cargo xtask` is what one types: its words are completed as if they were xtask's.
function __fish_cargo_xtask_words
    set -l words (commandline -opc)
    set -e words[1]
    string match -q -- '+*' $words[1]; and set -e words[1]
    string join \n -- $words
end

function __fish_cargo_is_xtask
    set -l words (__fish_cargo_xtask_words)
    test "$words[1]" = xtask
end

function __fish_complete_cargo_xtask
    set -l words (__fish_cargo_xtask_words)
    complete -C (string join ' ' -- (string escape -- $words) (commandline -ct))
end

complete -c cargo -n __fish_cargo_is_xtask -x -a '(__fish_complete_cargo_xtask)'
