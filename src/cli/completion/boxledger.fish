# Asks the program itself at each press of the key; fish offers files besides.
function __boxledger_complete
  set -l words (commandline -opc) (commandline -ct)
  boxledger __complete -- $words[2..-1] 2>/dev/null
end
complete -c boxledger -a '(__boxledger_complete)'
