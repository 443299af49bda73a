# What the setup and test scripts share; sourced by them, in the project folder.

say() { printf '%s\n' "$*"; }
fail() { printf '%s\n' "$*" >&2; exit 1; }
is_root() { [ "$(id -u)" = 0 ]; }

# Run a command in silence; show its output only when it fails.
quietly() {
  local output status=0
  output=$(mktemp)
  "$@" >"$output" 2>&1 || status=$?
  [ "$status" = 0 ] || { say "This failed: $*" >&2; tail -n 40 "$output" >&2; }
  rm -f "$output"
  return "$status"
}

# Install Debian packages; only as root.
install_packages() {
  say "Installing $* (apt-get) ..."
  export DEBIAN_FRONTEND=noninteractive
  quietly apt-get update -qq && quietly apt-get install -y -qq --no-install-recommends "$@"
}
