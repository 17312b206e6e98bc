#!/usr/bin/env bash
# Builds the images that integration tests start, from packages alone: no container registry is needed.
#   integration/images/build.sh            all that have a folder here
#   integration/images/build.sh redis      this one
#   integration/images/build.sh --warm     none: only compiles, which is quick the next time; needs no engine
#
# A folder is an image, spillway-test/<folder>: `packages` names what it needs of Debian, one a line, and its Dockerfile
# is built on a root file system that holds the packages of all folders. That one is made once, in one go, which takes
# most of the time; what a folder has in `before` is put into it before the packages are. To add a server, add a folder.
#
# What Debian does not have a folder may `compile`, in a copy of itself, when its image is out of date. Where that
# cannot be done (exit code 75) one line says so, `skipped IMAGE: WHY`, and the image stays what it was. Where it can be
# done without, it leaves a file `note` that says so: the image is made, a line `IMAGE: NOTE` printed, and the next run
# tries again.
#
# Each image carries a label with the hash of what it was made from; one that is up to date is left alone, in well
# under a second. Needs a Docker engine and mmdebstrap, as root, or with user namespaces. About a minute.
set -o errexit -o nounset -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

prefix=spillway-test
suite=bookworm
label=spillway.made-from
# What Debian ships as docker.io has no buildx; its own builder is enough.
export DOCKER_BUILDKIT=0
# For what is compiled.
export GO_BUILD="$PWD/go-build"

hash_of() { sha256sum | cut --characters=1-32; }
made_from() { docker image inspect --format "{{index .Config.Labels \"$label\"}}" "$1" 2> /dev/null || true; }

# The mirror this machine uses, if it is a Debian itself. Otherwise mmdebstrap knows one.
mirror() {
  local found
  found="$(sed --quiet --regexp-extended 's/^(URIs:|deb( \[[^]]*\])?) *(https?:[^ ]+).*/\3/p' \
    /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2> /dev/null | head --lines=1 || true)"
  if grep --quiet '^ID=debian$' /etc/os-release; then echo "$found"; fi
}

work="$(mktemp --directory)"
cleanup() {
  umount "$work" 2> /dev/null || true
  rm --recursive --force "$work"
}
trap cleanup EXIT
# In memory where that is allowed: nothing in here has to outlive this script, and dpkg syncs a lot.
mount --types tmpfs --options size=3g,mode=755 tmpfs "$work" 2> /dev/null || true

# What is compiled here is thrown away: what stays is in the compiler's cache. Says nothing: the real one will.
if [ "${1:-}" = --warm ]; then
  for folder in $(dirname ./*/compile); do
    cp --recursive "$folder" "$work/warm"
    (cd "$work/warm" && ./compile) > /dev/null 2>&1 || true
    rm --recursive --force "$work/warm"
  done
  exit
fi

# The root file system that all images share, as an archive.
bootstrap() {
  mkdir "$work/bootstrap"
  cat > "$work/slim" << 'END'
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/man/*
path-include=/usr/share/man/man?
force-unsafe-io
END
  # Packages of servers want to start them, and some of Java's to write into the folder of manual pages.
  TMPDIR="$work/bootstrap" mmdebstrap --quiet --variant=apt --include="$packages" \
    --aptopt='APT::Install-Recommends "false"' \
    --essential-hook="cp '$work/slim' \"\$1/etc/dpkg/dpkg.cfg.d/slim\"" \
    --essential-hook='mkdir --parents "$1/usr/share/man/man1"' \
    --essential-hook='printf "#!/bin/sh\nexit 101\n" > "$1/usr/sbin/policy-rc.d"; chmod +x "$1/usr/sbin/policy-rc.d"' \
    --essential-hook="cp --recursive '$PWD'/*/before/. \"\$1\"" \
    --customize-hook='rm --recursive --force "$1"/var/lib/apt/lists/*' \
    "$suite" "$1" $(mirror)
}

packages="$(cat ./*/packages | sort --unique | paste --serial --delimiters=,)"
root_key="$({ echo "$suite $packages"; find ./*/before -type f | sort | xargs sha256sum; declare -f bootstrap; } | hash_of)"
if [ "$(made_from "$prefix/debian")" != "$root_key" ]; then
  bootstrap "$work/root.tar"
  docker import --change "LABEL $label=$root_key" "$work/root.tar" "$prefix/debian" > /dev/null
  echo "built $prefix/debian"
fi

failed=0
for folder in "${@:-*/}"; do
  for path in $folder; do
    name="${path%/}"
    context="$work/context-$name"
    cp --recursive "$name" "$context"
    # What a folder cannot hold itself, because it is installed: see its own script.
    if [ -x "$context/prepare" ]; then (cd "$name" && ./prepare "$context"); fi
    key="$({ echo "$root_key"; cd "$context" && find . -type f -print0 | sort --zero-terminated | xargs --null sha256sum; } | hash_of)"
    [ "$(made_from "$prefix/$name")" = "$key" ] && continue
    if [ -x "$context/compile" ]; then
      code=0
      (cd "$context" && ./compile) > "$work/log" 2>&1 || code=$?
      if [ "$code" -eq 75 ]; then
        echo "skipped $prefix/$name: $(paste --serial --delimiters=' ' "$work/log")"
        continue
      fi
      # The others do not have to wait for it.
      [ "$code" -eq 0 ] || { cat "$work/log" >&2; failed=1; continue; }
    fi
    if [ -s "$context/note" ]; then
      echo "$prefix/$name: $(paste --serial --delimiters=' ' "$context/note")"
      key="$key-again"
    fi
    docker build --build-arg "BASE=$prefix/debian" --label "$label=$key" --tag "$prefix/$name" "$context" \
      > "$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
    echo "built $prefix/$name"
  done
done
# What a newer one has replaced.
docker image prune --force --filter "label=$label" > /dev/null
exit "$failed"
