#compdef boxledger
# Asks the program itself at each press of the key; where it knows of nothing, zsh offers files.
_boxledger() {
  local -a candidates
  candidates=("${(@f)$(boxledger __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "$candidates" ]]; then compadd -a candidates; else _files; fi
}
if [[ "$funcstack[1]" = _boxledger ]]; then _boxledger "$@"; else compdef _boxledger boxledger; fi
