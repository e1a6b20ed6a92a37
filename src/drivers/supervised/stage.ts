/**
 * For bwrap under a service that is root. The box's files may lie where its unprivileged user cannot go, so root binds
 * them, in a mount namespace of the box's own, to where it can. BL_STAGE: an existing directory to cover. Arguments: pairs
 * of source and name, then `--`, then the command.
 */
export const stage = `#!/bin/sh
set -e
mount -n -t tmpfs -o mode=0755,nosuid,nodev boxstage "$BL_STAGE"
while [ "$1" != -- ]; do
  if [ -d "$1" ]; then mkdir "$BL_STAGE/$2"; else : > "$BL_STAGE/$2"; fi
  mount -n --bind "$1" "$BL_STAGE/$2"
  shift 2
done
shift
exec "$@"
`;
