#!/usr/bin/env bash
# The one face of this project, and the cargo runner: sets up a fresh machine (Rust, crates, QEMU),
# then hands over to host/xtask, which does what `./run.sh --help` lists.
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
target=x86_64-unknown-none
debian_rustc=/usr/bin/rustc
toolchain= scratch=

say() { printf 'run: %s\n' "$*" >&2; }
fail() { say "failed: $*" && exit 1; }

setup_timeout=${SETUP_TIMEOUT:-600}
[[ $setup_timeout =~ ^[1-9][0-9]{0,4}$ ]] ||
    fail "SETUP_TIMEOUT=$setup_timeout: a number from 1 to 99999"

qemu=${QEMU:-qemu-system-x86_64}
# Cargo starts the runner in another directory.
case $qemu in
/*) ;;
*/*) export QEMU="$PWD/$qemu" && qemu=$QEMU ;;
esac

# Where cargo builds, as it sees it from the top of the project.
target_directory() { (cd "$here" && realpath -m "${CARGO_TARGET_DIR:-target}"); }

# What cargo says in many lines, or in the middle of a build.
check_directories() {
    local directory free_mib to="that can be written"
    scratch=$(mktemp -d 2>/dev/null) && trap 'rm -rf "$scratch"' EXIT &&
        head -c 1M /dev/zero 2>/dev/null >"$scratch/room" && rm "$scratch/room" ||
        fail "no room for logs in TMPDIR=${TMPDIR:-/tmp}: set TMPDIR to a directory $to"
    directory=$(target_directory)
    { mkdir -p "$directory" && touch "$directory/.writable"; } 2>/dev/null ||
        fail "$directory cannot be written: set CARGO_TARGET_DIR to a directory that can"
    rm -f "$directory/.writable"
    free_mib=$(df -Pm "$directory" 2>/dev/null | awk 'NR == 2 { print $4 }')
    [ "${free_mib:-100}" -ge 100 ] ||
        fail "$directory has $free_mib MiB left: make room (a build takes 2 GiB)," \
            "or set CARGO_TARGET_DIR"
}

# Runs a step of the set-up, for a bounded time and asking nothing.
bounded() { timeout --foreground -k 5 "$setup_timeout" "$@" </dev/null; }
is_root() { [ "$(id -u)" = 0 ]; }
can_be_root() { is_root || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }; }
as_root() { if is_root; then bounded "$@"; else bounded sudo -n "$@"; fi; }

# Most mirrors answer within seconds; one that does not is none.
apt_update() {
    local acquire=(-o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20)
    as_root apt-get "${acquire[@]}" update
}

# apt_install WHY PACKAGE..: installs packages or says in one line what to do instead.
apt_install() {
    local why=$1 log=$scratch/apt status
    shift
    local by_hand="apt-get install --no-install-recommends $*"
    command -v apt-get >/dev/null ||
        fail "$why, and no apt-get to install it: docs/CONTRIBUTING.md, Set-up, says what is needed"
    can_be_root || fail "$why, and this is neither root nor sudo without a password:" \
        "'sudo $by_hand' installs it"
    say "$why: installing $*"
    # Lists first: with old ones apt installs what is too old, or finds nothing. Without the network
    # what is cached may do.
    apt_update >"$log" 2>&1
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=60 install -y --no-install-recommends "$@" >>"$log" 2>&1
    status=$?
    case $status in
    0) ;;
    124 | 137) fail "$why: apt-get did not end in $setup_timeout s: is there a network?" \
        "'$by_hand' installs it" ;;
    *) fail "$why: '$by_hand' failed:" \
        "$(grep '^E: ' "$log" | head -n 1 | grep . || tail -n 1 "$log")" ;;
    esac
}

# Host work, at the top of the project, never sees the variables that build the kernel.
host() {
    (
        unset RUSTC RUSTDOC RUSTC_BOOTSTRAP CARGO_BUILD_TARGET CARGO_BUILD_RUSTC
        unset "${!CARGO_UNSTABLE_@}" "${!CARGO_TARGET_X86_64_UNKNOWN_NONE_@}"
        cd "$here" && "$@"
    )
}

# Debian's compiler: new enough, with the source of `core` beside it.
has_debian_rust() {
    local version
    version=$($debian_rustc --version 2>/dev/null | sed -E 's/^rustc 1\.([0-9]+).*/\1/')
    [ "$version" -ge 95 ] 2>/dev/null &&
        [ -e "$($debian_rustc --print sysroot)/lib/rustlib/src/rust/library/core/src/lib.rs" ]
}

has_native_target() {
    local directory
    directory=$(host bounded rustc --print target-libdir --target $target 2>/dev/null) &&
        compgen -G "$directory/libcore-*.rlib" >/dev/null
}

# A rustup without the toolchain has a `cargo` that does nothing but fetch it.
has_cargo() { command -v cargo >/dev/null && host bounded cargo --version >/dev/null 2>&1; }

# Which compiler builds the kernel: `native` or `debian`.
find_toolchain() {
    toolchain=
    has_cargo || return
    if has_native_target; then
        toolchain=native
    else
        has_debian_rust && toolchain=debian
    fi
}

setup_rust() {
    find_toolchain && return
    if command -v rustup >/dev/null; then
        say "adding the target $target"
        host bounded rustup target add $target >"$scratch/rustup" 2>&1 && find_toolchain && return
        say "rustup cannot add it here: $(tail -n 1 "$scratch/rustup")"
    fi
    if has_cargo; then
        apt_install "no compiler for $target" rustc-web rust-web-src
    else
        apt_install "no Rust" cargo-web rustc-web rust-web-src rust-web-clippy gcc libc6-dev
        hash -r
        has_cargo || fail "$(command -v cargo) does not run: 'cargo --version' says why"
    fi
    find_toolchain && return
    [ -x $debian_rustc ] && say "found $($debian_rustc --version);" \
        "1.95 or later is needed (Debian 12: bookworm-security)"
    fail "no compiler for $target: install rustup, then run 'rustup target add $target'"
}

# Cargo without the network tries for minutes, and names one crate after the other.
setup_crates() {
    local crates=(--locked --target $target --target host-tuple)
    host cargo fetch -q --offline "${crates[@]}" 2>/dev/null && return
    say "fetching crates"
    CARGO_NET_RETRY=1 CARGO_HTTP_TIMEOUT=20 host bounded cargo fetch -q "${crates[@]}" \
        2>"$scratch/crates" && return
    say "crates.io cannot be reached ($(tail -n 1 "$scratch/crates" | sed 's/^ *//')):" \
        "what has been fetched before has to do; where cargo misses a package," \
        "'./run.sh setup' fetches it once there is a network"
    export CARGO_NET_OFFLINE=true
}

# Finds QEMU, or says what is wrong with the one that was asked for; `false` where there is none.
find_qemu() {
    local version major minor
    if ! command -v "$qemu" >/dev/null; then
        [ -n "${QEMU:-}" ] || return
        [ ! -e "$QEMU" ] || fail "QEMU=$QEMU: not a program that can be run"
        fail "QEMU=$QEMU: no such program;" \
            "without QEMU= it is qemu-system-x86_64, which ./run.sh setup installs"
    fi
    version=$(bounded "$qemu" --version 2>/dev/null |
        sed -nE 's/^QEMU emulator version ([0-9.]+).*/\1/p')
    [ -n "$version" ] ||
        fail "$qemu does not say that it is a QEMU: '$qemu --version' shows what it says"
    IFS=. read -r major minor _ <<<"$version"
    [ "$((100 * major + ${minor:-0}))" -ge 702 ] ||
        fail "$qemu is QEMU $version: 7.2 or later is needed"
}

# setup COMMAND [word]: what every command needs, and what this one needs beside it.
setup() {
    check_directories
    setup_rust
    setup_crates
    find_qemu || { apt_install "no QEMU" qemu-system-x86 && find_qemu; }
    case "$*" in
    lint)
        command -v cargo-fmt >/dev/null || apt_install "no rustfmt" rustfmt-web
        [ $toolchain = native ] || [ -x /usr/bin/cargo-clippy ] ||
            apt_install "no clippy beside $debian_rustc" rust-web-clippy
        ;;
    linux-guest* | "bench --peer linux"*)
        [ -e "$(target_directory)/peer/modules.list" ] && return
        command -v cpio >/dev/null || ! command -v apt-get >/dev/null || apt_install "no cpio" cpio
        can_be_root && apt_update >/dev/null 2>&1
        ;;
    esac
}

# Compiles host/xtask where this source has not been compiled yet: by rustc alone, in seconds, since
# cargo, which starts this as its runner, holds the lock of its own builds.
hand_over() {
    local directory source xtask
    directory=$(target_directory)/xtask
    source=$(cd "$here/host/xtask/src" &&
        find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum)
    xtask=$directory/${source:0:16}
    if [ ! -x "$xtask" ]; then
        [ -n "$scratch" ] || check_directories
        say "compiling host/xtask, which takes some seconds"
        mkdir -p "$directory" && find "$directory" -type f -mtime +1 -delete &&
            host rustc --edition 2024 -o "$scratch/xtask" --crate-name xtask \
                host/xtask/src/main.rs && mv "$scratch/xtask" "$xtask" ||
            fail "host/xtask does not build"
    fi
    rm -rf "$scratch"
    XTASK_ROOT=$here XTASK_TOOLCHAIN=$toolchain exec "$xtask" "$@"
}

case ${1:-} in
-h | --help | help) exec cat "$here/host/xtask/src/help.txt" ;;
setup | env | lint)
    [ $# = 1 ] ||
        fail "$1: '$2' means nothing to it; ./run.sh --help shows what each command takes"
    setup "$1"
    ;;
"" | demo | test | bench | linux-guest | probe | bench-guest) setup "$@" ;;
-*) cat "$here/host/xtask/src/help.txt" >&2 && exit 2 ;;
*)
    [ -f "$1" ] || { say "no such command or file: $1; ./run.sh --help lists them" && exit 2; }
    find_qemu || fail "no $qemu: ./run.sh setup installs it"
    ;;
esac
hand_over "$@"
