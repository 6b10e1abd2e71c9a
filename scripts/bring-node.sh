# Makes sure that there is a Node of version 24 or newer: the machine's own, or the npm package `node` in .toolchain/.
# Shell, because it runs before there is a Node that could run our TypeScript.
set -eu
major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)
mkdir -p .toolchain
if [ "$major" -lt 24 ] && [ ! -x .toolchain/node_modules/.bin/node ]; then
  command -v npm >/dev/null || { echo "npm is needed: install Node with npm (any version)" >&2; exit 1; }
  echo "this machine's Node is ${major}; bringing Node 24 into .toolchain/"
  npm install --no-save --no-fund --no-audit --loglevel=error --prefix .toolchain node@24 >/dev/null
  .toolchain/node_modules/.bin/node -e 'process.exit(+process.versions.node.split(".")[0] < 24 ? 1 : 0)' ||
    { echo "the Node that npm brought does not run here" >&2; exit 1; }
fi
touch .toolchain/ready
