# For the scripts of this folder, which source it: a store of their own, and what they say.

# Settings of this machine for other stores, proxies and certificates are none of this one's.
for name in $(compgen -e); do
  case "$name" in
    AWS_* | S3_ENDPOINT_URL | RCLONE_* | *_proxy | *_PROXY | REQUESTS_CA_BUNDLE | SSL_CERT_FILE) unset "$name" ;;
  esac
done

suite=$(basename "$0")
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/localyun-$suite-XXXXXX")
passed=0 failed=0 store_pid=

say() { printf '%s  %s\n' "$(date +%H:%M:%S)" "$*" >&2; }
cannot() { say "$suite: $*"; exit 2; }

# Ends only what was begun here.
clean_up() {
  if [ -n "$store_pid" ]; then
    kill "$store_pid" 2>/dev/null || true
    wait "$store_pid" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# Starts a store on a free port; `store` is its address, `port` its port.
start_store() {
  local binary=${LOCALYUN_BIN:-$project/target/release/localyun} line
  [ -x "$binary" ] || cannot "no program: build it (cargo build --release) or name one with LOCALYUN_BIN"
  mkfifo "$work/ready"
  "$binary" serve --data-dir "$work/data" --api-addr 127.0.0.1:0 --rtmp-addr 127.0.0.1:0 --oss-addr 127.0.0.1:0 --play-addr 127.0.0.1:0 "$@" \
    >"$work/ready" 2>"$work/log" &
  store_pid=$!
  read -r -t 60 line <"$work/ready" || { tail -5 "$work/log" >&2; cannot "the store did not start"; }
  store=$(sed -n 's/.*"oss":"\([^"]*\)".*/\1/p' <<<"$line")
  port=${store##*:}
  [ -n "$port" ] || cannot "no address in: $line"
}

# Runs one check by its name; what it prints is shown when it fails.
check() {
  local name=$1
  shift
  if "$@" >"$work/out" 2>&1; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    say "$suite: $name FAILED: $*"
    tail -15 "$work/out" >&2
  fi
}

# The same bytes in two files or two trees.
same() { diff -r "$1" "$2"; }

# Prints the figure; the status is 1 when something failed.
finish() {
  printf '%s: %d of %d pass\n' "$suite" "$passed" $((passed + failed))
  [ "$failed" -eq 0 ]
}

# A folder as a recorder leaves it: playlists, slices, a large file, names that need escaping.
recordings() {
  local to=$1
  mkdir -p "$to/live/s1" "$to/live/空 格 +&="
  head -c 20000000 /dev/urandom >"$to/live/s1/long.mp4"
  for number in $(seq -w 1 30); do head -c $((10#$number * 3760)) /dev/urandom >"$to/live/s1/$number.ts"; done
  printf '#EXTM3U\n' >"$to/live/s1/index.m3u8"
  printf 'x' >"$to/live/空 格 +&=/a%20b;c.txt"
  : >"$to/live/empty"
  # A store's dates are whole seconds: a file made in the second in which it is uploaded counts as newer than its object.
  find "$to" -exec touch -d '1 minute ago' {} +
}
