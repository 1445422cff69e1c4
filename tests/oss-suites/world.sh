# For the suites of this folder, which source it: a world of their own, in which every name of the network leads to localyun.
#
# SDKs put the bucket before the host (`bucket.oss-cn-hangzhou.aliyuncs.com`), and no hosts file holds names that are made up as it goes.
# So a suite runs in a network of its own (Linux: unshare), where a small name server answers every question with 127.0.0.1 and localyun
# listens on port 80. Nothing in there reaches the network outside, and nothing outside notices.

suite=$(basename "$0")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
project=$(cd "$here/../.." && pwd)
kept=$project/target/oss-suites
mkdir -p "$kept"

cannot() { echo "$1" >&2; exit 2; }

# The folder of a repository that the person has (OSS_SUITES), copied so that nothing is left behind in it.
checkout() {
  local from=${OSS_SUITES:-}/$1 to=$kept/src/$1
  [ -n "${OSS_SUITES:-}" ] && [ -d "$from" ] || cannot "no $1: name the folder that holds its repository with OSS_SUITES"
  mkdir -p "$kept/src"
  [ -d "$to" ] || cp -r "$from" "$to"
  printf '%s\n' "$to"
}

# A Python environment of these packages.
python_with() {
  local venv=$kept/venv wanted
  wanted=$(printf '%s\n' "$@" | sha256sum)
  [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
  if ! grep -qs "${wanted%% *}" "$venv/.made-of"; then
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@" >&2 || cannot "pip could not install $*"
    printf '%s\n' "$wanted" >>"$venv/.made-of"
  fi
  printf '%s\n' "$venv/bin/python"
}

# Runs a command in that world. Its variables are those that the SDKs' own suites read.
in_a_world() {
  local data
  data=$(mktemp -d "${TMPDIR:-/tmp}/localyun-$suite-XXXXXX")
  export WORLD_DATA=$data LOCALYUN_BIN=${LOCALYUN_BIN:-$project/target/release/localyun}
  export OSS_TEST_ENDPOINT=http://oss-cn-hangzhou.aliyuncs.com OSS_TEST_REGION=cn-hangzhou
  export OSS_TEST_ACCESS_KEY_ID=testid OSS_TEST_ACCESS_KEY_SECRET=testsecret
  export OSS_ACCESS_KEY_ID=testid OSS_ACCESS_KEY_SECRET=testsecret
  local code=0
  unshare --user --map-root-user --net --mount --pid --fork --kill-child "$here/world.py" "$@" || code=$?
  rm -rf "$data"
  return "$code"
}
