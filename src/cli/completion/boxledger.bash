# Asks the program itself at each press of the key; where it knows of nothing, bash offers files.
_boxledger() {
  mapfile -t COMPREPLY < <(boxledger __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _boxledger boxledger
