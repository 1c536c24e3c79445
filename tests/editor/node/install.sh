#!/bin/sh
# Install the YAML language server of package.json beside it, once; afterwards nothing is asked of the network.
# Without npm: from Debian's packages when this is root, else it says how, and the tests that need it are skipped.
set -eu
cd "$(dirname "$0")"
stamp=node_modules/.installed
if cmp -s package.json "$stamp" 2>/dev/null; then exit 0; fi

missing() {
    echo "The tests of the editor schema are skipped: $1" >&2
    if [ "${CI:-}" = true ]; then exit 1; fi
    exit 0
}

if ! command -v npm >/dev/null 2>&1 && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo 'Installing nodejs and npm ...' >&2
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm; } \
        >/dev/null 2>&1 || true
fi
command -v npm >/dev/null 2>&1 || missing 'npm is not installed (on Debian and Ubuntu: apt install nodejs npm).'

# In a folder of its own, then moved: whoever looks in between sees nothing or all of it.
work=$(mktemp -d ./.install.XXXXXX)
trap 'rm -rf "$work"' EXIT
cp package.json "$work"
npm install --prefix "$work" --no-package-lock --no-audit --no-fund --ignore-scripts --loglevel=error >&2 \
    || missing 'npm could not install it.'
cp package.json "$work/$stamp"
rm -rf node_modules
mv "$work/node_modules" node_modules
