/**
 * The shim: one cheap process per box, in a session of its own, so that the box outlives the service. Environment:
 * BL_RUN (directory of this attempt at a boot, which may be renamed later), BL_SOCKETS (names of sockets that the box makes in its guest directory),
 * BL_CGROUPS (directories, one a line), BL_PLAIN (1: no namespaces, so what
 * the box left behind may still hold the console, and descriptor 4 is to be the directory of its socket). Arguments: the
 * command that makes the box. Descriptor 3: whoever boots is told there.
 *
 * 1. It says who it is (`shim`), then takes the ticket. Whoever renames the ticket first wins: this shim, or somebody who
 *    wants that no box comes of it. So a shim that nobody heard of again cannot bring up a second box.
 * 2. It holds the FIFO `lifeline` open; whoever reads that sees its end at once.
 * 3. The box's outermost process joins the cgroups before it becomes anything else. The shim stays outside: it is there
 *    to tell, also when everything inside is frozen or killed.
 * 4. How the box ended goes to `exit` before the lifeline breaks.
 */
export const shim = `#!/bin/sh
umask 077
started() {
  if [ -r "/proc/$1/stat" ]; then
    read -r line < "/proc/$1/stat"
    set -- \${line##*) }
    echo "\${20}"
  else
    LC_ALL=C ps -o lstart= -p "$1" | tr -s ' '
  fi
}
put() { printf '%s\\n' "$2" > "$1.new" && mv -f "$1.new" "$1"; }
tell() { (echo "$1" >&3) 2>/dev/null; }

cd "$BL_RUN" || exit 125
mkfifo lifeline console.pipe || exit 125
exec 9<>lifeline
put shim "$$ $(started $$)"
mv ticket claimed 2>/dev/null || exit 125

# The console keeps between one and two files of at most 128 writes of 4 KiB.
console() {
  while dd bs=4096 count=128 of=console 2>/dev/null && [ -s console ]; do
    mv -f console console.1
  done
}
console < console.pipe > /dev/null 3>&- 9>&- &
console=$!

(
  exec 9>&-
  IFS='
'
  for group in $BL_CGROUPS; do echo 0 > "$group/cgroup.procs" || exit 125; done
  [ -z "$BL_PLAIN" ] || exec 4<guest
  cd /
  exec "$@"
) < /dev/null > console.pipe 2>&1 &
main=$!
put main "$main $(started $main)"
tell main

# The box can put anything in place of its socket. What the host connects to is a name that the box cannot reach, made
# without following links and kept only if it is a socket.
link() {
  pause=0.02 tries=0 left=$BL_SOCKETS
  while [ -n "$left" ] && kill -0 "$main" 2>/dev/null; do
    set -- $left
    left=
    for name; do link_one "$name" || left="$left $name"; done
    [ -n "$left" ] || return
    tries=$((tries + 1))
    [ $tries -lt 500 ] || pause=1
    sleep $pause || sleep 1
  done
}
link_one() {
  inside="guest/$1" outside="$1.new"
  [ -S "$inside" ] && { ln -P "$inside" "$outside" || ln "$inside" "$outside"; } || return 1
  if [ -S "$outside" ] && [ ! -h "$outside" ]; then mv -f "$outside" "../$1"; return; fi
  rm -f "$outside"
  return 1
}
link < /dev/null > /dev/null 2>&1 3>&- 9>&- &
linker=$!

exec 3>&-
wait "$main"
put exit "$?"
wait "$linker" # it has seen the end of the box, or will within its pause
[ -n "$BL_PLAIN" ] || wait "$console"
`;
